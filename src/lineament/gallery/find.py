"""The photos of a folder that show the person of a photo, the most alike first.

    photo  --Recognizer.stream_chosen--> its face
    folder --find_images, Recognizer.stream--> all faces --compare--> FindResult

Nobody has a name here: every face of the folder is compared with the one of the photo. The
threshold follows the number of faces, as in a gallery in which each were a person: so many
comparisons would find somebody by chance. The probability takes it that the folder shows the person
with probability one half, and then in one of its faces.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lineament.arguments import checked
from lineament.datasets.face_cache import FaceCache, KeptFace
from lineament.datasets.source import way_of
from lineament.decide.calibration import DEFAULT_FPIR
from lineament.decide.judge import CALIBRATED_METRIC, Judge, sides
from lineament.decide.metrics import SIAMESE
from lineament.decide.siamese import SiameseHead, require_head
from lineament.decide.thresholds import own_threshold
from lineament.detect import DETECTORS
from lineament.errors import ImageError, LineamentError, OptionError
from lineament.finder import Source
from lineament.gallery._thresholds import learned_search_threshold, search_threshold
from lineament.gallery._types import Settings
from lineament.images import find_images
from lineament.pipeline import Recognizer, default_recognizer
from lineament.quality import quality_of
from lineament.recognizability import bundled_sha256
from lineament.results import Outcome, no_truth
from lineament.text import counted
from lineament.types import Decision, Embedding, Photo, Progress, Threshold

SAVE_EVERY = 2000
"""So many photos are embedded at most before they are kept."""


@dataclass(frozen=True, eq=False, slots=True)
class FoundPhoto(Outcome):
    """One photo of the folder, by the face in it that is most alike.

    Attributes:
        rank: 1 for the most alike.
        source: path of the photo.
        face: number of that face in the photo, from 0, the detector's most certain first.
        n_faces: how many faces the photo has.
        decision: about that face (side b) and the one that was looked for (side a).
    """

    rank: int
    source: str
    face: int
    n_faces: int
    decision: Decision

    def __bool__(self) -> bool:
        """TruthValueError: a photo of somebody else is an answer, too."""
        return no_truth(self, "found.decision.verdict")

    @property
    def similarity(self) -> float:
        """Cosine of the two faces, -1 to 1."""
        return self.decision.similarity

    @property
    def probability(self) -> float | None:
        """That it shows the person, 0 to 1; None without a calibration."""
        return self.decision.probability

    @property
    def verdict(self) -> str:
        """ "same", "different" or "undecided"."""
        return self.decision.verdict

    def __repr__(self) -> str:
        """In short."""
        return (
            f"FoundPhoto({self.rank}, {self.source!r}, similarity {self.similarity:.3f}, "
            f"{self.verdict})"
        )

    def _own_score(self) -> dict[str, float]:
        """The score, where it is not the similarity."""
        if self.decision.metric == CALIBRATED_METRIC:
            return {}
        return {"score": round(self.decision.score, 6)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        face = self.decision.face_b
        return {
            "rank": self.rank,
            "source": self.source,
            "face": self.face,
            "n_faces": self.n_faces,
            "box_xyxy": None if face is None else face.to_dict()["box_xyxy"],
            "similarity": round(self.similarity, 6),
            **self._own_score(),
            "probability": self.probability,
            "verdict": self.verdict,
            "reasons": list(self.decision.reasons),
        }


@dataclass(frozen=True, eq=False, slots=True)
class FindResult(Outcome):
    """What was found in a folder.

    Attributes:
        source: name of the photo that was looked for.
        photos: the photos of the folder with a face, the most alike first; at most ``top``.
        threshold: from which similarity on a photo shows the same person.
        n_photos: how many photos were looked at.
        n_faces: how many faces they have.
        n_same: how many photos show the person by ``verdict``, shown or not.
        failed: source and error of each photo that could not be read: nothing is known of these.
        left_out: paths that are the very photo that was looked for.
        n_cached: of how many photos the faces were kept from an earlier time.
    """

    source: str
    photos: tuple[FoundPhoto, ...]
    threshold: Threshold
    n_photos: int
    n_faces: int
    n_same: int
    failed: tuple[tuple[str, LineamentError], ...] = ()
    left_out: tuple[str, ...] = ()
    n_cached: int = 0

    def __len__(self) -> int:
        """How many photos are listed."""
        return len(self.photos)

    def __iter__(self) -> Iterator[FoundPhoto]:
        """The photos, the most alike first."""
        return iter(self.photos)

    def __getitem__(self, number: int) -> FoundPhoto:
        """The photo of that place, from 0."""
        return self.photos[number]

    def __bool__(self) -> bool:
        """TruthValueError: that it is in none of them is an answer, too."""
        return no_truth(self, "found.same (the photos of this person), or found.photos")

    @property
    def same(self) -> tuple[FoundPhoto, ...]:
        """Those listed whose verdict is "same"."""
        return tuple(one for one in self.photos if one.verdict == "same")

    def __repr__(self) -> str:
        """In short."""
        return f"FindResult({self.source!r}: {self.in_words})"

    @property
    def in_words(self) -> str:
        """How many show the person, and how much was looked at."""
        photos, faces = counted(self.n_photos, "photo"), counted(self.n_faces, "face")
        text = f"{self.n_same:,} of {photos} with {faces} show the same person"
        if self.failed:
            text += f"; {len(self.failed):,} could not be read"
        return text

    def to_rows(self) -> list[dict[str, Any]]:
        """One row a photo."""
        rows = [one.to_dict() for one in self.photos]
        for row in rows:
            box = row.pop("box_xyxy")
            row |= dict(zip(("left", "top", "right", "bottom"), box or [None] * 4, strict=True))
            row["reasons"] = "; ".join(row["reasons"])
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "source": self.source,
            "n_photos": self.n_photos,
            "n_faces": self.n_faces,
            "n_same": self.n_same,
            "n_cached": self.n_cached,
            "threshold": self.threshold.to_dict(),
            "photos": [one.to_dict() for one in self.photos],
            "failed": [{"source": source, "error": str(error)} for source, error in self.failed],
            "left_out": list(self.left_out),
        }


@checked
def find(
    photo: Source,
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    recognizer: Recognizer | None = None,
    top: int | None = None,
    fpir: float = DEFAULT_FPIR,
    threshold: float | None = None,
    metric: str = "cosine",
    cache: bool = True,
    progress: Progress | None = None,
) -> FindResult:
    """Find the photos of a folder that show the person of a photo.

    Args:
        photo: whose face is looked for; of several the one that the photo is of.
        folder: a folder with all below it, a photo, a pattern, or a list of these.
        recognizer: None takes the default one, kept for the next call.
        top: so many photos are returned, the most alike; None: all that have a face.
        fpir: wanted: the share of searches for people who are in none of the photos that find
            somebody, 0 to 1.
        threshold: from which on it is the same person, instead of one for ``fpir``: a cosine, or
            what ``metric`` gives.
        metric: "siamese" compares by the model's learned similarity, where it has one; else
            "cosine".
        cache: keep the faces in the cache folder, and use those that are there: the second time
            takes seconds. ``lineament cache clear`` removes them.
        progress: called with the photos done and all.

    Raises:
        ImageError: the photo cannot be read, there is no such folder, no photo in it, or none of
            them can be read.
        NoFaceError: the photo has no face.
        OptionError: a value out of range, or no data to set a threshold by.

    Examples:
        >>> for one in lineament.find("obama.jpg", "holidays/").same:
        ...     print(one.source, one.similarity)
    """
    if top is not None and top < 1:
        raise OptionError(f"expected 1 or more, got {top}", option="top")
    if metric not in (CALIBRATED_METRIC, SIAMESE):
        raise OptionError(
            f"expected {CALIBRATED_METRIC} or {SIAMESE}, got {metric!r}", option="metric"
        )
    if threshold is not None and metric == CALIBRATED_METRIC and not -1 <= threshold <= 1:
        raise OptionError(f"expected a cosine of -1 to 1, got {threshold}", option="threshold")
    recognizer = default_recognizer() if recognizer is None else recognizer
    head = None
    if metric == SIAMESE:
        head = require_head(recognizer.embedder.contract, recognizer.weights)
    paths = find_images([folder] if isinstance(folder, (str, os.PathLike)) else folder)
    (query,) = recognizer.stream_chosen([photo])
    query.require()
    assert query.embedding is not None
    itself = [path for path in paths if _is_same_file(photo, path)]
    left = set(itself)
    paths = [path for path in paths if path not in left]
    faces, failed, n_cached = _faces_of(recognizer, paths, cache=cache, progress=progress)
    if paths and len(failed) == len(paths):
        raise ImageError(
            f"none of the {len(paths):,} photos can be read; the first: {min(failed.items())[1]}"
        )
    n_faces = sum(map(len, faces.values()))
    limit = _threshold(recognizer, query.embedding, n_faces, fpir, threshold, head)
    judge = recognizer.judge
    ranked = sorted(
        ((*_best(query.embedding, found, head), path) for path, found in faces.items() if found),
        key=lambda one: -one[0],
    )
    listed = []
    n_same = 0
    for rank, (score, at, path) in enumerate(ranked, 1):
        if top is not None and rank > top and score < limit.value:
            break
        decision = _decided(judge, query, path, faces[path], at, limit, n_faces)
        n_same += decision.verdict == "same"
        if top is None or rank <= top:
            listed.append(FoundPhoto(rank, os.fspath(path), at, len(faces[path]), decision))
    return FindResult(
        source=query.source,
        photos=tuple(listed),
        threshold=limit,
        n_photos=len(paths) - len(failed),
        n_faces=n_faces,
        n_same=n_same,
        failed=tuple((os.fspath(path), error) for path, error in failed.items()),
        left_out=tuple(map(os.fspath, itself)),
        n_cached=n_cached,
    )


def _is_same_file(photo: Source, path: Path) -> bool:
    if isinstance(photo, Photo):
        photo = photo.source
    try:
        return isinstance(photo, (str, os.PathLike)) and path.samefile(photo)
    except (OSError, ValueError):
        return False


def _faces_of(
    recognizer: Recognizer, paths: Sequence[Path], *, cache: bool, progress: Progress | None
) -> tuple[dict[Path, tuple[KeptFace, ...]], dict[Path, LineamentError], int]:
    """All faces of photos; what could not be read; how many were kept from an earlier time."""
    dimension = recognizer.embedder.contract.dimension
    kept = None
    if cache and recognizer.finder.detector_name in DETECTORS:
        kept = FaceCache(_way(recognizer), dimension)
    found: dict[Path, tuple[KeptFace, ...]] = {}
    failed: dict[Path, LineamentError] = {}
    if kept is not None:
        found = {path: faces for path in paths if (faces := kept.get(path)) is not None}
    missing = [path for path in paths if path not in found]
    n_cached = len(found)
    try:
        photos = recognizer.stream(iter(missing), keep_crops=True)
        for done, (path, one) in enumerate(zip(missing, photos, strict=True), 1):
            if one.error is not None:
                failed[path] = one.error
            else:
                found[path] = tuple(_kept(one))
                if kept is not None:
                    kept.put(path, found[path])
                    if done % SAVE_EVERY == 0:
                        _save(kept)
            if progress is not None:
                progress(n_cached + done, len(paths))
    finally:  # after Ctrl-C, too
        if kept is not None:
            _save(kept)
    return {path: found[path] for path in paths if path in found}, failed, n_cached


def _save(kept: FaceCache) -> None:
    try:
        kept.save()
    except OptionError:  # no result depends on it
        return


def _way(recognizer: Recognizer) -> Mapping[str, Any]:
    """All that the faces and their quality depend on; whom a photo is of plays no part."""
    way = {key: value for key, value in way_of(recognizer).items() if key != "choose"}
    return way | {"recognizability": bundled_sha256(recognizer.embedder.contract)}


def _kept(photo: Photo) -> Iterator[KeptFace]:
    if photo.crops is None:
        return
    for face, crop, embedding in zip(photo.faces, photo.crops, photo.embeddings, strict=True):
        quality = quality_of(face, crop, embedding, photo.size_wh)
        yield KeptFace(face, embedding.vector, embedding.norm, quality)


def _best(
    wanted: Embedding, faces: Sequence[KeptFace], head: SiameseHead | None
) -> tuple[float, int]:
    """Score and number of the face that is most alike."""
    vectors = np.stack([face.vector for face in faces])
    if head is None:
        scores = vectors @ wanted.vector
    elif head.unit:
        scores = head.matrix(wanted.vector[None], vectors)[0]
    else:
        norms = np.array([face.norm for face in faces], np.float32)
        one = wanted.vector[None] * np.float32(wanted.norm)
        scores = head.matrix(one, vectors * norms[:, None])[0]
    at = int(np.argmax(scores))
    return float(scores[at]), at


def _threshold(
    recognizer: Recognizer,
    wanted: Embedding,
    n_faces: int,
    fpir: float,
    value: float | None,
    head: SiameseHead | None,
) -> Threshold:
    if value is not None:
        return own_threshold(value, CALIBRATED_METRIC if head is None else SIAMESE)
    if head is None:
        found = search_threshold(
            recognizer.calibration,
            wanted.contract,
            Settings(),
            n_people=max(1, n_faces),
            references=1.0,
            fpir=fpir,
        )
    else:
        found = learned_search_threshold(head, recognizer.calibration, max(1, n_faces), fpir)
    words = found.data.replace(" people,", " faces,").replace(" person,", " face,")
    return replace(found, data=words)


def _decided(
    judge: Judge,
    query: Photo,
    path: Path,
    faces: Sequence[KeptFace],
    at: int,
    limit: Threshold,
    n_faces: int,
) -> Decision:
    """The verdict about one photo, at the prior of one face among so many."""
    assert query.embedding is not None
    one = faces[at]
    about = sides(query, Photo(os.fspath(path), None))
    about["faces"] = (query.face, one.face)
    about["others"] = (len(query.faces) - 1, len(faces) - 1)
    about["qualities"] = (about["qualities"][0], one.quality)
    theirs = Embedding(one.vector, one.norm, query.embedding.contract)
    decision = judge.held_against(query.embedding, theirs, limit, **about)
    judge = replace(judge, prior=0.5 / max(1, n_faces))
    return judge.assess(decision, crops=(query.crop, None))
