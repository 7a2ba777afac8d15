"""What the pictures of many faces share: their options, and the faces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli.output import print_note, with_progress
from lineament.cli.plot import drawing
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.datasets.source import RecognizerSource
    from lineament.explain.faces import Faces
    from lineament.types import Threshold

Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="DIR",
        help="Folder with a folder of photos a person; or a folder of photos, or some.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn by chance.")]
Threshold_ = Annotated[
    float | None, typer.Option("--threshold", help="The threshold itself, a cosine similarity.")
]

LADDER = (1e-2, 1e-3, 1e-4, 1e-5)
"""False match rates of which it is told which a pair still passes."""


def threshold_of(values: Mapping[str, Any], source: RecognizerSource) -> Threshold | None:
    """The threshold that the options ask for; None when the recognizer has none and none is asked.

    Raises:
        OptionError: --fmr and --threshold together, or a rate for which there is no threshold.
    """
    try:
        return drawing.threshold_of(values, source.recognizer)
    except OptionError as error:
        if values.get("fmr") is not None or values.get("threshold") is not None:
            raise
        print_note(f"note: no threshold is drawn: {error}")
        return None


def ladder_of(source: RecognizerSource) -> list[Threshold]:
    """The thresholds for the rates of ``LADDER``, as far as there are any."""
    found: list[Threshold] = []
    for fmr in LADDER:
        try:
            found.append(source.recognizer.threshold(fmr=fmr))
        except OptionError:
            continue
    return found


def load(
    photos: list[Path],
    source: RecognizerSource,
    *,
    crops_up_to: int,
    most: int | None = None,
    seed: int = 0,
) -> Faces:
    """Read the faces; what is left out is said on stderr.

    Args:
        photos: the argument.
        source: embeds.
        crops_up_to: with more photos the embeddings come from the cache, without crops.
        most: more are sampled.
        seed: of the sample.
    """
    from lineament.explain.faces import load_people, photos_in

    number = len(photos_in(photos))
    shown = number if most is None else min(number, most)
    faces = load_people(
        photos,
        source,
        keep_crops=shown <= crops_up_to,
        most=most,
        seed=seed,
        progress=with_progress,
    )
    for path, why in faces.left_out:
        print_note(f"left out: {path}: {why}" if str(path) not in why else f"left out: {why}")
    return faces


def inputs_of(photos: Iterable[Path]) -> list[Path]:
    """All photos that the argument stands for."""
    from lineament.explain.faces import photos_in

    return photos_in(list(photos))
