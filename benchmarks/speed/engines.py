"""Each bundled network on OpenVINO and on ONNX Runtime, in one run: time, ratio, difference.

    python benchmarks/speed/engines.py [--repeats 30] [--json]

One photo a call; the engines take turns, in blocks. Both must be installed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from lineament import models
from lineament.models.runtime import Runtime, load_model

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, alternate, at_least, median_ms, report, table, track

ENGINES = ("openvino", "onnxruntime")
FREE_SIZE_WH = {"mtcnn-p": (160, 120), "yunet": (320, 320)}
"""For networks that take photos of any size; others of that kind get 320 x 320."""

ROUNDS = 3
REST_S = 0.1


def measure_one(entry: models.Card, repeats: int) -> dict[str, Any]:
    width, height = entry.input.size_wh or FREE_SIZE_WH.get(entry.name, (320, 320))
    channels = 1 if entry.input.color_order == "gray" else 3
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (1, channels, height, width)).astype(np.float32)
    batch = (batch - np.float32(entry.input.mean)) * np.float32(entry.input.scale)
    models = {engine: load_model(entry, runtime=Runtime(engine)) for engine in ENGINES}
    outputs = {engine: model(batch) for engine, model in models.items()}
    seconds = alternate(
        {engine: lambda model=model: model(batch) for engine, model in models.items()},
        repeats,
        block=max(1, repeats // ROUNDS),
        rest_s=REST_S,
    )
    openvino_ms, onnxruntime_ms = (median_ms(seconds[engine]) for engine in ENGINES)
    pairs = list(zip(*(outputs[engine] for engine in ENGINES), strict=True))
    return {
        "size_wh": [width, height],
        "openvino_ms": round(openvino_ms, 3),
        "onnxruntime_ms": round(onnxruntime_ms, 3),
        "ratio": round(onnxruntime_ms / openvino_ms, 2),
        "max_abs_difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "max_abs_output": max(float(np.abs(a).max()) for a, _ in pairs),
    }


def run(names: list[str], repeats: int) -> dict[str, Any]:
    chosen = [models.get(name) for name in names]
    figures = {entry.name: measure_one(entry, repeats) for entry in track(chosen, "networks")}
    return {"networks": figures, "repeats": repeats}


def show(figures: dict[str, Any]) -> None:
    table(
        ("network", "input", "OpenVINO ms", "ONNX Runtime ms", "ratio", "max difference"),
        (
            (
                name,
                "{} x {}".format(*row["size_wh"]),
                f"{row['openvino_ms']:.2f}",
                f"{row['onnxruntime_ms']:.2f}",
                f"{row['ratio']:.1f}",
                f"{row['max_abs_difference']:.1e} of {row['max_abs_output']:.3g}",
            )
            for name, row in figures["networks"].items()
        ),
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--repeats", type=at_least(1), default=30)
    parser.add_argument("--only", action="append", metavar="NAME", help="a network; repeatable")
    options = parser.parse_args()
    names = [entry.name for entry in models.entries() if entry.file is not None]
    for name in options.only or ():
        if name not in names:
            parser.error(f"--only: expected one of {', '.join(names)}, got {name!r}")
    chosen = [name for name in names if options.only is None or name in options.only]
    report(options, lambda: run(chosen, options.repeats), show)


if __name__ == "__main__":
    main()
