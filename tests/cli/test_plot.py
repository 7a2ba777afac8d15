"""``lineament plot`` grid, tsne, barcode, histogram and correlation, with the real networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as PILImage
from PIL import ImageEnhance

from lineament import Recognizer
from lineament.cli import app

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def people(astronaut_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two names for one person, three photos of the one and two of the other."""
    folder = tmp_path_factory.mktemp("people")
    picture = PILImage.open(astronaut_path).convert("RGB")
    looks = {
        "Ada/1.png": picture,
        "Ada/2.png": picture.transpose(PILImage.Transpose.FLIP_LEFT_RIGHT),
        "Ada/3.png": ImageEnhance.Brightness(picture).enhance(0.5),
        "김구/1.png": picture.rotate(8),
        "김구/2.png": ImageEnhance.Color(picture).enhance(0.0),
    }
    for name, look in looks.items():
        (folder / name).parent.mkdir(exist_ok=True)
        look.crop((60, 0, 400, 300)).save(folder / name)
    return folder


def call(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: object) -> Result:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LINEAMENT_CACHE", str(folder / "cache"))
    return CliRunner().invoke(app, ["plot", *map(str, arguments)])


def test_numbers_are_those_of_the_recognizer(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = call(monkeypatch, tmp_path, "grid", people, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert not (tmp_path / "grid.png").exists()
    paths = [people / name for name in told["photos"]]
    vectors = np.stack([c.embedding.vector for c in Recognizer().stream_chosen(paths)])  # type: ignore[union-attr]
    np.testing.assert_allclose(told["similarity"], vectors @ vectors.T, atol=1e-4)
    assert told["threshold"]["fmr"] == 1e-4
    assert told["n_false_matches"] == 6  # two names, one person


@pytest.mark.parametrize("name", ["tsne", "barcode", "histogram", "correlation"])
def test_each_writes_a_picture(
    name: str, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = call(monkeypatch, tmp_path, name, people)
    assert done.exit_code == 0, done.output
    image = np.asarray(PILImage.open(tmp_path / f"{name}.png").convert("RGB"))
    assert (image != 255).any(axis=2).mean() > 0.03
    assert f"wrote {name}.png" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("grid", "{}", "--out", "a.gif"), "expected a name that ends in"),
        (("grid", "{}", "--out", "a.html"), "expected a name that ends in"),
        (("grid", "{}/Ada", "--out", "{}/Ada/1.png"), "is one of the files that are read"),
        (("tsne", "{}/Ada/1.png"), "at least 2 photos, found 1"),
        (("tsne", "{}", "--method", "lda"), "expected tsne, pca or umap"),
        (("histogram", "{}", "--person", "Nobody"), "nobody is called"),
        (("barcode", *["{}/Ada/1.png"] * 4), "2 or 3 photos, got 4"),
        (("correlation", "nowhere"), "found nothing of that name"),
    ],
)
def test_refuses(
    arguments: tuple[str, ...],
    words: str,
    people: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = (people / "Ada/1.png").read_bytes()
    done = call(monkeypatch, tmp_path, *(a.replace("{}", str(people)) for a in arguments))
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stdout == ""
    assert (people / "Ada/1.png").read_bytes() == before
