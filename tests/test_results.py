"""What all results can do, and what none of them may pass for."""

from __future__ import annotations

import ast
import base64
import io
import json
import logging
import pickle
import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from builders import FakeDetector, make_embedding, make_face
from lineament.decide.comparison import compare
from lineament.decide.thresholds import own_threshold
from lineament.errors import (
    ContractError,
    ImageNotFoundError,
    LineamentError,
    MissingExtraError,
    NoFaceError,
    OptionError,
    TruthValueError,
)
from lineament.gallery import Candidate, Identification, IdentifiedPhoto
from lineament.pipeline import Recognizer
from lineament.results import Outcome, as_json, failed, flat, succeeded, to_pandas
from lineament.types import Certainty, Decision, Photo, Quality

HALF = own_threshold(0.5, "cosine")
MISSING = ImageNotFoundError("nope.jpg: no such file")
LONGEST_REPR = 200


def decision(**changes: Any) -> Decision:
    a, b = make_embedding([1, 0, 0, 0]), make_embedding([0.6, 0.8, 0, 0])
    made = compare(a, b, HALF, sources=("a.jpg", "b.jpg"), faces=(make_face(), make_face()))
    return replace(made, **changes)


def photo(**changes: Any) -> Photo:
    values: dict[str, Any] = {
        "source": "p.jpg",
        "size_wh": (100, 90),
        "faces": (make_face(), make_face((0, 0, 10, 12))),
        "index": 0,
        "pixels": np.full((90, 100, 3), 200, np.uint8),
        "detector": "fake",
    }
    return Photo(**values | changes)


def identification(name: str | None = "Ada") -> Identification:
    ada = Candidate(1, 1, "Ada", 0.7, 0.99, 0.98, 0.995, 1, "ada.jpg", 1, {})
    return Identification(name, ada if name else None, (ada,), HALF, None, 1, make_face())


def of_each_kind() -> list[Outcome]:
    quality = Quality(40.0, 0.14, 5.0, -3.0, 0.5, 0.2, 9.2)
    certainty = Certainty(0.9, 0.8, 0.95, 2.2, 0.5, "a fit", 10, 20, 30)
    embedding = make_embedding(range(1, 129))
    face = identification()
    return [
        make_face(),
        photo(),
        embedding,
        embedding.contract,
        HALF,
        quality,
        certainty,
        decision(certainty=certainty, quality_a=quality),
        face,
        face.candidates[0],
        IdentifiedPhoto("p.jpg", (100, 90), (face,)),
    ]


every_kind = pytest.mark.parametrize("result", of_each_kind(), ids=lambda each: type(each).__name__)

# --- truth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "instead"),
    [
        (decision(), 'decision.verdict == "same"'),
        (decision(same=False), "decision.same"),
        (decision(reasons=("blurred",)), "decision.verdict"),
        (identification(), "identification.known"),
        (identification(None), "identification.name"),
    ],
)
def test_an_answer_is_neither_true_nor_false(answer: Any, instead: str) -> None:
    for ask in (bool, lambda value: not value, lambda value: any([value])):
        with pytest.raises(TruthValueError, match="neither true nor false") as caught:
            ask(answer)
        assert instead in str(caught.value)
    with pytest.raises(ValueError, match="say which"):  # as NumPy and pandas do
        list(filter(None, [answer]))


def test_lists_of_results_never_pass_for_yes() -> None:
    one = Recognizer("mobilefacenet", detector=FakeDetector(make_face()))
    image = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
    decided = one.verify([image, image], [image, "nope.jpg"], threshold=HALF)
    embedded = one.embed([image, "nope.jpg"])
    for result in (*decided, embedded[1]):
        with pytest.raises(LineamentError):
            bool(result)
    assert bool(embedded[0])
    found = one.detect([image, "nope.jpg"])
    assert [len(found[0]), bool(found[0])] == [1, True]
    with pytest.raises(ImageNotFoundError):
        bool(found[1])


def test_an_error_in_the_place_of_a_result_raises_itself_when_asked() -> None:
    stand_in = MISSING.as_result()
    assert type(stand_in) is ImageNotFoundError
    assert str(stand_in) == str(MISSING)
    with pytest.raises(ImageNotFoundError, match=r"nope\.jpg: no such file") as caught:
        bool(stand_in)
    assert caught.value is stand_in
    with pytest.raises(ImageNotFoundError):
        bool(pickle.loads(pickle.dumps(stand_in)))
    assert bool(MISSING)  # if photo.error: ...
    assert stand_in.__traceback__ is not None  # it was raised; a fresh one holds no frames:
    with pytest.raises(ImageNotFoundError) as raised:
        raise MISSING
    assert raised.value.as_result().__traceback__ is None


def test_errors_pass_through_what_asks_them_for_their_truth() -> None:
    def fail(error: Exception) -> None:
        raise error

    with ThreadPoolExecutor(1) as pool:
        for error in (MISSING, MISSING.as_result()):
            with pytest.raises(ImageNotFoundError, match="no such file"):
                pool.submit(fail, error).result()
    promised: Future[None] = Future()
    promised.set_exception(MISSING.as_result())
    with pytest.raises(ImageNotFoundError):
        promised.result()
    logger = logging.Logger("ours alone")  # libraries switch off those that are shared
    written = io.StringIO()
    logger.addHandler(logging.StreamHandler(written))
    logger.error("failed", exc_info=MISSING)
    assert "no such file" in written.getvalue()


def test_an_error_says_what_failed_when_it_is_taken_for_a_result() -> None:
    results = [make_embedding([1, 0, 0, 0]), MISSING.as_result()]
    with pytest.raises(AttributeError, match=r"no 'vector' here.*ImageNotFoundError: nope\.jpg"):
        np.stack([result.vector for result in results])  # type: ignore[attr-defined]
    assert not hasattr(MISSING, "vector")
    assert getattr(MISSING, "__notes__", None) is None


def test_results_and_errors_are_told_apart() -> None:
    missing = MISSING.as_result()
    unread = Photo("q.jpg", None, error=MISSING)
    results = [photo(), missing, unread]
    assert failed(results) == [(1, missing), (2, MISSING)]
    assert succeeded(results) == results[:1]
    assert succeeded([]) == failed([]) == []
    for wrong in (photo(), "p.jpg", missing, 3, None):
        with pytest.raises(OptionError, match="results: expected a list of results, got"):
            failed(wrong)  # type: ignore[arg-type]


# --- photos are sequences of faces ----------------------------------------------------------------


def test_a_photo_is_a_sequence_of_its_faces() -> None:
    one = photo()
    assert len(one) == 2
    assert list(one) == list(one.faces)
    assert one[0] is one.faces[0]
    assert one[-1] is one.faces[1]
    assert one[:1] == one.faces[:1]
    assert [bool(one), bool(photo(faces=(), index=None))] == [True, False]
    np.testing.assert_array_equal(np.asarray(one), one.pixels)
    assert np.asarray(one, np.float32).dtype == np.float32


@pytest.mark.parametrize(
    "unread",
    [Photo("q.jpg", None, error=MISSING), IdentifiedPhoto("q.jpg", None, error=MISSING)],
)
def test_nobody_has_looked_for_faces_in_a_photo_that_could_not_be_read(unread: Any) -> None:
    for ask in (len, bool, list, lambda each: each[0]):
        with pytest.raises(ImageNotFoundError):
            ask(unread)
    assert unread.faces == ()
    assert "no such file" in repr(unread)


def test_a_face_is_cut_out_of_its_photo() -> None:
    pixels = np.arange(90 * 100 * 3, dtype=np.uint32).astype(np.uint8).reshape(90, 100, 3)
    one = photo(pixels=pixels, faces=(make_face((10, 20, 30, 50)), make_face((-5, -5, 4.5, 4.5))))
    np.testing.assert_array_equal(one[0].crop(one), pixels[20:51, 10:31])
    np.testing.assert_array_equal(one[1].crop(one), pixels[:6, :6])
    np.testing.assert_array_equal(one[0].crop(pixels, margin=0.5), pixels[5:66, 0:41])
    one[0].crop(one)[:] = 0
    assert pixels[20:51, 10:31].any()  # a copy
    with pytest.raises(OptionError, match="they were not kept"):
        one[0].crop(replace(one, pixels=None))
    with pytest.raises(OptionError, match="photo: expected the photo of this face"):
        one[0].crop(pixels[:5, :5])
    with pytest.raises(OptionError, match="photo: expected a Photo or pixels"):
        one[0].crop("p.jpg")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="margin: expected a number of 0 or more"):
        one[0].crop(pixels, margin=-1)


# --- embeddings as vectors ------------------------------------------------------------------------


def test_embeddings_are_vectors() -> None:
    a, b = make_embedding([1, 0, 0, 0]), make_embedding([0.6, 0.8, 0, 0])
    np.testing.assert_array_equal(np.asarray(a), a.vector)
    np.testing.assert_array_equal(np.stack([a, b]), [a.vector, b.vector])
    assert np.asarray(a).dtype == np.float32
    assert np.asarray(a, np.float64).dtype == np.float64
    assert len(a) == 4
    assert a @ b == a.similarity(b) == pytest.approx(0.6)
    np.testing.assert_allclose(a @ np.stack([a, b]).T, [1, 0.6], atol=1e-6)
    np.testing.assert_allclose(np.stack([a, b]) @ a, [1, 0.6], atol=1e-6)


def test_embeddings_of_two_contracts_do_not_mix() -> None:
    a, b = make_embedding([1, 0, 0, 0]), make_embedding([1, 0, 0, 0], flip=True)
    for mix in (lambda: a @ b, lambda: a.similarity(b)):
        with pytest.raises(ContractError, match="flip False and True"):
            mix()
    with pytest.raises(OptionError, match="other: expected an Embedding, got ndarray"):
        a.similarity(b.vector)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        a @ "b"  # type: ignore[call-overload]


# --- words, JSON, tables --------------------------------------------------------------------------


@every_kind
def test_reprs_are_short_and_on_one_line(result: Outcome) -> None:
    text = repr(result)
    assert text.startswith(f"{type(result).__name__}(")
    assert "\n" not in text
    limit = 400 if isinstance(result, Candidate) else LONGEST_REPR
    assert len(text) <= limit
    assert "array(" not in text


@every_kind
def test_results_are_json_and_rows(result: Outcome) -> None:
    assert json.loads(result.to_json()) == json.loads(json.dumps(result.to_dict()))
    assert "\n" in result.to_json(indent=1)
    for row in result.to_rows():
        assert row
        assert not any(isinstance(value, dict) for value in row.values())


def test_objects_that_are_no_results_have_short_reprs() -> None:
    one = Recognizer("mobilefacenet")
    for thing in (one, one.finder, one.weights, one.calibration):
        text = repr(thing)
        assert text.startswith(f"{type(thing).__name__}(")
        assert len(text) <= LONGEST_REPR
    assert "mobilefacenet" in repr(one)
    assert "yunet+onet" in repr(one.finder)


@every_kind
def test_a_table_has_the_columns_of_the_rows(result: Outcome) -> None:
    pd = pytest.importorskip("pandas")
    table = result.to_pandas()
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["result", *result.to_rows()[0]]
    assert len(table) == len(result.to_rows())


def test_a_table_leaves_nothing_out() -> None:
    pytest.importorskip("pandas")
    nobody = photo(source="n.jpg", faces=(), index=None)
    unread = Photo("q.jpg", None, error=MISSING)
    table = to_pandas([photo(), nobody, unread, MISSING.as_result()])
    assert table["result"].tolist() == [0, 0, 1, 2, 3]
    assert table["source"].tolist()[:4] == ["p.jpg", "p.jpg", "n.jpg", "q.jpg"]
    assert table["face"].notna().tolist() == [True, True, False, False, False]
    assert table["error"].notna().tolist() == [False, False, False, True, True]
    assert len(to_pandas([])) == 0
    with pytest.raises(OptionError, match="expected results, got int at 1"):
        to_pandas([photo(), 3])


def test_without_pandas_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        photo().to_pandas()


def test_flat_rows_and_names_that_are_no_text() -> None:
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a_b": 1, "a_c_d": [2], "e": None}
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert json.loads(as_json({"source": name})) == {"source": name}
    assert "é" in as_json({"source": "é"})


# --- pictures -------------------------------------------------------------------------------------


def images_in(html: str) -> list[PILImage.Image]:
    data = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [PILImage.open(io.BytesIO(base64.b64decode(each))) for each in data]


CROP = np.full((112, 112, 3), 90, np.uint8)


@every_kind
def test_html_is_escaped_and_never_fails(result: Outcome) -> None:
    html = result._repr_html_()
    assert html.count("<div") == html.count("</div>")
    evil = '<script>alert("x")</script>\udce9'
    if isinstance(result, Photo):
        html = replace(result, source=evil)._repr_html_()
    elif isinstance(result, Decision):
        html = replace(result, source_a=evil, crop_a=CROP, crop_b=CROP)._repr_html_()
    elif isinstance(result, IdentifiedPhoto):
        html = replace(result, source=evil)._repr_html_()
    assert "<script" not in html
    html.encode()


def test_a_photo_is_drawn_with_its_faces() -> None:
    large = photo(pixels=np.full((900, 1000, 3), 200, np.uint8), size_wh=(1000, 900))
    html = large._repr_html_()
    (drawn,) = images_in(html)
    assert max(drawn.size) == 640
    assert "2 faces" in html
    assert "p.jpg" in html
    marked = np.asarray(large.picture())
    assert marked.shape == (900, 1000, 3)
    assert (marked != 200).any()
    (sheet,) = images_in(photo(pixels=None, crops=CROP[None], selected=(0,))._repr_html_())
    assert sheet.width > 100
    unkept = photo(pixels=None)._repr_html_()
    assert images_in(unkept) == []
    assert "not kept" in unkept
    assert "no such file" in Photo("q.jpg", None, error=MISSING)._repr_html_()
    assert "nobody has looked" in Photo.from_pixels(large.pixels, "x")._repr_html_()  # type: ignore[arg-type]


def test_a_decision_is_drawn_with_both_faces() -> None:
    drawn = decision(crop_a=CROP, crop_b=CROP)
    assert len(images_in(drawn._repr_html_())) == 1
    assert "the same person" in drawn._repr_html_()
    with pytest.raises(OptionError, match="they were not kept: verify one pair"):
        decision().picture()
    assert images_in(decision()._repr_html_()) == []


@pytest.mark.parametrize("ending", [".png", ".jpg", ".JPEG", ".webp"])
def test_pictures_are_saved(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    photo().save(path)
    with PILImage.open(path) as written:
        assert written.size == (400, 360)  # small ones are enlarged, to be seen
    photo().save(str(path))


def test_the_photo_itself_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    PILImage.fromarray(CROP).save(path)
    before = path.read_bytes()
    (tmp_path / "link.png").symlink_to(path)
    for target in (path, tmp_path / "link.png"):
        with pytest.raises(OptionError, match="is the photo itself"):
            photo(source=str(path)).save(target)
        with pytest.raises(OptionError, match="is the photo itself"):
            decision(source_b=str(path), crop_a=CROP, crop_b=CROP).save(target)
    assert path.read_bytes() == before
    with pytest.raises(OptionError, match=r"path: expected a name that ends in \.png"):
        photo().save(tmp_path / "x.txt")
    with pytest.raises(OptionError, match="path: expected a path, got int"):
        photo().save(3)  # type: ignore[arg-type]


def test_show_opens_the_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, int]] = []
    monkeypatch.setattr(PILImage.Image, "show", lambda self: shown.append(self.size))
    photo().show()
    assert shown == [(400, 360)]


def test_decisions_of_lists_keep_no_pixels() -> None:
    one = Recognizer("mobilefacenet", detector=FakeDetector(make_face()))
    image = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
    alone = one.verify(image, image, threshold=HALF)
    assert alone.crop_a is not None
    assert alone.crop_a.shape == (112, 112, 3)
    (listed,) = one.verify([image], [image], threshold=HALF)
    assert isinstance(listed, Decision)
    assert listed.crop_a is None
    assert "crop_a" not in alone.to_dict()


# --- all of them ----------------------------------------------------------------------------------


NO_OUTCOMES = {"LineamentError", "Settings", "Card", "QualityLimits", "TrainConfig", "Origin"}
NO_OUTCOMES |= {"Entry", "LivenessCheck", "WatchedStream"}  # of a server: states, not values
"""Errors, options, and descriptions that stand in files."""


def test_whatever_writes_itself_writes_itself_in_all_ways() -> None:
    seen = set()
    for path in Path(lineament.__file__).parent.rglob("*.py"):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "def to_dict" in text else ():
            if not isinstance(node, ast.ClassDef) or node.name in NO_OUTCOMES:
                continue
            if any(
                isinstance(each, ast.FunctionDef) and each.name == "to_dict" for each in node.body
            ):
                bases = {ast.unparse(base) for base in node.bases}
                assert bases & {"Outcome", "Pictured"} or node.name == "Outcome", node.name
                seen.add(node.name)
    assert {"Photo", "Decision", "Identification", "Grouping", "Tuned"} <= seen


def test_no_face_in_a_list_stands_for_itself() -> None:
    one = Recognizer("mobilefacenet", detector=FakeDetector())
    image = np.zeros((90, 100, 3), np.uint8)
    (result,) = one.embed([image])
    assert isinstance(result, NoFaceError)
    with pytest.raises(NoFaceError):
        bool(result)
