"""What the tests start on two processes: OUT MODE [OVERRIDE ...]; rank 0 writes OUT.json."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import torch
from made_faces import MadeFaces, made_config

from lineament.errors import LineamentError
from lineament.train.loop import Progress, fit
from lineament.types import Image


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


class Faces(MadeFaces):
    """In mode "kill" the second process dies at its 31st photograph."""

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
        values = {"losses": [row["loss"] for row in run.history], "step": run.step}
        Path(f"{out}.json").write_text(json.dumps(values | {"verified": run.verified}))
    return 0


def both(out: str, mode: str, *overrides: str) -> list[int]:
    """Two processes as torchrun would start them, forked: PyTorch is loaded once for all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
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
    if sys.argv[1] == "phases":  # OUT,OUT,... MODE,MODE,... [OVERRIDE ...]; prints exit codes
        outs, modes = (text.split(",") for text in sys.argv[2:4])
        print(json.dumps([both(o, m, *sys.argv[4:]) for o, m in zip(outs, modes, strict=True)]))
    else:
        sys.exit(main(*sys.argv[1:]))
