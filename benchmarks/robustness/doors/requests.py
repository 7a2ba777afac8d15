"""Requests to a server: forms, heads, bodies and texts made to do harm, and who sends slowly.

The server runs in the worker, on a real socket, with a gallery that no key of the cases is for.
No answer may have a status from 500 on, name that gallery's person or the server's folder, or be
missing; and another client is answered afterwards.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

from doors.case import Case, Door
from doors.damage import CONTROLS
from doors.served import (
    ANSWER_S,
    BODY_S,
    HEAD_S,
    MOST_BYTES,
    SECRET,
    STRANGER,
    Target,
    filled,
    form,
    part,
    start,
)
from doors.server import PUBLIC, Server, heard, internet, saying, serving

SAMPLES = "/v1/galleries/own/people/-/samples?name=Ada"
MOST_HEAD = 60_000
"""Bytes; the server hangs up on heads that are longer, and what it says may be lost."""
PHOTO_PATHS = ("/v1/detect", "/v1/embed", "/v1/galleries/own/identify", SAMPLES)
TEXTS = (
    *("'", '"', "' OR '1'='1", "'; DROP TABLE person; --", '" UNION SELECT * FROM person --'),
    *("%27%20OR%201=1", "1; SELECT load_extension('x')", "\\'; --", "Ada'/*", "%", "_", "*", "?"),
    *("../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "....//....//etc/passwd"),
    *("%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%c0%af..%c0%afetc/passwd", "file:///etc/passwd"),
    *(f"../{SECRET}", f"own/../{SECRET}", f"own%2f..%2f{SECRET}", f"../galleries/{SECRET}", SECRET),
    *(f"../../{SECRET}/gallery.sqlite", "keys.sqlite", "own/gallery.sqlite", "~root", "con", "nul"),
    *(
        "{{7*7}}",
        "${jndi:ldap://127.0.0.1/a}",
        "<script>alert(1)</script>",
        "{0.__class__}",
        "%n%s",
    ),
    *("$(touch /tmp/x)", "`id`", "| id", "; id", "\r\nSet-Cookie: a=b", "\n", "\0", "a\0b", " "),
    *("\u202e", "\ufeff", "\u0000", "e\u0301" * 50, "\U0001f600", "\ud800", "\udfff", "x" * 5000),
    *("9" * 400, "-1", "1e999", "NaN", "0x41", "１２", "true", "null", "[]", "{}", "", "-", "."),
)
HUGE = (1e308, 10**400, -(10**400), 2**63, -(2**63) - 1, 2**31, -1, 0, 1e-320, 0.1, -0.0)
ODD: tuple[Any, ...] = (
    *(None, True, False, [], {}, [[]], [None], {"a": {"b": []}}, "", "x", 0, -1, 1.5, 2**70),
    *(["x"] * 200, {"url": 3}, {"url": "x", "more": 1}, {"": ""}, "A" * 20_000, [1, "a", None]),
)


def _end(case: Case, target: Target) -> bool:
    target.alive(case)
    return False


def _form(case: Case, *, path: str | None = None) -> tuple[str, str]:
    """A path that takes photos, and the photo's field."""
    chosen = str(case.pick(PHOTO_PATHS)) if path is None else path
    return chosen, "images" if "samples" in chosen else "image"


def _sent(
    case: Case, path: str, body: bytes, kind: bytes = b'boundary="xyz"', *more: bytes
) -> None:
    """Send a form."""
    target: Target = case.shared
    head = target.head(
        "POST",
        path,
        b"Content-Type: multipart/form-data; " + kind,
        b"Connection: close",
        *more,
        length=len(body),
    )
    target.ask(case, head, body)


# --- forms ----------------------------------------------------------------------------------------


def broken_forms(case: Case) -> bool:
    """Cut short, of another boundary, nested, with bytes changed."""
    target: Target = case.shared
    path, name = _form(case)
    body = form([(part(name, "a.jpg"), target.photo[: 20 + int(case.rng.integers(3000))])])
    what = case.rng.integers(8)
    kind = b"boundary=xyz"
    if what == 0:
        body = body[: int(case.rng.integers(len(body)))]
    elif what == 1:
        kind = case.pick(
            [b"boundary=abc", b"boundary=", b"", b'boundary="', b"boundary=" + b"x" * 300]
        )
    elif what == 2:
        body = form([(part(name, "a.jpg", b"Content-Type: multipart/mixed; boundary=xyz"), body)])
    elif what == 3:
        at, size = int(case.rng.integers(len(body))), 1 + int(case.rng.integers(8))
        body = body[:at] + case.rng.bytes(size) + body[at + size :]
    elif what == 4:
        body = body.replace(b"\r\n", case.pick([b"\n", b"\r", b"\r\r\n", b"\n\r"]))
    elif what == 5:
        body = case.pick(
            [b"", b"--xyz--\r\n", b"--xyz\r\n\r\n", b"--xyz", b"\r\n" * 999, b"--" * 9]
        )
    elif what == 6:
        headers = case.pick(
            [
                b"",
                b":",
                b"Content-Disposition",
                b"Content-Disposition: form-data",
                b"\0: \0",
                b"Content-Disposition: attachment",
                b"Content-Transfer-Encoding: base64",
                b"Content-Disposition: form-data; name=" + b"\xff" * 20,
                b"Content-Disposition: form-data; name=\"\xed\xa0\x80\"; filename*=utf-8''%ff",
            ]
        )
        body = form([(headers, target.photo[:100])])
    else:
        body = b"preamble" * int(case.rng.integers(100)) + body + b"epilogue" * 100
    _sent(case, path, body, kind)
    return _end(case, target)


def many_parts(case: Case) -> bool:
    """Thousands of parts, of fields, of header lines, or one that is huge."""
    path, name = _form(case)
    count = int(case.rng.integers(101, 6000))
    what = case.rng.integers(5)
    if what == 0:
        parts = [(part(name, f"{n}.jpg"), b"x") for n in range(count)]
    elif what == 1:
        parts = [(part(f"field{n}"), b"x") for n in range(count)]
    elif what == 2:
        parts = [(part(name, "a.jpg", *(b"X-%d: y" % n for n in range(count))), b"x")]
    elif what == 3:
        parts = [(part(name, "a.jpg", b"X-Huge: " + b"y" * 100 * count), b"x")]
    else:
        parts = [(part("threshold"), b"9" * 100 * count)]
    _sent(case, path, form(parts))
    return _end(case, case.shared)


def file_names(case: Case) -> bool:
    """What a file is called has no say."""
    target: Target = case.shared
    path, name = _form(case)
    text = str(case.pick(TEXTS)) + str(
        case.pick(("", ".jpg", ".php", "/", str(case.pick(CONTROLS))))
    )
    if case.chance(0.3):
        quoted = "".join(f"%{byte:02x}" for byte in text.encode(errors="surrogatepass"))
        headers = part(name) + b"; filename*=UTF-8''" + quoted.encode()
    elif case.chance(0.3):
        headers = part(text.replace("\r", "").replace("\n", ""), "a.jpg")
    else:
        headers = part(name, text)
    _sent(case, path, form([(headers, target.photo if case.chance(0.3) else b"no photo")]))
    return _end(case, target)


# --- who sends slowly -----------------------------------------------------------------------------


def slow_bodies(case: Case) -> bool:
    """Byte after byte, or the half and then nothing."""
    target: Target = case.shared
    path, name = _form(case)
    body = form([(part(name, "a.jpg"), target.photo)])
    kind = b"Content-Type: multipart/form-data; boundary=xyz"
    if case.chance(0.5):
        head = target.head("POST", path, kind, b"Transfer-Encoding: chunked")
        pieces = [head] + [b"1\r\n" + body[n : n + 1] + b"\r\n" for n in range(200)]
    else:
        head = target.head("POST", path, kind, length=len(body))
        pieces = [head] + [body[n : n + 1] for n in range(200)]
    if case.chance(0.3):
        pieces = [pieces[0], b"".join(pieces[1:50])]
    started = time.monotonic()
    answer = target.ask(case, *pieces, pause_s=2 * BODY_S / len(pieces))
    took = time.monotonic() - started
    case.expect(answer is not None and answer.status in (408, 422), f"answered {answer}")
    case.expect(took < 2 * BODY_S + ANSWER_S, f"{took:.1f} s")
    return _end(case, target)


def slow_heads(case: Case) -> bool:
    """A head that does not end: it is cut off."""
    target: Target = case.shared
    head = target.head("GET", "/v1/models", b"X: " + b"y" * 200)
    with closing(target.line(case)) as line:
        started = time.monotonic()
        if case.chance(0.3):
            line.sendall(head[: int(case.rng.integers(len(head)))])
        else:
            for at in range(len(head) - 2):
                try:
                    line.sendall(head[at : at + 1])
                except OSError:
                    break
                time.sleep(2 * HEAD_S / len(head))
        target.read(case, line)
        took = time.monotonic() - started
    case.expect(took < 2 * HEAD_S + ANSWER_S / 2, f"it was listened to for {took:.1f} s")
    return _end(case, target)


# --- what grows -----------------------------------------------------------------------------------


def _png(width: int, height: int, lines: int = 1) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = b"\0" * min(3 * width + 1, 1 << 16)
    data = zlib.compress(row * lines, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def bombs(case: Case) -> bool:
    """Little that becomes much: pictures, packed bodies, base64."""
    target: Target = case.shared
    size = 1 << int(case.rng.integers(12, 31))
    what = case.rng.integers(5)
    path, name = _form(case)
    if what <= 1:
        data = _png(size, case.pick([1, size, 1 << 16]), int(case.rng.integers(1, 400)))
        _sent(case, path, form([(part(name, "a.png"), data)]))
    elif what == 2:
        packed = gzip.compress(b"\0" * (1 << 26), 9)[: MOST_BYTES - 1]
        coding = case.pick([b"gzip", b"deflate", b"br", b"gzip, gzip", b"x" * 50])
        kind = case.pick([b"image/jpeg", b"application/json"])
        head = target.head(
            "POST",
            "/v1/detect",
            b"Content-Type: " + kind,
            b"Content-Encoding: " + coding,
            b"Connection: close",
            length=len(packed),
        )
        target.ask(case, head, packed)
    elif what == 3:
        coded = base64.b64encode(_png(size, size, 300)).decode()
        values: dict[str, Any] = {name: [coded] * 100 if name == "images" else coded}
        target.post(case, path, values)
    else:
        length = MOST_BYTES + 1 + int(case.rng.integers(1 << 30))
        head = target.head("POST", path, b"Content-Type: image/jpeg", length=length)
        answer = target.ask(case, head, b"\0" * 1000)
        case.expect(answer is not None and answer.status == 413, f"answered {answer}")
    return _end(case, target)


# --- texts ----------------------------------------------------------------------------------------


def _operation(case: Case, *, body: bool = False) -> tuple[str, str]:
    """Method and path of an operation; ``body``: of one that takes something."""
    target: Target = case.shared
    methods = ("POST", "PUT", "PATCH") if body else ("GET", "POST", "PUT", "PATCH", "DELETE")
    method, path = case.pick([each for each in target.paths if each[0] in methods])
    if path.endswith(("/events", "/live", "/preview.mjpeg")):  # these go on until somebody leaves
        return ("POST", "/v1/galleries/{gallery}/identify") if body else ("GET", "/v1/models")
    return str(method), str(path)


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode(errors="surrogatepass"))


def texts_in_paths(case: Case) -> bool:
    """In each place of a path, coded and as it is."""
    target: Target = case.shared
    method, path = _operation(case)
    text = str(case.pick(TEXTS))
    coded = _percent(text)
    if case.chance(0.3):
        coded = "".join(c for c in text if 32 < ord(c) < 127 and c not in "?#") or "x"
    places = ["own" if case.chance(0.5) else coded, coded, coded]
    query = f"?{coded}={coded}&name={coded}&after={coded}&where={coded}&q={coded}&limit=3"
    found = filled(path, places) + (query if case.chance(0.5) else "")
    lines = [b"Content-Type: application/json", b"Connection: close"]
    body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
    head = target.head(method, found, *lines, length=len(body))
    target.ask(case, head + body, silent=len(head) > MOST_HEAD)
    return _end(case, target)


def texts_in_bodies(case: Case) -> bool:
    """In every field of a request's JSON."""
    target: Target = case.shared
    text = case.pick(TEXTS)
    fields = {
        "name": text,
        "metadata": {text: text},
        "where": {text: {case.pick(["=", "has", text]): text}},
        "settings": {text: text},
        "others": [text],
        "image": text,
        "images": [text],
        "label": text,
        "threshold": text,
        "only": [text],
        "role": text,
        "galleries": [text],
        "url": text,
    }
    keys = [str(key) for key in case.rng.permutation(list(fields))[: int(case.rng.integers(1, 5))]]
    method, path = _operation(case, body=True)
    values = {key: fields[key] for key in keys}
    if case.chance(0.3):
        coded = base64.b64encode(target.photo).decode()
        values["image" if "samples" not in path else "images"] = coded
    key = "enroll" if SECRET in str(text) else case.pick(["enroll", "admin"])
    found = filled(path, ["own", "-", "1"]) + "?name=Ada"
    target.post(case, found, values, method=method, key=key)
    return _end(case, target)


def texts_in_headers(case: Case) -> bool:
    """In ids, keys, languages, cookies, hosts."""
    target: Target = case.shared
    data = str(case.pick(TEXTS)).encode(errors="surrogatepass")
    data = data.replace(b"\n", b"").replace(b"\r", b"") if case.chance(0.8) else data
    name = case.pick(
        [
            b"X-Request-Id",
            b"Idempotency-Key",
            b"Cookie",
            b"X-API-Key",
            b"Authorization",
            b"Origin",
            b"X-Forwarded-For",
            b"X-HTTP-Method-Override",
            b"Range",
            b"If-None-Match",
            b"Accept",
            b"Content-Type",
            b"Expect",
            b"Upgrade",
            b"Referer",
            b"X-CSRF-Token",
            data or b"X",
        ]
    )
    value = case.pick([data, b"Bearer " + data, b"lineament=" + data, b"bytes=" + data])
    body = json.dumps({"name": "Ada"}).encode()
    method, path = case.pick(
        [("GET", "/v1/models"), ("GET", "/v1/galleries"), ("PATCH", "/v1/galleries/own/people/1")]
    )
    head = target.head(
        method,
        path,
        name + b": " + value,
        b"Connection: close",
        key=case.pick(["enroll", None]),
        length=len(body),
    )
    answer = target.ask(case, head + body, silent=True)
    if answer is not None:
        case.expect("set-cookie" not in answer.headers, "a header was put in")
    return _end(case, target)


def odd_values(case: Case) -> bool:
    """Values of other types in every operation."""
    target: Target = case.shared
    method, path = _operation(case, body=True)
    names = (
        "name",
        "metadata",
        "where",
        "settings",
        "others",
        "image",
        "images",
        "a",
        "b",
        "top",
        "threshold",
        "fmr",
        "fpir",
        "only",
        "role",
        "galleries",
        "max_faces",
        "force",
        "kind",
        "min_size",
        "sample_metadata",
        "liveness",
        "faces",
        "consent",
        "url",
        "gallery",
    )
    values: Any = {
        str(name): case.pick(ODD)
        for name in case.rng.permutation(names)[: int(case.rng.integers(6))]
    }
    if case.chance(0.1):
        values = case.pick(ODD)
    found = filled(path, ["own", case.pick(["-", "1"]), "1"])
    target.post(case, found, values, method=method, key=case.pick(["enroll", "admin"]))
    return _end(case, target)


def json_shapes(case: Case) -> bool:
    """Depth, numbers, surrogates, names twice, bytes that are no UTF-8."""
    target: Target = case.shared
    path = case.pick(["/v1/detect", "/v1/galleries/own/people/1", "/v1/galleries/own/identify"])
    method = "PUT" if path.endswith("/1") else "POST"
    depth = int(case.rng.integers(1, 200_000))
    number = (
        repr(case.pick(HUGE)).encode() if case.chance(0.5) else b"9" * int(case.rng.integers(9_000))
    )
    body = case.pick(
        [
            b'{"metadata": ' + b"[" * depth + b"]" * depth + b"}",
            b'{"where": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}",
            b"[" * depth,
            b'{"max_faces": ' + number + b"}",
            b'{"threshold": ' + number + b', "metadata": {"a": ' + number + b"}}",
            b'{"min_score": ' + case.pick([b"NaN", b"Infinity", b"-Infinity", b"1e999"]) + b"}",
            b'{"metadata": {"a": '
            + case.pick([b"NaN", b"Infinity", b"-Infinity", b"1e400"])
            + b"}}",
            b'{"metadata": {"a": "\\ud800"}}',
            b'{"metadata": {"\\udfff\\ud800": 1}, "name": "\\ud800"}',
            b'{"image": "\\ud800"}',
            b'{"image": "AAAA", "image": "/etc/passwd"}',
            b'{"metadata": "' + case.rng.bytes(40) + b'"}',
            b"\xff\xfe" + '{"image": "AAAA"}'.encode("utf-16-le"),
            b"\xef\xbb\xbf{}",
            b"{" + b'"a": 1,' * int(case.rng.integers(100_000)) + b'"b": 2}',
            case.rng.bytes(int(case.rng.integers(2000))),
        ]
    )
    target.post(case, path, body[: MOST_BYTES - 1], method=method)
    return _end(case, target)


# --- HTTP itself ----------------------------------------------------------------------------------


def lengths(case: Case) -> bool:
    """Lengths that are not so, and chunks that are none."""
    target: Target = case.shared
    photo = target.photo
    kind = b"Content-Type: image/jpeg"
    value = case.pick(
        [b"-1", b"+5", b"0x10", b"1e3", b"5, 5", b"5,6", b"", b" 5", b"9" * 30, b"5\0", b"\xb2"]
    )
    what = case.rng.integers(5)
    if what == 0:
        head = target.head("POST", "/v1/detect", kind, b"Content-Length: " + value)
        target.ask(case, head + photo[:5], silent=True)
    elif what == 1:  # fewer bytes than said: the rest does not come
        head = target.head("POST", "/v1/detect", kind, length=len(photo) + 100)
        target.ask(case, head + photo)
    elif what == 2:  # more: what is left is no request
        head = target.head("POST", "/v1/detect", kind, length=len(photo) // 2)
        target.ask(case, head + photo)
    else:
        chunks = case.pick(
            [
                b"zz\r\nabc\r\n0\r\n\r\n",
                b"-1\r\n\r\n",
                b"ffffffffffffffffff\r\nabc",
                b"3\r\nabcdef\r\n",
                b"3;" + b"x" * 9000 + b"\r\nabc\r\n0\r\n\r\n",
                b"\r\n",
                b"3\nabc\n0\n\n",
                b"0\r\nX: y\r\n\r\n",
                b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 9000 + b"\r\n",
                b"0" * 9000 + b"3\r\nabc\r\n0\r\n\r\n",
            ]
        )
        target.ask(
            case,
            target.head("POST", "/v1/detect", kind, b"Transfer-Encoding: chunked") + chunks,
            silent=True,
        )
    return _end(case, target)


def smuggled(case: Case) -> bool:
    """A second request in what is the body of the first by one reading: it is never answered."""
    target: Target = case.shared
    inner = target.head("GET", "/v1/models", b"X-Request-Id: smuggled")
    chunked = b"0\r\n\r\n" + inner
    length = f"Content-Length: {len(chunked)}".encode()
    shapes: list[tuple[bytes, ...]] = [
        (length, b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", length),
        (length, b"Transfer-Encoding: xchunked"),
        (length, b"Transfer-Encoding : chunked"),
        (length, b"Transfer-Encoding:\tchunked"),
        (length, b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"),
        (length, b"Transfer-Encoding: chunked, identity"),
        (length, b" Transfer-Encoding: chunked"),
        (length, b"X: y\nTransfer-Encoding: chunked"),
        (length, b"X: y\rTransfer-Encoding: chunked"),
        (b"Content-Length: 0", length),
        (length, b"Content-Length: 0"),
        (b"Content-Length: 5, 0", length),
        (length, b"Transfer-Encoding:\x0bchunked"),
        (length, b"Transfer-Encoding: ch\xc5\xbfunked"),
        (length, b"tRANSFER-ENCODING: CHUNKED"),
    ]
    lines = case.pick(shapes)
    head = target.head("POST", "/v1/detect", b"Content-Type: image/jpeg", *lines)
    with closing(target.line(case)) as line:
        line.sendall(head + chunked)
        first = target.read(case, line)
        if first is not None:
            line.settimeout(0.3)
            try:
                second = line.recv(65536)
            except OSError:
                second = b""
            case.expect(b"smuggled" not in second, f"answered a second request: {lines}")
    return _end(case, target)


def odd_heads(case: Case) -> bool:
    """First lines and headers that are none, too many, or of other protocols."""
    target: Target = case.shared
    control = str(case.pick(CONTROLS)).encode(errors="surrogateescape")
    key = b"Authorization: Bearer " + target.keys["verify"].encode()
    data = case.pick(
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + case.rng.bytes(300),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + case.rng.bytes(40),
            b"GET /v1/health\r\n\r\n",
            b"GET /v1/health HTTP/9.9\r\n\r\n",
            b"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nHost: x\r\n\r\n",
            b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /v1/" + b"a" * int(case.rng.integers(200_000)) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /v1/models HTTP/1.1\r\nHost: x\r\n"
            + b"X: y\r\n" * int(case.rng.integers(20_000)),
            b"GET /v1/models HTTP/1.1\r\nX: "
            + b"y" * int(case.rng.integers(200_000))
            + b"\r\n\r\n",
            b"GET /v1/models HTTP/1.1\r\n" + key + b"\r\nX" + control + b": y\r\n\r\n",
            b"GET /v1/models HTTP/1.1\r\n" + key + b"\r\nX: " + control + b"\r\n\r\n",
            b"GET /v1/%ff%fe%00 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET //v1//models/../health HTTP/1.1\r\nHost: x\r\n\r\n",
            control + b" /v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
            b"TRACE /v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + control[:20] + b"\r\n\r\n",
            b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            b"POST /v1/detect HTTP/1.1\r\n" + key + b"\r\nExpect: 100-continue\r\n"
            b"Content-Type: image/jpeg\r\nContent-Length: 10\r\n\r\n",
            case.rng.bytes(int(case.rng.integers(1, 5000))),
            b"\r\n" * int(case.rng.integers(1, 5000)),
            b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /v1/health HTTP/1.1\r\nHost: " + control + b"\r\n\r\n",
        ]
    )
    target.ask(case, data, silent=True)
    return _end(case, target)


def pipelines(case: Case) -> bool:
    """Many requests at once in one connection, of which the sender reads nothing."""
    target: Target = case.shared
    one = target.head("GET", case.pick(["/v1/health", "/v1/models", "/v1/openapi.json"]))
    with closing(target.line(case)) as line:
        line.settimeout(0.5)
        try:
            line.sendall(one * int(case.rng.integers(2, 300)))
        except OSError:
            case.say("it does not take more")
    return _end(case, target)


def other_galleries(case: Case) -> bool:
    """Every operation about a gallery that the key is not for says that, and nothing else."""
    target: Target = case.shared
    method, path = _operation(case)
    who = case.pick(["-", "1"])
    found = filled(path, [SECRET, who, "1"]) + case.pick(["", f"?name={_percent(STRANGER)}"])
    if "{gallery}" not in path:
        found = found + ("&" if "?" in found else "?") + f"gallery={SECRET}"
    body = json.dumps({"gallery": SECRET, "galleries": [SECRET]}).encode()
    head = target.head(
        method,
        found,
        b"Content-Type: application/json",
        b"Connection: close",
        key=case.pick(["verify", "enroll"]),
        length=len(body),
    )
    answer = target.ask(case, head, body)
    if "{gallery}" in path:
        case.expect(answer is not None and answer.status == 403, f"{method} {found}: {answer}")
    return _end(case, target)


# --- addresses ------------------------------------------------------------------------------------

PRIVATE = (
    *(
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "127.1",
        "0",
        "2130706433",
        "0x7f000001",
        "017700000001",
    ),
    *(
        "0177.0.0.1",
        "0x7f.1",
        "127.0.0.1.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ),
    *(
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
    ),
    *("169.254.169.254", "2852039166", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "224.0.0.1"),
    *("255.255.255.255", "①②⑦.⓪.⓪.①", "127。0。0。1", "LOCALHOST", "localhost.localdomain"),
    *("192.0.2.1", "198.18.0.1", "[2001:db8::1]", "[::127.0.0.1]", "[2001:0:1::1]"),
)


def addresses(case: Case) -> bool:
    """Addresses of this machine and of private networks, in every spelling."""
    target: Target = case.shared
    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\nsecret of an inner server")) as inner:
        host = str(case.pick(PRIVATE))
        scheme = case.pick(["http", "https", "HTTP", "http", "http"])
        more = case.pick(["", "/a.jpg", "/?x=y", "#z", "/\r\nX: y", "/ HTTP/1.1\r\nX: y"])
        port = case.pick([inner.port, target.port])
        before = case.pick(["", "", "", "user:word@", "93.184.216.34@", "x\\@"])
        url = f"{scheme}://{before}{host}:{port}{more}"
        if case.chance(0.1):
            url = case.pick(
                [
                    "file:///etc/passwd",
                    "ftp://127.0.0.1/",
                    "gopher://127.0.0.1:1/_x",
                    "data:,x",
                    "jar:http://127.0.0.1!/",
                    "//127.0.0.1/",
                    "http:127.0.0.1",
                    "http:///a",
                    "http://",
                    "\0",
                    "dict://127.0.0.1:1/",
                ]
            )
        body = {"image": {"url": url}}
        allowed = {("127.0.0.1", target.port)}
        answer = target.post(case, case.pick(["/v1/detect", "/v1/galleries/own/identify"]), body)
        case.expect(answer is not None and answer.status == 422, f"{url}: {answer}")
        assert answer is not None
        case.expect(b"secret" not in answer.body, f"{url}: it was fetched")
        case.expect(inner.asked == 0, f"{url}: the inner server was asked")
        case.expect(case.allowed == allowed, "the case is wrong")
    return _end(case, target)


def redirects(case: Case) -> bool:
    """A public server that leads to a private one, or whose name turns to it."""
    target: Target = case.shared
    host = str(case.pick([each for each in PRIVATE if each.isascii()]))

    def lead(line: Any, server: Server) -> None:
        heard(line)
        line.sendall(
            f"HTTP/1.1 {case.pick([301, 302, 303, 307, 308])} x\r\nLocation: "
            f"http://{host}:{inner.port}/\r\nContent-Length: 0\r\n\r\n".encode()
        )

    with serving(saying(b"HTTP/1.1 200 OK\r\n\r\nsecret")) as inner, serving(lead) as outer:
        case.allowed |= {("127.0.0.1", outer.port), (PUBLIC, 80), (PUBLIC, outer.port)}
        turning = case.chance(0.5)
        answers = [["127.0.0.1"], [PUBLIC]] if turning else [[PUBLIC]]
        if turning and case.chance(0.5):
            answers = [[PUBLIC], ["127.0.0.1"]]
        names = {"photos.example.org": answers}
        with internet(names, {(PUBLIC, 80): outer.port, (PUBLIC, outer.port): outer.port}):
            url = "http://photos.example.org/a.jpg"
            answer = target.post(case, "/v1/detect", {"image": {"url": url}})
        case.expect(answer is not None and answer.status == 422, f"{host}: {answer}")
        assert answer is not None
        case.expect(b"secret" not in answer.body, f"{host}: it was fetched")
        case.expect(inner.asked == 0, f"{host}: the inner server was asked")
    return _end(case, target)


def _prepare(home: Path, seed: int) -> Target:
    return start(home, seed)


DOOR = Door(
    "requests",
    (
        broken_forms,
        texts_in_paths,
        odd_values,
        addresses,
        lengths,
        texts_in_bodies,
        json_shapes,
        odd_heads,
        broken_forms,
        texts_in_headers,
        other_galleries,
        smuggled,
        file_names,
        odd_values,
        redirects,
        texts_in_paths,
        many_parts,
        texts_in_bodies,
        bombs,
        pipelines,
        json_shapes,
        addresses,
        slow_heads,
        odd_heads,
        slow_bodies,
    ),
    cases=5000,
    bound_mb=300.0,
    limit_s=40.0,
    prepare=_prepare,
)
