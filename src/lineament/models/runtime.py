"""The only file that imports an inference engine: verified weights in, a callable model out.

OpenVINO runs on processors (the recognizers about three times as fast as with ONNX Runtime:
``benchmarks/speed/engines.py``); ONNX Runtime where OpenVINO is not installed, and for CUDA,
CoreML and DirectML. ``engine="auto"`` takes OpenVINO on the CPU unless it is missing; the
environment variables LINEAMENT_ENGINE, LINEAMENT_DEVICE and LINEAMENT_THREADS set what arguments
leave open.

Arithmetic is float32 on every engine, so that embeddings made on two machines can be compared.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, cast

import numpy as np

from lineament import forks, machine, models
from lineament.errors import (
    EngineError,
    LineamentError,
    MissingExtraError,
    OptionError,
    OutOfMemoryError,
    WeightsError,
)
from lineament.files import DATA
from lineament.models import Card, LicensePolicy
from lineament.models.cards import LONGEST
from lineament.models.graph import check_graph
from lineament.models.ir import check_ir, is_ir, unpack_ir
from lineament.offline import quiet_import
from lineament.text import printable
from lineament.types import FloatArray

if TYPE_CHECKING:
    from collections.abc import Callable

Engine = Literal["auto", "openvino", "onnxruntime"]
Device = Literal["auto", "cpu", "cuda", "coreml", "directml"]

ENGINES: tuple[Engine, ...] = ("auto", "openvino", "onnxruntime")
DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda", "coreml", "directml")

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}


ROOM_BYTES = {"openvino": 250 << 20, "onnxruntime": 150 << 20}
"""Of address space that an engine takes to be imported and to load its first network."""


LARGEST_VALUE_BYTES = 1 << 30
"""Of what one step of a network makes, as far as the sizes stand in its file."""


class Model(Protocol):
    """A loaded network with one input. Calls from several threads are safe."""

    def __call__(self, batch: FloatArray, /) -> tuple[FloatArray, ...]:
        """Run the network: (N, C, H, W) float32 in, its outputs in the graph's order out."""
        ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where and how networks run.

    Attributes:
        engine: "auto", "openvino" or "onnxruntime".
        device: "auto" (the CPU), "cpu", "cuda", "coreml" or "directml"; all but the CPU need ONNX
            Runtime.
        threads: how many threads one call of a network may use; None leaves it to the engine,
            which takes all cores, or as many as this process may use.
    """

    engine: Engine = "auto"
    device: Device = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.threads is not None and type(self.threads) is not int:
            raise OptionError(f"expected a whole number, got {self.threads!r}", option="threads")
        if self.engine not in ENGINES:
            raise OptionError(
                f"expected one of {', '.join(ENGINES)}, got {self.engine!r}", option="engine"
            )
        if self.device not in DEVICES:
            raise OptionError(
                f"expected one of {', '.join(DEVICES)}, got {self.device!r}", option="device"
            )
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"expected 1 or more, got {self.threads}", option="threads")
        if self.engine == "openvino" and self.device not in ("auto", "cpu"):
            raise OptionError(
                f'device {self.device!r} needs the engine "onnxruntime", got "openvino": '
                "leave the engine out"
            )

    @classmethod
    def from_environment(cls) -> Runtime:
        """What LINEAMENT_ENGINE, LINEAMENT_DEVICE and LINEAMENT_THREADS say."""
        threads = os.environ.get("LINEAMENT_THREADS", "")
        if threads and not threads.isdecimal():
            raise OptionError(
                f"expected a whole number, got {threads!r}", option="LINEAMENT_THREADS"
            )
        return cls(
            engine=cast("Engine", os.environ.get("LINEAMENT_ENGINE", "") or "auto"),
            device=cast("Device", os.environ.get("LINEAMENT_DEVICE", "") or "auto"),
            threads=int(threads) if threads else None,
        )

    def resolved(self) -> Runtime:
        """The same with "auto" replaced by what will be used here.

        Raises:
            MissingExtraError: the engine that is wanted or needed is not installed.
        """
        device: Device = "cpu" if self.device == "auto" else self.device
        engine = self.engine
        if engine == "auto":
            engine = "openvino" if device == "cpu" and _installed("openvino") else "onnxruntime"
            if engine == "openvino" and _lacks_avx() and _installed("onnxruntime"):
                engine = "onnxruntime"
        if not _installed(engine):
            extra = "onnxruntime" if device == "cpu" else "gpu"
            what = f"using the engine {engine} on the device {device}"
            if engine == "openvino":  # no extra: lineament itself asks for it
                raise MissingExtraError(what, "", package="openvino")
            raise MissingExtraError(what, extra)
        return Runtime(engine, device, self.threads)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _lacks_avx() -> bool:
    """Whether OpenVINO cannot run here: its networks of changing sizes need AVX.

    oneDNN may be told to do without, by the variables.
    """
    for name in _ISA_VARIABLES:
        if os.environ.get(name, "").upper() == "SSE41":
            return True
    flags = _processor_flags()
    return flags is not None and "avx" not in flags


def _processor_flags() -> frozenset[str] | None:
    """What an x86 processor can, in the words of Linux; None where that is not known."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return next((frozenset(line.split()) for line in lines if line.startswith("flags")), None)


_loaded: dict[tuple[str, Runtime, bool], _Network] = {}
_loading: dict[tuple[str, Runtime, bool], threading.Lock] = {}  # two networks may load at once
_lock = forks.lock()
_cores: list[Any] = []
"""OpenVINO's core, one for all networks of the process, and never given up.

A core's processor plugin gives the thread that makes it a stack for signals. When the plugin goes,
that stack is unmapped, but where another core was made meanwhile, or another thread lets the core
go, it stays the thread's: the next signal, such as Ctrl-C or the end of a child, kills the process
(SIGSEGV), or writes into what came to lie there (OpenVINO 2026.4, ``SigAltStackSetup``)."""


def load_model(
    weights: Card,
    *,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
    few_sizes: bool = False,
) -> Model:
    """Read, verify and compile a network; the same weights are compiled once per process.

    Args:
        weights: an entry of ``lineament.models``.
        runtime: engine, device and threads; None asks the environment.
        policy: which licenses may be used; None asks the environment.
        few_sizes: its inputs come in a few sizes, in turns: what the engine makes for each is kept.
            A network that gets photos, which have many sizes, would keep a gigabyte. Each of the
            two is compiled by itself.

    Raises:
        WeightsError: the file is missing, has the wrong hash, is refused by the license policy, or
            is not a network that the engine understands.
        MissingExtraError: the engine is not installed.
        OutOfMemoryError: there is too little memory for it.
        EngineError: this process was forked while an engine was at work.
    """
    chosen = (Runtime.from_environment() if runtime is None else runtime).resolved()
    key = (weights.sha256, chosen, few_sizes)
    policy = LicensePolicy.active() if policy is None else policy
    policy.check(weights)
    with _lock:
        loading = _loading.setdefault(key, forks.lock())
    with loading:
        model = _loaded.get(key)
        if model is None:
            _check_fork(chosen.engine)
            graph = models.read(weights, policy=policy)
            if not weights.folder.is_relative_to(DATA):  # tests look at the package's own
                _check_file(graph, weights.name, chosen.engine)
            make = _openvino_model if chosen.engine == "openvino" else _onnxruntime_model
            try:
                with forks.calls.running():
                    run = make(graph, chosen, few_sizes)
            except LineamentError:
                raise
            except Exception as error:  # the engines' share no base but this one
                raise _not_loaded(error, weights.name, chosen.engine) from error
            model = _loaded[key] = _Network(run, weights.name, chosen.engine)
        return model


def _check_file(data: bytes, name: str, engine: str) -> None:
    """Look at a network before an engine does."""
    if not is_ir(data):
        check_graph(data, name)
        return
    if engine != "openvino":
        raise WeightsError(
            f"{name}: expected an ONNX file for the engine {engine}, got a network in OpenVINO's "
            "format",
            hint="leave the engine out, or convert its original to ONNX",
        )
    xml, numbers = unpack_ir(data, name)
    check_ir(xml, len(numbers), name)


def unload_models() -> None:
    """Forget all compiled networks, so that their memory can be freed."""
    with _lock:
        _loaded.clear()


class Usage(NamedTuple):
    """How much a network has done in this process.

    Attributes:
        name: of its weights.
        engine: what runs it.
        calls: how often it ran.
        seconds: how long in all; several threads at once count each.
    """

    name: str
    engine: str
    calls: int
    seconds: float


def usage() -> list[Usage]:
    """What the networks that are loaded have done so far, in the order of loading."""
    with _lock:
        return [network.usage for network in _loaded.values()]


class _Network:
    """A compiled network, whose errors are ours."""

    def __init__(self, run: Model, name: str, engine: str) -> None:
        self._run, self._name, self._engine = run, name, engine
        self.usage = Usage(name, engine, 0, 0.0)

    def __call__(self, batch: FloatArray, /) -> tuple[FloatArray, ...]:
        if forks.calls.interrupted:
            _check_fork(self._engine)
        begun = time.perf_counter()
        try:
            with forks.calls.running():
                return _numbers(self._run(batch))
        except Exception as error:  # the engines' share no base but this one
            raise _failed(error, self._name, self._engine) from error
        finally:  # a call of another thread at the same moment may be missed
            so_far, took = self.usage, time.perf_counter() - begun
            self.usage = so_far._replace(calls=so_far.calls + 1, seconds=so_far.seconds + took)


def _numbers(outputs: Sequence[Any]) -> tuple[FloatArray, ...]:
    """What a network returned as float32; ValueError unless they are numbers.

    Texts, sequences and maps are possible, too.
    """
    for i, output in enumerate(outputs):
        if not isinstance(output, np.ndarray) or output.dtype.kind not in "fiub":
            raise ValueError(f"expected numbers, its output {i + 1} has none")
    return tuple(np.asarray(output, np.float32) for output in outputs)


def _check_fork(engine: str) -> None:
    if forks.calls.interrupted:
        raise EngineError(
            f"this process was forked while threads ran networks, and {engine} would wait for them "
            "for ever",
            hint='start processes by multiprocessing.get_context("spawn"), or fork before threads '
            "detect",
        )


def _reason(error: BaseException) -> str:
    """OpenVINO's first lines are places in its source; the last says what is wrong."""
    return printable((str(error).strip().splitlines() or ["no reason given"])[-1])[:300]


def _not_loaded(error: Exception, name: str, engine: str) -> LineamentError:
    """What an engine raised as it read or compiled a network."""
    short = machine.memory_error(error, f"to load the network {name}")
    if short is not None:
        return short
    if isinstance(error, ImportError):
        return EngineError(
            f"{engine} cannot be imported ({_reason(error)})", hint="install it again"
        )
    return WeightsError(
        f"{name}: {engine} cannot run this network ({_reason(error)}): "
        "expected an ONNX graph with one input",
        hint=_ADVICE_AVX if engine == "openvino" and _lacks_avx() else None,
    )


def _failed(error: Exception, name: str, engine: str) -> LineamentError:
    """What an engine raised as it ran a network."""
    short = machine.memory_error(error, f"to run the network {name}")
    if short is not None:
        return short
    advice = _ADVICE_AVX if engine == "openvino" and _lacks_avx() else None
    return EngineError(f"{engine} failed to run the network {name} ({_reason(error)})", hint=advice)


_ADVICE_AVX = (
    "OpenVINO needs a processor with AVX: use ONNX Runtime on this one, "
    'pip install "lineament[onnxruntime]" and the engine "onnxruntime"'
)


def _engine_threads(runtime: Runtime) -> int | None:
    """Threads of one call; None: the engine's own choice, where it sees what we may use.

    Engines look at the machine, or at the affinity, and not at what a container is granted.
    """
    if runtime.threads is not None:
        return runtime.threads
    granted = machine.processors()
    return granted if granted < machine.host_processors() else None


def _check_room(engine: str) -> None:
    """Refuse to import an engine into an address space where it would abort the process.

    Its libraries, arenas and the stacks of its threads need so much under ``ulimit -v``; where a
    thread cannot be started, C++ ends the process, and no message can be given.
    """
    if engine not in sys.modules and machine.address_space_left() < ROOM_BYTES[engine]:
        left = machine.address_space_left() >> 20
        raise machine.out_of_memory(
            f"to load {engine}: the limit of this process (ulimit -v) leaves {left} MB, "
            f"it takes {ROOM_BYTES[engine] >> 20}"
        )


_ISA_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")

BELOW_AMX = "AVX512_CORE_FP16"
"""The most that oneDNN may use on processors with AMX, whose int8 kernels are made for matrices
that are larger than those of a face: one crop took SFace in int8 2.3 times, MobileFaceNet 1.6 times
as long with them. Float32 does not use AMX."""


@contextlib.contextmanager
def _without_amx() -> Iterator[None]:
    """Keep oneDNN from AMX, if it is set up within; nothing where the user has set a limit.

    It looks at its variable once per process. Other threads, and processes that they start, may see
    the variable for that moment; none does later.
    """
    flags = _processor_flags()
    limited = any(name in os.environ for name in _ISA_VARIABLES)
    if limited or flags is None or not any(flag.startswith("amx") for flag in flags):
        yield
        return
    os.environ[_ISA_VARIABLES[0]] = BELOW_AMX
    try:
        yield
    finally:
        os.environ.pop(_ISA_VARIABLES[0], None)


def _prepare_openvino(openvino: Any) -> None:
    """Set up, once, what OpenVINO sets up at its first use, while no other thread can ask for it.

    Two threads whose first calls meet in its Python layer's table of types wait for each other for
    ever: one holds the table's lock and waits for the interpreter, the other the reverse (OpenVINO
    2026.4, Type.to_dtype). And its processor plugin chooses the instructions that it will use.
    """
    with _lock:
        if _cores:
            return
        tensor = openvino.Tensor(np.zeros((1, 1), np.float32), shared_memory=True)
        _ = tensor.data, tensor.get_element_type().to_dtype()
        core = openvino.Core()
        with _without_amx():  # what it is asked for here, it has to ask oneDNN
            core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        _cores.append(core)


def openvino_module() -> Any:
    """OpenVINO, set up; for what reads and writes networks of other formats."""
    _check_room("openvino")
    with quiet_import("openvino"):
        import openvino

    _prepare_openvino(openvino)
    return openvino


def openvino_core() -> Any:
    """The core that reads and compiles all networks; calls from several threads are safe."""
    openvino_module()
    return _cores[0]


def _openvino_model(graph: bytes, runtime: Runtime, few_sizes: bool) -> Model:
    core = openvino_core()
    if is_ir(graph):
        network = core.read_model(*unpack_ir(graph, "the network"))
    else:
        network = core.read_model(graph)
    if len(network.inputs) != 1:
        raise ValueError(f"it has {len(network.inputs)} inputs")
    for step in network.get_ops():  # what is constant in it is computed next
        for value in step.outputs():
            shape = value.get_partial_shape()
            sides = () if shape.rank.is_dynamic else (max(1, s.get_min_length()) for s in shape)
            size = math.prod(sides) * max(1, value.get_element_type().size)
            if size > LARGEST_VALUE_BYTES:
                raise ValueError(f"a step of it makes a value of {size / 1e9:.0f} GB")
    options: dict[str, Any] = {
        # One request uses all its threads: batches make up for what streams would bring, and a
        # single photo is answered fastest.
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        # Pinned to cores, its threads get in the way of those that read and align photos.
        "ENABLE_CPU_PINNING": False,
    }
    if not few_sizes:
        # It keeps what it made for each size of input, thousands of them: photos have many sizes,
        # and a gigabyte came together. Without, the size of the last call is still kept
        # (benchmarks/robustness/memory.py).
        options["CPU_RUNTIME_CACHE_CAPACITY"] = "0"
    threads = _engine_threads(runtime)
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(network, "CPU", options)
    outputs = range(len(compiled.outputs))
    local = threading.local()  # a request holds its buffers: one for each thread
    trimmer = machine.Trimmer()

    def run(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        request = getattr(local, "request", None)
        if request is None:
            request = local.request = compiled.create_infer_request()
        request.infer([np.ascontiguousarray(batch, dtype=np.float32)], share_inputs=True)
        trimmer.seen(batch.shape)
        return tuple(request.get_output_tensor(i).data.copy() for i in outputs)

    return run


def _onnxruntime_model(graph: bytes, runtime: Runtime, _few_sizes: bool) -> Model:
    onnxruntime = _onnxruntime()
    wanted = _PROVIDERS[runtime.device]
    available: Sequence[str] = onnxruntime.get_available_providers()
    if wanted not in available:
        raise MissingExtraError(f"using the device {runtime.device}", "gpu")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it would print is raised
    threads = _engine_threads(runtime)
    if threads is not None:
        options.intra_op_num_threads = threads
    providers = [wanted] if runtime.device == "cpu" else [wanted, _PROVIDERS["cpu"]]
    session = onnxruntime.InferenceSession(graph, options, providers=providers)
    if len(session.get_inputs()) != 1:
        raise ValueError(f"it has {len(session.get_inputs())} inputs")
    name = session.get_inputs()[0].name

    def run(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        feed = {name: np.ascontiguousarray(batch, dtype=np.float32)}
        return tuple(session.run(None, feed))

    return run


def _onnxruntime() -> Any:
    """The module, told not to report."""
    _check_room("onnxruntime")
    with quiet_import("onnxruntime"):
        import onnxruntime

    if os.environ.get("ORT_DISABLE_TELEMETRY") == "1":
        # Versions that do not know the variable; nothing in builds without telemetry.
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def folded(graph: bytes) -> bytes:
    """An ONNX graph with what is constant in it computed, and batch normalization in the layers.

    Needs ONNX Runtime, whatever runs the network later: it writes ONNX again, OpenVINO does not.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ValueError: it does not understand the graph.
    """
    import tempfile

    try:
        onnxruntime = _onnxruntime()
    except ImportError as error:
        raise MissingExtraError("simplifying a network", "onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it would print is raised
    # The level above would write nodes that are ONNX Runtime's own.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="lineament-folded-") as folder:
        target = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(target)
        try:
            onnxruntime.InferenceSession(graph, options, providers=[_PROVIDERS["cpu"]])
            return target.read_bytes()
        except Exception as error:  # its exceptions share no base but this one
            machine.raise_if_short(error, "to simplify the network")
            raise ValueError(str(error)) from error


def check_model(model: Callable[[FloatArray], tuple[FloatArray, ...]], shape: Sequence[int]) -> int:
    """Run a network once on zeros of ``shape``; returns the length of its first output's rows.

    Raises:
        WeightsError: it does not take that input, or its first output is not (N, D).
    """
    try:
        first = model(np.zeros(tuple(shape), np.float32))[0]
    except OutOfMemoryError:
        raise
    except Exception as error:
        raise WeightsError(
            f"the network does not take an input of shape {tuple(shape)}: state its size and "
            "channels in the input specification"
        ) from error
    if first.ndim != 2 or first.shape[0] != shape[0] or not 0 < first.shape[1] <= LONGEST:
        raise WeightsError(
            f"expected a first output of shape ({shape[0]}, D), got {tuple(first.shape)}; D is at "
            f"most {LONGEST}"
        )
    return int(first.shape[1])
