"""ISO/IEC 30107-3: rates by hand, and a small set through the whole protocol."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PILImage

import lineament
from lineament import FaceFinder
from lineament.cli import app
from lineament.datasets.liveness import LIVE, read_liveness
from lineament.evaluate.protocols.liveness import Judged, error_rates, run_liveness
from lineament.liveness.passive import PassiveLiveness, load_passive
from lineament.types import Face, FloatArray, Image, Liveness

DEMO = Path(lineament.__file__).parent / "data" / "demo"
PASSES = Liveness("live", 0.9, "passive")
ATTACK = Liveness("attack", 0.1, "passive", reasons=("paper",))
UNSURE = Liveness("unsure", None, "passive", reasons=("dark",))


def judged(kind: str, *checks: Liveness | None) -> list[Judged]:
    return [Judged(kind, "ada", "photo", check) for check in checks]


def test_rates_by_hand() -> None:
    figures = error_rates(
        judged(LIVE, PASSES, PASSES, PASSES, UNSURE, ATTACK)
        + judged("print", PASSES, ATTACK, ATTACK, ATTACK)
        + judged("screen", PASSES, PASSES, UNSURE, None)
    )
    assert figures["apcer_by_kind"] == {"print": 0.25, "screen": 0.5}
    assert figures["apcer"] == 0.5  # the worst kind, not the mean
    assert figures["bpcer"] == pytest.approx(0.4)
    assert figures["acer"] == pytest.approx(0.45)
    assert figures["bpcer_unsure"] == pytest.approx(0.2)
    assert figures["apcer_unsure"] == pytest.approx(0.25)
    assert (figures["n_live"], figures["n_attacks"]) == (5, 8)


def test_rates_of_one_class_alone_are_not_known() -> None:
    figures = error_rates(judged("print", ATTACK))
    assert (figures["apcer"], figures["bpcer"], figures["acer"]) == (0.0, None, None)


class Brightness:
    """Bright photos are of living people."""

    def read(self, pixels: Image, faces: Sequence[Face]) -> FloatArray:
        return np.full(len(faces), 6.0 if pixels.mean() > 60 else -6.0, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of a living person, one of them dark; of a print, one of them without a face."""
    root = tmp_path_factory.mktemp("set")
    photo = PILImage.open(DEMO / "obama2.jpg").convert("RGB")
    photo.thumbnail((300, 300))
    dark = photo.point(lambda value: value // 3)
    for kind, count, image in (("real", 5, photo), ("print", 5, dark)):
        (root / kind / "ada").mkdir(parents=True)
        for number in range(count):
            image.save(root / kind / "ada" / f"{number}.png")
    dark.save(root / "real" / "ada" / "5.png")
    PILImage.new("RGB", (90, 90), (200, 200, 200)).save(root / "print" / "ada" / "5.png")
    (root / "print" / "ada" / "6.png").write_bytes(b"no picture")
    return root


def test_frames_and_runs_of_five(folder: Path) -> None:
    passive = PassiveLiveness({"brightness": Brightness()})
    steps: list[tuple[int, int]] = []
    result, frames, runs = run_liveness(
        read_liveness(folder), FaceFinder(), passive, progress=lambda *each: steps.append(each)
    )
    one, five = result.part("one_frame").measures, result.part("five_frames").measures
    assert (len(frames), len(runs), steps) == (12, 2, [(1, 2), (2, 2)])
    assert (result.images, result.faces_found, result.errors) == (12, 11, 1)
    assert (one["apcer"], one["bpcer"]) == (0.0, pytest.approx(1 / 6))
    assert (five["apcer"], five["bpcer"], five["acer"]) == (0.0, 0.0, 0.0)
    assert five["auc"] == 1.0
    assert any("have no face" in note for note in result.notes)


def test_the_command(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["eval", "liveness", str(folder), "--json"])
    printed = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (printed["layout"], printed["one_frame"]["n_live"]) == ("folders", 6)
    assert set(printed["one_frame"]["apcer_by_kind"]) == {"print"}
    wrong = CliRunner().invoke(app, ["eval", "liveness", str(tmp_path)])
    assert wrong.exit_code == 2
    assert "expected the layout of NUAA" in wrong.output


@pytest.mark.slow
def test_the_table_and_the_report(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    table = CliRunner().invoke(app, ["eval", "liveness", str(folder), "--report", str(page)])
    assert table.exit_code == 0
    assert "BPCER" in table.output
    assert "ACER" in page.read_text()


@pytest.mark.skipif(
    not (Path(os.environ.get("LINEAMENT_DATA", "missing")) / "nuaa_sample").is_dir(),
    reason="needs LINEAMENT_DATA with nuaa_sample",
)
def test_prints_of_the_sample_do_not_pass() -> None:
    folder = Path(os.environ["LINEAMENT_DATA"]) / "nuaa_sample"
    whole = read_liveness(folder)
    some = type(whole)(
        whole.folder,
        whole.layout,
        tuple(
            type(each)(each.kind, each.person, each.files[::6], is_film=False)
            for each in whole.presentations
        ),
    )
    result, _, _ = run_liveness(some, FaceFinder(), load_passive())
    assert result.part("one_frame").measures["acer"] <= 0.05
