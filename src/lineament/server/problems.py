"""Errors as problem+json (RFC 9457): the library's own codes, each with its HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse

from lineament.errors import BusyError, LineamentError
from lineament.text import printable

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[str, int] = {
    "image_unreadable": 422,
    "image_not_found": 422,
    "image_format": 422,
    "image_too_large": 413,
    "video_unreadable": 422,
    "video_not_found": 422,
    "video_format": 422,
    "video_too_large": 413,
    "video_lost": 422,
    "no_face": 422,
    "several_faces": 422,
    "unknown_weights": 422,
    "license_refused": 403,
    "out_of_memory": 503,
    "contract_mismatch": 409,
    "missing_extra": 501,
    "index_server": 503,
    "gallery_not_found": 404,
    "gallery_exists": 409,
    "consent_missing": 422,
    "gallery_closed": 503,
    "gallery_unusable": 409,
    "gallery_key": 503,
    "gallery_locked": 503,
    "gallery_read_only": 503,
    "nobody_searched": 409,
    "enroll_refused": 422,
    "unknown_person": 404,
    "person_exists": 409,
    "unlike_people": 409,
    "data_layout": 422,
    "option_invalid": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "busy": 429,
    "too_slow": 408,
    "timed_out": 504,
    "unavailable": 503,
    "body_too_large": 413,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "media_type": 415,
}
"""Code -> status; codes that are not here are the server's own fault: 500."""

RETRY: Mapping[str, int] = {
    "busy": 1,
    "gallery_closed": 1,
    "gallery_locked": 1,
    "out_of_memory": 5,
    "index_server": 5,
    "timed_out": 5,
    "unavailable": 1,
}
"""Code -> seconds after which asking again may help."""

PUBLIC = ("busy", "out_of_memory", "missing_extra")
"""Codes of 500 and above whose messages are for everybody."""

ACTIONS: Mapping[str, str] = {
    "enroll": "POST /v1/galleries/{gallery}/people/{person}/samples adds people",
    "people": "GET /v1/galleries/{gallery}/people lists the names",
    "person": "GET /v1/galleries/{gallery}/people/{person} lists the samples",
    "force": "set force to true",
    "read_only": "",
    "wait": "try again later",
    "wait_or_read": "or try again later",
    "threshold": "set threshold",
    "or_max_bytes": "",
    "or_max_pixels": "",
    "or_max_memory": "",
    "or_timeout": "",
    "or_allow_private": "",
    "allow_private_video": "",
    "or_find_images": "",
    "replace_metadata": "PUT writes other metadata",
    "remove_sample": "DELETE .../samples/{number} removes it",
    "migrate": "`lineament gallery migrate` on the server",
    "model": "the server's settings name the recognizer",
    "open_or_create": "POST /v1/galleries makes one",
    "skip_damaged": "set damaged to skip to import the rest",
    "absent": "erase them again",
    "consent": "set consent",
    "encrypt": "`lineament gallery encrypt` on the server",
    "frontal": "send photos, not crops",
    "key": "the server's settings name the key",
    "lower_limits": "lower min_score of POST /v1/detect",
    "ray": "",
    "rejections": "GET /v1/galleries/{gallery}/people/{person}/rejections lists the numbers",
    "restart": "begin anew",
    "resume_or_overwrite": "choose another name",
    "rotate_key": "`lineament gallery rotate-key` on the server",
    "shots": "",
}
"""What hints advise, in terms of this API; the keys of ``errors.ACTIONS``."""


def status_of(error: LineamentError) -> int:
    """The HTTP status of an error."""
    return STATUS.get(error.code, 500)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    option: str | None = None,
    hint: str | None = None,
    request: str | None = None,
    retry_s: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An answer that says what went wrong.

    Args:
        status: of HTTP.
        code: stable, for programs; those of ``lineament.errors``.
        detail: what was expected, what came, for people.
        option: the field that it is about.
        hint: the remedy.
        request: the request's id.
        retry_s: seconds after which it may be asked again.
        headers: of the answer, besides.
    """
    body: dict[str, Any] = {
        "type": f"urn:lineament:error:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "code": code,
        "option": None if option is None else printable(option)[:200],
        "hint": hint,
        "request": request,
    }
    more = dict(headers or {})
    if retry_s is not None:
        more["Retry-After"] = str(retry_s)
    return JSONResponse(body, status, headers=more, media_type=MEDIA_TYPE)


def problem_of(error: LineamentError, request: str | None = None) -> JSONResponse:
    """The same of one of the library's errors.

    What only the server's owner can mend is not told in detail: it names files of the server.
    """
    status = status_of(error)
    if status >= 500 and error.code not in PUBLIC:
        words = "try again later" if error.code in RETRY else "ask who runs the server"
        return problem(
            status,
            error.code,
            f"the server cannot do that now: {error.code.replace('_', ' ')}",
            hint=words,
            request=request,
            retry_s=RETRY.get(error.code),
        )
    headers = {"WWW-Authenticate": 'Bearer realm="lineament"'} if status == 401 else None
    retry_s = error.retry_after_s if isinstance(error, BusyError) else RETRY.get(error.code)
    return problem(
        status,
        error.code,
        error.message,
        option=error.option,
        hint=error.advice(ACTIONS) or None,
        request=request,
        retry_s=retry_s,
        headers=headers,
    )
