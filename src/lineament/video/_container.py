"""One film or stream that is open in PyAV: its frames, their times, the right way up.

PyAV is imported here and in ``writing``, inside functions only.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from lineament.errors import (
    LineamentError,
    MissingExtraError,
    VideoError,
    VideoFormatError,
    VideoNotFoundError,
    VideoTooLargeError,
)
from lineament.machine import processors, raise_if_short
from lineament.text import counted, reason_of
from lineament.types import Image
from lineament.video.frames import SourceInfo, SourceNote, VideoLimits

DEFAULT_RATE = 30.0
"""Frames a second where nothing says."""

DEMUXERS = (
    *("3gp", "apng", "asf", "av1", "avi", "dv", "flv", "gif", "h264", "hevc", "ivf", "m4v"),
    *("matroska", "mjpeg", "mov", "mp4", "mpeg", "mpegts", "mpegvideo", "mpjpeg", "mxf", "nut"),
    *("obu", "ogg", "rm", "vvc", "webm", "wtv", "yuv4mpegpipe"),
)
"""FFmpeg's names of what is read from a file. Not among them is what leads to other files or
addresses (playlists of HLS and DASH, ``concat``, SDP), and what makes pictures of a text."""

_UNEVEN = 0.5
"""Part of an interval between two frames by which one that is uneven differs from the average."""

_UNEVEN_FRAMES = 3
"""So many uneven intervals are no accident."""


def pyav() -> Any:
    """PyAV. MissingExtraError: it is not installed."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("reading and writing video", "video") from error
    return av


class Decoded(NamedTuple):
    """A decoded frame, whose pixels are still the decoder's."""

    frame: Any
    time_s: float


class Container:
    """A film or a stream that is open.

    Attributes:
        name: for messages.
        notes: what was noticed.
        time_base: the unit of the video stream's times, seconds.
        start_s: of the container's clock, which is 0 of ``Decoded.time_s``.
    """

    def __init__(
        self,
        file: Any,
        name: str,
        limits: VideoLimits,
        *,
        live: bool = False,
        form: str | None = None,
        options: dict[str, str] | None = None,
        owned: bool = False,
    ) -> None:
        """Open it.

        Args:
            file: a path, an address or a device of FFmpeg's, or a binary file object.
            name: for messages.
            limits: on pixels and waiting.
            live: frames are wanted as soon as they are there.
            form: FFmpeg's name of the kind of input; None: found out.
            options: of FFmpeg, beside those on pixels.
            owned: close the file object with it, which PyAV does not.

        Raises:
            VideoError: of the kind that fits.
        """
        self.name, self.live = name, live
        self.notes: list[SourceNote] = []
        self._limits = limits
        self._file = file if owned else None
        self._closed = False
        self._opened = self._open(file, form, {**(options or {}), **self._on_pixels()})
        try:
            self._stream = self._video_stream()
        except BaseException:
            self._opened.close()
            raise
        self.time_base: Fraction = self._stream.time_base or Fraction(1, 90_000)
        self.start_s = self._start()
        self.rate = _rate(self._stream)
        self._ratio = _ratio(self._stream)
        self._turns: dict[tuple[int, int], tuple[bool, bool, bool]] = {}

    def _on_pixels(self) -> dict[str, str]:
        return {"max_pixels": str(self._limits.max_pixels)}

    def _open(self, file: Any, form: str | None, options: dict[str, str]) -> Any:
        av = pyav()
        limits = self._limits
        timeout = (limits.open_timeout_s, limits.read_timeout_s) if self.live else None
        try:
            return av.open(file, "r", format=form, options=options, timeout=timeout)
        except LineamentError:
            raise
        except Exception as error:
            raise_if_short(error, f"to open {self.name}")
            raise open_error(error, self.name, limits) from error

    def _video_stream(self) -> Any:
        streams = self._opened.streams.video
        # A cover of a music file is a stream of one picture.
        streams = [each for each in streams if not _is_cover(each)]
        if not list(self._opened.streams):
            raise VideoFormatError(_no_film(self.name))
        if not streams:
            has_sound = len(self._opened.streams.audio) > 0
            raise VideoFormatError(
                f"{self.name}: expected a film, it has {'sound but ' if has_sound else ''}no "
                "pictures; name another file"
            )
        stream = streams[0]
        context = stream.codec_context
        if context is None:
            raise VideoFormatError(
                f"{self.name}: its pictures are of a kind that cannot be decoded here; convert it "
                "to H.264"
            )
        if context.width * context.height > self._limits.max_pixels:
            raise self._too_large(context.width, context.height)
        context.options = self._on_pixels()
        context.thread_count = min(8, processors())
        context.thread_type = "SLICE" if self.live else "AUTO"  # frames in threads come late
        return stream

    def _too_large(self, width: int, height: int) -> VideoTooLargeError:
        return VideoTooLargeError(
            f"{self.name}: expected frames of at most {self._limits.max_pixels:,} pixels, got "
            f"{width} x {height}",
            hint="; make it smaller{or_max_pixels}",
        )

    def _start(self) -> float:
        start = self._opened.start_time  # in microseconds
        if start is not None:
            return float(start) / 1e6
        start = self._stream.start_time
        return 0.0 if start is None else float(start * self.time_base)

    def info(self) -> SourceInfo:
        """What it says of itself; the size is as it is stored, before any turn."""
        context, stream = self._stream.codec_context, self._stream
        duration = self._duration()
        return SourceInfo(
            name=self.name,
            live=self.live,
            size_wh=(context.width, context.height),
            rate=self.rate,
            n_frames=None if self.live else (stream.frames or None),
            duration_s=None if self.live else duration,
            has_audio=len(self._opened.streams.audio) > 0,
        )

    def _duration(self) -> float | None:
        """Seconds of the pictures, as far as the container says; sound may last longer."""
        if self._stream.duration is not None:
            return float(self._stream.duration * self.time_base)
        duration = self._opened.duration
        return None if duration is None else float(duration) / 1e6

    def frames(self) -> Generator[Decoded, None, None]:
        """The frames, in the order of their times, which grow.

        Raises:
            VideoError: nothing could be decoded, or reading failed in another way than by the end.
        """
        step = 1 / (self.rate or DEFAULT_RATE)
        last, shift, longest = -step, 0.0, step
        n_frames, broken, damaged = 0, 0, 0
        evenness = _Evenness(step)
        reason: Exception | None = None
        for packet in self._packets():
            try:
                decoded = packet.decode()
            except Exception as error:
                raise_if_short(error, f"to decode {self.name}")
                if _is_end(error):
                    continue
                broken, reason = broken + 1, error
                continue
            for frame in decoded:
                if frame.width * frame.height > self._limits.max_pixels:
                    raise self._too_large(frame.width, frame.height)
                time_s = last + step if frame.pts is None else self._time(frame) + shift
                if time_s <= last and n_frames:  # clocks that were set back, of joined films
                    shift += last + step - time_s
                    time_s = last + step
                if n_frames and not self.live and evenness.is_news(time_s - last):
                    self._note("rate", evenness.words(self.name), time_s)
                longest = max(longest, time_s - last) if n_frames else step
                last = time_s
                n_frames += 1
                damaged += bool(frame.is_corrupt)
                yield Decoded(frame, time_s)
        if n_frames == 0 and not self._closed:
            raise VideoFormatError(
                f"{self.name}: no frame of it can be decoded"
                f"{'' if reason is None else f' ({reason_of(reason)})'}; it is damaged, or of more "
                f"than {self._limits.max_pixels:,} pixels a frame"
            ) from reason
        if not self.live and not self._closed:
            if damaged:
                self._note(
                    "broken", f"{self.name}: {counted(damaged, 'picture')} damaged in part", last
                )
            self._say_what_is_missing(n_frames, broken, last + step, 1.5 * longest)

    def _packets(self) -> Iterator[Any]:
        """What is read, to its end; a film that ends too early simply ends."""
        packets = self._opened.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except LineamentError:
                raise
            except Exception as error:
                raise_if_short(error, f"to read {self.name}")
                if self._closed or _is_end(error):
                    return
                if self.live:
                    raise VideoError(f"{self.name}: {read_reason(error, self._limits)}") from error
                self._note("broken", f"{self.name}: cannot be read further ({read_reason(error)})")
                return
            yield packet

    def _say_what_is_missing(
        self, n_frames: int, broken: int, end_s: float, slack_s: float
    ) -> None:
        if broken:
            self._note(
                "broken",
                f"{self.name}: {broken:,} of {counted(n_frames + broken, 'picture')} left out, "
                "since it cannot be decoded",
                end_s,
            )
        duration = self._duration()
        promised = self._stream.frames
        too_few = promised and n_frames + broken < 0.98 * promised - 1
        only_pictures = self._stream.duration is not None or not self._opened.streams.audio
        slack_s += (0.01 if only_pictures else 0.05) * (duration or 0)
        too_short = duration is not None and end_s < duration - slack_s
        if too_few or too_short:
            of = f" of {promised:,}" if promised else ""
            until = "" if duration is None else f" of {duration:.1f} s"
            self._note(
                "broken",
                f"{self.name}: its end is missing: there are {n_frames:,}{of} frames, "
                f"{end_s:.1f}{until}",
                end_s,
            )

    def _note(self, kind: Any, message: str, time_s: float = 0.0) -> None:
        self.notes.append(SourceNote(kind, message, time_s))

    def _time(self, frame: Any) -> float:
        return float(frame.pts * (frame.time_base or self.time_base)) - self.start_s

    def pixels(self, frame: Any) -> Image:
        """A decoded frame as (H, W, 3) uint8, RGB, upright, with square pixels, contiguous."""
        size = (frame.width, frame.height)
        turn = self._turns.get(size)
        if turn is None:  # once: each look at its side data would keep a frame until gc.collect
            turn = self._turns[size] = _turn(frame)
        if self._ratio != 1:
            width = max(1, round(frame.width * self._ratio))
            frame = frame.reformat(width=width, height=frame.height, format="rgb24")
        return turned(frame.to_ndarray(format="rgb24"), turn)

    def close(self) -> None:
        """Close it; a second call does nothing. Only the thread that reads may."""
        if not self._closed:
            self._closed = True
            try:
                self._opened.close()
            finally:
                if self._file is not None:
                    self._file.close()


class _Evenness:
    """Whether frames come at a constant rate."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._uneven: list[float] = []
        self._said = False

    def is_news(self, interval: float) -> bool:
        """Take in the interval to the next frame; True once, when it is clear that they do not."""
        if self._said:
            return False
        if abs(interval / self._step - 1) > _UNEVEN:
            self._uneven.append(interval)
        self._said = len(self._uneven) >= _UNEVEN_FRAMES
        return self._said

    def words(self, name: str) -> str:
        """What was found."""
        least, most = min(*self._uneven, self._step), max(*self._uneven, self._step)
        return (
            f"{name}: its frames come at a variable rate, {1000 * least:.0f} to "
            f"{1000 * most:.0f} ms apart; their own times are kept"
        )


def turned(pixels: Image, turn: tuple[bool, bool, bool]) -> Image:
    """Transpose, flip left to right, flip upside down; in this order, each if so said."""
    transposed, left_right, upside_down = turn
    if transposed:
        pixels = pixels.transpose(1, 0, 2)
    if left_right:
        pixels = pixels[:, ::-1]
    if upside_down:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


_TURNS = (
    (False, False, False),
    (True, False, True),
    (False, True, True),
    (True, True, False),
)
"""By quarter turns counterclockwise, as ``turned`` takes them."""


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """What makes a frame upright, from its display matrix (ISO/IEC 14496-12, 6.2.2).

    The matrix maps x to a x + c y and y to b x + d y; of it only quarter turns and flips are taken.
    """
    try:
        listed = list(frame.side_data)
    except ValueError:  # of a kind that PyAV has no name for, such as the EXIF data of a JPEG
        return _TURNS[round(frame.rotation / 90) % 4]
    matrix = None
    for data in listed:
        if data.type.name == "DISPLAYMATRIX":
            matrix = struct.unpack("=9i", bytes(data)[:36])
    if matrix is None:
        return False, False, False
    a, b, _, c, d = matrix[:5]
    if abs(b) > abs(a):  # x comes from y
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def _ratio(stream: Any) -> float:
    """Width of a pixel by its height; films on tape have others than 1."""
    ratio = stream.sample_aspect_ratio
    if not ratio or not 0.2 < float(ratio) < 5 or abs(float(ratio) - 1) < 0.01:
        return 1.0
    return float(ratio)


def _is_cover(stream: Any) -> bool:
    disposition = getattr(stream, "disposition", 0)
    return bool(int(disposition) & 0x0400)  # AV_DISPOSITION_ATTACHED_PIC


def _rate(stream: Any) -> float | None:
    for name in ("average_rate", "guessed_rate", "base_rate"):
        rate = getattr(stream, name, None)
        if rate and 0.01 < float(rate) < 1000:
            return float(rate)
    return None


def _is_end(error: Exception) -> bool:
    return isinstance(error, EOFError)


def read_reason(error: Exception, limits: VideoLimits | None = None) -> str:
    """Why reading ended, in words."""
    if type(error).__name__ == "ExitError" or isinstance(error, TimeoutError):
        waited = "" if limits is None else f" within {limits.read_timeout_s:g} s"
        return f"nothing came{waited}"
    return _brief(error)


def _brief(error: Exception) -> str:
    text: str = getattr(error, "strerror", None) or reason_of(error)
    return text[:1].lower() + text[1:]


def _no_film(name: str) -> str:
    return (
        f"{name}: expected a film (MP4, MOV, Matroska, WebM, AVI, MPEG, ...), it is none that can "
        "be read, or its beginning or its index is missing; convert it, or copy it anew"
    )


def open_error(error: Exception, name: str, limits: VideoLimits) -> VideoError:
    """What PyAV raised on opening, as one of ours."""
    kind = type(error).__name__
    if kind == "ExitError" or isinstance(error, TimeoutError):
        return VideoError(
            f"{name}: no picture within {limits.open_timeout_s:g} s; check that it is running"
        )
    if isinstance(error, FileNotFoundError) or kind.startswith("HTTPNotFound"):
        return VideoNotFoundError(f"{name}: there is none; check the name")
    if isinstance(error, PermissionError) or kind in (
        "HTTPUnauthorizedError",
        "HTTPForbiddenError",
    ):
        return VideoError(f"{name}: cannot be opened ({_brief(error)}); check your rights")
    if isinstance(error, ConnectionError):
        return VideoError(f"{name}: no connection ({_brief(error)}); check that it is running")
    if kind in ("InvalidDataError", "ArgumentError", "DemuxerNotFoundError", "PatchWelcomeError"):
        return VideoFormatError(_no_film(name))
    return VideoError(f"{name}: cannot be opened ({_brief(error)}); check the name and your rights")
