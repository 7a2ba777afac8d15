"""Is it there, is it ready, what can it do?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

import lineament
from lineament import models
from lineament.server.access import needs
from lineament.server.problems import problem
from lineament.server.schemas import answers, merged

router = APIRouter(tags=["service"])


@router.get("/health", summary="The process answers")
async def health() -> dict[str, str]:
    """For a supervisor: no key is needed, and nothing is said but the version."""
    return {"status": "ok", "version": lineament.__version__}


@router.get("/ready", summary="Networks and galleries are there", responses=answers())
async def ready(request: Request) -> Any:
    """For a load balancer: 503 until the networks are loaded, and while the server stops."""
    state = request.app.state.lineament
    if request.app.state.admission.stopping.is_set():
        return problem(503, "unavailable", "the server stops", retry_s=1)
    if not request.app.state.ready:
        return problem(503, "not_ready", "expected loaded networks", retry_s=1)
    return {"status": "ready", "waiting": state.work.waiting, "running": state.work.running}


@router.get(
    "/models",
    summary="Recognizer, detector, and the networks that there are",
    **merged(needs("verify"), {"responses": answers()}),
)
async def list_models(request: Request) -> Any:
    """The server's own recognizer with its contract, and the cards of all networks."""
    state = request.app.state.lineament
    recognizer = await state.work.run(lambda: state.recognizer)
    contract = recognizer.embedder.contract
    return JSONResponse(
        {
            "recognizer": recognizer.weights.name,
            "detector": recognizer.finder.detector_name,
            "contract": contract.to_dict() | {"id": contract.id},
            "models": [card.to_dict() for card in models.entries()],
        }
    )
