"""True names of files in data, escaped names for people: every command, names that may be anything.

A name may hold every byte but "/" and NUL. JSON, files and galleries carry it as it is, so that
``os.path.exists`` holds for what is read from them; what is printed for people cannot act.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as PILImage

import lineament
from lineament.bulk.tables import read_rows
from lineament.cli import app
from lineament.gallery import Gallery
from lineament.pipeline import Recognizer
from lineament.text import printable

pytestmark = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="its file systems refuse such names"
)

DEMO = Path(lineament.__file__).parent / "data" / "demo"
NAMES = [
    "esc\x1b[31mred.jpg",
    "new\nline.jpg",
    "Screenshot 10.00\u202fPM.jpg",
    "no\u00a0break.jpg",
    "می\u200cخواهم.jpg",
    "😀👩\u200d👩.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    os.fsdecode(b"caf\xe8.jpg"),
    "turned\u202egpj.jpg",
    "[bold]markup[red].jpg",
    " -dash & <b>'\"\\.jpg",
    "C:colon?.jpg",
]
RAW = ("\x1b", "\u202e", "new\nline", "\udce9")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos of one woman, small, each a little different; a text file; a cut photo."""
    root = tmp_path_factory.mktemp("names") / "Ada"
    root.mkdir()
    with PILImage.open(DEMO / "astronaut.jpg") as image:
        for i, name in enumerate(NAMES):
            crop = image.convert("RGB").crop((110 + i, i, 350 - i, 260))
            crop.resize((160, 176)).save(root / name, "JPEG")
    (root / "notes\x1b.txt").write_text("no photo")
    return root


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "user-cache"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Result:
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert "this is a bug" not in done.output, done.output
        for raw in RAW:  # of what people read, and of JSON, which escapes
            assert raw not in done.stderr
            assert raw not in done.stdout
        return done

    return call


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def named(value: Any) -> set[str]:
    """The names among the texts of JSON that are paths of photos: all of them exist."""
    paths = [text for text in texts(value) if text.endswith(".jpg") and ": " not in text]
    assert [path for path in paths if not os.path.exists(path)] == []  # noqa: PTH110
    return {os.path.basename(path) for path in paths}  # noqa: PTH119


@pytest.mark.parametrize(
    "arguments",
    [
        ("detect", "FOLDER"),
        ("detect", "FOLDER", "--save", "drawn"),
        ("embed", "FOLDER"),
        ("align", "FOLDER", "--out", "crops"),
        ("group", "FOLDER", "--out", "groups.json", "--report", "groups.html"),
    ],
    ids=lambda arguments: "-".join(arguments[:1] + arguments[2:3]),
)
def test_json_carries_true_names(
    arguments: tuple[str, ...], run: Callable[..., Result], folder: Path
) -> None:
    given = [folder if each == "FOLDER" else each for each in arguments]
    found = json.loads(run(*given, "--json").stdout)
    assert named(found) >= set(NAMES) or arguments[0] == "align"
    run(*given, *(["--overwrite"] if "--out" in given or "--save" in given else []))


def test_verify(run: Callable[..., Result], folder: Path) -> None:
    pair = (folder / NAMES[0], folder / NAMES[6])
    found = json.loads(run("verify", *pair, "--json").stdout)
    assert named(found) == {NAMES[0], NAMES[6]}
    assert printable(NAMES[0]) in run("verify", *pair).stdout.replace("\n", "")
    missing = run("verify", folder / "no\x1b\udce9.jpg", pair[0], "--json")
    assert r"no\x1b\udce9.jpg: no such file" in json.loads(missing.stdout)["error"]


@pytest.mark.parametrize("suffix", [".jsonl", ".npz", ".parquet", ".csv"])
def test_files_of_embeddings(suffix: str, run: Callable[..., Result], folder: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    out = Path(f"e{suffix}")
    done = run("embed", folder, "--out", out)
    if suffix == ".csv" and not out.exists():
        pytest.skip("embeddings are not written as CSV")
    assert "12" in done.stderr
    if suffix == ".jsonl":
        sources = [json.loads(line)["source"] for line in out.read_text().splitlines()[1:]]
    elif suffix == ".csv":
        with out.open(errors="surrogateescape", newline="") as file:
            sources = [row["source"] for row in csv.DictReader(file)]
    else:
        sources = [row["source"] for row in read_rows(out)]
    if suffix == ".npz":
        assert np.load(out)["sources"].tolist() == sources
    assert sorted(sources) == sorted(str(folder / name) for name in NAMES)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_bulk_embeddings_go_on_where_they_ended(suffix: str, folder: Path, tmp_path: Path) -> None:
    from lineament.bulk import embed_many

    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    recognizer = Recognizer("mobilefacenet")
    first = embed_many(folder, tmp_path / "out", recognizer, suffix=suffix)
    assert (first.embedded, first.faces) == (12, 12)
    again = embed_many(folder, tmp_path / "out", recognizer, suffix=suffix)
    assert (again.embedded, again.earlier, again.gone) == (0, 12, 0)
    rows = read_rows(next((tmp_path / "out").glob(f"part-*{suffix}")))
    assert sorted(row["source"] for row in rows) == sorted(NAMES)


def test_a_folder_that_is_no_utf8(folder: Path, tmp_path: Path) -> None:
    from lineament.bulk import embed_many

    odd = tmp_path / os.fsdecode(b"m\xfcnchen")
    odd.mkdir()
    (odd / NAMES[6]).write_bytes((folder / NAMES[6]).read_bytes())
    recognizer = Recognizer("mobilefacenet")
    for expected in (1, 0):
        assert embed_many(odd, tmp_path / "out", recognizer).embedded == expected


def test_a_gallery_finds_its_photos_again(
    run: Callable[..., Result], folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    run("gallery", "enroll", "Ada", folder, "--gallery", "g", "--force", "--json")
    with Gallery.open("g") as gallery:
        enrolled = {os.path.basename(s.source) for s in gallery.person("Ada").samples}  # noqa: PTH119
        refused = {NAMES[6], NAMES[7]} - enrolled
        assert len(enrolled) > 6
        assert not refused
    shown = json.loads(run("gallery", "show", "Ada", "--gallery", "g", "--json").stdout)
    assert named(shown) == enrolled
    run("gallery", "show", "Ada", "--gallery", "g")
    found = json.loads(run("identify", folder, "--gallery", "g", "--json").stdout)
    assert named(found) >= set(NAMES)
    run("identify", folder, "--gallery", "g")
    for suffix in (".jsonl", ".parquet"):
        run("gallery", "export", f"p{suffix}", "--gallery", "g")
        run("gallery", "import", f"p{suffix}", "--gallery", f"copy{suffix}")
        with Gallery.open(f"copy{suffix}") as copy:
            samples = copy.person("Ada").samples
            assert {os.path.basename(s.source) for s in samples} == enrolled  # noqa: PTH119
    with Gallery.open("g") as gallery:  # another alignment: by the photos, not by kept crops
        report = gallery.migrate(Recognizer("mobilefacenet", alignment="crop"))
        assert report.failed == ()
        assert report.from_photos == len(enrolled)
