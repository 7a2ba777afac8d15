"""Who may call what: three roles, each with all that the one before it may, per gallery.

    verify   compare photos, look at faces, search in a gallery and verify its people
    enroll   add, change and remove people and samples of a gallery
    admin    galleries themselves, keys, audit, jobs of others

A key has one role, and the galleries for which it holds: names, or all. A route says by
``access.needs`` which role it wants, and whether it is about the gallery in its path; that is what
the table of the docs and the tests of every route with every role are made of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lineament.errors import ForbiddenError, OptionError

Role = Literal["verify", "enroll", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
ALL = "*"
"""In place of names of galleries: every one."""

GALLERY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""Of a gallery on a server: no path, no trick with letters that look alike."""


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


def check(
    principal: Principal, role: Role, gallery: str | None, *, everywhere: bool = False
) -> None:
    """ForbiddenError: they may not. It says the same of galleries that there are and are not.

    Args:
        principal: who calls.
        role: the least.
        gallery: for which they need it; None: for none in particular.
        everywhere: whether they need it for all galleries.
    """
    if not principal.may(role, gallery):
        if gallery is not None and not principal.sees(gallery):
            raise ForbiddenError(f"expected a key for the gallery {gallery!r}, got one for others")
        raise ForbiddenError(f"expected a key with the role {role!r}, got {principal.role!r}")
    if everywhere and ALL not in principal.galleries:
        raise ForbiddenError("expected a key for all galleries, got one for some")


def check_holder(role: str, galleries: Sequence[str]) -> None:
    """OptionError: no role, or no galleries, that a key or a user can have."""
    if role not in ROLES:
        raise OptionError(f"expected one of {', '.join(ROLES)}, got {role!r:.80}", option="role")
    if not galleries:
        raise OptionError('expected names of galleries, or "*", got none', option="galleries")
    for name in galleries:
        if name != ALL and not GALLERY_NAME.fullmatch(name):
            raise OptionError(
                f'expected names of galleries (a-z, 0-9, - and _) or "*", got {name!r:.80}',
                option="galleries",
            )
