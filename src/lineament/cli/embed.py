"""``lineament embed IMAGE... --out FILE``."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import PathType, command, option
from lineament.cli.numbers import COUNT
from lineament.cli.output import (
    exit_code,
    print_error,
    print_json,
    print_note,
    print_verbatim,
)
from lineament.cli.progress import GO_ON, keeps, stages, with_progress
from lineament.cli.sources import STDIN, is_url, many_sources, not_looked_at, say_not_looked_at
from lineament.cli.targets import STDOUT, Target, writing
from lineament.errors import LineamentError, OptionError
from lineament.text import counted

if TYPE_CHECKING:
    from lineament.bulk import BulkProgress
    from lineament.pipeline import Recognizer
    from lineament.types import Contract

SUFFIXES = (".npz", ".parquet", ".csv", ".jsonl")
OUT = Target(SUFFIXES, folder=True, stdout=True, resumes=True)


@command("lineament embed ~/photos --out faces.parquet")
@options.images
@option(
    "--out",
    type=PathType(path_type=Path, allow_dash=True),
    writes=OUT,
    metavar="FILE|FOLDER",
    help=f"{', '.join(SUFFIXES)}. A FOLDER gets many files, and an interrupted run goes on where "
    "it ended. Left out or -: JSON lines on stdout.",
)
@option(
    "--all-faces/--one-face",
    default=True,
    show_default="all-faces",
    help="All, or the one of --choose.",
)
@option(
    "--workers",
    type=COUNT,
    metavar="N",
    help="With --ray: N actors instead of one for each CPU of the cluster.",
)
@option("--ray", metavar="ADDRESS", help="With a FOLDER: embed on a Ray cluster: auto, HOST:PORT.")
@option(
    "--shard-size", type=COUNT, metavar="N", help="Photos in a file of FOLDER.", show_default="1000"
)
@option(
    "--resume/--restart",
    default=True,
    show_default="resume",
    help="Go on in FOLDER, or remove what is there first.",
)
@option("--retry-errors", is_flag=True, help="Read again what could not be read into FOLDER.")
@options.overwrite
@options.json
@options.allow_private
@options.recognizer()
def embed(
    images: tuple[str, ...],
    out: Path | None,
    all_faces: bool,
    workers: int | None,
    ray: str | None,
    shard_size: int | None,
    resume: bool,
    retry_errors: bool,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Represent faces by vectors.

    One row a face, and a header with the contract that says how they were made. Exit code 0: there
    are some, 1: no face was found, 2: error.
    """
    target = None if out is None or str(out) == STDOUT else out
    bulk = {"workers": workers, "ray": ray, "shard_size": shard_size, "resume": resume}
    bulk |= {"retry_errors": retry_errors, "one_face": not all_faces}
    if target is not None and OUT.is_folder(target):
        if overwrite:
            raise OptionError(
                "--overwrite: expected with --out FILE; --restart begins a FOLDER anew"
            )
        bulk = {name: value for name, value in bulk.items() if value is not None}
        return _into_folder(options.recognizer_from(given), images, target, bulk, json)
    if {workers, ray, shard_size} != {None} or not resume or retry_errors:
        raise OptionError(
            "--workers, --ray, --shard-size, --restart, --retry-errors: expected together with "
            "--out FOLDER"
        )
    from lineament.bulk.tables import check_suffix, header, rows_of

    if target is not None:
        check_suffix(target.suffix.lower())
    recognizer = options.recognizer_from(given)
    contract = recognizer.embedder.contract
    sources = many_sources(images)
    streamed = target is None and not json
    if streamed:
        print_verbatim(json_module.dumps(header(contract)))
    rows: list[dict[str, Any]] = []
    n_faces = errors = 0
    stream = recognizer.stream if all_faces else recognizer.stream_chosen
    photos: Any = stream(sources)
    for photo in with_progress(photos, len(sources), "embedding"):
        found = rows_of(photo)
        if isinstance(found, LineamentError):
            errors += 1
            print_error(found)
            continue
        n_faces += len(found)
        if streamed:
            for row in found:
                print_verbatim(json_module.dumps(row))
        else:
            rows += found
    words = f"wrote {counted(n_faces, 'face')} of {counted(len(sources), 'photo')} to {target}"
    if target is not None and (rows or not errors):
        with writing(target, "out", words):
            _write(target, rows, contract)
    if json:
        summary: dict[str, Any] = {"contract": asdict(contract), "n_photos": len(sources)}
        summary |= {"n_faces": n_faces, "n_errors": errors}
        summary |= {"faces": rows} if target is None else {"out": str(target)}
        print_json(summary | not_looked_at())
    return exit_code(errors, n_faces > 0)


def _write(path: Path, rows: list[dict[str, Any]], contract: Contract) -> None:
    from lineament.bulk.tables import encode
    from lineament.files import write_atomically

    write_atomically(path, encode(path.suffix.lower(), rows, contract))


def _into_folder(
    recognizer: Recognizer, images: Sequence[str], target: Path, bulk: dict[str, Any], json: bool
) -> int:
    from lineament.bulk import embed_many

    odd = [image for image in images if image == STDIN or is_url(image)]
    if odd:
        raise OptionError(f"--out {target}: expected files and folders, got {odd[0]}")
    keeps(f"what is embedded stays in {target}; {GO_ON}")
    with stages() as bar:

        def show(now: BulkProgress) -> None:
            bar("embedding", now.done, now.total, f"{now.images_per_second:,.1f} a second")

        report = embed_many(
            images, target, recognizer, on_progress=show, on_note=print_note, **bulk
        )
    say_not_looked_at(report.passed_over)
    if json:
        contract = asdict(recognizer.embedder.contract)
        print_json({"contract": contract, "out": str(target)} | report.to_dict())
    else:
        rate = report.images_per_second
        speed = "" if rate is None else f", {rate:,.1f} a second"
        print_note(
            f"{target}: {counted(report.faces, 'face')} of {counted(report.images, 'photo')} in "
            f"{counted(report.parts, 'file')}; {report.embedded:,} embedded now{speed}, "
            f"{report.earlier:,} before"
        )
    if report.gone:
        print_note(f"gone since: {counted(report.gone, 'photo')}; --restart drops their faces")
    if report.errors:
        print_error(
            f"could not be read: {counted(report.errors, 'photo')}; {target / 'errors.jsonl'} says "
            "why; --retry-errors tries them again"
        )
    return exit_code(report.errors, report.faces > 0)
