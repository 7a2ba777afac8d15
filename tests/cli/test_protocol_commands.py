"""folder, open-set, distractors, groups and ijb by the command line, on the demo photos."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as PILImage
from PIL import ImageEnhance, ImageOps

import lineament
from lineament.cli import app

DEMO = Path(lineament.__file__).parent / "data" / "demo"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("user-cache")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Run:
    monkeypatch.setenv("LINEAMENT_CACHE", str(cache))

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(app, ["eval", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        assert "Traceback" not in result.output
        return result

    return call


def one_object(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people with 2, 2 and 3 photos, one of which shows no face."""
    root = tmp_path_factory.mktemp("photos")
    for person, files in {
        "Ann": ["astronaut"],
        "Biden": ["biden"],
        "Obama": ["obama", "obama2"],
    }.items():
        (root / person).mkdir()
        for name in files:
            with PILImage.open(DEMO / f"{name}.jpg") as image:
                whole = image.convert("RGB")
            whole.thumbnail((420, 420))
            whole.save(root / person / f"{name}.png")
            if len(files) == 1 and person != "Biden":
                ImageEnhance.Brightness(ImageOps.mirror(whole)).enhance(0.8).save(
                    root / person / f"{name} 2.png"
                )
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    PILImage.fromarray(noise).save(root / "Biden" / "noise.png")
    return root


@pytest.fixture(scope="module")
def cosines(photos: Path) -> dict[frozenset[str], float]:
    """The library's own comparison of each pair of photos with a face."""
    recognizer = lineament.Recognizer()
    embeddings = {}
    for path in sorted(photos.glob("*/*.png")):
        if path.stem != "noise":
            embeddings[path.name] = recognizer.embed(path).vector
    return {
        frozenset((a, b)): float(u @ v)
        for a, u in embeddings.items()
        for b, v in embeddings.items()
        if a < b
    }


def test_folder(run: Run, photos: Path, cosines: dict[frozenset[str], float]) -> None:
    found = one_object(run("folder", photos, "--json"))
    assert (found["protocol"], found["n_photos"], found["n_faces_found"]) == ("folder", 6, 5)
    pairs = found["all_pairs"]
    # Ann and Obama have a pair each with faces, Biden's second photo has none.
    genuine = [cosines[frozenset(("astronaut.png", "astronaut 2.png"))]]
    genuine += [cosines[frozenset(("obama.png", "obama2.png"))], -1.0]
    impostor = [v for k, v in cosines.items() if v not in genuine] + [-1.0] * 4
    wins = np.mean([(g > i) + (g == i) / 2 for g in genuine for i in impostor])
    assert (pairs["n_genuine_pairs"], pairs["n_impostor_pairs"]) == (3, 12)
    assert pairs["n_pairs_without_face"] == 5
    assert pairs["auc"] == pytest.approx(wins, abs=1e-9)
    assert set(pairs["tar_at_fmr"].values()) == {None}
    assert found["n_photos_embedded"] == 6
    again = run("folder", photos)
    assert again.exit_code == 0
    assert "from the cache" in again.stdout
    assert "not measurable" in again.stdout
    assert "rule of 30" in again.stderr
    assert one_object(run("folder", photos, "--json", "--no-cache"))["n_photos_embedded"] == 6


def test_open_set(run: Run, photos: Path) -> None:
    found = one_object(
        run("open-set", photos, "--json", "--trials", 3, "--seed", 1, "--gallery", 1)
    )
    assert found["mean"]["n_gallery"] == 1
    assert len(found["trials"]) == 3
    assert 0 <= found["mean"]["rank"]["1"] <= 1
    assert run("open-set", photos, "--gallery", 3).exit_code == 2
    assert "random trials from seed 0" in run("open-set", photos).stderr


def test_distractors(
    run: Run, photos: Path, tmp_path: Path, cosines: dict[frozenset[str], float]
) -> None:
    for name in ("group", "astronaut"):
        (tmp_path / f"{name}.jpg").write_bytes((DEMO / f"{name}.jpg").read_bytes())
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "again.png").write_bytes((photos / "Biden" / "noise.png").read_bytes())
    found = one_object(run("distractors", photos, tmp_path, "--sizes", "1,2", "--json"))
    part = found["distractors"]
    assert part["n_distractors_repeating_probes"] == 1
    assert part["n_gallery"] == 2
    assert part["rank1_at_distractors"].keys() == {"1", "2"}
    # The astronaut is a distractor in disguise, as another file; Biden's second has no face.
    recognizer = lineament.Recognizer()
    others = [recognizer.embed(tmp_path / f"{n}.jpg").vector for n in ("group", "astronaut")]
    hits = 0
    for a, b in (("astronaut", "astronaut 2"), ("obama", "obama2")):
        mate = cosines[frozenset((f"{a}.png", f"{b}.png"))]
        for name in (a, b):
            probe = recognizer.embed(next(photos.glob(f"*/{name}.png"))).vector
            hits += mate > max(float(probe @ other) for other in others)
    assert 0 < hits < 4
    assert part["rank1_at_distractors"]["2"] == pytest.approx(hits / 6)
    for sizes in ("3", "0", "x", ""):
        wrong = run("distractors", photos, tmp_path, "--sizes", sizes)
        assert wrong.exit_code == 2
        assert "sizes: expected" in wrong.stderr
    assert run("distractors", photos, tmp_path / "no").exit_code == 2


def test_groups(run: Run, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "attributes.csv"
    table.write_text("person,sex\nAnn,f\nBiden,m\nObama,m\n")
    found = one_object(run("groups", photos, table, "--json"))
    part = found["by_sex"]
    assert part["n_people"] == {"f": 1, "m": 2}
    threshold = lineament.Recognizer().threshold()
    assert part["threshold_value"] == threshold.value
    assert part["fmr_errors"] == {"f x m": 0, "m x m": 0}
    assert part["fnmr_pairs"] == {"f x f": 1, "m x m": 2}
    assert part["fnmr_errors"] == {"f x f": 0, "m x m": 1}
    assert set(part["fmr"].values()) == {None}
    text = run("groups", photos, table)
    assert "too small for an FMR: f (0 pairs, 1 person)" in text.stderr
    lines = [line.split() for line in text.stdout.splitlines()]
    assert ["f", "x", "f", "no", "pairs", "0", "too", "small", "1"] in lines
    assert ["f", "x", "m", "too", "small", "8", "no", "pairs", "0"] in lines
    low = one_object(run("groups", photos, table, "--threshold", "-1", "--json"))["by_sex"]
    assert low["fmr_errors"] == low["fmr_pairs"] == {"f x m": 8, "m x m": 4}
    pairs = tmp_path / "pairs.csv"
    base = photos.as_posix()
    pairs.write_text(
        f"file_a,file_b,same\n{base}/Ann/astronaut.png,{base}/Ann/astronaut 2.png,1\n"
        f"{base}/Obama/obama.png,{base}/Biden/biden.png,0\n"
    )
    listed = one_object(run("groups", pairs, table, "--by", "sex", "--fmr", "1e-3", "--json"))
    assert listed["by_sex"]["fmr_pairs"] == {"m x m": 1}
    assert listed["by_sex"]["threshold_value"] == lineament.Recognizer().threshold(fmr=1e-3).value
    assert run("groups", photos, table, "--by", "age").exit_code == 2


def test_ijb(run: Run, photos: Path, tmp_path: Path, cosines: dict[frozenset[str], float]) -> None:
    """Boxes that the file gives decide whose face it is."""
    faces = {
        "astronaut.png": (1, 1, 1),
        "obama.png": (2, 2, 2),
        "astronaut 2.png": (3, 1, 3),
        "obama2.png": (4, 2, 4),
    }
    heading = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT\n"
    recognizer = lineament.Recognizer()
    lines = {}
    for name, (tid, subject, medium) in faces.items():
        path = next(photos.glob(f"*/{name}"))
        target = tmp_path / "images" / "img" / f"{tid}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        photo = recognizer.detect(path)
        face = photo.faces[photo.largest() or 0]
        left, top, right, bottom = face.box_xyxy.tolist()
        box = f"{left:.0f},{top:.0f},{right - left:.0f},{bottom - top:.0f}"
        lines[tid] = f"{tid},{subject},img/{tid}.png,{medium},{box}\n"
    protocol = tmp_path / "protocol"
    protocol.mkdir()
    tables = {"gallery_S1": [1], "gallery_S2": [2], "probe_mixed": [3, 4]}
    for name, templates in tables.items():
        text = heading + "".join(lines[tid] for tid in templates)
        (protocol / f"ijbb_1N_{name}.csv").write_text(text)
    (protocol / "ijbb_11_S1_S2_matches.csv").write_text("1,3\n1,4\n2,3\n2,4\n")
    found = one_object(run("ijb", tmp_path, "--set", "b", "--json"))
    part = found["verification_mean"]
    assert (part["n_genuine_pairs"], part["n_impostor_pairs"]) == (2, 2)
    assert part["tar_at_fmr"]["1e-6"] == 1
    # The strictest threshold lies just above the most alike pair of two people.
    names = list(faces)
    highest = max(cosines[frozenset((names[a], names[b]))] for a, b in ((0, 3), (1, 2)))
    assert part["threshold_at_fmr"]["1e-6"] == pytest.approx(highest, abs=0.06)
    many = one_object(run("ijb", tmp_path, "--set", "B", "--protocol", "1:n", "--json"))
    assert many["gallery_s1_mean"]["rank"]["1"] == 1
    assert many["gallery_s2_norm"]["dir_at_fpir"]["1e-2"] == 1
    assert many["n_photos_embedded"] == 0
    assert "IJB" in run("ijb", "--help").stdout
    assert "--set says which" in run("ijb", tmp_path, "--set", "c").stderr
    assert "--set: expected b or c" in run("ijb", tmp_path, "--set", "a").stderr
    wrong = run("ijb", tmp_path, "--set", "b", "--protocol", "2:1", "--json")
    assert wrong.exit_code == 2
    assert "--protocol: expected" in json.loads(wrong.stdout)["error"]
