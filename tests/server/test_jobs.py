"""Long work over real sockets: enroll, group, tune, anonymize, reindex; cancel; restart."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from PIL import Image as PILImage
from server_under_test import DEMO, Served, run_server
from waited_jobs import wait

from lineament import FaceFinder
from lineament.errors import NotFoundError
from lineament.gallery import Gallery
from lineament.server.jobs import Job, Jobs
from lineament.server.jobs import jobs as module
from lineament.server.jobs import kinds as kinds_module
from lineament.server.jobs.kinds import KINDS_OF_JOBS, Doing
from lineament.server.keys import KeyStore
from lineament.server.roles import Principal
from lineament.server.settings import ServerSettings

PATIENCE_S = 300.0
FORM = "multipart/form-data"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = ServerSettings(data=tmp_path_factory.mktemp("jobs"), port=0, threads=2)
    for each in run_server(settings):
        app: Any = each.app
        app.state.lineament.galleries.create("staff")
        yield each


def zipped(**members: bytes) -> bytes:
    """A zip; "__" in a name stands for "/"."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/") + ".jpg", data)
    return file.getvalue()


def over(client: httpx.Client, number: str) -> dict[str, Any]:
    """The job once it is over."""
    due = time.monotonic() + PATIENCE_S
    while time.monotonic() < due:
        job: dict[str, Any] = client.get(f"/jobs/{number}").json()
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def sent(client: httpx.Client, **request: Any) -> str:
    answer = client.post("/jobs", **request)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return str(answer.json()["id"])


def folder_of(served: Served, number: str) -> Path:
    return served.settings.data / "jobs" / number


def test_a_zip_is_enrolled_and_nothing_of_it_stays(
    served: Served, photos: dict[str, bytes]
) -> None:
    archive = zipped(
        Barack__1=photos["obama"], Barack__2=photos["obama2"], Eileen__1=photos["astronaut"],
        Group__1=photos["group"],
    )  # fmt: skip
    with served.client("enroll") as client:
        number = sent(
            client,
            content=archive,
            params={"kind": "enroll", "gallery": "staff", "force": "true"},
            headers={"content-type": "application/zip"},
        )
        states, progress = [], []
        with client.stream("GET", f"/jobs/{number}/events", timeout=PATIENCE_S) as answer:
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                kind = value if name == "event" else kind
                if name == "data":
                    (states if kind == "state" else progress).append(json.loads(value))
        job = over(client, number)
        assert [state["state"] for state in states][-2:] == ["running", "done"]
        assert states[-1] == job
        assert {each["what"] for each in progress} >= {"unpacking", "enrolling photos"}
        assert job["result"]["n_enrolled"] == 3
        assert job["result"]["n_refused_by_reason"] == {"several faces": 1}
        assert str(served.settings.data) not in json.dumps(job)
        app: Any = served.app
        gallery = app.state.lineament.galleries.get("staff")
        sources = {sample.source for sample in gallery.person("Barack").samples}
        assert sources == {"Barack/1.jpg", "Barack/2.jpg"}
        assert not folder_of(served, number).exists() or not list(
            folder_of(served, number).iterdir()
        )
        assert client.get(f"/jobs/{number}/result").status_code == 404
        # The same again: everything is there.
        again = sent(
            client, data={"kind": "enroll", "gallery": "staff"}, files={"archive": archive}
        )
        assert over(client, again)["result"]["n_enrolled_already"] == 3
        assert [job["id"] for job in client.get("/jobs").json()["jobs"]] == [number, again]
        assert client.delete(f"/jobs/{again}").status_code == 204
        assert client.get(f"/jobs/{again}").status_code == 404
        # Photos without a zip, of one person.
        files = [("files", ("1.jpg", photos["obama"])), ("files", ("b/2.jpg", photos["obama2"]))]
        third = sent(
            client, data={"kind": "enroll", "gallery": "staff", "person": "O", "force": "true"},
            files=files,
        )  # fmt: skip
        assert over(client, third)["result"]["n_enrolled"] == 2


@pytest.mark.slow
def test_a_film_and_photos_are_anonymized(
    served: Served, photos: dict[str, bytes], tmp_path: Path
) -> None:
    import numpy as np
    from films import make_film

    pytest.importorskip("av")
    with PILImage.open(DEMO / "obama.jpg") as picture:
        pixels = np.asarray(picture.convert("RGB").resize((320, 320)))
    film = make_film(tmp_path / "door.mp4", [pixels] * 8).read_bytes()
    with served.client("enroll") as client:
        number = sent(
            client, data={"kind": "anonymize", "method": "solid"},
            files=[("files", ("door.mp4", film))],
        )  # fmt: skip
        job = over(client, number)
        assert job["state"] == "done", job
        assert job["file"] == "anonymized.mp4"
        assert job["result"]["files"][0]["n_hidden"] >= 1  # rather too many than too few
        assert job["result"]["files"][0]["n_frames"] == 8
        assert str(served.settings.data) not in json.dumps(job)
        answer = client.get(f"/jobs/{number}/result")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.content[4:8] == b"ftyp"
        assert [p.name for p in folder_of(served, number).iterdir()] == ["result"]
        files = [("files", (f"{n}.jpg", photos[n])) for n in ("obama", "astronaut")]
        both = over(client, sent(client, data={"kind": "anonymize"}, files=files))
        answer = client.get(f"/jobs/{both['id']}/result")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.namelist() == ["astronaut.jpg", "obama.jpg"]
            hidden = archive.read("obama.jpg")
        assert not FaceFinder().find(hidden).faces
        with served.client("admin") as admin:
            assert admin.get(f"/jobs/{number}/result").status_code == 200


def test_groups_of_photos(served: Served, photos: dict[str, bytes]) -> None:
    files = [("files", (f"{name}.jpg", photos[name])) for name in ("obama", "obama2", "astronaut")]
    files.append(("files", ("broken.jpg", b"nothing")))
    with served.client("enroll") as client:
        job = over(client, sent(client, data={"kind": "group", "min_size": "1"}, files=files))
    assert job["state"] == "done", job
    groups = {
        frozenset(face["source"] for face in group["faces"]) for group in job["result"]["groups"]
    }
    assert groups == {frozenset({"obama.jpg", "obama2.jpg"}), frozenset({"astronaut.jpg"})}
    assert [each["source"] for each in job["result"]["failed"]] == ["broken.jpg"]


@pytest.mark.slow
def test_a_calibration_of_labelled_photos(served: Served, tmp_path: Path) -> None:
    shared = Path(__file__).resolve().parents[3] / "shared" / "lfw"
    if not shared.is_dir():
        pytest.skip(f"{shared} is not there")
    from lineament.datasets.people_folder import read_people
    from lineament.decide.calibration import Calibration

    people = read_people(next(p for p in (shared / "images", shared) if p.is_dir()))
    chosen = [k for k in range(len(people.names)) if 2 <= people.counts[k] <= 4][:40]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for person in chosen:
            for index in people.of(person).tolist():
                archive.write(people.paths[index], f"{people.names[person]}/{index}.jpg")
    with served.client("enroll") as client:
        number = sent(
            client, data={"kind": "tune", "fmr": "0.05"}, files={"archive": file.getvalue()}
        )
        job = over(client, number)
        assert job["state"] == "done", job
        assert job["result"]["n_people"] == 40
        assert job["result"]["folder"] == "."
        path = tmp_path / "calibration.json"
        path.write_bytes(client.get(f"/jobs/{number}/result").content)
    assert Calibration.load(path).n_people <= 40


@pytest.mark.parametrize(
    ("request_", "status", "code", "option"),
    [
        ({"json": {"kind": "fly"}}, 422, "option_invalid", "kind"),
        ({"json": {"kind": "enroll"}}, 422, "option_invalid", "gallery"),
        ({"json": {"kind": "enroll", "gallery": "staff"}}, 422, "option_invalid", "files"),
        ({"json": {"kind": "enroll", "gallery": "nobody's"}}, 422, "option_invalid", "files"),
        ({"data": {"kind": "enroll", "gallery": "none"}, "files": {"files": ("1.jpg", b"x")}},
         404, "gallery_not_found", None),
        ({"json": {"kind": "reindex", "gallery": "staff", "uri": "http://x"}}, 422,
         "option_invalid", "uri"),
        ({"json": {"kind": "reindex", "gallery": "staff"}}, 403, "forbidden", None),
        ({"data": {"kind": "group"}, "files": {"files": ("../../1.jpg", b"x")}}, 422,
         "data_layout", None),
        ({"data": {"kind": "group"}, "files": {"files": ("a.exe", b"x")}}, 422,
         "data_layout", None),
        ({"data": {"kind": "group"}, "files": {"image": ("a.jpg", b"x")}}, 422, "option_invalid",
         "image"),
        ({"data": {"kind": "group"}, "files": {"archive": b"no zip"}}, 422, "data_layout", None),
        ({"data": {"kind": "group", "gallery": "staff"}, "files": {"files": ("a.jpg", b"x")}},
         422, "option_invalid", "gallery"),
        ({"data": {"kind": "anonymize", "keep": "Ann"}, "files": {"files": ("a.jpg", b"x")}},
         422, "option_invalid", "gallery"),
        ({"content": b"--x\r\nnonsense", "headers": {"content-type": FORM + "; boundary=x"}},
         422, "option_invalid", "body"),
        ({"content": b"x", "headers": {"content-type": FORM}}, 422,
         "option_invalid", "body"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "media_type", None),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    served: Served, request_: dict[str, Any], status: int, code: str, option: str | None
) -> None:
    before = sorted((served.settings.data / "jobs").iterdir())
    with served.client("enroll") as client:
        answer = client.post("/jobs", **request_)
    assert answer.status_code == status, answer.text
    assert (answer.json()["code"], answer.json()["option"]) == (code, option)
    assert sorted((served.settings.data / "jobs").iterdir()) == before


def test_jobs_are_their_owners(served: Served, photos: dict[str, bytes]) -> None:
    app: Any = served.app
    keys = app.state.lineament.keys
    other = {"Authorization": f"Bearer {keys.add('enroll')}"}
    admin = {"Authorization": f"Bearer {keys.add('admin', galleries=['staff'])}"}
    with served.client("enroll") as client:
        number = sent(client, data={"kind": "group"}, files={"files": ("a.jpg", photos["obama"])})
        over(client, number)
        for headers in (other, admin):
            for call in (client.get, client.delete):
                assert call(f"/jobs/{number}", headers=headers).status_code == 404
            listed = client.get("/jobs", headers=headers).json()["jobs"]
            assert number not in [job["id"] for job in listed]
    with served.client("admin") as client:
        assert client.get(f"/jobs/{number}").status_code == 200
        assert (
            over(client, sent(client, json={"kind": "reindex", "gallery": "staff"}))["state"]
            == "done"
        )
    with served.client("verify") as client:
        assert client.get("/jobs").status_code == 403


# ---- the line, without a server ------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Jobs]:
    """Jobs whose kind "group" does what a test says."""

    def make(run: Callable[[Doing], Any] | None = None) -> Jobs:
        if run is not None:
            kinds = dict(KINDS_OF_JOBS) | {"group": replace(KINDS_OF_JOBS["group"], run=run)}
            monkeypatch.setattr(module, "KINDS_OF_JOBS", kinds)
        gallery = Gallery.in_memory
        return Jobs(tmp_path, lambda: None, lambda name: gallery(), keep_h=1.0)  # type: ignore[arg-type, return-value]

    return make


def queued(jobs: Jobs, owner: str = "key") -> Job:
    number, folder = jobs.store.new_folder()
    (folder / "upload" / "files").mkdir()
    (folder / "upload" / "files" / "a.jpg").write_bytes(b"secret")
    return jobs.add(Job(number, "group", None, owner, {}))


def test_jobs_of_one_moment_are_done_in_the_order_in_which_they_came(
    made: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a restart."""
    clock = SimpleNamespace(time=lambda: 1.7e9, monotonic=time.monotonic)
    monkeypatch.setattr(module, "time", clock)
    jobs = made()
    came = [queued(jobs).id for _ in range(12)]
    principal = Principal("key", "enroll")
    assert [job.id for job in jobs.list(principal)] == came
    jobs.close()
    done = []

    def note(doing: Doing) -> Any:
        done.append(doing.files.parent.parent.name)
        return {}, None

    again = made(note)
    again.start()
    assert [job.id for job in again.list(principal)] == came
    wait(again, came[-1], "done")
    assert done == came
    again.close()


def test_cancelled_jobs_end_and_their_files_are_deleted(made: Callable[..., Jobs]) -> None:
    def forever(doing: Doing) -> Any:
        for number in range(10**9):
            doing.progress("turning", number, 10**9)
            time.sleep(0.001)

    jobs = made(forever)
    jobs.start()
    jobs.start()  # networks may be loaded before the application starts: once is enough
    first, second = queued(jobs), queued(jobs)
    wait(jobs, first.id, "running")
    assert jobs.get(second.id, Principal("key", "enroll")).state == "queued"
    jobs.end(second.id)
    assert wait(jobs, second.id, "cancelled").started is None
    jobs.end(first.id)
    wait(jobs, first.id, "cancelled")
    assert not jobs.store.folder(first.id).exists()
    assert not jobs.store.folder(second.id).exists()
    jobs.end(first.id)
    with pytest.raises(NotFoundError):
        jobs.get(first.id, Principal("key", "enroll"))
    jobs.close()


def test_a_stop_is_no_attempt_and_a_crash_is_one(made: Callable[..., Jobs]) -> None:
    def forever(doing: Doing) -> Any:
        while True:
            doing.progress("turning", 1, 2)
            time.sleep(0.001)

    jobs = made(forever)
    jobs.start()
    job = queued(jobs)
    wait(jobs, job.id, "running")
    jobs.close()
    (kept,) = jobs.store.all()
    assert (kept.state, kept.attempts) == ("queued", 0)
    # As a crash leaves it.
    stray, _ = jobs.store.new_folder()
    jobs.store.put(replace(kept, state="running", attempts=2))
    again = made(lambda doing: ({"files": [p.name for p in doing.files.iterdir()]}, None))
    again.start()
    done = wait(again, job.id, "done")
    assert (done.attempts, done.result) == (3, {"files": ["a.jpg"]})
    assert not again.store.folder(stray).exists()
    again.close()
    again.store.put(replace(kept, state="running", attempts=3))
    third = made()
    third.start()
    failed = wait(third, job.id, "failed")
    assert failed.problem is not None
    assert failed.problem["code"] == "service_failed"
    assert "3 times" in str(failed.problem["message"])
    third.close()


def test_results_expire_and_failures_say_why_without_paths(
    made: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(doing: Doing) -> Any:
        raise kinds_module.OptionError(f"{doing.files}/a.jpg: broken", option="files")

    jobs = made(fail)
    jobs.start()
    job = queued(jobs)
    failed = wait(jobs, job.id, "failed")
    assert failed.problem is not None
    assert failed.problem["message"] == "files: a.jpg: broken"
    assert failed.expires == pytest.approx(failed.ended + 3600)  # type: ignore[operator]
    assert failed.expires is not None
    later = failed.expires + 1  # of this line's jobs alone: a server of other tests runs on
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: later, monotonic=lambda: 0.0))
    jobs._clean()
    with pytest.raises(NotFoundError):
        jobs.get(job.id, Principal("key", "enroll"))
    assert jobs.store.all() == []
    jobs.close()


def test_what_was_sent_goes_though_the_process_ended_before(made: Callable[..., Jobs]) -> None:
    """A job that was over and whose files were not deleted yet."""
    jobs = made()
    job = queued(jobs)
    kept = queued(jobs)
    jobs.store.put(replace(job, state="failed"))
    jobs.store.put(replace(kept, state="done", file="a.zip"))
    (jobs.store.folder(kept.id) / "result").mkdir()
    again = made()
    again.start()
    again.close()
    assert not again.store.folder(job.id).exists()
    assert [path.name for path in again.store.folder(kept.id).iterdir()] == ["result"]


def test_a_person_is_forgotten_in_results(made: Callable[..., Jobs], tmp_path: Path) -> None:
    jobs = made(lambda doing: ({"people": ["Ann Xyzzy"]}, None))
    jobs.start()
    number, _ = jobs.store.new_folder()
    (jobs.store.folder(number) / "upload" / "files").mkdir()
    jobs.add(Job(number, "group", "staff", "key", {}))
    wait(jobs, number, "done")
    jobs.forget("staff")
    assert jobs.get(number, Principal("key", "enroll")).result is None
    jobs.close()
    data = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"Xyzzy" not in data


# ---- a process that is killed --------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_that_is_killed_goes_on_with_its_job(
    photos: dict[str, bytes], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    Gallery.create(data / "galleries" / "staff").close()
    key = KeyStore(data).add("admin")
    file = io.BytesIO()
    n_photos = 60
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(n_photos):
            name = ("obama", "astronaut", "obama2")[number % 3]
            with PILImage.open(io.BytesIO(photos[name])) as picture:
                copy = io.BytesIO()
                picture.save(copy, "JPEG", quality=95 - number // 3)
            archive.writestr(f"{name}/{number}.jpg", copy.getvalue())
    environment = os.environ | {"LINEAMENT_SERVER_DATA": str(data), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lineament", "serve", "--port", "0", "--json"]

    def started() -> tuple[subprocess.Popen[str], httpx.Client]:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        client = httpx.Client(
            base_url=f"{address}/v1", headers={"X-API-Key": key}, timeout=PATIENCE_S
        )
        due = time.monotonic() + PATIENCE_S
        while time.monotonic() < due:
            try:
                if client.get("/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        return process, client

    process, client = started()
    try:
        number = sent(
            client,
            data={"kind": "enroll", "gallery": "staff", "force": "true"},
            files={"archive": file.getvalue()},
        )
        due = time.monotonic() + PATIENCE_S
        while time.monotonic() < due:
            progress = client.get(f"/jobs/{number}").json()["progress"]
            if progress["what"] == "enrolling photos" and progress["done"] >= 10:
                break
            time.sleep(0.01)
        assert 10 <= progress["done"] < n_photos
        process.send_signal(signal.SIGKILL)
        process.communicate()
        client.close()
        process, client = started()
        job = over(client, number)
        assert (job["state"], job["attempts"]) == ("done", 2), job
        result = job["result"]
        assert result["n_enrolled"] + result["n_enrolled_already"] == n_photos
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    finally:
        process.kill()
        process.communicate()
        client.close()
    with Gallery.open(data / "galleries" / "staff", read_only=True) as gallery:
        assert gallery.n_samples == n_photos
        assert gallery.check() == []
    assert not (data / "jobs" / number).exists()
