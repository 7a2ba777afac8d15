"""Photos alone, no gallery: find faces, compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from lineament.detect import DetectOptions as FindOptions
from lineament.finder import FaceFinder
from lineament.server.access import needs
from lineament.server.photos import read_request
from lineament.server.schemas import (
    CompareAnswer,
    CompareOptions,
    DetectAnswer,
    DetectOptions,
    answers,
    merged,
    photo_body,
)

router = APIRouter(tags=["faces"])


@router.post(
    "/detect",
    summary="Find faces",
    response_model=DetectAnswer,
    **merged(needs("verify"), photo_body(DetectOptions, "image"), {"responses": answers()}),
)
async def detect(request: Request) -> Any:
    """Boxes, scores, landmarks and head pose of each face; ``Recognizer.detect``."""
    state = request.app.state.lineament
    photos, options, _ = await read_request(request, DetectOptions)

    def call() -> dict[str, Any]:
        given = options.model_dump(exclude_none=True, exclude={"box"})
        finder = state.recognizer.finder
        if given:
            detector = finder.detector
            finder = FaceFinder(detector, options=FindOptions(**given), limits=state.limits)
        return dict(replace(finder.find(photos["image"], box=options.box), pixels=None).to_dict())

    return JSONResponse(await state.work.run(call))


@router.post(
    "/compare",
    summary="Are two photos of the same person?",
    response_model=CompareAnswer,
    **merged(needs("verify"), photo_body(CompareOptions, "a", "b"), {"responses": answers()}),
)
async def compare(request: Request) -> Any:
    """A decision with threshold, probability, and what speaks against it; ``Recognizer.verify``."""
    state = request.app.state.lineament
    photos, options, _ = await read_request(request, CompareOptions, ("a", "b"))

    def call() -> dict[str, Any]:
        decision = state.recognizer.verify(
            photos["a"],
            photos["b"],
            threshold=options.threshold,
            fmr=options.fmr,
            liveness=options.liveness,
            box_a=options.box_a,
            box_b=options.box_b,
        )
        return dict(decision.to_dict())

    return JSONResponse(await state.work.run(call))
