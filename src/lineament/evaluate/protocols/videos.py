"""Pairs of videos: the frames of each are pooled in three ways, and compared in folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from lineament.datasets.source import Embedded, FaceSource
from lineament.datasets.ytf import PAIRS, Videos
from lineament.embed.pooling import POOLING_POWER, pair_best, pair_cosine, pool_mean
from lineament.evaluate.protocols.verification import size_note, verification_part
from lineament.evaluate.result import PairShown, Published, Result
from lineament.types import FloatArray

PUBLISHED_YTF: Final = tuple(
    Published(
        name,
        value / 100,
        "Deng et al., ArcFace, CVPR 2019, Table 4",
        f"trained on {images} photos",
    )
    for name, images, value in (
        ("DeepID", "0.2 M", 93.20),
        ("Deep Face", "4.4 M", 91.4),
        ("VGG Face", "2.6 M", 97.30),
        ("FaceNet", "200 M", 95.10),
        ("Center Loss", "0.7 M", 94.9),
        ("Range Loss", "5 M", 93.70),
        ("Marginal Loss", "3.8 M", 95.98),
        ("SphereFace", "0.5 M", 95.0),
        ("CosFace", "5 M", 97.6),
        ("ArcFace, MS1MV2, R100", "5.8 M", 98.02),
    )
)
Weight = Callable[[Embedded], npt.ArrayLike]
"""(N,) numbers of at least 0: how much each frame counts in a video's mean."""


def by_norm(embedded: Embedded) -> FloatArray:
    """A power of the embedding's length before scaling: poor frames tend to have short ones.

    See ``lineament.embed.pooling.pooling_weights``, which says why that power.
    """
    return embedded.norms**POOLING_POWER


def run_ytf(
    videos: Videos, source: FaceSource, *, weight: Weight = by_norm
) -> tuple[Result, Embedded]:
    """Embed the frames, and compare the videos in three ways.

    A frame without a face counts for nothing; the pairs of a video without any face score -1.

    Args:
        videos: from ``read_ytf``.
        source: what embeds.
        weight: of the frames in part "weighted".
    """
    paths = [path for frames in videos.frames for path in frames]
    known = not np.isnan(videos.boxes_xyxy).all()
    embedded = source.photos(paths, boxes_xyxy=videos.boxes_xyxy if known else None)
    count = len(videos.names)
    groups = np.repeat(np.arange(count), [len(frames) for frames in videos.frames])
    groups = np.where(embedded.found, groups, -1)
    vectors, pairs = embedded.vectors, videos.pairs
    mean = pool_mean(vectors, groups, count=count)
    weighted = pool_mean(vectors, groups, weights=weight(embedded), count=count)
    scores = {
        "mean": ("mean of the frames", pair_cosine(mean, pairs)),
        "weighted": ("mean weighted by quality", pair_cosine(weighted, pairs)),
        "best_pair": ("best pair of frames", pair_best(vectors, groups, pairs, count=count)),
    }
    seen = np.bincount(groups[groups >= 0], minlength=count) > 0
    without_face = int((~seen[pairs].all(axis=1)).sum())

    def show(place: int, same: bool, score: float) -> PairShown:
        a, b = (videos.frames[i][len(videos.frames[i]) // 2] for i in pairs[place])
        return PairShown(str(a), str(b), same, score)

    result = Result(
        protocol="ytf",
        title="YouTube Faces",
        data=str(videos.folder),
        images=len(paths),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=tuple(
            verification_part(
                key, title, values, videos.same, videos.folds, without_face=without_face, show=show
            )
            for key, (title, values) in scores.items()
        ),
        published=PUBLISHED_YTF,
        published_of=("mean", "accuracy_mean"),
        run={"videos": count},
        notes=size_note("YouTube Faces", len(pairs), PAIRS),
    )
    return result, embedded
