"""Who may call what: three roles, each with all that the one before it may, per gallery.

    verify   compare photos, look at faces, search in a gallery and verify its people
    enroll   add, change and remove people and samples of a gallery
    admin    galleries themselves, keys, audit, jobs of others

A key has one role, and the galleries for which it holds: names, or all. A route says by
``access.needs`` which role it wants, and whether it is about the gallery in its path; that is what
the table of the docs and the tests of every route with every role are made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lineament.errors import ForbiddenError

Role = Literal["verify", "enroll", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
ALL = "*"
"""In place of names of galleries: every one."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls.

    Attributes:
        id: of the key or the session, for the log and the audit; no secret.
        role: what they may.
        galleries: names, or ("*",).
    """

    id: str
    role: Role
    galleries: tuple[str, ...] = (ALL,)

    def may(self, role: Role, gallery: str | None = None) -> bool:
        """Whether they have that role, for that gallery."""
        ranks = ROLES.index(self.role) >= ROLES.index(role)
        return ranks and (gallery is None or ALL in self.galleries or gallery in self.galleries)

    def sees(self, gallery: str) -> bool:
        """Whether a gallery is one of theirs."""
        return ALL in self.galleries or gallery in self.galleries


def check(principal: Principal, role: Role, gallery: str | None) -> None:
    """ForbiddenError: they may not. It says the same of galleries that there are and are not."""
    if principal.may(role, gallery):
        return
    if gallery is not None and not principal.sees(gallery):
        raise ForbiddenError(f"expected a key for the gallery {gallery!r}, got one for others")
    raise ForbiddenError(f"expected a key with the role {role!r}, got {principal.role!r}")


def check_everywhere(principal: Principal) -> None:
    """ForbiddenError: what they may is about some galleries only."""
    if ALL not in principal.galleries:
        raise ForbiddenError("expected a key for all galleries, got one for some")
