"""Two embeddings and a threshold -> a ``Decision``."""

from __future__ import annotations

import numpy as np

from lineament.decide.metrics import SIAMESE, get_metric, score_rows
from lineament.decide.siamese import SiameseHead, require_head
from lineament.errors import OptionError
from lineament.types import Contract, Decision, Embedding, Face, Liveness, Quality, Threshold


def compare(
    a: Embedding,
    b: Embedding,
    threshold: Threshold,
    *,
    sources: tuple[str, str] = ("a", "b"),
    faces: tuple[Face | None, Face | None] = (None, None),
    others: tuple[int, int] = (0, 0),
    qualities: tuple[Quality | None, Quality | None] = (None, None),
    checks: tuple[Liveness | None, Liveness | None] = (None, None),
    head: SiameseHead | None = None,
) -> Decision:
    """Compare two embeddings and decide; ``lineament.decide.judge`` adds how sure that is.

    A score exactly on the threshold is "same".

    Args:
        a, b: two embeddings of one contract.
        threshold: what the score is held against; its metric is the one that is used.
        sources, faces, others, qualities, checks: as ``Decision`` has them.
        head: for the metric "siamese"; None takes that of the model.

    Raises:
        ContractError: the embeddings were made in different ways, or the head is for others.
        OptionError: the metric is "siamese", and the model has no head.
    """
    given: list[tuple[str, object, type]] = [
        ("a", a, Embedding),
        ("b", b, Embedding),
        ("threshold", threshold, Threshold),
    ]
    if head is not None:
        given.append(("head", head, SiameseHead))
    for option, value, kind in given:
        if not isinstance(value, kind):
            raise OptionError(
                f"expected {'an' if kind is Embedding else 'a'} {kind.__name__}, got "
                f"{type(value).__name__}",
                option=option,
            )
    a.contract.check(b.contract)
    if threshold.metric != SIAMESE:
        head = None
    elif head is None:
        head = require_head(a.contract)
    else:
        head.check(a.contract)
    metric = get_metric(threshold.metric, head)
    lengths = (1.0, 1.0) if metric.unit else (a.norm, b.norm)
    first, second = (
        e.vector[None] * np.float32(length) for e, length in zip((a, b), lengths, strict=True)
    )
    return decided(
        float(score_rows(first, second, metric.name, head=head)[0]),
        a,
        b,
        threshold,
        higher_is_more_alike=metric.higher_is_more_alike,
        sources=sources,
        faces=faces,
        others=others,
        qualities=qualities,
        checks=checks,
    )


def decided(
    score: float,
    a: Embedding,
    b: Embedding,
    threshold: Threshold,
    *,
    contract: Contract | None = None,
    higher_is_more_alike: bool = True,
    sources: tuple[str, str] = ("a", "b"),
    faces: tuple[Face | None, Face | None] = (None, None),
    others: tuple[int, int] = (0, 0),
    qualities: tuple[Quality | None, Quality | None] = (None, None),
    checks: tuple[Liveness | None, Liveness | None] = (None, None),
) -> Decision:
    """Hold a score against a threshold of its metric.

    Args:
        score: of the two faces, in the unit of the threshold's metric.
        a, b: their embeddings, for ``Decision.similarity`` and the norms.
        threshold: what the score is held against; exactly on it is "same".
        contract: what the decision carries; None: that of the embeddings.
        higher_is_more_alike: direction of the metric.
        sources, faces, others, qualities, checks: as ``Decision`` has them.
    """
    margin = score - threshold.value if higher_is_more_alike else threshold.value - score
    return Decision(
        same=margin >= 0,
        score=score,
        metric=threshold.metric,
        similarity=float(np.clip(a.vector @ b.vector, -1, 1)),
        threshold=threshold,
        margin=margin,
        source_a=sources[0],
        source_b=sources[1],
        face_a=faces[0],
        face_b=faces[1],
        others_a=others[0],
        others_b=others[1],
        norm_a=a.norm,
        norm_b=b.norm,
        contract=a.contract if contract is None else contract,
        quality_a=qualities[0],
        quality_b=qualities[1],
        liveness_a=checks[0],
        liveness_b=checks[1],
    )
