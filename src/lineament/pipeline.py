"""The pipeline, wired: read this file first.

    source --load_image--> photo --Detector.detect--> faces --align_faces--> crops
           --Embedder.embed--> unit embeddings --compare--> Decision --Judge.assess--> Decision

``Recognizer`` holds the loaded networks and runs these stages over one photo or many. Every
stage is a plain function or a one-method object that can be used without it; what is here is only
the order of the calls, the batches, the threads, and what happens to a photo that fails.

Given one source, methods return one result and raise its error. Given a list, they return a list
of the same length in the same order, and an error takes the place of the result it spoiled.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, overload

import numpy as np

from lineament.align.alignment import (
    NATIVE_PX,
    AlignMethod,
    Template,
    align_faces,
    alignment_name,
    template_of,
)
from lineament.decide.calibration import DEFAULT_PRIOR, Calibration, bundled
from lineament.decide.judge import CALIBRATED_METRIC, Judge
from lineament.decide.metrics import (
    DEFAULT_FMR,
    DEFAULT_METRIC,
    compare,
    find_threshold,
    own_threshold,
)
from lineament.detect import (
    DEFAULT_DETECTOR,
    DetectOptions,
    Detector,
    check_detector,
    load_detector,
)
from lineament.embed import BATCH, Embedder, load_embedder, wrap
from lineament.errors import LineamentError, NoFaceError, OptionError
from lineament.images import DEFAULT_LIMITS, ImageLimits, ImageSource, describe_source, load_image
from lineament.models import cards as weights_module
from lineament.models.cards import LicensePolicy, Weights
from lineament.models.runtime import Runtime
from lineament.quality import limits_of, measure
from lineament.types import Analysis, ColorOrder, Decision, Embedding, Image, Quality, Threshold

Choose = Literal["largest", "central"]
"""Whom a photo with several faces is of: the largest face, or the one nearest its center."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A recognizer with its options, by what they are good for."""

    recognizer: str
    flip: bool


PRESETS = {
    "fast": Preset("mobilefacenet", flip=False),
    "balanced": Preset("sface", flip=False),
    "accurate": Preset("sface-mobilefacenet", flip=True),
}
"""What each takes and is worth: ``benchmarks/accuracy/presets.py``."""

DEFAULT_PRESET = "balanced"
DEFAULT_RECOGNIZER = PRESETS[DEFAULT_PRESET].recognizer
DEFAULT_FLIP = PRESETS[DEFAULT_PRESET].flip
"""Averaging over the mirror image takes twice the recognizer's time and gains 1 to 4 of the 3,192
genuine pairs of LFW View 1 at every rate from 1e-3 to 1e-5: too few to be sure of, so speed wins
(``benchmarks/accuracy/ablation.py``)."""

FEW = 2
"""So few photos are worked off in the caller's thread."""


@dataclass(frozen=True, eq=False, slots=True)
class Chosen:
    """The one face that a photo is of, embedded; what ``Recognizer.stream_chosen`` yields.

    Attributes:
        analysis: the photo with all its faces, none of them embedded.
        index: number of the face in ``analysis.faces``; None when there is none.
        embedding: of that face.
        crop: (S, S, 3) uint8, the aligned face.
        error: why there is no embedding: the photo's error, or NoFaceError.
    """

    analysis: Analysis
    index: int | None = None
    embedding: Embedding | None = None
    crop: Image | None = None
    error: LineamentError | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A photo after detection, with the crops of the faces that are to be embedded."""

    analysis: Analysis
    wanted: tuple[int, ...]
    crops: Image


class Recognizer:
    """Detects, aligns, embeds and verifies. Networks are loaded when they are first needed.

    One object may be used from several threads.
    """

    def __init__(
        self,
        recognizer: str | Weights = DEFAULT_PRESET,
        *,
        detector: str | Detector = DEFAULT_DETECTOR,
        options: DetectOptions | None = None,
        alignment: AlignMethod = "five-points",
        flip: bool | None = None,
        turning: bool = True,
        choose: Choose = "largest",
        calibration: Calibration | None = None,
        prior: float = DEFAULT_PRIOR,
        limits: ImageLimits = DEFAULT_LIMITS,
        runtime: Runtime | None = None,
        policy: LicensePolicy | None = None,
    ) -> None:
        """Choose the parts.

        Args:
            recognizer: one of ``PRESETS``, the name of a weights entry, or an entry
                (``lineament.models.cards.from_file`` makes one of an ONNX file).
            detector: one of ``lineament.detect.DETECTORS``, or your own object with that method.
            options: least face size, least score, most faces.
            alignment: "five-points"; the others exist for comparison.
            flip: average embeddings over the crop and its mirror image; None: as the preset says,
                ``DEFAULT_FLIP`` without one.
            turning: look for faces in photos that lie on a side.
            choose: which face a photo with several is of.
            calibration: what scores mean, and thresholds: yours from ``lineament tune``; None takes
                the package's own where it has one for these parts.
            prior: how many of the pairs that you verify show one person, 0 to 1, before you look:
                probabilities rest on it, thresholds do not.
            limits: largest photo that is read.
            runtime: engine, device and threads; None asks the environment.
            policy: which licenses may be used; None asks the environment.

        Raises:
            OptionError, WeightsError: a part does not exist, or the policy refuses it.
        """
        if choose not in ("largest", "central"):
            raise OptionError(f'expected "largest" or "central", got {choose!r}', option="choose")
        preset = PRESETS.get(recognizer) if isinstance(recognizer, str) else None
        name = recognizer if preset is None else preset.recognizer
        self.weights = weights_module.get(name) if isinstance(name, str) else name
        joined = bool(self.weights.members)  # fitted with the mirror image
        default_flip = joined or (DEFAULT_FLIP if preset is None else preset.flip)
        flip = default_flip if flip is None else flip
        if joined and not flip:
            raise OptionError(
                f"{self.weights.name} was fitted with the mirror image: leave the option out",
                option="flip",
            )
        self.detector_name = detector if isinstance(detector, str) else type(detector).__name__
        self.options = DetectOptions() if options is None else options
        self.alignment: AlignMethod = alignment
        self.flip = flip
        self.choose: Choose = choose
        self.limits = limits
        self.prior = Judge(prior=prior).prior
        self._given_calibration = calibration
        self._judge: Judge | None = None
        self.policy = LicensePolicy.active() if policy is None else policy
        self.policy.check(self.weights)
        _ = self.alignment_name
        if isinstance(detector, str):
            check_detector(detector, self.policy)
        self.runtime = Runtime.from_environment() if runtime is None else runtime
        self.turning = turning
        self._given_detector = detector
        self._detector: Detector | None = None
        self._embedder: Embedder | None = None

    @property
    def _size_px(self) -> int:
        """Side of the crops that the recognizer takes."""
        size_wh = self.weights.input.size_wh
        return NATIVE_PX if size_wh is None else size_wh[0]

    @property
    def _template(self) -> Template:
        """Where "five-points" puts the landmarks for this recognizer."""
        return template_of(self.weights.alignment)

    @property
    def alignment_name(self) -> str:
        """How the crops are made, as contracts name it: "arcface-112", "dlib-150", ..."""
        return alignment_name(self.alignment, self._size_px, self._template)

    # --- the parts --------------------------------------------------------------------------------

    @property
    def detector(self) -> Detector:
        """Stage 2, loaded."""
        if self._detector is None:
            if isinstance(self._given_detector, str):
                self._detector = load_detector(
                    self._given_detector,
                    turning=self.turning,
                    runtime=self.runtime,
                    policy=self.policy,
                )
            else:
                self._detector = self._given_detector
        return self._detector

    @property
    def embedder(self) -> Embedder:
        """Stage 4, loaded."""
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
        if self._judge is None:
            self.load()  # both at once; asking for the embedder alone would load them in turn
            contract = self.embedder.contract
            chosen = self._given_calibration
            if chosen is None:
                chosen = bundled(contract, CALIBRATED_METRIC)
            else:
                chosen.check(contract, CALIBRATED_METRIC)
            self._judge = Judge(chosen, self.prior, limits_of(self.weights.name))
        return self._judge

    def load(self) -> None:
        """Load all networks now, at once; otherwise they are when they are first needed."""
        if self._detector is not None and self._embedder is not None:
            return
        with ThreadPoolExecutor(1) as pool:  # half the time on two cores
            detector = pool.submit(lambda: self.detector)
            _ = self.embedder
            detector.result()

    def threshold(
        self,
        metric: str = DEFAULT_METRIC,
        *,
        fmr: float | None = None,
        value: float | None = None,
    ) -> Threshold:
        """The threshold for a wanted false match rate, or one set by hand.

        A calibration that was given comes first, then what stands in the weights' entry, then the
        package's own calibration, which knows rates in between and the threshold's interval.

        Args:
            metric: name of the comparison.
            fmr: the false match rate wanted, 0 to 1; None means ``DEFAULT_FMR``, or with a
                calibration that was given the rate it was tuned for.
            value: the threshold itself, in the metric's unit; then ``fmr`` must be None.

        Raises:
            OptionError: both are given, or no data support that rate.
        """
        if value is not None:
            if fmr is not None:
                raise OptionError("expected a false match rate or a threshold, got both")
            return own_threshold(value, metric)
        if self._given_calibration is not None:
            own = self._given_calibration
            own.check(self.embedder.contract, metric)
            return own.threshold(own.default_rate(DEFAULT_FMR) if fmr is None else fmr).plain
        wanted = DEFAULT_FMR if fmr is None else fmr
        try:
            found = find_threshold(
                self.weights, metric, flip=self.flip, alignment=self.alignment_name, fmr=wanted
            )
        except OptionError:
            if metric != CALIBRATED_METRIC or self.calibration is None:
                raise
            return self.calibration.threshold(wanted).plain
        if metric != CALIBRATED_METRIC or self.calibration is None:
            return found
        fitted = self.calibration.threshold(wanted)
        return replace(found, low=min(fitted.low, found.value), high=max(fitted.high, found.value))

    # --- many photos -------------------------------------------------------------------------

    def stream(
        self,
        sources: Iterable[ImageSource],
        *,
        embed: bool = True,
        keep_crops: bool = False,
        color_order: ColorOrder | None = None,
    ) -> Iterator[Analysis]:
        """Analyze photos as they come; results in the order of the sources.

        Reading, detection and alignment run in as many threads as there are cores, the recognizer
        on batches of faces across photos. A bounded number of photos is under way at any
        time, so endless iterators and folders of millions are fine.

        Args:
            sources: whatever ``load_image`` reads.
            embed: False stops after detection.
            keep_crops: return the aligned faces too.
            color_order: of NumPy arrays among the sources.
        """
        wanted: Literal["all", "none"] = "all" if embed or keep_crops else "none"
        for item, embeddings in self._run(sources, wanted, embed, color_order):
            crops = item.crops if keep_crops else None
            yield replace(item.analysis, embeddings=embeddings, crops=crops)

    def stream_chosen(
        self, sources: Iterable[ImageSource], *, color_order: ColorOrder | None = None
    ) -> Iterator[Chosen]:
        """The same for the one face that each photo is of; others are not embedded."""
        for item, embeddings in self._run(sources, "chosen", True, color_order):
            if embeddings:
                (index,) = item.wanted
                yield Chosen(item.analysis, index, embeddings[0], item.crops[0])
            elif item.analysis.error is not None:
                yield Chosen(item.analysis, error=item.analysis.error)
            else:
                yield Chosen(item.analysis, error=self._no_face(item.analysis))

    def _run(
        self,
        sources: Iterable[ImageSource],
        wanted: Literal["all", "chosen", "none"],
        embed: bool,
        color_order: ColorOrder | None,
    ) -> Iterator[tuple[_Prepared, tuple[Embedding, ...]]]:
        if embed:
            self.load()
        detector = self.detector
        embedder = self.embedder if embed else None
        workers = self.runtime.threads or os.cpu_count() or 1
        ahead = 2 * (BATCH + workers)
        iterator = iter(sources)

        def prepare(source: ImageSource) -> _Prepared:
            return self._prepare(source, detector, wanted, color_order)

        if isinstance(sources, (list, tuple)) and len(sources) <= FEW:
            # Threads would cost more than they save: each sets up requests of its own.
            yield from _embedded([prepare(source) for source in sources], embedder)
            return
        with ThreadPoolExecutor(workers, thread_name_prefix="lineament") as pool:
            pending: deque[Future[_Prepared]] = deque()
            try:
                ready: list[_Prepared] = []
                while True:
                    for source in islice(iterator, ahead - len(pending)):
                        pending.append(pool.submit(prepare, source))
                    if not pending:
                        break
                    ready.append(pending.popleft().result())
                    faces = sum(len(item.crops) for item in ready)
                    if embedder is None or faces >= BATCH or len(ready) >= ahead:
                        yield from _embedded(ready, embedder)
                        ready = []
                yield from _embedded(ready, embedder)
            finally:
                for future in pending:
                    future.cancel()

    def _prepare(
        self,
        source: ImageSource,
        detector: Detector,
        wanted: Literal["all", "chosen", "none"],
        color_order: ColorOrder | None,
    ) -> _Prepared:
        """Stages 1 to 3 of one photo; its error, if any, goes into the result."""
        name = describe_source(source)
        try:
            image = load_image(source, color_order=color_order, limits=self.limits)
            faces = tuple(detector.detect(image, self.options))
            analysis = Analysis(name, (image.shape[1], image.shape[0]), faces)
            numbers = self._wanted(analysis, wanted)
            crops = align_faces(
                image,
                [faces[i] for i in numbers],
                method=self.alignment,
                size_px=self._size_px,
                template=self._template,
            )
            return _Prepared(analysis, numbers, crops)
        except LineamentError as error:
            return _Prepared(
                Analysis(name, None, error=error), (), np.zeros((0, 0, 0, 3), np.uint8)
            )

    def _wanted(self, photo: Analysis, wanted: Literal["all", "chosen", "none"]) -> tuple[int, ...]:
        if wanted == "all":
            return tuple(range(len(photo.faces)))
        if wanted == "none":
            return ()
        index = photo.largest() if self.choose == "largest" else photo.most_central()
        return () if index is None else (index,)

    # --- one photo or a list -----------------------------------------------------------------

    @overload
    def detect(
        self, source: list[Any] | tuple[Any, ...], *, color_order: ColorOrder | None = None
    ) -> list[Analysis]: ...
    @overload
    def detect(self, source: ImageSource, *, color_order: ColorOrder | None = None) -> Analysis: ...
    def detect(
        self,
        source: ImageSource | list[Any] | tuple[Any, ...],
        *,
        color_order: ColorOrder | None = None,
    ) -> Analysis | list[Analysis]:
        """Find the faces. A photo without faces has ``faces == ()``; that is no error."""
        if isinstance(source, (list, tuple)):
            return list(self.stream(source, embed=False, color_order=color_order))
        (result,) = self.stream([source], embed=False, color_order=color_order)
        return _raised(result)

    @overload
    def analyze(
        self,
        source: list[Any] | tuple[Any, ...],
        *,
        keep_crops: bool = False,
        color_order: ColorOrder | None = None,
    ) -> list[Analysis]: ...
    @overload
    def analyze(
        self,
        source: ImageSource,
        *,
        keep_crops: bool = False,
        color_order: ColorOrder | None = None,
    ) -> Analysis: ...
    def analyze(
        self,
        source: ImageSource | list[Any] | tuple[Any, ...],
        *,
        keep_crops: bool = False,
        color_order: ColorOrder | None = None,
    ) -> Analysis | list[Analysis]:
        """Find and embed all faces."""
        if isinstance(source, (list, tuple)):
            return list(self.stream(source, keep_crops=keep_crops, color_order=color_order))
        (result,) = self.stream([source], keep_crops=keep_crops, color_order=color_order)
        return _raised(result)

    @overload
    def embed(
        self, source: list[Any] | tuple[Any, ...], *, color_order: ColorOrder | None = None
    ) -> list[Embedding | LineamentError]: ...
    @overload
    def embed(self, source: ImageSource, *, color_order: ColorOrder | None = None) -> Embedding: ...
    def embed(
        self,
        source: ImageSource | list[Any] | tuple[Any, ...],
        *,
        color_order: ColorOrder | None = None,
    ) -> Embedding | list[Embedding | LineamentError]:
        """Embed the one face that each photo is of (see ``choose``).

        Raises:
            NoFaceError: a photo has none; in a list, it takes the place of the embedding.
        """
        many = isinstance(source, (list, tuple))
        sources = source if isinstance(source, (list, tuple)) else [source]
        results: list[Embedding | LineamentError] = []
        for chosen in self.stream_chosen(sources, color_order=color_order):
            if chosen.embedding is not None:
                results.append(chosen.embedding)
            elif chosen.error is not None:
                results.append(chosen.error)
        if many:
            return results
        if isinstance(results[0], LineamentError):
            raise results[0]
        return results[0]

    @overload
    def verify(
        self,
        a: list[Any] | tuple[Any, ...],
        b: list[Any] | tuple[Any, ...],
        *,
        threshold: Threshold | None = None,
        color_order: ColorOrder | None = None,
    ) -> list[Decision | LineamentError]: ...
    @overload
    def verify(
        self,
        a: ImageSource,
        b: ImageSource,
        *,
        threshold: Threshold | None = None,
        color_order: ColorOrder | None = None,
    ) -> Decision: ...
    def verify(
        self,
        a: ImageSource | list[Any] | tuple[Any, ...],
        b: ImageSource | list[Any] | tuple[Any, ...],
        *,
        threshold: Threshold | None = None,
        color_order: ColorOrder | None = None,
    ) -> Decision | list[Decision | LineamentError]:
        """Are two photos of the same person? For lists: a[0] against b[0], and so on.

        Args:
            a, b: two photos, or two lists of equal length. A path that stands in them several
                times is analyzed once.
            threshold: what ``threshold()`` returns; None is ``threshold()`` without arguments.
            color_order: of NumPy arrays.

        Raises:
            NoFaceError: no face was found in one of them.
            ImageError: one of them could not be read.
            OptionError: only one of them is a list, or the lists' lengths differ.
        """
        many = isinstance(a, (list, tuple))
        if many != isinstance(b, (list, tuple)):
            raise OptionError("expected two photos or two lists, got one of each")
        firsts: list[Any] = list(a) if isinstance(a, (list, tuple)) else [a]
        seconds: list[Any] = list(b) if isinstance(b, (list, tuple)) else [b]
        if len(firsts) != len(seconds):
            raise OptionError(
                f"expected lists of equal length, got {len(firsts)} and {len(seconds)}"
            )
        if threshold is None:
            threshold = self.threshold()
        numbers: dict[Any, int] = {}
        unique: list[ImageSource] = []
        pairs: list[list[int]] = []
        for pair in zip(firsts, seconds, strict=True):
            row = []
            for source in pair:
                key = os.fspath(source) if isinstance(source, (str, os.PathLike)) else id(source)
                if key not in numbers:
                    numbers[key] = len(unique)
                    unique.append(source)
                row.append(numbers[key])
            pairs.append(row)
        photos = list(self.stream_chosen(unique, color_order=color_order))
        judge = self.judge
        results = [decide_chosen(photos[i], photos[j], threshold, judge) for i, j in pairs]
        if many:
            return results
        if isinstance(results[0], LineamentError):
            raise results[0]
        return results[0]

    # --- inside -----------------------------------------------------------------------------------

    def _no_face(self, photo: Analysis) -> NoFaceError:
        return NoFaceError(
            f"{photo.source}: no face was found with the detector {self.detector_name}: try a "
            "photo in which the face is larger or better lit, a lower least score, or a "
            "smaller least face size"
        )


def decide_chosen(
    a: Chosen, b: Chosen, threshold: Threshold, judge: Judge | None = None
) -> Decision | LineamentError:
    """Compare the faces that two photos are of, or say why one of them has none.

    Args:
        a, b: from ``Recognizer.stream_chosen``.
        threshold: from ``Recognizer.threshold``.
        judge: ``Recognizer.judge``; None: no probability, and nothing is left undecided.
    """
    for photo in (a, b):
        if photo.error is not None:
            return photo.error
    assert a.embedding is not None
    assert b.embedding is not None
    assert a.index is not None
    assert b.index is not None
    decision = compare(
        a.embedding,
        b.embedding,
        threshold,
        sources=(a.analysis.source, b.analysis.source),
        faces=(a.analysis.faces[a.index], b.analysis.faces[b.index]),
        others=(len(a.analysis.faces) - 1, len(b.analysis.faces) - 1),
        qualities=(_quality(a), _quality(b)),
    )
    return decision if judge is None else judge.assess(decision)


def _quality(photo: Chosen) -> Quality | None:
    """Measured on the crop of "five-points" to ArcFace's template, as its limits were."""
    assert photo.embedding is not None
    assert photo.index is not None
    assert photo.crop is not None
    if not photo.embedding.contract.alignment.startswith("arcface-"):
        return None
    return measure(photo.analysis.faces[photo.index], photo.crop, photo.embedding.norm)


def _embedded(
    ready: list[_Prepared], embedder: Embedder | None
) -> Iterator[tuple[_Prepared, tuple[Embedding, ...]]]:
    """Stage 4 over the faces of several photos at once."""
    crops = [item.crops for item in ready if len(item.crops)]
    if embedder is None or not crops:
        yield from ((item, ()) for item in ready)
        return
    vectors, norms = embedder.embed(np.concatenate(crops))
    first = 0
    for item in ready:
        rows = slice(first, first + len(item.crops))
        yield item, wrap(vectors[rows], norms[rows], embedder.contract)
        first += len(item.crops)


def _raised(result: Analysis) -> Analysis:
    if result.error is not None:
        raise result.error
    return result
