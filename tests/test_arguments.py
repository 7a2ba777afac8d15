"""A wrong argument is refused by its name: by every public function, for every parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pytest

import lineament
from builders import FakeDetector, make_embedding, make_face
from lineament.arguments import check_fields, checked
from lineament.decide.ensemble_file import read_spec
from lineament.decide.thresholds import own_threshold
from lineament.detect import DetectOptions
from lineament.ensemble import Ensemble
from lineament.errors import ImageError, LineamentError, OptionError
from lineament.finder import FaceFinder
from lineament.gallery import Gallery
from lineament.models import get
from lineament.models.runtime import Runtime
from lineament.pipeline import Recognizer
from lineament.types import Photo

HALF = own_threshold(0.5, "cosine")
IMAGE = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)


DEMO = Path(lineament.__file__).parent / "data" / "demo"


class Walker(Protocol):
    def walk(self) -> int: ...


def everything(
    whole: int = 0,
    number: float | None = None,
    word: Literal["a", "b"] = "a",
    flag: bool = False,
    path: Path | None = None,
    call: Callable[[int], int] | None = None,
    listed: Sequence[int] = (),
    named: Mapping[str, int] | None = None,
    walker: Walker | None = None,
    photo: Photo | None = None,
    anything: Any = None,
    unknown: "NoSuchName" = None,  # type: ignore[name-defined]  # noqa: F821, UP037
) -> str:
    return "fine"


class Legs:
    def walk(self) -> int:
        return 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"whole": 1.5}, "whole: expected a whole number, got 1.5"),
        ({"whole": True}, "whole: expected a whole number, got True"),
        ({"number": "1"}, "number: expected a number or None, got '1'"),
        ({"word": "c"}, 'word: expected "a" or "b", got \'c\''),
        ({"word": []}, 'word: expected "a" or "b", got list'),
        ({"flag": 1}, "flag: expected True or False, got 1"),
        ({"path": 3}, "path: expected a path or None, got 3"),
        ({"call": 3}, "call: expected a function or None, got 3"),
        ({"listed": "abc"}, "listed: expected a list, got 'abc'"),
        ({"named": [1]}, "named: expected a dictionary or None, got list"),
        ({"walker": 3}, r"walker: expected an object with the method walk\(\) or None, got 3"),
        ({"photo": "p.jpg"}, "photo: expected a Photo or None, got 'p.jpg'"),
        ({"number": "x" * 100}, r"number: expected a number or None, got 'x+\.\.\.$"),
    ],
)
def test_what_an_annotation_forbids(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        checked(everything)(**wrong)


def test_what_an_annotation_allows() -> None:
    call = checked(everything)
    assert call() == "fine"
    assert call(np.int64(3), np.float32(2), "b", np.bool_(True), "p", abs, [1], {}) == "fine"
    assert call(number=3, walker=Legs(), photo=Photo("x", None), anything=object()) == "fine"
    assert call(unknown=3) == "fine"
    with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
        call(nope=3)  # type: ignore[call-arg]
    assert call.__name__ == "everything"
    assert inspect.signature(call) == inspect.signature(everything)


# --- every public function ------------------------------------------------------------------------


class FakeEmbedder:
    contract = make_embedding([1, 0, 0, 0]).contract
    size_wh = (112, 112)

    def embed(self, crops: Any, /) -> Any:
        return np.zeros((len(crops), 4)), np.ones(len(crops))


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(FakeDetector(make_face()))


@pytest.fixture(scope="module")
def photo(finder: FaceFinder) -> Photo:
    return finder.find(IMAGE)


@pytest.fixture(scope="module")
def calls(finder: FaceFinder, photo: Photo) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Functions, and arguments without which they cannot be called."""
    recognizer = Recognizer("mobilefacenet", finder=finder)
    ensemble = Ensemble(read_spec("mean"), finder=finder)
    card = get("mobilefacenet")
    vector = recognizer.embed(photo)
    pair = {"a": IMAGE, "b": IMAGE, "threshold": HALF}
    gallery = Gallery.in_memory(recognizer=recognizer)
    gallery.enroll_embeddings("Ada", [vector])
    client = lineament.Client("http://127.0.0.1:1", retries=0)  # where nobody listens
    of_gallery: dict[str, dict[str, Any]] = {
        "create": {"folder": ":memory:", "contract": vector.contract},
        "in_memory": {},
        "open": {"folder": ":memory:"},
        "open_or_create": {"folder": ":memory:"},
        "exists": {"folder": "x"},
        "save": {"folder": "x"},
        "enroll": {"name": "Ada", "photos": IMAGE},
        "enroll_embeddings": {"name": "Ada", "samples": [vector]},
        "enroll_samples": {"samples": []},
        "examine": {"photos": [IMAGE]},
        "identify": {"photos": IMAGE},
        "identify_stream": {"photos": [IMAGE]},
        "identify_embeddings": {"embeddings": [vector]},
        "check_search": {},
        "verify": {"name": "Ada", "photos": IMAGE},
        "filter_notes": {"where": None},
        "people": {},
        "person": {"name": "Ada"},
        "sample": {"sample": 1},
        "crop": {"sample": 1},
        "embedding": {"sample": 1},
        "annotate": {"name": "Ada", "metadata": {}},
        "rename": {"name": "Ada", "new_name": "Bea"},
        "merge": {"name": "Ada", "others": "Bea"},
        "remove": {"what": "Ada"},
        "reject": {"what": IMAGE, "name": "Ada"},
        "rejections": {},
        "remove_rejection": {"number": 1},
        "erase": {"name": "Ada"},
        "expire": {},
        "pseudonym": {"name": "Ada"},
        "export_person": {"name": "Ada", "path": "x.zip"},
        "set_consent": {"name": "Ada", "consent": None},
        "keep_until": {"name": "Ada", "when": None},
        "export": {"path": "x.jsonl"},
        "import_": {"path": "x.jsonl"},
        "migrate": {"recognizer": recognizer},
    }
    return {
        **{f"Gallery.{k}": (getattr(gallery, k), given) for k, given in of_gallery.items()},
        "Client": (lineament.Client, {"address": "http://127.0.0.1:8000"}),
        "Client.detect": (client.detect, {"source": IMAGE}),
        "Client.verify": (client.verify, {"a": IMAGE, "b": IMAGE}),
        "AsyncClient": (lineament.AsyncClient, {"address": "http://127.0.0.1:8000"}),
        "find": (
            lineament.find,
            {"photo": photo, "folder": DEMO, "recognizer": recognizer, "cache": False},
        ),
        "watch": (lineament.watch, {"source": [IMAGE], "recognizer": recognizer}),
        "Recognizer": (Recognizer, {}),
        "Recognizer.threshold": (recognizer.threshold, {}),
        "Recognizer.detect": (recognizer.detect, {"source": IMAGE}),
        "Recognizer.analyze": (recognizer.analyze, {"source": IMAGE}),
        "Recognizer.attributes": (recognizer.attributes, {"source": IMAGE}),
        "Recognizer.embed": (recognizer.embed, {"source": IMAGE}),
        "Recognizer.encode": (recognizer.encode, {"sources": [IMAGE]}),
        "Recognizer.verify": (recognizer.verify, pair),
        "Recognizer.stream": (recognizer.stream, {"sources": [IMAGE]}),
        "Recognizer.stream_chosen": (recognizer.stream_chosen, {"sources": [IMAGE]}),
        "verify": (lineament.verify, {**pair, "a": photo, "b": photo}),
        "FaceFinder": (FaceFinder, {}),
        "FaceFinder.find": (finder.find, {"source": IMAGE}),
        "FaceFinder.boxed": (finder.boxed, {"source": IMAGE, "box": (1, 1, 50, 50)}),
        "FaceFinder.stream": (finder.stream, {"sources": [IMAGE]}),
        "FaceFinder.crops": (finder.crops, {"photo": photo}),
        "FaceFinder.landmarks": (finder.landmarks, {"photo": photo}),
        "FaceFinder.described_landmarks": (finder.described_landmarks, {"photo": photo}),
        "Ensemble": (Ensemble, {"spec": read_spec("mean"), "finder": finder}),
        "Ensemble.load": (Ensemble.load, {"kind": "mean", "finder": finder}),
        "Ensemble.threshold": (ensemble.threshold, {}),
        "Ensemble.verify": (ensemble.verify, {"a": IMAGE, "b": IMAGE}),
        "Ensemble.look": (ensemble.look, {"source": IMAGE}),
        "Batcher": (lineament.Batcher, {"embedder": FakeEmbedder()}),
        "DetectOptions": (DetectOptions, {}),
        "Runtime": (Runtime, {}),
        "load_image": (lineament.load_image, {"source": IMAGE}),
        "load_detector": (lineament.load_detector, {}),
        "load_embedder": (lineament.load_embedder, {"weights": card, "flip": False}),
        "align_faces": (lineament.align_faces, {"image": IMAGE, "faces": [make_face()]}),
        "compare": (lineament.compare, {"a": vector, "b": vector, "threshold": HALF}),
        "score_matrix": (lineament.score_matrix, {"a": np.eye(2), "b": np.eye(2)}),
        "score_rows": (lineament.score_rows, {"a": np.eye(2), "b": np.eye(2)}),
        "Embedding.similarity": (vector.similarity, {"other": vector}),
        "Face.crop": (photo.faces[0].crop, {"photo": photo}),
        "Photo.save": (photo.save, {"path": "x.png"}),
        "failed": (lineament.failed, {"results": []}),
        "succeeded": (lineament.succeeded, {"results": []}),
        "to_pandas": (lineament.to_pandas, {"results": []}),
    }


VALUES = {
    *("Contract", "Decision", "Embedding", "Face", "Photo", "Threshold", "Certainty", "Quality"),
    *("Calibration", "Encoded", "LineamentError", "Liveness"),
}
"""Public names of what the package makes itself; their own tests say what they refuse."""

NOT_TRIED = {"FaceFinder.is_enough", "Gallery.configure", "Gallery.to_json"}
"""Called by the package alone, with settings that refuse themselves, or of every result."""

UNNAMED = {"sources", "faces", "qualities", "others", "checks"}
"""Parameters of ``compare`` that only the pipeline gives."""

NAMES = [
    *("Recognizer", "Recognizer.threshold", "Recognizer.detect", "Recognizer.analyze"),
    "Recognizer.attributes",
    *("Recognizer.embed", "Recognizer.encode", "Recognizer.verify", "Recognizer.stream"),
    *("Recognizer.stream_chosen", "verify", "FaceFinder", "FaceFinder.find", "FaceFinder.stream"),
    "FaceFinder.boxed",
    *("FaceFinder.crops", "FaceFinder.landmarks", "FaceFinder.described_landmarks"),
    *("Ensemble", "Ensemble.load"),
    *("Ensemble.threshold", "Ensemble.verify", "Ensemble.look", "Batcher", "DetectOptions"),
    *("Runtime", "load_image", "load_detector", "load_embedder", "align_faces", "compare"),
    *("score_matrix", "score_rows", "Embedding.similarity", "Face.crop", "Photo.save", "failed"),
    *("succeeded", "to_pandas", "find", "watch"),
    *("Client", "Client.detect", "Client.verify", "AsyncClient"),
    *("Gallery.create", "Gallery.in_memory", "Gallery.open", "Gallery.open_or_create"),
    *("Gallery.exists", "Gallery.save", "Gallery.enroll", "Gallery.enroll_embeddings"),
    *("Gallery.enroll_samples", "Gallery.examine", "Gallery.identify", "Gallery.identify_stream"),
    *("Gallery.identify_embeddings", "Gallery.people", "Gallery.person", "Gallery.sample"),
    *("Gallery.crop", "Gallery.embedding", "Gallery.annotate", "Gallery.rename", "Gallery.merge"),
    *("Gallery.verify", "Gallery.check_search", "Gallery.filter_notes"),
    *("Gallery.reject", "Gallery.rejections", "Gallery.remove_rejection"),
    *("Gallery.remove", "Gallery.export", "Gallery.import_", "Gallery.migrate"),
    *("Gallery.erase", "Gallery.expire", "Gallery.pseudonym", "Gallery.export_person"),
    *("Gallery.set_consent", "Gallery.keep_until"),
]


def test_every_public_name_is_tried(calls: Mapping[str, Any]) -> None:
    assert set(NAMES) == set(calls)
    tried = {name.partition(".")[0] for name in NAMES}
    callables = {name for name in lineament.__all__ if takes_something(getattr(lineament, name))}
    assert callables - VALUES <= tried
    for kind in (Recognizer, FaceFinder, Ensemble):
        methods = {
            f"{kind.__name__}.{name}"
            for name, each in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and len(inspect.signature(each).parameters) > 1
        }
        own_values = {f"Ensemble.{name}" for name in ("score", "decide", "certainty", "stream")}
        assert methods - own_values - NOT_TRIED <= set(NAMES), methods


def takes_something(value: Any) -> bool:
    return callable(value) and bool(inspect.signature(value).parameters)


def run(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    result = function(**arguments)
    return list(result) if isinstance(result, Generator) else result


class Nothing:
    """Of no type that anything takes."""


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_refused_by_its_name(
    name: str, calls: Mapping[str, tuple[Callable[..., Any], dict[str, Any]]]
) -> None:
    function, needed = calls[name]
    parameters = inspect.signature(function).parameters
    assert needed.keys() <= parameters.keys()
    for parameter in parameters.keys() - (UNNAMED if name == "compare" else set()):
        given = {**needed, parameter: Nothing()}
        if parameter in ("fmr", "metric", "value"):
            given.pop("threshold", None)
        try:
            result = run(function, given)
        except LineamentError as error:
            spoiled: Any = error
        else:  # a stream or a list has the error in the place of the photo
            spoiled = _first_error(result)
            assert spoiled is not None, f"{name}({parameter}=...) took it: {result!r}"
        assert "Nothing" in str(spoiled), (parameter, spoiled)
        if not isinstance(spoiled, ImageError):  # those name the photo, and what it may be
            words = f"{spoiled.option} {spoiled}"
            assert parameter in words, (parameter, spoiled)


def _first_error(result: Any) -> LineamentError | None:
    if isinstance(result, lineament.Encoded):
        return next(iter(result.errors.values()), None)
    errors = lineament.failed(result) if isinstance(result, list) else []
    return errors[0][1] if errors else None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fmr": 0}, "fmr: expected a rate between 0 and 1, got 0"),
        ({"fmr": 1}, "fmr: expected a rate between 0 and 1, got 1"),
        ({"fmr": float("nan")}, "fmr: expected a rate between 0 and 1, got nan"),
        ({"threshold": 99}, "threshold: expected a cosine of -1 to 1, got 99"),
        ({"threshold": -5.0}, "threshold: expected a cosine of -1 to 1, got -5"),
        ({"threshold": float("inf")}, "threshold: expected a finite number, got inf"),
        ({"threshold": 2.5, "metric": "euclidean_l2"}, "a euclidean_l2 of 0 to 2, got 2.5"),
        ({"threshold": -1, "metric": "chi_square"}, "a chi_square of 0 or more, got -1"),
        ({"threshold": -0.1, "metric": "angular"}, "an? angular of 0 to 1, got -0.1"),
        ({"threshold": 0.4, "fmr": 1e-3}, "a false match rate or a threshold, got both"),
        ({"threshold": HALF, "fmr": 1e-3}, "a false match rate or a threshold, got both"),
        ({"threshold": HALF, "metric": "angular"}, "metric: expected cosine, as the threshold"),
    ],
)
def test_thresholds_that_verify_refuses(
    options: dict[str, Any], message: str, finder: FaceFinder
) -> None:
    for verify in (Recognizer("mobilefacenet", finder=finder).verify, lineament.verify):
        with pytest.raises(OptionError, match=message):
            verify(IMAGE, IMAGE, **options)


def test_verify_takes_rates_numbers_and_metrics(finder: FaceFinder) -> None:
    one = Recognizer("mobilefacenet", finder=finder)
    assert one.verify(IMAGE, IMAGE, threshold=0.4).threshold == one.threshold(value=0.4)
    assert one.verify(IMAGE, IMAGE, threshold=0).threshold.value == 0
    assert one.verify(IMAGE, IMAGE, fmr=1e-3).threshold == one.threshold(fmr=1e-3)
    angle = one.verify(IMAGE, IMAGE, metric="angular", threshold=0.3)
    assert (angle.metric, angle.threshold.value) == ("angular", 0.3)
    (listed,) = one.verify([IMAGE], [IMAGE], fmr=1e-3)
    assert not isinstance(listed, LineamentError)
    assert listed.threshold.fmr == 1e-3
    ensemble = Ensemble(read_spec("mean"), finder=finder)
    assert ensemble.threshold(value=3.5).value == 3.5  # no cosine: its own unit
    with pytest.raises(OptionError, match="threshold: expected a finite number, got nan"):
        ensemble.threshold(value=float("nan"))


def test_a_calibration_by_its_path(tmp_path: Path, finder: FaceFinder) -> None:
    own = Recognizer("mobilefacenet", finder=finder).calibration
    assert own is not None
    path = tmp_path / "own.json"
    own.save(path)
    for given in (path, str(path), own):
        one = Recognizer("mobilefacenet", finder=finder, calibration=given)
        assert one.calibration is not None
        assert one.calibration.to_dict() == own.to_dict()
    with pytest.raises(OptionError, match=r"nope\.json: expected a calibration file"):
        Recognizer(calibration=tmp_path / "nope.json")


def test_fields_of_a_dataclass() -> None:
    class Odd:
        pass

    for name in ("min_face_px", "min_score", "max_faces"):
        with pytest.raises(OptionError, match=f"{name}: expected a .*number or None, got Odd"):
            DetectOptions(**{name: Odd()})
    check_fields(DetectOptions(5, 0.5, 3))
