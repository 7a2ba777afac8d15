"""Consents, all that is known of one person, who expired, and the audit log."""

from __future__ import annotations

import tempfile
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from lineament.audit import AuditEntry, read_entries
from lineament.errors import OptionError
from lineament.gallery import PersonInfo
from lineament.server.access import needs, writes
from lineament.server.auditing import record
from lineament.server.bodies import ConsentBody, PutConsent, json_body
from lineament.server.paging import After, Limit, cursor_of, read_cursor
from lineament.server.people import PERSON, Person
from lineament.server.photos import read_options
from lineament.server.repeats import once
from lineament.server.schemas import Answer, answers, merged

router = APIRouter(tags=["consents and audit"])


class ConsentsAnswer(Answer):
    """Consents of a person, and when they expire."""

    consents: list[dict[str, Any]]
    expires: float | None
    kept_until: float | None


class ExpiredAnswer(Answer):
    """A receipt for everybody who was erased."""

    receipts: list[dict[str, Any]]


class AuditAnswer(Answer):
    """Entries of the audit log."""

    entries: list[dict[str, Any]]
    next: str | None


class AuditCheckAnswer(Answer):
    """Whether the log is whole."""

    whole: bool
    n_entries: int
    problem: str | None


class SigningKeyAnswer(Answer):
    """What checks receipts and heads of the log."""

    public_key: str
    fingerprint: str


def _consents(person: PersonInfo) -> dict[str, Any]:
    values = person.to_dict()
    return {name: values[name] for name in ("consents", "expires", "kept_until")}


@router.get(
    PERSON + "/consent",
    summary="What a person consented to",
    response_model=ConsentsAnswer,
    **merged(needs("enroll", gallery=True), {"responses": answers(404)}),
)
async def get_consents(request: Request, gallery: str, person: Person) -> Any:
    """Records of consent, and until when the person stays."""
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        found = state.galleries.get(gallery)
        return _consents(found.person(person.in_(found)))

    return JSONResponse(await state.work.run(call))


@router.put(
    PERSON + "/consent",
    summary="Write down a person's consent",
    response_model=ConsentsAnswer,
    **merged(
        needs("enroll", gallery=True),
        writes(),
        json_body(PutConsent),
        {"responses": answers(404)},
    ),
)
async def put_consent(request: Request, gallery: str, person: Person) -> Any:
    """In the place of what is there, unless `add`."""
    state = request.app.state.lineament
    options = await read_options(request, PutConsent)
    consent = ConsentBody(**options.model_dump(exclude={"add"})).record()

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            name = person.in_(found)
            after = found.set_consent(name, consent, add=options.add, once=once(request))
            record(request, "consent", found, after.name)
            return _consents(after)

    return JSONResponse(await state.work.run(call))


@router.delete(
    PERSON + "/consent",
    summary="Take a person's consents away",
    response_model=ConsentsAnswer,
    **merged(needs("enroll", gallery=True), writes(), {"responses": answers(404)}),
)
async def delete_consents(request: Request, gallery: str, person: Person) -> Any:
    """In a gallery that takes nobody without one, remove the person instead."""
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            after = found.set_consent(person.in_(found), None)
            record(request, "withdraw consent", found, after.name)
            return _consents(after)

    return JSONResponse(await state.work.run(call))


@router.get(
    PERSON + "/export",
    summary="All that is known of a person",
    response_class=Response,
    **merged(
        needs("admin", gallery=True),
        {
            "responses": answers(404)
            | {200: {"content": {"application/zip": {"schema": {"type": "string"}}}}}
        },
    ),
)
async def export_person(request: Request, gallery: str, person: Person) -> Any:
    """As a zip: samples with crops and embeddings, consents, entries of the audit log, a page."""
    state = request.app.state.lineament

    def call() -> bytes:
        found = state.galleries.get(gallery)
        name = person.in_(found)
        with tempfile.TemporaryDirectory(prefix="lineament-") as folder:
            path = Path(folder) / "person.zip"
            found.export_person(name, path, audit=state.audit.log)
            data = path.read_bytes()
        record(request, "export", found, name, n_bytes=len(data))
        return data

    return Response(
        await state.work.run(call),
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="person.zip"'},
    )


@router.post(
    "/galleries/{gallery}/expire",
    summary="Erase everybody who expired",
    response_model=ExpiredAnswer,
    **merged(needs("admin", gallery=True), writes(), {"responses": answers(404)}),
)
async def expire_people(request: Request, gallery: str) -> Any:
    """Nobody found them any more; now every byte goes, each with a signed receipt."""
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            receipts = found.expire(signing_key=state.audit.signing_key)
            state.forget(gallery)
            record(request, "expire", n_people=len(receipts))
            return {"receipts": [receipt.to_dict() for receipt in receipts]}

    return JSONResponse(await state.work.run(call))


@router.get(
    "/audit",
    summary="What was changed and searched, by whom",
    response_model=AuditAnswer,
    **merged(needs("admin", everywhere=True), {"responses": answers()}),
)
async def list_audit(
    request: Request,
    after: After = None,
    limit: Limit = 100,
    newest: Annotated[bool, Query(description="The newest first, not the oldest.")] = False,
    action: str | None = None,
    actor: str | None = None,
    gallery: str | None = None,
    person: Annotated[str | None, Query(description="A pseudonym, as entries have it.")] = None,
    outcome: str | None = None,
    since: Annotated[float | None, Query(description="Seconds since 1970.")] = None,
    until: Annotated[float | None, Query(description="Seconds since 1970.")] = None,
) -> Any:
    """Entries, without names: a person is a pseudonym, a caller the id of a key or user."""
    state = request.app.state.lineament
    last = _number(after)

    def call() -> dict[str, Any]:
        found = read_entries(
            state.audit.path,
            action=action,
            actor=actor,
            gallery=gallery,
            person_key=person,
            outcome=outcome,
            since=since,
            until=until,
        )
        listed: list[AuditEntry]
        if newest:
            before = (entry for entry in found if last is None or entry.n < last)
            listed = list(reversed(deque(before, limit + 1)))
        else:
            listed = list(
                islice((entry for entry in found if last is None or entry.n > last), limit + 1)
            )
        more = len(listed) > limit
        return {
            "entries": [entry.to_dict() for entry in listed[:limit]],
            "next": cursor_of(str(listed[limit - 1].n)) if more else None,
        }

    return JSONResponse(await state.work.run(call))


def _number(after: str | None) -> int | None:
    text = read_cursor(after)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise OptionError("expected what the page before has as next", option="after")
    return int(text)


@router.get(
    "/audit/verify",
    summary="Is the audit log whole?",
    response_model=AuditCheckAnswer,
    **merged(needs("admin", everywhere=True), {"responses": answers()}),
)
async def verify_audit(request: Request) -> Any:
    """Every hash, from the first entry on, and the head that was signed last.

    `head` is a new one, signed: whoever keeps it elsewhere finds out if entries are cut off.
    """
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        report = state.audit.verified()
        head = None
        if report.whole and report.n_entries:
            signed = state.audit.log.sign_head()
            head = signed.signed_values() | {"signature": signed.signature}
        return {**report.to_dict(), "head": head}

    return JSONResponse(await state.work.run(call))


@router.get(
    "/signing-key",
    summary="What checks receipts and heads of the audit log",
    response_model=SigningKeyAnswer,
    **merged(needs("admin"), {"responses": answers()}),
)
async def get_signing_key(request: Request) -> Any:
    """The public key, as PEM."""
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        fingerprint = state.audit.signing_key.public.fingerprint
        return {"public_key": state.audit.public_key, "fingerprint": fingerprint}

    return JSONResponse(await state.work.run(call))
