"""What ``tune`` found, as a page: figures, thresholds, suspects as faces side by side, what is out.

``tune_result`` puts the figures into the form that all reports have, ``tune_sections`` adds what
only this one has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from lineament.evaluate.fairness import Rate
from lineament.evaluate.protocols.folder import worst_pairs
from lineament.evaluate.result import PairShown, Part, Result
from lineament.fit.clean import looked_for, none_found
from lineament.fit.tuned import AtThreshold, Tuned
from lineament.pictures.charts.text import percent
from lineament.pictures.pages.page import Section, Table, Tile
from lineament.pictures.pages.result import tile_of, write_report
from lineament.text import counted

MOST_TILES = 24
"""Of a kind: a page of thousands of photos would help nobody."""

MOST_ROWS = 60
"""Of a table; the JSON object has all."""

_SUSPECTS = {
    "mislabeled": (
        "Probably under a wrong name",
        "Unlike the other photos of the person under whose name they are, and like all of "
        "another person's. Left: the photo. Right: a typical one of the person it seems to "
        "show.",
    ),
    "two people": (
        "One folder, probably two people",
        "A group of photos that are like each other and like strangers to the larger part of "
        "their folder. Left: one of the group, which is left out. Right: a typical one of the "
        "others.",
    ),
    "unlike": (
        "Unlike the others of their folder",
        "Like a stranger to all other photos of the folder, and not clearly somebody else here. "
        "Left: the photo. Right: a typical one of the others.",
    ),
    "undecided": (
        "Photos of one folder that disagree",
        "No group of like photos is the largest, so it cannot be said which of them show the "
        "person: none of them counts.",
    ),
    "one person": (
        "Two folders, probably one person",
        "Most photos of the one are like most of the other. The smaller folder is left out. "
        "Brothers and sisters may be alike as well: look at them.",
    ),
    "two names": (
        "One photo, two names",
        "Nearly the same picture in the folders of two people. Neither counts.",
    ),
}

_LIMITS = {
    "least_size_px": "small",
    "least_sharpness": "blurred",
    "greatest_turn_deg": "turned",
    "least_brightness": "dark",
    "greatest_brightness": "overexposed",
    "least_contrast": "flat",
    "least_visible_share": "cut by the photo's border",
    "least_recognizability": "too little of an identity left",
    "least_norm": "embedding norm below the limit found here",
    "any": "any of these",
}


def write_tune_report(
    tuned: Tuned,
    path: str | os.PathLike[str],
    *,
    run: Mapping[str, Any],
    calibration_file: str | None = None,
) -> None:
    """Write the page, at once or not at all; raises as ``report.write_report``.

    Args:
        tuned: from ``tune``.
        path: of the page.
        run: what embedded, and the command, as ``Result.run``.
        calibration_file: where the calibration was written.
    """
    result = tune_result(tuned, run)
    write_report(result, path, sections=tune_sections(tuned, calibration_file))


def tune_result(tuned: Tuned, run: Mapping[str, Any] | None = None) -> Result:
    """The figures in the form that all reports have."""
    made = tuned.calibration
    rows = tuned.fitted.reliability.to_rows()
    key = {place: f"{row['probability']:.6f}" for place, row in enumerate(rows)}
    curves = {
        name: {key[place]: float(row[field]) for place, row in enumerate(rows)}
        for name, field in (
            ("reliability", "observed"),
            ("reliability_count", "n_pairs"),
            ("reliability_low", "low"),
            ("reliability_high", "high"),
        )
    }
    at = tuned.threshold.plain.value
    part = Part(
        "all_pairs",
        "the photos that count",
        {
            "threshold_value": at,
            "fmr": tuned.own.fmr.errors / tuned.own.fmr.trials,
            "fnmr": tuned.own.fnmr.errors / tuned.own.fnmr.trials,
            "cllr": made.cllr,
            "min_cllr": made.min_cllr,
            "ece": made.ece,
            "n_people": made.n_people,
            "n_genuine_pairs": made.n_genuine_pairs,
            "n_impostor_pairs": made.n_impostor_pairs,
        },
        scores=tuned.pairs,
        threshold=at,
        worst=_worst(tuned),
        curves=curves,
    )
    embedded = tuned.examined.embedded
    return Result(
        protocol="tune",
        title="Tuned to your photos",
        data=str(tuned.people.folder),
        images=len(tuned.people.paths),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=(part,),
        run={} if run is None else run,
        notes=(threshold_in_words(tuned), tuned.comparison, suspects_in_words(tuned), *tuned.notes),
    )


def tune_sections(tuned: Tuned, calibration_file: str | None = None) -> list[Section]:
    """Thresholds, the package's beside them, suspects, and what was left out."""
    sections = [_thresholds(tuned), _beside(tuned)]
    sections += _suspects(tuned)
    sections += _left_out(tuned)
    sections.append(_quality(tuned))
    if calibration_file is not None:
        sections.append(
            Section(
                "How to use it",
                ("The calibration holds for the recognizer and the options it was fitted with.",),
                code=(f"lineament verify A.jpg B.jpg --calibration {calibration_file}",),
            )
        )
    return sections


def threshold_in_words(tuned: Tuned) -> str:
    """The threshold with its interval, in one sentence."""
    fitted = tuned.threshold
    missed = "How many pairs of one person it misses is not measurable."
    if tuned.own.fnmr.trials:
        missed = f"At it {rate_in_words(tuned.own.fnmr)} of the pairs of one person are missed."
    return (
        f"Threshold for a false match rate of {tuned.fmr:g}: {fitted.plain.value:.3f} (95% "
        f"interval {fitted.low:.3f} to {fitted.high:.3f}, "
        f"{counted(fitted.false_matches, 'false match', 'false matches')} behind it). {missed}"
    )


def suspects_in_words(tuned: Tuned) -> str:
    """What suspects do to the threshold, in one sentence; "" without any."""
    suspects = tuned.cleaning.suspects
    if not suspects:
        return ""
    count = sum(len(suspect.photos) for suspect in suspects)
    kept = bool((tuned.used & ~tuned.cleaning.trusted).any())
    photos = "photo" if count == 1 else "photos"
    return (
        f"{count:,} {photos} whose name is probably wrong "
        f"{'was' if count == 1 else 'were'} {'kept' if kept else 'left out'}. The threshold is "
        f"{_value(tuned.without_suspects)} without and {_value(tuned.with_suspects)} with them."
    )


def rate_in_words(rate: Rate) -> str:
    """ "1.2 % (0.9 % to 1.6 %)", or that there is nothing to measure it by."""
    if not rate.trials:
        return "not measurable"
    share, low, high = (
        percent(value, 2) for value in (rate.errors / rate.trials, rate.low, rate.high)
    )
    few = "" if rate.enough else "; too few pairs to be sure"
    return f"{share} ({low} to {high}{few})"


def _value(value: float | None) -> str:
    return "not measurable" if value is None else f"{value:.3f}"


def _worst(tuned: Tuned) -> tuple[PairShown, ...]:
    return worst_pairs(tuned.people, tuned.examined.embedded.vectors, tuned.used)


def _thresholds(tuned: Tuned) -> Section:
    points = tuned.calibration.points
    rows = [
        (
            f"{point.fmr:g}",
            f"{point.value:.3f}",
            f"{point.low:.3f} to {point.high:.3f}",
            f"{point.false_matches:,}",
            percent(tuned.pairs.fnmr_at(point.value), 3),
        )
        for point in points
    ]
    marked = tuple(i for i, point in enumerate(points) if abs(point.fmr / tuned.fmr - 1) < 1e-6)
    table = Table(
        ("false match rate", "threshold", "95 % interval", "false matches", "FNMR"),
        rows,
        numbers=(0, 1, 2, 3, 4),
        marked=marked,
    )
    words = [
        f"Rates below {tuned.calibration.least_fmr:.2g} are not given: fewer than 30 false matches "
        "would stand behind them (rule of 30). The intervals say how far a threshold moves when "
        "the people are drawn anew."
    ]
    if tuned.unseen is not None:
        u = tuned.unseen.to_dict()
        if u["fmr"] is not None and u["fnmr"] is not None:
            words.append(
                "Cross-validated: thresholds fitted on four fifths of the people let "
                f"{tuned.unseen.false_matches:,} of {tuned.unseen.impostor_pairs:,} pairs of two "
                f"other people pass (FMR {percent(u['fmr'], 2)}, "
                f"{percent(u['fmr_interval'][0], 2)} to {percent(u['fmr_interval'][1], 2)} if "
                f"pairs were independent) and miss {percent(u['fnmr'])} of their genuine pairs; "
                f"the thresholds were {min(tuned.unseen.thresholds):.3f} to "
                f"{max(tuned.unseen.thresholds):.3f}."
            )
        else:
            words.append("The threshold is not cross-validated: other people have too few pairs.")
    else:
        words.append(
            "The threshold is not cross-validated: four fifths of the people have too few pairs "
            "for this rate."
        )
    return Section("Thresholds", tuple(words), (table,))


def _beside(tuned: Tuned) -> Section:
    def row(name: str, at: AtThreshold) -> tuple[str, ...]:
        return (name, f"{at.value:.3f}", rate_in_words(at.fmr), rate_in_words(at.fnmr))

    rows = [row("yours", tuned.own)]
    if tuned.bundled is not None:
        rows.append(row(f"the package's, from {tuned.bundled_data}", tuned.bundled))
    table = Table(
        ("threshold", "cosine", "FMR on your photos", "FNMR on your photos"),
        rows,
        numbers=(1,),
    )
    words = (tuned.comparison, "In parentheses 95% intervals, people drawn anew.")
    title = "Rates on your photos" if tuned.bundled is None else "Beside the package's own"
    return Section(title, tuple(word for word in words if word), (table,))


def _suspects(tuned: Tuned) -> list[Section]:
    suspects = tuned.cleaning.suspects
    if not suspects:
        return [
            Section(
                "Probably wrong names",
                (none_found(tuned.cleaning),),
            )
        ]
    words = (
        "Look at them, and rename or move what is wrong; nothing was changed on the disk.",
        suspects_in_words(tuned),
        looked_for(tuned.cleaning),
    )
    sections = [Section("Probably wrong names", words)]
    for kind, (title, about) in _SUSPECTS.items():
        of_kind = [suspect for suspect in suspects if suspect.kind == kind]
        if not of_kind:
            continue
        tiles: list[Tile] = []
        rows = []
        for suspect in of_kind:
            person = tuned.people.names[suspect.person]
            other = None if suspect.other is None else tuned.people.names[suspect.other]
            own, theirs = suspect.beside
            beside = theirs if theirs >= 0 else own
            rest = "each other" if suspect.kind == "undecided" else f"the rest of {person}"
            text = _scores(suspect.own, suspect.towards, rest, other)
            if len(suspect.photos) > 1:
                text = f"{len(suspect.photos)} photos: {text}"
            if beside >= 0 and len(tiles) < MOST_TILES:
                pair = _pair(tuned, suspect.photos[0], beside)
                tiles.append(tile_of(pair, text=text))
            names = ", ".join(tuned.name(i) for i in suspect.photos[:8])
            more = len(suspect.photos) - 8
            rows.append(
                (names + (f" and {more:,} more" if more > 0 else ""), person, other or "", text)
            )
        table = Table(("photos", "under the name", "seems to be", "why"), rows[:MOST_ROWS])
        sections.append(Section(title, (about,), (table,), tiles=tuple(tiles), level=3))
    return sections


def _scores(own: float | None, towards: float | None, rest: str, other: str | None) -> str:
    words = []
    if own is not None:
        words.append(f"{own:.2f} to {rest}")
    if towards is not None and other is not None:
        words.append(f"{towards:.2f} to {other}")
    return ", ".join(words)


def _pair(tuned: Tuned, a: int, b: int) -> PairShown:
    vectors, people = tuned.examined.embedded.vectors, tuned.people
    same = bool(people.person[a] == people.person[b])
    score = float(vectors[a] @ vectors[b])
    return PairShown(str(people.paths[a]), str(people.paths[b]), same, score)


def _left_out(tuned: Tuned) -> list[Section]:
    embedded, cleaning = tuned.examined.embedded, tuned.cleaning
    suspected = sum(len(suspect.photos) for suspect in cleaning.suspects)
    exact = sum(d.exact for d in cleaning.duplicates)
    kept = bool((tuned.used & ~cleaning.trusted).any())
    rows = [
        ("could not be read", len(embedded.unreadable)),
        ("no face was found", len(tuned.without_face)),
        ("equal files", exact),
        (f"near duplicates (cosine above {cleaning.limits.duplicate:g})", _near(tuned)),
        (f"probably a wrong name{' (kept)' if kept else ''}", suspected),
        ("counted", int(tuned.used.sum())),
    ]
    table = Table(
        ("photos", "number"), [(name, f"{count:,}") for name, count in rows], numbers=(1,),
        marked=(len(rows) - 1,),
    )  # fmt: skip
    words: tuple[str, ...] = ()
    if cleaning.duplicates:
        words = (
            "Photos of one person that are nearly one picture would be genuine pairs that prove "
            "nothing: the first of them counts.",
        )
    sections = [Section("What was left out, and why", words, (table,))]
    lists: list[tuple[str, Sequence[tuple[str, str]]]] = [
        (
            "Could not be read",
            [(tuned.name(i), str(error)) for i, error in sorted(embedded.unreadable.items())],
        ),
        ("No face", [(tuned.name(i), "") for i in tuned.without_face.tolist()]),
        (
            "Duplicates",
            [
                (
                    tuned.name(d.photo),
                    f"the same file as {tuned.name(d.of)}"
                    if d.exact
                    else f"{d.score:.3f} to {tuned.name(d.of)}",
                )
                for d in cleaning.duplicates
            ],
        ),
        (
            "Several faces: one was taken",
            [
                (
                    tuned.name(i),
                    f"{tuned.examined.faces[i]} faces; taken: the one from "
                    "({:.0f}, {:.0f}) to ({:.0f}, {:.0f})".format(*tuned.examined.box_xyxy[i]),
                )
                for i in tuned.several_faces.tolist()
            ],
        ),
    ]
    for title, items in lists:
        if items:
            said: list[str] = []
            if len(items) > MOST_ROWS:
                said.append(f"The first {MOST_ROWS} of {len(items):,}.")
            tiles: tuple[Tile, ...] = ()
            if title == "Duplicates":
                near = sorted(
                    (d for d in cleaning.duplicates if not d.exact), key=lambda d: d.score
                )
                tiles = tuple(tile_of(_pair(tuned, d.of, d.photo)) for d in near[:6])
                if tiles:
                    said.append("Those that are least alike are shown: are they one picture?")
            table = Table(("photo", "why"), items[:MOST_ROWS])
            sections.append(Section(title, tuple(said), (table,), tiles=tiles, level=3))
    return sections


def _near(tuned: Tuned) -> int:
    return sum(not d.exact for d in tuned.cleaning.duplicates)


def _quality(tuned: Tuned) -> Section:
    counts = tuned.low_quality
    if not counts.get("measured"):
        return Section(
            "Quality", ("Quality is not measured for this recognizer's kind of alignment.",)
        )
    rows = [(_LIMITS[name], f"{counts[name]:,}") for name in _LIMITS if name in counts]
    limit = tuned.calibration.quality.get("least_norm")
    words = [
        f"Of {counts['measured']:,} photos that count, so many are beyond what was seen to be "
        "reliable. They were fitted on; decisions about such photos are called undecided."
    ]
    if tuned.conditions is not None:
        words.append(tuned.conditions.in_words.capitalize() + ".")
    else:
        words.append(
            "Your photos support no limit of the embedding's norm of their own."
            if limit is None
            else f"Below an embedding norm of {limit:.3g} more than a tenth of the genuine pairs "
            "are missed: the calibration says so from now on."
        )
    return Section(
        "Quality", tuple(words), (Table(("beyond the limit", "photos"), rows, numbers=(1,)),)
    )
