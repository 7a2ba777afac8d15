"""All pictures of a folder, each in a section of the page."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PILImage

from lineament.datasets.people_folder import People
from lineament.errors import LineamentError
from lineament.explain import alignment_stages, compare_poses, degrade, explain
from lineament.explain.faces import Faces, with_crops
from lineament.fit.examine import Examined
from lineament.images import load_image
from lineament.pictures import plots
from lineament.pictures.charts.files import to_bytes
from lineament.pictures.pages.page import Picture, Section
from lineament.pictures.plots.alignment import alignment
from lineament.pictures.plots.barcode import barcode
from lineament.pictures.plots.correlation import correlation
from lineament.pictures.plots.grid import grid
from lineament.pictures.plots.histogram import histogram
from lineament.pictures.plots.occlusion import occlusion
from lineament.pictures.plots.plot import Plot
from lineament.pictures.plots.pose import pose
from lineament.pictures.plots.tsne import tsne
from lineament.report._findings import Findings
from lineament.text import counted
from lineament.types import Photo, ProgressBar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID_FACES = 40
PLANE_FACES = 60
PLANE_POINTS = 2000
POSE_PHOTOS = 200
"""More photos than these are sampled for a picture, and the page says so."""

JPEG_QUALITY = 88


def faces_of(people: People, examined: Examined) -> Faces:
    """The photos with a face, without crops."""
    rows = np.flatnonzero(examined.embedded.found)
    kept, person = np.unique(people.person[rows], return_inverse=True)
    return Faces(
        paths=tuple(people.paths[i] for i in rows),
        names=tuple(people.names[k] for k in kept),
        person=person.astype(np.int64).reshape(-1),
        vectors=examined.embedded.vectors[rows],
        norms=examined.embedded.norms[rows],
        relative=tuple(people.relative(int(i)) for i in rows),
    )


def pictures_of(seen: Findings, progress: ProgressBar[Any] | None) -> list[Section]:
    """All pictures as sections; what cannot be drawn says why."""
    faces = faces_of(seen.people, seen.examined)
    if len(faces) < 2:
        found = counted(len(faces), "photo", "photos")
        words = f"{found} with a face: at least two are needed."
        return [Section("No pictures", (words,))]
    threshold, seed = seen.threshold, seen.seed
    several = len(faces.names) > 1
    sample = with_crops(faces.sample(GRID_FACES, seed=seed), seen.recognizer, leave_out=True)
    if len(sample) < len(faces):
        seen.sampled.append(f"{len(sample)} faces of {len(faces):,} in the grid and the barcodes")
    page_of_plane: list[bytes] = []

    @cache  # two pictures show it
    def example() -> Photo:
        return seen.recognizer.finder.find(_example(seen))

    def draw_plane() -> Plot:
        some = faces.sample(PLANE_POINTS, seed=seed)
        if len(some) < len(faces):
            seen.sampled.append(f"{len(some):,} faces on the plane")
        if len(some) <= PLANE_FACES:
            some = with_crops(some, seen.recognizer, leave_out=True)
        plot = tsne(some, seed=seed)
        if plot.html is not None:
            page_of_plane.append(plot.html)
        return plot

    wanted: list[tuple[str, str, str, Callable[[], Plot | None]]] = [
        ("grid", "Every photo against every other", "Similarities of sampled photos.",
         lambda: grid(sample, threshold=threshold, seed=seed)),
        ("tsne", "Who lies near whom", "Faces on a plane; those that are alike are near.",
         draw_plane),
        ("correlation", "People against people", "Similarity of the people's mean embeddings.",
         lambda: correlation(faces, threshold=threshold) if several else None),
        ("histogram", "Distances to a person's mean", "Own photos and everybody else's.",
         lambda: histogram(faces, threshold=threshold) if several else None),
        ("pose", "How far a head may turn", "The person with most photos.",
         lambda: _pose(seen)),
        ("explain_true", "The hardest pair of one person", "Which regions carry the decision.",
         lambda: _explained(seen, seen.hardest.genuine)),
        ("explain_false", "The hardest pair of two people", "Which regions carry the decision.",
         lambda: _explained(seen, seen.hardest.impostor)),
        ("barcode", "Embeddings as barcodes", "Two pairs and what differs in them.",
         lambda: barcode(sample, threshold=threshold)),
        ("occlusion", "A photo made worse", "What recognition bears.",
         lambda: occlusion(degrade(seen.recognizer, example(), threshold=threshold))),
        ("alignment", "How a face is aligned", "From the photo to the crop.",
         lambda: alignment(alignment_stages(seen.recognizer, example()))),
    ]  # fmt: skip
    sections: list[Section] = []
    items: Iterable[Any] = wanted if progress is None else progress(wanted, len(wanted), "drawing")
    for key, title, alt, make in items:
        try:
            plot = make()
        except LineamentError as error:
            sections.append(Section(title, (f"Not drawn: {error}",)))
            continue
        if plot is None:
            continue
        seen.pictures[key] = dict(plot.numbers)
        vector = key in ("correlation", "histogram")
        sections.append(Section(title, pictures=(encoded(plot.figure, alt, vector),)))
        if key == "tsne" and page_of_plane:
            title = "Faces on a plane, to be pointed at"
            sections.append(Section("", frame=page_of_plane[0], frame_title=title))
    return sections


def encoded(figure: Figure, alt: str, vector: bool) -> Picture:
    """As a drawing, or as a JPEG where it is mostly faces: a tenth of the size of a PNG."""
    if vector:
        return Picture(to_bytes(figure, "svg"), "image/svg+xml", alt)
    picture = PILImage.fromarray(load_image(to_bytes(figure, "png")))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return Picture(file.getvalue(), "image/jpeg", alt)


def _example(seen: Findings) -> Path:
    """A photo to show things on: the longest embedding among the trusted ones."""
    norms = np.where(seen.cleaning.trusted, seen.examined.embedded.norms, 0)
    if not norms.any():
        norms = seen.examined.embedded.norms
    return seen.people.paths[int(np.argmax(norms))]


def _pose(seen: Findings) -> Plot | None:
    person = seen.people.person
    counts = np.bincount(person[seen.found], minlength=len(seen.people.names))
    most = int(np.argmax(counts))
    rows = np.flatnonzero((person == most) & seen.found)
    if len(rows) < 2:
        return None
    if len(rows) > POSE_PHOTOS:
        some = np.random.default_rng(seen.seed).choice(rows, POSE_PHOTOS, replace=False)
        seen.sampled.append(f"{POSE_PHOTOS} of {len(rows):,} photos of {seen.people.names[most]}")
        rows = np.sort(some)
    photos = list(seen.recognizer.stream_chosen([seen.people.paths[i] for i in rows]))
    name = seen.people.names[most].replace("_", " ")
    return pose(compare_poses(photos, seen.threshold, seen.recognizer.judge), title=name)


def _explained(seen: Findings, pair: tuple[int, int, float] | None) -> Plot | None:
    if pair is None:
        return None
    a, b = (seen.people.paths[i] for i in pair[:2])
    return plots.explain(explain(seen.recognizer, a, b, threshold=seen.threshold))
