"""Films and streams behind http and https addresses, as binary file objects.

They are asked for by ``lineament.web``, which judges every address and redirect, and ends every
wait; FFmpeg's own connections do neither.
"""

from __future__ import annotations

import io
import time
from contextlib import ExitStack

from lineament import web
from lineament.errors import VideoError, VideoNotFoundError
from lineament.text import reason_of
from lineament.video.frames import VideoLimits

_TRIES = 4
"""How often a film is asked for again, from where its connection broke."""


class HttpFile:
    """What is behind an address; a film can be read from any place, if its server can do that.

    Attributes:
        length: bytes; None of a stream, which has no end.
    """

    def __init__(self, url: str, name: str, limits: VideoLimits) -> None:
        """Ask for it.

        Args:
            url: http or https.
            name: for messages.
            limits: on waiting, and which addresses may be asked.

        Raises:
            VideoError: of the kind that fits.
        """
        self._url, self._name, self._limits = url, name, limits
        self._position = 0
        self._closed = False
        self._stack = ExitStack()
        self._deadline = web.Deadline(limits.open_timeout_s)
        try:
            self._answer = self._ask(0)
        except BaseException:
            self._stack.close()
            raise
        self.length = self._answer.length
        accepts = (self._answer.header("Accept-Ranges") or "").strip().lower()
        self._ranged = accepts == "bytes" and self.length is not None

    def _ask(self, start: int) -> web.Answer:
        name, limits = self._name, self._limits
        self._stack.close()
        headers = {"Range": f"bytes={start}-"} if start else {}
        self._deadline.put_off(limits.open_timeout_s)
        try:
            answer = self._stack.enter_context(
                web.open_url(
                    self._url, self._deadline, headers=headers, allow_private=limits.allow_private
                )
            )
        except web.PrivateAddressError as error:
            raise private_address(name) from error
        except TimeoutError as error:
            raise VideoError(
                f"{name}: no answer within {limits.open_timeout_s:g} s; check that it is running"
            ) from error
        except (OSError, ValueError) as error:
            raise _unreachable(name, error) from error
        except Exception as error:  # http.client's
            raise _unreachable(name, error) from error
        if answer.status in (404, 410):
            raise VideoNotFoundError(
                f"{name}: the server answers {answer.status} (not found); check the address"
            )
        if not 200 <= answer.status < 300 or (start and answer.status != 206):
            raise VideoError(f"{name}: the server answers {answer.words}; check the address")
        return answer

    def read(self, size: int = -1) -> bytes:
        """Some bytes, at most ``size``; none at the end."""
        if self._closed or self._position == self.length:
            return b""
        most = 2**16 if size < 0 else size
        for left in range(_TRIES, -1, -1):
            try:
                self._deadline.put_off(self._limits.read_timeout_s)
                data = self._answer.read(most)
                if data or self.length is None:
                    self._position += len(data)
                    return data
                error: Exception = EOFError("the connection ended too early")
            except Exception as raised:  # OSError, TimeoutError, HTTPException
                error = raised
            if not self._ranged or not left or self._closed:
                raise _unreachable(self._name, error) from error
            self._ask_again(_TRIES - left)
        raise AssertionError

    def _ask_again(self, number: int) -> None:
        """From the place where the connection broke, after a while."""
        time.sleep(0.25 * 2**number)
        try:
            self._answer = self._ask(self._position)
        except VideoError:
            if number == _TRIES - 1:
                raise

    def seekable(self) -> bool:
        """Whether it can be read from any place."""
        return self._ranged

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on from there."""
        ends = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.length or 0}
        position = max(0, ends[whence] + offset)
        if position != self._position:
            self._position = position
            if self.length is None or position < self.length:
                self._answer = self._ask(position)
        return position

    def tell(self) -> int:
        """Bytes before the place that is read next."""
        return self._position

    def close(self) -> None:
        """Hang up."""
        self._closed = True
        self._stack.close()


def private_address(name: str) -> VideoError:
    """The error for an address that is not asked."""
    return VideoError(
        f"{name}: expected an address on the public internet, it leads to this machine or to a "
        "network of its own",
        hint="; {allow_private_video}",
    )


def _unreachable(name: str, error: Exception) -> VideoError:
    if isinstance(error, TimeoutError):
        return VideoError(f"{name}: nothing came any more; check that it is running")
    return VideoError(f"{name}: cannot be read ({web.brief(reason_of(error))}); check the address")
