"""Who is covered: everybody, everybody but some, or only some.

In doubt a face is covered. To leave somebody out takes a name that the gallery gives; to cover
somebody it is enough that the face may be theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lineament.errors import OptionError
from lineament.gallery import Candidate, Gallery, Identification
from lineament.text import per_cent
from lineament.types import Embedding, Photo

MAY_BE = 0.01
"""The probability from which on a face may be somebody's who is to be covered."""

MAY_BE_COSINE = 0.15
"""In place of that where a gallery has no calibration: so far below the threshold."""

SURE = 0.99
"""The probability that a name must have, beside being past the threshold, to leave its face
uncovered."""

CANDIDATES = 50
"""People whom each face is compared with, the most alike."""


class Choice(NamedTuple):
    """What is decided of one face.

    Attributes:
        hide: whether it is covered.
        name: whose it is, by the gallery, or None.
        reason: in words.
    """

    hide: bool
    name: str | None
    reason: str


class Followed(NamedTuple):
    """What is decided of a path in a film.

    Attributes:
        choice: of all of it.
        shown: first and last frames of the spans in which it is not covered, where ``choice`` says
            so for a part; (): all of it.
    """

    choice: Choice
    shown: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Who:
    """Whom to cover.

    Attributes:
        gallery: that knows names; None: everybody is covered.
        keep: people who are not covered; None with a gallery and without ``only``: all enrolled.
        only: the people who are covered, and whoever may be one of them; None: everybody else, too.
    """

    gallery: Gallery | None = None
    keep: frozenset[str] | None = None
    only: frozenset[str] | None = None

    def of_photo(self, photo: Photo) -> list[Choice]:
        """Decide about each face of a photo, in their order; ``photo`` has its pixels."""
        if self.gallery is None:
            return [_EVERYBODY for _ in photo.faces]
        if not photo.faces:
            return []
        (found,) = self.gallery.identify_stream([photo], top=CANDIDATES)
        if found.error is not None:
            raise found.error
        return [self.choice(face) for face in found.faces]

    def of_views(self, views: Sequence[tuple[int, Embedding]], gap: int) -> Followed:
        """Decide about one path of a film, which may turn out to be of several people.

        Somebody is left uncovered only between two views that both give their name, with no more
        than ``gap`` frames and nobody else's name in between.

        Args:
            views: number of the frame, growing, and what was seen there.
            gap: frames.
        """
        if self.gallery is None:
            return Followed(_EVERYBODY)
        if not views:
            return Followed(Choice(True, None, "seen too badly to be told"))
        found = self.gallery.identify_embeddings([each for _, each in views], top=CANDIDATES)
        choices = [self.choice(face) for face in found]
        names = sorted({choice.name for choice in choices if choice.name is not None})
        name = names[0] if len(names) == 1 else None
        if self.only is not None:
            hidden = [choice for choice in choices if choice.hide]
            chosen = (hidden or choices)[0]
            return Followed(Choice(chosen.hide, name, chosen.reason))
        spans = _shown([frame for frame, _ in views], choices, gap)
        if spans:
            return Followed(
                Choice(False, name, f"left out where seen to be {' or '.join(names)}"), spans
            )
        why = "taken for several people: " + ", ".join(names) if len(names) > 1 else ""
        doubt = why or "not certain enough to be somebody who is left out"
        if name is not None and self.keep is not None and name not in self.keep:
            doubt = "not among those who are left out"
        return Followed(Choice(True, name, doubt))

    def choice(self, face: Identification) -> Choice:
        """Decide about one face."""
        if self.only is not None:
            return self._whether_only(face, self.only)
        if face.name is None:
            return Choice(True, None, f"unknown: {face.reason_in_words}")
        if self.keep is not None and face.name not in self.keep:
            return Choice(True, face.name, "not among those who are left out")
        sure = None if face.match is None else face.match.probability
        if sure is not None and sure < SURE:
            return Choice(True, face.name, f"not certain enough to be left out: {per_cent(sure)}")
        return Choice(False, face.name, "left out")

    def _whether_only(self, face: Identification, only: Collection[str]) -> Choice:
        if face.name is not None and face.name in only:
            return Choice(True, face.name, "among those who are covered")
        for one in face.candidates:
            if one.name in only and _may_be(one, face):
                return Choice(True, face.name, f"it may be {one.name}")
        if face.name is None and face.reason != "below_threshold":
            return Choice(True, None, f"it cannot be told who it is: {face.reason_in_words}")
        return Choice(False, face.name, "nobody of those who are covered")


def _shown(
    frames: Sequence[int], choices: Sequence[Choice], gap: int
) -> tuple[tuple[int, int], ...]:
    """Spans between views that give one name of somebody who is left out."""
    spans: list[tuple[int, int]] = []
    name: str | None = None
    last = 0
    for frame, choice in zip(frames, choices, strict=True):
        if choice.name is None:
            continue
        if choice.hide:
            name = None
            continue
        if choice.name == name and frame - last <= gap:
            joins = bool(spans) and spans[-1][1] == last
            spans[-1:] = [(spans[-1][0], frame)] if joins else [*spans[-1:], (last, frame)]
        name, last = choice.name, frame
    return tuple(spans)


_EVERYBODY = Choice(True, None, "everybody is covered")


def _may_be(one: Candidate, face: Identification) -> bool:
    if one.probability is None:
        return one.similarity >= face.threshold.value - MAY_BE_COSINE
    return one.probability >= MAY_BE


def who_of(
    gallery: Gallery | None,
    keep: str | Collection[str] | None,
    only: str | Collection[str] | None,
) -> Who:
    """Check the names.

    Raises:
        OptionError: names without a gallery, or both ``keep`` and ``only``.
        UnknownPersonError: nobody of that name is enrolled.
        NobodySearchedError: the gallery is empty.
    """
    if keep is not None and only is not None:
        raise OptionError("expected keep or only, got both", option="only")
    if gallery is None:
        for option, names in (("keep", keep), ("only", only)):
            if names is not None:
                raise OptionError(
                    "expected a gallery that knows these names, got none", option=option
                )
        return Who()
    gallery.check_search()
    return Who(gallery, _names(gallery, keep), _names(gallery, only))


def _names(gallery: Gallery, names: str | Collection[str] | None) -> frozenset[str] | None:
    if names is None:
        return None
    listed = [names] if isinstance(names, str) else list(names)
    return frozenset(gallery.person(name).name for name in listed)
