"""What ``run.channels_last`` saves: a training step of a backbone in both orders of memory.

    python benchmarks/training/channels_last.py [--backbones sface ...] [--batch 16] [--repeats 7]
                                               [--json]

A step is the forward and the backward pass, all weights trained, on crops of random pixels; steps
of both orders alternate in one process. ``speedup`` is the median time with PyTorch's usual order
(a picture's red, then its green, then its blue numbers) over that with the three side by side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from lineament import LineamentError

PRECISIONS = ("fp32", "bf16")


def speedups(name: str, batch: int, repeats: int) -> dict[str, Any]:
    """Of one backbone, for each precision."""
    import torch

    from lineament.train.backbones import make_backbone
    from lineament.train.backbones.bundled import BUNDLED, load_bundled
    from lineament.train.run.precision import Precision

    figures = {}
    for kind in PRECISIONS:
        orders = {"usual": torch.contiguous_format, "channels_last": torch.channels_last}
        precision = Precision(kind, torch.device("cpu"))
        times: dict[str, list[float]] = {order: [] for order in orders}
        networks = {}
        for order, layout in orders.items():
            torch.manual_seed(0)
            network = load_bundled(name) if name in BUNDLED else make_backbone(name)
            networks[order] = network.to(memory_format=layout).train()
        side = networks["usual"].size_px
        crops = torch.randint(0, 256, (batch, 3, side, side)).float()
        for _ in range(repeats + 1):
            for order, network in networks.items():
                seen = crops.contiguous(memory_format=orders[order])
                started = time.perf_counter()
                with precision.autocast():
                    embedded = network(seen)
                embedded.float().square().mean().backward()
                times[order].append(time.perf_counter() - started)
                network.zero_grad()
        # The first step of each pays for what the next ones find ready.
        median = {order: statistics.median(found[1:]) for order, found in times.items()}
        figures[kind] = {
            "speedup": round(median["usual"] / median["channels_last"], 2),
            **{f"{order}_s": round(value, 4) for order, value in median.items()},
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--backbones", nargs="+", default=["sface", "mobilefacenet", "iresnet18", "edgeface-xs"]
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="at least 1 (7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.repeats < 1 or options.batch < 2:
        parser.error("--repeats: expected 1 or more, --batch: 2 or more")
    try:
        found = {name: speedups(name, options.batch, options.repeats) for name in options.backbones}
    except LineamentError as error:
        parser.exit(1, f"error: {error}\n")
    if options.json:
        print(json.dumps(found))
        return
    table = Table(title=f"a training step, batch of {options.batch}: usual order / channels last")
    table.add_column("backbone")
    for kind in PRECISIONS:
        table.add_column(kind, justify="right")
    for name, figures in found.items():
        table.add_row(name, *(f"{figures[kind]['speedup']:.2f}" for kind in PRECISIONS))
    Console().print(table)


if __name__ == "__main__":
    main()
