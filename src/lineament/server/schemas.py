"""What the OpenAPI description says of requests and answers.

Answers are what the library's ``to_dict`` gives (docs/reference/json.md); the models here describe
their fixed parts, and let more fields pass.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lineament.server.problems import MEDIA_TYPE


class Options(BaseModel):
    """What may be set beside the photos of a request; anything else is refused."""

    model_config = ConfigDict(extra="forbid")


def _numbers(value: Any) -> Any:
    """Numbers separated by commas, as a form or a query has them, or a list."""
    return value.strip("[] ").split(",") if isinstance(value, str) else value


Box = Annotated[
    Annotated[list[float], Field(min_length=4, max_length=4)] | None,
    BeforeValidator(_numbers),
    Field(description="Left, top, right, bottom in pixels: where somebody says that the face is."),
]


class Answer(BaseModel):
    """A result as the library has it; it may have more fields."""

    model_config = ConfigDict(extra="allow")


class Problem(Answer):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:lineament:error:no_face"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["no_face"])
    option: str | None
    hint: str | None
    request: str | None


class DetectOptions(Options):
    """Of detection."""

    min_score: float | None = Field(None, ge=0, le=1, description="Least score of a face.")
    max_faces: int | None = Field(None, ge=1, le=10_000, description="The largest so many faces.")
    box: Box = None


class CompareOptions(Options):
    """Of a comparison: threshold and fmr exclude each other."""

    threshold: float | None = Field(None, ge=-1, le=1, description="Cosine from which it is one.")
    fmr: float | None = Field(None, gt=0, lt=1, description="Wanted false match rate.")
    liveness: Literal["off", "passive"] = "off"
    box_a: Box = None
    box_b: Box = None


class DetectAnswer(Answer):
    """A photo with its faces."""

    faces: list[dict[str, Any]]


class CompareAnswer(Answer):
    """A decision."""

    verdict: str
    score: float


def photo_body(
    options: type[BaseModel], *photos: str, many: bool = False, needed: bool = True
) -> dict[str, Any]:
    """Options of a route that reads photos by ``photos.read_request``.

    Args:
        options: model of what may be set besides.
        photos: names of the photos.
        many: whether there may be several under the first name.
        needed: whether photos have to be there.
    """
    fields = options.model_json_schema()
    properties = dict(fields.get("properties", {}))
    required = [*fields.get("required", []), *(photos if needed else ())]
    binary: dict[str, Any] = {"type": "string", "format": "binary"}
    text: dict[str, Any] = {"type": "string", "format": "byte", "description": "base64"}
    address = {
        "type": "object",
        "properties": {"url": {"type": "string", "format": "uri"}},
        "required": ["url"],
        "additionalProperties": False,
    }
    coded: dict[str, Any] = {"anyOf": [text, address]}
    if many:
        binary = {"type": "array", "items": binary, "minItems": 1, "maxItems": 100}
        coded = {"type": "array", "items": coded, "minItems": 1, "maxItems": 100}

    def schema(photo: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": dict.fromkeys(photos, photo) | properties,
            "required": required,
            "additionalProperties": False,
        }

    content: dict[str, Any] = {
        "multipart/form-data": {"schema": schema(binary)},
        "application/json": {"schema": schema(coded)},
    }
    if len(photos) == 1:
        raw = {"schema": {"type": "string", "format": "binary"}}
        content |= {"image/jpeg": raw, "image/png": raw, "application/octet-stream": raw}
    return {"openapi_extra": {"requestBody": {"required": needed, "content": content}}}


_PROBLEM = Problem.model_json_schema()
"""Of every route, for ten statuses: made once, not at each."""


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route: problems of these statuses, and of those that any route has."""
    every = (400, 401, 403, 408, 413, 415, 422, 429, 500, 503)
    return {
        status: {
            "description": _WORDS.get(status, "what went wrong"),
            "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
        }
        for status in (*every, *statuses)
    }


_WORDS = {
    401: "no key, or a wrong one",
    403: "the key does not allow that",
    404: "there is no such thing",
    409: "things are not as the request takes for granted",
    413: "too many bytes or pixels",
    422: "a photo or an option cannot be used",
    429: "too many requests at once: ask again after Retry-After",
    503: "cannot be done now: ask again",
}


def merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """Options of a route from several helpers: ``openapi_extra`` and lists are joined."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if name == "openapi_extra":
                whole[name] = whole.get(name, {}) | value
            elif isinstance(value, list):
                whole[name] = [*whole.get(name, []), *value]
            else:
                whole[name] = value
    return whole
