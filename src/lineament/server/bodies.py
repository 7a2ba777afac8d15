"""What requests about looks, galleries, people and keys may say, beside their photos."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from lineament.errors import OptionError
from lineament.gallery.consent import Consent
from lineament.gallery.filters import parse_filter
from lineament.gallery.review import OnLowQuality, Review
from lineament.liveness.passive import LivenessMode
from lineament.server.roles import Role
from lineament.server.schemas import Box, Options


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise OptionError("expected fewer lists and objects within each other") from error


def _object(value: Any) -> Any:
    """JSON in a form's field, or an object of JSON."""
    return _read(value) if isinstance(value, str) else value


def _filter(value: Any) -> Any:
    """A filter: an object; or texts such as "age>=18", as a query has them."""
    if isinstance(value, str):
        value = _read(value) if value.lstrip().startswith("{") else [value]
    if not isinstance(value, list):
        return value
    if not all(isinstance(entry, str) for entry in value):
        raise OptionError('expected texts such as "age>=18", or an object')
    return parse_filter(value)


def _names(value: Any) -> Any:
    """Names separated by commas, or a list."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


Values = Annotated[
    dict[str, Any] | None,
    BeforeValidator(_object),
    Field(description="Plain values by name; in a form: as JSON."),
]
Filter = Annotated[
    dict[str, Any] | None,
    BeforeValidator(_filter),
    Field(description='Only people with such metadata: {"building": "B", "age": {">=": 18}}.'),
]
Name = Annotated[str | None, Field(description="Who, where the path says '-'.")]
Share = Annotated[float | None, Field(gt=0, lt=1)]
Cosine = Annotated[float | None, Field(ge=-1, le=1)]

# --- looks ----------------------------------------------------------------------------------------


class EmbedOptions(Options):
    """Of embedding."""

    faces: Literal["all", "chosen"] = Field("all", description="Every face, or the main one.")
    box: Box = None


class QualityOptions(Options):
    """Of measuring quality: none so far."""


class AttributesOptions(Options):
    """Of saying how faces look."""

    only: Annotated[
        list[str] | None, BeforeValidator(_names), Field(description="Names, or all.")
    ] = None


class GroupOptions(Options):
    """Of grouping: threshold and fmr exclude each other."""

    min_size: int = Field(2, ge=1, le=10_000, description="Smaller groups are left out.")
    threshold: Cosine = None
    fmr: Share = None


# --- galleries ------------------------------------------------------------------------------------


class CreateGallery(Options):
    """A new gallery."""

    name: str = Field(description="1 to 64 of a-z, 0-9, - and _.")
    settings: dict[str, Any] = Field({}, description="Of lineament.gallery.Settings, by name.")


class ChangeGallery(Options):
    """Other settings of a gallery."""

    settings: dict[str, Any] = Field(description="Those that change, by name.")


class EnrollOptions(Options):
    """Of enrollment."""

    name: Name = None
    metadata: Values = None
    consent: Annotated[
        dict[str, Any] | None,
        BeforeValidator(_object),
        Field(description="As of PUT consent; in a form: as JSON."),
    ] = None
    sample_metadata: Values = None
    choose: bool = Field(False, description="Take the main face of a photo with several.")
    on_low_quality: OnLowQuality = "refuse"
    review: Review | None = Field(
        None, description="How closely photos are looked at; null: as the gallery's settings say."
    )
    force: bool = Field(False, description="Do not compare with who is enrolled.")
    box: Box = None


class ConsentBody(Options):
    """A record of consent; see `lineament.gallery.consent`."""

    reference: str = Field(description="Where it is: the number of a form, an address.")
    purposes: list[str] = Field(description="What for: access, attendance.")
    given: float = Field(description="When, in seconds since 1970, UTC.")
    by: str = Field("", description="Who consented, where it is not the person.")
    method: str = Field("", description="How: signed form, web form.")
    expires: float | None = Field(None, description="Until when; null: until withdrawn.")

    def record(self) -> Consent:
        """As the library has it. OptionError: it is none."""
        return Consent(**self.model_dump() | {"purposes": tuple(self.purposes)})


class PutConsent(ConsentBody):
    """The consent that a person has from now on."""

    add: bool = Field(False, description="Keep those that are there, too.")


class AnnotatePerson(Options):
    """Other metadata of a person; what is not named goes."""

    metadata: dict[str, Any]


class ChangePerson(Options):
    """Another name, or more metadata; null removes a key."""

    name: str | None = Field(None, description="The new name.")
    metadata: dict[str, Any] | None = None
    kept_until: float | None = Field(
        None, description="Until when they stay, in seconds since 1970; null: as consents say."
    )


class MergePeople(Options):
    """Who is the same person as the one of the path."""

    others: list[int] = Field(min_length=1, max_length=100, description="Numbers of people.")
    force: bool = Field(False, description="Even if they do not look alike.")


class IdentifyOptions(Options):
    """Of a search."""

    top: int = Field(5, ge=1, le=100, description="Candidates of each face.")
    fpir: float = Field(0.01, gt=0, lt=1, description="Wanted share of strangers with a name.")
    threshold: Cosine = None
    where: Filter = None
    purpose: str | None = Field(
        None, max_length=500, description="Only people of whom every consent names it."
    )
    one_person_per_photo: bool = True
    liveness: LivenessMode = "off"
    box: Box = None


class RejectOptions(Options):
    """Of saying that a face is not a person's."""

    name: Name = None
    face: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Number of the face, as identify has it; null: the main one.",
    )
    box: Box = None


class VerifyOptions(Options):
    """Of a comparison with one person: threshold and fmr exclude each other."""

    name: Name = None
    threshold: Cosine = None
    fmr: Share = None
    purpose: str | None = Field(
        None, max_length=500, description="Only if every consent of the person names it."
    )
    liveness: LivenessMode = "off"
    box: Box = None


# --- keys -----------------------------------------------------------------------------------------


class MakeKey(Options):
    """A new key."""

    role: Role = "verify"
    galleries: list[str] = Field(["*"], min_length=1, max_length=1000)
    label: str = Field("", max_length=200)
    expires: float | str | None = Field(
        None,
        description="When it expires, in seconds since 1970, or 2027-01-31, or how long it holds: "
        "12h, 90d, 4w; null: never.",
    )


def json_body(options: type[BaseModel]) -> dict[str, Any]:
    """Options of a route that reads such an object by ``photos.read_options``."""
    content = {"application/json": {"schema": options.model_json_schema()}}
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}}
