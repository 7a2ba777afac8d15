"""What is shown to people cannot act on a terminal, and ordinary names stay as they are."""

from __future__ import annotations

import pickle
import sys
import unicodedata

import pytest

from lineament.errors import ImageError, LineamentError, UnknownPersonError
from lineament.text import printable

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
