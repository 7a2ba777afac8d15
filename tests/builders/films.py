"""Small films for tests, made by PyAV itself and not by what is tested."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament.types import Image

MILLISECOND = Fraction(1, 1000)


def marked(number: int, size_wh: tuple[int, int] = (64, 48)) -> Image:
    """A picture that tells its number, 0 to 15, by its green, and its corner top left by red."""
    pixels = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    pixels[..., 1] = 16 * number
    pixels[: size_wh[1] // 2, : size_wh[0] // 2, 0] = 255
    return pixels


def number_of(pixels: Image) -> int:
    """The number of a picture that was ``marked``, after coding."""
    height, width = pixels.shape[:2]
    return round(
        float(np.median(pixels[height // 4 : -height // 4, width // 4 : -width // 4, 1])) / 16
    )


def make_film(
    path: Path,
    pictures: Sequence[Image],
    times_ms: Sequence[int] | None = None,
    *,
    form: str | None = None,
    codec: str = "mpeg4",
    sound: str | None = None,
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Write a film; its first picture sets the size.

    Args:
        path: of the film.
        pictures: (H, W, 3) uint8, of one size.
        times_ms: of the pictures; None: every 40 ms.
        form: FFmpeg's name of the kind of file; None: by the path.
        codec: of the pictures.
        sound: codec of a tone that lasts as long as the film; None: silence.
        options: of the encoder.
        aspect: width of a pixel by its height.
    """
    av = pytest.importorskip("av")
    times = [40 * k for k in range(len(pictures))] if times_ms is None else times_ms
    with av.open(str(path), "w", format=form) as film:
        stream = film.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = MILLISECOND
        stream.codec_context.options = {"b": "4000000", **(options or {})}
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        tone = None if sound is None else film.add_stream(sound, rate=44_100)
        for pixels, time_ms in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time_ms, MILLISECOND
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
        if tone is not None:
            _hum(av, film, tone, (times[-1] + 40) / 1000)
    return path


def _hum(av: Any, film: Any, stream: Any, duration_s: float) -> None:
    for start in range(0, int(44_100 * duration_s), 1024):
        wave = np.sin(np.arange(start, start + 1024) * (2 * np.pi * 440 / 44_100))
        frame = av.AudioFrame.from_ndarray((8000 * wave).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
        film.mux(stream.encode(frame))
    film.mux(stream.encode())


def sound_of(path: Path) -> tuple[str, list[bytes]]:
    """The codec and the packets of a film's sound."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        packets = [bytes(each) for each in film.demux(stream) if each.dts is not None]
        return stream.codec_context.name, packets


def turn_film(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix (a, b, c, d) of ISO/IEC 14496-12 into an MP4's track header."""
    data = bytearray(path.read_bytes())
    plain = b"".join(n.to_bytes(4, "big") for n in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    a, b, c, d = (n << 16 for n in matrix)
    turned = b"".join(n.to_bytes(4, "big", signed=True) for n in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    place = data.index(plain, data.index(b"tkhd"))
    data[place : place + 36] = turned
    path.write_bytes(data)
    return path
