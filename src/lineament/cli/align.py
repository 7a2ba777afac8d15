"""``lineament align IMAGE... --out DIR``, and ``--people`` for training sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import command, option
from lineament.cli.numbers import COUNT
from lineament.cli.output import (
    exit_code,
    print_error,
    print_json,
    print_note,
    print_pairs,
    print_photo_error,
    print_table,
)
from lineament.cli.progress import keeps, with_progress
from lineament.cli.sources import FileNames, many_sources, not_looked_at, say_not_looked_at_in
from lineament.cli.targets import FOLDER, make_folder, refuse_existing
from lineament.errors import LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.finder import FaceFinder
    from lineament.train.data.aligning import Existing
    from lineament.types import Photo

SIZES_PX = (112, 150, 152, 160, 224)
"""What recognizers in use take: ArcFace and SFace 112, dlib 150, DeepFace 152, FaceNet 160, VGGFace
224."""

FRONTAL = "frontal"
"""The method of ``lineament.align.frontal``. No recognizer here takes such crops, so only this
command has it."""


@command("lineament align ~/photos --out crops --size 160")
@options.images
@option("--out", writes=FOLDER, required=True, metavar="DIR", help="Folder for the crops (PNG).")
@option(
    "--size",
    type=COUNT,
    metavar="|".join(map(str, SIZES_PX)),
    help="Side in pixels.",
    show_default=f"{SIZES_PX[0]}; 152 for frontal",
)
@option(
    "--method",
    "--alignment",
    "alignment",
    metavar="five-points|eyes|crop|frontal",
    help="How faces are aligned; frontal: turned to the front by 68 points.",
    show_default=options.SHOWN_DEFAULTS["alignment"],
)
@option("--cut-out", is_flag=True, help="Black outside of the face's hull (68 points).")
@options.landmarks("Points whose hull --cut-out takes.")
@option(
    "--people",
    is_flag=True,
    help="IMAGE is a folder with one folder per person: DIR/PERSON/PHOTO.png, one a photo.",
)
@option("--resume", is_flag=True, help="With --people: keep crops that exist, make the rest.")
@options.choose
@options.overwrite
@options.json
@options.allow_private
@options.recognizer(without=options.ONLY_FACES)
def align(
    images: tuple[str, ...],
    out: Path,
    size: int | None,
    alignment: str | None,
    cut_out: bool,
    landmarks: str | None,
    people: bool,
    resume: bool,
    choose: str | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Cut faces out, upright and in place.

    The crops are DIR/NAME_1.png, DIR/NAME_2.png, ...; with --people DIR/PERSON/PHOTO.png, for
    training. Exit code 0: there are some, 1: there are none, 2: error.
    """
    frontal = alignment == FRONTAL
    if size is None:
        size = 152 if frontal else SIZES_PX[0]
    if size not in SIZES_PX:
        raise OptionError(f"--size: expected one of {', '.join(map(str, SIZES_PX))}, got {size}")
    for flag, value in (("--resume", resume), ("--choose", choose is not None)):
        if value and not people:
            raise OptionError(f"{flag}: expected together with --people only")
    if landmarks is not None and not cut_out:
        raise OptionError("--landmarks: expected together with --cut-out only")
    if frontal and cut_out:
        raise OptionError("--method frontal: expected without --cut-out, got both")
    if alignment is not None and not frontal:
        options.check_alignment(alignment)
    finder = options.finder_from({**given, "choose": choose, "landmarks": landmarks})
    name = f"{FRONTAL}-{size}" if frontal else _alignment_name(alignment, size)
    if people and cut_out:
        raise OptionError("expected --people or --cut-out, got both")
    if cut_out or frontal:
        _ = finder.landmarker  # what cannot be loaded is said once, before the work
    if people:
        return _align_people(images, out, finder, name, _existing(resume, overwrite), json)
    sources = many_sources(images)
    make_folder(out, "out")
    found: list[dict[str, Any]] = []
    errors = 0
    names = FileNames()

    def cut(photo: Photo) -> Photo:
        crops = finder.crops(photo, alignment=name, cut_out=cut_out)
        return replace(photo, selected=tuple(range(len(crops))), crops=crops)

    keeps(lambda: f"the crops of {len(found)} of {len(sources)} photos are written and stay")
    results = finder.stream(sources, then=cut)
    for photo in with_progress(results, len(sources), "aligning"):
        errors += print_photo_error(photo)
        item: dict[str, Any] = {**photo.to_dict(), "crops": []}
        found.append(item)
        if photo.error is not None or photo.crops is None:
            continue
        stem = names.stem(photo.source)
        try:
            for number, crop in enumerate(photo.crops, 1):
                item["crops"].append(str(_write(crop, out / f"{stem}_{number}.png", overwrite)))
        except LineamentError as error:
            errors += 1
            item["error"] = str(error)
            print_error(error)
    written = [(item["source"], path) for item in found for path in item["crops"]]
    if json:
        print_json({"photos": found, "n_errors": errors} | not_looked_at())
    else:
        if written:
            print_table(("photo", "crop"), written)
        if not written and not errors:
            print_note("no face was found")
    return exit_code(errors, bool(written))


def _existing(resume: bool, overwrite: bool) -> Existing:
    if resume and overwrite:
        raise OptionError("expected --resume or --overwrite, got both")
    return "resume" if resume else "overwrite" if overwrite else "refuse"


def _align_people(
    images: Sequence[str],
    out: Path,
    finder: FaceFinder,
    alignment: str,
    existing: Existing,
    json: bool,
) -> int:
    from lineament.train.data.aligning import align_people

    if len(images) != 1:
        raise OptionError(
            f"--people: expected one folder with one folder per person, got {len(images)} arguments"
        )
    keeps("crops that are written stay; run the same command again with --resume to go on")
    made = align_people(
        images[0], out, finder, alignment=alignment, existing=existing, progress=with_progress
    )
    say_not_looked_at_in(images[0])
    for source in made.without_face:
        print_note(f"{source}: no face was found")
    for _, reason in made.failed:
        print_error(reason)
    if json:
        about = {"out": str(out), "n_errors": len(made.failed)}
        print_json(made.to_dict() | about | not_looked_at())
    else:
        rows = [
            ("photos", made.photos),
            ("crops written", made.written),
            ("crops kept", made.kept),
            ("without a face", len(made.without_face)),
            ("not read", len(made.failed)),
            ("people with a crop", made.people),
        ]
        print_pairs((name, f"{count:,}") for name, count in rows)
    return exit_code(len(made.failed), made.written + made.kept > 0)


def _write(crop: Any, path: Path, overwrite: bool) -> Path:
    from lineament.pictures.photos import save_png

    refuse_existing(path, overwrite)
    save_png(crop, path)
    return path


def _alignment_name(method: Any, size_px: int) -> str:
    from lineament.align.alignment import Alignment

    return str(Alignment.square(size_px, "five-points" if method is None else method))
