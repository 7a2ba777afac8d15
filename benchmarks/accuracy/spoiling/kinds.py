"""The kinds of spoiling: families to fit on, and kinds to judge by that no family draws.

FAMILIES    names; ``drawn(family, rng)`` makes a spoiler of one, with parameters at random
NAMED       kinds that false matches were reported of; the families draw their like
UNSEEN      kinds of no family, covers of other shapes or patterns than those that are drawn,
            and two families one after the other
MILD        what a photo should survive

python -m spoiling.kinds SHEET.png    (in the folder above): a picture of all of them
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lineament.errors import OptionError
from lineament.types import Image
from spoiling import covers, fresh, later, media, more, pixels
from spoiling.covers import Color, Outline, Patch, Texture, cover, ellipse, rectangle, solid
from spoiling.frame import FACE_EYES, Points, Spoiler, chain
from spoiling.more import Draw, drawn_color, log_uniform

# ---- families ------------------------------------------------------------------------------------


def _low_resolution(rng: np.random.Generator) -> Spoiler:
    return pixels.low_resolution(log_uniform(rng, 3.5, 16), ("cubic", "linear")[rng.integers(2)])


def _mosaic(rng: np.random.Generator) -> Spoiler:
    return pixels.mosaic(log_uniform(rng, 7, 34))


def _blur(rng: np.random.Generator) -> Spoiler:
    made = (pixels.blur, pixels.box_blur, pixels.disk_blur)[rng.integers(3)]
    return made(log_uniform(rng, 1.2, 7))


def _motion(rng: np.random.Generator) -> Spoiler:
    return pixels.motion(log_uniform(rng, 6, 35), rng.uniform(0, 180))


def _noise(rng: np.random.Generator) -> Spoiler:
    which = rng.integers(3)
    if which == 0:
        gray, soft = bool(rng.integers(2)), (0.0, 0.0, 1.0)[rng.integers(3)]
        return pixels.noise(log_uniform(rng, 12, 80), gray=gray, soft_px=soft)
    if which == 1:
        return pixels.salt_and_pepper(log_uniform(rng, 0.02, 0.3))
    return pixels.speckle(log_uniform(rng, 0.15, 0.8))


def _blur_noise(rng: np.random.Generator) -> Spoiler:
    return chain(pixels.blur(log_uniform(rng, 2, 7)), pixels.noise(log_uniform(rng, 5, 25)))


def _motion_noise(rng: np.random.Generator) -> Spoiler:
    moving = pixels.motion(log_uniform(rng, 8, 30), rng.uniform(0, 180))
    return chain(moving, pixels.noise(log_uniform(rng, 4, 20)))


def _compression(rng: np.random.Generator) -> Spoiler:
    if rng.random() < 0.25:
        return pixels.webp(int(log_uniform(rng, 1, 8)))
    return pixels.jpeg(int(log_uniform(rng, 1, 20)))


def _small_jpeg(rng: np.random.Generator) -> Spoiler:
    small = pixels.low_resolution(log_uniform(rng, 5, 14))
    return chain(small, pixels.jpeg(int(log_uniform(rng, 5, 40))))


def _dark(rng: np.random.Generator) -> Spoiler:
    return pixels.gain(log_uniform(rng, 0.03, 0.3), rng.uniform(1, 5))


def _brightened(rng: np.random.Generator) -> Spoiler:
    dark = pixels.gain(log_uniform(rng, 0.03, 0.2), 2.0)
    return chain(dark, pixels.stretch(rng.uniform(4, 12)))


def _bright(rng: np.random.Generator) -> Spoiler:
    return pixels.gain(log_uniform(rng, 1.6, 5))


def _flat(rng: np.random.Generator) -> Spoiler:
    pale = pixels.gain(log_uniform(rng, 0.04, 0.4), about=rng.uniform(60, 190))
    return chain(pale, pixels.noise(rng.uniform(0, 3)))


def _side_light(rng: np.random.Generator) -> Spoiler:
    return pixels.side_light(rng.uniform(0, 360), rng.uniform(0.85, 1))


def _negative(_: np.random.Generator) -> Spoiler:
    return pixels.negative()


def _posterize(rng: np.random.Generator) -> Spoiler:
    levels = int(rng.integers(2, 5))
    return (pixels.posterize(levels), pixels.one_bit(), pixels.dither())[rng.integers(3)]


def _halftone(rng: np.random.Generator) -> Spoiler:
    soft = (0.0, 1.0, 2.0)[rng.integers(3)]
    return pixels.halftone(log_uniform(rng, 2.5, 9), rng.uniform(0, 90), soft)


def _false_color(rng: np.random.Generator) -> Spoiler:
    if rng.random() < 0.3:
        return pixels.channels(rng.permutation(3).tolist())
    return pixels.false_color(int(rng.integers(20)))


def _lines(rng: np.random.Generator) -> Spoiler:
    value, vertical = (0, 255, 128)[rng.integers(3)], bool(rng.integers(2))
    return pixels.lines(rng.uniform(3, 9), rng.uniform(0.3, 0.7), value, vertical=vertical)


def _edges(rng: np.random.Generator) -> Spoiler:
    drawn, sharp = pixels.edges(rng.uniform(0.5, 2)), pixels.sharpen(rng.uniform(3, 9))
    return (drawn, pixels.emboss(), sharp)[rng.integers(3)]


def _smooth(rng: np.random.Generator) -> Spoiler:
    painted = pixels.median(rng.uniform(7, 19))
    retouched = pixels.bilateral(int(rng.integers(3, 9)), rng.uniform(50, 120))
    return (painted, retouched)[rng.integers(2)]


def _bent(rng: np.random.Generator) -> Spoiler:
    frosted = pixels.frosted(rng.uniform(3, 9))
    waves = pixels.waves(rng.uniform(2, 7), rng.uniform(12, 50))
    return (frosted, waves, pixels.ghost(rng.uniform(5, 16), 0.5))[rng.integers(3)]


_PIXELS: dict[str, Draw] = {
    "low resolution": _low_resolution,
    "mosaic": _mosaic,
    "blur": _blur,
    "motion": _motion,
    "noise": _noise,
    "blur and noise": _blur_noise,
    "motion and noise": _motion_noise,
    "compression": _compression,
    "small JPEG": _small_jpeg,
    "dark": _dark,
    "dark, brightened": _brightened,
    "overexposed": _bright,
    "flat": _flat,
    "side light": _side_light,
    "negative": _negative,
    "posterized": _posterize,
    "halftone": _halftone,
    "false color": _false_color,
    "lines": _lines,
    "edges": _edges,
    "smoothed": _smooth,
    "bent": _bent,
}

_SHAPES: dict[str, Callable[[np.random.Generator], list[Outline]]] = {
    "mask": lambda r: covers.mask(r.uniform(0.2, 0.6), r.uniform(0.85, 1.1), r.uniform(1.5, 1.9)),
    "mouth": lambda r: [
        ellipse(0, r.uniform(0.9, 1.05), r.uniform(0.45, 0.8), r.uniform(0.25, 0.5))
    ],
    "mouth and nose": lambda r: [
        ellipse(0, r.uniform(0.7, 0.9), r.uniform(0.5, 0.9), r.uniform(0.5, 0.75))
    ],
    "nose": lambda _: [ellipse(0, 0.5, 0.35, 0.45)],
    "glasses": lambda r: covers.glasses(r.uniform(0.28, 0.48), r.uniform(0.2, 0.36)),
    "bar": lambda r: covers.bar(r.uniform(0.15, 0.35), r.uniform(0.8, 1.3)),
    "one eye": lambda r: [
        ellipse((-0.5, 0.5)[r.integers(2)], 0, r.uniform(0.3, 0.5), r.uniform(0.25, 0.5))
    ],
    "forehead": lambda r: covers.forehead(r.uniform(-0.35, -0.12)),
    "low cap": lambda r: covers.forehead(r.uniform(-0.1, 0.1)),
    "half": lambda r: covers.half((-1, 1)[r.integers(2)], r.uniform(-0.2, 0.2)),
    "balaclava": lambda _: covers.balaclava(),
    "hijab": lambda _: covers.hijab(),
    "mask and glasses": lambda r: [
        *covers.mask(r.uniform(0.3, 0.55)),
        *covers.glasses(r.uniform(0.3, 0.42), r.uniform(0.22, 0.32)),
    ],
    "mask and cap": lambda r: [
        *covers.mask(r.uniform(0.3, 0.55)),
        *covers.forehead(r.uniform(-0.3, -0.12)),
    ],
    "blots": lambda r: covers.blots(r, int(r.integers(3, 9)), r.uniform(0.2, 0.5)),
    "hand": lambda r: covers.hand(r, r.uniform(-0.6, 0.6), r.uniform(0.6, 1.4)),
}


def drawn_texture(rng: np.random.Generator) -> Texture:
    """One of ten textures, with colors, direction and size at random."""
    color, other = drawn_color(rng), drawn_color(rng)
    degrees, period = rng.uniform(0, 180), rng.uniform(0.15, 0.6)
    seed = int(rng.integers(1 << 30))
    made = (
        solid(color),
        covers.skin(),
        covers.stripes(color, other, degrees, period),
        covers.checks(color, other, degrees, period),
        covers.dotted(color, other, degrees, period),
        covers.gradient(color, other, degrees),
        covers.grainy(color, seed),
        covers.cloth(color, seed),
        covers.camouflage(color, other, seed),
        covers.flesh(seed),
    )
    return made[rng.integers(len(made))]


def _covered(shape: Callable[[np.random.Generator], list[Outline]]) -> Draw:
    def draw(rng: np.random.Generator) -> Spoiler:
        outlines = shape(rng)
        return cover(outlines, drawn_texture(rng), (0.0, 0.0, 0.05)[rng.integers(3)])

    return draw


COVER = "cover: "
"""What the names of families that hide a part of the face begin with."""

_DRAW = (
    _PIXELS
    | {COVER + name: _covered(shape) for name, shape in _SHAPES.items()}
    | more.PIXELS
    | {f"{COVER}printed {name}": more.covered(shape) for name, shape in _SHAPES.items()}
    | {f"{COVER}{name}": more.covered(shape, drawn_texture) for name, shape in more.HEADS.items()}
)

FAMILIES: tuple[str, ...] = tuple(_DRAW)


def drawn(family: str, rng: np.random.Generator) -> Spoiler:
    """A spoiler of one family, with parameters at random.

    Args:
        family: one of ``FAMILIES``.
        rng: the same state gives the same spoiler.

    Raises:
        OptionError: there is no such family.
    """
    if family not in _DRAW:
        raise OptionError(f"expected one of {', '.join(FAMILIES)}, got {family!r}", option="family")
    return _DRAW[family](rng)


# ---- kinds ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A spoiler with fixed parameters.

    Attributes:
        spoiler: what it does.
        seen_family: whether a family does it, too, with other parameters, shapes or colors; a chain
            of families is seen if all of them are.
        covers: whether it hides a part of the face.
    """

    spoiler: Spoiler
    seen_family: bool
    covers: bool = False

    def __call__(self, image: Image, five: Points) -> Image:
        """Spoil a photo."""
        return self.spoiler(image, five)


def _seen(*spoilers: Spoiler) -> Kind:
    return Kind(chain(*spoilers), seen_family=True)


def _new(*spoilers: Spoiler) -> Kind:
    return Kind(chain(*spoilers), seen_family=False)


def _hidden(outlines: Sequence[Outline], texture: Texture, *more: Spoiler) -> Kind:
    return Kind(chain(cover(outlines, texture), *more), seen_family=True, covers=True)


def _newly_hidden(*spoilers: Spoiler) -> Kind:
    return Kind(chain(*spoilers), seen_family=False, covers=True)


NAMED: dict[str, Kind] = {
    "mosaic 15": _seen(pixels.mosaic(15)),
    "mosaic 12": _seen(pixels.mosaic(12)),
    "JPEG 5": _seen(pixels.jpeg(5)),
    "JPEG 1": _seen(pixels.jpeg(1)),
    "blur 5, noise 15": _seen(pixels.blur(5), pixels.noise(15)),
    "motion 25, noise 8": _seen(pixels.motion(25, 30), pixels.noise(8)),
    "skin mask": _hidden(covers.mask(0.42), covers.skin()),
    "eyes under a bar": _hidden(covers.bar(0.25), solid((0, 0, 0))),
    "negative": _seen(pixels.negative()),
}


# ---- textures and outlines that no family draws --------------------------------------------------

_BLACK, _WHITE = (18.0, 18.0, 21.0), (236.0, 236.0, 232.0)


def _pleats(color: Color) -> Texture:
    """Four folds across, each with its shadow."""

    def fill(patch: Patch) -> np.ndarray:
        fold = patch.y / 0.28 % 1
        return np.float32(color) * (1.06 - 0.3 * np.exp(-12 * fold))[..., None]

    return fill


def _seam(color: Color) -> Texture:
    """Folded about the middle: each side gets darker away from it."""

    def fill(patch: Patch) -> np.ndarray:
        shade = 1 - 0.25 * np.abs(patch.x) - 0.35 * (np.abs(patch.x) < 0.03)
        return np.float32(color) * (shade + 0 * patch.y)[..., None]

    return fill


def _rings(color: Color, other: Color, period: float) -> Texture:
    """Rings in a square grid: a printed cloth."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(12, period)
        radius = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
        ring = (np.abs(radius - 0.33) < 0.09) | (radius < 0.1)
        return np.where(ring[..., None], np.float32(color), np.float32(other))

    return fill


def _tartan(color: Color, other: Color, line: Color) -> Texture:
    """Bands across and down that mix where they cross, and thin lines."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(35, 0.7)
        mixed = ((u % 1 < 0.5) / 2 + (v % 1 < 0.5) / 2)[..., None]
        cloth = np.float32(color) * mixed + np.float32(other) * (1 - mixed)
        thin = (np.abs(u % 1 - 0.25) < 0.04) | (np.abs(v % 1 - 0.25) < 0.04)
        return np.where(thin[..., None], np.float32(line), cloth)

    return fill


def _smile(patch: Patch) -> np.ndarray:
    """A grin printed on black."""
    lips = (patch.x / 0.5) ** 2 + ((patch.y - 0.95 + 0.5 * patch.x**2) / 0.22) ** 2
    teeth = lips < 0.55
    made = np.where((lips < 1)[..., None], np.float32((190, 30, 40)), np.float32(_BLACK))
    gaps = np.abs(patch.x / 0.14 % 1 - 0.5) > 0.44
    return np.where((teeth & ~gaps)[..., None], np.float32(_WHITE), made)


def _scales(patch: Patch) -> np.ndarray:
    """Bright arcs on green."""
    row = np.floor(patch.y / 0.12)
    u, v = (patch.x / 0.2 + row / 2) % 1 - 0.5, patch.y / 0.12 % 1
    light = np.clip(1.2 - np.hypot(u * 1.6, v), 0, 1)[..., None]
    return np.float32((20, 70, 30)) + light * np.float32((150, 160, 60))


def _around(outer: Outline, inner: Outline) -> Outline:
    """A ring as one outline (even-odd rule)."""
    hole = list(reversed(inner))
    return [*outer, outer[0], *hole, hole[0], outer[0]]


def _both_sides(outline: Outline) -> list[Outline]:
    return [outline, [[-x, y] for x, y in outline]]


_PLEATED = [
    [[-0.95, 0.35], [0, 0.2], [0.95, 0.35], [0.95, 1.3], [0.6, 1.75], [-0.6, 1.75], [-0.95, 1.3]],
    *_both_sides([[0.9, 0.4], [1.4, 0.05], [1.43, 0.1], [0.93, 0.47]]),
    *_both_sides([[0.9, 1.25], [1.4, 0.7], [1.43, 0.75], [0.93, 1.32]]),
]
_BEAK = [
    [[0, 0.05], [0.35, 0.3], [1.05, 0.75], [0.75, 1.4], [0, 2.05], [-0.75, 1.4], [-1.05, 0.75]],
    [[-0.35, 0.3], [0, 0.05], [0.35, 0.3], [0, 0.6]],
]
_SCARF = [[[-1.6, 0.7], [-0.5, 0.45], [0.6, 0.62], [1.6, 0.5], [1.9, 2.6], [-1.9, 2.6]]]
_AVIATORS = [
    *_both_sides([[0.1, -0.2], [0.8, -0.22], [0.93, 0], [0.72, 0.42], [0.4, 0.47], [0.16, 0.2]]),
    rectangle(-0.2, -0.2, 0.2, -0.14),
]
_HEART = [[0.5, 0.45], [0.1, 0.02], [0.12, -0.22], [0.32, -0.3], [0.5, -0.14]]
_HEARTS = _both_sides([*_HEART, *([1 - x, y] for x, y in reversed(_HEART[1:-1]))])
_FRAMES = [
    *_both_sides(_around(ellipse(0.5, 0.04, 0.44, 0.34, 20), ellipse(0.5, 0.04, 0.34, 0.24, 20))),
    rectangle(-0.14, -0.08, 0.14, 0.02),
]
_VISOR = [[[-1.1, -0.5], [1.1, -0.5], [1.2, 0.1], [0.7, 0.5], [0, 0.3], [-0.7, 0.5], [-1.2, 0.1]]]
_CAP = [[[-1.5, -0.35], [0, -0.1], [1.5, -0.35], [1.15, -1.0], [0.6, -1.7], [-0.6, -1.7]]]
_NIQAB = [
    [[-1.7, 0.3], [0, 0.42], [1.7, 0.3], [2.0, 3.0], [-2.0, 3.0]],
    [[-1.7, -0.3], [0, -0.5], [1.7, -0.3], [1.5, -2.0], [-1.5, -2.0]],
]
_HOOD = [
    _around(
        rectangle(-2.4, -2.4, 2.4, 3.4),
        [[0, -0.75], [0.7, -0.4], [0.8, 0.6], [0.5, 1.35], [-0.5, 1.35], [-0.8, 0.6], [-0.7, -0.4]],
    )
]
_PALM = [
    [[0.75, 0.5], [1.9, 0.6], [1.9, 1.9], [0.8, 1.7]],
    *([[-0.75, y], [0.8, y - 0.05], [0.8, y + 0.26], [-0.7, y + 0.2]] for y in (0.55, 0.85, 1.15)),
    [[-0.45, 1.45], [0.8, 1.4], [0.8, 1.7], [-0.4, 1.62]],
]
_PHONE = [[[-0.2, -0.2], [1.1, -0.35], [1.35, 1.7], [0.05, 1.85]]]
_CUP = [
    [[-0.6, 0.55], [0.6, 0.55], [0.48, 1.9], [-0.48, 1.9]],
    _around(ellipse(0.75, 1.1, 0.35, 0.42, 16), ellipse(0.75, 1.1, 0.22, 0.28, 16)),
]
_BEARD = [
    _around(
        [[-0.95, 0.5], [0, 0.72], [0.95, 0.5], [0.9, 1.4], [0.4, 2.0], [-0.4, 2.0], [-0.9, 1.4]],
        ellipse(0, 1.02, 0.36, 0.13, 16),
    )
]
_PLASTERS = [
    [[-0.75, 0.3], [0.75, 0.42], [0.75, 0.68], [-0.75, 0.56]],
    [[0.35, -0.55], [0.62, -0.5], [0.5, 0.4], [0.24, 0.36]],
    [[-0.7, 0.9], [-0.3, 1.25], [-0.42, 1.4], [-0.84, 1.05]],
]
_FENCE = [
    [[x - 0.05, -1.8], [x + 0.05, -1.8], [x + lean + 0.05, 2.6], [x + lean - 0.05, 2.6]]
    for lean in (-2.0, 2.0)
    for x in np.arange(-3.2, 3.3, 0.55).tolist()
]
_WAR_PAINT = [
    [[-1.1, y], [1.1, y + 0.08], [1.1, y + 0.3], [-1.1, y + 0.22]] for y in (-0.75, 0.2, 0.85)
]
_FACE = [ellipse(0, 0.4, 1.15, 1.6, 40)]
_TILTED = [[[-1.2, -0.5], [1.15, 0.12], [1.2, 0.52], [-1.15, -0.1]]]
_DIAGONAL = [[[-2, -1.6], [1.4, -1.6], [-1.1, 2.4], [-2, 2.4]]]
_BELOW = [rectangle(-2.2, 0.62, 2.2, 3)]

UNSEEN: dict[str, Kind] = {
    # few pixels, compression
    "nearest 12": _new(pixels.low_resolution(12 / FACE_EYES, "nearest", "nearest")),
    "10 px, sharpened": _seen(pixels.low_resolution(10 / FACE_EYES), pixels.sharpen(4)),
    "16 px, sharpened": _seen(pixels.low_resolution(16 / FACE_EYES), pixels.sharpen(3, 3)),
    "CCTV 24": _seen(pixels.low_resolution(24 / FACE_EYES), pixels.noise(4), pixels.jpeg(25)),
    "mosaic 18, JPEG 10": _seen(pixels.mosaic(18), pixels.jpeg(10)),
    "JPEG 2000, 1:300": _new(media.jpeg2000(300)),
    "JPEG 2000, 1:150": _new(media.jpeg2000(150)),
    "blur 3.5, JPEG 8": _seen(pixels.blur(3.5), pixels.jpeg(8)),
    "gray, JPEG 3": _seen(pixels.grayscale(), pixels.jpeg(3)),
    # light
    "low light": _new(media.low_light(0.1, 34)),
    "motion, dark": _seen(pixels.motion(18, 80), pixels.gain(0.15, 3)),
    "fog": _new(media.fog(0.85, 235)),
    "misted pane": _new(media.misted(3)),
    "dark gamma, JPEG 20": _new(pixels.gamma(4), pixels.jpeg(20)),
    "side light, noise": _seen(pixels.side_light(0, 0.97), pixels.noise(18)),
    "overexposed, JPEG 10": _seen(pixels.gain(2.8), pixels.jpeg(10)),
    "solarized": _new(media.solarize(110)),
    "thermal, iron": _new(pixels.false_color(media.palette("iron"))),
    "thermal, arctic": _new(pixels.false_color(media.palette("arctic"))),
    "negative, blurred": _seen(pixels.negative(), pixels.blur(2.5)),
    # print and wear
    "error diffusion": _new(media.error_diffusion()),
    "4 colors, dithered": _new(media.few_colors(4, dithered=True)),
    "4 colors": _new(media.few_colors(4)),
    "newspaper": _new(media.newspaper(5)),
    "engraving": _new(media.engraving(5, 40)),
    "photocopy": _new(media.photocopy(40)),
    "watercolor": _seen(pixels.median(13), pixels.posterize(6), pixels.sharpen(2)),
    "sepia print": _new(media.faded(0.25, 25), media.scratches(25), pixels.jpeg(30)),
    "creases": _new(media.faded(0.5, 35), media.creases(), pixels.blur(1.2)),
    "scratches": _new(media.scratches(90)),
    # screens, tape, glass
    "screen": _new(media.screen(3.2, 0.6)),
    "moire": _new(media.moire(5, 0.5, 20)),
    "fringes": _new(media.fringes(9)),
    "VHS": _new(media.tape(2.5)),
    "interlaced": _new(media.interlaced(14)),
    "banding": _new(media.banding(45)),
    "lines, noise": _seen(pixels.lines(4, 0.5, 0, vertical=True), pixels.noise(15)),
    "rain": _new(media.rain(60)),
    "glass blocks": _new(media.glass_blocks(14, 0.8)),
    "echo": _new(media.echo(9)),
    # parts of the face hidden
    "pleated mask": _hidden(_PLEATED, _pleats((150, 190, 210))),
    "beak mask": _hidden(_BEAK, _seam(_WHITE)),
    "printed mask": _hidden(covers.mask(0.38), _rings((200, 40, 60), (235, 225, 215), 0.3)),
    "grin on a mask": _hidden(covers.mask(0.42), _smile),
    "tartan scarf": _hidden(_SCARF, _tartan((150, 20, 30), (25, 60, 40), (235, 220, 120))),
    "aviators": _hidden(_AVIATORS, covers.gradient((30, 26, 22), (120, 92, 60), 90, 0.8)),
    "heart glasses": _hidden(_HEARTS, solid((215, 60, 110))),
    "spectacles, painted": _hidden(_FRAMES, solid((25, 22, 22))),
    "ski visor": _hidden(_VISOR, covers.gradient((240, 120, 20), (60, 20, 90), 60, 1.5)),
    "beak mask and aviators": _hidden([*_BEAK, *_AVIATORS], _seam((70, 72, 80))),
    "pleated mask and visor": _hidden([*_PLEATED, *_VISOR], _pleats((200, 205, 210))),
    "printed mask and cap": _hidden([*_PLEATED, *_CAP], _rings((60, 70, 50), (130, 125, 95), 0.5)),
    "tilted bar": _hidden(_TILTED, solid((190, 20, 20))),
    "eyes pixelated": _newly_hidden(
        media.within(cover(covers.bar(0.3), solid((255, 255, 255))), pixels.mosaic(6))
    ),
    "mouth blurred": _newly_hidden(
        media.within(cover(covers.mask(0.4), solid((255, 255, 255)), 0.05), pixels.blur(9))
    ),
    "face pixelated": _newly_hidden(
        media.within(cover(_FACE, solid((255, 255, 255))), pixels.mosaic(11))
    ),
    "patterned hijab": _hidden(_HOOD, _rings((220, 190, 120), (90, 30, 70), 0.45)),
    "niqab": _hidden(_NIQAB, covers.grainy((24, 22, 26), 3, 5.0)),
    "half, diagonal": _hidden(_DIAGONAL, _tartan((40, 40, 48), (20, 20, 24), (60, 60, 66))),
    "lower half": _hidden(_BELOW, _pleats((70, 52, 40))),
    "palm": _hidden(_PALM, covers.flesh(5)),
    "phone": _hidden(_PHONE, covers.gradient((12, 12, 14), (52, 54, 60), 30, 1.4)),
    "cup": _hidden(_CUP, covers.gradient((245, 245, 240), (150, 150, 155), 0, 1.2)),
    "false beard": _newly_hidden(cover(_BEARD, covers.grainy((52, 38, 28), 8, 22.0), 0.03)),
    "plasters": _hidden(_PLASTERS, covers.dotted((186, 140, 105), (214, 172, 138), 20, 0.05)),
    "fence": _newly_hidden(cover(_FENCE, solid((70, 72, 70)))),
    "face paint": _newly_hidden(cover(_WAR_PAINT, covers.camouflage((30, 70, 30), _BLACK, 2))),
    "scaly mask": _hidden([*covers.mask(0.3, 1.1), *_VISOR], _scales),
    "veil": _newly_hidden(media.veil(cover(_FACE, _rings(_BLACK, (60, 56, 60), 0.12), 0.05), 0.35)),
    "pleated mask, JPEG 10": _hidden(_PLEATED, _pleats((150, 190, 210)), pixels.jpeg(10)),
    "aviators, 24 px": _hidden(_AVIATORS, solid(_BLACK), pixels.low_resolution(24 / FACE_EYES)),
    "beak mask, noise": _hidden(_BEAK, _seam((24, 24, 28)), pixels.noise(25)),
    "cap, motion": _hidden(_CAP, _tartan((30, 40, 90), _WHITE, _BLACK), pixels.motion(14, 10)),
}

_DRAWN_SINCE = ("honeycomb", "honeycomb, fine", "poster strips", "flicker")
"""Judged before families drew their like."""

FRESH: dict[str, Kind] = {
    **{
        name: Kind(spoiler, seen_family=name in _DRAWN_SINCE)
        for name, spoiler in (fresh.GLASS | fresh.SIGNALS).items()
    },
    **{name: _newly_hidden(spoiler) for name, spoiler in fresh.WORN.items()},
}
LATER: dict[str, Kind] = {
    **{name: _new(spoiler) for name, spoiler in (later.GLASS | later.LIGHT).items()},
    **{name: _newly_hidden(spoiler) for name, spoiler in later.WORN.items()},
}
UNSEEN |= FRESH | LATER

MILD: dict[str, Kind] = {
    "32 px": _seen(pixels.low_resolution(32 / FACE_EYES)),
    "JPEG 20": _seen(pixels.jpeg(20)),
    "blur 1.5": _seen(pixels.blur(1.5)),
}


# ---- a picture of them ---------------------------------------------------------------------------


def sheet(image: Image, five: Points, *, columns: int = 12, side: int = 140) -> Image:
    """All kinds, and one of each family, of one photo, as a picture with names."""
    import cv2

    rng = np.random.default_rng(1)
    tiles: dict[str, Spoiler] = {**NAMED, **UNSEEN, **MILD}
    tiles |= {f"[{family}]": drawn(family, rng) for family in FAMILIES}
    height = side + 14
    made = np.zeros((math.ceil(len(tiles) / columns) * height, columns * side, 3), np.uint8)
    left, top = np.maximum(np.asarray(five).mean(axis=0) - 85, 0).astype(int)
    for number, (name, spoiler) in enumerate(tiles.items()):
        y, x = (number // columns) * height, (number % columns) * side
        part = spoiler(image, five)[top : top + 170, left : left + 170]
        tile = cv2.resize(np.ascontiguousarray(part), (side - 4, side - 4))
        made[y : y + side - 4, x : x + side - 4] = tile
        at = (x + 2, y + side + 6)
        cv2.putText(made, name[:22], at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (255, 255, 255))
    return made


def main() -> None:
    """Write the picture."""
    import sys
    from pathlib import Path

    import PIL.Image

    import lineament

    demo = Path(lineament.__file__).parent / "data" / "demo" / "obama.jpg"
    photo = lineament.FaceFinder().find(demo)
    pixels_, five = photo.needed_pixels(), photo.faces[photo.require()].landmarks_xy
    scale = 42 / float(np.hypot(*(five[1] - five[0])))
    small = PIL.Image.fromarray(pixels_).resize(
        tuple(round(n * scale) for n in pixels_.shape[1::-1])
    )
    PIL.Image.fromarray(sheet(np.asarray(small), five * scale)).save(sys.argv[1])


if __name__ == "__main__":
    main()
