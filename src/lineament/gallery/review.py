"""How closely a photo is looked at before it is enrolled: off, standard or strict.

    off        a face must be there; of several the recognizer's choice is taken
    standard   one face, good enough for decisions, no duplicate, unlike nobody of its person and
               like nobody else
    strict     the same with higher limits of quality (``STRICT``), nothing covered, no photo with
               several faces, and a photo must agree with the person's others at the threshold of
               1:1 comparisons

The one sample that a person is enrolled with is compared with every photo that comes later, so a
bad one costs more than a bad photo that is searched for. ``benchmarks/accuracy/reviewing.py``
measures what each of the limits is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lineament.covered import covered_in_words
from lineament.errors import OptionError
from lineament.pipeline import Recognizer
from lineament.quality import QualityLimits, QualityProblem
from lineament.types import Image, Quality

Review = Literal["off", "standard", "strict"]
OnLowQuality = Literal["refuse", "accept"]

STRICT = QualityLimits(
    least_size_px=14,
    least_sharpness=0.08,
    greatest_turn_deg=25,
    least_brightness=0.15,
    greatest_brightness=0.72,
    least_contrast=0.045,
    least_visible_share=0.9,
    least_recognizability=0.85,
)
"""Of a strict review; a recognizer's own limits go before them where they are stricter. Where the
searches for people enrolled by such a photo begin to miss about twice as many as by others."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is required of a photo.

    Attributes:
        review: the mode.
        single: whether a photo with several faces is refused.
        quality: whether one of low quality is.
        compared: whether it is compared with what is enrolled.
    """

    review: Review
    single: bool
    quality: bool
    compared: bool

    @property
    def strict(self) -> bool:
        """Whether the limits are the higher ones."""
        return self.review == "strict"

    def limits(self, recognizer: Recognizer) -> QualityLimits:
        """Beyond which a face is of low quality."""
        own = recognizer.judge.all_limits
        return own.stricter(STRICT) if self.strict else own

    def problems(
        self, recognizer: Recognizer, quality: Quality | None, crop: Image | None
    ) -> tuple[QualityProblem, ...]:
        """What is wrong with a face; () where nothing is required or nothing was measured."""
        if quality is None or not self.quality:
            return ()
        found = self.limits(recognizer).beyond(quality)
        if self.strict and crop is not None and (parts := covered_in_words(crop)):
            covered = QualityProblem(
                "covered", f"{parts}: use a photo that shows the whole face uncovered"
            )
            found = (*found, covered)
        return found


def rules_of(
    default: Review,
    review: Review | None,
    *,
    choose: bool = False,
    on_low_quality: OnLowQuality = "refuse",
    force: bool = False,
) -> Rules:
    """What is required, by the mode that is asked for, else by the gallery's.

    Args:
        default: the gallery's setting.
        review: the mode; None takes the gallery's.
        choose, on_low_quality, force: as for ``Gallery.enroll``: exceptions from "standard".

    Raises:
        OptionError: no such mode, or an exception from "strict".
    """
    mode = default if review is None else review
    if mode not in get_args(Review):
        raise OptionError(
            f"expected one of {', '.join(get_args(Review))}, got {mode!r}", option="review"
        )
    if on_low_quality not in get_args(OnLowQuality):
        raise OptionError(
            f'expected "refuse" or "accept", got {on_low_quality!r}', option="on_low_quality"
        )
    if mode == "off":
        return Rules(mode, single=False, quality=False, compared=False)
    excepted = [
        name
        for name, given in (
            ("choose", choose),
            ("on_low_quality", on_low_quality == "accept"),
            ("force", force),
        )
        if given
    ]
    if mode == "strict" and excepted:
        raise OptionError(
            f'expected the review "strict" without exceptions, got {" and ".join(excepted)} with '
            'it: leave that out, or ask for the review "standard"',
            option="review",
        )
    return Rules(mode, single=not choose, quality=on_low_quality == "refuse", compared=not force)
