"""Rebuild ``haar`` from opencv-python-headless 4: the numbers of its XML file, nothing else.

    python -m scripts.build.haar [PACKAGE] [--out FOLDER]

``PACKAGE`` is the folder that the wheel was unpacked into; without it the pinned one is fetched.
"""

from __future__ import annotations

import hashlib
import sys

from lineament.detect.cascade_file import packed, read_cascade
from scripts.packages import OPENCV_4, build_options, fetch

SOURCE = "cv2/data/haarcascade_frontalface_default.xml"
SOURCE_SHA256 = "0f7d4527844eb514d4a4948e822da90fbb16a34a0bbbbc6adc6498747a5aafb0"


def main() -> None:
    options = build_options(__doc__)
    package = fetch(OPENCV_4) if options.package is None else options.package
    data = (package / SOURCE).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"{SOURCE}: expected SHA-256 {SOURCE_SHA256}, got {digest}")
    cascade = read_cascade(data, SOURCE)
    small = packed(cascade)
    again = read_cascade(small, "haar", own=True)
    if (again.rectangles, again.thresholds) != (cascade.rectangles, cascade.thresholds):
        sys.exit("the packed cascade is another one")
    target = options.out / "haar" / "cascade.npz"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(small)
    print(f"{target}: {len(data):,} bytes of XML became {len(small):,}")


if __name__ == "__main__":
    main()
