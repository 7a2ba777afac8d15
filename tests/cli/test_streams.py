"""Standard streams that are closed, full, or read by nobody: the exit code, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as PILImage

import lineament
from lineament.gallery import Gallery

pytestmark = pytest.mark.skipif(os.name == "nt", reason="redirections of a shell of Unix")

DEMO = Path(lineament.__file__).parent / "data" / "demo"
A, B = DEMO / "astronaut.jpg", DEMO / "obama.jpg"

WRITES = {
    f"verify {A} {A} --save out.png": 0,
    f"detect {A} --save drawn --json": 0,
    f"embed {A} --out out.npz --json": 0,
    f"align {A} --out crops": 0,
    f"gallery enroll Ada {A} --gallery g": 0,
    f"gallery enroll Ada {A} --gallery g --json": 0,
    f"group {A} {B} {DEMO / 'obama2.jpg'} --out groups.json --report page.html": 0,
}
READS = {
    f"verify {A} {A}": 0,
    f"verify {A} {B}": 1,
    f"verify {A} {B} --json": 1,
    "verify missing.jpg missing.jpg --json": 2,
    "completion bash": 0,
    "models list": 0,
    "": 2,
    "gallery": 2,
    "nonsense": 2,
    "--help": 0,
}
"""Calls and their exit codes."""


def run(call: str, redirection: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m lineament {call} {redirection}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path),
             "LINEAMENT_CACHE": str(folder / "cache")},
    )  # fmt: skip


def check(call: str, code: int, redirection: str, folder: Path) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    done = run(call, redirection, folder)
    silent = {"nonsense", "verify missing.jpg missing.jpg"}  # nothing of them goes to stdout
    unwritten = redirection.startswith((">", "<&- >")) and call not in silent
    assert done.returncode == (2 if unwritten else code), done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert len(done.stderr.splitlines()) <= 4, done.stderr  # the usage of what is none
    if unwritten and code != 2 and "2>" not in redirection:
        assert "the output cannot be written: " in done.stderr
        assert "Errno" not in done.stderr
    if not unwritten and "--json" in call:
        assert isinstance(json.loads(done.stdout), dict)


REDIRECTIONS = [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"]


@pytest.mark.slow
@pytest.mark.parametrize("redirection", [*REDIRECTIONS, "<&-"])
@pytest.mark.parametrize("call", READS)
def test_exit_codes(call: str, redirection: str, tmp_path: Path) -> None:
    check(call, READS[call], redirection, tmp_path)


@pytest.mark.parametrize("call", ["", "--help", "nonsense"])
def test_exit_codes_in_short(call: str, tmp_path: Path) -> None:
    check(call, READS[call], ">&-", tmp_path)
    check(call, READS[call], "<&- >&- 2>&-", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", ">&-", "2>&-"])
@pytest.mark.parametrize("call", WRITES)
def test_no_file_takes_the_place_of_a_closed_stream(
    call: str, redirection: str, tmp_path: Path
) -> None:
    """What is printed would stand in the middle of a database or a picture."""
    check(call, WRITES[call], redirection, tmp_path)
    written = [p for p in tmp_path.rglob("*") if p.is_file() and "cache" not in p.parts]
    assert written
    for path in written:
        if path.suffix == ".png":
            PILImage.open(path).load()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".html":
            assert path.read_text().lower().startswith("<!doctype html>")
    if (tmp_path / "g").exists():
        with Gallery.open(tmp_path / "g", read_only=True) as gallery:
            assert gallery.check() == []
            assert [person.name for person in gallery.people()] == ["Ada"]


def test_a_gallery_is_whole_without_any_stream(tmp_path: Path) -> None:
    call = f"gallery enroll Ada {A} --gallery g"
    test_no_file_takes_the_place_of_a_closed_stream(call, "<&- >&- 2>&-", tmp_path)


@pytest.mark.parametrize("call", ["--help", "", "verify --help", "models licenses"])
def test_nobody_reads(call: str, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lineament", *call.split()],
            stdout=write, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path),
                 "LINEAMENT_CACHE": str(tmp_path / "cache")},
        )  # fmt: skip
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")
