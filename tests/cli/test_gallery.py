"""The gallery's commands on the demonstration photos, as a user calls them."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import sqlite3
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as PILImage

import lineament
from lineament.cli import app, identify
from lineament.cli import gallery as commands
from lineament.gallery import Gallery

DEMO = Path(lineament.__file__).parent / "data" / "demo"
OBAMA, BIDEN, COLLINS = "Barack Obama", "Joe Biden", "아일린 콜린스"

Run = Callable[..., Result]


def call(*arguments: object, text: str | None = None) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)], input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def values_of(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, enrolled by the command; with crops."""
    folder = tmp_path_factory.mktemp("made") / "gallery"
    for name, photo, building in (
        (OBAMA, "obama.jpg", "B"),
        (BIDEN, "biden.jpg", "A"),
        (COLLINS, "astronaut.jpg", "B"),
    ):
        done = call(
            *("gallery", "enroll", name, DEMO / photo, "--gallery", folder, "--keep-crops"),
            *("--set", f"building={building}", "--set", "floors=[1, 2]", "--json"),
        )
        assert done.exit_code == 0, done.output
        values = values_of(done)
        assert values["person"]["name"] == name
        assert values["created"] is True
        assert [Path(one["source"]).name for one in values["enrolled"]] == [photo]
    return folder


@pytest.fixture
def gallery(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in ./gallery."""
    shutil.copytree(made, tmp_path / "gallery")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "gallery"


def names(folder: Path) -> dict[str, int]:
    with Gallery.open(folder, read_only=True) as opened:
        return {one.name: one.n_samples for one in opened.people()}


# --- who it is ------------------------------------------------------------------------------------


def test_another_photo_of_somebody_is_identified(gallery: Path) -> None:
    done = call("identify", DEMO / "obama2.jpg", "--json")
    assert done.exit_code == 0
    values = values_of(done)
    (photo,) = values["photos"]
    (face,) = photo["faces"]
    assert face["name"] == OBAMA
    with Gallery.open(gallery, read_only=True) as opened:
        (again,) = opened.identify(DEMO / "obama2.jpg").faces
    assert [one["name"] for one in face["candidates"]] == [one.name for one in again.candidates]
    first, second = face["candidates"][:2]
    assert face["margin"] == pytest.approx(first["similarity"] - second["similarity"], abs=2e-6)
    assert first["similarity"] >= face["threshold"]["value"] > second["similarity"]
    assert second["probability"] < 0.5 < first["probability"]
    assert values["n_people"] == 3
    assert values["n_errors"] == 0

    told = call("identify", DEMO / "obama2.jpg", "--top", 1)
    assert told.exit_code == 0
    assert f"obama2.jpg: {OBAMA}" in told.stdout
    assert BIDEN not in told.stdout
    assert "margin" in told.stdout
    assert "0.01 false alarms" in told.stdout


def below(text: str) -> tuple[float, float]:
    """What Biden's similarity is, and the threshold that it does not reach."""
    said = re.search(
        rf"{BIDEN} \(similarity (0\.\d+), [^)]*\)[^0-9]*below the threshold (0\.\d+)",
        " ".join(text.split()),
    )
    assert said is not None, text
    return float(said[1]), float(said[2])


def test_a_filter_and_a_threshold_make_somebody_unknown(gallery: Path) -> None:
    photo = DEMO / "obama2.jpg"
    among = call("identify", photo, "--where", "building=B", "--where", "floors~2", "--json")
    assert among.exit_code == 0
    face = values_of(among)["photos"][0]["faces"][0]
    assert {one["name"] for one in face["candidates"]} == {OBAMA, COLLINS}
    assert face["n_searched"] == values_of(among)["n_searched"] == 2
    assert values_of(among)["n_people"] == 3
    elsewhere = call("identify", photo, "--where", "building!=B")
    assert elsewhere.exit_code == 1
    assert "obama2.jpg: unknown" in elsewhere.stdout
    similarity, threshold = below(elsewhere.stdout)
    assert similarity < threshold
    assert "among 1 person\n" in elsewhere.stdout
    strict = call("identify", photo, "--threshold", "0.99")
    assert strict.exit_code == 1


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--where", "building=C"), "--where: nobody of the 3 people in the gallery matches"),
        (("--where", "biulding=B"), "did you mean building?"),
        (("--where", "biulding!=B"), "nobody has biulding"),
        (("--gallery", "empty"), "empty: nobody is enrolled, so nobody was searched"),
    ],
)
def test_a_search_among_nobody_opens_no_door(
    gallery: Path, options: tuple[str, ...], says: str, as_json: bool
) -> None:
    call("gallery", "create", "--gallery", "empty")
    done = call("identify", DEMO / "obama2.jpg", *options, *(["--json"] if as_json else []))
    assert done.exit_code == 2  # neither somebody nor a stranger
    assert says in done.stderr
    if as_json:
        values = values_of(done)
        assert values["code"] == "nobody_searched"
        assert says in values["error"]


def test_a_filter_that_leaves_nobody_out_is_said(gallery: Path) -> None:
    done = call("identify", DEMO / "obama2.jpg", "--where", "biulding=null", "--json")
    assert done.exit_code == 0
    (note,) = values_of(done)["notes"]
    assert "leaves nobody out" in note
    assert note in call("identify", DEMO / "obama2.jpg", "--where", "biulding=null").stderr
    assert note in call("gallery", "people", "--where", "biulding=null").stderr
    for options, says in (
        (("--where", "building=Z"), "nobody of 3 people matches building=Z: values that exist"),
        (("--after", "\U0001faff"), "nobody comes after "),
    ):
        done = call("gallery", "people", *options)
        assert (done.exit_code, done.stdout) == (1, "")
        assert says in done.stderr
        values = values_of(call("gallery", "people", *options, "--json"))
        assert (values["n_people"], values["n_found"], values["people"]) == (3, 0, [])
        assert says in values["notes"][0]


def side_by_side(path: Path, *photos: str) -> Path:
    opened = [PILImage.open(DEMO / name).convert("RGB").resize((400, 500)) for name in photos]
    picture = PILImage.new("RGB", (400 * len(opened), 500))
    for i, one in enumerate(opened):
        picture.paste(one, (400 * i, 0))
    picture.save(path)
    return path


def test_two_faces_in_one_photo_are_two_people(gallery: Path, tmp_path: Path) -> None:
    two = side_by_side(tmp_path / "two.png", "obama2.jpg", "biden.jpg")
    done = call("identify", two, "--save", "out.png", "--json")
    assert done.exit_code == 0
    faces = values_of(done)["photos"][0]["faces"]
    by_place = sorted(faces, key=lambda face: face["face"]["box_xyxy"][0])
    assert [face["name"] for face in by_place] == [OBAMA, BIDEN]
    with PILImage.open(tmp_path / "out.png") as picture:
        assert picture.height > 500  # the matches stand beneath

    twice = side_by_side(tmp_path / "twice.png", "obama.jpg", "obama2.jpg")
    done = call("identify", twice)
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if "twice.png" in line]
    assert sorted("unknown" in line for line in lines) == [False, True]
    assert f"another face of this photo is {OBAMA}" in done.stdout
    assert "--verbose" in done.stderr
    full = call("identify", twice, "--verbose")
    assert "two faces of one photo are two people" in full.stdout
    assert full.stdout.count("margin") == 2
    both = call("identify", twice, "--allow-repeats", "--quiet")
    assert both.stdout.count(OBAMA) == 2
    assert "unknown" not in both.stdout
    assert "threshold" not in both.stdout
    assert both.stderr == ""


def test_unknown_faces_look_otherwise_in_the_picture(gallery: Path, tmp_path: Path) -> None:
    two = side_by_side(tmp_path / "two.png", "obama.jpg", "obama2.jpg")
    pictures = []
    for options in ((), ("--allow-repeats",)):
        assert call("identify", two, "--save", "out.png", "--overwrite", *options).exit_code == 0
        pictures.append(np.asarray(PILImage.open("out.png"))[:500, :800].astype(int))
    orange = [(abs(one - (230, 159, 0)).max(axis=-1) < 12).sum() for one in pictures]
    assert orange[1] > 1.5 * orange[0] > 0


def test_a_photo_without_a_face_and_one_that_is_none(gallery: Path, tmp_path: Path) -> None:
    PILImage.new("RGB", (200, 200), "gray").save(tmp_path / "wall.png")
    done = call("identify", "wall.png")
    assert done.exit_code == 1
    assert "no face" in done.stdout
    (tmp_path / "broken.jpg").write_bytes(b"none")
    done = call("identify", "broken.jpg", DEMO / "obama2.jpg", "--json")
    assert done.exit_code == 2
    values = values_of(done)
    assert values["n_errors"] == 1
    assert values["photos"][0]["error"]
    assert values["photos"][1]["faces"][0]["name"] == OBAMA


def test_a_search_for_a_purpose(gallery: Path) -> None:
    for name, purpose in ((OBAMA, "access"), (BIDEN, "payroll")):
        done = call("gallery", "consent", name, "--consent", "form 17", "--purpose", purpose)
        assert done.exit_code == 0, done.output
    search = ("identify", DEMO / "obama2.jpg", "--purpose")
    told = call(*search, "Access")
    assert told.exit_code == 0
    assert told.stdout.startswith(f"{DEMO / 'obama2.jpg'}: {OBAMA}\n")
    assert "note: 2 people are not searched: they did not consent to 'Access'" in told.output
    values = values_of(call(*search, "Access", "--json"))
    assert (values["n_people"], values["n_searched"]) == (3, 1)
    assert values["notes"] == ["2 people are not searched: they did not consent to 'Access'"]
    assert values["photos"][0]["faces"][0]["n_left_out"] == 2
    stranger = call(*search, "payroll", "--json")
    assert stranger.exit_code == 1
    assert values_of(stranger)["photos"][0]["faces"][0]["candidates"][0]["name"] == BIDEN
    nobody = call(*search, "attendance", "--json")
    assert nobody.exit_code == 2
    assert (values_of(nobody)["code"], values_of(nobody)["option"]) == (
        "nobody_searched",
        "purpose",
    )


def test_a_comparison_for_a_purpose(gallery: Path) -> None:
    call("gallery", "consent", OBAMA, "--consent", "form 17", "--purpose", "access")
    verify = ("gallery", "verify", OBAMA, DEMO / "obama2.jpg", "--json", "--purpose")
    assert values_of(call(*verify, "Access"))["verdict"] == "same"
    refused = call(*verify, "payroll")
    assert refused.exit_code == 2
    told = values_of(refused)
    assert (told["code"], told["option"]) == ("consent_missing", "purpose")


def test_one_person_is_verified(gallery: Path) -> None:
    same = call("gallery", "verify", OBAMA, DEMO / "obama2.jpg", "--json")
    assert same.exit_code == 0
    values = values_of(same)
    assert (values["person"], values["verdict"], values["n_people"]) == (OBAMA, "same", 3)
    assert Path(values["b"]["source"]).name == "obama.jpg"
    told = call("gallery", "verify", OBAMA, DEMO / "obama2.jpg")
    assert told.stdout.startswith(f"this is {OBAMA}\n")
    other = call("gallery", "verify", OBAMA, DEMO / "biden.jpg")
    assert other.exit_code == 1
    assert other.stdout.startswith(f"this is not {OBAMA}\n")
    for wrong in ("nobody.jpg", DEMO / "PROVENANCE.md"):
        assert call("gallery", "verify", OBAMA, wrong).exit_code == 2
    assert call("gallery", "verify", "Nobody", DEMO / "obama.jpg").exit_code == 2


def test_what_the_help_shows_is_the_library_s_default() -> None:
    parameters = inspect.signature(Gallery.identify).parameters
    assert parameters["top"].default == identify.SHOWN_TOP
    assert parameters["fpir"].default == identify.SHOWN_FPIR


# --- who is let in --------------------------------------------------------------------------------


def test_refusals_say_why(gallery: Path, tmp_path: Path) -> None:
    PILImage.new("RGB", (200, 200), "gray").save(tmp_path / "wall.png")
    done = call(
        *(
            "gallery",
            "enroll",
            "Somebody",
            "wall.png",
            DEMO / "group.jpg",
            DEMO / "obama2.jpg",
            "--json",
        )
    )
    assert done.exit_code == 1
    values = values_of(done)
    assert [one["reason"] for one in values["refused"]] == [
        "no face",
        "several faces",
        "someone else",
    ]
    assert values["refused"][2]["other"] == OBAMA
    assert values["person"] is None
    told = call("gallery", "enroll", OBAMA, DEMO / "obama.jpg", DEMO / "obama2.jpg")
    assert told.exit_code == 1
    assert "enrolled already" in told.stderr
    assert f"enrolled {OBAMA}: 1 photo, 2 in all" in told.stdout
    forced = call("gallery", "enroll", "Somebody", DEMO / "obama2.jpg", "--force")
    assert forced.exit_code == 0
    assert names(gallery) == {OBAMA: 2, BIDEN: 1, COLLINS: 1, "Somebody": 1}


def test_one_of_several_faces_can_be_chosen(gallery: Path, tmp_path: Path) -> None:
    two = side_by_side(tmp_path / "two.png", "obama2.jpg", "biden.jpg")
    assert call("gallery", "enroll", "A", two).exit_code == 1
    done = call("gallery", "enroll", "A", two, "--choose", "largest", "--force", "--json")
    assert done.exit_code == 0
    assert len(values_of(done)["enrolled"]) == 1


def test_a_wrong_path_makes_no_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("gallery", "enroll", "Ada", DEMO / "obama.jpg", "nothing.jpg")
    assert done.exit_code == 2
    assert "nothing.jpg" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_gallery_says_which_recognizer(gallery: Path) -> None:
    wrong = call("identify", DEMO / "obama2.jpg", "--preset", "fast")
    assert wrong.exit_code == 2
    assert "sface-int8" in wrong.stderr
    assert "sface-mobilefacenet-int8" in wrong.stderr
    assert call("gallery", "enroll", "X", DEMO / "obama2.jpg", "--flip").exit_code == 2
    assert names(gallery) == {OBAMA: 1, BIDEN: 1, COLLINS: 1}
    assert (
        call("identify", DEMO / "obama2.jpg", "--recognizer", "sface-mobilefacenet-int8").exit_code
        == 0
    )


def test_migrate_to_another_recognizer_and_use_it(gallery: Path) -> None:
    assert call("gallery", "migrate").exit_code == 2
    done = call("gallery", "migrate", "--preset", "fast", "--json")
    assert done.exit_code == 0
    values = values_of(done)
    assert (values["n_from_crops"], values["n_from_photos"], values["failed"]) == (3, 0, [])
    assert values["contract"]["weights"] == "sface-int8"
    assert call("identify", DEMO / "obama2.jpg").exit_code == 0  # knows by itself
    again = call("gallery", "migrate", "--preset", "fast")
    assert again.exit_code == 0
    assert "already" in again.stderr


# --- people ---------------------------------------------------------------------------------------


def test_people_and_filters(gallery: Path) -> None:
    done = call("gallery", "people")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in (OBAMA, BIDEN, COLLINS))
    assert "3 people, 3 photos" in done.stderr
    values = values_of(call("gallery", "people", "--where", 'building=["A", "C"]', "--json"))
    assert [(one["name"], one["metadata"]) for one in values["people"]] == [
        (BIDEN, {"building": "A", "floors": [1, 2]})
    ]
    page = values_of(call("gallery", "people", "--after", OBAMA, "--limit", 1, "--json"))
    assert [one["name"] for one in page["people"]] == [BIDEN]
    assert call("gallery", "people", "--where", "building=Z").exit_code == 1


def test_show_with_a_sheet(gallery: Path, tmp_path: Path) -> None:
    done = call("gallery", "show", COLLINS, "--save", "sheet.png")
    assert done.exit_code == 0
    assert str(DEMO / "astronaut.jpg") in done.stdout
    with PILImage.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 120
    values = values_of(call("gallery", "show", COLLINS, "--json"))
    assert values["person"]["samples"][0]["has_crop"] is True
    unknown = call("gallery", "show", "nobody", "--json")
    assert unknown.exit_code == 2
    assert "`lineament gallery people`" in values_of(unknown)["error"]


def test_remove_asks_first(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = call("gallery", "remove", BIDEN)
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    monkeypatch.setattr(commands, "somebody_there", lambda: True)
    assert call("gallery", "remove", BIDEN, text="n\n").exit_code == 1
    assert BIDEN in names(gallery)
    done = call("gallery", "remove", BIDEN, text="y\n")
    assert done.exit_code == 0
    assert f"removed {BIDEN} with 1 photo" in done.stdout
    assert names(gallery) == {OBAMA: 1, COLLINS: 1}
    left = b"".join(path.read_bytes() for path in gallery.rglob("*") if path.is_file())
    assert BIDEN.encode() not in left
    assert OBAMA.encode() in left


def test_remove_a_sample(gallery: Path) -> None:
    number = values_of(call("gallery", "show", OBAMA, "--json"))["person"]["samples"][0]["id"]
    done = call("gallery", "remove", "--sample", number, "--yes", "--json")
    assert done.exit_code == 0
    assert values_of(done)["removed"]["samples"] == [number]
    assert names(gallery)[OBAMA] == 0
    assert call("gallery", "remove", "--sample", number, "--yes").exit_code == 2


def test_rename_merge_annotate(gallery: Path) -> None:
    spelt = unicodedata.normalize("NFD", "José Ñandú")
    assert call("gallery", "rename", BIDEN, spelt).exit_code == 0
    assert unicodedata.normalize("NFC", spelt) in names(gallery)
    taken = call("gallery", "rename", spelt, OBAMA)
    assert taken.exit_code == 2
    assert "merge" in taken.stderr
    unlike = call("gallery", "merge", OBAMA, spelt, COLLINS)
    assert unlike.exit_code == 2
    assert "--force" in unlike.stderr
    assert call("gallery", "merge", OBAMA, spelt, COLLINS, "--force").exit_code == 0
    assert names(gallery) == {OBAMA: 3}
    done = call("gallery", "annotate", OBAMA, "building=C", "badge=007", "floors=null", "--json")
    assert values_of(done)["person"]["metadata"] == {"building": "C", "badge": "007"}
    assert call("gallery", "annotate", OBAMA, "--replace", "vip=true").exit_code == 0
    assert values_of(call("gallery", "people", "--where", "vip=true", "--json"))["people"][0][
        "metadata"
    ] == {"vip": True}


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_export_and_import_into_a_new_gallery(gallery: Path, tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"all.{suffix}"
    assert call("gallery", "export", file).exit_code == 0
    assert call("gallery", "export", file).exit_code == 2  # it is there
    done = call("gallery", "import", file, "--gallery", "second", "--json")
    assert done.exit_code == 0
    assert values_of(done)["imported"] == {
        "n_new_people": 3,
        "n_new_samples": 3,
        "n_known_samples": 0,
        "n_damaged": 0,
        "damaged": [],
        "unlike": [],
        "compared": True,
    }
    assert names(tmp_path / "second") == names(gallery)
    again = values_of(call("gallery", "import", file, "--gallery", "second", "--json"))
    assert again["imported"]["n_known_samples"] == 3
    file.write_bytes(b"something else\n")
    broken = call("gallery", "import", file, "--gallery", "third")
    assert broken.exit_code == 2
    assert "export" in broken.stderr
    assert not (tmp_path / "third").exists()


def test_reindex(gallery: Path) -> None:
    shutil.rmtree(gallery / "index", ignore_errors=True)
    done = call("gallery", "reindex", "--check", "--json")
    assert done.exit_code == 0
    assert values_of(done)["n_indexed"] == 3
    assert values_of(done)["problems"] == []


def damage(gallery: Path, statement: str) -> None:
    with closing(sqlite3.connect(gallery / "gallery.sqlite")) as connection, connection:
        connection.execute(statement)


def test_what_is_damaged_is_named_passed_over_and_removed(gallery: Path) -> None:
    assert call("gallery", "check").exit_code == 0
    damage(gallery, "UPDATE vectors SET vector = zeroblob(length(vector)) WHERE sample = 2")
    done = call("identify", DEMO / "biden.jpg")
    assert done.exit_code == 1  # nobody
    assert "warning: 1 sample is damaged" in done.stderr
    assert "lineament gallery check" in done.stderr

    done = call("gallery", "check")
    assert done.exit_code == 1
    assert f"sample 2 of {BIDEN}: its vector has the length 0" in " ".join(done.stderr.split())
    done = call("gallery", "check", "--json")
    (part,) = values_of(done)["damaged"]
    assert (part["sample"], part["person"], part["searched"]) == (2, BIDEN, False)

    done = call("gallery", "export", "rest.jsonl", "--json")
    assert (done.exit_code, values_of(done)["n_exported"]) == (1, 2)
    assert [one["sample"] for one in values_of(done)["damaged"]] == [2]

    done = call("gallery", "remove", "--sample", "2", "--yes")
    assert done.stdout.startswith(f"removed sample 2 of {BIDEN} (")
    damage(gallery, "DELETE FROM owners WHERE sample = 3")
    done = call("gallery", "remove", "--sample", "3", "--yes")
    assert done.stdout == "removed sample 3 of somebody, which is damaged\n"
    assert call("gallery", "reindex").exit_code == 0
    assert call("gallery", "check").exit_code == 0


def test_all_that_is_damaged_is_removed_at_once(gallery: Path) -> None:
    nothing = call("gallery", "remove", "--damaged", "--yes")
    assert nothing.exit_code == 0
    assert "nothing is damaged" in nothing.stderr
    damage(gallery, "UPDATE samples SET face = '{' WHERE id = 2")
    damage(gallery, "UPDATE labels SET name = 'Eve\x1b[31m' WHERE id = 1")
    shown = call("gallery", "people", "--json")
    assert "\x1b" not in shown.output
    assert call("gallery", "show", BIDEN).exit_code == 0
    done = call("gallery", "remove", "--damaged", "--yes", "--json")
    assert done.exit_code == 0
    assert values_of(done)["removed"]["samples"] == [1, 2]
    done = call("gallery", "check", "--json")
    assert (done.exit_code, values_of(done)["n_people"]) == (0, 2)


# --- which gallery, and what makes no sense -------------------------------------------------------


def test_the_environment_names_the_gallery(
    gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    nothing = call("gallery", "people")
    assert nothing.exit_code == 2
    assert "--gallery" in nothing.stderr
    monkeypatch.setenv("LINEAMENT_GALLERY", str(gallery))
    assert call("gallery", "people").exit_code == 0
    assert call("gallery", "people", "--gallery", "elsewhere").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gallery", "enroll", "", "OBAMA"), "at least one character"),
        (("gallery", "enroll", "a\nb", "OBAMA"), "control"),
        (("gallery", "enroll", "A", "OBAMA", "--set", "building"), "KEY=VALUE"),
        (("gallery", "enroll", "A", "OBAMA", "--set", "a=1", "--set", "a=2"), "once"),
        (("gallery", "enroll", "A", "OBAMA", "--choose", "any"), "--choose"),
        (("identify", "OBAMA", "--fpir", "2"), "--fpir"),
        (("identify", "OBAMA", "--fpir", "0.01", "--threshold", "0.5"), "got both"),
        (("identify", "OBAMA", "--top", "0"), "--top"),
        (("identify", "OBAMA", "--threshold", "3"), "--threshold"),
        (("identify", "OBAMA", "--where", "building"), "--where"),
        (("identify", "OBAMA", "--where", "a=1", "--where", "a=[1]"), "--where"),
        (("identify", "OBAMA", "--where", "a={}"), "--where"),
        (("identify", "OBAMA", "OBAMA2", "--save", "a.png"), "one photo"),
        (("identify", "OBAMA", "--save", "a.gif"), ".png"),
        (("gallery", "show", "A", "--save", "a.gif"), ".png"),
        (("gallery", "remove", "--yes"), "neither"),
        (("gallery", "remove", "A", "--sample", "1", "--yes"), "both"),
        (("gallery", "export", "a.csv"), ".jsonl"),
        (("gallery", "import", "nothing.jsonl"), "nothing.jsonl"),
        (("gallery", "merge", OBAMA, OBAMA), "other people"),
        (("gallery", "annotate", OBAMA), "KEY=VALUE"),
        (("gallery", "enroll-folder", "nothing"), "nothing"),
        (("gallery", "enroll-folder", ".", "--layout", "tree"), "--layout"),
        (("gallery", "enroll-folder", ".", "--report", "a.txt"), ".html"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_makes_no_sense_is_one_clear_line(
    gallery: Path, arguments: tuple[str, ...], words: str
) -> None:
    photos = {"OBAMA": str(DEMO / "obama.jpg"), "OBAMA2": str(DEMO / "obama2.jpg")}
    before = names(gallery)
    done = call(*(photos.get(one, one) for one in arguments))
    assert done.exit_code == 2
    assert words in done.stderr.splitlines()[-1]
    assert "bug" not in done.stderr
    assert names(gallery) == before


def test_what_changes_nothing_says_so(gallery: Path, tmp_path: Path) -> None:
    same = call("gallery", "rename", OBAMA, OBAMA)
    assert (same.exit_code, same.stdout) == (0, "")
    assert "nothing was changed" in same.stderr
    once = call("gallery", "enroll-folder", tmp_path / "people", "--gallery", gallery)
    assert once.exit_code == 2
    (tmp_path / "people" / BIDEN).mkdir(parents=True)
    shutil.copy(DEMO / "biden.jpg", tmp_path / "people" / BIDEN)
    again = call("gallery", "enroll-folder", tmp_path / "people")
    assert "nothing new" in again.stdout
    assert "0 of 0" not in again.stdout


def test_the_sheet_of_one_photo_has_the_name(gallery: Path, tmp_path: Path) -> None:
    assert call("gallery", "show", BIDEN, "--save", "one.png").exit_code == 0
    picture = np.asarray(PILImage.open("one.png").convert("L")).astype(int)
    heading = picture[:36]  # above the face: ink on paper
    assert heading.min() < 90
    assert picture.shape[0] > 150
