"""What lies in the cache folder: listed, cleared, and forgotten photo by photo.

embeddings/  vectors of photos that were evaluated, plotted, tuned on or looked through
weights/     networks that were downloaded
other        whatever else is there
"""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.datasets.cache import read_cache, state_of
from lineament.errors import OptionError
from lineament.files import is_real_folder, remove_all, sha256_of_file, write_atomically
from lineament.models import cache_folder
from lineament.results import Outcome

KINDS = ("embeddings", "weights", "other")


@dataclass(frozen=True, slots=True)
class CacheEntry(Outcome):
    """One file or folder of the cache folder.

    Attributes:
        kind: one of ``KINDS``.
        path: where it is.
        bytes: how much room it takes.
        used: when it was last used or written, seconds since 1970, UTC.
        n_photos: of how many photos it has the embeddings; None for other kinds, or a broken file.
    """

    kind: str
    path: str
    bytes: int
    used: float
    n_photos: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


def cache_entries(folder: Path | None = None) -> list[CacheEntry]:
    """What is in the cache folder, by kind and name; [] when there is no such folder.

    Args:
        folder: None takes ``cache_folder()``.
    """
    root = cache_folder() if folder is None else folder
    found = []
    inside = [root / kind for kind in KINDS[:2] if is_real_folder(root / kind)]
    for folder_of_kind in inside:
        found += [_entry(folder_of_kind.name, path) for path in _children(folder_of_kind)]
    # A link in the place of such a folder leads to what is not the cache's.
    return found + [_entry("other", path) for path in _children(root) if path not in inside]


def clear_cache(kinds: Collection[str] = KINDS, folder: Path | None = None) -> list[CacheEntry]:
    """Remove what is in the cache folder; what that was.

    Args:
        kinds: some of ``KINDS``.
        folder: None takes ``cache_folder()``.

    Raises:
        OptionError: no such kind, or something cannot be removed.
    """
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise OptionError(
            f"expected {', '.join(KINDS)}, got {', '.join(sorted(unknown))}", option="kinds"
        )
    gone = []
    for entry in cache_entries(folder):
        if entry.kind not in kinds:
            continue
        path = Path(entry.path)
        try:
            remove_all(path)
        except OSError as error:
            raise OptionError(f"{path}: cannot be removed ({error.strerror})") from error
        gone.append(entry)
    return gone


def forget_photos(photos: Iterable[tuple[str, bytes | None]], folder: Path | None = None) -> int:
    """Remove the embeddings of photos from the cache: of these paths, and of copies of these files.

    A copy is found when the photo itself is still where it was, since only then its size is known.

    Args:
        photos: path and SHA-256 (None: not known) of each.
        folder: None takes ``cache_folder()``.

    Returns:
        How many photos were forgotten; each counts once for each file of embeddings.
    """
    paths, digests, sizes = set(), set(), set()
    for source, sha256 in photos:
        if source:
            paths.add(str(Path(source).absolute()))
        state = state_of(source) if source else None
        if sha256 is not None and state is not None:
            digests.add(sha256)
            sizes.add(state[0])
    if not paths:
        return 0
    root = (cache_folder() if folder is None else folder) / "embeddings"
    return sum(
        _forget(path, paths, digests, sizes) for path in _children(root) if path.suffix == ".npz"
    )


def _forget(file: Path, paths: set[str], digests: set[bytes], sizes: set[int]) -> int:
    try:
        keys, arrays = read_cache(file)
        counts = arrays.get("counts")
        n = len(keys) if counts is None else sum(counts.tolist())
        lengths = {"states": len(keys), "counts": len(keys)}
        if any(len(values) != lengths.get(name, n) for name, values in arrays.items()):
            return 0
        if counts is not None and (counts.dtype != np.int64 or (counts < 0).any()):
            return 0
    except Exception:  # a broken archive raises a dozen kinds, and none matters here
        return 0
    states = arrays["states"].tolist()
    gone = []
    for key, (size, _) in zip(keys, states, strict=True):
        path = key.partition("\0")[0]
        gone.append(
            path in paths
            or (size in sizes and state_of(path) is not None and _sha(path) in digests)
        )
    if not any(gone):
        return 0
    left = ~np.array(gone, bool)
    names = [key for key, keep in zip(keys, left, strict=True) if keep]
    kept: dict[str, npt.NDArray[Any]] = {"paths": np.array(json.dumps(names))}
    rows = left if counts is None else np.repeat(left, counts)
    for name, values in arrays.items():
        # What is of photos, and what is of their faces.
        kept[name] = values[left if name in lengths or counts is None else rows]
    written = io.BytesIO()
    np.savez(written, **kept)  # type: ignore[arg-type]
    write_atomically(file, written.getvalue())
    return len({key.partition("\0")[0] for key, out in zip(keys, gone, strict=True) if out})


def _sha(path: str) -> bytes:
    try:
        return sha256_of_file(path)
    except OSError:
        return b""


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _entry(kind: str, path: Path) -> CacheEntry:
    states = []
    for each in path.rglob("*") if is_real_folder(path) else [path]:
        try:
            states.append(each.lstat())
        except OSError:  # it was removed meanwhile
            continue
    states = [state for state in states if not stat.S_ISDIR(state.st_mode)]
    n_photos = None
    if kind == "embeddings":
        with suppress(Exception):  # a broken archive raises a dozen kinds, and none matters here
            n_photos = len({key.partition("\0")[0] for key in read_cache(path)[0]})
    return CacheEntry(
        kind=kind,
        path=str(path),
        bytes=sum(state.st_size for state in states),
        used=max((state.st_mtime for state in states), default=0.0),
        n_photos=n_photos,
    )
