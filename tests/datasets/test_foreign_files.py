"""Data sets of others: what is no file is refused without waiting, and nothing is believed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lineament
from lineament.datasets import text
from lineament.datasets.attributes import read_attributes
from lineament.datasets.pairs_csv import read_pairs
from lineament.errors import DataError

SOURCE = Path(lineament.__file__).parent
needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")

OPENED_OTHERWISE = {
    "models/runtime.py",  # /proc/cpuinfo, and a file of its own in a folder of its own
    "models/registry.py",  # the code of a plugin that runs
    "models/_download.py",  # new files
    "datasets/cache.py",  # our own code
    "train/data/shards.py",  # new files, and tar files that were opened before
    "train/model/teacher.py",  # new files
    "train/run/_log.py",
    "quantize/_networks.py",  # os.devnull
}
"""Those that open no file of others by ``Path.open`` and its kin."""


@pytest.mark.parametrize("room", ["models", "decide", "datasets", "train", "quantize", "bulk"])
def test_files_are_opened_with_care(room: str) -> None:
    """By ``files.open_regular`` and what is made of it: neither pipes nor devices nor surprises."""
    careless = set()
    for path in (SOURCE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            bare = isinstance(function, ast.Name) and function.id == "open"
            if bare or name in ("open", "read_text", "read_bytes", "fromfile", "memmap"):
                careless.add(path.relative_to(SOURCE).as_posix())
    careless -= OPENED_OTHERWISE
    # Methods of ours, which are called "open" and "read" as well.
    assert careless <= {"bulk/_parts.py", "train/data/_random_access.py"}


@needs_pipes
def test_pipes_in_the_place_of_files(tmp_path: Path) -> None:
    """In a process of its own, which would wait for ever for any of them."""
    for name in ("list.txt", "list.csv", "train.rec", "train.idx", "part.tar", "run.toml"):
        os.mkfifo(tmp_path / name)
    code = """
import sys
from pathlib import Path
from lineament.datasets import text
from lineament.datasets.attributes import read_attributes
from lineament.datasets.insightface_bin import read_bin
from lineament.datasets.pairs_csv import read_pairs
from lineament.errors import LineamentError
from lineament.train.config import load_config
from lineament.train.data import open_faces
from lineament.train.data._random_access import RandomFile
folder = Path(sys.argv[1])
for read, name in (
    (text.read_text, "list.txt"), (text.read_bytes, "list.txt"), (read_bin, "list.txt"),
    (read_attributes, "list.csv"), (read_pairs, "list.csv"), (open_faces, "list.csv"),
    (open_faces, "train.rec"), (open_faces, "part.tar"), (RandomFile, "train.rec"),
    (load_config, "run.toml"),
):
    try:
        read(folder / name)
    except LineamentError as error:
        print(name, read.__name__, "pipe" in str(error))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    answers = [line.split() for line in done.stdout.splitlines()]
    assert len(answers) == 10
    assert [answer for answer in answers if answer[2] != "True"] == []


def test_lists_beyond_all_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MOST_BYTES", 100)
    path = tmp_path / "list.csv"
    path.write_text("photo,person\n" * 100)
    for read in (text.read_text, text.read_bytes, read_attributes, read_pairs):
        with pytest.raises(DataError, match="at most 100 bytes"):
            read(path)


def test_a_long_cell(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("file_a,file_b,same\n" + "x" * 200_000 + ",b,1\n")
    with pytest.raises(DataError, match="field"):
        read_pairs(path)
    with pytest.raises(DataError, match="field"):
        read_attributes(path)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "/" * 5000 + "x", "\udcff"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="expected the photo") as caught:
        text.existing(tmp_path / name, "list, line 1")
    assert len(str(caught.value)) < 2000
    assert str(caught.value).isprintable()
