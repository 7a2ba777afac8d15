"""The picture of margins in two dimensions, and the pictures of training."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from builders import FakeDetector, make_face  # noqa: E402
from lineament import FaceFinder  # noqa: E402
from lineament.errors import DataError, DivergedError, OptionError  # noqa: E402
from lineament.pictures.charts import training as figures  # noqa: E402
from lineament.pictures.charts.files import to_bytes  # noqa: E402
from lineament.train.toy import MOST_PEOPLE, toy  # noqa: E402
from lineament.train.toy import _training as training  # noqa: E402
from lineament.train.toy._result import ToyResult, measured  # noqa: E402

pytestmark = pytest.mark.slow
LOSSES = ("softmax", "arcface", "triplet", "centre")
PEOPLE = {"Ada": 9, "Bo": 6, "Cy_Li": 7, "Dot": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of people who differ in color; Bo has the fewest of those with enough."""
    root = tmp_path_factory.mktemp("people")
    draw = np.random.default_rng(0)
    for k, (name, count) in enumerate(PEOPLE.items()):
        (root / name).mkdir()
        for i in range(count):
            crop = np.zeros((112, 112, 3), np.float64)
            crop[..., k % 3] = 200
            crop += draw.uniform(0, 50, (112, 112, 3))
            PILImage.fromarray(crop.astype(np.uint8)).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def result(folder: Path) -> ToyResult:
    return toy(folder, people=3, losses=LOSSES, epochs=15, size_px=16)


def test_people_with_most_photos_as_many_of_each(result: ToyResult) -> None:
    assert result.people == ("Ada", "Cy_Li", "Bo")
    assert np.bincount(result.labels).tolist() == [6, 6, 6]
    assert [each.name for each in result.losses] == ["softmax", "arcface", "triplet", "centre"]
    assert [each.has_weights for each in result.losses] == [True, True, False, True]
    assert all(each.embeddings_xy.shape == (18, 2) for each in result.losses)
    assert result.losses[1].options["scale"] == 16


def test_people_of_different_colors_are_learned(result: ToyResult) -> None:
    for each in result.losses[:2]:
        assert each.accuracy == 1
        assert each.least_between_deg > 60


def test_same_seed_same_result_whatever_runs_beside(folder: Path, result: ToyResult) -> None:
    state = torch.random.get_rng_state()
    (again,) = toy(folder, people=3, losses=("arcface",), epochs=15, size_px=16).losses
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(again.embeddings_xy, result.losses[1].embeddings_xy)
    (other,) = toy(folder, people=3, losses=("arcface",), epochs=15, size_px=16, seed=1).losses
    assert not np.array_equal(other.embeddings_xy, again.embeddings_xy)


def test_measured_by_hand() -> None:
    def at(degrees: float, length: float = 1.0) -> list[float]:
        return [length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees))]

    # Means at 0, 90 and 300 degrees; lengths must not matter.
    points = np.array([at(-10, 3), at(10), at(88), at(92, 9), at(290), at(310, 0.1)])
    labels = np.array([0, 0, 1, 1, 2, 2])
    weights = np.array([at(5), at(95, 4), at(300)])
    found = measured("x", {}, points, labels, 3, weights)
    assert found.within_deg == pytest.approx((10 + 2 + 10) / 3)
    assert found.median_deg == pytest.approx(10)
    assert found.least_between_deg == pytest.approx(60)
    assert found.weights_off_deg == pytest.approx((5 + 5 + 0) / 3)
    assert found.accuracy == 1
    # Without weights the means are the centers; a bias can move every point to one person.
    assert measured("x", {}, points, labels, 3).weights_off_deg is None
    biased = measured("x", {}, points, labels, 3, weights, bias=np.array([100.0, 0, 0]))
    assert biased.accuracy == pytest.approx(1 / 3)


def test_written_and_read(result: ToyResult, tmp_path: Path) -> None:
    result.save(tmp_path / "toy.png")
    with PILImage.open(tmp_path / "toy.png") as picture:
        assert min(picture.size) > 900
    read = json.loads((tmp_path / "toy.json").read_text(encoding="utf-8"))
    assert read == result.to_dict()
    table = {each["name"]: each for each in read["losses"]}
    assert table["arcface"]["within_deg"] == pytest.approx(result.losses[1].within_deg, abs=1e-3)
    assert len(read["labels"]) == len(table["triplet"]["embeddings_xy"]) == 18
    assert read["n_photos_of_each"] == [6, 6, 6]


def test_title_claims_only_what_is_so(result: ToyResult) -> None:
    softmax, arcface = result.losses[:2]
    text = result.figure().get_suptitle()
    assert ("ArcFace" in text) == (arcface.within_deg < softmax.within_deg)
    assert result.figure(title="Ours").get_suptitle() == "Ours"


def test_photos_are_aligned_first(tmp_path: Path) -> None:
    for name in ("Ada", "Bo"):
        (tmp_path / name).mkdir()
        for i in range(5):
            image = np.full((100, 90, 3), 40 * i, np.uint8)
            PILImage.fromarray(image).save(tmp_path / name / f"{i}.png")
    detector = FakeDetector(make_face())
    said: list[tuple[str, int, int]] = []
    found = toy(
        tmp_path, people=2, losses=("softmax",), epochs=1,
        finder=FaceFinder(detector, choose="central"),
        progress=lambda *what: said.append(what),
    )  # fmt: skip
    assert len(detector.seen) == len(found.labels) == 10
    assert ("aligning faces", 10, 10) in said
    assert said[-1] == ("training with softmax", 1, 1)
    with pytest.raises(DataError, match=r"Ada: expected a face in at least 4 of 5 .* 0"):
        toy(
            tmp_path, people=2, losses=("softmax",), epochs=1,
            finder=FaceFinder(FakeDetector()),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"people": 1}, OptionError, "people: expected 2 to 20"),
        ({"people": 4}, DataError, "expected 4 people with at least 4 photos each, found 3"),
        ({"people": 5}, DataError, "expected 5 people"),
        ({"photos_each": 3}, OptionError, "photos_each: expected 4"),
        ({"epochs": 0}, OptionError, "epochs: expected 1"),
        ({"losses": ()}, OptionError, "losses: expected"),
        ({"losses": "softmax"}, OptionError, "losses: expected"),
        ({"losses": ("softmax", "softmax")}, OptionError, "each once"),
        ({"losses": ("softmax", "sofmax")}, OptionError, "sofmax"),
        ({"losses": ("arcface",), "options": {"arcface": {"m": 1}}}, OptionError, "got m"),
        ({"size_px": 20}, OptionError, "16"),
    ],
)
def test_bad_options(
    folder: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        toy(folder, **({"people": 3, "losses": ("softmax",), "epochs": 1} | changes))


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder"):
        toy(tmp_path / "none")


def test_a_loss_that_is_no_number_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LEARNING_RATE", math.inf)
    with pytest.raises(DivergedError, match=r"softmax: the loss is nan in step 2"):
        toy(folder, people=3, losses=("softmax",), epochs=3)


# --- pictures of a run ----------------------------------------------------------------------------


def rows(n: int = 50) -> list[dict[str, str]]:
    """As a log.csv is read: text, and blanks where nothing was measured."""
    return [
        {
            "step": str(10 * k),
            "epoch": "1",
            "loss": str(10 / (k + 1)),
            "lr": str(0.1 * (1 - k / n)),
            "photos_per_s": "33.1",
            "verify_accuracy": str(0.5 + k / 200) if k % 10 == 9 else "",
            "verify_auc": "",
            "triplets_easy": str(100 * k),
            "triplets_semi_hard": str(1000 - 20 * k),
            "triplets_hard": str(max(0, 300 - 10 * k)),
        }
        for k in range(n)
    ]


def labels_of(figure: Any) -> list[str]:
    return [axes.get_ylabel() for axes in figure.axes]


def test_curves_show_what_there_is() -> None:
    figure = figures.curves(rows(), title="AT&T $x$")
    assert labels_of(figure) == ["loss", "verification", "learning rate"]
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), 10 * np.arange(50))
    np.testing.assert_allclose(line.get_ydata(), 10 / np.arange(1, 51))
    np.testing.assert_allclose(figure.axes[1].lines[0].get_xdata(), [90, 190, 290, 390, 490])
    assert figure.get_suptitle() == "AT&T $x$"
    bare = [{"step": row["step"], "loss": row["loss"]} for row in rows()]
    assert labels_of(figures.curves(bare)) == ["loss"]


def test_the_running_mean_lies_in_the_middle() -> None:
    table = [{"step": k, "loss": float(k)} for k in range(100)]
    smooth = figures.curves(table).axes[0].lines[1].get_ydata()
    np.testing.assert_allclose(smooth, np.arange(100), atol=1e-9)
    table = [{"step": k, "loss": 5.0 + (-1) ** k} for k in range(100)]
    smooth = np.asarray(figures.curves(table).axes[0].lines[1].get_ydata())
    np.testing.assert_allclose(smooth[10:-10], 5, atol=0.21)


@pytest.mark.parametrize(
    "table",
    [
        [{"step": 1, "loss": 2.5, "lr": 0.1}],
        [{"step": 1, "loss": 0.0}, {"step": 2, "loss": 0.0}],
        [{"step": 1, "loss": -1.0}, {"step": 2, "loss": -3.0}],
        [{"step": 1, "loss": "nan"}, {"step": 2, "loss": "0.5"}, {"step": 3, "loss": "inf"}],
    ],
)
def test_odd_runs_are_drawn(table: list[dict[str, Any]]) -> None:
    picture = PILImage.open(io.BytesIO(to_bytes(figures.curves(table), "png")))
    assert picture.size[0] > 900


def test_triplets_are_drawn_as_logged() -> None:
    figure = figures.triplets(rows())
    easy, semi_hard, hard = (figure.axes[0].lines[2 * k].get_ydata() for k in range(3))
    np.testing.assert_allclose(easy, 100 * np.arange(50))
    np.testing.assert_allclose(semi_hard, 1000 - 20 * np.arange(50))
    np.testing.assert_allclose(hard, np.maximum(0, 300 - 10 * np.arange(50)))
    assert len(to_bytes(figure, "png")) > 10_000


def test_nothing_to_draw() -> None:
    with pytest.raises(OptionError, match="expected at least one with a step"):
        figures.curves([])
    with pytest.raises(OptionError, match="expected at least one with a step"):
        figures.curves([{"step": "1", "loss": ""}])
    with pytest.raises(OptionError, match="triplets_easy"):
        figures.triplets([{"step": "1", "loss": "2", "triplets_easy": "3"}])
    with pytest.raises(OptionError, match="panels"):
        figures.circles([], ["Ada"])
    panel = figures.Circle("x", np.zeros((3, 2)), np.zeros(3, np.int64), np.zeros((2, 2)))
    with pytest.raises(OptionError, match=r"x: expected \(3, 2\) points and \(1, 2\) centers"):
        figures.circles([panel], ["Ada"])


def test_everybody_has_a_look_of_their_own() -> None:
    looks = {figures.person_style(k) for k in range(MOST_PEOPLE)}
    assert len(looks) == MOST_PEOPLE
    assert len({color for color, _ in map(figures.person_style, range(8))}) == 8
    assert len({marker for _, marker in map(figures.person_style, range(8))}) == 8
