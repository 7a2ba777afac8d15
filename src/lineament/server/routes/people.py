"""People of a gallery: list, look at, change, unite, remove."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from lineament.errors import NotFoundError, OptionError
from lineament.gallery.filters import parse_filter
from lineament.server.access import needs, writes
from lineament.server.auditing import record
from lineament.server.bodies import AnnotatePerson, ChangePerson, MergePeople, json_body
from lineament.server.paging import After, Limit, page, read_cursor
from lineament.server.people import PEOPLE, PERSON, Person
from lineament.server.photos import read_options
from lineament.server.schemas import Answer, answers, merged

router = APIRouter(tags=["people"])


class PersonAnswer(Answer):
    """A person with all samples."""

    id: int
    name: str
    metadata: dict[str, Any]
    n_samples: int


class PeopleAnswer(Answer):
    """People by name, without their samples."""

    people: list[dict[str, Any]]
    next: str | None


class RemovalAnswer(Answer):
    """What was removed, and whether every byte of it is gone already."""

    people: list[str]
    samples: list[int]
    erased: bool


@router.get(
    PEOPLE,
    summary="Who is in a gallery",
    response_model=PeopleAnswer,
    **merged(needs("verify", gallery=True), {"responses": answers(404)}),
)
async def list_people(
    request: Request,
    gallery: str,
    after: After = None,
    limit: Limit = 100,
    q: Annotated[
        str | None, Query(max_length=200, description="Only names that contain this.")
    ] = None,
    where: Annotated[
        list[str] | None,
        Query(description="Only people with such metadata: building=B, age>=18, groups~night."),
    ] = None,
) -> Any:
    """By name, page by page. Who is enrolled between two pages may be on neither."""
    state = request.app.state.lineament
    last, wanted = read_cursor(after), parse_filter(where)

    def call() -> dict[str, Any]:
        found = state.galleries.get(gallery)
        people = found.people(where=wanted, after=last, limit=limit + 1, part=q)

        def shown(person: Any) -> dict[str, Any]:
            values = dict(person.to_dict())
            values.pop("samples")
            return values

        listed = page("people", people, limit, key=lambda one: str(one.name), shown=shown)
        return listed | {"n_people": found.n_people}

    return JSONResponse(await state.work.run(call))


@router.get(
    PERSON,
    summary="One person with all samples",
    response_model=PersonAnswer,
    **merged(needs("verify", gallery=True), {"responses": answers(404)}),
)
async def get_person(request: Request, gallery: str, person: Person) -> Any:
    """By number, or by name: `/people/-?name=Ada%20Lovelace`."""
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        found = state.galleries.get(gallery)
        return dict(found.person(person.in_(found)).to_dict())

    return JSONResponse(await state.work.run(call))


@router.put(
    PERSON,
    summary="Write a person's metadata anew",
    response_model=PersonAnswer,
    **merged(
        needs("enroll", gallery=True),
        writes(),
        json_body(AnnotatePerson),
        {"responses": answers(404)},
    ),
)
async def put_person(request: Request, gallery: str, person: Person) -> Any:
    """What is not named in it goes."""
    state = request.app.state.lineament
    options = await read_options(request, AnnotatePerson)

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            name = person.in_(found)
            found.annotate(name, options.metadata, replace=True)
            after = found.person(name)
            record(request, "annotate", found, after.name)
        return dict(after.to_dict())

    return JSONResponse(await state.work.run(call))


@router.patch(
    PERSON,
    summary="Give a person another name, or more metadata",
    response_model=PersonAnswer,
    **merged(
        needs("enroll", gallery=True),
        writes(),
        json_body(ChangePerson),
        {"responses": answers(404, 409)},
    ),
)
async def change_person(request: Request, gallery: str, person: Person) -> Any:
    """Metadata are added; null removes a key. The person keeps the number."""
    state = request.app.state.lineament
    options = await read_options(request, ChangePerson)
    ends = "kept_until" in options.model_fields_set
    if options.name is None and options.metadata is None and not ends:
        raise OptionError("expected a name, metadata or kept_until, got none", option="body")

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            before = name = person.in_(found)
            if options.name is not None:
                name = found.rename(name, options.name).name
            if options.metadata is not None:
                found.annotate(name, options.metadata)
            if ends and found.keep_until(name, options.kept_until) is None:
                record(request, "expire", found, name)
                raise NotFoundError("the time is over: nobody finds the person any more")
            after = found.person(name)
            if ends:
                record(request, "keep", found, name, until=options.kept_until)
            if options.name is not None:
                record(request, "rename", found, before, to=found.pseudonym(after.name))
            if options.metadata is not None:
                record(request, "annotate", found, after.name)
        return dict(after.to_dict())

    return JSONResponse(await state.work.run(call))


@router.post(
    PERSON + "/merge",
    summary="Unite people who are one",
    response_model=PersonAnswer,
    **merged(
        needs("enroll", gallery=True),
        writes(),
        json_body(MergePeople),
        {"responses": answers(404, 409)},
    ),
)
async def merge_people(request: Request, gallery: str, person: Person) -> Any:
    """The samples of the others go to the person of the path, and the others are removed."""
    state = request.app.state.lineament
    options = await read_options(request, MergePeople)

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            name = person.in_(found)
            others = [found.name_of(number) for number in options.others]
            after = found.merge(name, others, force=options.force)
            for other in others:
                record(request, "merge", found, other, into=found.pseudonym(after.name))
        return dict(after.to_dict())

    return JSONResponse(await state.work.run(call))


@router.delete(
    PERSON,
    summary="Remove a person, and every byte of them",
    response_model=RemovalAnswer,
    **merged(needs("enroll", gallery=True), writes(), {"responses": answers(404)}),
)
async def delete_person(
    request: Request,
    gallery: str,
    person: Person,
    receipt: Annotated[
        bool, Query(description="Search all files, and sign what was found.")
    ] = False,
) -> Any:
    """From the database, its log, kept crops, the index, and answers kept for repeated requests.

    With `receipt`, every file of the gallery is searched for what was there, which takes longer,
    and `receipt` says so, signed; `GET /v1/signing-key` has the key that checks it.
    """
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            name = person.in_(found)
            if receipt:
                given = found.erase(name, signing_key=state.audit.signing_key)
                state.forget(gallery)
                record(
                    request, "erase", found, name,
                    outcome="done" if given.clean else "found", n_samples=given.n_samples,
                )  # fmt: skip
                removed = {"people": [name], "samples": [], "erased": given.clean}
                return removed | {"receipt": given.to_dict()}
            report = found.remove(name)
            record(request, "remove", found, name, n_samples=len(report.samples))
        state.forget(gallery)
        return dict(report.to_dict())

    return JSONResponse(await state.work.run(call))
