"""Aligned crops made worse: mildly to moderately, so that a person would still know who it is.

Each kind takes a crop (112, 112, 3) uint8 RGB, a strength from 0 (mild) to 1 (the worst that is
used) and a generator of random numbers, and returns a crop of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Crop = npt.NDArray[np.uint8]
Kind = Callable[[Crop, float, np.random.Generator], Crop]

PX = 112
EYES_Y, MOUTH_Y, MIDDLE_X = 51.6, 92.3, 56.0
"""Of ArcFace's template, in pixels of the crop."""


def _between(mild: float, bad: float, strength: float, random: np.random.Generator) -> float:
    """An amount on the way from mild to bad: ``strength`` of it, or up to a fifth more or less."""
    return mild + (bad - mild) * float(np.clip(strength + random.uniform(-0.2, 0.2), 0, 1))


def _bytes(values: npt.NDArray[np.floating]) -> Crop:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def small(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """A face of few pixels, made larger again: the crop has 32 down to 16 pixels a side."""
    side = round(_between(32, 16, strength, random))
    less = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    more = cv2.INTER_CUBIC if random.random() < 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(less, (PX, PX), interpolation=more), np.uint8)


def _jpeg(crop: Crop, quality: int) -> Crop:
    data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    read = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert read is not None
    return np.ascontiguousarray(read[..., ::-1].astype(np.uint8, copy=False))


def compressed(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """JPEG of quality 20 down to 6, of a face half as large or as it is."""
    quality = round(_between(20, 6, strength, random))
    if random.random() < 0.5:
        return _jpeg(crop, max(1, quality - 3))
    half = cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(_jpeg(half, quality + 6), (PX, PX)), np.uint8)


def blurred(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """Out of focus (sigma of 1.2 to 3 pixels) or moved (5 to 15), and a little noise."""
    if random.random() < 0.5:
        sigma = _between(1.2, 3.0, strength, random)
        values = cv2.GaussianBlur(crop, (0, 0), sigma).astype(np.float32)
    else:
        length = round(_between(5, 15, strength, random))
        kernel = np.zeros((length, length), np.float32)
        angle, middle = random.uniform(0, np.pi), (length - 1) / 2
        x, y = middle * np.cos(angle), middle * np.sin(angle)
        ends = [(round(middle + s * x), round(middle + s * y)) for s in (-1, 1)]
        cv2.line(kernel, *ends, 1.0)
        values = cv2.filter2D(crop, -1, kernel / kernel.sum()).astype(np.float32)
    return _bytes(values + random.normal(0, 3, crop.shape))


def dark(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """An eighth to a thirtieth of the light, more on one side, with a sensor's noise.

    A camera then makes the picture half as light as the crop was, and the noise larger with it:
    one that stayed so dark would be refused as too dark, whoever looked at it.
    """
    gain = np.exp(_between(np.log(1 / 8), np.log(1 / 30), strength, random))
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:PX, :PX] / PX - 0.5
    side = 1 + 0.8 * (np.cos(angle) * x + np.sin(angle) * y)
    light = crop.astype(np.float32) * (gain * side[..., None])
    seen = _bytes(light + random.normal(0, 1.2, crop.shape))
    return _bytes(seen.astype(np.float32) * (0.5 / gain))


def covered(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """A mask, sunglasses, or something before a side of the face, in any color or pattern."""
    out = crop.copy()
    cover = np.zeros((PX, PX), np.uint8)
    which = random.integers(3)
    if which == 0:  # a mask, from the chin up to the tip of the nose or its bridge
        top = _between(84, 66, strength, random)
        shape = [(12, top + 8), (MIDDLE_X, top), (PX - 12, top + 8), (PX - 16, PX), (16, PX)]
        cv2.fillPoly(cover, [np.array(shape, np.int32)], 255)
    elif which == 1:  # two glasses and what joins them
        radius = _between(10, 17, strength, random)
        for x in (38.3, 73.5):
            axes = (round(1.15 * radius), round(0.9 * radius))
            cv2.ellipse(cover, (round(x), round(EYES_Y)), axes, 0, 0, 360, 255, -1)
        cv2.line(cover, (2, round(EYES_Y) - 4), (PX - 2, round(EYES_Y) - 4), 255, 3)
    else:
        width = round(_between(22, 48, strength, random))
        if random.random() < 0.5:
            cover[:, :width] = 255
        else:
            cover[:, PX - width :] = 255
    color = random.uniform(10, 245, 3)
    paint = np.ones((PX, PX, 1)) * color
    if random.random() < 0.5:  # stripes
        y, x = np.mgrid[:PX, :PX]
        angle, step = random.uniform(0, np.pi), random.uniform(6, 20)
        wave = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / step)
        paint = paint + 40 * np.sign(wave)[..., None]
    paint = paint + random.normal(0, 4, crop.shape)
    out[cover > 0] = _bytes(paint)[cover > 0]
    return out


def aged(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """Another shape, skin and photograph of the same face: a stand-in for years between two photos.

    A smooth random warp (cheeks, brows and jaw move by some pixels), a wider or longer face, a
    coarse texture of the skin, another light, contrast and tint, half of them without color.
    """
    moved = _between(1.0, 5.0, strength, random)
    y, x = np.mgrid[:PX, :PX].astype(np.float32)
    shift = random.normal(0, 1, (2, PX, PX)).astype(np.float32)
    shift = np.stack([cv2.GaussianBlur(part, (0, 0), 14) for part in shift])
    shift *= moved / np.sqrt((shift**2).sum(axis=0)).max()
    stretch = 1 + random.uniform(-1, 1) * _between(0.02, 0.1, strength, random)
    to_x = (x - MIDDLE_X) * np.float32(stretch) + MIDDLE_X + shift[0]
    warped = cv2.remap(crop, to_x, y + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    values = warped.astype(np.float32) / 255
    rough = random.normal(0, 1, (PX, PX)).astype(np.float32)
    rough = cv2.GaussianBlur(rough, (0, 0), 1.2) - cv2.GaussianBlur(rough, (0, 0), 4)
    light = cv2.GaussianBlur(random.normal(0, 1, (PX, PX)).astype(np.float32), (0, 0), 24)
    values += _between(0.02, 0.25, strength, random) * rough[..., None]
    values *= 1 + _between(0.1, 0.5, strength, random) * (light / np.abs(light).max())[..., None]
    if random.random() < 0.5:
        values[:] = values.mean(axis=2, keepdims=True)
    gamma = np.exp(random.uniform(-1, 1) * _between(0.2, 0.7, strength, random))
    values = np.clip(values, 0, 1) ** gamma
    tint = 1 + random.uniform(-1, 1, 3) * _between(0.05, 0.2, strength, random)
    return _bytes(255 * values * tint)


def misaligned(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """Landmarks that are off: turned by 8 to 20 degrees, another size and place in the crop."""
    turn = _between(8, 20, strength, random) * random.choice([-1, 1])
    scale = np.exp(random.uniform(-1, 1) * _between(0.08, 0.2, strength, random))
    matrix = cv2.getRotationMatrix2D((MIDDLE_X, MIDDLE_X), turn, scale)
    matrix[:, 2] += random.uniform(-1, 1, 2) * _between(3, 9, strength, random)
    return np.asarray(
        cv2.warpAffine(crop, matrix, (PX, PX), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


KINDS: dict[str, Kind] = {
    "small": small,
    "compressed": compressed,
    "blurred": blurred,
    "dark": dark,
    "covered": covered,
    "aged": aged,
    "misaligned": misaligned,
}


def one_of(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """Any of the kinds."""
    return list(KINDS.values())[random.integers(len(KINDS))](crop, strength, random)


def mixed(crop: Crop, strength: float, random: np.random.Generator) -> Crop:
    """Two kinds, one after the other, each milder than one would be alone."""
    kinds = list(KINDS.values())
    for number in random.choice(len(kinds), 2, replace=False):
        crop = kinds[number](crop, strength / 2, random)
    return crop


ALL_KINDS: dict[str, Kind] = {**KINDS, "one of these": one_of, "mixed": mixed}
