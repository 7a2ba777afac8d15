"""Bring the embeddings that another package stored into a gallery, without running its code.

    store = read_store("deepface-pkl", "my_db/ds_model_sface_....pkl")
    with Gallery.open_or_create...           a gallery of store.contract
    import_store(gallery, store)

    deepface-pkl           what DeepFace.find leaves in a folder (.pkl, .npz)
    face-recognition-npy   encodings of face_recognition (.npy, .npz, pickles, folders)
    insightface            embeddings under names, or its desktop program's people (.db)
    compreface             a dump of CompreFace's database (.sql), or a table of it (.csv)

The gallery gets a contract of its own (``Contract.is_foreign``): it names the package, the network
and what else the embeddings depend on. They are compared with embeddings of that contract alone;
photos cannot be embedded so here, since the other package finds and cuts faces in another way, and
are refused. ``embeddings_of`` takes what the other package gives for a new photo, for
``Gallery.identify_embeddings``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lineament.arguments import checked
from lineament.errors import OptionError
from lineament.gallery._gallery import Gallery
from lineament.gallery._types import ImportReport, OnDamaged
from lineament.gallery.foreign import _compreface as compreface
from lineament.gallery.foreign import _deepface as deepface
from lineament.gallery.foreign import _named as named
from lineament.gallery.foreign._rows import (
    LAYOUTS,
    Found,
    Sample,
    contract_of,
    dimension_of,
    embedding_of,
    entries_of,
)
from lineament.results import Outcome
from lineament.suggest import did_you_mean, similar_path
from lineament.types import Contract, Embedding

Kind = Literal["deepface-pkl", "face-recognition-npy", "insightface", "compreface"]
KINDS: Final = ("deepface-pkl", "face-recognition-npy", "insightface", "compreface")

__all__ = [
    "KINDS",
    "LAYOUTS",
    "ForeignStore",
    "Kind",
    "embeddings_of",
    "import_store",
    "read_store",
]


@dataclass(frozen=True, slots=True)
class ForeignStore(Outcome):
    """The embeddings of another package, read and looked at.

    Attributes:
        kind: one of ``KINDS``.
        path: of the file or folder.
        package, model: who made them.
        contract: of a gallery that takes them.
        samples: the faces, those that name nobody or have no embedding included.
        notes: what should be known, in words.
    """

    kind: str
    path: Path
    package: str
    model: str
    contract: Contract
    samples: Sequence[Sample]
    notes: tuple[str, ...] = ()

    @property
    def people(self) -> dict[str, int]:
        """Names of people, and how many embeddings they have; in the order of the store."""
        counts: dict[str, int] = {}
        for one in self.samples:
            if one.vector is not None and not one.problem:
                counts[one.person] = counts.get(one.person, 0) + 1
        return counts

    @property
    def without_face(self) -> int:
        """Photos of the store in which no face was found."""
        return sum(one.vector is None and not one.problem for one in self.samples)

    @property
    def nobody(self) -> list[str]:
        """Embeddings of which nothing says whose they are, each with the reason."""
        return [f"{one.place}: {one.problem}" for one in self.samples if one.problem]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "kind": self.kind,
            "path": str(self.path),
            "package": self.package,
            "model": self.model,
            "contract": self.contract.to_dict(),
            "people": [{"name": name, "n_samples": n} for name, n in self.people.items()],
            "n_samples": sum(self.people.values()),
            "n_without_face": self.without_face,
            "passed_over": self.nobody,
            "notes": list(self.notes),
        }


@checked
def read_store(
    kind: str,
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    collection: str | None = None,
    layout: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> ForeignStore:
    """Read the store of another package; nothing in it is carried out.

    Args:
        kind: one of ``KINDS``.
        path: of its file, or its folder. It may come from anybody.
        model: which network made the embeddings, where the store does not say, or has several.
        collection: of CompreFace: the key of the collection, where there are several.
        layout: of deepface, whose stores know photos and no people: "folders" for one folder per
            person, "flat" for files named by the person and a number, "auto" for what it looks
            like.
        progress: called with how much was read, and how much there is.

    Raises:
        OptionError: there is no such file, or an option is missing or unfit.
        DataError: it is damaged, of another kind, or a pickle that asks for more than values.
    """
    if kind not in KINDS:
        raise OptionError(
            f"expected one of {', '.join(KINDS)}, got {kind!r}; what a gallery exported is taken "
            "by import_",
            option="kind",
        )
    if layout not in LAYOUTS:
        raise OptionError(f"expected one of {', '.join(LAYOUTS)}, got {layout!r}", option="layout")
    place = Path(path)
    if not place.exists():
        raise OptionError(
            f"{place}: there is nothing of that name{did_you_mean(similar_path(place))}"
        )
    found = _read(kind, place, model, collection, layout, progress)
    contract = contract_of(found.package, found.model, found.how, dimension_of(found, str(place)))
    return ForeignStore(
        kind, place, found.package, found.model, contract, tuple(found.samples), found.notes
    )


def _read(
    kind: str,
    path: Path,
    model: str | None,
    collection: str | None,
    layout: Any,
    progress: Callable[[int, int], None] | None,
) -> Found:
    if collection is not None and kind != "compreface":
        raise OptionError(f"expected with compreface only, got {kind}", option="collection")
    if layout != "auto" and kind != "deepface-pkl":
        raise OptionError(f"expected with deepface-pkl only, got {kind}", option="layout")
    if kind == "deepface-pkl":
        return deepface.read(path, model, layout, progress)
    if kind == "face-recognition-npy":
        return named.read_face_recognition(path, model, progress)
    if kind == "insightface":
        return named.read_insightface(path, model, progress)
    return compreface.read(path, model, collection, progress)


@checked
def import_store(
    gallery: Gallery,
    store: ForeignStore,
    *,
    damaged: OnDamaged = "skip",
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Add the embeddings of a store to a gallery, in one transaction.

    What is known already, by person, photo and numbers, is passed over: importing twice is as good
    as once.

    Args:
        gallery: open for writing, of the store's contract.
        store: what ``read_store`` returned.
        damaged: "skip" passes over what names nobody, or has a name that no person may have;
            "refuse" adds all or nothing.
        progress: called with how many were added, and how many there are.

    Raises:
        ContractError: the gallery holds other embeddings.
        DataError: something does not fit, and ``damaged`` is "refuse".
    """
    gallery.contract.check(store.contract)
    total = len(store.samples)

    def counted() -> Any:
        entries = entries_of(store.samples, store.contract, time.time())
        for done, entry in enumerate(entries, 1):
            yield entry
            if progress is not None and (done % 256 == 0 or done == total):
                progress(done, total)

    return gallery.import_entries(counted(), store.path, damaged=damaged)


@checked
def embeddings_of(contract: Contract, vectors: Any) -> list[Embedding]:
    """Embeddings for ``Gallery.identify_embeddings`` of what the other package gives for a photo.

        found = gallery.identify_embeddings(embeddings_of(gallery.contract, encodings),
                                            threshold=0.9)

    Args:
        contract: of the gallery.
        vectors: N of D numbers each, or one, as the package has them, of any length.

    Raises:
        OptionError: they are no numbers, or as many as the contract has not.
    """
    import numpy as np

    try:
        table = np.atleast_2d(np.asarray(vectors, np.float64))
    except (TypeError, ValueError) as error:
        raise OptionError(f"expected numbers: {error}", option="vectors") from error
    return [embedding_of(one, contract) for one in table]
