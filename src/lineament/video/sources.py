"""Where frames come from: a camera, a film, a stream, a folder of frames, or arrays.

    0, "0", "/dev/video0"           a camera (Linux)
    "rtsp://...", "rtsps://..."     a camera on the network
    "http://...", "https://..."     a film, fetched as it is read, or a stream (MJPEG, MPEG-TS)
    a path, a binary file object    a film
    a path of a folder              its pictures, in the order of the numbers in their names
    a list, a generator             arrays: whatever ``load_image`` takes

Cameras and streams are live: a thread reads them all the time, and whoever asks gets the newest
frame. When one ends, it is asked for again and again, for ``VideoLimits.give_up_s``.

Addresses lead to public places only, as those of photos do, unless ``allow_private`` says
otherwise, which a camera in one's own network needs. User and password may stand in an address of
``rtsp`` and ``rtsps``; no message and no file repeats them.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from lineament import web
from lineament.arguments import checked
from lineament.errors import (
    ImageError,
    OptionError,
    VideoError,
    VideoFormatError,
    VideoNotFoundError,
)
from lineament.files import NotAFileError, open_regular
from lineament.images import load_image
from lineament.images.find import IMAGE_SUFFIXES
from lineament.images.limits import ImageLimits
from lineament.images.names import describe_source, path_of_url, source_name, text_kind
from lineament.images.sources import missing_hint
from lineament.text import counted, reason_of
from lineament.video._container import DEFAULT_RATE, DEMUXERS, Container, pyav
from lineament.video._http import HttpFile, private_address
from lineament.video._live import LiveSource, Report
from lineament.video.frames import (
    DEFAULT_VIDEO_LIMITS,
    FrameSource,
    SourceInfo,
    SourceNote,
    VideoFrame,
    VideoLimits,
    size_words,
)

FILM_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2ts", ".mts"}
    | {".wmv", ".flv", ".3gp", ".ogv", ".mxf"}
)
"""Endings, in lower case, by which films are known in a folder; .ts is one of programs, too."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_DEVICE = re.compile(r"/dev/video\d{1,3}")
_RTSP_PORT = 554

ACCEPTED = (
    "a camera's number, the path of a film or of a folder of frames, an address (rtsp, rtsps, "
    "http, https), or a list or generator of pictures"
)


@checked
def open_source(
    source: Any,
    *,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    rate: float | None = None,
    report: Callable[[SourceNote], None] | None = None,
) -> FrameSource:
    """Open whatever frames may come from; see the module for what that is.

    Args:
        source: where they come from. A ``FrameSource`` is returned as it is.
        limits: on pixels, waiting and addresses.
        rate: frames a second of a folder or of arrays, which have no clock of their own. None:
            30, and of a generator the time at which each one arrives.
        report: is called with each ``SourceNote`` as it is made, which may be in another thread.

    Returns:
        The source, for a ``with`` block; it is walked over once.

    Raises:
        VideoNotFoundError: no such camera, file, folder or server.
        VideoFormatError: it is no film, or one without pictures.
        VideoTooLargeError: its frames have more pixels than the limits allow.
        VideoError: it cannot be opened for another reason.
        MissingExtraError: PyAV is not installed (the extra ``video``); folders and arrays do
            without.
        OptionError: something else than a source.
    """
    if rate is not None and not 0 < rate <= 1000:
        raise OptionError(f"expected above 0, at most 1000, got {rate:g}", option="rate")
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, (int, np.integer)) and not isinstance(source, bool):
        return _camera(int(source), limits, report)
    if isinstance(source, str):
        return _of_text(source, limits, rate, report)
    if isinstance(source, os.PathLike):
        return _of_path(Path(source), limits, rate, report)
    if callable(getattr(source, "read", None)):
        return FilmSource(_film(source, source_name(source), limits), report)
    if isinstance(source, Iterable) and not isinstance(
        source, (bytes, bytearray, memoryview, dict)
    ):
        return PictureSource(source, limits, rate, report)
    raise OptionError(f"expected {ACCEPTED}, got {type(source).__name__}", option="source")


def opener_of(source: FrameSource) -> Callable[[], FrameSource] | None:
    """What opens the same source once more; None: it can be read once only."""
    again: Callable[[], FrameSource] | None = getattr(source, "again", None)
    return again


def is_live(source: object) -> bool:
    """Whether a source is a camera or a stream by its looks; http addresses say so when opened."""
    if isinstance(source, FrameSource):
        return source.info.live
    if isinstance(source, (int, np.integer)):
        return True
    if isinstance(source, str):
        if os.path.exists(source) and not _DEVICE.fullmatch(source):  # noqa: PTH110
            return False
        return source.isdecimal() or bool(re.match(r"/dev/video\d|rtsps?://", source))
    return False


def _of_text(
    source: str, limits: VideoLimits, rate: float | None, report: Report | None
) -> FrameSource:
    if not source.strip():
        raise OptionError(f"expected {ACCEPTED}, got an empty text", option="source")
    device = _DEVICE.fullmatch(source)
    if device or (source.isdecimal() and len(source) <= 3 and not Path(source).exists()):
        return _camera(int(source.removeprefix("/dev/video")), limits, report)
    scheme = _SCHEME.match(source)
    kind = "" if scheme is None else scheme[1].lower()
    if scheme is None or text_kind(source) == "path":
        return _of_path(Path(source), limits, rate, report)
    if kind == "file":
        return _of_path(Path(path_of_url(source)), limits, rate, report)
    if kind in ("http", "https"):
        return _of_http(source, limits, report)
    if kind in ("rtsp", "rtsps"):
        return LiveSource(lambda: _rtsp(source, limits), limits, report)
    raise VideoError(
        f"{describe_source(source)}: expected an address of rtsp, rtsps, http or https, and there "
        "is no file of that name; pass its frames as a generator"
    )


# --- cameras and streams --------------------------------------------------------------------------


def _camera(number: int, limits: VideoLimits, report: Report | None) -> FrameSource:
    if not 0 <= number < 1000:
        raise OptionError(f"expected a camera's number, 0 or more, got {number}", option="source")
    name = f"camera {number}"
    if sys.platform != "linux":
        raise VideoNotFoundError(
            f"{name}: cameras are read by their number on Linux only; pass a generator of their "
            "frames, such as those of cv2.VideoCapture"
        )
    device = f"/dev/video{number}"
    pyav()

    def opened() -> Container:
        if not Path(device).exists():
            raise VideoNotFoundError(f"{name}: there is no {device}{_cameras_there_are()}")
        return Container(device, name, limits, live=True, form="video4linux2,v4l2")

    return LiveSource(opened, limits, report)


def _cameras_there_are() -> str:
    found = sorted(Path("/dev").glob("video*"))
    numbers = [each.name.removeprefix("video") for each in found]
    if not numbers:
        return " (nor any other camera); connect one, or name a film"
    return f"; there is {', '.join(numbers[:10])}"


def _rtsp(url: str, limits: VideoLimits) -> Container:
    name = source_name(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _RTSP_PORT
    except ValueError as error:
        raise VideoError(f"{name}: it is no address ({reason_of(error)}); check it") from error
    if not host:
        raise VideoError(f"{name}: it names no server; check the address")
    address = _judged(host, port, name, limits)
    if parts.scheme.lower() == "rtsp":  # with TLS the server proves its name
        shown = f"[{address}]" if ":" in address else address
        who = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        url = urlunsplit(("rtsp", f"{who}{shown}:{port}", parts.path, parts.query, ""))
    options = {
        "rtsp_transport": "tcp",
        "allowed_media_types": "video",
        "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls,udp",
        "fflags": "nobuffer",
    }
    return Container(url, name, limits, live=True, form="rtsp", options=options)


def _judged(host: str, port: int, name: str, limits: VideoLimits) -> str:
    deadline = web.Deadline(limits.open_timeout_s)
    try:
        return web.public_address(host, port, deadline, allow_private=limits.allow_private)
    except web.PrivateAddressError as error:
        raise private_address(name) from error
    except TimeoutError as error:
        raise VideoError(f"{name}: its name could not be looked up in time; try again") from error
    except OSError as error:
        raise VideoNotFoundError(
            f"{name}: there is no such server ({web.brief(reason_of(error))}); check the address"
        ) from error


def _of_http(url: str, limits: VideoLimits, report: Report | None) -> FrameSource:
    name = source_name(url)
    if "@" in url.partition("://")[2].partition("/")[0].partition("?")[0]:
        raise VideoError(
            f"{name}: expected an address without user and password; use the camera's rtsp address"
        )
    pyav()
    file = HttpFile(url, name, limits)
    if file.length is not None:
        try:
            film = _film(file, name, limits)
        except BaseException:
            file.close()
            raise
        return FilmSource(film, report, file)
    waiting = [file]

    def opened() -> Container:
        connection = waiting.pop() if waiting else HttpFile(url, name, limits)
        try:
            return _film(connection, name, limits, live=True)
        except BaseException:
            connection.close()
            raise

    return LiveSource(opened, limits, report)


def _film(file: Any, name: str, limits: VideoLimits, *, live: bool = False) -> Container:
    options = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "file"}
    return Container(file, name, limits, live=live, options=options, owned=live)


# --- films ----------------------------------------------------------------------------------------


class _Closing:
    """For a ``with`` block."""

    def close(self) -> None:
        """Free what it holds."""

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


class FilmSource(_Closing):
    """A film: every frame, in order.

    Attributes:
        info: what is known of it.
        path: of its file, from which a writer takes the sound; None of an address.
        time_base: the unit of its pictures' times, seconds.
        start_s: of the container's clock, which is 0 of the frames' times.
        ended: all frames were given.
        again: opens the same film once more; None: it can be read once only.
    """

    def __init__(
        self,
        container: Container,
        report: Report | None = None,
        file: Any = None,
        path: Path | None = None,
        again: Callable[[], FrameSource] | None = None,
    ) -> None:
        """Decode its first frame.

        Args:
            container: it is open.
            report: is called with notes.
            file: to be closed in the end.
            path: of its file.
            again: opens the same film once more; None: it can be read once only.

        Raises:
            VideoFormatError: no frame of it can be decoded.
        """
        self._container, self._report, self._file, self.path = container, report, file, path
        self.time_base, self.start_s = container.time_base, container.start_s
        self.again = again
        self.ended = False
        self._reported = 0
        self._stop = False
        self._frames = container.frames()
        try:
            first = next(self._frames)
            pixels = container.pixels(first.frame)
        except BaseException:
            self.close()
            raise
        self._begun = itertools.chain([first], self._frames)
        self.info: SourceInfo = replace(
            container.info(), size_wh=(pixels.shape[1], pixels.shape[0])
        )

    @property
    def notes(self) -> Sequence[SourceNote]:
        """What was noticed up to now."""
        return self._container.notes

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames; where decoding fails they go on with the next one, and a note says so."""
        size = self.info.size_wh
        for number, (frame, time_s) in enumerate(self._begun):
            if self._stop:
                break
            pixels = self._container.pixels(frame)
            if (pixels.shape[1], pixels.shape[0]) != size:
                size = (pixels.shape[1], pixels.shape[0])
                message = size_words(self.info.name, size)
                self._container.notes.append(SourceNote("size", message, time_s))
            self._say()
            yield VideoFrame(number, time_s, pixels)
        else:
            self.ended = not self._stop
        self._say()
        self._free()

    def _say(self) -> None:
        for note in self._container.notes[self._reported :]:
            self._reported += 1
            if self._report is not None:
                self._report(note)

    def _free(self) -> None:
        with suppress(ValueError):  # another thread is inside
            self._frames.close()
            self._container.close()
        if self._file is not None:
            self._file.close()

    def close(self) -> None:
        """End the walk before its next frame."""
        self._stop = True
        self._free()


def _of_path(
    path: Path, limits: VideoLimits, rate: float | None, report: Report | None
) -> FrameSource:
    name = source_name(path)
    shown = describe_source(path)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise VideoError(f"{shown}: cannot be read; check your rights") from error
        raise VideoNotFoundError(f"{shown}: no such file; {missing_hint(str(path))}") from error
    if stat.S_ISDIR(status.st_mode):
        return PictureSource(_Folder(path, limits), limits, rate, report, name=name)
    pyav()
    try:
        open_regular(path).close()
    except NotAFileError as error:
        raise VideoError(f"{shown}: {error.strerror}; give a file, or its frames") from error
    except OSError as error:
        raise VideoError(
            f"{shown}: cannot be read ({reason_of(error)}); check your rights"
        ) from error
    if status.st_size == 0:
        raise VideoFormatError(f"{shown}: expected a film, the file is empty; copy it anew")

    def opened(report: Report | None = None) -> FrameSource:
        return FilmSource(_film(f"file:{path}", name, limits), report, path=path, again=opened)

    return opened(report)


# --- pictures -------------------------------------------------------------------------------------


class _Folder:
    """The paths of a folder's pictures, in natural order."""

    def __init__(self, folder: Path, limits: VideoLimits) -> None:
        shown = describe_source(folder)
        try:
            names = [each.name for each in folder.iterdir() if not each.name.startswith(".")]
        except OSError as error:
            raise VideoError(
                f"{shown}: cannot be listed ({reason_of(error)}); check your rights"
            ) from error
        found = [each for each in names if Path(each).suffix.lower() in IMAGE_SUFFIXES]
        if not found:
            raise VideoFormatError(
                f"{shown}: expected a folder of frames, there is no picture in it; name a film, or "
                "a folder with pictures directly in it"
            )
        self._paths = [folder / name for name in sorted(found, key=natural_order)]

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Path]:
        return iter(self._paths)


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key by which "frame2" comes before "frame10": numbers by their value."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(int(part[:40]), part) if part[:1].isdecimal() else (-1, part) for part in parts]


class PictureSource(_Closing):
    """A folder of frames, a list or a generator of pictures.

    Attributes:
        info: what is known of it.
        notes: what was noticed.
        again: gives the same pictures once more; None: they can be walked over once only.
    """

    def __init__(
        self,
        pictures: Iterable[Any],
        limits: VideoLimits,
        rate: float | None,
        report: Report | None,
        name: str | None = None,
    ) -> None:
        """Take the pictures, each of which is what ``load_image`` takes, or a ``VideoFrame``."""
        self._pictures, self._report = pictures, report
        sized = hasattr(pictures, "__len__")
        self._rate = rate if rate is not None or not sized else DEFAULT_RATE
        self._limits = ImageLimits(max_pixels=limits.max_pixels, allow_private=limits.allow_private)
        self._closed = False
        self.notes: list[SourceNote] = []
        self.again: Callable[[], FrameSource] | None = None
        if sized:
            self.again = lambda: PictureSource(pictures, limits, rate, None, name)
        n_frames = len(pictures) if sized else None  # type: ignore[arg-type]
        size = (0, 0)
        shape: tuple[int, ...] = getattr(pictures, "shape", ())
        if len(shape) == 4:
            size = (int(shape[2]), int(shape[1]))
        self.info: SourceInfo = SourceInfo(
            name=name or f"{type(pictures).__name__} of pictures",
            live=False,
            size_wh=size,
            rate=self._rate,
            n_frames=n_frames,
            duration_s=n_frames / self._rate if n_frames and self._rate else None,
            has_audio=False,
        )

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames; pictures of a folder that cannot be read are left out, and a note says so.

        Raises:
            ImageError: something else than a picture in a list.
            VideoFormatError: no picture of a folder can be read.
        """
        start, last, size, n_given, left_out = time.monotonic(), -1.0, None, 0, 0
        for number, picture in enumerate(self._pictures):
            if self._closed:
                return
            time_s = number / self._rate if self._rate else time.monotonic() - start
            if isinstance(picture, VideoFrame):
                frame = picture
            else:
                try:
                    frame = VideoFrame(number, time_s, load_image(picture, limits=self._limits))
                except ImageError as error:
                    if not isinstance(self._pictures, _Folder):
                        raise
                    left_out += 1
                    self._note("broken", str(error), time_s)
                    continue
            if frame.time_s <= last:
                frame = replace(frame, time_s=last + 1e-6)
            last = frame.time_s
            if size not in (None, frame.size_wh):
                self._note("size", size_words(self.info.name, frame.size_wh), last)
            size = frame.size_wh
            n_given += 1
            yield frame
        if isinstance(self._pictures, _Folder) and not n_given and not self._closed:
            raise VideoFormatError(
                f"{self.info.name}: {counted(left_out, 'picture')}, of which none can be read; "
                f"the last: {self.notes[-1].message}"
            )

    def _note(self, kind: Any, message: str, time_s: float) -> None:
        note = SourceNote(kind, message, time_s)
        self.notes.append(note)
        if self._report is not None:
            self._report(note)

    def close(self) -> None:
        """End the walk before its next frame."""
        self._closed = True
        close = getattr(self._pictures, "close", None)
        if callable(close):
            with suppress(ValueError):  # a generator that another thread is inside of
                close()
