"""The folder of a run that others can write to: what stands in the place of its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from foreign_things import run

pytest.importorskip("torch")

from lineament.train.run._log import read_log

USE = """
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)  # PyTorch takes much
import numpy as np, torch
from lineament.train.model.teacher import Remembered
from lineament.train.run._log import CSV, Log

class Teacher:
    dimension = 2
    def embed(self, crops):
        return torch.tensor([[1.0, 0.0]] * len(crops))

crops, numbers = torch.zeros((3, 3, 4, 4), dtype=torch.uint8), torch.tensor([0, 1, 2])
for kind in THINGS:
    place = Path(sys.argv[1]) / kind
    place.mkdir()
    own = outside(place)
    for resumed in (False, True):
        put(kind, place / "teacher.f32", own)
        remembered = Remembered(Teacher(), 3, place / "teacher.f32", resumed=resumed)
        assert remembered.embed(crops, numbers).tolist() == [[1.0, 0.0]] * 3
        again = Remembered(Teacher(), 3, place / "teacher.f32", resumed=True)
        assert again.embed(crops, numbers).tolist() == [[1.0, 0.0]] * 3
        put(kind, place / CSV, own)
        def logged():
            log = Log(place, csv=True, tensorboard=False, resumed_at=1 if resumed else None)
            log.add({"epoch": 0, "step": 1, "loss": 0.5})
            put(kind, place / CSV, own)
            log.add({"epoch": 0, "step": 2, "loss": 0.5})
        tried(logged)
        assert is_unchanged(own), (kind, resumed)
"""


@pytest.mark.slow  # it imports PyTorch
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
def test_whatever_stands_in_the_place_of_a_file(tmp_path: Path) -> None:
    run(USE, tmp_path)


def test_a_log_with_numbers_that_make_no_sense(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "epoch,step,loss\n1,inf,1\n1,nan,1\n1,1e999,1\nx,1,1\n1,3,0.5\n-1,1,nan\n1,4"
    )
    steps = [row["step"] for row in read_log(tmp_path / "log.csv")]
    assert steps == [3, 1, 4]
