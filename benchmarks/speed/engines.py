"""Each bundled network on OpenVINO and on ONNX Runtime, in one run: time, ratio, difference.

    python benchmarks/speed/engines.py [--repeats 30] [--json]

One photo a call; the engines take turns, in blocks. Both must be installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lineament.models import cards as weights
from lineament.models.runtime import Runtime, load_model

ENGINES = ("openvino", "onnxruntime")
FREE_SIZE_WH = {"mtcnn-p": (160, 120), "yunet": (320, 320)}
"""For networks that take photos of any size; others of that kind get 320 x 320."""

ROUNDS = 3
REST_S = 0.1
"""After a call the threads of an engine spin for a while, and would slow the other one down."""


def measure_one(entry: weights.Weights, repeats: int) -> dict[str, Any]:
    width, height = entry.input.size_wh or FREE_SIZE_WH.get(entry.name, (320, 320))
    channels = 1 if entry.input.color_order == "gray" else 3
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (1, channels, height, width)).astype(np.float32)
    batch = (batch - np.float32(entry.input.mean)) * np.float32(entry.input.scale)
    models = {engine: load_model(entry, runtime=Runtime(engine)) for engine in ENGINES}
    outputs = {engine: model(batch) for engine, model in models.items()}
    times: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for _ in range(ROUNDS):
        for engine, model in models.items():
            time.sleep(REST_S)
            model(batch)
            for _ in range(max(1, repeats // ROUNDS)):
                start = time.perf_counter()
                model(batch)
                times[engine].append((time.perf_counter() - start) * 1000)
    openvino_ms, onnxruntime_ms = (statistics.median(times[engine]) for engine in ENGINES)
    pairs = list(zip(*(outputs[engine] for engine in ENGINES), strict=True))
    return {
        "size_wh": [width, height],
        "openvino_ms": round(openvino_ms, 3),
        "onnxruntime_ms": round(onnxruntime_ms, 3),
        "ratio": round(onnxruntime_ms / openvino_ms, 2),
        "max_abs_difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "max_abs_output": max(float(np.abs(a).max()) for a, _ in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--only", action="append", metavar="NAME", help="a network; repeatable")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats: expected 1 or more")
    entries = [entry for entry in weights.entries() if entry.file is not None]
    names = [entry.name for entry in entries]
    for name in options.only or ():
        if name not in names:
            parser.error(f"--only: expected one of {', '.join(names)}, got {name!r}")
    chosen = [entry for entry in entries if options.only is None or entry.name in options.only]
    progress = track(chosen, "networks", console=Console(stderr=True), disable=options.json)
    figures = {entry.name: measure_one(entry, options.repeats) for entry in progress}
    if options.json:
        print(json.dumps({"networks": figures, "repeats": options.repeats}))
        return
    table = Table("network", "input", "OpenVINO ms", "ONNX Runtime ms", "ratio", "max difference")
    for name, row in figures.items():
        table.add_row(
            name,
            "{} x {}".format(*row["size_wh"]),
            f"{row['openvino_ms']:.2f}",
            f"{row['onnxruntime_ms']:.2f}",
            f"{row['ratio']:.1f}",
            f"{row['max_abs_difference']:.1e} of {row['max_abs_output']:.3g}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
