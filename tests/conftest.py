"""What several tests need: the demonstration photo, and a clean environment."""

from __future__ import annotations

import gc
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament.types import Image

pytest.register_assert_rewrite("index_contract")  # it holds tests

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes; all that the tests write is about half a gigabyte."""


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders lie in memory where that has room: galleries sync thousands of times."""
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or config.option.basetemp is not None:
        return
    if not hasattr(os, "statvfs") or not MEMORY.is_dir():
        return
    there = os.statvfs(MEMORY)
    runs_programs = not there.f_flag & getattr(os, "ST_NOEXEC", 0)  # as some of the tests want
    if runs_programs and there.f_bavail * there.f_frsize >= ROOM and os.access(MEMORY, os.W_OK):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Say how a process of pytest-xdist ended that should not have: -9 is "somebody killed it"."""
    if error:
        process = getattr(node.gateway._io, "popen", None)
        code = "unknown" if process is None else process.wait(60)
        print(f"\n{node.gateway.id} ended too early, exit code {code}", file=sys.stderr)


def pytest_collection_finish() -> None:
    """What was loaded stays: collections of garbage need not look at it again and again."""
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With LINEAMENT_SLOW_PART=K/N, of the slow tests the K-th of N parts: CI takes turns."""
    number, _, parts = os.environ.get("LINEAMENT_SLOW_PART", "").partition("/")
    if not parts:
        return
    taken: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        mine = zlib.crc32(item.nodeid.encode()) % int(parts) == int(number)
        taken[mine or item.get_closest_marker("slow") is None].append(item)
    config.hook.pytest_deselected(items=taken[False])
    items[:] = taken[True]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {name for name in os.environ if name.startswith("LINEAMENT_")}
    for name in settings - {"LINEAMENT_DATA"}:  # where data sets lie, for tests alone
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def benchmark_parts() -> Iterator[None]:
    """What benchmarks are made of can be imported, as their scripts do it."""
    folder = Path(__file__).resolve().parents[1] / "benchmarks"
    before = list(sys.path)
    sys.path[:0] = [str(folder), str(folder / "accuracy")]
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def astronaut_path() -> Path:
    return Path(lineament.__file__).parent / "data" / "demo" / "astronaut.jpg"


@pytest.fixture(scope="session")
def astronaut(astronaut_path: Path) -> Image:
    """(512, 512, 3), one face of 91 by 112 pixels about (223, 119)."""
    image = np.asarray(PILImage.open(astronaut_path).convert("RGB"))
    image.flags.writeable = False
    return image
