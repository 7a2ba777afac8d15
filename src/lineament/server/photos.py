"""Photos and options out of a request: multipart, the raw bytes, or JSON with base64.

    multipart/form-data            files by the names of the photos, options as fields
    image/*, octet-stream          one photo: the body; options in the query
    application/json               {"image": "BASE64", ...options}; {"image": {"url": "https://"}}
                                   where the server's settings allow addresses

Never a path of the server: a text that is no base64 is refused.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from lineament.errors import ImageError, LineamentError, MediaTypeError, OptionError
from lineament.images import ImageLimits
from lineament.images.sources import read_bytes
from lineament.server.parts import split

M = TypeVar("M", bound=BaseModel)

MOST_PHOTOS, MOST_FIELDS = 100, 100
LONGEST_FIELD = 1 << 20


async def read_request(
    request: Request,
    options: type[M],
    photos: Sequence[str] = ("image",),
    *,
    many: bool = False,
    needed: bool = True,
) -> tuple[dict[str, bytes], M, list[tuple[str, bytes]]]:
    """Read photos and options of a request.

    Args:
        request: its body was not read.
        options: model of what may be set beside the photos.
        photos: their names; each is needed, unless ``many``.
        many: any number of photos under the first name instead, at most ``MOST_PHOTOS``.
        needed: whether photos have to be there.

    Returns:
        Photos by name (the last of each), the options, and all photos in their order as
        (file name or "", bytes).

    Raises:
        ImageError: a photo is missing, no base64, or its address is refused.
        OptionError: an option that there is not, or with a wrong value.
        MediaTypeError: a body of another kind.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query: dict[str, Any] = dict(request.query_params)
    listed: list[tuple[str, str, bytes]]
    if kind == "multipart/form-data":
        listed, fields = await _multipart(request, photos)
        values = query | fields
    elif kind == "application/json":
        listed, fields = await _json(request, photos)
        values = query | fields
    elif kind.startswith("image/") or kind == "application/octet-stream":
        listed, values = [(photos[0], "", await request.body())], query
    elif kind == "" and not await request.body():
        listed, values = [], query
    else:
        raise MediaTypeError(
            "expected multipart/form-data, application/json, image/* or "
            f"application/octet-stream, got {kind or 'no Content-Type'}"
        )
    found = {name: data for name, _, data in listed}
    for name in () if not needed else photos[:1] if many else photos:
        if not found.get(name):
            raise ImageError(f"expected a photo named {name!r}, got none", option=name)
    return found, parsed(options, values), [(file, data) for _, file, data in listed]


def parsed(options: type[M], values: Mapping[str, Any]) -> M:
    """Options of texts or JSON values. OptionError: the first that is wrong."""
    try:
        return options.model_validate(values)
    except ValidationError as error:
        raise option_error(error.errors()) from error


def option_error(errors: Sequence[Any]) -> OptionError:
    """Pydantic's first complaint as one of ours."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    if first["type"] == "extra_forbidden":
        return OptionError("there is no such option", option=place or None)
    words = first["msg"].removeprefix("Value error, ")
    return OptionError(f"{words}, got {first.get('input')!r:.100}", option=place or None)


async def _multipart(
    request: Request, photos: Sequence[str]
) -> tuple[list[tuple[str, str, bytes]], dict[str, Any]]:
    listed: list[tuple[str, str, bytes]] = []
    fields: dict[str, Any] = {}
    kind = request.headers.get("content-type", "")
    for part in split(kind, await request.body(), most=MOST_PHOTOS + MOST_FIELDS):
        if part.file is not None:
            listed.append((part.name, part.file, part.data))
            continue
        if part.name not in photos and len(part.data) > LONGEST_FIELD:
            raise OptionError(f"expected at most {LONGEST_FIELD:,} bytes", option=part.name)
        try:
            value = part.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise OptionError("expected a text in UTF-8", option=part.name) from error
        if part.name in photos:
            listed.append((part.name, "", decoded(part.name, value)))
        else:
            fields[part.name] = value
    if len(listed) > MOST_PHOTOS or len(fields) > MOST_FIELDS:
        raise OptionError(f"expected at most {MOST_PHOTOS} photos and {MOST_FIELDS} fields")
    unknown = sorted({name for name, _, _ in listed} - set(photos))
    if unknown:
        raise OptionError(f"expected photos named {', '.join(photos)}", option=unknown[0])
    return listed, fields


async def _json(
    request: Request, photos: Sequence[str]
) -> tuple[list[tuple[str, str, bytes]], dict[str, Any]]:
    values = await json_body(request)
    listed: list[tuple[str, str, bytes]] = []
    for name in photos:
        value = values.pop(name, None)
        for single in value if isinstance(value, list) else [value]:
            if single is None:
                continue
            if isinstance(single, dict):
                data = await _fetched(request, name, single)
            else:
                data = decoded(name, single)
            listed.append((name, "", data))
    if len(listed) > MOST_PHOTOS:
        raise OptionError(f"expected at most {MOST_PHOTOS} photos, got {len(listed)}")
    return listed, values


async def json_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object. OptionError: it is none."""
    try:
        values = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise OptionError(f"expected a JSON object ({error})", option="body") from error
    if not isinstance(values, dict):
        raise OptionError(f"expected a JSON object, got {type(values).__name__}", option="body")
    return values


def decoded(name: str, text: Any) -> bytes:
    """Base64, or a ``data:`` URI with it. ImageError: it is none."""
    if isinstance(text, str):
        start = text[:100]
        if start.startswith("data:") and ";base64," in start:
            text = text.partition(",")[2]
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise ImageError("expected the photo's bytes as base64", option=name)


async def _fetched(request: Request, name: str, value: Mapping[str, Any]) -> bytes:
    state = request.app.state.lineament
    url = value.get("url")
    if set(value) != {"url"} or not isinstance(url, str):
        raise ImageError('expected {"url": "https://..."}, or base64', option=name)
    if not state.settings.urls:
        raise ImageError(
            "addresses are switched off on this server", option=name, hint="send the photo's bytes"
        )
    if not url.lower().startswith(("http://", "https://")):
        raise ImageError("expected an http or https address", option=name)
    limits: ImageLimits = state.limits
    try:
        data: bytes = await state.work.run(read_bytes, url, "the photo", limits)
    except LineamentError as error:
        error.option = name
        raise
    return data


class Upload(io.BytesIO):
    """A photo of a request as a source of the library: its bytes, called by its place.

    The name that a client gives a file is not taken over: in a gallery it would stand for a file
    of the server.

    Attributes:
        name: "photo 1" for the first one.
    """

    def __init__(self, data: bytes, number: int) -> None:
        """``number``: from 1."""
        super().__init__(data)
        self.name = f"photo {number}"


def uploads(photos: Sequence[tuple[str, bytes]]) -> list[Upload]:
    """The photos of ``read_request`` as sources."""
    return [Upload(data, number) for number, (_, data) in enumerate(photos, 1)]


async def read_options(request: Request, options: type[M]) -> M:
    """Read the options of a request without photos: a JSON object.

    Raises:
        MediaTypeError: it is not said to be JSON.
        OptionError: it is none, or an option is unknown or wrong.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise MediaTypeError(f"expected application/json, got {kind or 'no Content-Type'}")
    return parsed(options, await json_body(request))
