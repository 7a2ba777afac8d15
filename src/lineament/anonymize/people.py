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
from lineament.types import Embedding, Photo

MAY_BE = 0.01
"""The probability from which on a face may be somebody's who is to be covered."""

MAY_BE_COSINE = 0.15
"""In place of that where a gallery has no calibration: so far below the threshold."""

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

    def of_views(self, views: Sequence[Embedding]) -> Choice:
        """Decide about one person seen several times, as in a film.

        To be left uncovered takes most of the views to give one name, and none another one.
        """
        if self.gallery is None:
            return _EVERYBODY
        if not views:
            return Choice(True, None, "seen too badly to be told")
        found = self.gallery.identify_embeddings(list(views), top=CANDIDATES)
        choices = [self.choice(face) for face in found]
        names = {choice.name for choice in choices} - {None}
        named = sum(choice.name is not None for choice in choices)
        if len(names) > 1:
            return Choice(
                True, None, "taken for several people: " + ", ".join(sorted(map(str, names)))
            )
        name = next(iter(names), None)
        if self.only is not None:
            hidden = [choice for choice in choices if choice.hide]
            return (
                Choice(True, name, hidden[0].reason) if hidden else choices[0]._replace(name=name)
            )
        if name is None or 2 * named <= len(choices):
            return Choice(True, name, "not certain enough to be somebody who is left out")
        return next(choice for choice in choices if choice.name == name)

    def choice(self, face: Identification) -> Choice:
        """Decide about one face."""
        if self.only is not None:
            return self._whether_only(face, self.only)
        if face.name is None:
            return Choice(True, None, f"unknown: {face.reason_in_words}")
        if self.keep is not None and face.name not in self.keep:
            return Choice(True, face.name, "not among those who are left out")
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
