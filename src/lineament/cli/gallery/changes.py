"""``lineament remove``, ``rename``, ``merge`` and ``annotate``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lineament.cli import options
from lineament.cli.gallery import opening, values
from lineament.cli.gallery.people import about_gallery, count, metadata_in_words
from lineament.cli.output import print_json, print_note
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.gallery import Gallery

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whom.")]


def remove_command(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Whom, with all photos.")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="ID", help="One photo; `lineament show` has its ID."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Remove a person, or one photo, and every byte of it. It cannot be undone.

    Files that `export` wrote, and backups, keep what is in them.
    """
    if (name is None) == (sample is None):
        got = "neither" if name is None else "both"
        raise OptionError(f"remove: expected NAME or --sample ID, got {got}")
    what = sample if name is None else name
    assert what is not None
    if not yes and (json or not somebody_there()):
        raise OptionError("remove: nobody is there to be asked: add --yes to remove it")
    with opening.opened(ctx.params) as opened:
        told = _told(opened, what)
        if not yes and not typer.confirm(f"Remove {told} for good?", err=True):
            print_note("nothing was removed")
            raise typer.Exit(1)
        report = opened.remove(what)
        about = about_gallery(opened)
    if json:
        print_json(about | {"removed": report.to_dict()})
    else:
        print(f"removed {told}")
    if not report.erased:
        print_note(
            "not erased to the last byte yet: another process is reading an older state; the next "
            "change, or opening the gallery for writing, finishes it"
        )


def somebody_there() -> bool:
    """Whether a question would be seen and could be answered."""
    return sys.stdin is not None and sys.stdin.isatty()


def _told(gallery: Gallery, what: str | int) -> str:
    if isinstance(what, str):
        person = gallery.person(what)
        return f"{person.name} with {count(len(person.samples), 'photo')}"
    found = gallery.sample(what)
    return f"sample {found.id} of {found.person} ({found.source if found.source else 'no source'})"


def rename_command(
    ctx: typer.Context,
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW-NAME", help="The new name.")],
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Give a person another name."""
    with opening.opened(ctx.params) as opened:
        person = opened.rename(name, new_name)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    else:
        print(f"{name} is {person.name} now")


def merge_command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who stays.")],
    others: Annotated[
        list[str], typer.Argument(metavar="OTHER...", help="Who is the same person.")
    ],
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Unite several people into one: OTHER's photos become NAME's."""
    with opening.opened(ctx.params) as opened:
        person = opened.merge(name, others)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    else:
        print(f"{person.name} has {count(person.n_samples, 'photo')} now")


def annotate_command(
    ctx: typer.Context,
    name: Name,
    entries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE...]", help="JSON where it is JSON, else text; null removes a key."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Remove all other keys.")] = False,
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Set a person's metadata, which --where of `identify` and `people` look at."""
    metadata = values.metadata_from(entries, "annotate")
    if not metadata and not replace:
        raise OptionError("annotate: expected KEY=VALUE, got nothing")
    with opening.opened(ctx.params) as opened:
        opened.annotate(name, metadata, replace=replace)
        person = opened.person(name)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    else:
        words = metadata_in_words(person.metadata)
        print(f"{person.name}: {words if words else 'no metadata'}")
