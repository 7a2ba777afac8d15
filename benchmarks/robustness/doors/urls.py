"""Addresses: servers that lie, drip and never end, and ways that lead to where nobody should go."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from doors.case import Case, Door
from doors.damage import CONTROLS
from doors.pictures import draw_face, encode
from doors.server import PUBLIC, Behavior, Server, dripping, heard, internet, saying, serving
from lineament import FaceFinder, LineamentError, models
from lineament.images import ImageLimits, load_image

TIMEOUT_S = 0.7
SLACK_S = 15.0
"""Beyond the deadline: the machine may be busy; what drips here goes on for much longer."""


def _limits(**more: Any) -> ImageLimits:
    return ImageLimits(url_timeout_s=TIMEOUT_S, **{"allow_private": True, **more})


def _fetched(case: Case, behavior: Behavior, path: str = "/a.jpg", **limits: Any) -> bool:
    with serving(behavior) as server:
        case.allowed.add(("127.0.0.1", server.port))
        started = time.monotonic()
        try:
            image = load_image(f"http://127.0.0.1:{server.port}{path}", limits=_limits(**limits))
            case.expect(image.ndim == 3, "no picture")
        finally:
            took = time.monotonic() - started
            case.expect(took < TIMEOUT_S + SLACK_S, f"{took:.1f} s with a limit of {TIMEOUT_S} s")
    return True


def _head(case: Case, *lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines, b"", b""])


def _control(case: Case) -> bytes:
    return str(case.pick(CONTROLS)).encode(errors="surrogateescape")


def status_lines(case: Case) -> bool:
    """The first line of the answer."""
    evil = _control(case)
    status = case.pick(
        [
            b"HTTP/1.1 404 " + evil,
            b"HTTP/1.1 500 " + evil * 100,
            b"HTTP/1.1 " + evil,
            evil,
            b"HTTP/9.9 200 OK",
            b"HTTP/1.1 99999999999 OK",
            b"HTTP/1.1 -1 x",
            b"HTTP/1.1 200 " + b"x" * 100_000,
            b"ICY 200 OK",
            b"SSH-2.0-x" + evil,
            b"",
            b"\0" * 100,
            b"HTTP/1.1 204 No",
            b"HTTP/1.1 206 Partial",
            b"HTTP/1.1 304 Not",
            b"HTTP/1.1 401 " + evil,
            b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
        ]
    )
    return _fetched(case, saying(_head(case, status=status) + case.shared))


def headers(case: Case) -> bool:
    """The lines after it."""
    evil = _control(case)
    lines = case.pick(
        [
            [
                b"Content-Length: "
                + case.pick([b"-1", b"1e9", b"99999999999999", b"0x10", b"", evil])
            ],
            [b"Content-Length: 5", b"Content-Length: 7"],
            [b"Transfer-Encoding: chunked"],
            [b"Transfer-Encoding: " + evil],
            [b"Content-Encoding: " + case.pick([b"gzip", b"br", evil])],
            [b"X: " + b"x" * 70_000],
            [b"X-%d: 1" % i for i in range(500)],
            [b" folded: x"],
            [b"no colon " + evil],
            [b"Content-Type: text/html; charset=" + evil],
            [b"Set-Cookie: " + evil],
            [b"Location: " + evil],
        ]
    )
    body = case.pick([case.shared, b"5\r\nabcde\r\n0\r\n\r\n", b"fffffffffff\r\n", b"zz\r\nx", b""])
    return _fetched(case, saying(_head(case, *lines) + body))


def drips(case: Case) -> bool:
    """A little at a time: the deadline is for all of it."""
    head = _head(case, b"Content-Length: 100000")
    behavior = case.pick(
        [
            dripping(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500),
            dripping(b"H"),
            dripping(b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
            saying(head + case.shared[:50]),
            _dripping_body(head),
            _silent,
            _chunks,
        ]
    )
    case.say(behavior.__name__)
    with serving(behavior) as server:
        case.allowed.add(("127.0.0.1", server.port))
        started = time.monotonic()
        try:
            load_image(f"http://127.0.0.1:{server.port}/", limits=_limits())
        except LineamentError as error:
            case.say(str(error))
        took = time.monotonic() - started
        case.expect(took < TIMEOUT_S + SLACK_S, f"{took:.1f} s with a limit of {TIMEOUT_S} s")
    return False


def _dripping_body(head: bytes) -> Behavior:
    def behave(line: Any, server: Server) -> None:
        heard(line)
        line.sendall(head)
        while not server.over.wait(0.05):
            line.sendall(b"x")

    return behave


def _silent(line: Any, server: Server) -> None:
    server.over.wait(60)


def _chunks(line: Any, server: Server) -> None:
    heard(line)
    line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not server.over.wait(0.02):
        line.sendall(b"1\r\nx\r\n")


def endless(case: Case) -> bool:
    """As much as goes through the line."""
    block = bytes(1 << 16)
    behavior = case.pick(
        [
            saying(_head(case), then=block),
            saying(b"HTTP/1.1 200 OK\r\n", then=b"X: y\r\n" * 1000),
            saying(b"", then=block),
            saying(b"HTTP/1.1 200 OK\r\nX: ", then=b"x" * (1 << 16)),
            saying(b"", then=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
            saying(
                _head(case, b"Transfer-Encoding: chunked"), then=b"ffff\r\n" + block[:-1] + b"\r\n"
            ),
            saying(_head(case, b"Content-Length: 9999999999"), then=block),
        ]
    )
    case.bound_mb = 300.0
    return _fetched(case, behavior)


PRIVATE = (
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "localhost",
    "LOCALHOST.",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "inside.example",
    "six.example",
    "mixed.example",
)
"""Ways to say an address that is nobody's business."""


def _names() -> dict[str, list[list[str]]]:
    return {
        "public.example": [[PUBLIC]],
        "inside.example": [["127.0.0.1"]],
        "six.example": [["::1"]],
        "mixed.example": [["127.0.0.1", "10.0.0.1", "::ffff:127.0.0.1"]],
        "turning.example": [[PUBLIC], ["127.0.0.1"]],
        "both.example": [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC]],
    }


def _trap(line: Any, server: Server) -> None:
    heard(line)
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")


def private_addresses(case: Case) -> bool:
    """Asked for directly: refused, and nobody is connected to."""
    with serving(_trap) as trap, internet(_names(), {}):
        host = case.pick(PRIVATE)
        case.say(host)
        try:
            load_image(f"http://{host}:{trap.port}/a.jpg", limits=_limits(allow_private=False))
        except LineamentError as error:
            case.say(str(error))
        case.expect(trap.asked == 0, f"{host} was asked")
    return False


def redirects(case: Case) -> bool:
    """From a public server to where nobody should go, in one step or in several."""
    with serving(_trap) as trap:
        host = case.pick(PRIVATE)
        target = case.pick(
            [
                f"http://{host}:{trap.port}/",
                f"http://{host}:{trap.port}/",
                f"//{host}:{trap.port}/",
                f"http://public.example@{host}:{trap.port}/",
                f"http://{host}:{trap.port}\\@public.example/",
                f"file://{case.outside}/photo.jpg",
                "ftp://public.example/a.jpg",
                "gopher://x/",
                "data:image/png;base64,AAAA",
                "http://public.example/again",
                "http://turning.example/",
                "http://both.example/",
                "\x1b]0;x\x07",
                "http://",
                "http://[",
                "http:///x",
            ]
        )
        code = case.pick([301, 302, 303, 307, 308, 300])
        steps = int(case.rng.integers(0, 8))
        case.may_read_outside = False

        def behave(line: Any, server: Server) -> None:
            asked = heard(line).split()[1].decode(errors="replace")
            number = int(asked.rpartition("step")[2] or 0) if "step" in asked else 0
            there = target if number >= steps else f"/step{number + 1}"
            line.sendall(
                f"HTTP/1.1 {code} x\r\nLocation: {there}\r\n\r\n".encode("latin1", "replace")
            )

        with serving(behave) as server, internet(_names(), {(PUBLIC, 80): server.port}):
            case.allowed.add(("127.0.0.1", server.port))
            case.say(code, steps, target)
            try:
                load_image("http://public.example/a.jpg", limits=_limits(allow_private=False))
            except LineamentError as error:
                case.say(str(error))
        case.expect(trap.asked == 0, f"{target} was asked")
        case.expect(server.asked <= 12, f"{server.asked} questions")
    return False


def turning_names(case: Case) -> bool:
    """Names that resolve to something else the second time."""
    host = case.pick(["turning.example", "both.example"])
    picture = saying(_head(case) + case.shared)
    with serving(_trap) as trap, serving(picture) as server:
        case.allowed.add(("127.0.0.1", server.port))
        routes = {(PUBLIC, port): server.port for port in (80, trap.port)}
        with internet(_names(), routes):
            for _ in range(2):
                try:
                    load_image(f"http://{host}:{trap.port}/", limits=_limits(allow_private=False))
                except LineamentError as error:
                    case.say(str(error))
        case.expect(trap.asked == 0, f"{host} led to this machine")
    return True


def proxies(case: Case) -> bool:
    """What the environment says of proxies is the user's; addresses stay checked."""
    case.allowed.add(("127.0.0.1", 1))  # the user's proxy
    with serving(_trap) as trap:
        os.environ["http_proxy"] = case.pick(
            ["http://[", "x", "http://127.0.0.1:1", "socks5://a:1"]
        )
        try:
            host = case.pick(PRIVATE)
            load_image(f"http://{host}:{trap.port}/", limits=_limits(allow_private=False))
        except LineamentError as error:
            case.say(str(error))
        finally:
            del os.environ["http_proxy"]
        case.expect(trap.asked == 0, "a private address was asked")
    return False


def addresses(case: Case) -> bool:
    """Texts that are hardly an address."""
    evil = str(case.pick(CONTROLS))
    text = case.pick(
        [
            f"http://{evil}/",
            f"http://public.example/{evil}",
            f"http://public.example:{case.pick(['', '0', '-1', '99999', 'x', '80a'])}/",
            "http://" + "a" * 70_000 + "/",
            "http://public.example/" + "a" * 200_000,
            "http://" + ".".join("a" * 63 for _ in range(20)) + "/",
            "http://xn--" + "a" * 70 + "/",
            "http://user:secret@public.example/",
            "http:///a.jpg",
            "http:/a.jpg",
            "HTTP://public.example",
            "http://public.example?x",
            "http://public.example#x",
            "http://..",
            "https://public.example/",
            "http://[::1",
            "http://\udce9/",
        ]
    )
    picture = saying(_head(case) + case.shared)
    with serving(picture) as server:
        case.allowed.add(("127.0.0.1", server.port))
        with internet(_names(), {(PUBLIC, 80): server.port, (PUBLIC, 443): server.port}):
            load_image(text, limits=_limits(allow_private=False))
    return True


def in_a_list(case: Case) -> bool:
    """Slow and broken addresses among good photos."""
    good = case.shared
    with serving(dripping(b"HTTP/1.1 200 OK\r\nX: y\r\n")) as slow, serving(saying(b"x")) as bad:
        case.allowed |= {("127.0.0.1", slow.port), ("127.0.0.1", bad.port)}
        finder = FaceFinder(limits=_limits())
        sources = [good, *(f"http://127.0.0.1:{s.port}/" for s in (slow, bad, slow)), good]
        found = list(finder.stream(sources))
    case.expect(len(found) == 5, f"{len(found)} results of 5")
    case.expect(found[0].error is None and found[4].error is None, "an honest photo was refused")
    case.expect(all(one.error is not None for one in found[1:4]), "no error of a broken server")
    return True


def weights(case: Case) -> bool:
    """Weights that are downloaded: what is not promised gets no name."""
    promised = case.rng.bytes(3000)
    digest = hashlib.sha256(promised).hexdigest()
    kind = case.rng.integers(9)
    behavior: Behavior = (
        saying(_head(case, b"Content-Length: 3000") + bytes(3000)),
        saying(_head(case), then=bytes(1 << 16)),
        saying(_head(case, b"Content-Length: 3000") + promised[:1000]),
        saying(_head(case, b"Content-Length: 99999999999")),
        saying(_head(case, b"Content-Range: bytes 1-2/3", status=b"HTTP/1.1 206 x") + b"xx"),
        saying(_head(case, status=b"HTTP/1.1 500 " + _control(case))),
        saying(_head(case, b"Location: file:///etc/passwd", status=b"HTTP/1.1 302 x")),
        saying(_control(case)),
        saying(_head(case, b"Content-Length: 3000") + promised),
    )[int(kind)]
    with serving(behavior) as server:
        case.allowed.add(("127.0.0.1", server.port))
        card = {
            "name": f"theirs-{case.number}",
            "task": "embedder",
            "url": f"http://127.0.0.1:{server.port}/x.onnx",
            "sha256": digest,
            "bytes": 3000,
            "input": {"size_wh": [112, 112], "color_order": "rgb", "mean": 0.0, "scale": 1.0},
            "dimension": 16,
            "alignment": "arcface-112",
            "license_code": "MIT",
            "license_weights": "MIT",
            "commercial_use": "yes",
            "training_data": "x",
        }

        text = json.dumps({"schema": 1, "weights": [card]}).encode()
        (made,) = models.read_manifest(case.file("manifest.json", text))
        target = models.cached_path(made)
        try:
            path = models.locate(made)
            case.expect(path.read_bytes() == promised, "something else was downloaded")
        except LineamentError as error:
            case.say(str(error))
            there = target.exists() and target.read_bytes() != promised
            case.expect(not there, "something else got the name of the weights")
            raise
    return True


def _prepare(home: Path, seed: int) -> bytes:
    data = encode(draw_face(np.random.default_rng(seed)), "JPEG")
    list(FaceFinder().stream([data]))
    return data


DOOR = Door(
    "urls",
    (
        status_lines,
        private_addresses,
        redirects,
        headers,
        addresses,
        redirects,
        status_lines,
        private_addresses,
        turning_names,
        endless,
        headers,
        redirects,
        drips,
        proxies,
        weights,
        in_a_list,
    ),
    cases=700,
    bound_mb=300.0,
    limit_s=40.0,
    prepare=_prepare,
)
