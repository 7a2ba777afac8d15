"""A run as one self-contained HTML page: words, tables, pictures, worst errors, how it was made.

``write_report`` writes what ``report_sections`` makes of a ``Result``; a command with more to say
passes sections of its own. The blocks are those of ``page``, the pictures those of ``charts``.
"""

from __future__ import annotations

import math
import os
import platform
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import lineament
from lineament.errors import OptionError
from lineament.evaluate.curves import (
    LEAST_ERRORS,
    det_points,
    eer_point,
    operating_points,
    rates_at,
    reliability_bins,
    sizes,
)
from lineament.evaluate.result import MEASURES, PairShown, Part, Result, in_words, with_error
from lineament.files import write_atomically
from lineament.pictures import charts
from lineament.pictures.charts.files import check_extra, to_bytes
from lineament.pictures.charts.text import percent
from lineament.pictures.pages.page import Picture, Section, Table, Tile, page, thumbnail
from lineament.text import counted
from lineament.types import NO_FACE_SCORE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAIN_MEASURES = (
    "accuracy_mean",
    "accuracy",
    "accuracy_test",
    "dir_at_fpir",
    "rank",
    "rank1_at_distractors",
    "tar_at_fmr",
    "ece",
    "fnmr",
    "auc",
)
"""The figure that the summary tells: the first of these that the run has."""

CURVES = {
    "references_rank1": ("rank 1 against references", "references a person", "identified"),
    "references": ("accuracy against references a person", "references a person", "share right"),
    "rank": ("identified at rank", "rank", "share identified"),
    "cmc": ("identified at rank", "rank", "share identified"),
    "dir_at_fpir": ("identified against false positives", "FPIR", "share identified"),
    "distractors": ("identified among distractors", "distractors", "share right at rank 1"),
    "fpir": ("FPIR against the size of the gallery", "people in the gallery", "FPIR obtained"),
}
"""Curves that protocols are known to provide: title, and what the axes show."""


def write_report(
    result: Result, path: str | os.PathLike[str], *, sections: Sequence[Section] = ()
) -> None:
    """Write the page of a run, at once or not at all; a file that exists is replaced.

    Args:
        result: of a protocol.
        path: of the page; its folder must exist.
        sections: what else there is to show, after the parts of the result.

    Raises:
        MissingExtraError: matplotlib is missing.
        OptionError: the file cannot be written.
    """
    check_extra()
    own = report_sections(result)
    last = own.pop()
    write_atomically(path, page(heading(result), [*own, *sections, last]))


def heading(result: Result) -> str:
    """The page's first heading: what was done, and with what."""
    data = PurePath(result.data).name
    title = _capital(result.title)
    return title if not data or data in title else f"{title}: {data}"


def report_sections(result: Result) -> list[Section]:
    """Return the page's sections: summary, parts, published figures, and how it was made."""
    sections = [_summary(result)]
    for part in result.parts:
        sections += _part(part)
    published = result.published_rows()
    if published:
        ours = tuple(i for i, row in enumerate(published) if row[0].startswith("lineament"))
        key, _ = result.published_of or ("", "")
        titles = [part.title for part in result.parts if part.key == key]
        sources = sorted({row.source for row in result.published})
        table = Table(("model", "published", ""), published, numbers=(1,), marked=ours)
        where = f"{titles[0]}: what" if titles else "What"
        words = f"{where} others published beside this run. Sources: {'; '.join(sources)}."
        sections.append(Section("Published figures", (words,), (table,)))
    return [*sections, _making(result)]


def picture_of(figure: Figure, *, alt: str, caption: str = "") -> Picture:
    """Return a figure as a picture for a page; ``alt`` tells those who cannot see it."""
    return Picture(to_bytes(figure, "svg"), "image/svg+xml", alt, caption)


def tile_of(pair: PairShown, *, threshold: float | None = None, text: str | None = None) -> Tile:
    """Return a pair of photos as a tile; what cannot be read is a gray field saying so.

    Args:
        pair: paths, or pictures.
        threshold: what the score fell short of or reached; told.
        text: instead of score and threshold.
    """
    pictures = tuple(
        thumbnail(name if data is None else data, alt=f"the photo {short_name(name)}")
        for name, data in ((pair.a, pair.picture_a), (pair.b, pair.picture_b))
    )
    if text is None:
        if pair.score == NO_FACE_SCORE:
            text = "no face was found in one of them"
        else:
            text = f"similarity {pair.score:.3f}"
            text += "" if threshold is None else f", threshold {threshold:.3f}"
    return Tile(pictures, (short_name(pair.a), short_name(pair.b)), text)


def short_name(path: str) -> str:
    """The end of a path that says which photo it is."""
    parts = PurePath(path).parts
    if len(parts) < 2 or parts[-1].startswith(parts[-2]):
        return parts[-1] if parts else path
    return f"{parts[-2]}/{parts[-1]}"


# --- words ----------------------------------------------------------------------------------------


def _summary(result: Result) -> Section:
    contract = result.run.get("contract")
    weights = contract.get("weights") if isinstance(contract, Mapping) else None
    words = [
        f"{_capital(result.title)} (protocol {result.protocol}), read from {result.data}: "
        f"{counted(result.images, 'photo', 'photos')}, a face was found in "
        f"{result.faces_found:,}."
    ]
    if weights is not None:
        detector = result.run.get("detector")
        by = "" if detector is None else f", faces from the detector {detector}"
        preset = result.run.get("preset")
        by += "" if preset is None else f", preset {preset}"
        words.append(f"Recognizer: {weights}{by}.")
    words.append(_main_figure(result))
    missing = result.images - result.faces_found - result.errors
    if missing > 0:
        words.append(f"In {counted(missing, 'photo', 'photos')} no face was found.")
    if result.errors:
        words.append(f"{counted(result.errors, 'photo', 'photos')} could not be read.")
    words += [support for part in result.parts if (support := _support(part))]
    words += result.notes
    return Section("In short", tuple(word for word in words if word))


def _main_figure(result: Result) -> str:
    candidates = [(part, name) for name in MAIN_MEASURES for part in result.parts]
    if result.published_of is not None:
        key, name = result.published_of
        candidates = [(p, name) for p in result.parts if p.key == key] + candidates
    for part, name in candidates:
        value = part.measures.get(name)
        if value is None or name not in MEASURES:
            continue
        label, unit = MEASURES[name]
        if isinstance(value, Mapping):
            value = {key: each for key, each in value.items() if each is not None}
            if not value:
                continue
            key = _key_told(part, value)
            label, value = f"{label} {key}", value[key]
        told = in_words(value, unit)
        if name == "accuracy_mean":
            told = with_error(value, part.measures.get("accuracy_se"), named=True)
        return f"{_capital(part.title)}: {label} is {told}."
    return ""


def _key_told(part: Part, values: Mapping[str, Any]) -> str:
    """Of a map from rates, the lowest rate that the data supports; else the first."""
    keys = list(values)
    pairs = 0 if part.scores is None else sizes(part.scores)[1]
    supported = [key for key in keys if _number(key) * pairs >= LEAST_ERRORS]
    return min(supported, key=_number) if supported else keys[0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _support(part: Part) -> str:
    """What the number of pairs allows to say."""
    if part.scores is None:
        return ""
    genuine, impostor = sizes(part.scores)
    if not genuine or not impostor:
        missing = "genuine" if not genuine else "impostor"
        return (
            f"{_capital(part.title)}: there are no {missing} pairs, so there are no error curves."
        )
    words = (
        f"{_capital(part.title)}: {genuine:,} genuine and "
        f"{counted(impostor, 'impostor pair', 'impostor pairs')}. "
    )
    rate = LEAST_ERRORS / impostor
    if rate >= 0.1:
        return words + (
            "That is not enough to judge by: even a false match rate of 10% would rest on fewer "
            f"than {LEAST_ERRORS} errors."
        )
    return words + (
        f"False match rates below {percent(rate, 2)} rest on fewer than {LEAST_ERRORS} "
        f"errors and are uncertain (rule of {LEAST_ERRORS}); where none is seen, the rate may "
        f"still be {percent(3 / impostor, 2)} (rule of 3)."
    )


# --- parts ----------------------------------------------------------------------------------------


def _part(part: Part) -> list[Section]:
    rows = part.rows()
    tables = (Table(("measure", "value"), rows, numbers=(1,)),) if rows else ()
    sections = [Section(_capital(part.title), (), tables, tuple(_pictures(part)))]
    for same in (True, False):
        pairs = [pair for pair in part.worst if pair.same == same]
        for heading, words, shown in _judged(pairs, part):
            tiles = tuple(tile_of(pair, threshold=part.threshold) for pair in shown)
            sections.append(Section(heading, (words,), tiles=tiles, level=3))
    return sections


def _judged(
    pairs: Sequence[PairShown], part: Part
) -> Iterator[tuple[str, str, Sequence[PairShown]]]:
    """Heading, words and pairs: those that were judged wrongly, and right ones that were close."""
    if not pairs:
        return
    same, at = pairs[0].same, part.threshold
    kind = "one person" if same else "two people"
    if at is None or not math.isfinite(at):
        order = "least" if same else "most"
        yield (
            f"Hardest pairs: {kind}",
            f"The {order} alike pairs of {kind}, by {part.title}. No threshold decides.",
            pairs,
        )
        return
    wrong = [pair for pair in pairs if (pair.score >= at) != same]
    close = [pair for pair in pairs if (pair.score >= at) == same]
    counts = _errors(part, same, at)
    if wrong:
        judged = "two" if same else "one"
        yield (
            f"Worst errors: {kind}, judged to be {judged}",
            f"Pairs on the wrong side of the threshold, the farthest from it first, by "
            f"{part.title}.{_counts_in_words(counts, kind, len(wrong))}",
            wrong,
        )
    if close:
        yield (
            f"Closest calls: {kind}, judged rightly",
            f"Pairs on the right side of the threshold, the nearest to it first, by {part.title}."
            + ("" if wrong else _counts_in_words(counts, kind, 0)),
            close,
        )


def _errors(part: Part, same: bool, at: float) -> tuple[int, int, int] | None:
    """Of all pairs of one kind: how many, how many wrong, how many of these for want of a face.

    None where the scores are not known. A pair without a face is judged to be two people.
    """
    if part.scores is None or not all(sizes(part.scores)):
        return None
    n = sizes(part.scores)[0 if same else 1]
    wrong = round(rates_at(part.scores, at)[1 if same else 0] * n)
    faceless = int((part.scores.genuine == NO_FACE_SCORE).sum()) if same else 0
    return n, wrong, min(faceless, wrong)


def _counts_in_words(counts: tuple[int, int, int] | None, kind: str, shown: int) -> str:
    """How many pairs there are in all, so that those shown are not taken for all of them."""
    if counts is None:
        return ""
    n, wrong, faceless = counts
    if not wrong:
        return (
            f" None of {counted(n, 'pair', 'pairs')} of {kind} is on the wrong side."
            if n > 1
            else ""
        )
    words = f" {wrong:,} of {counted(n, 'pair', 'pairs')} of {kind} {_are(wrong)} on the wrong side"
    if faceless:
        words += f", {faceless:,} of them because no face was found"
    return f"{words}; {shown:,} {_are(shown)} shown." if 0 < shown < wrong else f"{words}."


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _pictures(part: Part) -> list[Picture]:
    pictures: list[Picture] = []
    scores, at = part.scores, part.threshold
    if at is not None and not math.isfinite(at):
        at = None
    title = _capital(part.title)
    if scores is not None and all(sizes(scores)):
        points = operating_points(scores)
        told = "; ".join(f"TAR {percent(1 - p.fnmr, 4)} at FMR {percent(p.wanted)}" for p in points)
        equal = percent(eer_point(det_points(scores, most=None)), 3)
        used = ""
        if at is not None:
            fmr, fnmr = rates_at(scores, at)
            used = f" At the threshold {at:.4g}: FMR {percent(fmr, 3)}, FNMR {percent(fnmr, 3)}."
        pictures += [
            picture_of(
                charts.roc(scores, title=f"{title}: ROC", threshold=at),
                alt=f"ROC curve of {part.title}. {told}.",
                caption="True accept rate against false match rate.",
            ),
            picture_of(
                charts.det(scores, title=f"{title}: DET", threshold=at),
                alt=f"DET curve of {part.title}. EER {equal}.{used}",
                caption=f"False non-match rate against false match rate; lower is better.{used}",
            ),
        ]
    if scores is not None and any(sizes(scores)):
        pictures.append(
            picture_of(
                charts.score_distribution(scores, title=f"{title}: scores", threshold=at),
                alt=f"Histograms of the similarities of genuine and impostor pairs, {part.title}.",
                caption="How alike genuine and impostor pairs are found; the number of pairs is on "
                "a logarithmic axis.",
            )
        )
    if "groups" in part.measures:
        return pictures + _of_groups(part)
    return pictures + _further(part)


def _of_groups(part: Part) -> list[Picture]:
    """The rates of each pair of groups, and of each group by itself (``protocols.groups``)."""
    groups = [str(name) for name in part.measures["groups"]]
    title = _capital(part.title)
    pictures: list[Picture] = []
    own: dict[str, list[float]] = {}
    intervals: dict[str, list[tuple[float, float]]] = {}
    few_own: dict[str, list[bool]] = {}
    for key in ("fmr", "fnmr"):
        rates = _between(part.curves.get(key, {}), groups)
        few = [
            [value > 0 for value in row]
            for row in _between(part.curves.get(f"{key}_too_few", {}), groups)
        ]
        low, high = (
            _between(part.curves.get(f"{key}_{end}", {}), groups) for end in ("low", "high")
        )
        places = range(len(groups))
        own[key.upper()] = [math.nan if few[i][i] else rates[i][i] for i in places]
        intervals[key.upper()] = [(low[i][i], high[i][i]) for i in places]
        few_own[key.upper()] = [few[i][i] for i in places]
        if key == "fmr":
            pictures.append(
                picture_of(
                    charts.group_matrix(groups, rates, too_few=few, title=f"{title}: FMR"),
                    alt=f"False match rate of each pair of groups, {part.title}.",
                    caption=_of_matrix(rates, few),
                )
            )
    if any(math.isfinite(value) for values in own.values() for value in values):
        figure = charts.group_rates(
            groups, own, intervals=intervals, too_few=few_own, title=f"{title}: rates"
        )
        pictures.append(
            picture_of(
                figure,
                alt=f"False match rate and false non-match rate of each group, {part.title}.",
                caption="Each group by itself, with 95 % intervals.",
            )
        )
    return pictures


def _of_matrix(rates: Sequence[Sequence[float]], few: Sequence[Sequence[bool]]) -> str:
    given = any(
        math.isfinite(rate) and not less
        for row, lacking in zip(rates, few, strict=True)
        for rate, less in zip(row, lacking, strict=True)
    )
    if not given:
        return "No pair of groups has enough pairs and people for a false match rate."
    hatched = "; hatched: too few pairs" if any(map(any, few)) else ""
    return f"False match rate of each pair of groups{hatched}."


def _between(curve: Mapping[str, float], groups: Sequence[str]) -> list[list[float]]:
    """{"A x B": value}, the upper triangle, as a full matrix; nan where there is nothing."""
    matrix = [[math.nan] * len(groups) for _ in groups]
    for i, a in enumerate(groups):
        for j, b in enumerate(groups):
            for key in (f"{a} x {b}", f"{b} x {a}"):
                if key in curve:
                    matrix[i][j] = float(curve[key])
    return matrix


def _further(part: Part) -> list[Picture]:
    """The part's other curves; those of one name before ":" in one picture."""
    pictures: list[Picture] = []
    title = _capital(part.title)
    bins = reliability_bins(part.curves)
    if bins:
        pictures.append(
            picture_of(
                charts.reliability(bins, title=f"{title}: reliability"),
                alt=f"Reliability diagram of {part.title}: "
                + "; ".join(f"predicted {b.predicted:.3g}, observed {b.observed:.3g}" for b in bins)
                + ".",
                caption="Of the pairs that were given a probability, how many do show one person; "
                "on the diagonal the probability is what it claims to be.",
            )
        )
    groups: dict[str, dict[str, Mapping[str, float]]] = {}
    for key, curve in part.curves.items():
        if key.partition("_")[0] != "reliability":
            base, name = _base(key)
            groups.setdefault(base, {})[name] = curve
    for base, curves in groups.items():
        said, xlabel, ylabel = CURVES.get(base, (_spaced(base), "", ""))
        try:
            figure = charts.lines(curves, title=f"{title}: {said}", xlabel=xlabel, ylabel=ylabel)
        except OptionError:  # no value in it that could be drawn
            continue
        told = "; ".join(
            (f"{name}: " if len(curves) > 1 else "")
            + ", ".join(f"{place}: {value:.4g}" for place, value in list(curve.items())[:12])
            for name, curve in curves.items()
        )
        pictures.append(picture_of(figure, alt=f"{title}: {said}. {told}."))
    return pictures


def _base(key: str) -> tuple[str, str]:
    """ "references: mean" and "references_mean" are lines of one picture: (picture, line)."""
    before, colon, after = key.partition(":")
    if colon:
        return before.strip(), after.strip()
    for base in sorted(CURVES, key=len, reverse=True):
        if key.startswith(f"{base}_"):
            return base, _spaced(key[len(base) + 1 :])
    return key, _spaced(key)


def _spaced(key: str) -> str:
    return key.replace("_", " ").strip()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- how it was made ------------------------------------------------------------------------------


def _making(result: Result) -> Section:
    contract = result.run.get("contract")
    tables = [
        Table(
            ("", ""),
            [
                (_spaced(key.removeprefix("n_")), _plain(value))
                for key, value in values.items()
                if value is not None
            ],
            caption=caption,
        )
        for caption, values in (
            ("Contract of the embeddings", contract if isinstance(contract, Mapping) else {}),
            ("The run", _flat(result.run)),
        )
        if values
    ]
    given = result.run.get("command")
    if given is None:
        words = "Run the same protocol on the same folder, with the same recognizer and detector:"
        command = shlex.join(["lineament", "eval", result.protocol, result.data])
    else:
        words = "The command that made this page:"
        command = given if isinstance(given, str) else shlex.join(map(str, given))
    made = (
        f"Written on {datetime.now(UTC):%Y-%m-%d} by lineament {lineament.__version__}, Python "
        f"{platform.python_version()} on {platform.system()} {platform.machine()}."
    )
    return Section("How this was made", (made, words), tuple(tables), code=(command,))


def _flat(run: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a table: all but the contract and the command, maps taken apart once."""
    flat: dict[str, Any] = {}
    for key, value in run.items():
        if key in ("contract", "command"):
            continue
        if isinstance(value, Mapping):
            flat |= {f"{key} {inner}": each for inner, each in value.items()}
        else:
            flat[key] = value
    return flat


_WORDS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "yes" if value else "no",
    int: lambda value: f"{value:,}",
    float: lambda value: f"{value:,.6g}" if math.isfinite(value) else str(value),
}


def _plain(value: Any) -> str:
    return _WORDS.get(type(value), str)(value)
