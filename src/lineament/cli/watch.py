"""``lineament watch SOURCE``: who is in a film, a camera's or a stream's pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.gallery import ENVIRONMENT, about_gallery, folder_from, open_with_recognizer
from lineament.cli.numbers import COSINE, Number
from lineament.cli.output import print_json, print_line, print_note, print_table
from lineament.cli.progress import keeps, stages, status_line
from lineament.cli.targets import Target, make_folder, written
from lineament.cli.terminal import VERBOSITY, is_terminal
from lineament.text import counted, probability_in_words

if TYPE_CHECKING:
    from lineament.gallery import Gallery
    from lineament.video import SourceNote, Watch, WatchSummary
    from lineament.video.outputs import Output
    from lineament.video.preview import Preview
    from lineament.video.watching import WatchedFrame

FILM = Target((".mp4", ".m4v", ".mov", ".mkv", ".webm"))
"""As ``video.writing.FORMATS`` has it; a test compares."""

LINES = Target((".jsonl", ".ndjson"), stdout=True)
SHOTS = Target(file=False, folder=True, empty=True)
STDOUT = "-"


@command("lineament watch door.mp4 --gallery staff --out marked.mp4")
@argument(
    "source",
    metavar="SOURCE",
    help="A film, a camera's number, an rtsp or http address, or a folder.",
)
@option("--out", writes=FILM, metavar="FILE.mp4", help="Film with the people marked, and sound.")
@option(
    "--events",
    writes=LINES,
    metavar="FILE.jsonl",
    help="Events as they happen, JSON; - for stdout.",
)
@option("--shots", writes=SHOTS, metavar="DIR", help="Of every person the best look, as a picture.")
@option(
    "--remember",
    type=FILE,
    metavar="FILE.npz",
    help="Keep who was seen; they are known in later films.",
    api=["memory"],
)
@option("--preview", is_flag=True, help="Show the pictures on a page of this machine.")
@option(
    "--at-once",
    is_flag=True,
    help="Tell films too as they go, not from their end.",
    api=["revise"],
)
@option(
    "--port",
    type=Number(0, 65_535, whole=True),
    metavar="N",
    help="Of the page of --preview.",
    show_default="a free one",
)
@options.fpir("Share of strangers that may get a name.")
@option("--threshold", type=COSINE, metavar="COSINE", help="From which on a face gets a name.")
@option("--purpose", metavar="WORDS", help="Name only people who consented to this.")
@options.rate
@option(
    "--give-up",
    type=Number(0),
    metavar="SECONDS",
    help="How long a live source that ended is asked again.",
    show_default="60",
    api=["give_up_s"],
)
@options.calibration
@options.liveness
@options.overwrite
@option(
    "--gallery",
    type=FILE,
    metavar="DIR",
    help="The gallery with the names.",
    show_default="$LINEAMENT_GALLERY, else ./gallery, else numbers only",
)
@options.json
@options.allow_private
@options.recognizer(without=("choose", "min_score", "max_faces", "no_turning"))
def watch(
    source: str,
    out: Path | None,
    events: Path | None,
    shots: Path | None,
    remember: Path | None,
    preview: bool,
    at_once: bool,
    port: int | None,
    json: bool,
    **given: Any,
) -> int:
    """Who is in a film, or before a camera, and when.

    People keep their numbers while they are in the picture and when they return; with a gallery
    they have names. Films are told from their end, cameras as they go. Ctrl-C
    finishes the files. Exit code 0: somebody was there, 1: nobody, 2: error.
    """
    if shots is not None:
        make_folder(shots, "shots")
    to_stdout = events is not None and str(events) == STDOUT
    speaks = not (json or to_stdout)
    with ExitStack() as stack:
        gallery = _gallery(given, stack)
        page = _page(source, port, stack) if preview else None
        progress = _Progress()
        watching = _watching(
            source, gallery, given, stack,
            revise=not (at_once or preview),
            progress=progress,
            out=out,
            events=None if to_stdout else events,
            shots=shots,
            memory=remember,
            outputs=[*([page] if page else []), *([_stdout_lines()] if to_stdout else [])],
        )  # fmt: skip
        _say_what_stays(watching, out, events, shots)
        interrupted = _walk(watching, speaks, progress)
        summary = watching.summary()
        about = {} if gallery is None else about_gallery(gallery)
    files = {"out": out, "events_out": events, "shots_out": shots, "remembered_in": remember}
    said = {"events": None if to_stdout else events, "shots": shots, "out": out}
    written(click.get_current_context()).extend(
        f"wrote {path}"
        for path in said.values()
        if path is not None and os.path.exists(path)  # noqa: PTH110
    )
    if json:
        paths = {name: None if path is None else str(path) for name, path in files.items()}
        print_json(about | summary.to_dict() | paths)
    elif speaks:
        _print_people(summary, gallery is not None)
    if interrupted and not summary.video.live:
        raise KeyboardInterrupt
    return 0 if summary.people else 1


def _gallery(given: Mapping[str, Any], stack: ExitStack) -> Gallery | None:
    """The gallery that is named, or the usual one if there is one."""
    from lineament.gallery import Gallery

    named = given["gallery"] is not None or os.environ.get(ENVIRONMENT, "") != ""
    if not named and given["purpose"] is None and not Gallery.exists(folder_from(None)):
        return None
    opened = stack.enter_context(open_with_recognizer(given, read_only=True))
    for note in opened.check_search(purpose=given["purpose"]):
        print_note(f"note: {note}")
    return opened


def _page(source: str, port: int | None, stack: ExitStack) -> Preview:
    from lineament.images.names import source_name
    from lineament.video.preview import Preview

    page = Preview(source_name(source), 0 if port is None else port)
    stack.callback(page.discard)
    print_note(f"preview: {page.url}")
    return page


def _stdout_lines() -> Output:
    from lineament.video.outputs import EventLines

    return EventLines(None, sys.stdout.buffer)


def _watching(
    source: str,
    gallery: Gallery | None,
    given: Mapping[str, Any],
    stack: ExitStack,
    *,
    revise: bool,
    **more: Any,
) -> Watch:
    from lineament.video import TrackOptions, VideoLimits, open_source
    from lineament.video.sources import opener_of
    from lineament.video.watching import options_for
    from lineament.video.watching import watch as start

    asked = {"allow_private": given["allow_private"]}
    if given["give_up"] is not None:
        asked["give_up_s"] = given["give_up"]
    frames = stack.enter_context(
        open_source(source, limits=VideoLimits(**asked), rate=given["rate"], report=_say)
    )
    names = {
        "fpir": "fpir",
        "threshold": "threshold",
        "min_face": "min_face_px",
        "liveness": "liveness",
        "purpose": "purpose",
    }
    chosen = {names[k]: given[k] for k in names if given.get(k) is not None}
    recognizer = options.recognizer_from(given) if gallery is None else gallery.recognizer
    revise = revise and opener_of(frames) is not None  # a film that can be read twice
    tracking = options_for(frames.info, TrackOptions(revise=revise, **chosen))
    watching = start(frames, gallery, recognizer=recognizer, options=tracking, **more)
    return stack.enter_context(watching)


def _say(note: SourceNote) -> None:
    print_note(f"note: {note.message}")


def _say_what_stays(watching: Watch, *paths: Path | None) -> None:
    named = [str(path) for path in paths if path is not None and str(path) != STDOUT]
    if named:
        what = f"{', '.join(named)} {'hold' if len(named) > 1 else 'holds'}"
        keeps(lambda: f"{what} what was seen in the first {watching.summary().duration_s:.1f} s")


# --- while it goes on -----------------------------------------------------------------------------


class _Progress:
    """Takes the number of frames that were looked at before the first one is handed on."""

    def __init__(self) -> None:
        self.show: Callable[[int], None] | None = None

    def __call__(self, number: int) -> None:
        if self.show is not None:
            self.show(number)


def _walk(watching: Watch, speaks: bool, progress: _Progress) -> bool:
    """Walk over all frames; True: it was interrupted."""
    at_once = speaks and (watching.info.live or not is_terminal(sys.stderr) or VERBOSITY.quiet)
    later: list[str] = []
    interrupted = False
    with _shown(watching, progress) as show:
        try:
            for frame in watching:
                for event in frame.events if speaks else ():
                    if at_once:
                        show(None)
                        print_line(str(event))
                        sys.stdout.flush()
                    else:  # a bar is drawn there
                        later.append(str(event))
                show(frame)
        except KeyboardInterrupt:
            watching.close()
            interrupted = True
    later += [str(event) for event in watching.closing_events if speaks]
    for words in later:
        print_line(words)
    return interrupted


@contextmanager
def _shown(watching: Watch, progress: _Progress) -> Iterator[Any]:
    """A callback that shows how far it is: a bar for films, a line for live sources."""
    info = watching.info
    total = info.n_frames
    if total is None and info.duration_s is not None and info.rate is not None:
        total = round(info.duration_s * info.rate)
    if info.live:
        with status_line() as say:

            def status(frame: WatchedFrame | None) -> None:
                say(None if frame is None else _status(frame))

            yield status
        return
    with stages() as bar:

        def advance(frame: WatchedFrame | None) -> None:
            if frame is not None and total:
                done = frame.number + 1
                bar(words, done, max(total, done), _there(frame))

        def first(number: int) -> None:
            if total:
                bar("watching", number, max(total, number))

        words = "telling" if watching.is_revised else "watching"
        progress.show = first
        yield advance
        progress.show = None


def _status(frame: WatchedFrame) -> str:
    minutes, seconds = divmod(int(frame.time_s), 60)
    return f"{minutes}:{seconds:02d}  {_there(frame)}"


def _there(frame: WatchedFrame) -> str:
    """Who is in the picture, in a few words."""
    settled = [track for track in frame.tracks if track.id > 0]
    names = [f"person {t.id}" if t.name is None else t.name for t in settled[:3]]
    if len(settled) > 3:
        names.append(f"{len(settled) - 3} more")
    return ", ".join(names)


# --- in the end -----------------------------------------------------------------------------------


def _print_people(summary: WatchSummary, with_names: bool) -> None:
    if summary.people and summary.n_events and not VERBOSITY.quiet:
        print_line()
    rows = []
    checked = any(person.liveness is not None for person in summary.people)
    for person in summary.people:
        first, last = person.stays[0].from_s, person.stays[-1].to_s
        name = "unknown" if person.name is None else person.name
        rows.append(
            (
                str(person.id),
                *([name, probability_in_words(person.probability)] if with_names else []),
                f"{first:.1f}",
                f"{last:.1f}",
                f"{person.seconds:.1f}",
                str(len(person.stays)),
                "yes" if person.known else "",
                *(
                    []
                    if not checked
                    else ["-" if person.liveness is None else person.liveness.outcome]
                ),
            )
        )
    named = ("name", "probability") if with_names else ()
    columns = ("person", *named, "first s", "last s", "seconds", "visits", "seen before")
    columns += ("liveness",) if checked else ()
    if rows:
        print_table(
            columns,
            rows,
            right=[name for name in columns if name not in ("name", "seen before", "liveness")],
        )
    else:
        print_line(f"{summary.video.name}: nobody was there")
    dropped = f", {summary.n_dropped:,} more came too late" if summary.n_dropped else ""
    print_note(
        f"{counted(summary.n_frames, 'frame')}, {summary.duration_s:.1f} s, "
        f"{counted(len(summary.people), 'person', 'people')}{dropped}"
    )
