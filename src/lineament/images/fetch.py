"""Photos from http and https addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineament.errors import ImageError, ImageFormatError, ImageNotFoundError
from lineament.images.limits import ImageLimits, too_many_bytes
from lineament.text import reason_of

if TYPE_CHECKING:
    from lineament.web import Answer


def fetch(url: str, name: str, limits: ImageLimits) -> bytes:
    """The bytes behind an address.

    Args:
        url: http or https.
        name: of the photo, for messages.
        limits: bytes, seconds, and which addresses may be asked.

    Raises:
        ImageNotFoundError: the server says so.
        ImageTooLargeError: more bytes than the limits allow.
        ImageFormatError: the connection ended too early.
        ImageError: everything else that kept it from being fetched.
    """
    from http.client import HTTPException  # only those who fetch pay for it

    from lineament import web

    if "@" in url.partition("://")[2].partition("/")[0].partition("?")[0]:
        raise ImageError(
            f"{name}: expected an address without user and password; download it first"
        )
    try:
        deadline = web.Deadline(limits.url_timeout_s)
        with web.open_url(url, deadline, allow_private=limits.allow_private) as answer:
            return _body_of(answer, name, limits)
    except ImageError:
        raise
    except TimeoutError as error:
        raise ImageError(
            f"{name}: no complete answer within {limits.url_timeout_s:g} s",
            hint="; try again{or_timeout}",
        ) from error
    except web.PrivateAddressError as error:
        raise ImageError(
            f"{name}: expected an address on the public internet, it leads to this machine or to "
            "a network of its own",
            hint="; download it first{or_allow_private}",
        ) from error
    except web.RedirectError as error:
        raise ImageError(
            f"{name}: expected at most {web.MAX_REDIRECTS} redirects, to http or https only; "
            "give the final address"
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = web.brief(reason_of(error))
        raise ImageError(f"{name}: cannot be fetched ({reason}); check the address") from error


def _body_of(answer: Answer, name: str, limits: ImageLimits) -> bytes:
    if answer.status in (404, 410):
        raise ImageNotFoundError(
            f"{name}: the server answers {answer.status} (not found); check the address"
        )
    if not 200 <= answer.status < 300:
        raise ImageError(f"{name}: the server answers {answer.words}; check the address")
    length = answer.length
    if length is not None and length > limits.max_bytes:
        raise too_many_bytes(name, limits)
    parts: list[bytes] = []
    total = 0
    while part := answer.read(min(2**20, limits.max_bytes + 1 - total)):
        parts.append(part)
        total += len(part)
        if total > limits.max_bytes:
            raise too_many_bytes(name, limits)
    if length is not None and total < length:
        raise ImageFormatError(
            f"{name}: expected {length:,} bytes, the connection ended after {total:,}; try again"
        )
    return b"".join(parts)
