"""Bulk embedding: each photo exactly once, whatever kills the work in between."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PILImage

import lineament
from lineament.bulk import BulkProgress, embed_many
from lineament.bulk._parts import NOTE
from lineament.bulk.on_ray import check_ray, check_same, fingerprint, options_of, pickled
from lineament.bulk.tables import read_note, read_rows
from lineament.cli import app
from lineament.errors import (
    ContractError,
    ImageFormatError,
    LineamentError,
    MissingExtraError,
    NoFaceError,
    OptionError,
    UnknownWeightsError,
)
from lineament.gallery import Gallery
from lineament.models.runtime import Runtime
from lineament.pipeline import Recognizer

PHOTOS = Path(lineament.__file__).parent / "data" / "demo"

SOURCE = Path(lineament.__file__).parent
NAMES = [f"{folder}/{i:02}.jpg" for folder in ("ada", "bo") for i in range(12)]
BROKEN, FACELESS = "ada/broken.jpg", "bo/noise.png"


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 small photos with a face, one without, and one that is cut short."""
    folder = tmp_path_factory.mktemp("many")
    for name in ("ada", "bo"):
        (folder / name).mkdir()
    faces = []
    for name in ("obama.jpg", "biden.jpg"):
        with PILImage.open(SOURCE / "data" / "demo" / name) as image:
            small = image.convert("RGB")
            small.thumbnail((240, 240))
            faces.append(small)
    for i, name in enumerate(NAMES):
        shade = faces[i % 2].point(lambda v, i=i: min(255, v + i))  # no two alike
        shade.save(folder / name, quality=95)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    PILImage.fromarray(noise).save(folder / FACELESS)
    (folder / BROKEN).write_bytes((folder / NAMES[0]).read_bytes()[:2000])
    return folder


@pytest.fixture
def photos(originals: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(originals, tmp_path / "photos"))


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return Recognizer("fast", detector="yunet", turning=False, runtime=Runtime(threads=1))


def parts_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.startswith("part-"))


def records_of(folder: Path) -> list[list[Any]]:
    return [record for path in parts_of(folder) for record in json.loads(read_note(path, NOTE))]


def rows_in(folder: Path) -> list[dict[str, Any]]:
    return [row for path in parts_of(folder) for row in read_rows(path)]


def each_once(folder: Path) -> None:
    """All photos are there once, those with a face with their row; the broken one is told."""
    assert sorted(record[0] for record in records_of(folder)) == sorted([*NAMES, BROKEN, FACELESS])
    assert Counter(row["source"] for row in rows_in(folder)) == Counter(NAMES)
    lines = [json.loads(line) for line in (folder / "errors.jsonl").read_text().splitlines()]
    assert [line["source"] for line in lines] == [BROKEN]
    assert "broken or cut short" in lines[0]["reason"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["complete"] is True
    assert [part["file"] for part in manifest["parts"]] == [p.name for p in parts_of(folder)]
    assert sum(part["images"] for part in manifest["parts"]) == 26
    assert not list(folder.glob(".lineament-*"))


class TestFolder:
    @pytest.mark.parametrize("suffix", [".npz", ".parquet"])
    def test_rows_are_those_of_the_pipeline(
        self, originals: Path, tmp_path: Path, recognizer: Recognizer, suffix: str
    ) -> None:
        if suffix == ".parquet":
            pytest.importorskip("pyarrow")
        out = tmp_path / "out"
        report = embed_many(originals, out, recognizer, shard_size=10, suffix=suffix)
        each_once(out)
        assert [path.suffix for path in parts_of(out)] == [suffix] * 3
        assert (report.images, report.embedded, report.earlier) == (26, 26, 0)
        assert (report.faces, report.errors, report.parts) == (24, 1, 3)
        row = next(row for row in rows_in(out) if row["source"] == NAMES[3])
        wanted = recognizer.analyze(originals / NAMES[3])
        assert np.allclose(row["vector"], wanted.embeddings[0].vector, atol=1e-6)
        assert np.allclose(row["box_xyxy"], wanted.faces[0].box_xyxy, atol=0.01)
        assert row["norm"] == pytest.approx(wanted.embeddings[0].norm, rel=1e-5)
        contract = json.loads((out / "manifest.json").read_text())["contract"]
        assert contract["weights_sha256"] == recognizer.weights.sha256

    def test_goes_on_and_embeds_nothing_twice(
        self, photos: Path, tmp_path: Path, recognizer: Recognizer
    ) -> None:
        out = tmp_path / "out"
        embed_many(photos, out, recognizer, shard_size=10)
        before = {path.name: path.read_bytes() for path in parts_of(out)}
        report = embed_many(photos, out, recognizer, shard_size=10)
        assert (report.embedded, report.earlier, report.machines) == (0, 26, 0)
        parts_of(out)[1].unlink()
        report = embed_many(photos, out, recognizer, shard_size=10)
        assert (report.embedded, report.earlier) == (10, 16)
        assert {path.name: path.read_bytes() for path in parts_of(out)} == before

    def test_a_damaged_part_is_made_again(
        self, originals: Path, tmp_path: Path, recognizer: Recognizer
    ) -> None:
        out, notes = tmp_path / "out", []
        embed_many(originals, out, recognizer, shard_size=10)
        part = parts_of(out)[0]
        part.write_bytes(part.read_bytes()[:500])
        (out / ".lineament-part-000009.parquet.tmp").write_bytes(b"half")
        report = embed_many(originals, out, recognizer, shard_size=10, on_note=notes.append)
        assert report.embedded == 10
        assert "part-000000" in notes[0]
        each_once(out)

    def test_changed_new_gone_and_mended(
        self, photos: Path, tmp_path: Path, recognizer: Recognizer
    ) -> None:
        out = tmp_path / "out"
        embed_many(photos, out, recognizer, shard_size=10)
        first = {row["source"]: row["vector"] for row in rows_in(out)}
        shutil.copy(photos / NAMES[1], photos / NAMES[0])
        shutil.copy(photos / NAMES[1], photos / "ada" / "new.jpg")
        (photos / NAMES[2]).unlink()
        report = embed_many(photos, out, recognizer, shard_size=10)
        assert (report.embedded, report.changed, report.gone) == (2, 1, 1)
        second = {row["source"]: row["vector"] for row in rows_in(out)}
        assert Counter(row["source"] for row in rows_in(out)) == Counter([*NAMES, "ada/new.jpg"])
        assert second[NAMES[0]] != first[NAMES[0]]
        assert second[NAMES[0]] == second["ada/new.jpg"]
        assert second[NAMES[5]] == first[NAMES[5]]
        # What could not be read is left alone until it is asked for.
        assert embed_many(photos, out, recognizer).embedded == 0
        assert embed_many(photos, out, recognizer, retry_errors=True).errors == 1
        stamp = (photos / BROKEN).stat()
        data = (photos / NAMES[0]).read_bytes()
        (photos / BROKEN).write_bytes(data)
        os.utime(photos / BROKEN, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert embed_many(photos, out, recognizer, retry_errors=True).errors == 0
        assert (out / "errors.jsonl").read_text() == ""
        assert sum(row["source"] == BROKEN for row in rows_in(out)) == 1

    def test_a_hash_outlives_a_new_time(
        self, photos: Path, tmp_path: Path, recognizer: Recognizer
    ) -> None:
        out = tmp_path / "out"
        embed_many(photos / "bo", out, recognizer, same="sha256")
        os.utime(photos / "bo" / "00.jpg", ns=(1, 1))
        assert embed_many(photos / "bo", out, recognizer, same="sha256").embedded == 0
        assert embed_many(photos / "bo", out, recognizer).changed == 1

    def test_one_face_and_progress(
        self, originals: Path, tmp_path: Path, recognizer: Recognizer
    ) -> None:
        told_: list[BulkProgress] = []
        group = SOURCE / "data" / "demo" / "group.jpg"
        out = tmp_path / "out"
        report = embed_many(
            [group, originals / BROKEN, originals / FACELESS, originals / NAMES[0]],
            out,
            recognizer,
            one_face=True,
            on_progress=told_.append,
        )
        assert (report.faces, report.errors, report.images) == (2, 1, 4)
        assert [(p.done, p.total) for p in told_] == [(i, 4) for i in (1, 2, 3, 4)]
        assert told_[-1].seconds_left == 0
        with pytest.raises(OptionError, match="other options \\(one_face\\)"):
            embed_many([group, originals / NAMES[0]], out, recognizer)

    def test_refuses_what_would_mix(
        self, photos: Path, tmp_path: Path, recognizer: Recognizer
    ) -> None:
        out = tmp_path / "out"
        embed_many(photos / "ada", out, recognizer)
        with pytest.raises(
            ContractError, match="the same alignment and options: name another folder"
        ):
            embed_many(
                photos / "ada", out, Recognizer("fast", detector="yunet", turning=False, flip=True)
            )
        with pytest.raises(OptionError, match="turning"):
            embed_many(photos / "ada", out, Recognizer("fast", detector="yunet"))
        with pytest.raises(OptionError, match="holds the photos of"):
            embed_many(photos / "bo", out, recognizer)
        moved = (photos / "ada").rename(tmp_path / "moved")
        assert embed_many(moved, out, recognizer).embedded == 0
        report = embed_many(photos / "bo", out, recognizer, resume=False)
        assert report.embedded == report.images == 13
        stranger = tmp_path / "stranger"
        stranger.mkdir()
        (stranger / "part-000000.npz").write_bytes(b"")
        with pytest.raises(OptionError, match=r"it holds part-000000\.npz"):
            embed_many(photos / "bo", stranger, recognizer, resume=False)
        assert (stranger / "part-000000.npz").exists()

    @pytest.mark.skipif(sys.platform == "win32", reason="no flock")
    def test_one_writer_at_a_time(
        self, originals: Path, tmp_path: Path, recognizer: Recognizer
    ) -> None:
        def meanwhile(_: BulkProgress) -> None:
            with pytest.raises(OptionError, match="another process is writing to it"):
                embed_many(originals, out, recognizer)
            told_.append(True)

        out, told_ = tmp_path / "out", []
        embed_many(originals / NAMES[0], out, recognizer, on_progress=meanwhile)
        assert told_ == [True]

    def test_an_error_in_between_keeps_what_is_done(
        self, originals: Path, tmp_path: Path, recognizer: Recognizer
    ) -> None:
        def stop(progress: BulkProgress) -> None:
            if progress.done == 13:
                raise KeyboardInterrupt

        out = tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            embed_many(originals, out, recognizer, shard_size=10, on_progress=stop)
        assert [len(json.loads(read_note(path, NOTE))) for path in parts_of(out)] == [10, 3]
        assert json.loads((out / "manifest.json").read_text())["complete"] is False
        assert embed_many(originals, out, recognizer, shard_size=10).embedded == 13
        each_once(out)

    @pytest.mark.parametrize(
        "wrong",
        [{"workers": 0}, {"workers": 2}, {"shard_size": 0}, {"same": "name"}, {"suffix": ".csv"}],
    )
    def test_options(self, tmp_path: Path, recognizer: Recognizer, wrong: dict[str, Any]) -> None:
        with pytest.raises(OptionError, match=next(iter(wrong))):
            embed_many(tmp_path, tmp_path / "out", recognizer, **wrong)


class TestOnTheWay:
    """What goes to another process and back."""

    @pytest.mark.parametrize(
        "error",
        [
            ImageFormatError("broken"),
            NoFaceError("none"),
            UnknownWeightsError("which"),
            MissingExtraError("HEIC", "heif"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_errors(self, error: LineamentError) -> None:
        again = pickle.loads(pickled(error))
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))

    def test_results(self, originals: Path, recognizer: Recognizer) -> None:
        (photo,) = recognizer.stream([originals / NAMES[0]], keep_crops=True)
        again = pickle.loads(pickled(photo))
        assert isinstance(again, lineament.Photo)
        assert again.to_dict() == photo.to_dict()
        assert again.crops is not None
        assert np.array_equal(again.crops, photo.crops)
        assert np.array_equal(again.embeddings[0].vector, photo.embeddings[0].vector)
        assert not again.embeddings[0].vector.flags.writeable
        assert not again.faces[0].box_xyxy.flags.writeable

    def test_the_recognizer(self) -> None:
        given = Recognizer(
            "accurate", detector="yunet", turning=False, choose="central", runtime=Runtime()
        )
        again = Recognizer(**pickle.loads(pickle.dumps(options_of(given))))
        assert fingerprint(again) == fingerprint(given)
        assert again.runtime == replace(given.runtime, threads=1)

    def test_another_version_is_refused(self, recognizer: Recognizer) -> None:
        mine = fingerprint(recognizer)
        check_same(mine, dict(mine), "here")
        with pytest.raises(ContractError, match=r"there: .* differing in version"):
            check_same(mine, {**mine, "version": "0.0.0"}, "there")

    def test_an_own_detector_stays_at_home(self) -> None:
        class Mine:
            def detect(self, image: Any, options: Any = None, /) -> list[Any]:
                return []

        with pytest.raises(OptionError, match="object of your own"):
            options_of(Recognizer(detector=Mine()))


def command(*arguments: object) -> list[str]:
    options = ("--preset", "fast", "--detector", "yunet", "--no-turning", "--shard-size", "2")
    return [sys.executable, "-m", "lineament", "embed", *map(str, arguments), *options]


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX's")
@pytest.mark.parametrize("moment", [pytest.param(1, marks=pytest.mark.slow), 4])
@pytest.mark.slow
def test_kill_9_of_everything_loses_and_doubles_nothing(
    originals: Path, tmp_path: Path, moment: int
) -> None:
    out = tmp_path / "out"
    arguments = command(originals, "--out", out)
    done = subprocess.Popen(arguments, start_new_session=True, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (out.is_dir() and len(parts_of(out)) >= moment) and time.monotonic() < until:
        time.sleep(0.005)
    os.killpg(done.pid, signal.SIGKILL)
    assert done.wait() == -signal.SIGKILL
    survived = {path.name: path.read_bytes() for path in parts_of(out)}
    assert moment <= len(survived) < 13
    report = subprocess.run([*arguments, "--json"], capture_output=True, text=True, check=False)
    found = json.loads(report.stdout)
    assert found["n_earlier"] == 2 * len(survived)
    assert found["n_embedded"] == 26 - found["n_earlier"]
    assert {name: (out / name).read_bytes() for name in survived} == survived
    each_once(out)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another matter there")
@pytest.mark.slow
def test_ctrl_c_can_be_gone_on_from(originals: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = command(originals, "--out", out)
    done = subprocess.Popen(arguments, start_new_session=True, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (out.is_dir() and parts_of(out)) and time.monotonic() < until:
        time.sleep(0.005)
    os.killpg(done.pid, signal.SIGINT)  # as a terminal sends it: to all of them
    _, stderr = done.communicate(timeout=60)
    assert done.returncode == 130
    assert "Traceback" not in stderr
    manifest = json.loads((out / "manifest.json").read_text())
    assert sum(part["images"] for part in manifest["parts"]) == len(records_of(out)) > 0
    again = subprocess.run([*arguments, "--json"], capture_output=True, text=True, check=False)
    assert json.loads(again.stdout)["n_earlier"] == sum(p["images"] for p in manifest["parts"])
    each_once(out)


class TestCommand:
    def run(self, *arguments: object) -> Any:
        return CliRunner().invoke(app, command(*arguments)[3:])

    def test_a_folder_is_told_from_a_file(self, originals: Path, tmp_path: Path) -> None:
        result = self.run(originals, "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert "24 faces of 26 photos in 13 files; 26 embedded now" in result.stderr
        assert "could not be read: 1 photo;" in result.stderr
        each_once(tmp_path / "out")
        assert self.run(originals, "--out", tmp_path / "e.npz").exit_code == 2
        assert not (tmp_path / "e.npz").exists()
        assert self.run("-", "--out", tmp_path / "out").exit_code == 2

    def test_without_ray(
        self, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "ray", None)
        result = self.run(originals, "--out", tmp_path / "out", "--ray", "auto")
        assert result.exit_code == 2
        assert 'pip install "ray[data]' in result.stderr
        assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of two machines, both of them processes here."""
    pytest.importorskip("ray")
    made = start_cluster()
    try:
        yield made.address
    finally:
        made.shutdown()


def start_cluster(attempts: int = 3) -> Any:
    """A Ray cluster with a head and one more node, of a processor each.

    Now and then a raylet dies before its first line of log, why is not known. Ray waits for it for
    30 seconds, then raises a bare ``Exception``. What it has logged is printed, and a new cluster
    started.
    """
    from ray.cluster_utils import Cluster

    machine = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    made = Cluster()
    try:
        made.add_node(**machine, include_dashboard=False)
        made.add_node(**machine)
    except Exception as error:
        made.shutdown()
        print(f"Ray did not start, {attempts - 1} more attempts: {error}")
        for path in sorted(Path("/tmp/ray/session_latest/logs").glob("*.*")):
            print(f"== {path.name}\n{path.read_text(errors='replace')[-1000:]}")
        if attempts == 1:
            raise
        return start_cluster(attempts - 1)
    return made


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray about itself
class TestRay:
    def test_two_machines_and_a_broken_run(
        self,
        originals: Path,
        tmp_path: Path,
        recognizer: Recognizer,
        cluster: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def stop(progress: BulkProgress) -> None:
            if progress.done == 9:
                raise KeyboardInterrupt

        from ray.data import DataContext

        # So few photos would be done before the second actor has started.
        monkeypatch.setattr(DataContext.get_current(), "wait_for_min_actors_s", 60)
        out, again = tmp_path / "out", tmp_path / "again"
        report = embed_many(originals, out, recognizer, ray=cluster, shard_size=4)
        assert (report.embedded, report.machines) == (26, 2)
        each_once(out)
        with pytest.raises(KeyboardInterrupt):
            embed_many(originals, again, recognizer, ray=cluster, shard_size=4, on_progress=stop)
        assert len(records_of(again)) == 9
        import ray

        # Or its threads, still reading ahead, would connect it to the cluster again.
        assert not ray.is_initialized()
        assert "iter_threaded" not in {thread.name for thread in threading.enumerate()}
        report = embed_many(originals, again, recognizer, ray=cluster, shard_size=4)
        assert (report.earlier, report.embedded) == (9, 17)
        each_once(again)
        here = tmp_path / "here"
        embed_many(originals, here, recognizer)
        vectors = {row["source"]: row["vector"] for row in rows_in(here)}
        for folder in (out, again):
            far = {row["source"]: row["vector"] for row in rows_in(folder)}
            assert np.allclose([far[n] for n in NAMES], [vectors[n] for n in NAMES], atol=1e-5)

    @pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
    def test_no_cluster_there(
        self, originals: Path, tmp_path: Path, recognizer: Recognizer, address: str
    ) -> None:
        pytest.importorskip("ray")
        with pytest.raises(OptionError, match="ray: "):
            embed_many(originals, tmp_path / "out", recognizer, ray=address)
        assert not (tmp_path / "out").exists()
        with pytest.raises(OptionError):
            check_ray(address)

    def test_a_gallery_is_filled_by_it(self, tmp_path: Path, cluster: str) -> None:
        names = {"obama": "Obama", "obama2": "Obama", "biden": "Biden"}
        for photo, name in names.items():
            (tmp_path / "people" / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(PHOTOS / f"{photo}.jpg", tmp_path / "people" / name)
        command = [
            "gallery",
            "enroll-folder",
            str(tmp_path / "people"),
            "--gallery",
            str(tmp_path / "g"),
        ]
        result = CliRunner().invoke(app, [*command, "--ray", cluster, "--json"])
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["n_enrolled"] == 3
        with Gallery.open(tmp_path / "g", read_only=True) as gallery:
            far = {
                Path(str(sample.source)).stem: gallery.embedding(sample.id).vector
                for name in ("Obama", "Biden")
                for sample in gallery.person(name).samples
            }
        here = Recognizer()
        assert far.keys() == names.keys()
        for photo, vector in far.items():
            assert np.allclose(vector, here.embed(PHOTOS / f"{photo}.jpg").vector, atol=1e-5)
