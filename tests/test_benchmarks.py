"""The benchmarks start, say how they are used, and print one JSON object."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime")

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SCRIPTS = {path.name: path for path in sorted(FOLDER.glob("*/*.py"))}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS[script]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def figures(script: str, *arguments: str) -> dict[str, Any]:
    done = run(script, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert isinstance(printed, dict)
    return printed


def test_all_are_here() -> None:
    wanted = {"ablation", "detect", "engines", "hostile", "lfw", "startup", "verify"}
    assert {f"{name}.py" for name in wanted} <= SCRIPTS.keys()


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


def test_startup() -> None:
    printed = figures("startup.py", "--repeats", "1")
    assert 0 < printed["import_s"] < printed["verify_cold_s"]


def test_engines_agree() -> None:
    printed = figures("engines.py", "--repeats", "3", "--only", "mtcnn-o")
    assert set(printed["networks"]) == {"mtcnn-o"}
    row = printed["networks"]["mtcnn-o"]
    assert row["openvino_ms"] > 0
    assert row["onnxruntime_ms"] > 0
    assert 0 <= row["max_abs_difference"] < 1e-3 * max(1, row["max_abs_output"])


@pytest.mark.parametrize(
    "script",
    [
        "detect.py",
        "lfw.py",
        "ablation.py",
        "presets.py",
        "variants.py",
        "grouping_algorithms.py",
        "frontal.py",
        "train.py --att",
        "finetune.py --lfw",
        "quantize.py --lfw",
    ],
)
def test_a_missing_folder_is_one_clear_line(script: str, tmp_path: Path) -> None:
    done = run(*script.split(), str(tmp_path / "nothing"), "--json")
    assert done.returncode == 1
    assert "expected" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unknown_detector_is_refused(tmp_path: Path) -> None:
    done = run("detect.py", str(tmp_path), "--only", "viola-jones")
    assert done.returncode == 2
    assert "yunet" in done.stderr
