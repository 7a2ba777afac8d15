"""The key that an encrypted gallery is opened with, and where it is kept.

32 random bytes, written as text: 64 hexadecimal digits, or base64. ``new_key_file`` makes one. The
key never stands in the gallery, and whoever loses it has lost what is in there.

A ``Key`` says where the key is; it is read whenever a gallery is opened, and forgotten then.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import shlex
import signal
import stat
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from lineament.arguments import checked
from lineament.errors import GalleryKeyError, OptionError
from lineament.files import TooManyBytesError, open_regular, write_private
from lineament.gallery._sealing import key_id
from lineament.sealed import KEY
from lineament.text import in_short, reason_of

FILE_VARIABLE = "LINEAMENT_GALLERY_KEY_FILE"
TEXT_VARIABLE = "LINEAMENT_GALLERY_KEY"
COMMAND_VARIABLE = "LINEAMENT_GALLERY_KEY_COMMAND"
VARIABLES = (FILE_VARIABLE, TEXT_VARIABLE, COMMAND_VARIABLE)

COMMAND_S = 30.0
"""How long a command may take by default."""

MOST_TEXT = 4096
"""Bytes of a key's file, or of what a command prints."""


class Key:
    """Where the key of a gallery is: made by one of the ``from_...``.

    Examples:
        >>> key = Key.from_file("/run/secrets/gallery.key")
        >>> with Gallery.open("staff", key=key) as gallery:
        ...     print(gallery.identify("door.jpg"))
    """

    def __init__(self, read: Callable[[], bytes], where: str) -> None:
        """For the ``from_...``; use those.

        Args:
            read: gives the 32 bytes; raises GalleryKeyError.
            where: in words, for messages.
        """
        self._read = read
        self._where = where

    @classmethod
    @checked
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """The key in a file that nobody but its owner may read (chmod 600).

        Args:
            path: of the file; it is read when a gallery is opened.
        """
        return cls(lambda: _from_file(Path(path)), f"the file {path}")

    @classmethod
    @checked
    def from_env(cls, variable: str = TEXT_VARIABLE) -> Self:
        """The key in an environment variable.

        Args:
            variable: its name.
        """

        def read() -> bytes:
            text = os.environ.get(variable)
            if not text:
                raise GalleryKeyError(
                    f"expected a key in the environment variable {variable}, got none",
                    hint="set it, or name the file of the key",
                )
            return parsed(text, f"the environment variable {variable}")

        return cls(read, f"the environment variable {variable}")

    @classmethod
    @checked
    def from_command(cls, command: str | Sequence[str], *, timeout_s: float = COMMAND_S) -> Self:
        """The key that a command prints, such as one that asks a key management service.

        It is run without a shell whenever a gallery is opened.

        Args:
            command: program and arguments; text is split as a shell would, and nothing else of a
                shell is done with it.
            timeout_s: seconds that it may take, above 0.

        Raises:
            OptionError: there is no command in it, or a time of 0 or less.
        """
        try:
            words = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise OptionError(
                f"expected a command, got {in_short(command)} ({error})", option="command"
            ) from error
        if not words:
            raise OptionError("expected a command, got none", option="command")
        if not timeout_s > 0:
            raise OptionError(f"expected more than 0 s, got {timeout_s}", option="timeout_s")
        return cls(lambda: _from_command(words, timeout_s), f"the command {in_short(words[0])}")

    @classmethod
    @checked
    def from_bytes(cls, key: bytes) -> Self:
        """The key itself.

        Args:
            key: 32 bytes that nobody can guess.

        Raises:
            OptionError: another length.
        """
        if len(key) != KEY:
            raise OptionError(f"expected {KEY} bytes, got {len(key)}", option="key")
        return cls(lambda: key, "the key that was given")

    @classmethod
    def from_environment(cls) -> Self | None:
        """Where the environment says that the key is; None: it says nothing.

        ``LINEAMENT_GALLERY_KEY_FILE`` names a file, ``LINEAMENT_GALLERY_KEY`` is the key,
        ``LINEAMENT_GALLERY_KEY_COMMAND`` is a command that prints it.

        Raises:
            OptionError: several are set.
        """
        given = [name for name in VARIABLES if os.environ.get(name)]
        if len(given) > 1:
            raise OptionError(
                f"expected one of {', '.join(VARIABLES)}, got {' and '.join(given)}: unset the "
                "others"
            )
        if not given:
            return None
        value = os.environ[given[0]]
        if given[0] == FILE_VARIABLE:
            return cls.from_file(value)
        return cls.from_command(value) if given[0] == COMMAND_VARIABLE else cls.from_env()

    def read(self) -> bytes:
        """The 32 bytes, read now.

        Raises:
            GalleryKeyError: there is none, the file is not its owner's alone, or the command
                fails.
        """
        return self._read()

    @property
    def id(self) -> str:
        """What tells it from other keys: 8 hexadecimal digits, which messages name."""
        return key_id(self.read())

    def __repr__(self) -> str:
        """Where it is; never the key."""
        return f"<Key: {self._where}>"


@checked
def new_key_file(path: str | os.PathLike[str]) -> Key:
    """Write a new random key into a new file that only its owner may read.

    Args:
        path: of the file, which may not exist yet.

    Raises:
        OptionError: there is such a file already, or it cannot be written.
    """
    target = Path(path)
    try:
        write_private(target, base64.b64encode(secrets.token_bytes(KEY)) + b"\n")
    except FileExistsError as error:
        raise OptionError(
            f"{target}: there is such a file already, and a key is never overwritten: choose "
            "another name"
        ) from error
    except (OSError, ValueError) as error:
        raise OptionError(
            f"{target}: cannot be written ({reason_of(error)}): name a file in a folder that "
            "exists and that you may write to"
        ) from error
    return Key.from_file(target)


def parsed(text: str, where: str) -> bytes:
    """The key that a text says. GalleryKeyError: it is none; the message does not repeat it."""
    word = text.strip()
    if re.fullmatch("[0-9a-fA-F]{64}", word):
        return bytes.fromhex(word)
    try:
        found = base64.b64decode(word.replace("-", "+").replace("_", "/") + "=" * (-len(word) % 4))
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != KEY or not re.fullmatch("[A-Za-z0-9+/_-]{43}=?", word):
        raise GalleryKeyError(
            f"{where}: expected a key of {KEY} bytes as 64 hexadecimal digits or as base64, got "
            "something else",
            hint="`lineament gallery new-key FILE` makes one",
        )
    return found


def _from_file(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if os.name == "posix" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise GalleryKeyError(
                    f"{path}: expected a key that only its owner may read, got the rights "
                    f"{stat.S_IMODE(status.st_mode):04o}",
                    hint=f"chmod 600 {shlex.quote(str(path))}",
                )
            data = file.read(MOST_TEXT + 1)
        if len(data) > MOST_TEXT:
            raise TooManyBytesError(0, f"expected at most {MOST_TEXT:,} bytes, got more")
        return parsed(data.decode("ascii", "replace"), str(path))
    except (OSError, ValueError) as error:
        if isinstance(error, GalleryKeyError):
            raise
        raise GalleryKeyError(
            f"{path}: the key cannot be read ({reason_of(error)})", hint="check the path"
        ) from error


def _from_command(words: Sequence[str], timeout_s: float) -> bytes:
    shown = in_short(words[0])
    try:
        with subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                printed, said = process.communicate(timeout=timeout_s)
            except BaseException:
                _end(process)
                raise
    except subprocess.TimeoutExpired as error:
        raise GalleryKeyError(
            f"the command {shown} of the key took longer than {timeout_s:g} s",
            hint="run it by hand to see what it waits for",
        ) from error
    except (OSError, ValueError) as error:
        raise GalleryKeyError(
            f"the command {shown} of the key cannot be run ({reason_of(error)})",
            hint="check that it is there and may be executed",
        ) from error
    if process.returncode != 0:
        words_ = in_short(said.decode("utf-8", "replace").strip(), 300, quoted=False)
        raise GalleryKeyError(
            f"the command {shown} of the key failed (exit code {process.returncode})"
            f"{f': {words_}' if words_ else ''}",
            hint="run it by hand to see why",
        )
    return parsed(printed[: MOST_TEXT + 1].decode("ascii", "replace"), f"the command {shown}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it has started."""
    if os.name == "posix":
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
