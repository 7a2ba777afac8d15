"""One photo, its faces covered."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage
from server_under_test import Served

from lineament import FaceFinder
from lineament.anonymize import anonymize


def test_a_photo_is_covered_as_the_library_does(server: Served, photos: dict[str, bytes]) -> None:
    with server.client("verify") as client:
        answer = client.post("/anonymize?method=solid", content=photos["group"],
                             headers={"content-type": "image/jpeg"})  # fmt: skip
        jpeg = client.post("/anonymize", files={"image": photos["obama"]}, data={"form": "jpeg"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    expected = anonymize(photos["group"], method="solid")
    with PILImage.open(io.BytesIO(answer.content)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), expected.pixels)
    hidden, found = map(int, answer.headers["x-faces"].split("/"))
    assert (hidden, found) == (expected.n_hidden, len(expected.faces))
    assert jpeg.headers["content-type"] == "image/jpeg"
    assert not FaceFinder().find(jpeg.content).faces
    assert b"Exif" not in jpeg.content


@pytest.mark.parametrize(
    ("fields", "status", "option"),
    [
        ({"method": "smile"}, 422, "method"),
        ({"keep": "Ann"}, 422, "gallery"),
        ({"gallery": "none"}, 404, None),
    ],
)
def test_what_is_wrong_is_said(
    server: Served, photos: dict[str, bytes], fields: dict[str, Any], status: int,
    option: str | None,
) -> None:  # fmt: skip
    with server.client("verify") as client:
        answer = client.post("/anonymize", files={"image": photos["obama"]}, data=fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["option"] == option
