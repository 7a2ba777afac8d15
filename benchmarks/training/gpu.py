"""What a GPU adds: the CUDA engine, a training step in fp32, bf16 and fp16, and NCCL.

    python benchmarks/training/gpu.py [--backbone iresnet50] [--batch 128] [--repeats 20] [--json]

``embedding`` is crops a second of the default recognizer, in batches: ONNX Runtime on CUDA against
the default engine on the processor, in turns (needs the extra ``gpu``; null without it).
``steps`` is a training step, the forward and the backward pass of a backbone with an ArcFace head
over 10,000 people, on crops of random pixels: photos a second, and the loss, which shall be finite
and about the same in each precision. ``nccl`` is a sum over all GPUs of the gradients of 50 million
weights. Without a GPU it says so, in ``gpu``: null, and ends well.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, alternate, at_least, report, table

PRECISIONS = ("fp32", "bf16", "fp16")
PEOPLE = 10_000
WEIGHTS = 50_000_000


def embedding(batch: int, repeats: int) -> dict[str, float] | None:
    import onnxruntime

    from lineament import models
    from lineament.embed import load_embedder
    from lineament.models.runtime import Runtime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return None
    entry = models.get("sface")
    crops = np.random.default_rng(0).integers(0, 256, (batch, 112, 112, 3), np.uint8)
    engines = {
        "cuda": load_embedder(entry, flip=False, runtime=Runtime("onnxruntime", "cuda")),
        "cpu": load_embedder(entry, flip=False, runtime=Runtime()),
    }
    vectors = {name: engine.embed(crops)[0] for name, engine in engines.items()}
    seconds = alternate(
        {name: lambda e=engine: e.embed(crops) for name, engine in engines.items()}, repeats
    )
    speeds = {name: batch / statistics.median(times) for name, times in seconds.items()}
    return {
        "cuda_crops_per_s": round(speeds["cuda"], 1),
        "cpu_crops_per_s": round(speeds["cpu"], 1),
        "speedup": round(speeds["cuda"] / speeds["cpu"], 2),
        "least_cosine": float(np.einsum("nd,nd->n", vectors["cuda"], vectors["cpu"]).min()),
    }


def training(name: str, kind: str, batch: int, repeats: int) -> dict[str, float]:
    """Steps of one precision."""
    import torch

    from lineament.train.backbones import make_backbone
    from lineament.train.losses import make_loss
    from lineament.train.run.optimizer import Precision

    device = torch.device("cuda")
    torch.manual_seed(0)
    backbone = make_backbone(name).to(device, memory_format=torch.channels_last).train()
    head = make_loss("arcface", backbone.dimension, PEOPLE).to(device)
    precision = Precision(kind, device)
    side = backbone.size_px
    crops = torch.randint(0, 256, (batch, 3, side, side), device=device).float()
    crops = crops.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(PEOPLE, (batch,), device=device)
    loss = torch.zeros(())

    def step() -> None:
        nonlocal loss
        with precision.autocast():
            embedded = backbone(crops)
        loss = head(embedded.float(), labels).loss
        precision.scaled(loss).backward()
        torch.cuda.synchronize()
        backbone.zero_grad()
        head.zero_grad()

    torch.cuda.reset_peak_memory_stats()
    seconds = alternate({kind: step}, repeats, warm=3)[kind]
    return {
        "photos_per_s": round(batch / statistics.median(seconds), 1),
        "loss": round(float(loss.detach()), 4),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2),
    }


def _sum(rank: int, world: int, meeting: str, repeats: int, file: str) -> None:
    """In a process of its own: sum the gradients over the GPUs."""
    import torch
    import torch.distributed as dist

    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", f"file://{meeting}", rank=rank, world_size=world)
    values = torch.ones(WEIGHTS, device="cuda")
    dist.all_reduce(values)
    right = bool((values == world).all())
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(repeats):
        dist.all_reduce(values)
    torch.cuda.synchronize()
    if rank == 0:
        Path(file).write_text(f"{right:d} {(time.perf_counter() - started) / repeats}")
    dist.destroy_process_group()


def nccl(repeats: int) -> dict[str, Any]:
    import torch

    world = torch.cuda.device_count()
    with tempfile.TemporaryDirectory() as folder:
        meeting, file = str(Path(folder) / "meeting"), str(Path(folder) / "result")
        torch.multiprocessing.spawn(_sum, (world, meeting, repeats, file), nprocs=world)
        right, seconds = Path(file).read_text().split()
    version = ".".join(map(str, torch.cuda.nccl.version()))
    ms = round(1e3 * float(seconds), 3)
    return {"version": version, "gpus": world, "right": right == "1", "all_reduce_ms": ms}


def run(options: Any) -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        return {"gpu": None}
    return {
        "gpu": torch.cuda.get_device_name(0),
        "gpus": torch.cuda.device_count(),
        "backbone": options.backbone,
        "batch": options.batch,
        "steps": {
            kind: training(options.backbone, kind, options.batch, options.repeats)
            for kind in PRECISIONS
        },
        "embedding": embedding(options.batch, options.repeats),
        "nccl": nccl(options.repeats),
    }


def show(figures: dict[str, Any]) -> None:
    if figures["gpu"] is None:
        print("no GPU")
        return
    table(
        ("a training step", "photos a second", "loss", "peak GB"),
        ((kind, *row.values()) for kind, row in figures["steps"].items()),
        title=f"{figures['gpu']}, {figures['backbone']}, batch of {figures['batch']}",
    )
    table(("embedding", "value"), (figures["embedding"] or {"no CUDA engine": ""}).items())
    table(("NCCL", "value"), figures["nccl"].items())


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--backbone", default="iresnet50", metavar="NAME", help="(iresnet50)")
    parser.add_argument("--batch", type=at_least(2), default=128, help="(128)")
    parser.add_argument("--repeats", type=at_least(1), default=20, metavar="N", help="(20)")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
