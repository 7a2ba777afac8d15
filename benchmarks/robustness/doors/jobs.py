"""Folders of our own that somebody else may have filled: jobs, caches, cut-out faces."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from doors.case import Case, Door
from doors.damage import anything, changed, damaged
from doors.people import recognizer
from lineament import LineamentError, demo_photos
from lineament.bulk import embed_many
from lineament.datasets.cache import EmbeddingCache
from lineament.datasets.kept import cache_entries, clear_cache, forget_photos


def _demo() -> list[Path]:
    found = demo_photos()
    return [Path(path) for path in (found.values() if isinstance(found, dict) else found)][:2]


def _place(case: Case, path: Path) -> None:
    """In the place of a file: a link to outside, a pipe, a folder, a device, other bytes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    path.unlink(missing_ok=True)
    kind = case.rng.integers(7)
    case.say(path.name, int(kind))
    if kind == 0:
        path.symlink_to(case.outside / case.pick(["letter.txt", "photo.jpg", "new"]))
    elif kind == 1:
        os.link(case.outside / case.pick(["letter.txt", "photo.jpg"]), path)
    elif kind == 2:
        os.mkfifo(path)
    elif kind == 3:
        path.mkdir()
    elif kind == 4:
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(damaged(data, case.rng))


def parts(case: Case) -> bool:
    """The folder of a job that was begun: gone on with."""
    out = case.folder / "out"
    suffix = case.pick([".npz", ".parquet"])
    shutil.copytree(case.shared[suffix], out)
    names = [
        *sorted(out.iterdir()),
        out / ".lock",
        out / ".lineament-1-00000000.tmp",
        out / f"part-000007{suffix}",
    ]
    case.may_read_outside = False
    for _ in range(int(case.rng.integers(1, 3))):
        _place(case, case.pick(names))
    case.start()
    report = embed_many(_demo(), out, recognizer(), suffix=None)
    case.expect(report.n_images >= 0 if hasattr(report, "n_images") else True, "no report")
    return True


def manifests(case: Case) -> bool:
    """What a job says of itself."""
    out = case.folder / "out"
    shutil.copytree(case.shared[".npz"], out)
    path = out / "manifest.json"
    values = changed(json.loads(path.read_bytes()), case.rng, times=int(case.rng.integers(1, 3)))
    path.write_text(json.dumps(values), errors="replace")
    embed_many(_demo(), out, recognizer(), resume=case.chance(0.7))
    return True


def records(case: Case) -> bool:
    """What a part says of its photos."""
    out = case.folder / "out"
    shutil.copytree(case.shared[".npz"], out)
    path = sorted(out.glob("part-*"))[0]
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    name = case.pick(list(arrays))
    if name == "images":
        note = changed(json.loads(str(arrays[name])), case.rng)
        arrays[name] = np.array(json.dumps(note).encode(errors="replace").decode())
    else:
        with np.errstate(all="ignore"):
            arrays[name] = case.pick(
                [
                    np.array(str(anything(case.rng))),
                    np.zeros(3),
                    np.zeros((2, 0)),
                    np.atleast_1d(arrays[name])[:0],
                ]
            )
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(buffer.getvalue())
    embed_many(_demo(), out, recognizer())
    return True


def caches(case: Case) -> bool:
    """The cache of embeddings: links and damage in it are passed over, never followed."""
    root = case.folder / "cache"
    (root / "embeddings").mkdir(parents=True)
    (root / "weights").mkdir()
    cache = EmbeddingCache({"a": 1}, 4, folder=root)
    photo = case.file("a.jpg", b"x" * 100)
    vector = np.array([[1, 0, 0, 0]], np.float32)
    cache.save([photo], vector, [1.0])
    path = cache.path
    names = [path, root / "embeddings" / "x.npz", root / "weights" / "x.onnx", root / "embeddings"]
    case.may_read_outside = False
    _place(case, case.pick(names))
    for do in (
        lambda: cache.load([photo]),
        lambda: cache_entries(root),
        lambda: cache.save([photo], vector, [1.0]),
        lambda: forget_photos([(str(photo), bytes(32))], root),
        lambda: clear_cache(folder=root),
    ):
        try:
            do()
        except LineamentError as error:
            case.say(str(error))
    return True


def cached_values(case: Case) -> bool:
    """A cache of the right form and wrong values."""
    root = case.folder / "cache"
    (root / "embeddings").mkdir(parents=True)
    cache = EmbeddingCache({"a": 1}, 4, folder=root)
    photo = case.file("a.jpg", b"x" * 100)
    cache.save([photo], np.array([[1, 0, 0, 0]], np.float32), [1.0])
    with np.load(cache.path, allow_pickle=False) as file:
        arrays: dict[str, Any] = {name: file[name] for name in file.files}
    name = case.pick(list(arrays))
    arrays[name] = case.pick(
        [
            np.full_like(arrays[name], np.nan) if arrays[name].dtype.kind == "f" else np.zeros(1),
            np.zeros((1 << 20, 2)),
            np.array("[" * 5000),
            np.array(json.dumps(anything(case.rng)).encode(errors="replace").decode()),
            np.zeros(0),
        ]
    )
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    cache.path.write_bytes(buffer.getvalue())
    kept = cache.load([photo])
    case.expect(np.isfinite(kept.vectors).all(), "vectors of the cache are not finite")
    cache_entries(root)
    forget_photos([(str(photo), bytes(32))], root)
    return True


def cut_out(case: Case) -> bool:
    """The folder that faces are cut into."""
    try:
        from lineament import FaceFinder
        from lineament.train.data.aligning import align_people
    except ImportError:
        return False
    photos = case.folder / "people"
    for i, path in enumerate(_demo()):
        (photos / f"P{i}").mkdir(parents=True)
        shutil.copy(path, photos / f"P{i}" / "a.jpg")
    out = case.folder / "crops"
    out.mkdir()
    (out / "P0").mkdir()
    case.may_read_outside = False
    for name in ("P0", "P0/a.png", "P1", "crops.json", "crops.csv"):
        if case.chance(0.4) and (out / name).parent.is_dir():
            _place(case, out / name)
    align_people(photos, out, FaceFinder())
    return True


def _prepare(home: Path, seed: int) -> dict[str, Path]:
    made = {}
    for suffix in (".npz", ".parquet"):
        made[suffix] = home / "templates" / suffix.strip(".")
        made[suffix].parent.mkdir(exist_ok=True)
        embed_many(_demo(), made[suffix], recognizer(), suffix=suffix)
    return made


DOOR = Door(
    "jobs",
    (parts, manifests, caches, records, parts, cached_values, caches, cut_out, parts),
    cases=400,
    bound_mb=300.0,
    prepare=_prepare,
)
