"""Templates, sets of faces of one person each: verification 1:1 and identification 1:N.

The faces of a template are averaged within each medium (the frames of one video are one medium),
then over the media; the unit vector of that mean is compared. Two ways are reported: all faces
alike, and each face weighted by the norm of its embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lineament.datasets.ijb import Set, TemplatePairs, TemplateSearches
from lineament.datasets.source import Embedded, FaceSource
from lineament.decide.calibration import supported
from lineament.embed.pooling import media_weights, pair_cosine, pool_mean, present
from lineament.evaluate.identification import Searches, search
from lineament.evaluate.metrics import tar_at_fmr, threshold_at_fmr
from lineament.evaluate.result import Part, Result, Scores, by_text, rate_text
from lineament.text import counted
from lineament.types import FloatArray

FMRS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
FPIRS = (1e-2, 1e-1)
RANKS = (1, 5, 10)
POOLINGS = {"mean": "mean", "norm": "mean weighted by norm"}


def run_ijb(
    data: TemplatePairs | TemplateSearches, source: FaceSource, which: Set
) -> tuple[Result, Embedded]:
    """Embed all faces, pool them, and measure.

    Args:
        data: from ``read_ijb``.
        source: what embeds them; its recognizer should take the central face.
        which: "b" or "c".
    """
    templates = data.templates
    embedded = source.photos(templates.paths, boxes_xyxy=templates.boxes_xyxy)
    groups = np.where(embedded.found, templates.template, -1)
    media = media_weights(groups, templates.medium)
    pools = {
        key: pool_mean(embedded.vectors, groups, weights=weights, count=len(templates.ids))
        for key, weights in (("mean", media), ("norm", media * embedded.norms))
    }
    empty = int((~present(pools["mean"])).sum())
    notes = []
    if empty:
        of = counted(empty, "template", "templates")
        notes.append(f"without a face: {of}; like nobody, and stay in")
    if not templates.media_known:
        notes.append(
            "the files do not say which frames are of one video: each photo is a medium of its own"
        )
    if isinstance(data, TemplatePairs):
        parts, more = _verification(data, pools)
        protocol = "1:1"
    else:
        parts, more = _identification(data, pools)
        protocol = "1:N"
    result = Result(
        protocol="ijb",
        title=f"IJB-{which.upper()} {protocol}",
        data=str(templates.folder),
        images=len(templates.paths),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=parts,
        run={"set": which, "ijb_protocol": protocol, "templates_without_face": empty},
        notes=(*notes, *more),
    )
    return result, embedded


def _verification(
    data: TemplatePairs, pools: Mapping[str, FloatArray]
) -> tuple[tuple[Part, ...], list[str]]:
    parts = []
    for key, pooled in pools.items():
        scores = Scores.of(pair_cosine(pooled, data.pairs), data.same)
        known = present(pooled)[data.pairs].all(axis=1)
        tars = tar_at_fmr(scores.genuine, scores.impostor, FMRS)
        thresholds = [threshold_at_fmr(scores.impostor, fmr) for fmr in FMRS]
        parts.append(
            Part(
                f"verification_{key}",
                f"1:1, {POOLINGS[key]}",
                {
                    "tar_at_fmr": by_text(zip(FMRS, tars.tolist(), strict=True)),
                    "threshold_at_fmr": by_text(zip(FMRS, thresholds, strict=True)),
                    "n_templates": len(data.templates.ids),
                    "n_genuine_pairs": len(scores.genuine),
                    "n_impostor_pairs": len(scores.impostor),
                    "n_pairs_without_face": int((~known).sum()),
                },
                scores=scores,
                threshold=threshold_at_fmr(scores.impostor, 1e-4),
            )
        )
    n = int((~data.same).sum())
    few = [rate_text(fmr) for fmr in FMRS if not supported(fmr, n)]
    note = f"{n:,} impostor pairs: at FMR {', '.join(few)} fewer than 30 errors stand behind TAR"
    return tuple(parts), [note] if few else []


def _identification(
    data: TemplateSearches, pools: Mapping[str, FloatArray]
) -> tuple[tuple[Part, ...], list[str]]:
    subject = data.templates.subject
    parts: list[Part] = []
    few: list[str] = []
    for key, pooled in pools.items():
        found = present(pooled)
        rows: list[dict[str, Any]] = []
        for name, gallery in data.galleries:
            searches = search(
                pooled[data.probes],
                pooled[gallery],
                subject[data.probes],
                subject[gallery],
                probes_found=found[data.probes],
                gallery_found=found[gallery],
            )
            measures = _rates(searches)
            rows.append(measures)
            parts.append(
                Part(
                    f"gallery_{name.lower()}_{key}",
                    f"gallery {name}, {POOLINGS[key]}",
                    measures
                    | {
                        "n_gallery": len(gallery),
                        "n_probes": len(data.probes),
                        "n_mated_searches": searches.n_mated,
                        "n_nonmated_searches": searches.n_nonmated,
                    },
                    scores=Scores(searches.mate[searches.mated], searches.top[~searches.mated])
                    if searches.n_mated and searches.n_nonmated
                    else None,
                    threshold=measures["threshold_at_fpir"].get(rate_text(1e-2)),
                    curves={"cmc": by_rank(searches)},
                )
            )
            unsupported = [rate_text(f) for f in FPIRS if not supported(f, searches.n_nonmated)]
            if unsupported and key == "mean":
                few.append(
                    f"gallery {name}: {searches.n_nonmated:,} searches for people not enrolled; "
                    f"at FPIR {', '.join(unsupported)} fewer than 30 errors stand behind the rate"
                )
        average = {
            measure: {
                at: float(np.mean([row[measure][at] for row in rows])) for at in rows[0][measure]
            }
            for measure in ("rank", "dir_at_fpir")
            if all(row[measure].keys() == rows[0][measure].keys() for row in rows)
        }
        parts.append(Part(f"average_{key}", f"mean of both galleries, {POOLINGS[key]}", average))
    return tuple(parts), few


def by_rank(searches: Searches, last: int = 100) -> dict[str, float]:
    """The cumulative match characteristic as a curve: "1" to "100", or the gallery's size."""
    if not searches.n_mated:
        return {}
    shares = searches.cmc(min(last, searches.gallery))
    return {str(k + 1): float(share) for k, share in enumerate(shares)}


def _rates(searches: Searches) -> dict[str, Any]:
    rank = {str(k): searches.rank_k(k) for k in RANKS} if searches.n_mated else {}
    both = searches.n_mated and searches.n_nonmated
    thresholds = {f: searches.threshold_at_fpir(f) for f in FPIRS} if searches.n_nonmated else {}
    return {
        "rank": rank,
        "dir_at_fpir": by_text((f, searches.tpir_at(t)) for f, t in thresholds.items())
        if both
        else {},
        "threshold_at_fpir": by_text(thresholds),
    }
