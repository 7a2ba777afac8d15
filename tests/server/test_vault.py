"""What is sent for jobs and comes out is encrypted on the disk, where the server has a key."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from server_under_test import Served, run_server
from waited_jobs import wait

from lineament.errors import GalleryKeyError
from lineament.gallery.keys import TEXT_VARIABLE, VARIABLES
from lineament.server.jobs import Job, Jobs, vault
from lineament.server.jobs import jobs as module
from lineament.server.jobs.kinds import KINDS_OF_JOBS, Doing
from lineament.server.jobs.vault import Vault
from lineament.server.roles import Principal
from lineament.server.settings import ServerSettings

pytest.importorskip("cryptography")

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
SECRET, NAME = b"a photo of somebody" * 9, "Ann Xyzzy/1.jpg"
PATIENCE_S = 120.0


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where jobs work: a folder in memory (here another one of the test's), or their own."""
    memory = tmp_path / "memory"
    if request.param == "memory":
        memory.mkdir()
    monkeypatch.setattr(vault, "MEMORY", memory)
    return memory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def readable(folder: Path) -> bool:
    found = b"".join(
        bytes(path) + (path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")
    )
    return SECRET[:19] in found or b"Xyzzy" in found


def jobs_of(monkeypatch: pytest.MonkeyPatch, data: Path, run: Any, key: bytes | None = KEY) -> Jobs:
    kinds = dict(KINDS_OF_JOBS) | {"group": replace(KINDS_OF_JOBS["group"], run=run)}
    monkeypatch.setattr(module, "KINDS_OF_JOBS", kinds)
    none: Any = lambda *_: None  # noqa: E731
    return Jobs(data, none, none, keep_h=1.0, vault=Vault(data, key))


def queued(jobs: Jobs) -> Job:
    number, folder = jobs.store.new_folder()
    files = folder / "upload" / "files"
    files.mkdir()
    with jobs.store.vault.create(files / "1") as file:
        file.write(SECRET)
    jobs.store.vault.put_names(files, [NAME])
    return jobs.add(Job(number, "group", None, "key", {}))


def work(doing: Doing) -> Any:
    """A job that gives back what it was given."""
    (doing.out / "out.bin").write_bytes((doing.files / NAME).read_bytes())
    return {"people": [path.name for path in doing.files.iterdir()]}, "out.bin"


def test_a_job_from_its_file_to_its_result(
    place: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    jobs = jobs_of(monkeypatch, data, lambda doing: (seen.append(doing.files), work(doing))[1])
    job = queued(jobs)
    assert not readable(data)
    jobs.start()
    done = wait(jobs, job.id, "done")
    assert done.result == {"people": ["Ann Xyzzy"]}
    assert seen[0].is_relative_to(place if place.exists() else jobs.store.folder(job.id) / "work")
    assert not seen[0].exists()
    assert not place.exists() or not list(place.iterdir())
    assert not readable(data)
    with jobs.store.vault.open(jobs.file_of(done)) as file:
        assert file.read() == SECRET
    assert [one.result for one in jobs.store.all()] == [done.result]
    jobs.end(job.id)
    assert not jobs.store.folder(job.id).exists()
    jobs.close()


def test_a_failure_names_files_and_nothing_stays(
    place: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(doing: Doing) -> Any:
        raise GalleryKeyError(f"{doing.files / NAME}: no")

    jobs = jobs_of(monkeypatch, data, fail)
    job = queued(jobs)
    jobs.start()
    failed = wait(jobs, job.id, "failed")
    assert failed.problem is not None
    assert failed.problem["message"] == f"{NAME}: no"
    assert not readable(data)
    assert not jobs.store.folder(job.id).exists()
    assert not place.exists() or not list(place.iterdir())
    jobs.close()


def test_begun_again_after_a_crash(
    place: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(monkeypatch, data, work)
    job = queued(jobs)
    jobs.store.put(replace(job, state="running", attempts=1))
    # As a process leaves it that is killed: its plain files, in memory or not.
    left = jobs.store.folder(job.id) / "work"
    if place.exists():
        left = place / f"{jobs.store.vault._prefix}abc"
    (left / "files").mkdir(parents=True)
    (left / "files" / "x").write_bytes(SECRET)
    (data / "jobs" / "stray").mkdir()
    again = jobs_of(monkeypatch, data, work)
    again.start()
    done = wait(again, job.id, "done")
    assert done.attempts == 2
    assert not left.exists()
    assert not readable(data)
    assert not (data / "jobs" / "stray").exists()
    again.close()


@pytest.mark.parametrize("key", [OTHER, None])
def test_another_key(data: Path, monkeypatch: pytest.MonkeyPatch, key: bytes | None) -> None:
    jobs = jobs_of(monkeypatch, data, work)
    job = queued(jobs)
    other = jobs_of(monkeypatch, data, work, key)
    other.start()
    failed = other.get(job.id, Principal("key", "enroll"))
    assert failed.state == "failed"
    assert failed.problem is not None
    assert "present key" in str(failed.problem["message"])
    monkeypatch.setattr(module.time, "time", lambda: failed.expires + 1)  # type: ignore[operator]
    other._clean()
    assert not other.store.folder(job.id).exists()
    other.close()


def test_sent_before_the_server_had_a_key(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = jobs_of(monkeypatch, data, work, None)
    number, folder = plain.store.new_folder()
    (folder / "upload" / "files" / "Ann Xyzzy").mkdir(parents=True)
    (folder / "upload" / "files" / NAME).write_bytes(SECRET)
    plain.add(Job(number, "group", None, "key", {}))
    jobs = jobs_of(monkeypatch, data, work)
    jobs.start()
    assert wait(jobs, number, "done").result == {"people": ["Ann Xyzzy"]}
    assert not readable(data)
    jobs.close()


def test_changed_files_are_refused(data: Path) -> None:
    kept = Vault(data, KEY)
    with kept.create(data / "1") as file:
        file.write(SECRET)
    content = (data / "1").read_bytes()
    (data / "2").write_bytes(content)  # in another place
    (data / "3").write_bytes(content[:-1])
    for name in ("2", "3"):
        with pytest.raises(GalleryKeyError):
            kept.open(data / name)
    sealed = kept.seal("a", "result", "{}")
    assert kept.unseal("a", "result", sealed) == "{}"
    for number, column in (("b", "result"), ("a", "options")):
        with pytest.raises(GalleryKeyError):
            kept.unseal(number, column, sealed)


# --- over a socket --------------------------------------------------------------------------------


@pytest.fixture
def served(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(TEXT_VARIABLE, KEY.hex())
    yield from run_server(ServerSettings(data=data, port=0, threads=1))


def test_sent_and_fetched(served: Served, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def run(doing: Doing) -> Any:
        go_on.wait(PATIENCE_S)
        (doing.out / "out.bin").write_bytes((doing.files / NAME).read_bytes())
        names = [path.relative_to(doing.files).as_posix() for path in doing.files.rglob("*.jpg")]
        return {"files": sorted(names)}, "out.bin"

    kinds = dict(KINDS_OF_JOBS) | {"group": replace(KINDS_OF_JOBS["group"], run=run)}
    monkeypatch.setattr(module, "KINDS_OF_JOBS", kinds)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr(NAME, SECRET)
    files = [("files", (NAME, SECRET)), ("files", ("b.jpg", b"b"))]
    with served.client("enroll") as client:
        sent = [
            client.post("/jobs", data={"kind": "group"}, files=files),
            client.post(
                "/jobs",
                params={"kind": "group"},
                content=archive.getvalue(),
                headers={"content-type": "application/zip"},
            ),
        ]
        assert [answer.status_code for answer in sent] == [202, 202], sent[0].text
        twice = [("files", ("a.jpg", b"a")), ("files", ("a.jpg", b"b"))]
        refused = client.post("/jobs", data={"kind": "group"}, files=twice)
        assert (refused.status_code, refused.json()["code"]) == (422, "data_layout")
        number = sent[1].json()["id"]
        assert not readable(data / "jobs" / number)
        go_on.set()
        for answer, names in zip(sent, ([NAME, "b.jpg"], [NAME]), strict=True):
            number = answer.json()["id"]
            due = time.monotonic() + PATIENCE_S
            while (job := client.get(f"/jobs/{number}").json())["state"] != "done":
                assert job["state"] in ("queued", "running"), job
                assert time.monotonic() < due
                time.sleep(0.05)
            assert job["result"] == {"files": names}
            fetched = client.get(f"/jobs/{number}/result")
            assert fetched.content == SECRET
            assert fetched.headers["content-disposition"] == 'attachment; filename="out.bin"'
            assert not readable(data)
            assert json.dumps(job)
