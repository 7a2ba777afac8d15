"""Bodies of any length, straight into files: no copy in memory, none in another place.

multipart/form-data     files under the name "files" (photos, films) or "archive" (a zip);
                        options as fields. A file's name may have folders: "Ann/1.jpg"
application/zip         the archive itself; options in the query
application/json        options; a few photos as "files" in base64
"""

from __future__ import annotations

import asyncio
import json
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from fastapi import Request

from lineament.errors import (
    BodyTooLargeError,
    BusyError,
    DataError,
    LineamentError,
    MediaTypeError,
    OptionError,
)
from lineament.files import open_new
from lineament.images.find import IMAGE_SUFFIXES
from lineament.server.jobs.vault import Vault
from lineament.server.photos import MOST_FIELDS, MOST_PHOTOS, decoded
from lineament.text import reason_of
from lineament.video.sources import FILM_SUFFIXES

MOST_FILES = 10_000
LONGEST_FIELD = 64 << 10
LONGEST_NAME = 200
"""Bytes of a file's or folder's name."""


@dataclass(slots=True)
class Upload:
    """What was sent.

    Attributes:
        fields: options, as texts or JSON values.
        archive: the zip, or None.
        files: how many photos and films.
        names: how the encrypted ones are called, in their order.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    archive: Path | None = None
    files: int = 0
    names: list[str] = field(default_factory=list)


async def receive(request: Request, folder: Path, vault: Vault, *, most_text: int) -> Upload:
    """Write a request's body into a folder.

    Args:
        request: its body was not read.
        folder: it exists, and is empty. A zip comes to lie there as ``archive.zip``, files below
            ``files/`` by their names; where they are encrypted, by numbers.
        vault: writes them.
        most_text: bytes of a body of JSON, which is read into memory.

    Raises:
        MediaTypeError: a body of another kind.
        OptionError, DataError: it cannot be read, or a name in it is none that is taken.
        BodyTooLargeError: JSON is too long.
        BusyError: the disk is full.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    upload = Upload(dict(request.query_params))
    try:
        if kind in ("application/zip", "application/x-zip-compressed"):
            upload.archive = folder / "archive.zip"
            with vault.create(upload.archive) as file:
                async for piece in request.stream():
                    await _in_thread(file.write, piece)
        elif kind == "multipart/form-data":
            await _multipart(request, folder, upload, vault)
        elif kind == "application/json":
            await _json(request, folder, upload, vault, most_text)
        elif kind != "" or await request.body():
            raise MediaTypeError(
                "expected multipart/form-data, application/zip or application/json, got "
                f"{kind or 'no Content-Type'}"
            )
        if upload.names:
            await _in_thread(vault.put_names, folder / "files", upload.names)
    except OSError as error:
        if isinstance(error, LineamentError):
            raise
        raise BusyError(
            f"what was sent cannot be kept ({reason_of(error)})",
            hint="ask again later",
            retry_after_s=60,
        ) from error
    return upload


async def _json(request: Request, folder: Path, upload: Upload, vault: Vault, most: int) -> None:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise BodyTooLargeError(f"expected JSON of at most {most:,} bytes, got more")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"expected a JSON object ({error})", option="body") from error
    if not isinstance(values, dict):
        raise OptionError(f"expected a JSON object, got {type(values).__name__}", option="body")
    photos = values.pop("files", [])
    if not isinstance(photos, list) or len(photos) > MOST_PHOTOS:
        raise OptionError(f"expected a list of at most {MOST_PHOTOS} photos", option="files")
    for number, text in enumerate(photos, 1):
        with new_file(folder / "files", f"{number:03}.jpg", upload, vault) as file:
            file.write(decoded("files", text))
    upload.files = len(photos)
    upload.fields |= values


async def _in_thread(call: Any, *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, call, *args)


async def _multipart(request: Request, folder: Path, upload: Upload, vault: Vault) -> None:
    from python_multipart.exceptions import MultipartParseError
    from python_multipart.multipart import parse_options_header

    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary")
    if not boundary:
        raise OptionError("expected multipart/form-data with a boundary", option="body")
    parts = _Parts(folder, upload, vault, boundary)
    try:
        async for piece in request.stream():
            await _in_thread(parts.write, piece)
        await _in_thread(parts.end)
    except MultipartParseError as error:
        raise OptionError(f"expected multipart/form-data ({error})", option="body") from error
    finally:
        parts.close()


class _Parts:
    """Parts of a multipart body, as they come."""

    def __init__(self, folder: Path, upload: Upload, vault: Vault, boundary: bytes) -> None:
        from python_multipart.multipart import MultipartParser

        self._folder, self._upload, self._vault = folder, upload, vault
        self._file: BinaryIO | None = None
        self._name, self._text = "", b""
        self._header, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_header,
                "on_header_value": self._on_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._on_end,
            },
        )

    def write(self, piece: bytes) -> None:
        """Take some of the body."""
        self._parser.write(piece)

    def end(self) -> None:
        """The body has ended. OptionError: too early."""
        self._parser.finalize()
        if not self._ended:
            raise OptionError("expected multipart/form-data, it ends too early", option="body")

    def close(self) -> None:
        """Close what is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._headers, self._header, self._value, self._text = {}, b"", b"", b""

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._check_length(self._header)

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_length(self._value)

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            if len(self._upload.fields) >= MOST_FIELDS:
                raise OptionError(f"expected at most {MOST_FIELDS} fields", option="body")
            return
        given = options[b"filename"].decode("utf-8", "replace")
        if self._name == "archive" and self._upload.archive is None:
            self._upload.archive = self._folder / "archive.zip"
            self._file = self._vault.create(self._upload.archive)
        elif self._name == "files":
            self._upload.files += 1
            if self._upload.files > MOST_FILES:
                raise OptionError(
                    f"expected at most {MOST_FILES:,} files, got more: send a zip", option="files"
                )
            self._file = new_file(self._folder / "files", given, self._upload, self._vault)
        else:
            raise OptionError(
                'expected files named "files", or one "archive"', option=self._name or "body"
            )

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
        else:
            self._text += data[start:end]
            self._check_length(self._text)

    def _check_length(self, text: bytes) -> None:
        if len(text) > LONGEST_FIELD:
            raise OptionError(f"expected fields of at most {LONGEST_FIELD:,} bytes", option="body")

    def _part_end(self) -> None:
        if self._file is not None:
            self.close()
        else:
            self._upload.fields[self._name] = self._text.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self._ended = True


def new_file(folder: Path, name: str, upload: Upload, vault: Vault) -> BinaryIO:
    """Make a file by the name that was sent. DataError: it is none that is taken."""
    parts = checked_parts(name)
    if vault.encrypted:  # a name says who it is: the file has a number instead
        whole = "/".join(parts)
        if whole in upload.names:
            raise DataError(f"{whole}: expected each name once, it comes again")
        upload.names.append(whole)
        folder.mkdir(parents=True, exist_ok=True)
        return vault.create(folder / str(len(upload.names)))
    target = folder.joinpath(*parts)
    if target.exists():
        raise DataError(f"{'/'.join(parts)}: expected each name once, it comes again")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return open_new(target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(f"{name!r:.100}: it is a file and a folder") from error


def checked_parts(name: str) -> list[str]:
    """Folders and name of a file that was sent. DataError: it leads out, or is no photo or film."""
    parts = [unicodedata.normalize("NFC", part) for part in name.split("/")]
    wrong = any(
        part in ("", ".", "..")
        or part.startswith(".")
        or "\\" in part
        or any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in part)
        or len(part.encode("utf-8", "replace")) > LONGEST_NAME
        for part in parts
    )
    if wrong or len(parts) > 9 or (len(parts[0]) > 1 and parts[0][1] == ":"):
        raise DataError(f"{name!r:.100}: expected the name of a photo or film, such as Ann/1.jpg")
    if PurePosixPath(parts[-1]).suffix.lower() not in IMAGE_SUFFIXES | FILM_SUFFIXES:
        raise DataError(f"{name!r:.100}: expected a photo or a film by its ending")
    return parts
