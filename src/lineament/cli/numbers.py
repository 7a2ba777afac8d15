"""Numbers of options: what they may be, checked when they are read, in the same words everywhere.

So a figure that makes no sense is refused before anything is opened, and none is NaN or infinite.
"""

from __future__ import annotations

import math
from typing import Any

import click

from lineament.errors import OptionError


class Number(click.ParamType[float]):
    """A finite number within limits.

    Args:
        low: the least; None: there is no limit.
        high: the greatest; as ``low``.
        whole: only whole numbers.
        between: the limits themselves are excluded.
        noun: what it is, in the message: "a rate".
    """

    name = "number"

    def __init__(
        self,
        low: float | None = None,
        high: float | None = None,
        *,
        whole: bool = False,
        between: bool = False,
        noun: str | None = None,
    ) -> None:
        """See the class."""
        self.low, self.high = low, high
        self.whole, self.between = whole, between
        self.noun = noun or ("a whole number" if whole else "a number")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. OptionError: it is none, or beyond the limits."""
        option = None if param is None else param.name
        try:
            number = int(value) if self.whole else float(value)
        except (ValueError, OverflowError):
            raise OptionError(f"expected {self.noun}, got {value!r}", option=option) from None
        if not math.isfinite(number):
            raise OptionError(f"expected {self._expected(number)}, got {value}", option=option)
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        fits = low < number < high if self.between else low <= number <= high
        if not fits:
            raise OptionError(f"expected {self._expected(number)}, got {value}", option=option)
        return number

    def _expected(self, number: float) -> str:
        """The limits in words; that the ends are excluded is said of an end."""
        if self.low is None:
            return "a finite number"
        if self.between:
            if self.high is None:
                return f"{self.noun} above {self.low:g}"
            ends = " and neither of them" if number in (self.low, self.high) else ""
            return f"{self.noun} between {self.low:g} and {self.high:g}{ends}"
        if self.high is None or (self.high >= MOST and not number > self.high):
            return f"{self.low:g} or more"
        return f"{self.noun} from {self.low:,g} to {self.high:,.15g}"


class Box(click.ParamType[tuple[float, float, float, float]]):
    """Four finite numbers with commas: left, top, right, bottom in pixels."""

    name = "box"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The numbers. OptionError: they are none, or not four."""
        try:
            numbers = tuple(float(each) for each in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
            raise OptionError(
                f"expected LEFT,TOP,RIGHT,BOTTOM in pixels, such as 40,30,180,200, got {value!r}",
                option=None if param is None else param.name,
            )
        return numbers


MOST = 2**31 - 1
"""The greatest count: what other programs hold as well."""

COUNT = Number(1, MOST, whole=True)
SEED = Number(0, 2**32 - 1, whole=True)
RATE = Number(0, 1, between=True, noun="a rate")
PRIOR = Number(0, 1, between=True, noun="a share")
SHARE = Number(0, 1, noun="a share")
COSINE = Number(-1, 1, noun="a cosine")
FINITE = Number()
WEIGHT = Number(0, 1e6)
ABOVE_ZERO = Number(0, between=True)
TRIALS = Number(1, 10_000, whole=True)
"""More would take days, and tell no more."""
