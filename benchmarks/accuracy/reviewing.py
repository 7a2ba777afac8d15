"""What a closer look at photos before they are enrolled is worth, on LFW's View 1.

    python benchmarks/accuracy/reviewing.py DIR [--people 150] [--draws 3] [--also DIR] [--json]

``steps``: of everybody one photo is enrolled, made worse by a step, and the person's other photos
and strangers are searched for as they are, at the threshold that a gallery of that size takes by
itself. ``missed``: searches for the person that do not name them; ``false``: strangers who get a
name; beside them the median of the measure that the step changes. The limits of a strict review
(``lineament.gallery.review.STRICT``) stand where about twice as many are missed as with photos
as they are; that of the turn comes from ``turned.py``.

``reviews``: everybody has up to three photos to be enrolled by, each of them made worse by a random
step with probability one half. Enrolled is the first that passes the review. ``found``: searches
that name the right person, of all people and of those who were enrolled; ``false``: strangers who
get a name; ``nobody``: people of whom no photo passes.

``refused``: photos as they are that each review refuses, for the face alone: of View 1, and of
folders with one folder per person (``--also``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from quality import NOISE, blur, jpeg, levels, motion

from lineament import Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.datasets.people_folder import read_people
from lineament.evaluate.protocols.lfw import images_of
from lineament.gallery.review import Review, rules_of
from lineament.quality import measure, quality_of
from lineament.recognizability import recognizability_of
from lineament.types import Embedding, Face, Image, Photo, Quality

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track

REVIEWS: tuple[Review, ...] = ("off", "standard", "strict")
FPIR = 0.01
CANDIDATES = 3
TEMPLATE_EYES_PX = 35.24
"""Distance of the eyes in ArcFace's template."""

Change = Callable[[Image, np.random.Generator], Image]
Rows = npt.NDArray[np.int64]


def small(eyes_px: float) -> Change:
    """As few pixels as a face has whose eyes are so far apart."""

    def apply(crop: Image, _: np.random.Generator) -> Image:
        side = max(4, round(crop.shape[0] * eyes_px / TEMPLATE_EYES_PX))
        less = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(less, crop.shape[1::-1])  # type: ignore[return-value]

    return apply


STEPS: dict[str, tuple[str, Change]] = {
    "as they are": ("recognizability", lambda crop, _: crop),
    **{f"small {px}": ("size_px", small(px)) for px in (20, 16, 14, 12, 10, 8)},
    **{f"blur {s}": ("sharpness", blur(s)) for s in (1, 1.25, 1.5, 1.75, 2, 2.5)},
    **{f"motion {n}": ("sharpness", motion(n)) for n in (5, 7, 9)},
    **{f"dark x{g}": ("brightness", levels(g, NOISE)) for g in (0.5, 0.35, 0.25, 0.18, 0.12)},
    **{f"light x{g}": ("brightness", levels(g)) for g in (1.3, 1.6, 1.9, 2.2)},
    **{f"flat x{g}": ("contrast", levels(g, about=128)) for g in (0.5, 0.3, 0.2, 0.1)},
    **{f"noise {n}": ("recognizability", levels(1, n)) for n in (10, 15, 20, 30)},
    **{f"JPEG {q}": ("recognizability", jpeg(q)) for q in (20, 10, 7)},
}


@dataclass(frozen=True, eq=False)
class Seen:
    """Photos in which a face was found: ``vectors`` (N, D), ``person`` (N,)."""

    photos: list[Photo]
    person: Rows

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """Of length 1."""
        return np.stack([_embedding(photo).vector for photo in self.photos])

    def worse(
        self, recognizer: Recognizer, rows: Rows, names: Sequence[str], seed: int
    ) -> tuple[npt.NDArray[np.float32], list[Quality], Image]:
        """Vectors, qualities and crops of these photos after a step each."""
        random = np.random.default_rng(seed)
        crops = np.stack(
            [
                STEPS[name][1](_crop(self.photos[row]), random)
                for row, name in zip(rows, names, strict=True)
            ]
        ).astype(np.uint8)
        vectors, norms = recognizer.embedder.embed(crops)
        qualities = []
        for k, (row, name) in enumerate(zip(rows, names, strict=True)):
            made = Embedding(vectors[k], float(norms[k]), recognizer.embedder.contract)
            photo, crop = self.photos[row], crops[k]
            quality = measure(
                _face(photo), crop, made.norm, photo.size_wh,
                recognizability=recognizability_of(made, crop),
            )  # fmt: skip
            if name.startswith("small"):
                quality = replace(quality, size_px=min(quality.size_px, float(name.split()[1])))
            qualities.append(quality)
        return vectors, qualities, crops


def _face(photo: Photo) -> Face:
    assert photo.face is not None
    return photo.face


def _crop(photo: Photo) -> Image:
    assert photo.crop is not None
    return photo.crop


def _embedding(photo: Photo) -> Embedding:
    assert photo.embedding is not None
    return photo.embedding


def look(recognizer: Recognizer, paths: Sequence[Path], person: Sequence[int], title: str) -> Seen:
    """Embed the faces that the photos are of; photos without one are left out."""
    stream = track(recognizer.stream_chosen(paths), title, len(paths))
    found = [(p, who) for p, who in zip(stream, person, strict=True) if p.embedding is not None]
    return Seen([p for p, _ in found], np.array([who for _, who in found]))


def searched(
    scores: npt.NDArray[np.float32], probes: Rows, enrolled: Rows, threshold: float
) -> npt.NDArray[np.bool_]:
    """(Q,) whether a search names the right person; ``scores`` (Q, P)."""
    if not scores.shape[1]:
        return np.zeros(len(probes), np.bool_)
    best = scores.argmax(axis=1)
    right = enrolled[best] == probes
    return np.asarray(right & (scores[np.arange(len(probes)), best] >= threshold))


def steps(
    seen: Seen, first: Rows, probes: Rows, strangers: Rows, recognizer: Recognizer, limit: float
) -> list[dict[str, Any]]:
    """Everybody enrolled by one photo, made worse."""
    result = []
    all_ = seen.vectors
    for name, (measured, _) in STEPS.items():
        vectors, qualities, _ = seen.worse(recognizer, first, [name] * len(first), 0)
        right = searched(all_[probes] @ vectors.T, seen.person[probes], seen.person[first], limit)
        values = [getattr(quality, measured) for quality in qualities]
        result.append(
            {
                "step": name,
                "measure": measured,
                "median": float(np.median(values)),
                "missed": float(1 - right.mean()),
                "false": float(((all_[strangers] @ vectors.T).max(axis=1) >= limit).mean()),
            }
        )
    return result


def reviews(
    seen: Seen, people: Rows, strangers: Rows, recognizer: Recognizer, limit: float, draws: int
) -> list[dict[str, Any]]:
    """The first photo of each person that passes, of several that may be bad."""
    all_ = seen.vectors
    rows: dict[str, list[dict[str, float]]] = {review: [] for review in REVIEWS}
    for draw in range(draws):
        random = np.random.default_rng(draw)
        candidates, probes = [], []
        for who in people:
            own = random.permutation(np.flatnonzero(seen.person == who))
            probes.append(own[0])
            candidates += own[1 : 1 + CANDIDATES].tolist()
        names = [
            str(random.choice(list(STEPS))) if random.random() < 0.5 else "as they are"
            for _ in candidates
        ]
        chosen = np.array(candidates)
        vectors, qualities, crops = seen.worse(recognizer, chosen, names, draw)
        for review in REVIEWS:
            rules = rules_of("standard", review)
            passed = [
                not rules.problems(recognizer, quality, crop)
                for quality, crop in zip(qualities, crops, strict=True)
            ]
            kept = np.flatnonzero(passed)
            _, first = np.unique(seen.person[chosen[kept]], return_index=True)
            there = kept[first]
            who = seen.person[chosen[there]]
            wanted = seen.person[np.array(probes)]
            right = searched(all_[np.array(probes)] @ vectors[there].T, wanted, who, limit)
            rows[review].append(
                {
                    "found": float(right.mean()),
                    "found_of_enrolled": float(right[np.isin(wanted, who)].mean()),
                    "false": float(
                        ((all_[strangers] @ vectors[there].T).max(axis=1) >= limit).mean()
                    ),
                    "nobody": float(1 - len(who) / len(people)),
                    "refused": float(1 - np.mean(passed)),
                }
            )
    return [
        {"review": review, **{key: float(np.mean([r[key] for r in each])) for key in each[0]}}
        for review, each in rows.items()
    ]


def refused(seen: Seen, recognizer: Recognizer) -> dict[str, Any]:
    """Shares of photos as they are that are refused, and by which code."""
    result: dict[str, Any] = {"photos": len(seen.photos)}
    for review in ("standard", "strict"):
        rules = rules_of("standard", review)
        codes: list[tuple[str, ...]] = []
        for photo in seen.photos:
            quality = quality_of(_face(photo), photo.crop, _embedding(photo), photo.size_wh)
            codes.append(tuple(p.code for p in rules.problems(recognizer, quality, photo.crop)))
        result[review] = float(np.mean([bool(each) for each in codes]))
        result[f"{review}_codes"] = {
            code: round(float(np.mean([code in each for each in codes])), 4)
            for code in sorted({code for each in codes for code in each})
        }
    result["several_faces"] = float(np.mean([len(photo.faces) > 1 for photo in seen.photos]))
    return result


def run(options: Any) -> dict[str, Any]:
    recognizer = Recognizer(choose="central")
    recognizer.load()
    lfw = read_lfw(options.folder)
    inside = np.asarray(images_of(lfw, ("1",)))
    names, counts = np.unique(lfw.person[inside], return_counts=True)
    random = np.random.default_rng(0)
    people = random.permutation(names[counts > 2])[: options.people]
    single = random.permutation(names[counts == 1])[: 2 * options.people]
    rows: list[int] = []
    for who in [*people, *single]:
        rows += random.permutation(inside[lfw.person[inside] == who])[: CANDIDATES + 1].tolist()
    seen = look(recognizer, [lfw.path(i) for i in rows], lfw.person[rows].tolist(), "View 1")
    there, first = np.unique(seen.person, return_index=True)
    first = first[np.isin(there, people)]
    strangers = np.flatnonzero(np.isin(seen.person, single))
    probes = np.setdiff1d(np.flatnonzero(np.isin(seen.person, people)), first)
    calibration = recognizer.calibration
    assert calibration is not None
    limit = calibration.identification_threshold(len(first), 1, FPIR).value
    also = {"View 1": refused(seen, recognizer)}
    for folder in options.also:
        listed = read_people(folder)
        some = look(recognizer, listed.paths, listed.person.tolist(), folder.name)
        also[folder.name] = refused(some, recognizer)
    return {
        "people": len(first),
        "searches": len(probes),
        "strangers": len(strangers),
        "threshold": limit,
        "steps": steps(seen, first, probes, strangers, recognizer, limit),
        "reviews": reviews(
            seen, np.intersect1d(people, seen.person), strangers, recognizer, limit, options.draws
        ),
        "refused": also,
    }


def show(figures: dict[str, Any]) -> None:
    table(
        ("step", "measure", "median", "missed, %", "false, %"),
        (
            (
                row["step"],
                row["measure"],
                f"{row['median']:.3g}",
                f"{100 * row['missed']:.1f}",
                f"{100 * row['false']:.1f}",
            )
            for row in figures["steps"]
        ),
        title=f"{figures['people']} people, one photo each, made worse",
    )
    keys = ("found", "found_of_enrolled", "false", "refused", "nobody")
    table(
        ("review", "found, %", "of those enrolled", "false, %", "photos refused, %", "nobody, %"),
        ((row["review"], *(f"{100 * row[key]:.1f}" for key in keys)) for row in figures["reviews"]),
        title="enrolled by the first photo that passes",
    )
    table(
        ("photos", "number", "standard, %", "strict, %", "several faces, %", "strict, by code, %"),
        (
            (
                name,
                row["photos"],
                *(f"{100 * row[key]:.1f}" for key in ("standard", "strict", "several_faces")),
                ", ".join(f"{k} {100 * v:.1f}" for k, v in row["strict_codes"].items()),
            )
            for name, row in figures["refused"].items()
        ),
        title="photos as they are that are refused",
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW: pairs.txt and images/")
    parser.add_argument("--people", type=at_least(10), default=150, metavar="N")
    parser.add_argument("--draws", type=at_least(1), default=3, metavar="N")
    parser.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="one folder per person",
    )
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
