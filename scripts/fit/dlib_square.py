"""Fit where dlib's squares lie about a face, from the five landmarks: SQUARE_SIDE and SQUARE_UP.

dlib's landmarks start from the square that its detector finds. Where that detector is not
installed, our landmarks stand for it: this prints the medians over LFW View 1, and how they
scatter.

Run:  python -m scripts.fit.dlib_square ../shared/lfw      (needs requirements/bench.txt)
"""

from __future__ import annotations

import sys

import dlib
import numpy as np

from lineament.datasets.lfw import read_lfw
from lineament.evaluate.protocols.lfw import images_of
from lineament.finder import FaceFinder
from lineament.images import load_image

EVERY = 10  # of the photos; a tenth says it to two digits
NEAR = 0.5  # of the face's size: farther away is somebody else


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lfw = read_lfw(sys.argv[1])
    detector, finder = dlib.get_frontal_face_detector(), FaceFinder()
    found = []
    for number in images_of(lfw, ("1",))[::EVERY]:
        image = load_image(lfw.path(int(number)))
        face = finder.find(image).largest()
        if face is None:
            continue
        five = finder.find(image).faces[face].landmarks_xy.astype(np.float64)
        eyes, mouth = five[:2].mean(axis=0), five[3:].mean(axis=0)
        height = np.linalg.norm(mouth - eyes)
        size, down = np.linalg.norm(five[1] - five[0]) + height, (mouth - eyes) / height
        for box in detector(image, 1):
            middle = np.array([box.left() + box.right(), box.top() + box.bottom()]) / 2
            off = middle - (eyes + mouth) / 2
            if np.linalg.norm(off) < NEAR * size:
                found.append([(box.right() - box.left() + 1) / size, -(off @ down) / size])
    (side, up), scatter = np.median(found, axis=0), np.std(found, axis=0)
    print(f"{len(found):,} squares: side {side:.3f} (scatter {scatter[0]:.3f})")
    print(f"above the middle of eyes and mouth: {up:.3f} (scatter {scatter[1]:.3f})")


if __name__ == "__main__":
    main()
