"""``lineament import KIND FILE --gallery DIR``: other packages' stores of embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.gallery import about_gallery, folder_from, made_if_used
from lineament.cli.numbers import COSINE
from lineament.cli.output import (
    print_error,
    print_json,
    print_line,
    print_note,
    print_pairs,
    print_table,
)
from lineament.cli.progress import keeps, progress_bar
from lineament.text import counted

if TYPE_CHECKING:
    from lineament.gallery import Gallery, ImportReport
    from lineament.gallery.foreign import ForeignStore

MOST_LISTED = 20
KINDS = ("deepface-pkl", "face-recognition-npy", "insightface", "compreface")


@command("lineament import deepface-pkl my_db --gallery staff --dry-run", name="import")
@argument("kind", metavar="KIND", help=", ".join(KINDS) + ".")
@argument("path", type=FILE, metavar="FILE", help="The store, or the folder that holds it.")
@option("--model", metavar="NAME", help="Which network made them, where the store does not say.")
@option("--collection", metavar="KEY", help="Of CompreFace with several: which one.")
@option(
    "--layout",
    choices=("auto", "folders", "flat"),
    default="auto",
    help="Of deepface, which knows no people: where the names stand in its paths.",
)
@option(
    "--threshold",
    type=COSINE,
    metavar="COSINE",
    help="For the gallery: from which similarity on it is somebody. None is known for foreign "
    "embeddings.",
)
@option("--dry-run", is_flag=True, help="Say who would be in the gallery; change nothing.")
@options.gallery
@options.json
def import_(
    kind: str,
    path: Path,
    model: str | None,
    collection: str | None,
    layout: str,
    threshold: float | None,
    dry_run: bool,
    gallery: Path | None,
    json: bool,
) -> int:
    """Bring embeddings that another package stored into a gallery.

    All or nothing; makes the gallery if there is none; importing twice is as good as once. A pickle
    is read, never run. The embeddings stay that package's: they are compared with its own alone,
    and photos are refused there. Exit code 0: all are there, 1: some name nobody, 2: error.
    """
    from lineament.gallery import Gallery
    from lineament.gallery.foreign import import_store, read_store

    with progress_bar("reading") as show:
        store = read_store(
            kind, path, model=model, collection=collection, layout=layout, progress=show
        )
    folder = folder_from(gallery)
    nobody = store.nobody
    code = 1 if nobody else 0
    if dry_run:
        if json:
            print_json({"dry_run": True, "gallery": str(folder), "store": store.to_dict()})
        else:
            _print_store(store)
            print_note(f"{folder}: nothing was changed (--dry-run)")
        return code

    def open_or_create() -> Gallery:
        if Gallery.exists(folder):
            return Gallery.open(folder)
        return Gallery.create(folder, store.contract)

    keeps("nothing was imported")
    with made_if_used(folder, open_or_create) as opened:
        with progress_bar("importing") as show:
            report = import_store(opened, store, progress=show)
        if threshold is not None:
            opened.configure(threshold=threshold)
        about = about_gallery(opened)
    if report.n_damaged:
        code = 1
    if json:
        print_json(about | {"store": store.to_dict(), "imported": report.to_dict()})
    else:
        _print_imported(folder, store, report, about)
    return code


def _print_store(store: ForeignStore) -> None:
    people = store.people
    rows = [(name, f"{number:,}") for name, number in [*people.items()][:MOST_LISTED]]
    print_table(("name", "embeddings"), rows, right=("embeddings",))
    if len(people) > MOST_LISTED:
        print_note(f"... and {len(people) - MOST_LISTED:,} more: --json has all")
    print_pairs(
        [
            (
                "embeddings",
                f"{sum(people.values()):,} of {counted(len(people), 'person', 'people')}",
            ),
            ("made by", f"{store.package}, {store.model}, {store.contract.dimension} numbers"),
        ]
    )
    _print_notes(store)


def _print_notes(store: ForeignStore) -> None:
    for note in store.notes:
        print_note(f"note: {note}")
    if store.without_face:
        print_note(f"{counted(store.without_face, 'photo')} without a face left out")
    nobody = store.nobody
    for words in nobody[:MOST_LISTED]:
        print_error(f"passed over: {words}")
    if len(nobody) > MOST_LISTED:
        print_error(f"passed over: {len(nobody) - MOST_LISTED:,} more: --json has all")


def _print_imported(
    folder: Path, store: ForeignStore, report: ImportReport, about: dict[str, Any]
) -> None:
    print_line(
        f"{folder}: {counted(report.new_people, 'new person', 'new people')}, "
        f"{counted(report.new_samples, 'new embedding')}, {report.known_samples:,} known already"
    )
    _print_notes(store)
    said = {words.partition(":")[0] for words in store.nobody}
    for entry in [one for one in report.damaged if one.entry not in said][:MOST_LISTED]:
        print_error(f"passed over: {entry}")
    print_note(
        f"these are {about['contract']['weights']}'s embeddings: they are compared with that "
        "package's own; photos are refused by this gallery"
    )
