"""How alike people are: the similarity of their mean vectors, and who could unlock whose phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lineament.errors import OptionError
from lineament.explain.faces import Faces, typical
from lineament.pictures.charts.colors import GRAY, INK, LIGHT
from lineament.pictures.plots._ordering import leaf_order
from lineament.pictures.plots._sheet import EDGE, SMALL_PT, TEXT_PT, Sheet, wrapped
from lineament.pictures.plots.captions import (
    put,
    sentence,
    threshold_numbers,
    threshold_words,
    value_of,
)
from lineament.pictures.plots.grid import LOWEST, colors_around, draw_bar, short
from lineament.pictures.plots.plot import Plot
from lineament.text import counted
from lineament.types import Float64Array, Image, IntArray, Threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED = 60
"""More people are not shown: of them, those in the closest pairs are."""

LISTED = 10
"""So many pairs stand beside the picture; "closest" in the numbers has ``MOST_CLOSEST``."""

MOST_CLOSEST = 50

_BLOCK = 1024


class Close(NamedTuple):
    """Two people whose means are alike.

    Attributes:
        a, b: places in ``names``.
        similarity: of the mean vectors.
    """

    a: int
    b: int
    similarity: float


def correlation(
    faces: Faces,
    *,
    threshold: Threshold | float | None = None,
    ladder: Sequence[Threshold] = (),
    portraits: Mapping[str, Image] | None = None,
    title: str = "",
    most: int = MOST_NAMED,
) -> Plot:
    """Draw the similarity of people's mean vectors as a clustered heat map; list the closest pairs.

    A phone is taken to know its owner by the mean vector of the owner's photos, and somebody
    holds it before a face: with any photo at or above the threshold it opens.

    Args:
        faces: of at least two people.
        threshold: what opens a phone.
        ladder: thresholds for other false match rates: the strictest one that a pair's best
            photo passes is told.
        portraits: faces to show in the list; None: from the crops, where there are some.
        title: what is shown.
        most: more people are not drawn: only those in the closest pairs, of all that there are.

    Returns:
        ``numbers``: "people" and "similarity" (P, P) as shown; "closest": pairs of all people,
        closest first, each with "a", "b", "similarity" (of the means), "best" (the highest of any
        photo of the one to the mean of the other), "opens" ("n_photos_of_a"
        of "n_of_a" open b's phone, and the reverse; None without threshold), "strictest_fmr" (of
        the ladder, None when none is passed); "n_pairs_above_threshold" (of means, of all people);
        "threshold"; "notes".

    Raises:
        OptionError: fewer than two people.
        MissingExtraError: matplotlib or SciPy is missing.
    """
    if len(faces.names) < 2:
        raise OptionError(
            f"a correlation needs at least 2 people, got {len(faces.names)}; name the folder whose "
            "folders are the people"
        )
    if not 2 <= most <= MOST_NAMED:
        raise OptionError(f"expected 2 to {MOST_NAMED} people, got {most}", option="most")
    cut = value_of(threshold)
    notes = list(faces.notes)
    means = faces.means().astype(np.float64)
    pairs, above = closest(means, most=max(MOST_CLOSEST, most * 2), threshold=cut)
    shown = _shown(pairs, len(faces.names), most)
    if len(shown) < len(faces.names):
        notes.append(
            f"{len(shown)} of {len(faces.names):,} people are drawn, those in the closest pairs"
        )
    similarity = np.clip(means[shown] @ means[shown].T, -1, 1)
    order = leaf_order(similarity)
    shown, similarity = shown[order], similarity[np.ix_(order, order)]
    listed = [_told(faces, means, pair, cut, ladder) for pair in pairs[:MOST_CLOSEST]]
    numbers = {
        "people": [faces.names[k] for k in shown],
        "similarity": np.round(similarity, 6).tolist(),
        "closest": listed,
        "n_pairs_above_threshold": above,
        "threshold": threshold_numbers(threshold),
        "notes": notes,
    }
    return Plot(_draw(faces, shown, similarity, numbers, threshold, portraits, title), numbers)


def closest(
    means: Float64Array, *, most: int, threshold: float | None = None
) -> tuple[list[Close], int | None]:
    """The pairs of rows with the highest cosines, highest first, without a table of all of them.

    Args:
        means: (P, D) of length 1.
        most: at most so many pairs.
        threshold: to count by.

    Returns:
        The pairs, a < b; and how many pairs reach the threshold, of all.
    """
    narrow = means.astype(np.float32)
    p = len(narrow)
    columns = np.arange(p)
    rows_a, rows_b = np.zeros(0, np.int64), np.zeros(0, np.int64)
    scores = np.zeros(0, np.float32)
    above = 0
    for start in range(0, p, _BLOCK):
        block = narrow[start : start + _BLOCK] @ narrow.T
        upper = columns[None, :] > (start + np.arange(len(block)))[:, None]
        if threshold is not None:
            above += int(((block >= threshold) & upper).sum())
        block[~upper] = -np.inf
        flat = block.ravel()
        take = min(most, flat.size)
        places = np.argpartition(-flat, take - 1)[:take]
        places = places[np.isfinite(flat[places])]
        rows_a = np.append(rows_a, start + places // p)
        rows_b = np.append(rows_b, places % p)
        scores = np.append(scores, flat[places])
        best = np.lexsort((rows_b, rows_a, -scores))[:most]
        rows_a, rows_b, scores = rows_a[best], rows_b[best], scores[best]
    pairs = [
        Close(a, b, float(means[a] @ means[b]))
        for a, b in zip(rows_a.tolist(), rows_b.tolist(), strict=True)
    ]
    pairs.sort(key=lambda pair: (-pair.similarity, pair.a, pair.b))
    return pairs, None if threshold is None else above


def _shown(pairs: Sequence[Close], people: int, most: int) -> IntArray:
    if people <= most:
        return np.arange(people, dtype=np.int64)
    taken: dict[int, None] = {}
    for pair in pairs:
        if len(taken.keys() | {pair.a, pair.b}) > most:
            continue
        taken.setdefault(pair.a)
        taken.setdefault(pair.b)
    return np.array(sorted(taken), np.int64)


def _told(
    faces: Faces, means: Float64Array, pair: Close, cut: float | None, ladder: Sequence[Threshold]
) -> dict[str, Any]:
    scores = [
        faces.vectors[faces.of(who)].astype(np.float64) @ means[phone]
        for who, phone in ((pair.a, pair.b), (pair.b, pair.a))
    ]
    best = min(1.0, max(float(each.max()) for each in scores))
    passed = [step.fmr for step in ladder if step.fmr is not None and best >= step.value]
    return {
        "a": faces.names[pair.a],
        "b": faces.names[pair.b],
        "similarity": min(pair.similarity, 1.0),
        "best": best,
        "opens": None
        if cut is None
        else {
            "n_photos_of_a": int((scores[0] >= cut).sum()),
            "n_of_a": len(scores[0]),
            "n_photos_of_b": int((scores[1] >= cut).sum()),
            "n_of_b": len(scores[1]),
        },
        "strictest_fmr": min(passed) if passed else None,
    }


def _said(pair: dict[str, Any]) -> str:
    opens, parts = pair["opens"], []
    if opens is not None:
        if opens["n_photos_of_a"] or opens["n_photos_of_b"]:
            parts.append(
                f"opens with {opens['n_photos_of_a']} of {opens['n_of_a']} of A, "
                f"{opens['n_photos_of_b']} of {opens['n_of_b']} of B"
            )
        else:
            n = opens["n_of_a"] + opens["n_of_b"]
            parts.append(f"opens with none of {counted(n, 'photo', 'photos')}")
    if pair["strictest_fmr"] is not None:
        parts.append(f"best {pair['best']:.3f}: FMR {pair['strictest_fmr']:g}")
    else:
        parts.append(f"best {pair['best']:.3f}")
    return "; ".join(parts)


def _draw(
    faces: Faces,
    shown: IntArray,
    similarity: Float64Array,
    numbers: dict[str, Any],
    threshold: Threshold | float | None,
    portraits: Mapping[str, Image] | None,
    title: str,
) -> Any:
    n = len(shown)
    cell = float(np.clip(8.5 / n, 0.185, 0.62))
    names_in, list_in = 1.55, 4.3
    left = EDGE + names_in
    bar = left + n * cell + 0.18
    right = bar + 0.85
    words = ["Cosine similarity of mean vectors, alike people side by side."]
    if threshold is not None:
        words.append(
            f"Orange: at or above the {threshold_words(threshold)}; "
            f"{numbers['n_pairs_above_threshold']:,} of "
            f"{counted(len(faces.names) * (len(faces.names) - 1) // 2, 'pair', 'pairs')}."
        )
    sheet = Sheet(
        title or f"How alike {len(faces.names):,} people are", right + list_in + EDGE,
        subtitle=" ".join([*words, *map(sentence, numbers["notes"])]),
    )  # fmt: skip
    top = sheet.down + names_in
    axes = sheet.axes(left, top, n * cell, n * cell)
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    cut = value_of(threshold)
    colors, norm = colors_around(cut)
    _cells(axes, similarity, cell, colors, norm, cut)
    for k, person in enumerate(shown):
        name = faces.names[int(person)]
        size = min(SMALL_PT, cell * 72 * 0.62)
        lines = max(1, int(cell * 72 / (SMALL_PT * 1.3)))
        fit = wrapped(name, names_in - 0.12, size, most=min(2, lines))
        put(axes, -0.07 / cell, k + 0.5, "\n".join(fit), ha="right", va="center", size_pt=size)
        put(axes, k + 0.5, -0.07 / cell, "\n".join(fit), ha="center", va="bottom", size_pt=size,
            rotation=90)  # fmt: skip
    axes.set(xlim=(0, n), ylim=(n, 0))
    draw_bar(sheet, bar, top, float(np.clip(n * cell, 1.2, 3.4)), cut)
    down = _list(
        sheet, right, sheet.down, list_in, _faces_of(faces, numbers, portraits), numbers, cut
    )
    sheet.down = max(top + n * cell + 0.05, down)
    return sheet.finished()


def _cells(
    axes: Axes, similarity: Float64Array, cell: float, colors: Any, norm: Any, cut: float | None
) -> None:
    from matplotlib.patches import Rectangle

    n = len(similarity)
    edges = np.arange(n + 1)
    axes.pcolormesh(edges, edges, np.clip(similarity, LOWEST, 1), cmap=colors, norm=norm,
                    edgecolors="white", linewidth=0.5)  # fmt: skip
    for i in range(n):
        axes.add_patch(Rectangle((i, i), 1, 1, facecolor=LIGHT, edgecolor="white", linewidth=0.5))
    size = min(10.0, cell * 72 * 0.36)
    for i, j in np.ndindex(n, n):
        if i == j:
            if size >= 5.5:
                axes.text(j + 0.5, i + 0.52, "1", ha="center", va="center", fontsize=size,
                          color=INK)  # fmt: skip
            continue
        value = float(similarity[i, j])
        match = cut is not None and value >= cut
        if size >= 5.5:
            shade = np.dot(colors(norm(np.clip(value, LOWEST, 1)))[:3], (0.299, 0.587, 0.114))
            axes.text(
                j + 0.5, i + 0.52, short(value), ha="center", va="center", fontsize=size,
                color="white" if shade < 0.55 else INK, fontweight="bold" if match else "normal",
            )  # fmt: skip
        elif match:  # so that it is seen without color, too
            axes.add_patch(Rectangle((j + 0.1, i + 0.1), 0.8, 0.8, fill=False, edgecolor=INK,
                                     linewidth=0.8))  # fmt: skip


def _faces_of(
    faces: Faces, numbers: dict[str, Any], portraits: Mapping[str, Image] | None
) -> Mapping[str, Image]:
    if portraits is not None:
        return portraits
    if faces.crops is None:
        return {}
    wanted = {pair[end] for pair in numbers["closest"][:LISTED] for end in "ab"}
    places = {name: k for k, name in enumerate(faces.names)}
    return {name: faces.crops[typical(faces, places[name])] for name in wanted}


def listed_people(faces: Faces) -> list[int]:
    """The people of the closest pairs, as they are listed: of whom ``portraits`` are wanted."""
    pairs, _ = closest(faces.means().astype(np.float64), most=LISTED)
    return list(dict.fromkeys(end for pair in pairs for end in (pair.a, pair.b)))


def list_in_words(numbers: dict[str, Any], cut: float | None) -> tuple[str, str]:
    """Heading of the list, and what stands in it."""
    listed = numbers["closest"]
    which = "The closest pairs" if len(listed) > LISTED else "All pairs"
    if len(listed) == 1:
        which = "The one pair there is"
    said = f"{which}, by the similarity of their means: A before the phone of B or the reverse. "
    said += "A phone knows the mean of its owner's photos. Best: any photo before the other's phone"
    if any(pair["strictest_fmr"] is not None for pair in listed[:LISTED]):
        said += ", with the strictest false match rate at which it passes, where it passes one"
    if cut is None:
        return "Who is most like whom", f"{said}."
    opened = any(
        pair["opens"]["n_photos_of_a"] or pair["opens"]["n_photos_of_b"] for pair in listed[:LISTED]
    )
    heading = "Who could unlock whose phone"
    if not opened:
        heading = f"{which}: nobody unlocks the other's phone"
    return heading, f"{said}."


def _list(
    sheet: Sheet,
    left: float,
    top: float,
    width: float,
    portraits: Mapping[str, Image],
    numbers: dict[str, Any],
    cut: float | None,
) -> float:
    """The closest pairs in words, with a face of each; returns where it ends."""
    heading, explained = list_in_words(numbers, cut)
    top += sheet.text(left, top, width, heading, TEXT_PT + 1, bold=True)
    top += sheet.text(left, top + 0.03, width, explained, SMALL_PT, color=GRAY) + 0.13
    face = 0.46
    for pair in numbers["closest"][:LISTED]:
        at = left
        for name in (pair["a"], pair["b"]):
            if name in portraits:
                sheet.picture(portraits[name], at, top, face)
                at += face + 0.05
        at += 0.07 if at > left else 0
        room = left + width - at
        used = sheet.text(
            at, top, room, f"{pair['similarity']:.3f}  {pair['a']} and {pair['b']}", SMALL_PT + 0.5,
            bold=cut is not None and pair["similarity"] >= cut, most=2,
        )  # fmt: skip
        used += sheet.text(at, top + used, room, _said(pair),
                           SMALL_PT - 0.5, color=GRAY, most=2)  # fmt: skip
        top += max(used, face if at > left else 0) + 0.1
    return top
