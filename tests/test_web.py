"""Addresses that others name: which are asked, how long, and what an answer may be."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from raw_server import DRIPPING, HEAD, RawServer, drips, found, moved, says, serving

from lineament import web


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def fetch(url: str, seconds: float = 5.0, **options: Any) -> bytes:
    with web.open_url(url, web.Deadline(seconds), **options) as answer:
        assert answer.status == 200, answer.words
        parts = []
        while part := answer.read(65536):
            parts.append(part)
        return b"".join(parts)


# --- which addresses ------------------------------------------------------------------------------

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1",
          "100.128.0.1", "169.253.1.1", "192.167.1.1", "223.255.255.255", "2606:4700::1111",
          "2a00:1450:4001::1", "2001:4860:4860::8888"]  # fmt: skip
PRIVATE = ["0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1",
           "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
           "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
           "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
           "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
           "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1",
           "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1",
           "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1",
           "fe80::1%2", "fec0::1", "ff02::1", "ff0e::1", "2606:4700::1111%2"]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert web.is_public(address)
    assert ipaddress.ip_address(address).is_global


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not web.is_public(address)


HOSTS = [
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "127.0.1", "2130706433",
    "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0", "127.0.0.1.",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]",
    "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost", "[fe80::1%25lo]", "[fe80::1%lo]",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_no_spelling_of_this_machine_is_asked(host: str) -> None:
    with serving(a=found(b"secret")) as server:
        for path in ("a", "a?b", "a#b"):
            with pytest.raises(OSError):  # noqa: PT011  (refused, or no address at all)
                fetch(f"http://{host}:{server.port}/{path}")
        assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433"])
def test_they_are_asked_where_that_is_allowed(host: str) -> None:
    with serving(a=found(b"bytes")) as server:
        assert fetch(server.url("a", host), allow_private=True) == b"bytes"
        assert f"Host: {host}:{server.port}\r\n" in server.asked[0]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/a", "gopher://127.0.0.1/", "//127.0.0.1/a", "a",
        "http://", "http:///a", "http://[::1/a", "http://[x]/", "http://a:b/", "http://a:99999/",
        "http://u@127.0.0.1/", "http://u:p@127.0.0.1/", "http://@127.0.0.1/", "http://%31/",
        "http://" + "a" * 300 + "/", "http://a..b/", "http://\x7f/", "http://a b/",
    ],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011
        fetch(url, allow_private=True)


# Every address of 127.0.0.0/8 is this machine: one of them plays the public internet here.
OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RawServer, RawServer]]:
    """A server at an address that is taken for a public one, and one at a private address."""
    try:
        outside = RawServer(OUTSIDE)
    except OSError:
        pytest.skip("this system has no address 127.0.0.2")
    inside = RawServer(INSIDE)
    inside.answers["a"] = found(b"secret")
    monkeypatch.setattr(web, "is_public", lambda address: address == OUTSIDE)
    yield outside, inside
    outside.stop()
    inside.stop()


def names(monkeypatch: pytest.MonkeyPatch, **answers: list[list[str]]) -> list[str]:
    """Make names that stand for the first addresses at first, and for the next ones then."""
    real, asked = socket.getaddrinfo, list[str]()

    def look_up(host: str, port: int, *rest: Any, **more: Any) -> Any:
        key = str(host).replace(".", "_")
        if key not in answers:
            return real(host, port, *rest, **more)
        if more.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        asked.append(host)
        found = answers[key].pop(0) if len(answers[key]) > 1 else answers[key][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_a_name_is_looked_up_once(
    internet: tuple[RawServer, RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside = internet
    outside.answers["a"] = found(b"public")
    asked = names(monkeypatch, twice_test=[[OUTSIDE], [INSIDE]])
    assert fetch(f"http://twice.test:{outside.port}/a") == b"public"
    assert asked == ["twice.test"]
    assert f"Host: twice.test:{outside.port}\r\n" in outside.asked[0]
    with pytest.raises(web.PrivateAddressError):
        fetch(f"http://twice.test:{inside.port}/a")
    assert inside.connections == 0


def test_of_several_addresses_only_public_ones_are_asked(
    internet: tuple[RawServer, RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside = internet
    outside.answers["a"] = found(b"public")
    names(monkeypatch, both_test=[[INSIDE, OUTSIDE, INSIDE]], closed_test=[["127.0.0.3", INSIDE]])
    assert fetch(f"http://both.test:{outside.port}/a") == b"public"
    monkeypatch.setattr(web, "is_public", lambda address: address != INSIDE)
    with pytest.raises(ConnectionRefusedError):  # and the private one is not the next to be asked
        fetch(f"http://closed.test:{inside.port}/a")
    assert inside.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [1, 4])
def test_a_redirect_leads_to_no_private_address(
    internet: tuple[RawServer, RawServer], status: int, hops: int
) -> None:
    outside, inside = internet
    for hop in range(hops):
        outside.answers[f"hop{hop}"] = moved(f"/hop{hop + 1}", status)
    outside.answers[f"hop{hops}"] = moved(inside.url("a"), status)
    for options in ({}, {"allow_own": True}):
        with pytest.raises(web.PrivateAddressError):
            fetch(outside.url("hop0", OUTSIDE), **options)
    assert inside.connections == 0
    assert fetch(outside.url("hop0", OUTSIDE), allow_private=True) == b"secret"


def test_this_machine_alone_may_be_allowed(
    internet: tuple[RawServer, RawServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside = internet
    inside.answers["on"] = moved("/a")
    assert fetch(inside.url("on"), allow_own=True) == b"secret"
    outside.answers["a"] = found(b"public")
    inside.answers["out"] = moved(outside.url("a", OUTSIDE))
    assert fetch(inside.url("out"), allow_own=True) == b"public"
    inside.answers["far"] = moved("http://10.0.0.1/")
    names(monkeypatch, both_test=[["127.0.0.1", "10.0.0.1"]])
    for url in (inside.url("far"), "http://10.0.0.1/", f"http://both.test:{inside.port}/a"):
        with pytest.raises(web.PrivateAddressError):
            fetch(url, allow_own=True)
    with pytest.raises(web.PrivateAddressError):
        fetch(inside.url("out"))


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/a", "data:text/plain,a", "javascript:1", "jar:x",
        "unix:///run/x", "gopher://127.0.0.1/", "FILE:///etc/passwd", "http+unix://x/",
        "http://u:p@127.0.0.1/a", "http://[", "http://a:b/", "http:///a",
        "//[::1", "http://127.0.0.1:99999/", "loop", "",
    ],
)  # fmt: skip
def test_redirects_that_are_not_followed(target: str) -> None:
    with serving(loop=moved(target)) as server:
        with pytest.raises(OSError):  # noqa: PT011
            fetch(server.url("loop"), allow_private=True)
        assert server.connections <= web.MAX_REDIRECTS + 1


def test_a_redirect_without_a_place_is_no_redirect() -> None:
    with (
        serving(a=says(b"HTTP/1.1 302 Moved\r\n\r\n")) as server,
        web.open_url(server.url("a"), web.Deadline(5), allow_private=True) as answer,
    ):
        assert answer.status == 302


# --- proxies --------------------------------------------------------------------------------------


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    with serving() as server:
        server.answers[""] = found(b"by the proxy")
        monkeypatch.setenv("http_proxy", f"http://me:pass%20word@127.0.0.1:{server.port}")
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{server.port}")
        yield server


def test_a_proxy_may_be_private_and_what_it_is_asked_for_may_not(
    proxy: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, inner_test=[["10.0.0.1"]], mixed_test=[["8.8.8.8", "10.0.0.1"]])
    assert fetch("http://8.8.8.8/") == b"by the proxy"
    assert proxy.asked[0].startswith("GET http://8.8.8.8:80/ HTTP/1.1\r\nHost: 8.8.8.8:80\r\n")
    assert "Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n" in proxy.asked[0]
    hosts = [*HOSTS, "10.0.0.1", "169.254.169.254", "inner.test", "mixed.test", "intranet",
             "printer.local", "metadata.google.internal", "a.localhost"]  # fmt: skip
    for host in hosts:
        for scheme in ("http", "https"):
            with pytest.raises(OSError):  # noqa: PT011
                fetch(f"{scheme}://{host}/", 1)
    assert proxy.connections == 1
    assert fetch("http://127.0.0.1/", allow_private=True) == b"by the proxy"


def test_a_name_that_only_the_proxy_knows(
    proxy: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(host: str, *rest: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda h, *r, **m: (unknown if h == "a.test" else real)(h, *r, **m)
    )
    assert fetch("http://a.test/") == b"by the proxy"


def test_https_by_a_proxy_is_a_tunnel(proxy: RawServer) -> None:
    proxy.answers[":443"] = says()
    proxy.answers.clear()
    with pytest.raises((OSError, HTTPException)):
        fetch("https://8.8.8.8/")
    assert proxy.asked[-1].startswith("CONNECT 8.8.8.8:443 HTTP/1.1\r\n")


def test_no_proxy_is_honored_and_then_the_address_is_judged(
    proxy: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(a=found(b"direct")) as server:
        with pytest.raises(web.PrivateAddressError):
            fetch(server.url("a"))
        assert fetch(server.url("a"), allow_private=True) == b"direct"
    assert proxy.connections == 0


@pytest.mark.parametrize("setting", ["socks5://127.0.0.1:1", "http://[", "http://a:b", "ftp://x"])
def test_a_proxy_that_is_none(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", setting)
    with pytest.raises(web.WebError, match="the proxy"):
        fetch("http://8.8.8.8/")


# --- how long -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", DRIPPING)
def test_whoever_drips_is_left_at_the_deadline_and_the_socket_closed(place: str) -> None:
    threads = set(threading.enumerate())
    with serving(a=DRIPPING[place]) as server:
        with pytest.raises(TimeoutError):
            fetch(server.url("a"), 0.2, allow_private=True)
        if place != "silence":
            assert server.hung_up.wait(10)
        ours = {t.name for t in set(threading.enumerate()) - threads}
        assert not any(name.startswith("lineament") for name in ours)


def test_a_handshake_that_does_not_come() -> None:
    with serving() as server, pytest.raises(OSError):  # noqa: PT011
        fetch(f"https://127.0.0.1:{server.port}/", 0.2, allow_private=True)


def test_a_name_that_nobody_answers_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def hang(*_: Any, **more: Any) -> Any:
        if more["flags"] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        done.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(TimeoutError):
        fetch("http://slow.test/", 0.1)
    (left,) = [t for t in threading.enumerate() if t.name == "lineament-lookup"]
    assert left.daemon  # nothing waits for it
    done.set()
    left.join(10)


def test_each_address_of_a_name_has_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = list[float]()

    class Slow(socket.socket):
        def connect(self, address: Any) -> None:
            waited.append(self.gettimeout() or 0)
            time.sleep(self.gettimeout() or 0)
            raise TimeoutError

    names(monkeypatch, a_test=[["8.8.8.1", "8.8.8.2", "8.8.8.3"]])
    monkeypatch.setattr(socket, "socket", Slow)
    with pytest.raises(TimeoutError):
        fetch("http://a.test/", 0.3)
    assert len(waited) == 3


# --- what an answer may be ------------------------------------------------------------------------

HOSTILE = {
    "nothing": says(),
    "noise": says(bytes(range(256)) * 10),
    "escapes": says(b"\x1b]0;title\x07\x1b[2J\x9b2J\r\n\r\n"),
    "a long status": says(b"HTTP/1.1 200 " + b"x" * 200_000 + b"\r\n\r\n"),
    "a status of letters": says(b"HTTP/1.1 abc OK\r\n\r\n"),
    "a huge status": says(b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n"),
    "many headers": says(HEAD + b"X-A: b\r\n" * 100_000 + b"\r\n"),
    "a long header": says(HEAD + b"X-A: " + b"b" * 2_000_000 + b"\r\n\r\n"),
    "a packed body": says(HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b"),
    "a body packed twice": says(HEAD + b"Content-Encoding: \x1b[2Jbr, gzip\r\n\r\nabc"),
    "a chunk cut off": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "a chunk of no size": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"),
    "a chunk of a huge size": says(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 60_000 + b"\r\nab\r\n"
    ),
    "a long size of a chunk": says(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 200_000 + b"\r\nab\r\n"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_answers_that_are_none(name: str) -> None:
    with serving(a=HOSTILE[name]) as server, pytest.raises((OSError, HTTPException)):
        fetch(server.url("a"), allow_private=True)


@pytest.mark.parametrize(
    ("announced", "length"),
    [("7", 7), ("9" * 5000, int("9" * 40)), ("-1", None), ("7, 7", None), ("", None), ("²", None)],
)
def test_the_length_that_is_announced(announced: str, length: int | None) -> None:
    head = HEAD + f"Content-Length: {announced}\r\n\r\n".encode("latin-1")
    with (
        serving(a=says(head, b"seven b")) as server,
        web.open_url(server.url("a"), web.Deadline(5), allow_private=True) as answer,
    ):
        assert answer.length == length


def test_an_endless_body_comes_piece_by_piece() -> None:
    with serving(a=drips(HEAD + b"\r\n", bytes(100_000), 0)) as server:
        with web.open_url(server.url("a"), web.Deadline(5), allow_private=True) as answer:
            for _ in range(20):
                assert 0 < len(answer.read(10_000)) <= 10_000
        assert server.hung_up.wait(10)


def test_what_a_server_says_is_short_and_cannot_act() -> None:
    reason = "\x1b]0;title\x07\x1b[2J" + "x" * 10_000
    with (
        serving(a=says(f"HTTP/1.1 500 {reason}\r\n\r\n".encode("latin-1"))) as server,
        web.open_url(server.url("a"), web.Deadline(5), allow_private=True) as answer,
    ):
        assert answer.words.isprintable()
        assert answer.words.startswith(r"500 (\x1b]0;title\x07")
        assert len(answer.words) < 120


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for right.test, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "2", "-subj", "/CN=right.test", "-addext",
               "subjectAltName=DNS:right.test", "-keyout", "k", "-out", "c"]  # fmt: skip
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "c").read_text() + (folder / "k").read_text())
    return both


def test_a_name_is_proved_and_the_connection_goes_where_it_was_judged(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = list[str | None]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: said.append(name)  # type: ignore[assignment]
    server = RawServer(tls=context)
    server.answers["a"] = found(b"proved")
    names(monkeypatch, right_test=[[INSIDE]], wrong_test=[[INSIDE]])
    url = f"https://{{}}.test:{server.port}/a"
    try:
        with pytest.raises(ssl.SSLCertVerificationError):  # nobody vouches for it
            fetch(url.format("right"), allow_private=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(url.format("right"), allow_private=True) == b"proved"
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(url.format("wrong"), allow_private=True)
    finally:
        server.stop()
    assert said == ["right.test", "right.test", "wrong.test"]
    assert f"Host: right.test:{server.port}\r\n" in server.asked[-1]
