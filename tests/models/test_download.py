"""Downloads against a real HTTP server on this machine, which misbehaves on request."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import filelock
import pytest
from raw_server import DRIPPING, HEAD, Answer, RawServer, drips, found, moved, says, serving

from lineament import web
from lineament.errors import WeightsDownloadError, WeightsHashError
from lineament.files import locked
from lineament.models import _download as download

CONTENT = random.Random(1).randbytes(700_001)  # three chunks, the last one odd
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ETAG = '"one"'


@dataclass
class Site:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    ranges: bool = True
    etag: str | None = ETAG
    modified: str | None = None
    statuses: list[int] = field(default_factory=list)  # answered first, one a request
    cuts: list[int] = field(default_factory=list)  # bytes to send before the connection dies
    announce: int | None = None  # a Content-Length that is not true
    length: bool = True  # whether there is a Content-Length at all
    shift: int = 0  # how far a range begins beside what was asked
    redirect: str | None = None
    pause_after: int | None = None  # bytes to send before waiting for ``go_on``
    go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        site.asked.append(dict(self.headers.items()))
        self.close_connection = True
        if site.redirect is not None:
            self.send_response(302)
            self.send_header("Location", site.redirect)
            self.end_headers()
            return
        if site.statuses:
            self.send_error(site.statuses.pop(0))
            return
        total, start = len(site.content), 0
        asked = self.headers.get("Range")
        unchanged = self.headers.get("If-Range") in (None, site.etag, site.modified)
        if asked is not None and site.ranges and unchanged:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + site.shift
            if start >= total:
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        body = site.content[start:]
        if site.etag is not None:
            self.send_header("ETag", site.etag)
        if site.modified is not None:
            self.send_header("Last-Modified", site.modified)
        if site.length:
            length = len(body) if site.announce is None else site.announce
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if site.cuts:
            body = body[: site.cuts.pop(0)]
        if site.pause_after is not None:
            self.wfile.write(body[: site.pause_after])
            self.wfile.flush()
            body = body[site.pause_after :]
            site.go_on.wait(30)
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients may hang up
            super().handle_error(request, client_address)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(download, "BACKOFF_S", 0.001)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("LINEAMENT_OFFLINE", raising=False)
    site = Site()
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_address[1]}/model.onnx"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "model.onnx"


def fetch(site: Site, target: Path, **changes: object) -> None:
    arguments = {"sha256": SHA256, "size": len(CONTENT), "what": 'weights "x"'} | changes
    download.fetch(site.url, target, **arguments)  # type: ignore[arg-type]


def visible(target: Path) -> list[str]:
    """What lies in the cache folder, the lock file aside."""
    return sorted(p.name for p in target.parent.iterdir() if not p.name.endswith(".lock"))


def test_plain_download_reports_progress_and_leaves_only_the_file(site: Site, target: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch(site, target, progress=lambda done, total: seen.append((done, total)))

    assert target.read_bytes() == CONTENT
    assert visible(target) == ["model.onnx"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(site.asked) == 1
    assert "Range" not in site.asked[0]


def test_a_file_that_is_there_is_not_fetched_again(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    fetch(site, target)
    assert site.asked == []


@pytest.mark.parametrize(
    ("etag", "modified", "if_range"),
    [
        (ETAG, None, ETAG),
        (ETAG, "Sat, 01 Jan 2022 00:00:00 GMT", ETAG),
        (None, "Sat, 01 Jan 2022 00:00:00 GMT", "Sat, 01 Jan 2022 00:00:00 GMT"),
        ('W/"weak"', None, None),
        (None, None, None),
    ],
)
def test_a_cut_connection_is_resumed(
    site: Site, target: Path, etag: str | None, modified: str | None, if_range: str | None
) -> None:
    site.etag, site.modified, site.cuts = etag, modified, [300_000, 100_000]
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert visible(target) == ["model.onnx"]
    assert [asked.get("Range") for asked in site.asked] == [None, "bytes=300000-", "bytes=400000-"]
    assert [asked.get("If-Range") for asked in site.asked] == [None, if_range, if_range]


def test_an_interrupted_call_is_resumed_by_the_next_one(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    site.cuts = [123_456]
    with pytest.raises(WeightsDownloadError, match="123456 of 700001 bytes"):
        fetch(site, target)
    assert visible(target) == ["model.onnx.part", "model.onnx.part.json"]

    seen: list[int] = []
    fetch(site, target, progress=lambda done, total: seen.append(done))
    assert seen[0] == 123_456
    assert site.asked[1]["Range"] == "bytes=123456-"
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_makes_it_start_over(site: Site, target: Path) -> None:
    site.ranges, site.cuts = False, [300_000]
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert site.asked[1]["Range"] == "bytes=300000-"


@pytest.mark.parametrize("etag", [ETAG, None])
def test_a_file_that_changed_between_two_parts_is_never_mixed(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch, etag: str | None
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    site.etag, site.content, site.cuts = etag, bytes(len(CONTENT)), [200_000]
    with pytest.raises(WeightsDownloadError):
        fetch(site, target)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    site.content = CONTENT
    site.etag = None if etag is None else '"two"'
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    # With a validator the server notices, and without one the hash does, which costs a request.
    assert len(site.asked) == (2 if etag else 3)


def test_a_part_that_belongs_to_another_address_is_dropped(site: Site, target: Path) -> None:
    target.parent.mkdir()
    part = target.with_name("model.onnx.part")
    part.write_bytes(bytes(1000))
    note = {"url": "http://elsewhere.example/x", "sha256": SHA256, "validator": None}
    part.with_name("model.onnx.part.json").write_text(json.dumps(note))
    fetch(site, target)
    assert "Range" not in site.asked[0]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["", "[]", "null", '{"url": 1}', "[" * 10_000])
def test_a_broken_note_makes_it_start_over(site: Site, target: Path, note: str) -> None:
    target.parent.mkdir()
    target.with_name("model.onnx.part").write_bytes(CONTENT[:1000])
    target.with_name("model.onnx.part.json").write_text(note)
    fetch(site, target)
    assert "Range" not in site.asked[0]
    assert target.read_bytes() == CONTENT


def test_a_range_that_begins_elsewhere_is_not_appended(site: Site, target: Path) -> None:
    site.cuts, site.shift = [300_000], 7
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert [asked.get("Range") for asked in site.asked] == [None, "bytes=300000-", None]


def test_a_refused_range_makes_it_start_over(site: Site, target: Path) -> None:
    site.cuts, site.shift = [300_000], len(CONTENT)  # the range is past the end: 416
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert len(site.asked) == 3


@pytest.mark.parametrize("statuses", [[500], [503, 502, 429]])
def test_temporary_errors_are_tried_again(site: Site, target: Path, statuses: list[int]) -> None:
    count = len(statuses)
    site.statuses = statuses
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert len(site.asked) == count + 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_final_errors_are_not_tried_again_and_say_what_to_do(
    site: Site, target: Path, status: int
) -> None:
    site.statuses = [status]
    with pytest.raises(WeightsDownloadError) as caught:
        fetch(site, target)
    message = str(caught.value)
    for part in (f"HTTP {status}", 'weights "x"', site.url, str(target), SHA256, "700001"):
        assert part in message
    assert len(site.asked) == 1
    assert visible(target) == []


def test_it_gives_up_in_the_end(site: Site, target: Path) -> None:
    site.statuses = [503] * 20
    with pytest.raises(WeightsDownloadError, match=f"503.*{download.ATTEMPTS} attempts"):
        fetch(site, target)
    assert len(site.asked) == download.ATTEMPTS


def test_nobody_listens(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BACKOFF_S", 0.001)
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(WeightsDownloadError, match="attempts"):
            fetch(Site(url=f"http://127.0.0.1:{port}/x"), target)
    assert visible(target) == []


def test_a_server_that_falls_silent_is_left_and_resumed(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    site.pause_after = 100_000

    def release() -> None:
        wait_until(lambda: len(site.asked) == 2)
        site.go_on.set()

    releaser = threading.Thread(target=release)
    releaser.start()
    fetch(site, target)
    releaser.join()
    assert site.asked[1]["Range"] == "bytes=100000-"
    assert target.read_bytes() == CONTENT


def test_the_right_size_with_wrong_content_is_never_installed(site: Site, target: Path) -> None:
    site.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(WeightsHashError, match=hashlib.sha256(site.content).hexdigest()):
        fetch(site, target)
    assert visible(target) == []
    assert len(site.asked) == 1


@pytest.mark.parametrize("announced", [len(CONTENT) + 1, len(CONTENT) - 1, 10**30, 0])
def test_another_size_is_refused_before_a_byte_is_stored(
    site: Site, target: Path, announced: int
) -> None:
    site.announce = announced
    with pytest.raises(WeightsDownloadError, match=f"announces {announced}"):
        fetch(site, target)
    assert visible(target) == []
    assert len(site.asked) == 1


def test_an_endless_answer_is_cut_off(site: Site, target: Path) -> None:
    site.content, site.length = CONTENT * 5, False
    most = 0

    def progress(done: int, total: int) -> None:
        nonlocal most
        most = max(most, done)

    with pytest.raises(WeightsDownloadError, match="more than the promised 700001"):
        fetch(site, target, progress=progress)
    assert most <= len(CONTENT)
    assert visible(target) == []


def test_an_answer_that_is_always_too_short_ends_in_an_error(site: Site, target: Path) -> None:
    site.content, site.length, site.ranges = CONTENT[:1000], False, False
    with pytest.raises(WeightsDownloadError, match="1000 of 700001"):
        fetch(site, target)
    assert not target.exists()


@pytest.mark.parametrize("place", ["file:///etc/hostname", "gopher://127.0.0.1/x"])
def test_redirects_lead_nowhere_but_to_http(site: Site, target: Path, place: str) -> None:
    site.redirect = place
    with pytest.raises(WeightsDownloadError):
        fetch(site, target)
    assert visible(target) == []


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_forbids(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("LINEAMENT_OFFLINE", value)
    with pytest.raises(WeightsDownloadError, match="LINEAMENT_OFFLINE") as caught:
        fetch(site, target)
    assert str(target) in str(caught.value)
    assert site.asked == []


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_offline_can_be_switched_off(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("LINEAMENT_OFFLINE", value)
    fetch(site, target)
    assert target.read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_a_clear_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(WeightsDownloadError, match="LINEAMENT_CACHE"):
        fetch(site, tmp_path / "file" / "model.onnx")


def test_an_error_in_the_callback_reaches_the_caller(site: Site, target: Path) -> None:
    def progress(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(site, target, progress=progress)
    assert not target.exists()
    fetch(site, target)
    assert site.asked[1]["Range"].startswith("bytes=")
    assert target.read_bytes() == CONTENT


CHILD = """
import sys
from pathlib import Path
from lineament.files import locked
from lineament.models import _download as download
url, target, sha256, size = sys.argv[1:]
download.fetch(url, Path(target), sha256=sha256, size=int(size), what="x")
"""


def child(site: Site, target: Path) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, site.url, str(target), SHA256, str(len(CONTENT))],
        env=os.environ | {"PYTHONPATH": paths},
    )


def wait_until(condition: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_download_installs_nothing_and_is_resumed(site: Site, target: Path) -> None:
    site.pause_after = 400_000
    part = target.with_name("model.onnx.part")
    process = child(site, target)
    try:
        wait_until(lambda: part.exists() and part.stat().st_size == 400_000)
    finally:
        process.kill()
        process.wait()
    assert not target.exists()

    site.go_on.set()
    fetch(site, target)  # the dead process's lock does not hold it up
    assert site.asked[-1]["Range"] == "bytes=400000-"
    assert target.read_bytes() == CONTENT
    assert visible(target) == ["model.onnx"]


def test_two_processes_at_once_fetch_it_once(site: Site, target: Path) -> None:
    site.pause_after = 100_000
    processes = [child(site, target), child(site, target)]
    wait_until(lambda: len(site.asked) >= 1)
    time.sleep(0.3)  # let the other one come to the lock
    site.go_on.set()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert target.read_bytes() == CONTENT
    assert visible(target) == ["model.onnx"]
    assert len(site.asked) == 1


def test_two_at_once_without_locks_are_both_right(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(self: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "_acquire", no_locks)
    site.pause_after = 100_000
    failed: list[BaseException] = []

    def work() -> None:
        try:
            fetch(site, target)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(site.asked) == 2)  # neither waits for the other
    site.go_on.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert target.read_bytes() == CONTENT
    assert visible(target) == ["model.onnx"]


def test_a_holder_that_hangs_is_not_waited_for_for_ever(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LOCK_WAIT_S", 0.1)
    target.parent.mkdir()
    with locked(target.with_name(f".{target.name}.lock"), busy=WeightsDownloadError) as lock:
        assert lock.works
        fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert visible(target) == ["model.onnx"]


# --- servers and folders that mean harm -----------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    monkeypatch.setattr(download, "BACKOFF_S", 0.001)
    monkeypatch.setattr(download, "TIMEOUT_S", 0.15)


def said_of(answer: Answer, target: Path) -> str:
    """What the error says when the server answers so: one line, without a control character."""
    with serving(x=answer) as server:
        with pytest.raises(WeightsDownloadError) as caught:
            fetch(Site(url=server.url("x")), target)
        assert server.connections <= 12
    assert not target.exists()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800
    assert [p for p in target.parent.glob("*.part") if p.stat().st_size > len(CONTENT)] == []
    return str(caught.value)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("place", DRIPPING)
def test_a_server_that_drips_is_left(place: str, target: Path) -> None:
    assert "less than 32,768 bytes within 0.15 s (2 attempts" in said_of(DRIPPING[place], target)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (drips(HEAD + b"\r\n", bytes(100_000), 0), "more than the promised 700001 bytes"),
        (
            drips(
                HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                b"8000\r\n" + bytes(32768) + b"\r\n",
                0,
            ),
            "more than the promised 700001 bytes",
        ),
        (moved("/x"), "more than 5 redirects"),
        (moved("file:///etc/passwd"), "neither to http nor to https"),
        (moved("ftp://127.0.0.1/x"), "neither to http nor to https"),
        (moved("http://u:p@127.0.0.1/x"), "a user or a password"),
        (moved("http://["), "neither to http nor to https"),
        (found(CONTENT, "Content-Encoding: gzip"), "packs it"),
        (says(b"HTTP/1.1 404 \x1b[2J\x9b2J" + b"x" * 9000 + b"\r\n\r\n"), r"404 (\x1b[2J\x9b2J"),
        (says(b"HTTP/1.1 503 \x1b[2J\r\n\r\n"), r"503 (\x1b[2J)"),
        (says(b"\x1b]0;t\x07" + b"x" * 9000 + b"\r\n\r\n"), r"\x1b]0;t\x07"),
        (says(HEAD + b"X-A: " + b"b" * 2_000_000 + b"\r\n\r\n"), "2 attempts"),
        (says(HEAD + b"X-A: b\r\n" * 100_000 + b"\r\n"), "2 attempts"),
        (says(HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"), "announces 9999999999"),
        (says(b"HTTP/1.1 206 OK\r\nContent-Range: \x1b[2J\r\n\r\n"), "2 attempts"),
        (says(b"HTTP/1.1 206 OK\r\nContent-Range: bytes 7-9/700001\r\n\r\n"), "sends 7-9/700001"),
        (says(b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-9/10\r\n\r\n"), "announces 10"),
        (says(b"HTTP/1.1 204 OK\r\n\r\n"), "HTTP 204"),
        (says(b"HTTP/1.1 304 OK\r\n\r\n"), "HTTP 304"),
    ],
)
def test_hostile_answers(answer: Answer, words: str, target: Path) -> None:
    assert words in said_of(answer, target)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "header",
    ['ETag: "a\x1b[2Jb"', 'ETag: "a"\r\n b', "Last-Modified: \xff", 'ETag: "' + "e" * 60_000],
)
def test_a_validator_that_cannot_stand_in_a_header_is_left_out(header: str, target: Path) -> None:
    head = f"HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
    with serving(x=says(head.encode("latin-1"), CONTENT[:100_000])) as server:
        with pytest.raises(WeightsDownloadError):
            fetch(Site(url=server.url("x")), target)
        assert "Range: bytes=100000-" in server.asked[1]
        assert "If-Range" not in server.asked[1]


def test_a_redirect_of_a_public_server_leads_to_no_private_one(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        public = RawServer("127.0.0.2")
    except OSError:
        pytest.skip("this system has no address 127.0.0.2")
    monkeypatch.setattr(web, "is_public", lambda address: address == "127.0.0.2")
    public.answers["x"] = moved(site.url)
    try:
        with pytest.raises(WeightsDownloadError, match="to this machine or to a network"):
            fetch(Site(url=public.url("x", "127.0.0.2")), target)
        assert site.asked == []
        site.redirect = public.url("y", "127.0.0.2")  # the other way round it is followed
        public.answers["y"] = found(CONTENT)
        fetch(site, target)
        assert target.read_bytes() == CONTENT
        site.redirect = None
        target.unlink()
        monkeypatch.setenv("LINEAMENT_ALLOW_PRIVATE", "1")
        fetch(Site(url=public.url("x", "127.0.0.2")), target)
    finally:
        public.stop()
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "0.0.0.0", "[fd00::1]"])
def test_a_card_leads_to_no_private_network(
    host: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(web, "_connect", connect)
    with pytest.raises(WeightsDownloadError, match="LINEAMENT_ALLOW_PRIVATE=1 allows"):
        fetch(Site(url=f"http://{host}/x"), target)
    monkeypatch.setenv("LINEAMENT_ALLOW_PRIVATE", "1")
    with pytest.raises(AssertionError, match="somebody was asked"):
        fetch(Site(url=f"http://{host}/x"), target)


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
@pytest.mark.parametrize("name", ["model.onnx.part", "model.onnx.part.json"])
@pytest.mark.parametrize("kind", ["link", "hard link", "dangling link", "pipe", "socket"])
def test_files_of_others_in_the_cache_are_replaced_and_not_followed(
    site: Site, target: Path, name: str, kind: str, tmp_path: Path
) -> None:
    target.parent.mkdir()
    good = {"url": site.url, "sha256": SHA256, "validator": None}
    target.with_name("model.onnx.part").write_bytes(CONTENT[:1000])
    target.with_name("model.onnx.part.json").write_text(json.dumps(good))
    precious = tmp_path / "precious"
    precious.write_bytes(target.with_name(name).read_bytes())
    before = precious.read_bytes()
    target.with_name(name).unlink()
    if kind == "link":
        target.with_name(name).symlink_to(precious)
    elif kind == "hard link":
        target.with_name(name).hardlink_to(precious)
    elif kind == "dangling link":
        target.with_name(name).symlink_to(tmp_path / "new")
    elif kind == "pipe":
        os.mkfifo(target.with_name(name))
    else:
        with socket.socket(socket.AF_UNIX) as there:
            there.bind(str(target.with_name(name)))
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert "Range" not in site.asked[0]
    assert precious.read_bytes() == before
    assert visible(target) == ["model.onnx"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"validator": "a\r\nX-Evil: 1"}, {"validator": "\xe9"}, {"validator": "x" * 5000},
        {"validator": ["a"]}, {"url": None}, {"padding": "x" * 100_000},
    ],
)  # fmt: skip
def test_a_hostile_note_makes_it_start_over(site: Site, target: Path, change: object) -> None:
    note = {"url": site.url, "sha256": SHA256, "validator": None}
    assert isinstance(change, dict)
    target.parent.mkdir()
    target.with_name("model.onnx.part").write_bytes(CONTENT[:1000])
    target.with_name("model.onnx.part.json").write_text(json.dumps(note | change))
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert "Range" not in site.asked[0]
    assert "X-Evil" not in site.asked[0]
