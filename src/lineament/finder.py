"""Stages 1 and 2, wired: a source in, a ``Photo`` with its pixels and faces out.

    finder = FaceFinder()
    photo = finder.find("a.jpg")                    pixels, faces, and which one the photo is of
    finder.crops(photo)                             (N, 112, 112, 3): all faces, aligned
    finder.crops(photo, [0], alignment="frontal-152")
    finder.landmarks(photo)                         (N, 68, 2), or (N, 478, 2)
    for photo in finder.stream(paths): ...          many, in their order, in threads

Everything that starts from a photo starts here: ``Recognizer`` and ``Ensemble`` embed what a finder
found, commands and plots draw it. A photo is read and decoded once; whoever needs its pixels, crops
of another alignment or finer landmarks later takes them from the ``Photo``. No recognizer is loaded
for it, and no recognizer's license checked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count, islice
from threading import Condition
from typing import Any, Literal, TypeAlias, get_args, overload

import numpy as np

from lineament.align.alignment import Alignment, face_transforms
from lineament.align.landmarker import (
    DEFAULT_LANDMARKER,
    LANDMARKERS,
    Landmarker,
    load_landmarker,
)
from lineament.arguments import checked
from lineament.boxed import locate
from lineament.detect import (
    DEFAULT_DETECTOR,
    DetectOptions,
    Detector,
    check_detector,
    load_detector,
)
from lineament.detect.detector import detect
from lineament.errors import LineamentError, OptionError
from lineament.forks import rlock
from lineament.geometry import to_crop_xy, warp
from lineament.images import (
    DEFAULT_LIMITS,
    ImageLimits,
    ImageSource,
    Many,
    expand,
    is_many,
    open_image,
    source_name,
)
from lineament.images.decode import before_decoding
from lineament.machine import Budget, free_bytes, memory_error, processors
from lineament.models import LicensePolicy
from lineament.models.runtime import Runtime
from lineament.pyramid import Pyramid
from lineament.types import ColorOrder, Face, FloatArray, Image, Photo

Choose = Literal["largest", "central", "only"]
"""Which face a photo with several is of: the largest, the one nearest its center, or none: then it
has to have one face only, and ``Photo.problem`` is a SeveralFacesError otherwise."""

Source: TypeAlias = ImageSource | Photo
"""What ``load_image`` reads, or a ``Photo``: found before, or ``Photo.from_pixels``."""

FEW = 2
"""So few photos are worked off in the caller's thread: each thread sets up requests of its own."""

AHEAD = 8
"""Photos under way in a stream for each one that a thread works on, and as many more: as many as a
batch of the embedder has crops."""

MOST_KEPT_BYTES = 256 << 20
"""Of pixels that a stream with ``keep_pixels`` holds before they are taken, apart from those that
its threads work on."""

BYTES_PER_PIXEL = 12
"""What a photo takes while it is decoded and its faces are found: the decoder's picture, a copy the
right way round, and the detector's."""

LEAST_ROOM_BYTES = 256 << 20
"""For the photos that the threads of a stream work on together; more where a quarter of the free
memory is more. One photo is always worked on, whatever its size."""

DEFAULT_ALIGNMENT = "arcface-112"


class FaceFinder:
    """Reads photos and finds the faces in them. Networks are loaded when they are first needed.

    One object may be used from several threads.

    Attributes:
        detector_name: of one of ``lineament.detect.DETECTORS``, or of the object's class.
        options, turning, choose, limits, runtime, policy: as they were given, or the defaults.
    """

    @checked
    def __init__(
        self,
        detector: str | Detector = DEFAULT_DETECTOR,
        *,
        landmarker: str | Landmarker = DEFAULT_LANDMARKER,
        options: DetectOptions | None = None,
        turning: bool = True,
        choose: Choose = "largest",
        limits: ImageLimits = DEFAULT_LIMITS,
        runtime: Runtime | None = None,
        policy: LicensePolicy | None = None,
    ) -> None:
        """Choose the detector and its options.

        Args:
            detector: one of ``lineament.detect.DETECTORS``, or your own object with that method.
            landmarker: a registered one (``lineament.align.landmarker``), or your own object;
                frontal faces need the one of 68 points.
            options: least face size, least score, most faces.
            turning: find faces at any roll; False looks for upright ones only.
            choose: which face a photo with several is of.
            limits: largest photo that is read.
            runtime: engine, device and threads; None asks the environment.
            policy: which licenses may be used; None asks the environment.

        Raises:
            OptionError: no such detector, landmarker or choice.
            LicenseError: the policy refuses the detector's weights.
        """
        if choose not in get_args(Choose):
            raise OptionError(
                f'expected "largest", "central" or "only", got {choose!r}', option="choose"
            )
        self.policy = LicensePolicy.active() if policy is None else policy
        if isinstance(detector, str):
            check_detector(detector, self.policy)
        self.detector_name = detector if isinstance(detector, str) else type(detector).__name__
        self.options = DetectOptions() if options is None else options
        self.turning = turning
        self.choose: Choose = choose
        self.limits = limits
        self.runtime = Runtime.from_environment() if runtime is None else runtime
        self._detector: Detector | None = None if isinstance(detector, str) else detector
        if isinstance(landmarker, str) and landmarker != DEFAULT_LANDMARKER:
            LANDMARKERS.get(landmarker)
        self.landmarker_name = (
            landmarker if isinstance(landmarker, str) else type(landmarker).__name__
        )
        self._landmarker: Landmarker | None = None if isinstance(landmarker, str) else landmarker
        self._lock = rlock()

    def __repr__(self) -> str:
        """In short."""
        return f"FaceFinder({self.detector_name!r}, choose={self.choose!r})"

    @property
    def detector(self) -> Detector:
        """Stage 2, loaded."""
        with self._lock:
            if self._detector is None:
                self._detector = load_detector(
                    self.detector_name,
                    turning=self.turning,
                    runtime=self.runtime,
                    policy=self.policy,
                )
            return self._detector

    @property
    def landmarker(self) -> Landmarker:
        """What finds many points of a face, loaded."""
        with self._lock:
            if self._landmarker is None:
                self._landmarker = load_landmarker(
                    self.landmarker_name, runtime=self.runtime, policy=self.policy
                )
            return self._landmarker

    @property
    def workers(self) -> int:
        """Threads of a stream: as the runtime says, or the processors that may be used."""
        return self.runtime.threads or processors()

    @property
    def ahead(self) -> int:
        """Photos of a stream that may be under way."""
        return 2 * (AHEAD + self.workers)

    def is_enough(self, photos: Sequence[Photo]) -> bool:
        """Whether so many photos of a stream, or so many pixels, should be held back no longer."""
        kept = sum(_bytes_of(photo) for photo in photos)
        return len(photos) >= self.ahead or kept >= MOST_KEPT_BYTES

    # --- source -> Photo --------------------------------------------------------------------------

    @overload
    def find(
        self,
        source: Many,
        *,
        keep_pixels: bool | None = None,
        digest: bool = False,
        color_order: ColorOrder | None = None,
    ) -> list[Photo]: ...
    @overload
    def find(
        self,
        source: Source,
        *,
        keep_pixels: bool | None = None,
        digest: bool = False,
        color_order: ColorOrder | None = None,
        box: Sequence[float] | None = None,
    ) -> Photo: ...
    @checked
    def find(
        self,
        source: Any,
        *,
        keep_pixels: bool | None = None,
        digest: bool = False,
        color_order: ColorOrder | None = None,
        box: Sequence[float] | None = None,
    ) -> Photo | list[Photo]:
        """Find the faces of one photo, or of each of many.

        A photo without faces has ``faces == ()``; that is no error. Of one source an error is
        raised; among many it stands in the ``Photo`` of the source that it belongs to.

        Args:
            source: what ``load_image`` reads, or a ``Photo``; or many: a list, a folder, a glob
                pattern, a generator, a batch (``images.many`` has the rule).
            keep_pixels: None keeps them for one photo, and not for many: a thousand photos of 12
                megapixels are 36 GB.
            digest: have ``Photo.sha256`` too.
            color_order: of NumPy arrays.
            box: of one source: left, top, right, bottom in pixels, as the photo is shown: where
                somebody says that there is a face. The photo then has that face alone:
                ``Face.boxed`` says how it was found.

        Raises:
            ImageError: the photo could not be read.
            OptionError: many sources with a box, or a box that is none, reaches out of the photo,
                or is too small.
        """
        if is_many(source):
            if box is not None:
                raise OptionError("expected one photo with it, got many", option="box")
            return list(
                self.stream(
                    source, keep_pixels=bool(keep_pixels), digest=digest, color_order=color_order
                )
            )
        keep_pixels = keep_pixels is None or keep_pixels
        photo = self._look(
            source, None, keep_pixels=keep_pixels, digest=digest, color_order=color_order, box=box
        )
        if photo.error is not None:
            raise photo.error
        return photo

    @checked
    def boxed(
        self, source: Source, box: Sequence[float], *, color_order: ColorOrder | None = None
    ) -> Photo:
        """``find`` with a box: a photo with its pixels, its ``sha256`` and the one face there.

        Whatever takes a source takes it, and then looks for no other face.
        """
        return self.find(source, digest=True, color_order=color_order, box=box)

    @checked
    def stream(
        self,
        sources: Source | Iterable[Source],
        *,
        then: Callable[[Photo], Photo] | None = None,
        keep_pixels: bool = False,
        digest: bool = False,
        color_order: ColorOrder | None = None,
    ) -> Generator[Photo, None, None]:
        """Find the faces of photos as they come; results in the order of the sources.

        Reading and detection run in ``workers`` threads. A bounded number of photos is under way at
        any time, and of pixels that are kept at most ``MOST_KEPT_BYTES`` beside those that threads
        work on, so endless iterators and folders of millions are fine. An error stands in the
        ``Photo`` of the source that it belongs to.

        Args:
            sources: what ``load_image`` reads, and ``Photo``s; a folder, pattern or batch stands
                for its photos.
            then: called with each photo that could be read, in the thread that found its faces and
                while its pixels can be had (``Photo.needed_pixels``; large JPEGs are decoded in
                full only then); what it returns takes the photo's place.
            keep_pixels: leave the pixels in the photos that are yielded.
            digest: have ``Photo.sha256`` too.
            color_order: of NumPy arrays among the sources.
        """
        each: Iterable[Any] = expand(sources)
        _ = self.detector
        look = partial(
            self._look, then=then, keep_pixels=keep_pixels, digest=digest, color_order=color_order
        )
        if isinstance(each, (list, tuple)) and len(each) <= FEW:
            yield from map(look, each)
            return
        iterator, numbers = iter(each), count()
        kept = _Kept()

        room = Budget(max(LEAST_ROOM_BYTES, free_bytes() // 4))

        def work(number: int, source: Source) -> Photo:
            kept.wait(number)
            with _room_for_pixels(room):
                photo = look(source)
            kept.add(photo)
            return photo

        with ThreadPoolExecutor(self.workers, thread_name_prefix="lineament") as pool:
            pending: deque[Future[Photo]] = deque()
            try:
                while True:
                    for source in islice(iterator, self.ahead - len(pending)):
                        pending.append(pool.submit(work, next(numbers), source))
                    if not pending:
                        return
                    photo = pending.popleft().result()
                    kept.remove(photo)
                    yield photo
            finally:
                for future in pending:
                    future.cancel()
                kept.close()

    def _look(
        self,
        source: Source,
        then: Callable[[Photo], Photo] | None,
        *,
        keep_pixels: bool,
        digest: bool,
        color_order: ColorOrder | None,
        box: Sequence[float] | None = None,
    ) -> Photo:
        """One photo; its error, if any, goes into the result."""
        photo = source if isinstance(source, Photo) else Photo(name_of(source), None)
        try:
            if not isinstance(source, Photo):
                pyramid, sha256 = open_image(
                    source, color_order=color_order, limits=self.limits, digest=digest
                )
                photo = replace(photo, size_wh=pyramid.size_wh, pyramid=pyramid, sha256=sha256)
            if photo.error is None and box is not None:
                photo = self._boxed(photo, box)
            elif photo.error is None and photo.detector is None:
                photo = self._detected(photo)
            if photo.error is None and then is not None:
                photo = then(photo)
            if keep_pixels and photo.pixels is None and photo.pyramid is not None:
                photo = replace(photo, pixels=photo.pyramid.pixels)
        except Exception as caught:
            error = (
                caught
                if isinstance(caught, LineamentError)
                else memory_error(caught, f"to analyze {photo.source}")
            )
            if error is None:
                raise
            photo = Photo(photo.source, None, time_s=photo.time_s, frame=photo.frame, error=error)
        is_bare = photo.pixels is None and photo.pyramid is None
        return photo if keep_pixels or is_bare else replace(photo, pixels=None, pyramid=None)

    def _detected(self, photo: Photo) -> Photo:
        pyramid = _levels_of(photo)
        faces = tuple(detect(self.detector, pyramid, self.options))
        found = replace(
            photo,
            faces=faces,
            detector=self.detector_name,
            pyramid=pyramid,
            pixels=pyramid.pixels_there,
        )
        if self.choose == "only" and len(faces) > 1:
            return found
        index = found.most_central() if self.choose == "central" else found.largest()
        return found if index is None else replace(found, index=index)

    def _boxed(self, photo: Photo, box: Sequence[float]) -> Photo:
        pyramid = _levels_of(photo)
        face = locate(pyramid, self.detector, self.options, box)
        return replace(
            photo,
            faces=(face,),
            index=0,
            selected=(),
            embeddings=(),
            crops=None,
            checks=(),
            detector=self.detector_name,
            pyramid=pyramid,
            pixels=pyramid.pixels_there,
        )

    # --- Photo -> crops, landmarks ----------------------------------------------------------------

    @checked
    def crops(
        self,
        photo: Photo,
        faces: Sequence[int] | None = None,
        *,
        alignment: Alignment | str = DEFAULT_ALIGNMENT,
        cut_out: bool = False,
    ) -> Image:
        """Cut faces out, aligned.

        Args:
            photo: with its pixels.
            faces: numbers of the faces in ``photo.faces``; None: all.
            alignment: the value, or its name as contracts have it: "arcface-112", "dlib-150",
                "eyes-160", "crop-224", or "frontal-152": turned to the front by 68 points.
            cut_out: paint everything outside of the face's hull (68 points, or a mesh) black.

        Returns:
            (N, S, S, 3) uint8, in the order of ``faces``.

        Raises:
            OptionError: no such alignment, a photo without pixels, a face without the landmarks
                that the alignment needs, or both "frontal" and ``cut_out``.
            LicenseError: the policy refuses the landmarker's model, where it is needed.
        """
        wanted = Alignment.parse(alignment) if isinstance(alignment, str) else alignment
        frontal = wanted.method == "frontal"
        if frontal and cut_out:
            raise OptionError("expected without a frontal alignment, got both", option="cut_out")
        width, height = wanted.size_wh
        if frontal and width != height:
            raise OptionError(f"expected a square, got {alignment}", option="alignment")
        chosen = faces_of(photo, faces)
        if not chosen:
            return np.zeros((0, height, width, 3), np.uint8)
        if not frontal:
            crops = warp(_levels_of(photo), face_transforms(chosen, wanted), wanted.size_wh)
            if not cut_out:
                return crops
        pixels, points = pixels_of(photo), self.landmarks(photo, faces)
        if frontal:
            from lineament.align.frontal import frontalize

            return np.stack([frontalize(pixels, each, size_px=width) for each in points])
        from lineament.align.landmarks68 import cut_out as cut

        transforms = face_transforms(chosen, wanted)
        rows = zip(crops, to_crop_xy(points, transforms), strict=True)
        return np.stack([cut(crop, each) for crop, each in rows])

    @checked
    def landmarks(self, photo: Photo, faces: Sequence[int] | None = None) -> FloatArray:
        """Find the landmarker's points in faces: (N, P, 2) float32, pixels of the photo.

        P is 68, or 478 with ``FaceFinder(landmarker="mesh")``.

        Args:
            photo: with its pixels.
            faces: numbers of the faces in ``photo.faces``; None: all.

        Raises:
            OptionError: a photo without pixels, or landmarks that coincide.
            LicenseError: the policy refuses the landmarker's model.
        """
        return self.landmarker.locate(pixels_of(photo), faces_of(photo, faces))

    @checked
    def described_landmarks(
        self, photo: Photo, faces: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        """Find the same, ready for JSON: for each face a dict.

        ``points_xy`` has the points. Those of a mesh have their depth (``points_z``), ``presence``
        and the head's ``pose``, too: see ``lineament.align.mesh``.

        Arguments and errors as ``landmarks``.
        """
        from lineament.align.mesh import MeshLandmarker

        if isinstance(self.landmarker, MeshLandmarker):
            return self.landmarker.read(pixels_of(photo), faces_of(photo, faces)).to_dicts()
        points = np.round(self.landmarks(photo, faces).astype(np.float64), 2)
        return [{"points_xy": each} for each in points.tolist()]


def name_of(source: Source) -> str:
    """Return what results call a source: of a file its true name (``images.source_name``)."""
    return source.source if isinstance(source, Photo) else source_name(source)


def faces_of(photo: Photo, numbers: Sequence[int] | None) -> tuple[Face, ...]:
    """Return the faces of those numbers; None: all of them. OptionError: there is no such face."""
    if numbers is None:
        return photo.faces
    wrong = [
        i for i in numbers if not (isinstance(i, (int, np.integer)) and 0 <= i < len(photo.faces))
    ]
    if wrong:
        raise OptionError(
            f"expected numbers from 0 to {len(photo.faces) - 1} of the faces of "
            f"{photo.source}, got {wrong[0]!r}",
            option="faces",
        )
    return tuple(photo.faces[i] for i in numbers)


def pixels_of(photo: Photo) -> Image:
    """Return the photo's pixels: ``Photo.needed_pixels``."""
    return photo.needed_pixels()


def _levels_of(photo: Photo) -> Pyramid:
    """The photo's levels; those of its pixels where it has no others. Raises as ``pixels_of``."""
    if photo.error is None and photo.pyramid is not None:
        return photo.pyramid
    return Pyramid.of(photo.needed_pixels())


def _bytes_of(photo: Photo) -> int:
    """Of the pixels that a photo holds."""
    if photo.pyramid is not None:
        return photo.pyramid.nbytes
    return 0 if photo.pixels is None else photo.pixels.nbytes


@contextmanager
def _room_for_pixels(room: Budget) -> Iterator[None]:
    """Have this thread wait, before it decodes a photo, until others leave room for it."""
    taken = 0

    def take(pixels: int, decoding: int) -> None:
        nonlocal taken
        if not taken:
            taken = max(pixels * BYTES_PER_PIXEL, decoding)
            room.take(taken)

    before = before_decoding.set(take)
    try:
        yield
    finally:
        before_decoding.reset(before)
        room.give(taken)


class _Kept:
    """Lets threads begin a photo only while the pixels that wait to be taken are few enough.

    The next photo to be taken may always begin, so that nothing waits for ever.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._bytes, self._next, self._closed = 0, 0, False

    def wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._bytes < MOST_KEPT_BYTES or number <= self._next or self._closed
            )

    def add(self, photo: Photo) -> None:
        n_bytes = _bytes_of(photo)
        if n_bytes:
            with self._changed:
                self._bytes += n_bytes

    def remove(self, photo: Photo) -> None:
        with self._changed:
            self._bytes -= _bytes_of(photo)
            self._next += 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
