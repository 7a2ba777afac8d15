"""The page of a run: complete, well-formed, self-contained, and safe whatever names hold."""

from __future__ import annotations

import base64
import html
import io
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import MissingExtraError, OptionError
from lineament.evaluate.pair_counts import PairCounts
from lineament.evaluate.result import PairShown, Part, Published, Result, Scores
from lineament.pictures.pages.page import Picture, Section, Table, Tile, page, thumbnail
from lineament.pictures.pages.result import picture_of, report_sections, tile_of, write_report

pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')

HOSTILE = "Zoë <script>alert(1)</script> & \"Søn\" 'x' 山田 عربي"
VOID = {"meta", "img", "br", "wbr", "hr", "link", "input"}


class Page(HTMLParser):
    """What a page holds; notes every tag that is not closed in its turn."""

    def __init__(self, data: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(data.decode("utf-8"))
        self.close()
        self.wrong += [f"{tag} is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> out of turn")

    def handle_data(self, data: str) -> None:
        if data.strip() and "style" not in self.open:
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("faces")
    paths = []
    for name in ("Ann_1.png", 'odd <name> & "more".png'):
        path = folder / name
        PILImage.fromarray(rng.integers(0, 255, (60, 40, 3), np.uint8)).save(path)
        paths.append(str(path))
    jpeg = io.BytesIO()
    PILImage.new("RGB", (50, 50), (200, 10, 10)).save(jpeg, "JPEG")
    gone = str(folder / HOSTILE.replace("/", "-") / "gone.jpg")
    view2 = Part(
        "view2",
        "View 2",
        {
            "accuracy_mean": 0.99517,
            "accuracy_se": 0.00123,
            "tar_at_fmr": {"1e-1": 0.998, "1e-2": 0.9876},
            "n_pairs": 4000,
        },
        scores=Scores(
            rng.normal(0.6, 0.1, 1000).astype(np.float32),
            rng.normal(0.1, 0.1, 3000).astype(np.float32),
        ),
        threshold=0.35,
        worst=(
            PairShown(paths[0], paths[1], True, 0.0123),
            PairShown(gone, paths[0], True, -1.0),
            PairShown("a", "b", False, 0.777, jpeg.getvalue(), b"no picture"),
        ),
        curves={
            "references: mean": {"1": 0.9, "2": 0.95},
            "references: best": {"1": 0.9, "2": 0.93},
            "reliability": {"0.1": 0.12, "0.9": 0.88},
            "reliability_count": {"0.1": 200, "0.9": 300},
            HOSTILE: {"x": 1.5, "y": 2.5},
            "nothing": {"1": float("nan")},
        },
    )
    few = Part(
        "few",
        HOSTILE,
        {"accuracy": 0.75},
        scores=Scores(np.array([0.9, 0.2], np.float32), np.array([0.1, 0.3], np.float32)),
    )
    return Result(
        protocol="lfw",
        title="Labeled Faces in the Wild",
        data="/data/with spaces & <marks>",
        images=1234,
        faces_found=1230,
        errors=1,
        parts=(view2, few, Part("bare", "no pictures", {"rank": {"1": 0.5}})),
        published=(Published("FaceNet", 0.9963, "CVPR"), Published(HOSTILE, 0.99, "A & B", "n")),
        published_of=("view2", "accuracy_mean"),
        run={
            "contract": {"weights": "sface", "weights_sha256": "ab12", "flip": False},
            "detector": "yunet+onet",
            "images_per_second": None,
            "command": ["lineament", "eval", "lfw", "/data/with spaces & <marks>"],
        },
        notes=("A note: <b>not bold</b>.",),
    )


@pytest.fixture(scope="module")
def written(result: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text("an older report")
    extra = Section("A section of the command", ("More words.",))
    write_report(result, path, sections=(extra,))
    return path


@pytest.fixture(scope="module")
def parsed(written: Path) -> Page:
    return Page(written.read_bytes())


def test_is_well_formed(parsed: Page) -> None:
    assert parsed.wrong == []
    assert {"html", "head", "title", "main", "h1", "h2", "table", "img"} <= {
        tag for tag, _ in parsed.tags
    }
    assert parsed.all("html") == [{"lang": "en"}]
    assert Page(b"<p><b>x</p>").wrong  # the parser above does notice


def test_refers_to_nothing_outside_and_runs_nothing(written: Path, parsed: Page) -> None:
    assert re.search(rb"https?:|//[a-z]|url\(|@import|javascript:", written.read_bytes()) is None
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    names = {name for _, attrs in parsed.tags for name in attrs}
    assert not {name for name in names if name.startswith("on")} | (names & {"href", "srcset"})
    sources = [attrs["src"] for attrs in parsed.all("img")]
    assert sources
    assert all(source and source.startswith("data:image/") for source in sources)


def test_what_is_embedded_refers_to_nothing_outside(parsed: Page) -> None:
    drawings = [data for kind, data in pictures(parsed) if kind == "image/svg+xml"]
    assert len(drawings) == 9  # view 2: three, three sets of curves; the few pairs: three
    for data in drawings:
        references = re.findall(rb'(?:href|src)="([^"]*)"|url\(([^)]*)\)', data)
        assert all((a or b).startswith(b"#") for a, b in references)
        assert b"<script" not in data.lower()


def pictures(parsed: Page) -> list[tuple[str, bytes]]:
    found = []
    for attrs in parsed.all("img"):
        kind, _, data = str(attrs["src"]).removeprefix("data:").partition(";base64,")
        found.append((kind, base64.b64decode(data, validate=True)))
    return found


def test_every_picture_says_what_it_shows(parsed: Page) -> None:
    texts = [attrs["alt"] or "" for attrs in parsed.all("img")]
    assert min(map(len, texts)) > 10
    roc = next(text for text in texts if text.startswith("ROC curve of View 2"))
    assert re.search(r"TAR \d+\.?\d* % at FMR 1 %", roc)
    told = next(text for text in texts if "references" in text)
    assert "mean: 1: 0.9, 2: 0.95; best: 1: 0.9, 2: 0.93" in told


def test_photos_are_shown_small_and_what_cannot_be_read_is_said(
    parsed: Page, result: Result
) -> None:
    photos = [data for kind, data in pictures(parsed) if kind == "image/jpeg"]
    sizes = [PILImage.open(io.BytesIO(data)).size for data in photos]
    assert sizes == [(40, 60), (40, 60), (40, 60), (50, 50)]
    gray = [attrs for attrs in parsed.all("div") if attrs.get("class") == "missing"]
    assert len(gray) == 2
    assert parsed.text.count("cannot be shown: ") == 2
    assert "similarity 0.012, threshold 0.350" in parsed.text
    assert "no face was found in one of them" in parsed.text
    assert parsed.text.count("Worst errors: ") == 2


def test_the_summary_says_what_matters(parsed: Page) -> None:
    short = parsed.text[: parsed.text.index("measure\n")]
    for words in (
        "read from /data/with spaces & <marks>: 1,234 photos, a face was found in 1,230",
        "Recognizer: sface, faces from the detector yunet+onet.",
        "View 2: accuracy is 99.52 % ± 0.12 % (standard error).",
        "In 3 photos no face was found.",
        "1 photo could not be read.",
        "1,000 genuine and 3,000 impostor pairs. False match rates below 1 % rest on fewer than 30",
        "the rate may still be 0.1 % (rule of 3)",
        "That is not enough to judge by",
        "A note: <b>not bold</b>.",
    ):
        assert words in short


def test_tables_hold_every_figure(written: Path, parsed: Page, result: Result) -> None:
    cells = [
        html.unescape(c) for c in re.findall(r"<td[^>]*>([^<]*)</td>", written.read_text("utf-8"))
    ]
    pairs = list(pairwise(cells))
    rows = [row for part in result.parts for row in part.rows()]
    assert len(rows) == 6
    assert set(rows) <= set(pairs)
    for model, value, _ in result.published_rows():
        assert (model, value) in pairs
    assert ("weights sha256", "ab12") in pairs
    assert ("flip", "no") in pairs
    assert ("detector", "yunet+onet") in pairs
    assert not [cell for cell in cells if cell.startswith(("contract", "command", "images per"))]
    marked = re.findall(r'<tr class="marked"><td>([^<]*)</td>', written.read_text("utf-8"))
    assert marked == ["lineament, this run"]


def test_how_to_make_it_again(parsed: Page, result: Result) -> None:
    assert "lineament eval lfw '/data/with spaces & <marks>'" in parsed.text
    assert parsed.text.index("More words.") < parsed.text.index("How this was made")
    other = report_sections(replace(result, run={}, data="/d"))[-1]
    assert other.code == ("lineament eval lfw /d",)


def test_hostile_names_are_text(parsed: Page) -> None:
    assert parsed.text.count("<script>alert(1)</script>") >= 3
    assert HOSTILE in parsed.text
    assert {name for attrs in parsed.all("img") for name in attrs} == {"alt", "src"}
    assert any(HOSTILE in str(attrs["alt"]) for attrs in parsed.all("img"))


def test_text_that_no_page_may_hold() -> None:
    section = Section("\x00\x1b \ud800", ("a\tb",), (Table(("<",), [["&"]], caption='"'),))
    parsed = Page(page("\x07", [section]))
    assert parsed.wrong == []
    assert parsed.text.split("\n") == [
        r"\x07",
        r"\x07",
        r"\x00\x1b \ud800",
        r"a\tb.",
        '"',
        "<",
        "&",
    ]


NONE = np.zeros(0, np.float32)
SOME = np.array([0.1, 0.9, 0.9], np.float32)


@pytest.mark.parametrize(
    ("scores", "drawn", "said"),
    [
        (Scores(SOME, NONE), 1, "there are no impostor pairs"),
        (Scores(NONE, SOME), 1, "there are no genuine pairs"),
        (Scores(NONE, NONE), 0, "there are no genuine pairs"),
        (PairCounts(SOME, NONE, 0, np.zeros(64, np.int64)), 1, "there are no impostor pairs"),
        (None, 0, ""),
    ],
)
def test_parts_with_little_in_them(
    scores: Scores | PairCounts | None, drawn: int, said: str
) -> None:
    part = Part("p", "pairs", {}, scores=scores, threshold=float("inf"))
    result = Result("pairs", "Pairs", "pairs.csv", 2, 2, 0, (part,))
    short, shown, _ = report_sections(result)
    assert len(shown.pictures) == drawn
    assert said in "\n".join(short.paragraphs)


def test_blocks_stand_in_order_and_empty_ones_are_left_out() -> None:
    picture = thumbnail(b"nothing", alt="x")
    assert picture.data == b""
    section = Section(
        "T", ("p",), (Table(("a",), [["b"]]),), (), (Tile((picture,), ("n_1",), "t"),)
    )
    parsed = Page(page("Title", [section, Section("", ("alone",))]))
    order = [parsed.texts.index(text) for text in ("T", "P.", "a", "b", picture.alt, "n_", "t")]
    assert order == sorted(order)
    assert len(parsed.all("h2")) == 1
    assert parsed.all("img") == []


def test_a_tile_may_have_words_of_its_own() -> None:
    tile = tile_of(PairShown("/x/Ann/1.jpg", "Ann/Ann_2.jpg", True, 0.5), text="mislabeled?")
    assert tile.names == ("Ann/1.jpg", "Ann_2.jpg")
    assert tile.text == "mislabeled?"
    assert [picture.data for picture in tile.pictures] == [b"", b""]


def test_a_figure_becomes_a_drawing() -> None:
    from lineament.pictures.charts import lines

    picture = picture_of(lines({"a": {"1": 0.5, "2": 0.75}}), alt="two points", caption="c")
    assert (picture.media_type, picture.alt, picture.caption) == (
        "image/svg+xml",
        "two points",
        "c",
    )
    assert b"</svg>" in picture.data
    assert Picture(picture.data, "image/svg+xml", "two points", "c") == picture


def test_write_report_is_atomic(result: Result, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no folder"):
        write_report(result, tmp_path / "nowhere" / "x.html")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_nothing_is_written(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*(matplotlib|lineament\[plot\])"):
        write_report(result, tmp_path / "x.html")
    assert list(tmp_path.iterdir()) == []


# --- in a browser ---------------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def opened(path: Path, home: Path) -> tuple[str, list[str]]:
    """The page as a browser sees it, and what its console says."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    done = subprocess.run(
        [browser, *flags, f"--user-data-dir={home}", "--enable-logging=stderr", "--dump-dom",
         path.as_uri()],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_opens_in_a_browser_without_complaints(written: Path, tmp_path: Path) -> None:
    seen, complaints = opened(written, tmp_path)
    assert complaints == []
    assert "Labeled Faces in the Wild" in seen
    assert seen.count("<img") == len(Page(written.read_bytes()).all("img"))


def test_the_browser_would_complain(written: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_bytes(written.read_bytes().replace(b"</main>", b"<img src=no.png></main>"))
    assert any("Content Security Policy" in line for line in opened(bad, tmp_path / "home")[1])
