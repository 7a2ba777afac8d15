"""The similarity of every pair of photos, with the faces along both sides."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lineament.errors import OptionError
from lineament.explain.faces import Faces
from lineament.pictures.charts.colors import BLUE, GRAY, INK, LIGHT, SKY, VERMILLION
from lineament.pictures.plots._ordering import in_blocks, leaf_order
from lineament.pictures.plots._sheet import EDGE, SMALL_PT, TEXT_PT, Sheet, height_of, wrapped
from lineament.pictures.plots.captions import (
    put,
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

MOST_NUMBERED = 60
"""Of more photos, cells have no numbers: nobody could read them."""

MOST_SHOWN = 150
"""More are sampled: faces would be smaller than a fingernail."""

NAMES_IN = 1.25
"""Room for names beside the faces, in inches."""

LOWEST = -0.2
"""Where the colors begin: similarities of faces are hardly ever less."""

CENTER = 0.5
"""The middle of the colors where there is no threshold."""


def grid(
    faces: Faces,
    *,
    threshold: Threshold | float | None = None,
    title: str = "",
    most: int = MOST_NUMBERED,
    seed: int = 0,
) -> Plot:
    """Draw the cosine similarity of every pair of photos.

    People stand together, and those that are alike beside each other; so do the photos of a
    person. Colors change at the threshold. A cell that the threshold decides otherwise than the
    names do is framed.

    Args:
        faces: with crops; without them no faces stand along the sides.
        threshold: what the colors and the frames go by.
        title: what is shown.
        most: more photos are sampled, at most ``MOST_SHOWN``; with more than
            ``MOST_NUMBERED`` cells have no numbers.
        seed: of the sample.

    Returns:
        ``numbers``: "photos", "people" (of each photo) and "similarity" (N, N) in the
        order shown; "threshold"; "n_genuine_pairs", "n_impostor_pairs", "n_false_non_matches",
        "n_false_matches" (None without names or threshold); "notes".

    Raises:
        OptionError: fewer than two photos, or ``most`` makes no sense.
        MissingExtraError: matplotlib or SciPy is missing.
    """
    if not 2 <= most <= MOST_SHOWN:
        raise OptionError(f"expected 2 to {MOST_SHOWN} photos, got {most}", option="most")
    if len(faces) < 2:
        raise OptionError(f"a grid needs at least 2 photos with a face, got {len(faces)}")
    cut = value_of(threshold)
    faces = faces.sample(most, seed=seed)
    vectors = faces.vectors.astype(np.float64)
    rows = in_blocks(faces) if faces.named else leaf_order(vectors @ vectors.T)
    person, vectors = faces.person[rows], vectors[rows]
    similarity = np.clip(vectors @ vectors.T, -1, 1)
    numbered = len(faces) <= MOST_NUMBERED
    notes = list(faces.notes)
    if not numbered:
        notes.append(f"no numbers in the cells of more than {MOST_NUMBERED} photos")
    numbers = _numbers(faces, rows, similarity, threshold)
    numbers["notes"] = notes

    n = len(faces)
    cell = float(np.clip(10 / n, 0.25 if numbered else 0.16, 0.85))
    left = EDGE + NAMES_IN + cell
    width = max(7.0, left + n * cell + 1.15)
    sheet = Sheet(
        title or f"Similarity of every pair of {n} photos",
        width,
        subtitle=_said(numbers, threshold, notes, named=faces.named),
    )
    blocks = _blocks(person)
    top = sheet.down + _heads_in(faces, blocks, cell) + cell
    axes = sheet.axes(left, top, n * cell, n * cell)
    axes.grid(False)
    axes.set(xticks=[], yticks=[], xlim=(0, n), ylim=(n, 0))
    for spine in axes.spines.values():
        spine.set_visible(False)
    _cells(axes, similarity, person, cut, cell if numbered else None, named=faces.named)
    _sides(axes, faces, rows, cell)
    _names(axes, faces, blocks, cell)
    draw_bar(sheet, left + n * cell + 0.2, top, min(n * cell, 3.6), cut)
    sheet.down = top + n * cell + 0.1
    return Plot(sheet.finished(), numbers)


def _numbers(
    faces: Faces, rows: IntArray, similarity: Float64Array, threshold: Threshold | float | None
) -> dict[str, Any]:
    person = faces.person[rows]
    cut = value_of(threshold)
    above_diagonal = np.triu(np.ones(similarity.shape, bool), 1)
    same = (person[:, None] == person[None, :]) & above_diagonal
    other = ~same & above_diagonal
    known = faces.named
    above = None if cut is None else similarity >= cut
    missed = None if above is None or not known else int((same & ~above).sum())
    mistaken = None if above is None or not known else int((other & above).sum())
    return {
        "photos": [faces.relative[row] for row in rows],
        "people": [faces.name(row) for row in rows],
        "similarity": [[round(value, 6) for value in row] for row in similarity.tolist()],
        "threshold": threshold_numbers(threshold),
        "n_genuine_pairs": int(same.sum()) if known else None,
        "n_impostor_pairs": int(other.sum()) if known else None,
        "n_false_non_matches": missed,
        "n_false_matches": mistaken,
        "n_pairs_above_threshold": None if above is None else int((above_diagonal & above).sum()),
    }


def _said(
    numbers: dict[str, Any], threshold: Threshold | float | None, notes: list[str], *, named: bool
) -> str:
    parts = ["Cosine similarity, 1 at most."]
    if threshold is not None:
        words = threshold_words(threshold)
        bold = " and bold" if len(numbers["photos"]) <= MOST_NUMBERED else ""
        parts.append(f"Orange{bold}: at or above the {words}.")
        parts.append(_decided(numbers, named=named))
    return " ".join([*parts, *map(sentence, notes)])


def _decided(numbers: dict[str, Any], *, named: bool) -> str:
    """How many pairs reach the threshold, or are decided otherwise than the names say."""
    genuine, impostor = numbers["n_genuine_pairs"], numbers["n_impostor_pairs"]
    if not named:
        n = len(numbers["photos"])
        above, pairs = numbers["n_pairs_above_threshold"], n * (n - 1) // 2
        verb = "is" if above == 1 else "are"
        return f"{above:,} of {counted(pairs, 'pair', 'pairs')} {verb}."
    kinds = [
        f"{wrong:,} of {counted(pairs, 'pair', 'pairs')} of {who}"
        for wrong, pairs, who in (
            (numbers["n_false_non_matches"], genuine, "one person"),
            (numbers["n_false_matches"], impostor, "two people"),
        )
        if pairs
    ]
    wrong = numbers["n_false_non_matches"] + numbers["n_false_matches"]
    lead = "Framed: d" if wrong else "D"
    missing = (
        ""
        if genuine and impostor
        else (
            " There are no two photos of one person."
            if not genuine
            else " There is one person only."
        )
    )
    return f"{lead}ecided otherwise than the names say: {' and '.join(kinds)}.{missing}"


def _blocks(person: IntArray) -> list[tuple[int, int, int]]:
    """(person, first, end) of photos that stand together."""
    starts = [0, *(np.flatnonzero(np.diff(person)) + 1).tolist(), len(person)]
    return [(int(person[a]), a, b) for a, b in pairwise(starts)]


def colors_around(cut: float | None) -> tuple[Any, Any]:
    """Colors from blue to orange that change at the threshold, and how values come to them."""
    from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm

    center = CENTER if cut is None else min(max(cut, LOWEST + 0.01), 0.99)
    below, above = ["#0b4f79", BLUE, SKY, "#f6f8fa"], ["#fbe9dc", "#f0ad7e", VERMILLION, "#8c3d00"]
    # No step in lightness hides the threshold: the color itself changes there.
    colors = LinearSegmentedColormap.from_list(
        "around the threshold",
        [*zip(np.linspace(0, 0.4999, 4), below, strict=True),
         *zip(np.linspace(0.5, 1, 4), above, strict=True)],
    )  # fmt: skip
    return colors, TwoSlopeNorm(vmin=LOWEST, vcenter=center, vmax=1)


def _cells(
    axes: Axes,
    similarity: Float64Array,
    person: IntArray,
    cut: float | None,
    cell: float | None,
    *,
    named: bool,
) -> None:
    from matplotlib.patches import Rectangle

    n = len(similarity)
    colors, norm = colors_around(cut)
    edges = np.arange(n + 1)
    axes.pcolormesh(
        edges, edges, np.clip(similarity, LOWEST, 1), cmap=colors, norm=norm,
        edgecolors="white", linewidth=0.6 if n <= MOST_NUMBERED else 0.1,
    )  # fmt: skip
    for i in range(n):
        axes.add_patch(Rectangle((i, i), 1, 1, facecolor=LIGHT, edgecolor="white", linewidth=0.6))
    for i, j in np.ndindex(n, n):
        value = float(similarity[i, j])
        match = cut is not None and value >= cut
        if cell is not None:
            shade = colors(norm(np.clip(value, LOWEST, 1)))[:3] if i != j else (0.87,) * 3
            dark = np.dot(shade, (0.299, 0.587, 0.114)) < 0.55
            axes.text(
                j + 0.5, i + 0.52, short(value), ha="center", va="center",
                fontsize=min(11.0, cell * 72 * 0.36), color="white" if dark else INK,
                fontweight="bold" if match and i != j else "normal",
            )  # fmt: skip
        if named and cut is not None and i != j and match != bool(person[i] == person[j]):
            axes.add_patch(
                Rectangle((j + 0.06, i + 0.06), 0.88, 0.88, fill=False, edgecolor=INK,
                          linewidth=1.8 if cell is not None else 1.0)
            )  # fmt: skip


def short(similarity: float) -> str:
    """ ".42", "1", "−.05": two digits and no more than is needed."""
    text = f"{abs(similarity):.2f}"
    if text == "1.00":
        text = "1"
    sign = "−" if similarity <= -0.005 else ""
    return sign + text.removeprefix("0")


def _sides(axes: Axes, faces: Faces, rows: IntArray, cell: float) -> None:
    """The faces, in strips: one picture each is faster than one for each face."""
    if faces.crops is None:
        return
    n = len(rows)
    row, column = strip(faces.crops[rows], down=False), strip(faces.crops[rows], down=True)
    for picture, extent in ((row, (0, n, 0, -1)), (column, (-1, 0, n, 0))):
        shown = axes.imshow(
            picture, extent=extent, interpolation="bilinear", clip_on=False, aspect="auto",
            zorder=3,
        )  # fmt: skip
        shown.set_clip_path(None)
    axes.set(xlim=(0, n), ylim=(n, 0))


def strip(crops: Image, *, down: bool) -> Image:
    """Faces one beside or below the other, with a thin white gap."""
    gap = max(2, crops.shape[1] // 22)
    pad = ((0, 0), (gap // 2, gap - gap // 2), (gap // 2, gap - gap // 2), (0, 0))
    framed = np.pad(crops, pad, constant_values=255)
    return np.concatenate(list(framed), axis=0 if down else 1)


def _head(name: str, columns: int, cell: float) -> tuple[list[str], bool]:
    """Lines of a person's name above the faces, and whether they stand upright."""
    wide = columns * cell - 0.06
    if wide > 0.7:
        return wrapped(name, wide, SMALL_PT, most=3), True
    fit = max(1, int(columns * cell / (SMALL_PT * 1.25 / 72)))
    return wrapped(name, NAMES_IN, SMALL_PT, most=min(2, fit)), False


def _heads_in(faces: Faces, blocks: list[tuple[int, int, int]], cell: float) -> float:
    heads = [_head(faces.names[person], b - a, cell) for person, a, b in blocks]
    if all(upright for _, upright in heads):
        return max(height_of(lines, SMALL_PT) for lines, _ in heads) + 0.12
    return NAMES_IN + 0.12


def _names(axes: Axes, faces: Faces, blocks: list[tuple[int, int, int]], cell: float) -> None:
    away = 1 + 0.09 / cell
    heads = [_head(faces.names[person], b - a, cell) for person, a, b in blocks]
    upright = all(up for _, up in heads)
    for (person, a, b), (lines, _) in zip(blocks, heads, strict=True):
        name, middle = faces.names[person], (a + b) / 2
        beside = wrapped(
            name, NAMES_IN - 0.12, SMALL_PT, most=max(1, int((b - a) * cell * 72 / SMALL_PT / 1.32))
        )
        put(axes, -away, middle, "\n".join(beside), ha="right", va="center", size_pt=SMALL_PT)
        if not upright:
            fit = max(1, int((b - a) * cell / (SMALL_PT * 1.25 / 72)))
            lines = wrapped(name, NAMES_IN, SMALL_PT, most=min(2, fit))
        put(
            axes, middle, -away, "\n".join(lines), ha="center", va="bottom", size_pt=SMALL_PT,
            rotation=0 if upright else 90,
        )  # fmt: skip
        if faces.named:
            frame(axes, a, b)


def frame(axes: Axes, a: float, b: float) -> None:
    """Round one person's own pairs, and lines along the faces."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((a, a), b - a, b - a, fill=False, edgecolor=INK, linewidth=1.5, zorder=4,
                  linestyle=(0, (1, 1)), clip_on=False)
    )  # fmt: skip
    for x, y in (([a + 0.06, b - 0.06], [-1.04] * 2), ([-1.04] * 2, [a + 0.06, b - 0.06])):
        axes.add_line(Line2D(x, y, color=GRAY, linewidth=1.6, clip_on=False))


def draw_bar(sheet: Sheet, left: float, top: float, height: float, cut: float | None) -> None:
    """The colors and what they mean; the threshold is marked."""
    axes = sheet.axes(left, top, 0.17, max(height, 1.2))
    axes.grid(False)
    colors, norm = colors_around(cut)
    values = np.linspace(LOWEST, 1, 401)
    middles = (values[1:] + values[:-1]) / 2
    axes.pcolormesh(
        [0, 1], values, middles[:, None], cmap=colors, norm=norm, rasterized=True, linewidth=0
    )
    ticks = [-0.2, 0, 0.2, 0.4, 0.6, 0.8, 1]
    if cut is not None:
        ticks = [value for value in ticks if abs(value - cut) > 0.07]
        axes.axhline(cut, color=INK, linewidth=2)
        put(axes, 1.35, cut, f"{cut:.2f}", size_pt=TEXT_PT, bold=True, va="center")
    axes.set(xticks=[], xlim=(0, 1), ylim=(LOWEST, 1))
    axes.yaxis.tick_right()
    axes.set_yticks(ticks, [f"{value:.1f}".replace("-", "−") for value in ticks])
    for spine in axes.spines.values():
        spine.set_visible(False)
