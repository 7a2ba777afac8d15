"""Frames of JPEGs that say how they are turned: cameras of MJPEG send such."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageOps

from lineament.video._container import _turn, turned

av = pytest.importorskip("av")
ORIENTATION = 0x0112


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
def test_a_frame_with_exif_data_is_read_and_upright(orientation: int | None) -> None:
    """PyAV has no name for such data, and fails when it is asked what there is."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :32, 0] = 255
    pixels[30:, 50:, 2] = 255
    exif = PILImage.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    file = io.BytesIO()
    PILImage.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0, exif=exif)
    with av.open(io.BytesIO(2 * file.getvalue()), format="mjpeg") as film:
        frame = next(film.decode(video=0))
    found = turned(frame.to_ndarray(format="rgb24"), _turn(frame))
    expected = np.asarray(ImageOps.exif_transpose(PILImage.open(file)))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 1
