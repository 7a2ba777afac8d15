"""The whole loop of `lineament watch`: frames a second, the latency of live events, and memory.

    python benchmarks/speed/watching.py [--gallery N] [--seconds S] [--parts fps,latency,memory]
        [--threads N] [--json]

The film is made of the photos of the package: 1280 x 720, 30 frames a second, three people who move
about, in H.264. They are enrolled with other photos or mirror images, among ``--gallery`` invented
people (100,000).

fps               decoding, following, naming: frames by seconds; ``fps_out`` also draws and encodes
                  an annotated film; ``fps_film``: told from its end, as `lineament watch` does it
                  with files, which are decoded twice
cpu_ms_per_frame  processor time of all threads by frames, which other work on the machine does not
                  lengthen much; ``fps_by_cpu`` is what that allows: processors by it
latency_p95_ms    a live source of 30 frames a second: from the moment a frame is there until its
                  tracks and events are in the caller's hands, 95th percentile; ``dropped`` is the
                  share of frames that came too late; ``step_cpu_p95_ms`` is the processor time of
                  looking at one frame, which is most of the wait where nothing else runs
memory_growth_mb  resident memory at the end of ``--minutes`` (10) of film, less that after the
                  first of them
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lineament import Gallery, Recognizer, Runtime
from lineament.finder import FaceFinder
from lineament.gallery import NewSample
from lineament.images import load_image
from lineament.machine import processors
from lineament.types import Embedding, Image
from lineament.video import (
    FilmWriter,
    PeopleTracker,
    SourceInfo,
    SourceNote,
    TrackOptions,
    VideoFrame,
    open_source,
    watch,
)

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import DEMO, Parser, at_least, report, table

SIZE_WH = (1280, 720)
RATE = 30.0
FACE_PX = 150
PEOPLE = {"Barack": ("obama", "obama2"), "Joe": ("biden", "biden"), "Eileen": ("astronaut",) * 2}
"""Who is in the film: by this photo there, and by that one in the gallery."""

PARTS = ("fps", "latency", "memory")
SPEEDS = ("fps", "cpu_ms_per_frame", "fps_by_cpu")
BLOCK = 10_000


def heads(finder: FaceFinder) -> list[Image]:
    """Cut-outs with shoulders, in which the faces are of one size."""
    found = []
    for shown, _ in PEOPLE.values():
        photo = finder.find(DEMO / f"{shown}.jpg", keep_pixels=True)
        face = max(photo.faces, key=lambda each: max(each.size_wh))
        pixels = face.crop(photo, margin=0.8)
        scale = FACE_PX / max(face.size_wh)
        found.append(np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale), np.uint8))
    return found


class Scene:
    """Three people who move about before a wall."""

    def __init__(self, finder: FaceFinder) -> None:
        """Cut them out."""
        rng = np.random.default_rng(0)
        width, height = SIZE_WH
        coarse = rng.integers(60, 190, (height // 20, width // 20, 3), np.uint8)
        self._wall = cv2.resize(coarse, SIZE_WH, interpolation=cv2.INTER_CUBIC)
        self._noise = rng.integers(0, 12, (height + 32, width + 32, 3), np.uint8)
        self._heads = heads(finder)

    def frame(self, number: int) -> Image:
        """(720, 1280, 3), by its number alone."""
        pixels = self._wall.copy()
        width, height = SIZE_WH
        for k, head in enumerate(self._heads):
            t = number / RATE + 3 * k
            tall, wide = head.shape[:2]
            x = int((width - 3 * wide) * (0.5 + 0.45 * np.sin(0.7 * t + k))) // 3 + k * width // 3
            y = int((height - tall) * (0.5 + 0.4 * np.sin(0.9 * t)))
            x, y = min(max(x, 0), width - wide), min(max(y, 0), height - tall)
            pixels[y : y + tall, x : x + wide] = head
        dy, dx = (number * 7) % 32, (number * 13) % 32
        return cv2.add(pixels, self._noise[dy : dy + height, dx : dx + width])

    def film(self, path: Path, n_frames: int) -> None:
        """Write it in H.264."""
        with FilmWriter(path, open_source([], rate=RATE)) as writer:
            for number in range(n_frames):
                writer.write(VideoFrame(number, number / RATE, self.frame(number)))


def enrolled(recognizer: Recognizer, n_people: int) -> Gallery:
    """A gallery of invented people, and the three."""
    gallery = Gallery.in_memory(recognizer=recognizer)
    contract = recognizer.embedder.contract
    rng = np.random.default_rng(1)
    for start in range(0, n_people, BLOCK):
        vectors = rng.standard_normal((min(BLOCK, n_people - start), contract.dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        samples = [
            (
                f"Somebody {start + k}",
                NewSample(Embedding(vector.astype(np.float32), 1.0, contract)),
            )
            for k, vector in enumerate(vectors)
        ]
        gallery.enroll_samples(samples, force=True)
    for name, (_, photo) in PEOPLE.items():
        image = load_image(DEMO / f"{photo}.jpg")
        mirrored = np.ascontiguousarray(image[:, ::-1])
        gallery.enroll(name, mirrored, choose=True, force=True, on_low_quality="accept")
    return gallery


class Live:
    """A camera: frames come by the clock, whether somebody takes them or not."""

    def __init__(self, frames: list[Image], seconds: float) -> None:
        """Show these, there and back again, for so long."""
        self.info = SourceInfo("camera", True, SIZE_WH, RATE, None, None, False)
        self.notes: list[SourceNote] = []
        self._frames, self._seconds = frames, seconds
        self.dropped = self.given = 0
        self.start = time.monotonic()
        self._closed = False

    def __iter__(self) -> Iterator[VideoFrame]:
        """The newest frame, as soon as there is one."""
        self.start, last = time.monotonic(), -1
        while not self._closed:
            now = time.monotonic() - self.start
            number = int(now * RATE)
            if number == last:
                time.sleep(max(0.0, (last + 1) / RATE - now))
                continue
            if now > self._seconds:
                return
            self.dropped += number - last - 1
            self.given += 1
            last = number
            turn = number % (2 * len(self._frames) - 2)
            k = min(turn, 2 * len(self._frames) - 2 - turn)
            yield VideoFrame(number, number / RATE, self._frames[k])

    def close(self) -> None:
        """End."""
        self._closed = True

    def __enter__(self) -> Live:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.close()


def speed(
    film: Path,
    gallery: Gallery,
    recognizer: Recognizer,
    out: Path | None = None,
    *,
    revise: bool = False,
) -> dict[str, Any]:
    """Watch a film to its end, once or, to be told from there, twice."""
    options = TrackOptions(revise=True) if revise else None
    watching = watch(film, gallery, recognizer=recognizer, options=options, out=out)
    began, cpu = time.perf_counter(), time.process_time()
    summary = watching.run()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    names = sorted(str(person.name) for person in summary.people)
    return {
        "fps": summary.n_frames / wall,
        "cpu_ms_per_frame": 1000 * cpu / summary.n_frames,
        "fps_by_cpu": processors() * summary.n_frames / cpu,
        "names": names,
        "n_frames": summary.n_frames,
    }


def latency(frames: list[Image], gallery: Gallery, recognizer: Recognizer, seconds: float) -> Any:
    """Watch a camera for some time."""
    source = Live(frames, seconds)
    waited, of_events = [], []
    for frame in watch(source, gallery, recognizer=recognizer):
        now = time.monotonic() - source.start
        waited.append(now - frame.time_s)
        of_events += [waited[-1]] * len(frame.events)
    shares = np.percentile(1000 * np.array(waited), [50, 95])
    tracker, steps = PeopleTracker(recognizer, gallery), []
    for number, pixels in enumerate(frames):
        began = time.process_time()
        tracker.step(VideoFrame(number, number / RATE, pixels))
        steps.append(time.process_time() - began)
    return {
        "step_cpu_p95_ms": float(np.percentile(1000 * np.array(steps[5:]), 95)),
        "latency_p50_ms": float(shares[0]),
        "latency_p95_ms": float(shares[1]),
        "latency_events_max_ms": 1000 * max(of_events, default=0.0),
        "dropped": source.dropped / max(1, source.dropped + source.given),
    }


def resident_mb() -> float:
    """Memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def looped(film: Path, out: Path, minutes: float) -> None:
    """Write a film over and over, its packets as they are, until it is so long."""
    import av

    with av.open(str(out), "w") as target:
        stream, end, n_frames = None, 0, 0
        while n_frames < minutes * 60 * RATE:
            with av.open(str(film)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                base, last = end, end
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts += base
                    packet.dts += base
                    last = max(last, packet.pts + (packet.duration or 0))
                    packet.stream = stream
                    target.mux(packet)
                    n_frames += 1
                end = last


def memory(film: Path, gallery: Gallery, recognizer: Recognizer, minutes: float) -> dict[str, Any]:
    """Watch so many minutes of film."""
    long = film.with_name("long.mp4")
    looped(film, long, minutes)
    used = []
    for frame in watch(long, gallery, recognizer=recognizer):
        if frame.number % int(10 * RATE) == 0:
            used.append(resident_mb())
    after = used[: max(1, len(used) // 10)]
    return {
        "memory_growth_mb": used[-1] - after[-1],
        "memory_mb": used[-1],
        "memory_minutes": 10 * len(used) / 60,
    }


def measured(options: Any) -> dict[str, Any]:
    """All parts that are asked for."""
    runtime = Runtime() if options.threads is None else Runtime(threads=options.threads)
    recognizer = Recognizer(finder=FaceFinder(runtime=runtime))
    recognizer.load()
    scene = Scene(recognizer.finder)
    gallery = enrolled(recognizer, options.gallery)
    found: dict[str, Any] = {"n_people": gallery.n_people}
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        scene.film(film, round(options.seconds * RATE))
        watch(film, gallery, recognizer=recognizer).run()  # everything is loaded
        if "fps" in options.parts:
            found |= speed(film, gallery, recognizer)
            drawn = speed(film, gallery, recognizer, Path(folder) / "out.mp4")
            twice = speed(film, gallery, recognizer, revise=True)
            for name, one in (("out", drawn), ("film", twice)):
                found |= {f"{key}_{name}": one[key] for key in SPEEDS}
            found["names_film"] = twice["names"]
        if "latency" in options.parts:
            frames = [scene.frame(number) for number in range(60)]
            found |= latency(frames, gallery, recognizer, options.seconds)
        if "memory" in options.parts:
            found |= memory(film, gallery, recognizer, options.minutes)
    return found


def show(found: dict[str, Any]) -> None:
    """A table."""
    rows = [[k, f"{v:.2f}" if isinstance(v, float) else str(v)] for k, v in found.items()]
    table(["figure", "value"], rows)


def parts(text: str) -> tuple[str, ...]:
    """Names, with commas between them."""
    named = tuple(text.split(","))
    if not set(named) <= set(PARTS):
        raise ValueError
    return named


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--gallery", type=at_least(0), default=100_000, metavar="N")
    parser.add_argument("--seconds", type=at_least(2), default=20, metavar="S")
    parser.add_argument("--minutes", type=at_least(1), default=10, metavar="M")
    parser.add_argument("--parts", type=parts, default=PARTS, metavar="NAMES")
    parser.add_argument("--threads", type=at_least(1), metavar="N", help="of the networks")
    options = parser.parse_args()
    report(options, lambda: measured(options), show)


if __name__ == "__main__":
    main()
