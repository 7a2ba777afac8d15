"""Galleries: list, make, look at, change, delete; and what thresholds cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from lineament.decide.calibration import Calibration
from lineament.errors import ConflictError, LineamentError, OptionError
from lineament.gallery import Gallery, Key, Settings
from lineament.server.access import needs, writes
from lineament.server.auditing import record
from lineament.server.bodies import ChangeGallery, CreateGallery, json_body
from lineament.server.paging import After, Limit, page, read_cursor
from lineament.server.photos import read_options
from lineament.server.roles import check
from lineament.server.schemas import Answer, answers, merged
from lineament.types import Contract

router = APIRouter(tags=["galleries"])


class GalleryAnswer(Answer):
    """A gallery: how many are in it, and how it works."""

    name: str
    n_people: int
    n_samples: int
    recognizer: str
    contract: dict[str, Any]
    encrypted: bool
    settings: dict[str, Any]


class GalleriesAnswer(Answer):
    """Galleries of the key, by name."""

    galleries: list[dict[str, Any]]
    next: str | None


class ThresholdsAnswer(Answer):
    """Thresholds by false match rate, the largest rate first."""

    metric: str
    data: str
    points: list[dict[str, Any]]


def about(name: str, gallery: Gallery) -> dict[str, Any]:
    """A gallery as plain values; no path."""
    return {
        "name": name,
        "n_people": gallery.n_people,
        "n_samples": gallery.n_samples,
        "recognizer": gallery.contract.weights,
        "contract": contract_of(gallery.contract),
        "encrypted": gallery.encrypted,
        "settings": gallery.settings.to_dict(),
    }


def contract_of(contract: Contract) -> dict[str, Any]:
    """A contract as plain values, with its short name."""
    return {**asdict(contract), "id": contract.id}


def _settings(values: dict[str, Any]) -> Settings:
    known = Settings().to_dict()
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise OptionError(f"expected {', '.join(known)}, got {unknown[0]!r:.80}", option="settings")
    return Settings(**values)


@router.get(
    "/galleries",
    summary="Galleries of this key",
    response_model=GalleriesAnswer,
    **merged(needs("verify"), {"responses": answers()}),
)
async def list_galleries(request: Request, after: After = None, limit: Limit = 100) -> Any:
    """By name. One that cannot be opened has `error`, the code, in place of its numbers."""
    state = request.app.state.lineament
    principal = request.state.principal
    last = read_cursor(after)

    def call() -> dict[str, Any]:
        names = [
            name
            for name in state.galleries.names()
            if principal.sees(name) and (last is None or name > last)
        ]

        def shown(name: str) -> dict[str, Any]:
            try:
                return about(name, state.galleries.get(name))
            except LineamentError as error:
                return {"name": name, "error": error.code}

        return page("galleries", names[: limit + 1], limit, key=str, shown=shown)

    return JSONResponse(await state.work.run(call))


@router.post(
    "/galleries",
    summary="Make an empty gallery",
    status_code=201,
    response_model=GalleryAnswer,
    **merged(needs("admin"), writes(), json_body(CreateGallery), {"responses": answers(409)}),
)
async def create_gallery(request: Request) -> Any:
    """With the server's recognizer. The key has to be for that name, or for all galleries."""
    state = request.app.state.lineament
    options = await read_options(request, CreateGallery)
    check(request.state.principal, "admin", options.name)

    def call() -> dict[str, Any]:
        gallery = state.galleries.create(options.name, _settings(options.settings))
        record(request, "create gallery", made=options.name)
        return about(options.name, gallery)

    return JSONResponse(await state.work.run(call), 201)


@router.get(
    "/galleries/{gallery}",
    summary="One gallery",
    response_model=GalleryAnswer,
    **merged(needs("verify", gallery=True), {"responses": answers(404)}),
)
async def get_gallery(request: Request, gallery: str) -> Any:
    """How many are in it, its settings, and the contract of its embeddings."""
    state = request.app.state.lineament
    return JSONResponse(await state.work.run(lambda: about(gallery, state.galleries.get(gallery))))


@router.patch(
    "/galleries/{gallery}",
    summary="Change settings of a gallery",
    response_model=GalleryAnswer,
    **merged(
        needs("admin", gallery=True),
        writes(),
        json_body(ChangeGallery),
        {"responses": answers(404)},
    ),
)
async def change_gallery(request: Request, gallery: str) -> Any:
    """What is not named stays."""
    state = request.app.state.lineament
    options = await read_options(request, ChangeGallery)

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            _settings(options.settings)
            found.configure(**options.settings)
            record(request, "change gallery", settings=", ".join(sorted(options.settings))[:200])
            return about(gallery, found)

    return JSONResponse(await state.work.run(call))


@router.post(
    "/galleries/{gallery}/rotate-key",
    summary="Give an encrypted gallery the key that is in place now",
    response_model=GalleryAnswer,
    **merged(needs("admin", gallery=True), writes(), {"responses": answers(404, 409)}),
)
async def rotate_key(request: Request, gallery: str) -> Any:
    """Put the new key where the server's environment says that the key is, then call this.

    The file, or what the command prints, is read anew; the key itself never goes over the network.
    Searches go on meanwhile. Processes that start later need the new key, so call it for every
    gallery.
    """
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        with state.galleries.changing(gallery) as found:
            key = Key.from_environment()
            if not found.encrypted or key is None:
                raise ConflictError(
                    "expected an encrypted gallery, and a key that the server's environment names",
                    hint="`lineament gallery encrypt` while the server does not run",
                )
            found.rotate_key(key)
            record(request, "rotate key", found)
            return about(gallery, found)

    return JSONResponse(await state.work.run(call))


@router.delete(
    "/galleries/{gallery}",
    summary="Delete a gallery with everybody in it",
    status_code=204,
    response_class=Response,
    response_model=None,
    **merged(needs("admin", gallery=True), writes(), {"responses": answers(404)}),
)
async def delete_gallery(request: Request, gallery: str) -> Any:
    """Its whole folder goes. Keys that were for it stay: revoke them, too."""
    state = request.app.state.lineament

    def call() -> None:
        state.galleries.delete(gallery)
        state.forget(gallery)
        record(request, "delete gallery")

    await state.work.run(call)
    return Response(status_code=204)


@router.get(
    "/thresholds",
    summary="What a false match rate takes, and what it costs",
    response_model=ThresholdsAnswer,
    **merged(needs("verify"), {"responses": answers()}),
)
async def list_thresholds(
    request: Request,
    fmr: Annotated[
        float | None, Query(gt=0, lt=1, description="Only the one of that rate.")
    ] = None,
) -> Any:
    """For comparisons of two photos, by the calibration of the server's recognizer.

    Each point has `fmr`, the `threshold` (a cosine) with its 95 % interval `low` to `high`, how
    many `false_matches` of the data stand behind it, and what it costs: `fnmr`, the share of the
    data's pairs of one person that are not recognized (null where that was not counted).
    """
    state = request.app.state.lineament
    return JSONResponse(await state.work.run(lambda: _points(state.recognizer.calibration, fmr)))


def _points(calibration: Calibration | None, fmr: float | None) -> dict[str, Any]:
    if calibration is None:
        raise OptionError(
            "the server's recognizer has no calibration", hint="fit one: `lineament tune`"
        )

    def missed(count: int | None) -> float | None:
        return None if count is None else count / calibration.n_genuine_pairs

    if fmr is None:
        points = [
            {
                "fmr": point.fmr,
                "threshold": point.value,
                "low": point.low,
                "high": point.high,
                "false_matches": point.false_matches,
                "fnmr": missed(point.false_non_matches),
            }
            for point in calibration.points
        ]
    else:
        found = calibration.threshold(fmr)
        points = [
            {
                "fmr": fmr,
                "threshold": found.plain.value,
                "low": found.low,
                "high": found.high,
                "false_matches": found.false_matches,
                "fnmr": found.fnmr,
            }
        ]
    return {
        "metric": calibration.metric,
        "data": calibration.data,
        "n_people": calibration.n_people,
        "n_genuine_pairs": calibration.n_genuine_pairs,
        "n_impostor_pairs": calibration.n_impostor_pairs,
        "least_fmr": calibration.least_fmr,
        "points": points,
    }
