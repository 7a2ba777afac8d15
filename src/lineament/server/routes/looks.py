"""More about photos alone: embeddings, quality, how faces look, who is whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from lineament.bulk.tables import rows_of
from lineament.gallery.grouping import group as group_photos
from lineament.gallery.grouping import summary
from lineament.quality import quality_of
from lineament.server.access import needs
from lineament.server.bodies import AttributesOptions, EmbedOptions, GroupOptions, QualityOptions
from lineament.server.photos import read_request, uploads
from lineament.server.schemas import Answer, answers, merged, photo_body

router = APIRouter(tags=["faces"])


class FacesAnswer(Answer):
    """Faces of a photo, in the detector's order."""

    faces: list[dict[str, Any]]


class GroupAnswer(Answer):
    """Groups of faces; photos are called "photo 1", ..., in the order of the request."""

    n_photos: int
    n_faces: int
    groups: list[dict[str, Any]]


@router.post(
    "/embed",
    summary="Represent faces by vectors",
    response_model=FacesAnswer,
    **merged(needs("verify"), photo_body(EmbedOptions, "image"), {"responses": answers()}),
)
async def embed(request: Request) -> Any:
    """What `lineament embed` prints: of each face its place and embedding, and the contract."""
    state = request.app.state.lineament
    photos, options, _ = await read_request(request, EmbedOptions)

    def call() -> dict[str, Any]:
        recognizer = state.recognizer
        source = photos["image"]
        if options.box is not None:
            source = recognizer.finder.find(source, box=options.box)
        photo = recognizer.analyze(source, faces=options.faces, keep_pixels=False)
        contract = recognizer.embedder.contract
        return {
            "contract": contract.to_dict() | {"id": contract.id},
            "n_faces": len(photo.selected),
            "faces": rows_of(photo),
        }

    return JSONResponse(await state.work.run(call))


@router.post(
    "/quality",
    summary="How good are the faces of a photo for recognition?",
    response_model=FacesAnswer,
    **merged(needs("verify"), photo_body(QualityOptions, "image"), {"responses": answers()}),
)
async def quality(request: Request) -> Any:
    """The measures of each face, and what is wrong with it: what enrollment would refuse."""
    state = request.app.state.lineament
    photos, _, _ = await read_request(request, QualityOptions)

    def call() -> dict[str, Any]:
        recognizer = state.recognizer
        photo = recognizer.analyze(photos["image"], keep_crops=True, keep_pixels=False)
        limits = recognizer.judge.all_limits
        faces = []
        crops = () if photo.crops is None else photo.crops
        for face, embedding, crop in zip(photo.faces, photo.embeddings, crops, strict=True):
            measured = quality_of(face, crop, embedding, photo.size_wh)
            problems = () if measured is None else limits.beyond(measured)
            faces.append(
                face.to_dict()
                | {
                    "quality": None if measured is None else measured.to_dict(),
                    "problems": [asdict(problem) for problem in problems],
                }
            )
        return {"size_wh": list(photo.size_wh or ()), "faces": faces}

    return JSONResponse(await state.work.run(call))


@router.post(
    "/attributes",
    summary="How do the faces look?",
    response_model=FacesAnswer,
    **merged(needs("verify"), photo_body(AttributesOptions, "image"), {"responses": answers()}),
)
async def attributes(request: Request) -> Any:
    """Age, gender, expression, pose, eyes, mouth, gaze, each with its doubt."""
    state = request.app.state.lineament
    photos, options, _ = await read_request(request, AttributesOptions)

    def call() -> dict[str, Any]:
        found = state.recognizer.attributes(photos["image"], only=options.only)
        return dict(found.to_dict())

    return JSONResponse(await state.work.run(call))


@router.post(
    "/group",
    summary="Which faces of these photos are of one person?",
    response_model=GroupAnswer,
    **merged(
        needs("verify"),
        photo_body(GroupOptions, "images", many=True),
        {"responses": answers()},
    ),
)
async def group(request: Request) -> Any:
    """Groups without names, as `lineament group` makes them; nothing is kept."""
    state = request.app.state.lineament
    _, options, photos = await read_request(request, GroupOptions, ("images",), many=True)

    def call() -> dict[str, Any]:
        recognizer = state.recognizer
        found = group_photos(
            uploads(photos), recognizer, threshold=options.threshold, fmr=options.fmr
        )
        groups = found.groups(recognizer.calibration, min_size=options.min_size)
        return summary(found, groups)

    return JSONResponse(await state.work.run(call))
