"""Is a face on a photo, or on a few frames, that of somebody who was there?

    passive = load_passive()
    passive.check(pixels, face)             one photo
    passive.check_many([(pixels, face), ...])     a few views of one face: surer

A network looks at skin and surroundings (``lineament.liveness.texture``); photos outside of what
it was measured on (small, blurred, dark, turned faces) are "unsure", whatever it says. Several
views are averaged, and one that looks like an attack for certain is a veto; so are two signs of
pictures, which no living face had that they were measured on (``lineament.liveness._signs``): dots
or pixels in the skin, and a straight border on all four sides.

What it cannot do: it knows prints and screens as they look to ordinary cameras. A picture shown in
better quality than the camera sees, a mask, or pictures fed in where a camera's are expected are
not found. ``docs/concepts/liveness.md`` has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from lineament.align import align_faces
from lineament.arguments import check_fields, checked
from lineament.errors import OptionError
from lineament.liveness._signs import grid_of, sides_of
from lineament.liveness.texture import TextureNetwork, load_texture
from lineament.models import LicensePolicy
from lineament.models.runtime import Runtime
from lineament.quality import QualityLimits, measure
from lineament.types import Face, Image, Liveness, Photo

LivenessMode = Literal["off", "passive", "active"]
"""What is asked for: no check, that of photos, or that of films."""

LIMITS = QualityLimits(
    least_size_px=20,
    least_sharpness=0.03,
    greatest_turn_deg=60,
    least_brightness=0.12,
    greatest_brightness=0.9,
    least_contrast=0.03,
    least_visible_share=0.8,
)
"""Outside of which a photo is "unsure"."""

LIVE_FROM, ATTACK_BELOW, VETO_BELOW = 2.0, 0.0, -4.0
"""Log odds from which on a face is live, below which it is an attack, and below which one view of
several is a veto."""

GRID_VETO, SIDES_VETO = 3.0, 4
"""From which on a pattern in the skin, and sides of a border, are a veto. Of 951 living faces of
LFW View 1, CFP, the NUAA sample and films of people signing the largest pattern had 2.6, and none
had four sides; three had 3 % of those of LFW."""


@dataclass(frozen=True, slots=True)
class PassiveOptions:
    """Where the outcomes of the passive check begin.

    Attributes:
        live_from: mean log odds from which on faces are "live".
        attack_below: below which they are "attack"; between the two "unsure".
        veto_below: log odds of one view alone that make all of them an "attack".
        limits: of the photo's quality, outside of which it is "unsure".
    """

    live_from: float = LIVE_FROM
    attack_below: float = ATTACK_BELOW
    veto_below: float = VETO_BELOW
    limits: QualityLimits = LIMITS

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        check_fields(self)
        if not self.veto_below <= self.attack_below <= self.live_from:
            raise OptionError(
                "expected veto_below <= attack_below <= live_from, got "
                f"{self.veto_below:g}, {self.attack_below:g}, {self.live_from:g}"
            )


class View(NamedTuple):
    """What one photo of a face says.

    Attributes:
        log_odds: of "live", mean over the networks; None where the photo is unfit.
        cues: by name: each network's log odds; "grid" and "sides" (``lineament.liveness._signs``).
        problems: why the photo is unfit, in words; () when it is not.
        vetoes: signs of a picture, in words, whatever the networks say; () when there are none.
    """

    log_odds: float | None
    cues: dict[str, float]
    problems: tuple[str, ...]
    vetoes: tuple[str, ...] = ()


class PassiveLiveness:
    """Checks faces by how they look. Calls from several threads are safe.

    Attributes:
        networks: by name: what looks at the faces; the mean of their log odds counts.
        options: where the outcomes begin.
    """

    @checked
    def __init__(
        self, networks: dict[str, TextureNetwork], *, options: PassiveOptions | None = None
    ) -> None:
        """Take networks by name; ``load_passive`` loads those of the package.

        Raises:
            OptionError: no network.
        """
        if not networks:
            raise OptionError("expected at least one network, got none", option="networks")
        self.networks = dict(networks)
        self.options = PassiveOptions() if options is None else options

    @checked
    def check(self, pixels: Photo | Image, face: Face) -> Liveness:
        """Check a face on one photo.

        Args:
            pixels: a ``Photo`` with its pixels, or (H, W, 3) uint8, RGB.
            face: as a detector found it there.

        Raises:
            OptionError: pixels of another shape or type, or a photo without its pixels.
        """
        return self.conclude([self.look(pixels, face)])

    @checked
    def check_many(self, views: Iterable[tuple[Photo | Image, Face]]) -> Liveness:
        """Check a face that was seen several times, in any order.

        Args:
            views: pixels and face of each, as ``check`` takes them; all of one person.

        Raises:
            OptionError: no view, and as ``check``.
        """
        return self.conclude([self.look(pixels, face) for pixels, face in views])

    def look(self, pixels: Photo | Image, face: Face) -> View:
        """Look at a face once; arguments and errors as ``check``."""
        image = pixels.needed_pixels() if isinstance(pixels, Photo) else pixels
        cues = {
            name: float(network.read(image, [face])[0]) for name, network in self.networks.items()
        }
        mean = float(np.mean(list(cues.values())))
        if not math.isfinite(mean):
            return View(None, {}, ("the networks have no answer to this photo: use another one",))
        problems = self._problems(image, face)
        grid, sides = grid_of(image, face), sides_of(image, face)
        cues |= ({} if grid is None else {"grid": grid}) | {"sides": float(sides)}
        return View(None if problems else mean, cues, problems, _vetoes(grid, sides))

    def _problems(self, image: Image, face: Face) -> tuple[str, ...]:
        if face.landmarks_xy is None:
            return ("the detector has no landmarks of the face: use one that has",)
        (crop,) = align_faces(image, [face])
        size_wh = (image.shape[1], image.shape[0])
        return self.options.limits.problems(measure(face, crop, size_wh=size_wh))

    def conclude(self, views: Sequence[View]) -> Liveness:
        """What several views say together: their mean, unless one is a veto.

        Raises:
            OptionError: no view.
        """
        if not views:
            raise OptionError("expected at least one view of the face, got none", option="views")
        vetoes = tuple(dict.fromkeys(words for view in views for words in view.vetoes))
        fit = [view for view in views if view.log_odds is not None]
        if vetoes:
            return Liveness("attack", 0.0, "passive", _mean_cues(views), vetoes)
        if not fit:
            problems = dict.fromkeys(words for view in views for words in view.problems)
            return Liveness("unsure", None, "passive", _mean_cues(views), tuple(problems))
        odds = np.array([view.log_odds for view in fit], np.float64)
        mean, least = float(odds.mean()), float(odds.min())
        outcome, reasons = self._outcome(mean, least, len(fit))
        vetoed = outcome == "attack" and mean >= self.options.attack_below
        return Liveness(
            outcome, _share(least if vetoed else mean), "passive", _mean_cues(fit), reasons
        )

    def _outcome(
        self, mean: float, least: float, count: int
    ) -> tuple[Literal["live", "attack", "unsure"], tuple[str, ...]]:
        options = self.options
        if mean < options.attack_below:
            return "attack", (
                "the face looks like one on paper or on a screen (log odds of a living face "
                f"{mean:.1f}, below {options.attack_below:g}): show the face itself to the camera",
            )
        if least < options.veto_below:
            return "attack", (
                f"on one of {count} views the face looks like one on paper or on a screen (log "
                f"odds of a living face {least:.1f}, below {options.veto_below:g}): show the face "
                "itself to the camera",
            )
        if mean < options.live_from:
            return "unsure", (
                "the face looks neither clearly alive nor clearly like a picture (log odds of a "
                f"living face {mean:.1f}, from {options.live_from:g} on it is): use a sharper "
                "photo with more light, several frames, or the active check",
            )
        return "live", ()


def _vetoes(grid: float | None, sides: int) -> tuple[str, ...]:
    found = []
    if grid is not None and grid >= GRID_VETO:
        found.append(
            f"the skin has a pattern that repeats, as dots of print and pixels of screens do "
            f"({grid:.1f}, from {GRID_VETO:g} on it is one): show the face itself to the camera"
        )
    if sides >= SIDES_VETO:
        found.append(
            "the face is inside of a straight border, as a sheet, a phone or a screen has: show "
            "the face itself to the camera, and none in a frame or a window"
        )
    return tuple(found)


def _mean_cues(views: Sequence[View]) -> dict[str, float]:
    names = dict.fromkeys(name for view in views for name in view.cues)
    return {
        name: float(np.mean([view.cues[name] for view in views if name in view.cues]))
        for name in names
    }


def _share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(log_odds, -50.0), 50.0)))


def load_passive(
    *,
    networks: Mapping[str, TextureNetwork] | None = None,
    options: PassiveOptions | None = None,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> PassiveLiveness:
    """Load the check of the package; its network is compiled once per process.

    Args:
        networks: of yours, by names of yours, beside the bundled one (called "texture"), such as
            ``lineament.liveness.minifasnet.read_minifasnet`` reads.
        options: where the outcomes begin; None: as they were measured.
        runtime: engine, device and threads; None asks the environment.
        policy: which licenses may be used; None asks the environment.

    Raises:
        WeightsError: the network is missing, damaged or refused.
    """
    texture = load_texture(runtime=runtime, policy=policy)
    return PassiveLiveness({"texture": texture, **(networks or {})}, options=options)


def photo_check(
    liveness: LivenessMode, load: Callable[[], PassiveLiveness]
) -> PassiveLiveness | None:
    """Return what checks photos in a mode: ``load()`` for "passive", None for "off".

    Raises:
        OptionError: "active", which photos cannot be checked by.
    """
    if liveness == "active":
        raise OptionError(
            "the active check asks for movements, which a photo does not show",
            option="liveness",
            hint='ask for "passive", or run `lineament liveness` with a camera or a film',
        )
    return load() if liveness == "passive" else None
