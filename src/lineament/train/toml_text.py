"""Values as TOML text. Python reads TOML (``tomllib``) but does not write it.

TOML 1.0, https://toml.io/en/v1.0.0.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from lineament.errors import OptionError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_text(value: Any) -> str:
    """One value on one line: text, numbers, lists, and tables as inline tables.

    Raises:
        OptionError: TOML has no such value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)  # inf, -inf, nan
    if isinstance(value, str):
        # JSON escapes as TOML does, but for the delete character, which TOML wants escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(to_text, value))}]"
    if isinstance(value, Mapping):
        items = ", ".join(f"{key_text(k)} = {to_text(v)}" for k, v in value.items())
        return f"{{ {items} }}" if items else "{}"
    raise OptionError(f"expected text, a number, true, false, a list or a table, got {value!r}")


def key_text(key: str) -> str:
    """A key, in quotes where it needs them."""
    return key if _BARE_KEY.fullmatch(key) else to_text(key)


def from_text(text: str) -> Any:
    """The value that ``text`` is; where it is no TOML value, the text itself: ``arcface``."""
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return found["value"] if list(found) == ["value"] else text
