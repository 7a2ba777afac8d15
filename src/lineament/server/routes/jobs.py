"""Long work: send it, look how far it is, fetch what came out."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from lineament.errors import OptionError
from lineament.sealed import CHUNK
from lineament.server.access import at_writer, needs, writes
from lineament.server.answers import SSE_CONTENT, After, events_of
from lineament.server.auditing import record
from lineament.server.jobs import Job, Jobs
from lineament.server.jobs.archives import check_archive
from lineament.server.jobs.kinds import KINDS_OF_JOBS, check_given
from lineament.server.jobs.store import KINDS, UPLOAD, JobKind, JobState
from lineament.server.jobs.uploads import receive
from lineament.server.photos import parsed
from lineament.server.repeats import replayed_header
from lineament.server.roles import Principal, check
from lineament.server.schemas import Answer, answers, merged

router = APIRouter(tags=["jobs"])


class ProgressAnswer(Answer):
    """How far it is."""

    done: int
    total: int
    what: str


class JobAnswer(Answer):
    """A job."""

    id: str
    kind: JobKind
    gallery: str | None
    state: JobState
    progress: ProgressAnswer
    result: dict[str, Any] | None
    file: str | None
    problem: dict[str, Any] | None


class JobsAnswer(Answer):
    """The jobs that the key may see."""

    jobs: list[JobAnswer]


def _body() -> dict[str, Any]:
    """What the OpenAPI description says of the body: fields of all kinds, and what is sent."""
    properties: dict[str, Any] = {
        "kind": {"type": "string", "enum": list(KINDS)},
        "gallery": {"type": "string", "maxLength": 64},
    }
    for kind in KINDS_OF_JOBS.values():
        properties |= kind.options.model_json_schema().get("properties", {})
    binary = {"type": "string", "format": "binary"}
    sent = {
        "files": {"type": "array", "items": binary, "maxItems": 10_000},
        "archive": binary | {"description": "A zip; one folder per person to enroll or tune."},
    }
    coded = {"type": "array", "maxItems": 100, "items": {"type": "string", "format": "byte"}}
    plain = {
        "type": "object",
        "properties": properties | {"files": coded | {"description": "Photos in base64."}},
        "required": ["kind"],
    }
    content = {
        "multipart/form-data": {"schema": plain | {"properties": properties | sent}},
        "application/json": {"schema": plain},
        "application/zip": {"schema": binary},
    }
    return {"openapi_extra": {"requestBody": {"required": True, "content": content}}}


_FILES = ("application/json", "application/zip", "image/*", "video/*", "application/octet-stream")
"""What comes out: calibrations, zips, anonymized photos and films."""


def _jobs(request: Request) -> Jobs:
    found: Jobs = request.app.state.lineament.jobs
    return found


@router.post(
    "/jobs",
    status_code=202,
    summary="Send long work: enroll, group, tune, anonymize, reindex, expire",
    response_model=JobAnswer,
    **merged(needs("enroll"), writes(secret=True), _body(), {"responses": answers(404)}),
)
async def create_job(request: Request) -> Any:
    """One after the other is done; reindex and expire want an admin's key.

    Photos and films come as files or as one zip, in folders named by people where that matters.
    With application/zip the options stand in the query. Sent again with the same Idempotency-Key,
    it is the job that was made the first time, whatever the body.
    """
    jobs = _jobs(request)
    principal: Principal = request.state.principal
    in_thread = asyncio.get_running_loop().run_in_executor
    once = request.app.state.lineament.repeats.token_of(request)
    before = await in_thread(None, jobs.sent, once)
    if before is not None:
        return _accepted(request, before, repeated=True)
    length = request.headers.get("content-length", "")
    jobs.check_room(principal.id, int(length) if length.isdigit() else 0)
    number, folder = await in_thread(None, jobs.store.new_folder)
    try:
        upload = await receive(
            request,
            folder / UPLOAD,
            jobs.store.vault,
            most_text=request.app.state.lineament.settings.max_body_bytes,
        )
        kind, gallery, given = _told(upload.fields)
        wanted = KINDS_OF_JOBS[kind]
        options = parsed(wanted.options, given)
        archive = upload.archive is not None
        check_given(kind, options, gallery=gallery, files=upload.files, archive=archive)
        role = "verify" if wanted.gallery == "may" else wanted.role
        check(principal, role, gallery)
        if gallery is not None:
            await in_thread(None, request.app.state.lineament.galleries.get, gallery)
        if upload.archive is not None:
            looked = partial(check_archive, upload.archive, opened=jobs.store.vault.open)
            await in_thread(None, looked)
        job = Job(number, kind, gallery, principal.id, options.model_dump())
        job = await in_thread(None, jobs.add, job, once)
        if job.id != number:  # the same request came twice at once
            await in_thread(None, jobs.store.clear, number)
            return _accepted(request, job, repeated=True)
        await in_thread(None, partial(record, request, "create_job", about=gallery,
                                      job=job.id, kind=kind))  # fmt: skip
    except BaseException:
        await in_thread(None, jobs.store.clear, number)
        raise
    return _accepted(request, job)


def _accepted(request: Request, job: Job, *, repeated: bool = False) -> JSONResponse:
    headers = {"Location": f"{request.url.path}/{job.id}", **replayed_header(repeated)}
    return JSONResponse(job.to_dict(), 202, headers=headers)


def _told(fields: Mapping[str, Any]) -> tuple[JobKind, str | None, dict[str, Any]]:
    """Kind, gallery and the other fields; fields of forms may hold JSON lists."""
    values = dict(fields)
    kind, gallery = values.pop("kind", None), values.pop("gallery", None)
    if kind not in KINDS:
        raise OptionError(f"expected one of {', '.join(KINDS)}, got {kind!r:.40}", option="kind")
    if gallery is not None and not isinstance(gallery, str):
        raise OptionError(f"expected a gallery's name, got {gallery!r:.40}", option="gallery")
    for name in ("keep", "only"):
        text = values.get(name)
        if isinstance(text, str) and text.startswith("["):
            try:
                values[name] = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise OptionError("expected a list of names as JSON", option=name) from error
    return kind, gallery or None, values


@router.get(
    "/jobs",
    summary="Jobs, the oldest first",
    response_model=JobsAnswer,
    **merged(needs("enroll"), at_writer(), {"responses": answers()}),
)
async def list_jobs(request: Request) -> Any:
    """One's own; an admin's key sees those of its galleries."""
    listed = _jobs(request).list(request.state.principal)
    return JSONResponse({"jobs": [job.to_dict() for job in listed]})


@router.get(
    "/jobs/{job}",
    summary="How far a job is",
    response_model=JobAnswer,
    **merged(needs("enroll"), at_writer(), {"responses": answers(404)}),
)
async def get_job(request: Request, job: str) -> Any:
    """State, progress, and what came out or went wrong."""
    return JSONResponse(_jobs(request).get(job, request.state.principal).to_dict())


@router.delete(
    "/jobs/{job}",
    status_code=204,
    summary="Cancel a job, or forget one that is over",
    **merged(needs("enroll"), writes(), {"responses": answers(404)}),
)
async def delete_job(request: Request, job: str) -> Response:
    """What runs ends soon; what was enrolled until then stays. What was sent is deleted."""
    jobs = _jobs(request)
    found = jobs.get(job, request.state.principal)

    def call() -> None:
        jobs.end(found.id)
        record(request, "delete_job", about=found.gallery, job=found.id, kind=found.kind)

    await asyncio.get_running_loop().run_in_executor(None, call)
    return Response(status_code=204)


@router.get(
    "/jobs/{job}/result",
    summary="The file that came out",
    response_class=FileResponse,
    **merged(
        needs("enroll"),
        at_writer(),
        {"responses": {**answers(404), 200: {"content": {kind: {} for kind in _FILES}}}},
    ),
)
async def job_result(request: Request, job: str) -> Any:
    """Of tune a calibration, of anonymize the file or a zip; 404 where there is none (yet)."""
    jobs = _jobs(request)
    path = jobs.file_of(jobs.get(job, request.state.principal))
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if not jobs.store.vault.encrypted:
        return FileResponse(path, media_type=kind, filename=path.name)
    file = await asyncio.get_running_loop().run_in_executor(None, jobs.store.vault.open, path)
    headers = {
        "content-length": str(file.seek(0, os.SEEK_END)),
        "content-disposition": f'attachment; filename="{path.name}"',
    }
    return StreamingResponse(_pieces(file), media_type=kind, headers=headers)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(CHUNK):
            yield piece


@router.get(
    "/jobs/{job}/events",
    summary="Progress as it goes (server-sent events)",
    response_class=StreamingResponse,
    **merged(
        needs("enroll"),
        at_writer(),
        {"responses": {**answers(404), 200: {"description": "events", "content": SSE_CONTENT}}},
    ),
)
async def job_events(request: Request, job: str, after: After = None) -> Any:
    """Kinds: state (the whole job) and progress; it ends with the job."""
    jobs = _jobs(request)
    found = jobs.get(job, request.state.principal)
    return events_of(
        jobs.feed(found.id), request, request.app.state.lineament.stopping, from_start=True
    )
