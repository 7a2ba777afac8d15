"""People of an evaluation set who are in the training set: a recognizer has seen them.

A score that is measured on people whom the network was trained on says nothing about others. Two
ways to find them: by name, and by face, for sets that call the same person differently.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.datasets.people_folder import plain
from lineament.datasets.text import read_text
from lineament.errors import DataError, OptionError
from lineament.images import describe_source
from lineament.results import Outcome
from lineament.text import counted
from lineament.train.data._opening import open_faces

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
"""Letters that Unicode does not take apart into a plain one and an accent."""

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Leak(Outcome):
    """What two lists of people share.

    Attributes:
        shared: (name in the training set, name in the evaluation set), sorted.
        training_people, evaluation_people: how many there are in each.
        numbered: whether the training set's names are mere numbers, which say nothing.
    """

    shared: tuple[tuple[str, str], ...]
    training_people: int
    evaluation_people: int
    numbered: bool

    @property
    def found(self) -> bool:
        """Whether somebody is in both."""
        return bool(self.shared)

    @property
    def message(self) -> str:
        """The finding as a sentence or two."""
        people = _people(len({name for _, name in self.shared}))
        of = f"of the {self.evaluation_people:,} people of the evaluation set"
        if self.numbered and not self.shared:
            return (
                "the training set's people have numbers for names, so that names cannot say "
                f"whether somebody {of} is among them; compare faces (leakage_by_face)"
            )
        if not self.shared:
            return (
                f"nobody {of} has the name of one of the {self.training_people:,} people of the "
                "training set"
            )
        names = ", ".join(evaluation for _, evaluation in self.shared[:_SHOWN])
        more = f" and {len(self.shared) - _SHOWN:,} more" if len(self.shared) > _SHOWN else ""
        return (
            f"{people} {of} are in the training set by name: {names}{more}. Leave them out of the "
            "training, or of the evaluation; what is measured on them does not hold for others"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "shared": [list(pair) for pair in self.shared],
            "training_people": self.training_people,
            "evaluation_people": self.evaluation_people,
            "numbered": self.numbered,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class LikelySame:
    """Two people who may be one.

    Attributes:
        training, evaluation: their names.
        similarity: cosine of their mean embeddings, -1 to 1.
        same_name: whether the names say so too.
    """

    training: str
    evaluation: str
    similarity: float
    same_name: bool


def normalized(name: str) -> str:
    """A name as it is compared: "Renée_Zellweger" and "renee zellweger" are the same.

    Case, accents, underscores, hyphens, dots and apostrophes do not count.
    """
    letters = unicodedata.normalize("NFKD", name.casefold()).translate(_LETTERS)
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    bare = bare.replace("'", "").replace("’", "")
    spaced = "".join(c if c.isalnum() else " " for c in bare)
    return " ".join(spaced.split())


def leakage(train_people: Sequence[str], evaluation_people: Sequence[str]) -> Leak:
    """Compare two lists of names.

    Args:
        train_people: ``FaceSet.people``.
        evaluation_people: see ``evaluation_people`` for where to get them.
    """
    known: dict[str, list[str]] = {}
    for name in dict.fromkeys(train_people):
        known.setdefault(normalized(name), []).append(name)
    known.pop("", None)
    shared = [
        (training, name)
        for name in dict.fromkeys(evaluation_people)
        for training in known.get(normalized(name), [])
    ]
    return Leak(
        shared=tuple(sorted(shared)),
        training_people=len(set(train_people)),
        evaluation_people=len(set(evaluation_people)),
        numbered=bool(train_people) and all(_is_number(name) for name in train_people),
    )


def evaluation_people(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of the people of an evaluation set, sorted.

    Args:
        path: a folder with one folder per person (LFW's too), a list of people or pairs as LFW has
            them (people.txt, pairs.txt, pairsDevTest.txt), any list with a name a line, or a
            ``.csv``, ``.tar`` or ``.rec`` file as for training.

    Raises:
        DataError: nothing there, or nobody in it.
    """
    place = Path(path)
    if place.is_dir() or place.suffix.lower() in (".csv", ".tar", ".rec"):
        return tuple(sorted(open_faces(place).people))
    shown = describe_source(place)
    names: set[str] = set()
    for line in read_text(place).splitlines():
        names.update(_names_in(line))
    if not names:
        raise DataError(f"{shown}: expected names of people, found none")
    return tuple(sorted(names))


def leakage_by_face(
    train_embeddings: npt.NDArray[np.floating[Any]],
    train_labels: npt.ArrayLike,
    train_people: Sequence[str],
    evaluation_embeddings: npt.NDArray[np.floating[Any]],
    evaluation_labels: npt.ArrayLike,
    evaluation_people: Sequence[str],
    *,
    threshold: float,
    block: int = 1024,
) -> list[LikelySame]:
    """People of the evaluation set who look like somebody in the training set.

    Each person's embeddings are scaled to unit length, averaged and scaled again; the mean forgives
    a photo under a wrong name. Every pair of people is a comparison: with 5,000 against 80,000
    people and a threshold that one pair of strangers in a million passes, expect 400 by chance.

    Args:
        train_embeddings: (N, D) of photos of the training set.
        train_labels: (N,) places in ``train_people``.
        train_people: names.
        evaluation_embeddings: (M, D), of the same recognizer.
        evaluation_labels: (M,) places in ``evaluation_people``.
        evaluation_people: names.
        threshold: the least cosine that is reported, -1 to 1.
        block: people of the evaluation set that are compared at a time: memory is a few times
            ``block`` times the training set's people.

    Returns:
        Pairs of people, the most similar first.

    Raises:
        OptionError: shapes that do not fit, embeddings that are not finite or zero.
    """
    if not -1 <= threshold <= 1:
        raise OptionError(f"expected a cosine from -1 to 1, got {threshold}", option="threshold")
    if block < 1:
        raise OptionError(f"expected 1 or more, got {block}", option="block")
    known, train_names = _means("train", train_embeddings, train_labels, train_people)
    asked, names = _means("evaluation", evaluation_embeddings, evaluation_labels, evaluation_people)
    if known.shape[1] != asked.shape[1]:
        raise OptionError(
            f"expected embeddings of one recognizer, got {known.shape[1]} and {asked.shape[1]} "
            "dimensions"
        )
    found: list[LikelySame] = []
    for begin in range(0, len(asked), block):
        similarity = asked[begin : begin + block] @ known.T  # (B, D) @ (D, P) -> (B, P)
        for row, column in np.argwhere(similarity >= threshold).tolist():
            training, evaluation = train_names[column], names[begin + row]
            value = float(np.clip(similarity[row, column], -1, 1))
            same = normalized(training) == normalized(evaluation)
            found.append(LikelySame(training, evaluation, value, same))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.training, pair.evaluation))


def _means(
    what: str,
    embeddings: npt.NDArray[np.floating[Any]],
    labels: npt.ArrayLike,
    people: Sequence[str],
) -> tuple[npt.NDArray[np.float32], list[str]]:
    vectors = np.asarray(embeddings, np.float64)
    persons = np.asarray(labels)
    if vectors.ndim != 2 or persons.shape != vectors.shape[:1] or not len(vectors):
        raise OptionError(
            f"{what}_embeddings: expected (N, D) with (N,) labels, N at least 1, got "
            f"{vectors.shape} with {persons.shape}"
        )
    if not np.issubdtype(persons.dtype, np.integer) or not (
        persons.min() >= 0 and persons.max() < len(people)
    ):
        raise OptionError(f"{what}_labels: expected places in the list of {len(people):,} people")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise OptionError(f"{what}_embeddings: expected finite vectors, none of them 0")
    present, places = np.unique(persons, return_inverse=True)
    sums = np.zeros((len(present), vectors.shape[1]))
    np.add.at(sums, places, vectors / lengths)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    means = sums / np.maximum(lengths, np.finfo(float).tiny)
    return means.astype(np.float32), [people[i] for i in present.tolist()]


def _names_in(line: str) -> list[str]:
    """The names in a line of LFW's lists: NAME, NAME n, NAME n n, NAME n NAME n."""
    columns = line.strip().split("\t") if "\t" in line else line.split()
    columns = [column.strip() for column in columns]
    numbers = [_is_number(column) for column in columns]
    if not columns or all(numbers):  # how many follow
        return []
    if numbers == [False, True, False, True]:
        return [plain(columns[0]), plain(columns[2])]
    if not numbers[0] and all(numbers[1:]):
        return [plain(columns[0])]
    return [plain(" ".join(line.split()))]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _people(count: int) -> str:
    return counted(count, "person", "people")
