"""Embedding everything anew with another recognizer.

New samples stand beside the old ones, unseen by searches, until all that can be made are there;
then the gallery's contract changes and the old ones are overwritten, in one transaction. What was
interrupted is taken up again: a sample keeps its id that is unique over all galleries.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lineament.detect.boxes import intersection_over_union
from lineament.errors import ImageError
from lineament.files import read_regular
from lineament.gallery import _checking as checking
from lineament.gallery import _editing as editing
from lineament.gallery import lookup
from lineament.gallery._damage import pages
from lineament.gallery._schema import ask_erasing, contract_number, log_change, put
from lineament.gallery._state import GalleryState
from lineament.gallery._store import Store
from lineament.gallery._types import MigrationReport, NewSample
from lineament.gallery.values import read_metadata, read_time
from lineament.images import DEFAULT_LIMITS, decode_crop
from lineament.pipeline import Recognizer
from lineament.quality import quality_of
from lineament.recognizability import recognizability_of
from lineament.text import reason_of, stored
from lineament.types import Contract, Embedding, Face, Image, Quality

BATCH = 64
LEAST_OVERLAP = 0.4
"""Intersection over union of the face as it was enrolled and as it is found now."""


@dataclass(frozen=True, eq=False, slots=True)
class _Old:
    """A sample as it stands in the database."""

    id: int
    uid: bytes
    person: int
    added: float
    source: str
    sha256: bytes | None
    face: Face | None
    quality: Quality | None
    metadata: dict[str, Any]
    png: bytes | None


@dataclass(frozen=True, eq=False, slots=True)
class _Made:
    embedding: Embedding
    face: Face | None
    quality: Quality | None
    png: bytes | None
    from_crop: bool


def migrate(
    state: GalleryState,
    recognizer: Recognizer,
    progress: Callable[[int, int], None] | None = None,
) -> MigrationReport:
    """Embed every sample anew with another recognizer; see ``Gallery.migrate``."""
    store, index = state.store, state.index
    new = recognizer.embedder.contract
    with index.mutex:
        index.sync()
        old = store.contract
        with store.writing() as connection:
            number = contract_number(connection, new)
        if number == store.contract_id:
            return MigrationReport(old.id, new.id, 0, 0)
        crops = photos = 0
        failed: list[tuple[int, str]] = []
        passed_over: set[int] = set()
        with store.reading() as connection:
            (total,) = connection.execute(
                "SELECT count(*) FROM owners o WHERE o.contract <> ? AND NOT EXISTS (SELECT 1 "
                "FROM samples s JOIN uids u ON u.uid = s.uid WHERE s.id = o.sample AND "
                "u.contract = ?)",
                (number, number),
            ).fetchone()
        for batch, damaged in _batches(store, number):
            passed_over |= damaged
            made = _embed(batch, old, recognizer)
            with store.writing() as connection:
                for sample, result in zip(batch, made, strict=True):
                    if isinstance(result, str):
                        failed.append((sample.id, result))
                        continue
                    crops += result.from_crop
                    photos += not result.from_crop
                    editing.add_sample(
                        store,
                        connection,
                        sample.person,
                        number,
                        NewSample(
                            result.embedding,
                            sample.source,
                            sample.sha256,
                            result.face,
                            result.quality,
                            metadata=sample.metadata,
                        ),
                        uid=sample.uid,
                        added=sample.added,
                        png=result.png,
                    )
            if progress is not None:
                progress(crops + photos + len(failed) + len(passed_over), total)
        left = tuple(part for part in checking.parts(store) if part.sample in passed_over)
        _switch(store, number, new)
        index.rebuild()
        index.finish_erasing()
        index.save()
        infos = {info.id: info for info in lookup.samples_of(store, [i for i, _ in failed])}
    return MigrationReport(
        old.id,
        new.id,
        crops,
        photos,
        tuple((infos[number], reason) for number, reason in failed if number in infos),
        left,
    )


def _batches(store: Store, number: int) -> Iterator[tuple[list[_Old], set[int]]]:
    """Samples that are not embedded anew yet, of the gallery's contract or left by another.

    And the numbers of those that are passed over, since what is noted of them is damaged. One
    whose vector alone is damaged is embedded anew, and is sound again.
    """

    def unmade(after: int) -> list[int]:
        with store.reading() as connection:
            rows = connection.execute(
                "SELECT sample FROM owners WHERE sample > ? AND contract <> ? "
                "ORDER BY sample LIMIT ?",
                (after, number, BATCH),
            )
            return [row[0] for row in rows]

    for ids in pages(unmade, 0):
        with store.reading() as connection:
            sound = {info.id for info in lookup.samples_of(store, ids)}
            wanted = ("s.source", "s.sha256", "s.face", "s.metadata", "x.png")
            columns = ", ".join(map(store.column, wanted))
            rows = connection.execute(
                f"SELECT s.id, s.uid, o.person, s.added, {columns} FROM samples s JOIN owners o ON "
                "o.sample = s.id LEFT JOIN crops x ON x.sample = s.id WHERE s.id IN "
                "(SELECT value FROM json_each(?)) AND NOT EXISTS "
                "(SELECT 1 FROM uids u WHERE u.uid = s.uid AND u.contract = ?) ORDER BY s.id",
                (json.dumps(sorted(sound)), number),
            ).fetchall()
        batch = []
        for row in rows:
            seen, metadata = lookup.read_seen(row[6]), read_metadata(row[7])
            batch.append(
                _Old(
                    id=row[0],
                    uid=row[1],
                    person=row[2],
                    added=read_time(row[3]),
                    source=stored(row[4]) if isinstance(row[4], (str, bytes)) else "",
                    sha256=row[5] if isinstance(row[5], bytes) and len(row[5]) == 32 else None,
                    face=seen.face,
                    quality=seen.quality,
                    metadata={} if metadata is None else metadata,
                    png=row[8] if isinstance(row[8], bytes) else None,
                )
            )
        yield batch, set(ids) - sound


def _embed(batch: Sequence[_Old], old: Contract, recognizer: Recognizer) -> list[_Made | str]:
    """For each sample what was made of it, or why nothing was."""
    result: list[_Made | str] = ["no crop is kept"] * len(batch)
    embedder = recognizer.embedder
    if embedder.contract.alignment == old.alignment:
        found = [
            (i, _decoded(s.png, embedder.size_wh)) for i, s in enumerate(batch) if s.png is not None
        ]
        there = [(i, image) for i, image in found if image is not None]
        if there:
            vectors, norms = embedder.embed(np.stack([image for _, image in there]))
            made = [
                Embedding(vector, float(norm), embedder.contract)
                for vector, norm in zip(vectors, norms, strict=True)
            ]
            for (i, image), embedding in zip(there, made, strict=True):
                sample = batch[i]
                quality = sample.quality
                if quality is not None:
                    left = recognizability_of(embedding, image)
                    quality = replace(quality, norm=embedding.norm, recognizability=left)
                result[i] = _Made(embedding, sample.face, quality, sample.png, True)
    else:
        result = ["the crop that is kept was aligned in another way"] * len(batch)
    readable: deque[int] = deque()

    def photos() -> Iterator[bytes]:
        """One by one: they may be 64 MiB each."""
        for i, made_ in enumerate(result):
            if not isinstance(made_, str):
                continue
            one = _photo(batch[i])
            if isinstance(one, str):
                result[i] = f"{made_}, and {one}"
            else:
                readable.append(i)
                yield one

    for analysis in recognizer.stream(photos(), keep_crops=True):
        i = readable.popleft()
        sample = batch[i]
        if analysis.error is not None:
            result[i] = f"{result[i]}, and the photo cannot be read any more"
            continue
        at = _same_face(sample.face, analysis.faces)
        if at is None:
            result[i] = f"{result[i]}, and the face was not found again in the photo"
            continue
        assert analysis.crops is not None
        face, crop, embedding = analysis.faces[at], analysis.crops[at], analysis.embeddings[at]
        quality = quality_of(face, crop, embedding, analysis.size_wh)
        png = None if sample.png is None else editing.encoded(crop)
        result[i] = _Made(embedding, face, quality, png, False)
    return result


def _decoded(png: bytes | None, size_wh: tuple[int, int]) -> Image | None:
    if png is None:
        return None
    try:
        return decode_crop(png, "its crop", size_wh)
    except ImageError:
        return None


def _photo(sample: _Old) -> bytes | str:
    """Its bytes, if they are still those that were enrolled; else what is wrong."""
    if sample.sha256 is None or not sample.source:
        return "it has no photo"
    try:
        data = read_regular(sample.source, at_most=DEFAULT_LIMITS.max_bytes)
    except FileNotFoundError:
        return "the photo is not there any more"
    except (OSError, ValueError) as error:
        return f"the photo cannot be read ({reason_of(error)})"
    if hashlib.sha256(data).digest() != sample.sha256:
        return "the photo was changed"
    return data


def _same_face(face: Face | None, faces: Sequence[Face]) -> int | None:
    """Number of the face that is where the enrolled one was."""
    if face is None:
        return 0 if len(faces) == 1 else None
    if not faces:
        return None
    boxes = np.stack([other.box_xyxy for other in faces])
    shares = intersection_over_union(face.box_xyxy[None], boxes)[0]
    at = int(np.argmax(shares))
    return at if shares[at] >= LEAST_OVERLAP else None


def _switch(store: Store, number: int, contract: Contract) -> None:
    """From the old samples to the new ones, at once."""
    with store.writing() as connection:
        replaced = connection.execute(
            "SELECT s.id FROM samples s JOIN owners o ON o.sample = s.id WHERE s.contract <> ? AND "
            "EXISTS (SELECT 1 FROM uids u WHERE u.uid = s.uid AND u.contract = ?)",
            (number, number),
        ).fetchall()
        editing.drop_samples(store, connection, [int(row[0]) for row in replaced])
        put(connection, "contract", str(number))
        connection.execute(
            "UPDATE totals SET value = (SELECT count(*) FROM owners WHERE contract = ?) WHERE "
            "name = 'samples'",
            (number,),
        )
        log_change(connection, "contract", number, number)
        ask_erasing(connection)
    store.refresh()
