"""CFP's frontal photos against its profiles: who is recognized, and where the landmarks lie."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from _harness import track
from lineament import Recognizer, load_detector, load_image
from lineament.align.alignment import align_faces
from lineament.detect import DetectOptions
from lineament.evaluate.metrics import tar_at_fmr
from lineament.pose import wrapped_deg
from lineament.types import Face
from posing.fiducials import VISIBLE, Photo, Points, from_fiducials, read_sample

FMRS = {"1e-2": 1e-2, "1e-3": 1e-3}
TURNED_DEG = 45
RIGHT = 0.35
"""In distances from eye to mouth: beyond it a visible landmark is on something else."""

MISSED = -1.0
"""Score of a pair with a photo in which nothing was found."""


def measure(recognizer: Recognizer, folder: Path) -> dict[str, Any]:
    """Run the default pipeline over a sample of CFP; keys as ``poses.py`` says."""
    photos = read_sample(folder)
    stream = recognizer.stream_chosen([photo.path for photo in photos])
    vectors, faces = np.zeros((len(photos), 0), np.float32), []
    for i, found in enumerate(track(stream, "CFP", len(photos))):
        if found.error is not None:
            raise found.error
        faces.append(found.face)
        if found.embedding is not None:
            if not vectors.shape[1]:
                vectors = np.zeros((len(photos), len(found.embedding.vector)), np.float32)
            vectors[i] = found.embedding.vector
    profiles = [i for i, photo in enumerate(photos) if photo.profile]
    seen = [i for i in profiles if faces[i] is not None]
    errors = np.array([photos[i].errors(landmarks_of(faces[i])) for i in seen])
    bound = vectors.copy()
    bound[profiles], five = by_fiducials(recognizer, [photos[i] for i in profiles])
    truth = {i: roll_of(_face_at(photos[i], five[k])) for k, i in enumerate(profiles)}
    turned = [i for i in seen if abs(wrapped_deg(roll_of(faces[i]) - truth[i])) > TURNED_DEG]
    return {
        "people": len({photo.person for photo in photos}),
        "profiles": len(profiles),
        "turned_wrongly": len(turned) / len(profiles),
        **tars("tar", photos, vectors),
        **tars("tar_fiducials", photos, bound),
        "not_found": {
            "profiles": len(profiles) - len(seen),
            "frontals": sum(
                face is None for face, photo in zip(faces, photos, strict=True) if not photo.profile
            ),
        },
        "landmark_error_median": float(np.median(errors)),
        "landmark_error_95": float(np.percentile(errors, 95)),
        "landmark_share_above_0.35": float((errors > RIGHT).mean()),
        "landmark_errors": {
            name: {"median": float(np.median(column)), "95": float(np.percentile(column, 95))}
            for name, column in zip(VISIBLE, errors.T, strict=True)
        },
        "genuine_below_0.2": low_share(photos, vectors),
    }


def tars(name: str, photos: Sequence[Photo], vectors: npt.NDArray[np.float32]) -> dict[str, float]:
    """TAR of all pairs of a frontal photo and a profile, by the false match rate."""
    genuine, impostor = frontal_profile_scores(photos, vectors)
    found = tar_at_fmr(genuine, impostor, FMRS.values())
    return {f"{name}_at_fmr_{key}": float(t) for key, t in zip(FMRS, found, strict=True)}


def frontal_profile_scores(
    photos: Sequence[Photo], vectors: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Genuine and impostor scores; a row of zeros is a photo in which nothing was found."""
    profile = np.array([photo.profile for photo in photos])
    person = np.array([photo.person for photo in photos])
    found = np.linalg.norm(vectors, axis=1) > 0
    scores = vectors[~profile] @ vectors[profile].T  # (F, D) @ (D, P) -> (F, P)
    scores[~(found[~profile][:, None] & found[profile][None])] = MISSED
    same = person[~profile][:, None] == person[profile][None]
    return scores[same], scores[~same]


def low_share(photos: Sequence[Photo], vectors: npt.NDArray[np.float32]) -> float:
    """Share of the profiles whose mean genuine score lies below 0.2."""
    profile = np.array([photo.profile for photo in photos])
    person = np.array([photo.person for photo in photos])
    scores = vectors[~profile] @ vectors[profile].T
    same = person[~profile][:, None] == person[profile][None]
    return float(((scores * same).sum(axis=0) / same.sum(axis=0) < 0.2).mean())


def by_fiducials(
    recognizer: Recognizer, photos: Sequence[Photo]
) -> tuple[npt.NDArray[np.float32], list[Points]]:
    """Embed profiles by landmarks that were computed from their fiducials; (N, D), and N of (5, 2).

    What the landmarks should be like is learned from YuNet with the O-Net, photos not turned,
    where the points that are seen lie right.
    """
    detector = load_detector("yunet+onet", turning=False)
    landmarks: list[Points | None] = []
    pixels = []
    for photo in track(photos, "fiducials"):
        image = load_image(photo.path)
        faces = detector.detect(image, DetectOptions())
        largest = max(faces, key=lambda face: math.prod(face.size_wh), default=None)
        landmarks.append(None if largest is None else np.float64(landmarks_of(largest)))
        pixels.append(image)
    right = [
        five is not None and bool((photo.errors(five) < RIGHT).all())
        for photo, five in zip(photos, landmarks, strict=True)
    ]
    computed = from_fiducials(list(photos), landmarks, right)
    crops = [
        align_faces(image, [_face_at(photo, five)], recognizer.alignment_name)[0]
        for image, photo, five in zip(pixels, photos, computed, strict=True)
    ]
    parts = [recognizer.embedder.embed(np.stack(part))[0] for part in _parts(crops)]
    return np.concatenate(parts), list(computed)


def _face_at(photo: Photo, five: Points) -> Face:
    box = np.concatenate([photo.points.min(axis=0), photo.points.max(axis=0)])
    return Face(np.float32(box), 1.0, np.float32(five))


def _parts(crops: list[Any], size: int = 16) -> Iterable[list[Any]]:
    return (crops[i : i + size] for i in range(0, len(crops), size))


def landmarks_of(face: Face) -> npt.NDArray[np.float32]:
    """The face's five landmarks; a box without any has them where its template would be."""
    if face.landmarks_xy is not None:
        return face.landmarks_xy
    left, top = face.box_xyxy[:2]
    width, height = face.size_wh
    share = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    return np.float32(share * (width, height) + (left, top))


def roll_of(face: Face) -> float:
    """How far the face is turned in the plane of the photo, in degrees, -180 to 180."""
    known = getattr(face, "roll_deg", None)
    if known is not None:
        return float(known)
    five = landmarks_of(face)
    across, down = five[3:].mean(axis=0) - five[:2].mean(axis=0)
    return math.degrees(math.atan2(-across, down))
