"""Photos and faces that an imported gallery names: pipes, devices, files without end, mad boxes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from gallery_builders import vectors

import lineament
from lineament import Recognizer
from lineament.cli import app
from lineament.gallery import Gallery, NewSample, Settings
from lineament.gallery._portraits import square
from lineament.images import DEFAULT_LIMITS
from lineament.pictures.identified import cut_out
from lineament.types import Embedding, Face

DEMO = Path(lineament.__file__).parent / "data" / "demo"


def test_no_source_is_waited_for_or_read_without_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(DEFAULT_LIMITS.max_bytes + 1)
    (tmp_path / "true.jpg").write_bytes((DEMO / "biden.jpg").read_bytes())
    recognizer = Recognizer()
    contract = recognizer.embedder.contract
    face = Face([0, 0, 60, 80], 0.9)
    sources = [*sorted(map(str, tmp_path.iterdir())), "", "gone.jpg", "\udce9.jpg", "x" * 5000]
    with Gallery.create(tmp_path / "g", contract, recognizer=recognizer) as gallery:
        for source, vector in zip(sources, vectors(12, dimension=contract.dimension), strict=False):
            path = Path(source)
            small = (
                source and len(source) < 300 and path.is_file() and path.stat().st_size < 1 << 25
            )
            sha256 = hashlib.sha256(path.read_bytes()).digest() if small else bytes(32)
            new = NewSample(Embedding(vector, 9.0, contract), source, sha256, face)
            gallery.enroll_embeddings("Ada", [new], force=True)
        gallery._repr_html_()
        report = gallery.migrate(Recognizer(flip=True))
        reasons = {Path(sample.source).name: reason for sample, reason in report.failed}
        assert "got a pipe" in reasons["pipe.jpg"]
        assert "got a device" in reasons["zero.jpg"]
        assert "got a folder" in reasons["folder.jpg"]
        assert "at most" in reasons["huge.jpg"]
        assert "cannot be read any more" in reasons["none.jpg"]
        assert "not there any more" in reasons["gone.jpg"]
        assert len(report.failed) + report.from_photos == len(sources)
    shown = CliRunner().invoke(
        app,
        ["gallery", "show", "Ada", "--gallery", str(tmp_path / "g"), "--save", f"{tmp_path}/a.png"],
    )
    assert shown.exit_code in (0, 2)
    assert "bug" not in shown.output


BOXES: list[Any] = [
    (10, 20, 60, 80),
    (-5, -5, 60, 80),
    (0, 0, 30_000, 30_000),
    (-1e6, -1e6, 1e6, 1e6),
    (9e5, 9e5, 1e6, 1e6),
    (-1e6, 0, -9e5, 10),
    (0, 0, 1e-3, 1e-3),
    (50, -1e6, 51, 1e6),
]


@pytest.mark.parametrize("cut", [square, cut_out], ids=["gallery", "pictures"])
@pytest.mark.parametrize("box", BOXES, ids=str)
def test_boxes_of_any_size_are_cut_out(cut: Any, box: Any) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    assert cut(photo, box, 32).shape == (32, 32, 3)


@pytest.mark.parametrize(
    "crop", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"", b"\x89PNG\r\n\x1a\n", "text", 7]
)
def test_crops_that_are_none_are_not_shown(tmp_path: Path, crop: Any) -> None:
    recognizer = Recognizer()
    contract = recognizer.embedder.contract
    folder = str(tmp_path / "g")
    kept = np.full((112, 112, 3), 99, np.uint8)
    new = NewSample(
        Embedding(vectors(1, dimension=contract.dimension)[0], 9.0, contract), crop=kept
    )
    with Gallery.create(folder, contract, settings=Settings(keep_crops=True)) as gallery:
        gallery.enroll_embeddings("Ada", [new], force=True)
        with gallery._state.store.writing() as connection:
            connection.execute("UPDATE crops SET png = ?", (crop,))
    with Gallery.open(folder, recognizer=recognizer) as gallery:
        gallery._repr_html_()
        assert len(gallery.people()) == 1
    shown = CliRunner().invoke(
        app, ["gallery", "show", "Ada", "--gallery", folder, "--save", str(tmp_path / "a.png")]
    )
    assert shown.exit_code == 2
    assert "bug" not in shown.output
    with Gallery.open(folder, recognizer=recognizer) as gallery:
        assert gallery.migrate(Recognizer(flip=True)).from_crops == 0
