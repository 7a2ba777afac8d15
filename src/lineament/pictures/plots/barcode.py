"""Embeddings as barcodes: two of them and their squared difference, for a true and a false pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lineament.errors import OptionError
from lineament.explain.faces import Faces
from lineament.pictures.charts.colors import BLUE, GRAY, INK, VERMILLION
from lineament.pictures.plots._sheet import EDGE, SMALL_PT, TEXT_PT, Sheet
from lineament.pictures.plots.captions import sentence, threshold_numbers, threshold_words, value_of
from lineament.pictures.plots.plot import Plot
from lineament.types import Float64Array, Threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CODE_IN = 7.6
FACE_IN, STRIP_IN, GAP_IN = 0.92, 0.92, 0.12
NAME_IN = 1.35

MOST_PAIRS = 6


def barcode(
    faces: Faces,
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
    threshold: Threshold | float | None = None,
    title: str = "",
) -> Plot:
    """Draw embeddings as barcodes, and what a comparison makes of two of them.

    A bar is an element of the embedding. Beneath two embeddings stands the square of their
    difference, element by element. Its sum is the squared distance d², and the cosine similarity of
    vectors of length 1 is 1 − d²/2. All embeddings share one scale, and all differences another.

    Args:
        faces: with crops, these stand beside.
        pairs: rows of ``faces``; None: those of ``pick_pairs``.
        threshold: the verdict beside each pair.
        title: what is shown.

    Returns:
        ``numbers``: "pairs", each with "a", "b", "same_person" (None without names),
        "similarity", "squared_distance", "match" (None without threshold), "squared_difference"
        (D,); "embeddings": {photo: (D,)}; "threshold"; "notes".

    Raises:
        OptionError: no pair, too many, or a row that does not exist.
        MissingExtraError: matplotlib is missing.
    """
    chosen = pick_pairs(faces) if pairs is None else [(int(a), int(b)) for a, b in pairs]
    if not 1 <= len(chosen) <= MOST_PAIRS or not all(
        0 <= row < len(faces) for pair in chosen for row in pair
    ):
        raise OptionError(
            f"expected 1 to {MOST_PAIRS} pairs of rows below {len(faces)}, got {chosen}",
            option="pairs",
        )
    vectors = faces.vectors.astype(np.float64)
    cut = value_of(threshold)
    squares = [(vectors[a] - vectors[b]) ** 2 for a, b in chosen]
    told: list[dict[str, Any]] = [
        {
            "a": faces.relative[a],
            "b": faces.relative[b],
            "same_person": bool(faces.person[a] == faces.person[b]) if faces.named else None,
            "similarity": float(vectors[a] @ vectors[b]),
            "squared_distance": float(square.sum()),
            "match": None if cut is None else bool(vectors[a] @ vectors[b] >= cut),
            "squared_difference": np.round(square, 8).tolist(),
        }
        for (a, b), square in zip(chosen, squares, strict=True)
    ]
    numbers = {
        "pairs": told,
        "embeddings": {
            faces.relative[row]: np.round(vectors[row], 7).tolist()
            for row in dict.fromkeys(row for pair in chosen for row in pair)
        },
        "threshold": threshold_numbers(threshold),
        "notes": list(faces.notes),
    }
    dimension = vectors.shape[1]
    words = [f"Each bar is one of the {dimension} elements of an embedding of length 1."]
    if threshold is not None:
        words.append(f"{sentence(threshold_words(threshold))}")
    left = EDGE + NAME_IN + FACE_IN + 0.15
    sheet = Sheet(
        title or "Embeddings as barcodes",
        left + CODE_IN + 0.95,
        subtitle=" ".join([*words, *map(sentence, faces.notes)]),
    )
    reach = max(float(np.abs(vectors[list(pair)]).max()) for pair in chosen)
    most = max(float(square.max()) for square in squares) or 1e-9
    for number, ((a, b), square) in enumerate(zip(chosen, squares, strict=True)):
        if number:
            sheet.down += 0.2
        verdict = _verdict(told[number])
        sheet.down += sheet.text(EDGE, sheet.down, left + CODE_IN - EDGE, verdict, TEXT_PT + 1,
                                 bold=True)  # fmt: skip
        sheet.down += 0.06
        top = sheet.down
        for row in (a, b):
            _strip(sheet, left, vectors[row], -reach, reach, "embedding")
            _whose(sheet, faces, row)
            sheet.down += STRIP_IN + GAP_IN
        _scale(sheet, left + CODE_IN + 0.14, top, 2 * STRIP_IN + GAP_IN, -reach, reach, "embedding")
        axes = _strip(sheet, left, square, 0, most, "difference")
        sheet.text(
            EDGE, sheet.down + STRIP_IN / 2 - 0.17, left - EDGE - 0.15,
            f"squared difference; the sum is {square.sum():.3f}", SMALL_PT, color=GRAY,
        )  # fmt: skip
        _scale(sheet, left + CODE_IN + 0.14, sheet.down, STRIP_IN, 0, most, "difference")
        sheet.down += STRIP_IN
        _elements(axes, dimension)
        sheet.down += 0.24
    sheet.down += sheet.text(left, sheet.down, CODE_IN, "element of the embedding", SMALL_PT,
                             centered=True)  # fmt: skip
    return Plot(sheet.finished(), numbers)


def pick_pairs(faces: Faces) -> list[tuple[int, int]]:
    """A true pair and a false one, of one photo: the most typical of the ones there are.

    The first photo is the one nearest to its person's mean, of the person with most
    photos; the second is this person's other one of middling similarity; the third is the most
    similar of the other people's. Without names, or without two photos of anybody, the most
    and the least similar pair.

    Raises:
        OptionError: fewer than two photos.
    """
    if len(faces) < 2:
        raise OptionError(f"barcodes need at least 2 photos with a face, got {len(faces)}")
    vectors = faces.vectors.astype(np.float64)
    counts = faces.counts
    if not faces.named or counts.max() < 2:
        if len(faces) == 2:
            return [(0, 1)]
        some = np.arange(min(len(faces), 2_000))
        table = vectors[some] @ vectors[some].T
        np.fill_diagonal(table, np.nan)
        ends = [np.unravel_index(f(table), table.shape) for f in (np.nanargmax, np.nanargmin)]
        return [(int(a), int(b)) for a, b in ends]
    person = int(counts.argmax())
    own = faces.of(person)
    mean = vectors[own].mean(axis=0)
    first = int(own[np.argmax(vectors[own] @ mean)])
    rest = own[own != first]
    order = rest[np.argsort(vectors[rest] @ vectors[first], kind="stable")]
    pairs = [(first, int(order[len(order) // 2]))]
    others = np.flatnonzero(faces.person != person)
    if len(others):
        pairs.append((first, int(others[np.argmax(vectors[others] @ vectors[first])])))
    return pairs


def _verdict(pair: dict[str, Any]) -> str:
    kind = {True: "One person", False: "Two people", None: "A pair"}[pair["same_person"]]
    said = f"{kind}: similarity {pair['similarity']:.3f}"
    if pair["match"] is None:
        return said
    return f"{said}, {'at or above' if pair['match'] else 'below'} the threshold"


def _whose(sheet: Sheet, faces: Faces, row: int) -> None:
    image = None if faces.crops is None else faces.crops[row]
    if image is not None:
        sheet.picture(image, EDGE + NAME_IN, sheet.down, FACE_IN)
    room = NAME_IN - 0.12 + (FACE_IN if image is None else 0)
    file = faces.relative[row].rpartition("/")[2]
    tall = sheet.text(EDGE, sheet.down + 0.08, room, faces.name(row), SMALL_PT, bold=True, most=3)
    if faces.named:
        sheet.text(EDGE, sheet.down + 0.1 + tall, room, file, SMALL_PT - 1, color=GRAY, most=2)


def _colors(kind: str) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    if kind == "embedding":
        stops = ["#00324f", BLUE, "#9fd0ec", "#ffffff", "#f3b78d", VERMILLION, "#6e3000"]
    else:
        stops = ["#ffffff", "#b9b9bd", "#6c6c72", INK]
    return LinearSegmentedColormap.from_list(kind, stops)


def _strip(
    sheet: Sheet, left: float, values: Float64Array, low: float, high: float, kind: str
) -> Axes:
    axes = sheet.axes(left, sheet.down, CODE_IN, STRIP_IN)
    axes.grid(False)
    axes.imshow(
        values[None], cmap=_colors(kind), vmin=low, vmax=high, aspect="auto",
        interpolation="nearest", extent=(-0.5, len(values) - 0.5, 0, 1),
    )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRAY, linewidth=0.6)
    return axes


def _elements(axes: Axes, dimension: int) -> None:
    step = max(1, dimension // 8)
    places = [*range(0, dimension - step // 2, step), dimension - 1]
    axes.set_xticks(places, [str(place + 1) for place in places])


def _scale(
    sheet: Sheet, left: float, top: float, height: float, low: float, high: float, kind: str
) -> None:
    axes = sheet.axes(left, top, 0.14, height)
    axes.grid(False)
    axes.imshow(
        np.linspace(high, low, 256)[:, None], cmap=_colors(kind), vmin=low, vmax=high,
        aspect="auto", extent=(0, 1, low, high),
    )  # fmt: skip
    axes.set(xticks=[])
    axes.yaxis.tick_right()
    marks = [low, 0.0, high] if low < 0 else [0.0, high]
    axes.set_yticks(marks, [f"{mark:.2g}".replace("-", "−") for mark in marks])
    # Within the bar's height, since another bar begins right beneath.
    labels = axes.get_yticklabels()
    labels[0].set_verticalalignment("bottom")
    labels[-1].set_verticalalignment("top")
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRAY, linewidth=0.6)
