"""``lineament cache``: what is kept on this computer to save time; list it, clear it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from lineament.cli import options
from lineament.cli.command import command, option
from lineament.cli.output import print_json, print_line, print_note, print_table
from lineament.errors import OptionError
from lineament.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lineament.datasets.kept import CacheEntry


@command("lineament cache list", name="list")
@options.json
def list_(json: bool) -> int:
    """What is in the cache folder, and how much room it takes.

    Exit code 0: there is something, 1: there is nothing, 2: error.
    """
    from lineament.datasets.kept import cache_entries
    from lineament.models import cache_folder

    entries = cache_entries()
    if json:
        print_json(_told(entries) | {"entries": [entry.to_dict() for entry in entries]})
    else:
        rows = [
            (
                entry.kind,
                _size(entry.bytes),
                "-" if entry.n_photos is None else f"{entry.n_photos:,}",
                datetime.fromtimestamp(entry.used).astimezone().strftime("%Y-%m-%d"),
                entry.path,
            )
            for entry in entries
        ]
        if rows:
            print_table(("kind", "size", "photos", "used", "path"), rows, right=("size", "photos"))
        print_note(f"{cache_folder()}: {_in_words(entries)}")
    return 0 if entries else 1


@command("lineament cache size")
@options.json
def size(json: bool) -> None:
    """How much room the cache folder takes."""
    from lineament.datasets.kept import cache_entries

    entries = cache_entries()
    if json:
        print_json(_told(entries))
    else:
        print_line(_in_words(entries))


@command("lineament cache clear --kind embeddings --yes")
@option(
    "--kind",
    "kinds",
    multiple=True,
    choices=("embeddings", "weights", "other"),
    help="Only this; may be repeated.",
    show_default="all",
)
@option("--yes", "-y", is_flag=True, help="Do not ask.")
@options.json
def clear(kinds: tuple[str, ...], yes: bool, json: bool) -> int:
    """Remove what is kept.

    It is made, or downloaded, anew when it is needed. Galleries are not in the cache folder. Exit
    code 0: it is cleared, 1: nothing was removed since the answer was no, 2: error.
    """
    from lineament.cli.gallery import somebody_there
    from lineament.datasets.kept import KINDS, cache_entries, clear_cache

    chosen = kinds if kinds else KINDS
    entries = [entry for entry in cache_entries() if entry.kind in chosen]
    if entries and not yes:
        if json or not somebody_there():
            raise OptionError("nobody is there to be asked: add --yes to clear the cache")
        if not click.confirm(f"Remove {_in_words(entries)}?", err=True):
            print_note("nothing was removed")
            return 1
    gone = clear_cache(chosen)
    if json:
        print_json(_told(gone) | {"removed": [entry.path for entry in gone]})
    else:
        print_line(f"removed {_in_words(gone)}" if gone else "there was nothing to remove")
    return 0


def _told(entries: Sequence[CacheEntry]) -> dict[str, object]:
    from lineament.models import cache_folder

    return {
        "folder": str(cache_folder()),
        "n_entries": len(entries),
        "bytes": sum(entry.bytes for entry in entries),
        "bytes_by_kind": {
            kind: sum(entry.bytes for entry in entries if entry.kind == kind)
            for kind in dict.fromkeys(entry.kind for entry in entries)
        },
    }


def _in_words(entries: Sequence[CacheEntry]) -> str:
    if not entries:
        return "nothing"
    return f"{counted(len(entries), 'entry', 'entries')}, {_size(sum(e.bytes for e in entries))}"


def _size(number: int) -> str:
    """In the unit that leaves one to three digits before the point."""
    value, units = float(number), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:.1f} {units[0]}"
