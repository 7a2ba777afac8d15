"""Text for people: what came from outside is shown so that it cannot act; figures in per cent.

Names of files, and of what stands in files, may hold anything but "/" and NUL: escape sequences,
line breaks, marks that turn the direction of writing around, bytes that are no UTF-8. Data keep
them as they are (``Photo.source``, JSON, files); ``printable`` is for what a person reads: messages
of errors, tables, notes, captions.

Python has a byte of a name that is no UTF-8 as a lone surrogate (``os.fsdecode``: 0xE9 is
``"\\udce9"``), which no text file can hold. Each kind of output has one form for it:

    printed text, HTML, pictures     the six characters \\udce9: escaped by ``printable``
    JSON, JSON lines                 the escape "\\udce9", which ``json.loads`` reads back
    .npz                             the surrogate itself, as NumPy's texts hold it
    CSV and other text files         the byte itself (``errors="surrogateescape"``)
    a gallery's database             the name's bytes, as a BLOB
    Parquet, a gallery's export      ``source`` as it is printed, and ``source_bytes``: the bytes

``os.fsencode`` makes the file's name again of what was read.
"""

from __future__ import annotations

import math
import os
import unicodedata

_JOINERS = "\u200c\u200d"
"""Letters' business in Persian and in Indian scripts, and what joins emoji."""

_ESCAPED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, lone surrogates, separators of lines and paragraphs."""

_VISIBLE_FORMATS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
"""Format characters (Cf) that stand as a sign above the digits after them."""

_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0\U00016fe4\U0001d159")
"""Letters, marks and signs that nobody sees: fillers, a joiner of graphemes, an empty notehead."""

_JOINED = (
    *((0x0600, 0x08FF), (0x1800, 0x18AF), (0xA840, 0xA87F), (0xFB50, 0xFDCF), (0xFE70, 0xFEFC)),
    *((0x10AC0, 0x10AFF), (0x10B80, 0x10BAF), (0x10D00, 0x10D3F), (0x10F30, 0x10FDF)),
    (0x1E900, 0x1E95F),
)
"""Blocks of scripts whose letters join each other, as Arabic, Syriac, N'Ko and Mongolian."""


def printable(text: str) -> str:
    """Escape what would act on a terminal or hide in a line: one line of plain text.

    Control characters, line breaks, tabs, what turns the direction of writing around, invisible
    characters, and lone surrogates become ``\\n``, ``\\x1b``, ``\\u202e``, ``\\udce9``, as Python
    writes them. Everything else stays, in any script: non-breaking spaces, too, and joiners between
    characters that are not ASCII. Text that is printable already comes back as it is.

    Args:
        text: for example a file's name.
    """
    if text.isprintable():
        return text
    shown = []
    for at, letter in enumerate(text):
        if letter in _JOINERS:
            around = text[at - 1 : at] + text[at + 1 : at + 2]
            acts = len(around) < 2 or not all(c > "\x7f" and _is_shown(c) for c in around)
        else:
            acts = not _is_shown(letter)
        shown.append(ascii(letter)[1:-1] if acts else letter)
    return "".join(shown)


def is_shown(text: str, at: int) -> bool:
    """Whether a character is seen, or is needed where it stands by those around it.

    False for what ``printable`` escapes, for characters that no font shows (noncharacters, fillers,
    tags), and for joiners and variation selectors where they change nothing that can be seen: those
    belong into Persian, between emoji, into Indian clusters, after an ideograph.
    """
    letter, code = text[at], ord(text[at])
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if letter in _JOINERS:
        return before != "" and after != "" and _joins(text, at, before, after)
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:  # variation selectors
        if code in (0xFE0E, 0xFE0F):  # of emoji
            return before != "" and (_is_sign(before) or after == "\u20e3" or before in "‼⁉〰")
        return before != "" and unicodedata.name(before, "").startswith("CJK ")
    if 0x180B <= code <= 0x180F:  # Mongolian ones
        return "\u1800" <= before <= "\u18af"
    if code == 0x2800:  # the blank of Braille
        return all("\u2800" < c <= "\u28ff" for c in (before, after))
    if letter in _BLANKS or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return False
    if 0xE0000 <= code <= 0xE0FFF or 0xFFF0 <= code <= 0xFFF8:
        return False
    return _is_shown(letter)


def is_visible(letter: str) -> bool:
    """Whether a character is seen by itself: a letter, a figure, a sign; no mark, no blank."""
    category = unicodedata.category(letter)
    return category[0] in "LNPSC" and category != "Co" and is_shown(letter, 0)


def _joins(text: str, at: int, before: str, after: str) -> bool:
    """Whether a joiner does something between these two."""
    if 9 in (unicodedata.combining(before), unicodedata.combining(after)):  # a virama
        return True
    left = at - 1
    while left > 0 and (unicodedata.combining(text[left]) or text[left] in "\u0640"):
        left -= 1
    if all(any(low <= ord(c) <= high for low, high in _JOINED) for c in (text[left], after)):
        return True
    while left > 0 and (text[left] == "\ufe0f" or 0x1F3FB <= ord(text[left]) <= 0x1F3FF):
        left -= 1
    return text[at] == "\u200d" and _is_sign(text[left]) and _is_sign(after)


def _is_sign(letter: str) -> bool:
    """Emoji are among these."""
    return letter > "\x7f" and unicodedata.category(letter) in ("So", "Sm", "Sk", "Cn")


def reason_of(error: object) -> str:
    """Say in plain words why a file or its bytes could not be read.

    The errors of the system, of JSON, TOML, Unicode and of packed numbers carry numbers, names of
    functions and of codecs; what a person can use is kept: "no such file or directory", "no JSON,
    from line 3 on", "it is no text in UTF-8", "it ends too early". Everything else comes back as it
    is, on one line.

    Args:
        error: what was raised, or its words.
    """
    import json  # here, so that importing the package stays cheap
    import re
    import struct

    if isinstance(error, UnicodeError):
        return "it is no text in UTF-8"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON, from line {error.lineno} on"
    if isinstance(error, (struct.error, EOFError)):
        return "it ends too early"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return "a part of it is missing"
    words = " ".join(str(error).split())
    words = re.sub(r"\[Errno -?\d+\] |\[WinError \d+\] ", "", words)
    if "embedded null" in words:
        return "a path has no NUL character"
    if re.search(r"requires a (bytes|buffer)|buffer of at least|unpack|index out of range", words):
        return "it ends too early"
    return words if words else "no reason was given"


def in_short(value: object, most: int = 60, *, quoted: bool = True) -> str:
    """``repr`` of a value that somebody gave, for a message: short, whatever the value is.

    Also of what is nested too deeply, has more digits than Python writes, or has no ``repr`` that
    works; nothing is built that is much longer than what is returned.

    Args:
        value: anything.
        most: characters.
        quoted: False has text itself, without quotation marks; it may hold anything still, see
            ``printable``.
    """
    if isinstance(value, str) and not quoted:
        text = value[: most + 1]
    else:
        import reprlib  # here, so that importing the package stays cheap

        short = reprlib.Repr()
        short.maxstring = short.maxother = most
        try:
            text = short.repr(value)
        except Exception:  # digits, or a ``__repr__`` of somebody else's
            text = f"<{type(value).__name__}>"
        if isinstance(value, int) and text.startswith("<"):
            text = f"a number of about {round(value.bit_length() * 0.30103):,} digits"
    return text if len(text) <= most else f"{text[: most - 3]}..."


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number and what it counts: "1 person", "1,200 people"; ``several``: ``one`` with an s."""
    return f"{number:,} {one if number == 1 else f'{one}s' if several is None else several}"


def probability_in_words(share: float | None) -> str:
    """In per cent, never rounded to certainty; "-" without a calibration."""
    return "-" if share is None else per_cent(share, most=1)


def bytes_unless_utf8(name: str) -> bytes | None:
    """The bytes of a file's name that is no UTF-8; None of any other text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(name)
        except UnicodeEncodeError:  # surrogates that stand for no byte
            return None
    return None


def storable(name: str) -> str | bytes:
    """A file's name for what keeps UTF-8 or bytes: its bytes where it is no UTF-8."""
    data = bytes_unless_utf8(name)
    return name.encode("utf-8", "backslashreplace").decode() if data is None else data


def stored(value: str | bytes) -> str:
    """The name that ``storable`` was given."""
    return os.fsdecode(value) if isinstance(value, bytes) else value


def _is_shown(letter: str) -> bool:
    category = unicodedata.category(letter)
    if category == "Cf":
        return letter in _VISIBLE_FORMATS
    return category not in _ESCAPED


def per_cent(
    share: float, decimals: int = 1, *, digits: int | None = None, most: int | None = None
) -> str:
    """A share in per cent, "99.9 %": rounded once, to nearest, never to 0 or 100 when it is not.

    Where the wanted decimals would show certainty there are as many as it takes to tell: 0.999998
    is "99.9998 %". Where ``most`` decimals do not suffice it is "> 99.999999 %" or "< 0.000001 %".
    Exactly 0 and 1 are "0 %" and "100 %".

    Args:
        share: 0 to 1; beyond that, as a loss below 0, it is shown as it is.
        decimals: of an ordinary figure.
        digits: in place of decimals, so many digits that say something: with 3 of them 0.0001234 is
            "0.0123 %" and 0.5 is "50 %".
        most: decimals of what is close to 0 or 100 %; 6, and 12 with ``digits``, when left out. The
            same as ``decimals`` where there is no room for more.
    """
    if not math.isfinite(share):
        return "not measurable"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if digits is not None:
        leading = math.floor(math.log10(abs(share) * 100 * (1 + 1e-12)))
        most = 12 if most is None else most
        decimals = min(max(digits - 1 - leading, 0), most)
    most = max(6 if most is None else most, decimals)
    for places in range(decimals, most + 1):
        # The product itself may be off in its last place: 0.29 * 100 = 28.999...
        text = f"{round(100 * share, 12):.{places}f}"
        if float(text) not in (0.0, 100.0, -100.0):
            if digits is not None and places:
                text = text.rstrip("0").removesuffix(".")
            return f"{text} %"
    least = 10.0**-most
    return f"< {least:.{most}f} %" if abs(share) < 0.5 else f"> {100 - least:.{most}f} %"
