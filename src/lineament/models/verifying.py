"""Are the files of models still those that their cards promise?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lineament.errors import WeightsDownloadError, WeightsError
from lineament.models._license import LicensePolicy
from lineament.models._storage import is_present, read
from lineament.models.catalog import entries, get
from lineament.results import Outcome

ALL = "all"

State = Literal["right", "wrong", "absent", "joined"]


@dataclass(frozen=True, slots=True)
class Verified(Outcome):
    """What was found of one model.

    Attributes:
        name: of the model.
        state: "right": its bytes have the promised SHA-256; "wrong": they have another, or cannot
            be read; "absent": it would have to be downloaded first; "joined": it has no file of its
            own, its members have.
        sha256: the promised one.
        bytes: the promised size.
        reason: what is wrong; None unless something is.
    """

    name: str
    state: State
    sha256: str
    bytes: int
    reason: str | None = None

    def __bool__(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.state != "wrong"


def verify_weights(name: str = ALL) -> tuple[Verified, ...]:
    """Read the files of models again and compare them with what their cards promise.

    Nothing is downloaded, and no license is asked for: the files are read and not used.

    Args:
        name: of a model; "all": of all models that there are.

    Returns:
        What was found of each.

    Raises:
        UnknownWeightsError: there is no model of that name.
        WeightsError: a manifest is unusable.
    """
    found = []
    for card in entries() if name == ALL else [get(name)]:
        state: State = "right"
        reason = None
        if card.members:
            state = "joined"
        elif card.file is None and (card.url is None or not is_present(card)):
            state = "absent" if card.url is not None else "joined"
        else:
            try:
                read(card, policy=LicensePolicy())
            except WeightsDownloadError:
                state = "absent"
            except WeightsError as error:
                state, reason = "wrong", str(error)
        found.append(Verified(card.name, state, card.sha256, card.bytes, reason))
    return tuple(found)
