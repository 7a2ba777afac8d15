"""Photos: found, decided about, covered.

anonymize(photo)                    pixels in which nobody can be recognized
look(photo, ...)                    the faces, and what is decided about each: a ``PlannedPhoto``
render(pixels, planned, ...)        pixels covered as it says
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament.align.mesh import MeshLandmarker
from lineament.anonymize.covering import Method, check_method, cover
from lineament.anonymize.finding import thorough_finder
from lineament.anonymize.people import Choice, Who, who_of
from lineament.anonymize.plan import PlannedFace, PlannedPhoto, rounded
from lineament.anonymize.regions import Shape, check_shape, region_of
from lineament.anonymize.writing import encode_photo
from lineament.arguments import checked
from lineament.files import write_atomically
from lineament.finder import FaceFinder
from lineament.forms import plain
from lineament.gallery import Gallery
from lineament.images import ImageLimits, ImageSource, describe_source, load_image, source_name
from lineament.images.arrays import is_array
from lineament.images.decode import decode_bytes, to_srgb
from lineament.images.sources import read_bytes
from lineament.results import Outcome
from lineament.types import ColorOrder, Face, FloatArray, Image, Photo


@dataclass(frozen=True, eq=False, slots=True)
class Anonymized(Outcome):
    """A photo in which faces are covered.

    Attributes:
        source: name of the photo.
        pixels: (H, W, 3) uint8, RGB, upright, in sRGB.
        faces: all that were found, with what was decided.
    """

    source: str
    pixels: Image
    faces: tuple[PlannedFace, ...]

    @property
    def n_hidden(self) -> int:
        """How many faces are covered."""
        return sum(face.hide for face in self.faces)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the photo, and nothing of what else the old file held.

        Args:
            path: a name that ends in .jpg, .png, .webp, .tif or .bmp.

        Raises:
            OptionError: another ending, or the file cannot be written.
        """
        write_atomically(path, encode_photo(self.pixels, Path(path).name))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; without the pixels."""
        return {
            "source": self.source,
            "size_wh": [self.pixels.shape[1], self.pixels.shape[0]],
            "n_faces": len(self.faces),
            "n_hidden": self.n_hidden,
            "faces": [plain(face) for face in self.faces],
        }


@checked
def anonymize(
    source: ImageSource,
    *,
    method: Method = "blur",
    shape: Shape = "ellipse",
    gallery: Gallery | None = None,
    keep: str | Collection[str] | None = None,
    only: str | Collection[str] | None = None,
    finder: FaceFinder | None = None,
    color_order: ColorOrder | None = None,
) -> Anonymized:
    """Cover the faces of a photo so that nobody recognizes them, nor can bring them back.

    Args:
        source: what ``load_image`` reads.
        method: "blur", "pixelate" or "solid"; of all of them at most a few faint mean colors are
            left of a face (``lineament.anonymize.covering``).
        shape: "ellipse", "box" or "mesh": along the outline of the face.
        gallery: knows who may be left out; with neither ``keep`` nor ``only`` all who are enrolled.
        keep: names of people who are not covered.
        only: names of people who are covered, and nobody else: they, and whoever may be one of
            them.
        finder: looks for faces; None: ``thorough_finder``.
        color_order: of NumPy arrays.

    Raises:
        ImageError: the photo cannot be read.
        OptionError: names without a gallery, or both kinds of names.
        UnknownPersonError: nobody of that name is enrolled.
    """
    who = who_of(gallery, keep, only)
    used = default_finder() if finder is None else finder
    loaded = load(source, used.limits, color_order=color_order)
    planned = look(loaded, used, who)
    pixels = render(loaded.pixels, planned.faces, check_method(method), check_shape(shape), used)
    return Anonymized(loaded.name, pixels, tuple(planned.faces))


_default: FaceFinder | None = None


def default_finder() -> FaceFinder:
    """Return a ``thorough_finder`` that is kept for the next call."""
    global _default  # noqa: PLW0603
    if _default is None:
        _default = thorough_finder()
    return _default


@dataclass(frozen=True, eq=False, slots=True)
class Loaded:
    """A photo to be covered.

    Attributes:
        name: for results.
        pixels: (H, W, 3) uint8, RGB, upright, in sRGB.
        sha256: of the file's bytes in hexadecimal; "" where there is no file.
    """

    name: str
    pixels: Image
    sha256: str


def load(source: Any, limits: ImageLimits, *, color_order: ColorOrder | None = None) -> Loaded:
    """Read a photo with its colors as they are meant. Raises as ``load_image``."""
    name = source_name(source)
    if isinstance(source, Photo):
        return Loaded(source.source, source.needed_pixels(), "")
    is_file = isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview))
    if not is_file or is_array(source):
        return Loaded(name, load_image(source, color_order=color_order, limits=limits), "")
    described = describe_source(source)
    data = read_bytes(source, described, limits)
    pixels = to_srgb(decode_bytes(data, described, limits), data)
    return Loaded(name, pixels, hashlib.sha256(data).hexdigest())


def look(loaded: Loaded, finder: FaceFinder, who: Who, path: str = "") -> PlannedPhoto:
    """Find the faces of a photo, and decide about each.

    Args:
        loaded: the photo.
        finder: that covers need: ``thorough_finder``.
        who: whom to cover.
        path: of the file, as the plan has it.
    """
    photo = finder.find(Photo.from_pixels(loaded.pixels, loaded.name), keep_pixels=True)
    choices = without_parts(photo.faces, who.of_photo(photo))
    faces = [_planned(face, *choice) for face, choice in zip(photo.faces, choices, strict=True)]
    height, width = loaded.pixels.shape[:2]
    return PlannedPhoto(path=path, sha256=loaded.sha256, size_wh=(width, height), faces=faces)


PART = 0.6
"""A box of which so much, or so much of the other one, is of a face that is left out."""


def without_parts(faces: Sequence[Face], choices: Sequence[Choice]) -> list[Choice]:
    """Leave uncovered what is a part of a face that is left out: the looser look sees both.

    Args:
        faces: of one photo.
        choices: for each of them.
    """
    shown = [face for face, choice in zip(faces, choices, strict=True) if not choice.hide]
    return [
        Choice(False, choice.name, "a part of a face that is left out")
        if choice.hide and face.score < CERTAIN and any(is_part(face, other) for other in shown)
        else choice
        for face, choice in zip(faces, choices, strict=True)
    ]


CERTAIN = 0.6
"""What scores as much, which is YuNet's least score for recognition, is a face of its own."""


def is_part(face: Face, other: Face) -> bool:
    """Whether a box is one more of a face that another box, of a higher score, shows."""
    low = np.maximum(face.box_xyxy[:2], other.box_xyxy[:2])
    high = np.minimum(face.box_xyxy[2:], other.box_xyxy[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    smaller = min(float(np.prod(each.size_wh)) for each in (face, other))
    return face.score < other.score and shared >= PART * smaller


def _planned(face: Face, hide: bool, name: str | None, reason: str) -> PlannedFace:
    (box,) = rounded([face.box_xyxy])
    points = None if face.landmarks_xy is None else rounded(face.landmarks_xy)
    return PlannedFace(
        box_xyxy=tuple(box),
        hide=hide,
        name=name,
        score=round(face.score, 3),
        landmarks_xy=None if points is None else [tuple(point) for point in points],
        turned_deg=face.turned_deg,
        reason=reason,
    )


def render(
    pixels: Image,
    faces: Sequence[PlannedFace],
    method: Method,
    shape: Shape,
    finder: FaceFinder,
) -> Image:
    """Return the photo with the faces covered whose ``hide`` is true.

    What is left of a face is computed from the photo as it was, so that the order says nothing.

    Args:
        pixels: (H, W, 3) uint8; not changed.
        faces: as ``look`` or a plan has them.
        method, shape: of faces that have none of their own.
        finder: whose landmarker is asked for the shape "mesh".
    """
    hidden = [face for face in faces if face.hide]
    shapes = [shape if face.shape is None else face.shape for face in hidden]
    meshes = _meshes(pixels, hidden, shapes, finder)
    covered = pixels.copy()
    size_wh = pixels.shape[1], pixels.shape[0]
    for face, each, mesh in zip(hidden, shapes, meshes, strict=True):
        region = region_of(np.array(face.box_xyxy), size_wh, each, mesh_xy=mesh)
        cover(covered, region.mask, region.box, method if face.method is None else face.method)
    return covered


def _meshes(
    pixels: Image, faces: Sequence[PlannedFace], shapes: Sequence[Shape], finder: FaceFinder
) -> list[FloatArray | None]:
    """The mesh of each face whose shape asks for one."""
    wanted = [i for i, shape in enumerate(shapes) if shape == "mesh"]
    found: list[FloatArray | None] = [None] * len(faces)
    if not wanted:
        return found
    points = mesh_points(finder, pixels, [_face(faces[i]) for i in wanted])
    for i, each in zip(wanted, points, strict=True):
        found[i] = each
    return found


def mesh_points(finder: FaceFinder, pixels: Image, faces: Sequence[Face]) -> FloatArray:
    """Find the points of meshes: (N, 478, 2). ``finder``: one with that landmarker, or any."""
    landmarker = finder.landmarker
    if not isinstance(landmarker, MeshLandmarker):
        landmarker = thorough_finder(runtime=finder.runtime, policy=finder.policy).landmarker
    return landmarker.locate(pixels, faces)


def _face(face: PlannedFace) -> Face:
    points = face.landmarks_xy
    if points is not None and len({tuple(point) for point in points}) < len(points):
        points = None  # they coincide: the box is looked at
    return Face(
        np.array(face.box_xyxy),
        1.0,
        None if points is None else np.array(points),
        face.turned_deg,
    )
