"""What the commands of ``lineament eval`` share: where embeddings come from, what is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.output import (
    check_page,
    print_error,
    print_json,
    print_note,
    print_table,
    with_progress,
)

if TYPE_CHECKING:
    from lineament.datasets.source import Embedded, RecognizerSource
    from lineament.evaluate.result import Result

NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Embed all photos again, and keep nothing.")
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Write figures and pictures into one page that needs nothing else; replaces FILE.",
    ),
]


def source_from(values: Mapping[str, Any], **fixed: Any) -> RecognizerSource:
    """The source of embeddings that a command's options describe.

    Args:
        values: the command's parameters (``ctx.params``).
        fixed: what the protocol decides itself, such as ``choose="central"``.
    """
    from lineament.datasets.source import RecognizerSource

    recognizer = options.recognizer_from({**values, **fixed})
    return RecognizerSource(
        recognizer,
        use_cache=not values.get("no_cache", False),
        progress=with_progress,
        on_note=print_note,
    )


def report_unreadable(embedded: Embedded) -> None:
    """Say on stderr which photos could not be read."""
    for error in embedded.unreadable.values():
        print_error(error)


def check_report(path: Path | None) -> None:
    """Refuse a report that could not be written or drawn, before the long work starts."""
    check_page(path)
    if path is None:
        return
    from lineament.pictures.charts.files import check_extra

    check_extra()


def finish(result: Result, source: RecognizerSource | None, ctx: typer.Context) -> None:
    """Print the result as a table or JSON, and write the report if one is wanted."""
    values = ctx.params
    if source is not None:
        run = {
            "images_embedded": source.images_embedded,
            "images_per_second": source.images_per_second,
            "contract": asdict(source.recognizer.embedder.contract),
            "detector": source.recognizer.finder.detector_name,
            "command": ["lineament", *sys.argv[1:]],
        }
        if values.get("preset") is not None:
            run["preset"] = values["preset"]
        result = replace(result, run={**result.run, **run})
    report: Path | None = values.get("report")
    if report is not None:
        from lineament.pictures.pages.result import write_report

        write_report(result, report)
    if values.get("json", False):
        print_json(result.to_dict())
        return
    rows = result.rows()
    if source is not None:
        speed = source.images_per_second
        rows.append(("photos a second", "from the cache" if speed is None else f"{speed:.1f}"))
    print_table(("measure", "value"), rows, right=("value",))
    published = result.published_rows()
    if published:
        print()
        print_table(("model", "published", ""), published, right=("published",))
    for note in result.notes:
        print_note(f"note: {note}")
    if report is not None:
        print_note(f"wrote {report}")


def comparing() -> Callable[[int, int], None] | None:
    """Shows how far the comparison of all pairs is; None when nobody looks."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\n" if done >= total else ""
        print(f"\rcomparing {done / total:4.0%}", end=end, file=sys.stderr, flush=True)

    return show
