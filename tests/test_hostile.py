"""The benchmark of hostile cases: cases are what they are said to be, and nothing passes it by."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime")
if not Path("/proc/self/clear_refs").exists():
    pytest.skip("the benchmark needs /proc of Linux", allow_module_level=True)

FOLDER = Path(__file__).parents[1] / "benchmarks" / "robustness"
SCRIPT = FOLDER / "hostile.py"


@pytest.fixture(scope="module")
def doors() -> Any:
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("doors")
    sys.path.remove(str(FOLDER))


def run(*options: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, str(SCRIPT), *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_there_are_ten_thousand_cases_and_a_tenth_a_day(doors: Any) -> None:
    total = sum(doors.load(name).cases for name in doors.NAMES)
    assert total >= 10_000
    spec = importlib.util.spec_from_file_location("hostile_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    plans = [script.planned(doors.NAMES, None, day) for day in (739_000, 739_000, 739_001)]
    assert plans[0] == plans[1] != plans[2]
    count = sum(len(numbers) for numbers in plans[0].values())
    assert total / 10 - 10 < count < total / 10 + 10
    assert count >= 1000


def test_a_case_is_a_function_of_the_seed_and_its_number(doors: Any) -> None:
    rng_of = importlib.import_module("doors.case").rng_of
    assert rng_of(0, "names", 7).bytes(8) == rng_of(0, "names", 7).bytes(8)
    others = [rng_of(1, "names", 7), rng_of(0, "names", 8), rng_of(0, "urls", 7)]
    assert len({rng_of(0, "names", 7).bytes(8), *(rng.bytes(8) for rng in others)}) == 4


def test_every_door_names_what_its_kinds_do(doors: Any) -> None:
    for name in doors.NAMES:
        door = doors.load(name)
        assert door.name == name
        assert door.cases >= len(set(door.kinds))
        assert all(kind.__name__ for kind in door.kinds)


@pytest.mark.slow
def test_what_is_planted_is_found(doors: Any) -> None:
    """A detector that cannot fail is worth nothing: each fault is counted as what it is."""
    planted = importlib.import_module("doors.planted")
    code, figures = run("--door", "planted", "--limit-s", "3", "--workers", "1")
    assert code == 1
    assert figures["cases"] == len(planted.KINDS)
    counts = figures["doors"]["planted"]
    for kind, fault in planted.KINDS.items():
        count = counts[kind.__name__]
        for what in ("crashes", "hangs", "leaks", "escapes"):
            assert count[what] == (what == fault), f"{kind.__name__}: {what}"
    assert counts["refuses"]["refused"] == 1
    assert counts["well"]["accepted"] == 1
    assert counts["(all)"]["leaks"] == 1  # it hoards


@pytest.mark.slow
def test_sound_cases_are_not_accused() -> None:
    code, figures = run("--door", "names", "--door", "filters", "--cases", "40")
    assert code == 0, figures["found"]
    assert figures["cases"] == 40
    assert figures["refused"] > 0
    assert figures["accepted"] > 0
