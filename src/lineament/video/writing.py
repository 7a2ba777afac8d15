"""Frames -> a film, with the times and the sound of the source that they come from."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from lineament.errors import LineamentError, OptionError, VideoError
from lineament.files import beside
from lineament.machine import processors, raise_if_short
from lineament.text import printable, reason_of
from lineament.types import Image
from lineament.video._container import DEFAULT_RATE, DEMUXERS, pyav
from lineament.video.frames import FrameSource, VideoFrame

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Endings of films that are written: of kinds that keep every frame's own time (AVI does not)."""

_ENCODERS = {"webm": ("libvpx-vp9", "libvpx")}
_USUAL_ENCODERS = ("libx264", "libopenh264", "mpeg4")
_SOUND = {"webm": ("libopus", "opus", "libvorbis", "vorbis")}
_USUAL_SOUND = ("aac",)

_NO_NEGATIVE = ("matroska", "webm")
"""Kinds of films in which nothing comes before 0. The samples by which AAC warms up do, and would
move all pictures; they are not heard anyway."""

_CLOCK = Fraction(1, 90_000)
"""Seconds: the unit of times in MPEG, in which all usual rates are whole numbers."""

_HD_ROWS = 720
"""From so many rows on colors are coded by ITU-R BT.709, below by BT.601, as players expect."""

DEFAULT_QUALITY = 20
"""Of x264: 18 can hardly be told from the original, 28 is small and coarse."""


class FilmWriter:
    """Writes a film; it has its name when it is whole, and never before.

    The frames keep their times, however uneven. The sound of the source is copied as it is, where
    it is a film in a file; sound that the kind of film cannot hold is encoded anew (AAC, in WebM
    Opus). Nothing else goes over: no title, no place, no thumbnail.

    Attributes:
        path: of the film.
        n_frames: number of frames that were written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        like: FrameSource,
        *,
        audio: bool = True,
        quality: int = DEFAULT_QUALITY,
    ) -> None:
        """Begin a film.

        Args:
            path: ends in one of ``FORMATS``; its folder must exist. A file that exists is replaced
                in the end.
            like: where the frames come from: their rate and clock, and the sound.
            audio: take the sound over.
            quality: 0 (nothing is lost) to 51, as x264's constant rate factor.

        Raises:
            OptionError: another ending, the file of the source itself, a folder that does not
                exist or cannot be written to.
            MissingExtraError: PyAV is not installed (the extra ``video``).
        """
        self.path = Path(path)
        self.n_frames = 0
        form = FORMATS.get(self.path.suffix.lower())
        if form is None:
            raise OptionError(
                f"expected a name that ends in {', '.join(FORMATS)}, got {printable(str(path))}"
            )
        if not 0 <= quality <= 51:
            raise OptionError(f"expected 0 to 51, got {quality}", option="quality")
        source_path = getattr(like, "path", None)
        if source_path is not None and self.path.exists() and self.path.samefile(source_path):
            raise OptionError(f"{printable(str(path))}: this is the film itself; name another file")
        self._form, self._quality, self._like = form, quality, like
        self._rate = Fraction(like.info.rate or DEFAULT_RATE).limit_denominator(1001)
        self._clock = _clock_of(like)
        self._last_pts = -1
        self._size: tuple[int, int] | None = None
        self._video: Any = None
        self._sound: _Sound | None = None
        self._stack = ExitStack()
        self._open = True
        try:
            new = self._stack.enter_context(beside(self.path))
            new.open("xb").close()  # PyAV opens it when the first packet is written
            options = {"movflags": "+faststart"} if form in ("mp4", "mov") else {}
            self._output = pyav().open(str(new), "w", format=form, options=options)
            self._new = new
            if audio and source_path is not None and like.info.has_audio:
                self._sound = _Sound(source_path, getattr(like, "start_s", 0.0), self._output, form)
        except LineamentError:
            self.discard()
            raise
        except Exception as error:
            self.discard()
            raise self._unwritable(error) from error

    def write(self, frame: VideoFrame) -> None:
        """Add a frame; its time is after that of the one before.

        The first one sets the size (made even by repeating the last row or column); others are
        scaled to fit, with black borders where their shape differs.

        Raises:
            OptionError: the disk is full, or the file cannot be written any more.
            VideoError: the film was closed.
        """
        if not self._open:
            raise VideoError(f"{self.path}: the film is closed; begin another one")
        try:
            if self._video is None:
                self._begin(frame)
            assert self._size is not None
            pixels = fitted(frame.pixels, self._size)
            picture = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=self._matrix)
            picture.pts = max(self._last_pts + 1, round(frame.time_s / self._clock))
            picture.time_base = self._clock
            self._last_pts = picture.pts
            for packet in self._video.encode(picture):
                self._output.mux(packet)
            self.n_frames += 1
            if self._sound is not None:
                self._sound.write(until_s=frame.time_s)
        except LineamentError:
            raise
        except Exception as error:
            raise self._unwritable(error) from error

    def _begin(self, frame: VideoFrame) -> None:
        width, height = frame.size_wh
        self._size = (width + width % 2, height + height % 2)
        is_hd = height >= _HD_ROWS
        self._matrix = "ITU709" if is_hd else "ITU601"
        name = _encoder(_ENCODERS.get(self._form, _USUAL_ENCODERS))
        stream = self._output.add_stream(name, rate=self._rate)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = self._clock
        stream.codec_context.thread_count = processors()
        stream.codec_context.options = {
            **_options(name, self._quality),
            "colorspace": "bt709" if is_hd else "smpte170m",
            "color_primaries": "bt709" if is_hd else "smpte170m",
            "color_trc": "bt709" if is_hd else "smpte170m",
        }
        self._video = stream
        if self._sound is not None:
            self._sound.begin()

    def close(self) -> None:
        """Finish the film and give it its name; a second call does nothing.

        The sound goes on to its end where the source did, else to the last frame. Without a frame
        there is no film, and no file.

        Raises:
            OptionError: the disk is full, or the file cannot be written any more.
        """
        if not self._open:
            return
        if not self.n_frames:
            self.discard()
            return
        self._open = False
        try:
            for packet in self._video.encode():
                self._output.mux(packet)
            if self._sound is not None:
                ended = getattr(self._like, "ended", True)
                self._sound.finish(None if ended else float(self._last_pts * self._clock))
            self._output.close()
            self._stack.close()
        except Exception as error:
            self._stack.__exit__(type(error), error, None)
            raise self._unwritable(error) from error

    def discard(self) -> None:
        """Give the film up: nothing of it stays, and a file of its name is as it was."""
        self._open = False
        if self._sound is not None:
            self._sound.close()
            self._sound = None
        output = getattr(self, "_output", None)
        if output is not None and self._video is not None:
            try:
                output.close()
            except Exception as error:  # of what is thrown away
                raise_if_short(error)
        self._stack.__exit__(VideoError, VideoError("given up"), None)

    def _unwritable(self, error: Exception) -> LineamentError:
        raise_if_short(error, f"to write {self.path}")
        return OptionError(
            f"{self.path}: cannot be written ({reason_of(error)}); name a file in a folder that "
            "exists and that you may write to"
        )

    def __enter__(self) -> Self:
        """For a ``with`` block: finished at its end and by Ctrl-C, given up by other exceptions."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish it, or give it up."""
        if kind is None or issubclass(kind, (KeyboardInterrupt, GeneratorExit)):
            self.close()
        else:
            self.discard()


def _clock_of(like: FrameSource) -> Fraction:
    """The unit of times: that of the source where it is fine enough, so that none is rounded."""
    own = getattr(like, "time_base", None)
    if isinstance(own, Fraction) and own.numerator == 1 and 1000 <= own.denominator <= 1_000_000:
        return own
    return _CLOCK


def _encoder(names: tuple[str, ...]) -> str:
    """The first one that is there. VideoError: none is."""
    av = pyav()
    for name in names:
        try:
            av.Codec(name, "w")
        except ValueError:  # PyAV's UnknownCodecError is one
            continue
        return name
    raise VideoError(f"none of {', '.join(names)} is in this FFmpeg; install PyAV from its wheels")


def _options(encoder: str, quality: int) -> dict[str, str]:
    if encoder == "libx264":
        return {"crf": str(quality), "preset": "veryfast"}
    if encoder.startswith("libvpx"):
        return {"crf": str(quality), "b": "0", "deadline": "realtime", "cpu-used": "8"}
    return {"b": "8000000"}


def fitted(pixels: Image, size_wh: tuple[int, int]) -> Image:
    """Pixels in a frame of another size: as they are but for one row or column, or scaled."""
    height, width = pixels.shape[:2]
    right, below = size_wh[0] - width, size_wh[1] - height
    if not right and not below:
        return pixels
    if right in (0, 1) and below in (0, 1):
        return np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
    scale = min(size_wh[0] / width, size_wh[1] / height)
    new = max(1, round(width * scale)), max(1, round(height * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    result = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    left, top = (size_wh[0] - new[0]) // 2, (size_wh[1] - new[1]) // 2
    resized = cv2.resize(pixels, new, interpolation=kind)
    result[top : top + new[1], left : left + new[0]] = resized
    return result


def _can_hold(form: str, stream: Any) -> bool:
    """Whether a kind of film holds such sound as it is: one without pictures is begun with it."""
    if stream.codec_context is None:
        return False
    if form == "mp4" and stream.codec_context.name.startswith("pcm_"):
        return False  # by the standard it does, but few players know
    try:
        with pyav().open(io.BytesIO(), "w", format=form) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except Exception as error:
        raise_if_short(error)
        return False
    return True


class _Sound:
    """The sound of a film, which goes over to another one packet by packet."""

    def __init__(self, path: Path, start_s: float, output: Any, form: str) -> None:
        av = pyav()
        options = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "file"}
        self._input = av.open(f"file:{path}", "r", options=options)
        self._start_s, self._output = start_s, output
        self._copies: dict[int, Any] = {}
        self._encoders: dict[int, Any] = {}
        self._form = form
        self._pending: Any = None
        self._packets: Iterator[Any] = iter(())

    def begin(self) -> None:
        """Add the streams, after that of the pictures."""
        streams = list(self._input.streams.audio)
        for stream in streams:
            if _can_hold(self._form, stream):
                self._copies[stream.index] = self._output.add_stream_from_template(stream)
            elif stream.codec_context is not None:
                encoder = _encoder(_SOUND.get(self._form, _USUAL_SOUND))
                rate = 48_000 if "opus" in encoder else stream.codec_context.sample_rate
                self._encoders[stream.index] = self._output.add_stream(encoder, rate=rate)
        wanted = [each for each in streams if each.index in {**self._copies, **self._encoders}]
        if wanted:
            self._packets = self._input.demux(*wanted)

    def write(self, until_s: float | None) -> None:
        """Write what is heard up to a time; None: all that is left."""
        while True:
            packet, self._pending = self._pending or self._next(), None
            if packet is None:
                return
            time_s = float((packet.pts or packet.dts or 0) * packet.time_base) - self._start_s
            if until_s is not None and time_s > until_s:
                self._pending = packet
                return
            if not (time_s < 0 and self._form in _NO_NEGATIVE):
                self._put(packet)

    def _next(self) -> Any:
        try:
            for packet in self._packets:
                if packet.dts is not None:
                    return packet
        except Exception as error:  # a broken end; the pictures' own says so
            raise_if_short(error)
        return None

    def _put(self, packet: Any) -> None:
        index = packet.stream.index
        if index in self._encoders:
            for frame in packet.decode():
                self._encode(index, frame)
            return
        shift = round(self._start_s / packet.time_base)
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        packet.stream = self._copies[index]
        self._output.mux(packet)

    def _encode(self, index: int, frame: Any) -> None:
        if frame is not None and frame.pts is not None:
            frame.pts -= round(self._start_s / frame.time_base)
        for packet in self._encoders[index].encode(frame):
            self._output.mux(packet)

    def finish(self, until_s: float | None) -> None:
        """Write the rest, and close the source."""
        self.write(until_s)
        for index in self._encoders:
            self._encode(index, None)
        self.close()

    def close(self) -> None:
        """Close the source."""
        self._input.close()
