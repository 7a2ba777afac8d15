"""What all readers return, and how people, embeddings and contracts are made of it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from lineament.datasets.people_folder import name_in
from lineament.datasets.photo_names import why_album, why_nobody
from lineament.errors import DataError, OptionError
from lineament.gallery._entries import Entry, Row
from lineament.text import in_short
from lineament.types import FOREIGN, Contract, Embedding, Float64Array

Layout = Literal["auto", "folders", "flat"]
LAYOUTS: Final = ("auto", "folders", "flat")
_PLAIN: Final = re.compile(r"[^a-z0-9._+]+")


@dataclass(frozen=True, slots=True)
class Sample:
    """One face of a store.

    Attributes:
        place: of the entry, for messages: "row 7".
        person: whom it shows; "" where ``problem`` says why nobody can be named.
        vector: (D,) float64, as the store has it; None: the face has no embedding.
        source: name of the photo.
        metadata: what else the store says of it.
        problem: why it cannot be taken.
    """

    place: str
    person: str
    vector: Float64Array | None
    source: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a reader has read.

    Attributes:
        package: whose store it is.
        model: which network made the embeddings, by the package's name for it.
        how: what else the embeddings depend on, in words that may stand in a contract.
        samples: the faces.
        notes: what should be known, in words.
    """

    package: str
    model: str
    how: tuple[str, ...]
    samples: Sequence[Sample]
    notes: tuple[str, ...] = ()


def plain(text: str) -> str:
    """Text as it may stand in a contract: lower case letters, figures, and few signs."""
    return _PLAIN.sub("-", text.lower()).strip("-")[:80]


def contract_of(package: str, model: str, how: Iterable[str], dimension: int) -> Contract:
    """The contract of embeddings that another package made.

    Its hash is that of package and model by name: the file of the weights is not at hand. Equal
    names are the same embeddings; nothing else is, the same network run here included, since what
    the network is shown differs.
    """
    name = f"{plain(package)}-{plain(model)}"
    digest = hashlib.sha256(f"{FOREIGN} {name}".encode()).hexdigest()
    alignment = "-".join([FOREIGN, *filter(None, map(plain, how))])
    return Contract(name, digest, alignment, "bgr", False, dimension)


def vector_of(value: Any) -> Float64Array | None:
    """Numbers as a vector; None: it is none, or has no length, or too few or many numbers."""
    if isinstance(value, np.ndarray):
        if value.ndim == 2 and value.shape[0] == 1:
            value = value[0]
        if value.ndim != 1 or value.dtype.kind not in "iuf":
            return None
    elif type(value) is not list or any(type(one) not in (int, float) for one in value):
        return None
    try:
        vector = np.asarray(value, np.float64)
    except (OverflowError, ValueError):
        return None
    if not 2 <= len(vector) <= 65536 or not np.isfinite(vector).all():
        return None
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(vector))
    return vector if 1e-6 < length < 1e6 else None


def embedding_of(vector: Any, contract: Contract) -> Embedding:
    """An embedding of a contract from numbers as the package gives them, not of length 1.

    Raises:
        OptionError: they are none, or as many as the contract has not.
    """
    numbers = vector_of(vector)
    if numbers is None or len(numbers) != contract.dimension:
        got = "none" if numbers is None else f"{len(numbers):,}"
        raise OptionError(f"expected {contract.dimension:,} finite numbers, got {got}")
    norm = float(np.linalg.norm(numbers))
    return Embedding((numbers / norm).astype(np.float32), norm, contract)


def dimension_of(found: Found, name: str) -> int:
    """How many numbers the embeddings have. DataError: there is none, or they are of several."""
    lengths = sorted({len(one.vector) for one in found.samples if one.vector is not None})
    if not lengths:
        raise DataError(f"{name}: expected embeddings, found none")
    if len(lengths) > 1:
        shown = ", ".join(f"{one:,}" for one in lengths[:8])
        raise DataError(
            f"{name}: expected embeddings of one length, found {shown}: they are of several models"
        )
    return lengths[0]


def entries_of(samples: Iterable[Sample], contract: Contract, now: float) -> Iterable[Entry]:
    """The samples as entries of an export; those without an embedding are left out."""
    for one in samples:
        if one.problem:
            yield Entry(one.place, None, one.problem, one.person or None)
            continue
        if one.vector is None:
            continue
        norm = float(np.linalg.norm(one.vector))
        vector = (one.vector / norm).astype("<f4").tobytes()
        seed = "\0".join((contract.id, one.person, one.source)).encode("utf-8", "surrogatepass")
        yield Entry(
            one.place,
            Row(
                one.person,
                "{}",
                now,
                hashlib.sha256(seed + vector).digest()[:16],
                vector,
                one.source,
                None,
                f'{{"norm": {norm!r}}}',
                _json(one.metadata),
                now,
            ),
            person=one.person,
        )


def _json(metadata: dict[str, Any]) -> str:
    import json

    return json.dumps(metadata, ensure_ascii=False)


# --- people ---------------------------------------------------------------------------------------


def people_of(paths: Sequence[str], layout: Layout, folder_of_store: str) -> list[tuple[str, str]]:
    """For each photo's path whom it shows, and else "" and why nobody is named.

    Args:
        paths: as the store has them, of this machine or another.
        layout: "folders": one folder per person; "flat": files named by the person and a number;
            "auto": folders where there are several, or one that does not hold the store itself.
        folder_of_store: name of the folder in which the store lies, which deepface writes beside
            the people's folders.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"expected one of {', '.join(LAYOUTS)}, got {layout!r}", option="layout")
    split = [[part for part in re.split(r"[/\\]", path) if part not in ("", ".")] for path in paths]
    folders = [parts[:-1] for parts in split]
    root: list[str] = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        root.append(parts[0])
    single = bool(root) and all(len(one) == len(root) for one in folders)
    if single and root[-1] != folder_of_store and (layout == "folders" or folder_of_store in root):
        root = root[:-1]  # all photos are of one person
    nested = any(len(one) > len(root) for one in folders)
    by_folder = layout == "folders" or (layout == "auto" and nested)
    return [_person(parts, len(root), by_folder, layout) for parts in split]


def _person(parts: Sequence[str], depth: int, by_folder: bool, layout: Layout) -> tuple[str, str]:
    if not parts:
        return "", "no path of a photo"
    if by_folder and len(parts) > depth + 1:
        name = parts[depth]
        why = why_album(name) if layout == "auto" else None
        return (name, "") if why is None else ("", f"{in_short(name)} is nobody: {why}")
    stem = os.path.splitext(parts[-1])[0]  # noqa: PTH122
    nobody = why_nobody(stem)
    if nobody is not None:
        return "", f"{in_short(parts[-1])} is nobody: {nobody}"
    return name_in(stem), ""


def stem_of(path: str) -> str:
    """The name in the name of a file: "ada_01.npy" -> "ada"."""
    return name_in(Path(path).stem)
