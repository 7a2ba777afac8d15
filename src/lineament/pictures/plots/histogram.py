"""How far a whole set lies from one person's mean vector, that person's own photos marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lineament.errors import OptionError
from lineament.explain.faces import Faces, typical
from lineament.pictures.charts.colors import BLUE, GRAY, INK, VERMILLION
from lineament.pictures.charts.text import percent
from lineament.pictures.plots._sheet import EDGE, SMALL_PT, TEXT_PT, Sheet, height_of, wrapped
from lineament.pictures.plots.captions import (
    sentence,
    threshold_numbers,
    threshold_words,
    value_of,
)
from lineament.pictures.plots.plot import Plot
from lineament.text import counted
from lineament.types import Float64Array, Image, IntArray, Threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PEOPLE = 12
SHOWN_PEOPLE = 6
BINS = 48
LEAST_OWN = 2
"""A mean without the photo that is compared needs another one."""

PANEL_IN = (4.6, 2.0)
FACE_IN = 0.62


def histogram(
    faces: Faces,
    *,
    people: Sequence[str] | None = None,
    threshold: Threshold | float | None = None,
    portraits: Mapping[str, Image] | None = None,
    title: str = "",
) -> Plot:
    """Draw cosine distances of all photos to a person's mean vector, a panel for each person.

    A person's own photo is compared with the mean of that person's others: it would be nearer
    to a mean that it is part of. The threshold is one for pairs of photos; means are less
    noisy, so own photos lie nearer to them than to each other.

    Args:
        faces: the whole set.
        people: names; None: those with most photos, ``SHOWN_PEOPLE`` at most.
        threshold: a similarity; drawn at the distance 1 − threshold, with the rates at it.
        portraits: faces to show beside names; None: from the crops, where there are some.
        title: what is shown.

    Returns:
        ``numbers``: "people", each with "name", "own" (distances of the person's photos, in
        the order of the set), "others" (how many), "edges" and "counts" of the others' histogram,
        "others_nearest" (distance), "fnmr", "fmr" (shares; None without threshold), "own_rejected",
        "others_accepted" (counts); "threshold", "notes".

    Raises:
        OptionError: nobody has two photos, or no such person, or too many people.
        MissingExtraError: matplotlib is missing.
    """
    chosen, notes = chosen_people(faces, people)
    cut = value_of(threshold)
    vectors = faces.vectors.astype(np.float64)
    found = [(person, *distances_to(vectors, faces.of(person))) for person in chosen]
    low = min(0.0, *(float(own.min()) for _, own, _ in found))
    high = max(1.05, *(float(d.max()) for _, own, others in found for d in (own, others) if d.size))
    edges = np.linspace(low, high, BINS + 1)
    panels = [_numbers(faces, each, edges, cut) for each in found]
    numbers = {
        "people": panels,
        "threshold": threshold_numbers(threshold),
        "notes": notes,
    }
    columns = 1 if len(found) == 1 else 2
    wide, high_in = PANEL_IN if columns == 2 else (7.2, 2.8)
    beside = 0.62
    words = [
        "Cosine distance of each photo to a person's mean vector; own photos to the mean "
        "of the person's others."
    ]
    if threshold is not None and cut is not None:
        words.append(f"Dashed: distance {1 - cut:.3f}, the {threshold_words(threshold)}.")
    width = 2 * EDGE + columns * (wide + beside) + (columns - 1) * 0.3
    sheet = Sheet(
        title or "How far everybody is from one person", width,
        subtitle=" ".join([*words, *map(sentence, notes)]),
    )  # fmt: skip
    _key(sheet, others=any(len(each[2]) for each in found))
    for start in range(0, len(found), columns):
        row = found[start : start + columns]
        heads = [_head(panels[start + k], wide + beside - FACE_IN - 0.12) for k in range(len(row))]
        tall = max(max(height_of(name, TEXT_PT + 1) + height_of(said, SMALL_PT) + 0.05, FACE_IN)
                   for name, said in heads)  # fmt: skip
        for k, (each, (name, said)) in enumerate(zip(row, heads, strict=True)):
            left = EDGE + k * (wide + beside + 0.3)
            _panel_head(sheet, _portrait(faces, each[0], portraits), left, name, said)
            axes = sheet.axes(left + beside, sheet.down + tall + 0.12, wide, high_in)
            _panel(axes, each[1], each[2], edges, cut)
        sheet.down += tall + 0.12 + high_in + 0.62
    sheet.down -= 0.1
    return Plot(sheet.finished(), numbers)


def distances_to(vectors: Float64Array, own: IntArray) -> tuple[Float64Array, Float64Array]:
    """Cosine distances of a person's photos to the mean of the others, and of all other rows.

    Args:
        vectors: (N, D) of length 1.
        own: rows of the person, two at least.

    Returns:
        (len(own),) and (N - len(own),) float64, 0 to 2; a mean of length 0 is at distance 1.
    """
    total = vectors[own].sum(axis=0)
    means = total - vectors[own]
    lengths = np.linalg.norm(means, axis=1)
    inner = 1 - (vectors[own] * means).sum(axis=1) / np.where(lengths > 1e-12, lengths, np.inf)
    rest = np.ones(len(vectors), bool)
    rest[own] = False
    length = float(np.linalg.norm(total))
    outer = 1 - vectors[rest] @ total / (length if length > 1e-12 else np.inf)
    return np.clip(inner, 0, 2), np.clip(outer, 0, 2)


_Found = tuple[int, Float64Array, Float64Array]


def chosen_people(faces: Faces, people: Sequence[str] | None) -> tuple[list[int], list[str]]:
    """Places of the people that ``histogram`` draws, and notes; raises OptionError as it does."""
    notes = list(faces.notes)
    counts = faces.counts
    if people is None:
        order = np.argsort(-counts, kind="stable")
        several = [int(k) for k in order if counts[k] >= LEAST_OWN]
        if not several or not faces.named:
            raise OptionError(
                "a histogram needs a person with at least 2 photos, found nobody; name a "
                "folder with a folder of photos a person"
            )
        if len(several) > SHOWN_PEOPLE:
            notes.append(f"the {SHOWN_PEOPLE} people with most photos of {len(several):,}")
        return several[:SHOWN_PEOPLE], notes
    if not 1 <= len(people) <= MOST_PEOPLE:
        raise OptionError(f"expected 1 to {MOST_PEOPLE} names, got {len(people)}", option="people")
    places = {name: k for k, name in enumerate(faces.names)}
    chosen: list[int] = []
    for name in dict.fromkeys(people):
        if name not in places:
            raise OptionError(
                f"nobody is called {name!r}; expected one of "
                f"{', '.join(faces.names[:8])}{' ...' if len(faces.names) > 8 else ''}",
                option="people",
            )
        if counts[places[name]] < LEAST_OWN:
            raise OptionError(f"{name} has one photo, and 2 are needed", option="people")
        chosen.append(places[name])
    return chosen, notes


def _numbers(faces: Faces, found: _Found, edges: Float64Array, cut: float | None) -> dict[str, Any]:
    person, own, others = found
    # A similarity at the threshold is a match; in distances the same rounding must decide.
    rejected = None if cut is None else int((1 - own < cut).sum())
    accepted = None if cut is None else int((1 - others >= cut).sum())
    return {
        "name": faces.names[person],
        "own": np.round(own, 6).tolist(),
        "others": len(others),
        "edges": np.round(edges, 6).tolist(),
        "counts": np.histogram(others, edges)[0].tolist(),
        "others_nearest": float(others.min()) if others.size else None,
        "own_rejected": rejected,
        "others_accepted": accepted,
        "fnmr": None if rejected is None else rejected / len(own),
        "fmr": accepted / len(others) if accepted is not None and others.size else None,
    }


def _head(numbers: dict[str, Any], width: float) -> tuple[list[str], list[str]]:
    own, others = len(numbers["own"]), numbers["others"]
    name = wrapped(numbers["name"], width, TEXT_PT + 1, bold=True, most=2)
    if numbers["own_rejected"] is None:
        said = counted(own, "own photo", "own photos")
        if others:
            said += f", {others:,} of others; the nearest other at {numbers['others_nearest']:.3f}"
        else:
            said += ", none of others"
    else:
        rejected, fnmr = numbers["own_rejected"], percent(numbers["fnmr"], 2)
        said = f"{rejected:,} of {own:,} own rejected (FNMR {fnmr})"
        if others:
            said += (
                f", {numbers['others_accepted']:,} of {others:,} others accepted (FMR "
                f"{percent(numbers['fmr'], 2)})"
            )
        else:
            said += ", no photos of others"
    return name, wrapped(said, width, SMALL_PT)


def _portrait(faces: Faces, person: int, portraits: Mapping[str, Image] | None) -> Image | None:
    if portraits is not None:
        return portraits.get(faces.names[person])
    return None if faces.crops is None else faces.crops[typical(faces, person)]


def _panel_head(
    sheet: Sheet, portrait: Image | None, left: float, name: list[str], said: list[str]
) -> None:
    if portrait is not None:
        sheet.picture(portrait, left, sheet.down, FACE_IN)
        left += FACE_IN + 0.12
    wide = PANEL_IN[0] * 2
    used = sheet.text(left, sheet.down, wide, "\n".join(name), TEXT_PT + 1, bold=True)
    sheet.text(left, sheet.down + used + 0.03, wide, "\n".join(said), SMALL_PT, color=GRAY)


def _panel(
    axes: Axes, own: Float64Array, others: Float64Array, edges: Float64Array, cut: float | None
) -> None:
    highest = 1.0
    for values, color, dash, hatch in ((others, GRAY, "-", None), (own, BLUE, "-", "////")):
        counts = np.histogram(values, edges)[0]
        highest = max(highest, float(counts.max()))
        axes.stairs(
            np.maximum(counts, 0.5), edges, baseline=0.5, fill=True, color=color, alpha=0.28,
            linewidth=0,
        )  # fmt: skip
        shown = np.where(counts > 0, counts, 0.5)
        axes.stairs(
            shown, edges, baseline=0.5, color=color, linewidth=1.3, linestyle=dash, hatch=hatch
        )
    axes.plot(
        own, np.full(len(own), 0.62), marker="|", linestyle="none", color=BLUE, markersize=8,
        markeredgewidth=1.4,
    )  # fmt: skip
    if cut is not None:
        axes.axvline(1 - cut, color=VERMILLION, linewidth=1.8, linestyle=(0, (5, 2)))
    axes.set_yscale("log")
    axes.set_ylim(0.5, highest * 1.7)
    first, last = float(edges[0]), float(edges[-1])
    margin = 0.02 * (last - first)  # the outline of the last bar stays whole
    axes.set_xlim(first - margin, last + margin)
    tops = 10 ** np.arange(0, math.ceil(math.log10(highest * 1.7)))
    from matplotlib.ticker import NullLocator

    axes.set_yticks(tops, [f"{int(top):,}" for top in tops])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("photos (log scale)")
    axes.set_xlabel("cosine distance")


def _key(sheet: Sheet, *, others: bool) -> None:
    left, top = EDGE, sheet.down
    kinds = ((BLUE, "the person's own photos"), (GRAY, "photos of others"))
    for color, words in kinds if others else kinds[:1]:
        patch = sheet.axes(left, top + 0.01, 0.24, 0.14)
        patch.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        patch.grid(False)
        patch.set_facecolor(color + "55")
        if color == BLUE:
            patch.fill_between([0, 1], 0, 1, facecolor="none", edgecolor=BLUE, hatch="////",
                               linewidth=0)  # fmt: skip
        for spine in patch.spines.values():
            spine.set(visible=True, color=color, linewidth=1.2)
        sheet.text(left + 0.32, top, 3, words, SMALL_PT, color=INK)
        left += 2.7
    sheet.down += 0.36
