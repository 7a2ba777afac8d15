"""``lineament align IMAGE... --out DIR``, and ``--people`` for training sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from lineament.cli import options
from lineament.cli.detect import Images, exit_code, report
from lineament.cli.output import (
    make_folder,
    print_error,
    print_json,
    print_note,
    print_pairs,
    print_table,
    refuse_existing,
    with_progress,
)
from lineament.cli.sources import FileNames, load_again, many_sources, readable_twice
from lineament.errors import LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.pipeline import Recognizer
    from lineament.train.data.aligning import Cut, Existing
    from lineament.types import Face, Photo

SIZES_PX = (112, 150, 152, 160, 224)
"""What recognizers in use take: ArcFace and SFace 112, dlib 150, DeepFace 152, FaceNet 160, VGGFace
224."""

FRONTAL = "frontal"
"""The method of ``lineament.align.frontal``. No recognizer here takes such crops, so only this
command has it."""


@options.with_recognizer(without=options.OF_THE_RECOGNIZER)
def command(
    ctx: typer.Context,
    images: Images,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the crops (PNG).")],
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            metavar="|".join(map(str, SIZES_PX)),
            help="Side in pixels.",
            show_default=f"{SIZES_PX[0]}; 152 for frontal",
        ),
    ] = None,
    alignment: Annotated[
        str | None,
        typer.Option(
            "--method",
            "--alignment",
            metavar="five-points|eyes|crop|frontal",
            help="How faces are aligned; frontal: turned to the front by 68 points.",
            show_default=options.SHOWN_DEFAULTS["alignment"],
        ),
    ] = None,
    cut_out: Annotated[
        bool, typer.Option("--cut-out", help="Black outside of the face's hull (68 points).")
    ] = False,
    people: Annotated[
        bool,
        typer.Option(
            "--people",
            help="IMAGE is a folder with a folder a person: DIR/PERSON/PHOTO.png, one a photo.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --people: keep crops that exist, make the rest.")
    ] = False,
    choose: options.Choose = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Cut faces out, upright and in place.

    The crops are DIR/NAME_1.png, DIR/NAME_2.png, ...; with --people DIR/PERSON/PHOTO.png, for
    training. Exit code 0: there are some, 1: there are none, 2: error.
    """
    frontal = alignment == FRONTAL
    if size is None:
        size = 152 if frontal else SIZES_PX[0]
    if size not in SIZES_PX:
        raise OptionError(f"--size: expected one of {', '.join(map(str, SIZES_PX))}, got {size}")
    for option, given in (("--resume", resume), ("--choose", choose is not None)):
        if given and not people:
            raise OptionError(f"{option}: expected together with --people only")
    if frontal and cut_out:
        raise OptionError("--method frontal: expected without --cut-out, got both")
    # The frontal crops are cut here; "crop" asks least of the detector.
    values = {**ctx.params, "alignment": "crop"} if frontal else ctx.params
    parts = options.recognizer_from(values, crop_px=size)
    if people:
        if cut_out:
            raise OptionError("expected --people or --cut-out, got both")
        cut = _frontal_cut(_landmarks_model(ctx.params), size) if frontal else None
        _align_people(images, out, parts, _existing(resume, overwrite), cut, json)
    landmarks = _landmarks_model(ctx.params) if cut_out or frontal else None
    sources = many_sources(images)
    if landmarks is not None:
        sources = [readable_twice(source) for source in sources]
    make_folder(out, "--out")
    found: list[dict[str, Any]] = []
    errors = 0
    names = FileNames()
    results = parts.stream(sources, embed=False, keep_crops=True)
    for source, photo in zip(
        sources, with_progress(results, len(sources), "aligning"), strict=True
    ):
        errors += report(photo)
        item: dict[str, Any] = {**photo.to_dict(), "crops": []}
        found.append(item)
        if photo.error is not None or photo.crops is None:
            continue
        stem = names.stem(photo.source)
        try:
            crops: Sequence[Any] = list(photo.crops)
            if landmarks is not None and len(crops):
                crops = (
                    _frontal(landmarks, source, photo.faces, size)
                    if frontal
                    else _cut_out(landmarks, source, photo, parts.alignment, size)
                )
            for number, crop in enumerate(crops, 1):
                item["crops"].append(str(_write(crop, out / f"{stem}_{number}.png", overwrite)))
        except LineamentError as error:
            errors += 1
            item["error"] = str(error)
            print_error(error)
    written = [(item["source"], path) for item in found for path in item["crops"]]
    if json:
        print_json({"images": found, "errors": errors})
    else:
        if written:
            print_table(("photograph", "crop"), written, fold=("photograph", "crop"))
        if not written and not errors:
            print_note("no face was found")
    raise typer.Exit(exit_code(errors, bool(written)))


def _existing(resume: bool, overwrite: bool) -> Existing:
    if resume and overwrite:
        raise OptionError("expected --resume or --overwrite, got both")
    return "resume" if resume else "overwrite" if overwrite else "refuse"


def _align_people(
    images: Sequence[str],
    out: Path,
    parts: Recognizer,
    existing: Existing,
    cut: Cut | None,
    json: bool,
) -> NoReturn:
    from lineament.train.data.aligning import align_people

    if len(images) != 1:
        raise OptionError(
            f"--people: expected one folder with a folder a person, got {len(images)} arguments"
        )
    made = align_people(images[0], out, parts, existing=existing, progress=with_progress, cut=cut)
    for source in made.without_face:
        print_note(f"{source}: no face was found")
    for _, reason in made.failed:
        print_error(reason)
    if json:
        print_json({**made.to_dict(), "out": str(out), "errors": len(made.failed)})
    else:
        rows = [
            ("photographs", made.photos),
            ("crops written", made.written),
            ("crops kept", made.kept),
            ("without a face", len(made.without_face)),
            ("not read", len(made.failed)),
            ("people with a crop", made.people),
        ]
        print_pairs((name, f"{count:,}") for name, count in rows)
    raise typer.Exit(exit_code(len(made.failed), made.written + made.kept > 0))


def _write(crop: Any, path: Path, overwrite: bool) -> Path:
    from lineament.pictures.photos import save_png

    refuse_existing(path, overwrite)
    save_png(crop, path)
    return path


def _landmarks_model(values: dict[str, Any]) -> Any:
    from lineament import models
    from lineament.models.runtime import load_model

    return load_model(
        models.get("landmarks68"),
        runtime=options.runtime_from(values),
        policy=options.policy_from(values.get("license_policy")),
    )


def _cut_out(model: Any, source: Any, photo: Photo, method: Any, size_px: int) -> list[Any]:
    from lineament.align.alignment import face_transforms, to_crop_xy, warp
    from lineament.align.landmarks68 import cut_out, landmarks68

    image = load_again(source)
    transforms = face_transforms(photo.faces, method=method, size_px=size_px)
    points = to_crop_xy(landmarks68(model, image, photo.faces), transforms)
    crops = warp(image, transforms, size_px)
    return [cut_out(crop, face) for crop, face in zip(crops, points, strict=True)]


def _frontal_cut(model: Any, size_px: int) -> Cut:
    def cut(path: Path, face: Face) -> Any:
        return _frontal(model, path, [face], size_px)[0]

    return cut


def _frontal(model: Any, source: Any, faces: Sequence[Face], size_px: int) -> list[Any]:
    from lineament.align.frontal import frontalize
    from lineament.align.landmarks68 import landmarks68

    image = load_again(source)
    points = landmarks68(model, image, faces)
    return [frontalize(image, face, size_px=size_px) for face in points]
