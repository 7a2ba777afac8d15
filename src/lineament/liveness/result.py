"""What several checks of one face say together. ``lineament.types.Liveness`` is what each says."""

from __future__ import annotations

from collections.abc import Iterable

from lineament.errors import OptionError
from lineament.types import Liveness


def strictest(checks: Iterable[Liveness]) -> Liveness:
    """Return the check that counts: an attack before an unsure one, and that before a live one.

    Of several alike that with the lowest score; one that could not measure comes before them.

    Raises:
        OptionError: no check at all.
    """
    listed = list(checks)
    if not listed:
        raise OptionError("expected at least one check, got none", option="checks")
    return min(listed, key=lambda one: one.severity)
