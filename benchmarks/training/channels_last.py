"""What ``run.channels_last`` saves: a training step of a backbone in both orders of memory.

    python benchmarks/training/channels_last.py [--backbones sface ...] [--batch 16] [--repeats 7]
                                               [--json]

A step is the forward and the backward pass, all weights trained, on crops of random pixels; steps
of both orders alternate in one process. ``speedup`` is the median time with PyTorch's usual order
(a picture's red, then its green, then its blue numbers) over that with the three side by side.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, alternate, at_least, report, table

PRECISIONS = ("fp32", "bf16")


def speedups(name: str, batch: int, repeats: int) -> dict[str, Any]:
    """Of one backbone, for each precision."""
    import torch

    from lineament.train.backbones import make_backbone
    from lineament.train.backbones.bundled import BUNDLED, load_bundled
    from lineament.train.run.optimizer import Precision

    figures = {}
    for kind in PRECISIONS:
        orders = {"usual": torch.contiguous_format, "channels_last": torch.channels_last}
        precision = Precision(kind, torch.device("cpu"))
        networks = {}
        for order, layout in orders.items():
            torch.manual_seed(0)
            network = load_bundled(name) if name in BUNDLED else make_backbone(name)
            networks[order] = network.to(memory_format=layout).train()
        side = networks["usual"].size_px
        crops = torch.randint(0, 256, (batch, 3, side, side)).float()
        seen = {name: crops.contiguous(memory_format=order) for name, order in orders.items()}

        def step(order: str, networks: Any = networks, precision: Any = precision) -> None:
            networks[order].zero_grad()
            with precision.autocast():
                embedded = networks[order](seen[order])  # noqa: B023
            embedded.float().square().mean().backward()

        # The first step of each pays for what the next ones find ready.
        times = alternate({order: lambda o=order: step(o) for order in orders}, repeats)
        median = {order: statistics.median(seconds) for order, seconds in times.items()}
        figures[kind] = {
            "speedup": round(median["usual"] / median["channels_last"], 2),
            **{f"{order}_s": round(value, 4) for order, value in median.items()},
        }
    return figures


def show(figures: dict[str, Any]) -> None:
    table(
        ("backbone", *PRECISIONS),
        (
            (name, *(f"{row[kind]['speedup']:.2f}" for kind in PRECISIONS))
            for name, row in figures.items()
        ),
        title="a training step: usual order / channels last",
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--backbones", nargs="+", default=["sface", "mobilefacenet", "iresnet18", "edgeface-xs"]
    )
    parser.add_argument("--batch", type=at_least(2), default=16)
    parser.add_argument("--repeats", type=at_least(1), default=7, metavar="N", help="(7)")
    options = parser.parse_args()
    report(
        options,
        lambda: {
            name: speedups(name, options.batch, options.repeats) for name in options.backbones
        },
        show,
    )


if __name__ == "__main__":
    main()
