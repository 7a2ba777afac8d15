"""``lineament gallery export``, ``import``, ``check``, ``reindex`` and ``migrate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.gallery import about_gallery, folder_from, made_if_used, open_gallery
from lineament.cli.output import print_error, print_json, print_line, print_note
from lineament.cli.progress import GO_ON, keeps, progress_bar
from lineament.cli.targets import Target
from lineament.errors import OptionError
from lineament.text import counted, per_cent, printable

if TYPE_CHECKING:
    pass

SUFFIXES = (".jsonl", ".parquet")
MOST_LISTED = 20
NAMING = ("preset", "recognizer", "model")


@command("lineament gallery export staff.jsonl")
@argument(
    "file", type=FILE, writes=Target(SUFFIXES), metavar="FILE", help=f"{' or '.join(SUFFIXES)}."
)
@option(
    "--crops/--no-crops",
    default=True,
    help="With the aligned faces that are kept.",
    show_default="crops",
)
@options.gallery
@options.overwrite
@options.json
def export(file: Path, crops: bool, gallery: Path | None, overwrite: bool, json: bool) -> int:
    """Write people and embeddings into one file.

    People who are removed from the gallery later stay in the file. What is damaged is left out, and
    named. Exit code 0: all was written, 1: something damaged was left out, 2: error.
    """
    from lineament.gallery.exchange import checked_suffix

    checked_suffix(file)
    with open_gallery(gallery, read_only=True) as opened:
        about = about_gallery(opened, warn=False)
        written = opened.export(file, crops=crops)
        damaged = opened.damaged
    if json:
        left_out = [part.to_dict() for part in damaged]
        print_json(about | {"out": str(file), "n_exported": written, "damaged": left_out})
    else:
        print_note(f"wrote {counted(written, 'embedding')} to {file}")
        _print_problems([f"left out: {part}" for part in damaged])
    return 1 if damaged else 0


def _print_problems(problems: Sequence[str]) -> None:
    for problem in problems[:MOST_LISTED]:
        print_error(printable(problem))
    if len(problems) > MOST_LISTED:
        print_error(f"... and {len(problems) - MOST_LISTED:,} more: --json has all")


@command("lineament gallery check")
@options.gallery
@options.json
def check(gallery: Path | None, json: bool) -> int:
    """Read everything, and name what is damaged.

    Each photo and person is compared with the checksums in the gallery, and the index with the
    database; nothing is changed. Exit code 0: all is well, 1: something is damaged, 2: error.
    """
    with open_gallery(gallery, read_only=True) as opened:
        problems = opened.check()
        about = about_gallery(opened, warn=False)
        damaged = opened.damaged
    if json:
        parts = [part.to_dict() for part in damaged]
        print_json(about | {"problems": problems, "damaged": parts})
        return 1 if problems else 0
    if not problems:
        print_line(f"{about['gallery']}: {counted(about['n_samples'], 'photo')}, all is well")
    _print_problems(problems)
    return 1 if problems else 0


@command("lineament gallery import staff.jsonl", name="import")
@argument("file", type=FILE, metavar="FILE", help="What `gallery export` wrote.")
@option(
    "--skip-damaged",
    is_flag=True,
    help="Pass over entries that do not fit, and import the rest.",
)
@options.gallery
@options.json
def import_(file: Path, skip_damaged: bool, gallery: Path | None, json: bool) -> int:
    """Add what `gallery export` wrote.

    All or nothing; makes the gallery if there is none. What is known already is passed over, so
    importing twice is as good as once. Photos that are unlike the others of their person are taken,
    and named. Exit code 0: all of it is there, 1: something was passed over (--skip-damaged), 2:
    error.
    """
    from lineament.gallery import Gallery
    from lineament.gallery.exchange import contract_in

    contract = contract_in(file)  # an error here leaves no gallery behind
    folder = folder_from(gallery)

    def open_or_create() -> Gallery:
        if Gallery.exists(folder):
            return Gallery.open(folder)
        return Gallery.create(folder, contract)

    with made_if_used(folder, open_or_create) as opened:
        report = opened.import_(file, damaged="skip" if skip_damaged else "refuse")
        about = about_gallery(opened)
    code = 1 if report.n_damaged else 0
    if json:
        print_json(about | {"imported": report.to_dict()})
        return code
    print_line(
        f"{folder}: {counted(report.new_people, 'new person', 'new people')}, "
        f"{counted(report.new_samples, 'new embedding')}, {report.known_samples:,} known already"
    )
    for one in report.unlike[:MOST_LISTED]:
        share = "" if one.probability is None else f", {per_cent(one.probability, most=1)} probable"
        print_note(
            f"unlike the others of {one.person}: sample {one.id}, {one.source} (similarity "
            f"{one.similarity:.3f} at most{share}): look at it; `lineament gallery remove --sample "
            f"{one.id}` removes it"
        )
    if len(report.unlike) > MOST_LISTED:
        print_note(f"... and {len(report.unlike) - MOST_LISTED:,} more: --json has all")
    if not report.compared:
        print_note(
            "note: not checked whether the photos of a person agree with each other: there is no "
            "calibration for these embeddings"
        )
    for entry in report.damaged[:MOST_LISTED]:
        print_error(f"passed over: {entry}")
    if report.n_damaged > MOST_LISTED:
        print_error(f"passed over: {report.n_damaged - MOST_LISTED:,} more entries")
    return code


@command("lineament gallery reindex --check")
@option("--check", is_flag=True, help="Read all of the database too, and compare.")
@options.index
@options.uri
@options.gallery
@options.json
def reindex(
    check: bool, index: str | None, uri: str | None, gallery: Path | None, json: bool
) -> int:
    """Build the search index anew, or another one in its place.

    It is never needed for a right answer: an index that does not fit the database is rebuilt when
    the gallery is opened. Exit code 1: --check found something wrong.
    """
    with open_gallery(gallery) as opened:
        samples = opened.reindex(index=index, uri=uri)
        problems = opened.check() if check else []
        about = about_gallery(opened, warn=not check) | {"index": opened.settings.index}
    if json:
        print_json(about | {"n_indexed": samples} | ({"problems": problems} if check else {}))
    else:
        fine = "; the database is sound" if check and not problems else ""
        print_line(f"{about['gallery']}: indexed {counted(samples, 'embedding')}{fine}")
        _print_problems(problems)
    return 1 if problems else 0


@command("lineament gallery migrate --recognizer mobilefacenet")
@options.calibration
@options.gallery
@options.json
@options.recognizer()
def migrate(gallery: Path | None, json: bool, **given: Any) -> int:
    """Embed everybody anew with another recognizer.

    From kept crops or the photos. What cannot be embedded anew stays in the database, and is not
    searched. Exit code 0: all were, 1: some could not be, 2: error.
    """
    if all(given[name] is None for name in NAMING):
        names = ", ".join(f"--{name}" for name in NAMING)
        raise OptionError(f"migrate: expected one of {names}: which recognizer it is to be")
    recognizer = options.recognizer_from(given)
    keeps(f"what is embedded anew is kept, and the gallery is searched as before; {GO_ON}")
    with open_gallery(gallery) as opened, progress_bar("embedding anew") as progress:
        report = opened.migrate(recognizer, progress=progress)
        about = about_gallery(opened, warn=False)
    if json:
        print_json(about | report.to_dict())
    elif report.old_contract == report.new_contract:
        print_note(f"{about['gallery']}: it is made with {recognizer.weights.name} already")
    else:
        print_line(
            f"{about['gallery']}: from {report.old_contract} to {report.new_contract}: "
            f"{report.from_crops:,} from crops, {report.from_photos:,} from photos, "
            f"{len(report.failed) + len(report.damaged):,} failed"
        )
        for sample, reason in report.failed[:MOST_LISTED]:
            print_error(f"sample {sample.id} of {sample.person}: {reason}")
        if len(report.failed) > MOST_LISTED:
            print_error(f"... and {len(report.failed) - MOST_LISTED:,} more: --json has all")
        _print_problems([str(part) for part in report.damaged])
    return 1 if report.failed or report.damaged else 0
