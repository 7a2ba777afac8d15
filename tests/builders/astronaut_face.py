"""The one face of the demo photo that tests of landmarks look at."""

from __future__ import annotations

import numpy as np

# What facenet-pytorch 2.6.0's MTCNN finds in the photo.
BOX = np.array([180.04, 59.68, 268.83, 173.30])
FIVE = np.array(
    [[205.09, 101.09], [248.03, 103.45], [224.94, 129.21], [202.13, 139.82], [245.92, 142.45]]
)
EYE_DISTANCE = np.linalg.norm(FIVE[1] - FIVE[0])
