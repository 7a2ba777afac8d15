"""All pictures of a folder a person as one HTML page that begins with what they come to, in words.

How many people and photographs there are; who is confusable with whom; which photographs are
probably mislabelled or too poor, or show no face. The page refers to nothing outside itself.
"""

from __future__ import annotations

import html
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from lineament.atomic import write_atomically
from lineament.errors import LineamentError, OptionError
from lineament.evaluate.cleaning import Cleaning, Suspect, clean
from lineament.evaluate.embedding import Progress
from lineament.evaluate.examine import Examined, examine
from lineament.evaluate.figures import check_extra, to_bytes
from lineament.evaluate.folders import People, read_people
from lineament.evaluate.metrics import IntArray
from lineament.evaluate.page import Picture, Section, Table, Tile, page, thumbnail
from lineament.evaluate.report import tile_of
from lineament.evaluate.result import PairShown
from lineament.pipeline import Recognizer
from lineament.plot.alignment import alignment
from lineament.plot.barcode import barcode
from lineament.plot.correlation import correlation
from lineament.plot.explain import explain
from lineament.plot.grid import grid
from lineament.plot.histogram import histogram
from lineament.plot.occlusion import occlusion
from lineament.plot.people import Faces
from lineament.plot.pose import pose
from lineament.plot.seam import Plot
from lineament.plot.tsne import tsne
from lineament.types import FloatArray, Threshold

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID_FACES = 40
PLANE_FACES = 60
PLANE_POINTS = 2000
POSE_PHOTOS = 200
"""More photographs than these are sampled for a picture, and the page says so."""

MOST_LISTED = 24
"""Photographs or pairs shown of each kind; the page says how many there are."""

MOST_IN_SUMMARY = 5

JPEG_QUALITY = 88
_BLOCK = 1024
_PLANE = "the plane stands here: 9d1b7c"


@dataclass(frozen=True, slots=True)
class Confusable:
    """Two people some of whose photographs match.

    Attributes:
        a, b: their numbers, a < b.
        matches: pairs of a photograph each that reach the threshold.
        pairs: all of them.
        similarity: the highest.
        photographs: the pair that has it, places among all photographs: of a, of b.
    """

    a: int
    b: int
    matches: int
    pairs: int
    similarity: float
    photographs: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hardest:
    """The pairs at both ends: (place, place, similarity), None where there are none.

    Attributes:
        genuine: of one person, the least alike.
        impostor: of two people, the most alike.
    """

    genuine: tuple[int, int, float] | None
    impostor: tuple[int, int, float] | None


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """The page, and the numbers behind it.

    Attributes:
        html: the page, encoded.
        numbers: plain values ready for JSON; those of each picture under "pictures".
    """

    html: bytes
    numbers: dict[str, Any]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page at once or not at all; a file that exists is replaced."""
        write_atomically(path, self.html)


@dataclass(eq=False)
class _Known:
    """All that is known of the folder."""

    recognizer: Recognizer
    people: People
    examined: Examined
    cleaning: Cleaning
    threshold: Threshold
    seed: int
    problems: dict[int, tuple[str, ...]] = field(default_factory=dict)
    confusable: list[Confusable] = field(default_factory=list)
    hardest: Hardest = field(default_factory=lambda: Hardest(None, None))
    sampled: list[str] = field(default_factory=list)
    pictures: dict[str, Any] = field(default_factory=dict)

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        return self.examined.embedded.found

    @property
    def without(self) -> list[int]:
        """Photographs that were read and show no face."""
        unreadable = self.examined.embedded.unreadable
        return [i for i in np.flatnonzero(~self.found).tolist() if i not in unreadable]

    def name(self, photograph: int) -> str:
        return self.people.relative(photograph)

    def person(self, photograph: int) -> str:
        return self.people.names[int(self.people.person[photograph])]

    def pair(self, a: int, b: int) -> PairShown:
        vectors = self.examined.embedded.vectors
        same = bool(self.people.person[a] == self.people.person[b])
        paths = self.people.paths
        return PairShown(str(paths[a]), str(paths[b]), same, float(vectors[a] @ vectors[b]))


def report(
    folder: str | os.PathLike[str],
    recognizer: Recognizer,
    *,
    threshold: Threshold | None = None,
    seed: int = 0,
    use_cache: bool = True,
    progress: Progress[Any] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Report:
    """Look at a folder a person and make the page.

    Args:
        folder: its folders are the people; one person is enough, then with fewer pictures.
        recognizer: what embeds and compares.
        threshold: from ``Recognizer.threshold``, of the metric "cosine"; None: the default one.
        seed: of all samples, and of t-SNE.
        use_cache: keep embeddings on the disk, and use those that are there.
        progress: shows how far it is.
        on_note: told what the user should know although the result does not depend on it.

    Raises:
        DataError: the folder is not laid out so.
        OptionError: a threshold of another metric.
        MissingExtraError: matplotlib, or what another picture needs, is missing.
    """
    check_extra()
    if threshold is None:
        threshold = recognizer.threshold()
    if threshold.metric != "cosine":
        raise OptionError(f"threshold: expected one for cosine, got one for {threshold.metric}")
    people = read_people(folder, min_people=1)
    examined, _ = examine(
        recognizer, people.paths, use_cache=use_cache, progress=progress, on_note=on_note
    )
    embedded = examined.embedded
    cleaning = clean(embedded.vectors, people.person, embedded.found, digests=examined.digests)
    known = _Known(recognizer, people, examined, cleaning, threshold, seed)
    limits = recognizer.judge.all_limits
    for i, quality in enumerate(examined.quality):
        problems = () if quality is None else limits.problems(quality)
        if problems:
            known.problems[i] = problems
    known.confusable, known.hardest = compare_all(
        embedded.vectors, people.person, np.flatnonzero(cleaning.trusted), threshold.value
    )
    drawn, plane = _pictures(known, progress)
    words = _summary(known)
    facts = [*_confusable(known), *_suspects(known), *_poor(known), *_faceless(known)]
    title = f"{folder_name(folder)}: what the recognizer sees"
    sections = [Section("In short", tuple(words)), *facts, *drawn]
    data = page(title, sections).replace(b"</style>", _STYLE.encode() + b"</style>", 1)
    if plane is not None:
        data = _with_plane(data, plane)
    return Report(data, _numbers(known, words))


def folder_name(folder: str | os.PathLike[str]) -> str:
    """What the folder is called, whatever way it was named."""
    return Path(folder).absolute().name


# --- comparing ------------------------------------------------------------------------------------


def compare_all(
    vectors: FloatArray, person: IntArray, rows: IntArray, threshold: float
) -> tuple[list[Confusable], Hardest]:
    """Compare every photograph with every other.

    Args:
        vectors: (N, D) unit vectors.
        person: (N,) whose each is.
        rows: which of them count.
        threshold: cosine from which on two match.

    Returns:
        Pairs of people with a match or more, the most confusable first: by the share of their pairs
        that match, three pairs without a match added to each so that one pair of one is not put
        before fifty of a hundred. And the hardest pairs.
    """
    some, who = vectors[rows], person[rows]
    first: list[IntArray] = []
    second: list[IntArray] = []
    scores: list[npt.NDArray[np.float32]] = []
    genuine: tuple[int, int, float] | None = None
    impostor: tuple[int, int, float] | None = None
    for start in range(0, len(some), _BLOCK):
        block = some[start : start + _BLOCK] @ some.T
        later = np.arange(len(some))[None, :] > np.arange(start, start + len(block))[:, None]
        same = who[start : start + _BLOCK, None] == who[None, :]
        own = np.where(later & same, block, np.inf)
        low = np.unravel_index(int(own.argmin()), own.shape)
        if np.isfinite(own[low]) and (genuine is None or own[low] < genuine[2]):
            genuine = int(rows[start + low[0]]), int(rows[low[1]]), float(own[low])
        others = np.where(later & ~same, block, -np.inf)
        high = np.unravel_index(int(others.argmax()), others.shape)
        if np.isfinite(others[high]) and (impostor is None or others[high] > impostor[2]):
            impostor = int(rows[start + high[0]]), int(rows[high[1]]), float(others[high])
        i, j = np.nonzero(others >= threshold)
        first.append(rows[start + i])
        second.append(rows[j])
        scores.append(others[i, j].astype(np.float32))
    found: dict[tuple[int, int], list[Any]] = {}
    counts = np.bincount(who, minlength=int(person.max()) + 1 if len(person) else 0)
    if first:
        for x, y, score in zip(
            np.concatenate(first).tolist(),
            np.concatenate(second).tolist(),
            np.concatenate(scores).tolist(),
            strict=True,
        ):
            (a, x), (b, y) = sorted([(int(person[x]), x), (int(person[y]), y)])
            entry = found.setdefault((a, b), [0, -2.0, (x, y)])
            entry[0] += 1
            if score > entry[1]:
                entry[1], entry[2] = score, (x, y)
    pairs = [
        Confusable(a, b, n, int(counts[a] * counts[b]), score, photographs)
        for (a, b), (n, score, photographs) in found.items()
    ]
    pairs.sort(key=lambda pair: (-pair.matches / (pair.pairs + 3), -pair.similarity))
    return pairs, Hardest(genuine, impostor)


# --- words ----------------------------------------------------------------------------------------


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else (f'{one}s' if many is None else many)}"


def _summary(known: _Known) -> list[str]:
    people, examined, cleaning = known.people, known.examined, known.cleaning
    n, faces = len(people.paths), int(known.found.sum())
    several = int((examined.faces > 1).sum())
    least, most = int(people.counts.min()), int(people.counts.max())
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    words = [
        f"{_count(n, 'photograph')} of {_count(len(people.names), 'person', 'people')}, "
        f"{each} each. A face was found in "
        f"{faces:,}; {_count(several, 'photograph')} "
        f"{'shows' if several == 1 else 'show'} several faces, of which one was taken."
    ]
    if len(people.names) == 1:
        words.append("There is one person only: nobody to be confused with.")
    elif not known.confusable:
        words.append(
            f"Nobody is confusable: no pair of photographs of two people reaches the threshold "
            f"{known.threshold.value:.3f}."
        )
    else:
        first = [
            f"{people.names[pair.a]} and {people.names[pair.b]} ({pair.matches:,} of "
            f"{_count(pair.pairs, 'pair')})"
            for pair in known.confusable[:MOST_IN_SUMMARY]
        ]
        words.append(
            f"{_count(len(known.confusable), 'pair')} of people "
            f"{'is' if len(known.confusable) == 1 else 'are'} confusable, which means that "
            f"photographs of both reach the threshold {known.threshold.value:.3f}: "
            f"{_listed(first, len(known.confusable))}."
        )
    suspected = sum(len(suspect.photographs) for suspect in cleaning.suspects)
    if suspected:
        names = [known.name(i) for suspect in cleaning.suspects for i in suspect.photographs]
        words.append(
            f"Probably mislabelled: {_listed(names[:MOST_IN_SUMMARY], suspected)}. They are left "
            "out where people are compared."
        )
    else:
        words.append("No photograph seems to be mislabelled.")
    if cleaning.duplicates:
        words.append(
            f"{_count(len(cleaning.duplicates), 'photograph')} nearly equal to another one of the "
            "same person; one of each counts where people are compared."
        )
    if known.problems:
        names = [known.name(i) for i in list(known.problems)[:MOST_IN_SUMMARY]]
        words.append(
            f"Too poor to rely on: {_count(len(known.problems), 'photograph')}, "
            f"{_listed(names, len(known.problems))}."
        )
    else:
        words.append("No face is too small, blurred, turned, dark or bright to rely on.")
    if known.without:
        names = [known.name(i) for i in known.without[:MOST_IN_SUMMARY]]
        words.append(f"No face was found in {_listed(names, len(known.without))}.")
    unreadable = examined.embedded.unreadable
    if unreadable:
        names = [known.name(i) for i in list(unreadable)[:MOST_IN_SUMMARY]]
        words.append(f"Could not be read: {_listed(names, len(unreadable))}.")
    if cleaning.not_examined:
        names = [people.names[k] for k in cleaning.not_examined]
        words.append(
            f"Too many photographs to look for wrong names among them: {'; '.join(names)}."
        )
    if known.sampled:
        words.append(f"Sampled (seed {known.seed}): {'; '.join(known.sampled)}.")
    words.append(
        f"Recognizer {known.recognizer.weights.name}, threshold {known.threshold}. Photographs "
        "stay as they are: nothing was changed on the disk."
    )
    return words


def _listed(names: Sequence[str], total: int) -> str:
    more = total - len(names)
    return "; ".join(names) + (f" and {more:,} more" if more > 0 else "")


# --- sections of facts ----------------------------------------------------------------------------


def _shown_of(total: int, kind: str) -> tuple[str, ...]:
    return (f"The first {MOST_LISTED} of {total:,} {kind} are shown.",) * (total > MOST_LISTED)


def _confusable(known: _Known) -> list[Section]:
    if not known.confusable:
        return []
    names = known.people.names
    tiles = tuple(
        tile_of(
            known.pair(*pair.photographs),
            text=f"{names[pair.a]} and {names[pair.b]}: similarity {pair.similarity:.3f} at most, "
            f"{pair.matches:,} of {_count(pair.pairs, 'pair')} match",
        )
        for pair in known.confusable[:MOST_LISTED]
    )
    words = (
        "The most alike pair of each two people. Whoever unlocks a device with one of these faces "
        "could do so with the other; the first are those most of whose pairs match.",
    )
    return [
        Section(
            "Who is confusable with whom",
            (*words, *_shown_of(len(known.confusable), "pairs of people")),
            tiles=tiles,
        )
    ]


def suspect_in_words(suspect: Suspect, names: Sequence[str]) -> str:
    """Why a name is probably wrong."""
    person = names[suspect.person]
    other = None if suspect.other is None else names[suspect.other]
    said = {
        "mislabelled": f"seems to be {other}, not {person}",
        "two people": f"another person than the rest of {person}",
        "one person": f"{person} and {other} seem to be one person",
        "two names": f"stands under {person} and under {other}",
    }[suspect.kind]
    likeness = []
    if suspect.own is not None:
        likeness.append(f"{suspect.own:.2f} to the rest of {person}")
    if suspect.towards is not None and other is not None:
        likeness.append(f"{suspect.towards:.2f} to {other}")
    return f"{said} ({', '.join(likeness)})" if likeness else said


def _suspects(known: _Known) -> list[Section]:
    suspects = known.cleaning.suspects
    if not suspects:
        return []
    tiles = []
    for suspect in suspects[:MOST_LISTED]:
        text = suspect_in_words(suspect, known.people.names)
        if len(suspect.photographs) > 1:
            text = f"{len(suspect.photographs)} photographs: {text}"
        own, theirs = suspect.beside
        beside = theirs if theirs >= 0 else own
        if beside >= 0:
            tiles.append(tile_of(known.pair(suspect.photographs[0], beside), text=text))
        else:
            tiles.append(Tile((_thumb(known, suspect.photographs[0]),), (), text))
    words = "On the left the photograph in question, on the right one that it is held against."
    return [
        Section(
            "Probably mislabelled", (words, *_shown_of(len(suspects), "cases")), tiles=tuple(tiles)
        )
    ]


def _thumb(known: _Known, photograph: int) -> Picture:
    return thumbnail(
        known.people.paths[photograph], alt=f"photograph {known.name(photograph)}", size_px=96
    )


def _poor(known: _Known) -> list[Section]:
    if not known.problems:
        return []
    rows = [(known.name(i), "; ".join(problems)) for i, problems in known.problems.items()]
    table = Table(("photograph", "what is wrong, and what would help"), rows[:MOST_LISTED])
    tiles = tuple(
        Tile((_thumb(known, i),), (known.name(i),)) for i in list(known.problems)[:MOST_LISTED]
    )
    return [
        Section(
            "Too poor to rely on",
            ("Decisions about these photographs are called undecided.",
             *_shown_of(len(rows), "photographs")),
            (table,),
            faces=tiles,
        )
    ]  # fmt: skip


def _faceless(known: _Known) -> list[Section]:
    unreadable = known.examined.embedded.unreadable
    sections = []
    if known.without:
        tiles = tuple(
            Tile((_thumb(known, i),), (known.name(i),)) for i in known.without[:MOST_LISTED]
        )
        words = "They take no part in what follows."
        sections.append(
            Section(
                "No face was found",
                (words, *_shown_of(len(known.without), "photographs")),
                faces=tiles,
            )
        )
    if unreadable:
        rows = [(known.name(i), str(error)) for i, error in unreadable.items()]
        sections.append(
            Section(
                "Could not be read",
                _shown_of(len(rows), "photographs"),
                (Table(("photograph", "why"), rows[:MOST_LISTED]),),
            )
        )
    return sections


# --- pictures -------------------------------------------------------------------------------------


def faces_of(people: People, examined: Examined) -> Faces:
    """The photographs with a face, without crops."""
    rows = np.flatnonzero(examined.embedded.found)
    kept, person = np.unique(people.person[rows], return_inverse=True)
    return Faces(
        paths=tuple(people.paths[i] for i in rows),
        names=tuple(people.names[k] for k in kept),
        person=person.astype(np.int64).reshape(-1),
        vectors=examined.embedded.vectors[rows],
        norms=examined.embedded.norms[rows],
        relative=tuple(people.relative(int(i)) for i in rows),
    )


def with_crops(recognizer: Recognizer, faces: Faces) -> Faces:
    """The same with their aligned faces; the photographs are read again."""
    crops: list[Any] = [photo.crop for photo in recognizer.stream_chosen(list(faces.paths))]
    still = [row for row, crop in enumerate(crops) if crop is not None]
    some = faces if len(still) == len(faces) else faces.select(still)
    return replace(some, crops=np.stack([crops[row] for row in still]))


def _pictures(known: _Known, progress: Progress[Any] | None) -> tuple[list[Section], bytes | None]:
    faces = faces_of(known.people, known.examined)
    if len(faces) < 2:
        words = f"{_count(len(faces), 'photograph')} with a face: at least two are needed."
        return [Section("No pictures", (words,))], None
    threshold, seed = known.threshold, known.seed
    several = len(faces.names) > 1
    sample = with_crops(known.recognizer, faces.sample(GRID_FACES, seed=seed))
    if len(sample) < len(faces):
        known.sampled.append(f"{len(sample)} faces of {len(faces):,} in the grid and the barcodes")
    page_of_plane: list[bytes] = []

    def draw_plane() -> Plot:
        some = faces.sample(PLANE_POINTS, seed=seed)
        if len(some) < len(faces):
            known.sampled.append(f"{len(some):,} faces on the plane")
        if len(some) <= PLANE_FACES:
            some = with_crops(known.recognizer, some)
        plot = tsne(some, seed=seed)
        if plot.html is not None:
            page_of_plane.append(plot.html)
        return plot

    wanted: list[tuple[str, str, str, Callable[[], Plot | None]]] = [
        ("grid", "Every photograph against every other", "Similarities of sampled photographs.",
         lambda: grid(sample, threshold=threshold, seed=seed)),
        ("tsne", "Who lies near whom", "Faces on a plane; those that are alike are near.",
         draw_plane),
        ("correlation", "People against people", "Similarity of the people's mean embeddings.",
         lambda: correlation(faces, threshold=threshold) if several else None),
        ("histogram", "Distances to a person's mean", "Own photographs and everybody else's.",
         lambda: histogram(faces, threshold=threshold) if several else None),
        ("pose", "How far a head may turn", "The person with most photographs.",
         lambda: _pose(known)),
        ("explain_true", "The hardest pair of one person", "Which regions carry the decision.",
         lambda: _explained(known, known.hardest.genuine)),
        ("explain_false", "The hardest pair of two people", "Which regions carry the decision.",
         lambda: _explained(known, known.hardest.impostor)),
        ("barcode", "Embeddings as barcodes", "Two pairs and what differs in them.",
         lambda: barcode(sample, threshold=threshold)),
        ("occlusion", "A photograph made worse", "What recognition bears.",
         lambda: occlusion(known.recognizer, _example(known), threshold=threshold)),
        ("alignment", "How a face is aligned", "From the photograph to the crop.",
         lambda: alignment(known.recognizer, _example(known))),
    ]  # fmt: skip
    sections: list[Section] = []
    items: Iterable[Any] = wanted if progress is None else progress(wanted, len(wanted), "drawing")
    for key, title, alt, make in items:
        try:
            plot = make()
        except LineamentError as error:
            sections.append(Section(title, (f"Not drawn: {error}",)))
            continue
        if plot is None:
            continue
        known.pictures[key] = dict(plot.numbers)
        vector = key in ("correlation", "histogram")
        sections.append(Section(title, pictures=(encoded(plot.figure, alt, vector),)))
        if key == "tsne" and page_of_plane:
            sections.append(Section("", (_PLANE,)))
    return sections, page_of_plane[0] if page_of_plane else None


def encoded(figure: Figure, alt: str, vector: bool) -> Picture:
    """As a drawing, or as a JPEG where it is mostly faces: a tenth of the size of a PNG."""
    if vector:
        return Picture(to_bytes(figure, "svg"), "image/svg+xml", alt)
    with PILImage.open(io.BytesIO(to_bytes(figure, "png"))) as picture:
        file = io.BytesIO()
        picture.convert("RGB").save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return Picture(file.getvalue(), "image/jpeg", alt)


def _example(known: _Known) -> Path:
    """A photograph to show things on: the longest embedding among the trusted ones."""
    norms = np.where(known.cleaning.trusted, known.examined.embedded.norms, 0)
    if not norms.any():
        norms = known.examined.embedded.norms
    return known.people.paths[int(np.argmax(norms))]


def _pose(known: _Known) -> Plot | None:
    person = known.people.person
    counts = np.bincount(person[known.found], minlength=len(known.people.names))
    most = int(np.argmax(counts))
    rows = np.flatnonzero((person == most) & known.found)
    if len(rows) < 2:
        return None
    if len(rows) > POSE_PHOTOS:
        some = np.random.default_rng(known.seed).choice(rows, POSE_PHOTOS, replace=False)
        known.sampled.append(
            f"{POSE_PHOTOS} of {len(rows):,} photographs of {known.people.names[most]}"
        )
        rows = np.sort(some)
    photos = list(known.recognizer.stream_chosen([known.people.paths[i] for i in rows]))
    name = known.people.names[most].replace("_", " ")
    return pose(photos, known.threshold, known.recognizer.judge, title=name)


def _explained(known: _Known, pair: tuple[int, int, float] | None) -> Plot | None:
    if pair is None:
        return None
    a, b = (known.people.paths[i] for i in pair[:2])
    return explain(known.recognizer, a, b, threshold=known.threshold)


# --- the page -------------------------------------------------------------------------------------

_STYLE = """
.pictures > * { flex: 1 1 100%; max-width: 100%; }
.pictures img { width: auto; max-width: 100%; margin: 0 auto; }
iframe.plane { display: block; width: 100%; height: 44rem; margin-top: 1.25rem;
  border: 1px solid var(--line); border-radius: 6px; background: #fff; }
@media print {
  .pictures > * { flex: 0 1 100%; }
  .pictures img { max-height: 22cm; }
  h2 { break-after: avoid; }
  iframe.plane { display: none; }
}
"""

_STRICT = b"default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def _with_plane(data: bytes, plane: bytes) -> bytes:
    """Put the page with the moving plane into a frame; it is part of the page, too.

    Its scripts stand within the page and may load nothing, as before; the frame can reach nothing
    of the page around it.
    """
    text = html.escape(plane.decode("utf-8"), quote=True).encode("utf-8")
    frame = (
        b'<iframe class="plane" title="Faces on a plane, to be pointed at" '
        b'sandbox="allow-scripts" srcdoc="' + text + b'"></iframe>'
    )
    assert data.count(_STRICT) == 1
    data = data.replace(_STRICT, _STRICT + b"; script-src 'unsafe-inline'", 1)
    return data.replace(f"<p>{_PLANE}</p>".encode(), frame, 1)


def _numbers(known: _Known, words: list[str]) -> dict[str, Any]:
    names = known.people.names
    return {
        "summary": words,
        "photographs": len(known.people.paths),
        "people": len(names),
        "faces": int(known.found.sum()),
        "threshold": known.threshold.value,
        "fmr": known.threshold.fmr,
        "confusable": [
            {
                "a": names[pair.a],
                "b": names[pair.b],
                "matches": pair.matches,
                "pairs": pair.pairs,
                "share": pair.matches / pair.pairs,
                "similarity": round(pair.similarity, 6),
                "photographs": [known.name(i) for i in pair.photographs],
            }
            for pair in known.confusable
        ],
        "hardest": {
            kind: None
            if pair is None
            else {"photographs": [known.name(i) for i in pair[:2]], "similarity": round(pair[2], 6)}
            for kind, pair in (
                ("genuine", known.hardest.genuine),
                ("impostor", known.hardest.impostor),
            )
        },
        "mislabelled": [
            {
                "kind": suspect.kind,
                "photographs": [known.name(i) for i in suspect.photographs],
                "words": suspect_in_words(suspect, names),
            }
            for suspect in known.cleaning.suspects
        ],
        "duplicates": [
            [known.name(each.photograph), known.name(each.of)] for each in known.cleaning.duplicates
        ],
        "too_poor": {known.name(i): list(problems) for i, problems in known.problems.items()},
        "without_face": [known.name(i) for i in known.without],
        "unreadable": {
            known.name(i): str(error) for i, error in known.examined.embedded.unreadable.items()
        },
        "sampled": known.sampled,
        "seed": known.seed,
        "pictures": known.pictures,
    }
