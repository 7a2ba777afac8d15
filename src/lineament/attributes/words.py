"""What is said of a face, in a few words: for the screen and for pictures.

age_words(), gender_words(), expression_words(), head_words(), eyes_words(), mouth_words(),
gaze_words(); percent()
"""

from __future__ import annotations

from lineament.attributes.results import Age, Expression, Eye, Gaze, Gender, Mouth
from lineament.pose import HeadPose

LOOKED_AT_DEG = 10.0
"""Who looks no farther past the camera than this looks at it, as far as can be told."""


def age_words(age: Age | None) -> str:
    """As "40 (16 to 51)"."""
    return "" if age is None else f"{age.years:.0f} ({age.low:.0f} to {age.high:.0f})"


def gender_words(gender: Gender | None) -> str:
    """As "woman 98 %"; "undecided (man 55 %)"."""
    if gender is None:
        return ""
    name, share = ("man", gender.man) if gender.man >= gender.woman else ("woman", gender.woman)
    said = f"{name} {percent(share)}"
    return f"undecided ({said})" if gender.verdict == "undecided" else said


def expression_words(expression: Expression | None) -> str:
    """As "happy 93 %"; "undecided (sad 40 %)"."""
    if expression is None:
        return ""
    name = max(expression.probabilities, key=lambda each: expression.probabilities[each])
    said = f"{name} {percent(expression.probabilities[name])}"
    return f"undecided ({said})" if expression.verdict == "undecided" else said


def head_words(pose: HeadPose | None) -> tuple[str, str, str]:
    """Yaw, pitch and roll in whole degrees, as ("12", "-3", "1")."""
    if pose is None:
        return "", "", ""
    return str(round(pose.yaw_deg)), str(round(pose.pitch_deg)), str(round(pose.roll_deg))


def eyes_words(eyes: tuple[Eye, Eye] | None) -> str:
    """As "open"; "open/shut", as the viewer sees them."""
    return "" if eyes is None else "/".join(dict.fromkeys(eye.state for eye in eyes))


def mouth_words(mouth: Mouth | None) -> str:
    """As "shut"."""
    return "" if mouth is None else mouth.state


def gaze_words(gaze: Gaze | None) -> str:
    """As "the camera"; "15 right, 5 up" of the camera, in degrees."""
    if gaze is None:
        return ""
    right, up = gaze.camera_right_deg, gaze.camera_up_deg
    if max(abs(right), abs(up)) <= LOOKED_AT_DEG:
        return "the camera"
    sides = []
    if round(abs(right)) > 0:
        sides.append(f"{abs(right):.0f} {'right' if right > 0 else 'left'}")
    if round(abs(up)) > 0:
        sides.append(f"{abs(up):.0f} {'up' if up > 0 else 'down'}")
    return ", ".join(sides)


def percent(share: float) -> str:
    """Never 100: nothing here is certain."""
    return f"{min(round(100 * share), 99)} %"
