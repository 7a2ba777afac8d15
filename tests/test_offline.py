"""Nothing asks for another machine, and nothing is written outside of the cache folder."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lineament

pytestmark = pytest.mark.slow
SOURCE = Path(lineament.__file__).parent
DEMO = SOURCE / "data" / "demo"
ROOT = SOURCE.parents[1]
A, B, GROUP = (str(DEMO / name) for name in ("obama.jpg", "obama2.jpg", "group.jpg"))

GUARD = """
import os, socket

def _refuse(*found):
    with open(os.environ["ASKED"], "a") as file:
        file.write(f"{found}\\n")
    raise OSError("no network here")

class _Socket(socket.socket):
    def connect(self, address):
        _refuse("connect", address)
    def connect_ex(self, address):
        _refuse("connect_ex", address)
    def sendto(self, *message):
        _refuse("sendto", message[-1])

socket.socket = _Socket
for _name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, _name, lambda *found, _name=_name: _refuse(_name, found))
"""

API = f"""
import sys, threading
import lineament
from lineament.models.runtime import Runtime

def work(engine):
    recognizer = lineament.Recognizer(runtime=Runtime(engine, threads=1))
    assert recognizer.verify({A!r}, {B!r}).same
    assert all(photo.faces for photo in recognizer.stream([{A!r}, {B!r}, {A!r}]))
    assert threading.active_count() == 1, threading.enumerate()

if __name__ == "__main__":
    import multiprocessing
    for engine in ("openvino", "onnxruntime"):
        child = multiprocessing.get_context("spawn").Process(target=work, args=(engine,))
        child.start()
        work(engine)
        child.join()
        assert child.exitcode == 0
    import openvino
    assert "openvino.tools.ovc" not in sys.modules
    assert "openvino_telemetry" not in sys.modules
"""


class Home:
    """An empty home folder, a cache of its own in it, and what a process left there."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.work = folder / "work"
        self.asked = folder / "asked.txt"
        for made in (self.home, self.work, folder / "guard"):
            made.mkdir()
        (folder / "guard" / "sitecustomize.py").write_text(GUARD)
        left_out = ("LINEAMENT_", "XDG_", "MPL", "ORT_", "RAY_", "PYTHONPATH", "CI")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)} | {
            "HOME": str(self.home),
            "ASKED": str(self.asked),
            "PYTHONPATH": os.pathsep.join([str(folder / "guard"), str(SOURCE.parent)]),
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run Python; the process must end well, and have asked for no machine."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.work, env=self.environment, capture_output=True, text=True, timeout=240,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert not self.asked.exists(), self.asked.read_text()
        return done

    def foreign(self) -> list[str]:
        """Files and folders in the home folder that are not of our cache."""
        own = self.home / ".cache" / "lineament"
        return sorted(
            str(path.relative_to(self.home))
            for path in self.home.rglob("*")
            if own not in (path, *path.parents) and path not in own.parents
        )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_the_guard_sees_what_is_asked(home: Home) -> None:
    asks = "import urllib.request as u\ntry: u.urlopen('http://a.invalid')\nexcept OSError: pass"
    with pytest.raises(AssertionError, match=r"a\.invalid"):
        home.run("-c", asks)


def test_the_library_with_both_engines_and_a_child_process(home: Home) -> None:
    pytest.importorskip("onnxruntime")
    (home.work / "api.py").write_text(API)
    home.run("api.py")
    assert home.foreign() == []


def test_commands(home: Home) -> None:
    """In one process each would share what the first one imported; two stand for the engines."""
    for command in (
        ["verify", A, B],
        ["detect", GROUP, "--engine", "onnxruntime"],
        ["embed", A, B, "--out", "both.npz"],
        ["gallery", "enroll", "Barack Obama", A, "--gallery", "people"],
    ):
        home.run("-m", "lineament", *command)
    assert home.foreign() == []


def test_pictures(home: Home) -> None:
    pytest.importorskip("matplotlib")
    for name in "ab":
        (home.work / "staff" / name).mkdir(parents=True)
        shutil.copy(A if name == "a" else str(DEMO / "biden.jpg"), home.work / "staff" / name)
    shutil.copy(B, home.work / "staff" / "a" / "second.jpg")
    home.run("-m", "lineament", "plot", "grid", "staff", "--out", "grid.png")
    assert (home.work / "grid.png").stat().st_size > 1000
    assert home.foreign() == []
    fonts = home.home / ".cache" / "lineament" / "matplotlib"
    assert list(fonts.glob("fontlist-*.json"))


def test_quantizing_imports_its_library_quietly(home: Home) -> None:
    pytest.importorskip("nncf")
    home.run(
        "-c",
        "from lineament.quantize._networks import quiet_nncf\n"
        "with quiet_nncf():\n    import nncf\n"
        "import sys; assert 'openvino_telemetry' not in sys.modules\n"
        "import openvino; assert callable(openvino.Core)",
    )
    assert home.foreign() == []


def test_the_example_of_the_demo(home: Home) -> None:
    home.run(str(ROOT / "examples" / "quickstart.py"))
    assert home.foreign() == []


def test_no_socket_is_opened_at_all(home: Home) -> None:
    """Also by code that is not Python; ONNX Runtime asks only later, but its threads start."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    pytest.importorskip("onnxruntime")
    log = home.home.parent / "trace.txt"
    watched = "trace=socket,connect,sendto,sendmmsg,openat,mkdir"
    code = (
        "import lineament; from lineament.models.runtime import Runtime\n"
        "for engine in ('openvino', 'onnxruntime'):\n"
        "    r = lineament.Recognizer(runtime=Runtime(engine, threads=1))\n"
        f"    r.verify({A!r}, {B!r})\n"
        "print('done')"
    )
    done = subprocess.run(
        [strace, "-f", "-qq", "-e", watched, "-o", str(log), sys.executable, "-c", code],
        cwd=home.work, env=home.environment, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    if not log.exists() or "ptrace" in done.stderr:
        pytest.skip(f"strace cannot trace here: {done.stderr.strip()}")
    assert done.stdout.strip() == "done", done.stderr
    calls = log.read_text(errors="replace").splitlines()
    assert any("openat" in call for call in calls)
    assert [call for call in calls if "AF_INET" in call] == []
    made = [c for c in calls if "O_CREAT" in c or " mkdir(" in c]
    assert [c for c in made if str(home.home) in c and "lineament" not in c] == []
    assert home.foreign() == []


def test_openvino_stays_whole_for_others(home: Home) -> None:
    """Its converter, which reports, is there for whoever asks for it."""
    code = (
        "from lineament import models\n"
        "from lineament.models.runtime import load_model\n"
        "load_model(models.get('sface'))\n"
        "import sys, openvino\n"
        "assert 'openvino.tools.ovc' not in sys.modules\n"
        "assert not hasattr(openvino, 'nonsense')\n"
        "sys.modules['openvino_telemetry'] = None\n"
        "from openvino import convert_model\n"
        "assert callable(convert_model) and openvino.convert_model is convert_model"
    )
    home.run("-c", code)


def test_matplotlib_keeps_the_settings_of_the_user(home: Home) -> None:
    pytest.importorskip("matplotlib")
    settings = home.home / ".config" / "matplotlib"
    settings.mkdir(parents=True)
    (settings / "matplotlibrc").write_text("lines.linewidth: 7.5\n")
    code = (
        "from lineament.pictures.charts.files import load_matplotlib\n"
        "load_matplotlib()\n"
        "import matplotlib, os\n"
        "assert matplotlib.rcParams['lines.linewidth'] == 7.5\n"
        "assert 'MPLCONFIGDIR' not in os.environ and 'MATPLOTLIBRC' not in os.environ\n"
        "assert matplotlib.get_configdir().startswith(os.environ['HOME'] + '/.config')"
    )
    home.run("-W", "error", "-c", code)


REPORTING = {"openvino", "onnxruntime", "nncf", "ray", "ray.data"}


def test_who_reports_is_imported_in_quiet_places_only() -> None:
    """Each function that imports one of them calls ``silence`` or ``quiet_...`` itself."""
    found, loud = 0, []
    for path in SOURCE.rglob("*.py"):
        text = path.read_text("utf-8")
        if not any(f"import {name}" in text for name in REPORTING):
            continue
        for function in ast.walk(ast.parse(text)):
            if not isinstance(function, (ast.FunctionDef, ast.Module)):
                continue
            inside = [
                node
                for node in ast.walk(function)
                if isinstance(node, ast.Import) and {a.name for a in node.names} & REPORTING
            ]
            if not inside:
                continue
            called = {
                node.func.id
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            found += 1
            if not any(name == "silence" or name.startswith("quiet_") for name in called):
                loud.append((path.name, getattr(function, "name", "module")))
    assert found >= 4
    # Where an actor starts, Ray has been imported before it.
    assert [entry for entry in loud if entry != ("on_ray.py", "__init__")] == []
