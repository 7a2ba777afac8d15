"""What augmenting one photo costs: with OpenCV, as lineament does, and with Kornia.

    python benchmarks/training/augmentation.py [--repeats 200] [--json]

A crop of 112 x 112 pixels, one thread, every operation happening every time: mirroring, brightness,
contrast, saturation, gray, blur, low resolution, JPEG, erasing. Kornia's operations work on batches
of tensors; they are called photo by photo, as workers of a loader do, with the conversion
there and back. ``strong_ms`` is ``STRONG``, where most operations happen now and then. Medians.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import lineament
from lineament.train.data.augment import STRONG, Augment, augment
from lineament.types import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import DEMO, Parser, alternate, at_least, median_ms, report, table

ALL = Augment(
    flip=1.0,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    gray=1.0,
    blur=1.0,
    low_resolution=1.0,
    jpeg=1.0,
    erasing=1.0,
)


def with_kornia() -> Callable[[Image, int], Image]:
    """The same operations; low resolution is reduced to 40 pixels every time."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        try:
            import kornia.augmentation as kornia
            from kornia.geometry import resize
        except ImportError as error:
            raise SystemExit(
                "the comparison needs Kornia: run  pip install -r requirements/bench.txt"
            ) from error
    torch.set_num_threads(1)
    first = kornia.AugmentationSequential(
        kornia.RandomHorizontalFlip(p=1.0),
        kornia.ColorJiggle(0.3, 0.3, 0.3, 0.0, p=1.0),
        kornia.RandomGrayscale(p=1.0),
        kornia.RandomGaussianBlur((11, 11), (0.2, 2.0), p=1.0),
    )
    last = kornia.AugmentationSequential(
        kornia.RandomJPEG((30.0, 95.0), p=1.0), kornia.RandomErasing((0.02, 0.2), p=1.0)
    )

    def change(image: Image, _seed: int) -> Image:
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        small = resize(first(tensor), (40, 40), antialias=True)
        changed = last(resize(small, (112, 112)).clamp(0, 1))[0].permute(1, 2, 0)
        made: Image = (changed * 255).round().to(torch.uint8).numpy()
        return made

    return change


def measure(repeats: int) -> dict[str, Any]:
    photo = lineament.load_image(DEMO / "astronaut.jpg")
    image = np.ascontiguousarray(photo[80:192, 170:282])
    cv2.setNumThreads(1)
    seeds, kornias = itertools.count(), with_kornia()
    seconds = alternate(
        {
            "ours": lambda: augment(image, ALL, next(seeds)),
            "strong": lambda: augment(image, STRONG, next(seeds)),
            "kornia": lambda: kornias(image, next(seeds)),
        },
        repeats,
        block=max(1, repeats // 5),
        warm=3,
    )
    ours, strong, kornia = (median_ms(seconds[way]) for way in ("ours", "strong", "kornia"))
    return {
        "lineament_ms": round(ours, 3),
        "strong_ms": round(strong, 3),
        "kornia_ms": round(kornia, 3),
        "kornia_over_lineament": round(kornia / ours, 1),
        "repeats": repeats,
    }


def show(figures: dict[str, Any]) -> None:
    table(
        ("one photo", "ms (median)"),
        (
            ("all operations, OpenCV", f"{figures['lineament_ms']:.2f}"),
            ("all operations, Kornia", f"{figures['kornia_ms']:.2f}"),
            ("STRONG, OpenCV", f"{figures['strong_ms']:.2f}"),
        ),
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--repeats", type=at_least(1), default=200)
    options = parser.parse_args()
    report(options, lambda: measure(options.repeats), show)


if __name__ == "__main__":
    main()
