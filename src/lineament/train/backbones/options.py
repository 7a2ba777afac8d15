"""What the architectures check their options with: bad ones become OptionErrors."""

from __future__ import annotations

import math
from collections.abc import Collection

from lineament.errors import OptionError

MOST_DIMENSIONS = 65536
MOST_PX = 1024


def check_whole(what: str, value: object, least: int, most: int, *, multiple_of: int = 1) -> None:
    """Raise OptionError unless ``value`` is a whole number from ``least`` to ``most``."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not least <= value <= most
        or value % multiple_of
    ):
        of = "" if multiple_of == 1 else f" and a multiple of {multiple_of}"
        raise OptionError(
            f"expected a whole number from {least} to {most}{of}, got {value!r}", option=what
        )


def check_dimension(name: str, dimension: object) -> None:
    """Raise OptionError unless it is a possible length of embeddings."""
    check_whole(f"backbone {name}, dimension", dimension, 1, MOST_DIMENSIONS)


def check_size(name: str, size_px: object, *, least: int, multiple_of: int = 1) -> None:
    """Raise OptionError unless the architecture can take crops of ``size_px``."""
    check_whole(f"backbone {name}, size_px", size_px, least, MOST_PX, multiple_of=multiple_of)


def check_fraction(what: str, value: object) -> None:
    """Raise OptionError unless ``value`` is a number, at least 0 and less than 1."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(float(value)) or not 0 <= float(value) < 1:  # type: ignore[arg-type]
        raise OptionError(f"expected a number from 0 to less than 1, got {value!r}", option=what)


def check_choice(what: str, value: object, choices: Collection[object]) -> None:
    """Raise OptionError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise OptionError(
            f"expected one of {', '.join(map(str, choices))}, got {value!r}", option=what
        )
