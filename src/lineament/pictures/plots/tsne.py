"""Faces on a plane, so that those that are alike lie near each other.

    t-SNE   van der Maaten and Hinton, JMLR 9, 2008, as openTSNE computes it (Poličar et al., 2019)
    PCA     the two directions in which the embeddings differ most
    UMAP    McInnes et al., 2018, where umap-learn is installed

Up to ``MOST_FACES`` faces are shown themselves, moved apart until none covers another; of more,
each is a point, and the page shows the photo of the point beneath the mouse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from lineament.errors import MissingExtraError, OptionError
from lineament.explain.faces import Faces
from lineament.machine import processors
from lineament.pictures.charts.colors import BLUE, GRAY, GREEN, INK, ORANGE, PURPLE, SKY, VERMILLION
from lineament.pictures.plots._hover import Thumbnails, hover_page
from lineament.pictures.plots._label_places import apart, beside
from lineament.pictures.plots._sheet import (
    EDGE,
    SMALL_PT,
    TEXT_PT,
    Sheet,
    height_of,
    text_width_in,
    wrapped,
)
from lineament.pictures.plots.captions import put, sentence, what
from lineament.pictures.plots.plot import Plot
from lineament.text import counted, per_cent
from lineament.types import Float64Array, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Method = Literal["tsne", "pca", "umap"]

MOST_FACES = 250
"""More faces than these would be smaller than can be told apart."""

MOST_POINTS = 20_000
"""More are sampled: the page would take long to open."""

PERPLEXITY = (5.0, 30.0)
"""About how many neighbors count. The paper takes 5 to 50; here it grows with the photos:
with more neighbors than a person has photos, people of a small set run into each other."""

LEAST_RATE = 20.0
"""Of learning. openTSNE's own, the number of photos over 12, leaves small sets where they
began."""

LEAST_FOR_TSNE = 5
"""Of fewer photos, neighbors say nothing: PCA is used instead."""

COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, INK, "#8c6d1f")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_COLORED = 14
POINT_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, INK)

WORTH_THREADS = 2_000
"""Of fewer photos, threads wait for each other longer than they work."""

SIZE_IN = (11.0, 8.0)
"""Of the plane; less for few faces."""

_BLOCK = 1024


def tsne(
    faces: Faces,
    *,
    method: Method = "tsne",
    seed: int = 0,
    title: str = "",
    page: bool = True,
    threads: int | None = None,
) -> Plot:
    """Draw the faces on a plane, those that are alike near each other.

    Distances between groups say little, and t-SNE shows groups even where there are none: read who
    lies among whom, and nothing else.

    Args:
        faces: with crops, these are shown; without, points in a color a person.
        method: "tsne", "pca" or "umap".
        seed: of whatever is drawn by chance; the same one gives the same picture.
        title: what is shown.
        page: make the HTML page, too.
        threads: of t-SNE; None: all cores.

    Returns:
        ``numbers``: "photos", "people", "xy" (N, 2), "method" (as used), "seed",
        "nearest_is_same_person" (a share of the photos that have another one of their person;
        None without any), "notes".

    Raises:
        OptionError: fewer than two photos, or an unknown method.
        MissingExtraError: matplotlib, openTSNE or umap-learn is missing.
    """
    if len(faces) < 2:
        raise OptionError(f"a plane needs at least 2 photos with a face, got {len(faces)}")
    faces = faces.sample(MOST_POINTS, seed=seed)
    notes = list(faces.notes)
    used = method
    if method == "tsne" and len(faces) < LEAST_FOR_TSNE:
        used = "pca"
        notes.append(f"PCA, since t-SNE says nothing of fewer than {LEAST_FOR_TSNE} photos")
    xy = on_plane(faces, method=used, seed=seed, threads=threads)
    share = _nearest_is_same(faces)
    name = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}[used]
    title = title or f"{what(faces)}, by likeness ({name})"
    shown = faces.crops is not None and len(faces) <= MOST_FACES
    words = ["What is alike lies near each other; distances have no unit."]
    if share is not None:
        words.append(
            f"For {per_cent(share)} of {counted(_with_another(faces), 'photo', 'photos')} of "
            "people who have several, the nearest other face is the same person's."
        )
    told = " ".join([*words, *(sentence(note) for note in notes)])
    draw = _draw_faces if shown else _draw_points
    figure = draw(faces, xy, title, words, notes)
    numbers = {
        "photos": list(faces.relative),
        "people": [faces.name(row) for row in range(len(faces))],
        "xy": [[round(x, 5), round(y, 5)] for x, y in xy.tolist()],
        "method": used,
        "seed": seed,
        "nearest_is_same_person": share,
        "notes": notes,
    }
    html = None
    if page:
        html = hover_page(title, told, xy, faces, Thumbnails.of(faces))
    return Plot(figure, numbers, html)


# --- coordinates ----------------------------------------------------------------------------------


def on_plane(
    faces: Faces, *, method: Method = "tsne", seed: int = 0, threads: int | None = None
) -> Float64Array:
    """(N, 2) float64: where the faces lie, with cosine distances; centered at 0, at most 1 away.

    Raises as ``tsne``.
    """
    if method not in get_args(Method):
        raise OptionError(
            f"expected one of {', '.join(get_args(Method))}, got {method!r}", option="method"
        )
    start = _principal(faces.vectors)
    if method == "pca":
        xy = start
    elif method == "tsne":
        xy = _tsne(faces, start, seed, processors() if threads is None else threads)
    else:
        xy = _umap(faces, seed)
    xy = xy - (xy.max(axis=0) + xy.min(axis=0)) / 2
    reach = float(np.abs(xy).max())
    scaled: Float64Array = xy / reach if reach > 0 else xy
    return scaled


def _principal(vectors: Any) -> Float64Array:
    """The first two principal components, (N, 2); each with its largest coordinate positive."""
    centered = np.asarray(vectors, np.float64)
    centered = centered - centered.mean(axis=0)
    # Of the smaller side's Gram matrix: thousands of photos have some 100 dimensions.
    _, directions = np.linalg.eigh(centered.T @ centered)
    two = directions[:, -2:][:, ::-1]
    if two.shape[1] < 2:
        two = np.pad(two, ((0, 0), (0, 2 - two.shape[1])))
    xy: Float64Array = centered @ two
    peaks = xy[np.abs(xy).argmax(axis=0), [0, 1]]
    return xy * np.where(peaks < 0, -1.0, 1.0)


class Neighbors(NamedTuple):
    """(N, K) each: places of the nearest others, nearest first, and their cosine distances."""

    places: IntArray
    distances: Float64Array


def neighbors(vectors: Any, k: int) -> Neighbors:
    """The ``k`` nearest others of each vector, exactly: no chance is in it."""
    unit_vectors = np.asarray(vectors, np.float32)
    n = len(unit_vectors)
    places = np.empty((n, k), np.int64)
    distances = np.empty((n, k), np.float64)
    for start in range(0, n, _BLOCK):
        block = unit_vectors[start : start + _BLOCK] @ unit_vectors.T
        rows = np.arange(len(block))
        block[rows, start + rows] = -np.inf
        near = np.argpartition(-block, k - 1, axis=1)[:, :k]
        scores = np.take_along_axis(block, near, 1)
        order = np.lexsort((near, -scores), axis=1)
        places[start : start + len(block)] = np.take_along_axis(near, order, 1)
        distances[start : start + len(block)] = 1 - np.take_along_axis(scores, order, 1)
    return Neighbors(places, np.maximum(distances, 0))


def _tsne(faces: Faces, start: Float64Array, seed: int, threads: int) -> Float64Array:
    try:
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PerplexityBasedNN
        from openTSNE.nearest_neighbors import PrecomputedNeighbors
    except ImportError as error:
        raise MissingExtraError("drawing by t-SNE", "plot") from error
    n = len(faces)
    threads = threads if n >= WORTH_THREADS else 1
    perplexity = min(max(PERPLEXITY[0], 0.6 * math.sqrt(n)), PERPLEXITY[1], (n - 1) / 3)
    near = neighbors(faces.vectors, min(n - 1, math.ceil(3 * perplexity)))
    # Exact neighbors, found here: openTSNE's own for large sets depend on the number of threads.
    affinities = PerplexityBasedNN(
        perplexity=perplexity,
        knn_index=PrecomputedNeighbors(near.places, near.distances),
        n_jobs=threads,
        random_state=seed,
    )
    rng = np.random.default_rng(seed)
    spread = start[:, 0].std()
    # As openTSNE scales it, and photos that are there twice a little apart.
    first = start / (spread if spread > 0 else 1) * 1e-4 + rng.normal(0, 1e-6, start.shape)
    embedding = TSNEEmbedding(
        first,
        affinities,
        negative_gradient_method="bh" if n < 3000 else "fft",
        n_jobs=threads,
        random_state=seed,
    )
    rate: Any = "auto" if n / 12 > LEAST_RATE else LEAST_RATE
    embedding = embedding.optimize(250, exaggeration=12, momentum=0.5, learning_rate=rate)
    return np.asarray(embedding.optimize(500, momentum=0.8, learning_rate=rate), np.float64)


def _umap(faces: Faces, seed: int) -> Float64Array:
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("drawing by UMAP", "plot", package="umap-learn") from error
    n = len(faces)
    if n < LEAST_FOR_TSNE:
        raise OptionError(f"UMAP needs at least {LEAST_FOR_TSNE} photos, got {n}; use pca")
    model = UMAP(n_neighbors=min(15, n - 1), metric="cosine", random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(faces.vectors), np.float64)


def _with_another(faces: Faces) -> int:
    """How many photos have another one of their person."""
    return int((faces.counts[faces.person] > 1).sum())


def _nearest_is_same(faces: Faces) -> float | None:
    if not faces.named:
        return None
    several = faces.counts[faces.person] > 1
    if not several.any() or len(faces.names) < 2:
        return None
    nearest = neighbors(faces.vectors, 1).places[:, 0]
    return float((faces.person[nearest] == faces.person)[several].mean())


# --- faces ----------------------------------------------------------------------------------------


def _draw_faces(
    faces: Faces, xy: Float64Array, title: str, words: list[str], notes: list[str]
) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    n = len(faces)
    few = max(0.6, min(1.0, math.sqrt(n / 24)))
    size = (SIZE_IN[0] * few, SIZE_IN[1] * few)
    side = min(0.95, math.sqrt(0.30 * size[0] * size[1] / n))
    places_in = _fitted(xy, side, size)
    shown = apart(places_in, side * 1.1, size)
    moved = np.abs(shown - places_in).max(axis=1) > side * 0.55
    several = len(faces.names) > 1 and faces.named
    labels, places = (
        _labels(faces, shown, side, size) if several else ([], np.zeros((0, 4), np.float64))
    )
    left_out = sum(math.isnan(place[0]) for place in places)
    said = list(words)
    if moved.any():
        said.append("A line leads from a face that was moved aside to its place.")
    if left_out:
        notes.append(f"{left_out} of {len(labels)} names left out, since there is no room")
    sheet = Sheet(
        title, size[0] + 2 * EDGE, subtitle=" ".join([*said, *(sentence(x) for x in notes)])
    )
    axes = _plane(sheet, *size)
    for row in np.flatnonzero(moved).tolist():
        line = Line2D(
            [places_in[row, 0], shown[row, 0]], [places_in[row, 1], shown[row, 1]],
            color=_color(faces, row), linewidth=0.9, alpha=0.8, zorder=1,
        )  # fmt: skip
        axes.add_line(line)
        axes.plot(*places_in[row], marker="o", markersize=3, color=_color(faces, row), zorder=1)
    assert faces.crops is not None
    for row in range(n):
        x, y = shown[row]
        half = side / 2
        axes.imshow(
            faces.crops[row], extent=(x - half, x + half, y + half, y - half), zorder=2,
            interpolation="antialiased", aspect="auto",
        )  # fmt: skip
        axes.add_patch(
            Rectangle((x - half, y - half), side, side, fill=False, zorder=3,
                      edgecolor=_color(faces, row) if several else GRAY,
                      linestyle=DASHES[int(faces.person[row]) // len(COLORS) % len(DASHES)]
                      if several else "-", linewidth=2.4 if side > 0.5 else 1.7)
        )  # fmt: skip
    for (person, lines), place in zip(labels, places, strict=True):
        if not math.isnan(place[0]):
            put(
                axes, place[0], place[1], "\n".join(lines), ha="center", va="center", bold=True,
                color=_dark(COLORS[person % len(COLORS)]), zorder=4, linespacing=1.2,
            )  # fmt: skip
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return sheet.finished()


def _plane(sheet: Sheet, width: float, height: float) -> Axes:
    axes = sheet.axes(EDGE, sheet.down, width, height)
    axes.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    for spine in axes.spines.values():
        spine.set(visible=True, color="#dddddd")
    sheet.down += height
    return axes


def _fitted(xy: Float64Array, side: float, size_wh: tuple[float, float]) -> Float64Array:
    """Coordinates -> inches from the top left, with half a face's room at the edges."""
    size = np.array(size_wh)
    span = np.ptp(xy, axis=0)
    room = size - 2.2 * side
    # The axes have no unit: each may be stretched, though not so far that shapes are lost.
    scale = room / np.where(span > 1e-12, span, 1)
    scale = np.minimum(scale, scale.min() * 1.6)
    middle = (xy.max(axis=0) + xy.min(axis=0)) / 2
    placed = (xy - middle) * scale
    placed[:, 1] *= -1
    moved: Float64Array = placed + size / 2
    return moved


def _color(faces: Faces, row: int) -> str:
    if not faces.named:
        return GRAY
    return COLORS[int(faces.person[row]) % len(COLORS)]


def _dark(color: str) -> str:
    """The same color, dark enough for letters on white."""
    parts = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
    share = min(1.0, 105 / (0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] + 1e-9))
    return "#" + "".join(f"{round(part * share):02x}" for part in parts)


def _labels(
    faces: Faces, shown: Float64Array, side: float, size: tuple[float, float]
) -> tuple[list[tuple[int, list[str]]], Float64Array]:
    labels: list[tuple[int, list[str]]] = []
    sizes: list[tuple[float, float]] = []
    for person in np.argsort(-faces.counts, kind="stable").tolist():
        lines = wrapped(faces.names[person], 1.25, SMALL_PT, bold=True, most=2)
        width = max(text_width_in(line, SMALL_PT, bold=True) for line in lines) + 0.06
        labels.append((person, lines))
        sizes.append((width, height_of(lines, SMALL_PT) + 0.03))
    own = [shown[faces.of(person)] for person, _ in labels]
    places = beside(own, sizes, shown, side * 1.06, size)
    return labels, places


# --- points ---------------------------------------------------------------------------------------


def _draw_points(
    faces: Faces, xy: Float64Array, title: str, words: list[str], notes: list[str]
) -> Any:
    n = len(faces)
    most = most_photographed(faces)
    said = list(words)
    if most:
        said.append(
            f"In color: {len(most)} of {len(faces.names):,} people, those with most photos first; "
            "the others are gray."
            if len(most) < len(faces.names)
            else "A color and a shape for each person."
        )
    sheet = Sheet(
        title, SIZE_IN[0] + 2 * EDGE, subtitle=" ".join([*said, *(sentence(x) for x in notes)])
    )
    axes = _plane(sheet, *SIZE_IN)
    size = float(np.clip(9000 / n, 2.0, 60))
    placed = _fitted(xy, 0.1, SIZE_IN)
    rest = ~np.isin(faces.person, most)
    axes.scatter(
        placed[rest, 0], placed[rest, 1], s=size, color="#9a9aa0", linewidths=0, rasterized=True,
        alpha=0.75 if n > 500 else 1,
    )  # fmt: skip
    for k, person in enumerate(most):
        own = faces.of(person)
        axes.scatter(
            placed[own, 0], placed[own, 1], s=max(size * 2, 12), rasterized=n > 2000, **_mark(k)
        )
    axes.set(xlim=(0, SIZE_IN[0]), ylim=(SIZE_IN[1], 0))
    if most:
        _legend(sheet, faces, most)
    return sheet.finished()


def _mark(k: int) -> dict[str, Any]:
    """How the ``k``-th person's points look; from the eighth on they are hollow."""
    color, marker = POINT_COLORS[k % len(POINT_COLORS)], MARKERS[k % len(MARKERS)]
    if k < len(POINT_COLORS):
        return {"facecolors": color, "edgecolors": "white", "linewidths": 0.3, "marker": marker}
    return {"facecolors": "white", "edgecolors": color, "linewidths": 1.3, "marker": marker}


def most_photographed(faces: Faces) -> list[int]:
    """The people that have a color where there are too many: those with most photos."""
    if not faces.named:
        return []
    order: list[int] = np.argsort(-faces.counts, kind="stable").tolist()
    if len(order) > MOST_COLORED:
        order = [person for person in order if faces.counts[person] > 1]
    return order[:MOST_COLORED]


def _legend(sheet: Sheet, faces: Faces, most: Sequence[int]) -> None:
    sheet.down += 0.12
    columns = 4
    wide = SIZE_IN[0] / columns
    tallest = 0.0
    for k, person in enumerate(most):
        if k and k % columns == 0:
            sheet.down += tallest + 0.06
            tallest = 0.0
        left = EDGE + (k % columns) * wide
        mark = sheet.axes(left, sheet.down + 0.02, 0.14, 0.14)
        mark.axis("off")
        mark.scatter([0], [0], s=42, **_mark(k))
        words = f"{faces.names[person]} ({int(faces.counts[person]):,})"
        tall = sheet.text(left + 0.22, sheet.down, wide - 0.34, words, TEXT_PT, most=2)
        tallest = max(tallest, tall)
    sheet.down += tallest
