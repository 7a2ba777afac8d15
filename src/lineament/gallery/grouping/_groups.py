"""Groups of faces as values: who is in them, how sure that is, a file, and more photos."""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from lineament import forms
from lineament.decide.calibration import Calibration
from lineament.errors import DataError, LineamentError, OptionError
from lineament.files import read_regular, write_atomically
from lineament.gallery.grouping._linking import grouping_prior, link
from lineament.gallery.values import checked_name
from lineament.results import Outcome
from lineament.text import per_cent, reason_of
from lineament.types import Contract, Embedding, Face, FloatArray, IntArray, Threshold

DOUBTFUL_BELOW = 0.8
"""Members that belong to their group with a smaller probability are in doubt. On LFW View 1 that is
1 member in 80; half of those are in a group with two people, and so are 18 of all 68 in such."""

FORMAT = 1
MOST_BYTES = 1 << 30
"""Of a file; a face takes some 3 kB."""
"""Version of the file; a reader refuses what it does not know."""


@dataclass(frozen=True, slots=True)
class GroupPhoto:
    """A photo that was looked at.

    Attributes:
        source: its path or name; each once.
        n_faces: how many were found.
        error: why it could not be read, or None.
    """

    source: str
    n_faces: int
    error: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class GroupFace:
    """A face that is grouped.

    Attributes:
        source: the photo's name.
        number: which of the photo's faces, from 0.
        face: where it is.
        embedding: of it.
        problems: what is wrong with its quality, in words.
    """

    source: str
    number: int
    face: Face
    embedding: Embedding
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A face in a group.

    Attributes:
        place: of its face in ``Grouping.faces``.
        support: mean of its cosines with the others of the group; None when it is alone.
        probability: that a pair with this cosine is one person, with the collection's prior; None
            without a calibration, and when it is alone.
        doubts: why it may not belong there, in words; () when there is no reason.
    """

    place: int
    support: float | None
    probability: float | None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """The faces that are taken for one person.

    Attributes:
        id: its number, 1 or more; never given to another.
        name: of the person, or None.
        members: its faces, the best supported first.
        cohesion: mean of the cosines of all pairs; None when there is one face.
        llr: natural log-likelihood ratio of ``cohesion``; None without a calibration.
        weakest: least ``support`` of a member.
    """

    id: int
    name: str | None
    members: tuple[Member, ...]
    cohesion: float | None
    llr: float | None
    weakest: float | None

    @property
    def title(self) -> str:
        """The name, or "person 12"."""
        return f"person {self.id}" if self.name is None else self.name

    @property
    def doubtful(self) -> int:
        """How many members are in doubt."""
        return sum(bool(member.doubts) for member in self.members)


@dataclass(frozen=True, eq=False, slots=True)
class Grouping(Outcome):
    """Faces and their groups. Every face is in one, if only by itself.

    Attributes:
        contract: how all embeddings were made.
        threshold: the mean cosine from which on groups were made one.
        photos: all that were looked at.
        faces: N faces.
        group: (N,) int64: the id of each face's group.
        next_id: the id of the next group.
        names: of groups, by id.
        apart: pairs of groups that look like one person, and stay as they are because both were
            there before.
    """

    contract: Contract
    threshold: Threshold
    photos: tuple[GroupPhoto, ...]
    faces: tuple[GroupFace, ...]
    group: IntArray
    next_id: int
    names: Mapping[int, str] = field(default_factory=dict)
    apart: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong, ContractError what does not fit."""
        ids = np.array(self.group, np.int64)
        ids.flags.writeable = False
        object.__setattr__(self, "group", ids)
        if ids.shape != (len(self.faces),):
            raise OptionError(
                f"expected one id a face ({len(self.faces)}), got {ids.shape}", option="group"
            )
        if len(ids) and (ids.min() < 1 or ids.max() >= self.next_id):
            raise OptionError(f"expected ids from 1 to {self.next_id - 1}", option="group")
        if set(self.names) - set(ids.tolist()):
            raise OptionError("expected those of groups that there are", option="names")
        sources = [photo.source for photo in self.photos]
        if len(set(sources)) != len(sources):
            raise OptionError("expected each once", option="photos")
        if {face.source for face in self.faces} - set(sources):
            raise OptionError("expected faces of the photos", option="faces")
        for face in self.faces:
            self.contract.check(face.embedding.contract)
        pairs = {(face.source, int(i)) for face, i in zip(self.faces, ids, strict=True)}
        if len(pairs) != len(self.faces):
            raise OptionError("expected the faces of a photo in different groups", option="group")

    @classmethod
    def empty(cls, contract: Contract, threshold: Threshold) -> Grouping:
        """No photos yet; ``assign_new`` adds faces."""
        return cls(contract, threshold, (), (), np.zeros(0, np.int64), 1)

    @property
    def vectors(self) -> FloatArray:
        """(N, D) float32."""
        if not self.faces:
            return np.zeros((0, self.contract.dimension), np.float32)
        return np.stack([face.embedding.vector for face in self.faces])

    def groups(
        self, calibration: Calibration | None = None, *, min_size: int = 1
    ) -> tuple[Group, ...]:
        """The groups, the largest first.

        Args:
            calibration: says how probable they are; None leaves that out.
            min_size: smaller ones are left out, unless they have a name.

        Raises:
            ContractError: the calibration is for other embeddings.
        """
        if calibration is not None:
            calibration.check(self.contract, "cosine")
        vectors = self.vectors.astype(np.float64)
        order = np.argsort(self.group, kind="stable")
        starts = np.flatnonzero(np.diff(self.group[order], prepend=0))
        found = []
        for places in np.split(order, starts[1:]) if len(order) else []:
            group = int(self.group[places[0]])
            if len(places) >= min_size or group in self.names:
                found.append(self._described(group, places, vectors[places], calibration))
        return tuple(sorted(found, key=lambda g: (-len(g.members), g.id)))

    def _described(
        self, group: int, places: IntArray, rows: Any, calibration: Calibration | None
    ) -> Group:
        name = self.names.get(group)
        n = len(places)
        if n == 1:
            alone = Member(int(places[0]), None, None)
            return Group(group, name, (alone,), None, None, None)
        support = np.clip((rows @ rows.sum(0) - 1) / (n - 1), -1, 1)
        probabilities: Sequence[float | None] = [None] * n
        llr = None
        cohesion = float(support.mean())
        if calibration is not None:
            prior = grouping_prior(len(self.faces))
            probabilities = calibration.probabilities(support, prior).tolist()
            llr = float(calibration.llr_of(cohesion))
        members = tuple(
            Member(
                int(places[i]),
                float(support[i]),
                probabilities[i],
                self._doubts(float(support[i]), probabilities[i], self.faces[places[i]]),
            )
            # Rounded: of two that are alike, as in any group of two, the earlier one comes first.
            for i in np.argsort(-support.round(5), kind="stable")
        )
        return Group(group, name, members, cohesion, llr, float(support.min()))

    def _doubts(
        self, support: float, probability: float | None, face: GroupFace
    ) -> tuple[str, ...]:
        alike = f"it resembles the others by {support:.3f} on average"
        if support < self.threshold.value:
            return (f"{alike}, less than the threshold {self.threshold.value:.3f}", *face.problems)
        if probability is not None and probability < DOUBTFUL_BELOW:
            return (
                f"{alike}: one person is only {per_cent(probability, 0)} probable",
                *face.problems,
            )
        return face.problems

    def named(self, group: int, name: str) -> Grouping:
        """The same with a name for a group.

        Raises:
            OptionError: there is no such group, or it is no name that a person can have.
        """
        if group not in set(self.group.tolist()):
            raise OptionError(
                f"there is none of the number {group}; see the report", option="group"
            )
        return replace(self, names={**self.names, group: checked_name(name)})

    def to_dict(self, calibration: Calibration | None = None) -> dict[str, Any]:
        """Plain values, ready for JSON, the vectors among them; ``from_dict`` is the way back."""
        groups = self.groups(calibration)
        member_of = {member.place: member for group in groups for member in group.members}
        return {
            "lineament": "groups",
            "format": FORMAT,
            "contract": asdict(self.contract),
            "threshold": asdict(self.threshold),
            "next_id": self.next_id,
            "apart": [list(pair) for pair in self.apart],
            "photos": [asdict(photo) for photo in self.photos],
            "groups": [
                {
                    "id": group.id,
                    "name": group.name,
                    "size": len(group.members),
                    "doubtful": group.doubtful,
                    "cohesion": group.cohesion,
                    "llr": group.llr,
                    "weakest": group.weakest,
                    "faces": [member.place for member in group.members],
                }
                for group in groups
            ],
            "faces": [
                {
                    "source": face.source,
                    "number": face.number,
                    **face.face.to_dict(),
                    "group": int(group),
                    "support": member_of[place].support,
                    "probability": member_of[place].probability,
                    "doubts": list(member_of[place].doubts),
                    "problems": list(face.problems),
                    "norm": face.embedding.norm,
                    "vector": base64.b64encode(
                        face.embedding.vector.astype("<f4").tobytes()
                    ).decode(),
                }
                for place, (face, group) in enumerate(zip(self.faces, self.group, strict=True))
            ],
        }

    @classmethod
    def from_dict(cls, values: Any, where: str = "groups") -> Grouping:
        """Read what ``to_dict`` wrote. DataError: it is something else, or damaged."""
        if not isinstance(values, Mapping) or values.get("lineament") != "groups":
            kind = forms.kind_of(values)
            raise DataError(
                f"{where}: expected groups that `lineament group --out` wrote, got "
                f"{'something else' if kind is None else kind}"
            )
        if values.get("format") != FORMAT:
            raise DataError(
                f"{where}: expected groups of format {FORMAT}, got {values.get('format')!r}: read "
                "them with the version of lineament that wrote them"
            )
        try:
            form = forms.convert(values, _File, what="file")
            limit = form.threshold
            numbers = (limit.value, limit.fmr, limit.low, limit.high)
            if not all(number is None or math.isfinite(number) for number in numbers):
                raise DataError("its threshold is no finite number")
            return cls(
                contract=form.contract,
                threshold=form.threshold,
                photos=form.photos,
                faces=tuple(face.read(form.contract) for face in form.faces),
                group=np.array([face.group for face in form.faces], np.int64),
                next_id=form.next_id,
                names={one.id: one.name for one in form.groups if one.name is not None},
                apart=form.apart,
            )
        except (LineamentError, ValueError) as error:
            raise DataError(
                f"{where}: the groups are damaged ({error}); make them anew (lineament group)"
            ) from error

    def save(self, path: str | os.PathLike[str], *, calibration: Calibration | None = None) -> None:
        """Write a JSON file, as a whole or not at all. OptionError: it cannot be written."""
        text = json.dumps(self.to_dict(calibration), allow_nan=False)
        write_atomically(path, text.encode("ascii"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Grouping:
        """Read what ``save`` wrote. DataError: there is none, or it is damaged."""
        try:
            data = read_regular(path, at_most=MOST_BYTES)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: expected a file of groups, got: {reason_of(error)}"
            ) from error
        try:
            values = json.loads(data)
        except (ValueError, RecursionError) as error:
            got = forms.kind_of(data)
            raise DataError(
                f"{path}: expected a file of groups, got {reason_of(error) if got is None else got}"
            ) from error
        return cls.from_dict(values, str(path))


class _FileGroup(msgspec.Struct):
    id: int
    name: str | None


class _FileFace(msgspec.Struct):
    source: str
    number: int
    box_xyxy: tuple[float, float, float, float]
    score: float
    landmarks_xy: list[tuple[float, float]] | None
    turned_deg: int
    group: Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
    problems: tuple[str, ...]
    norm: float
    vector: bytes  # base64 of little-endian float32

    def read(self, contract: Contract) -> GroupFace:
        landmarks = None if self.landmarks_xy is None else np.array(self.landmarks_xy)
        face = Face(np.array(self.box_xyxy), self.score, landmarks, self.turned_deg)
        vector = np.frombuffer(self.vector, "<f4").astype(np.float32)
        embedding = Embedding(vector, self.norm, contract)
        return GroupFace(self.source, self.number, face, embedding, self.problems)


class _File(msgspec.Struct):
    """What is read of the file; ``Grouping.to_dict`` writes more, for people."""

    contract: Contract
    threshold: Threshold
    next_id: Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
    apart: tuple[tuple[int, int], ...]
    photos: tuple[GroupPhoto, ...]
    groups: tuple[_FileGroup, ...]
    faces: tuple[_FileFace, ...]


def group_faces(
    faces: Sequence[GroupFace],
    contract: Contract,
    threshold: Threshold,
    *,
    photos: Sequence[GroupPhoto] = (),
) -> Grouping:
    """Group the faces of photos.

    Groups are numbered from the largest on, those of one size in the order of the faces. Faces with
    problems join others, but are no group among themselves: blurred faces resemble each other.

    Args:
        faces: of all photos, with embeddings of that contract.
        contract: of the embeddings.
        threshold: of cosines; ``grouping_threshold`` has one.
        photos: what was looked at; photos of ``faces`` are added.

    Raises:
        ContractError: an embedding was made in another way.
        OptionError: a threshold of another metric, or the same face twice.
    """
    return assign_new(Grouping.empty(contract, threshold), faces, threshold, photos=photos)


def assign_new(
    grouping: Grouping,
    faces: Sequence[GroupFace],
    threshold: Threshold | None = None,
    *,
    photos: Sequence[GroupPhoto] = (),
) -> Grouping:
    """Add the faces of more photos.

    Groups of two faces and more, and those with a name, keep their identity: none is split, and no
    two are made one; where they should be, ``Grouping.apart`` says so. Faces that were alone may
    join others, and then the older number goes on.

    Args:
        grouping: what is there.
        faces: new ones.
        threshold: None takes the one that is there.
        photos: what was looked at; photos of ``faces`` are added.

    Raises:
        ContractError: an embedding was made in another way than those that are there.
        OptionError: a threshold of another metric, or a face that is there already.
    """
    chosen = grouping.threshold if threshold is None else threshold
    if chosen.metric != "cosine":
        raise OptionError(
            f"expected one for cosine, got one for {chosen.metric}", option="threshold"
        )
    for new in faces:
        grouping.contract.check(new.embedding.contract)
    everyone = (*grouping.faces, *faces)
    if len({(face.source, face.number) for face in everyone}) != len(everyone):
        raise OptionError("expected each once, got one that is there already", option="faces")
    known = len(grouping.faces)
    n = len(everyone)
    number: dict[str, int] = {}
    for face in everyone:
        number.setdefault(face.source, len(number))
    start, kept = np.arange(n), np.zeros(n, np.bool_)
    if known:
        _, first, inverse, counts = np.unique(
            grouping.group, return_index=True, return_inverse=True, return_counts=True
        )
        start[:known] = first[inverse]
        kept[:known] = (counts[inverse] > 1) | np.isin(grouping.group, list(grouping.names))
    vectors = np.zeros((n, grouping.contract.dimension), np.float32)
    for place, face in enumerate(everyone):
        vectors[place] = face.embedding.vector
    linked = link(
        vectors,
        np.array([number[face.source] for face in everyone], np.int64),
        chosen.value,
        start=start,
        kept=kept,
        weak=np.array([bool(face.problems) for face in everyone], np.bool_),
    )
    ids, next_id = _numbered(linked.first, grouping.group, kept[:known], grouping.next_id)
    apart = {(int(ids[a]), int(ids[b])) for a, b in linked.apart}
    return replace(
        grouping,
        threshold=chosen,
        photos=_photos(grouping.photos, photos, faces),
        faces=everyone,
        group=ids,
        next_id=next_id,
        apart=tuple(sorted({(min(p), max(p)) for p in (*apart, *grouping.apart)})),
    )


def _numbered(first: IntArray, old: IntArray, kept: Any, next_id: int) -> tuple[IntArray, int]:
    """Ids (N,) of the groups: the old one's where there is one, that of a kept group before all."""
    roots, inverse, counts = np.unique(first, return_inverse=True, return_counts=True)
    ids = np.zeros(len(roots), np.int64)
    for wanted in (False, True):
        for place in np.flatnonzero(kept == wanted)[::-1]:  # the last one written is the oldest
            ids[inverse[place]] = old[place]
    new = np.flatnonzero(ids == 0)
    new = new[np.lexsort((roots[new], -counts[new]))]
    ids[new] = next_id + np.arange(len(new))
    return ids[inverse], next_id + len(new)


def _photos(
    known: Iterable[GroupPhoto], new: Iterable[GroupPhoto], faces: Iterable[GroupFace]
) -> tuple[GroupPhoto, ...]:
    found = {photo.source: photo for photo in (*known, *new)}
    counts: dict[str, int] = {}
    for face in faces:
        counts[face.source] = counts.get(face.source, 0) + 1
    for source, n in counts.items():
        found.setdefault(source, GroupPhoto(source, n))
    return tuple(found.values())
