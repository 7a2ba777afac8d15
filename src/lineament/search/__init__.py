"""Stage 6: vectors by id -> the nearest ids.

``open_index`` makes one of ``KINDS``; each is an ``Index``. The default, "auto", is exact while it
is small and puts turbovec's compressed scan in front when it grows, if turbovec is installed; the
scores are exact cosines either way. The kinds that keep files read each other's.

Engines of others only choose candidates: in this process (``engines``: "faiss", "usearch",
"nmslib", "annoy") or on a server ("NAME:ADDRESS"; Milvus, and ``servers``: "pgvector", "qdrant",
"elasticsearch", "opensearch"). docs/how-to/scale.md compares them.
"""

from __future__ import annotations

import os

from lineament.errors import MissingExtraError, OptionError
from lineament.search._index_files import SEALED, wipe_files
from lineament.search._sealed_files import load_sealed, save_sealed
from lineament.search.engines import BUILDERS, PACKAGES
from lineament.search.engines.engine import EngineIndex, load_package
from lineament.search.exact import ExactIndex
from lineament.search.index import Index
from lineament.search.milvus import PREFIX, open_milvus
from lineament.search.milvus_server import checked_uri, load_pymilvus
from lineament.search.servers import BACKENDS, ServerIndex
from lineament.search.turbo import TurboIndex, load_turbovec

__all__ = [
    "KINDS",
    "SEALED",
    "SERVERS",
    "Index",
    "check_installed",
    "index_kind",
    "load_sealed",
    "open_index",
    "own_kind",
    "save_sealed",
    "wipe_files",
]

KINDS = ("auto", "exact", "turbo", *BUILDERS)
"""In this process."""

SERVERS = ("milvus", *BACKENDS)
"""On servers; each is followed by ":" and an address."""

SERVERS_VARIABLE = "LINEAMENT_INDEX_SERVERS"
MILVUS_VARIABLE = "LINEAMENT_MILVUS_SERVERS"
"""An older name, still read, for Milvus alone."""


def index_kind(name: str, uri: str | None = None) -> str:
    """The kind that ``open_index`` and galleries take, from an engine's name and an address.

    Raises:
        OptionError: no such engine, an address that it cannot have, or none where it needs one.
    """
    if uri is None:
        if name in SERVERS:
            raise OptionError(
                f"{name}: expected an address, got none: give it as uri, or write {name}:ADDRESS",
                option="index",
            )
        kind = name
    elif name in SERVERS:
        kind = f"{name}:{uri}"
    else:
        raise OptionError(
            f"expected no address for {name!r}: only {', '.join(SERVERS)} have one", option="uri"
        )
    check_kind(kind)
    return kind


def check_kind(kind: str) -> None:
    """OptionError unless it is one of ``KINDS``, or one of ``SERVERS`` with an address."""
    if not isinstance(kind, str):
        raise OptionError(f"expected text, got {kind!r:.60}", option="index")
    name, colon, uri = kind.partition(":")
    if kind.startswith(PREFIX):
        checked_uri(uri)
    elif colon and name in BACKENDS:
        BACKENDS[name](uri)
    elif kind not in KINDS:
        servers = ", ".join(f"{each}:ADDRESS" for each in SERVERS)
        raise OptionError(
            f"expected one of {', '.join(KINDS)}, {servers}, got {kind!r:.100}", option="index"
        )


def own_kind(kind: str) -> str:
    """The kind of index of a gallery's settings, if it may be used on this machine.

    A gallery may come from somebody else, and its embeddings, what is searched for, and the
    credentials would all go to the server that it names. So a server is asked only when
    ``LINEAMENT_INDEX_SERVERS`` names it, too: addresses as they stand in the settings, separated
    by blanks. "none" there takes an index on this machine in place of any server. (For Milvus
    ``LINEAMENT_MILVUS_SERVERS`` does as well.)

    Raises:
        OptionError: a server that is not among them.
    """
    name, colon, uri = kind.partition(":")
    if not colon:
        return kind
    own = os.environ.get(SERVERS_VARIABLE, "").split()
    if name == "milvus":
        own += os.environ.get(MILVUS_VARIABLE, "").split()
    if own == ["none"]:
        return "auto"
    if uri not in own:
        raise OptionError(
            f"the gallery's vectors are on the server {uri}, which {SERVERS_VARIABLE} does not "
            "name: nothing was sent there",
            hint=f"set {SERVERS_VARIABLE}={uri} if it is yours, or to none for an index on this "
            "machine",
        )
    return kind


def check_installed(kind: str) -> None:
    """MissingExtraError unless what the kind needs is installed; "auto" needs nothing."""
    name, colon, uri = kind.partition(":")
    if kind in BUILDERS:
        load_package(*PACKAGES[kind.partition("-")[0]])
    elif name == "milvus" and colon:
        load_pymilvus()
    elif colon:
        BACKENDS[name](uri).require()
    elif kind == "turbo":
        load_turbovec()


def open_index(
    kind: str = "auto", *, dimension: int, contract: str = "", name: str = "lineament"
) -> Index:
    """Make an empty index; ``load`` fills it.

    Args:
        kind: "exact" for the plain computation, "turbo" for the one with the compressed scan,
            "auto" for the second where turbovec is installed and for the first elsewhere; or an
            engine of others, see ``KINDS`` and ``SERVERS``.
        dimension: length of the vectors.
        contract: the id of the embeddings' contract; files of another are refused.
        name: under which a server keeps the vectors; it is the caller's own, so what stands there
            may be replaced.

    Raises:
        OptionError: no such kind, or a dimension below 1.
        MissingExtraError: an engine was asked for whose package is not installed.
    """
    check_kind(kind)
    check_installed(kind)
    engine, colon, uri = kind.partition(":")
    if kind.startswith(PREFIX):
        return open_milvus(kind, dimension=dimension, contract=contract, name=name)
    if colon:
        return ServerIndex(
            dimension, backend=BACKENDS[engine](uri), contract=contract, name=name, replace=True
        )
    if kind in BUILDERS:
        return EngineIndex(dimension, contract=contract, name=kind, build=BUILDERS[kind])
    if kind == "exact":
        return ExactIndex(dimension, contract=contract)
    try:
        return TurboIndex(dimension, contract=contract)
    except MissingExtraError:
        if kind == "turbo":
            raise
        return ExactIndex(dimension, contract=contract)
