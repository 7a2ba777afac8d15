"""Negative examples: faces that somebody said are not a person's, which searches respect."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from lineament.server.access import needs, writes
from lineament.server.auditing import record
from lineament.server.bodies import RejectOptions
from lineament.server.paging import After, Limit, page, read_cursor
from lineament.server.people import PERSON, Person, SampleNumber
from lineament.server.photos import Upload, read_request
from lineament.server.schemas import Answer, answers, merged, photo_body

router = APIRouter(tags=["people"])


class RejectionAnswer(Answer):
    """A negative example."""

    id: int
    person: str


class RejectionsAnswer(Answer):
    """Negative examples of a person."""

    rejections: list[dict[str, Any]]
    next: str | None


@router.post(
    PERSON + "/reject",
    summary="Say that a face is not this person's",
    response_model=RejectionAnswer,
    **merged(
        needs("enroll", gallery=True),
        writes(),
        photo_body(RejectOptions, "image"),
        {"responses": answers(404)},
    ),
)
async def reject(request: Request, gallery: str, person: Person) -> Any:
    """From now on a face that is as alike to it as to the person's own samples is not named so.

    `face` is the number of the face as `identify` has them; without it, the main one is meant.
    """
    state = request.app.state.lineament
    photos, options, _ = await read_request(request, RejectOptions)

    def call() -> dict[str, Any]:
        found = state.galleries.get(gallery)
        name = person.in_(found, options.name)
        photo = Upload(photos["image"], 1)
        made = found.reject(photo, name, face=options.face, box=options.box)
        record(request, "reject", found, name, rejection=made.id)
        return dict(made.to_dict())

    return JSONResponse(await state.work.run(call))


@router.get(
    PERSON + "/rejections",
    summary="Faces that are not this person's",
    response_model=RejectionsAnswer,
    **merged(needs("enroll", gallery=True), {"responses": answers(404)}),
)
async def list_rejections(
    request: Request, gallery: str, person: Person, after: After = None, limit: Limit = 100
) -> Any:
    """By number."""
    state = request.app.state.lineament
    last = read_cursor(after)

    def call() -> dict[str, Any]:
        found = state.galleries.get(gallery)
        listed = found.rejections(person.in_(found))
        listed = sorted(listed, key=lambda one: one.id)
        if last is not None:
            listed = [one for one in listed if f"{one.id:020}" > last]
        return page(
            "rejections", listed[: limit + 1], limit,
            key=lambda one: f"{one.id:020}", shown=lambda one: one.to_dict(),
        )  # fmt: skip

    return JSONResponse(await state.work.run(call))


@router.delete(
    "/galleries/{gallery}/rejections/{rejection}",
    summary="Forget that a face is not a person's",
    response_model=RejectionAnswer,
    **merged(needs("enroll", gallery=True), writes(), {"responses": answers(404)}),
)
async def delete_rejection(request: Request, gallery: str, rejection: SampleNumber) -> Any:
    """Every byte of it goes; the answer says what it was."""
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            gone = found.remove_rejection(rejection)
            record(request, "remove rejection", found, gone.person, rejection=rejection)
        state.repeats.forget(gallery)
        return dict(gone.to_dict())

    return JSONResponse(await state.work.run(call))
