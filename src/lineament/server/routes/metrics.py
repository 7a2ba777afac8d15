"""Figures for Prometheus, at the place where it looks for them: ``/metrics``, not under ``/v1``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lineament.server.access import needs
from lineament.server.metrics import CONTENT_TYPE, sizes

router = APIRouter(include_in_schema=False)


@router.get("/metrics", **needs("admin", everywhere=True))
async def metrics(request: Request) -> Any:
    """Requests, times, line, batches, galleries, jobs, memory; for admins."""
    state = request.app.state.lineament
    jobs = getattr(state, "jobs", None)
    listed = () if jobs is None else jobs.list(request.state.principal)
    counts = Counter(str(job.state) for job in listed)
    found = await state.work.run(sizes, state.galleries)
    return Response(state.metrics.text(found, dict(counts)), media_type=CONTENT_TYPE)
