"""Samples: enroll photos of a person; look at one, remove it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from lineament.errors import NotFoundError, OptionError
from lineament.gallery import EnrollReport
from lineament.server.access import needs, writes
from lineament.server.auditing import record
from lineament.server.bodies import ConsentBody, EnrollOptions
from lineament.server.people import PERSON, Person, SampleNumber
from lineament.server.photos import parsed, read_request, uploads
from lineament.server.repeats import once, replayed_header
from lineament.server.routes.people import RemovalAnswer
from lineament.server.schemas import Answer, answers, merged, photo_body

router = APIRouter(tags=["samples"])
SAMPLE = "/galleries/{gallery}/samples/{sample}"


class EnrollAnswer(Answer):
    """What became of each photo."""

    person: dict[str, Any] | None
    created: bool
    enrolled: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    photos: list[dict[str, Any]]


class SampleAnswer(Answer):
    """One sample."""

    id: int
    person: str


@router.post(
    PERSON + "/samples",
    summary="Enroll photos of a person",
    response_model=EnrollAnswer,
    **merged(
        needs("enroll", gallery=True),
        writes(),
        photo_body(EnrollOptions, "images", many=True),
        {"responses": answers(404)},
    ),
)
async def enroll(request: Request, gallery: str, person: Person) -> Any:
    """All that pass, in one transaction; who is new is added: `/people/-/samples?name=Ada`.

    A refusal is no error: `photos` has one entry for each photo of the request, in its order, with
    the number of its `sample`, or the `reason` (a code) and a `message`.
    """
    state = request.app.state.lineament
    _, options, photos = await read_request(request, EnrollOptions, ("images",), many=True)

    consent = None
    if options.consent is not None:
        consent = parsed(ConsentBody, options.consent).record()

    def call() -> tuple[dict[str, Any], bool]:
        found = state.galleries.get(gallery)
        name = person.in_(found, options.name)
        sources: list[Any] = list(uploads(photos))
        if options.box is not None:
            if len(sources) > 1:
                raise OptionError(f"expected one photo with it, got {len(sources)}", option="box")
            sources = [found.recognizer.finder.boxed(sources[0], options.box)]
        report = found.enroll(
            name,
            sources,
            metadata=options.metadata,
            sample_metadata=options.sample_metadata,
            choose=options.choose,
            on_low_quality=options.on_low_quality,
            force=options.force,
            review=options.review,
            consent=consent,
            once=once(request),
        )
        again: dict[str, Any] = {"repeated": True} if report.repeated else {}
        record(
            request,
            "enroll",
            found,
            name,
            outcome="done" if report.enrolled else "refused",
            n_enrolled=len(report.enrolled),
            n_refused=len(report.refused),
            **again,
        )
        return report_of(report, len(photos)), report.repeated

    values, repeated = await state.work.run(call)
    return JSONResponse(values, headers=replayed_header(repeated))


def report_of(report: EnrollReport, n_photos: int) -> dict[str, Any]:
    """A report, with an entry for each photo of the request.

    ``code`` is that of the error which a photo that cannot be read, or has no face, is for others.
    """
    rows: dict[str, dict[str, Any]] = {
        f"photo {number}": {
            "photo": number,
            "sample": None,
            "reason": None,
            "message": None,
            "code": None,
            "problems": [],
        }
        for number in range(1, n_photos + 1)
    }
    for sample in report.enrolled:
        rows[sample.source]["sample"] = sample.id
    for refusal in report.refused:
        rows[refusal.source] |= {
            "reason": refusal.reason,
            "message": refusal.message,
            "code": None if refusal.error is None else refusal.error.code,
            "problems": list(refusal.problems),
        }
    return {**report.to_dict(), "photos": list(rows.values())}


@router.get(
    SAMPLE,
    summary="One sample",
    response_model=SampleAnswer,
    **merged(needs("verify", gallery=True), {"responses": answers(404)}),
)
async def get_sample(request: Request, gallery: str, sample: SampleNumber) -> Any:
    """Whose it is, its quality, and when it was added; not its embedding."""
    state = request.app.state.lineament
    return JSONResponse(
        await state.work.run(lambda: dict(state.galleries.get(gallery).sample(sample).to_dict()))
    )


@router.delete(
    SAMPLE,
    summary="Remove a sample, and every byte of it",
    response_model=RemovalAnswer,
    **merged(needs("enroll", gallery=True), writes(), {"responses": answers(404)}),
)
async def delete_sample(request: Request, gallery: str, sample: SampleNumber) -> Any:
    """A person whose last sample goes stays, without samples."""
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            name = found.sample(sample).person
            report = found.remove(sample)
            record(request, "remove sample", found, name, sample=sample)
        state.forget(gallery)
        return dict(report.to_dict())

    return JSONResponse(await state.work.run(call))


@router.get(
    SAMPLE + "/crop",
    summary="The kept face of a sample",
    response_class=Response,
    response_model=None,
    **merged(
        needs("enroll", gallery=True),
        {
            "responses": answers(404)
            | {200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}}
        },
    ),
)
async def get_crop(request: Request, gallery: str, sample: SampleNumber) -> Any:
    """As PNG, where the gallery's setting `keep_crops` was on; else 404."""
    state = request.app.state.lineament

    def call() -> bytes:
        found = state.galleries.get(gallery)
        name = found.sample(sample).person
        crop: bytes | None = found.crop(sample)
        if crop is None:
            raise NotFoundError(
                f"no face was kept of sample {sample}",
                hint="set keep_crops of the gallery before photos are enrolled",
            )
        record(request, "see crop", found, name, sample=sample)
        return crop

    return Response(await state.work.run(call), media_type="image/png")
