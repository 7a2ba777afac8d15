"""Answers that say what went wrong, as the library's own errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lineament.errors import (
    BusyError,
    LineamentError,
    MissingExtraError,
    ServiceError,
)


def classes() -> dict[str, type[LineamentError]]:
    """Code -> class, of all errors that there are."""

    def below(kind: type[LineamentError]) -> Iterator[type[LineamentError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    found: dict[str, type[LineamentError]] = {}
    for kind in below(LineamentError):
        found.setdefault(kind.code, kind)  # a class without a code of its own stands below
    return found


def error_of(
    problem: Mapping[str, Any], status: int, *, retry_after_s: int | None = None
) -> LineamentError:
    """Make the error of a problem+json (RFC 9457).

    Args:
        problem: the answer's object; what it lacks is made up for.
        status: of HTTP.
        retry_after_s: what the server says of asking again.

    Returns:
        One of the class that has the problem's ``code``; ServiceError of a code that this version
        has not. It has the request's id as a note, for whoever looks into the server's log.
    """
    code = problem.get("code")
    kind = classes().get(code if isinstance(code, str) else "", ServiceError)
    if kind is LineamentError:  # "error": the server's own fault
        kind = ServiceError
    text = problem.get("detail") or problem.get("title") or f"the server answered {status}"
    option, hint = problem.get("option"), problem.get("hint")
    given = {
        "option": option if isinstance(option, str) else None,
        "hint": hint if isinstance(hint, str) and hint else None,
    }
    if issubclass(kind, MissingExtraError):  # it words itself from other arguments
        error: LineamentError = kind("", "", package="")
        LineamentError.__init__(error, str(text), **given)
    else:
        error = kind(str(text), **given)
    if isinstance(error, BusyError) and retry_after_s is not None:
        error.retry_after_s = retry_after_s
    if isinstance(problem.get("request"), str):
        error.add_note(f"request {problem['request']} of the server")
    return error
