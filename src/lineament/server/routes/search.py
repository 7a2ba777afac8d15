"""Who is in a photo, and is it this person?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from lineament.errors import ConsentError
from lineament.server.access import needs
from lineament.server.auditing import record
from lineament.server.bodies import IdentifyOptions, VerifyOptions
from lineament.server.people import PERSON, Person
from lineament.server.photos import read_request
from lineament.server.schemas import Answer, CompareAnswer, answers, merged, photo_body
from lineament.text import counted

router = APIRouter(tags=["search"])

NOT_SEARCHED = ("nobody_searched", "not_live", "low_quality")
"""Reasons why a face has no name whoever it is."""


def _without_consent(number: int) -> dict[str, Any]:
    words = counted(number, "person was", "people were")
    return {
        "reason": "purpose",
        "n_people": number,
        "message": f"{words} not searched: they did not consent to the purpose",
    }


class IdentifyAnswer(Answer):
    """Who is in a photo; faces that could get no name, and why."""

    faces: list[dict[str, Any]]
    not_searched: list[dict[str, Any]]
    people_not_searched: list[dict[str, Any]] | None = None


@router.post(
    "/galleries/{gallery}/identify",
    summary="Who is in a photo?",
    response_model=IdentifyAnswer,
    **merged(
        needs("verify", gallery=True),
        photo_body(IdentifyOptions, "image"),
        {"responses": answers(404, 409)},
    ),
)
async def identify(request: Request, gallery: str) -> Any:
    """Every face of it, with candidates; `Gallery.identify`.

    A face without a name has a `reason`. `not_searched` names those that could get none, whoever
    is enrolled: nobody was there to search, the face is not known to be alive, or it is too poor.
    With `purpose`, `people_not_searched` counts the people who were left out since they did not
    consent to it.
    """
    state = request.app.state.lineament
    photos, options, _ = await read_request(request, IdentifyOptions)

    def call() -> dict[str, Any]:
        people = state.galleries.get(gallery)
        source = photos["image"]
        if options.box is not None:
            source = people.recognizer.finder.boxed(source, options.box)
        found = people.identify(source, **options.model_dump(exclude={"box"}))
        for name in found.names:
            record(request, "identify", people, name, outcome="found", n_faces=len(found.faces))
        if not found.names:
            record(request, "identify", outcome="nobody", n_faces=len(found.faces))
        values = dict(found.to_dict())
        values["not_searched"] = [
            {"face": number, "reason": face.reason, "message": face.reason_in_words}
            for number, face in enumerate(found.faces)
            if face.reason in NOT_SEARCHED
        ]
        if options.purpose is not None:
            left = next((face.n_left_out for face in found.faces if face.n_left_out), None)
            values["people_not_searched"] = [] if left is None else [_without_consent(left)]
        return values

    return JSONResponse(await state.work.run(call))


@router.post(
    PERSON + "/verify",
    summary="Is it the person that it is said to be?",
    response_model=CompareAnswer,
    **merged(
        needs("verify", gallery=True),
        photo_body(VerifyOptions, "image"),
        {"responses": answers(404)},
    ),
)
async def verify_person(request: Request, gallery: str, person: Person) -> Any:
    """One photo against all samples of one person; `Gallery.verify`.

    With `purpose`, 422 (`consent_missing`) of somebody who did not consent to it.
    """
    state = request.app.state.lineament
    photos, options, _ = await read_request(request, VerifyOptions)

    def call() -> dict[str, Any]:
        found = state.galleries.get(gallery)
        name = person.in_(found, options.name)
        source = photos["image"]
        if options.box is not None:
            source = found.recognizer.finder.boxed(source, options.box)
        try:
            decision = found.verify(name, source, **options.model_dump(exclude={"name", "box"}))
        except ConsentError:
            record(request, "verify", found, name, outcome="no consent")
            raise
        record(request, "verify", found, name, outcome=decision.verdict)
        return dict(decision.to_dict())

    return JSONResponse(await state.work.run(call))
