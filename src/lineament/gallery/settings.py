"""How a gallery works; what stands in its database."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from lineament.errors import OptionError
from lineament.search import check_kind

PersonScore = Literal["best", "mean", "centroid"]


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
        prior: share of the faces searched for that are of enrolled people, 0 to 1: probabilities
            rest on it, names do not.
    """

    keep_crops: bool = False
    person_score: PersonScore = "best"
    mean_of: int = 3
    index: str = "auto"
    threshold: float | None = None
    prior: float = 0.5

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        if not isinstance(self.keep_crops, bool):
            raise OptionError(
                f"expected true or false, got {self.keep_crops!r}", option="keep_crops"
            )
        if self.person_score not in get_args(PersonScore):
            raise OptionError(
                f"expected one of {', '.join(get_args(PersonScore))}, got {self.person_score!r}",
                option="person_score",
            )
        if type(self.mean_of) is not int or self.mean_of < 1:
            raise OptionError(f"expected 1 or more, got {self.mean_of!r}", option="mean_of")
        check_kind(self.index)
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise OptionError(
                f"expected a cosine of -1 to 1, got {self.threshold}", option="threshold"
            )
        if not 0 < self.prior < 1:
            raise OptionError(f"expected a share between 0 and 1, got {self.prior}", option="prior")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; ``Settings(**values)`` is the way back."""
        return asdict(self)


def checked_share(value: float, what: str) -> float:
    """A share between 0 and 1, exclusive; OptionError otherwise."""
    if not (math.isfinite(value) and 0 < value < 1):
        raise OptionError(f"expected a share between 0 and 1, got {value}", option=what)
    return value
