"""How fast are the margin heads, and how much memory do they take?

    python benchmarks/training/losses.py [--only arcface|partial-fc] [--quick] [--json]

``arcface_speedup_over_pml``: an ArcFace step of pytorch-metric-learning over ours, at 100,000
classes, 512 dimensions, a batch of 128. A step is the forward pass, and the backward pass to the
embeddings and to the centers. ``arcface_speedup_with_update`` adds the update of the centers by
SGD. Steps of both alternate in one process; the figures are ratios of medians.

``partial_fc_speedup``: a step, with its update, of ArcFace over all of 1,000,000 classes over one
of PartialFC at rate 0.1. Both are ours, both move by plain SGD. Each runs in a process of its own,
one after the other and twice in turns; the figure is the ratio of medians over all of them.

``partial_fc_memory_ratio``: what PartialFC's steps take over what the full head's take. What is
counted is the peak of the resident memory during the steps, less the resident memory before the
first one, when PyTorch is loaded and the class centers (2.05 GB, the same for both) are there. So
it is gradients, logits, and copies of rows. ``partial_fc_memory_ratio_with_centres`` counts the
centers on both sides: the peak less what the process held before it made them. Linux only.

The ``..._processor_time`` keys are the same ratios of processor time: what others do on the machine
disturbs them less.

``--quick`` takes 5,000 and 20,000 classes: it shows that the script works, not what is claimed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lineament.train.losses import make_loss

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table

DIMENSION = 512
BATCH = 128
RATE = 0.1
MARGIN = 0.5
SCALE = 64.0


def arcface(classes: int, repeats: int) -> dict[str, Any]:
    """Ours against pytorch-metric-learning's, in turns."""
    try:
        from pytorch_metric_learning.losses import ArcFaceLoss
    except ImportError as error:
        print(
            "benchmarks/training/losses.py: the comparison needs pytorch-metric-learning: run  "
            "pip install pytorch-metric-learning  or give --only partial-fc",
            file=sys.stderr,
        )
        raise SystemExit(2) from error
    import math

    import torch

    torch.manual_seed(0)
    embeddings = torch.randn(BATCH, DIMENSION, requires_grad=True)
    labels = torch.randint(classes, (BATCH,))
    ours = make_loss("arcface", DIMENSION, classes, margin=MARGIN, scale=SCALE)
    theirs = ArcFaceLoss(classes, DIMENSION, margin=math.degrees(MARGIN), scale=SCALE)
    with torch.no_grad():
        theirs.W.copy_(ours.weight.t())
    rivals: dict[str, tuple[Callable[[], Any], Any]] = {
        "pml": (lambda: theirs(embeddings, labels), theirs.W),
        "lineament": (lambda: ours(embeddings, labels).loss, ours.weight),
    }
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in rivals}
    values = {}
    for _ in range(repeats + 1):
        for name, (loss_of, parameter) in rivals.items():
            optimizer = torch.optim.SGD([parameter], lr=1e-3)
            embeddings.grad = parameter.grad = None
            busy, start = time.process_time(), time.perf_counter()
            loss = loss_of()
            loss.backward()
            between = time.perf_counter()
            busy = time.process_time() - busy
            optimizer.step()
            times[name].append((between - start, time.perf_counter() - start, busy))
            values.setdefault(name, loss.item())
    # The first step of each pays for what the next ones find ready.
    step, whole, cpu = (
        {name: statistics.median(row[i] for row in rows[1:]) for name, rows in times.items()}
        for i in range(3)
    )
    return {
        "arcface_speedup_over_pml": round(step["pml"] / step["lineament"], 2),
        "arcface_speedup_with_update": round(whole["pml"] / whole["lineament"], 2),
        "arcface_speedup_processor_time": round(cpu["pml"] / cpu["lineament"], 2),
        "arcface": {
            "classes": classes,
            "dimension": DIMENSION,
            "batch": BATCH,
            "threads": torch.get_num_threads(),
            "repeats": repeats,
            "pml_s": round(step["pml"], 4),
            "lineament_s": round(step["lineament"], 4),
            "pml_with_update_s": round(whole["pml"], 4),
            "lineament_with_update_s": round(whole["lineament"], 4),
            "first_loss_pml": values["pml"],
            "first_loss_lineament": values["lineament"],
        },
    }


def partial_fc(classes: int, repeats: int) -> dict[str, Any]:
    """The full head and PartialFC, each in its own process, twice in turns."""
    runs: dict[str, list[dict[str, Any]]] = {"full": [], "partial": []}
    for _ in range(2):
        for kind, rows in runs.items():
            command = [sys.executable, str(Path(__file__).resolve()), "--head", kind]
            command += ["--classes", str(classes), "--repeats", str(repeats)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"the run of the {kind} head failed:\n{done.stderr}")
            rows.append(json.loads(done.stdout))
    seconds, busy = (
        {
            kind: statistics.median([t for row in rows for t in row[key]])
            for kind, rows in runs.items()
        }
        for key in ("steps_s", "processor_s")
    )
    step_bytes, all_bytes = (
        {kind: statistics.median(row[key] for row in rows) for kind, rows in runs.items()}
        for key in ("step_bytes", "with_centres_bytes")
    )
    return {
        "partial_fc_speedup": round(seconds["full"] / seconds["partial"], 2),
        "partial_fc_speedup_processor_time": round(busy["full"] / busy["partial"], 2),
        "partial_fc_memory_ratio": round(step_bytes["partial"] / step_bytes["full"], 3),
        "partial_fc_memory_ratio_with_centres": round(all_bytes["partial"] / all_bytes["full"], 3),
        "partial_fc": {
            "classes": classes,
            "dimension": DIMENSION,
            "batch": BATCH,
            "rate": RATE,
            "full_s": round(seconds["full"], 4),
            "partial_s": round(seconds["partial"], 4),
            "full_step_gb": round(step_bytes["full"] / 1e9, 3),
            "partial_step_gb": round(step_bytes["partial"] / 1e9, 3),
            "full_with_centres_gb": round(all_bytes["full"] / 1e9, 3),
            "partial_with_centres_gb": round(all_bytes["partial"] / 1e9, 3),
        },
    }


def one_head(kind: str, classes: int, repeats: int) -> dict[str, Any]:
    """In a process of its own: times of the steps, and bytes at their peak."""
    import torch

    torch.manual_seed(0)
    # Load what PyTorch loads at first use, so that it is not counted.
    small = make_loss("partial-fc", DIMENSION, 1000, rate=RATE)
    small(torch.randn(BATCH, DIMENSION, requires_grad=True), torch.arange(BATCH)).loss.backward()
    small.update(0.1)
    before_centers = _memory_bytes("VmRSS")
    if kind == "full":
        head = make_loss("arcface", DIMENSION, classes, margin=MARGIN, scale=SCALE)
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    else:
        head = make_loss(
            "partial-fc",
            DIMENSION,
            classes,
            margin="arcface",
            margin_options={"margin": MARGIN, "scale": SCALE},
            rate=RATE,
            momentum=0.0,
            weight_decay=0.0,
        )
        optimizer = None
    before_steps = _memory_bytes("VmRSS")
    _forget_peak()
    times, cpu = [], []
    for _ in range(repeats + 1):
        embeddings = torch.randn(BATCH, DIMENSION, requires_grad=True)
        labels = torch.randint(classes, (BATCH,))
        start, busy = time.perf_counter(), time.process_time()
        if optimizer is not None:
            optimizer.zero_grad()
        head.advance(0, 1)
        head(embeddings, labels).loss.backward()
        if optimizer is not None:
            optimizer.step()
        head.update(0.1)
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    peak = _memory_bytes("VmHWM")
    return {
        "steps_s": times[1:],
        "processor_s": cpu[1:],
        "step_bytes": peak - before_steps,
        "with_centres_bytes": peak - before_centers,
    }


def _memory_bytes(which: str) -> int:
    """Of this process: resident now ("VmRSS") or at most since ``_forget_peak`` ("VmHWM")."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(which + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status: expected a line {which}")


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def run(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if options.only != "partial-fc":
        result |= arcface(5_000 if options.quick else 100_000, options.repeats)
    if options.only != "arcface":
        result |= partial_fc(20_000 if options.quick else 1_000_000, options.repeats)
    return result


def show(figures: dict[str, Any]) -> None:
    rows = []
    for key, value in figures.items():
        if isinstance(value, dict):
            rows += [(f"{key}: {name}", figure) for name, figure in value.items()]
        else:
            rows.append((key, value))
    title = f"margin heads, {DIMENSION} dimensions, a batch of {BATCH}"
    table(("figure", "value"), rows, title=title)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--only", choices=("arcface", "partial-fc"), help="one of the two parts")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--repeats", type=at_least(1), default=5, metavar="N", help="(5)")
    parser.add_argument("--head", choices=("full", "partial"), help=argparse.SUPPRESS)
    parser.add_argument("--classes", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.head is not None:
        print(json.dumps(one_head(options.head, options.classes, options.repeats)))
        return
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
