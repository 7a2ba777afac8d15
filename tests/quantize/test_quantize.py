"""Int8 recognizers: made for real from small networks, and refused when they are no good."""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PILImage

if importlib.util.find_spec("nncf") is None:
    pytest.skip("needs the extra quantize", allow_module_level=True)
pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import helper, numpy_helper  # noqa: E402

import lineament  # noqa: E402
from builders import save_network, tiny_recognizer  # noqa: E402
from lineament import Recognizer, models  # noqa: E402
from lineament.cli import app  # noqa: E402
from lineament.embed import load_embedder  # noqa: E402
from lineament.errors import (  # noqa: E402
    ContractError,
    DataError,
    ExportError,
    LineamentError,
    MissingExtraError,
    OptionError,
)
from lineament.models import Card, LicensePolicy  # noqa: E402
from lineament.models.runtime import Runtime, folded  # noqa: E402
from lineament.quantize import Quantized, check_options, quantize  # noqa: E402
from lineament.quantize import _output as output  # noqa: E402
from lineament.quantize._comparison import (  # noqa: E402
    Agreement,
    VerificationChange,
    refuse_loss,
    verification_of,
)
from lineament.quantize._networks import quiet_nncf  # noqa: E402
from lineament.quantize.crops import crops_of  # noqa: E402

SIDE = 32
DEMO = Path(lineament.__file__).parent / "data" / "demo"


def save_convolutions(path: Path, side: int = SIDE) -> Path:
    """Two convolutions with PReLU and batch normalization, and a layer that makes 16 numbers."""
    random = np.random.default_rng(1)

    def values(*shape: int) -> np.ndarray:
        fan_in = int(np.prod(shape[1:]))
        return (random.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)

    flat = 16 * (side // 4) ** 2
    constants = {
        "mean": np.array(127.5, np.float32),
        "scale": np.array(1 / 128, np.float32),
        "w1": values(16, 3, 3, 3),
        "a1": np.full((16, 1, 1), 0.25, np.float32),
        "w2": values(16, 16, 3, 3),
        "a2": np.full((16, 1, 1), 0.25, np.float32),
        **{k: random.uniform(0.5, 1.5, 16).astype(np.float32) for k in ("g", "b", "m", "v")},
        "w3": values(16, flat),
    }
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["centered"]),
        helper.make_node("Mul", ["centered", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "w1"], ["c1"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["c1", "a1"], ["p1"]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c2", "g", "b", "m", "v"], ["n2"]),
        helper.make_node("PRelu", ["n2", "a2"], ["p2"]),
        helper.make_node("Flatten", ["p2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3"], ["y"], transB=1),
    ]
    inputs = {"x": ["N", 3, side, side]}
    return save_network(path, nodes, constants=constants, inputs=inputs, output=["N", 16])


def patterns(count: int, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """(N, S, S, 3) uint8: blotches of color."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, side // 8, side // 8, 3))
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)
    noise = random.integers(-8, 9, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


SPEC: dict[str, Any] = {"size_wh": [SIDE, SIDE], "color_order": "rgb", "mean": 0.0, "scale": 1.0}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Card:
    path = save_convolutions(tmp_path_factory.mktemp("source") / "small.onnx")
    return models.from_file(path, **SPEC, license_weights="MIT", commercial_use="yes")


@pytest.fixture(scope="module")
def made(source: Card, tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    out = tmp_path_factory.mktemp("made") / "new" / "folder"
    return quantize(source, patterns(40), out=out, min_speedup=0)


# --- what is written ------------------------------------------------------------------------------


def test_the_file_holds_8_bit_weights_and_quantizers(made: Quantized) -> None:
    assert made.weights.path is not None
    model = onnx.load(str(made.weights.path))
    onnx.checker.check_model(model)
    held = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    whole = [v for v in held.values() if v.dtype in (np.int8, np.uint8) and v.ndim > 1]
    assert sorted(v.shape for v in whole) == [(16, 3, 3, 3), (16, 16, 3, 3), (16, 1024)]
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) >= 3
    assert not [v.shape for v in held.values() if v.dtype == np.float32 and v.size > 100]


def test_the_pipelines_engine_runs_it_with_8_bit_kernels(made: Quantized) -> None:
    openvino = pytest.importorskip("openvino")
    assert made.weights.path is not None
    core = openvino.Core()
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(made.weights.path.read_bytes()), "CPU", options)
    ran = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    layers = [
        info["runtimePrecision"].astype(str)
        for info in ran
        if "layerType" in info
        and info["layerType"].astype(str) in ("Convolution", "FullyConnected")
    ]
    assert len(layers) == 3
    assert set(layers) <= {"i8", "u8"}


def test_both_engines_make_the_same_of_it(made: Quantized, source: Card) -> None:
    crops = patterns(24, seed=5)
    rows = {}
    for engine in ("openvino", "onnxruntime"):
        runtime = Runtime(engine=engine, device="cpu")  # type: ignore[arg-type]
        rows[engine] = load_embedder(made.weights, flip=False, runtime=runtime).embed(crops)[0]
    original = load_embedder(source, flip=False).embed(crops)[0]
    same = (rows["openvino"] * rows["onnxruntime"]).sum(axis=1)
    assert same.min() > 0.998  # they round between the layers in their own ways, by processor
    cosines = (rows["onnxruntime"] * original).sum(axis=1)
    assert cosines.mean() == pytest.approx(made.agreement.mean_cosine, abs=0.003)
    assert 0.99 < cosines.mean() < 0.99999  # close, and not the same network


def test_the_figures_are_those_of_the_crops_kept_back(made: Quantized, source: Card) -> None:
    crops = patterns(40)
    both = [load_embedder(w, flip=False).embed(crops)[0] for w in (source, made.weights)]
    cosines = (both[0] * both[1]).sum(axis=1)
    rest = np.sort(np.random.default_rng(0).permutation(40)[20:])
    assert made.calibrated_on == 20
    assert made.agreement.crops == 20
    assert made.agreement.mean_cosine == pytest.approx(float(cosines[rest].mean()), abs=1e-5)
    assert made.agreement.least_cosine == pytest.approx(float(cosines[rest].min()), abs=1e-5)
    assert [speed.batch for speed in made.speeds] == [1, 8]
    assert made.speedup == min(speed.speedup for speed in made.speeds)
    slow = made.speeds[0]
    assert slow.speedup == pytest.approx(slow.before_ms / slow.after_ms)


def test_the_entry_tells_what_it_is(made: Quantized, source: Card) -> None:
    (entry,) = models.read_manifest(made.manifest)
    assert entry == made.weights
    assert entry.name == "small-int8"
    assert (entry.license_weights, entry.commercial_use) == ("MIT", "yes")
    assert (entry.dimension, entry.alignment) == (16, source.alignment)
    assert entry.sha256 != source.sha256
    assert entry.thresholds == ()
    assert source.sha256 in (entry.notes or "")
    assert {path.name for path in made.manifest.parent.iterdir()} == {
        "small-int8.onnx",
        "manifest.json",
    }
    assert json.loads(json.dumps(made.to_dict()))["bytes"] == entry.bytes


def test_nncf_is_kept_quiet_and_off_the_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Noisy(logging.Logger):
        pass

    before = logging.getLoggerClass()
    monkeypatch.delitem(sys.modules, "nncf", raising=False)
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    with quiet_nncf():
        print("a notice")
        warnings.warn("another", stacklevel=1)
        logging.setLoggerClass(Noisy)
        with pytest.raises(ImportError):
            import openvino_telemetry  # noqa: F401
    assert logging.getLoggerClass() is before
    assert "openvino_telemetry" not in sys.modules
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow  # the other tests quantize networks of a few layers
def test_a_bundled_recognizer_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fp32 = Recognizer("mobilefacenet", flip=False)
    photos = sorted(DEMO.glob("*.jpg"))
    faces = np.concatenate(
        [p.crops for p in fp32.stream(photos, keep_crops=True) if p.crops is not None]
    )
    crops = np.concatenate([faces, faces[:, :, ::-1]])[:24]
    done: list[tuple[str, int, int]] = []
    made = quantize(
        "mobilefacenet",
        crops,
        out=tmp_path,
        name="mine",
        min_speedup=0,
        min_cosine=0.97,  # a handful of faces
        progress=lambda *step: done.append(step),
    )
    assert {"calibrating", "checking"} <= {what for what, _, _ in done}
    assert ("calibrating", 1, made.calibrated_on) in done
    assert (made.calibrated_on, made.agreement.crops) == (len(crops) // 2, -(-len(crops) // 2))
    assert made.weights.bytes < made.bytes_before / 2
    bundled = models.get("mobilefacenet")
    assert (tmp_path / "mine.license.txt").read_text() == models.license_text(bundled)
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(made.manifest))
    int8 = Recognizer("mine", flip=False)
    limit = int8.threshold(value=0.4)
    same = int8.verify(DEMO / "obama.jpg", DEMO / "obama2.jpg", threshold=limit)
    other = int8.verify(DEMO / "obama.jpg", DEMO / "biden.jpg", threshold=limit)
    expected = fp32.verify(DEMO / "obama.jpg", DEMO / "obama2.jpg", threshold=limit)
    assert same.same
    assert not other.same
    assert same.score == pytest.approx(expected.score, abs=0.03)
    with pytest.raises(ContractError):
        int8.embedder.contract.check(fp32.embedder.contract)
    with pytest.raises(OptionError, match="mine"):  # it exists now
        quantize("mobilefacenet", crops, out=tmp_path, name="mine")
    with pytest.raises(OptionError, match="int8 network already"):
        quantize("mine", crops, out=tmp_path, name="again", min_speedup=0)


def test_other_entries_stay_and_overwrite_replaces(source: Card, tmp_path: Path) -> None:
    entry = tiny_recognizer(tmp_path / "other.onnx")
    listed = {"schema": 1, "weights": [entry.to_dict()]}
    (tmp_path / "manifest.json").write_text(json.dumps(listed))
    crops = patterns(12)
    first = quantize(source, crops, out=tmp_path, name="a", min_speedup=0, min_cosine=0)
    with pytest.raises(OptionError, match="exists already"):
        quantize(source, crops, out=tmp_path, name="a")
    again = quantize(
        source,
        crops,
        out=tmp_path,
        name="a",
        check=(patterns(6, seed=2), None),
        subset=5,
        overwrite=True,
        min_speedup=0,
        min_cosine=0,
    )
    assert (again.calibrated_on, again.agreement.crops) == (5, 6)
    assert again.weights.sha256 != first.weights.sha256
    assert [w.name for w in models.read_manifest(again.manifest)] == ["other", "a"]
    assert models.read(again.weights)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"min_speedup": 1000}, "at least 1000 times as fast"),
        ({"min_speedup": 0, "min_cosine": 1.0}, "mean cosine of at least 1"),
    ],
)
def test_a_worse_one_is_not_written(
    source: Card, tmp_path: Path, limit: dict[str, float], message: str
) -> None:
    out = tmp_path / "new"
    with pytest.raises(ExportError, match=message):
        quantize(source, patterns(12), out=out, **({"min_cosine": 0.5} | limit))  # type: ignore[arg-type]
    assert not out.exists()


def judged(tar_after: float) -> Agreement:
    return Agreement(50, 0.5, 0.1, VerificationChange(0.01, 300, 4000, 0.95, tar_after, 0.99, 0.98))


def test_verification_goes_before_the_cosine() -> None:
    refuse_loss("net", judged(0.946), 0.005, 0.99)
    with pytest.raises(ExportError, match=r"at most 0.5 points of TAR at FMR 0.01, got 0.60"):
        refuse_loss("net", judged(0.944), 0.005, 0.99)
    assert judged(0.944).verification.loss == pytest.approx(0.006)  # type: ignore[union-attr]


def test_verification_pair_by_pair() -> None:
    random = np.random.default_rng(3)
    person = np.arange(195) // 13
    people = [f"p{i}" for i in person]
    centers = random.standard_normal((15, 12))[person]
    vectors = np.stack(
        [centers + spread * random.standard_normal((195, 12)) for spread in (1, 2)]
    ).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    found = verification_of(vectors, people)
    assert found is not None
    assert (found.same_pairs, found.different_pairs) == (1170, 17745)
    assert found.fmr == 0.01  # 177 may match; at 1e-3 it would be 17, too few
    expected = []
    for rows in vectors:
        same, different = [], []
        for i in range(195):
            for j in range(i):
                (same if people[i] == people[j] else different).append(float(rows[i] @ rows[j]))
        threshold = sorted(different, reverse=True)[177]  # the 178th: 177 lie above it
        above = sum(score > threshold for score in same) / len(same)
        wins = np.array(same)[:, None] > np.array(different)[None]
        expected.append((above, float(wins.mean())))
    assert (found.tar_before, found.auc_before) == pytest.approx(expected[0], abs=1e-6)
    assert (found.tar_after, found.auc_after) == pytest.approx(expected[1], abs=1e-6)
    assert found.loss > 0.05
    few = vectors[:, person < 5]  # 390 pairs of one person
    assert verification_of(few, people[: few.shape[1]]) is None


def test_bad_input(source: Card, tmp_path: Path) -> None:
    crops = patterns(12)
    file = tmp_path / "file"
    file.write_text("")
    (tmp_path / "taken.onnx").write_bytes(b"x")
    good: dict[str, Any] = {"weights": source, "crops": crops, "out": tmp_path / "new"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"crops": crops[:0]}, "at least 10 faces"),
        ({"crops": crops[:1]}, "at least 10 faces, better 300 of many people, got 1"),
        ({"crops": crops[:, :16]}, r"\(N, 32, 32, 3\)"),
        ({"crops": crops.astype(np.float32)}, "uint8"),
        ({"people": ["a"]}, "people: expected 12"),
        ({"check": (crops[:1], None)}, "check: expected at least 2"),
        ({"weights": "yunet"}, "expected a recognizer"),
        ({"weights": "sface-mobilefacenet"}, "one that joins sface and mobilefacenet"),
        ({"weights": "nobody"}, "no weights are called"),
        ({"name": "Not A Name"}, "name: expected up to 64"),
        ({"name": "sface"}, "weights called 'sface' already"),
        ({"out": file}, "is a file"),
        ({"out": file / "below"}, "is a file"),
        ({"out": tmp_path, "name": "taken"}, "exists already"),
        ({"min_speedup": -1}, "min_speedup"),
        ({"max_loss": 2}, "max_loss"),
        ({"min_cosine": float("nan")}, "min_cosine"),
        ({"subset": 0}, "subset"),
        ({"runtime": Runtime(engine="onnxruntime", device="cuda")}, "device|cuda"),
    ]
    before = sorted(path.name for path in tmp_path.iterdir())
    for change, message in cases:
        with pytest.raises(LineamentError, match=message):
            quantize(**(good | change))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_network_with_nothing_to_quantize(tmp_path: Path) -> None:
    entry = tiny_recognizer(tmp_path / "flat.onnx", side=SIDE)
    with pytest.raises(ExportError, match="nothing in this network"):
        quantize(entry, patterns(12), out=tmp_path / "new", min_speedup=0)
    assert not (tmp_path / "new").exists()


def test_without_nncf(source: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*nncf"):
        check_options(source, out=tmp_path)


def test_a_full_disk_leaves_nothing(
    source: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    real = output.write_atomically

    def until_it_is_full(path: Path, data: bytes) -> None:
        if written:
            raise OptionError("No space left on device")
        written.append(path.name)
        real(path, data)

    monkeypatch.setattr(output, "write_atomically", until_it_is_full)
    out = tmp_path / "new"
    with pytest.raises(OptionError, match="No space"):
        quantize(source, patterns(12), out=out, min_speedup=0, min_cosine=0)
    assert written == ["small-int8.onnx"]
    assert not out.exists()


def test_the_license_policy_counts(source: Card, tmp_path: Path) -> None:
    with pytest.raises(LineamentError, match="license"):
        quantize(source, patterns(12), out=tmp_path, policy=LicensePolicy(base="none"))
    assert list(tmp_path.iterdir()) == []


# --- folding, photos, the command line -------------------------------------------------------


def test_folding_changes_no_number(source: Card) -> None:
    import onnxruntime

    batch = np.random.default_rng(0).uniform(0, 255, (3, 3, SIDE, SIDE)).astype(np.float32)
    graph = models.read(source)
    plain = folded(graph)
    kinds = [node.op_type for node in onnx.load_from_string(plain).graph.node]
    assert "BatchNormalization" not in kinds
    rows = [
        onnxruntime.InferenceSession(g, providers=["CPUExecutionProvider"]).run(None, {"x": batch})[
            0
        ]
        for g in (graph, plain)
    ]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"(?i)protobuf|model"):
        folded(b"no graph")


def save_photos(folder: Path, people: dict[str, int], side: int = SIDE) -> None:
    for number, (person, count) in enumerate(people.items()):
        (folder / person).mkdir(parents=True, exist_ok=True)
        for i, crop in enumerate(patterns(count, side, seed=number)):
            PILImage.fromarray(crop).save(folder / person / f"{i}.png")


def test_crops_of_people(source: Card, tmp_path: Path) -> None:
    save_photos(tmp_path, {"ada": 5, "bob": 4, "eve": 6})
    (tmp_path / "ada" / "broken.jpg").write_bytes(b"no photo")
    crops = crops_of(tmp_path, source, aligned=True)
    assert crops.people == ("ada",) * 5 + ("bob",) * 4 + ("eve",) * 6
    assert (crops.photos, crops.skipped) == (16, 1)
    np.testing.assert_array_equal(crops.images[5:9], patterns(4, seed=1))
    some = crops_of(tmp_path, source, aligned=True, most=10)
    assert some.people is not None
    assert len(some.images) + some.skipped == 10
    assert len(set(some.people)) == 2  # of 6, 4 and 6 photos: two people whole or in part
    (tmp_path / "loose.png").write_bytes((tmp_path / "bob" / "0.png").read_bytes())
    assert crops_of(tmp_path, source, aligned=True).people is None
    save_photos(tmp_path, {"wrong": 1}, side=48)
    with pytest.raises(DataError, match="crop of 32x32 pixels, got 48x48"):
        crops_of(tmp_path, source, aligned=True)


def test_crops_of_photos(tmp_path: Path) -> None:
    for name in ("obama.jpg", "biden.jpg"):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes())
    PILImage.new("RGB", (64, 64)).save(tmp_path / "nobody.png")
    entry = models.get("mobilefacenet")
    crops = crops_of(tmp_path, entry)
    assert (crops.people, crops.photos, crops.skipped) == (None, 3, 1)
    photo = Recognizer(entry).analyze(tmp_path / "biden.jpg", keep_crops=True)
    index = photo.largest()
    assert photo.crops is not None
    assert index is not None
    np.testing.assert_array_equal(crops.images[0], photo.crops[index])  # sorted by name


def test_crops_of_nothing(source: Card, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found none"):
        crops_of(tmp_path, source)
    with pytest.raises(DataError, match="found nothing"):
        crops_of(tmp_path / "missing", source)
    PILImage.new("RGB", (64, 64)).save(tmp_path / "nobody.png")
    with pytest.raises(DataError, match="no face in 1"):
        crops_of(tmp_path, models.get("mobilefacenet"))
    with pytest.raises(OptionError, match="most"):
        crops_of(tmp_path, source, most=1)


@pytest.mark.slow
def test_the_command_prints_one_object_and_nothing_else(source: Card, tmp_path: Path) -> None:
    assert source.path is not None
    model = tmp_path / "small.onnx"
    model.write_bytes(source.path.read_bytes())
    lines = ["size_wh = [32, 32]", 'color_order = "rgb"', "mean = 0.0", "scale = 1.0"]
    model.with_suffix(".toml").write_text("\n".join(lines))
    save_photos(tmp_path / "photos", {"ada": 7, "bob": 7})
    arguments = [
        "models",
        "quantize",
        str(model),
        "--photos",
        str(tmp_path / "photos"),
        "--aligned",
    ]
    arguments += ["--out", str(tmp_path / "out"), "--min-speedup", "0", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "lineament", *arguments, "--min-cosine", "0.5"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    assert printed["name"] == "small-int8"
    assert (printed["n_photos"], printed["calibrated_on"]) == (14, 7)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "small-int8.onnx",
        "manifest.json",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["yunet"], "expected a recognizer"),
        (["sface-mobilefacenet"], "one that joins"),
        (["nobody"], "no weights are called"),
        (["missing.onnx"], "missing.onnx"),
        (["mobilefacenet", "--max-loss", "7"], "--max-loss: expected"),
        (["mobilefacenet", "--min-speedup", "-1"], "--min-speedup: expected"),
        (["mobilefacenet", "--name", "A B"], "--name: expected"),
        (["mobilefacenet", "--most", "3"], "--most: expected"),
        (["mobilefacenet"], "found no"),
    ],
)
def test_the_commands_errors_are_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    empty = tmp_path / "photos"
    empty.mkdir()
    PILImage.new("RGB", (64, 64)).save(empty / "nobody.png")
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app, ["models", "quantize", *arguments, "--photos", str(empty), "--out", str(out)]
    )
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not out.exists()


def test_the_commands_words(made: Quantized) -> None:
    from lineament.cli.models import _rows

    found = VerificationChange(0.001, 300, 20000, 0.95, 0.94, 0.99, 0.98)
    shown = dict(_rows(replace(made, agreement=replace(made.agreement, verification=found))))
    assert shown["TAR at FMR 0.001"] == "94.00 %, 95.00 % before (300 pairs of one person)"
    assert shown["calibrated on"] == "20 crops"


def test_importing_it_is_light() -> None:
    heavy = "{'torch', 'nncf', 'onnx', 'onnxruntime', 'openvino'}"
    code = f"import sys, lineament.quantize; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
