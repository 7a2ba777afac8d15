"""Galleries with made-up people, their exports, and what must hold of any gallery."""

from __future__ import annotations

import base64
import functools
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from doors.case import Case, Rng
from lineament import Contract, Embedding, Gallery, LineamentError, Recognizer
from lineament.gallery import NewSample, Settings

DIMENSION = 32
CONTRACT = Contract("made-up", "00" * 32, "arcface-112", "rgb", False, DIMENSION)
NAMES = ("Ada Lovelace", "Zoë", "李小龍", "O'Brien [x]")
QUALITY = {
    "size_px": 40.0,
    "sharpness": 0.2,
    "yaw_deg": 1.0,
    "pitch_deg": -2.0,
    "roll_deg": 3.0,
    "visible_share": 1.0,
    "brightness": 0.5,
    "contrast": 0.2,
    "norm": 11.0,
}


def vector_of(person: int, sample: int = 0) -> np.ndarray:
    """Of length 1; samples of one person are alike."""
    base = np.random.default_rng([7, person]).standard_normal(DIMENSION)
    own = np.random.default_rng([8, person, sample]).standard_normal(DIMENSION)
    mixed = base + 0.1 * own
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


def embedding(person: int, sample: int = 0) -> Embedding:
    """Of ``vector_of``."""
    return Embedding(vector_of(person, sample), 11.0, CONTRACT)


def png(rng: Rng, size: int = 112, mode: str = "RGB") -> bytes:
    """A picture of noise that deflates well."""
    pixels = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), np.uint8), 14, 0), 14, 1)
    picture = Image.fromarray(pixels).resize((size, size)).convert(mode)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def lines(rng: Rng, people: int = 3, samples: int = 2, *, crops: bool = True) -> list[Any]:
    """The lines of an export, as values for JSON."""
    head = {"lineament": "gallery", "version": 1, "contract": asdict(CONTRACT)}
    made: list[Any] = [head]
    for i in range(people):
        name = NAMES[i % len(NAMES)] + ("" if i < len(NAMES) else f" {i}")
        metadata = {"building": "AB"[i % 2], "number": i, "groups": ["night", "day"][: i % 3]}
        made.append({"person": {"name": name, "metadata": metadata, "created": 1.7e9 + i}})
        for j in range(samples):
            sample = {
                "person": name,
                "uid": rng.bytes(16).hex(),
                "source": f"/photos/{i}/{j}.jpg",
                "sha256": rng.bytes(32).hex(),
                "added": 1.7e9 + j,
                "face": {
                    "norm": 11.0,
                    "box_xyxy": [10.0, 20.0, 110.0, 140.0],
                    "score": 0.9,
                    "landmarks_xy": [[30, 50], [80, 50], [55, 75], [35, 100], [75, 100]],
                    "turned_deg": 0,
                    "quality": dict(QUALITY),
                },
                "metadata": {"camera": j},
                "vector": base64.b64encode(vector_of(i, j).tobytes()).decode(),
            }
            if crops:
                sample["crop"] = base64.b64encode(png(rng)).decode()
            made.append({"sample": sample})
    return made


def as_bytes(made: Sequence[Any]) -> bytes:
    """Lines as a file has them; NaN and Infinity as Python writes them."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in made)


def samples_in(made: Sequence[Any]) -> list[dict[str, Any]]:
    """The samples among lines."""
    return [line["sample"] for line in made if "sample" in line]


def people_in(made: Sequence[Any]) -> list[dict[str, Any]]:
    """The people among lines."""
    return [line["person"] for line in made if "person" in line]


def warm_tables() -> None:
    """Import what reads and writes tables: its memory is not the first case's."""
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401


@functools.cache
def recognizer() -> Recognizer:
    """One for all cases of a worker, loaded, and not by the first of them."""
    made = Recognizer("fast")
    made.analyze([np.zeros((200, 200, 3), np.uint8)])
    return made


def prepare(home: Path, seed: int) -> Path:
    """A folder with galleries to be copied: ``empty``, and ``full`` with four people."""
    warm_tables()
    place = home / "templates"
    settings = Settings(threshold=0.6, keep_crops=True)
    Gallery.create(place / "empty", CONTRACT, settings=settings).close()
    file = place / "full.jsonl"
    file.write_bytes(as_bytes(lines(np.random.default_rng(seed), 4)))
    with Gallery.create(place / "full", CONTRACT, settings=settings) as gallery:
        gallery.import_(file)
    return place


def copied(case: Case, which: str) -> Path:
    """A copy of one of these galleries, the case's own."""
    folder = case.folder / "gallery"
    shutil.copytree(case.shared / which, folder)
    return folder


def contents(gallery: Gallery) -> list[Any]:
    """All that a gallery says of its people."""
    return [
        (
            person.name,
            dict(person.metadata),
            person.created,
            [(s.id, s.source, s.sha256, s.box_xyxy, s.added) for s in full.samples],
        )
        for person in gallery.people()
        for full in [gallery.person(person.name)]
    ]


def use(case: Case, gallery: Gallery, *, finds: Sequence[tuple[int, int]] = ()) -> None:
    """Do what people do with a gallery; none of it may fail once something was let in.

    Args:
        case: for what is written.
        gallery: open.
        finds: (person, sample) of the made-up people who must be found by their own name.

    Raises:
        WrongError: something does not hold.
    """
    try:
        there = contents(gallery)
        names = [name for name, *_ in there]
        case.expect(len(set(names)) == len(names), f"a name comes twice: {names}")
        case.expect(gallery.n_people == len(names), f"{gallery.n_people} people of {len(names)}")
        paged, after = [], None
        while page := gallery.people(after=after, limit=2):
            paged += [person.name for person in page]
            after = page[-1].name
            case.expect(len(paged) <= len(names), f"the pages do not end: {paged[:9]}")
        case.expect(paged == names, f"by pages {paged}, at once {names}")
        repr(gallery)
        gallery._repr_html_()
        json.dumps(gallery.to_dict(), allow_nan=False)
        gallery.to_rows()
        gallery.to_pandas()
        gallery.metadata_keys()
        for name, _, _, samples in there:
            case.expect(name in gallery, f"{name!r} is not in it")
            repr(gallery.person(name))
            json.dumps(gallery.person(name).to_dict(), allow_nan=False)
            for number, *_ in samples:
                gallery.crop(number)
                gallery.embedding(number)
        for person, sample in finds:
            (found,) = gallery.identify_embeddings([embedding(person, sample)])
            case.expect(found.name == NAMES[person], f"{NAMES[person]} is taken for {found.name!r}")
        for name in ("out.jsonl", "out.parquet"):
            gallery.export(case.folder / name)
        problems = gallery.check()
        case.expect(problems == [], f"check says {problems}")
        for name in ("out.jsonl", "out.parquet"):
            with Gallery.create(
                ":memory:", gallery.contract, settings=Settings(keep_crops=True)
            ) as other:
                other.import_(case.folder / name)
                again = sorted(person.name for person in other.people())
                case.expect(again == sorted(names), f"{name} brings back {again}, not {names}")
    except LineamentError as error:
        case.expect(False, f"of what was let in: {type(error).__name__}: {error}")


def new_sample(person: int, sample: int) -> NewSample:
    """One of the made-up people's."""
    return NewSample(embedding(person, sample), source=f"/photos/{person}/{sample}.jpg")
