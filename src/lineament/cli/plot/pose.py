"""``lineament plot pose PHOTOS``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.output import print_note, with_progress
from lineament.cli.plot import drawing
from lineament.cli.sources import many_sources
from lineament.errors import OptionError


@options.with_recognizer()
def command(
    ctx: typer.Context,
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTOS...", help="A person's photos: a folder, or files."),
    ],
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="yaw|norm",
            help="Order: the turn of the head, or how much is seen of the face (covered or not).",
        ),
    ] = "yaw",
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="PHOTO",
            help="What they are held against.",
            show_default="the least turned of them",
        ),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", min=2, metavar="N", help="Faces to show; others are sampled.")
    ] = 24,
    title: drawing.Title = "",
    fmr: options.Fmr = None,
    threshold: drawing.Threshold_ = None,
    calibration: options.Calibration_ = None,
    out: drawing.Out = None,
    json: options.Json = False,
) -> None:
    """A person's photos by the turn of the head, or by how much is seen of the face."""
    if by not in ("yaw", "norm"):
        raise OptionError(f"--by: expected yaw or norm, got {by!r}")
    sources = many_sources(photos)
    target = drawing.check_out(out, "pose", json, inputs=[*sources, reference])
    from lineament.explain import compare_poses
    from lineament.pictures.plots.pose import pose

    recognizer = options.recognizer_from(ctx.params)
    seen = list(with_progress(recognizer.stream_chosen(sources), len(sources), "looking at faces"))
    for photo in seen:
        if photo.error is not None:
            print_note(f"note: {photo.error}")
    against = None
    if reference is not None:
        (against,) = recognizer.stream_chosen([reference])
    folder = Path(photos[0])
    if not title and len(photos) == 1 and folder.is_dir():
        title = folder.absolute().name.replace("_", " ")
    poses = compare_poses(
        seen,
        drawing.threshold_of(ctx.params, recognizer),
        recognizer.judge,
        by="yaw" if by == "yaw" else "norm",
        reference=against,
    )
    plot = pose(poses, title=title, most=most)
    if not json:
        print(plot.numbers["summary"])
    drawing.finish(plot, target, json)
