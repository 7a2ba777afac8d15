"""More families to fit on: bent pictures, signals gone wrong, heads wrapped in printed cloth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spoiling import cloths, pixels, signals, warps
from spoiling.covers import Color, Outline, Texture, cover
from spoiling.frame import Spoiler, chain

Draw = Callable[[np.random.Generator], Spoiler]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is drawn evenly."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def drawn_color(rng: np.random.Generator) -> Color:
    """A third of them dark, some pale or gray, the rest anything."""
    kind = rng.random()
    if kind < 0.3:
        return (rng.integers(0, 60) + rng.integers(0, 12, 3)).tolist()
    if kind < 0.42:
        return (rng.integers(190, 246) + rng.integers(0, 10, 3)).tolist()
    if kind < 0.55:
        return (rng.integers(60, 190) + rng.integers(0, 25, 3)).tolist()
    return rng.integers(0, 256, 3).tolist()


# ---- bent, and gone wrong on the way -------------------------------------------------------------


def _reeded(rng: np.random.Generator) -> Spoiler:
    profile = (("sharp", "round", "cubic")[rng.integers(3)],)
    return warps.reeded(
        log_uniform(rng, 5, 24), rng.uniform(0.4, 1.5), rng.uniform(0, 180), *profile
    )


def _rippled(rng: np.random.Generator) -> Spoiler:
    middle = rng.uniform(-1, 1), rng.uniform(-0.5, 1.5)
    return warps.ripples(log_uniform(rng, 1.5, 8), log_uniform(rng, 10, 60), *middle)


def _bubbles(rng: np.random.Generator) -> Spoiler:
    return warps.bubbles(log_uniform(rng, 8, 36), rng.uniform(-0.9, 0.9) * 1.5)


def _shards(rng: np.random.Generator) -> Spoiler:
    size = log_uniform(rng, 10, 50)
    return warps.shards(size, rng.uniform(0.1, 0.4) * size, int(rng.integers(1 << 30)))


def _wobble(rng: np.random.Generator) -> Spoiler:
    size = log_uniform(rng, 5, 40)
    return warps.wobble(rng.uniform(0.15, 0.4) * size, size, int(rng.integers(1 << 30)))


def _torn(rng: np.random.Generator) -> Spoiler:
    band, wander = log_uniform(rng, 3, 20), (0.0, 0.5, 0.9)[rng.integers(3)]
    return warps.torn(log_uniform(rng, 1.5, 8), band, vertical=bool(rng.integers(2)), wander=wander)


def _lens(rng: np.random.Generator) -> Spoiler:
    if rng.integers(2):
        return warps.swirl(rng.uniform(20, 90) * (-1, 1)[rng.integers(2)], rng.uniform(1.2, 2.5))
    bend = (rng.uniform(-0.8, -0.3), rng.uniform(0.4, 1.5))[rng.integers(2)]
    return warps.lens(bend, rng.uniform(-0.5, 0.5), rng.uniform(0, 1), rng.uniform(1, 2.5))


def _tiled(rng: np.random.Generator) -> Spoiler:
    return warps.tiled(log_uniform(rng, 8, 30), rng.uniform(-0.8, 0.8), rng.uniform(0, 90))


def _lattice(rng: np.random.Generator) -> Spoiler:
    bend = rng.uniform(0.3, 1.2) * (1, 1, -1)[rng.integers(3)]
    shape = rng.uniform(0, 0.5), rng.uniform(0.7, 1.1), rng.uniform(0, 180)
    return warps.lattice(log_uniform(rng, 7, 30), bend, *shape)


def _strips(rng: np.random.Generator) -> Spoiler:
    steps = rng.normal(0, 1, int(rng.integers(2, 9))).tolist()
    width, degrees = log_uniform(rng, 4, 25), (0.0, 90.0, rng.uniform(0, 180))[rng.integers(3)]
    return warps.strips(width, log_uniform(rng, 2, 12), degrees, tuple(steps))


def _colored_waves(rng: np.random.Generator) -> Spoiler:
    shifts = rng.uniform(-1.5, 1.5, 2) * (0, 1, 1)[rng.integers(3)]
    width, depth = log_uniform(rng, 12, 90), rng.uniform(0.3, 0.9)
    return signals.colored_waves(
        width, depth, rng.uniform(0, 180), (shifts[0], shifts[1]), fixed=bool(rng.integers(2))
    )


def _smeared(rng: np.random.Generator) -> Spoiler:
    by = rng.uniform(-8, 8, 2)
    wash = signals.smeared_color(log_uniform(rng, 4, 40), *by)
    more = (signals.stronger_color(rng.uniform(1, 4)), signals.stronger_color(rng.uniform(-1, 1)))
    return chain(wash, more[rng.integers(2)])


def _color_noise(rng: np.random.Generator) -> Spoiler:
    return signals.color_noise(log_uniform(rng, 15, 90), log_uniform(rng, 2, 30))


def _aberration(rng: np.random.Generator) -> Spoiler:
    return chain(
        signals.aberration(rng.uniform(0.03, 0.2) * (-1, 1)[rng.integers(2)]),
        signals.carrier(log_uniform(rng, 2, 6), rng.uniform(0, 3), rng.uniform(0, 180)),
    )


def _dim_lines(rng: np.random.Generator) -> Spoiler:
    return signals.dim_lines(
        log_uniform(rng, 3, 20),
        rng.uniform(0.3, 0.95),
        rng.uniform(0, 180),
        soft=bool(rng.integers(2)),
    )


def _bad_tape(rng: np.random.Generator) -> Spoiler:
    """Several faults at once."""
    faults = [_smeared(rng), _torn(rng), _dim_lines(rng), _dropouts(rng), _color_noise(rng)]
    chosen = rng.permutation(5)[: rng.integers(2, 4)]
    return chain(*(faults[i] for i in chosen), pixels.noise(rng.uniform(0.5, 15)))


def _dropouts(rng: np.random.Generator) -> Spoiler:
    many, copies = int(log_uniform(rng, 10, 150)), bool(rng.integers(2))
    return signals.dropouts(many, log_uniform(rng, 10, 80), rng.uniform(1, 6), copies=copies)


def _lost_blocks(rng: np.random.Generator) -> Spoiler:
    where = log_uniform(rng, 6, 24), rng.uniform(0.1, 0.6), int(rng.integers(1 << 30))
    return signals.lost_blocks(*where)


def _two(first: Draw, second: Draw) -> Draw:
    return lambda rng: chain(first(rng), second(rng))


def _mild_blur(rng: np.random.Generator) -> Spoiler:
    return pixels.blur(log_uniform(rng, 0.8, 3))


def _mild_jpeg(rng: np.random.Generator) -> Spoiler:
    return pixels.jpeg(int(log_uniform(rng, 4, 30)))


def _any_bent(rng: np.random.Generator) -> Spoiler:
    return BENT[list(BENT)[rng.integers(len(BENT))]](rng)


BENT: dict[str, Draw] = {
    "reeded glass": _reeded,
    "ripples": _rippled,
    "bubbles": _bubbles,
    "shards": _shards,
    "uneven glass": _wobble,
    "torn": _torn,
    "lens": _lens,
    "tiled glass": _tiled,
    "lenses that touch": _lattice,
    "strips": _strips,
}

PIXELS: dict[str, Draw] = {
    **BENT,
    "smeared color": _smeared,
    "color noise": _color_noise,
    "aberration": _aberration,
    "dim lines": _dim_lines,
    "bands of light": _colored_waves,
    "bad tape": _bad_tape,
    "dropouts": _dropouts,
    "lost blocks": _lost_blocks,
    "bent, blurred": _two(_any_bent, _mild_blur),
    "bent, JPEG": _two(_any_bent, _mild_jpeg),
}

# ---- heads wrapped -------------------------------------------------------------------------------


def drawn_cloth(rng: np.random.Generator) -> Texture:
    """One of sixteen rich textures, with colors, direction and size at random."""
    color, other, third = drawn_color(rng), drawn_color(rng), drawn_color(rng)
    degrees, period = rng.uniform(0, 180), log_uniform(rng, 0.1, 0.9)
    seed, size = int(rng.integers(1 << 30)), log_uniform(rng, 0.06, 0.4)
    two, far = (color, other), (rng.uniform(-2, 2), rng.uniform(-2, 3))
    made = (
        cloths.zigzag(*two, degrees, period),
        cloths.crosses(*two, degrees, period),
        cloths.diamonds(*two, degrees, period),
        cloths.grid(*two, degrees, period),
        cloths.curls(*two, degrees, period),
        cloths.targets(*two, *far, period),
        cloths.contours(*two, seed, size * 2, rng.uniform(0.5, 2)),
        cloths.spots(*two, third, seed, size),
        cloths.mixed((color, other, third), seed, size),
        cloths.many_stripes((color, other, third, drawn_color(rng)), degrees, period * 2),
        cloths.repeated(two, seed, int(rng.integers(3, 7)), degrees, period),
        cloths.repeated((color, other, third), seed, int(rng.integers(3, 9)), 0, period * 1.5),
        cloths.petals(*two, int(rng.integers(3, 8)), rng.uniform(0.05, 0.16), degrees, period),
        cloths.strands(color, rng.uniform(10, 60), seed, degrees, size / 3),
        cloths.strands(color, rng.uniform(10, 60), seed, rng.uniform(-25, 25), size / 3),
        cloths.rough(color, rng.uniform(8, 35), seed),
    )
    return made[rng.integers(len(made))]


HEADS: dict[str, Callable[[np.random.Generator], list[Outline]]] = {
    "hood": lambda r: cloths.hood(
        r.uniform(0.65, 1.0), r.uniform(-0.8, -0.25), r.uniform(1.25, 1.8)
    ),
    "pointed hood": lambda r: cloths.pointed_hood(
        r.uniform(0.65, 0.95), r.uniform(-0.9, -0.4), r.uniform(1.2, 1.7)
    ),
    "hat": lambda r: cloths.hat(r.uniform(-0.45, -0.1), r.uniform(-0.15, 0.15), r.uniform(1.2, 2)),
    "turban": lambda r: cloths.turban(r.uniform(-0.5, -0.15), r.uniform(1, 1.4)),
    "collar": lambda r: cloths.collar(r.uniform(0.95, 1.5), r.uniform(-0.1, 0.35)),
    "curtains": lambda r: cloths.curtains(
        r.uniform(0.45, 0.95), r.uniform(-1, -0.2), r.uniform(-0.4, 0.4)
    ),
    "headscarf": lambda r: cloths.headscarf(
        r.uniform(0.7, 1.0), r.uniform(-0.8, -0.2), r.uniform(1.25, 1.8)
    ),
    "helmet": lambda r: cloths.helmet(
        r.uniform(0.75, 1.1), r.uniform(-0.5, -0.15), r.uniform(0.1, 0.6)
    ),
    "surround": lambda r: cloths.surround(
        r.uniform(0.65, 1.1), r.uniform(-0.8, -0.25), r.uniform(1.2, 1.9)
    ),
    "hat and collar": lambda r: [
        *cloths.hat(r.uniform(-0.45, -0.15), 0, r.uniform(1.2, 2)),
        *cloths.collar(r.uniform(1.1, 1.5), 0.2),
    ],
}


def covered(
    shape: Callable[[np.random.Generator], list[Outline]],
    other: Callable[[np.random.Generator], Texture] = drawn_cloth,
) -> Draw:
    """Covers of a shape, filled with rich textures, or in a third of the cases with another."""

    def draw(rng: np.random.Generator) -> Spoiler:
        outlines = shape(rng)
        texture = (drawn_cloth, drawn_cloth, other)[rng.integers(3)](rng)
        return cover(outlines, texture, (0.0, 0.0, 0.06)[rng.integers(3)])

    return draw
