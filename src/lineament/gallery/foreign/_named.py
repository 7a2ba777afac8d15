"""Embeddings under names, as programs around face_recognition and insightface keep them.

    encodings.npy with names.npy beside it     (N, D) numbers, N texts
    ada.npy, or a folder of such files          one person's: (D,) or (N, D)
    people.npz                                  an array for each name; or "encodings" and "names"
    people.npy, people.pkl                      a dict of names and embeddings, or of "encodings"
                                                and "names"; a list of dicts with name and embedding
    insightface_gui.db                          the people of insightface's desktop program

Names of files lose the number at their end, those of arrays and entries stand as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np

from lineament.errors import DataError, OptionError
from lineament.gallery.foreign._arrays import read_archive, read_array, read_file, texts
from lineament.gallery.foreign._pickles import Progress, read_pickle
from lineament.gallery.foreign._rows import Found, Sample, stem_of, vector_of

ENCODINGS: Final = ("encodings", "known_face_encodings", "known_encodings", "embeddings", "vectors")
NAMES: Final = ("names", "known_face_names", "known_names", "labels", "people")
_NAME: Final = ("name", "person", "label", "identity", "id")
_VECTOR: Final = ("embedding", "encoding", "vector", "normed_embedding", "feature")
SUFFIXES: Final = (".npy", ".npz", ".pkl", ".pickle", ".dat")
DLIB: Final = "dlib-resnet"
DLIB_LENGTH: Final = 128


def read_face_recognition(path: Path, model: str | None, progress: Progress | None) -> Found:
    """A store of face_recognition's encodings; arguments and errors as ``read_store``."""
    if model is not None and model.lower() not in ("dlib", DLIB):
        raise OptionError(
            f"expected none: face_recognition has one model, dlib's; got {model!r}", option="model"
        )
    samples, notes = _read(path, progress)
    wrong = {len(one.vector) for one in samples if one.vector is not None} - {DLIB_LENGTH}
    if wrong:
        raise DataError(
            f"{path}: expected encodings of {DLIB_LENGTH} numbers, got {min(wrong):,}: they are "
            "not of face_recognition"
        )
    return Found("face_recognition", DLIB, ("chip150",), samples, notes)


def read_insightface(path: Path, model: str | None, progress: Progress | None) -> Found:
    """A store of insightface's embeddings; arguments and errors as ``read_store``."""
    if path.suffix.lower() in (".db", ".sqlite", ".sqlite3"):
        return _of_desktop(path, model)
    if model is None:
        raise OptionError(
            f"{path}: says not which network made the embeddings: name the pack (buffalo_l) or the "
            "network, since those of two are never compared",
            option="model",
        )
    samples, notes = _read(path, progress)
    return Found("insightface", model, ("norm_crop",), samples, notes)


def _read(path: Path, progress: Progress | None) -> tuple[list[Sample], tuple[str, ...]]:
    if path.is_dir():
        return _of_folder(path, progress)
    suffix, data = path.suffix.lower(), read_file(path)
    if data[:4] == b"PK\x03\x04":
        return list(_samples(read_archive(data, str(path), progress), str(path))), ()
    if data[:6] != b"\x93NUMPY":
        if suffix in (".npy", ".npz"):
            raise DataError(f"{path}: expected a file of NumPy, got something else")
        return list(_samples(read_pickle(data, str(path), progress), str(path))), ()
    value = read_array(data, str(path), progress)
    if not isinstance(value, np.ndarray):
        return list(_samples(value, str(path))), ()
    beside = _names_beside(path)
    if beside is not None:
        names = texts(read_array(read_file(beside), str(beside)), "names", str(beside))
        listed = list(_listed(names, value, str(path)))
        return listed, (f"the names are those of {beside.name}",)
    return list(_of_one(stem_of(path.name), value, path.name, str(path))), ()


def _names_beside(path: Path) -> Path | None:
    """The file of names that belongs to one of encodings: "known_face_names.npy"."""
    for word in ENCODINGS:
        if word in path.stem.lower():
            stem = path.stem.lower()
            for name in ("names", "labels"):
                other = path.with_name(stem.replace(word.split("_")[-1], name) + path.suffix)
                if other != path and other.is_file():
                    return other
    return None


def _of_folder(folder: Path, progress: Progress | None) -> tuple[list[Sample], tuple[str, ...]]:
    """NAME.npy, or NAME/anything.npy, for each person."""
    files = sorted(
        (path, path.name if path.parent == folder else path.parent.name)
        for path in [*folder.glob("*.npy"), *folder.glob("*/*.npy")]
    )
    if not files:
        raise OptionError(f"{folder}: expected files of NumPy named by people, found none")
    samples: list[Sample] = []
    for number, (path, named) in enumerate(files, 1):
        value = read_array(read_file(path), str(path))
        name = stem_of(named) if path.parent == folder else named
        source = path.relative_to(folder).as_posix()
        samples += _of_one(name, value, source, str(path))
        if progress is not None:
            progress(number, len(files))
    return samples, ()


def _samples(value: Any, name: str) -> Iterator[Sample]:
    """Of what a dict or list holds."""
    if type(value) is dict:
        encodings = next((value[key] for key in ENCODINGS if key in value), None)
        names = next((value[key] for key in NAMES if key in value), None)
        if encodings is not None and names is not None:
            yield from _listed(texts(names, "names", name), encodings, name)
            return
        for person, one in value.items():
            yield from _of_one(person, one, "", name)
        return
    if type(value) is list and value and all(type(one) is dict for one in value):
        for number, one in enumerate(value, 1):
            yield _entry(one, number, name)
        return
    if (
        type(value) is list
        and len(value) == 2
        and all(type(one) in (list, np.ndarray) for one in value)
    ):
        first, second = value
        names, encodings = (first, second) if _are_texts(first) else (second, first)
        yield from _listed(texts(names, "names", name), encodings, name)
        return
    raise DataError(
        f"{name}: expected names with embeddings: a dict of both, or lists of encodings and names"
    )


def _are_texts(value: Any) -> bool:
    return len(value) > 0 and isinstance(value[0], str)


def _entry(one: dict[str, Any], number: int, name: str) -> Sample:
    person = next((one[key] for key in _NAME if type(one.get(key)) is str), None)
    vector = next((one[key] for key in _VECTOR if key in one), None)
    if person is None or vector is None:
        raise DataError(f"{name}: entry {number}: expected a name and an embedding")
    return Sample(f"entry {number}", person, _vector(vector, f"{name}: entry {number}"))


def _listed(names: Sequence[str], encodings: Any, name: str) -> Iterator[Sample]:
    if type(encodings) is not list and not isinstance(encodings, np.ndarray):
        raise DataError(f"{name}: expected a list of embeddings, got something else")
    if len(names) != len(encodings):
        raise DataError(
            f"{name}: expected as many names as embeddings, got {len(names):,} and "
            f"{len(encodings):,}"
        )
    for number, (person, one) in enumerate(zip(names, encodings, strict=True), 1):
        yield Sample(f"entry {number}", person, _vector(one, f"{name}: entry {number}"))


def _of_one(person: str, value: Any, source: str, name: str) -> Iterator[Sample]:
    """One person's: an embedding, or several."""
    several: Iterable[Any]
    if isinstance(value, np.ndarray):
        several = value if value.ndim == 2 else [value]
    elif type(value) is dict:
        vector = next((value[key] for key in (*_VECTOR, *ENCODINGS) if key in value), None)
        yield from _of_one(person, [] if vector is None else vector, source, name)
        return
    elif type(value) is list and value and type(value[0]) in (list, np.ndarray):
        several = value
    else:
        several = [value]
    for number, one in enumerate(several, 1):
        place = f"{person[:80]!r}, embedding {number}"
        yield Sample(place, person, _vector(one, f"{name}: {place}"), source)


def _vector(value: Any, where: str) -> Any:
    found = vector_of(value)
    if found is None:
        raise DataError(f"{where}: expected an embedding: finite numbers that are not all 0")
    return found


# --- insightface's desktop program ----------------------------------------------------------------


def _of_desktop(path: Path, model: str | None) -> Found:
    """Its SQLite file: people, and samples with an embedding (float32) and the model's name."""
    read_file(path)  # a file, and no larger than others
    query = (
        "SELECT s.id, p.name, p.display_name, s.embedding, s.model_name, s.source_image_path "
        "FROM face_samples s JOIN people p ON p.id = s.person_id "
        "WHERE s.embedding IS NOT NULL ORDER BY s.id"
    )
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            kinds = dict(
                connection.execute(
                    "SELECT name, type FROM sqlite_master WHERE name IN ('people', 'face_samples')"
                )
            )
            if kinds != {"people": "table", "face_samples": "table"}:
                raise DataError(f"{path}: expected the people of insightface's desktop program")
            rows = connection.execute(query).fetchall()
    except sqlite3.Error as error:
        raise DataError(f"{path}: expected a database, got: {str(error)[:200]}") from error
    models = sorted({str(row[4]) for row in rows})
    if model is None and len(models) == 1:
        (model,) = models
    if model not in models:
        said = "name one of them" if model is None else f"got {model!r}"
        raise OptionError(
            f"{path}: has embeddings of {', '.join(models[:8]) or 'nobody'}: {said}",
            option="model",
        )
    samples = []
    for number, name, shown, blob, made_by, source in rows:
        if made_by != model:
            continue
        person = shown if isinstance(shown, str) and shown.strip() else name
        where = f"sample {number}"
        if not isinstance(blob, bytes) or len(blob) % 4 or not isinstance(person, str):
            raise DataError(f"{path}: {where}: expected a name and numbers")
        vector = _vector(np.frombuffer(blob, "<f4"), f"{path}: {where}")
        samples.append(Sample(where, person, vector, source if isinstance(source, str) else ""))
    left_out = len(rows) - len(samples)
    notes = (f"{left_out:,} embeddings of other models are left out",) if left_out else ()
    return Found("insightface", str(model), ("norm_crop",), samples, notes)
