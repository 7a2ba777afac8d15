"""What the audit log says of requests: every change, and every search and verification.

Nothing but ids stands in it: of the caller's key, of samples; a person is the pseudonym that
``Gallery.pseudonym`` gives. The log's key and the key that signs its heads and receipts of erasing
are files of the data folder, of their owner alone; move a copy of both, and heads, elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import Request

from lineament.audit import AuditHead, AuditLog, AuditReport, head_of, verify
from lineament.errors import KeyFileError
from lineament.gallery import Gallery
from lineament.server.tables import own_secret
from lineament.signing import SigningKey, make_key


class Audit:
    """The log of one server; several processes may append.

    Attributes:
        path: of the file being written.
        log: open.
        signing_key: of receipts, and of heads of the log.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] | None = None) -> None:
        """Open the log of a data folder; it is made if need be.

        Args:
            folder: of the server's data; it exists.
            clock: seconds since 1970; None: the computer's.
        """
        own = folder / "audit"
        own.mkdir(exist_ok=True, mode=0o700)
        self.path = own / "audit.jsonl"
        self._secret = own_secret(own / "audit.secret")
        private = own / "signing.pem"
        if not private.exists():
            try:
                make_key(private)
            except KeyFileError:
                if not private.exists():  # else another process was first
                    raise
        self.signing_key = SigningKey.load(private)
        self._public = Path(f"{private}.pub")
        given = {} if clock is None else {"clock": clock}
        self.log = AuditLog.open(
            self.path,
            key=self._secret,
            signing_key=self.signing_key,
            **given,  # type: ignore[arg-type]
        )

    @property
    def public_key(self) -> str:
        """What checks receipts and heads, as PEM."""
        return self._public.read_text("ascii")

    def verified(self) -> AuditReport:
        """Whether the log is whole, and goes on from the head that was signed last."""
        kept = head_of(self.path)
        return verify(
            self.path,
            key=self._secret,
            head=AuditHead.load(kept) if kept.exists() else None,
            public_key=self.signing_key.public,
        )

    def close(self) -> None:
        """Sign the head."""
        self.log.close()


def record(
    request: Request,
    action: str,
    gallery: Gallery | None = None,
    person: str | None = None,
    *,
    about: str | None = None,
    outcome: str = "done",
    **details: float | str | bool | None,
) -> None:
    """Write an entry about a request that was answered; called in a thread of ``Work``.

    Args:
        request: says who calls, its id, and the gallery of its path.
        action: "enroll", "identify", ...
        gallery: of the person.
        person: the name of whom it is about; the pseudonym is written.
        about: name of the gallery, where the path has none.
        outcome: what came of it.
        details: no names.
    """
    state: Any = request.app.state.lineament
    name = request.path_params.get("gallery", about)
    key = None if gallery is None or person is None else gallery.pseudonym(person)
    state.audit.log.append(
        action,
        request.state.principal.id,
        gallery=name,
        person_key=key,
        outcome=outcome,
        request=request.state.request_id,
        **details,
    )
