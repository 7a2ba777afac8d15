"""``lineament verify A B`` and ``lineament detect IMAGE...``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import command, option
from lineament.cli.numbers import FINITE, PRIOR
from lineament.cli.output import (
    exit_code,
    print_error,
    print_json,
    print_line,
    print_note,
    print_pairs,
    print_photo_error,
    print_table,
    say_undrawn,
)
from lineament.cli.progress import keeps, with_progress
from lineament.cli.sources import FileNames, check_stdin, many_sources, not_looked_at, one_source
from lineament.cli.targets import PICTURE, Target, make_folder, refuse_existing, write_csv, writing
from lineament.errors import LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.cli.terminal import Style
    from lineament.ensemble import Ensemble
    from lineament.liveness.passive import LivenessMode
    from lineament.pipeline import Recognizer
    from lineament.types import Decision, Face, Photo, Threshold

# --- verify ---------------------------------------------------------------------------------------


@command("lineament verify a.jpg b.jpg")
@options.pair
@options.metric
@option(
    "--fusion",
    metavar="boosted|logistic|mean",
    help="Several recognizers and metrics at once: slower, surer.",
)
@options.fmr
@option("--threshold", type=FINITE, metavar="NUMBER", help="The threshold, in the metric's unit.")
@options.calibration
@options.liveness
@option(
    "--prior",
    type=PRIOR,
    metavar="0..1",
    help="Share of pairs of one person among those you compare; for the probability.",
    show_default=options.SHOWN_DEFAULTS["prior"],
)
@option("--save", writes=PICTURE, metavar="FILE.png", help="Draw both faces and the verdict.")
@options.overwrite
@options.json
@options.allow_private
@options.recognizer()
def verify(
    a: str,
    b: str,
    metric: str | None,
    fusion: str | None,
    fmr: float | None,
    threshold: float | None,
    liveness: LivenessMode,
    save: Path | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Are two photos of the same person?

    Exit code 0: the same, 1: different, undecided or not live, 2: error.
    """
    check_stdin(a, b)
    recognizer = options.recognizer_from(given)
    ensemble = None if fusion is None else _ensemble(fusion, recognizer, metric, given)
    if ensemble is None and fmr is None and threshold is None and _is_untuned(recognizer):
        return _similarity(recognizer, a, b, metric, save, json)
    limit = _threshold(recognizer if ensemble is None else ensemble, metric, fmr, threshold)
    same_path = a == b
    sources = [one_source(a)] if same_path else [one_source(a), one_source(b)]
    if ensemble is None:
        photos = list(
            recognizer.stream_chosen(sources, keep_pixels=save is not None, liveness=liveness)
        )
        decision = recognizer.judge.compare(photos[0], photos[-1], limit)
    else:
        seen = [ensemble.look(source, liveness=liveness) for source in sources]
        photos = [one.photo for one in seen]
        decision = ensemble.decide(seen[0], seen[-1], limit)
    if save is not None:
        with writing(save, "save"):
            _draw_verdict(save, photos[0], photos[-1], decision)
    if json:
        print_json(decision.to_dict())
    else:
        print_decision(decision)
    return 0 if decision.verdict == "same" else 1


UNTUNED = "there is no threshold for it until `lineament tune` or `lineament eval lfw` has made one"


def _is_untuned(recognizer: Recognizer) -> bool:
    """Whether it is a model that the user added, and nothing is known of its scores yet."""
    from lineament.models import added

    weights = recognizer.weights
    mine = weights.file is not None and weights.folder == added.folder()
    return mine and not weights.thresholds and recognizer.calibration is None


def _similarity(
    recognizer: Recognizer, a: str, b: str, metric: str | None, save: Path | None, json: bool
) -> int:
    """How alike two faces are, where no threshold says what that means."""
    from lineament.decide.comparison import compare
    from lineament.decide.metrics import DEFAULT_METRIC, get_metric
    from lineament.types import Threshold

    name = recognizer.weights.name
    if save is not None:
        raise OptionError(f"{name}: {UNTUNED}", option="save", hint="; or name one by --threshold")
    measured = get_metric(DEFAULT_METRIC if metric is None else metric)
    sources = [one_source(a)] if a == b else [one_source(a), one_source(b)]
    photos = list(recognizer.stream_chosen(sources))
    for photo in photos:
        photo.require()
    first, last = photos[0].embedding, photos[-1].embedding
    assert first is not None
    assert last is not None
    decision = compare(first, last, Threshold(0.0, measured.name, None, "none", None))
    if json:
        print_json(
            {
                "verdict": "undecided",
                "same": None,
                "score": decision.score,
                "metric": decision.metric,
                "similarity": decision.similarity,
                "threshold": None,
                "reasons": [UNTUNED],
                "recognizer": name,
            }
        )
    else:
        print_line("undecided", style=_COLORS["undecided"])
        print_pairs(
            [
                ("because", UNTUNED),
                ("score", f"{decision.score:.3f} {decision.metric}"),
                ("recognizer", name),
            ]
        )
    return 1


_NOT_WITH_FUSION = (
    *("preset", "recognizer", "model", "input_size", "color_order", "mean", "scale"),
    *("alignment", "flip", "metric", "calibration"),
)


def _ensemble(
    kind: str, recognizer: Recognizer, metric: str | None, given: Mapping[str, Any]
) -> Ensemble:
    from lineament.ensemble import Ensemble

    refused = [
        name
        for name in _NOT_WITH_FUSION
        if (metric if name == "metric" else given.get(name)) is not None
    ]
    if refused:
        names = ", ".join("--" + name.replace("_", "-") for name in refused)
        raise OptionError(f"{names}: expected without --fusion, which brings its own")
    return Ensemble.load(kind, finder=recognizer.finder, prior=recognizer.prior)


def _threshold(
    recognizer: Recognizer | Ensemble, metric: str | None, fmr: float | None, value: float | None
) -> Threshold:
    from lineament.decide.metrics import DEFAULT_METRIC, get_metric
    from lineament.pipeline import Recognizer

    name = get_metric(DEFAULT_METRIC if metric is None else metric).name
    if fmr is not None and value is not None:
        raise OptionError("expected --fmr or --threshold, got both")
    try:
        if isinstance(recognizer, Recognizer):
            return recognizer.threshold(name, fmr=fmr, value=value)
        return recognizer.threshold(fmr=fmr, value=value)
    except OptionError as error:
        if value is not None or error.option == "fmr":
            raise
        raise OptionError(f"{error} (--fmr RATE or --threshold NUMBER)") from error


def _draw_verdict(path: Path, a: Photo, b: Photo, decision: Decision) -> None:
    from lineament.pictures.photos import save_picture, verdict_picture

    assert a.pixels is not None
    assert b.pixels is not None
    assert a.crop is not None
    assert b.crop is not None
    picture = verdict_picture(
        a.pixels, b.pixels, decision, a.crop, b.crop, faces_a=a.faces, faces_b=b.faces
    )
    save_picture(picture, path)
    say_undrawn([decision.source_a, decision.source_b])


_COLORS: Mapping[str, Style] = {
    "same": "green",
    "different": "red",
    "undecided": "yellow",
    "not_live": "red",
}


def print_decision(decision: Decision) -> None:
    """The verdict, and what it rests on."""
    threshold, certainty = decision.threshold, decision.certainty
    print_line(decision.verdict_in_words, style=_COLORS[decision.verdict])
    reasons = [*decision.not_live_reasons, *decision.reasons]
    rows = [("because" if i == 0 else "", reason) for i, reason in enumerate(reasons)]
    if decision.liveness is not None:
        rows.append(("liveness", _liveness_in_words(decision)))
    if certainty is not None:
        rows += [("probability", certainty.in_words), ("  from", certainty.origin)]
    else:
        rows.append(
            (
                "probability",
                f"not known: there is no calibration for {decision.contract.weights} as it is used "
                "here; `lineament tune` fits one",
            )
        )
    rows += [
        ("score", f"{decision.score:.3f} {decision.metric}"),
        ("threshold", f"{threshold.value:.3f}{_interval(threshold)}"),
        ("  for", threshold.origin),
        ("margin", f"{decision.margin:+.3f}"),
        ("recognizer", decision.contract.weights),
        *_face_rows("face A", decision.source_a, decision.face_a, decision.others_a),
        *_face_rows("face B", decision.source_b, decision.face_b, decision.others_b),
    ]
    print_pairs(rows)


def _liveness_in_words(decision: Decision) -> str:
    """Of each face that was checked: the outcome and its score."""
    sides = (("A", decision.liveness_a), ("B", decision.liveness_b))
    return ", ".join(
        f"{name} {check.outcome}" + ("" if check.score is None else f" ({check.score:.2f})")
        for name, check in sides
        if check is not None
    )


def _interval(threshold: Threshold) -> str:
    if threshold.low is None or threshold.high is None:
        return ""
    return f" ({threshold.low:.3f} to {threshold.high:.3f})"


def _face_rows(name: str, source: str, face: Any, others: int) -> list[tuple[str, str]]:
    more = {0: "no other face", 1: "1 other face"}.get(others, f"{others} other faces")
    return [(name, source), ("", f"{_face_in_words(face)}; {more}")]


# --- detect ---------------------------------------------------------------------------------------

DRAWN = Target(PICTURE.suffixes, folder=True)
"""A picture, or a folder of pictures."""


@command("lineament detect party.jpg --save faces.png")
@options.images
@option(
    "--save",
    writes=DRAWN,
    metavar="PATH",
    help="Draw the faces: FILE.png for one photo, else a folder.",
)
@options.box
@options.csv
@options.landmarks(
    "Find more points of each face: 68, or a mesh of 478, how the head is held and what eyes and "
    "mouth do."
)
@options.overwrite
@options.json
@options.allow_private
@options.recognizer(without=options.ONLY_FACES)
def detect(
    images: tuple[str, ...],
    save: Path | None,
    box: tuple[float, float, float, float] | None,
    csv: Path | None,
    landmarks: str | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Find faces.

    Exit code 0: there are some, 1: there are none, 2: error.
    """
    finder = options.finder_from({**given, "landmarks": landmarks})
    if landmarks is not None:
        _ = finder.landmarker  # what cannot be loaded is said once, before the work
    sources = many_sources(images)
    as_file = save is not None and not DRAWN.is_folder(save)
    if as_file and len(sources) > 1:
        raise OptionError(
            f"--save: expected a folder for {len(sources)} photos, got the file {save}"
        )
    if save is not None and not as_file:
        make_folder(save, "save")
    found: list[Photo] = []
    points: list[list[dict[str, Any]]] = []  # of each face of each photo
    errors = 0
    names = FileNames()
    if save is not None and not as_file:
        keeps(lambda: f"{len(found)} of {len(sources)} photos are drawn and stay")
    photos: Iterable[Photo]
    if box is not None:
        if len(sources) != 1:
            raise OptionError(f"expected one photo with it, got {len(sources)}", option="box")
        photos = [finder.boxed(sources[0], box)]
    else:
        photos = finder.stream(sources, keep_pixels=save is not None or landmarks is not None)
    for photo in with_progress(photos, len(sources), "detecting"):
        found.append(replace(photo, pixels=None))
        errors += print_photo_error(photo)
        points.append([{} for _ in photo.faces])
        if landmarks is not None and photo.error is None:
            try:
                points[-1] = finder.described_landmarks(photo)
            except LineamentError as error:
                print_error(error)
                errors += 1
        if save is not None and photo.error is None:
            if as_file:
                with writing(save, "save"):
                    _draw_faces(photo, save, overwrite, points[-1])
                continue
            try:
                target = save / f"{names.stem(photo.source)}.png"
                _draw_faces(photo, target, overwrite, points[-1])
            except LineamentError as error:
                print_error(error)
                errors += 1
    if csv is not None:
        with writing(csv, "csv"):
            write_csv(csv, (row for photo in found for row in photo.to_rows()))
    if json:
        listed = [photo.to_dict() for photo in found]
        for values, each in zip(listed, points, strict=True):
            values["faces"] = [a | b for a, b in zip(values["faces"], each, strict=True)]
        print_json({"photos": listed, "n_errors": errors} | not_looked_at())
    else:
        _print_faces(found, points)
        if save is not None and not as_file and errors < len(found):
            print_note(f"wrote {save}")
    return exit_code(errors, any(photo.faces for photo in found))


def _face_in_words(face: Face | None) -> str:
    """Size, score and turn of a face."""
    if face is None:
        return "unknown"
    width, height = face.size_wh
    turned = f", turned by {face.turned_deg} degrees" if face.turned_deg else ""
    return f"{width:.0f} x {height:.0f} px, detected with {face.score:.3f}{turned}"


def _draw_faces(
    photo: Photo, target: Path, overwrite: bool, points: Sequence[Mapping[str, Any]]
) -> None:
    from lineament.finder import pixels_of
    from lineament.pictures.photos import annotate, save_picture

    refuse_existing(target, overwrite)
    labels = [f"{i}  {face.score:.2f}" for i, face in enumerate(photo.faces, 1)]
    drawn = [each["points_xy"] for each in points] if points and points[0] else None
    save_picture(annotate(pixels_of(photo), photo.faces, labels=labels, points=drawn), target)


def _print_faces(photos: Iterable[Photo], points: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    rows: list[tuple[str, ...]] = []
    turned = False
    for photo, described in zip(photos, points, strict=True):
        if photo.error is not None:
            continue
        if not photo.faces:
            rows.append((photo.source, "-", *[""] * 8))
        for number, (face, more) in enumerate(zip(photo.faces, described, strict=True), 1):
            left, top, _, _ = face.box_xyxy
            width, height = face.size_wh
            pose = more.get("pose", {})
            turned |= bool(pose)
            angles = (pose.get("roll_deg", face.roll_deg), *map(pose.get, ("yaw_deg", "pitch_deg")))
            rows.append(
                (
                    photo.source,
                    str(number),
                    f"{face.score:.3f}",
                    f"{left:.0f},{top:.0f}",
                    f"{width:.0f}x{height:.0f}",
                    *("" if angle is None else str(round(angle)) for angle in angles),
                    "/".join(dict.fromkeys(more.get("eyes", ()))),
                    more.get("mouth", ""),
                )
            )
    if rows:
        of_any = ("photo", "face", "score", "left,top", "size", "roll")
        shown = (*of_any, "yaw", "pitch", "eyes", "mouth") if turned else of_any
        print_table(shown, [row[: len(shown)] for row in rows], right=shown[1:8])
