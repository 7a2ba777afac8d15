"""Options of metadata and of filters of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Metadata of the person; may be repeated."),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help="Only people with such metadata: 'building=B', 'age>=18', 'groups~night'; may be "
        "repeated, and then all have to hold.",
    ),
]


def metadata_from(given: Sequence[str] | None, option: str = "--set") -> dict[str, Any]:
    """Metadata by name; raises as ``parse_metadata``."""
    from lineament.gallery.filters import parse_metadata

    return parse_metadata(given, option)


def filter_from(given: Sequence[str] | None) -> dict[str, Any] | None:
    """A filter, or None; raises as ``parse_filter``."""
    from lineament.gallery.filters import parse_filter

    return parse_filter(given, "--where")
