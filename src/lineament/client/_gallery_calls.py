"""Requests about galleries and the people in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lineament.client._calls import Answer, Call, nothing, segment
from lineament.client._errors import classes
from lineament.client._pages import Page, page
from lineament.client._photo_calls import bare, reading
from lineament.client._uploads import Upload
from lineament.client._values import read
from lineament.errors import OptionError
from lineament.gallery import (
    EnrollReport,
    IdentifiedPhoto,
    PersonInfo,
    Refusal,
    Rejection,
    RemovalReport,
    SampleInfo,
    Settings,
)
from lineament.gallery.consent import Consent
from lineament.gallery.receipts import Receipt
from lineament.results import Outcome
from lineament.types import Contract, Decision, Threshold

BY_NAME = "-"
"""In a path, in place of a person's number: the name stands in the query."""
SIGNS = {"=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "has": "~"}


@dataclass(frozen=True, slots=True)
class GalleryInfo(Outcome):
    """A gallery of a server.

    Attributes:
        name: on that server.
        n_people, n_samples: how many are in it.
        recognizer: name of what its embeddings were made with.
        contract: how.
        settings: how it works.
    """

    name: str
    n_people: int
    n_samples: int
    recognizer: str
    contract: Contract
    settings: Settings

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "name": self.name,
            "n_people": self.n_people,
            "n_samples": self.n_samples,
            "recognizer": self.recognizer,
            "contract": self.contract.to_dict() | {"id": self.contract.id},
            "settings": self.settings.to_dict(),
        }


# --- galleries ------------------------------------------------------------------------------------


def galleries(after: str | None, limit: int) -> Call[Page]:
    return page("galleries", "/galleries", after, limit)


def create_gallery(name: str, settings: Settings | None) -> Call[GalleryInfo]:
    values: dict[str, Any] = {"name": name}
    if settings is not None:
        values["settings"] = settings.to_dict()
    return Call("POST", "/galleries", reading(GalleryInfo), values=values, changes=True)


def gallery_info(gallery: str) -> Call[GalleryInfo]:
    return Call("GET", _path(gallery), reading(GalleryInfo))


def configure(gallery: str, changes: Mapping[str, Any]) -> Call[GalleryInfo]:
    values = {"settings": dict(changes)}
    return Call("PATCH", _path(gallery), reading(GalleryInfo), values=values, changes=True)


def delete_gallery(gallery: str) -> Call[None]:
    return Call("DELETE", _path(gallery), nothing, changes=True)


def _path(gallery: str, *more: object) -> str:
    return "/".join(("/galleries", segment(gallery), *map(segment, more)))


# --- people ---------------------------------------------------------------------------------------


def people(
    gallery: str,
    where: Mapping[str, Any] | None,
    part: str | None,
    after: str | None,
    limit: int,
) -> Call[Page]:
    query = {"q": part, "where": texts_of(where)}
    return page("people", _path(gallery, "people"), after, limit, query)


def texts_of(where: Mapping[str, Any] | None) -> list[str] | None:
    """A filter as texts of a query: the inverse of ``filters.parse_filter``.

    Raises:
        OptionError: an entry that cannot stand there.
    """
    texts: list[str] = []
    for name, wanted in ({} if where is None else where).items():
        tests = wanted if isinstance(wanted, Mapping) else {"=": wanted}
        for sign, value in tests.items():
            if sign not in SIGNS or any(each in name for each in "=!<>~"):
                raise OptionError(f"expected keys and signs, got {name!r} {sign!r}", option="where")
            texts.append(f"{name}{SIGNS[sign]}{json.dumps(value)}")
    return texts or None


def _of_person(gallery: str, name: str, *more: str) -> dict[str, Any]:
    """Path and query of a request about a person."""
    return {"path": _path(gallery, "people", BY_NAME, *more), "query": {"name": name}}


def person(gallery: str, name: str) -> Call[PersonInfo]:
    return Call("GET", read=reading(PersonInfo), **_of_person(gallery, name))


def enroll(
    gallery: str, name: str, photos: Sequence[Upload], options: Mapping[str, Any]
) -> Call[EnrollReport]:
    values = {
        key: value.to_dict() if isinstance(value, Consent) else value
        for key, value in options.items()
    }

    def made(answer: Answer) -> EnrollReport:
        report = read(EnrollReport, answer.json())
        codes = [row.get("code") for row in answer.json()["photos"] if row["reason"] is not None]
        if len(codes) != len(report.refused):
            return report
        refused = zip(report.refused, codes, strict=True)
        return replace(report, refused=tuple(_with_error(one, code) for one, code in refused))

    uploads = tuple(("images", photo) for photo in photos)
    return Call(
        "POST", read=made, values=values, uploads=uploads, listed=True, changes=True,
        **_of_person(gallery, name, "samples"),
    )  # fmt: skip


def _with_error(refusal: Refusal, code: str | None) -> Refusal:
    """With what ``raise_for_refused`` raises of one photo."""
    kind = classes().get(code or "")
    if kind is None:
        return refusal
    text = refusal.message
    if not text.startswith(f"{refusal.source}:"):
        text = f"{refusal.source}: {text}"
    return replace(refusal, error=kind(text))


def annotate(gallery: str, name: str, metadata: Mapping[str, Any], anew: bool) -> Call[PersonInfo]:
    return Call(
        "PUT" if anew else "PATCH", read=reading(PersonInfo), values={"metadata": dict(metadata)},
        changes=True, **_of_person(gallery, name),
    )  # fmt: skip


def rename(gallery: str, name: str, new_name: str) -> Call[PersonInfo]:
    return Call(
        "PATCH", read=reading(PersonInfo), values={"name": new_name}, changes=True,
        **_of_person(gallery, name),
    )  # fmt: skip


def keep_until(gallery: str, name: str, when: float | None) -> Call[PersonInfo]:
    return Call(
        "PATCH", read=reading(PersonInfo), values={"kept_until": when}, changes=True,
        nulls=("kept_until",) if when is None else (), **_of_person(gallery, name),
    )  # fmt: skip


def rotate_key(gallery: str) -> Call[GalleryInfo]:
    return Call("POST", _path(gallery, "rotate-key"), reading(GalleryInfo), changes=True)


def merge(gallery: str, name: str, others: Sequence[int], force: bool) -> Call[PersonInfo]:
    return Call(
        "POST", read=reading(PersonInfo), values={"others": list(others), "force": force},
        changes=True, **_of_person(gallery, name, "merge"),
    )  # fmt: skip


def remove(gallery: str, what: str | int) -> Call[RemovalReport]:
    where = (
        _of_person(gallery, what)
        if isinstance(what, str)
        else {"path": _path(gallery, "samples", what)}
    )
    return Call("DELETE", read=reading(RemovalReport), changes=True, **where)


def sample(gallery: str, number: int) -> Call[SampleInfo]:
    return Call("GET", _path(gallery, "samples", number), reading(SampleInfo))


def crop(gallery: str, number: int) -> Call[bytes]:
    return Call("GET", _path(gallery, "samples", number, "crop"), lambda answer: answer.body)


def set_consent(gallery: str, name: str, consent: Consent | None, add: bool) -> Call[None]:
    if consent is None:
        return Call("DELETE", read=nothing, changes=True, **_of_person(gallery, name, "consent"))
    return Call(
        "PUT", read=nothing, values=consent.to_dict() | {"add": add}, changes=True,
        **_of_person(gallery, name, "consent"),
    )  # fmt: skip


def erase(gallery: str, name: str) -> Call[Receipt]:
    where = _of_person(gallery, name)
    where["query"]["receipt"] = True

    def made(answer: Answer) -> Receipt:
        return read(Receipt, answer.json()["receipt"])

    return Call("DELETE", read=made, changes=True, **where)


def expire(gallery: str) -> Call[list[Receipt]]:
    def made(answer: Answer) -> list[Receipt]:
        return [read(Receipt, one) for one in answer.json()["receipts"]]

    return Call("POST", _path(gallery, "expire"), made, changes=True)


def export_person(gallery: str, name: str) -> Call[bytes]:
    return Call("GET", read=lambda answer: answer.body, **_of_person(gallery, name, "export"))


def reject(
    gallery: str, photo: Upload, name: str, face: int | None, box: Sequence[float] | None
) -> Call[Rejection]:
    def made(answer: Answer) -> Rejection:
        return replace(read(Rejection, answer.json()), source=photo.name)

    return Call(
        "POST", read=made, values={"face": face, "box": numbers(box)}, changes=True,
        uploads=(("image", photo),), **_of_person(gallery, name, "reject"),
    )  # fmt: skip


def rejections(gallery: str, name: str, after: str | None, limit: int) -> Call[Page]:
    where = _of_person(gallery, name, "rejections")
    return page("rejections", where["path"], after, limit, where["query"])


def remove_rejection(gallery: str, number: int) -> Call[Rejection]:
    path = _path(gallery, "rejections", number)
    return Call("DELETE", path, reading(Rejection), changes=True)


def numbers(box: Sequence[float] | None) -> list[float] | None:
    """A box as JSON has it."""
    return None if box is None else [float(one) for one in box]


# --- searches -------------------------------------------------------------------------------------


def identify(
    gallery: str,
    photo: Upload,
    *,
    top: int,
    fpir: float,
    threshold: float | None,
    where: Mapping[str, Any] | None,
    purpose: str | None,
    one_person_per_photo: bool,
    liveness: str,
) -> Call[IdentifiedPhoto]:
    values = {
        "top": top,
        "fpir": fpir,
        "threshold": threshold,
        "where": None if where is None else dict(where),
        "purpose": purpose,
        "one_person_per_photo": one_person_per_photo,
        "liveness": liveness,
    }
    return Call(
        "POST", _path(gallery, "identify"), reading(IdentifiedPhoto, photo),
        values=values, uploads=(("image", photo),),
    )  # fmt: skip


def verify(
    gallery: str,
    name: str,
    photo: Upload,
    *,
    fmr: float | None,
    threshold: Threshold | float | None,
    liveness: str,
    purpose: str | None,
    box: Sequence[float] | None,
) -> Call[Decision]:
    values = {
        "fmr": fmr,
        "threshold": bare(threshold),
        "liveness": liveness,
        "purpose": purpose,
        "box": numbers(box),
    }

    def made(answer: Answer) -> Decision:
        return replace(read(Decision, answer.json()), source_a=photo.name)

    return Call(
        "POST", read=made, values=values, uploads=(("image", photo),),
        **_of_person(gallery, name, "verify"),
    )  # fmt: skip
