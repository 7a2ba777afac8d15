"""The page of a folder: comparisons by brute force, words, and a page that needs nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import DataError
from lineament.pipeline import Recognizer
from lineament.types import Image

pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')
pytest.importorskip("scipy", reason="the order of people needs it")
pytest.importorskip("openTSNE", reason="t-SNE needs it")

from lineament.explain.degrade import subject_of, worse
from lineament.report import Report, report
from lineament.report._comparison import compare_all

pytestmark = pytest.mark.slow
HOSTILE = "Zoë <script>alert(1)<|script> & 山田"


def test_all_pairs_as_two_loops_give() -> None:
    rng = np.random.default_rng(3)
    person = np.array([0, 0, 1, 1, 1, 2, 3, 3])
    vectors = rng.normal(size=(8, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.array([0, 1, 2, 4, 5, 6, 7])
    found, hardest = compare_all(vectors, person, rows, 0.3)
    genuine, impostor, matches = [], [], {}
    for i, j in combinations(rows.tolist(), 2):
        score = float(vectors[i] @ vectors[j])
        if person[i] == person[j]:
            genuine.append((score, i, j))
        else:
            impostor.append((score, i, j))
            if score >= 0.3:
                matches.setdefault((person[i], person[j]), []).append((score, i, j))
    assert len(matches) >= 2
    assert {(p.a, p.b): p.matches for p in found} == {k: len(v) for k, v in matches.items()}
    counts = np.bincount(person[rows])
    for pair in found:
        best = max(matches[pair.a, pair.b])
        assert pair.photos == best[1:]
        assert pair.similarity == pytest.approx(best[0], abs=1e-6)
        assert pair.pairs == counts[pair.a] * counts[pair.b]
    assert hardest.genuine is not None
    assert hardest.impostor is not None
    assert hardest.genuine[:2] == min(genuine)[1:]
    assert hardest.impostor[:2] == max(impostor)[1:]
    shares = [pair.matches / (pair.pairs + 3) for pair in found]
    assert shares == sorted(shares, reverse=True)


def test_nobody_to_compare() -> None:
    none = np.zeros(0, np.int64)
    assert compare_all(np.zeros((0, 4), np.float32), none, none, 0.3)[0] == []


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def folder(
    recognizer: Recognizer, astronaut: Image, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two people who are one, a photo without a face, and one that is none."""
    root = tmp_path_factory.mktemp("people")
    photo = recognizer.finder.find(astronaut)
    subject = subject_of(recognizer.finder, photo)
    for name, versions in (
        ("Ann", [subject.image, worse(subject, "sunglasses", 0.3)]),
        (HOSTILE, [worse(subject, "mask", 0.85), worse(subject, "blur", 0.08)]),
    ):
        (root / name).mkdir()
        for k, version in enumerate(versions):
            PILImage.fromarray(version).save(root / name / f"{k}.png")
    PILImage.new("RGB", (120, 120), (90, 130, 70)).save(root / "Ann" / "wall.png")
    (root / "Ann" / "broken.jpg").write_bytes(b"no photo")
    return root


@pytest.fixture(scope="module")
def made(folder: Path, recognizer: Recognizer) -> Report:
    return report(folder, recognizer, use_cache=False)


class Page(HTMLParser):
    def __init__(self, data: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.attrs: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(data.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attrs += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_summary_says_what_is_in_the_folder(
    made: Report, folder: Path, recognizer: Recognizer
) -> None:
    words = " ".join(made.numbers["summary"])
    assert words.startswith("6 photos of 2 people, 2 to 4 each. A face was found in 4. ")
    assert "No face was found in Ann/wall.png." in words
    assert "Could not be read: Ann/broken.jpg." in words
    assert made.numbers["without_face"] == ["Ann/wall.png"]
    (pair,) = made.numbers["confusable"]
    assert {pair["a"], pair["b"]} == {"Ann", HOSTILE}
    photos = [folder / name / f"{k}.png" for name in ("Ann", HOSTILE) for k in (0, 1)]
    a, b, c, d = (each.vector for each in recognizer.embed(photos))  # type: ignore[union-attr]
    cross = {0: float(a @ c), 1: float(a @ d), 2: float(b @ c), 3: float(b @ d)}
    cut = made.numbers["threshold"]["value"]
    assert (pair["n_matches"], pair["n_pairs"]) == (sum(v >= cut for v in cross.values()), 4)
    assert pair["similarity"] == pytest.approx(max(cross.values()), abs=1e-4)
    hardest = made.numbers["hardest"]
    assert hardest["impostor"]["similarity"] == pytest.approx(max(cross.values()), abs=1e-4)
    least = min(float(a @ b), float(c @ d))
    assert hardest["genuine"]["similarity"] == pytest.approx(least, abs=1e-4)


def test_all_pictures_are_there(made: Report) -> None:
    wanted = {"grid", "tsne", "correlation", "histogram", "pose", "barcode", "occlusion"}
    wanted |= {"alignment", "explain_true", "explain_false"}
    assert wanted == made.numbers["pictures"].keys()
    parsed = Page(made.html)
    images = [value for tag, name, value in parsed.attrs if (tag, name) == ("img", "src")]
    assert len(images) >= 9
    assert all(re.match(r"data:image/(jpeg|svg\+xml);base64,.{1000}", each) for each in images)
    assert "Not drawn" not in " ".join(parsed.texts)


def test_it_refers_to_nothing_outside(made: Report) -> None:
    pages = [made.html]
    pages += [
        value.encode() for tag, name, value in Page(made.html).attrs
        if (tag, name) == ("iframe", "srcdoc")
    ]  # fmt: skip
    assert len(pages) == 2
    for data in pages:
        references = [
            value for _, name, value in Page(data).attrs
            if name in ("src", "href", "srcset", "action", "data")
        ]  # fmt: skip
        assert all(value.startswith("data:image/") for value in references)
        assert b"default-src 'none'" in data
        outside = re.sub(rb"[A-Za-z0-9+/=]{200,}", b"", data)
        assert re.search(rb"https?:|url\(|@import|javascript:", outside) is None
    assert b"<script>alert" not in made.html.replace(b"&lt;script&gt;", b"")


def test_one_person_only(folder: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    shutil.copytree(folder / "Ann", tmp_path / "all" / "Ann")
    made = report(tmp_path / "all", recognizer, use_cache=False)
    assert "one person only" in " ".join(made.numbers["summary"])
    assert made.numbers["confusable"] == []
    assert {"grid", "pose", "explain_true"} <= made.numbers["pictures"].keys()
    assert not {"explain_false", "correlation", "histogram"} & made.numbers["pictures"].keys()


def test_one_photo_only(astronaut: Image, recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "all" / "Ann").mkdir(parents=True)
    PILImage.fromarray(astronaut).save(tmp_path / "all" / "Ann" / "1.png")
    made = report(tmp_path / "all", recognizer, use_cache=False)
    assert made.numbers["n_faces"] == 1
    assert made.numbers["pictures"] == {}
    assert b"at least two are needed" in made.html
    with pytest.raises(DataError):
        report(tmp_path / "nothing", recognizer)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def test_opens_in_a_browser_without_complaints(made: Report, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    made.save(tmp_path / "report.html")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    done = subprocess.run(
        [browser, *flags, f"--user-data-dir={tmp_path / 'home'}", "--enable-logging=stderr",
         "--virtual-time-budget=3000", "--dump-dom", (tmp_path / "report.html").as_uri()],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert "What the recognizer sees: " in done.stdout
