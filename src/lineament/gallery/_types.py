"""What goes into a gallery and what comes out: frozen values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

from lineament.decide.thresholds import own_threshold
from lineament.errors import EnrollRefusedError, LineamentError, OptionError
from lineament.gallery.consent import Consent, checked_purpose
from lineament.gallery.review import Review
from lineament.quality import ProblemCode
from lineament.results import Outcome, flat, no_truth
from lineament.search import check_kind
from lineament.text import printable, probability_in_words
from lineament.types import Boxed, Embedding, Face, Image, Liveness, Quality, Threshold

Metadata = Mapping[str, Any]
"""Plain values for JSON, by name."""

UnknownReason = Literal[
    "nobody_searched",
    "below_threshold",
    "low_quality",
    "same_photo",
    "children",
    "not_live",
    "rejected",
]
"""Why a face has no name: nobody was searched; nobody was alike enough; the same, and the face is
too poor to tell; the one who is alike enough is another face of the same photo; it looks like a
child's; it is not known to be of somebody who was there; somebody said of such a face that it is
not that person's."""
MOST_DAYS = 365_000
"""Of retention: a thousand years."""
PersonScore = Literal["best", "mean", "centroid"]
OnDamaged = Literal["refuse", "skip"]
RefusalReason = Literal[
    "unreadable",
    "no face",
    "several faces",
    "low quality",
    "duplicate",
    "someone else",
    "unlike the others",
    "rejected",
]


def _is_number(value: object) -> bool:
    """Whether it is a finite one; what comes from a file or a client may be anything."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e9 < value < 1e9


@dataclass(frozen=True, slots=True)
class Settings:
    """How a gallery works; stands in its database.

    Attributes:
        keep_crops: whether aligned faces are kept too, as PNG: ``migrate`` needs them when the
            photos themselves are gone.
        person_score: how the similarities of a person's samples make one: "best" of them, "mean" of
            the best ``mean_of``, or the similarity of the "centroid", their mean direction.
        mean_of: for "mean", 1 or more.
        index: one of ``lineament.search.KINDS``.
        threshold: cosine from which on a face gets a name, -1 to 1; None: by calibration, following
            the size of the gallery.
        review: how closely photos are looked at before they are enrolled, where a call does not
            say it (``lineament.gallery.review``).
        prior: share of the faces searched for that are of enrolled people, 0 to 1: probabilities
            rest on it, names do not.
        require_consent: whether nobody is enrolled without a consent (``gallery.consent``).
        purpose: what this gallery is for: each consent has to allow it; None: that is not looked
            at.
        retention_days: how long somebody whose end is not given stays, from the first enrollment
            on, in days; None: for ever.
    """

    keep_crops: bool = False
    person_score: PersonScore = "best"
    mean_of: int = 3
    index: str = "auto"
    threshold: float | None = None
    prior: float = 0.5
    require_consent: bool = False
    purpose: str | None = None
    retention_days: float | None = None
    review: Review = "standard"

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        for name in ("keep_crops", "require_consent"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(
                    f"expected true or false, got {getattr(self, name)!r}", option=name
                )
        if self.person_score not in get_args(PersonScore):
            raise OptionError(
                f"expected one of {', '.join(get_args(PersonScore))}, got {self.person_score!r}",
                option="person_score",
            )
        if type(self.mean_of) is not int or self.mean_of < 1:
            raise OptionError(f"expected 1 or more, got {self.mean_of!r}", option="mean_of")
        check_kind(self.index)
        if self.threshold is not None:
            if not _is_number(self.threshold):
                raise OptionError(
                    f"expected a cosine, got {self.threshold!r:.60}", option="threshold"
                )
            own_threshold(self.threshold, "cosine")
        if not (_is_number(self.prior) and 0 < self.prior < 1):
            raise OptionError(
                f"expected a share between 0 and 1, got {self.prior!r:.60}", option="prior"
            )
        if self.purpose is not None:
            checked_purpose(self.purpose, "purpose")
        days = self.retention_days
        if days is not None and not (
            isinstance(days, (int, float)) and not isinstance(days, bool) and 0 < days <= MOST_DAYS
        ):
            raise OptionError(
                f"expected days, more than 0, at most {MOST_DAYS:,}, got {days!r:.60}",
                option="retention_days",
            )
        if self.review not in get_args(Review):
            raise OptionError(
                f"expected one of {', '.join(get_args(Review))}, got {self.review!r}",
                option="review",
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; ``Settings(**values)`` is the way back."""
        return asdict(self)


@dataclass(frozen=True, eq=False, slots=True)
class NewSample:
    """One face that may be enrolled.

    Attributes:
        embedding: of it.
        source: name of the photo; its path, where it has one.
        sha256: of the photo's bytes, 32 bytes; None when there is no photo.
        face: where it is in the photo.
        quality: how good it is.
        crop: (S, S, 3) uint8, the aligned face; kept where the settings say so.
        metadata: of this sample, not of the person.
    """

    embedding: Embedding
    source: str = ""
    sha256: bytes | None = None
    face: Face | None = None
    quality: Quality | None = None
    crop: Image | None = None
    metadata: Metadata = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        if self.sha256 is not None and len(self.sha256) != 32:
            raise OptionError(f"expected 32 bytes, got {len(self.sha256)}", option="sha256")


@dataclass(frozen=True, slots=True)
class SampleInfo(Outcome):
    """One sample as it stands in the gallery.

    Attributes:
        id: its number; never given to another.
        person: the name of whom it shows.
        source: name of the photo.
        sha256: of its bytes, 32 bytes; None when there was no photo.
        box_xyxy: left, top, right, bottom in pixels; None when only an embedding was enrolled.
        detector_score: 0 to 1, or None.
        boxed: as ``Face.boxed``: how the face was found, where somebody drew its box.
        quality: of the face, rounded; None where it was not measured.
        norm: length of the embedding before scaling.
        contract: id of the embedding's contract.
        added: seconds since 1970, UTC.
        has_crop: whether the aligned face is kept.
        metadata: of this sample.
    """

    id: int
    person: str
    source: str
    sha256: bytes | None
    box_xyxy: tuple[float, float, float, float] | None
    detector_score: float | None
    quality: Quality | None
    norm: float
    contract: str
    added: float
    has_crop: bool
    metadata: Metadata
    boxed: Boxed | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            **asdict(self),
            "sha256": None if self.sha256 is None else self.sha256.hex(),
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True)
class PersonInfo(Outcome):
    """One person as it stands in the gallery.

    Attributes:
        id: its number; never given to another.
        name: unique, in Unicode's normal form NFC.
        metadata: plain values by name.
        created: seconds since 1970, UTC.
        n_samples: how many samples of the gallery's contract there are.
        samples: all of them; () in lists of people.
        consents: who allowed what, the oldest first; () where nothing is known.
        expires: when they are not found any more, in seconds since 1970, UTC: the first of the
            ends of ``consents`` and of ``kept_until``, else what the gallery's retention gives;
            None: never.
        kept_until: their own end, in seconds since 1970, UTC, or None.
    """

    id: int
    name: str
    metadata: Metadata
    created: float
    n_samples: int
    samples: tuple[SampleInfo, ...] = ()
    consents: tuple[Consent, ...] = ()
    expires: float | None = None
    kept_until: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "metadata": dict(self.metadata),
            "created": self.created,
            "n_samples": self.n_samples,
            "consents": [consent.to_dict() for consent in self.consents],
            "expires": self.expires,
            "kept_until": self.kept_until,
            "samples": [sample.to_dict() for sample in self.samples],
        }


@dataclass(frozen=True, slots=True)
class Refusal(Outcome):
    """A photo or embedding that was not enrolled, and why.

    Attributes:
        source: name of the photo.
        reason: one of ``RefusalReason``, for programs.
        message: why, and what to do, for people.
        person: whom it was meant for; None before that is known.
        other: whom it looks like, for "someone else".
        similarity: to what it is a duplicate of or looks like; for "unlike the others" the highest
            to the person's other photos.
        problems: for "low quality", codes of what is wrong with the face
            (``lineament.quality.ProblemCode``); () otherwise.
        probability: for "unlike the others", that it is the person all the same, 0 to 1, by the
            calibration, as probable as not beforehand.
        error: what ``Recognizer.embed`` raises of such a photo, for "unreadable" and "no face".
    """

    source: str
    reason: RefusalReason
    message: str
    person: str | None = None
    other: str | None = None
    similarity: float | None = None
    probability: float | None = None
    problems: tuple[ProblemCode, ...] = ()
    error: LineamentError | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"{printable(self.source)}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        names = ("source", "reason", "message", "person", "other", "similarity", "probability")
        return {**{name: getattr(self, name) for name in names}, "problems": list(self.problems)}


@dataclass(frozen=True, slots=True)
class EnrollReport(Outcome):
    """What became of photos of one person.

    A refusal in it is no exception: ``raise_for_refused`` makes it one.

    Attributes:
        person: as it stands in the gallery now; None when nothing was enrolled and there was no
            such person before.
        created: whether the person is new.
        enrolled: the new samples.
        refused: what was not enrolled.
        notes: what could not be checked, in words.
        repeated: whether all of this was done before, under the same token (``once``), and nothing
            now.
    """

    person: PersonInfo | None
    created: bool
    enrolled: tuple[SampleInfo, ...]
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...] = ()
    repeated: bool = False

    def __bool__(self) -> bool:
        """TruthValueError: what was refused is an answer, too."""
        return no_truth(self, "report.enrolled, report.refused, or report.raise_for_refused()")

    def raise_for_refused(self) -> Self:
        """Itself, if nothing was refused.

        Raises:
            ImageError, NoFaceError: the one photo that was refused could not be read, or has no
                face: what ``Recognizer.embed`` raises of it.
            EnrollRefusedError: another reason, or several photos; ``refusals`` has all of them.
                What was not refused is enrolled all the same.
        """
        if not self.refused:
            return self
        first = self.refused[0]
        if len(self.refused) == 1:
            if first.error is not None:
                raise first.error
            raise EnrollRefusedError(str(first), refusals=self.refused)
        shown = "; ".join(str(one) for one in self.refused[:3])
        n = len(self.refused)
        more = "" if n <= 3 else f"; and {n - 3:,} more"
        raise EnrollRefusedError(
            f"{n:,} of {n + len(self.enrolled):,} photos were refused: {shown}{more}",
            refusals=self.refused,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "person": None if self.person is None else self.person.to_dict(),
            "created": self.created,
            "enrolled": [sample.to_dict() for sample in self.enrolled],
            "refused": [refusal.to_dict() for refusal in self.refused],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Rejection(Outcome):
    """A negative example of a person: a face that somebody said is not theirs.

    Attributes:
        id: its number; never given to another.
        person: the name of whom it does not show.
        source: name of the photo.
        sha256: of its bytes, 32 bytes; None when there was no photo.
        added: seconds since 1970, UTC.
        searched: whether searches respect it: False when it is damaged, or was made by another
            recognizer than the gallery has now.
    """

    id: int
    person: str
    source: str
    sha256: bytes | None
    added: float
    searched: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"sha256": None if self.sha256 is None else self.sha256.hex()}


@dataclass(frozen=True, slots=True)
class Candidate(Outcome):
    """One person whom a face may show.

    Attributes:
        rank: 1 for the most alike.
        person_id, name: who.
        similarity: the person's score, a cosine, -1 to 1.
        probability: that it is this person, 0 to 1, among all people searched and the possibility
            that it is none of them; None without a calibration.
        low, high: its 95 % interval, from the calibration's.
        sample: id of the person's sample that is most alike.
        sample_source: name of that sample's photo.
        n_samples: how many the person has.
        metadata: the person's.
        threshold_rise: how much more than the threshold it takes for this person, a cosine, 0 or
            more: strangers look alike in photos as bad as the face and that sample. 2, so that no
            score is enough, where a score says nothing of such faces.
        score: by the model's learned similarity, where that was asked for.
        rejected_by: number of the negative example that the face is at least as alike to as to the
            person's own samples: it is not named this person. None: there is no such.
    """

    rank: int
    person_id: int
    name: str
    similarity: float
    probability: float | None
    low: float | None
    high: float | None
    sample: int
    sample_source: str
    n_samples: int
    metadata: Metadata
    threshold_rise: float = 0.0
    score: float | None = None
    rejected_by: int | None = None

    @property
    def compared(self) -> float:
        """What is held against the threshold: the score, or the similarity."""
        return self.similarity if self.score is None else self.score

    def above(self, threshold: float) -> float:
        """How far what it takes is reached, in the threshold's unit; below 0: it is not.

        What a rise of the cosine's threshold is in the unit of another metric is not known: with
        one, no score is enough there.
        """
        if self.rejected_by is not None:
            return -math.inf
        if self.score is None:
            return self.similarity - self.threshold_rise - threshold
        return -math.inf if self.threshold_rise > 0 else self.score - threshold

    @property
    def probability_in_words(self) -> str:
        """In per cent, never rounded to certainty; "-" without a calibration."""
        return probability_in_words(self.probability)

    def __str__(self) -> str:
        """In words, for people."""
        sure = "" if self.probability is None else f", {self.probability_in_words}"
        learned = "" if self.score is None else f", learned {self.score:.3f}"
        return f"{self.name} (similarity {self.similarity:.3f}{learned}{sure})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; ``score`` only where it is not the similarity."""
        values = {
            **asdict(self),
            "similarity": round(self.similarity, 6),
            "metadata": dict(self.metadata),
            "threshold_rise": round(self.threshold_rise, 6),
        }
        if self.score is None:
            del values["score"]
        else:
            values["score"] = round(self.score, 6)
        return values


@dataclass(frozen=True, eq=False, slots=True)
class Identification(Outcome):
    """Who one face is.

    Attributes:
        name: who, or None: "unknown", and ``reason`` says why.
        match: the candidate of that name, or None.
        candidates: the most alike people, named or not, the most alike first.
        threshold: from which similarity on a face gets a name, and where that comes from.
        margin: by how much the most alike person is more alike than the runner-up, a difference of
            cosines; None with fewer than two people.
        n_searched: among how many people was searched; 0: nobody could be found.
        face: where it is; None when only an embedding was given.
        quality: of the face, or None.
        notes: what should be known about this answer, in words.
        reason: why there is no name, for programs; None when there is one.
        reason_in_words: the same for people; "" when there is a name.
        liveness: whether the face is of somebody who was there; None when that was not checked.
        n_left_out: how many people were not searched, since no consent of theirs, or not each of
            them, names the purpose of the search; None of a search without one.
    """

    name: str | None
    match: Candidate | None
    candidates: tuple[Candidate, ...]
    threshold: Threshold
    margin: float | None
    n_searched: int
    face: Face | None = None
    quality: Quality | None = None
    notes: tuple[str, ...] = ()
    reason: UnknownReason | None = None
    reason_in_words: str = ""
    liveness: Liveness | None = None
    n_left_out: int | None = None

    def __bool__(self) -> bool:
        """TruthValueError: a face without a name is an answer, too."""
        return no_truth(self, "identification.known (it got a name), or identification.name")

    def __repr__(self) -> str:
        """In short."""
        best = self.match if self.match is not None else next(iter(self.candidates), None)
        who = "unknown" if self.name is None else repr(self.name)
        alike = ""
        if best is not None:
            other = "" if self.match is not None else f"most alike {best.name!r}, "
            alike = f", {other}similarity {best.similarity:.3f}"
        threshold = f"threshold {self.threshold.value:.3f}"
        return f"Identification({who}{alike}, {threshold}, among {self.n_searched:,})"

    @property
    def known(self) -> bool:
        """Whether the face got a name."""
        return self.name is not None

    def to_rows(self) -> list[dict[str, Any]]:
        """One row: the answer and the most alike person."""
        best = next(iter(self.candidates), None)
        box = [None] * 4 if self.face is None else self.face.to_dict()["box_xyxy"]
        return [
            {
                "name": self.name,
                "most_alike": None if best is None else best.name,
                "similarity": None if best is None else best.similarity,
                "probability": None if best is None else best.probability,
                **flat({"threshold": self.threshold.to_dict()}),
                "margin": self.margin,
                "n_searched": self.n_searched,
                "reason": self.reason,
                **dict(zip(("left", "top", "right", "bottom"), box, strict=True)),
                "notes": "; ".join(self.notes),
            }
        ]

    def __str__(self) -> str:
        """In words, for people."""
        text = str(self.match) if self.match is not None else f"unknown: {self.reason_in_words}"
        return "; ".join((text, *self.notes, f"threshold {self.threshold}"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "name": self.name,
            "match": None if self.match is None else self.match.to_dict(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "threshold": self.threshold.to_dict(),
            "margin": None if self.margin is None else round(self.margin, 6),
            "n_searched": self.n_searched,
            "reason": self.reason,
            "reason_in_words": self.reason_in_words if self.reason is not None else None,
            "face": None if self.face is None else self.face.to_dict(),
            "quality": None if self.quality is None else self.quality.to_dict(),
            "notes": list(self.notes),
            **({} if self.liveness is None else {"liveness": self.liveness.to_dict()}),
            **({} if self.n_left_out is None else {"n_left_out": self.n_left_out}),
        }


@dataclass(frozen=True, eq=False, slots=True)
class IdentifiedPhoto(Outcome):
    """Who is in one photo.

    Attributes:
        source: name of the photo.
        size_wh: its size in pixels; None when it could not be read.
        faces: one for each face, the detector's most certain first; no two have the same name,
            unless that was allowed.
        error: why there is nothing, or None.
    """

    source: str
    size_wh: tuple[int, int] | None
    faces: tuple[Identification, ...] = ()
    error: LineamentError | None = None

    def _found(self) -> tuple[Identification, ...]:
        if self.error is not None:
            raise self.error
        return self.faces

    def __bool__(self) -> bool:
        """TruthValueError: a photo of strangers is an answer, too. Raises ``error``."""
        self._found()
        return no_truth(self, "photo.names (who is in it), or photo.faces")

    def __len__(self) -> int:
        """How many faces; raises ``error``, since nobody has looked for any there."""
        return len(self._found())

    def __iter__(self) -> Iterator[Identification]:
        """The faces; raises ``error``."""
        return iter(self._found())

    def __getitem__(self, number: int) -> Identification:
        """The face of that number; raises ``error``."""
        return self._found()[number]

    def __repr__(self) -> str:
        """In short."""
        if self.error is not None:
            return f"IdentifiedPhoto({self.source!r}, error: {self.error})"
        names = ", ".join("unknown" if face.name is None else face.name for face in self.faces)
        return f"IdentifiedPhoto({self.source!r}, {names or 'no face'})"

    def to_rows(self) -> list[dict[str, Any]]:
        """One row a face; a photo without any has one row, too."""
        about = {
            "source": self.source,
            "error": None if self.error is None else str(self.error),
        }
        rows = [{"face": n, **face.to_rows()[0]} for n, face in enumerate(self.faces)]
        return [{**about, **row} for row in rows or [{"face": None}]]

    @property
    def names(self) -> tuple[str, ...]:
        """Who is in it: the names that were found, in the order of the faces."""
        return tuple(face.name for face in self.faces if face.name is not None)

    def __str__(self) -> str:
        """In words, for people: one line a face."""
        if self.error is not None:
            return str(self.error)
        if not self.faces:
            return f"{self.source}: no face was found"
        return "\n".join(f"{self.source}: {face}" for face in self.faces)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "source": self.source,
            "size_wh": None if self.size_wh is None else list(self.size_wh),
            "faces": [face.to_dict() for face in self.faces],
            "error": None if self.error is None else str(self.error),
        }


@dataclass(frozen=True, slots=True)
class RemovalReport(Outcome):
    """What was removed.

    Attributes:
        people: names of people who are no longer there.
        samples: ids of samples that are no longer there.
        erased: whether no byte of them stands in the gallery's files any more. False while another
            process reads an older state; the next change, or opening for writing, finishes it. With
            an index on a server too: it rewrites its files in its own time.
        n_uncached: how many photos' embeddings went from the cache folder, too.
    """

    people: tuple[str, ...]
    samples: tuple[int, ...]
    erased: bool
    n_uncached: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DamagedPart(Outcome):
    """A sample, or a person, that is not what was written.

    Attributes:
        sample: its number; None: the person is damaged.
        person: the name, as far as it can be read; it may be wrong.
        problem: what is wrong, in words.
        searched: whether searches look at it: what is wrong is neither its vector nor whose it is.
    """

    sample: int | None
    person: str | None
    problem: str
    searched: bool

    def __str__(self) -> str:
        """In words, for people: what it is, what is wrong, and what to do."""
        name = "somebody" if self.person is None else printable(self.person)
        if self.sample is None:
            return (
                f"{name}: {self.problem}: not searched; `lineament gallery remove --damaged` "
                "removes what is damaged"
            )
        searched = "" if self.searched else "not searched; "
        return (
            f"sample {self.sample} of {name}: {self.problem}: {searched}`lineament gallery remove "
            f"--sample {self.sample}` removes it"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class UnlikeSample(Outcome):
    """A sample that is unlike the others of its person.

    Attributes:
        id: of the sample.
        person: whom it is said to show.
        source: name of the photo.
        similarity: the highest to the person's other samples.
        probability: that it is the person all the same, 0 to 1.
    """

    id: int
    person: str
    source: str
    similarity: float
    probability: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DamagedEntry(Outcome):
    """An entry of an exported file that was not imported.

    Attributes:
        entry: where it is: "line 7", "row 7", "rows 4097 to 8192".
        person: whom it is about; None where that cannot be told.
        reason: what was expected, and what stands there.
    """

    entry: str
    person: str | None
    reason: str

    def __str__(self) -> str:
        """For people."""
        about = "" if self.person is None else f" ({printable(self.person)})"
        return f"{self.entry}{about}: {printable(self.reason)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ImportReport(Outcome):
    """What ``Gallery.import_`` did.

    Attributes:
        new_people, new_samples, known_samples: their numbers.
        unlike: samples of the people of the file that are unlike the others of their person; they
            are in the gallery all the same.
        compared: whether that was looked for, which takes a calibration.
        n_damaged: how many entries of the file were passed over, since they are damaged.
        damaged: the first thousand of them.
    """

    new_people: int
    new_samples: int
    known_samples: int
    unlike: tuple[UnlikeSample, ...] = ()
    compared: bool = False
    n_damaged: int = 0
    damaged: tuple[DamagedEntry, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "n_new_people": self.new_people,
            "n_new_samples": self.new_samples,
            "n_known_samples": self.known_samples,
            "n_damaged": self.n_damaged,
            "damaged": [one.to_dict() for one in self.damaged],
            "unlike": [one.to_dict() for one in self.unlike],
            "compared": self.compared,
        }


@dataclass(frozen=True, slots=True)
class MigrationReport(Outcome):
    """What ``Gallery.migrate`` did.

    Attributes:
        old_contract, new_contract: their ids.
        from_crops, from_photos: samples embedded anew.
        failed: samples that could not be, each with the reason; they stay in the database with
            their old embedding, and are not searched.
        damaged: those of them that are damaged.
    """

    old_contract: str
    new_contract: str
    from_crops: int
    from_photos: int
    failed: tuple[tuple[SampleInfo, str], ...] = ()
    damaged: tuple[DamagedPart, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "old_contract": self.old_contract,
            "new_contract": self.new_contract,
            "n_from_crops": self.from_crops,
            "n_from_photos": self.from_photos,
            "failed": [{"sample": s.to_dict(), "error": reason} for s, reason in self.failed],
            "damaged": [part.to_dict() for part in self.damaged],
        }
