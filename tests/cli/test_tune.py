"""`lineament tune` on AT&T's faces, and the file that it writes; refusals without them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image as PILImage

import lineament
from lineament.cli import app
from lineament.decide.calibration import Calibration
from lineament.pipeline import Recognizer

DEMO = Path(lineament.__file__).parent / "data" / "demo"
PEOPLE, EACH = 14, 5

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def att_faces() -> Path:
    given = os.environ.get("LINEAMENT_DATA")
    folder = (
        Path(__file__).resolve().parents[3] / "shared" if given is None else Path(given)
    ) / "att_faces"
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set LINEAMENT_DATA to the folder that holds att_faces/")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def faces(att_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 people with every second photo, and a fault of each kind."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    for person in range(1, PEOPLE + 1):
        (folder / f"s{person:02}").mkdir(parents=True)
        for k in range(1, 2 * EACH, 2):
            shutil.copy(att_faces / f"s{person}" / f"{k}.pgm", folder / f"s{person:02}")
    shutil.copy(folder / "s01" / "1.pgm", folder / "s01" / "copy.pgm")
    (folder / "s02" / "broken.jpg").write_bytes(b"none")
    PILImage.new("RGB", (80, 80), "gray").save(folder / "s03" / "wall.png")
    (folder / "s04" / "3.pgm").rename(folder / "s05" / "wrong.pgm")
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> Run:
    monkeypatch.setenv("LINEAMENT_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(app, [*map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return call


def test_from_photos_to_a_verdict(run: Run, faces: Path, tmp_path: Path) -> None:
    done = run("tune", faces, "--fmr", "0.02", "--json")
    assert done.exit_code == 0
    values = json.loads(done.stdout)
    cleaning = values["cleaning"]
    assert [row["source"] for row in cleaning["unreadable"]] == ["s02/broken.jpg"]
    assert cleaning["without_face"] == ["s03/wall.png"]
    exact = [row for row in cleaning["duplicates"] if row["exact"]]
    assert [(row["source"], row["of"]) for row in exact] == [("s01/copy.pgm", "s01/1.pgm")]
    assert [(row["kind"], row["photos"], row["other"]) for row in cleaning["suspects"]] == [
        ("mislabeled", ["s05/wrong.pgm"], "s04")
    ]
    assert sorted(path.name for path in (faces / "s05").iterdir())[-1] == "wrong.pgm"
    at = values["threshold"]["value"]
    assert values["bundled"]["data"] == "LFW View 1"
    assert values["low_quality"]["measured"] == values["used"]["n_photos"]

    file = tmp_path / "faces.calibration.json"
    assert values["out"] == file.name
    own = Calibration.load(file)
    assert own.threshold(0.02).plain.value == at

    a, b = faces / "s01" / "1.pgm", faces / "s01" / "3.pgm"
    verdict = run("verify", a, b, "--calibration", file, "--fmr", "0.02", "--json")
    told = json.loads(verdict.stdout)
    assert told["threshold"]["value"] == at
    decision = Recognizer(calibration=own).verify(a, b)
    assert decision.certainty is not None
    assert decision.certainty.data == own.data
    assert decision.threshold.value == at  # the rate that it was tuned for
    assert own.wanted_fmr == 0.02
    assert decision.threshold.impostor_pairs == values["used"]["n_impostor_pairs"]

    again = run("tune", faces)
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    assert Calibration.load(file).to_dict() == own.to_dict()


def test_the_report_needs_nothing_else(run: Run, faces: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("tune", faces, "--out", "own.json", "--report", "own.html")
    assert done.exit_code == 0
    assert "probably a wrong name" in done.stdout
    assert "s05/wrong.pgm: seems to be s04" in done.stderr
    page = (tmp_path / "own.html").read_text("utf-8")
    for words in ("Probably under a wrong name", "s02/broken.jpg", "s03/wall.png", "Reliability"):
        assert words.lower() in page.lower()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_a_rate_beyond_the_data_writes_nothing(run: Run, faces: Path, tmp_path: Path) -> None:
    done = run("tune", faces, "--fmr", "1e-4", "--report", "own.html", "--json")
    assert done.exit_code == 2
    assert "300,000 pairs" in json.loads(done.stdout)["error"]
    assert list(tmp_path.iterdir()) == []


def test_too_few_people(run: Run, tmp_path: Path) -> None:
    for person in ("astronaut", "obama"):
        (tmp_path / "few" / person).mkdir(parents=True)
        shutil.copy(DEMO / f"{person}.jpg", tmp_path / "few" / person)
    done = run("tune", "few")
    assert done.exit_code == 2
    assert "at least 10 people" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["few"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--fmr", "2"), "--fmr"),
        (("--near-duplicate", "0"), "--near-duplicate"),
        (("--out", "nowhere/own.json"), "no folder nowhere"),
        (("--report", "own.txt"), "--report"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    run: Run, options: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    done = run("tune", tmp_path / "not there", *options)
    assert done.exit_code == 2
    assert words in done.stderr
