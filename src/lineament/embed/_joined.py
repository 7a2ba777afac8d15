"""Several networks as one recognizer.

With unit vectors u_i of the members and shares w_i that sum to 1, the vector

    v = [sqrt(w_1) u_1, sqrt(w_2) u_2, ...]

has length 1, and the cosine of two such vectors is the mean of the members' cosines, weighted by
their shares: averaging scores, the oldest fusion there is (Kittler et al., "On Combining
Classifiers", PAMI 1998, the sum rule), becomes an ordinary embedding. Thresholds, calibrations,
galleries and indexes need to know nothing of it. ``weights.NormTerm`` adds one coordinate.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lineament.embed.network import NetworkEmbedder, load_network
from lineament.errors import OptionError, WeightsError
from lineament.models import Card, LicensePolicy, Member, NormTerm, get
from lineament.models.runtime import Runtime
from lineament.types import Contract, Flip, FloatArray, Image


class JoinedMember(NamedTuple):
    """One of the networks.

    Attributes:
        network: what runs.
        share: of its cosine in the whole's.
        mirror: whether it is given the mirror image in place of the crop.
    """

    network: NetworkEmbedder
    share: float
    mirror: bool


@dataclass(frozen=True, slots=True)
class JoinedEmbedder:
    """An ``Embedder`` of several networks. Calls from several threads are safe."""

    contract: Contract
    size_wh: tuple[int, int]
    _members: tuple[JoinedMember, ...]
    _norm_term: NormTerm | None

    def embed(self, crops: Image) -> tuple[FloatArray, FloatArray]:
        """Embed aligned faces, as ``Embedder.embed``; the norms are the first member's."""
        parts: list[FloatArray] = []
        norms: FloatArray | None = None
        for network, share, mirror in self._members:
            seen = crops[:, :, ::-1] if mirror and crops.ndim == 4 else crops
            vectors, lengths = network.embed(seen)
            parts.append(vectors * np.float32(np.sqrt(share)))
            norms = lengths if norms is None else norms
        assert norms is not None
        if self._norm_term is not None:
            parts.append(_coordinate(norms, self._norm_term)[:, None])
        joined = np.concatenate(parts, axis=1)
        joined /= np.linalg.norm(joined, axis=1, keepdims=True)
        return joined, norms


def load_joined(
    weights: Card,
    *,
    flip: Flip,
    alignment: str | None = None,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> JoinedEmbedder:
    """Load the members of an entry, all at once. Args and Raises as ``load_embedder``.

    Without flip each member sees what the entry says; with it all of them see the crop and its
    mirror image.

    Raises:
        OptionError: ``flip`` is not what the shares, or the norm's coordinate, were fitted with.
        WeightsError: the members do not take the same crops, or do not add up to the entry.
    """
    check_flip(weights, flip)
    members = weights.members

    def load(member: Member) -> NetworkEmbedder:
        both = flip is True or member.view == "both"
        return load_network(
            get(member.name), flip=both, alignment=alignment, runtime=runtime, policy=policy
        )

    with ThreadPoolExecutor(len(members)) as pool:  # as long as the slowest takes
        loaded = list(pool.map(load, members))
    first = loaded[0]
    if any(
        (other.size_wh, other.contract.alignment) != (first.size_wh, first.contract.alignment)
        for other in loaded
    ):
        names = ", ".join(member.name for member in members)
        raise WeightsError(
            f"{weights.name}: expected members that take the same crops, got {names}"
        )
    dimension = sum(other.contract.dimension for other in loaded)
    dimension += weights.norm_term is not None
    if dimension != weights.dimension:
        raise WeightsError(
            f"{weights.name}: expected {weights.dimension} coordinates, and its members make "
            f"{dimension}: correct its entry"
        )
    contract = Contract(
        weights=weights.name,
        weights_sha256=weights.sha256,
        alignment=first.contract.alignment,
        color_order=weights.input.color_order,
        flip=flip,
        dimension=dimension,
    )
    joined = tuple(
        JoinedMember(network, member.share, member.view == "mirror" and flip is False)
        for network, member in zip(loaded, members, strict=True)
    )
    return JoinedEmbedder(contract, first.size_wh, joined, weights.norm_term)


def check_flip(weights: Card, flip: Flip) -> None:
    """OptionError for an entry with members that was not fitted so; others take any."""
    if not weights.members:
        return
    if weights.mirrored and flip is not True:
        raise OptionError(
            f"{weights.name} was fitted with the mirror image: leave the option out", option="flip"
        )
    if flip == "concatenate":
        raise OptionError(
            f"{weights.name} joins the means over the crop and its mirror image: expected none or "
            "mean, got concatenate",
            option="flip",
        )
    if weights.norm_term is not None and flip is not weights.mirrored:
        raise OptionError(
            f"{weights.name} was fitted without the mirror image: leave the option out",
            option="flip",
        )


def _coordinate(norms: FloatArray, term: NormTerm) -> FloatArray:
    deviation = np.clip((norms - term.mean) / term.sd, term.least, term.most)
    values: FloatArray = (term.offset - term.slope * deviation).astype(np.float32)
    return values
