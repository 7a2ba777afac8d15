"""What is left of a face that was covered: who is found, and recognized, before and after filters.

    python benchmarks/accuracy/anonymize.py DIR [--people N] [--method NAME]... [--wider DIR]
        [--films N] [--scenes N] [--clips DIR] [--json]

DIR is Labeled Faces in the Wild; the people are those of View 1 with two photos, drawn by a seed.
One photo of each is covered by each method, and looked at as an attacker would who knows where the
face was, as it is and after the filters that are used to bring faces back (``FILTERS``).

found           covered photos in which the default detector finds that face; ``before``: uncovered
recognized      covered photos that are "the same person" as the other photo of theirs
rank1           share of covered photos whose person is the most alike of all N by the other photos;
                ``chance`` is 1/N, ``rank1_uncovered`` the same without a cover
median_rank     of the true person, as a share of N: 0.5 is chance
compared_rank1  the same for an attacker who covers the other photos in the same way, and compares
                what is left of the faces (mean colors); ``surroundings_rank1`` compares the rest of
                the photos, which nobody covers
..._after       the worst of the filters
wider_...       with ``--wider``: share of the annotated faces of 16 pixels and more of which nine
                tenths are covered, by the default detector and by what ``anonymize`` looks with,
                and the ratio of their times
films           with ``--films``: films of people who move, turn up and leave, covered whole: frames
                in which a face is found within a face of the truth, and of which somebody is
                recognized; ``--scenes``: the films of ``filming/``, in which people come and go,
                cross, pass behind pillars and are out of focus: faces of which at least 0.3 can be
                seen, found and uncovered; ``--clips``: frames of a folder of films in which the
                detector finds a face
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lineament import Recognizer, load_image
from lineament.align.alignment import Alignment, face_transforms
from lineament.anonymize.covering import METHODS, cover, mean_colors
from lineament.anonymize.films import look_at_film, render_film
from lineament.anonymize.finding import thorough_finder
from lineament.anonymize.people import Who
from lineament.anonymize.regions import region_of
from lineament.datasets.lfw import read_lfw
from lineament.datasets.wider import read_wider_csv
from lineament.finder import FaceFinder
from lineament.geometry import warp
from lineament.types import Face, Float64Array, FloatArray, Image, Photo
from lineament.video import FilmWriter, VideoFrame, open_source
from lineament.video.sources import FILM_SUFFIXES

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from filming import cast
from filming.measure import load
from filming.render import render
from filming.script import write

from _harness import Parser, at_least, report, table, track

SIDE_CELLS = 4


# --- filters --------------------------------------------------------------------------------------


def cells_px(face: Face) -> float:
    """Side of a mosaic's square over a face: what an attacker reads off the picture."""
    return 1.6 * max(face.size_wh) / SIDE_CELLS


def resampled(how: int) -> Callable[[Image, Face], Image]:
    """Down to the mosaic's squares, and up again smoothly."""

    def filtered(image: Image, face: Face) -> Image:
        size_wh = image.shape[1], image.shape[0]
        small = (max(2, round(side / cells_px(face))) for side in size_wh)
        few = cv2.resize(image, tuple(small), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(few, size_wh, interpolation=how), np.uint8)

    return filtered


def sharpened(image: Image, face: Face) -> Image:
    """Unsharp masking at the scale of the squares."""
    soft = cv2.GaussianBlur(image, (0, 0), cells_px(face) / 3).astype(np.float64)
    return np.clip(image + 3.0 * (image - soft), 0, 255).astype(np.uint8)


def deconvolved(image: Image, face: Face) -> Image:
    """Wiener's filter for a Gaussian blur of that scale."""
    height, width = image.shape[:2]
    sigma = cells_px(face) / 3
    across, down = np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))
    blur = np.exp(-2 * (np.pi * sigma) ** 2 * (across**2 + down**2))
    inverse = blur / (blur**2 + 0.003)
    planes = [np.fft.ifft2(np.fft.fft2(image[:, :, c]) * inverse).real for c in range(3)]
    return np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)


FILTERS: dict[str, Callable[[Image, Face], Image]] = {
    "bicubic": resampled(cv2.INTER_CUBIC),
    "lanczos": resampled(cv2.INTER_LANCZOS4),
    "sharpened": sharpened,
    "deconvolved": deconvolved,
}


# --- photos ---------------------------------------------------------------------------------------


def pairs_of(folder: Path, people: int, finder: FaceFinder) -> list[tuple[Photo, Photo]]:
    """Two photos each of people of View 1, with the face that they are of."""
    lfw = read_lfw(folder)
    view = lfw.view1_pairs
    twice = {lfw.person[a]: (a, b) for a, b in view.indices[view.same].tolist()}
    drawn = np.random.default_rng(0).permutation(sorted(twice))[:people]
    paths = [lfw.path(index) for person in drawn for index in twice[person]]
    photos = list(finder.stream(paths, keep_pixels=True))
    both = zip(photos[::2], photos[1::2], strict=True)
    return [(a, b) for a, b in both if a.face is not None and b.face is not None]


def covered(photo: Photo, method: Any) -> Image:
    assert photo.face is not None
    pixels = photo.needed_pixels().copy()
    size_wh = pixels.shape[1], pixels.shape[0]
    region = region_of(photo.face.box_xyxy, size_wh, "ellipse")
    cover(pixels, region.mask, region.box, method)
    return pixels


def embedded(
    recognizer: Recognizer, pictures: Iterable[Image], faces: Iterable[Face]
) -> FloatArray:
    """Vectors of faces whose place is known, whatever a detector would say."""
    alignment = Alignment.parse(recognizer.alignment_name)
    crops = [
        warp(picture, face_transforms([face], alignment), alignment.size_wh)[0]
        for picture, face in zip(pictures, faces, strict=True)
    ]
    vectors, _ = recognizer.embedder.embed(np.stack(crops))
    return vectors


def ranks(queries: Any, people: Any) -> dict[str, float]:
    """Of the true person among all, by cosine; row k of both is of the same one."""
    similarity = queries @ people.T
    better = (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    return {
        "rank1": round(float((better == 0).mean()), 4),
        "median_rank": round(float(np.median(better)) / len(better), 4),
    }


def left_over(photo: Photo) -> Float64Array:
    """What a cover shows of a face, as numbers."""
    assert photo.face is not None
    pixels = photo.needed_pixels()
    size_wh = pixels.shape[1], pixels.shape[0]
    region = region_of(photo.face.box_xyxy, size_wh, "ellipse")
    colors = mean_colors(pixels, region.box)
    even = cv2.resize(colors, (SIDE_CELLS, SIDE_CELLS), interpolation=cv2.INTER_LINEAR)
    return np.asarray(even, np.float64).ravel()


def surroundings(photo: Photo) -> Float64Array:
    """Mean colors of the photo where nothing is covered."""
    assert photo.face is not None
    pixels = photo.needed_pixels()
    size_wh = pixels.shape[1], pixels.shape[0]
    region = region_of(photo.face.box_xyxy, size_wh, "ellipse")
    seen = np.ones(pixels.shape[:2], np.float32)
    left, top, right, bottom = region.box
    seen[top:bottom, left:right][region.mask] = 0
    small = [
        cv2.resize(each, (SIDE_CELLS, SIDE_CELLS), interpolation=cv2.INTER_AREA)
        for each in (pixels * seen[:, :, None], seen)
    ]
    return np.asarray(small[0] / np.maximum(small[1], 1e-3)[:, :, None], np.float64).ravel()


def compared(pairs: list[tuple[Photo, Photo]], what: Callable[[Photo], Float64Array]) -> float:
    """Share of people who are found by comparing numbers of both of their photos."""
    rows = np.array([[what(a), what(b)] for a, b in pairs])
    flat = rows.reshape(-1, rows.shape[2])
    people, queries = ((rows[:, k] - flat.mean(axis=0)) / (flat.std(axis=0) + 1e-6) for k in (0, 1))
    apart = ((queries[:, None] - people[None]) ** 2).sum(axis=2)
    return round(float(((apart < np.diag(apart)[:, None]).sum(axis=1) == 0).mean()), 4)


def overlaps(face: Face, box: Any) -> bool:
    low, high = np.maximum(face.box_xyxy[:2], box[:2]), np.minimum(face.box_xyxy[2:], box[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared >= 0.25 * float(np.prod(box[2:] - box[:2]))


def finds(finder: FaceFinder, picture: Image, box: Any) -> bool:
    return any(overlaps(face, box) for face in finder.find(picture).faces)


def of_method(
    recognizer: Recognizer, pairs: list[tuple[Photo, Photo]], method: Any
) -> dict[str, Any]:
    faces = [b.face for _, b in pairs if b.face is not None]
    people = embedded(
        recognizer, [a.needed_pixels() for a, _ in pairs], [a.face for a, _ in pairs if a.face]
    )
    plain = [covered(b, method) for _, b in pairs]
    looks = {"none": plain}
    for name, filtered in FILTERS.items():
        looks[name] = [filtered(p, f) for p, f in zip(plain, faces, strict=True)]
    rows: dict[str, Any] = {}
    for name, pictures in looks.items():
        vectors = embedded(recognizer, pictures, faces)
        rows[name] = {
            "found": sum(
                finds(recognizer.finder, p, f.box_xyxy)
                for p, f in zip(pictures, faces, strict=True)
            ),
            "recognized": _recognized(recognizer, [a for a, _ in pairs], pictures, faces),
            **ranks(vectors, people),
        }
    after = [rows[name] for name in FILTERS]
    return {
        **rows["none"],
        "found_after": max(row["found"] for row in after),
        "recognized_after": max(row["recognized"] for row in after),
        "rank1_after": max(row["rank1"] for row in after),
        "filters": {name: rows[name] for name in FILTERS},
    }


def _recognized(
    recognizer: Recognizer, others: list[Photo], pictures: list[Image], faces: list[Face]
) -> int:
    shown = [
        Photo("covered", (p.shape[1], p.shape[0]), (f,), 0, p, detector="known")
        for p, f in zip(pictures, faces, strict=True)
    ]
    decisions = recognizer.verify(others, shown)
    return sum(getattr(each, "verdict", "") == "same" for each in decisions)


def of_photos(recognizer: Recognizer, options: Any) -> dict[str, Any]:
    pairs = pairs_of(options.folder, options.people, recognizer.finder)
    faces = [b.face for _, b in pairs if b.face is not None]
    people = embedded(
        recognizer, [a.needed_pixels() for a, _ in pairs], [a.face for a, _ in pairs if a.face]
    )
    uncovered = [b.needed_pixels() for _, b in pairs]
    figures: dict[str, Any] = {
        "photos": len(pairs),
        "chance": round(1 / len(pairs), 4),
        "found_before": sum(
            finds(recognizer.finder, p, f.box_xyxy) for p, f in zip(uncovered, faces, strict=True)
        ),
        "recognized_before": _recognized(recognizer, [a for a, _ in pairs], uncovered, faces),
        "rank1_uncovered": ranks(embedded(recognizer, uncovered, faces), people)["rank1"],
        "compared_rank1": compared(pairs, left_over),
        "surroundings_rank1": compared(pairs, surroundings),
    }
    for method in track(options.method or METHODS, "methods"):
        figures[method] = of_method(recognizer, pairs, method)
    each = [figures[method] for method in options.method or METHODS]
    for key in ("found", "recognized", "found_after", "recognized_after"):
        figures[key] = sum(one[key] for one in each)
    return figures


# --- what is found --------------------------------------------------------------------------------


def of_wider(folder: Path, recognizer: Recognizer, every: int) -> dict[str, Any]:
    thorough = thorough_finder(runtime=recognizer.runtime)
    shares: dict[str, list[float]] = {"default": [], "thorough": []}
    times = {"default": 0.0, "thorough": 0.0}
    for item in track(read_wider_csv(folder)[::every], "WIDER FACE"):
        image = load_image(item.path)
        sides = (item.boxes_xyxy[:, 2:] - item.boxes_xyxy[:, :2]).max(axis=1)
        boxes = item.boxes_xyxy[sides >= 16]
        for name, finder in (("default", recognizer.finder), ("thorough", thorough)):
            started = time.process_time()
            faces = finder.find(image).faces
            times[name] += time.process_time() - started
            shares[name] += _shares_covered(image, faces, boxes)
    return {
        **{
            f"wider_{name}": round(float((np.array(each) >= 0.9).mean()), 4)
            for name, each in shares.items()
        },
        "wider_faces": len(shares["default"]),
        "wider_time_ratio": round(times["thorough"] / times["default"], 2),
    }


def _shares_covered(image: Image, faces: Iterable[Face], boxes: Float64Array) -> list[float]:
    mask = np.zeros(image.shape[:2], bool)
    size_wh = image.shape[1], image.shape[0]
    for face in faces:
        region = region_of(face.box_xyxy, size_wh, "ellipse")
        left, top, right, bottom = region.box
        mask[top:bottom, left:right] |= region.mask
    found = []
    for left, top, right, bottom in boxes.round().astype(int):
        part = mask[max(top, 0) : bottom, max(left, 0) : right]
        found.append(float(part.mean()) if part.size else 1.0)
    return found


# --- films ----------------------------------------------------------------------------------------


def of_clips(folder: Path, recognizer: Recognizer, most_s: float) -> dict[str, Any]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in FILM_SUFFIXES)
    before, after, frames = 0, 0, 0
    finder = thorough_finder(runtime=recognizer.runtime)
    for path in track(paths, "clips"):
        with tempfile.TemporaryDirectory() as made:
            short = _shortened(path, Path(made) / "short.mkv", most_s)
            out = Path(made) / "out.mkv"
            _render(short, out, finder)
            before += _frames_with_faces(short, recognizer.finder)
            after += _frames_with_faces(out, recognizer.finder)
            with open_source(out) as source:
                frames += sum(1 for _ in source)
    return {
        "clips": len(paths),
        "clip_frames": frames,
        "clips_before": before,
        "clips_found": after,
    }


def _render(path: Path, out: Path, finder: FaceFinder) -> None:
    planned = look_at_film(path, finder, Who())
    render_film(path, planned, out, method="blur", shape="ellipse", finder=finder)


def _shortened(path: Path, out: Path, most_s: float) -> Path:
    """Its beginning, so that the measurement is short."""
    with open_source(path) as source, FilmWriter(out, source, quality=12) as writer:
        for frame in source:
            if frame.time_s > most_s:
                break
            writer.write(frame)
    return out


def _frames_with_faces(path: Path, finder: FaceFinder) -> int:
    with open_source(path) as source:
        return sum(bool(finder.find(frame.pixels).faces) for frame in source)


def of_films(recognizer: Recognizer, options: Any) -> dict[str, Any]:
    """Films of people who come, move, blur and leave; the truth is known."""
    pairs = pairs_of(options.folder, 4 * options.films, recognizer.finder)
    finder = thorough_finder(runtime=recognizer.runtime)
    figures = {"film_frames": 0, "film_faces": 0, "film_found": 0, "film_recognized": 0}
    figures["film_found_before"] = figures["film_uncovered"] = 0
    for number in track(range(options.films), "films"):
        cast = pairs[4 * number : 4 * number + 3]
        if len(cast) < 3:
            break
        frames = list(moving([b for _, b in cast], number))
        with tempfile.TemporaryDirectory() as made:
            path, out = Path(made) / "film.mkv", Path(made) / "out.mkv"
            with FilmWriter(path, open_source([f for f, _ in frames]), quality=12) as writer:
                for n, (pixels, _) in enumerate(frames):
                    writer.write(VideoFrame(n, n / 25, pixels))
            _render(path, out, finder)
            originals = [a for a, _ in cast]
            with open_source(out) as shown:
                for frame, (pixels, boxes) in zip(shown, frames, strict=True):
                    _count(figures, recognizer, frame.pixels, pixels, boxes, originals)
    return figures


def _count(
    figures: dict[str, int],
    recognizer: Recognizer,
    shown: Image,
    original: Image,
    boxes: list[tuple[int, Any, FloatArray]],
    originals: list[Photo],
) -> None:
    figures["film_frames"] += 1
    found, before = recognizer.detect(shown).faces, recognizer.detect(original).faces
    for who, box, points in boxes:
        figures["film_faces"] += 1
        figures["film_found"] += any(overlaps(face, box) for face in found)
        figures["film_found_before"] += any(overlaps(face, box) for face in before)
        figures["film_uncovered"] += is_uncovered(shown, original, box)
        face = Face(box, 0.9, points)
        height, width = shown.shape[:2]
        covered_ = Photo("film", (width, height), (face,), 0, shown, detector="known")
        decision = recognizer.verify(originals[who], covered_)
        figures["film_recognized"] += decision.verdict == "same"


def is_uncovered(shown: Image, original: Image, box: Any) -> bool:
    """Whether most of the middle of a face is as it was."""
    inner = box + np.array([0.2, 0.2, -0.2, -0.2]) * np.tile(box[2:] - box[:2], 2)
    left, top, right, bottom = np.maximum(inner.round(), 0).astype(int)
    part = np.s_[top:bottom, left:right]
    same = np.abs(shown[part].astype(int) - original[part]).mean(axis=2) < 12
    return bool(same.size and same.mean() > 0.5)


def of_scenes(recognizer: Recognizer, options: Any) -> dict[str, Any]:
    """The films that trackers are measured with, of people of View 1."""
    actors = cast.of_lfw(read_lfw(options.folder), inside_view_1=True, visits=2)
    people = load(actors, 3 * options.scenes, recognizer.finder)
    finder = thorough_finder(runtime=recognizer.runtime)
    figures = dict.fromkeys(("scene_faces", "scene_found_before", "scene_found"), 0)
    figures["scene_uncovered"] = 0
    for number in track(range(options.scenes), "scenes"):
        looks = [each for _, each in people[3 * number : 3 * number + 3]]
        script = write(700 + number, 3, 2, seconds=9.0)
        frames = list(render(script, looks, 700 + number))
        with tempfile.TemporaryDirectory() as made:
            path, out = Path(made) / "film.mkv", Path(made) / "out.mkv"
            pictures = [frame.pixels for frame, _ in frames]
            with FilmWriter(path, open_source(pictures), quality=12) as writer:
                for n, pixels in enumerate(pictures):
                    writer.write(VideoFrame(n, n / script.rate, pixels))
            _render(path, out, finder)
            with open_source(out) as shown:
                for after, (before, truth) in zip(shown, frames, strict=True):
                    found = recognizer.detect(after.pixels).faces
                    earlier = recognizer.detect(before.pixels).faces
                    for box in truth.boxes_xyxy[truth.visible >= 0.3]:
                        figures["scene_faces"] += 1
                        figures["scene_found"] += any(overlaps(face, box) for face in found)
                        known = any(overlaps(face, box) for face in earlier)
                        figures["scene_found_before"] += known
                        covered_ = not is_uncovered(after.pixels, before.pixels, box)
                        figures["scene_uncovered"] += not covered_
    return figures


def moving(
    people: list[Photo], seed: int, n_frames: int = 75
) -> Iterable[tuple[Image, list[tuple[int, Any, FloatArray]]]]:
    """Frames of 640 by 360 with people's photos that move; and who is where.

    Heads come in from a side, speed up, stop, grow and shrink; a moving one is blurred along its
    way, and one is behind a bar for a third of the time.
    """
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(40, 160, (9, 16, 3)).astype(np.uint8), (640, 360))
    phases, sizes = rng.uniform(0, 6, 3), rng.uniform(90, 150, 3)
    for n in range(n_frames):
        picture, boxes = ground.copy(), []
        for who, photo in enumerate(people):
            assert photo.face is not None
            assert photo.face.landmarks_xy is not None
            side = sizes[who] * (1 + 0.25 * np.sin(n / 11 + phases[who]))
            speed = 60 * np.cos(n / 14 + phases[who]) / 14
            middle = np.array([110 + 210 * who + 60 * np.sin(n / 14 + phases[who]), 180.0])
            scale = side / max(photo.face.size_wh) / 1.6
            move = np.array([[scale, 0, 0], [0, scale, 0]])
            move[:, 2] = middle - scale * np.array(photo.face.center_xy)
            head = cv2.warpAffine(photo.needed_pixels(), move, (640, 360))
            if abs(speed) > 3:
                length = max(1, round(abs(speed)))
                head = cv2.blur(head, (length, 1))
            mask = np.zeros((360, 640), np.uint8)
            center = int(middle[0]), int(middle[1])
            cv2.ellipse(mask, center, (int(side * 0.5), int(side * 0.62)), 0, 0, 360, 1, -1)
            picture[mask > 0] = head[mask > 0]
            box = np.array(photo.face.box_xyxy, np.float64) * scale + np.tile(move[:, 2], 2)
            points = photo.face.landmarks_xy * scale + move[:, 2]
            boxes.append((who, box, points.astype(np.float32)))
        if seed % 2 and n_frames / 3 < n < n_frames / 2:
            picture[:, 300:340] = (30, 60, 30)
        yield picture, boxes


# --- all ------------------------------------------------------------------------------------------


def run(options: Any) -> dict[str, Any]:
    recognizer = Recognizer("balanced")
    figures = of_photos(recognizer, options)
    if options.wider is not None:
        figures |= of_wider(options.wider, recognizer, options.wider_every)
    if options.films:
        figures |= of_films(recognizer, options)
    if options.scenes:
        figures |= of_scenes(recognizer, options)
    if options.clips is not None:
        figures |= of_clips(options.clips, recognizer, options.seconds)
    return figures


def show(figures: dict[str, Any]) -> None:
    columns = ("found", "recognized", "rank1", "median_rank", "found_after", "recognized_after")
    table(
        ("method", *columns),
        [
            (name, *(str(figures[name][column]) for column in columns))
            for name in METHODS
            if name in figures
        ],
    )
    rest = {name: each for name, each in figures.items() if name not in METHODS}
    table(("figure", "value"), [(name, str(each)) for name, each in rest.items()])


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--people", type=at_least(2), default=120, metavar="N", help="in photos")
    parser.add_argument("--method", action="append", choices=METHODS, help="repeatable; all")
    parser.add_argument("--wider", type=Path, metavar="DIR", help="the WIDER FACE sample")
    parser.add_argument("--wider-every", type=at_least(1), default=4, metavar="N")
    parser.add_argument("--films", type=int, default=0, metavar="N", help="films to make")
    parser.add_argument("--scenes", type=int, default=0, metavar="N", help="films of filming/")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="a folder of films")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each clip")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
