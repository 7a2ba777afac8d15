"""Do the bundled recognizers gain or lose by faces that are turned to the front?

    python benchmarks/accuracy/frontal.py DIR [--json]

On the photos of LFW View 1's pairsDevTest, each face is cut out at 112 pixels in four ways:

- ``five-points``: as the pipeline does, by the detector's five landmarks.
- ``five-of-68``: the same by five of the 68 points, which all the frontal crops are made from.
- ``frontal``: ``lineament.align.frontal``, what is hidden filled from the other half; and without.

Printed are TAR at FMR 1e-2, 1e-3 and 1e-4 over all pairs of these photos, and over those of
them in which a face is turned by more than 20 degrees (``pose.head_pose``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from lineament import Recognizer, models
from lineament.align.alignment import Alignment, align_faces, template_xy
from lineament.align.frontal import frontalize
from lineament.align.landmarks68 import five_of_68, landmarks68
from lineament.datasets.lfw import read_lfw
from lineament.embed import load_embedder
from lineament.evaluate.metrics import tar_at_fmr
from lineament.geometry import similarity_transforms, warp
from lineament.images import load_image
from lineament.models.runtime import load_model
from lineament.pose import head_pose

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, report, table, track

RECOGNIZERS = ("sface", "mobilefacenet")
WAYS = ("five-points", "five-of-68", "frontal", "frontal, nothing filled")
FMRS = (1e-2, 1e-3, 1e-4)
TURNED_DEG = 20.0
SIZE_PX = 112


def measure(folder: Path) -> dict[str, Any]:
    lfw = read_lfw(folder)
    used = np.unique(lfw.view1_test.indices)
    model = load_model(models.get("landmarks68"))
    crops: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    person, yaw = [], []
    paths = [lfw.path(int(i)) for i in used]
    photos = zip(used, paths, Recognizer().stream(paths, embed=False), strict=True)
    for i, path, photo in track(photos, "cut", len(used)):
        index = photo.most_central()
        if index is None:
            continue
        face, image = photo.faces[index], load_image(path)
        points = landmarks68(model, image, [face])
        by_five = similarity_transforms(five_of_68(points), template_xy(SIZE_PX))
        crops[WAYS[0]].append(align_faces(image, [face], Alignment.square(SIZE_PX))[0])
        crops[WAYS[1]].append(warp(image, by_five, SIZE_PX)[0])
        crops[WAYS[2]].append(frontalize(image, points[0], size_px=SIZE_PX))
        crops[WAYS[3]].append(frontalize(image, points[0], size_px=SIZE_PX, fill="none"))
        person.append(lfw.person[i])
        yaw.append(abs(head_pose(np.asarray(face.landmarks_xy)).yaw_deg))
    one, other = np.triu_indices(len(person), 1)
    same = np.array(person)[one] == np.array(person)[other]
    turned = np.maximum(np.array(yaw)[one], np.array(yaw)[other]) > TURNED_DEG
    rows = []
    for name in RECOGNIZERS:
        embedder = load_embedder(models.get(name), flip=False)
        for way in WAYS:
            vectors, _ = embedder.embed(np.stack(crops[way]))
            scores = (vectors @ vectors.T)[one, other]
            row: dict[str, Any] = {"recognizer": name, "crops": way}
            for words, some in (("all", np.ones_like(turned)), ("turned", turned)):
                tars = tar_at_fmr(scores[some & same], scores[some & ~same], FMRS)
                row[words] = {
                    f"{fmr:.0e}": round(float(t), 4) for fmr, t in zip(FMRS, tars, strict=True)
                }
            rows.append(row)
    pairs = {"all": int(same.sum()), "turned": int((same & turned).sum())}
    return {"photographs": len(person), "genuine_pairs": pairs, "rows": rows}


def show(figures: dict[str, Any]) -> None:
    sets = ("all", "turned")
    fmrs = [f"{fmr:.0e}" for fmr in FMRS]
    table(
        ("recognizer", "crops", *(f"{s}, {f}" for s in sets for f in fmrs)),
        (
            (row["recognizer"], row["crops"], *(f"{row[s][f]:.2%}" for s in sets for f in fmrs))
            for row in figures["rows"]
        ),
    )
    print(f"{figures['photographs']:,} photos; genuine pairs: {figures['genuine_pairs']}")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("lfw", type=Path, metavar="DIR", help="folder of LFW")
    options = parser.parse_args()
    report(options, lambda: measure(options.lfw), show)


if __name__ == "__main__":
    main()
