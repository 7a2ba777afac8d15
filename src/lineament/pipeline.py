"""The pipeline, wired: read this file first.

    source --images--> pixels --detect--> faces                 FaceFinder: a ``Photo``
           --align--> crops --embed--> unit embeddings          Recognizer
           --decide--> Decision                                 Recognizer.verify

Each arrow is a room of the package, in the order in which a photo walks through them:

    1 images/    a path, URL, bytes, array, ... -> RGB uint8 (H, W, 3), upright
    2 detect/    pixels -> faces: box, score, five landmarks
    3 align/     pixels and faces -> crops of one size, each face in the same place
      quality    face and crop -> how good it is for recognition
    4 embed/     crops -> vectors of length 1
      recognizability  vector and crop -> how much identity is left, whatever spoiled the face
    5 decide/    two vectors -> score, threshold, calibrated probability, verdict
    6 search/    one vector against millions: an index
    7 gallery/   people with names on disk: enroll, identify, group
    8 video/     frames -> who is where, under numbers and names that last

``finder.FaceFinder`` is stages 1 and 2; ``Recognizer`` holds a finder, an embedder and a judge and
runs stages 1 to 5 over one photo or many; ``ensemble.Ensemble`` is the same finder with several
embedders, for ``verify`` alone; ``gallery.Gallery`` takes a recognizer. ``models/`` says which
networks there are and under which license, and runs them; ``batching.Batcher`` shares an embedder
among threads. ``attributes/`` says how faces look, ``liveness/`` whether one is of somebody who is
there, ``anonymize/`` covers faces for good, ``compat/`` has the interfaces of other packages.
``server/`` does over HTTP what is called here, with a page, and ``client/`` asks such a server;
``audit/`` keeps account of what was done with people's data, and ``signing`` proves it.
``datasets/``, ``fit/``, ``evaluate/`` and ``train/`` measure, calibrate and make models;
``pictures/`` draws; ``cli/`` is the command line.

Every stage is a plain function or a one-method object that can be used without this file; what is
here is only the order of the calls, the batches, and what happens to a photo that fails.

Given one source, methods return one result and raise its error. Given many, they return a list in
their order, and an error takes the place of the result it spoiled. A source is what
``images.load_image`` reads, or a ``Photo``: nothing is decoded, detected or embedded twice. Many
are a list or anything else that can be iterated, a folder, a glob pattern, or a batch of pixels;
the rule has one place, ``images.many``.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np

from lineament import models
from lineament.align.alignment import AlignMethod, alignment_of
from lineament.arguments import checked
from lineament.attributes.age import crop_ages
from lineament.attributes.reader import AttributeReader, checked_names
from lineament.attributes.results import PhotoAttributes
from lineament.decide.calibration import DEFAULT_PRIOR, Calibration, bundled
from lineament.decide.judge import CALIBRATED_METRIC, Judge
from lineament.decide.metrics import DEFAULT_METRIC, SIAMESE, MetricName
from lineament.decide.siamese import SiameseHead, find_head, require_head
from lineament.decide.thresholds import (
    DEFAULT_FMR,
    checked_rate,
    find_threshold,
    learned_threshold,
    own_threshold,
    refuse_both,
)
from lineament.detect import DEFAULT_DETECTOR, DetectOptions, Detector
from lineament.embed import Embedder, check_flip, embed_photos, load_embedder
from lineament.encoded import Encoded
from lineament.errors import ContractError, LineamentError, OptionError
from lineament.finder import Choose, FaceFinder, Source
from lineament.forks import lock, rlock
from lineament.images import DEFAULT_LIMITS, ImageLimits, Many, expand, is_many
from lineament.liveness.passive import (
    LivenessMode,
    PassiveLiveness,
    load_passive,
    photo_check,
)
from lineament.liveness.result import strictest
from lineament.models import DEFAULT_PRESET, PRESETS, Card, LicensePolicy
from lineament.models.runtime import Runtime
from lineament.quality import limits_of
from lineament.types import (
    ColorOrder,
    Decision,
    Embedding,
    FlipOption,
    FloatArray,
    Liveness,
    Photo,
    Threshold,
    flip_of,
)

Faces = Literal["all", "chosen"] | Sequence[int]
"""Which faces of a photo are embedded: every one, the one it is of, or those of some numbers."""


DEFAULT_RECOGNIZER = PRESETS[DEFAULT_PRESET].recognizer
DEFAULT_FLIP = PRESETS[DEFAULT_PRESET].flip
"""Averaging over the mirror image takes twice the recognizer's time and gains 1 to 4 of the 3,192
genuine pairs of LFW View 1 at every rate from 1e-3 to 1e-5: too few to be sure of, so speed wins
(``benchmarks/accuracy/ablation.py``)."""


class Recognizer:
    """Finds, aligns, embeds and verifies faces. Networks are loaded when they are first needed.

    One object may be used from several threads.

    Attributes:
        finder: stages 1 and 2.
        weights: the recognizer's entry.
        alignment: the method; ``alignment_name`` has the template and size too.
        flip: whether embeddings are averaged over the crop and its mirror image.
        prior: share of genuine pairs among those that are verified, 0 to 1.
        runtime, policy: as they were given, or the environment's.
    """

    @checked
    def __init__(
        self,
        recognizer: str | Card = DEFAULT_PRESET,
        *,
        detector: str | Detector = DEFAULT_DETECTOR,
        options: DetectOptions | None = None,
        alignment: AlignMethod | None = None,
        flip: FlipOption | None = None,
        turning: bool = True,
        choose: Choose = "largest",
        calibration: Calibration | str | os.PathLike[str] | None = None,
        prior: float = DEFAULT_PRIOR,
        limits: ImageLimits = DEFAULT_LIMITS,
        runtime: Runtime | None = None,
        policy: LicensePolicy | None = None,
        finder: FaceFinder | None = None,
        embedder: Embedder | None = None,
        passive: PassiveLiveness | None = None,
    ) -> None:
        """Choose the networks and options.

        Args:
            recognizer: one of ``lineament.models.PRESETS``, the name of a model, or its card
                (``lineament.models.from_file`` makes one for an ONNX file).
            detector, options, turning, choose, limits: as ``FaceFinder`` takes them.
            alignment: a method in place of the one that the recognizer was made for; for
                comparison.
            flip: "none"; "mean" (or True): average embeddings over the crop and its mirror image;
                "concatenate": both one after the other, as ArcFace's evaluation does; None: as the
                preset says, ``DEFAULT_FLIP`` without one.
            calibration: what scores mean, and thresholds: yours from ``lineament tune``, or the
                path of its file; None takes the package's own where it has one for these networks.
            prior: how many of the pairs that you verify show one person, 0 to 1, before you look:
                probabilities rest on it, thresholds do not.
            runtime: engine, device and threads; None asks the environment.
            policy: which licenses may be used; None asks the environment.
            finder: one that exists, to share it; its options go before the five of its own here,
                and ``runtime`` and ``policy`` are its own unless they are given.
            embedder: one that is loaded, such as a ``Batcher`` that several recognizers share.
            passive: what checks whether faces are alive, where that is asked for; None loads the
                package's own then (``lineament.liveness.passive.load_passive``).

        Raises:
            OptionError, WeightsError: a part does not exist, or the policy refuses it.
            ContractError: the embedder is not what the other options describe.
        """
        preset = PRESETS.get(recognizer) if isinstance(recognizer, str) else None
        name = recognizer if preset is None else preset.recognizer
        self.weights = models.get(name) if isinstance(name, str) else name
        default_flip = DEFAULT_FLIP if preset is None else preset.flip
        if self.weights.members:  # who sees the mirror image is a part of it
            default_flip = self.weights.mirrored
        self.flip = default_flip if flip is None else flip_of(flip)
        check_flip(self.weights, self.flip)
        self.alignment = alignment_of(self.weights.alignment, None, alignment).method
        self.prior = Judge(prior=prior).prior
        if finder is not None:
            policy = finder.policy if policy is None else policy
            runtime = finder.runtime if runtime is None else runtime
        self.policy = LicensePolicy.active() if policy is None else policy
        self.policy.check(self.weights)
        _ = self.alignment_name
        if finder is None:
            finder = FaceFinder(
                detector,
                options=options,
                turning=turning,
                choose=choose,
                limits=limits,
                runtime=runtime,
                policy=self.policy,
            )
        self.finder = finder
        self.runtime = finder.runtime if runtime is None else runtime
        if isinstance(calibration, (str, os.PathLike)):
            calibration = Calibration.load(calibration)
        self._given_calibration = calibration
        self._judge: Judge | None = None
        self._embedder = embedder
        self._passive = passive
        self._attributes: AttributeReader | None = None
        self._lock = rlock()
        if embedder is not None:
            self._check_embedder(embedder)

    def __repr__(self) -> str:
        """In short."""
        return (
            f"Recognizer({self.weights.name!r}, detector={self.finder.detector_name!r}, "
            f"alignment={self.alignment_name!r}, flip={self.flip!r})"
        )

    def _check_embedder(self, embedder: Embedder) -> None:
        own = embedder.contract
        replace(
            own,
            weights_sha256=self.weights.sha256,
            alignment=self.alignment_name,
            flip=self.flip,
        ).check(own)

    @property
    def alignment_name(self) -> str:
        """How the crops are made, as contracts name it: "arcface-112", "dlib-150", ..."""
        card = self.weights
        return str(alignment_of(card.alignment, card.input.size_wh, self.alignment))

    # --- finder, embedder, judge ------------------------------------------------------------------

    @property
    def embedder(self) -> Embedder:
        """Stage 4, loaded."""
        with self._lock:
            if self._embedder is None:
                self._embedder = load_embedder(
                    self.weights,
                    flip=self.flip,
                    alignment=self.alignment_name,
                    runtime=self.runtime,
                    policy=self.policy,
                )
            return self._embedder

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean: the one given, else the package's own, else None.

        Raises:
            ContractError: the one given was fitted for other embeddings.
        """
        return self.judge.calibration

    @property
    def judge(self) -> Judge:
        """Stage 5's second half: how sure a decision is. Raises as ``calibration``."""
        with self._lock:
            if self._judge is None:
                self.load()  # both at once; asking for the embedder alone would load them in turn
                contract = self.embedder.contract
                chosen = self._given_calibration
                if chosen is None:
                    chosen = bundled(contract, CALIBRATED_METRIC)
                else:
                    chosen.check(contract, CALIBRATED_METRIC)
                ages = None  # what children are no part of is the calibration
                if chosen is not None:
                    ages = crop_ages(self.alignment_name, runtime=self.runtime, policy=self.policy)
                self._judge = Judge(chosen, self.prior, limits_of(self.weights), ages, self.weights)
            return self._judge

    @property
    def head(self) -> SiameseHead | None:
        """The learned similarity of its embeddings: the metric "siamese"; None: there is none.

        Raises:
            WeightsError: its file is missing or damaged.
        """
        try:
            return find_head(self.embedder.contract, self.weights)
        except ContractError:  # it is for other options
            return None

    @property
    def passive(self) -> PassiveLiveness:
        """What checks whether faces are alive, loaded."""
        with self._lock:
            if self._passive is None:
                self._passive = load_passive(runtime=self.runtime, policy=self.policy)
            return self._passive

    @property
    def attribute_reader(self) -> AttributeReader:
        """What says how faces look; its networks are loaded when they are first needed."""
        with self._lock:
            if self._attributes is None:
                self._attributes = AttributeReader(runtime=self.runtime, policy=self.policy)
            return self._attributes

    def load(self) -> None:
        """Load all networks now, at once; otherwise they are when they are first needed."""
        if self._embedder is not None:
            _ = self.finder.detector
            return
        with ThreadPoolExecutor(1) as pool:  # half the time on two cores
            detector = pool.submit(lambda: self.finder.detector)
            _ = self.embedder
            detector.result()

    @checked
    def threshold(
        self,
        metric: str = DEFAULT_METRIC,
        *,
        fmr: float | None = None,
        value: float | None = None,
    ) -> Threshold:
        """The threshold for a wanted false match rate, or one set by hand.

        A calibration that was given comes first, unless its data are too few for the default rate
        and none is asked for: a looser meaning of "same" is taken only when it is asked for. Then
        what stands in the weights' entry, then the
        package's own calibration, which knows rates in between and the threshold's interval.

        Args:
            metric: name of the comparison.
            fmr: the false match rate wanted, 0 to 1; None means ``DEFAULT_FMR``, or with a
                calibration that was given the rate it was tuned for.
            value: the threshold itself, in the metric's unit; then ``fmr`` must be None.

        Raises:
            OptionError: both are given, no data support that rate, or the metric is "siamese" and
                the model has no learned similarity.
        """
        refuse_both(fmr, value)
        head = None
        if metric == SIAMESE:
            head = require_head(self.embedder.contract, self.weights)
        if value is not None:
            return own_threshold(value, metric)
        if head is not None:
            return learned_threshold(head, self.calibration, fmr)
        if self._given_calibration is not None:
            own = self._given_calibration
            own.check(self.embedder.contract, metric)
            guarded = fmr is None and own.wanted_fmr is None and own.least_fmr > DEFAULT_FMR
            if guarded and (stricter := self._packaged_threshold(metric)) is not None:
                return stricter
            rate = own.default_rate(DEFAULT_FMR) if fmr is None else checked_rate(fmr)
            return own.threshold(rate).plain
        wanted = DEFAULT_FMR if fmr is None else checked_rate(fmr)
        try:
            return find_threshold(
                self.weights, metric, flip=self.flip, alignment=self.alignment_name, fmr=wanted
            )
        except OptionError:
            if metric != CALIBRATED_METRIC or self.calibration is None:
                raise
            return self.calibration.threshold(wanted).plain

    def _packaged_threshold(self, metric: str) -> Threshold | None:
        """The package's own for the default rate; None where it has none."""
        try:
            return find_threshold(
                self.weights, metric, flip=self.flip, alignment=self.alignment_name
            )
        except OptionError:
            return None

    def _limit(
        self, threshold: Threshold | float | None, fmr: float | None, metric: str | None
    ) -> Threshold:
        """The threshold that the arguments of ``verify`` ask for."""
        if not isinstance(threshold, Threshold):
            name = DEFAULT_METRIC if metric is None else metric
            return self.threshold(name, fmr=fmr, value=threshold)
        refuse_both(fmr, threshold)
        if metric is not None and metric != threshold.metric:
            raise OptionError(
                f"expected {threshold.metric}, as the threshold has it, got {metric!r}",
                option="metric",
            )
        return threshold

    # --- one photo or a list ----------------------------------------------------------------------

    @overload
    def detect(self, source: Many, *, color_order: ColorOrder | None = None) -> list[Photo]: ...
    @overload
    def detect(
        self,
        source: Source,
        *,
        color_order: ColorOrder | None = None,
        box: Sequence[float] | None = None,
    ) -> Photo: ...
    @checked
    def detect(
        self,
        source: Any,
        *,
        color_order: ColorOrder | None = None,
        box: Sequence[float] | None = None,
    ) -> Photo | list[Photo]:
        """Find the faces: ``FaceFinder.find``. A photo without faces is no error."""
        found: Photo | list[Photo] = self.finder.find(source, color_order=color_order, box=box)
        return found

    @overload
    def analyze(
        self,
        source: Many,
        *,
        faces: Faces = "all",
        keep_crops: bool = False,
        keep_pixels: bool | None = None,
        color_order: ColorOrder | None = None,
    ) -> list[Photo]: ...
    @overload
    def analyze(
        self,
        source: Source,
        *,
        faces: Faces = "all",
        keep_crops: bool = False,
        keep_pixels: bool | None = None,
        color_order: ColorOrder | None = None,
    ) -> Photo: ...
    @checked
    def analyze(
        self,
        source: Any,
        *,
        faces: Faces = "all",
        keep_crops: bool = False,
        keep_pixels: bool | None = None,
        color_order: ColorOrder | None = None,
    ) -> Photo | list[Photo]:
        """Find and embed faces.

        Args:
            source: one source, or a list of them.
            faces: which are embedded, for example some numbers of a ``Photo`` that was found.
            keep_crops: return the aligned faces too.
            keep_pixels: None keeps them for one photo, and not for a list.
            color_order: of NumPy arrays.
        """
        many = is_many(source)
        photos = self.stream(
            source if many else [source],
            faces=faces,
            keep_crops=keep_crops,
            keep_pixels=not many if keep_pixels is None else keep_pixels,
            color_order=color_order,
        )
        if many:
            return list(photos)
        (photo,) = photos
        if photo.error is not None:
            raise photo.error
        return photo

    @overload
    def attributes(
        self,
        source: Many,
        *,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> list[PhotoAttributes | LineamentError]: ...
    @overload
    def attributes(
        self,
        source: Source,
        *,
        faces: Sequence[int] | None = None,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> PhotoAttributes: ...
    @checked
    def attributes(
        self,
        source: Any,
        *,
        faces: Sequence[int] | None = None,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> PhotoAttributes | list[PhotoAttributes | LineamentError]:
        """Say how faces look: age, gender, expression, pose, eyes, mouth, gaze.

        How far each is to be believed stands in ``lineament.attributes.LIMITS``. A photo without
        faces is no error.

        Args:
            source: one source, or a list of them.
            faces: of one source: numbers of those that are looked at; None: all.
            only: of ``lineament.attributes.NAMES``; None: all of them.
            color_order: of NumPy arrays.

        Raises:
            ImageError: the photo could not be read; in a list, the error takes its place.
            OptionError: a number or name that there is not.
        """
        checked_names(only)
        reader = self.attribute_reader
        if not is_many(source):
            (photo,) = self.finder.stream([source], keep_pixels=True, color_order=color_order)
            if photo.error is not None:
                raise photo.error
            return reader.read(photo, faces=faces, only=only)
        if faces is not None:
            raise OptionError("expected one photo, not a list, with faces", option="faces")
        results: list[PhotoAttributes | LineamentError] = []
        for photo in self.finder.stream(source, keep_pixels=True, color_order=color_order):
            if photo.error is not None:
                results.append(photo.error)
                continue
            done = reader.read(photo, only=only)
            results.append(replace(done, photo=replace(photo, pixels=None)))
        return results

    @overload
    def embed(
        self, source: Many, *, color_order: ColorOrder | None = None
    ) -> list[Embedding | LineamentError]: ...
    @overload
    def embed(
        self,
        source: Source,
        *,
        color_order: ColorOrder | None = None,
        box: Sequence[float] | None = None,
    ) -> Embedding: ...
    @overload
    def embed(
        self, source: Source, *, faces: Sequence[int], color_order: ColorOrder | None = None
    ) -> tuple[Embedding, ...]: ...
    @checked
    def embed(
        self,
        source: Any,
        *,
        faces: Sequence[int] | None = None,
        color_order: ColorOrder | None = None,
        box: Sequence[float] | None = None,
    ) -> Embedding | tuple[Embedding, ...] | list[Embedding | LineamentError]:
        """Embed the one face that each photo is of (see ``FaceFinder``), or some of one photo.

        Args:
            source: one source, or a list of them.
            faces: of one source: numbers of the faces to embed; returns one embedding for each.
            color_order: of NumPy arrays.
            box: of one source: where the face is, as for ``FaceFinder.find``.

        Raises:
            NoFaceError: a photo has none; in a list, it takes the place of the embedding.
        """
        if box is not None:
            if faces is not None:
                raise OptionError("expected without faces, got both", option="box")
            source = self.finder.find(source, color_order=color_order, box=box)
        if not is_many(source):
            if faces is not None:
                found: Photo = self.analyze(source, faces=faces, color_order=color_order)
                return found.embeddings
            (photo,) = self.stream_chosen([source], color_order=color_order)
            photo.require()
            assert photo.embedding is not None
            return photo.embedding
        if faces is not None:
            raise OptionError("expected one photo, not a list, with faces", option="faces")
        results: list[Embedding | LineamentError] = []
        for photo in self.stream_chosen(source, color_order=color_order):
            if photo.embedding is None:
                assert photo.problem is not None
                results.append(photo.problem.as_result())
            else:
                results.append(photo.embedding)
        return results

    @checked
    def encode(
        self,
        sources: Any,
        *,
        color_order: ColorOrder | None = None,
    ) -> Encoded:
        """Embed the one face that each photo is of, as a matrix.

            encoded = recognizer.encode(paths)
            matrix = np.asarray(encoded)            # (N, D); raises if one of them failed
            matrix, labels = encoded.vectors, labels[encoded.ok]

        Args:
            sources: what ``embed`` takes; one photo makes a matrix of one row.
            color_order: of NumPy arrays.

        Returns:
            ``Encoded``: the vectors, and for every photo whether it has one. Nothing is raised for
            a photo that failed.
        """
        listed = sources if is_many(sources) else [sources]
        names: list[str] = []
        vectors: list[FloatArray] = []
        norms: list[float] = []
        rows: list[int] = []
        errors: dict[int, LineamentError] = {}
        for number, photo in enumerate(
            self.stream(listed, faces="chosen", color_order=color_order)
        ):
            names.append(photo.source)
            if photo.embedding is None:
                assert photo.problem is not None
                errors[number] = photo.problem.as_result()
            else:
                rows.append(number)
                vectors.append(photo.embedding.vector)
                norms.append(photo.embedding.norm)
        contract = self.embedder.contract
        return Encoded(
            np.array(vectors, np.float32).reshape(len(rows), contract.dimension),
            np.array(norms, np.float32),
            np.array(rows, np.int64),
            tuple(names),
            errors,
            contract,
        )

    @overload
    def verify(
        self,
        a: Many,
        b: Many,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        metric: MetricName | None = None,
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
        metric: MetricName | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
        box_a: Sequence[float] | None = None,
        box_b: Sequence[float] | None = None,
    ) -> Decision: ...
    @checked
    def verify(
        self,
        a: Any,
        b: Any,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        metric: MetricName | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
        box_a: Sequence[float] | None = None,
        box_b: Sequence[float] | None = None,
    ) -> Decision | list[Decision | LineamentError]:
        """Are two photos of the same person? For lists: a[0] against b[0], and so on.

        Args:
            a, b: two photos, or two lists of equal length. A path that stands in them several
                times is analyzed once.
            threshold: from which score on it is one person: what ``threshold()`` returns, or a
                number in the metric's unit; or
            fmr: the false match rate that the threshold is for, 0 to 1; None of both: as
                ``threshold()`` without arguments.
            metric: how embeddings are compared; None: as the threshold says, else
                ``DEFAULT_METRIC``.
            liveness: "passive" checks whether both faces are of somebody who was there; a face of
                which that is not known makes the verdict "not_live". "active" needs a film.
            color_order: of NumPy arrays.
            box_a, box_b: of two photos: where the face is, as for ``FaceFinder.find``.

        Raises:
            NoFaceError: no face was found in one of them.
            ImageError: one of them could not be read.
            OptionError: only one of them is a list, or the lists' lengths differ; or a threshold
                as ``threshold()`` refuses it.
        """
        if box_a is not None:
            a = self.finder.find(a, color_order=color_order, box=box_a)
        if box_b is not None:
            b = self.finder.find(b, color_order=color_order, box=box_b)
        unique, pairs = paired(a, b)
        threshold = self._limit(threshold, fmr, metric)
        photos = list(self.stream_chosen(unique, liveness=liveness, color_order=color_order))
        if not is_many(a):
            ((i, j),) = pairs
            decision = self.judge.compare(photos[i], photos[j], threshold)
            return replace(decision, crop_a=photos[i].crop, crop_b=photos[j].crop)
        results: list[Decision | LineamentError] = []
        for i, j in pairs:
            problem = first_problem(photos[i], photos[j])
            results.append(
                self.judge.compare(photos[i], photos[j], threshold)
                if problem is None
                else problem.as_result()
            )
        return results

    # --- many photos ------------------------------------------------------------------------------

    @checked
    def stream(
        self,
        sources: Source | Iterable[Source],
        *,
        faces: Faces = "all",
        embed: bool = True,
        keep_crops: bool = False,
        keep_pixels: bool = False,
        digest: bool = False,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Generator[Photo, None, None]:
        """Analyze photos as they come; results in the order of the sources.

        Reading, detection and alignment run in the finder's threads, the recognizer on batches of
        faces across photos. A bounded number of photos is under way at any time, so endless
        iterators and folders of millions are fine.

        Args:
            sources: what ``load_image`` reads, and ``Photo``s.
            faces: which faces are aligned and embedded.
            embed: False stops before the recognizer, which then is not even loaded.
            keep_crops: return the aligned faces too.
            keep_pixels: leave the pixels in the photos that are yielded.
            digest: have ``Photo.sha256`` too.
            liveness: "passive" checks whether the faces are alive (``Photo.checks``); the "active"
                check needs a film, and is refused here.
            color_order: of NumPy arrays among the sources.
        """
        passive = photo_check(liveness, lambda: self.passive)
        if embed:
            self.load()
        embedder = self.embedder if embed else None
        contract = None if embedder is None else embedder.contract
        alignment = self.alignment_name

        def cut(photo: Photo) -> Photo:
            if isinstance(faces, str):
                numbers = tuple(range(len(photo.faces))) if faces == "all" else photo.chosen
            else:
                numbers = tuple(faces)
            embedded = None if contract is None else photo.narrowed(numbers, contract)
            if embedded is None:
                crops = self.finder.crops(photo, numbers, alignment=alignment)
                embedded = replace(photo, selected=numbers, crops=crops, embeddings=(), checks=())
            active = _active_checks(photo, numbers)
            if passive is None:
                return replace(embedded, checks=active) if active or embedded.checks else embedded
            checks = tuple(passive.check(photo, photo.faces[number]) for number in numbers)
            if active:
                checks = tuple(map(strictest, zip(checks, active, strict=True)))
            return replace(embedded, checks=checks)

        photos = self.finder.stream(
            sources,
            then=cut if embed or keep_crops or passive is not None else None,
            keep_pixels=keep_pixels,
            digest=digest,
            color_order=color_order,
        )
        with closing(photos):
            if embedder is None:
                yield from photos
                return
            for photo in embed_photos(photos, embedder, self.finder.is_enough):
                yield photo if keep_crops else replace(photo, crops=None)

    @checked
    def stream_chosen(
        self,
        sources: Source | Iterable[Source],
        *,
        keep_pixels: bool = False,
        digest: bool = False,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Generator[Photo, None, None]:
        """``stream`` of the one face that each photo is of, with its crop."""
        return self.stream(
            sources,
            faces="chosen",
            keep_crops=True,
            keep_pixels=keep_pixels,
            digest=digest,
            liveness=liveness,
            color_order=color_order,
        )


def _active_checks(photo: Photo, numbers: Sequence[int]) -> tuple[Liveness, ...]:
    """Return what active sessions said of faces, which nobody can measure again; () without."""
    known = dict(zip(photo.selected, photo.checks, strict=False))
    found = [known.get(number) for number in numbers]
    active = tuple(each for each in found if each is not None and each.method == "active")
    return active if len(active) == len(found) else ()


def first_problem(*photos: Photo) -> LineamentError | None:
    """Return why the first of these photos that is of nobody is so; None: there is none."""
    return next((photo.problem for photo in photos if photo.problem is not None), None)


def paired(a: Any, b: Any) -> tuple[list[Source], list[tuple[int, int]]]:
    """Return what two sources or lists of them consist of, each once, and the numbers of the pairs.

    Raises:
        OptionError: only one of them is a list, or the lists' lengths differ.
    """
    many = is_many(a)
    if many != is_many(b):
        raise OptionError("expected two photos or two lists, got one of each")
    firsts, seconds = list(expand(a)), list(expand(b))
    if len(firsts) != len(seconds):
        raise OptionError(f"expected lists of equal length, got {len(firsts)} and {len(seconds)}")
    numbers: dict[Any, int] = {}
    unique: list[Source] = []

    def number(source: Source) -> int:
        key = os.fspath(source) if isinstance(source, (str, os.PathLike)) else id(source)
        if key not in numbers:
            numbers[key] = len(unique)
            unique.append(source)
        return numbers[key]

    pairs = [(number(x), number(y)) for x, y in zip(firsts, seconds, strict=True)]
    return unique, pairs


_default: Recognizer | None = None
_default_lock = lock()


def default_recognizer() -> Recognizer:
    """Return the one with all defaults, which functions without a recognizer share."""
    global _default  # noqa: PLW0603
    with _default_lock:
        if _default is None:
            _default = Recognizer()
        return _default


@checked
def verify(
    a: Source,
    b: Source,
    *,
    threshold: Threshold | float | None = None,
    fmr: float | None = None,
    metric: MetricName | None = None,
    liveness: LivenessMode = "off",
    color_order: ColorOrder | None = None,
) -> Decision:
    """Are two photos of the same person? With the default recognizer, kept for the next call.

    Args:
        a, b: whatever ``lineament.load_image`` reads, or ``Photo``s.
        threshold, fmr, metric, liveness: as for ``Recognizer.verify``.
        color_order: of NumPy arrays.

    Returns:
        A ``Decision``; ``print`` it to see it in words.

    Raises:
        LineamentError: a photo could not be read, or has no face.
    """
    return default_recognizer().verify(
        a,
        b,
        threshold=threshold,
        fmr=fmr,
        metric=metric,
        liveness=liveness,
        color_order=color_order,
    )
