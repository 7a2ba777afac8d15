"""The two engines agree, share nothing between threads, and say what is wrong."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from builders import save_flatten, save_network, tiny_recognizer
from lineament import models
from lineament.errors import (
    LicenseError,
    MissingExtraError,
    OptionError,
    WeightsError,
    WeightsHashError,
)
from lineament.models import Card, LicensePolicy, runtime
from lineament.models.runtime import Runtime, check_model, load_model, unload_models
from lineament.types import FloatArray

ENGINES = ("openvino", "onnxruntime")
BUNDLED = [entry.name for entry in models.entries() if not entry.members]
FLOAT = [name for name in BUNDLED if not name.endswith("-int8") and name != "haar"]
"""What engines run; a cascade is no network."""
SPEC: dict[str, Any] = {"size_wh": [8, 8], "color_order": "rgb", "mean": 0.0, "scale": 1.0}


def inputs(entry: Card, n: int, seed: int = 0) -> FloatArray:
    """(n, C, H, W): smooth pictures of all brightnesses, as networks expect them."""
    width, height = (96, 64) if entry.input.size_wh is None else entry.input.size_wh
    channels = 1 if entry.input.color_order == "gray" else 3
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (n, channels, height // 8 + 1, width // 8 + 1))
    return coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, :height, :width].astype(np.float32)


def test_all_bundled_networks_are_known() -> None:
    assert len(BUNDLED) >= 9


@pytest.mark.parametrize("name", FLOAT)
def test_engines_agree(name: str) -> None:
    entry = models.get(name)
    batch = inputs(entry, 3)
    one, two = (load_model(entry, runtime=Runtime(engine))(batch) for engine in ENGINES)
    assert len(one) == len(two) > 0
    for first, second in zip(one, two, strict=True):
        assert first.shape == second.shape
        assert first.dtype == second.dtype == np.float32
        assert np.ptp(second) > 0
        size = max(1.0, float(np.abs(second).max()))
        assert np.abs(first - second).max() / size < 1e-4


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["mtcnn-o", "yunet", "mobilefacenet"])
@pytest.mark.slow
def test_eight_threads(name: str, engine: Any) -> None:
    entry = models.get(name)
    model = load_model(entry, runtime=Runtime(engine, threads=1))
    batches = [inputs(entry, 1 + i % 3, seed=i) for i in range(24)]
    if name == "yunet":  # sizes that differ from call to call
        batches = [batch[:, :, :, : 32 + 32 * (i % 3)] for i, batch in enumerate(batches)]
    alone = [model(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(model, batches))
    for first, second in zip(alone, together, strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_results_stay_when_the_network_runs_again(engine: Any) -> None:
    entry = models.get("mtcnn-o")
    model = load_model(entry, runtime=Runtime(engine))
    first = model(inputs(entry, 2, seed=1))
    kept = [value.copy() for value in first]
    model(inputs(entry, 2, seed=2))
    for value, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(value, copy)


@pytest.mark.parametrize("engine", ENGINES)
def test_inputs_in_any_order_of_memory(engine: Any) -> None:
    entry = models.get("mtcnn-o")
    model = load_model(entry, runtime=Runtime(engine))
    batch = inputs(entry, 2)
    strided = np.asfortranarray(batch)
    assert not strided.flags.c_contiguous
    for a, b in zip(model(batch), model(strided), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_thread_count_changes_nothing_but_speed(engine: Any) -> None:
    entry = models.get("mtcnn-o")
    one, two = (load_model(entry, runtime=Runtime(engine, threads=n)) for n in (1, 2))
    assert one is not two
    for a, b in zip(one(inputs(entry, 2)), two(inputs(entry, 2)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_first_calls_that_meet(engine: str) -> None:
    """In a fresh process: an engine's own tables are built by whoever comes first."""
    code = f"""
import threading
import numpy as np
from lineament import models
from lineament.models.runtime import Runtime, load_model
start = threading.Barrier(4)
def work(name, side):
    start.wait()
    model = load_model(models.get(name), runtime=Runtime({engine!r}, threads=1))
    done.append(model(np.zeros((1, 3, side, side), np.float32)))
done = []
jobs = (("mtcnn-p", 12), ("mtcnn-r", 24), ("mtcnn-o", 48), ("yunet", 32))
threads = [threading.Thread(target=work, args=job) for job in jobs]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(done))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("4", "")


# --- one network is compiled once -----------------------------------------------------------------


AMX = frozenset({"avx", "avx512f", "amx_int8"})
ISA = "ONEDNN_MAX_CPU_ISA"


@pytest.fixture
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in runtime._ISA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_limit")
def test_amx_is_left_out_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_processor_flags", lambda: AMX)
    with runtime._without_amx():
        assert os.environ[ISA] == runtime.BELOW_AMX
    assert ISA not in os.environ
    with pytest.raises(KeyError), runtime._without_amx():
        raise KeyError
    assert ISA not in os.environ


@pytest.mark.usefixtures("no_limit")
@pytest.mark.parametrize("name", runtime._ISA_VARIABLES)
def test_a_limit_of_the_user_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(runtime, "_processor_flags", lambda: AMX)
    monkeypatch.setenv(name, "ALL")
    before = dict(os.environ)
    with runtime._without_amx():
        assert dict(os.environ) == before
    assert dict(os.environ) == before


@pytest.mark.usefixtures("no_limit")
@pytest.mark.parametrize("flags", [None, AMX - {"amx_int8"}])
def test_processors_without_amx_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, flags: frozenset[str] | None
) -> None:
    monkeypatch.setattr(runtime, "_processor_flags", lambda: flags)
    with runtime._without_amx():
        assert ISA not in os.environ


LIMITED = """
import os, subprocess, sys
from lineament import models
from lineament.models import runtime

runtime._processor_flags = lambda: frozenset({"avx", "amx_int8"})
seen, put = [], os.environ.__class__.__setitem__
def watched(self, key, value):
    seen.append((key, value))
    put(self, key, value)
os.environ.__class__.__setitem__ = watched
before = dict(os.environ)
for name in ("yunet", "landmarks68"):
    runtime.load_model(models.get(name), runtime=runtime.Runtime("openvino", threads=1))
assert seen == [("ONEDNN_MAX_CPU_ISA", runtime.BELOW_AMX)], seen
assert dict(os.environ) == before
code = "import os; print(os.environ.get('ONEDNN_MAX_CPU_ISA'))"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
"""


@pytest.mark.usefixtures("no_limit")
def test_the_limit_is_set_once_and_no_child_gets_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["None"]


def test_the_same_weights_are_compiled_once(tmp_path: Path) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx")
    first = load_model(entry)
    assert load_model(entry) is first
    assert load_model(entry, runtime=Runtime("auto", "cpu")) is first
    assert load_model(entry.replace(name="another-name")) is first
    assert load_model(entry, runtime=Runtime("onnxruntime")) is not first
    unload_models()
    assert load_model(entry) is not first


def test_threads_that_load_at_once_get_one_network(tmp_path: Path) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx", side=10)
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda _: load_model(entry), range(16)))
    assert len({id(model) for model in models}) == 1


def test_a_loaded_network_is_still_refused_by_the_policy(tmp_path: Path) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx")
    load_model(entry)
    with pytest.raises(LicenseError, match="unknown"):
        load_model(entry, policy=LicensePolicy.parse("commercial"))


def test_the_policy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAMENT_LICENSE_POLICY", "commercial")
    with pytest.raises(LicenseError, match="unknown"):
        load_model(tiny_recognizer(tmp_path / "net.onnx"))


# --- choosing an engine ---------------------------------------------------------------------------


def only(monkeypatch: pytest.MonkeyPatch, *installed: str) -> None:
    def find_spec(name: str, package: str | None = None) -> object | None:
        return object() if name in installed else None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def test_openvino_is_taken_for_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "openvino", "onnxruntime")
    assert Runtime().resolved() == Runtime("openvino", "cpu")
    assert Runtime(device="cuda").resolved() == Runtime("onnxruntime", "cuda")
    assert Runtime("onnxruntime", threads=3).resolved() == Runtime("onnxruntime", "cpu", 3)


def test_onnxruntime_where_openvino_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "onnxruntime")
    assert Runtime().resolved() == Runtime("onnxruntime", "cpu")
    with pytest.raises(MissingExtraError, match=r"engine openvino .* run  pip install openvino$"):
        load_model(models.get("mtcnn-p"), runtime=Runtime("openvino"))


def test_no_engine_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    with pytest.raises(MissingExtraError, match=r"pip install .*onnxruntime>") as caught:
        load_model(models.get("mtcnn-p"))
    assert caught.value.extra == "onnxruntime"
    with pytest.raises(MissingExtraError, match=r"on the device cuda .*onnxruntime-gpu"):
        Runtime(device="cuda").resolved()


def test_a_device_that_this_build_of_onnxruntime_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(MissingExtraError, match=r"device cuda .*onnxruntime-gpu"):
        load_model(tiny_recognizer(tmp_path / "net.onnx"), runtime=Runtime(device="cuda"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tensorrt"}, "engine: expected one of auto, openvino, onnxruntime, got 'tens"),
        ({"device": "tpu"}, "device: expected one of auto, cpu, cuda, coreml, directml, got 'tpu'"),
        ({"threads": 0}, "threads: expected 1 or more, got 0"),
        (
            {"engine": "openvino", "device": "cuda"},
            "device 'cuda' needs the engine \"onnxruntime\"",
        ),
    ],
)
def test_options_without_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Runtime(**options)


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Runtime.from_environment() == Runtime()
    for name in ("ENGINE", "DEVICE", "THREADS"):
        monkeypatch.setenv(f"LINEAMENT_{name}", "")
    assert Runtime.from_environment() == Runtime()
    monkeypatch.setenv("LINEAMENT_ENGINE", "onnxruntime")
    monkeypatch.setenv("LINEAMENT_DEVICE", "cpu")
    monkeypatch.setenv("LINEAMENT_THREADS", "2")
    assert Runtime.from_environment() == Runtime("onnxruntime", "cpu", 2)
    entry = tiny_recognizer(tmp_path / "net.onnx")
    assert load_model(entry) is load_model(entry, runtime=Runtime("onnxruntime", threads=2))
    assert load_model(entry) is not load_model(entry, runtime=Runtime())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("THREADS", "two", "LINEAMENT_THREADS: expected a whole number, got 'two'"),
        ("THREADS", "-1", "LINEAMENT_THREADS: expected a whole number, got '-1'"),
        ("THREADS", "0", "threads: expected 1 or more"),
        ("ENGINE", "OpenVINO", "engine: expected one of"),
        ("DEVICE", "gpu", "device: expected one of"),
    ],
)
def test_environment_without_sense(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"LINEAMENT_{name}", value)
    with pytest.raises(OptionError, match=message):
        Runtime.from_environment()


# --- files that are no networks -------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_damaged_file(tmp_path: Path, engine: Any) -> None:
    path = save_flatten(tmp_path / "net.onnx", side=12)
    entry = models.from_file(path, **SPEC)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsHashError, match="is not the promised file"):
        load_model(entry, runtime=Runtime(engine))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("content", [b"no network at all", b"\x00" * 64])
def test_a_file_of_another_kind(tmp_path: Path, engine: Any, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    entry = models.from_file(path, **SPEC)
    for _ in range(2):  # a failure must not be remembered as a network
        with pytest.raises(WeightsError, match="net: expected an ONNX graph") as caught:
            load_model(entry, runtime=Runtime(engine))
    assert "expected an ONNX graph with one input" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ".cpp" not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_with_two_inputs(tmp_path: Path, engine: Any) -> None:
    shape = ["N", 3, 8, 8]
    path = save_network(
        tmp_path / "two.onnx",
        [helper.make_node("Add", ["x", "z"], ["y"])],
        inputs={"x": shape, "z": shape},
        output=shape,
    )
    with pytest.raises(WeightsError, match=r"two: .* \(it has 2 inputs\): expected an ONNX graph"):
        load_model(models.from_file(path, **SPEC), runtime=Runtime(engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_check_model(tmp_path: Path, engine: Any) -> None:
    model = load_model(tiny_recognizer(tmp_path / "net.onnx"), runtime=Runtime(engine))
    assert check_model(model, (1, 3, 8, 8)) == 192
    assert check_model(model, (2, 3, 8, 8)) == 192
    with pytest.raises(WeightsError, match=r"does not take an input of shape \(1, 1, 8, 8\)"):
        check_model(model, (1, 1, 8, 8))
    with pytest.raises(WeightsError, match=r"a first output of shape \(1, D\), got \(1, 3"):
        check_model(lambda batch: (batch,), (1, 3, 8, 8))
    with pytest.raises(WeightsError, match=r"first output of shape \(2, D\), got \(1, 6\)"):
        check_model(lambda batch: (batch.reshape(1, -1),), (2, 3, 1, 1))


def test_only_resolved_settings_are_keys() -> None:
    load_model(models.get("mtcnn-p"))
    assert len(runtime._loaded) > 0
    for _, key, _ in runtime._loaded:
        assert "auto" not in (key.engine, key.device)


STACKS = """
import ctypes, gc, signal, threading
from lineament import models
from lineament.models.runtime import Runtime, load_model, unload_models

class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

def stack():
    found = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.sp

def load(name):
    load_model(models.get(name), runtime=Runtime("openvino", threads=1))

came = []
signal.signal(signal.SIGUSR1, lambda number, frame: came.append(number))
load("yunet")
before = stack()
load("mtcnn-p")
thread = threading.Thread(target=load, args=("mtcnn-r",))
thread.start()
thread.join()
assert stack() == before
unload_models()
gc.collect()
assert stack() == before, "the stack of a plugin that has gone"
for _ in range(3):
    signal.raise_signal(signal.SIGUSR1)
print(len(came))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sigaltstack")
def test_signals_arrive_after_networks_were_given_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STACKS], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr
