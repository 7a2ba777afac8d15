"""Checkpoints of others: whatever they hold is loaded, or is a CheckpointError."""

from __future__ import annotations

import copy
import io
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from changed_values import places
from made_faces import MadeFaces, made_config

from lineament.errors import CheckpointError
from lineament.train.model.checkpoint import (
    BEST,
    LAST,
    as_form,
    load_run,
    read_checkpoint,
    rebuilt,
    write_checkpoint,
)
from lineament.train.model.export_run import export_run
from lineament.train.run._components import Components
from lineament.train.run._distributed import World, world_of
from lineament.train.run._state import Saved, check_state, restore_state
from lineament.train.run.loop import fit, resume

FACES = MadeFaces(people=4, photos=4)
OPTIONS = ("backbone.name=tiny", "run.epochs=1", "ema.decay=0.9", "optimizer.name=adamw")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that is done."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    fit(made_config(folder, *OPTIONS), faces=FACES)
    return folder


@pytest.fixture(scope="module")
def saved(run: Path) -> dict[str, Any]:
    return read_checkpoint(run / LAST)


def changed(value: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy in which ``change`` was called with what holds the last key, and that key."""
    if not path:
        return value
    new = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        change(new, path[0])
    else:
        new[path[0]] = changed(value[path[0]], path[1:], change)
    return tuple(new) if isinstance(value, tuple) else new


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def doubling(levels: int) -> Any:
    """2^levels values, in a file of a few hundred bytes."""
    value: Any = [0]
    for _ in range(levels):
        value = [value, value]
    return value


HOSTILE: dict[str, Any] = {
    "none": None,
    "true": True,
    "minus": -1,
    "huge": 10**18,
    "beyond": 10**40,
    "float": 0.5,
    "nan": float("nan"),
    "infinite": float("inf"),
    "text": "\x1b[2J",
    "list": [],
    "dict": {},
    "lists": [[1], [2]],
    "deep": deep(100),
    "doubling": doubling(40),
    "tensor": torch.zeros(3),
    "scalar": torch.tensor(1.0),
    "expanded": torch.zeros(1).expand(10**6, 10**6),
    "complex": torch.zeros(2, dtype=torch.complex64),
    "sparse": torch.zeros(4, 4).to_sparse(),
    "meta": torch.zeros(10**6, 10**6, device="meta"),
    "nan tensor": torch.full((3,), torch.nan),
    "bytes": bytearray(4),
}


def changes() -> Iterator[tuple[str, Callable[[Any, Any], None]]]:
    def delete(holder: Any, key: Any) -> None:
        del holder[key]

    def rename(holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            holder[f"{key}s"] = holder.pop(key)

    def add(holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            holder[f"another {key}"] = holder[key]
        else:
            holder.append(holder[key])

    def resize(holder: Any, key: Any) -> None:
        if isinstance(holder[key], torch.Tensor):
            holder[key] = torch.cat([holder[key].reshape(-1), torch.zeros(1)])

    def spoil(holder: Any, key: Any) -> None:
        if isinstance(holder[key], torch.Tensor) and holder[key].is_floating_point():
            holder[key] = torch.full_like(holder[key], torch.nan)

    yield from (("delete", delete), ("rename", rename), ("add", add))
    yield from (("resize", resize), ("spoil", spoil))
    for name, value in HOSTILE.items():
        yield name, lambda holder, key, value=value: holder.__setitem__(key, value)


class Restoring:
    """What a run does with a checkpoint before it goes on."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder, self.world = folder, world
        self.config = made_config(folder, *OPTIONS)
        self.components: Components | None = None

    def __call__(self) -> None:
        notes: list[str] = []
        saved = as_form(read_checkpoint(self.folder / LAST), Saved, self.folder / LAST)
        check_state(saved, self.folder, self.config, FACES, self.world)
        old = rebuilt(saved.origin, saved.backbone, self.folder / LAST), saved.origin
        if self.components is None:
            self.components = Components(self.config, self.world, FACES, notes.append, old)
        restore_state(saved, self.folder, self.components, self.world, notes.append)


def test_every_value_is_checked(run: Path, saved: dict[str, Any], tmp_path: Path) -> None:
    """Some of the changes; ``test_every_change`` makes more."""
    try_changes(saved, run, tmp_path / "run", every=311)


@pytest.mark.slow
def test_every_change(run: Path, saved: dict[str, Any], tmp_path: Path) -> None:
    try_changes(saved, run, tmp_path / "run", every=19)


def try_changes(saved: dict[str, Any], run: Path, folder: Path, every: int) -> None:
    shutil.copytree(run, folder)
    refusals = []
    todo = [(path, name, change) for path in places(saved, most=30) for name, change in changes()]
    with world_of("cpu") as world:
        restore = Restoring(folder, world)
        restore()
        for path, name, change in todo[::every]:
            state = changed(saved, path, change)
            torch.save(state, folder / LAST)
            try:
                restore()
                load_run(folder, "last")
            except CheckpointError as error:
                refusals.append(str(error))
            except Exception as error:
                raise AssertionError(f"{path} {name}: {error!r}") from error
    assert all(str(folder) in text for text in refusals)
    assert not any("\x1b" in text for text in refusals)
    assert len(todo[::every]) > 15
    assert len(refusals) > len(todo[::every]) / 2


# --- files ----------------------------------------------------------------------------------------


def zipped(data: bytes, **parts: bytes) -> bytes:
    """A file as ``torch.save`` writes it, with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
        for name, content in parts.items():
            archive.writestr(f"archive/data/{name}", content)
    return file.getvalue()


class Reduced:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def packed(whole: bytes) -> bytes:
    """The same archive, compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(file, "w", 8) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return file.getvalue()


def doubled(whole: bytes) -> bytes:
    file = io.BytesIO(whole)
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"\x80\x02}.")
    return file.getvalue()


def in_tar(whole: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(whole)
            tar.addfile(entry, io.BytesIO(whole))
    return file.getvalue()


FILES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda whole: b"",
    "text": lambda whole: b"no checkpoint" * 9,
    "half": lambda whole: whole[: len(whole) // 2],
    "without its end": lambda whole: whole[:-3],
    "packed": packed,
    "a part twice": doubled,
    "a tar": in_tar,
    "a plain pickle": lambda whole: pickle.dumps({"lineament": 1}),
    "a call": lambda whole: zipped(pickle.dumps(Reduced(print, "called"), 2)),
    "a call of a system function": lambda whole: zipped(pickle.dumps(Reduced(os.getcwd), 2)),
    "many bytes": lambda whole: zipped(pickle.dumps(Reduced(bytearray, 10**12), 2)),
    "a later pickle": lambda whole: zipped(pickle.dumps({"a": Path()}, 4)),
    "an empty pickle": lambda whole: zipped(b""),
    "a pickle without end": lambda whole: zipped(b"\x80\x02]" + b"(" * 1000),
    "a pickle of rubbish": lambda whole: zipped(bytes(range(256))),
    "a list": lambda whole: zipped(pickle.dumps([1, 2], 2)),
    "another version": lambda whole: zipped(pickle.dumps({"lineament": 99}, 2)),
    "a version of another kind": lambda whole: zipped(pickle.dumps({"lineament": [1] * 999}, 2)),
    "only the version": lambda whole: zipped(pickle.dumps({"lineament": 1}, 2)),
    "a deep one": lambda whole: zipped(b"\x80\x02" + b"(" * 9000 + b"l" * 9000 + b"."),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_of_another_kind(run: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    for name in (LAST, BEST):
        (folder / name).write_bytes(FILES[kind]((run / name).read_bytes()))
    for attempt in (
        lambda: load_run(folder),
        lambda: load_run(folder / LAST),
        lambda: export_run(folder, tmp_path / "net.onnx"),
        lambda: resume(folder, faces=FACES),
    ):
        with pytest.raises(CheckpointError):
            attempt()
    assert not (tmp_path / "net.onnx").exists()


def test_damaged_files(run: Path, tmp_path: Path) -> None:
    """Any byte changed, any end cut off."""
    whole = (run / BEST).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / BEST
    for i in range(40):
        data = bytearray(whole)
        for _ in range(3):
            # Every other time in the first part, where the description lies.
            data[rng.integers(len(data) if i % 2 else 20_000)] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data))] if i % 10 == 0 else data)
        with suppress(CheckpointError):
            load_run(path)


def test_a_network_that_memory_has_no_room_for_is_not_built(
    saved: dict[str, Any], tmp_path: Path
) -> None:
    state = copy.deepcopy({k: v for k, v in saved.items() if k != "lineament"})
    state["origin"] |= {"name": "iresnet100", "dimension": 65536, "size_px": 1024}
    state["origin"]["options"] = {}
    write_checkpoint(tmp_path / LAST, state)
    with pytest.raises(CheckpointError, match="does not fit"):
        load_run(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LAST)
    with pytest.raises(CheckpointError, match="pipe"):
        load_run(tmp_path)
