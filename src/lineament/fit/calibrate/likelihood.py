"""Two ways from scores to log-likelihood ratios: a line, and any rising curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lineament.decide.calibration import RULE_OF_3, Method
from lineament.errors import OptionError
from lineament.evaluate.scoring import pav
from lineament.types import Float64Array

MOST_KNOTS = 200
_LOGISTIC_KNOTS = 41


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """A rising, piecewise linear LLR over the alike axis, constant outside its knots."""

    alike: Float64Array
    llr: Float64Array

    def __call__(self, alike: npt.ArrayLike) -> Float64Array:
        """The LLR there."""
        return np.interp(np.asarray(alike, dtype=np.float64), self.alike, self.llr)


def fit_logistic(
    alike: npt.ArrayLike,
    genuine: npt.ArrayLike,
    impostor: npt.ArrayLike,
    *,
    unseen: tuple[float, float] = (0.0, 0.0),
) -> tuple[float, float]:
    """Return (a, b) of LLR = a * alike + b: Platt's sigmoid, by Newton's method.

    Platt, "Probabilistic outputs for support vector machines", 1999; genuine and impostor pairs
    have equal weight in all, so that the log-odds are the LLR.

    Args:
        alike: (M,) scores, higher is more alike.
        genuine: (M,) how many genuine pairs have each.
        impostor: (M,) how many impostor pairs.
        unseen: Platt's soft targets: the share of genuine pairs that is taken as impostor, and the
            reverse. With (0, 0) it is plain logistic regression, and data that a threshold
            separates completely have no answer.

    Raises:
        OptionError: one kind of pair is missing, or there is no answer.
    """
    x = np.asarray(alike, dtype=np.float64)
    g, i = _halves(genuine, impostor)
    if unseen == (0.0, 0.0) and (
        x[g > 0].min() >= x[i > 0].max() > x.min() or x[g > 0].max() <= x[i > 0].min() < x.max()
    ):
        raise OptionError(
            "logistic fit: a threshold separates all genuine from all impostor pairs, so that no "
            "slope is steep enough; expected overlapping scores, or unseen shares above 0"
        )
    middle = float((g + i) @ x)
    width = math.sqrt(float((g + i) @ (x - middle) ** 2))
    if width == 0:
        return 0.0, 0.0  # one score says nothing
    z = (x - middle) / width
    yes = g * (1 - unseen[0]) + i * unseen[1]
    no = g * unseen[0] + i * (1 - unseen[1])

    def loss(a: float, b: float) -> float:
        t = a * z + b
        return float(yes @ np.logaddexp(0, -t) + no @ np.logaddexp(0, t))

    a = b = 0.0
    at = loss(a, b)
    for _ in range(200):
        t = a * z + b
        p = np.exp(-np.logaddexp(0, -t))
        slope = (yes + no) * p - yes
        curve = (yes + no) * p * np.exp(-np.logaddexp(0, t))
        gradient = np.array([slope @ z, slope.sum()])
        hessian = np.array([[curve @ z**2, curve @ z], [curve @ z, curve.sum()]])
        if np.abs(gradient).max() < 1e-14:
            break
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        size = 1.0
        while size > 1e-9 and loss(a - size * step[0], b - size * step[1]) > at:
            size /= 2  # Newton overshoots far from the answer
        a, b = a - size * float(step[0]), b - size * float(step[1])
        at = loss(a, b)
        if np.abs(step).max() * size < 1e-13 * max(1.0, abs(a), abs(b)):
            break
    return a / width, b - a * middle / width


def fit_isotonic(
    alike: npt.ArrayLike,
    genuine: npt.ArrayLike,
    impostor: npt.ArrayLike,
    *,
    unseen: tuple[float, float],
) -> Curve:
    """Return the LLR by pooling adjacent violators, with straight lines between blocks.

    Each block stands at its mean score: Oron & Flournoy, "Centered isotonic regression", 2017,
    which errs less than the steps of plain isotonic regression.

    Args:
        alike: (M,) scores, higher is more alike.
        genuine: (M,) how many genuine pairs have each.
        impostor: (M,) how many impostor pairs.
        unseen: shares of genuine and of impostor pairs that may lie where none was seen, above 0:
            the LLR is kept between log(unseen[0]) and -log(unseen[1]).

    Raises:
        OptionError: one kind of pair is missing.
    """
    blocks = pav(alike, *_halves(genuine, impostor))
    with np.errstate(divide="ignore"):
        llr = np.log(blocks.genuine) - np.log(blocks.impostor)
    llr = np.clip(llr, math.log(unseen[0]), -math.log(unseen[1]))
    if len(llr) == 1:
        center = float(blocks.center[0])
        return Curve(np.array([center, np.nextafter(center, np.inf)]), np.repeat(llr, 2))
    keep = np.append(True, np.diff(blocks.center) > 0)
    return Curve(blocks.center[keep], np.maximum.accumulate(llr[keep]))


def _halves(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    g, i = (np.asarray(w, dtype=np.float64) for w in (genuine, impostor))
    if not (g.sum() > 0 and i.sum() > 0):
        raise OptionError("expected genuine and impostor pairs, got one kind only")
    return g / (2 * g.sum()), i / (2 * i.sum())


def fit_curve(
    method: Method,
    alike: Float64Array,
    genuine: Float64Array,
    impostor: Float64Array,
    unseen: tuple[float, float],
) -> Curve:
    """The LLR by either way, between what was not seen allows.

    Args:
        method: "logistic" or "isotonic".
        alike: (M,) scores, ascending.
        genuine: (M,) how many genuine pairs have each.
        impostor: (M,) how many impostor pairs.
        unseen: shares of both kinds that may lie where none was seen.
    """
    if method == "isotonic":
        return fit_isotonic(alike, genuine, impostor, unseen=unseen)
    # Platt's targets (n + 1) / (n + 2), in units of what the rule of three gives per unit
    soft = tuple(1 / (RULE_OF_3 / share + 2) for share in unseen)
    a, b = fit_logistic(alike, genuine, impostor, unseen=(soft[0], soft[1]))
    least, most = math.log(unseen[0]), -math.log(unseen[1])
    if a <= 0:  # scores that say nothing, or the reverse of what they should
        return Curve(np.array([alike[0], alike[-1]]), np.zeros(2))
    lower, upper = max(alike[0], (least - b) / a), min(alike[-1], (most - b) / a)
    if not lower < upper:
        lower, upper = float(alike[0]), float(alike[-1])
    knots = np.linspace(lower, upper, _LOGISTIC_KNOTS)
    return Curve(knots, np.clip(a * knots + b, least, most))


def thinned(curve: Curve) -> Curve:
    """At most ``MOST_KNOTS`` knots, the ends among them."""
    if len(curve.alike) <= MOST_KNOTS:
        return curve
    keep = np.unique(np.linspace(0, len(curve.alike) - 1, MOST_KNOTS).round().astype(int))
    return Curve(curve.alike[keep], curve.llr[keep])
