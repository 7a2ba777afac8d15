"""A person's photos by the turn of the head or what is seen of the face: where it fails.

Nothing in a photo says how much of a face is covered. What tells of it is the length of its
embedding before scaling: the recognizer sees less of a face behind glasses, hands or hair, and in
the dark (``docs/concepts/quality.md``: of all measures it predicts misses best).

Each is compared with one reference, by default of those turned least the one with the longest
embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lineament.decide.judge import Judge
from lineament.errors import NoFaceError, OptionError
from lineament.explain.degrade import check_cosine
from lineament.pose import HeadPose, head_pose
from lineament.results import Outcome
from lineament.types import Decision, Photo, Threshold

By = Literal["yaw", "norm"]
"""What the photos are ordered by."""

FRONTAL_DEG = 5.0
"""Differences of yaw smaller than this are not told apart when a reference is chosen: of these
photos the one whose embedding is longest, since a covered face has a short one."""


@dataclass(frozen=True, slots=True)
class Turned(Outcome):
    """One photo against the reference.

    Attributes:
        index: its place among those given.
        yaw_deg, pitch_deg, roll_deg, norm: as in ``Quality``.
        decision: reference against this photo.
    """

    index: int
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    norm: float
    decision: Decision

    def value(self, by: By) -> float:
        """What it is ordered by."""
        return self.yaw_deg if by == "yaw" else self.norm

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "source": self.decision.source_b,
            "yaw_deg": round(self.yaw_deg, 2),
            "pitch_deg": round(self.pitch_deg, 2),
            "roll_deg": round(self.roll_deg, 2),
            "norm": round(self.norm, 4),
            "similarity": round(self.decision.similarity, 6),
            "probability": self.decision.probability,
            "same": self.decision.same,
            "verdict": self.decision.verdict,
        }


@dataclass(frozen=True, eq=False, slots=True)
class Poses(Outcome):
    """A person's photos in order, each compared with a reference.

    Attributes:
        photos: as given, with the crops of the faces that they are of.
        reference: what they are compared with, with its crop and embedding.
        pose_of_reference: how the head is held in it.
        turned: by yaw, from the viewer's left; or by norm, the longest embedding first.
        threshold: what similarities were held against.
        by: the order.
        left_out: photos without a face or landmarks, and why.
    """

    photos: Sequence[Photo]
    reference: Photo
    pose_of_reference: HeadPose
    turned: Sequence[Turned]
    threshold: Threshold
    by: By
    left_out: Sequence[dict[str, str]]

    @property
    def summary(self) -> str:
        """Where it starts to fail, in words."""
        words = _in_words if self.by == "yaw" else _by_norm
        return words(self.turned, self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "reference": {
                "source": self.reference.source,
                "yaw_deg": round(self.pose_of_reference.yaw_deg, 2),
                "pitch_deg": round(self.pose_of_reference.pitch_deg, 2),
                "roll_deg": round(self.pose_of_reference.roll_deg, 2),
            },
            "by": self.by,
            "threshold": self.threshold.to_dict(),
            "photos": [each.to_dict() for each in self.turned],
            "without_face": list(self.left_out),
            "summary": self.summary,
        }


def compare_poses(
    photos: Sequence[Photo],
    threshold: Threshold,
    judge: Judge,
    *,
    by: By = "yaw",
    reference: Photo | None = None,
) -> Poses:
    """Put a person's photos in order, each compared with a reference.

    Args:
        photos: of one person, from ``Recognizer.stream_chosen``. Those without a face, or whose
            face has no landmarks, are counted and named in the numbers.
        threshold: from ``Recognizer.threshold``, of the metric "cosine".
        judge: ``Recognizer.judge``.
        by: "yaw", or "norm": from the most to the least that the recognizer sees of the face.
        reference: what the others are held against; None: of those turned least, the one
            with the longest embedding.

    Raises:
        NoFaceError: the reference has no face, or fewer than two photos are left.
        OptionError: another metric, or a face without landmarks as the reference.
    """
    check_cosine(threshold)
    if by not in get_args(By):
        raise OptionError(f'expected "yaw" or "norm", got {by!r}', option="by")
    poses = {i: pose_of(photo) for i, photo in enumerate(photos) if photo.problem is None}
    seen = {i: pose for i, pose in poses.items() if pose is not None}
    left_out = [
        {"source": photo.source, "error": _reason(photo)}
        for i, photo in enumerate(photos)
        if i not in seen
    ]
    own: int | None = None
    if reference is None:
        if len(seen) < 2:
            raise NoFaceError(
                f"expected two photos or more in which a face is found, got {len(seen)} of "
                f"{len(photos)}: add photos of the person, or name a reference"
            )
        own = _most_frontal(photos, seen)
        reference = photos[own]
    reference.require()
    pose_of_reference = pose_of(reference)
    if pose_of_reference is None:
        raise OptionError(
            f"{reference.source}: expected a face with landmarks as the reference, got "
            "one without: choose a detector that gives them, such as yunet"
        )
    others = [i for i in seen if i != own]
    if not others:
        raise NoFaceError(
            f"expected a photo with a face beside the reference, got none of {len(photos)}: "
            "add photos of the person"
        )
    turned = []
    for i in others:
        decision = judge.compare(reference, photos[i], threshold)
        turned.append(Turned(i, *_angles(seen[i]), decision.norm_b, decision))
    sign = 1 if by == "yaw" else -1  # the longest embedding first
    turned.sort(key=lambda each: (sign * each.value(by), each.index))
    return Poses(photos, reference, pose_of_reference, turned, threshold, by, left_out)


def pose_of(photo: Photo) -> HeadPose | None:
    """How the head is held of whom a photo is; None without landmarks."""
    if photo.index is None:
        return None
    landmarks = photo.faces[photo.index].landmarks_xy
    if landmarks is None:
        return None
    try:
        return head_pose(landmarks)
    except OptionError:  # they coincide
        return None


def _angles(pose: HeadPose) -> tuple[float, float, float]:
    return pose.yaw_deg, pose.pitch_deg, pose.roll_deg


def _most_frontal(photos: Sequence[Photo], seen: dict[int, HeadPose]) -> int:
    """Of those turned hardly more than the least turned one, that with the longest embedding."""
    least = min(abs(pose.yaw_deg) for pose in seen.values())

    def norm(i: int) -> float:
        embedding = photos[i].embedding
        return 0.0 if embedding is None else embedding.norm

    near = [i for i, pose in seen.items() if abs(pose.yaw_deg) <= least + FRONTAL_DEG]
    return max(near, key=lambda i: (norm(i), -i))


def degrees(value: float) -> str:
    """ "+4°", "−12°", "0°"."""
    whole = round(value)
    return f"{whole:+d}°".replace("-", "−") if whole else "0°"


def _reason(photo: Photo) -> str:
    if photo.error is not None:
        return str(photo.error)
    if photo.index is None:
        return "no face was found"
    return "the face has no landmarks to tell its turn by"


def _in_words(turned: Sequence[Turned], threshold: Threshold) -> str:
    """Where it starts to fail."""
    missed = [each for each in turned if not each.decision.same]
    least, most = turned[0].yaw_deg, turned[-1].yaw_deg
    n = len(turned)
    spread = f"yaw from {degrees(least)} to {degrees(most)}"
    if not missed:
        verb = "photo reaches" if n == 1 else "photos reach"
        every = "The only" if n == 1 else f"All {n:,}"
        return f"{every} {verb} the threshold {threshold.value:.3f}, {spread}: no turn fails here."
    first = min(missed, key=lambda each: abs(each.yaw_deg))
    return (
        f"{len(missed):,} of {n:,} photos {'falls' if len(missed) == 1 else 'fall'} short of "
        f"the threshold {threshold.value:.3f}, {spread}; the least turned of them at "
        f"{degrees(first.yaw_deg)}."
    )


def _by_norm(turned: Sequence[Turned], threshold: Threshold) -> str:
    missed = [each for each in turned if not each.decision.same]
    n, most, least = len(turned), turned[0].norm, turned[-1].norm
    spread = f"embeddings of length {most:.1f} down to {least:.1f}"
    if not missed:
        return (
            f"{n:,} of {n:,} photos reach the threshold {threshold.value:.3f}, {spread}: "
            "none fails here."
        )
    return (
        f"{len(missed):,} of {n:,} photos {'falls' if len(missed) == 1 else 'fall'} short of "
        f"the threshold {threshold.value:.3f}, {spread}; the longest of them {missed[0].norm:.1f}."
    )
