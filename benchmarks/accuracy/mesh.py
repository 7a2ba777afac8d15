"""How far the mesh's irises and corners of the eyes lie from where two other networks find them.

    python benchmarks/accuracy/mesh.py DIR [--photos 1000] [--json]

On photos of LFW, drawn by chance, for the face nearest to each center: the irises of the 478 points
against the detector's eyes (five points), and the four corners of the eyes against those of the 68
points. Errors are in distances between the detector's eyes; ``median_error`` is that of all six
points of all photos. Nobody set points by hand here: ``references`` is how far the detector's eyes
lie from the middle of the eyes among the 68, which is what this comparison can resolve.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from lineament import FaceFinder
from lineament.align import load_landmarker
from lineament.align.mesh_points import LEFT_EYE_CORNERS, LEFT_IRIS, RIGHT_EYE_CORNERS, RIGHT_IRIS
from lineament.datasets.lfw import read_lfw

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track

SEED = 16
CORNERS_68 = [36, 39, 42, 45]


def measure(folder: Path, photos: int) -> dict[str, Any]:
    lfw = read_lfw(folder)
    count = min(photos, len(lfw.person))
    used = np.sort(np.random.default_rng(SEED).permutation(len(lfw.person))[:count])
    finder = FaceFinder(choose="central")
    few, many = load_landmarker("landmarks68"), load_landmarker("mesh")
    errors: dict[str, list[np.ndarray]] = {"irises": [], "corners": [], "references": []}
    stream = finder.stream([lfw.path(int(i)) for i in used], keep_pixels=True)
    for photo in track(stream, "looked at", count):
        if photo.index is None or photo.faces[photo.index].landmarks_xy is None:
            continue
        face = photo.faces[photo.index]
        five = np.asarray(face.landmarks_xy, np.float64)
        points, mesh = (each.locate(photo.pixels, [face])[0] for each in (few, many))
        middles = np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0)])
        corners = mesh[[*LEFT_EYE_CORNERS, *RIGHT_EYE_CORNERS]]
        apart = np.linalg.norm(five[1] - five[0])
        for name, one, other in (
            ("irises", mesh[[LEFT_IRIS, RIGHT_IRIS]], five[:2]),
            ("corners", corners, points[CORNERS_68]),
            ("references", middles, five[:2]),
        ):
            errors[name].append(np.linalg.norm(one - other, axis=1) / apart)
    together = np.concatenate([*errors["irises"], *errors["corners"]])
    return {
        "n_photos": len(errors["irises"]),
        "median_error": round(float(np.median(together)), 4),
        "error_95": round(float(np.quantile(together, 0.95)), 4),
        **{
            name: {
                "median": round(float(np.median(rows)), 4),
                "95": round(float(np.quantile(rows, 0.95)), 4),
            }
            for name, rows in errors.items()
        },
    }


def show(figures: dict[str, Any]) -> None:
    rows = [
        ("irises against the detector's eyes", "irises"),
        ("corners of the eyes against the 68", "corners"),
        ("the detector's eyes against the 68", "references"),
    ]
    table(
        ("in eye distances", "median", "95 %"),
        ((words, f"{figures[k]['median']:.4f}", f"{figures[k]['95']:.4f}") for words, k in rows),
    )
    print(f"all six points of {figures['n_photos']:,} photos: median {figures['median_error']:.4f}")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("lfw", type=Path, metavar="DIR", help="folder of LFW")
    parser.add_argument("--photos", type=at_least(1), default=1000, help="how many (default 1000)")
    options = parser.parse_args()
    report(options, lambda: measure(options.lfw, options.photos), show)


if __name__ == "__main__":
    main()
