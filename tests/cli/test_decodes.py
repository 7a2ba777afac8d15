"""A photo is decoded once, whatever a command does with it."""

from __future__ import annotations

import hashlib
import importlib
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

import lineament
import lineament.images.decode
from lineament import Recognizer
from lineament.cli import app
from lineament.gallery import Gallery

DEMO = Path(lineament.__file__).parent / "data" / "demo"

SAVE = ("--save", "{out}/p.png")
COMMANDS = {
    "verify": ("verify", "{a}", "{b}"),
    "verify --save": ("verify", "{a}", "{b}", *SAVE),
    "verify --save with itself": ("verify", "{a}", "{a}", *SAVE),
    "verify --fusion --save": ("verify", "{a}", "{b}", "--fusion", "mean", *SAVE),
    "detect": ("detect", "{flat}"),
    "detect --save": ("detect", "{flat}", "--save", "{out}/drawn"),
    "align": ("align", "{flat}", "--out", "{out}/crops"),
    "align --cut-out": ("align", "{flat}", "--out", "{out}/crops", "--cut-out"),
    "align --method frontal": ("align", "{flat}", "--out", "{out}/c", "--method", "frontal"),
    "align --people": ("align", "{people}", "--out", "{out}/c", "--people"),
    "align --people frontal": (
        *("align", "{people}", "--out", "{out}/c", "--people", "--method", "frontal"),
    ),
    "identify --save": ("identify", "{a}", "--gallery", "{gallery}", *SAVE),
    "identify": ("identify", "{flat}", "--gallery", "{gallery}"),
    "group --report": ("group", "{flat}", "--report", "{out}/groups.html"),
    "plot alignment": ("plot", "alignment", "{a}"),
    "plot occlusion": ("plot", "occlusion", "{a}", "--kind", "blur"),
    "plot occlusion --reference": (
        *("plot", "occlusion", "{a}", "--kind", "blur", "--reference", "{b}"),
    ),
    "plot explain": ("plot", "explain", "{a}", "{b}"),
    "plot pose": ("plot", "pose", "{flat}"),
    "plot grid": ("plot", "grid", "{people}"),
    "plot barcode": ("plot", "barcode", "{people}"),
    "plot tsne": ("plot", "tsne", "{people}"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same four photos in one folder and in one folder per person, and a gallery."""
    root = tmp_path_factory.mktemp("decodes")
    for name in ("flat", "people/A", "people/B"):
        (root / name).mkdir(parents=True)
    for name, person in (("obama", "A"), ("obama2", "A"), ("biden", "B"), ("astronaut", "B")):
        shutil.copy(DEMO / f"{name}.jpg", root / "flat")
        shutil.copy(DEMO / f"{name}.jpg", root / "people" / person)
    with Gallery.create(root / "gallery", recognizer=Recognizer()) as gallery:
        gallery.enroll("A", [root / "flat" / "obama2.jpg"])
    return root


@pytest.mark.parametrize("name", COMMANDS)
def test_a_photo_is_decoded_once(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.startswith("plot"):
        pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')
    if name == "plot tsne":
        pytest.importorskip("openTSNE", reason='the plane needs the extra "plot"')
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    decoded: Counter[str] = Counter()
    real = lineament.images.decode.sniff

    def counted(data: bytes) -> str:
        decoded[hashlib.sha256(data).hexdigest()] += 1
        return real(data)

    monkeypatch.setattr(lineament.images.decode, "sniff", counted)
    covering = importlib.import_module("lineament.explain.occlusion_map")
    monkeypatch.setattr(covering, "STEPS", 3)  # times 3 places that are covered
    places = {
        "a": folder / "flat" / "obama.jpg",
        "b": folder / "flat" / "biden.jpg",
        "flat": folder / "flat",
        "people": folder / "people",
        "gallery": folder / "gallery",
        "out": tmp_path,
    }
    arguments = [argument.format(**places) for argument in COMMANDS[name]]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code in (0, 1), done.output
    named = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for key, place in places.items()
        if f"{{{key}}}" in COMMANDS[name] and key not in ("out", "gallery")
        for path in ([place] if place.is_file() else place.rglob("*.jpg"))
    }
    assert {photo: decoded[photo] for photo in named} == dict.fromkeys(named, 1)
