"""Embeddings of many photos as one matrix: nobody's row takes another's place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from builders import FakeDetector, make_contract, make_embedding, make_face
from lineament.encoded import Encoded
from lineament.errors import ContractError, ImageNotFoundError, OptionError
from lineament.pipeline import Recognizer
from lineament.types import Image

IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 90, 100, 3), np.uint8))


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer("mobilefacenet", detector=FakeDetector(make_face()))


def made(failed: dict[int, Any] | None = None, n: int = 3) -> Encoded:
    errors = {} if failed is None else failed
    rows = [number for number in range(n) if number not in errors]
    return Encoded(
        np.eye(4, dtype=np.float32)[rows],
        np.arange(1, 1 + len(rows), dtype=np.float32),
        np.array(rows, np.int64),
        tuple(f"{number}.jpg" for number in range(n)),
        errors,
        make_contract(),
    )


MISSING = ImageNotFoundError("1.jpg: no such file")


def test_a_matrix_of_all(recognizer: Recognizer) -> None:
    encoded = recognizer.encode(IMAGES)
    matrix = np.asarray(encoded)
    expected = [recognizer.embed(image) for image in IMAGES]
    assert matrix.shape == encoded.shape == (3, expected[0].contract.dimension)
    assert matrix.dtype == encoded.dtype == np.float32
    np.testing.assert_allclose(matrix, np.stack(expected), atol=1e-5)
    np.testing.assert_allclose(encoded.norms, [each.norm for each in expected], rtol=1e-4)
    np.testing.assert_allclose(encoded.similarity(), matrix @ matrix.T, atol=1e-6)
    np.testing.assert_allclose(encoded.similarity(expected[1]), matrix @ matrix[1], atol=1e-4)
    assert encoded.contract == expected[0].contract
    assert bool(encoded)
    assert encoded.errors == {}
    np.testing.assert_allclose(list(encoded)[2].vector, expected[2].vector, atol=1e-5)


def test_what_stands_for_many_is_many(recognizer: Recognizer, tmp_path: Path) -> None:
    for number, image in enumerate(IMAGES):
        PILImage.fromarray(image).save(tmp_path / f"{number}.png")
    expected = np.asarray(recognizer.encode(IMAGES))
    sources: list[Any] = [
        tmp_path,
        str(tmp_path / "*.png"),
        (image for image in IMAGES),
        np.stack(IMAGES),
    ]
    for source in sources:
        np.testing.assert_allclose(np.asarray(recognizer.encode(source)), expected, atol=1e-4)
    alone: Image = IMAGES[0]
    assert recognizer.encode(alone).shape == (1, expected.shape[1])
    assert recognizer.encode([]).shape == (0, expected.shape[1])


def test_a_photo_that_failed_does_not_shift_the_others(recognizer: Recognizer) -> None:
    encoded = recognizer.encode([IMAGES[0], "nope.jpg", IMAGES[2]])
    assert len(encoded) == 3
    assert encoded.ok.tolist() == [True, False, True]
    assert encoded.rows.tolist() == [0, 2]
    assert encoded.sources[1] == "nope.jpg"
    assert list(encoded.errors) == [1]
    names = np.array(["a", "b", "c"])
    assert len(encoded.vectors) == len(names[encoded.ok]) == 2
    np.testing.assert_allclose(encoded[2].vector, recognizer.embed(IMAGES[2]).vector, atol=1e-5)
    for use in (np.asarray, np.array, lambda each: each.raise_for_errors(), bool):
        with pytest.raises(OptionError, match=r"1 of 3 photos have no embedding, the first at 1"):
            use(encoded)
    with pytest.raises(ImageNotFoundError):
        encoded[1]
    with pytest.raises(ImageNotFoundError):
        list(encoded)


def test_rows_that_failed_are_filled_by_wish() -> None:
    encoded = made({1: MISSING})
    assert np.isnan(encoded.filled()[1]).all()
    np.testing.assert_array_equal(encoded.filled(0)[[0, 2]], encoded.vectors)
    assert not encoded.filled(0)[1].any()
    assert not encoded.vectors.flags.writeable
    assert "1 of them without an embedding" in repr(encoded)
    table = encoded.to_rows()
    assert [row["source"] for row in table] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [row["error"] for row in table] == [None, "1.jpg: no such file", None]
    assert json.loads(encoded.to_json())["photos"][2]["vector"] == [0, 0, 1, 0]


def test_contracts_are_not_mixed_and_parts_fit() -> None:
    with pytest.raises(ContractError):
        made().similarity(make_embedding([1, 0, 0, 0], flip=True))
    with pytest.raises(OptionError, match="other: expected an Encoded or an Embedding"):
        made().similarity(np.eye(4))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="expected the number of a photo"):
        made()[:2]  # type: ignore[index]
    with pytest.raises(IndexError):
        made()[3]
    values = np.eye(4, dtype=np.float32)[:2]
    rows, norms = np.arange(2), np.ones(2, np.float32)
    with pytest.raises(OptionError, match="each of 3 photos once in rows and errors"):
        Encoded(values, norms, rows, ("a", "b", "c"), {}, make_contract())
    with pytest.raises(OptionError, match=r"vectors: expected shape \(2, 4\)"):
        Encoded(values[:, :3], norms, rows, ("a", "b"), {}, make_contract())
