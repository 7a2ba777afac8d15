"""Multipart bodies, well formed and not."""

from __future__ import annotations

import httpx
import pytest

from lineament.errors import OptionError
from lineament.server.parts import Part, split

KIND = "multipart/form-data; boundary=X"


def part(header: str, data: bytes) -> bytes:
    return b"--X\r\n" + header.encode() + b"\r\n\r\n" + data + b"\r\n"


def test_what_a_client_writes_is_read() -> None:
    binary = bytes(range(256)) * 40 + b"\r\n--not it\r\n\r\n--"
    made = httpx.Request(
        "POST",
        "http://x/",
        data={"fmr": "1e-4", "name": "Zoë"},
        files={"a": ("../a b.jpg", binary), "b": ("b.jpg", b"")},
    )
    found = split(made.headers["content-type"], made.read(), most=10)
    assert found == [
        Part("fmr", None, b"1e-4"),
        Part("name", None, "Zoë".encode()),
        Part("a", "../a b.jpg", binary),
        Part("b", "b.jpg", b""),
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('content-disposition: FORM-DATA; name="a"', ("a", None)),
        ("Content-Disposition: form-data; name=a; filename=f.jpg", ("a", "f.jpg")),
        ('Content-Disposition: form-data; name="a;b"; filename="x;y"', ("a;b", "x;y")),
        ('Content-Disposition: form-data; name="a%22b"', ('a"b', None)),
        ('Content-Disposition: form-data; name="a\\"b"', ('a"b', None)),
        ("Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''x", ("a", "x")),
        ('X-Other: 1\r\nContent-Disposition: form-data; name="a"', ("a", None)),
    ],
)
def test_ways_to_write_a_header(header: str, expected: tuple[str, str | None]) -> None:
    (found,) = split(KIND, part(header, b"1") + b"--X--\r\n", most=1)
    assert (found.name, found.file) == expected
    assert found.data == b"1"


GOOD = part('Content-Disposition: form-data; name="a"', b"1")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", GOOD + b"--X--"),
        ("multipart/form-data; boundary=", GOOD + b"--X--"),
        ("multipart/form-data; boundary=" + 71 * "X", GOOD + b"--X--"),
        ("multipart/form-data; boundary=X\x00", GOOD + b"--X--"),
        ("multipart/form-data; boundary=Y", GOOD + b"--X--"),
        (KIND, b""),
        (KIND, GOOD),  # cut short
        (KIND, GOOD[:20]),
        (KIND, b"ab" + GOOD + b"--X--"),  # a boundary begins a line
        (KIND, b"--X" + b" " * 300 + GOOD[3:] + b"--X--"),
        (KIND, part("Content-Disposition: form-data", b"1") + b"--X--"),
        (KIND, part('Content-Disposition: attachment; name="a"', b"1") + b"--X--"),
        (KIND, part('Content-Disposition: form-data; name=""', b"1") + b"--X--"),
        (KIND, part("no header", b"1") + b"--X--"),
        (KIND, part("A: " + 9000 * "x", b"1") + b"--X--"),
        (KIND, b"--X\r\n" + b"\r\n--X--"),
        (KIND, GOOD + GOOD + b"--X--"),  # more than asked for
    ],
)
def test_what_is_malformed_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(OptionError) as caught:
        split(kind, body, most=1)
    assert caught.value.option == "body"


def test_a_preamble_is_passed_over() -> None:
    assert len(split(KIND, b"ignored\r\n" + GOOD + b"--X--\r\nalso ignored", most=1)) == 1
