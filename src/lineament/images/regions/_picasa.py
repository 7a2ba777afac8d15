"""``.picasa.ini``: the faces that Picasa found in the photos of a folder.

    [Contacts2]
    8e62398ebda8c1a5=Ada Lovelace;;
    [IMG_1.jpg]
    faces=rect64(3f845bcb59418507),8e62398ebda8c1a5;rect64(...),ffffffffffffffff

``rect64`` is left, top, right and bottom of the photo as it is shown, 16 bits each, 65,536 being
the whole side; zeros before it are left out. Names that stand in Picasa's own contacts alone, and
not in this file, are not known here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lineament.errors import DataError
from lineament.files import read_regular
from lineament.images.regions._frame import Box

NAMES: Final = (".picasa.ini", "Picasa.ini", "picasa.ini")
MOST_BYTES: Final = 64 << 20
_FACE: Final = re.compile(r"rect64\(([0-9a-fA-F]{1,16})\)\s*,\s*([0-9a-fA-F]{1,16})")


def read_ini(path: Path) -> dict[str, list[tuple[str | None, Box]]]:
    """Names of photos, in lower case -> the names and boxes of their faces.

    Photos that Picasa has turned by itself are left out: its boxes are of another turn than they.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        data = read_regular(path, at_most=MOST_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1].lower(), {})
        elif "=" in line:
            key, _, value = line.partition("=")
            section[key.strip().lower()] = value.strip()
    people = {
        key.rjust(16, "0"): value.partition(";")[0].strip()
        for key, value in sections.get("contacts2", {}).items()
    }
    found = {}
    for name, values in sections.items():
        if values.get("rotate", "rotate(0)") != "rotate(0)":
            continue
        faces = [
            (people.get(person.lower().rjust(16, "0")) or None, _box(rectangle))
            for rectangle, person in _FACE.findall(values.get("faces", ""))
        ]
        sound = [(who, box) for who, box in faces if box[0] < box[2] and box[1] < box[3]]
        if sound:
            found[name] = sound
    return found


def _box(digits: str) -> Box:
    bits = int(digits, 16)
    left, top, right, bottom = (bits >> shift & 0xFFFF for shift in (48, 32, 16, 0))
    return left / 65536, top / 65536, right / 65536, bottom / 65536
