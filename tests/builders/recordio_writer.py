"""Writes sets as InsightFace has them: train.rec, train.idx, property, and names.json."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np

from lineament.errors import OptionError
from lineament.files import write_atomically
from lineament.images import describe_source
from lineament.train.data import FaceSet
from lineament.train.data._recordio import (
    _FIRST,
    _HEAD,
    _HEADER,
    _LAST,
    _MAGIC,
    _MIDDLE,
    _WHOLE,
    EXACT,
    MAGIC,
    MOST_LENGTH,
)
from lineament.train.data.shards import encoded


def write_recordio(
    faces: FaceSet, folder: str | os.PathLike[str], *, quality: int | None = None
) -> Path:
    """Write a set as InsightFace has them: ``train.rec``, ``train.idx``, ``property``.

    Photos are put in the order of their people, since a person's record can only name
    neighbors. The people's names go into ``names.json``.

    Args:
        faces: the set.
        folder: it is made if need be; no ``train.rec`` may be in it.
        quality: of JPEG, 1 to 100; None writes PNG, with exactly the same pixels.

    Returns:
        The path of ``train.rec``, which comes last: where it is, all is there.

    Raises:
        DataError: a photo cannot be read.
        OptionError: the folder cannot be written to, there is such a set already, or the set is too
            large for the format.
    """
    out = Path(folder)
    target = out / "train.rec"
    order = np.argsort(faces.labels, kind="stable").tolist()
    count, people = len(order), len(faces.people)
    if count + people >= EXACT:
        raise OptionError(
            f"expected fewer than {EXACT:,} photos and people, since this format keeps "
            f"numbers as float32, got {count + people:,}; write shards instead"
        )
    part = out / ".train.rec.part"
    offsets: list[int] = []
    size_hw = (0, 0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise OptionError(
                f"{describe_source(target)}: exists already; name another folder, or remove it"
            )
        try:
            with part.open("wb") as file:

                def write(number: int, labels: list[float], data: bytes) -> None:
                    offsets.append(file.tell())
                    many = len(labels) > 1
                    header = _HEADER.pack(
                        len(labels) if many else 0, 0.0 if many else labels[0], number, 0
                    )
                    more = struct.pack(f"<{len(labels)}f", *labels) if many else b""
                    file.write(record_bytes(header + more + data))

                write(0, [count + 1, count + 1 + people], b"")
                for number, i in enumerate(order, 1):
                    image = faces.read(i)
                    size_hw = image.shape[:2] if number == 1 else size_hw
                    write(number, [float(faces.labels[i])], encoded(image, quality))
                ends = np.cumsum(np.bincount(faces.labels, minlength=people)) + 1
                starts = np.r_[1, ends[:-1]]
                for label in range(people):
                    write(count + 1 + label, [float(starts[label]), float(ends[label])], b"")
            lines = "".join(f"{number}\t{offset}\n" for number, offset in enumerate(offsets))
            write_atomically(out / "train.idx", lines.encode())
            write_atomically(out / "property", f"{people},{size_hw[0]},{size_hw[1]}\n".encode())
            names = json.dumps(list(faces.people), ensure_ascii=False, indent=0)
            write_atomically(out / "names.json", names.encode("utf-8", "replace"))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OptionError(
            f"{describe_source(out)}: the set cannot be written ({error.strerror}); name a folder "
            "that you may write to, on a disk with space"
        ) from error
    return target


def record_bytes(data: bytes) -> bytes:
    """A record, cut where the magic number stands at a multiple of 4 in the data.

    Raises:
        OptionError: a part has more than ``MOST_LENGTH`` bytes.
    """
    cuts = []
    at = data.find(_MAGIC)
    while at >= 0:
        if at % 4 == 0:
            cuts.append(at)
        at = data.find(_MAGIC, at + (4 if at % 4 == 0 else 1))
    parts = []
    begin = 0
    for cut in [*cuts, len(data)]:
        parts.append(data[begin:cut])
        begin = cut + 4
    written = []
    for number, part in enumerate(parts):
        if len(part) > MOST_LENGTH:
            raise OptionError(
                f"expected a photo of at most {MOST_LENGTH:,} bytes, got {len(part):,}"
            )
        kind = _WHOLE
        if len(parts) > 1:
            kind = _FIRST if number == 0 else _LAST if number == len(parts) - 1 else _MIDDLE
        padding = bytes(-len(part) % 4)
        written.append(_HEAD.pack(MAGIC, kind << 29 | len(part)) + part + padding)
    return b"".join(written)
