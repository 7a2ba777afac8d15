# ruff: noqa: N999
"""The functions of deepface 0.0.103.

Pixels are BGR where they are given, as deepface has them; ``left_eye`` is the person's. A default
that is not said, model "VGG-Face" and detector "opencv", stands for lineament's own default;
results report what ran.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lineament.compat.deepface import _analysis as analysis
from lineament.compat.deepface import _faces as faces
from lineament.compat.deepface import _models as known
from lineament.compat.deepface import _photos as photos
from lineament.compat.deepface import _registry as registry
from lineament.compat.deepface import _tables as tables
from lineament.compat.deepface._models import OPENCV, VGG_FACE
from lineament.compat.deepface._photos import Source
from lineament.compat.deepface._store import store_of
from lineament.compat.deepface.modules import modeling, verification
from lineament.compat.deepface.modules.exceptions import (
    DimensionMismatchError,
    EmptyDatasource,
    PathNotFound,
    ProcessingError,
    UnimplementedError,
)
from lineament.compat.deepface.modules.verification import Metric
from lineament.errors import LineamentError, OptionError
from lineament.text import printable
from lineament.types import Float64Array

Result: TypeAlias = dict[str, Any]


def build_model(model_name: str, task: str = "facial_recognition") -> Any:
    """The object that runs a model; the same at every call.

    Args:
        model_name: of deepface's or ours.
        task: "facial_recognition", "facial_attribute", "face_detector" or "spoofing".

    Raises:
        UnimplementedError: there is none.
    """
    return modeling.build_model(task=task, model_name=model_name)


# --- one face, two faces --------------------------------------------------------------------------


def verify(
    img1_path: Source,
    img2_path: Source,
    model_name: str = VGG_FACE,
    detector_backend: str = OPENCV,
    distance_metric: Metric = "cosine",
    enforce_detection: bool = True,
    align: bool = True,
    expand_percentage: int = 0,
    normalization: str = "base",
    silent: bool = False,
    threshold: float | None = None,
    anti_spoofing: bool = False,
) -> Result:
    """Whether two photos show one person: the closest of all pairs of their faces.

    Args:
        img1_path, img2_path: photos; or a list of numbers: an embedding that was made before.
        model_name, detector_backend: what runs.
        distance_metric: "cosine", "euclidean", "euclidean_l2", "angular", or a function.
        enforce_detection: a photo without a face is an error; else it is never verified.
        align, expand_percentage, normalization: without effect: the networks have theirs.
        silent: say nothing of embeddings that cannot be checked.
        threshold: greatest distance of one person's; None: by the calibration of the model, for as
            many pairs as are compared.
        anti_spoofing: a face that is not known to be somebody's who was there, by the passive check
            of ``lineament.liveness``, is an error (SpoofDetected).

    Returns:
        ``verified``, ``distance``, ``threshold``, ``confidence``, ``model``, ``detector_backend``,
        ``similarity_metric``, ``facial_areas``, ``time``, as deepface has them; and ``probability``
        with its ``interval``, 0 to 1, of one person as the calibration says, or None.

    Raises:
        ValueError: a photo cannot be used (the reason is ``__cause__``), or an option is unfit.
    """
    started = time.perf_counter()
    if callable(distance_metric) and threshold is None:
        raise OptionError("Threshold must be specified when using custom distance metrics")
    known.checked_metric(distance_metric)
    faces.check_normalization(normalization)
    model = known.model(model_name, detector_backend)
    sides = [
        _side(image, name, model, detector_backend, enforce_detection, silent, anti_spoofing)
        for image, name in ((img1_path, "img1_path"), (img2_path, "img2_path"))
    ]
    (first, areas1, seen1), (second, areas2, seen2) = sides
    distances = [
        [float(verification.find_distance(a, b, distance_metric)) for b in second] for a in first
    ]
    i, j = np.unravel_index(int(np.argmin(distances)), np.shape(distances))
    distance = distances[i][j]
    if threshold is None:
        assert isinstance(distance_metric, str)
        threshold = model.threshold(distance_metric, len(first) * len(second))
    verified = bool(distance <= threshold) and seen1 and seen2
    chances = model.probability(_cosine(first[i], second[j])) if seen1 and seen2 else None
    return {
        "verified": verified,
        "distance": distance,
        "threshold": threshold,
        "confidence": verification.confidence(None if chances is None else chances[0], verified),
        "model": model.name,
        "detector_backend": _reported(detector_backend),
        "similarity_metric": distance_metric,
        "facial_areas": {"img1": areas1[i], "img2": areas2[j]},
        "time": round(time.perf_counter() - started, 2),
        "probability": None if chances is None else chances[0],
        "interval": None if chances is None else chances[1:],
    }


def _reported(detector_backend: str) -> str:
    return known.detector_of(str(detector_backend))


def _cosine(a: Float64Array, b: Float64Array) -> float:
    return float(verification.l2_normalize(a) @ verification.l2_normalize(b))


def _side(
    image: Source,
    name: str,
    model: known.Known,
    detector_backend: str,
    enforce_detection: bool,
    silent: bool,
    anti_spoofing: bool,
) -> tuple[Float64Array, list[Result], bool]:
    """Embeddings (n, D), facial areas, and whether these are faces."""
    numbers = photos.embedding_in(image)
    if numbers is not None:
        if len(numbers) != model.dimension:
            raise DimensionMismatchError(
                f"embeddings of {model.name} have {model.dimension} dimensions, got {len(numbers)}"
            )
        if not silent:
            warnings.warn(
                f"{name} is an embedding: it is taken to be of {model.name}, which cannot be seen",
                UserWarning,
                stacklevel=3,
            )
        area = dict.fromkeys(("x", "y", "w", "h", "left_eye", "right_eye"))
        return np.array([numbers], np.float64), [area], True
    try:
        found = faces.find(
            photos.load(image), str(detector_backend), enforce_detection=enforce_detection
        )
        if anti_spoofing:
            faces.refuse_spoofs(found, "Spoof detected in given image.")
        vectors = faces.embed(found, model)
    except LineamentError as error:
        if not isinstance(error, ValueError):
            raise
        raise ProcessingError(f"Exception while processing {name}: {error}") from error
    seen = detector_backend == known.SKIP or found[0].face is not None
    return vectors, [one.area for one in found], seen


def represent(
    img_path: Source | Sequence[Source],
    model_name: str = VGG_FACE,
    enforce_detection: bool = True,
    detector_backend: str = OPENCV,
    align: bool = True,
    expand_percentage: int = 0,
    normalization: str = "base",
    anti_spoofing: bool = False,
    max_faces: int | None = None,
    l2_normalize: bool = False,
    minmax_normalize: bool = False,
    return_face: bool = False,
) -> list[Any]:
    """The embeddings of a photo's faces.

    Args:
        img_path: a photo, or a batch: a list of photos or pixels (N, H, W, 3).
        model_name, detector_backend: what runs.
        enforce_detection: a photo without a face is an error; else it is embedded as a whole.
        align, expand_percentage, normalization, minmax_normalize: without effect.
        anti_spoofing: a face that is not known to be somebody's who was there, by the passive check
            of ``lineament.liveness``, is an error (SpoofDetected).
        max_faces: the largest so many.
        l2_normalize: scale to length 1.
        return_face: with the network's input, (H, W, 3) float32 BGR, 0 to 1, as ``face``.

    Returns:
        For each face ``embedding``, ``facial_area`` and ``face_confidence``; of a batch a list of
        lists, of a batch of one its only list.
    """
    faces.check_normalization(normalization)
    if max_faces is not None and max_faces < 1:
        raise OptionError(f"expected 1 or more, got {max_faces!r}", option="max_faces")
    batch = photos.many(img_path)
    model = known.model(model_name, detector_backend)
    per_photo = []
    for source in [img_path] if batch is None else batch:
        found = faces.find(
            photos.load(source),
            str(detector_backend),
            enforce_detection=enforce_detection,
            whole_keys=False,
            anti_spoofing=anti_spoofing,
        )
        if max_faces is not None:
            found = sorted(found, key=lambda one: -one.size)[:max_faces]
        vectors = faces.embed(found, model)
        if l2_normalize:
            vectors = verification.l2_normalize(vectors, axis=1)
        rows: list[Result] = [
            {
                "embedding": vector.tolist(),
                "facial_area": one.area,
                "face_confidence": one.confidence,
            }
            for one, vector in zip(found, vectors, strict=True)
        ]
        if return_face:
            for row, chip in zip(rows, faces.chips(found, model.recognizer), strict=True):
                row["face"] = chip[..., ::-1].astype(np.float32) / 255
        per_photo.append(rows)
    return per_photo[0] if len(per_photo) == 1 else per_photo


def extract_faces(
    img_path: Source | Sequence[Source],
    detector_backend: str = OPENCV,
    enforce_detection: bool = True,
    align: bool = True,
    expand_percentage: int = 0,
    grayscale: bool = False,
    color_face: str = "rgb",
    normalize_face: bool = True,
    anti_spoofing: bool = False,
) -> list[Any]:
    """Cut the faces of a photo out.

    Args:
        img_path: a photo, or a batch.
        detector_backend: what finds faces.
        enforce_detection: a photo without a face is an error; else it is returned as a whole.
        align: turn each so that the eyes are level.
        expand_percentage: so much larger than the face's box, half of it on each side.
        grayscale: as ``color_face`` "gray"; deprecated.
        color_face: "rgb", "bgr" or "gray".
        normalize_face: values of 0 to 1 in place of uint8.
        anti_spoofing: say of each whether it is real, by the passive check of
            ``lineament.liveness``.

    Returns:
        For each face ``face``, ``facial_area`` and ``confidence``, with ``anti_spoofing`` also
        ``is_real`` and ``antispoof_score``, 0 to 1; of a batch a list of lists.
    """
    if color_face not in ("rgb", "bgr", "gray"):
        raise UnimplementedError(f"The color_face can be rgb, bgr or gray, but it is {color_face}.")
    if grayscale:
        warnings.warn('grayscale is deprecated: say color_face="gray"', UserWarning, stacklevel=2)
        color_face = "gray"
    batch = photos.many(img_path)
    results = []
    for source in [img_path] if batch is None else batch:
        found = faces.find(
            photos.load(source), str(detector_backend), enforce_detection=enforce_detection
        )
        rows: list[Result] = [
            {
                "face": _shown(
                    faces.cut_out(one, align=align, expand_percentage=expand_percentage),
                    color_face,
                    normalize_face,
                ),
                "facial_area": one.area,
                "confidence": one.confidence,
            }
            for one in found
        ]
        if anti_spoofing:
            for row, one in zip(rows, found, strict=True):
                row["is_real"], row["antispoof_score"] = faces.alive(one)
        results.append(rows)
    return results[0] if batch is None else results


def _shown(pixels: npt.NDArray[np.uint8], color: str, normalize: bool) -> npt.NDArray[Any]:
    shown: npt.NDArray[Any] = pixels
    if color == "bgr":
        shown = pixels[..., ::-1]
    elif color == "gray":
        gray = pixels.astype(np.float64) @ [0.299, 0.587, 0.114]
        shown = np.round(gray).astype(np.uint8)
    if normalize:
        return shown.astype(np.float64) / 255
    return np.ascontiguousarray(shown)


def detectFace(  # noqa: N802
    img_path: Source,
    target_size: tuple[int, int] = (224, 224),
    detector_backend: str = OPENCV,
    enforce_detection: bool = True,
    align: bool = True,
) -> npt.NDArray[np.float32]:
    """The first face of a photo, (1, h, w, 3) float32, RGB of 0 to 1, padded with black.

    Deprecated, as in deepface: ``extract_faces`` has all of them.
    """
    warnings.warn("detectFace is deprecated: call extract_faces", DeprecationWarning, stacklevel=2)
    (found, *_) = faces.find(
        photos.load(img_path), str(detector_backend), enforce_detection=enforce_detection
    )
    pixels = faces.cut_out(found, align=align, expand_percentage=0)
    height, width = target_size
    shown = faces.padded(pixels, (width, height)).astype(np.float32) / np.float32(255)
    one: npt.NDArray[np.float32] = shown[None]
    return one


def analyze(
    img_path: Source | Sequence[Source],
    actions: Sequence[str] | str = analysis.ACTIONS,
    enforce_detection: bool = True,
    detector_backend: str = OPENCV,
    align: bool = True,
    expand_percentage: int = 0,
    silent: bool = False,
    anti_spoofing: bool = False,
) -> list[Any]:
    """What faces look like: age, gender, expression; no race: see the docs.

    Args:
        img_path: a photo, or a batch.
        actions: what is wanted, of "age", "gender", "emotion", "race". What is not available is
            left out with a warning where something else is asked for, too.
        enforce_detection: a photo without a face is an error; else it is looked at as a whole.
        detector_backend: what finds faces.
        align, expand_percentage: without effect.
        silent: do not warn of what is left out.
        anti_spoofing: a face that is not known to be somebody's who was there, by the passive check
            of ``lineament.liveness``, is an error (SpoofDetected).

    Returns:
        For each face ``age``, int; ``gender`` and ``emotion``, per cent by name, with
        ``dominant_gender`` and ``dominant_emotion``; ``region`` and ``face_confidence``; of a batch
        a list of lists.

    Raises:
        UnimplementedError: nothing of what is asked for is available.
    """
    wanted = analysis.available(actions, silent=silent)
    batch = photos.many(img_path)
    results = []
    for source in [img_path] if batch is None else batch:
        found = faces.find(
            photos.load(source),
            str(detector_backend),
            enforce_detection=enforce_detection,
            anti_spoofing=anti_spoofing,
        )
        results.append(analysis.look(found, wanted))
    return results[0] if batch is None else results


# --- a folder -------------------------------------------------------------------------------------


def find(
    img_path: Source,
    db_path: str,
    model_name: str = VGG_FACE,
    distance_metric: Metric = "cosine",
    enforce_detection: bool = True,
    detector_backend: str = OPENCV,
    align: bool = True,
    similarity_search: bool = False,
    k: int | None = None,
    expand_percentage: int = 0,
    threshold: float | None = None,
    normalization: str = "base",
    silent: bool = False,
    refresh_database: bool = True,
    anti_spoofing: bool = False,
    datastore_format: str = "npz",
    return_type: str | None = None,
    **older: Any,
) -> list[Any]:
    """The faces of a folder that are like those of a photo, for each of them, the closest first.

    The folder's faces are kept in the cache folder: the first call looks at all photos, a later one
    at those that are new or changed.

    Args:
        img_path: whose faces are looked for.
        db_path: a folder with all below it.
        model_name, detector_backend: what runs.
        distance_metric: "cosine", "euclidean", "euclidean_l2", "angular", or a function.
        enforce_detection: a photo without a face is an error; else nothing is found.
        align, expand_percentage, normalization, silent, datastore_format: without effect.
        similarity_search: return every face, however far.
        k: at most so many rows.
        threshold: greatest distance; None: by the calibration of the model, for a search among as
            many faces as there are.
        refresh_database: look whether files are new, changed or gone.
        anti_spoofing: a face that is not known to be somebody's who was there, by the passive check
            of ``lineament.liveness``, is an error (SpoofDetected).
        return_type: "pandas", "dict", or None: pandas where it is installed.
        older: ``batched`` (as return_type "dict") and ``credentials`` of earlier versions.

    Returns:
        A DataFrame, or list of dicts, for each face of the photo.
    """
    return_type = tables.return_type(return_type, older)
    if callable(distance_metric) and threshold is None:
        raise OptionError("Threshold must be specified when using custom distance metrics")
    if datastore_format not in ("npz", "feather", "parquet"):
        raise OptionError(
            f"expected npz, feather or parquet, got {datastore_format!r}", option="datastore_format"
        )
    if not Path(db_path).is_dir():
        raise PathNotFound(
            f"Passed path {printable(str(db_path))} does not exist!",
            hint="expected a folder of this machine",
        )
    known.checked_metric(distance_metric)
    faces.check_normalization(normalization)
    _check_k(k)
    photo = photos.load(img_path)
    model = known.model(model_name, detector_backend)
    found = faces.find(
        photo,
        str(detector_backend),
        enforce_detection=enforce_detection,
        anti_spoofing=anti_spoofing,
    )
    store = store_of(str(db_path), model, str(detector_backend))
    stored = store.stored(refresh=refresh_database)
    if store.is_empty:
        what = (
            f"No item found in {db_path}" if refresh_database else f"Nothing is found in {db_path}"
        )
        raise EmptyDatasource(printable(what))
    if not len(stored.norms):
        return []
    search = tables.Search(
        str(db_path),
        model,
        distance_metric,
        threshold,
        similarity_search=similarity_search,
        k=k,
    )
    skip = detector_backend == known.SKIP
    return [
        tables.made(
            search.rows(stored, one, vector, seen=skip or one.face is not None), return_type
        )
        for one, vector in zip(found, faces.embed(found, model), strict=True)
    ]


def _check_k(k: int | None) -> None:
    if k is not None and k < 1:
        raise OptionError(f"expected 1 or more, got {k!r}", option="k")


# --- a gallery ------------------------------------------------------------------------------------


def register(
    img: Source | Sequence[Source],
    img_name: str | None = None,
    model_name: str = VGG_FACE,
    detector_backend: str = OPENCV,
    enforce_detection: bool = True,
    align: bool = True,
    l2_normalize: bool = False,
    expand_percentage: int = 0,
    normalization: str = "base",
    anti_spoofing: bool = False,
    database_type: str = "postgres",
    connection_details: Any = None,
    connection: Any = None,
) -> dict[str, int]:
    """Keep the faces of photos in a gallery of lineament's, a row each.

    Args:
        img: a photo, or a batch.
        img_name: of its rows; None: its path, or a random one.
        model_name, detector_backend: what runs; each model has a gallery of its own.
        enforce_detection: a photo without a face is an error; else nothing is kept of it.
        align, expand_percentage, normalization: without effect.
        l2_normalize: stands with the rows; ``search`` and ``identify`` want the same.
        anti_spoofing: a face that is not known to be somebody's who was there, by the passive check
            of ``lineament.liveness``, is an error (SpoofDetected).
        database_type: "postgres" and "sqlite": a gallery in a folder.
        connection_details: the folder; None: ``.lineament/deepface`` in the home folder.
        connection: a ``Gallery`` that is open, in place of a folder; it stays open.

    Returns:
        ``{"inserted": number of rows}``.

    Raises:
        DuplicateEntryError: a photo of a batch is there already; of one photo a warning says so.
    """
    faces.check_normalization(normalization)
    batch = photos.many(img)
    model = known.model(model_name, detector_backend)
    kind = registry.Kind(model, _reported(detector_backend), bool(align), bool(l2_normalize))
    new = []
    for source in [img] if batch is None else batch:
        found = faces.find(
            photos.load(source),
            str(detector_backend),
            enforce_detection=enforce_detection,
            anti_spoofing=anti_spoofing,
        )
        if detector_backend != known.SKIP:
            found = [one for one in found if one.face is not None]
        name = registry.name_of(source) if img_name is None else img_name
        new += registry.rows_of(found, faces.embeddings_of(found, model), name)
    with registry.opened(kind, database_type, connection_details, connection) as gallery:
        return {"inserted": registry.insert(gallery, kind, new, single=batch is None)}


def search(
    img: Source | Sequence[Source],
    model_name: str = VGG_FACE,
    detector_backend: str = OPENCV,
    distance_metric: Metric = "cosine",
    enforce_detection: bool = True,
    align: bool = True,
    l2_normalize: bool = False,
    expand_percentage: int = 0,
    normalization: str = "base",
    anti_spoofing: bool = False,
    similarity_search: bool = False,
    k: int | None = None,
    database_type: str = "postgres",
    connection_details: Any = None,
    connection: Any = None,
    search_method: str = "exact",
    return_type: str | None = None,
) -> list[Any]:
    """The rows of a gallery that are like the faces of photos, the closest first.

    Args:
        img: a photo, or a batch.
        similarity_search: return every row, however far.
        k: at most so many rows; None: all, or 20 where ``search_method`` is "ann".
        search_method: "exact" or "ann": the gallery's index, which decides by itself.
        return_type: "pandas", "dict", or None: pandas where it is installed.
        model_name, detector_backend, distance_metric, enforce_detection, align, l2_normalize,
            expand_percentage, normalization, anti_spoofing, database_type, connection_details,
            connection: as for ``find`` and ``register``.

    Returns:
        A table for each face; an empty one where nobody is near enough.

    Raises:
        ValueError: nothing is registered in this way.
    """
    return_type = tables.return_type(return_type, {})
    if search_method not in ("exact", "ann"):
        raise OptionError(f"Unsupported search method: {search_method}")
    if callable(distance_metric):
        raise OptionError("expected the name of a metric, got a function", option="distance_metric")
    known.checked_metric(distance_metric)
    faces.check_normalization(normalization)
    _check_k(k)
    if search_method == "ann":
        k = 20 if k is None else k
        distance_metric = "cosine" if l2_normalize else "euclidean"
    elif distance_metric == "euclidean" and l2_normalize:
        distance_metric = "euclidean_l2"
    model = known.model(model_name, detector_backend)
    kind = registry.Kind(model, _reported(detector_backend), bool(align), bool(l2_normalize))
    batch = photos.many(img)
    with registry.opened(kind, database_type, connection_details, connection) as gallery:
        results = []
        for source in [img] if batch is None else batch:
            found = faces.find(
                photos.load(source),
                str(detector_backend),
                enforce_detection=enforce_detection,
                anti_spoofing=anti_spoofing,
            )
            for one, vector in zip(found, faces.embeddings_of(found, model), strict=True):
                rows = registry.search(
                    gallery,
                    kind,
                    one,
                    vector,
                    distance_metric,
                    search_method=search_method,
                    everything=similarity_search,
                    k=k,
                )
                results.append(tables.made(rows, return_type))
        return results


def identify(
    img: Source,
    identity_id: str | int,
    model_name: str = VGG_FACE,
    detector_backend: str = OPENCV,
    distance_metric: Metric = "cosine",
    enforce_detection: bool = True,
    align: bool = True,
    l2_normalize: bool = False,
    expand_percentage: int = 0,
    normalization: str = "base",
    anti_spoofing: bool = False,
    database_type: str = "postgres",
    connection_details: Any = None,
    connection: Any = None,
) -> Result:
    """One photo against one row of a gallery: ``verify``'s answer, with ``id`` and ``img_name``.

    Args:
        img: one photo.
        identity_id: of the row, as ``search`` has it.
        model_name, detector_backend, distance_metric, enforce_detection, align, l2_normalize,
            expand_percentage, normalization, anti_spoofing, database_type, connection_details,
            connection: as for ``search``.

    Raises:
        ValueError: there is no such row, or it was registered in another way.
    """
    started = time.perf_counter()
    if photos.many(img) is not None:
        raise OptionError("expected one photo, got several", option="img")
    if callable(distance_metric):
        raise OptionError("expected the name of a metric, got a function", option="distance_metric")
    known.checked_metric(distance_metric)
    faces.check_normalization(normalization)
    model = known.model(model_name, detector_backend)
    kind = registry.Kind(model, _reported(detector_backend), bool(align), bool(l2_normalize))
    found = faces.find(
        photos.load(img),
        str(detector_backend),
        enforce_detection=enforce_detection,
        anti_spoofing=anti_spoofing,
    )
    seen = detector_backend == known.SKIP or found[0].face is not None
    with registry.opened(kind, database_type, connection_details, connection) as gallery:
        row = registry.row(gallery, kind, identity_id)
    vectors = faces.embed(found, model)
    stored = row.embedding.vector.astype(np.float64) * row.embedding.norm
    distances = [float(verification.find_distance(v, stored, distance_metric)) for v in vectors]
    at = int(np.argmin(distances))
    threshold = model.threshold(distance_metric, len(vectors))
    verified = bool(distances[at] <= threshold) and seen
    chances = model.probability(_cosine(vectors[at], stored)) if seen else None
    return {
        "verified": verified,
        "distance": distances[at],
        "threshold": threshold,
        "confidence": verification.confidence(None if chances is None else chances[0], verified),
        "model": model.name,
        "detector_backend": _reported(detector_backend),
        "similarity_metric": distance_metric,
        "id": row.id,
        "img_name": row.img_name,
        "facial_areas": {"img1": found[at].area, "img2": None},
        "time": round(time.perf_counter() - started, 2),
        "probability": None if chances is None else chances[0],
        "interval": None if chances is None else chances[1:],
    }


def build_index(
    model_name: str = VGG_FACE,
    detector_backend: str = OPENCV,
    align: bool = True,
    l2_normalize: bool = False,
    database_type: str = "postgres",
    connection: Any = None,
    connection_details: Any = None,
    max_neighbors_per_node: int = 32,
) -> None:
    """Make the gallery's index anew. It is kept by itself: no search depends on this call.

    Args:
        max_neighbors_per_node: without effect.
        model_name, detector_backend, align, l2_normalize, database_type, connection,
            connection_details: as for ``register``.

    Raises:
        ValueError: nothing is registered.
    """
    model = known.model(model_name, detector_backend)
    kind = registry.Kind(model, _reported(detector_backend), bool(align), bool(l2_normalize))
    with registry.opened(kind, database_type, connection_details, connection) as gallery:
        registry.check_some(gallery, kind)
        gallery.reindex()


# --- films ----------------------------------------------------------------------------------------


def stream(
    db_path: str = "",
    model_name: str = VGG_FACE,
    detector_backend: str = OPENCV,
    distance_metric: Metric = "cosine",
    enable_face_analysis: bool = True,
    source: str | int = 0,
    time_threshold: float = 5,
    frame_threshold: int = 5,
    anti_spoofing: bool = False,
    output_path: str | None = None,
    debug: bool = False,
) -> None:
    """Name the people of a folder in a film, or before a camera, until it ends or "q" is pressed.

    The picture never freezes: names follow faces (``lineament.video.watch``). There is a window
    where OpenCV has one and there is a screen.

    Args:
        db_path: a folder of photos: those of one folder in it show one person, else the files'
            names say whom.
        model_name: what embeds.
        detector_backend: what finds the faces of the folder's photos; films have their own way.
        distance_metric: checked; names go by the calibration of the model.
        enable_face_analysis: write how old people with names look.
        source: a film, an address, or the number of a camera.
        time_threshold: seconds, at least 1, for which somebody who is not seen keeps the name.
        frame_threshold: frames, at least 1, that somebody is seen before anything is written.
        anti_spoofing: nobody has a name before it is known that no picture is held up.
        output_path: a film is written there; its folder is made.
        debug: write the best look at each person into the working directory.

    Raises:
        PathNotFound: there is no such folder.
        MissingExtraError: PyAV is not installed (the extra ``video``).
    """
    from lineament.compat.deepface import _stream as streaming

    if not Path(db_path).is_dir() or not db_path:
        raise PathNotFound(
            f"Passed path {printable(str(db_path))} does not exist!",
            hint="expected a folder of this machine",
        )
    if not callable(distance_metric):
        known.checked_metric(distance_metric)
    model = known.model(model_name, detector_backend)
    streaming.run(
        str(db_path),
        model,
        source,
        streaming.Options(
            str(detector_backend),
            enable_face_analysis,
            time_threshold,
            frame_threshold,
            anti_spoofing,
            output_path,
            debug,
        ),
    )


MISSING: Mapping[str, str] = {
    "cli": "the command line is lineament",
}


def __getattr__(name: str) -> Any:
    """What deepface has and this module has not: AttributeError that says what to do."""
    if name in MISSING:
        raise AttributeError(f"DeepFace.{name} is not here: {MISSING[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "analyze",
    "build_index",
    "build_model",
    "detectFace",
    "extract_faces",
    "find",
    "identify",
    "register",
    "represent",
    "search",
    "stream",
    "verify",
]
