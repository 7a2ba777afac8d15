"""deepface's stores: what ``DeepFace.find`` leaves in a folder of photos.

Up to 0.0.100 a pickle, ``ds_model_sface_detector_opencv_aligned_normalization_base_expand_0.pkl``:
a list of dicts with ``identity`` (the photo's path), ``hash``, ``embedding`` (numbers, or None) and
``target_x`` to ``target_h``; ``ds_sface_opencv_v2.pkl`` of 0.0.86 to 0.0.90 has the same, and
``representations_sface.pkl`` of earlier ones lists of identity, embedding and box. From 0.0.101 on
.npz with an array for each, and ``has_embedding``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from lineament.errors import DataError, OptionError
from lineament.gallery.foreign._arrays import read_archive, read_file, texts
from lineament.gallery.foreign._pickles import Progress, read_pickle
from lineament.gallery.foreign._rows import Found, Layout, Sample, people_of, plain, vector_of

PACKAGE: Final = "deepface"
LENGTHS: Final = {
    "VGG-Face": (2622, 4096),
    "Facenet": (128,),
    "Facenet512": (512,),
    "OpenFace": (128,),
    "DeepFace": (4096,),
    "DeepID": (160,),
    "Dlib": (128,),
    "ArcFace": (512,),
    "SFace": (128,),
    "GhostFaceNet": (512,),
    "Buffalo_L": (512,),
}
"""Its models, and how many numbers their embeddings have."""
_BY_PLAIN: Final = {name.lower().replace("-", ""): name for name in LENGTHS} | {
    "vgg_face": "VGG-Face"
}
_NAMES: Final = (
    re.compile(
        r"ds_model_(?P<model>.+)_detector_(?P<detector>.+)_(?P<aligned>(?:un)?aligned)"
        r"_normalization_(?P<norm>.+)_expand_(?P<expand>\d+)"
    ),
    re.compile(r"ds_(?P<model>.+)_(?P<detector>[a-z0-9]+)_v2"),
    re.compile(r"representations_(?P<model>.+)"),
)
_OLD: Final = (
    "it holds a table of pandas, of an older deepface: have deepface write it anew (remove the "
    "file and call DeepFace.find once), then import that"
)


def read(path: Path, model: str | None, layout: Layout, progress: Progress | None) -> Found:
    """Read one store; arguments and errors as ``read_store``."""
    store = _single(path) if path.is_dir() else path
    data = read_file(store)
    about = next((m.groupdict() for p in _NAMES if (m := p.fullmatch(store.stem.lower()))), {})
    named = _model(model, about.get("model"), store)
    if data[:4] == b"PK\x03\x04":
        rows = _of_archive(read_archive(data, str(store), progress), str(store))
    else:
        rows = _of_pickle(data, str(store), progress)
    whose = people_of([row[0] for row in rows], layout, store.absolute().parent.name)
    samples = [
        Sample(
            f"row {number}",
            person,
            vector,
            identity,
            {} if box is None else {"box_xywh": box},
            problem if vector is not None else "",
        )
        for number, ((identity, vector, box), (person, problem)) in enumerate(
            zip(rows, whose, strict=True), 1
        )
    ]
    how = [
        about.get("detector"),
        about.get("aligned"),
        about.get("norm"),
        about.get("expand") and f"expand{about['expand']}",
    ]
    for sample in samples:
        if sample.vector is not None and len(sample.vector) not in LENGTHS[named]:
            expected = " or ".join(f"{n:,}" for n in LENGTHS[named])
            raise DataError(
                f"{store}: expected {expected} numbers of {named}, got {len(sample.vector):,}",
                hint="name the model that made them",
            )
    notes = () if about.get("detector") else (
        "the file's name does not say which detector found the faces",
    )  # fmt: skip
    return Found(PACKAGE, named, tuple(plain(each) for each in how if each), samples, notes)


def _single(folder: Path) -> Path:
    """The one store of a folder."""
    there = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".pkl", ".npz")
        and any(pattern.fullmatch(path.stem.lower()) for pattern in _NAMES)
    )
    if len(there) != 1:
        names = ", ".join(path.name for path in there[:8])
        raise OptionError(
            f"{folder}: expected one store of deepface (ds_model_....pkl or .npz), found "
            f"{f'{len(there):,} ({names}): name one' if there else 'none'}"
        )
    return there[0]


def _model(given: str | None, in_name: str | None, path: Path) -> str:
    said = given if given is not None else in_name
    if said is None:
        raise OptionError(
            f"{path}: its name does not say which model made the embeddings: name it, one of "
            f"{', '.join(LENGTHS)}",
            option="model",
        )
    found = _BY_PLAIN.get(said.lower().replace("-", ""))
    if found is None:
        raise OptionError(f"expected one of {', '.join(LENGTHS)}, got {said!r}", option="model")
    return found


_Row = tuple[str, Any, Any]


def _of_archive(arrays: dict[str, Any], name: str) -> list[_Row]:
    missing = [key for key in ("identity", "embedding") if key not in arrays]
    if missing:
        raise DataError(f"{name}: expected a store of deepface, it has no {' and '.join(missing)}")
    identities = texts(arrays["identity"], "identities", name)
    vectors, there = arrays["embedding"], arrays.get("has_embedding")
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise DataError(f"{name}: expected one row of numbers for each face")
    if there is None:
        there = np.ones(len(vectors), bool)
    boxes = [arrays.get(f"target_{key}") for key in "xywh"]
    columns = [np.asarray(one) for one in (there, *boxes) if one is not None]
    if len(vectors) != len(identities) or any(c.shape != (len(vectors),) for c in columns):
        raise DataError(f"{name}: expected columns of one length")
    known = all(each is not None for each in boxes)
    box = np.stack([np.asarray(each) for each in boxes], 1).tolist() if known else None
    return [
        (
            identity,
            _vector(vectors[i], f"{name}: row {i + 1}") if there[i] else None,
            None if box is None or not there[i] else box[i],
        )
        for i, identity in enumerate(identities)
    ]


def _of_pickle(data: bytes, name: str, progress: Progress | None) -> list[_Row]:
    try:
        rows = read_pickle(data, name, progress)
    except DataError as error:
        if "pandas" in error.message:
            raise DataError(f"{name}: refused: {_OLD}") from error
        raise
    if type(rows) is not list or not rows:
        raise DataError(f"{name}: expected a list of faces, got {'none' if rows == [] else 'else'}")
    return [_row(row, f"{name}: row {number}") for number, row in enumerate(rows, 1)]


def _row(row: Any, where: str) -> _Row:
    if type(row) is list:  # up to 0.0.85
        keys = ("identity", "embedding", *(f"target_{key}" for key in "xywh"))
        row = dict(zip(keys, row, strict=False))
    if type(row) is not dict or type(row.get("identity")) is not str or "embedding" not in row:
        raise DataError(f"{where}: expected identity and embedding")
    box = [row.get(f"target_{key}") for key in "xywh"]
    known = all(isinstance(one, (int, float)) and abs(one) < 1e6 for one in box)
    if row["embedding"] is None:
        return row["identity"], None, None
    return row["identity"], _vector(row["embedding"], where), box if known else None


def _vector(value: Any, where: str) -> Any:
    found = vector_of(value)
    if found is None:
        raise DataError(f"{where}: expected an embedding: finite numbers that are not all 0")
    return found
