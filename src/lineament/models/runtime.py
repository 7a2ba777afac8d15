"""The only file that imports an inference engine: verified weights in, a callable model out.

OpenVINO runs on processors (the recognizers about three times as fast as with ONNX Runtime:
``benchmarks/speed/engines.py``); ONNX Runtime where OpenVINO is not installed, and for CUDA,
CoreML and DirectML. ``engine="auto"`` takes OpenVINO on the CPU unless it is missing; the
environment variables LINEAMENT_ENGINE, LINEAMENT_DEVICE and LINEAMENT_THREADS set what arguments
leave open.

Arithmetic is float32 on every engine, so that embeddings made on two machines can be compared.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np

from lineament import models
from lineament.errors import MissingExtraError, OptionError, WeightsError
from lineament.models import Card, LicensePolicy
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
            which takes all cores.
    """

    engine: Engine = "auto"
    device: Device = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
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
        if not _installed(engine):
            extra = "onnxruntime" if device == "cpu" else "gpu"
            what = f"The engine {engine} on the device {device}"
            if engine == "openvino":  # no extra: lineament itself asks for it
                raise MissingExtraError(what, "", package="openvino")
            raise MissingExtraError(what, extra)
        return Runtime(engine, device, self.threads)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


_loaded: dict[tuple[str, Runtime], Model] = {}
_loading: dict[tuple[str, Runtime], threading.Lock] = {}  # two networks may load at once
_lock = threading.Lock()


def load_model(
    weights: Card, *, runtime: Runtime | None = None, policy: LicensePolicy | None = None
) -> Model:
    """Read, verify and compile a network; the same weights are compiled once per process.

    Args:
        weights: an entry of ``lineament.models``.
        runtime: engine, device and threads; None asks the environment.
        policy: which licenses may be used; None asks the environment.

    Raises:
        WeightsError: the file is missing, has the wrong hash, is refused by the license policy, or
            is not a network that the engine understands.
        MissingExtraError: the engine is not installed.
    """
    chosen = (Runtime.from_environment() if runtime is None else runtime).resolved()
    key = (weights.sha256, chosen)
    policy = LicensePolicy.active() if policy is None else policy
    policy.check(weights)
    with _lock:
        loading = _loading.setdefault(key, threading.Lock())
    with loading:
        model = _loaded.get(key)
        if model is None:
            graph = models.read(weights, policy=policy)
            make = _openvino_model if chosen.engine == "openvino" else _onnxruntime_model
            try:
                model = _loaded[key] = make(graph, chosen)
            except (RuntimeError, ValueError) as error:
                # OpenVINO's first lines are places in its source; the last says what is wrong.
                reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
                raise WeightsError(
                    f"{weights.name}: {chosen.engine} cannot run this network ({reason}): "
                    "expected an ONNX graph with one input"
                ) from error
        return model


def unload_models() -> None:
    """Forget all compiled networks, so that their memory can be freed."""
    with _lock:
        _loaded.clear()


def _prepare_openvino(openvino: Any) -> None:
    """Make OpenVINO's Python layer build its table of types while no other thread can ask for it.

    Two threads whose first calls meet there wait for each other for ever: one holds the table's
    lock and waits for the interpreter, the other the reverse (OpenVINO 2026.4, Type.to_dtype).
    """
    with _lock:
        tensor = openvino.Tensor(np.zeros((1, 1), np.float32), shared_memory=True)
        _ = tensor.data, tensor.get_element_type().to_dtype()


def _openvino_model(graph: bytes, runtime: Runtime) -> Model:
    import openvino

    _prepare_openvino(openvino)
    core = openvino.Core()
    network = core.read_model(graph)
    if len(network.inputs) != 1:
        raise ValueError(f"it has {len(network.inputs)} inputs")
    options: dict[str, Any] = {
        # One request uses all its threads: batches make up for what streams would bring, and a
        # single photo is answered fastest.
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        # Pinned to cores, its threads get in the way of those that read and align photos.
        "ENABLE_CPU_PINNING": False,
    }
    if runtime.threads is not None:
        options["INFERENCE_NUM_THREADS"] = runtime.threads
    compiled = core.compile_model(network, "CPU", options)
    outputs = range(len(compiled.outputs))
    local = threading.local()  # a request holds its buffers: one for each thread

    def run(batch: FloatArray) -> tuple[FloatArray, ...]:
        request = getattr(local, "request", None)
        if request is None:
            request = local.request = compiled.create_infer_request()
        request.infer([np.ascontiguousarray(batch, dtype=np.float32)], share_inputs=True)
        return tuple(request.get_output_tensor(i).data.copy() for i in outputs)

    return run


def _onnxruntime_model(graph: bytes, runtime: Runtime) -> Model:
    import onnxruntime

    wanted = _PROVIDERS[runtime.device]
    available: Sequence[str] = onnxruntime.get_available_providers()
    if wanted not in available:
        raise MissingExtraError(f"The device {runtime.device}", "gpu")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if runtime.threads is not None:
        options.intra_op_num_threads = runtime.threads
    providers = [wanted] if runtime.device == "cpu" else [wanted, _PROVIDERS["cpu"]]
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # its exceptions share no base but this one
        raise ValueError(str(error)) from error
    if len(session.get_inputs()) != 1:
        raise ValueError(f"it has {len(session.get_inputs())} inputs")
    name = session.get_inputs()[0].name

    def run(batch: FloatArray) -> tuple[FloatArray, ...]:
        feed = {name: np.ascontiguousarray(batch, dtype=np.float32)}
        return tuple(session.run(None, feed))

    return run


def folded(graph: bytes) -> bytes:
    """An ONNX graph with what is constant in it computed, and batch normalization in the layers.

    Needs ONNX Runtime, whatever runs the network later: it writes ONNX again, OpenVINO does not.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ValueError: it does not understand the graph.
    """
    import tempfile
    from pathlib import Path

    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("Simplifying a network", "onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # The level above would write nodes that are ONNX Runtime's own.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="lineament-folded-") as folder:
        target = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(target)
        try:
            onnxruntime.InferenceSession(graph, options, providers=[_PROVIDERS["cpu"]])
            return target.read_bytes()
        except Exception as error:  # its exceptions share no base but this one
            raise ValueError(str(error)) from error


def check_model(model: Callable[[FloatArray], tuple[FloatArray, ...]], shape: Sequence[int]) -> int:
    """Run a network once on zeros of ``shape``; returns the length of its first output's rows.

    Raises:
        WeightsError: it does not take that input, or its first output is not (N, D).
    """
    try:
        first = model(np.zeros(tuple(shape), np.float32))[0]
    except Exception as error:
        raise WeightsError(
            f"the network does not take an input of shape {tuple(shape)}: state its size and "
            "channels in the input specification"
        ) from error
    if first.ndim != 2 or first.shape[0] != shape[0]:
        raise WeightsError(
            f"expected a first output of shape ({shape[0]}, D), got {tuple(first.shape)}"
        )
    return int(first.shape[1])
