"""The photos of a folder that show the person of a photo; what is kept for the next time."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PILImage

import lineament
from lineament import Recognizer
from lineament.cli import app
from lineament.cli import find as command
from lineament.datasets.kept import cache_entries, clear_cache, forget_photos
from lineament.errors import (
    ImageError,
    ImageNotFoundError,
    NoFaceError,
    OptionError,
    TruthValueError,
)
from lineament.gallery import Gallery
from lineament.gallery.find import find

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four photos, one that is none, and one without a face; a cache folder of its own."""
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    below = tmp_path / "photos" / "2020"
    below.mkdir(parents=True)
    for name in ("obama2.jpg", "biden.jpg", "group.jpg"):
        shutil.copy(DEMO / name, below)
    shutil.copy(DEMO / "obama.jpg", tmp_path / "photos")
    (below / "broken.jpg").write_bytes(b"none")
    PILImage.new("RGB", (120, 120), "gray").save(below / "wall.png")
    return tmp_path / "photos"


def test_found_and_said_what_was_looked_at(folder: Path, recognizer: Recognizer) -> None:
    steps: list[tuple[int, int]] = []
    found = find(
        folder / "obama.jpg",
        folder,
        recognizer=recognizer,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [Path(one.source).name for one in found] == ["group.jpg", "obama2.jpg", "biden.jpg"]
    assert [one.verdict for one in found] == ["same", "same", "different"]
    assert [one.rank for one in found] == [1, 2, 3]
    assert len(found) == 3
    assert found[0].n_faces == 8
    assert (found.n_photos, found.n_faces, found.n_same) == (4, 10, 2)
    assert [(Path(source).name, type(error)) for source, error in found.failed] == [
        ("broken.jpg", type(found.failed[0][1]))
    ]
    assert isinstance(found.failed[0][1], ImageError)
    assert [Path(path).name for path in found.left_out] == ["obama.jpg"]
    assert found.same == found.photos[:2]
    assert steps[-1] == (5, 5)
    assert "2 of 4 photos with 10 faces show the same person; 1 could not be read" in repr(found)

    # The decision is that of the two faces; the threshold that of a gallery of so many people.
    plain = recognizer.verify(folder / "obama.jpg", DEMO / "obama2.jpg")
    assert found[1].similarity == pytest.approx(plain.similarity, abs=1e-5)
    assert recognizer.calibration is not None
    wanted = recognizer.calibration.identification_threshold(10, 1, 0.01)
    assert found.threshold.value == pytest.approx(wanted.value)
    assert "among 10 faces" in found.threshold.origin
    condition = recognizer.judge.condition(plain.quality_a, plain.quality_b)
    alone = recognizer.calibration.probability(found[1].similarity, 0.5 / 10, condition)[0]
    assert found[1].probability == pytest.approx(alone)

    table = found.to_rows()
    assert [row["rank"] for row in table] == [1, 2, 3]
    assert json.loads(found.to_json())["n_same"] == 2
    for ask in (found, found[0]):
        with pytest.raises(TruthValueError):
            bool(ask)


def test_the_second_time_nothing_is_embedded(
    folder: Path, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find(DEMO / "obama.jpg", folder, recognizer=recognizer)
    read: list[object] = []
    stream = Recognizer.stream

    def counted(self: Recognizer, sources: object, **options: object) -> object:
        known = list(sources)  # type: ignore[call-overload]
        read.extend(known)
        return stream(self, known, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Recognizer, "stream", counted)
    again = find(DEMO / "biden.jpg", folder, recognizer=recognizer)
    assert [Path(str(one)).name for one in read] == ["biden.jpg", "broken.jpg"]
    assert (first.n_cached, again.n_cached) == (0, 5)
    assert (again.n_photos, again.n_faces) == (first.n_photos, first.n_faces)
    assert again[0].similarity == pytest.approx(1, abs=1e-5)
    read.clear()
    shutil.copy(DEMO / "astronaut.jpg", folder / "2020" / "biden.jpg")  # another photo now
    changed = find(DEMO / "obama.jpg", folder, recognizer=recognizer)
    assert changed.n_cached == 4
    read.clear()
    none = find(DEMO / "obama.jpg", folder, recognizer=recognizer, cache=False)
    assert none.n_cached == 0
    assert [one.similarity for one in none] == pytest.approx([one.similarity for one in changed])


def test_what_cannot_be_looked_for(folder: Path, recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError, match=r"did you mean \S*obama.jpg"):
        find(folder / "obam.jpg", folder, recognizer=recognizer)
    with pytest.raises(NoFaceError):
        find(folder / "2020" / "wall.png", folder, recognizer=recognizer)
    with pytest.raises(ImageNotFoundError):
        find(DEMO / "obama.jpg", tmp_path / "nothing", recognizer=recognizer)
    with pytest.raises(ImageError, match="none of the 1 photo"):
        find(DEMO / "obama.jpg", folder / "2020" / "broken.jpg", recognizer=recognizer)
    for wrong in ({"top": 0}, {"threshold": 2.0}, {"fpir": 3.0}):
        with pytest.raises(OptionError):
            find(DEMO / "obama.jpg", folder, recognizer=recognizer, **wrong)  # type: ignore[arg-type]
    nobody = find(DEMO / "obama.jpg", folder / "2020" / "wall.png", recognizer=recognizer)
    assert (nobody.n_photos, nobody.n_faces, len(nobody)) == (1, 0, 0)
    few = find(DEMO / "obama.jpg", folder, recognizer=recognizer, top=1)
    assert (len(few), few.n_same) == (1, 3)  # those that are not listed are counted, too
    strict = find(DEMO / "obama.jpg", folder / "2020", recognizer=recognizer, threshold=0.95)
    assert [one.verdict == "same" for one in strict] == [True, False, False]


def test_at_the_top_level() -> None:
    assert lineament.find is find


# --- the command ----------------------------------------------------------------------------------


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_the_command(folder: Path) -> None:
    assert command.SHOWN_FPIR == 0.01
    done = call("find", DEMO / "obama.jpg", folder, "--json")
    assert done.exit_code == 2  # since one could not be read
    values = json.loads(done.stdout)
    assert (values["n_photos"], values["n_same"], values["n_errors"]) == (5, 3, 1)
    (folder / "2020" / "broken.jpg").unlink()
    out = folder.parent / "found.png"
    told = call("find", DEMO / "obama.jpg", folder, "--top", 2, "--save", out)
    assert told.exit_code == 0
    assert "3 of 5 photos with 11 faces show the same person" in told.stdout
    rows = [line for line in told.stdout.splitlines() if "%  same " in line]
    assert len(rows) == 2
    assert "5 photos of these from the cache" in told.stderr
    assert np.asarray(PILImage.open(out)).std() > 20
    other = call("find", DEMO / "astronaut.jpg", folder / "2020" / "biden.jpg", "--no-cache")
    assert other.exit_code == 1
    assert "0 of 1 photo with 1 face show the same person" in other.stdout


# --- what is kept ---------------------------------------------------------------------------------


def test_the_cache_is_listed_and_cleared(folder: Path, tmp_path: Path) -> None:
    nothing = call("cache", "list", "--json")
    assert (nothing.exit_code, json.loads(nothing.stdout)["entries"]) == (1, [])
    call("find", DEMO / "obama.jpg", folder)
    weights = tmp_path / "cache" / "weights"
    weights.mkdir()
    (weights / "net.onnx").write_bytes(b"x" * 5000)
    (tmp_path / "cache" / "embeddings" / "broken.npz").write_bytes(b"none")
    listed = json.loads(call("cache", "list", "--json").stdout)
    assert [(one["kind"], one["n_photos"]) for one in listed["entries"]] == [
        *(("embeddings", None), ("embeddings", 5), ("weights", None))
    ]
    assert listed["bytes"] == sum(one["bytes"] for one in listed["entries"])
    assert listed["bytes"] == json.loads(call("cache", "size", "--json").stdout)["bytes"]
    assert "5.0 kB" in call("cache", "list").stdout
    assert call("cache", "clear").exit_code == 2  # nobody is there to be asked
    assert call("cache", "clear", "--kind", "weight", "--yes").exit_code == 2
    some = json.loads(call("cache", "clear", "--kind", "weights", "--yes", "--json").stdout)
    assert some["removed"] == [str(weights / "net.onnx")]
    assert {one.kind for one in cache_entries()} == {"embeddings"}
    assert call("cache", "clear", "--yes").exit_code == 0
    assert cache_entries() == []
    assert "nothing" in call("cache", "clear", "--yes").stdout
    with pytest.raises(OptionError, match="kinds: expected embeddings, weights, other"):
        clear_cache(["faces"])


def test_who_is_removed_from_a_gallery_is_removed_from_the_cache(
    folder: Path, recognizer: Recognizer
) -> None:
    find(DEMO / "astronaut.jpg", folder, recognizer=recognizer)
    before = sum(one.n_photos or 0 for one in cache_entries())
    with Gallery.in_memory(recognizer=recognizer) as gallery:
        gallery.enroll("Joe", folder / "2020" / "biden.jpg")
        gallery.enroll("Barack", DEMO / "obama.jpg")  # the folder has a copy of this one
        assert gallery.remove("Joe").n_uncached == 1
        assert gallery.remove(gallery.person("Barack").samples[0].id).n_uncached == 1
    assert sum(one.n_photos or 0 for one in cache_entries()) == before - 2
    again = find(DEMO / "astronaut.jpg", folder, recognizer=recognizer)
    assert again.n_cached == 3
    assert again.n_faces == 11
    assert forget_photos([("", None), (os.fspath(folder / "nothing.jpg"), b"x" * 32)]) == 0
