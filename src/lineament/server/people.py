"""Who is meant by a path: a person's number; or "-", and the name in the query or the body.

Names are any text: one with a slash, "..", or of figures alone would be taken for another path or
for a number, and proxies write paths anew. So they never stand in a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query

from lineament.errors import OptionError
from lineament.gallery import Gallery

PEOPLE = "/galleries/{gallery}/people"
PERSON = PEOPLE + "/{person}"
"""Paths of routes about all people of a gallery, and about one."""

BY_NAME = "-"
"""In the place of a number."""


@dataclass(frozen=True, slots=True)
class Who:
    """A person of a path.

    Attributes:
        number: ``PersonInfo.id``, or None.
        name: of the query, or None.
    """

    number: int | None
    name: str | None

    def in_(self, gallery: Gallery, name: str | None = None) -> str:
        """The person's name.

        Args:
            gallery: where they are enrolled, or are to be.
            name: of the body; that of the query goes first.

        Raises:
            UnknownPersonError: there is no such number.
            OptionError: neither or both are given.
        """
        given = name if self.name is None else self.name
        if self.number is None:
            if given is None:
                raise OptionError("expected a name, since the path has -, got none", option="name")
            return given
        if given is not None:
            raise OptionError(
                f"expected a number in the path or a name, got {self.number} and a name: write - "
                "into the path",
                option="name",
            )
        return gallery.name_of(self.number)


async def _who(
    person: Annotated[
        str,
        Path(
            pattern=r"^(-|[0-9]{1,18})$",
            description="The person's number; or -, and the name as `name`.",
        ),
    ],
    name: Annotated[
        str | None, Query(description="Who, where the path has - in place of a number.")
    ] = None,
) -> Who:
    return Who(None if person == BY_NAME else int(person), name)


Person = Annotated[Who, Depends(_who)]
"""A parameter of routes with ``{person}`` in their path."""
SampleNumber = Annotated[int, Path(ge=1, le=(1 << 63) - 1, description="Of the sample.")]
