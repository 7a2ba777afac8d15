"""Write tests/golden/haar.json: what OpenCV 4's own CascadeClassifier finds in photos.

Run:  python -m scripts.golden.haar WIDER_SAMPLE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.packages import OPENCV_4, ROOT, fetch

SCALE_STEP, NEIGHBORS = 1.1, 3
WIDER_PHOTOS = 10
FILE = "haarcascade_frontalface_default.xml"


def main() -> None:
    package = fetch(OPENCV_4)
    sys.path.insert(0, str(package))  # whatever version is installed
    import cv2

    demo = sorted((ROOT / "src" / "lineament" / "data" / "demo").glob("*.jpg"))
    wider = sorted(Path(sys.argv[1], "images").iterdir())[:WIDER_PHOTOS]
    cascade = cv2.CascadeClassifier(str(package / "cv2" / "data" / FILE))
    found: dict[str, list[list[int]]] = {}
    for photo in [*demo, *wider]:
        gray = cv2.cvtColor(np.asarray(Image.open(photo).convert("RGB")), cv2.COLOR_RGB2GRAY)
        boxes, counts = cascade.detectMultiScale2(gray, SCALE_STEP, NEIGHBORS)
        rows = [[*map(int, box), int(n)] for box, n in zip(boxes, counts, strict=True)]
        found[photo.name] = sorted(rows)
    target = ROOT / "tests" / "golden" / "haar.json"
    target.write_text(json.dumps(found).replace("]], ", "]],\n") + "\n", encoding="utf-8")
    print(f"{target}: {len(found)} photos, by OpenCV {cv2.__version__}")


if __name__ == "__main__":
    main()
