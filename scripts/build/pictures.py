"""Make the pictures of README and docs, in docs/images, from the demo photos.

    python -m scripts.build.pictures [--out FOLDER]

They are what ``lineament verify A B --save``, ``lineament detect A --save`` and ``lineament
anonymize A --out`` write, as JPEG. The photos are in the public domain
(src/lineament/data/demo/PROVENANCE.md).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from scripts.packages import ROOT

DEMO = ROOT / "src" / "lineament" / "data" / "demo"
PICTURES = {
    "verify.jpg": ("verify", "obama.jpg", "obama2.jpg", "--save"),
    "detect.jpg": ("detect", "group.jpg", "--save"),
    "anonymize.jpg": ("anonymize", "group.jpg", "--out"),
}
WIDTH_PX, QUALITY = 752, 86


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, words in PICTURES.items():
        with tempfile.TemporaryDirectory() as folder:
            drawn = Path(folder) / "drawn.png"
            command = [sys.executable, "-m", "lineament", *words, str(drawn)]
            subprocess.run(command, cwd=DEMO, check=True, stdout=subprocess.DEVNULL)
            picture = Image.open(drawn).convert("RGB")
        if picture.width > WIDTH_PX:
            height = round(picture.height * WIDTH_PX / picture.width)
            picture = picture.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
        picture.save(options.out / name, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
