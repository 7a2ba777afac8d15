"""Names of photo libraries in galleries and groups, and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image as PILImage

from lineament.cli import app
from lineament.errors import OptionError
from lineament.files import DATA
from lineament.finder import FaceFinder
from lineament.gallery import Gallery
from lineament.gallery.regions import enroll_regions, list_regions, write_names
from lineament.images.regions import Region, read_regions, upright_size, write_regions

DEMO = DATA / "demo"
FACES = {"obama": "Barack", "obama2": "Barack", "biden": "Joe"}


@pytest.fixture(scope="module")
def boxes() -> dict[str, tuple[float, float, float, float]]:
    """Where the faces are, as shares, drawn wider as photo programs do."""
    finder, found = FaceFinder(), {}
    for name in FACES:
        photo = finder.find(DEMO / f"{name}.jpg")
        assert photo.size_wh is not None
        width, height = photo.size_wh
        left, top, right, bottom = photo.faces[0].box_xyxy.tolist()
        more = (right - left) * 0.15
        found[name] = (
            max(0.0, (left - more) / width),
            max(0.0, (top - more) / height),
            min(1.0, (right + more) / width),
            min(1.0, (bottom + more) / height),
        )
    return found


@pytest.fixture
def library(tmp_path: Path, boxes: dict[str, tuple[float, float, float, float]]) -> Path:
    """Photos as cameras name them, of which XMP says who is where."""
    (tmp_path / "2024").mkdir()
    for number, (name, person) in enumerate(FACES.items(), 1):
        path = tmp_path / "2024" / f"IMG_{number:04}.jpg"
        shutil.copy(DEMO / f"{name}.jpg", path)
        write_regions(
            path, [Region(person, boxes[name])], into="files" if number % 2 else "sidecars"
        )
    shutil.copy(DEMO / "astronaut.jpg", tmp_path / "other.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout, done.stderr


def test_enrolling_by_regions(library: Path, tmp_path: Path) -> None:
    listing = list_regions(library)
    assert [(name, path.name) for name, path in listing.photos] == [
        ("Barack", "IMG_0001.jpg"),
        ("Barack", "IMG_0002.jpg"),
        ("Joe", "IMG_0003.jpg"),
    ]
    assert [words.partition(":")[0] for words in listing.passed_over] == ["broken.jpg"]
    with Gallery.create(tmp_path / "g") as gallery:
        report = enroll_regions(gallery, listing)
        assert (report.enrolled, report.refused, report.already) == (3, [], 0)
        assert gallery.identify(DEMO / "obama.jpg").faces[0].name == "Barack"
        again = enroll_regions(gallery, listing)
        assert (again.enrolled, again.already, again.done) == (0, 3, 0)


def test_regions_without_a_face(library: Path, tmp_path: Path) -> None:
    write_regions(library / "2024" / "IMG_0001.jpg", [Region("Ghost", (0.0, 0.9, 0.05, 1.0))])
    with Gallery.create(tmp_path / "g") as gallery:
        report = enroll_regions(gallery, list_regions(library))
    assert [(one.person, one.reason) for one in report.refused] == [("Ghost", "no face")]
    (library / "faceless").mkdir()
    shutil.copy(DEMO / "astronaut.jpg", library / "faceless")
    with pytest.raises(OptionError, match="face regions that have names, found none"):
        list_regions(library / "faceless")
    with pytest.raises(OptionError, match="expected a folder"):
        list_regions(library / "none")


@pytest.mark.slow
def test_the_commands(library: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "g")
    code, out, _ = run("gallery", "enroll-folder", str(library), "--layout", "regions",
                       "--gallery", target, "--dry-run", "--json")  # fmt: skip
    assert (code, json.loads(out)["n_photos"]) == (0, 3)
    code, out, err = run("gallery", "enroll-folder", str(library), "--layout", "regions",
                         "--gallery", target)  # fmt: skip
    assert code == 0, err
    assert "3 of 2 people" in out
    code, _, err = run("gallery", "enroll-folder", str(library), "--layout", "regions", "--choose",
                       "largest", "--gallery", target)  # fmt: skip
    assert (code, "expected without" in err) == (2, True)

    new = tmp_path / "new.jpg"
    shutil.copy(DEMO / "obama2.jpg", new)
    code, out, _ = run("identify", str(new), "--gallery", target, "--write-regions", "files",
                       "--json")  # fmt: skip
    assert json.loads(out)["regions"]["n_added"] == 1
    (region,) = read_regions(new)
    assert (region.name, region.source) == ("Barack", "file")

    groups = str(tmp_path / "groups.json")
    code, out, _ = run("group", str(library), "--names", "regions", "--out", groups, "--json",
                       "--write-regions", "sidecars")  # fmt: skip
    found = json.loads(out)
    assert "Barack" in [one["name"] for one in found["groups"]]
    assert found["regions"]["n_added"] == 0  # they have their names already
    (number,) = [one["id"] for one in found["groups"] if one["name"] == "Barack"]
    fresh = library / "2024" / "IMG_0001.jpg"
    shutil.copy(DEMO / "obama.jpg", fresh)
    code, _, err = run("gallery", "name-group", groups, str(number), "Barack Obama",
                       "--write-regions", "sidecars")  # fmt: skip
    assert "noted 1 name in photos; 2 faces with other names there keep those" in err
    assert [one.name for one in read_regions(fresh)] == ["Barack Obama"]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_names_of_turned_photos(tmp_path: Path, orientation: int) -> None:
    exif = PILImage.Exif()
    exif[0x112] = orientation
    path = tmp_path / "a.jpg"
    PILImage.new("RGB", (60, 40)).save(path, exif=exif)
    width, height = upright_size(path)
    assert (width > height) == (orientation == 3)
    done = write_names([(str(path), (3, 4, 12, 16), "Ada"), ("none.jpg", (0, 0, 1, 1), "Bob")],
                       "files")  # fmt: skip
    assert (done.n_added, [source for source, _ in done.failed]) == (1, ["none.jpg"])
    (found,) = read_regions(path)
    assert found.box == pytest.approx((3 / width, 4 / height, 12 / width, 16 / height), abs=1e-4)
