"""Stage 6: vectors by id -> the nearest ids.

``open_index`` makes one of ``KINDS``; each is an ``Index``. The default, "auto", is exact while it
is small and puts turbovec's compressed scan in front when it grows, if turbovec is installed; the
scores are exact cosines either way. The two kinds read each other's files.
"""

from __future__ import annotations

import os

from lineament.errors import MissingExtraError, OptionError
from lineament.search.exact import ExactIndex
from lineament.search.index import Index
from lineament.search.milvus import PREFIX, open_milvus
from lineament.search.milvus_server import checked_uri
from lineament.search.turbo import TurboIndex

__all__ = ["KINDS", "Index", "open_index"]

KINDS = ("auto", "exact", "turbo")
SERVERS_VARIABLE = "LINEAMENT_MILVUS_SERVERS"


def check_kind(kind: str) -> None:
    """OptionError unless it is one of ``KINDS``, or "milvus:URI"."""
    if kind.startswith(PREFIX):
        checked_uri(kind.removeprefix(PREFIX))
    elif kind not in KINDS:
        raise OptionError(
            f"expected one of {', '.join(KINDS)}, {PREFIX}URI, got {kind!r}", option="index"
        )


def own_kind(kind: str) -> str:
    """The kind of index of a gallery's settings, if it may be used on this machine.

    A gallery may come from somebody else, and its embeddings, what is searched for, and the
    credentials would all go to the server that it names. So a server is asked only when
    ``LINEAMENT_MILVUS_SERVERS`` names it, too: addresses as they stand in the settings, separated
    by blanks. "none" there takes an index on this machine in place of any server.

    Raises:
        OptionError: a server that is not among them.
    """
    if not kind.startswith(PREFIX):
        return kind
    own = os.environ.get(SERVERS_VARIABLE, "").split()
    if own == ["none"]:
        return "auto"
    uri = kind.removeprefix(PREFIX)
    if uri not in own:
        raise OptionError(
            f"the gallery's vectors are on the server {uri}, which {SERVERS_VARIABLE} does not "
            "name: nothing was sent there",
            hint=f"set {SERVERS_VARIABLE}={uri} if it is yours, or to none for an index on this "
            "machine",
        )
    return kind


def open_index(
    kind: str = "auto", *, dimension: int, contract: str = "", name: str = "lineament"
) -> Index:
    """Make an empty index; ``load`` fills it.

    Args:
        kind: "exact" for the plain computation, "turbo" for the one with the compressed scan,
            "auto" for the second where turbovec is installed and for the first elsewhere.
        dimension: length of the vectors.
        contract: the id of the embeddings' contract; files of another are refused.

    Raises:
        OptionError: no such kind, or a dimension below 1.
        MissingExtraError: "turbo" was asked for, and turbovec is not installed.
    """
    check_kind(kind)
    if kind.startswith(PREFIX):
        return open_milvus(kind, dimension=dimension, contract=contract, name=name)
    if kind == "exact":
        return ExactIndex(dimension, contract=contract)
    try:
        return TurboIndex(dimension, contract=contract)
    except MissingExtraError:
        if kind == "turbo":
            raise
        return ExactIndex(dimension, contract=contract)
