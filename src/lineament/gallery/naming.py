"""What names and metadata may be."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from lineament.errors import OptionError

LONGEST_NAME = 200
"""Characters, after NFC."""
MOST_METADATA = 64 << 10
"""Bytes of JSON."""


def checked_name(name: str) -> str:
    """A name in normal form NFC, without white space at its ends; OptionError if it is none."""
    if not isinstance(name, str):
        raise OptionError(f"expected text, got {type(name).__name__}", option="name")
    normal = unicodedata.normalize("NFC", name).strip()
    if not normal:
        raise OptionError(
            "expected at least one character that is no white space, got none", option="name"
        )
    if len(normal) > LONGEST_NAME:
        raise OptionError(
            f"expected at most {LONGEST_NAME} characters, got {len(normal)}: shorten it",
            option="name",
        )
    # Cc control, Cs lone surrogates, Zl and Zp line and paragraph separators. Cf stays: joiners
    # are letters' business in Persian and in many Indian scripts; what only turns the writing
    # direction around is refused.
    bad = [
        c
        for c in normal
        if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(c)
        in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    if bad:
        raise OptionError(
            f"expected no control characters, got {', '.join(f'U+{ord(c):04X}' for c in bad)}",
            option="name",
        )
    return normal


def checked_metadata(metadata: Mapping[str, Any]) -> str:
    """Metadata as JSON; OptionError when they are no plain values by name, or too many."""
    if not isinstance(metadata, Mapping) or not all(isinstance(k, str) for k in metadata):
        raise OptionError(
            f"expected a mapping of names to values, got {metadata!r:.80}", option="metadata"
        )
    try:
        text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"expected plain values for JSON: {error}", option="metadata") from error
    if size > MOST_METADATA:
        raise OptionError(
            f"expected at most {MOST_METADATA:,} bytes, got {size:,}", option="metadata"
        )
    return text
