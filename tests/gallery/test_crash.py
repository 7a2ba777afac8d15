"""The benchmark that kills processes runs, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "robustness" / "crash.py"


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--encrypted"]], ids=["open", "encrypted"])
def test_killed_three_times(more: list[str]) -> None:
    if more:
        pytest.importorskip("cryptography")
    command = [sys.executable, str(SCRIPT), "--kills", "3", "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["kills"] == 3
    assert printed["acknowledged"] > 0
    assert (printed["lost"], printed["unopenable"]) == (0, 0), printed["details"]
