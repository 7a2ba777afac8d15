"""Films: no frame shows a face, the sound stays, nothing else does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from films import make_film, sound_of

from lineament import Gallery, Recognizer
from lineament.anonymize.films import film_name, look_at_film, render_film
from lineament.anonymize.finding import thorough_finder
from lineament.anonymize.folders import list_files, make_plan, write_plan
from lineament.anonymize.people import Who
from lineament.anonymize.plan import PlannedFilm, PlannedTrack
from lineament.detect import DetectOptions
from lineament.errors import OptionError, VideoError
from lineament.finder import FaceFinder
from lineament.types import Face, Image
from lineament.video import open_source

pytest.importorskip("av")
N, SIDE = 24, 64
SECRET = "Rue-de-la-Paix-17"


def place(n: int) -> tuple[int, int]:
    return 20 + 6 * n, 40 + 2 * n


@pytest.fixture(scope="module")
def frames(astronaut: Image) -> list[Image]:
    """A head that moves over noise."""
    head = cv2.resize(astronaut[40:200, 140:300], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(60, 120, (12, 16, 3)).astype(np.uint8), (256, 192))
    made = []
    for n in range(N):
        picture = ground.copy()
        x, y = place(n)
        picture[y : y + SIDE, x : x + SIDE] = head
        made.append(picture)
    return made


@pytest.fixture(scope="module")
def film(frames: list[Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import av

    folder = tmp_path_factory.mktemp("films")
    plain = make_film(folder / "plain.mp4", frames, sound="aac")
    told = folder / "told.mp4"  # the same with words about it
    with av.open(str(plain)) as source, av.open(str(told), "w") as out:
        out.metadata["title"] = SECRET
        out.metadata["comment"] = SECRET
        out.metadata["location"] = "+48.8692+002.3317/"
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for stream in streams.values():
            stream.metadata["handler_name"] = SECRET
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return told


class Rarely:
    """Finds the head in some frames only, by what it is told: the others count."""

    def __init__(self, frames: list[Image], seen: set[int]) -> None:
        self._frames, self._seen = frames, seen

    def detect(self, image: Image, _: DetectOptions) -> list[Face]:
        small = image[::8, ::8].astype(int)
        n = min(range(N), key=lambda k: np.abs(self._frames[k][::8, ::8] - small).sum())
        x, y = place(n)
        box = np.array([x + 14, y + 8, x + SIDE - 14, y + SIDE - 8])
        return [Face(box, 0.9)] if n in self._seen else []


def render(film: Path, planned: PlannedFilm, out: Path, **more: object) -> list[Image]:
    how = {"method": "solid", "shape": "ellipse", "finder": FaceFinder()} | more
    render_film(film, planned, out, **how)  # type: ignore[arg-type]
    return [frame.pixels for frame in open_source(out)]


def test_frames_between_detections_are_covered(
    film: Path, frames: list[Image], tmp_path: Path
) -> None:
    finder = FaceFinder(Rarely(frames, {4, 5, 13, 20}))
    planned = look_at_film(film, finder, Who())
    (track,) = planned.tracks
    assert planned.n_frames == N
    assert planned.size_wh == (256, 192)
    assert track.frames == [(0, N - 1)]
    shown = render(film, planned, tmp_path / "a.mp4")
    assert len(shown) == N
    for n, pixels in enumerate(shown):
        x, y = place(n)
        face = pixels[y + 14 : y + SIDE - 14, x + 18 : x + SIDE - 18].astype(int)
        assert np.abs(face - 96).max() < 40, n  # the gray of "solid", as far as coding keeps it
        assert face.std() < 4, n


@pytest.mark.slow
def test_no_face_is_found_and_nobody_recognized(film: Path, tmp_path: Path) -> None:
    finder = thorough_finder()
    planned = look_at_film(film, finder, Who(), every=2)
    recognizer = Recognizer("fast")
    (before, *_) = [frame.pixels for frame in open_source(film)]
    assert len(recognizer.detect(before).faces) == 1
    for shape in ("ellipse", "mesh"):
        out = tmp_path / f"{shape}.mp4"
        for pixels in render(film, planned, out, method="blur", shape=shape, finder=finder)[::3]:
            assert recognizer.detect(pixels).faces == ()


def test_colors_of_a_person_do_not_change(film: Path, frames: list[Image], tmp_path: Path) -> None:
    planned = look_at_film(film, FaceFinder(Rarely(frames, set(range(N)))), Who())
    shown = render(film, planned, tmp_path / "a.mkv", method="pixelate", shape="box")
    middles = []
    for n, pixels in enumerate(shown):
        x, y = place(n)
        middles.append(pixels[y + 28 : y + 36, x + 28 : x + 36].mean(axis=(0, 1)))
    assert np.ptp(np.array(middles), axis=0).max() < 12


def test_sound_stays_and_words_do_not(film: Path, tmp_path: Path) -> None:
    import av

    assert film.read_bytes().count(SECRET.encode()) >= 2
    found = list_files([film])
    plan, failed = make_plan(found, FaceFinder())
    assert not failed
    (done,) = write_plan(plan, tmp_path / "out", FaceFinder())
    assert done.error is None
    assert done.out is not None
    assert done.n_frames == N
    new = Path(done.out).read_bytes()
    assert SECRET.encode() not in new
    assert b"+48.8692" not in new
    with av.open(done.out) as opened:
        assert {"title", "comment", "location"} & opened.metadata.keys() == set()
        assert [s.type for s in opened.streams] == ["video", "audio"]
    assert sound_of(Path(done.out)) == sound_of(film)


def test_a_person_may_edit_the_plan(film: Path, tmp_path: Path) -> None:
    """One track is shown again, another is added with two boxes and ranges of its own."""
    added = PlannedTrack(
        id=2,
        frames=[(0, 5), (18, 30)],
        boxes=[(0, 150.0, 120.0, 180.0, 150.0), (20, 190.0, 120.0, 220.0, 150.0)],
        method="solid",
    )
    hidden = PlannedTrack(
        id=1, frames=[(0, N)], boxes=[(0, 0.0, 0.0, 90.0, 90.0)], hide=False, name="Ada"
    )
    planned = PlannedFilm(
        path="a.mp4", sha256="", size_wh=(256, 192), n_frames=N, tracks=[hidden, added]
    )
    shown = render(film, planned, tmp_path / "a.mp4", method="blur")
    original = [frame.pixels for frame in open_source(film)]
    for n, pixels in enumerate(shown):
        x = round(165 + min(n, 20) * 2)
        part = pixels[125:145, x - 10 : x + 10].astype(int)
        assert (np.abs(part - 96).mean() < 6) == (n <= 5 or n >= 18), n
        assert np.abs(pixels[20:60, 5:60].astype(int) - original[n][20:60, 5:60]).mean() < 8


@pytest.mark.slow
def test_who_is_left_out_is_so_where_the_gallery_knows_them(
    film: Path, frames: list[Image], astronaut: Image, tmp_path: Path
) -> None:
    gallery = Gallery.in_memory(recognizer=Recognizer("fast"))
    gallery.enroll("Collins", astronaut)
    finder = FaceFinder()
    planned = look_at_film(film, finder, Who(gallery))
    (track,) = planned.tracks
    assert track.name == "Collins"
    assert track.hide
    assert track.frames == [(19, N - 1)]  # looked at four times a second, last in frame 18
    shown = render(film, planned, tmp_path / "a.mkv")
    original = [frame.pixels for frame in open_source(film)]
    for n, covered in ((9, False), (21, True)):
        x, y = place(n)
        face = np.s_[y + 20 : y + 44, x + 20 : x + 44]
        assert (np.abs(shown[n][face].astype(int) - original[n][face]).mean() > 15) == covered
    others = look_at_film(film, finder, Who(gallery, keep=frozenset({"Somebody"})))
    assert others.tracks[0].frames == [(0, N - 1)]


def test_names_of_films() -> None:
    assert film_name("a.MP4") == "a.MP4"
    assert film_name("a.avi") == "a.avi.mp4"


def test_what_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    with pytest.raises(VideoError):
        look_at_film(path, FaceFinder(), Who())
    with pytest.raises(OptionError, match="expected 1 or more, got 0"):
        look_at_film(path, FaceFinder(), Who(), every=0)


def test_an_interrupted_film_leaves_nothing(film: Path, tmp_path: Path) -> None:
    planned = look_at_film(film, FaceFinder(), Who())

    def stop(done: int, _: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(film, planned, tmp_path / "a.mp4", progress=stop)
    assert list(tmp_path.iterdir()) == []
