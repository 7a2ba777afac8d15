"""``lineament anonymize PHOTO|VIDEO|DIR...``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.numbers import COUNT
from lineament.cli.output import exit_code, near, print_error, print_json, print_note, print_table
from lineament.cli.progress import keeps, stages
from lineament.cli.sources import not_looked_at, say_not_looked_at
from lineament.cli.targets import JSON, Target, refuse_inside, writing
from lineament.errors import OptionError
from lineament.text import counted

if TYPE_CHECKING:
    from lineament.anonymize.folders import FileList, WrittenFile
    from lineament.anonymize.plan import Plan
    from lineament.errors import LineamentError
    from lineament.finder import FaceFinder

WRITTEN = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm"),
)
"""Endings of what can be written; a test compares them with the library's."""


@command("lineament anonymize party --out party-anonymous")
@argument(
    "sources",
    nargs=-1,
    required=False,
    metavar="PHOTO|VIDEO|DIR...",
    help="Photos, films, folders or glob patterns; with --apply the folder where they lie.",
)
@option(
    "--out",
    writes=Target(WRITTEN, file=True, folder=True),
    metavar="PATH",
    help="Where to write: a folder, or for one photo or film a file.",
)
@option(
    "--method",
    choices=("blur", "pixelate", "solid"),
    help="What is put over a face.",
    show_default="blur",
)
@option(
    "--shape",
    choices=("ellipse", "box", "mesh"),
    help="What is covered of a face; mesh: along its outline.",
    show_default="ellipse",
)
@option(
    "--keep",
    multiple=True,
    metavar="NAME",
    help="Leave this person of the gallery uncovered; may be repeated.",
)
@option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Cover this person of the gallery, and nobody else; may be repeated.",
)
@option(
    "--gallery",
    type=FILE,
    metavar="DIR",
    help="Gallery that knows who is who; alone: leave all who are enrolled uncovered.",
)
@option("--plan", writes=JSON, metavar="PLAN.json", help="Only look, and write the decisions.")
@option("--apply", type=FILE, metavar="PLAN.json", help="Write what a plan says.")
@option(
    "--every",
    type=COUNT,
    metavar="N",
    help="Look at each N-th frame of a film; between them it is interpolated.",
    show_default="1",
)
@options.calibration
@options.overwrite
@options.json
@options.recognizer(without=("choose",))
def anonymize(
    sources: tuple[str, ...],
    out: Path | None,
    method: str | None,
    shape: str | None,
    keep: tuple[str, ...],
    only: tuple[str, ...],
    gallery: Path | None,
    plan: Path | None,
    apply: Path | None,
    every: int | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Cover faces in photos and films for good; no metadata stays.

    Everybody is covered, or all but some people of a gallery, or only some; in doubt a face is
    covered. Files are written anew: no place, time, thumbnail or other metadata of the old ones is
    in them. --plan writes what would be done as a file that can be edited, and --apply does it.
    Exit code 0: somebody was covered, 1: nobody was, 2: error.
    """
    _check(sources, out, plan, apply, every)
    if apply is not None:
        for flag, value in (
            *(("--method", method), ("--shape", shape), ("--keep", keep), ("--only", only)),
            *(("--gallery", gallery), ("--every", every)),
        ):
            if value:
                raise OptionError(f"{flag}: expected without --apply: the plan says it")
        return _apply(apply, sources, out, _finder(given), overwrite, json)
    found = _found(sources, out, overwrite)
    finder = _finder(given)
    failed: list[tuple[str, LineamentError]] = []
    with _who(given, gallery, keep, only) as who, stages() as show:
        from lineament.anonymize.folders import make_plan

        if plan is None:
            keeps(
                f"nothing was written yet; the {counted(len(found.files), 'file')} stay as they are"
            )
        made, failed = make_plan(
            found,
            finder,
            who,
            method="blur" if method is None else method,  # type: ignore[arg-type]
            shape="ellipse" if shape is None else shape,  # type: ignore[arg-type]
            every=1 if every is None else every,
            progress=show,
        )
    for _, error in failed:
        print_error(error)
    if plan is not None:
        return _planned(made, plan, failed, json)
    assert out is not None
    return _written(made, out, None, finder, overwrite, json, failed)


def _check(
    sources: Sequence[str],
    out: Path | None,
    plan: Path | None,
    apply: Path | None,
    every: int | None,
) -> None:
    if plan is not None and apply is not None:
        raise OptionError("expected --plan or --apply, got both")
    if plan is not None and out is not None:
        raise OptionError("--out: expected without --plan, which writes the decisions only")
    if plan is None and out is None:
        raise OptionError("expected a place for what is written, or --plan", option="out")
    if not sources and apply is None:
        raise OptionError("expected photos, films or a folder, got none", option="sources")
    if every is not None and every < 1:
        raise OptionError(f"expected 1 or more, got {every}", option="every")
    if apply is not None and len(sources) > 1:
        raise OptionError("expected one folder with --apply, got several", option="sources")


def _found(sources: Sequence[str], out: Path | None, overwrite: bool) -> FileList:
    from lineament.anonymize.folders import list_files, refuse_written

    found = list_files(sources)
    say_not_looked_at(found.passed_over)
    if out is not None:
        if _is_folder(out):
            refuse_inside(out, sources, "out")
            if not overwrite:
                refuse_written(found, out)
        elif len(found.files) != 1:
            raise OptionError(
                f"expected a folder for {len(found.files)} files, got {out}", option="out"
            )
    return found


def _is_folder(out: Path) -> bool:
    return Target(WRITTEN, file=True, folder=True).is_folder(out)


def _finder(given: dict[str, Any]) -> FaceFinder:
    """As ``options.finder_from``, and thorough."""
    from lineament.anonymize.finding import DETECTOR, thorough_finder

    plain = options.finder_from(given)
    detector = given.get("detector")
    return thorough_finder(
        DETECTOR if detector is None else detector,
        options=plain.options,
        turning=plain.turning,
        runtime=plain.runtime,
        policy=plain.policy,
    )


def _who(
    given: dict[str, Any], gallery: Path | None, keep: Sequence[str], only: Sequence[str]
) -> Any:
    """Whom to cover, as a context that closes the gallery."""
    from contextlib import contextmanager

    from lineament.anonymize.people import Who, who_of

    if gallery is None and not keep and not only:
        return nullcontext(Who())

    @contextmanager
    def opened() -> Any:
        from lineament.cli.gallery import open_with_recognizer

        with open_with_recognizer({**given, "gallery": gallery}, read_only=True) as people:
            yield who_of(people, keep or None, only or None)

    return opened()


def _apply(
    path: Path,
    sources: Sequence[str],
    out: Path | None,
    finder: FaceFinder,
    overwrite: bool,
    json: bool,
) -> int:
    from lineament.anonymize.plan import Plan

    assert out is not None
    loaded = Plan.load(path)
    root = sources[0] if sources else None
    if _is_folder(out):
        refuse_inside(out, [loaded.root if root is None else root], "out")
    return _written(loaded, out, root, finder, overwrite, json, [])


def _written(
    plan: Plan,
    out: Path,
    root: str | None,
    finder: FaceFinder,
    overwrite: bool,
    json: bool,
    failed: Sequence[tuple[str, LineamentError]],
) -> int:
    from lineament.anonymize.folders import write_plan

    done: list[WrittenFile] = []
    keeps(lambda: f"{len(done)} of {counted(len(plan.files), 'file')} are written and stay")
    with stages() as show:
        for one in write_plan(
            plan,
            out,
            finder,
            root=root,
            as_file=not _is_folder(out),
            overwrite=overwrite,
            progress=show,
        ):
            done.append(one)
            if one.error is not None:
                print_error(one.error.sentence(_flag(one.error)))
    errors = len(failed) + sum(one.error is not None for one in done)
    hidden = sum(one.n_hidden for one in done if one.error is None)
    if json:
        print_json(
            {
                "files": [one.to_dict() for one in done] + _failed(failed),
                "n_hidden": hidden,
                "n_errors": errors,
            }
            | not_looked_at()
        )
    else:
        rows = [
            (near(one.source), str(one.n_faces), str(one.n_hidden))
            for one in done
            if one.error is None
        ]
        if rows:
            print_table(("file", "found", "covered"), rows, right=("found", "covered"))
            print_note(f"wrote {counted(len(rows), 'file')}: {out}; no metadata is in there")
    return exit_code(errors, hidden > 0)


def _flag(error: LineamentError) -> str | None:
    return None if error.option is None else f"--{error.option}"


def _failed(failed: Sequence[tuple[str, LineamentError]]) -> list[dict[str, Any]]:
    return [{"source": source, "out": None, "error": str(error)} for source, error in failed]


def _planned(
    made: Plan, path: Path, failed: Sequence[tuple[str, LineamentError]], json: bool
) -> int:
    with writing(path, "plan"):
        made.save(path)
    rows = []
    for file in made.files:
        listed = getattr(file, "faces", None)
        listed = getattr(file, "tracks", []) if listed is None else listed
        rows.append((file.path, len(listed), sum(each.hide for each in listed)))
    hidden = sum(row[2] for row in rows)
    if json:
        print_json(
            {
                "plan": str(path),
                "files": [
                    {"path": name, "n_faces": found, "n_hidden": hide} for name, found, hide in rows
                ],
                "failed": _failed(failed),
                "n_hidden": hidden,
                "n_errors": len(failed),
            }
            | not_looked_at()
        )
    else:
        table = [(name, str(found), str(hide)) for name, found, hide in rows]
        if table:
            print_table(("file", "found", "to cover"), table, right=("found", "to cover"))
    return exit_code(len(failed), hidden > 0)
