"""A detector of one's own, by name: YuNet, but only the largest face of a photo.

    python examples/plugin.py [PHOTO]

Once this module is named by the environment variable LINEAMENT_PLUGINS, or by an entry point of the
package that holds it, ``lineament detect PHOTO --detector largest`` finds it, too; so do galleries,
plots and everything else that takes the name of a detector.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lineament
from lineament import DetectOptions, Recognizer
from lineament.detect import register_detector
from lineament.detect.yunet import YuNet
from lineament.models.runtime import Model
from lineament.types import Face, Image

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@register_detector("largest", models=("yunet",))
class Largest:
    """The largest face that YuNet finds."""

    def __init__(self, model: Model) -> None:
        """Take the loaded network."""
        self._yunet = YuNet(model)

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return one face, or none."""
        faces = self._yunet.detect(image, options)
        return sorted(faces, key=lambda face: max(face.size_wh), reverse=True)[:1]


def main() -> None:
    """Detect with it, and with it and the O-Net's landmarks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path, default=DEMO / "group.jpg")
    photo = parser.parse_args().photo
    for name in ("yunet", "largest", "largest+onet"):
        found = Recognizer(detector=name).analyze(photo)
        sizes = ", ".join(f"{max(face.size_wh):.0f}" for face in found.faces)
        print(f"{name:<13} {len(found.faces)} faces of {sizes} pixels")


if __name__ == "__main__":
    main()
