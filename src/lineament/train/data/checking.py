"""Which photos of a set cannot be read, before a run of days meets them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from lineament.errors import LineamentError
from lineament.train.data.face_set import FaceSet, Selection, notes_of
from lineament.types import Progress

_AHEAD = 64


def check_faces(
    faces: FaceSet, *, progress: Progress | None = None, threads: int = 2
) -> list[tuple[str, str]]:
    """Decode every photo once.

    Args:
        faces: the set.
        progress: told how far it is.
        threads: decoders let Python's other threads run meanwhile.

    Returns:
        (name, reason) of those that cannot be read, in the set's order.
    """
    return [(faces.name(index), reason) for index, reason in _unreadable(faces, progress, threads)]


def without_unreadable(
    faces: FaceSet, *, progress: Progress | None = None, threads: int = 2
) -> FaceSet:
    """The same set without photos that cannot be read; ``notes`` says how many.

    Raises:
        DataError: none can be read.
    """
    bad = {index for index, _ in _unreadable(faces, progress, threads)}
    if not bad:
        return faces
    chosen = Selection(faces, [index for index in range(len(faces)) if index not in bad])
    first = faces.name(min(bad))
    chosen.notes = (
        *notes_of(faces),
        f"{len(bad):,} of {len(faces):,} photos cannot be read and were left out, such as {first}",
    )
    return chosen


def _unreadable(
    faces: FaceSet, progress: Progress | None, threads: int
) -> Iterator[tuple[int, str]]:
    def reason(index: int) -> str | None:
        try:
            faces.read(index)
        except LineamentError as error:
            return str(error)
        return None

    total = len(faces)
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="lineament") as pool:
        pending: deque[Future[str | None]] = deque()
        try:
            for index in range(total + _AHEAD):
                if index < total:
                    pending.append(pool.submit(reason, index))
                done = index - _AHEAD
                if not 0 <= done < total:
                    continue
                found = pending.popleft().result()
                if found is not None:
                    yield done, found
                if progress is not None:
                    progress(done + 1, total)
        finally:
            for future in pending:
                future.cancel()
