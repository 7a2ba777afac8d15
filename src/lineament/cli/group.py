"""``lineament group DIR`` and ``lineament name-group GROUPS.json GROUP NAME``."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.detect import exit_code
from lineament.cli.output import (
    make_folder,
    print_error,
    print_json,
    print_note,
    print_table,
    refuse_inputs,
    with_progress,
)
from lineament.errors import GalleryNotFoundError, LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.align.alignment import AlignMethod
    from lineament.gallery import Gallery
    from lineament.gallery.grouping import Group, GroupFace, Grouping
    from lineament.gallery.types import NewSample
    from lineament.pipeline import Recognizer
    from lineament.types import Analysis, Image, Threshold

MOST_KEPT = 100_000
"""Faces whose pictures are kept until the report is written, 4 kB each; others are read again."""

Pictures = dict[tuple[str, int], bytes]
"""JPEG files by the photo's path and the face's number."""


@options.with_recognizer(without=("choose",))
def command(
    ctx: typer.Context,
    photos: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="Folders, files or glob patterns.")
    ],
    groups: Annotated[
        Path | None,
        typer.Option(
            "--groups", metavar="FILE.json", help="Go on from groups that --out wrote earlier."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.json", help="Write the groups; replaces FILE."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Everybody's faces as one page."),
    ] = None,
    copy_to: Annotated[
        Path | None,
        typer.Option("--copy-to", metavar="DIR", help="Copy photos, a folder a group."),
    ] = None,
    link_to: Annotated[
        Path | None,
        typer.Option("--link-to", metavar="DIR", help="The same with symbolic links."),
    ] = None,
    min_size: Annotated[
        int, typer.Option("--min-size", metavar="N", help="Smaller groups are left out.")
    ] = 2,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="COSINE",
            help="Mean similarity from which on two groups are one.",
            show_default="by the calibration and the number of faces",
        ),
    ] = None,
    fmr: Annotated[
        float | None,
        typer.Option("--fmr", metavar="RATE", help="The threshold of that false match rate."),
    ] = None,
    calibration: options.Calibration_ = None,
    json: options.Json = False,
) -> None:
    """Group the faces of photos by person, without names.

    Two faces of one photo are never in one group. Photos are only read: nothing is moved
    or deleted. Exit code 0: there are groups, 1: there are none, 2: error.
    """
    from lineament.gallery.grouping import Grouping, assign_new
    from lineament.images import find_images

    if min_size < 1:
        raise OptionError(f"--min-size: expected 1 or more, got {min_size}")
    if copy_to is not None and link_to is not None:
        raise OptionError("expected --copy-to or --link-to, got both")
    sources = [Path(os.path.abspath(path)) for path in find_images(photos)]  # noqa: PTH100
    target = link_to if copy_to is None else copy_to
    option = "--link-to" if copy_to is None else "--copy-to"
    if target is not None:
        _check_target(target, photos, option)
    for path, name in ((out, "--out"), (report, "--report")):
        if path is not None:
            _check_file(path, name)
            refuse_inputs(path, sources, name)
    old = None if groups is None else Grouping.load(groups)
    parts = options.recognizer_from(ctx.params)
    contract = parts.embedder.contract
    if old is not None:
        old.contract.check(contract)
    if threshold is None and fmr is None and parts.calibration is None:
        raise OptionError(
            f"{contract.weights} has no calibration to take a threshold from: state --threshold, "
            "or fit a calibration (lineament tune) and add --calibration"
        )
    read = set() if old is None else {p.source for p in old.photos if p.error is None}
    todo = [path for path in sources if str(path) not in read]
    faces, looked_at, pictures = _look(parts, todo, keep=report is not None)
    errors = sum(photo.error is not None for photo in looked_at)
    n_faces = len(faces) + (0 if old is None else len(old.faces))
    chosen = _threshold(parts, n_faces, threshold, fmr)
    if old is None:
        import numpy as np

        old = Grouping(contract, chosen, (), (), np.zeros(0, np.int64), 1)
    grouping = assign_new(old, faces, chosen, photos=looked_at)
    if out is not None:
        grouping.save(out, calibration=parts.calibration)
    if report is not None:
        _write_report(report, grouping, parts, pictures, min_size)
    found = grouping.groups(parts.calibration, min_size=min_size)
    if target is not None:
        errors += _arrange(target, option, grouping, found, link=copy_to is None)
    if json:
        print_json(_summary(grouping, found, len(todo), errors, out, report))
    else:
        _print(grouping, found, len(todo))
        for path in (out, report, target):
            if path is not None:
                print_note(f"wrote {path}")
    raise typer.Exit(exit_code(errors, bool(found)))


# --- photos ----------------------------------------------------------------------------------


def _look(parts: Recognizer, paths: Sequence[Path], *, keep: bool) -> tuple[Any, Any, Pictures]:
    """The faces of photos, what became of each photo, and pictures of the faces."""
    from lineament.gallery.grouping import GroupPhoto

    faces: list[GroupFace] = []
    looked_at: list[GroupPhoto] = []
    pictures: Pictures = {}
    results = with_progress(parts.stream(paths, keep_crops=True), len(paths), "looking for faces")
    for path, photo in zip(paths, results, strict=True):
        source = str(path)
        if photo.error is not None:
            print_error(photo.error)
            looked_at.append(GroupPhoto(source, 0, str(photo.error)))
            continue
        looked_at.append(GroupPhoto(source, len(photo.faces)))
        faces += _faces_of(parts, source, photo)
        if keep and photo.crops is not None and len(pictures) < MOST_KEPT:
            for number, crop in enumerate(photo.crops):
                pictures[source, number] = _jpeg(crop)
    return faces, looked_at, pictures


def _faces_of(parts: Recognizer, source: str, photo: Analysis) -> list[GroupFace]:
    from lineament.gallery.grouping import GroupFace
    from lineament.quality import measure

    assert photo.crops is not None
    limits = parts.judge.all_limits
    found = []
    for number, (face, embedding, crop) in enumerate(
        zip(photo.faces, photo.embeddings, photo.crops, strict=True)
    ):
        problems = limits.problems(measure(face, crop, embedding.norm))
        found.append(GroupFace(source, number, face, embedding, problems))
    return found


def _threshold(
    parts: Recognizer, n_faces: int, value: float | None, fmr: float | None
) -> Threshold:
    from lineament.gallery.grouping import grouping_threshold

    if value is not None or fmr is not None:
        return parts.threshold(value=value, fmr=fmr)
    assert parts.calibration is not None
    return grouping_threshold(parts.calibration, n_faces)


def _jpeg(crop: Image) -> bytes:
    from PIL import Image as PILImage

    file = io.BytesIO()
    PILImage.fromarray(crop).save(file, "JPEG", quality=85)
    return file.getvalue()


def _crop_again(face: GroupFace) -> Image | None:
    """The aligned face, from the photo; None when that is gone or was changed."""
    from lineament.align.alignment import align_faces
    from lineament.images import load_image

    try:
        method: AlignMethod = "crop" if face.face.landmarks_xy is None else "five-points"
        crops = align_faces(load_image(face.source), [face.face], method=method)
    except LineamentError:
        return None
    crop: Image = crops[0]
    return crop


# --- what is written ------------------------------------------------------------------------------


def _check_file(path: Path, option: str) -> None:
    if not path.absolute().parent.is_dir():  # known now, not after an hour of work
        raise OptionError(f"{option}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise OptionError(f"{option}: expected a file, {path} is a folder")


def _check_target(target: Path, photos: Sequence[str], option: str) -> None:
    """Raise OptionError unless the folder is new or empty, and apart from the photos."""
    whole = target.resolve()
    for argument in photos:
        folder = Path(argument).resolve()
        if folder.is_dir() and (whole == folder or folder in whole.parents):
            raise OptionError(
                f"{option}: {target} is inside {argument}, where it would be taken for more "
                "photos; name a folder elsewhere"
            )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OptionError(f"{option}: expected a new or an empty folder, {target} is neither")


def _write_report(
    path: Path, grouping: Grouping, parts: Recognizer, pictures: Pictures, min_size: int
) -> None:
    from lineament.files import write_atomically
    from lineament.pictures.pages.groups import contact_sheet

    def crop_of(place: int) -> bytes | None:
        face = grouping.faces[place]
        known = pictures.get((face.source, face.number))
        if known is not None:
            return known
        crop = _crop_again(face)
        return None if crop is None else _jpeg(crop)

    sheet = contact_sheet(grouping, crop_of, calibration=parts.calibration, min_size=min_size)
    write_atomically(path, sheet)


def _arrange(
    target: Path, option: str, grouping: Grouping, groups: Sequence[Group], *, link: bool
) -> int:
    """Copy or link the photos, a folder a group; how many could not be."""
    make_folder(target, option)
    errors = 0
    folders: set[str] = set()
    for group in groups:
        name = _safe(group.title)
        if name.casefold() in folders:
            name = f"{name} ({group.id})"
        folders.add(name.casefold())
        folder = target / name
        make_folder(folder, option)
        taken: set[str] = set()
        for member in sorted(group.members, key=lambda m: m.face):
            source = Path(grouping.faces[member.face].source)
            copy = folder / _free(source.name, taken)
            try:
                if link:
                    copy.symlink_to(source)
                else:
                    shutil.copy2(source, copy)
            except OSError as error:
                print_error(f"{source}: not put into {folder} ({error.strerror})")
                errors += 1
    return errors


def _safe(title: str) -> str:
    safe = "".join(c if c.isalnum() or c in "-_. ()+,'" else "_" for c in title).strip(" .")
    safe = safe.encode()[:180].decode(errors="ignore")
    return safe if safe else "person"


def _free(name: str, taken: set[str]) -> str:
    """The file's name, or with a number when another photo of the group has it."""
    path = Path(name)
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{path.stem}~{number}{path.suffix}"
    taken.add(free.casefold())
    return free


def _summary(
    grouping: Grouping,
    groups: Sequence[Group],
    new: int,
    errors: int,
    out: Path | None,
    report: Path | None,
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "photos": len(grouping.photos),
        "new_photos": new,
        "faces": len(grouping.faces),
        "threshold": asdict(grouping.threshold),
        "groups": [
            {
                "id": group.id,
                "name": group.name,
                "size": len(group.members),
                "cohesion": group.cohesion,
                "llr": group.llr,
                "weakest": group.weakest,
                "faces": [
                    {
                        "source": grouping.faces[member.face].source,
                        "number": grouping.faces[member.face].number,
                        "support": member.support,
                        "probability": member.probability,
                        "doubts": list(member.doubts),
                    }
                    for member in group.members
                ],
            }
            for group in groups
        ],
        "apart": [list(pair) for pair in grouping.apart],
        "unreadable": [
            {"source": photo.source, "error": photo.error}
            for photo in grouping.photos
            if photo.error is not None
        ],
        "errors": errors,
        "out": None if out is None else str(out),
        "report": None if report is None else str(report),
    }


def _print(grouping: Grouping, groups: Sequence[Group], new: int) -> None:
    grouped = sum(len(group.members) for group in groups)
    rows = [
        (
            str(group.id),
            "" if group.name is None else group.name,
            str(len(group.members)),
            "" if group.cohesion is None else f"{group.cohesion:.3f}",
            "" if group.weakest is None else f"{group.weakest:.3f}",
            str(group.doubtful) if group.doubtful else "",
            grouping.faces[group.members[0].face].source,
        )
        for group in groups
    ]
    if rows:
        columns = ("group", "name", "faces", "similarity", "weakest", "in doubt", "for example")
        right = ("group", "faces", "similarity", "weakest", "in doubt")
        print_table(columns, rows, right=right, fold=columns[-1:])
    print_note(
        f"{new} new photo(s), {len(grouping.faces)} face(s): {grouped} in {len(groups)} "
        f"group(s), {len(grouping.faces) - grouped} in none; threshold {grouping.threshold}"
    )
    for a, b in grouping.apart:
        print_note(f"groups {a} and {b} look like one person; both were there before")


# --- names ----------------------------------------------------------------------------------------


def name_command(
    groups: Annotated[
        Path, typer.Argument(metavar="GROUPS.json", help="What `lineament group --out` wrote.")
    ],
    group: Annotated[int, typer.Argument(metavar="GROUP", help="The group's number.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom it shows.")],
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", metavar="DIR", help="Enroll the faces there; made if need be."),
    ] = None,
    with_doubtful: Annotated[
        bool, typer.Option("--with-doubtful", help="Enroll members in doubt, too.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Enroll duplicates, and who looks like somebody else, too."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Give a group a name, and enroll its faces in a gallery.

    Exit code 0: it has the name, and a face was enrolled, 1: none was, 2: error.
    """
    from lineament.decide.calibration import bundled
    from lineament.gallery.grouping import Grouping

    named = Grouping.load(groups).named(group, name)
    calibration = bundled(named.contract, "cosine")
    (chosen,) = (g for g in named.groups(calibration) if g.id == group)
    members = [m for m in chosen.members if with_doubtful or not m.doubts]
    left_out = len(chosen.members) - len(members)
    result: dict[str, Any] = {"group": group, "name": chosen.title, "left_out": left_out}
    found = True
    if gallery is not None:
        with _gallery(gallery, named) as store:
            samples = [_sample(named.faces[member.face]) for member in members]
            enrolled = store.enroll_embeddings(chosen.title, samples, force=force)
        found = bool(enrolled.enrolled)
        result |= {"gallery": str(gallery), **enrolled.to_dict()}
        if not json:
            for refusal in enrolled.refused:
                print_note(f"refused: {refusal}")
            for note in enrolled.notes:
                print_note(f"note: {note}")
            if left_out:
                print_note(f"left out: {left_out} in doubt; --with-doubtful enrolls them, too")
            print(f"enrolled {len(enrolled.enrolled)} face(s) as {chosen.title}")
    named.save(groups, calibration=calibration)
    if json:
        print_json(result)
    elif gallery is None:
        print(f"group {group} is {chosen.title}")
    raise typer.Exit(exit_code(0, found))


def _gallery(folder: Path, grouping: Grouping) -> Gallery:
    from lineament.gallery import Gallery

    try:
        return Gallery.open(folder)
    except GalleryNotFoundError:
        return Gallery.create(folder, grouping.contract)


def _sample(face: GroupFace) -> NewSample:
    from lineament.files import sha256_of_file
    from lineament.gallery.types import NewSample
    from lineament.quality import measure

    try:
        digest = sha256_of_file(face.source)
    except OSError:
        digest = None
    crop = None if digest is None else _crop_again(face)
    return NewSample(
        face.embedding,
        source=face.source,
        sha256=digest,
        face=face.face,
        quality=None if crop is None else measure(face.face, crop, face.embedding.norm),
        crop=crop,
    )
