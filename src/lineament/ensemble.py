"""Several recognizers, each compared in several ways, as one verdict: slower, and surer.

    Ensemble.load("boosted").verify("a.jpg", "b.jpg")

A photo is read and its face detected once; each member aligns, embeds (with the mirror image)
and is compared in its own way; a ``decide.fusion`` makes one score of all that. Thresholds and
probabilities are the ensemble's own. They were fitted on the same photos as the fusion, so on
scores "out of fold": each pair was scored by a fusion that had seen neither of its two people.

An ensemble only verifies: its score needs both photos, so there is no vector to put into an
index. For galleries there is the preset "accurate", whose fusion is a vector.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from lineament import models
from lineament.arguments import checked
from lineament.attributes import crop_ages
from lineament.decide.calibration import DEFAULT_PRIOR
from lineament.decide.comparison import decided
from lineament.decide.ensemble_file import DEFAULT_KIND, FOLDER, Spec, read_spec
from lineament.decide.fusion import (
    Side,
    pair_features,
)
from lineament.decide.judge import Judge, sides
from lineament.decide.thresholds import DEFAULT_FMR, checked_rate, checked_threshold, refuse_both
from lineament.embed import BATCH, Embedder, embed_faces, load_embedder, wrap
from lineament.errors import (
    LineamentError,
    OptionError,
    WeightsError,
)
from lineament.finder import FaceFinder, Source
from lineament.forks import rlock
from lineament.images import Many, is_many
from lineament.liveness.passive import (
    LivenessMode,
    PassiveLiveness,
    load_passive,
    photo_check,
)
from lineament.models import LicensePolicy
from lineament.pipeline import first_problem, paired
from lineament.quality import limits_of
from lineament.types import (
    Certainty,
    ColorOrder,
    Contract,
    Decision,
    Embedding,
    Image,
    Liveness,
    Photo,
    Threshold,
)


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One photo, the face that it is of embedded by every member.

    Attributes:
        photo: embedding and crop are the first member's.
        embeddings: one a member; () when there is no face (``photo.problem`` says why).
    """

    photo: Photo
    embeddings: tuple[Embedding, ...]


class Ensemble:
    """Verifies with several recognizers at once. One object may be used from several threads.

    Attributes:
        spec: members and fusion.
        finder: stages 1 and 2.
        prior: share of genuine pairs among those that are verified, 0 to 1.
    """

    @checked
    def __init__(
        self,
        spec: Spec,
        *,
        finder: FaceFinder | None = None,
        prior: float = DEFAULT_PRIOR,
        policy: LicensePolicy | None = None,
    ) -> None:
        """Choose members and finder; networks are loaded when they are first needed.

        Args:
            spec: from ``read_spec``.
            finder: finds the faces, with its runtime; None: one of defaults.
            prior: how many of the pairs that you verify show one person, before you look.
            policy: which licenses may be used; None: the finder's.

        Raises:
            WeightsError: a member is not what the ensemble was fitted with, or is refused.
        """
        self.spec = spec
        self.finder = FaceFinder(policy=policy) if finder is None else finder
        self.prior = Judge(prior=prior).prior
        self._policy = self.finder.policy if policy is None else policy
        self._embedders: tuple[Embedder, ...] | None = None
        self._lock = rlock()
        for member in spec.members:
            entry = models.get(member.name)
            self._policy.check(entry)
            if (entry.sha256, entry.alignment) != (member.weights_sha256, member.alignment):
                raise WeightsError(
                    f"{self.name} was fitted with {member.name} {member.weights_sha256[:12]} "
                    f"({member.alignment}), got {entry.sha256[:12]} ({entry.alignment}): fit it "
                    "again (scripts/fit/ensemble.py)"
                )

    @classmethod
    @checked
    def load(
        cls,
        kind: str = DEFAULT_KIND,
        *,
        finder: FaceFinder | None = None,
        prior: float = DEFAULT_PRIOR,
        policy: LicensePolicy | None = None,
        folder: str | os.PathLike[str] = FOLDER,
    ) -> Ensemble:
        """The package's ensemble of that kind. Args and Raises as __init__ and ``read_spec``."""
        return cls(read_spec(kind, Path(folder)), finder=finder, prior=prior, policy=policy)

    def __repr__(self) -> str:
        """In short."""
        members = ", ".join(member.name for member in self.spec.members)
        return f"Ensemble({self.spec.kind!r} of {members}; detector={self.finder.detector_name!r})"

    @property
    def name(self) -> str:
        """Of its score, and of its contract: "ensemble-boosted"."""
        return f"ensemble-{self.spec.kind}"

    @property
    def embedders(self) -> tuple[Embedder, ...]:
        """The members, loaded."""
        with self._lock:
            if self._embedders is None:
                entries = [models.get(member.name) for member in self.spec.members]
                load = partial(
                    load_embedder, flip=True, runtime=self.finder.runtime, policy=self._policy
                )
                with ThreadPoolExecutor(len(entries)) as pool:
                    self._embedders = tuple(pool.map(load, entries))
            return self._embedders

    @property
    def contract(self) -> Contract:
        """What its decisions carry; its dimension is that of all members' vectors together."""
        alignments = dict.fromkeys(member.alignment for member in self.spec.members)
        return Contract(
            weights=self.name,
            weights_sha256=self.spec.sha256,
            alignment="+".join(alignments),
            color_order="rgb",
            flip=True,
            dimension=sum(embedder.contract.dimension for embedder in self.embedders),
        )

    @checked
    def threshold(self, *, fmr: float | None = None, value: float | None = None) -> Threshold:
        """The threshold for a wanted false match rate, or one set by hand.

        Args:
            fmr: the false match rate wanted, 0 to 1; None means ``DEFAULT_FMR``.
            value: the threshold itself, in the ensemble's own unit; then ``fmr`` must be None.

        Raises:
            OptionError: both are given, or none was fitted for that rate.
        """
        refuse_both(fmr, value)
        if value is not None:
            value = checked_threshold(value, self.name)
            return Threshold(value, self.name, None, "set by hand", None)
        wanted = DEFAULT_FMR if fmr is None else checked_rate(fmr)
        for point in self.spec.points:
            if abs(point.fmr - wanted) <= 1e-6 * wanted:
                return Threshold(
                    point.value,
                    self.name,
                    point.fmr,
                    f"{self.spec.data}, out of fold",
                    self.spec.n_impostor_pairs,
                    point.low,
                    point.high,
                )
        rates = ", ".join(f"{point.fmr:g}" for point in self.spec.points)
        raise OptionError(
            f"no threshold of {self.name} was fitted for a false match rate of {wanted:g}; there "
            f"are some for {rates}: choose one of them, or state the threshold itself"
        )

    def stream(
        self,
        sources: Source | Iterable[Source],
        *,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Generator[Seen, None, None]:
        """Find and embed the face that each photo is of; results in the order of the sources.

        Args:
            sources: what ``load_image`` reads, and ``Photo``s with their pixels.
            liveness: "passive" checks whether the faces are alive.
            color_order: of NumPy arrays.
        """
        passive = photo_check(
            liveness, partial(load_passive, runtime=self.finder.runtime, policy=self._policy)
        )
        ready: list[Photo] = []
        with closing(
            self.finder.stream(sources, keep_pixels=True, color_order=color_order)
        ) as photos:
            for photo in photos:
                ready.append(photo)
                if len(ready) >= BATCH or self.finder.is_enough(ready):
                    yield from self._embedded(ready, passive)
                    ready = []
            yield from self._embedded(ready, passive)

    def _embedded(self, photos: Sequence[Photo], passive: PassiveLiveness | None) -> Iterable[Seen]:
        of_somebody = [photo for photo in photos if photo.problem is None]
        rows = iter(self._rows(of_somebody))
        for photo in photos:
            if photo.problem is not None:
                yield Seen(photo, ())
                continue
            embeddings, crop = next(rows)
            checks: tuple[Liveness, ...] = ()
            if passive is not None and photo.face is not None:
                checks = (passive.check(photo, photo.face),)
            whole = replace(
                photo,
                selected=photo.chosen,
                embeddings=embeddings[:1],
                crops=crop[None],
                checks=checks,
            )
            yield Seen(whole, embeddings)

    def _rows(self, photos: Sequence[Photo]) -> list[tuple[tuple[Embedding, ...], Image]]:
        """For each photo one embedding a member, and the first member's crop."""
        if not photos:
            return []
        cut: dict[str, Image] = {}
        columns: list[tuple[Embedding, ...]] = []
        landmarks = [one.faces[i].landmarks_xy for one in photos for i in one.chosen]
        for embedder in self.embedders:
            alignment = embedder.contract.alignment
            if alignment not in cut:  # crops that several members take are cut once
                cut[alignment] = np.concatenate(
                    [self.finder.crops(one, one.chosen, alignment=alignment) for one in photos]
                )
            columns.append(
                wrap(*embed_faces(embedder, cut[alignment], landmarks), embedder.contract)
            )
        first = cut[self.embedders[0].contract.alignment]
        return list(zip(zip(*columns, strict=True), first, strict=True))

    @checked
    def look(
        self,
        source: Source,
        *,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Seen:
        """Read a photo, choose its face, and embed it with every member.

        Args:
            source: what ``load_image`` reads, or a ``Photo``.
            liveness: "passive" checks whether the face is alive.
            color_order: of a NumPy array.

        Raises:
            NoFaceError: no face was found.
            ImageError: the photo could not be read.
        """
        (seen,) = self.stream([source], liveness=liveness, color_order=color_order)
        seen.photo.require()
        return seen

    def score(self, a: Seen, b: Seen) -> float:
        """How alike both are, in the ensemble's own unit; higher is more alike."""
        features = pair_features(
            *([_side(embedding) for embedding in seen.embeddings] for seen in (a, b))
        )
        return float(self.spec.fusion.fuse(features)[0])

    def certainty(self, score: float) -> Certainty:
        """What such a score means: from the fit's own pairs, out of fold."""
        spec, prior = self.spec, self.prior
        llr, low, high = (
            float(np.interp(score, spec.score, knots))
            for knots in (spec.llr, spec.llr_low, spec.llr_high)
        )
        odds = float(np.log(prior) - np.log1p(-prior))
        value, least, most = (float(np.exp(-np.logaddexp(0, -x - odds))) for x in (llr, low, high))
        return Certainty(
            probability=value,
            low=least,
            high=most,
            llr=llr,
            prior=prior,
            data=f"{spec.data}, out of fold",
            people=spec.n_people,
            genuine_pairs=spec.n_genuine_pairs,
            impostor_pairs=spec.n_impostor_pairs,
        )

    def decide(self, a: Seen, b: Seen, threshold: Threshold | None = None) -> Decision:
        """Compare two photos that ``look`` has seen.

        ``Decision.score`` is the ensemble's, in the unit of its threshold; ``similarity`` and the
        norms are the first member's, cosine and lengths.

        Args:
            a, b: from ``look``.
            threshold: from ``threshold()``; None is ``threshold()`` without arguments.

        Raises:
            OptionError: the threshold is for another comparison.
        """
        limit = self.threshold() if threshold is None else threshold
        if limit.metric != self.name:
            raise OptionError(
                f"expected one for {self.name}, got one for {limit.metric}: "
                "Ensemble.threshold makes it",
                option="threshold",
            )
        score = self.score(a, b)
        decision = decided(
            score,
            a.embeddings[0],
            b.embeddings[0],
            limit,
            contract=self.contract,
            **sides(a.photo, b.photo),
        )
        first = self.spec.members[0]
        ages = crop_ages(first.alignment, runtime=self.finder.runtime, policy=self.finder.policy)
        judge = Judge(None, self.prior, limits_of(models.get(first.name)), ages)
        return judge.assess(decision, self.certainty(score), crops=(a.photo.crop, b.photo.crop))

    @overload
    def verify(
        self,
        a: Many,
        b: Many,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> list[Decision | LineamentError]: ...
    @overload
    def verify(
        self,
        a: Source,
        b: Source,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Decision: ...
    @checked
    def verify(
        self,
        a: Any,
        b: Any,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Decision | list[Decision | LineamentError]:
        """Are two photos of the same person? For lists: a[0] against b[0], and so on.

        Args:
            a, b: two photos, or two lists of equal length.
            threshold: from ``threshold()``, or a number in the ensemble's own unit; or
            fmr: the false match rate; None of both: ``DEFAULT_FMR``.
            liveness: as for ``Recognizer.verify``.
            color_order: of NumPy arrays.

        Raises:
            NoFaceError: no face was found in one of them; in lists, errors take the place of the
                decision that they spoiled.
            ImageError: one of them could not be read.
            OptionError: both a threshold and a rate, or one that was not fitted.
        """
        unique, pairs = paired(a, b)
        refuse_both(fmr, threshold)
        if not isinstance(threshold, Threshold):
            threshold = self.threshold(fmr=fmr, value=threshold)
        seen = list(self.stream(unique, liveness=liveness, color_order=color_order))
        results: list[Decision | LineamentError] = []
        for i, j in pairs:
            problem = first_problem(seen[i].photo, seen[j].photo)
            if not is_many(a):
                if problem is not None:
                    raise problem
                decision = self.decide(seen[i], seen[j], threshold)
                return replace(decision, crop_a=seen[i].photo.crop, crop_b=seen[j].photo.crop)
            results.append(
                self.decide(seen[i], seen[j], threshold) if problem is None else problem.as_result()
            )
        return results


def _side(embedding: Embedding) -> Side:
    return Side(embedding.vector[None], np.array([embedding.norm], np.float32))
