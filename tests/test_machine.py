"""Processors and memory as containers grant them, and what is said when memory is short."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

import lineament
from lineament import machine
from lineament.errors import LineamentError, OutOfMemoryError
from lineament.finder import FaceFinder
from lineament.machine import Budget, memory_error
from lineament.models.runtime import Runtime, load_model

SOURCE = Path(lineament.__file__).parent
DEMO = SOURCE / "data" / "demo"
MB = 1 << 20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups that the test writes; the process is in "box/inner" of version 2."""
    root = tmp_path / "cgroup"
    (root / "box" / "inner").mkdir(parents=True)
    lines = tmp_path / "self"
    lines.write_text("0::/box/inner\n")
    read = machine._text
    own = {"/proc/self/cgroup": lines}
    monkeypatch.setattr(machine, "_GROUPS", root)
    monkeypatch.setattr(machine, "_text", lambda path: read(own.get(str(path), path)))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "host_processors", lambda: 64)
    machine._quota.cache_clear()
    yield root
    machine._quota.cache_clear()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "150000 100000"}, 2),
        ({"box/cpu.max": "300000 100000", "box/inner/cpu.max": "max 100000"}, 3),
        ({"box/inner/cpu.max": "10000 100000"}, 1),
        ({"box/cpu.max": "nonsense"}, 8),
        ({"cpu.max": "6400000 100000"}, 8),
    ],
)
def test_processors_are_those_that_the_container_has(
    groups: Path, files: dict[str, str], expected: int
) -> None:
    for name, text in files.items():
        (groups / name).write_text(text)
    assert machine.processors() == expected
    assert FaceFinder(runtime=Runtime()).workers == expected
    assert FaceFinder(runtime=Runtime(threads=5)).workers == 5


def test_limits_of_version_1(groups: Path, tmp_path: Path) -> None:
    (tmp_path / "self").write_text("4:cpu,cpuacct:/docker/a\n3:memory:/docker/a\n0::/\n")
    for controller in ("cpu", "memory"):
        (groups / controller / "docker" / "a").mkdir(parents=True)
    cpu, memory = groups / "cpu" / "docker" / "a", groups / "memory" / "docker" / "a"
    (cpu / "cpu.cfs_quota_us").write_text("-1")
    (cpu / "cpu.cfs_period_us").write_text("100000")
    assert machine.processors() == 8
    machine._quota.cache_clear()
    (cpu / "cpu.cfs_quota_us").write_text("250000")
    assert machine.processors() == 3
    (memory / "memory.limit_in_bytes").write_text(str(9223372036854771712))
    assert machine.memory_bytes() == machine._physical()
    (memory / "memory.limit_in_bytes").write_text(str(500 * MB))
    (memory / "memory.usage_in_bytes").write_text(str(300 * MB))
    (memory / "memory.stat").write_text(f"cache 5\ntotal_inactive_file {50 * MB}\n")
    assert machine.memory_bytes() == 500 * MB
    assert machine.free_bytes() == 250 * MB


def test_memory_is_the_least_of_all_groups_around(groups: Path) -> None:
    (groups / "box" / "memory.max").write_text(str(800 * MB))
    (groups / "box" / "memory.current").write_text(str(100 * MB))
    (groups / "box" / "inner" / "memory.max").write_text("max")
    assert machine.memory_bytes() == 800 * MB
    assert machine.free_bytes() == 700 * MB


def test_nobody_else_counts_processors() -> None:
    """One function knows what a container grants; all others ask it."""
    names = {"cpu_count", "process_cpu_count", "sched_getaffinity"}
    counting = {
        path.name
        for path in SOURCE.rglob("*.py")
        if any(name in path.read_text("utf-8") for name in names)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in names
    }
    assert counting <= {"machine.py"}
    pools = [
        (path.name, node.lineno)
        for path in SOURCE.rglob("*.py")
        if "ThreadPoolExecutor(" in path.read_text("utf-8")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "ThreadPoolExecutor"
        and not node.args
    ]
    assert pools == []  # without a number it takes the host's


def of_numpy() -> MemoryError:
    with pytest.raises(MemoryError) as caught:
        np.zeros(1 << 55, np.uint8)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        of_numpy(),
        RuntimeError("Exception from src/x.cpp:5:\nstd::bad_alloc"),
        RuntimeError("[CPU] MaxPool node: can't alloc"),
        RuntimeError("Resource temporarily unavailable"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("can't start new thread"),
        ImportError("libx.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OutOfMemoryError("before"),
    ],
    ids=lambda error: str(error)[:30] or "MemoryError",
)
def test_too_little_memory_is_said_so(error: Exception) -> None:
    made = memory_error(error, "to run")
    assert made is not None
    assert isinstance(made, MemoryError)
    assert made.code == "out_of_memory"
    if made is not error:
        assert made.message.startswith("not enough memory to run")
        assert "LINEAMENT_THREADS=1" in (made.hint or "")


def test_opencv_says_it_in_its_own_way() -> None:
    import cv2

    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((4, 4, 3), np.uint8), (1 << 20, 1 << 20))
    if "nsufficient memory" in str(caught.value):
        assert memory_error(caught.value) is not None


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shapes differ"), ValueError("out of memory"), OSError(errno.ENOENT, "no"),
     ImportError("No module named 'openvino'"), KeyError("bad_alloc")],
    ids=str,
)  # fmt: skip
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert memory_error(error) is None


def test_a_network_that_cannot_allocate(monkeypatch: pytest.MonkeyPatch) -> None:
    from lineament import models
    from lineament.models import runtime

    short = RuntimeError("node MaxPool:\nbad_alloc: can't alloc")

    def fails(*_: object) -> object:
        raise short

    monkeypatch.setattr(runtime, "_openvino_model", lambda *_: fails)
    monkeypatch.setattr(runtime, "_loaded", {})
    card = models.get("sface")
    network = load_model(card, runtime=Runtime("openvino"))
    with pytest.raises(OutOfMemoryError, match="to run the network sface"):
        network(np.zeros((1, 3, 112, 112), np.float32))
    short = RuntimeError("bad Interpolate")
    with pytest.raises(LineamentError, match=r"failed to run .* \(bad Interpolate\)") as caught:
        network(np.zeros((1, 3, 112, 112), np.float32))
    assert caught.value.code == "engine_failed"
    monkeypatch.setattr(runtime, "_openvino_model", fails)
    monkeypatch.setattr(runtime, "_loaded", {})
    short = RuntimeError("std::bad_alloc")
    with pytest.raises(OutOfMemoryError, match="to load the network sface"):
        load_model(card, runtime=Runtime("openvino"))


def test_a_photo_of_a_list_for_which_memory_does_not_suffice() -> None:
    class Hungry:
        def detect(self, image: object, options: object) -> list[object]:
            return [np.zeros(1 << 55, np.uint8)]

    (photo,) = FaceFinder(Hungry()).find([DEMO / "obama.jpg"])  # type: ignore[arg-type]
    assert isinstance(photo.error, OutOfMemoryError)
    assert "obama.jpg" in str(photo.error)


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v is obeyed on Linux")
@pytest.mark.parametrize("kilobytes", [1_000_000, 600_000, 400_000])
def test_the_command_line_under_a_limit(kilobytes: int) -> None:
    photos = f"{DEMO / 'obama.jpg'} {DEMO / 'obama2.jpg'}"
    done = subprocess.run(
        f"ulimit -v {kilobytes}; exec {sys.executable} -m lineament verify {photos}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=120,
        env={**os.environ, "LINEAMENT_ENGINE": "openvino"}, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: not enough memory"), done.stderr
    assert "bug" not in done.stderr
    assert "LINEAMENT_THREADS=1" in " ".join(done.stderr.split())


def test_a_budget_lets_one_in_whatever_its_size() -> None:
    budget = Budget(100)
    budget.take(500)
    budget.give(500)
    held, most = 0, 0
    start = Barrier(8)

    def hold(_: int) -> None:
        nonlocal held, most
        start.wait()
        for _ in range(50):
            budget.take(40)
            held += 40
            most = max(most, held)
            held -= 40
            budget.give(40)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(8)))
    assert 0 < most <= 100


def test_large_photos_are_decoded_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from lineament import finder as module

    monkeypatch.setattr(module, "free_bytes", lambda: 0)
    monkeypatch.setattr(module, "LEAST_ROOM_BYTES", module.BYTES_PER_PIXEL * 1_300_000)
    working, most = 0, 0

    class Counting:
        def detect(self, image: np.ndarray, options: object) -> list[object]:
            nonlocal working, most
            working += 1
            most = max(most, working)
            image.sum()
            working -= 1
            return []

    from PIL import Image as PILImage

    photos = [PILImage.new("RGB", (1000, 600)) for _ in range(12)]
    finder = FaceFinder(Counting(), runtime=Runtime(threads=6))  # type: ignore[arg-type]
    assert len(list(finder.stream(photos))) == 12
    assert 1 <= most <= 2


def test_without_avx_the_other_engine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    from lineament.models import runtime

    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert Runtime().resolved().engine == "onnxruntime"
    assert Runtime("openvino").resolved().engine == "openvino"
    monkeypatch.setattr(runtime, "_installed", lambda name: name != "onnxruntime")
    assert Runtime().resolved().engine == "openvino"  # it may do, and says what helps if not
    error = runtime._failed(RuntimeError("bad combination"), "yunet", "openvino")
    assert "AVX" in str(error)
    assert 'pip install "lineament[onnxruntime]"' in str(error)


def test_blocks_that_catch_all_do_not_call_it_something_else(tmp_path: Path) -> None:
    """A database, a file of embeddings and an array that memory does not suffice for."""
    import sqlite3

    from lineament.gallery._connection import translated

    with pytest.raises(OutOfMemoryError), translated(tmp_path):
        raise sqlite3.OperationalError("out of memory")

    class Hungry:
        def __array__(self, *_: object, **__: object) -> np.ndarray:
            return np.zeros(1 << 55, np.uint8)

    with pytest.raises(MemoryError):
        lineament.load_image(Hungry())  # type: ignore[arg-type]


def test_a_step_of_training_without_memory() -> None:
    pytest.importorskip("torch")
    from lineament.train.data import crops

    guard = next(
        value
        for value in vars(crops).values()
        if callable(value) and "What PyTorch raises about dead workers" in (value.__doc__ or "")
    )
    with pytest.raises(OutOfMemoryError), guard():
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")


# --- memory that is given back --------------------------------------------------------------------


def test_memory_is_given_back_for_sizes_that_are_new_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(machine, "trim", lambda: calls.append(1))
    trimmer = machine.Trimmer()
    for _ in range(10 * trimmer.EVERY):
        trimmer.seen((1, 3, 480, 640))
    assert calls == []
    for side in range(4 * trimmer.EVERY):
        trimmer.seen((1, 3, side, 640))
        assert len(trimmer._recent) <= trimmer.RECENT
    assert len(calls) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="the C library has another name here")
def test_trimming_is_of_the_c_library_or_nothing() -> None:
    assert machine.trim() in (True, False)
