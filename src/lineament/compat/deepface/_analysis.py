"""What faces look like, as far as lineament says it.

An attribute joins by a function in ``LOOKS``, from faces to the entries of their results.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from lineament.attributes import INPUT_PX, NO_RACE, AttributeReader, Attributes
from lineament.attributes.expression import EXPRESSIONS
from lineament.compat.deepface import _faces as faces
from lineament.compat.deepface.modules.exceptions import UnimplementedError
from lineament.errors import OptionError
from lineament.types import Float64Array, Image

ACTIONS = ("emotion", "age", "gender", "race")

REASONS: Mapping[str, str] = {"race": NO_RACE}
"""Why an action is not available."""

EMOTIONS: Mapping[str, str] = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happy": "happy",
    "sad": "sad",
    "surprise": "surprised",
    "neutral": "neutral",
}
"""Deepface's names, in its order, and ours."""


class Analysis(dict[str, Any]):
    """The entries of one face; a missing one that deepface would have says why it is missing."""

    def __missing__(self, key: str) -> Any:
        """KeyError with the reason."""
        action = key.removeprefix("dominant_")
        raise KeyError(f"{key}: {REASONS[action]}" if action in REASONS else key)


@cache
def reader() -> AttributeReader:
    """What says how faces look; its networks are loaded when they are first needed."""
    return AttributeReader()


def seen_whole(pixels: Image) -> Attributes:
    """Age and gender's network on a picture that is a face as a whole, (H, W, 3)."""
    return reader().ages.read_both(faces.padded(pixels, (INPUT_PX, INPUT_PX))[None])


def man_whole(pixels: Image) -> float:
    """The probability that such a picture is a man's face."""
    crop = faces.padded(pixels, (INPUT_PX, INPUT_PX))[None]
    return float(reader().genders.read_crops(crop, seen_whole(pixels))[0])


def expression_whole(pixels: Image) -> Float64Array:
    """Probabilities of such a picture, (7,), as ``EXPRESSIONS``; without the mesh's opinion."""
    shown = faces.padded(pixels, (INPUT_PX, INPUT_PX))[None]
    return np.asarray(reader().expressions.read_shown(shown)[0], np.float64)


def ages(found: Sequence[faces.Found]) -> list[dict[str, Any]]:
    """``age`` of each face, whole years."""
    rows = []
    for one in found:
        if one.face is None:
            years = float(seen_whole(one.photo.pixels).years[0])
        else:
            shown = reader().ages.shown(one.photo.pixels, [one.face])
            years = float(reader().ages.read_both(shown).years[0])
        rows.append({"age": round(years)})
    return rows


def genders(found: Sequence[faces.Found]) -> list[dict[str, Any]]:
    """``gender`` of each face, per cent of "Woman" and "Man", and ``dominant_gender``."""
    rows = []
    for one in found:
        if one.face is None:
            man = man_whole(one.photo.pixels)
        else:
            shown = reader().ages.shown(one.photo.pixels, [one.face])
            seen = reader().ages.read_both(shown)
            man = float(reader().genders.read(one.photo.pixels, [one.face], seen)[0])
        shares = {"Woman": np.float64(100 * (1 - man)), "Man": np.float64(100 * man)}
        rows.append({"gender": shares, "dominant_gender": "Man" if man > 0.5 else "Woman"})
    return rows


def emotions(found: Sequence[faces.Found]) -> list[dict[str, Any]]:
    """``emotion`` of each face, per cent of each name, and ``dominant_emotion``."""
    rows = []
    for one in found:
        if one.face is None:
            values = expression_whole(one.photo.pixels)
        else:
            values = reader().expression(one.photo.pixels, one.face)
        by_name = dict(zip(EXPRESSIONS, values.tolist(), strict=True))
        shares = {name: np.float64(100 * by_name[ours]) for name, ours in EMOTIONS.items()}
        best = max(shares, key=lambda name: shares[name])
        rows.append({"emotion": shares, "dominant_emotion": best})
    return rows


LOOKS: Mapping[str, Callable[[Sequence[faces.Found]], list[dict[str, Any]]]] = {
    "emotion": emotions,
    "age": ages,
    "gender": genders,
}
"""What looks at faces, by action."""


def available(actions: Sequence[str] | str, *, silent: bool) -> list[str]:
    """Those actions that can be had, in their order.

    Raises:
        ValueError: no actions.
        UnimplementedError: an action that there is not, or none of them can be had.
    """
    if isinstance(actions, str):
        actions = (actions,)
    if not hasattr(actions, "__getitem__") or not len(actions):
        raise OptionError("`actions` must be a list of strings.")
    for action in actions:
        if not isinstance(action, str) or action not in ACTIONS:
            raise UnimplementedError(
                f"Invalid action passed ({action!r})). "
                "Valid actions are `emotion`, `age`, `gender`, `race`."
            )
    wanted = [action for action in dict.fromkeys(actions) if action in LOOKS]
    missing = [action for action in dict.fromkeys(actions) if action not in LOOKS]
    reasons = "; ".join(REASONS[action] for action in missing)
    if not wanted:
        raise UnimplementedError(reasons, hint=f"there is {', '.join(LOOKS)}")
    if missing and not silent:
        warnings.warn(f"left out: {reasons}", UserWarning, stacklevel=3)
    return wanted


def look(found: Sequence[faces.Found], actions: Sequence[str]) -> list[Analysis]:
    """The entries of each face."""
    parts = [LOOKS[action](found) for action in actions]
    return [
        Analysis(
            {key: value for part in parts for key, value in part[i].items()}
            | {"region": one.area, "face_confidence": one.confidence}
        )
        for i, one in enumerate(found)
    ]
