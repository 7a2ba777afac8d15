"""Stage 6: vectors by id -> the nearest ids.

``open_index`` makes one of ``KINDS``; each is an ``Index``. The default, "auto", is exact while it
is small and puts turbovec's compressed scan in front when it grows, if turbovec is installed; the
scores are exact cosines either way. The two kinds read each other's files.
"""

from __future__ import annotations

from lineament.errors import MissingExtraError, OptionError
from lineament.search.exact import ExactIndex
from lineament.search.index import Index
from lineament.search.milvus import PREFIX, open_milvus
from lineament.search.milvus_server import checked_uri
from lineament.search.turbo import TurboIndex

__all__ = ["KINDS", "Index", "open_index"]

KINDS = ("auto", "exact", "turbo")


def check_kind(kind: str) -> None:
    """OptionError unless it is one of ``KINDS``, or "milvus:URI"."""
    if kind.startswith(PREFIX):
        checked_uri(kind.removeprefix(PREFIX))
    elif kind not in KINDS:
        raise OptionError(
            f"expected one of {', '.join(KINDS)}, {PREFIX}URI, got {kind!r}", option="index"
        )


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
