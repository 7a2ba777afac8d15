"""A detector, an embedder and a landmarker from outside of the package work everywhere by name.

Each test is a process of its own: what a plugin registers stays for the rest of a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament.types import Image

PATHS = [str(Path(lineament.__file__).parents[1]), str(Path(__file__).parent / "builders")]
Run = Callable[..., Any]

COLORS = {"red": (200, 40, 40), "blue": (30, 60, 220)}


def photo(*colors: str) -> Image:
    """(120, 80 n + 40, 3): one white square with a colored middle for each."""
    image = np.zeros((120, 80 * len(colors) + 40, 3), np.uint8)
    for i, color in enumerate(colors):
        image[:40, 80 * i : 80 * i + 40] = 255
        image[8:36, 80 * i + 6 : 80 * i + 34] = COLORS[color]
    return image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, colors in {
        "red.png": ("red",),
        "red2.png": ("red",),
        "blue.png": ("blue",),
        "both.png": ("red", "blue"),
    }.items():
        image = photo(*colors)
        image[100:] = len(name)  # no two files are equal
        PILImage.fromarray(image).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def run(photos: Path) -> Run:
    """Runs Python, and returns what it printed as JSON; ``code`` is its exit code."""

    def run(*arguments: object, code: int = 0, **variables: str) -> Any:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        env |= {"PYTHONPATH": os.pathsep.join(PATHS), "LINEAMENT_PLUGINS": "toy_plugin"}
        env |= {"LINEAMENT_CACHE": str(photos / "cache")} | variables
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=photos, env=env, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if code != 2 else done.stderr

    return run


COMMAND = ("-m", "lineament")
NAMED = ("--detector", "toy", "--recognizer", "toy")


def test_detect(run: Run) -> None:
    (found,) = run(*COMMAND, "detect", "both.png", "--detector", "toy", "--json")["photos"]
    assert [face["box_xyxy"] for face in found["faces"]] == [[0, 0, 40, 40], [80, 0, 120, 40]]


@pytest.mark.parametrize(("other", "code"), [("red2.png", 0), ("blue.png", 1)])
def test_verify(run: Run, other: str, code: int) -> None:
    said = run(
        *COMMAND, "verify", "red.png", other, *NAMED, "--threshold", 0.9, "--json", code=code
    )
    assert said["same"] is (code == 0)
    assert said["contract"]["weights"] == "toy"
    assert said["contract"]["alignment"] == "arcface-48x96"
    assert said["contract"]["dimension"] == 27


def test_no_threshold_is_known(run: Run) -> None:
    assert "threshold" in run(*COMMAND, "verify", "red.png", "red2.png", *NAMED, code=2)


def test_a_gallery(run: Run) -> None:
    run(*COMMAND, "gallery", "enroll", "Red", "red.png", "--gallery", "g", *NAMED, "--json")
    run(
        *COMMAND,
        "gallery",
        "enroll",
        "Blue",
        "blue.png",
        "--gallery",
        "g",
        "--detector",
        "toy",
        "--json",
    )
    said = run(
        *COMMAND, "identify", "both.png", "--gallery", "g", "--detector", "toy",
        "--threshold", 0.9, "--json",
    )  # fmt: skip
    names = [face["name"] for face in said["photos"][0]["faces"]]
    assert names == ["Red", "Blue"]


@pytest.mark.slow
def test_plot(run: Run, photos: Path) -> None:
    pytest.importorskip("matplotlib")
    run(
        *COMMAND, "plot", "grid", photos, *NAMED, "--threshold", 0.9, "--out", "plot.png", "--json",
    )  # fmt: skip
    assert (photos / "plot.png").stat().st_size > 1000


def test_models_lists_it(run: Run) -> None:
    listed = run(*COMMAND, "models", "list", "--json")["weights"]
    (toy,) = [entry for entry in listed if entry["name"] == "toy"]
    assert (toy["task"], toy["builder"], toy["present"]) == ("embedder", "toy", True)


def test_the_library(run: Run) -> None:
    code = """
import json
import lineament
from lineament.align import load_landmarker
from lineament.datasets.source import way_of
from lineament.detect import DETECTORS
from lineament.finder import FaceFinder

recognizer = lineament.Recognizer("toy", detector="toy")
red, red2, blue = recognizer.embed(["red.png", "red2.png", "blue.png"])
same = lineament.compare(red, red2, recognizer.threshold(value=0.9))
other = lineament.compare(red, blue, recognizer.threshold(value=0.9))
finder = FaceFinder("toy", landmarker="toy")
photo = finder.find("both.png")
points = finder.landmarks(photo)
image = lineament.load_image("red.png")
print(json.dumps({
    "same": [same.same, other.same],
    "points": points.shape,
    "frontal": finder.crops(photo, alignment="frontal-152").shape,
    "direct": load_landmarker("toy").locate(image, photo.faces).shape,
    "names": list(DETECTORS),
    "refined": len(lineament.load_detector("toy+onet").detect(image, lineament.DetectOptions())),
    "way": way_of(recognizer)["code"],
}))
"""
    said = run("-c", code)
    assert said["same"] == [True, False]
    assert said["points"] == said["direct"] == [2, 68, 2]
    assert said["frontal"] == [2, 152, 152, 3]
    assert said["names"][0] == "yunet+onet"
    assert {"toy", "toy+onet"} <= set(said["names"])
    assert said["refined"] <= 1  # the O-Net may well say that this is no face
    assert len(said["way"]) == 2  # the plugin's code, which the cache of vectors depends on


def test_an_installed_package(run: Run, photos: Path) -> None:
    info = photos / "site" / "toy_faces-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-faces\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lineament.models]\ntoy = toy_plugin\n")
    found = {"PYTHONPATH": os.pathsep.join([*PATHS, str(info.parent)]), "LINEAMENT_PLUGINS": ""}
    said = run(
        *COMMAND, "verify", "red.png", "red2.png", *NAMED, "--threshold", 0.9, "--json", **found
    )
    assert said["same"]


def test_a_plugin_that_cannot_be_imported(run: Run) -> None:
    said = run(
        *COMMAND, "detect", "red.png", "--detector", "toy", code=2, LINEAMENT_PLUGINS="no_such"
    )
    assert "LINEAMENT_PLUGINS" in said
    assert "no_such" in said
    assert "Traceback" not in said
