"""The benchmarks start, say how they are used, and print one JSON object."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks"
SCRIPTS = {path.name: path for path in sorted(FOLDER.glob("*/*.py"))}
SCRIPTS |= {
    name: FOLDER / name
    for name in (
        *("photo.py", "strangers.py", "poses.py", "conditions.py", "compat.py"),
        *("liveness.py", "video.py", "attributes.py", "server.py"),
    )
}


Done = subprocess.CompletedProcess[str]
Call = tuple[str, ...]
"""A script and its arguments."""

TOGETHER = r"""
import contextlib, io, json, os, runpy, sys, traceback

folder, variables, path = sys.argv[1] + os.sep, dict(os.environ), list(sys.path)
for line in sys.stdin:
    script, *arguments = json.loads(line)
    sys.argv, sys.path[:] = [script, *arguments], [os.path.dirname(script), *path]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
            if isinstance(code, str):
                print(code, file=err)
                code = 1
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
    for name, module in list(sys.modules.items()):  # the next one finds its own neighbors
        if str(getattr(module, "__file__", None)).startswith(folder):
            del sys.modules[name]
    os.environ.clear()
    os.environ.update(variables)
"""
"""Runs scripts one after another, each as if alone: the packages are loaded once."""

NO_FOLDER = [
    "detect.py",
    "lfw.py",
    "ages.py",
    "ablation.py",
    "presets.py",
    "variants.py",
    "grouping_algorithms.py",
    "frontal.py",
    "mesh.py",
    "active.py",
    "poses.py",
    "conditions.py",
    "turned.py",
    "train.py --att",
    "finetune.py --lfw",
    "quantize.py --lfw",
]


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("benchmarks") / "nothing")


@pytest.fixture(scope="module")
def answers(nothing: str) -> dict[Call, Done]:
    """What scripts say that end at once, by the words of the call."""
    calls: list[Call] = [(name, "--help") for name in SCRIPTS]
    calls += [(*script.split(), nothing, "--json") for script in NO_FOLDER]
    asked = "".join(f"{json.dumps([str(SCRIPTS[name]), *rest])}\n" for name, *rest in calls)
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER, str(FOLDER)],
        input=asked, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return {call: Done(call, *json.loads(line)) for call, line in zip(calls, lines, strict=True)}


def run(script: str, *arguments: str) -> Done:
    command = [sys.executable, str(SCRIPTS[script]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def figures(script: str, *arguments: str) -> dict[str, Any]:
    done = run(script, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert isinstance(printed, dict)
    machine = printed["machine"]
    assert machine["processor"]
    assert machine["cores"] > 0
    assert {"engine", "python", "load_before", "load_after"} <= machine.keys()
    return printed


def test_all_are_here() -> None:
    wanted = {"ablation", "detect", "engines", "hostile", "lfw", "startup", "verify"}
    assert {f"{name}.py" for name in wanted} <= SCRIPTS.keys()


def test_the_index_has_one_line_a_script() -> None:
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    for name, path in SCRIPTS.items():
        link = f"[`{name}`]({path.relative_to(FOLDER).as_posix()})"
        assert sum(link in line for line in lines) == 1, link
    links = re.findall(r"\]\(([^)#]+)\)", "\n".join(lines))
    assert [link for link in links if not (FOLDER / link).exists()] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str, answers: dict[Call, Done]) -> None:
    done = answers[script, "--help"]
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


@pytest.mark.slow
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


@pytest.mark.parametrize("script", NO_FOLDER)
def test_a_missing_folder_is_one_clear_line(
    script: str, nothing: str, answers: dict[Call, Done]
) -> None:
    done = answers[(*script.split(), nothing, "--json")]
    assert done.returncode == 1
    assert "expected" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unknown_detector_is_refused(tmp_path: Path) -> None:
    done = run("detect.py", str(tmp_path), "--only", "viola-jones")
    assert done.returncode == 2
    assert "yunet" in done.stderr


@pytest.mark.slow
def test_without_a_gpu_its_script_says_so() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert figures("gpu.py")["gpu"] is None


def test_a_figure_says_where_it_comes_from() -> None:
    done = run("engines.py", "--repeats", "1", "--only", "mtcnn-o")
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert re.search(r"\d cores; .+; load \S+ before, \S+ after$", last)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- the harness ---------------------------------------------------------------------------------


def test_ways_take_turns() -> None:
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = load("_harness").alternate(ways, 3)
    assert "".join(calls) == "aabbabab"  # one call of each to warm up
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}


def test_blocks_rest_and_warm_up_before_each_turn() -> None:
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = load("_harness").alternate(ways, 5, block=2, rest_s=1e-6)
    assert "".join(calls) == "aaabbbaaabbbaabb"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 5, "b": 5}


# ---- the bars ------------------------------------------------------------------------------------


def test_the_bars_name_scripts_and_options_that_exist(answers: dict[Call, Done]) -> None:
    check = load("check")
    for name, benchmark in tomllib.loads(check.BARS.read_text(encoding="utf-8")).items():
        assert benchmark.keys() - {"environment"} == {"command", "bars"}, name
        script, *words = benchmark["command"].split()
        assert "--json" in words
        if script != "lineament":
            usage = answers[Path(script).name, "--help"].stdout
            assert (ROOT / script).is_file()
            assert [w for w in words if w.startswith("--") and w not in usage] == []
        for bar in benchmark["bars"]:
            _, sign, bound = bar.split()
            assert sign in check.COMPARE
            float(bound)


@pytest.mark.parametrize(
    ("bar", "good"),
    [
        ("a >= 2", True),
        ("a >= 2.1", False),
        ("a == 2", True),
        ("b/1e-4/mean <= 0.5", True),
        ("b/1e-4/mean <= 0.4", False),
        ("@default/x == 7", True),
    ],
)
def test_a_figure_meets_its_bar_or_not(
    bar: str, good: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = {"a": 2, "b": {"1e-4": {"mean": 0.5}}, "default": "c", "c": {"x": 7}}
    assert load("check").met(printed, bar) is good
    assert ("met" if good else "MISSED") in capsys.readouterr().out


def test_a_missed_bar_and_a_failed_command_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = load("check")
    script = tmp_path / "prints.py"
    script.write_text("import sys; print('{\"a\": 1}'); sys.exit(int(sys.argv[1]))")
    bars = tmp_path / "bars.toml"
    monkeypatch.setattr(check, "BARS", bars)
    for code, bar, good in ((0, "a == 1", True), (0, "a == 2", False), (3, "a == 1", False)):
        bars.write_text(f'[it]\ncommand = "{script} {code}"\nbars = ["{bar}"]\n')
        assert check.check("it", tmp_path) is good
