# ruff: noqa: E402 - torch may not be installed
"""Written models do in the pipeline what they do in PyTorch; or nothing is written."""

from __future__ import annotations

import json
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnx
from click.testing import CliRunner
from torch import Tensor, nn

import lineament
from lineament import Recognizer, models
from lineament.cli import app
from lineament.embed import load_embedder
from lineament.errors import ExportError, LicenseError, OptionError, WeightsError
from lineament.models import Measurement, catalog
from lineament.models.cards import StatedThreshold
from lineament.models.runtime import ENGINES, Runtime
from lineament.train.backbones import make_backbone
from lineament.train.backbones.backbone import Backbone
from lineament.train.backbones.bundled import load_bundled
from lineament.train.model.export import export_onnx
from lineament.types import Image

DEMO = Path(lineament.__file__).parent / "data" / "demo"


class Small(Backbone):
    """Flattens what a convolution makes: enough to be a recognizer."""

    def __init__(self) -> None:
        super().__init__()
        self.dimension, self.size_px, self.alignment = 6, 16, "arcface-16"
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.PReLU(8), nn.Flatten(), nn.Dropout(0.5)
        )
        self.out = nn.Linear(512, 6)

    def forward(self, crops: Tensor) -> Tensor:
        made: Tensor = self.out(self.layers((crops - 127.5) / 128))
        return made


def photos(count: int, size_px: int) -> Image:
    image = cv2.imread(str(DEMO / "group.jpg"))[..., ::-1]
    random = np.random.default_rng(3)
    cut = []
    for _ in range(count):
        top, left = random.integers(0, np.array(image.shape[:2]) - 64)
        cut.append(cv2.resize(image[top : top + 64, left : left + 64], (size_px, size_px)))
    return np.stack(cut)


def by_torch(backbone: Backbone, crops: Image) -> np.ndarray:
    """(N, D) unit vectors, computed here."""
    still = backbone.eval()
    with torch.inference_mode():
        made = still(torch.from_numpy(crops.transpose(0, 3, 1, 2).astype(np.float32)))
    return nn.functional.normalize(made).numpy()


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the next export in ``tmp_path`` writes its entry; the package reads it from then on."""
    path = tmp_path / "manifest.json"
    path.write_text('{"schema": 1, "weights": []}')
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(path))
    return path


@pytest.mark.parametrize("kind", ["small", "tiny", "mobilefacenet bundled"])
def test_the_pipeline_makes_the_same_embeddings(kind: str, manifest: Path) -> None:
    made: dict[str, Any] = {
        "small": Small,
        "tiny": lambda: make_backbone("tiny", dimension=24, size_px=48),
        "mobilefacenet bundled": lambda: load_bundled("mobilefacenet"),
    }
    backbone = made[kind]()
    entry = export_onnx(backbone, manifest.with_name("mine.onnx"), name="mine")
    assert entry == models.get("mine")
    crops = photos(5, backbone.size_px)
    wanted = by_torch(backbone, crops)
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-3  # or anything would do
    for engine in ENGINES:
        embedder = load_embedder(entry, flip=False, runtime=Runtime(engine))
        assert np.abs(embedder.embed(crops)[0] - wanted).max() < 1e-4
        assert embedder.batch == 8, "it takes more than one crop at a time"
        assert np.abs(embedder.embed(crops[:1])[0] - wanted[:1]).max() < 1e-4


@pytest.mark.slow
def test_sface_goes_there_and_back(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = load_bundled("sface")
    export_onnx(before, manifest.with_name("again.onnx"), name="sface-again")
    assert capsys.readouterr() == ("", "")
    crops = photos(3, 112)
    again = load_bundled("sface-again")
    assert np.abs(by_torch(again, crops) - by_torch(before, crops)).max() < 1e-5
    assert not any(isinstance(layer, nn.Dropout) for layer in again.modules())


def test_the_entry(manifest: Path) -> None:
    score = Measurement(98.5, "accuracy in %, some pairs")
    threshold = StatedThreshold("cosine", 0.31, 1e-3, False, "some people", 5000)
    entry = export_onnx(
        Small(),
        manifest.with_name("file.onnx"),
        name="small-1.0_x",
        training_data="12 photos of “nobody”",
        license_code="MIT",
        license_weights="CC-BY-4.0",
        commercial_use="yes",
        paper="arXiv:0000.00000",
        notes="a note",
        measured={"some": score},
        thresholds=[threshold],
    )
    assert entry.path == manifest.with_name("file.onnx")
    assert entry.path.stat().st_size == entry.bytes
    assert (entry.dimension, entry.alignment, entry.task) == (6, "arcface-16", "embedder")
    assert (entry.license_weights, entry.commercial_use) == ("CC-BY-4.0", "yes")
    assert entry.measured == {"some": score}
    assert entry.thresholds == (threshold,)
    assert json.loads(manifest.read_text())["weights"] == [json.loads(json.dumps(entry.to_dict()))]
    said = tomllib.loads(manifest.with_name("file.toml").read_text())
    assert said["name"] == "small-1.0_x"
    assert said["training_data"] == "12 photos of “nobody”"
    alone = models.from_file(manifest.with_name("file.onnx"))
    same = ("name", "sha256", "bytes", "input", "dimension", "alignment", "license_weights")
    assert [getattr(alone, key) for key in same] == [getattr(entry, key) for key in same]
    model = onnx.load(entry.path)
    shapes = [
        [d.dim_param if d.dim_param else d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["N", 3, 16, 16], ["N", 6]]
    # No folder of this machine stands in the file, and it can be built again.
    assert str(Path(__file__).parent.parent).encode() not in entry.path.read_bytes()


def test_the_same_network_makes_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    made = [
        export_onnx(Small(), tmp_path / name / "n.onnx", name="n").sha256 for name in ("one", "two")
    ]
    assert made[0] == made[1]


def test_it_is_the_backbone_as_evaluated_and_stays_as_it_was(tmp_path: Path) -> None:
    backbone = Small().train()
    backbone.layers[1].eval()
    before = {name: values.clone() for name, values in backbone.state_dict().items()}
    entry = export_onnx(backbone, tmp_path / "n.onnx", name="n")
    assert [layer.training for layer in backbone.layers] == [True, False, True, True, True]
    assert all(torch.equal(values, before[key]) for key, values in backbone.state_dict().items())
    crops = photos(4, 16)
    vectors = load_embedder(entry, flip=False).embed(crops)[0]
    assert np.abs(vectors - by_torch(backbone, crops)).max() < 1e-4  # without dropout


def test_by_name_and_by_file_on_the_command_line(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(*which: str) -> float:
        pair = [str(DEMO / "obama.jpg"), str(DEMO / "obama2.jpg"), "--threshold", "0.3", "--json"]
        result = CliRunner().invoke(app, ["verify", *pair, *which])
        assert result.exit_code == 0, result.output
        return float(json.loads(result.stdout)["score"])

    export_onnx(load_bundled("mobilefacenet"), manifest.with_name("m.onnx"), name="mine")
    by_name = score("--recognizer", "mine")
    assert by_name == pytest.approx(score("--recognizer", "mobilefacenet"), abs=1e-4)
    monkeypatch.delenv("LINEAMENT_MANIFEST")
    assert by_name == pytest.approx(score("--model", str(manifest.with_name("m.onnx"))), abs=1e-6)


def test_recognizer_by_name(manifest: Path) -> None:
    export_onnx(load_bundled("mobilefacenet"), manifest.with_name("m.onnx"), name="mine")
    contract = Recognizer("mine", flip=False).embedder.contract
    assert (contract.weights, contract.alignment) == ("mine", "arcface-112")
    with pytest.raises(LicenseError, match="unknown"):
        Recognizer("mine", policy=models.LicensePolicy.parse("commercial")).load()


# --- beside others --------------------------------------------------------------------------------


def test_other_entries_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_added", [])
    folder = tmp_path / "models"
    folder.mkdir()
    first = export_onnx(Small(), folder / "a.onnx", name="a")
    second = export_onnx(Small(), folder / "b.onnx", name="b", notes="second")
    assert models.add_manifest(folder / "manifest.json") == [first, second]
    third = export_onnx(Small(), folder / "a.onnx", name="a", notes="again", overwrite=True)
    listed = json.loads((folder / "manifest.json").read_text())["weights"]
    assert {entry["name"]: entry["notes"] for entry in listed} == {"a": "again", "b": "second"}
    assert models.read(third)
    assert models.read(second)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("a.onnx", "a.toml", "b.onnx", "b.toml", "manifest.json")
    ]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    export_onnx(Small(), tmp_path / "a.onnx", name="a")
    (tmp_path / "c.toml").write_text("mine = 1\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for file, name, words in (
        ("a.onnx", "b", r"a\.onnx: it exists already"),
        ("b.onnx", "a", "has 'a' already"),
        ("c.onnx", "c", r"c\.toml: it exists already"),
    ):
        with pytest.raises(OptionError, match=words):
            export_onnx(Small(), tmp_path / file, name=name)
    with pytest.raises(OptionError, match="it belongs to 'a'"):
        export_onnx(Small(), tmp_path / "a.onnx", name="b", overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"name": "Upper"}, OptionError, "got 'Upper'"),
        ({"name": ""}, OptionError, "got ''"),
        ({"name": "-a"}, OptionError, "the first a letter"),
        ({"name": "a" * 65}, OptionError, "up to 64"),
        ({"name": "sface"}, OptionError, "bundled"),
        ({"path": "n.pt"}, OptionError, r"ends with \.onnx"),
        ({"path": "none/n.onnx"}, OptionError, "there is no folder"),
        ({"crops": np.zeros((3, 8, 8, 3), np.uint8)}, OptionError, r"got uint8 of shape \(3, 8"),
        ({"crops": np.zeros((2, 16, 16, 3), np.uint8)}, OptionError, "at least 3"),
        ({"crops": np.zeros((3, 16, 16, 3), np.float32)}, OptionError, "got float32"),
        ({"license_weights": "some words"}, WeightsError, "SPDX"),
        ({"training_data": "two\nlines"}, WeightsError, "training_data"),
        ({"license_weights": "CC-BY-NC-4.0", "commercial_use": "yes"}, WeightsError, "commercial"),
    ],
)
def test_bad_options(
    changes: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    options = {"path": "n.onnx", "name": "n"} | changes
    path = tmp_path / options.pop("path")
    with pytest.raises(error, match=words):
        export_onnx(Small(), path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_is_none_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(WeightsError, match="unknown field `name`"):
        export_onnx(Small(), tmp_path / "n.onnx", name="n")
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert (tmp_path / "manifest.json").read_text() == '{"name": "a web page"}'


# --- networks that will not do --------------------------------------------------------------------


class Unfaithful(Small):
    """Computes in PyTorch otherwise than it is traced."""

    def forward(self, crops: Tensor) -> Tensor:
        made = super().forward(crops)
        return made + (0.01 if torch.jit.is_tracing() else 0.0)


class OneBatch(Small):
    """Holds the number of crops that it was traced with."""

    def forward(self, crops: Tensor) -> Tensor:
        made = super().forward(crops)
        return made + torch.zeros(int(crops.shape[0]), 6)


class Unwritable(Small):
    """Uses what ONNX does not have."""

    def forward(self, crops: Tensor) -> Tensor:
        return super().forward(crops) + torch.linalg.eigvals(crops[:, :1, :6, :6]).real.sum()


class WrongDimension(Small):
    """Says something else about itself."""

    def __init__(self) -> None:
        super().__init__()
        self.dimension = 7


class NotANumber(Small):
    """Has diverged."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.out.bias, float("nan"))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Unfaithful, "to 0.0001, got a difference of 0.0"),
        (OneBatch, "crops at once"),
        (Unwritable, "cannot write this network"),
        (WrongDimension, r"\(3, 7\).*got \(3, 6\)"),
        (NotANumber, "no numbers"),
    ],
)
def test_nothing_is_written(
    kind: type[Small], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ExportError, match=words):
        export_onnx(kind(), tmp_path / "n.onnx", name="n")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""


def test_a_full_disk_leaves_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OptionError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr("lineament.train.model.export.write_atomically", full)
    with pytest.raises(OptionError, match="No space"):
        export_onnx(Small(), tmp_path / "n.onnx", name="n")
    assert list(tmp_path.iterdir()) == []


def test_readers_never_see_a_manifest_without_its_file(tmp_path: Path) -> None:
    """The file comes first, the entry that promises it last."""
    seen: list[str] = []
    stop = threading.Event()
    manifest = tmp_path / "manifest.json"

    def watch() -> None:
        while not stop.is_set():
            if manifest.exists():
                for entry in json.loads(manifest.read_text())["weights"]:
                    seen.append("whole" if (tmp_path / entry["file"]).exists() else "torn")

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        export_onnx(Small(), tmp_path / "n.onnx", name="n")
        while not seen:
            pass
    finally:
        stop.set()
        watcher.join()
    assert "torn" not in seen


def test_importing_the_package_loads_no_torch() -> None:
    import subprocess

    code = "import sys, lineament.train, lineament.train.backbones; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
