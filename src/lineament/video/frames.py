"""What goes through the stages of video: frames, and what is known of where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self, runtime_checkable

from lineament.arguments import check_fields
from lineament.errors import OptionError
from lineament.results import Outcome
from lineament.types import Image


@dataclass(frozen=True, eq=False, slots=True)
class VideoFrame:
    """One picture of a film.

    Attributes:
        number: from 0, counting every frame that the source gave; of a live source those that were
            dropped count as well.
        time_s: seconds by the source's own clock: of a film since its beginning, of a live source
            since it was opened. It grows from frame to frame.
        pixels: (H, W, 3) uint8, RGB, upright, with square pixels. A film's rotation is applied.
    """

    number: int
    time_s: float
    pixels: Image

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True, slots=True)
class SourceInfo(Outcome):
    """What is known of a source before its first frame.

    Attributes:
        name: for messages and files: a path, an address without user, password and query, a camera.
        live: frames come as they happen: those that nobody waits for are dropped.
        size_wh: width and height of the upright picture, pixels; (0, 0) where only the frames say.
        rate: frames a second, on average; None where nothing says.
        n_frames: how many there are; None where nothing says. Films may be wrong about it.
        duration_s: seconds; None where nothing says.
        has_audio: there is sound.
    """

    name: str
    live: bool
    size_wh: tuple[int, int]
    rate: float | None
    n_frames: int | None
    duration_s: float | None
    has_audio: bool


def size_words(name: str, size_wh: tuple[int, int]) -> str:
    """What is said when the frames' size changes."""
    return f"{name}: frames are {size_wh[0]} x {size_wh[1]} from here on"


NoteKind = Literal["broken", "lost", "rate", "returned", "size"]


@dataclass(frozen=True, slots=True)
class SourceNote(Outcome):
    """Something about a source that did not stop it, and that a person should know.

    Attributes:
        kind: "broken" (frames are missing or damaged), "lost" (a live source ended), "returned" (it
            came back), "rate" (frames do not come at a constant rate), "size" (the frames have
            another size from here on).
        message: in words.
        time_s: of the source's clock.
    """

    kind: NoteKind
    message: str
    time_s: float


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """How much a source may cost, and how long it may keep one waiting.

    Attributes:
        max_pixels: width times height of a frame. 35.4 million is a frame of 8192 x 4320. A decoder
            keeps up to 16 frames of 1.5 bytes a pixel.
        open_timeout_s: seconds until a source has given its first frame.
        read_timeout_s: seconds between two frames; a file on a disk is not held to it.
        give_up_s: seconds for which a live source that ended is asked again and again.
        allow_private: whether an address may lead to this machine and to networks of its own
            (loopback, private, link-local and other addresses that are not public), by itself or by
            a redirect. Allow it only where nobody else names the addresses.

    Raises:
        OptionError: a limit that is not positive.
    """

    max_pixels: int = 8192 * 4320
    open_timeout_s: float = 20.0
    read_timeout_s: float = 10.0
    give_up_s: float = 60.0
    allow_private: bool = False

    def __post_init__(self) -> None:
        """Validate."""
        check_fields(self)
        for name in ("max_pixels", "open_timeout_s", "read_timeout_s"):
            if not getattr(self, name) > 0:
                raise OptionError(f"expected more than 0, got {getattr(self, name)}", option=name)
        if not self.give_up_s >= 0:
            raise OptionError(f"expected 0 or more, got {self.give_up_s}", option="give_up_s")


DEFAULT_VIDEO_LIMITS = VideoLimits()


@runtime_checkable
class FrameSource(Protocol):
    """Where frames come from; ``open_source`` makes one of almost anything.

    It is walked over once, by one thread; ``close`` may come from another one, and ends the walk.
    """

    @property
    def info(self) -> SourceInfo:
        """What is known of it."""
        ...

    @property
    def notes(self) -> Sequence[SourceNote]:
        """What was noticed up to now; it grows while frames are read."""
        ...

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames, in order."""
        ...

    def close(self) -> None:
        """Free what it holds; a second call does nothing."""
        ...

    def __enter__(self) -> Self:
        """For a ``with`` block."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        ...
