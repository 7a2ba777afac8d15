"""Active sessions: their rules by looks that are made up, and whole ones by rendered films."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PILImage

import lineament
from lineament import Recognizer
from lineament.align import load_landmarker
from lineament.cli import app
from lineament.errors import OptionError
from lineament.liveness import _looks, active
from lineament.liveness._challenges import (
    CHALLENGES,
    MOVING,
    SHUT,
    TURNS,
    Challenge,
    Change,
    Rest,
    Watch,
    chosen,
)
from lineament.liveness._lids import Lids
from lineament.liveness._parallax import Swing
from lineament.liveness.active import ActiveOptions, ActiveSession, SessionState, run
from lineament.types import Face, Image, Liveness

STEP_S = 0.1
OPEN_EYES = Lids(0.1, 0.12, 1.0)
DEMO = Path(lineament.__file__).parent / "data" / "demo"
DEEP = Swing(0.2, 0.8, 300)


@dataclass(frozen=True)
class Seen:
    """A look that is made up: what a face does, against the face at rest."""

    time_s: float = 0.0
    yaw_deg: float = 2.0
    pitch_deg: float = -5.0
    eyes_px: float = 50.0
    lids: Lids = OPEN_EYES
    jaw: float = 0.02
    patch: Any = None
    swing: Swing | None = DEEP
    """Its slope is that of a turn to the left, and changes its sign with the turn."""

    def face(self) -> Face:
        return Face(np.array([0, 0, 10, 10], np.float32), 1.0, np.ones((5, 2), np.float32))

    def follower(self) -> Any:
        seen = self

        class Follower:
            now = seen

            def step(self, patch: Any) -> None:
                self.now = patch

            def swing(self) -> Swing | None:
                swing, turned = self.now.swing, self.now.yaw_deg - 2
                return swing and replace(
                    swing,
                    slope=swing.slope * np.sign(turned),
                    correlation=swing.correlation * np.sign(turned),
                )

        return Follower()


@dataclass(frozen=True)
class Moment:
    """A frame."""

    time_s: float
    pixels: Image


DOES: dict[Challenge, dict[str, Any]] = {
    "blink": {"lids": Lids(0.04, 0.03, 0.97)},
    "turn_left": {"yaw_deg": 27.0},
    "turn_right": {"yaw_deg": -24.0},
    "nod": {"pitch_deg": -20.0},
    "open_mouth": {"jaw": 0.6},
    "come_closer": {"eyes_px": 70.0},
}


class Person:
    """Does what is asked for after ``reaction`` frames, for ``lasting`` frames."""

    def __init__(self, reaction: int = 4, lasting: int = 5) -> None:
        self.reaction, self.lasting = reaction, lasting
        self.asked: Challenge | None = None
        self.count = 0

    def __call__(self, state: SessionState) -> Seen | None:
        self.count = self.count + 1 if state.challenge == self.asked else 0
        self.asked = state.challenge
        acts = self.reaction <= self.count < self.reaction + self.lasting
        return Seen(**(DOES[self.asked] if acts and self.asked else {}))


@dataclass
class Decided:
    same: bool
    score: float = 0.9


class FakeRecognizer:
    """Knows the face again unless told otherwise."""

    finder: Any = None

    def __init__(self, same: Callable[[int], bool] = lambda number: True) -> None:
        self.same, self.asked = same, 0

    def stream_chosen(self, sources: list[Any]) -> list[Any]:
        return sources

    def verify(self, a: Any, b: Any) -> Decided:
        self.asked += 1
        return Decided(self.same(self.asked))


@pytest.fixture(autouse=True)
def _made_up(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are looks already; those of rendered films are looked at."""
    if "rendered" in request.keywords:
        return

    class Looker:
        def __init__(self, finder: Any) -> None: ...

        def look(self, pixels: Any, time_s: float) -> Any:
            return LOOKS.get(int(pixels[0, 0, 0]) * 256 + int(pixels[0, 0, 1]))

        def photo(self, pixels: Image, seen: Any) -> Any:
            return _looks.photo_of(pixels, seen)

        def eyes_covered(self, photo: Any) -> bool:
            return bool(COVERED) and COVERED.pop(0)

    COVERED.clear()
    monkeypatch.setattr(active, "Looker", Looker)


LOOKS: dict[int, Seen | None] = {}
COVERED: list[bool] = []
"""Whether the eyes are covered, each time that this is asked."""


def frame(number: int, look: Seen | None, code: int | None = None) -> Moment:
    """A frame whose pixels name the look that will be found in it."""
    code = number if code is None else code
    time_s = (number + 1) * STEP_S
    LOOKS[code] = None if look is None else replace(look, time_s=time_s)
    if look is not None:
        LOOKS[code] = replace(look, time_s=time_s, patch=replace(look, time_s=time_s))
    pixels = np.full((4, 4, 3), (code // 256, code % 256, 0), np.uint8)
    return Moment(time_s, pixels)


def play(
    session: ActiveSession,
    person: Callable[[SessionState], Seen | None],
    most: int = 1200,
) -> Liveness:
    for number in range(most):
        if session.feed(frame(number, person(session.state()))).done:
            break
    return session.finish()


def session(
    seed: int = 0, recognizer: FakeRecognizer | None = None, **options: Any
) -> ActiveSession:
    recognizer = FakeRecognizer() if recognizer is None else recognizer
    return ActiveSession(recognizer, options=ActiveOptions(**options), rng=random.Random(seed))


# ---- what is asked for ---------------------------------------------------------------------------


def test_each_session_asks_for_a_turn_and_for_lids_or_lips_in_an_order_of_its_own() -> None:
    orders = {chosen(4, random.Random(seed)) for seed in range(300)}
    assert len(orders) > 150
    for order in orders:
        assert len(set(order)) == 4
        assert set(order) & set(TURNS)
        assert set(order) & set(MOVING)
    assert {order[0] for order in orders} == set(CHALLENGES)
    assert set(chosen(6, random.Random(1))) == set(CHALLENGES)
    assert session().challenges == session().challenges
    unseen = {ActiveSession(FakeRecognizer()).challenges for _ in range(20)}
    assert len(unseen) > 5  # the system's chance


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_each_challenge_is_told_from_rest_and_from_the_others(challenge: Challenge) -> None:
    rest = Rest.of([Seen(), Seen(), Seen()])  # type: ignore[list-item]
    for other in CHALLENGES:
        watch = Watch(challenge)
        looks = [Seen(), Seen(**DOES[other]), Seen(**DOES[other]), Seen()]
        changes = [Change.between(rest, look) for look in looks]  # type: ignore[arg-type]
        assert any(watch.done(change) for change in changes) is (other == challenge)
        wrong = {watch.something_else(change) for change in changes} - {None}
        assert wrong == (set() if other in (challenge, "blink") else {other})
        assert changes[0].at_rest
        assert changes[1].at_rest is (other == "blink")


# ---- sessions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_who_does_what_is_asked_for_is_alive(seed: int) -> None:
    checked = session(seed)
    result = play(checked, Person())
    assert (result.outcome, result.reasons) == ("live", ())
    assert result.method == "active"
    assert result.score == pytest.approx(0.8)
    assert (result.cues["done"], result.cues["asked"]) == (4, 4)
    state = checked.state()
    assert (state.done, state.result, state.prompt) == (True, result, "Thank you")
    assert checked.photo is not None
    assert checked.photo.liveness is result
    after = checked.feed(frame(5000, None))  # nothing changes any more
    assert after.result is result


def failed(result: Liveness, outcome: str, words: str) -> None:
    assert result.outcome == outcome
    assert result.score == (0 if outcome == "attack" else None)
    (reason,) = result.reasons
    assert words in reason
    assert ": " in reason  # what to do


def test_who_does_nothing_is_not() -> None:
    checked = session(1)
    result = play(checked, lambda state: Seen())
    words = checked.challenges[0].replace("_", " ")
    failed(result, "unsure", f"{words} was asked for and not seen within 7 seconds")


def asks_for_lids(asked: bool) -> int:
    """The seed of a session that asks for shut eyes, or that does not."""
    return next(seed for seed in range(99) if ("blink" in session(seed).challenges) is asked)


def test_eyes_that_are_covered_are_said_to_be() -> None:
    COVERED.extend([True] * 99)
    checked = session(asks_for_lids(True))
    result = play(checked, Person())
    failed(result, "unsure", "take off dark glasses")
    assert checked.photo is None
    assert 99 - len(COVERED) < 6  # at once, not when time is up
    COVERED[:] = [True, True]  # they were taken off
    assert play(session(asks_for_lids(True)), Person()).live
    COVERED[:] = [True] * 99
    assert play(session(asks_for_lids(False)), Person()).live


@pytest.mark.parametrize(
    ("lids", "shut"),
    [
        (Lids(0.06, 0.07, 1.0), True),
        (Lids(0.03, 0.03, 1.08), True),
        (Lids(0.03, 0.12, 1.0), False),  # winks
        (Lids(0.12, 0.03, 1.0), False),
        (Lids(0.08, 0.09, 1.0), False),
        (Lids(0.03, 0.03, 0.85), False),  # a sheet that is tilted back
        (Lids(0.03, 0.03, 1.2), False),
    ],
)
def test_both_eyes_must_shut_in_a_face_that_is_not_foreshortened(lids: Lids, shut: bool) -> None:
    rest = Rest.of([Seen(), Seen()])  # type: ignore[list-item]
    watch = Watch("blink")
    looks = [Seen(), Seen(lids=lids), Seen()]
    seen = [watch.done(Change.between(rest, each)) for each in looks]  # type: ignore[arg-type]
    assert seen == [False, False, shut]
    narrow = Rest.of([Seen(lids=Lids(0.04, 0.05, 1.0))])  # type: ignore[list-item]
    squinting = Change.between(narrow, Seen(lids=Lids(0.02, 0.02, 1.0)))  # type: ignore[arg-type]
    assert squinting.shut == pytest.approx(0.5)
    asleep = Rest.of([Seen(lids=Lids(0.004, 0.05, 1.0))])  # type: ignore[list-item]
    assert Change.between(asleep, Seen(lids=Lids(0.0, 0.0, 1.0))).shut == 0  # type: ignore[arg-type]


def test_something_else_than_what_was_asked_for() -> None:
    for seed in range(40):
        checked = session(seed)
        wrong = "turn_right" if checked.challenges[0] != "turn_right" else "turn_left"

        def confused(state: SessionState, wrong: str = wrong) -> Seen:
            return Seen() if state.challenge is None else Seen(**DOES[wrong])  # type: ignore[index]

        failed(play(checked, confused), "unsure", "as a film of another session would show")


def test_what_is_done_before_it_is_asked_for_does_not_count() -> None:
    checked = session(3)
    doing = DOES[checked.challenges[0]]

    def early(state: SessionState) -> Seen:
        return Seen(**doing) if state.seconds_left < 6.9 else Seen()

    assert not play(checked, early).live
    # Faster than people react: the first frame with the prompt has it all.
    blinking = next(s for s in range(99) if session(s).challenges[0] in TURNS)
    checked = session(blinking)
    quick = play(checked, Person(reaction=0))
    failed(quick, "unsure", "before anybody could have heard of it")


def test_a_film_of_another_session_is_not_alive() -> None:
    shown: list[Seen | None] = []
    actor = Person()

    def kept(state: SessionState) -> Seen | None:
        shown.append(actor(state))
        return shown[-1]

    assert play(session(11), kept).live
    for seed in range(12, 40):
        if session(seed).challenges == session(11).challenges:
            continue
        film = iter(shown)
        assert not play(session(seed), lambda state, film=film: next(film, Seen())).live


def test_a_turned_face_that_stays_flat() -> None:
    first = next(s for s in range(99) if session(s).challenges[0] in TURNS)

    def paper(swing: Swing | None) -> Liveness:
        actor = Person(lasting=60)

        def shown(state: SessionState) -> Seen | None:
            seen = actor(state)
            return seen and replace(seen, swing=swing)

        return play(session(first), shown)

    failed(paper(Swing(0.03, 0.8, 300)), "attack", "stays flat")
    failed(paper(Swing(0.2, 0.1, 300)), "attack", "stays flat")  # not the face's own depth
    failed(paper(Swing(-0.2, -0.8, 300)), "attack", "stays flat")  # a mask from its inner side
    failed(paper(None), "unsure", "turn more slowly")


def test_another_person_takes_the_place() -> None:
    for last in (1, 2, 4):
        result = play(session(5, FakeRecognizer(lambda number, last=last: number < last)), Person())
        failed(result, "attack", "another person's than at first")
    once = FakeRecognizer(lambda number: number != 2)  # one bad frame is no other person
    assert play(session(5, once), Person()).live
    assert once.asked >= 4


def test_frames_that_come_again() -> None:
    loop = session(6)
    number = 0
    state = loop.state()
    while not state.done and number < 400:
        state = loop.feed(frame(number, Seen(), code=number % 30))
        number += 1
    failed(loop.finish(), "attack", "frames come again")
    twice = session(6)  # a source that is asked twice as often as it has frames
    actor, look = Person(), None
    for number in range(1200):
        look = actor(twice.state()) if number % 2 == 0 else look
        if twice.feed(frame(number, look, code=number // 2)).done:
            break
    assert twice.finish().live
    frozen = session(6)
    for number in range(100):
        if frozen.feed(frame(number, Seen(), code=7)).done:
            break
    failed(frozen.finish(), "attack", "stands still")


def test_a_face_that_is_lost_or_never_there() -> None:
    failed(play(session(2), lambda state: None), "unsure", "no face was seen within 7 seconds")
    away = Seen(yaw_deg=50)
    failed(play(session(2), lambda state: away), "unsure", "nobody looked straight at the camera")
    numbers = iter(range(10_000))

    def gone(state: SessionState) -> Seen | None:
        return Seen() if next(numbers) < 12 else None

    failed(play(session(2), gone), "unsure", "the face was lost")
    assert session(2).state(face_seen=False).prompt.startswith("Look into the camera")


def test_a_film_that_ends_is_unsure_and_prompts_are_shown() -> None:
    actor, checked, shown = Person(), session(4), []

    def frames() -> Iterator[Moment]:
        for number in range(40):
            yield frame(number, actor(checked.state()))

    result = run(frames(), checked, shown.append)
    failed(result, "unsure", "the film ended before all was done")
    assert len(shown) == 40
    assert {state.challenge for state in shown} == {None, *checked.challenges[:2]} or shown[-1].step
    plain = shown[-1].to_dict()
    assert plain["n_steps"] == 4
    assert 0 < plain["seconds_left"] <= 7
    assert checked.finish() is result


def test_times_must_grow_and_options_must_fit() -> None:
    checked = session()
    checked.feed(frame(3, Seen()))
    with pytest.raises(OptionError, match=r"expected a time after 0\.400 s, got 0\.400 s"):
        checked.feed(frame(3, Seen()))
    for wrong in (
        {"n_challenges": 1},
        {"n_challenges": 7},
        {"limit_s": 0.5},
        {"wait_s": (0.5, 0.4)},
        {"wait_s": (0.5, 4.0)},
    ):
        with pytest.raises(OptionError, match="expected"):
            ActiveOptions(**wrong)


# ---- rendered films ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def attempts(benchmark_parts: None) -> Any:
    from living import attempts as module

    return module


@pytest.fixture(scope="module")
def people(attempts: Any, recognizer: Recognizer) -> list[Any]:
    """The astronaut, and a man."""

    from living.bodies import Person as Body

    found = []
    for name in ("astronaut.jpg", "obama.jpg"):
        photo = recognizer.finder.find(DEMO / name)
        assert photo.index is not None
        mesh: Any = load_landmarker("mesh")
        read = mesh.read(photo.needed_pixels(), [photo.faces[photo.index]])
        found.append(Body(photo.needed_pixels(), read.points_xyz[0]))
    return found


@pytest.fixture(scope="module")
def lived(attempts: Any, people: list[Any], recognizer: Recognizer) -> tuple[Liveness, list[Any]]:
    """A session of a living head: its result, and the film."""
    result, frames = attempts.living(recognizer, people[0], 2)
    return result, frames


@pytest.mark.rendered
def test_a_head_that_does_it_is_alive(
    attempts: Any, lived: tuple[Liveness, list[Any]], recognizer: Any
) -> None:
    result, frames = lived
    assert (result.outcome, result.reasons) == ("live", ())
    assert result.cues["swing"] > 0.1
    assert result.cues["likeness"] > 0.6
    assert len(frames) < 200
    # The very same film before a session that asks for other things.
    again = attempts.ended(attempts.new_session(recognizer, 77), iter(frames))[0]
    assert again.outcome == "unsure"


@pytest.mark.rendered
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tilted", "bent: leaning cylinder", "puppet: flat", "swapped"])
def test_attacks_do_not_pass(kind: str, attempts: Any, people: list[Any], recognizer: Any) -> None:
    for seed in (1, 2):
        result = attempts.attack(recognizer, kind, people, seed)
        assert not result.live
        # Of a swap either is said: the other face may rest differently, before anybody compares.
        assert result.reasons


@pytest.mark.rendered
def test_a_look_is_where_the_face_is(people: list[Any], recognizer: Recognizer) -> None:
    from living import scene
    from living.bodies import Act

    rng = np.random.default_rng(0)

    def shot(act: Act) -> Image:
        return scene.photographed(scene.seen(people[0].head(act), people[0].background), rng)

    looker = _looks.Looker(recognizer.finder)
    rest = looker.look(shot(Act()), 0.1)
    assert rest is not None
    assert rest.eyes_px == pytest.approx(48, abs=6)
    assert rest.patch.shape == (192, 192)
    face = rest.face()
    assert face.landmarks_xy is not None
    np.testing.assert_allclose(face.landmarks_xy[:2].mean(axis=0), [159.5, 119.5], atol=4)
    changes: Iterable[tuple[Act, str, float, float]] = [
        (Act(yaw_deg=20), "yaw_deg", 20, 6),
        (Act(pitch_deg=-15), "pitch_deg", -15, 6),
        (Act(jaw=0.8), "jaw", 0.6, 0.35),
        (Act(nearer=1.4), "eyes_px", 20, 6),
    ]
    for act, name, expected, within in changes:
        for _ in range(2):  # no face jumps so far: it is followed by one glance a frame
            look = looker.look(shot(act), 0.2)
        assert look is not None
        assert getattr(look, name) - getattr(rest, name) == pytest.approx(expected, abs=within), act
    assert looker.look(np.zeros((240, 320, 3), np.uint8), 0.9) is None


@pytest.mark.rendered
@pytest.mark.parametrize("number", [0, 1])
def test_lids_shut_in_a_head_and_not_in_a_sheet(
    people: list[Any], recognizer: Recognizer, number: int
) -> None:
    from living import acting, scene
    from living.bodies import Act

    rng, person = np.random.default_rng(0), people[number]

    def shut(surfaces: Iterable[Any]) -> list[float]:
        """By which share the lids have fallen since the first four."""
        looker, found = _looks.Looker(recognizer.finder), []
        for place, surface in enumerate(surfaces):
            pixels = scene.photographed(scene.seen(surface, person.background), rng)
            look = looker.look(pixels, 0.1 * place)
            assert look is not None
            found.append(look.lids)
        rest = Lids.median(found[:4])
        return [each.shut_since(rest) for each in found]

    acts = [*[Act()] * 4, Act(blink=1.0), Act(blink=1.0), Act(), Act(nearer=0.8), Act(roll_deg=20)]
    head = shut(person.head(act) for act in acts)
    assert min(head[4:6]) > 0.45
    assert max(head[:4] + head[6:]) < 0.15
    tilts = [0, 0, 0, 0, 15, 30, 45, 0, -15, -30, -45]
    for bend in (0.0, 0.45):
        ways = [Act(pitch_deg=tilt, bend=bend) for tilt in tilts]
        for way in (acting.cylinder(0), acting.cylinder(90)):
            assert max(shut(person.sheet(act, way) for act in ways)) < SHUT - 0.05


@pytest.mark.rendered
def test_dark_glasses_are_to_be_taken_off(attempts: Any, recognizer: Recognizer) -> None:
    from living.bodies import Person as Body

    photo = recognizer.finder.find(DEMO / "astronaut.jpg")
    face = photo.faces[0]
    assert face.landmarks_xy is not None
    assert not _looks.Looker(recognizer.finder).eyes_covered(photo)
    pixels = photo.needed_pixels().copy()
    left, right = np.round(face.landmarks_xy[:2]).astype(int).tolist()
    across = right[0] - left[0]
    cv2.line(pixels, left, right, (20, 20, 24), max(1, across // 16))
    for eye in (left, right):
        cv2.ellipse(pixels, eye, (across // 3, across // 4), 0, 0, 360, (20, 20, 24), -1)
    mesh: Any = load_landmarker("mesh")
    dressed = Body(pixels, mesh.read(pixels, [face]).points_xyz[0])
    seed = next(s for s in range(99) if "blink" in attempts.challenges_of(s))
    result, frames = attempts.living(recognizer, dressed, seed)
    failed(result, "unsure", "take off dark glasses")
    assert len(frames) < 20


@pytest.mark.rendered
def test_a_rendered_mouth_is_dark_all_over_once_it_is_open(people: list[Any]) -> None:
    from living.bodies import INNER_LIPS, Act

    def area(corners_xy: Any) -> Any:
        x, y = corners_xy[..., 0], corners_xy[..., 1]
        return 0.5 * np.abs((x * np.roll(y, -1, -1) - np.roll(x, -1, -1) * y).sum(axis=-1))

    for person in people:
        for jaw in (0.3, 0.8):
            shown = person.head(Act(jaw=jaw))
            dark = shown.dark > 0
            np.testing.assert_array_less(0.4, shown.dark[dark])
            inside = area(shown.xyz[shown.triangles[dark]][..., :2]).sum()
            assert inside == pytest.approx(area(shown.xyz[INNER_LIPS][:, :2]), rel=0.05)


# ---- the command ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.rendered
def test_the_command_with_a_folder_of_frames(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attempts: Any,
    lived: tuple[Liveness, list[Any]],
    recognizer: Any,
) -> None:
    """A living head, whose film fits the session because the chance of both is the same."""
    _, frames = lived
    folder = tmp_path / "film"
    folder.mkdir()
    for one in frames:
        PILImage.fromarray(one.pixels).save(folder / f"{one.number:04}.png", compress_level=1)
    monkeypatch.setattr(active.random, "SystemRandom", lambda: random.Random(2))
    shot = tmp_path / "shot.png"
    words = ["liveness", str(folder), "--rate", str(attempts.RATE), "--json"]
    words += ["--limit", str(attempts.OPTIONS.limit_s), "--photo", str(DEMO / "astronaut.jpg")]
    done = CliRunner().invoke(app, [*words, "--save", str(shot)])
    printed = json.loads(done.stdout)
    assert printed["liveness"]["outcome"] == "live"
    assert printed["decision"]["verdict"] == "same"
    assert "active" in json.dumps(printed["decision"])
    assert printed["challenges"] == list(attempts.new_session(recognizer, 2).challenges)
    assert done.exit_code == 0
    with PILImage.open(shot) as picture:
        assert picture.size == (320, 240)
