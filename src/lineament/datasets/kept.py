"""What lies in the cache folder: listed, cleared, and forgotten photo by photo.

embeddings/  vectors of photos that were evaluated, plotted, tuned on or looked through
weights/     networks that were downloaded
other        whatever else is there
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.datasets.cache import state_of
from lineament.errors import OptionError
from lineament.files import sha256_of_file, write_atomically
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
    for kind in KINDS[:2]:
        found += [_entry(kind, path) for path in _children(root / kind)]
    found += [_entry("other", path) for path in _children(root) if path.name not in KINDS[:2]]
    return found


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
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
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
    arrays = _arrays(file)
    if arrays is None:
        return 0
    keys: list[str] = json.loads(str(arrays["paths"]))
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
    kept: dict[str, npt.NDArray[Any]] = {}
    counts = arrays.get("counts")
    rows = left if counts is None else np.repeat(left, counts)
    for name, values in arrays.items():
        if name == "paths":
            kept[name] = np.array(
                json.dumps([k for k, keep in zip(keys, left, strict=True) if keep])
            )
        else:  # what is of photos, and what is of their faces
            kept[name] = values[left if name in ("states", "counts") or counts is None else rows]
    written = io.BytesIO()
    np.savez(written, **kept)  # type: ignore[arg-type]
    write_atomically(file, written.getvalue())
    return len({key.partition("\0")[0] for key, out in zip(keys, gone, strict=True) if out})


def _arrays(file: Path) -> Mapping[str, npt.NDArray[Any]] | None:
    """The arrays of a file of embeddings; None when it is broken, or none."""
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as read:
            arrays = {name: read[name] for name in read.files}
        n = len(json.loads(str(arrays["paths"])))
        return arrays if arrays["states"].shape == (n, 2) else None
    except Exception:  # a broken archive raises a dozen kinds, and none matters here
        return None


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
    files = [path] if not path.is_dir() else [each for each in path.rglob("*") if each.is_file()]
    states = []
    for each in files:
        try:
            states.append(os.stat(each))  # noqa: PTH116  (follows no rule of Path's)
        except OSError:  # it was removed meanwhile
            continue
    n_photos = None
    if kind == "embeddings":
        arrays = _arrays(path)
        if arrays is not None:
            keys = json.loads(str(arrays["paths"]))
            n_photos = len({key.partition("\0")[0] for key in keys})
    return CacheEntry(
        kind=kind,
        path=str(path),
        bytes=sum(state.st_size for state in states),
        used=max((state.st_mtime for state in states), default=0.0),
        n_photos=n_photos,
    )
