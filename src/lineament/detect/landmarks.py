"""Stage 2, for faces turned far to a side: five landmarks that several networks agree on.

    ProfileLandmarks(...).refine()   faces and their landmarks -> better ones where they need it
    asymmetry()                      five landmarks -> how far the nose lies beside the middle

On a profile no network here is right: O-Net, 68 points and mesh were trained on faces that show two
eyes, and each errs in its own way. What they say is therefore not taken as it is. A face is brought
into a frame: a crop of 112 pixels in which it looks to the viewer's left, mirrored where it looks
to the right. The three networks look at that and at its mirror image, and a linear map for each
look, fitted to points that people set (``scripts/fit/profile_landmarks.py``), makes five landmarks
of what it says; their geometric median is the answer, so that one wild look does not matter. The
answer gives a better frame, which is looked at once more. Where the looks disagree, the same is
done from other frames, to either side, and the one in which they agree best is kept.

The far eye and the far corner of the mouth, which nobody sees, lie where a recognizer that is
aligned by five landmarks expects them: where they bring a profile's visible points to the places at
which O-Net has them when it is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from lineament.errors import DataError, OptionError
from lineament.files import DATA
from lineament.geometry import (
    ARCFACE_TEMPLATE_XY,
    SLACK,
    similarity_transforms,
    to_crop_xy,
    to_photo_xy,
    warp,
)
from lineament.models.runtime import Model
from lineament.pyramid import Pyramid
from lineament.types import BoolArray, Face, Float64Array, FloatArray, Image

FILE = DATA / "profile_landmarks.npz"

FRAME_PX = 112
"""Side of the frame; it shows what a crop of the ArcFace template shows."""

TEMPLATE_XY = ARCFACE_TEMPLATE_XY
"""(5, 2), pixels: where the landmarks lie in the frame."""

SWAPPED = np.array([1, 0, 2, 4, 3])
"""The landmarks' order in a mirror image."""

TURNED, OWN_TURNED = 0.27, 0.33
"""Asymmetry of O-Net's landmarks, and of the detector's own, from which on a face is looked at: a
yaw of about 28 and 33 degrees. 98 % of CFP's profiles and 6 % of LFW's photos have such a face, or
one that is looked at for another reason. With 0.24 there are 8 % of LFW's, for nothing; with 0.3
more than 5 % of the points that profiles show are off by 0.15 of the distance from eye to mouth."""

APART = 0.08
"""Mean distance of O-Net's landmarks and the detector's, in sides of the box, from which on a face
is looked at whatever its turn: 0.3 % of LFW's faces, 17 % of CFP's profiles."""

LEAST_FACE_PX = 32.0
"""Of the box's longer side: what is smaller shows the networks too little, and crowds are small."""

LEAST_SHARE, MOST_FACES, LEAST_CERTAINTY = 1 / 2, 8, 0.9
"""Of a photo's faces the largest is looked at, and of the others those that are no smaller than
this share of it and turned, so many at the most, and of which O-Net is so certain: what stands
blurred or cut behind the one that a photo is of does not cost more."""

UNREAD = 0.9
"""O-Net's probability below which a face is looked at: none of LFW's, 3 % of CFP's profiles."""

UNSURE, UNSEEN = 0.06, 0.97
"""A spread of the looks above the first or a probability below the second, and other frames are
tried: 8 % of CFP's profiles."""

MOST_OTHERS = 2
"""Of the other frames so many are looked at with the mesh, too: those about which the other
networks agree best."""

WILD = 0.1
"""A cost from which on the landmarks are not to be relied on. Of 500 profiles of CFP 5 reach it, 4
of the 8 among them that are off by 0.15 of the distance from eye to mouth. A frame that looks to
the wrong side costs 0.1 or more; an upright face that is shown upside down 0.08 (1 %) to 0.15
(median), where upright it costs 0.03 (median) to 0.09 (99 % of profiles)."""

DOUBT = 0.05
"""The cost of an answer is its spread less so much times the logarithm of O-Net's probability. Of
0 to 0.1 the best on CFP's profiles."""

NOSE_XY = (-3.5, 0.0)
TIPPED_FROM, TIPPED_TO = 0.22, 0.35
"""O-Net, whose landmarks the maps were fitted to, has a profile's nose behind its tip. In the frame
it is moved by the first, from none to all of it between these asymmetries, and then all five so
that the crop by them stays what it was."""

SETTLED = 0.06
"""A first look that moves the landmarks by less than this, in distances from eyes to mouth, is the
last. A second one is always enough: a third changes nothing."""

EYE_MOUTH_PX = 40.7
"""Distance of the eyes' middle to the mouth's in the frame: the unit of spreads."""

_BOX_XY, _BOX_PX = (77.2, 72.4), 98.4
"""Middle and longer side of YuNet's box in the frame: medians of CFP's profiles."""
_BOX_TURNS_DEG = (-17.0, 0.0, 17.0)

# Where the networks look: center and side of a square of the frame, and the side of their input.
# O-Net's is 0.9, the mesh's 1.5 and that of the 68 points 1.08 of the box.
_SQUARES: tuple[tuple[tuple[float, float], float, int], ...] = (
    ((68.0, 70.0), 90.0, 48),
    ((66.0, 76.0), 106.0, 64),
    ((79.0, 72.0), 146.0, 256),
)
_LEAST = 1e-3

MESH_SLACK = 2.5
"""The mesh sees faces in twice the pixels that it needs (``geometry.warp``)."""


class ProfilePoints(NamedTuple):
    """What ``ProfileLandmarks.refine`` found, for N faces."""

    landmarks_xy: FloatArray
    """(N, 5, 2), pixels: better ones where a face was looked at, else those that were given."""
    looked: BoolArray
    """(N,): whether it was."""
    costs: Float64Array
    """(N,): how far the looks are apart, in distances from eyes to mouth, and more where O-Net
    doubts; NaN where a face was not looked at. From ``WILD`` on the landmarks may be anywhere."""


class Look(NamedTuple):
    """What the networks say of N frames."""

    points: tuple[Float64Array, ...]
    """Six of (N, P, 2), pixels of the frame: O-Net's 5, the 68, the mesh's 478; then the same of
    the mirror image, brought back but not renumbered. Four without the mesh."""
    probability: Float64Array
    """(N,) geometric mean of O-Net's two that there is a face."""


class ProfileLandmarks:
    """Finds the landmarks of faces that are turned far to a side. Calls from threads are safe."""

    def __init__(
        self, onet: Model, landmarks68: Model, mesh: Model, maps: Maps | None = None
    ) -> None:
        """``onet``, ``landmarks68``, ``mesh``: the weights "mtcnn-o", "landmarks68", "facemesh".

        ``maps``: from looks to landmarks; None takes the package's own.
        """
        self._onet, self._landmarks68, self._mesh = onet, landmarks68, mesh
        self._maps = bundled_maps() if maps is None else maps

    def refine(
        self,
        image: Image | Pyramid,
        faces: Sequence[Face],
        landmarks_xy: FloatArray,
        certainty: FloatArray,
    ) -> ProfilePoints:
        """Look again at the faces that are turned or unsure.

        Args:
            image: (H, W, 3) uint8, or its levels; heads stand upright in it, to about 20 degrees.
            faces: N, as a detector returns them, with its own landmarks.
            landmarks_xy: (N, 5, 2), pixels: O-Net's.
            certainty: (N,) O-Net's probability that each is a face, 0 to 1.

        Raises:
            OptionError: shapes that do not fit, or landmarks that coincide.
        """
        given = np.asarray(landmarks_xy, np.float64)
        if given.shape != (len(faces), 5, 2):
            raise OptionError(
                f"expected shape ({len(faces)}, 5, 2), got {given.shape}", option="landmarks_xy"
            )
        found = given.copy()
        costs = np.full(len(faces), np.nan)
        looked = needs_look(faces, given, certainty)
        sizes = np.array([max(face.size_wh) for face in faces])
        largest = sizes == sizes.max(initial=0)
        looked &= largest | (sizes >= LEAST_SHARE * sizes.max(initial=0))
        turned = (np.abs(asymmetry(given)) > TURNED) & (np.asarray(certainty) >= LEAST_CERTAINTY)
        looked &= largest | turned
        looked[np.argsort(-np.where(looked, sizes, 0), kind="stable")[MOST_FACES:]] = False
        for i in np.flatnonzero(looked).tolist():
            found[i], costs[i] = self._of_face(image, faces[i], given[i], thorough=bool(largest[i]))
        return ProfilePoints(found.astype(np.float32), looked, costs)

    def look(self, image: Image | Pyramid, frames: Float64Array, *, mesh: bool = True) -> Look:
        """Have the networks look at frames, (N, 2, 3) from the photo's pixels.

        ``mesh`` False leaves out the mesh, which takes nine tenths of the time.
        """
        mirror = np.array([[-1.0, 0.0, FRAME_PX - 1.0], [0.0, 1.0, 0.0]])
        both = np.concatenate([frames, _after(frames, mirror)])  # (2 N, 2, 3)
        flipped = np.repeat([False, True], len(frames))
        said: list[Float64Array] = []
        probability = np.ones(len(both))
        networks = (self._onet, self._landmarks68, self._mesh)[: 3 if mesh else 2]
        for number, (network, square) in enumerate(zip(networks, _SQUARES, strict=False)):
            (x, y), side, size_px = square
            factor = size_px / side
            shift = (size_px - 1) / 2 - factor * np.stack(
                [np.where(flipped, FRAME_PX - 1 - x, x), np.full(len(both), y)], axis=1
            )
            slack = MESH_SLACK if number == 2 else SLACK
            crops = warp(image, both * factor + _shifts(shift), size_px, slack=slack)
            outputs = network(_batch(crops, gray=number == 1))
            if number == 0:
                points = outputs[1].reshape(-1, 2, 5).transpose(0, 2, 1) * np.float64(size_px)
                probability = outputs[2].reshape(-1).astype(np.float64)
            elif number == 1:
                points = outputs[0].reshape(-1, 68, 2) * np.float64(size_px)
            else:
                points = outputs[0][:, :, :2].astype(np.float64)
            points = (points - 0.5 - shift[:, None]) / factor
            points[flipped, :, 0] = FRAME_PX - 1 - points[flipped, :, 0]
            said.append(points)
        n = len(frames)
        halves = [points[:n] for points in said] + [points[n:] for points in said]
        return Look(tuple(halves), np.sqrt(probability[:n] * probability[n:]))

    def read(
        self, image: Image | Pyramid, frames: Float64Array, *, mesh: bool = True
    ) -> tuple[Float64Array, Float64Array]:
        """Return landmarks (N, 5, 2) in pixels of the photo, and their costs (N,)."""
        seen = self.look(image, frames, mesh=mesh)
        answers = self._maps.read(seen)  # (N, 6, 5, 2)
        middle = geometric_median(answers)
        cost = spread(answers, middle) - DOUBT * np.log(np.maximum(seen.probability, _LEAST))
        points = to_photo_xy(middle, frames)
        reflected = np.linalg.det(frames[:, :, :2]) < 0
        points[reflected] = points[reflected][:, SWAPPED]
        return points, cost

    def _of_face(
        self,
        image: Image | Pyramid,
        face: Face,
        landmarks: Float64Array,
        *,
        thorough: bool = True,
    ) -> tuple[Float64Array, float]:
        """Landmarks (5, 2) and their cost; other frames are tried where it is thorough."""
        left = asymmetry(landmarks[None]) < 0
        points, costs = self.read(image, frames_of(landmarks[None], left))
        if _apart(points, landmarks[None])[0] > SETTLED:
            points, costs = self.read(image, frames_of(points, left))
        if thorough and costs[0] > UNSURE - DOUBT * np.log(UNSEEN):
            others = _box_frames(face)
            if face.landmarks_xy is not None:
                own = np.asarray(face.landmarks_xy, np.float64)[None]
                others = np.concatenate([frames_of(own, asymmetry(own) < 0), others])
            more, more_costs = self.read(image, others, mesh=False)
            likely = np.argsort(more_costs, kind="stable")[:MOST_OTHERS]
            left_too = np.linalg.det(others[likely, :, :2]) > 0
            more, more_costs = self.read(image, frames_of(more[likely], left_too))
            points, costs = np.concatenate([points, more]), np.concatenate([costs, more_costs])
        best = int(np.argmin(costs))
        return tipped(points[best]), float(costs[best])


class Maps(NamedTuple):
    """Linear maps from what each of six looks says to five landmarks, all in the frame."""

    weights: tuple[Float64Array, ...]
    """Six of (2 P, 10)."""
    biases: Float64Array
    """(6, 10)."""

    def read(self, seen: Look) -> Float64Array:
        """Return (N, 6, 5, 2), or of four looks (N, 4, 5, 2), pixels of the frame."""
        networks = len(seen.points) // 2
        chosen = [k for k in range(len(self.weights)) if k % (len(self.weights) // 2) < networks]
        answers = [
            points.reshape(len(points), -1) @ self.weights[k] + self.biases[k]
            for points, k in zip(seen.points, chosen, strict=True)
        ]
        return np.stack(answers, axis=1).reshape(-1, len(answers), 5, 2)


@cache
def bundled_maps() -> Maps:
    """Return the package's own maps.

    Raises:
        DataError: their file is damaged.
    """
    try:
        with np.load(FILE, allow_pickle=False) as file:
            weights = tuple(file[f"weight{k}"].astype(np.float64) for k in range(6))
            biases = file["biases"].astype(np.float64)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{FILE}: expected the maps of profile landmarks, got {error!r}: reinstall the "
            "package, or write the file again with scripts/fit/profile_landmarks.py"
        ) from error
    return Maps(weights, biases)


def asymmetry(landmarks_xy: npt.NDArray[np.floating]) -> Float64Array:
    """Return how far the nose's tip lies to the right of the line from eyes to mouth.

    Args:
        landmarks_xy: (..., 5, 2), pixels; they may be turned in the plane.

    Returns:
        (...): in distances from eyes to mouth; negative for a face that looks to the viewer's left.
        0.2 are about 20 degrees of yaw, a profile has 0.2 to 0.5.
    """
    points = np.asarray(landmarks_xy, np.float64)
    eyes = points[..., :2, :].mean(axis=-2)
    mouth = points[..., 3:, :].mean(axis=-2)
    down = mouth - eyes
    aside = points[..., 2, :] - (eyes + mouth) / 2
    squared = np.maximum((down**2).sum(axis=-1), 1e-12)
    right: Float64Array = (aside[..., 0] * down[..., 1] - aside[..., 1] * down[..., 0]) / squared
    return right


def needs_look(
    faces: Sequence[Face], landmarks_xy: npt.NDArray[np.floating], certainty: FloatArray
) -> BoolArray:
    """Return (N,): whether a face is turned, or O-Net unsure, or at odds with the detector."""
    needed: BoolArray = np.abs(asymmetry(landmarks_xy)) > TURNED
    needed |= np.asarray(certainty) < UNREAD
    for i, face in enumerate(faces):
        own = face.landmarks_xy
        if max(face.size_wh) < LEAST_FACE_PX:
            needed[i] = False
        elif own is not None:
            apart = np.linalg.norm(own - landmarks_xy[i], axis=1).mean()
            needed[i] |= bool(apart > APART * max(face.size_wh))
            needed[i] |= bool(abs(asymmetry(own)) > OWN_TURNED)
    return needed


def frames_of(landmarks_xy: Float64Array, left: BoolArray) -> Float64Array:
    """Return the frames of faces (N, 2, 3), from the photo's pixels.

    Args:
        landmarks_xy: (N, 5, 2), pixels of the photo.
        left: (N,) which look to the viewer's left; the others' frames are mirrored.
    """
    # A mirrored photo has its landmarks at -x, in the other order.
    sign = np.where(left, 1.0, -1.0)
    points = np.where(left[:, None, None], landmarks_xy, landmarks_xy[:, SWAPPED])
    points = points * np.stack([sign, np.ones(len(sign))], axis=1)[:, None]
    frames = similarity_transforms(points, TEMPLATE_XY)
    frames[:, :, 0] *= sign[:, None]
    return frames


def tipped(landmarks_xy: Float64Array) -> Float64Array:
    """Move a turned face's nose to its tip, in landmarks (5, 2), but not the crop by them."""
    asymmetric = asymmetry(landmarks_xy)[None]
    left = asymmetric < 0
    frames = frames_of(landmarks_xy[None], left)
    order = slice(None) if left[0] else SWAPPED
    points = to_crop_xy(landmarks_xy[None, order], frames)
    share = (np.abs(asymmetric) - TIPPED_FROM) / (TIPPED_TO - TIPPED_FROM)
    points[:, 2] += np.clip(share, 0, 1)[:, None] * NOSE_XY
    back = to_crop_xy(points, similarity_transforms(points, TEMPLATE_XY))
    moved: Float64Array = to_photo_xy(back, frames)[0, order]
    return moved


def geometric_median(answers: Float64Array) -> Float64Array:
    """Return the five landmarks (N, 5, 2) with the least sum of distances to (N, K, 5, 2).

    Weiszfeld's algorithm; distances below a pixel of the frame count as one.
    """
    middle = np.median(answers, axis=1)
    for _ in range(20):
        apart = ((answers - middle[:, None]) ** 2).mean(axis=(2, 3))  # (N, K)
        weight = 1 / np.sqrt(apart + 1)
        weight /= weight.sum(axis=1, keepdims=True)
        middle = (answers * weight[:, :, None, None]).sum(axis=1)
    return middle


def spread(answers: Float64Array, middle: Float64Array) -> Float64Array:
    """Return (N,): the mean distance from the middle of all answers but the farthest.

    It is a root mean square over the five landmarks, in distances from eyes to mouth.
    """
    apart = np.sqrt(((answers - middle[:, None]) ** 2).sum(axis=3).mean(axis=2)) / EYE_MOUTH_PX
    return np.asarray(np.sort(apart, axis=1)[:, :-1].mean(axis=1))


def _apart(a: Float64Array, b: Float64Array) -> Float64Array:
    """Mean distance of landmarks (N, 5, 2), in distances from eyes to mouth: (N,)."""
    height = np.linalg.norm(a[:, :2].mean(axis=1) - a[:, 3:].mean(axis=1), axis=1)
    return np.asarray(np.linalg.norm(a - b, axis=2).mean(axis=1) / np.maximum(height, 1e-6))


def _box_frames(face: Face) -> Float64Array:
    """Frames by the box alone: to either side, as it is and tilted. (6, 2, 3)."""
    scale = _BOX_PX / max(face.size_wh)
    center = np.array(face.center_xy)
    frames = np.zeros((2, len(_BOX_TURNS_DEG), 2, 3))
    for side, sign in enumerate((1.0, -1.0)):
        for turn, degrees in enumerate(_BOX_TURNS_DEG):
            cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
            frame = frames[side, turn]
            frame[:, :2] = scale * np.array([[sign * cos, -sin], [sign * sin, cos]])
            frame[:, 2] = _BOX_XY - frame[:, :2] @ center
    return frames.reshape(-1, 2, 3)


def _after(frames: Float64Array, matrix: Float64Array) -> Float64Array:
    """Each frame's matrix (N, 2, 3), followed by another (2, 3)."""
    moved = matrix[:, :2] @ frames
    moved[:, :, 2] += matrix[:, 2]
    return np.asarray(moved)


def _shifts(shift: Float64Array) -> Float64Array:
    """(N, 2) as what is added to matrices (N, 2, 3)."""
    return np.concatenate([np.zeros((len(shift), 2, 2)), shift[:, :, None]], axis=2)


def _batch(crops: Image, *, gray: bool) -> FloatArray:
    """(N, S, S, 3) uint8 -> (N, 3, S, S), or (N, 1, S, S) in gray; float32, 0 to 255."""
    if not gray:
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)
    size_px = crops.shape[1]
    one = cv2.cvtColor(crops.reshape(-1, size_px, 3), cv2.COLOR_RGB2GRAY)
    return one.astype(np.float32).reshape(-1, 1, size_px, size_px)
