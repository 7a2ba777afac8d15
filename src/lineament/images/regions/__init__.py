"""Faces with names as photo libraries keep them: read as names, and written back.

    read_regions("a.jpg")                        of the file, its sidecar, and .picasa.ini
    write_regions("a.jpg", [Region("Ada", box)])  into a sidecar, a.jpg.xmp; or into the file

Regions are boxes with names: of the Metadata Working Group (digiKam, Lightroom, Picasa) and of
Microsoft, in XMP, which stands in the photo (JPEG, PNG, WebP, TIFF) or in a sidecar beside it
("a.jpg.xmp", else "a.xmp"); and Picasa's own in .picasa.ini. Boxes are of the photo as it is shown,
turned upright as EXIF says; they come as shares of width and height, 0 to 1.

Where two of them are of one face, the sidecar's is taken before the photo's, and that before
Picasa's. Files are taken as anybody's: XML with declarations is refused, sizes are bounded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lineament.arguments import checked
from lineament.errors import DataError, OptionError
from lineament.files import read_regular, replacing, write_atomically
from lineament.images.regions import _picasa as picasa
from lineament.images.regions import _xmp as xmp
from lineament.images.regions._containers import Held, held_in, with_packet
from lineament.images.regions._frame import Box, is_same_face, overlap
from lineament.images.regions._xml import MOST_BYTES
from lineament.results import Outcome

Into = Literal["sidecars", "files"]
INTO: Final = ("sidecars", "files")
MOST_PHOTO_BYTES: Final = 1 << 30

__all__ = [
    "INTO",
    "Box",
    "Into",
    "Region",
    "Written",
    "match",
    "read_regions",
    "upright_size",
    "write_regions",
]


@dataclass(frozen=True, slots=True)
class Region(Outcome):
    """A face in a photo.

    Attributes:
        name: of the person; None where it has none.
        box: left, top, right, bottom of the photo as it is shown, as shares of its sides, 0 to 1.
        source: "sidecar", "file" or "picasa"; "" for one that is to be written.
    """

    name: str | None
    box: Box
    source: str = ""

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        box = self.box
        if len(box) != 4 or not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
            raise OptionError(
                f"expected left, top, right, bottom between 0 and 1, got {box!r}", option="box"
            )


@dataclass(frozen=True, slots=True)
class Written(Outcome):
    """What ``write_regions`` did.

    Attributes:
        path: of the sidecar or photo.
        added: names that were written.
        kept: names that were not, since the face has another one there already.
        known: how many were there already.
    """

    path: Path
    added: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    known: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "out": str(self.path),
            "added": list(self.added),
            "kept": list(self.kept),
            "n_known": self.known,
        }


@checked
def read_regions(path: str | os.PathLike[str]) -> list[Region]:
    """The faces that photo programs noted of a photo.

    Raises:
        ImageError: it is no photo of a kind that holds XMP, or damaged.
        DataError: it or what belongs to it cannot be read.
    """
    photo = Path(path)
    held = held_in(_bytes_of(photo, MOST_PHOTO_BYTES), str(photo))
    found: list[Region] = []
    sidecar = _sidecar(photo)
    if sidecar is not None:
        found += _of_packet(_bytes_of(sidecar, MOST_BYTES), held, str(sidecar), "sidecar")
    of_file = _of_packet(held.packet, held, str(photo), "file")
    for _, packet in held.extended:
        of_file += _of_packet(packet, held, str(photo), "file")
    found = _joined(found, of_file)
    for name in picasa.NAMES:
        ini = photo.with_name(name)
        if ini.is_file():
            faces = picasa.read_ini(ini).get(photo.name.lower(), [])
            return _joined(found, [Region(who, box, "picasa") for who, box in faces])
    return found


@checked
def upright_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of a photo as it is shown; errors as ``read_regions``."""
    held = held_in(_bytes_of(Path(path), MOST_PHOTO_BYTES), str(path))
    width, height = held.size_wh
    return (height, width) if held.sideways else (width, height)


def _of_packet(packet: bytes, held: Held, name: str, source: str) -> list[Region]:
    if not packet.strip(b"\0 \r\n\t"):
        return []
    found: list[Region] = []
    for one in xmp.read(packet.rstrip(b"\0"), held.size_wh, held.orientation, name):
        if one.kind in ("Face", ""):
            found = _joined(found, [Region(one.name, one.box, source)])
    return found


def _joined(first: Sequence[Region], second: Iterable[Region]) -> list[Region]:
    """Both, each face once; a name goes before none."""
    found = list(first)
    for one in second:
        same = [i for i, other in enumerate(found) if overlap(one.box, other.box) >= 0.5]
        if not same:
            found.append(one)
        elif found[same[0]].name is None and one.name is not None:
            found[same[0]] = one
    return found


@checked
def write_regions(
    path: str | os.PathLike[str], regions: Sequence[Region], *, into: str = "sidecars"
) -> Written:
    """Note faces with names for photo programs.

    What is noted already stays: a face that has a name keeps it, one without gets it. Everything
    else in the file stays as it is, byte for byte.

    Args:
        path: of the photo.
        regions: with names.
        into: "sidecars": "a.jpg.xmp" beside the photo, or the sidecar that is there; "files": the
            photo itself (JPEG, PNG, WebP).

    Raises:
        ImageError: it is no photo of a kind that holds XMP, or damaged.
        OptionError: it is of a kind that is not written, or its XMP does not fit into it.
        DataError: it or what belongs to it cannot be read.
    """
    if into not in INTO:
        raise OptionError(f"expected one of {', '.join(INTO)}, got {into!r}", option="into")
    photo = Path(path)
    data = _bytes_of(photo, MOST_PHOTO_BYTES)
    held = held_in(data, str(photo))
    sidecar = _sidecar(photo)
    if into == "files":
        target, packet = photo, held.packet
        if held.extended:
            raise OptionError(
                f"{photo}: its XMP goes on in further pieces (extended XMP), which are only read: "
                "write a sidecar"
            )
    else:
        target = photo.with_name(photo.name + ".xmp") if sidecar is None else sidecar
        packet = b"" if sidecar is None else _bytes_of(sidecar, MOST_BYTES)
    there = (
        xmp.read(packet.rstrip(b"\0"), held.size_wh, held.orientation, str(target))
        if packet.strip(b"\0 \r\n\t")
        else []
    )
    elsewhere = [one for one in read_regions(photo) if one.name is not None]
    new, gone, kept, known = _changes(regions, there, elsewhere, into)
    if new:
        packet = xmp.with_regions(
            packet.rstrip(b"\0"), new, gone, held.size_wh, held.orientation, str(target)
        )
        if into == "sidecars":
            write_atomically(target, packet)
        else:
            _replace(target, with_packet(data, packet, str(photo)))
    return Written(target, tuple(who for who, _ in new), tuple(kept), known)


def _replace(photo: Path, data: bytes) -> None:
    """Write a photo anew, with the rights that it has; of a link what it leads to."""
    try:
        target = Path(os.path.realpath(photo))
        with replacing(target) as file:
            file.write(data)
            shutil.copymode(target, file.name)
    except OSError as error:
        raise OptionError(
            f"{photo}: cannot be written ({error.strerror}): write a sidecar, or see to its rights"
        ) from error


def _changes(
    regions: Sequence[Region], there: Sequence[xmp.Found], elsewhere: Sequence[Region], into: str
) -> tuple[list[tuple[str, Box]], list[xmp.Found], list[str], int]:
    """What is added, what it replaces, what is not written, and how many are there already.

    ``there`` are those of the place that is written to, ``elsewhere`` all that are read.
    """
    new: list[tuple[str, Box]] = []
    gone: list[xmp.Found] = []
    kept: list[str] = []
    known = 0
    for region in regions:
        if region.name is None:
            continue
        _check_name(region.name)
        same = [one for one in there if is_same_face(region.box, one.box)]
        names = {one.name for one in same if one.name is not None}
        others = {one.name for one in elsewhere if is_same_face(region.box, one.box)}
        if region.name in names or (region.name in others and into == "sidecars"):
            known += 1
        elif (names | others) - {region.name}:
            kept.append(region.name)
        else:
            gone += [one for one in same if one not in gone]
            new.append((region.name, region.box))
    return new, gone, kept, known


def _check_name(name: str) -> None:
    if not name.strip() or any(ord(letter) < 32 or letter in "\ufffe\uffff" for letter in name):
        raise OptionError(f"expected a name that XML can hold, got {name!a}", option="name")


def _sidecar(photo: Path) -> Path | None:
    """The sidecar of a photo: "a.jpg.xmp", else "a.xmp"; None: there is none."""
    for other in (photo.with_name(photo.name + ".xmp"), photo.with_suffix(".xmp")):
        if other.is_file():
            return other
    return None


def _bytes_of(path: Path, at_most: int) -> bytes:
    try:
        return read_regular(path, at_most=at_most)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path}: cannot be read ({reason})", hint="check the path and its rights"
        ) from error


@checked
def match(boxes: Sequence[Any], size_wh: tuple[int, int], regions: Sequence[Region]) -> list[int]:
    """Which region each found face is.

    Args:
        boxes: of N faces: left, top, right, bottom in pixels.
        size_wh: of the photo as it is shown.
        regions: of the photo.

    Returns:
        For each face the number of its region, -1 where there is none; no region has two faces.
    """
    width, height = size_wh
    shares = [(b[0] / width, b[1] / height, b[2] / width, b[3] / height) for b in boxes]
    pairs = sorted(
        (
            (overlap(share, region.box), i, j)
            for i, share in enumerate(shares)
            for j, region in enumerate(regions)
            if is_same_face(share, region.box)
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    found = [-1] * len(boxes)
    taken: set[int] = set()
    for _, i, j in pairs:
        if found[i] < 0 and j not in taken:
            found[i] = j
            taken.add(j)
    return found
