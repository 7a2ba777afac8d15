"""The recognizers in int8 against float32, by the instructions that the processor may use.

    python benchmarks/speed/instructions.py --lfw DIR [--pairs 300] [--crops FILE.npy] [--json]

oneDNN, which computes OpenVINO's layers, is limited by ONEDNN_MAX_CPU_ISA, so that one processor
stands for older ones; ``lineament`` is what the package does by itself. Each set runs in a process
of its own, in which float32 and int8 take turns; a figure is a median of processor time, a ratio
is of two in one process. Embeddings are of the photos in the first pairs of View 1's test, as many
of one person as of two, and are compared with those of ``lineament``; ``changed`` counts verdicts
of all pairs of these photos at the threshold where 1e-4 of the pairs of two people match.

``--crops`` as for ``quantize.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from lineament import models
from lineament.datasets.lfw import read_lfw
from lineament.embed import BATCH
from lineament.models.runtime import Runtime, load_model

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table
from quantize import faces_of

SETS = {  # what oneDNN calls them -> what Linux says a processor needs for them
    "AVX2": "avx2",
    "AVX2_VNNI": "avx_vnni",
    "AVX512_CORE": "avx512bw",
    "AVX512_CORE_VNNI": "avx512_vnni",
    "AVX512_CORE_AMX": "amx_int8",
}
FLOAT = ("sface", "mobilefacenet")
NETWORKS = [name + end for name in FLOAT for end in ("", "-int8")]
ROUNDS = 20


def work(place: Path, engine: str) -> None:
    """In a process of its own: crops.npy -> times.json and embeddings.npz."""
    crops = np.load(place / "crops.npy").transpose(0, 3, 1, 2).astype(np.float32)
    runtime = Runtime(engine, threads=1)  # type: ignore[arg-type]
    loaded, load_ms = {}, {}
    for name in ("yunet", *NETWORKS):  # the first pays for the engine
        started = time.process_time()
        loaded[name] = load_model(models.get(name), runtime=runtime)
        load_ms[name] = 1e3 * (time.process_time() - started)
    taken: dict[str, list[float]] = {}
    for batch in (1, BATCH):
        some = np.ascontiguousarray(crops[:batch])
        for i in range(ROUNDS + 2):
            for name in NETWORKS:
                started = time.process_time()
                loaded[name](some)
                if i > 1:
                    seconds = (time.process_time() - started) / batch
                    taken.setdefault(f"{name}/{batch}", []).append(1e3 * seconds)
    rows = {
        name: np.concatenate(
            [loaded[name](crops[i : i + BATCH])[0] for i in range(0, len(crops), BATCH)]
        )
        for name in NETWORKS
    }
    np.savez(place / "embeddings.npz", **rows)
    times = {name: float(np.median(ms)) for name, ms in taken.items()}
    (place / "times.json").write_text(json.dumps({"ms": times, "load_ms": load_ms}))


def compare(options: argparse.Namespace) -> dict[str, Any]:
    lfw = read_lfw(options.lfw)
    pairs, same = lfw.view1_test.indices, lfw.view1_test.same
    half = max(1, options.pairs // 2)
    wanted = np.unique(np.concatenate([pairs[same][:half], pairs[~same][:half]]))
    crops, found = faces_of(models.get("sface"), lfw, wanted, options.crops)
    wanted = wanted[found[wanted]]
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    sets = ["lineament", *(name for name, needed in SETS.items() if needed in flags)]
    made: dict[str, Any] = {}
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "crops.npy", crops[wanted])
        for name in [*sets, "onnxruntime"]:
            environment = dict(os.environ)
            if name in SETS:
                environment["ONEDNN_MAX_CPU_ISA"] = name
            engine = name if name == "onnxruntime" else "openvino"
            command = [sys.executable, __file__, "--work", folder, "--engine", engine]
            subprocess.run(command, check=True, env=environment)
            made[name] = json.loads((Path(folder) / "times.json").read_text())
            rows[name] = dict(np.load(Path(folder) / "embeddings.npz"))
    return {
        "photos": len(wanted),
        "sets": {
            name: {
                "speedup": {
                    f"{network}/{batch}": round(
                        one["ms"][f"{network}/{batch}"] / one["ms"][f"{network}-int8/{batch}"], 3
                    )
                    for network in FLOAT
                    for batch in (1, BATCH)
                },
                "ms": {key: round(value, 3) for key, value in one["ms"].items()},
                "load_ms": {key: round(value, 1) for key, value in one["load_ms"].items()},
                "agreement": {
                    network: agreement(rows["lineament"][network], rows[name][network], lfw, wanted)
                    for network in NETWORKS
                },
            }
            for name, one in made.items()
        },
    }


def agreement(one: Any, other: Any, lfw: Any, wanted: Any) -> dict[str, float]:
    """Of two sets of embeddings (N, D), not scaled."""
    lengths = [np.linalg.norm(rows.astype(np.float64), axis=1) for rows in (one, other)]
    units = [rows / length[:, None] for rows, length in zip((one, other), lengths, strict=True)]
    cosines = np.einsum("nd,nd->n", *units)
    a, b = np.triu_indices(len(one), 1)
    same = lfw.person[wanted][a] == lfw.person[wanted][b]
    scores = [(rows @ rows.T)[a, b] for rows in units]
    threshold = np.quantile(scores[0][~same], 1 - 1e-4)
    changed = (scores[0] >= threshold) != (scores[1] >= threshold)
    return {
        "mean_cosine": round(float(cosines.mean()), 6),
        "least_cosine": round(float(cosines.min()), 6),
        "length": round(float((lengths[1] / lengths[0]).mean()), 5),
        "changed": int(changed.sum()),
        "changed_of_one_person": int(changed[same].sum()),
        "pairs": len(same),
        "pairs_of_one_person": int(same.sum()),
    }


def show(figures: dict[str, Any]) -> None:
    sets = figures["sets"]
    columns = ("", *(f"{network}, {n} at once" for network in FLOAT for n in (1, BATCH)))
    rows = [
        (name, *(f"{one['speedup'][key]:.2f}" for key in one["speedup"]))
        for name, one in sets.items()
    ]
    table(columns, rows, title="int8, times as fast as float32")
    rows = []
    for name, one in sets.items():
        cells = []
        for network in FLOAT:
            found = one["agreement"][f"{network}-int8"]
            cells += [
                f"{found['mean_cosine']:.5f}, {found['least_cosine']:.4f}",
                f"{found['changed_of_one_person']} and "
                f"{found['changed'] - found['changed_of_one_person']}",
            ]
        rows.append((name, *cells))
    any_one = next(iter(sets.values()))["agreement"]["sface-int8"]
    table(
        ("", *(f"{network}-int8 {what}" for network in FLOAT for what in ("cosine", "changed"))),
        rows,
        title=f"against lineament's own: mean and least cosine; verdicts changed of "
        f"{any_one['pairs_of_one_person']:,} pairs of one person and of "
        f"{any_one['pairs'] - any_one['pairs_of_one_person']:,} of two",
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--lfw", type=Path, metavar="DIR", help="LFW's folder")
    parser.add_argument("--pairs", type=at_least(2), default=300, metavar="N", help="of View 1")
    parser.add_argument("--crops", type=Path, metavar="FILE.npy", help="faces found before")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        work(options.work, options.engine)
        return
    if options.lfw is None:
        parser.error("the following arguments are required: --lfw")
    report(options, lambda: compare(options), show)


if __name__ == "__main__":
    main()
