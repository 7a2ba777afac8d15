"""Which faces are compared: parts, each with its own list of pairs.

Every draw is a number from SHA-256 of the part's and the photo's or person's name, so that lists
and spoilt crops are the same on every machine and do not change when photos are added elsewhere.

In a part of LFW 350 people of View 1 have one pair of two photos each. The left one is spoilt;
of every second pair the right one is, too, in the same way. Impostor pairs are all of a
left face and a right one of another person, so that they are spoilt as genuine ones are: both, or
one. In the other parts all pairs within the part are taken.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hard_pairs.faces import Faces, Listed
from hard_pairs.spoiling import ALL_KINDS, Crop

PEOPLE = 350
FAR = 3
"""Difference of the file numbers from which on two photos of LFW are "apart"."""

STRENGTHS = {
    "small": 0.4,
    "compressed": 0.5,
    "blurred": 0.5,
    "dark": 0.5,
    "covered": 0.5,
    "aged": 0.55,
    "misaligned": 0.4,
    "mixed": 0.2,
}
"""Of each kind in LFW's parts; chosen so that SFace misses about a tenth at FMR 1e-3."""

APART_STRENGTH, CFP_STRENGTH, ATT_STRENGTH = 0.5, 0.1, 0.5
"""Of the kinds in the other parts, of which each photo has one."""


class Sample(NamedTuple):
    """One face as it is compared: the photo's row in its set, and what is done to it."""

    set_name: str
    row: int
    kind: str | None = None
    strength: float = 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """Pairs that are judged together.

    Attributes:
        name: of the part.
        left, right: L and R samples; ``right`` is ``left`` where all pairs within are meant.
        left_person, right_person: whose they are.
    """

    name: str
    left: tuple[Sample, ...]
    right: tuple[Sample, ...]
    left_person: tuple[str, ...]
    right_person: tuple[str, ...]

    @property
    def within(self) -> bool:
        """Whether all pairs of one list are meant."""
        return self.right is self.left

    def masks(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """(L, R) which pairs are genuine, and which are of two people.

        A photo is not compared with itself, and no pair is counted twice.
        """
        same = np.array(self.left_person)[:, None] == np.array(self.right_person)[None]
        if self.within:
            once = np.triu(np.ones(same.shape, bool), 1)
            return same & once, ~same & once
        return same, ~same


def drawn(*words: object) -> int:
    """A number of 64 bits that depends on nothing but the words."""
    text = "\0".join(str(word) for word in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def spoilt(faces: Faces, sample: Sample, part: str) -> Crop:
    """The crop of a sample in a part."""
    crop = faces.crops[sample.row]
    if sample.kind is None:
        return crop
    random = np.random.default_rng(drawn("spoil", part, faces.listed.names[sample.row]))
    return ALL_KINDS[sample.kind](crop, sample.strength, random)


def parts_of(sets: Iterable[Faces]) -> list[Part]:
    """The parts that these sets give, in the order in which they are printed."""
    made: list[Part] = []
    for faces in sets:
        made += MAKERS[faces.listed.set_name](faces)
    return made


def of_lfw(faces: Faces) -> list[Part]:
    """One part for each kind, and photos that are far apart by their numbers."""
    listed = faces.listed
    rows: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(faces.found).tolist():
        rows[listed.people[row]].append(row)
    several = sorted(person for person, own in rows.items() if len(own) > 1)
    made = []
    for kind, strength in STRENGTHS.items():
        people = sorted(several, key=lambda person: drawn("person", kind, person))[:PEOPLE]
        pairs = []
        for person in people:
            own = sorted(rows[person], key=lambda row: drawn("photo", kind, listed.names[row]))
            pairs.append((own[0], own[1]))
        made.append(_pairs_of(listed, kind, pairs, kind, strength))
    far = []
    for person in several:
        own = sorted(rows[person], key=lambda row: listed.names[row])
        if _number(listed.names[own[-1]]) - _number(listed.names[own[0]]) >= FAR:
            far.append((own[0], own[-1]))
    far.sort(key=lambda pair: drawn("apart", listed.people[pair[0]]))
    made.append(_pairs_of(listed, "apart", far, "one of these", APART_STRENGTH))
    return made


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _pairs_of(
    listed: Listed, name: str, pairs: Sequence[tuple[int, int]], kind: str, strength: float
) -> Part:
    left = tuple(Sample(listed.set_name, a, kind, strength) for a, _ in pairs)
    right = tuple(
        Sample(listed.set_name, b, kind, strength) if i % 2 else Sample(listed.set_name, b)
        for i, (_, b) in enumerate(pairs)
    )
    people = tuple(listed.people[a] for a, _ in pairs)
    return Part(name, left, right, people, people)


def of_cfp(faces: Faces) -> list[Part]:
    """Frontal photos, spoilt, with one another; and as they are with profiles, and profiles."""
    listed = faces.listed
    frontal = [i for i, group in enumerate(listed.groups) if group == "frontal"]
    profile = [i for i, group in enumerate(listed.groups) if group == "profile"]
    plain, turned = (_samples(listed, rows) for rows in (frontal, profile))
    front, side = (tuple(listed.people[i] for i in rows) for rows in (frontal, profile))
    mixed = _samples(listed, frontal, "one of these", CFP_STRENGTH)
    return [
        Part("frontal-frontal", mixed, mixed, front, front),
        Part("frontal-profile", plain, turned, front, side),
        Part("profile-profile", turned, turned, side, side),
    ]


def of_att(faces: Faces) -> list[Part]:
    """All photos, spoilt."""
    listed = faces.listed
    mixed = _samples(listed, range(len(listed.names)), "one of these", ATT_STRENGTH)
    return [Part("att", mixed, mixed, listed.people, listed.people)]


def _samples(
    listed: Listed, rows: Iterable[int], kind: str | None = None, strength: float = 0.0
) -> tuple[Sample, ...]:
    return tuple(Sample(listed.set_name, row, kind, strength) for row in rows)


MAKERS = {"lfw": of_lfw, "cfp": of_cfp, "att": of_att}


def digest_of(parts: Sequence[Part], sets: Iterable[Faces]) -> str:
    """SHA-256 of all lists: two runs are of the same pairs when theirs are equal."""
    names = {faces.listed.set_name: faces.listed.names for faces in sets}
    lines = [
        f"{part.name} {side} {names[s.set_name][s.row]} {s.kind} {s.strength:g}"
        for part in parts
        for side, samples in (("left", part.left), ("right", part.right))
        for s in samples
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
