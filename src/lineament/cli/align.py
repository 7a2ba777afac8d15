"""``lineament align IMAGE... --out DIR``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.detect import Images, exit_code, report
from lineament.cli.output import (
    make_folder,
    print_error,
    print_json,
    print_note,
    print_table,
    refuse_existing,
    with_progress,
)
from lineament.cli.sources import FileNames, load_again, many_sources, readable_twice
from lineament.errors import LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.types import Analysis

SIZES_PX = (112, 150, 160, 224)
"""What recognizers in use take: ArcFace and SFace 112, dlib 150, FaceNet 160, VGGFace 224."""


@options.with_recognizer(without=options.OF_THE_RECOGNIZER)
def command(
    ctx: typer.Context,
    images: Images,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the crops (PNG).")],
    size: Annotated[
        int, typer.Option("--size", metavar="|".join(map(str, SIZES_PX)), help="Side in pixels.")
    ] = SIZES_PX[0],
    alignment: Annotated[
        str | None,
        typer.Option(
            "--method",
            "--alignment",
            metavar="five-points|eyes|crop",
            help="How faces are aligned.",
            show_default=options.SHOWN_DEFAULTS["alignment"],
        ),
    ] = None,
    cut_out: Annotated[
        bool, typer.Option("--cut-out", help="Black outside of the face's hull (68 points).")
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Cut faces out, upright and in place.

    The crops are DIR/NAME_1.png, DIR/NAME_2.png, ... Exit code 0: there are some,
    1: there are none, 2: error.
    """
    if size not in SIZES_PX:
        raise OptionError(f"--size: expected one of {', '.join(map(str, SIZES_PX))}, got {size}")
    parts = options.recognizer_from(ctx.params, crop_px=size)
    landmarks = _landmarks_model(ctx.params) if cut_out else None
    sources = many_sources(images)
    if cut_out:
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
                crops = _cut_out(landmarks, source, photo, parts.alignment, size)
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


def _write(crop: Any, path: Path, overwrite: bool) -> Path:
    from lineament.draw import save_png

    refuse_existing(path, overwrite)
    save_png(crop, path)
    return path


def _landmarks_model(values: dict[str, Any]) -> Any:
    from lineament import weights
    from lineament.runtime import load_model

    return load_model(
        weights.get("landmarks68"),
        runtime=options.runtime_from(values),
        policy=options.policy_from(values.get("licence_policy")),
    )


def _cut_out(model: Any, source: Any, photo: Analysis, method: Any, size_px: int) -> list[Any]:
    from lineament.align import face_transforms, to_crop_xy, warp
    from lineament.landmarks import cut_out, landmarks68

    image = load_again(source)
    transforms = face_transforms(photo.faces, method=method, size_px=size_px)
    points = to_crop_xy(landmarks68(model, image, photo.faces), transforms)
    crops = warp(image, transforms, size_px)
    return [cut_out(crop, face) for crop, face in zip(crops, points, strict=True)]
