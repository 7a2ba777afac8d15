"""A network of one recognizer -> the same with 8-bit weights and activations, by NNCF."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from lineament import models
from lineament.embed.network import NetworkEmbedder
from lineament.errors import ExportError, LineamentError, MissingExtraError, OptionError
from lineament.machine import raise_if_short
from lineament.models import Card, LicensePolicy
from lineament.models.graph import check_graph
from lineament.models.runtime import folded
from lineament.offline import quiet_import
from lineament.types import FloatArray, Image, StageProgress

_EXTRA = "quantize"


def check_installed() -> None:
    """Raise MissingExtraError unless NNCF, ONNX and ONNX Runtime are there."""
    from importlib.util import find_spec

    for package in ("nncf", "onnx", "onnxruntime"):
        try:
            there = find_spec(package) is not None
        except ValueError:  # imported in a way that leaves no trace
            there = sys.modules.get(package) is not None
        if not there:
            raise MissingExtraError("quantizing a recognizer", _EXTRA)


def plain_graph(source: Card, policy: LicensePolicy | None) -> bytes:
    """The network of a recognizer as an ONNX file, its constants folded.

    Raises:
        ExportError: ONNX Runtime cannot read it.
        WeightsError: no engine must see it.
    """
    data = models.read(source, policy=policy)
    check_graph(data, source.name)
    try:
        return folded(data)
    except ValueError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ExportError(
            f"{source.name}: ONNX Runtime cannot read this network ({reason})"
        ) from error


def int8_graph(
    graph: bytes,
    embedder: NetworkEmbedder,
    crops: Image,
    name: str,
    progress: StageProgress | None,
) -> bytes:
    """The ONNX file with quantizers in it.

    Args:
        graph: from ``plain_graph``.
        embedder: of the same network: it prepares the crops.
        crops: (N, S, S, 3) uint8, RGB, to calibrate on.
        name: of the recognizer, for messages.
        progress: called after each crop.

    Raises:
        OptionError: it is an int8 network already.
        ExportError: NNCF cannot quantize it, or finds nothing to quantize.
        MissingExtraError: NNCF or ONNX is not installed.
    """
    done = 0

    def feed(crop: Image) -> dict[str, FloatArray]:
        nonlocal done
        done += 1
        if progress is not None:  # NNCF comes back for some crops when it corrects the biases
            progress("calibrating", min(done, len(crops)), len(crops))
        # As the pipeline feeds it: one home for the color order and the scaling.
        return {inputs[0]: embedder.prepare(crop[None])}

    try:
        with quiet_nncf():
            import nncf
            import onnx

            nncf.set_log_level(logging.CRITICAL)
            model = onnx.load_model_from_string(graph)
            constants = {tensor.name for tensor in model.graph.initializer}
            inputs = [i.name for i in model.graph.input if i.name not in constants]
            if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
                raise OptionError(f"{name}: it is an int8 network already")
            made = nncf.quantize(
                model,
                nncf.Dataset(list(crops), feed),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(crops),
                target_device=nncf.TargetDevice.CPU,
            )
            if not any(node.op_type == "QuantizeLinear" for node in made.graph.node):
                raise ExportError(f"{name}: there is nothing in this network to be quantized")
            for node in made.graph.node:
                node.ClearField("doc_string")
            made.producer_name, made.producer_version = "lineament", ""
            data: bytes = made.SerializeToString(deterministic=True)
            return data
    except ImportError as error:
        raise MissingExtraError("quantizing a recognizer", _EXTRA) from error
    except LineamentError:
        raise
    except Exception as error:  # NNCF's errors share no base but this one
        raise_if_short(error, f"to quantize {name}")
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"{name}: NNCF cannot quantize this network ({reason})") from error


@contextlib.contextmanager
def quiet_nncf() -> Iterator[None]:
    """Keep NNCF's notices and bars from the terminal, and what it does from the network.

    It prints to stdout, changes the class of all later loggers, and reports its use to its makers
    where the package for that is installed: lineament tells nobody anything.
    """
    loggers = logging.getLoggerClass()
    try:
        with (
            warnings.catch_warnings(),
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            quiet_import("nncf"),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.setLoggerClass(loggers)
