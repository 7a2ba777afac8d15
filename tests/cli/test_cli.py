"""The command line: answers, exit codes, one JSON object, and no traceback whatever happens."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as PILImage
from PIL import ImageOps

import lineament
from lineament.cli import app, models, options, recognize
from lineament.cli.sources import FileNames, many_sources

DEMO = Path(lineament.__file__).parent / "data" / "demo"
ASTRONAUT = DEMO / "astronaut.jpg"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: the astronaut, her mirror image, no face at all, and a text file."""
    folder = tmp_path_factory.mktemp("photos")
    with PILImage.open(ASTRONAUT) as image:
        small = image.convert("RGB").crop((100, 0, 380, 300))
    small.save(folder / "a.png")
    ImageOps.mirror(small).save(folder / "b.png")
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    PILImage.fromarray(noise).save(folder / "noise.png")
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "user-cache"))
    monkeypatch.delenv("LINEAMENT_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        return result

    return call


def one_object(result: Result) -> dict[str, Any]:
    """Stdout is one JSON object and nothing else."""
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


class TestVerify:
    def test_the_same_person(self, run: Run, photos: Path) -> None:
        result = run("verify", photos / "a.png", photos / "b.png", "--threshold", 0.4)
        assert result.exit_code == 0
        assert result.stdout.startswith("the same person\n")
        assert "0.400" in result.stdout
        assert "set by hand" in result.stdout
        assert result.stdout.count("no other face") == 2

    def test_different_by_a_threshold_nobody_passes(self, run: Run, photos: Path) -> None:
        result = run("verify", photos / "a.png", photos / "b.png", "--threshold", 0.9999, "--json")
        assert result.exit_code == 1
        found = one_object(result)
        assert found["same"] is False
        assert found["margin"] == pytest.approx(found["score"] - 0.9999, abs=1e-5)

    def test_json_agrees_with_the_library(self, run: Run, photos: Path) -> None:
        paths = photos / "a.png", photos / "b.png"
        recognizer = lineament.Recognizer(flip=True)
        wanted = recognizer.verify(*paths, threshold=recognizer.threshold("angular", value=0.4))
        more = ("--metric", "angular", "--flip", "--threshold", "0.4", "--json")
        found = one_object(run("verify", *paths, *more))
        assert found["score"] == pytest.approx(wanted.score, abs=1e-5)
        assert found["contract"]["flip"] is True
        assert found["metric"] == "angular"

    def test_the_default_threshold_says_where_it_comes_from(self, run: Run, photos: Path) -> None:
        found = one_object(run("verify", photos / "a.png", photos / "b.png", "--json"))
        assert found["threshold"]["fmr"] == 1e-4
        text = run("verify", photos / "a.png", photos / "b.png").stdout
        assert found["threshold"]["data"] in text

    def test_the_same_path_twice_scores_one(self, run: Run, photos: Path) -> None:
        result = run("verify", photos / "a.png", photos / "a.png", "--json", "--threshold", 0.4)
        assert one_object(result)["score"] == pytest.approx(1, abs=1e-5)

    def test_a_photo_from_stdin(self, run: Run, photos: Path) -> None:
        arguments = ("verify", "-", photos / "b.png", "--json", "--threshold", 0.4)
        result = run(*arguments, stdin=(photos / "a.png").read_bytes())
        assert result.exit_code == 0
        assert one_object(result)["a"]["source"] == "standard input"
        assert run("verify", "-", "-").exit_code == 2

    def test_save_draws_a_picture(self, run: Run, photos: Path, tmp_path: Path) -> None:
        target = tmp_path / "verdict.png"
        arguments = ("verify", photos / "a.png", photos / "b.png", "--threshold", 0.4)
        assert run(*arguments, "--save", target).exit_code == 0
        with PILImage.open(target) as picture:
            assert picture.format == "PNG"
            assert picture.width > 500
        target.write_text("old")
        refused = run(*arguments, "--save", target, "--json")
        assert refused.exit_code == 2
        assert "add --overwrite" in one_object(refused)["hint"]
        assert target.read_text() == "old"
        assert run(*arguments, "--save", target, "--overwrite", "--json").exit_code == 0
        assert target.stat().st_size > 10_000

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--metric", "manhattan"), "--metric: expected one of cosine"),
            (("--fmr", "2"), "--fmr: expected a rate between 0 and 1"),
            (("--fmr", "1e-3", "--threshold", "1"), "--fmr or --threshold, got both"),
            (("--fmr", "0.123"), "--threshold NUMBER"),
            (("--threshold", "nan"), "--threshold: expected a finite number"),
            (("--recognizer", "sfase"), 'Did you mean "sface"'),
            (("--recognizer", "yunet"), "expected a recognizer"),
            (("--detector", "lbp"), "--detector: expected one of yunet+onet"),
            (("--alignment", "nose"), "--alignment: expected five-points"),
            (("--choose", "best"), '--choose: expected "largest"'),
            (("--engine", "tvm"), "--engine: expected one of auto"),
            (("--device", "tpu"), "--device: expected one of auto"),
            (("--threads", "0"), "--threads: expected 1 or more"),
            (("--min-face", "1"), "--min-face: expected"),
            (("--min-score", "7"), "--min-score: expected a share from 0 to 1"),
            (("--max-faces", "0"), "--max-faces: expected 1 or more"),
            (("--license-policy", "free"), "license-policy: expected clauses"),
            (
                ("--license-policy", "deny:sface-mobilefacenet-int8"),
                'refuses the weights "sface-mobilefacenet-int8"',
            ),
            (("--license-policy", "deny:yunet"), 'refuses the weights "yunet"'),
            (("--mean", "3"), "--mean: expected together with --model"),
            (("--model", "no.onnx", "--recognizer", "sface"), "got two"),
            (("--preset", "fast", "--recognizer", "sface"), "got both"),
            (("--preset", "best"), "--preset: expected one of fast, balanced, accurate"),
            (("--preset", "accurate", "--no-flip"), "fitted with the mirror image"),
            (("--prior", "1"), "prior: expected a share between 0 and 1"),
            (("--calibration", "no.json"), "no.json"),
            (("--model", "no.onnx"), "no.onnx"),
            (("--save", "x.gif"), ".png, .jpg or .jpeg"),
            (("--save", "no/such/x.png", "--threshold", "0.4"), "there is no folder"),
            (("--unknown",), "--unknown"),
            (("--threads", "many"), "--threads"),
        ],
    )
    def test_bad_options(
        self, run: Run, photos: Path, arguments: tuple[str, ...], message: str
    ) -> None:
        result = run("verify", photos / "a.png", photos / "b.png", *arguments, "--json")
        assert result.exit_code == 2
        assert message in one_object(result)["error"]
        assert "error: " in result.stderr

    def test_the_photo_is_not_overwritten(self, run: Run, photos: Path) -> None:
        path = photos / "a.png"
        before = path.read_bytes()
        result = run("verify", path, photos / "b.png", "--save", path, "--overwrite")
        assert result.exit_code == 2
        assert "is one of the files that are read" in result.stderr
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("missing.png", "no such file"),
            ("notes.txt", "notes.txt"),
            (".", "got a folder"),
            ("noise.png", "no face was found"),
        ],
    )
    def test_bad_photos(self, run: Run, photos: Path, name: str, message: str) -> None:
        result = run("verify", photos / "a.png", photos / name, "--threshold", 0.4)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert message in result.stderr

    def test_a_model_of_ones_own(self, run: Run, photos: Path) -> None:
        model = DEMO.parent / "models" / "mobilefacenet" / "model.onnx"
        spec = ("--input-size", 112, "--color-order", "rgb", "--mean", 0, "--scale", 1)
        pair = (photos / "a.png", photos / "b.png", "--threshold", 0.3, "--json")
        own = one_object(run("verify", *pair, "--model", model, *spec))
        bundled = one_object(run("verify", *pair, "--recognizer", "mobilefacenet"))
        assert own["score"] == pytest.approx(bundled["score"], abs=1e-5)
        for wrong in (("--input-size", "big"), ("--color-order", "cmyk")):
            assert run("verify", *pair, "--model", model, *spec, *wrong).exit_code == 2


class TestDetect:
    def test_a_table_in_a_pipe_has_a_line_a_row(self, run: Run, photos: Path) -> None:
        result = run("detect", photos / "a.png", photos / "noise.png")
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0].split() == ["photo", "face", "score", "left,top", "size", "roll"]
        assert [line.split()[0] for line in lines[1:]] == [
            str(photos / name) for name in ("a.png", "noise.png")
        ]
        assert lines == [line.rstrip() for line in lines]

    def test_json_of_a_folder(self, run: Run, photos: Path) -> None:
        result = run("detect", photos, "--json")
        assert result.exit_code == 0
        found = one_object(result)
        assert found["n_errors"] == 0
        faces = {Path(photo["source"]).name: len(photo["faces"]) for photo in found["photos"]}
        assert faces == {"a.png": 1, "b.png": 1, "noise.png": 0}

    def test_no_face_is_1(self, run: Run, photos: Path) -> None:
        assert run("detect", photos / "noise.png").exit_code == 1

    def test_landmarks_of_each_face(self, run: Run, photos: Path) -> None:
        plain = one_object(run("detect", photos, "--json"))["photos"][0]["faces"][0]
        few = one_object(run("detect", photos, "--json", "--landmarks", "landmarks68"))
        many = one_object(run("detect", photos, "--json", "--landmarks", "mesh"))
        assert [len(photo["faces"]) for photo in many["photos"]] == [1, 1, 0]
        face = many["photos"][0]["faces"][0]
        new = {"points_xy", "points_z", "presence", "pose"}
        new |= {"irises", "eyes", "mouth", "blendshapes"}
        assert {key: face[key] for key in face.keys() - new} == plain
        assert [len(row) for row in face["points_xy"]] == [2] * 478
        assert len(face["points_z"]) == 478
        assert face["presence"] > 0.9
        assert face["pose"].keys() == {"eyes_px", "yaw_deg", "pitch_deg", "roll_deg"}
        assert face["pose"]["roll_deg"] == pytest.approx(plain["roll_deg"], abs=5)
        assert (face["eyes"], face["mouth"]) == (["open", "open"], "shut")
        assert (len(face["blendshapes"]), face["blendshapes"]["mouthSmileLeft"] > 0.5) == (52, True)
        for iris, eye in zip(face["irises"], face["landmarks_xy"][:2], strict=True):
            distance = np.linalg.norm(np.subtract(iris["center_xy"], eye))
            assert distance < iris["radius_px"] < 0.15 * face["pose"]["eyes_px"]
        other = few["photos"][0]["faces"][0]
        assert other.keys() - plain.keys() == {"points_xy"}
        assert [len(row) for row in other["points_xy"]] == [2] * 68
        chin = np.array(other["points_xy"])[8] - np.array(face["points_xy"])[152]
        assert np.linalg.norm(chin) < 0.15 * face["pose"]["eyes_px"]

    def test_landmarks_in_the_table_and_the_picture(
        self, run: Run, photos: Path, tmp_path: Path
    ) -> None:
        plain, meshed = tmp_path / "plain.png", tmp_path / "meshed.png"
        assert run("detect", photos / "a.png", "--save", plain).exit_code == 0
        result = run("detect", photos / "a.png", "--save", meshed, "--landmarks", "mesh")
        assert result.exit_code == 0
        columns = ["photo", "face", "score", "left,top", "size", "roll", "yaw", "pitch"]
        columns += ["eyes", "mouth"]
        assert result.stdout.splitlines()[0].split() == columns
        assert len(result.stdout.splitlines()[1].split()) == len(columns)
        assert plain.read_bytes() != meshed.read_bytes()
        wrong = run("detect", photos / "a.png", "--landmarks", "meshes")
        assert wrong.exit_code == 2
        assert "--landmarks: expected one of landmarks68, mesh, got 'meshes'" in wrong.stderr

    def test_errors_do_not_stop_the_rest(self, run: Run, photos: Path) -> None:
        paths = [photos / n for n in ("missing.png", "notes.txt", "a.png", "*.jpeg")]
        result = run("detect", *paths, "--json")
        assert result.exit_code == 2
        found = one_object(result)
        assert found["n_errors"] == 3
        assert [len(photo["faces"]) for photo in found["photos"]] == [0, 0, 1, 0]
        assert [photo["error"] is None for photo in found["photos"]] == [False, False, True, False]
        assert result.stderr.count("error: ") == 3

    def test_glob_and_stdin(self, run: Run, photos: Path) -> None:
        data = (photos / "b.png").read_bytes()
        found = one_object(run("detect", photos / "[a]*.png", "-", "--json", stdin=data))
        sources = [Path(photo["source"]).name for photo in found["photos"]]
        assert sources == ["a.png", "standard input"]
        assert [len(photo["faces"]) for photo in found["photos"]] == [1, 1]

    def test_a_data_uri(self, run: Run, photos: Path) -> None:
        import base64

        text = base64.b64encode((photos / "a.png").read_bytes()).decode()
        found = one_object(run("detect", f"data:image/png;base64,{text}", "--json"))
        assert len(found["photos"][0]["faces"]) == 1

    def test_save_one_and_many(self, run: Run, photos: Path, tmp_path: Path) -> None:
        one = tmp_path / "one.png"
        assert run("detect", photos / "a.png", "--save", one).exit_code == 0
        assert one.is_file()
        folder = tmp_path / "many"
        assert run("detect", photos, "--save", folder).exit_code == 0
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["a.png", "b.png", "noise.png"]
        again = run("detect", photos, "--save", folder)
        assert again.exit_code == 2
        assert again.stderr.count("exists already") == 3
        assert run("detect", photos, "--save", folder, "--overwrite").exit_code == 0
        assert run("detect", photos, "--save", one).exit_code == 2
        assert run("detect", photos, "--save", one / "below").exit_code == 2


class TestAlign:
    @pytest.mark.parametrize("size", [112, 160])
    def test_crops_are_those_of_the_library(
        self, run: Run, photos: Path, tmp_path: Path, size: int
    ) -> None:
        result = run("align", photos, "--out", tmp_path, "--size", size, "--json")
        assert result.exit_code == 0
        found = one_object(result)
        crops = [path for photo in found["photos"] for path in photo["crops"]]
        assert [Path(path).name for path in crops] == ["a_1.png", "b_1.png"]
        image = lineament.load_image(photos / "a.png")
        faces = lineament.Recognizer().detect(photos / "a.png").faces
        wanted = lineament.align_faces(image, list(faces), f"arcface-{size}")[0]
        assert np.array_equal(lineament.load_image(crops[0]), wanted)

    def test_cut_out_blackens_the_background(self, run: Run, photos: Path, tmp_path: Path) -> None:
        assert run("align", photos / "a.png", "--out", tmp_path, "--cut-out").exit_code == 0
        crop = lineament.load_image(tmp_path / "a_1.png")
        assert not crop[0].any()
        assert crop[50:70, 45:65].any(axis=2).all()

    def test_cut_out_by_the_mesh_is_nearly_the_same(
        self, run: Run, photos: Path, tmp_path: Path
    ) -> None:
        masks = []
        for name in ("landmarks68", "mesh"):
            out = tmp_path / name
            done = run("align", photos / "a.png", "--out", out, "--cut-out", "--landmarks", name)
            assert done.exit_code == 0, done.stderr
            (crop,) = out.iterdir()
            masks.append(lineament.load_image(crop).any(axis=2))
        few, many = masks
        assert (few != many).any()
        assert (few & many).sum() > 0.85 * (few | many).sum()
        alone = run("align", photos / "a.png", "--out", tmp_path / "c", "--landmarks", "mesh")
        assert alone.exit_code == 2
        assert "--landmarks: expected together with --cut-out only" in alone.stderr

    def test_names_never_clash_and_nothing_is_overwritten(
        self, run: Run, photos: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        (other / "a.png").write_bytes((photos / "b.png").read_bytes())
        out = tmp_path / "out"
        arguments = ("align", photos / "a.png", other / "a.png", "--out", out)
        assert run(*arguments).exit_code == 0
        assert sorted(path.name for path in out.iterdir()) == ["a_1.png", "a~2_1.png"]
        (out / "a_1.png").write_text("mine")
        result = run(*arguments)
        assert result.exit_code == 2
        assert "exists already" in result.stderr
        assert (out / "a_1.png").read_text() == "mine"
        assert run(*arguments, "--overwrite").exit_code == 0
        assert (out / "a_1.png").stat().st_size > 1000

    def test_exit_codes(self, run: Run, photos: Path, tmp_path: Path) -> None:
        assert run("align", photos / "noise.png", "--out", tmp_path).exit_code == 1
        assert run("align", photos / "a.png", "--out", tmp_path, "--size", 5).exit_code == 2
        assert run("align", photos / "a.png", "--out", photos / "notes.txt").exit_code == 2
        bad = run("align", photos / "a.png", "--out", tmp_path, "--method", "nose")
        assert bad.exit_code == 2
        assert run("align", photos / "a.png").exit_code == 2


class TestAlignPeople:
    @pytest.fixture
    def people(self, photos: Path, tmp_path: Path) -> Path:
        """Ada: two photos, one of them deeper; Bo: one without a face; Cy: one."""
        folder = tmp_path / "people"
        for name, source in (
            ("Ada L/1.png", "a.png"),
            ("Ada L/letters/1.png", "b.png"),
            ("Bo/noise.png", "noise.png"),
            ("Cy/1.png", "b.png"),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((photos / source).read_bytes())
        return folder

    def files(self, folder: Path) -> list[str]:
        return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())

    def test_one_crop_a_photo_in_a_folder_a_person(
        self, run: Run, people: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        result = run("align", people, "--people", "--out", out, "--json")
        assert result.exit_code == 0
        found = one_object(result)
        counts = ("n_photos", "n_people", "n_written", "n_kept", "n_without_face", "n_failed")
        assert [found[key] for key in counts] == [4, 2, 3, 0, 1, 0]
        assert found["without_face"] == [str(people / "Bo" / "noise.png")]
        assert "noise.png: no face was found" in result.stderr
        assert self.files(out) == ["Ada L/1.png", "Ada L/letters/1.png", "Cy/1.png"]
        image = lineament.load_image(people / "Ada L" / "letters" / "1.png")
        faces = lineament.Recognizer().detect(image).faces
        wanted = lineament.align_faces(image, list(faces))[0]
        assert np.array_equal(lineament.load_image(out / "Ada L" / "letters" / "1.png"), wanted)

    def test_turned_to_the_front(self, run: Run, people: Path, tmp_path: Path) -> None:
        """The crop is the one that the command cuts out of the same photo alone."""
        out, alone = tmp_path / "out", tmp_path / "alone"
        done = run("align", people, "--people", "--method", "frontal", "--out", out)
        assert done.exit_code == 0
        assert self.files(out) == ["Ada L/1.png", "Ada L/letters/1.png", "Cy/1.png"]
        photo = people / "Cy" / "1.png"
        assert run("align", photo, "--method", "frontal", "--out", alone).exit_code == 0
        crop = lineament.load_image(out / "Cy" / "1.png")
        assert crop.shape == (152, 152, 3)
        assert np.array_equal(crop, lineament.load_image(alone / "1_1.png"))

    def test_the_face_that_is_chosen(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "people" / "x").mkdir(parents=True)
        group = tmp_path / "people" / "x" / "group.jpg"
        group.write_bytes((DEMO / "group.jpg").read_bytes())
        photo = lineament.Recognizer().detect(group)
        assert photo.largest() != photo.most_central()
        for choose, number in (("largest", photo.largest()), ("central", photo.most_central())):
            assert number is not None
            out = tmp_path / choose
            more = ("--people", "--choose", choose, "--size", 160)
            assert run("align", tmp_path / "people", "--out", out, *more).exit_code == 0
            wanted = lineament.align_faces(
                lineament.load_image(group), [photo.faces[number]], "arcface-160"
            )[0]
            assert np.array_equal(lineament.load_image(out / "x" / "group.png"), wanted)

    def test_existing_crops(self, run: Run, people: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        assert run("align", people, "--people", "--out", out).exit_code == 0
        (out / "Ada L" / "1.png").write_text("mine")
        (out / "Cy" / "1.png").unlink()
        refused = run("align", people, "--people", "--out", out)
        assert refused.exit_code == 2
        assert "1.png: exists already, as do 1 more" in refused.stderr
        assert self.files(out) == ["Ada L/1.png", "Ada L/letters/1.png"]
        resumed = one_object(run("align", people, "--people", "--out", out, "--resume", "--json"))
        assert (resumed["n_written"], resumed["n_kept"], resumed["n_people"]) == (1, 2, 2)
        assert (out / "Ada L" / "1.png").read_text() == "mine"
        again = run("align", people, "--people", "--out", out, "--overwrite")
        assert again.exit_code == 0
        assert "crops written       3" in again.stdout
        assert (out / "Ada L" / "1.png").stat().st_size > 1000

    def test_unreadable_photos_are_counted(self, run: Run, people: Path, tmp_path: Path) -> None:
        (people / "Bo" / "text.jpg").write_text("no photo")
        result = run("align", people, "--people", "--out", tmp_path / "out", "--json")
        assert result.exit_code == 2
        found = one_object(result)
        assert (found["n_errors"], found["n_written"]) == (1, 3)
        assert found["failed"][0]["source"] == str(people / "Bo" / "text.jpg")
        assert "text.jpg: expected a photo" in result.stderr

    def test_exit_codes(self, run: Run, people: Path, photos: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        nobody = tmp_path / "nobody"
        (nobody / "Bo").mkdir(parents=True)
        (nobody / "Bo" / "1.png").write_bytes((photos / "noise.png").read_bytes())
        assert run("align", nobody, "--people", "--out", out).exit_code == 1
        for arguments, message in (
            ((people, people, "--people"), "expected one folder"),
            ((people, "--people", "--cut-out"), "--people or --cut-out"),
            ((people, "--resume"), "--resume: expected together with --people only"),
            ((people, "--choose", "central"), "--choose: expected together with --people"),
            ((people, "--people", "--resume", "--overwrite"), "--resume or --overwrite"),
            ((photos, "--people"), "no folders"),
            ((tmp_path / "none", "--people"), "found nothing of that name"),
        ):
            result = run("align", *arguments, "--out", out)
            assert result.exit_code == 2
            assert message in result.stderr
        inside = run("align", people, "--people", "--out", people / "crops")
        assert inside.exit_code == 2
        assert "outside of the photos' own" in inside.stderr


class TestEmbed:
    def rows(self, text: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in text.splitlines()]

    def test_json_lines_on_stdout(self, run: Run, photos: Path) -> None:
        result = run("embed", photos)
        assert result.exit_code == 0
        header, *rows = self.rows(result.stdout)
        assert header["contract"]["weights"] == "sface-mobilefacenet-int8"
        assert [Path(row["source"]).name for row in rows] == ["a.png", "b.png"]
        wanted = lineament.Recognizer().embed(photos / "a.png")
        assert np.allclose(rows[0]["vector"], wanted.vector, atol=1e-5)
        assert rows[0]["norm"] == pytest.approx(wanted.norm, rel=1e-4)

    def test_files_hold_the_same(self, run: Run, photos: Path, tmp_path: Path) -> None:
        lines, arrays = tmp_path / "e.jsonl", tmp_path / "e.npz"
        assert run("embed", photos, "--out", lines).exit_code == 0
        assert run("embed", photos, "--out", arrays, "--one-face").exit_code == 0
        header, *rows = self.rows(lines.read_text())
        with np.load(arrays, allow_pickle=False) as file:
            assert json.loads(str(file["header"])) == header
            assert file["sources"].tolist() == [row["source"] for row in rows]
            assert file["vectors"].shape == (2, 640)
            assert np.allclose(file["vectors"], [row["vector"] for row in rows], atol=1e-5)
            assert np.allclose(file["boxes_xyxy"], [row["box_xyxy"] for row in rows], atol=0.02)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["e.jsonl", "e.npz"]

    def test_parquet(self, run: Run, photos: Path, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        target = tmp_path / "e.parquet"
        assert run("embed", photos / "a.png", "--out", target).exit_code == 0
        table = parquet.read_table(target)
        assert json.loads(table.schema.metadata[b"lineament"])["contract"]["dimension"] == 640
        (row,) = table.to_pylist()
        assert np.linalg.norm(row["vector"]) == pytest.approx(1, abs=1e-5)

    def test_parquet_without_pyarrow(
        self, run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        result = run("embed", photos / "a.png", "--out", tmp_path / "e.parquet")
        assert result.exit_code == 2
        assert 'pip install "pyarrow' in result.stderr

    def test_json_and_errors(self, run: Run, photos: Path, tmp_path: Path) -> None:
        result = run("embed", photos / "a.png", photos / "notes.txt", "--json")
        assert result.exit_code == 2
        found = one_object(result)
        assert (found["n_photos"], found["n_errors"], len(found["faces"])) == (2, 1, 1)
        assert run("embed", photos / "noise.png").exit_code == 1
        assert run("embed", photos / "a.png", "--out", "e.txt").exit_code == 2
        assert run("embed", photos / "a.png", "--out", tmp_path / "no" / "e.npz").exit_code == 2
        target = tmp_path / "e.npz"
        target.mkdir()
        assert run("embed", photos / "a.png", "--out", target).exit_code == 2


class TestModels:
    def test_the_table_fits_80_columns(self, run: Run) -> None:
        result = run("models", "list")
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert max(len(line.rstrip()) for line in lines) <= 80
        names = [line.split()[0] for line in lines[1:]]
        assert set(names) >= {"sface", "mobilefacenet", "yunet", "landmarks68"}

    def test_json_is_complete(self, run: Run) -> None:
        found = one_object(run("models", "list", "--json", "--license-policy", "spdx:MIT"))
        sface = next(entry for entry in found["weights"] if entry["name"] == "sface")
        assert sface["sha256"] == lineament.models.get("sface").sha256
        assert sface["present"] is True
        assert "MIT" in sface["refused"]
        assert found["policy"] == "any;spdx:MIT"

    def test_refusals_and_texts(self, run: Run) -> None:
        result = run("models", "list", "--license-policy", "deny:sface")
        assert result.stdout.count("refused") == 1
        assert "sface: the policy denies it by name" in result.stderr
        texts = run("models", "licenses").stdout
        assert "Apache License" in texts
        assert "sface (Apache-2.0)" in texts


class TestEvalLfw:
    @pytest.fixture
    def lfw(self, photos: Path, tmp_path: Path) -> Path:
        """Two people: the astronaut, and the one whom noise shows."""
        for name, source in (("Ann", "a.png"), ("Ann", "b.png"), ("Bob", "noise.png")):
            folder = tmp_path / "lfw" / "images" / name
            folder.mkdir(parents=True, exist_ok=True)
            number = len(list(folder.iterdir())) + 1
            (folder / f"{name}_{number:04d}.png").write_bytes((photos / source).read_bytes())
        pair = "Ann\t1\t2\nAnn\t1\tBob\t1\n"
        (tmp_path / "lfw" / "pairs.txt").write_text("2\t1\n" + pair * 2)
        for name in ("pairsDevTrain.txt", "pairsDevTest.txt"):
            (tmp_path / "lfw" / name).write_text("1\n" + pair)
        return tmp_path / "lfw"

    def test_keys_and_the_cache(self, run: Run, lfw: Path) -> None:
        first = one_object(run("eval", "lfw", lfw, "--json"))
        assert (first["n_photos"], first["n_faces_found"], first["n_photos_embedded"]) == (3, 2, 3)
        assert first["view2"]["accuracy_mean"] == 1
        assert {"accuracy_se", "auc", "eer", "tar_at_fmr"} <= first["view2"].keys()
        assert first["all_pairs"]["tar_at_fmr"].keys() == {"1e-3", "1e-4", "1e-5", "1e-6"}
        assert first["photos_per_second"] > 0
        second = one_object(run("eval", "lfw", lfw, "--json"))
        assert (second["n_photos_embedded"], second["photos_per_second"]) == (0, None)
        same = ("n_photos", "n_faces_found", "view1", "view2", "all_pairs")
        assert [second[key] for key in same] == [first[key] for key in same]
        third = one_object(run("eval", "lfw", lfw, "--json", "--no-cache", "--view", "2"))
        assert third["n_photos_embedded"] == 3
        assert third.keys().isdisjoint({"view1", "all_pairs"})
        assert one_object(run("eval", "lfw", lfw, "--flip", "--json"))["n_photos_embedded"] == 3

    def test_text_and_errors(self, run: Run, lfw: Path) -> None:
        result = run("eval", "lfw", lfw, "--view", "2")
        assert result.exit_code == 0
        assert "100 %" in result.stdout
        assert "--view: expected" in run("eval", "lfw", lfw, "--view", "3").stderr
        wrong = run("eval", "lfw", lfw / "images", "--json")
        assert wrong.exit_code == 2
        assert "pairs.txt" in one_object(wrong)["error"]


class TestEverything:
    def test_version_and_help(self, run: Run) -> None:
        assert run("--version").stdout == f"lineament {lineament.__version__}\n"
        for command in ("verify", "detect", "align", "embed", "models", "eval"):
            assert run(command, "--help").exit_code == 0
            assert command in run("--help").stdout

    def test_wrong_usage_is_2(self, run: Run) -> None:
        wrong = run("verify", "--json")
        assert wrong.exit_code == 2
        assert "error" in one_object(wrong)
        assert "Usage: " in wrong.stderr
        assert [run(*a).exit_code for a in (("detekt",), ("detect",), ("eval", "x"))] == [2, 2, 2]

    def test_a_bug_is_one_line(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_text: str | None) -> None:
            raise ZeroDivisionError("division\nby zero")

        monkeypatch.setattr(models.options, "policy_from", fail)
        result = run("models", "list", "--json")
        assert result.exit_code == 2
        assert "ZeroDivisionError: division by zero" in one_object(result)["error"]
        assert len(result.stderr.splitlines()) == 1
        monkeypatch.setenv("LINEAMENT_DEBUG", "1")
        debug = CliRunner().invoke(app, ["models", "list"])
        assert "Traceback" in debug.stderr

    def test_interrupted(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(recognize.options, "recognizer_from", interrupt)
        assert run("verify", "a", "b").exit_code == 130

    def test_shown_defaults_are_the_librarys(self) -> None:
        from lineament import detect, pipeline
        from lineament.decide import metrics, thresholds

        shown = options.SHOWN_DEFAULTS
        recognizer = pipeline.Recognizer()
        assert shown["preset"] == pipeline.DEFAULT_PRESET
        assert float(shown["prior"]) == recognizer.prior
        assert shown["flip"] == ("flip" if pipeline.DEFAULT_FLIP else "no-flip")
        assert shown["detector"] == detect.DEFAULT_DETECTOR
        assert shown["metric"] == metrics.DEFAULT_METRIC
        assert float(shown["fmr"]) == thresholds.DEFAULT_FMR
        share = round(1 / detect.detector.LEAST_FACE_SHARE)
        least = f"{detect.detector.LEAST_FACE_PX:g}, or 1/{share} of the longer side"
        assert shown["min_face"] == least
        assert shown["choose"] == recognizer.finder.choose
        assert shown["alignment"] == recognizer.alignment

    def test_names_of_files(self) -> None:
        names = FileNames()
        given = ["x/a.jpg", "A.png", "https://h/p/c.jpg?q=1", "standard input", "..", "é ü.png"]
        assert [names.stem(name) for name in given] == [
            "a",
            "A~2",
            "c",
            "stdin",
            "photograph",
            "é ü",
        ]
        assert len(names.stem("x" * 400).encode()) <= 180

    def test_a_path_that_is_named_twice_is_read_once(self, photos: Path) -> None:
        assert len(many_sources([str(photos), str(photos / "a.png")])) == 3


class TestProcess:
    """What only a process of its own shows."""

    def run(self, *arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "lineament", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    def test_verify(self, photos: Path) -> None:
        pair = (photos / "a.png", photos / "b.png")
        done = self.run("verify", *pair, "--threshold", 0.4, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["same"] is True

    def test_an_error(self, photos: Path) -> None:
        done = self.run(
            "verify", photos / "notes.txt", photos / "b.png", "--threshold", 0.4, "--json"
        )
        assert done.returncode == 2
        assert "notes.txt" in json.loads(done.stdout)["error"]
        assert len(done.stderr.splitlines()) == 1

    def test_help_is_light(self) -> None:
        code = (
            "import sys\nfrom lineament.cli import app\n"
            "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
            "heavy = {'numpy', 'cv2', 'openvino', 'onnxruntime', 'PIL', 'rich'}\n"
            "print(sorted(heavy & sys.modules.keys()))"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "[]"

    def test_a_closed_pipe_is_quiet(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "lineament", "models", "licenses"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        assert process.wait(60) == 141
        assert errors == b""

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
    @pytest.mark.parametrize(
        "command", [("models", "list"), ("models", "list", "--json"), ("--version",)]
    )
    def test_a_full_disk_is_one_line(self, command: tuple[str, ...]) -> None:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "lineament", *command],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 2
        assert done.stderr.startswith("error: the output cannot be written")
        assert len(done.stderr.splitlines()) == 1

    def test_names_that_the_terminal_cannot_show(self, photos: Path, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        with PILImage.open(photos / "noise.png") as image:
            image.save(buffer, "PNG")
        (tmp_path / "漢字 [red].png").write_bytes(buffer.getvalue())
        import os

        environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
        done = self.run("detect", tmp_path, env=environment)
        assert (done.returncode, done.stderr) == (1, "")
        assert "[red].png" in done.stdout
