"""``lineament liveness SOURCE``: ask the person before a camera for something, and see it done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import argument, command, option
from lineament.cli.numbers import Number
from lineament.cli.output import print_json, print_line, print_note, print_pairs
from lineament.cli.recognize import print_decision
from lineament.cli.sources import one_source
from lineament.cli.targets import PICTURE, writing
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.cli.terminal import Style
    from lineament.liveness.active import ActiveSession, SessionState
    from lineament.pipeline import Recognizer
    from lineament.types import Decision, Liveness, Photo
    from lineament.video import FrameSource, SourceNote

_COLORS: Mapping[str, Style] = {"live": "green", "attack": "red", "unsure": "yellow"}


@command("lineament liveness 0 --photo passport.jpg")
@argument(
    "source",
    metavar="SOURCE",
    help="A camera's number, an rtsp or http address, a film, a folder of frames.",
)
@option(
    "--photo",
    metavar="PHOTO",
    help="Say whether it is the person of this photo, too.",
)
@option(
    "--challenges",
    type=Number(2, 6, whole=True),
    metavar="N",
    help="How many things are asked for.",
    show_default="4",
    api=["n_challenges"],
)
@option(
    "--limit",
    type=Number(1, 600),
    metavar="SECONDS",
    help="For each of them.",
    show_default="7",
    api=["limit_s"],
)
@options.rate
@option("--save", writes=PICTURE, metavar="FILE.png", help="Keep the frame that is verified.")
@options.overwrite
@options.json
@options.allow_private
@options.recognizer(without=("choose", "min_score", "max_faces", "no_turning"))
def liveness(
    source: str,
    photo: str | None,
    challenges: int | None,
    limit: float | None,
    rate: float | None,
    save: Path | None,
    json: bool,
    **given: Any,
) -> int:
    """Is somebody there? Ask for movements that no photo makes.

    Four of six things are asked for, in random order: shut the eyes, turn the head, nod, open the
    mouth, come closer. Exit code 0: somebody is there (and it is the person of --photo), 1: not, or
    that is not sure, 2: error.
    """
    from lineament.liveness.active import ActiveOptions, ActiveSession, run

    _refuse_photos(source)
    asked: dict[str, Any] = {"n_challenges": challenges, "limit_s": limit}
    chosen = ActiveOptions(**{k: v for k, v in asked.items() if v is not None})
    recognizer = options.recognizer_from(given)
    known = None if photo is None else next(iter(recognizer.stream_chosen([one_source(photo)])))
    if known is not None:
        known.require()
    with ExitStack() as stack:
        frames = stack.enter_context(_opened(source, rate, allow_private=given["allow_private"]))
        session = ActiveSession(recognizer, options=chosen)
        result = run(frames, session, _prompts())
    decision = None
    if known is not None and session.photo is not None:
        decision = _decided(recognizer, known, session)
    if save is not None and session.photo is not None:
        _save(session, save)
    kept = str(save) if save is not None and session.photo is not None else None
    if json:
        print_json(
            {
                "source": frames.info.name,
                "challenges": list(session.challenges),
                "liveness": result.to_dict(),
                "decision": None if decision is None else decision.to_dict(),
                "out": kept,
            }
        )
    else:
        _print(session, result, decision)
    yes = result.live if decision is None else decision.verdict == "same"
    return 0 if yes and result.live else 1


def _refuse_photos(source: str) -> None:
    from lineament.images.find import IMAGE_SUFFIXES

    if Path(source).suffix.lower() in IMAGE_SUFFIXES:
        raise OptionError(
            f"SOURCE: expected a camera, a stream, a film or a folder of frames, got the photo "
            f"{source}, which does nothing that is asked for; --photo says whom to compare with"
        )


def _opened(source: str, rate: float | None, *, allow_private: bool) -> FrameSource:
    from lineament.video import VideoLimits, open_source

    return open_source(
        source, limits=VideoLimits(allow_private=allow_private), rate=rate, report=_say
    )


def _say(note: SourceNote) -> None:
    print_note(f"note: {note.message}")


def _prompts() -> Callable[[SessionState], None]:
    """A callback that says each new prompt once, on standard error."""
    said = ""

    def show(state: SessionState) -> None:
        nonlocal said
        if state.done or state.prompt == said:
            return
        said = state.prompt
        number = f"{state.step + 1} of {state.n_steps}: " if state.challenge is not None else ""
        print_note(f"{number}{said}")

    return show


def _decided(recognizer: Recognizer, known: Photo, session: ActiveSession) -> Decision:
    assert session.photo is not None
    return recognizer.verify(known, session.photo)


def _save(session: ActiveSession, path: Path) -> None:
    from lineament.pictures.photos import save_picture

    assert session.photo is not None
    assert session.photo.pixels is not None
    with writing(path, "save"):
        save_picture(session.photo.pixels, path)


def _print(session: ActiveSession, result: Liveness, decision: Decision | None) -> None:
    words = {"live": "somebody is there", "attack": "an attack", "unsure": "not sure"}
    print_line(words[result.outcome], style=_COLORS[result.outcome])
    rows = [("because" if i == 0 else "", reason) for i, reason in enumerate(result.reasons)]
    done = session.challenges[: int(result.cues["done"])]
    names = ": " + ", ".join(each.replace("_", " ") for each in done) if done else ""
    rows.append(("done", f"{len(done)} of {len(session.challenges)}{names}"))
    print_pairs(rows)
    if decision is not None:
        print_line("")
        print_decision(decision)
