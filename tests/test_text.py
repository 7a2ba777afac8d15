"""What is shown to people cannot act on a terminal, and ordinary names stay as they are."""

from __future__ import annotations

import pickle
import re
import sys
import unicodedata
from pathlib import Path

import pytest

import lineament
from lineament.errors import ImageError, LineamentError, UnknownPersonError
from lineament.text import per_cent, printable

PLAIN = [
    "",
    "a photo.jpg",
    r"C:\photos\a.jpg",
    "Screenshot 10.00\u202fPM.jpg",
    "50\u00a0%.jpg",
    "김구.jpg",
    "می\u200cخواهم.jpg",
    "क्\u200dष.png",
    "👩\u200d❤\ufe0f\u200d👨.jpg",
    "\u0600١.jpg",
    "e\u0301.jpg",
]


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_names_stay_in_any_script(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m.jpg", r"a\x1b[31m.jpg"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("a\x9b31m", r"a\x9b31m"),
        ("caf\udce9.jpg", r"caf\udce9.jpg"),
        ("a\u2028b", r"a\u2028b"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("\u2066a\u2069\u200e\u061c", r"\u2066a\u2069\u200e\u061c"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("a\u200cb.jpg", r"a\u200cb.jpg"),
        ("\u200dx", r"\u200dx"),
        ("می\u200c", "می\\u200c"),
        ("می\u200c\u200cم", "می\\u200c\\u200cم"),
        ("flag\U000e0067", r"flag\U000e0067"),
    ],
)
def test_what_acts_or_hides_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_no_character_of_unicode_acts_afterwards() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    left = printable(every)
    left.encode()
    categories = {unicodedata.category(letter) for letter in left}
    assert not categories & {"Cc", "Cs", "Zl", "Zp"}
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not {unicodedata.bidirectional(letter) for letter in left} & turning


@pytest.mark.parametrize("kind", [ImageError, UnknownPersonError])
def test_messages_of_errors_are_one_line_whatever_names_are_in_them(
    kind: type[LineamentError],
) -> None:
    name = "a\x1b[2J\n\udce9.jpg"
    error = kind(f"{name}: no such file", hint=f"not {name}")
    shown = r"a\x1b[2J\n\udce9.jpg"
    assert str(error) == f"{shown}: no such file: not {shown}"
    assert (error.message, error.hint) == (f"{shown}: no such file", f"not {shown}")
    assert error.to_dict()["message"] == str(pickle.loads(pickle.dumps(error))) == str(error)


def test_per_cent_never_claims_certainty() -> None:
    shares = [k / 9973 for k in range(9974)]
    shares += [10.0**-k for k in range(1, 16)] + [1 - 10.0**-k for k in range(1, 16)]
    for share in shares:
        for decimals in (0, 1, 2, 3):
            for most in (None, decimals):
                text = per_cent(share, decimals, most=most)
                found = re.fullmatch(r"([<>] )?(-?\d+(?:\.\d+)?) %", text)
                assert found is not None, text
                sign, figure = found.groups()
                value = float(figure)
                if 0 < share < 1 and sign is None:
                    assert value not in (0, 100)
                places = len(figure.partition(".")[2])
                assert places >= decimals or share in (0, 1)
                if sign is None:
                    assert abs(value - 100 * share) <= 0.5 * 10.0**-places + 1e-9
                else:
                    assert (100 * share < value) == (sign == "< ")


def test_per_cent_of_significant_digits() -> None:
    cases = {
        0.0001234: "0.0123 %",
        0.5: "50 %",
        0.29: "29 %",
        1e-6: "0.0001 %",
        0.99996: "99.996 %",
    }
    for share, text in cases.items():
        assert per_cent(share, digits=3) == text
    assert per_cent(0.999998) == "99.9998 %"
    assert per_cent(0.0042) == "0.4 %"
    assert per_cent(0.0042, 2) == "0.42 %"
    assert (per_cent(0), per_cent(1, 2), per_cent(float("nan"))) == (
        "0 %",
        "100 %",
        "not measurable",
    )


def test_every_percentage_is_made_there() -> None:
    """No format of a percentage, and no "12%" without the space, elsewhere in the package."""
    source = Path(lineament.__file__).parent
    for path in source.rglob("*.py"):
        text = path.read_text("utf-8")
        found = re.findall(r"\{[^{}\n]*:[^{}\n]*%\}|\{100 \* [^{}]*\} ?%", text)
        assert not found or path.name == "text.py", (path, found)
