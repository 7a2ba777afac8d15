"""Exports in JSON lines that somebody sent: imported, looked at, exported again, migrated."""

from __future__ import annotations

import base64
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from costly import FILES, png, tiff
from PIL import Image

from doors import people
from doors.case import Case, Door
from doors.damage import NUMBERS, TEXTS, anything, changed, damaged, enormous, nested, special_file
from doors.pictures import encode
from doors.terminal import RAW
from lineament import Gallery, LineamentError


def taken_in(case: Case, path: Path, *, look: bool = True) -> bool:
    """Import a file into a gallery with one person, and see that all of it or nothing came.

    Args:
        case: for the gallery.
        path: of the export.
        look: use the gallery afterwards, by all that there is.
    """
    folder = people.copied(case, "empty")
    with Gallery.open(folder) as gallery:
        gallery.enroll_samples([("Somebody", people.new_sample(99, 0))], force=True)
        before = people.contents(gallery)
        case.start()
        try:
            report = gallery.import_(path)
        except LineamentError as error:
            case.say(f"{type(error).__name__}: {error}")
            case.expect(people.contents(gallery) == before, "refused, but something came in")
            people.use(case, gallery)
            return _worded(case, error)
        case.say(report)
        if not look:
            return True
        people.use(case, gallery)
    with Gallery.open(folder) as gallery:  # the index from its files
        people.use(case, gallery)
    return True


def _worded(case: Case, error: LineamentError) -> bool:
    words = str(error)
    case.expect("check the disk" not in words, f"a misleading message: {words}")
    if RAW.search(words):
        case.escapes.append(f"a raw message: {words[:300]!r}")
    return False


def _written(case: Case, made: list[Any]) -> bool:
    return taken_in(case, case.file("in.jsonl", people.as_bytes(made)))


def any_value(case: Case) -> bool:
    """Something in one line is something else."""
    made = people.lines(case.rng)
    at = int(case.rng.integers(len(made)))
    made[at] = changed(made[at], case.rng, times=int(case.rng.integers(1, 3)))
    return _written(case, made)


def damaged_bytes(case: Case) -> bool:
    """Bytes of the file are others."""
    data = damaged(people.as_bytes(people.lines(case.rng)), case.rng)
    return taken_in(case, case.file("in.jsonl", data))


def times(case: Case) -> bool:
    """When somebody came, or a sample."""
    made = people.lines(case.rng)
    where = case.pick([*people.people_in(made), *people.samples_in(made)])
    where["created" if "created" in where else "added"] = case.pick(NUMBERS)
    return _written(case, made)


def quality_and_boxes(case: Case) -> bool:
    """Numbers of a face."""
    made = people.lines(case.rng)
    face = case.pick(people.samples_in(made))["face"]
    value = case.pick(NUMBERS)
    kind = case.rng.integers(6)
    if kind < 2:
        face["quality"][case.pick(list(face["quality"]))] = value
    elif kind == 2:
        face["box_xyxy"][int(case.rng.integers(4))] = value
    elif kind == 3:
        face[case.pick(["norm", "score", "turned_deg"])] = value
    elif kind == 4:
        face["landmarks_xy"][int(case.rng.integers(5))][0] = value
    else:
        face["landmarks_xy"] = case.pick(
            [[], [[1, 2]] * 6, [[1]] * 5, [[]] * 5, [[1, 2]] * 100_000]
        )
    return _written(case, made)


def names(case: Case) -> bool:
    """Who somebody is called."""
    made = people.lines(case.rng)
    one = case.pick(people.people_in(made))
    old, new = one["name"], case.pick(["", "Ada", "Zoe"]) + case.pick(TEXTS)
    one["name"] = new
    for sample in people.samples_in(made):
        if sample["person"] == old:
            sample["person"] = new
    return _written(case, made)


def metadata(case: Case) -> bool:
    """What is said of somebody or of a photo."""
    made = people.lines(case.rng)
    where = case.pick([*people.people_in(made), *people.samples_in(made)])
    where["metadata"] = case.pick(
        [
            anything(case.rng),
            {case.pick(TEXTS): anything(case.rng)},
            {"n": case.pick(NUMBERS)},
            {"deep": nested(int(case.rng.choice([50, 900])))},
            {f"k{i}": i for i in range(5000)},
            {"long": "x" * 2_000_000},
            {"a": 1, "A": 2, "a ": 3},
        ]
    )
    return _written(case, made)


def sources(case: Case) -> bool:
    """Where a photo is said to be."""
    made = people.lines(case.rng)
    sample = case.pick(people.samples_in(made))
    sample["source"] = case.pick([*TEXTS, "/dev/zero", "http://127.0.0.1:9/x", "data:,x"])
    if case.chance(0.5):
        sample["source_bytes"] = case.pick(
            [b"caf\xe9".hex(), b"\x1b[2J".hex(), "", "zz", b"\0".hex(), b"a\nb".hex(), "00" * 5000]
        )
    return _written(case, made)


def vectors(case: Case) -> bool:
    """The embedding itself."""
    made = people.lines(case.rng)
    sample = case.pick(people.samples_in(made))
    vector = people.vector_of(0).copy()
    kind = case.rng.integers(9)
    if kind == 0:
        vector[:] = 0
    elif kind == 1:
        vector[3] = np.nan
    elif kind == 2:
        vector[3] = np.inf
    elif kind == 3:
        vector *= 1e-30
    elif kind == 4:
        vector *= 1e19
    elif kind == 5:
        vector = vector[:-1]
    elif kind == 6:
        vector = np.tile(vector, 1000)
    elif kind == 7:
        vector = vector[:0]
    else:
        vector *= 1.5
    sample["vector"] = base64.b64encode(vector.tobytes()[: -1 if kind == 5 else None]).decode()
    return _written(case, made)


def contract(case: Case) -> bool:
    """How the embeddings are said to be made."""
    made = people.lines(case.rng)
    made[0] = changed(made[0], case.rng)
    return _written(case, made)


CROPS = (
    lambda rng: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 112 112\n(x) run\nshowpage\n",
    lambda rng: (
        b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, 60, 0, 0, 0, 0) + b"\0\0%!PS-Adobe-3.0"
    ),
    lambda rng: encode(Image.new("RGB", (112, 112)), "GIF"),
    lambda rng: encode(Image.new("RGB", (112, 112)), "JPEG"),
    lambda rng: encode(Image.new("RGB", (112, 112)), "TIFF"),
    lambda rng: encode(Image.new("RGB", (112, 112)), "PDF"),
    lambda rng: encode(Image.new("RGB", (112, 112)), "ICO"),
    lambda rng: people.png(rng, 111),
    lambda rng: people.png(rng, 1),
    lambda rng: people.png(rng, 2000),
    lambda rng: people.png(rng, 112, "RGBA"),
    lambda rng: people.png(rng, 112, "P"),
    lambda rng: people.png(rng, 112, "L"),
    lambda rng: encode(Image.new("I;16", (112, 112)), "PNG"),
    lambda rng: png(30_000, 30_000, 1, 0),
    lambda rng: png(10_900, 10_900, 8, 6)[:400],
    lambda rng: png(112, 112, 16, 6),
    lambda rng: _with_text(people.png(rng)),
    lambda rng: people.png(rng)[:-20],
    lambda rng: people.png(rng) + bytes(5_000_000),
    lambda rng: b"",
    lambda rng: b"no picture",
    lambda rng: FILES["webp lossless"](),
    lambda rng: tiff(3000, 3000, bits=(32,), sample_format=3),
)
"""What is no aligned face, or one that costs."""


def _with_text(data: bytes) -> bytes:
    body = b"face\0\0" + zlib.compress(bytes(50_000_000))
    checksum = struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return data[:33] + struct.pack(">I", len(body)) + b"zTXt" + body + checksum + data[33:]


def crops(case: Case) -> bool:
    """The kept face."""
    made = people.lines(case.rng)
    sample = case.pick(people.samples_in(made))
    sample["crop"] = base64.b64encode(case.pick(CROPS)(case.rng)).decode()
    return _written(case, made)


def identity(case: Case) -> bool:
    """Who belongs to whom: doubled, missing, in another order."""
    made = people.lines(case.rng)
    kind = case.rng.integers(8)
    samples = people.samples_in(made)
    if kind == 0:
        samples[0]["uid"] = samples[-1]["uid"]
    elif kind == 1:
        made.insert(1, made.pop())
    elif kind == 2:
        made = [made[0], *made[1:], *made[1:]]
    elif kind == 3:
        samples[0]["uid"] = case.pick(["", "00", "00" * 16, "zz" * 16, "00" * 17, "0" * 31])
    elif kind == 4:
        samples[0]["person"] = "Nobody"
    elif kind == 5:
        samples[0]["sha256"] = case.pick(["", "00", "00" * 33, "zz" * 32, None])
    elif kind == 6:
        made = [made[0]]
    else:
        made[1]["sample"] = samples[0]
    return _written(case, made)


def long_lines(case: Case) -> bool:
    """A line of many megabytes, or a file without an end of a line."""
    head = people.as_bytes(people.lines(case.rng)[:1])
    kind = case.rng.integers(4)
    size = int(case.rng.choice([30, 200])) << 20
    path = case.folder / "in.jsonl"
    with path.open("wb") as file:
        if kind == 0:
            file.truncate(size)  # zeros, no end of a line
        elif kind == 1:
            file.write(head)
            file.truncate(size)
        elif kind == 2:
            file.write(head + b'{"person":{"name":"A","created":1,"metadata":{"a":"')
            for _ in range(size >> 20):
                file.write(b"x" * (1 << 20))
            file.write(b'"}}}\n')
        else:
            file.write(head + b'{"person":{"name":"A","created":1,"metadata":{"a":')
            file.write(b"[" * (size >> 6) + b"]" * (size >> 6) + b"}}}\n")
    return taken_in(case, path)


def special_files(case: Case) -> bool:
    """In the place of the file stands something else."""
    path = special_file(
        case, "in.jsonl", "in{}.jsonl", b"{}\n", lambda path: path.symlink_to("in.jsonl")
    )
    return taken_in(case, path)


def migrated(case: Case) -> bool:
    """Embedded anew, from crops and photos that are not what they are said to be."""
    made = people.lines(case.rng, 2, 1, crops=False)
    first, second = people.samples_in(made)
    if case.chance(0.5):
        first["crop"] = base64.b64encode(case.pick(CROPS)(case.rng)).decode()
    else:
        path = case.folder / "photo.jpg"
        kind = case.rng.integers(5)
        if kind == 0:
            os.mkfifo(path)
        elif kind == 1:
            path = Path("/dev/zero")
        elif kind == 2:
            path.write_bytes(FILES[case.pick(["webp lossless", "png rgba 16"])]())
        elif kind == 3:
            path.symlink_to("/dev/zero")
        else:
            enormous(path, 3 << 30)
        first["source"] = str(path)
    second["face"] = changed(second["face"], case.rng) if case.chance(0.3) else second["face"]
    file = case.file("in.jsonl", people.as_bytes(made))
    recognizer = people.recognizer()
    folder = people.copied(case, "empty")
    case.bound_mb = 900.0
    with Gallery.open(folder) as gallery:
        case.start()
        gallery.import_(file)
        report = gallery.migrate(recognizer)
        case.say(report)
        case.expect(gallery.contract == recognizer.embedder.contract, "not migrated")
        people.contents(gallery)
        gallery.export(case.folder / "out.jsonl")
        case.expect(gallery.check() == [], f"check says {gallery.check()}")
    return True


def _prepare(home: Path, seed: int) -> Path:
    people.recognizer()
    return people.prepare(home, seed)


DOOR = Door(
    "exports",
    (
        any_value,
        times,
        quality_and_boxes,
        names,
        any_value,
        metadata,
        sources,
        vectors,
        any_value,
        contract,
        crops,
        identity,
        damaged_bytes,
        crops,
        special_files,
        any_value,
        migrated,
        damaged_bytes,
        long_lines,
    ),
    cases=900,
    bound_mb=400.0,
    prepare=_prepare,
)
