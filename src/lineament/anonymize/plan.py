"""The file of decisions between looking and covering, which a person may edit.

    {"lineament": "anonymize", "version": 1, "root": "/home/ada/party", "method": "blur",
     "shape": "ellipse", "files": [
       {"kind": "photo", "path": "a.jpg", "sha256": "...", "size_wh": [1600, 1200], "faces": [
         {"box_xyxy": [411.5, 96.0, 655.0, 420.0], "hide": true, "name": null, "score": 0.91}]},
       {"kind": "film", "path": "b.mp4", "sha256": "...", "size_wh": [1280, 720], "tracks": [
         {"id": 1, "hide": true, "name": "Ada", "frames": [[0, 132]],
          "boxes": [[0, 411.5, 96.0, 655.0, 420.0], [4, 415.0, 97.0, 659.0, 421.0]]}]}]}

To show somebody, set ``hide`` to false; to cover what was not found, add a face with its
``box_xyxy`` (pixels: left, top, right, bottom) or a track with boxes at some frames (number of the
frame from 0, then the same), between which it is interpolated. ``method`` and ``shape`` of a face
or track come before those of the plan.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec

from lineament.anonymize.covering import Method
from lineament.anonymize.regions import Shape
from lineament.errors import OptionError
from lineament.files import read_regular, write_atomically
from lineament.forms import LARGEST_FILE, decode, encode, kind_of

VERSION = 1

Box = tuple[float, float, float, float]
Keyframe = tuple[int, float, float, float, float]
"""A frame's number, and the box there."""

_ROW = re.compile(rb"\[[-+.\deE,\s]*\]")
"""A list of numbers and nothing else."""
_FARTHEST = 1e6


class PlannedFace(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A face of a photo.

    Attributes:
        box_xyxy: pixels of the upright photo: left, top, right, bottom.
        hide: whether it is covered.
        name: who it was taken for, or None.
        score: the detector's, 0 to 1; None of a face that a person has added.
        landmarks_xy: the five of ``Face``, for the shape "mesh"; may be left out.
        turned_deg: as ``Face`` has it.
        method, shape: in place of the plan's.
        reason: why it is covered or not, in words.
    """

    box_xyxy: Box
    hide: bool = True
    name: str | None = None
    score: float | None = None
    landmarks_xy: list[tuple[float, float]] | None = None
    turned_deg: int = 0
    method: Method | None = None
    shape: Shape | None = None
    reason: str = ""


class PlannedTrack(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Somebody in a film, from coming to leaving.

    Attributes:
        id: number of the track, from 1.
        hide, name, method, shape, reason: as ``PlannedFace``.
        frames: ranges of frames in which it is covered, each the first and the last number.
        boxes: where it is at some frames, in their order; between them it is interpolated, before
            the first and after the last it stays there.
        score: the best of its detections, or None.
    """

    id: int
    frames: list[tuple[int, int]]
    boxes: list[Keyframe]
    hide: bool = True
    name: str | None = None
    score: float | None = None
    method: Method | None = None
    shape: Shape | None = None
    reason: str = ""


class PlannedPhoto(msgspec.Struct, tag_field="kind", tag="photo", kw_only=True):
    """A photo and its faces; ``path`` from the plan's root, with "/"."""

    path: str
    sha256: str
    size_wh: tuple[int, int]
    faces: list[PlannedFace]


class PlannedFilm(msgspec.Struct, tag_field="kind", tag="film", kw_only=True):
    """A film and its tracks; ``n_frames`` is how many there were."""

    path: str
    sha256: str
    size_wh: tuple[int, int]
    n_frames: int
    tracks: list[PlannedTrack]


PlannedFile = PlannedPhoto | PlannedFilm


class Plan(msgspec.Struct, kw_only=True):
    """Decisions about files.

    Attributes:
        root: the folder that the paths of ``files`` begin at.
        method, shape: of all that do not say otherwise.
        files: photos and films.
    """

    lineament: Literal["anonymize"] = "anonymize"
    version: int = VERSION
    root: str
    method: Method = "blur"
    shape: Shape = "ellipse"
    files: list[PlannedFile]

    def __iter__(self) -> Iterator[PlannedFile]:
        """The files."""
        return iter(self.files)

    def place(self, file: PlannedFile, root: str | os.PathLike[str] | None = None) -> Path:
        """Return where a file of the plan lies; ``root``: in place of the plan's."""
        return Path(self.root if root is None else root, *PurePosixPath(file.path).parts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, a box on a line. OptionError: it cannot be written."""
        write_atomically(path, _ROW.sub(_on_one_line, encode(self)))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read what ``save`` wrote, and a person may have edited.

        Raises:
            OptionError: the file cannot be read, or is no such plan; the message names the place.
        """
        try:
            data = read_regular(path, at_most=LARGEST_FILE)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OptionError(f"{path}: cannot be read ({reason})", option="apply") from error
        kind = kind_of(data)
        if kind is not None and kind != KIND:
            raise OptionError(f"{path}: expected {KIND}, got {kind}", option="apply")
        plan = decode(data, cls, what=str(path), error=OptionError)
        plan.check(str(path))
        return plan

    def check(self, what: str) -> None:
        """Refuse values that make no sense; ``what`` names the plan in the message.

        Raises:
            OptionError: another version, a path that leads out of the root, a box without area, or
                frames in no order.
        """
        if self.version != VERSION:
            raise OptionError(f"{what}: expected version {VERSION}, got {self.version}")
        seen = set()
        for file in self.files:
            place = f"{what}: {file.path}"
            path = PurePosixPath(file.path)
            if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in file.path:
                raise OptionError(f"{place}: expected a path inside of the root")
            if path in seen:
                raise OptionError(f"{place}: expected each file once, it stands there twice")
            seen.add(path)
            if isinstance(file, PlannedPhoto):
                for number, face in enumerate(file.faces, 1):
                    _check_box(face.box_xyxy, f"{place}, face {number}")
                    _check_face(face, f"{place}, face {number}")
            else:
                for track in file.tracks:
                    _check_track(track, f"{place}, track {track.id}")


def _on_one_line(row: re.Match[bytes]) -> bytes:
    return b"[" + b", ".join(row[0][1:-1].replace(b",", b" ").split()) + b"]"


KIND = "a plan of what is anonymized"


def _check_box(box: Box | tuple[float, ...], place: str) -> None:
    left, top, right, bottom = box
    fine = all(math.isfinite(value) and abs(value) <= _FARTHEST for value in box)
    if not (fine and left < right and top < bottom):
        raise OptionError(
            f"{place}: expected box_xyxy with left < right and top < bottom, got {list(box)}"
        )


def _check_face(face: PlannedFace, place: str) -> None:
    if face.landmarks_xy is not None and len(face.landmarks_xy) != 5:
        raise OptionError(f"{place}: expected 5 landmarks_xy, got {len(face.landmarks_xy)}")
    if face.turned_deg not in range(360):
        raise OptionError(f"{place}: expected turned_deg from 0 to 359, got {face.turned_deg}")


def _check_track(track: PlannedTrack, place: str) -> None:
    if not track.boxes:
        raise OptionError(f"{place}: expected at least one box, got none")
    numbers = [box[0] for box in track.boxes]
    if numbers != sorted(set(numbers)) or numbers[0] < 0:
        raise OptionError(f"{place}: expected boxes in the order of their frames, each once")
    for box in track.boxes:
        _check_box(box[1:], f"{place}, frame {box[0]}")
    for first, last in track.frames:
        if not 0 <= first <= last:
            raise OptionError(f"{place}: expected frames as [first, last], got [{first}, {last}]")


def rounded(values: Any) -> list[Any]:
    """Numbers of an array for the file: to a tenth of a pixel."""
    out: list[Any] = [[round(float(v), 1) for v in row] for row in values]
    return out
