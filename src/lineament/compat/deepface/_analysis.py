"""What faces look like, as far as lineament says it.

An attribute joins by a function in ``LOOKS``, from faces to the entries of their results.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lineament.attributes import INPUT_PX, load_age_estimator
from lineament.compat.deepface import _faces as faces
from lineament.compat.deepface.modules.exceptions import UnimplementedError
from lineament.errors import OptionError
from lineament.types import FloatArray

ACTIONS = ("emotion", "age", "gender", "race")

REASONS: Mapping[str, str] = {
    "emotion": "expressions are not estimated: nothing here has been measured to be good at it",
    "gender": "gender is not estimated: nothing here has been measured to be good at it",
    "race": "race is not offered, and will not be: it cannot be seen in a face, the labels that "
    "networks learn it from are guesses, and what it would be used for is to treat people apart",
}
"""Why an action is not available."""


class Analysis(dict[str, Any]):
    """The entries of one face; a missing one that deepface would have says why it is missing."""

    def __missing__(self, key: str) -> Any:
        """KeyError with the reason."""
        action = key.removeprefix("dominant_")
        raise KeyError(f"{key}: {REASONS[action]}" if action in REASONS else key)


def ages(found: Sequence[faces.Found]) -> list[dict[str, Any]]:
    """``age`` of each face, whole years."""
    estimator = load_age_estimator()
    years: FloatArray = np.zeros(len(found), np.float32)
    for i, one in enumerate(found):
        if one.face is not None:
            years[i] = estimator.read(one.photo.pixels, [one.face]).years[0]
        else:
            whole = faces.padded(one.photo.pixels, (INPUT_PX, INPUT_PX))
            years[i] = estimator.read_shown(whole[None]).years[0]
    return [{"age": round(float(value))} for value in years]


LOOKS: Mapping[str, Callable[[Sequence[faces.Found]], list[dict[str, Any]]]] = {"age": ages}
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
