"""What the audit log says of requests: every change, and every search and verification."""

from __future__ import annotations

from typing import Any, Protocol

from fastapi import Request


class AuditLog(Protocol):
    """Where entries go."""

    def append(self, *, action: str, actor: str, **details: Any) -> None:
        """Write one entry, for good."""


class NoAudit:
    """Writes nothing."""

    def append(self, *, action: str, actor: str, **details: Any) -> None:
        """Write nothing."""


def record(request: Request, action: str, **details: Any) -> None:
    """Write an entry about a request that was answered; called in a thread of ``Work``.

    Args:
        request: says who calls, its id, and the gallery of its path.
        action: "enroll", "identify", ...
        details: plain values; no names, embeddings or photos.
    """
    state = request.app.state.lineament
    gallery = request.path_params.get("gallery")
    if gallery is not None:
        details = {"gallery": gallery, **details}
    state.audit.append(
        action=action,
        actor=request.state.principal.id,
        request=request.state.request_id,
        **details,
    )
