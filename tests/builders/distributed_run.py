"""What the tests start on several processes: OUT MODE [OVERRIDE ...]; rank 0 writes OUT.json."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest import mock

import torch
from made_faces import MadeFaces, made_config
from torch import Tensor, nn

from lineament.errors import LineamentError
from lineament.train.run.loop import Progress, fit
from lineament.types import Image


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


class Smooth(nn.Module):
    """PReLU at its beginning, slopes of 1/4 and 1, with the kink rounded."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return 0.625 * x + 0.375 * (x.square() + 0.01).sqrt()


@contextmanager
def smooth() -> Iterator[None]:
    """Networks without kinks, for comparing losses.

    Sums over two halves are rounded otherwise than sums over the whole. Where that turns the sign
    of a number before a PReLU, its gradient jumps, and a run goes another way.
    """
    with mock.patch.object(nn, "PReLU", Smooth):
        yield


class Faces(MadeFaces):
    """In mode "kill" the second process dies at its 31st photo."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode, self.read_before = mode, 0

    def read(self, index: int) -> Image:
        self.read_before += 1
        if rank() == 1 and self.mode == "kill" and self.read_before > 30:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index)


def main(out: str, mode: str, *overrides: str) -> int:
    torch.set_num_threads(1)

    def progress(now: Progress) -> None:
        if mode == "stop" and now.step == 3 and rank() == 0:
            os.kill(os.getpid(), signal.SIGTERM)  # reaches one process only

    try:
        with smooth() if mode == "smooth" else nullcontext():
            run = fit(
                made_config(Path(out), *overrides),
                faces=Faces(mode),
                resume=mode == "resume",
                progress=progress,
            )
    except LineamentError as error:
        print(
            f"{mode}, rank {rank()}: {type(error).__name__}: {error}", file=sys.stderr, flush=True
        )
        return 2
    if rank() == 0:
        values = {"history": run.history, "step": run.step, "verified": run.verified}
        Path(f"{out}.json").write_text(json.dumps(values))
    return 0


def together(count: int, out: str, mode: str, *overrides: str) -> list[int]:
    """Processes as torchrun would start them, forked: PyTorch is loaded once for all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(count)}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            code = 1
            try:
                code = main(out, mode, *overrides)
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    if sys.argv[1] == "phases":  # [[PROCESSES, OUT, MODE, OVERRIDE, ...], ...]; prints exit codes
        print(json.dumps([together(*phase) for phase in json.loads(sys.argv[2])]))
    else:
        sys.exit(main(*sys.argv[1:]))
