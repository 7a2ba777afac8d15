"""`lineament eval` of the pair protocols: the real pipeline once each, on a few photos."""

from __future__ import annotations

import io
import json
import pickle
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
from lineament.pipeline import Recognizer

sklearn_metrics = pytest.importorskip("sklearn.metrics")

DEMO = Path(lineament.__file__).parent / "data" / "demo"
PEOPLE = ("astronaut", "biden", "obama")
VARIANTS = 4

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def pictures() -> dict[tuple[str, int], bytes]:
    """Three people, four photos each: plain, mirrored, darker, smaller."""
    made = {}
    for person in PEOPLE:
        with PILImage.open(DEMO / f"{person}.jpg") as image:
            small = image.convert("RGB")
            small.thumbnail((240, 240))
        for number, picture in enumerate(
            (
                small,
                ImageOps.mirror(small),
                ImageEnhance.Brightness(small).enhance(0.7),
                small.resize((small.width * 3 // 4, small.height * 3 // 4)),
            )
        ):
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=92)
            made[person, number] = out.getvalue()
    return made


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(choose="central")


@pytest.fixture(scope="module")
def similarity(
    pictures: dict[tuple[str, int], bytes], recognizer: Recognizer
) -> Callable[[tuple[str, int], tuple[str, int]], float]:
    """Cosines by a way of their own: one photo at a time."""
    vectors = {}
    for key, data in pictures.items():
        analysis = recognizer.analyze(data)
        vectors[key] = analysis.embeddings[analysis.most_central() or 0].vector
    return lambda a, b: float(vectors[a] @ vectors[b])


PAIRS = [
    (((person, i), (person, (i + 1) % VARIANTS)), ((person, i), (other, (i + 2) % VARIANTS)))
    for i in range(VARIANTS)
    for person, other in zip(PEOPLE, (*PEOPLE[1:], PEOPLE[0]), strict=True)
]
"""Twelve times a pair of one person and a pair of two."""


def rows() -> list[tuple[tuple[str, int], tuple[str, int], bool]]:
    return [
        (a, b, same) for pair in PAIRS for (a, b), same in zip(pair, (True, False), strict=True)
    ]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "user-cache"))

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(app, ["eval", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return call


def figures(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def check(part: dict[str, Any], scores: list[float], same: list[bool]) -> None:
    assert part["n_pairs"] == len(same)
    assert part["n_genuine_pairs"] == sum(same)
    assert part["n_pairs_without_face"] == 0
    area = sklearn_metrics.roc_auc_score(same, scores)
    assert area > 0.9
    assert part["auc"] == pytest.approx(area, abs=1e-9)
    assert part["accuracy_mean"] == pytest.approx(np.mean(part["accuracies"]))
    genuine = [s for s, t in zip(scores, same, strict=True) if t]
    impostor = sorted((s for s, t in zip(scores, same, strict=True) if not t), reverse=True)
    allowed = int(len(impostor) * 0.1)
    assert part["tar_at_fmr"]["1e-1"] == np.mean([s > impostor[allowed] for s in genuine])
    assert part["tar_at_fmr"]["1e-3"] is None


def test_bin(
    run: Run,
    tmp_path: Path,
    pictures: dict[tuple[str, int], bytes],
    recognizer: Recognizer,
) -> None:
    crops = {}
    for key, data in pictures.items():
        analysis = recognizer.analyze(data, keep_crops=True)
        assert analysis.crops is not None
        out = io.BytesIO()
        PILImage.fromarray(analysis.crops[analysis.most_central() or 0]).save(out, "PNG")
        crops[key] = out.getvalue()
    stored = [np.frombuffer(crops[key], np.uint8) for a, b, _ in rows() for key in (a, b)]
    same = [s for *_, s in rows()]
    file = tmp_path / "tiny.bin"
    file.write_bytes(pickle.dumps((stored, same), protocol=2))
    found = figures(run("bin", file, "--json"))
    assert found["n_photos"] == found["n_faces_found"] == 12
    images = {k: np.asarray(PILImage.open(io.BytesIO(v)).convert("RGB")) for k, v in crops.items()}
    vectors = {k: recognizer.embedder.embed(image[None])[0][0] for k, image in images.items()}
    check(found["pairs"], [float(vectors[a] @ vectors[b]) for a, b, _ in rows()], same)

    canary = tmp_path / "canary"
    file.write_bytes(
        b"\x80\x02cos\nsystem\nX"
        + len(f"touch {canary}").to_bytes(4, "little")
        + f"touch {canary}".encode()
        + b"\x85R."
    )
    hostile = run("bin", file)
    assert hostile.exit_code == 2
    assert "refused: it names 'os' 'system'" in hostile.stderr
    assert not canary.exists()


def test_pairs(
    run: Run,
    tmp_path: Path,
    pictures: dict[tuple[str, int], bytes],
    similarity: Callable[..., float],
    recognizer: Recognizer,
) -> None:
    for (person, number), data in pictures.items():
        (tmp_path / f"{person}-{number}.jpg").write_bytes(data)
    lines = [f"{a}-{i}.jpg,{b}-{j}.jpg,{s}" for (a, i), (b, j), s in rows()]
    (tmp_path / "p.csv").write_text("\n".join(["file_a,file_b,same", *lines]))
    found = figures(run("pairs", tmp_path / "p.csv", "--json", "--choose", "central"))
    scores = [similarity(a, b) for a, b, _ in rows()]
    same = [s for *_, s in rows()]
    check(found["pairs"], scores, same)
    threshold = recognizer.threshold().value
    said = [s >= threshold for s in scores]
    assert found["at_threshold"]["threshold_value"] == threshold
    right = sum(x == t for x, t in zip(said, same, strict=True))
    assert found["at_threshold"]["accuracy"] == right / len(same)
    table = run("pairs", tmp_path / "p.csv", "--choose", "central")
    assert table.exit_code == 0
    assert "not measurable" in table.stdout
    assert "from the cache" in table.stdout
    assert "note: " in table.stderr


@pytest.mark.parametrize("name", ["calfw", "cplfw"])
def test_two_line_lists(
    run: Run,
    tmp_path: Path,
    pictures: dict[tuple[str, int], bytes],
    similarity: Callable[..., float],
    name: str,
) -> None:
    (tmp_path / "images").mkdir()
    for (person, number), data in pictures.items():
        (tmp_path / "images" / f"{person}_{number:04d}.jpg").write_bytes(data)
    ordered = sorted(rows(), key=lambda row: not row[2])
    text = ""
    for i, ((a, m), (b, n), same) in enumerate(ordered):
        fold = i // 3 + 1 if same else 0
        text += f"{a}_{m:04d}.jpg {fold}\n{b}_{n:04d}.jpg {fold}\n"
    (tmp_path / f"pairs_{name.upper()}.txt").write_text(text)
    found = figures(run(name, tmp_path, "--json"))
    check(found["pairs"], [similarity(a, b) for a, b, _ in ordered], [s for *_, s in ordered])
    assert len(found["pairs"]["accuracies"]) == 4


def test_agedb(
    run: Run,
    tmp_path: Path,
    pictures: dict[tuple[str, int], bytes],
    similarity: Callable[..., float],
) -> None:
    for (person, number), data in pictures.items():
        (tmp_path / f"{number}_{person}_{30 + number}_m.jpg").write_bytes(data)
    (tmp_path / "agedb_30_pairs.txt").write_text(
        "\n".join(
            f"{m}_{a}_{30 + m}_m.jpg {n}_{b}_{30 + n}_m.jpg {int(s)}"
            for (a, m), (b, n), s in rows()
        )
    )
    found = figures(run("agedb", tmp_path, "--json", "--no-cache"))
    check(found["pairs"], [similarity(a, b) for a, b, _ in rows()], [s for *_, s in rows()])
    assert found["n_photos_embedded"] == 12


def test_cfp(
    run: Run,
    tmp_path: Path,
    pictures: dict[tuple[str, int], bytes],
    similarity: Callable[..., float],
) -> None:
    """Photos 0 and 1 stand for frontal ones, 2 and 3 for profiles."""
    protocol = tmp_path / "Protocol"
    protocol.mkdir()
    lists: dict[str, list[tuple[str, int]]] = {"F": [], "P": []}
    for (person, number), data in pictures.items():
        kind = "frontal" if number < 2 else "profile"
        folder = tmp_path / "Data" / "Images" / f"{PEOPLE.index(person) + 1:03d}" / kind
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number % 2 + 1:02d}.jpg").write_bytes(data)
        lists[kind[0].upper()].append((person, number))
    for letter, kind in (("F", "frontal"), ("P", "profile")):
        (protocol / f"Pair_list_{letter}.txt").write_text(
            "".join(
                f"{i} ../Data/Images/{PEOPLE.index(p) + 1:03d}/{kind}/{n % 2 + 1:02d}.jpg\n"
                for i, (p, n) in enumerate(lists[letter], 1)
            )
        )
    scores: dict[str, list[float]] = {"ff": [], "fp": []}
    same: dict[str, list[bool]] = {"ff": [], "fp": []}
    for key, second in (("ff", "F"), ("fp", "P")):
        for fold in range(2):
            folder = protocol / "Split" / key.upper() / f"{fold + 1:02d}"
            folder.mkdir(parents=True)
            texts: dict[bool, str] = {True: "", False: ""}
            for i, a in enumerate(lists["F"]):
                for j, b in enumerate(lists[second]):
                    if (i + j) % 2 == fold or (key == "ff" and i >= j):
                        continue
                    texts[a[0] == b[0]] += f"{i + 1},{j + 1}\n"
                    scores[key].append(similarity(a, b))
                    same[key].append(a[0] == b[0])
            if not texts[True]:  # frontal pairs of one person all fall into one fold
                texts[True] = "1,2\n"
                scores[key].append(similarity(lists["F"][0], lists["F"][1]))
                same[key].append(True)
            (folder / "same.txt").write_text(texts[True])
            (folder / "diff.txt").write_text(texts[False])
    found = figures(run("cfp", tmp_path, "--json"))
    for key in ("ff", "fp"):
        part = found[key]
        assert part["n_pairs"] == len(same[key])
        area = sklearn_metrics.roc_auc_score(same[key], scores[key])
        assert part["auc"] == pytest.approx(area, abs=1e-9)
        assert len(part["accuracies"]) == 2
    wrong = run("cfp", tmp_path, "--protocol", "pp")
    assert wrong.exit_code == 2
    assert "expected ff, fp or both" in wrong.stderr


def test_ytf(
    run: Run,
    tmp_path: Path,
    pictures: dict[tuple[str, int], bytes],
    similarity: Callable[..., float],
) -> None:
    """Two videos a person, of two frames each; the face is searched for in the whole frame."""
    for (person, number), data in pictures.items():
        folder = tmp_path / "aligned_images_DB" / person / str(number // 2)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"aligned_detect_{number // 2}.{95 + number}.jpg").write_bytes(data)
    videos = [(p, v) for p in PEOPLE for v in (0, 1)]
    text = "split number, pair number in split, first name, second name, is same:\n"
    best, same = [], []
    for i, a in enumerate(videos):
        for b in videos[i + 1 :]:
            text += f"{len(same) % 2 + 1}, {len(same) + 1}, {a[0]}/{a[1]}, {b[0]}/{b[1]}, "
            text += f"{int(a[0] == b[0])}\n"
            same.append(a[0] == b[0])
            best.append(
                max(
                    similarity((a[0], 2 * a[1] + m), (b[0], 2 * b[1] + n))
                    for m in (0, 1)
                    for n in (0, 1)
                )
            )
    (tmp_path / "splits.txt").write_text(text)
    found = figures(run("ytf", tmp_path, "--json", "--frames", 2))
    assert found["n_photos"] == found["n_faces_found"] == 12
    assert found["videos"] == 6
    area = sklearn_metrics.roc_auc_score(same, best)
    assert found["best_pair"]["auc"] == pytest.approx(area, abs=1e-9)
    impostor = sorted((s for s, t in zip(best, same, strict=True) if not t), reverse=True)
    genuine = [s for s, t in zip(best, same, strict=True) if t]
    expected = np.mean([s > impostor[1] for s in genuine])
    assert found["best_pair"]["tar_at_fmr"]["1e-1"] == expected
    assert set(found) >= {"mean", "weighted", "best_pair", "published", "notes"}


def test_a_folder_that_is_none(run: Run, tmp_path: Path) -> None:
    for name in ("agedb", "calfw", "cplfw", "cfp", "ytf", "pairs", "bin"):
        result = run(name, tmp_path / "none")
        assert result.exit_code == 2, name
        assert "error: " in result.stderr
        assert str(tmp_path / "none") in result.stderr
