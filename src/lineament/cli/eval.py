"""``lineament eval NAME ...``: one command a protocol."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.numbers import COSINE, COUNT, TRIALS
from lineament.cli.output import print_error, print_json, print_line, print_note, print_table
from lineament.cli.progress import CACHED, NOTHING, Show, keeps, stages, with_progress
from lineament.cli.sources import not_looked_at, say_not_looked_at_in
from lineament.cli.targets import writing
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.datasets.cfp import Protocol as CfpProtocol
    from lineament.datasets.ijb import Protocol, Set
    from lineament.datasets.pair_lists import PairList
    from lineament.datasets.source import Embedded, RecognizerSource
    from lineament.decide.metrics import Metric
    from lineament.evaluate.protocols.lfw import View
    from lineament.evaluate.result import Result
    from lineament.pipeline import Recognizer

Measured = tuple["Result", "Embedded | None"]


# --- what all protocols share ---------------------------------------------------------------------


def source_from(given: Mapping[str, Any], *, no_cache: bool = False) -> RecognizerSource:
    """The source of embeddings that a command's options describe."""
    from lineament.datasets.source import RecognizerSource

    keeps(NOTHING if no_cache else CACHED)
    return RecognizerSource(
        options.recognizer_from(given),
        use_cache=not no_cache,
        progress=with_progress,
        on_note=print_note,
    )


def metric_of(recognizer: Recognizer, name: str) -> Metric:
    """The metric of that name for a recognizer's embeddings; OptionError: there is none."""
    from lineament.decide.metrics import SIAMESE, get_metric
    from lineament.decide.siamese import require_head

    if name != SIAMESE:
        return get_metric(name)
    return require_head(recognizer.embedder.contract, recognizer.weights).metric


def report_unreadable(embedded: Embedded) -> None:
    """Say on stderr which photos could not be read."""
    for error in embedded.unreadable.values():
        print_error(error)


def check_report(path: Path | None) -> None:
    """Refuse a report that could not be drawn, before the long work starts."""
    if path is not None:
        from lineament.pictures.charts.files import check_extra

        check_extra()


class _Run:
    """What a protocol measures with; the recognizer is made when it is asked for first."""

    def __init__(self, given: Mapping[str, Any], no_cache: bool, show: Show) -> None:
        self._given = given
        self._no_cache = no_cache
        self.show = show

    @cached_property
    def source(self) -> RecognizerSource:
        """The embeddings, of the recognizer that the options describe."""
        return source_from(self._given, no_cache=self._no_cache)

    def comparing(self, done: int, total: int) -> None:
        """Show how far the comparison of all pairs is."""
        self.show("comparing", done, total)

    def finish(self, result: Result, report: Path | None, json: bool) -> None:
        """Print the result as a table or JSON, and write the report if one is asked for."""
        source = self.source
        run = {
            "n_photos_embedded": source.images_embedded,
            "photos_per_second": source.images_per_second,
            "contract": asdict(source.recognizer.embedder.contract),
            "detector": source.recognizer.finder.detector_name,
            "command": ["lineament", *sys.argv[1:]],
        }
        if self._given.get("preset") is not None:
            run["preset"] = self._given["preset"]
        result = replace(result, run={**result.run, **run})
        if report is not None:
            from lineament.pictures.pages.result import write_report

            with writing(report, "report"):
                write_report(result, report)
        if json:
            print_json(result.to_dict() | not_looked_at())
            return
        rows = result.rows()
        speed = source.images_per_second
        rows.append(("photos a second", "from the cache" if speed is None else f"{speed:.1f}"))
        print_table(("measure", "value"), rows, right=("value",))
        published = result.published_rows()
        if published:
            print_line()
            print_table(("model", "published", ""), published, right=("published",))
        for note in result.notes:
            print_note(f"note: {note}")


def _protocol(
    example: str,
    *,
    name: str | None = None,
    choose: str | None = None,
    without: Collection[str] = (),
    then: Callable[[Result], None] | None = None,
) -> Callable[[Callable[..., Measured]], click.Command]:
    """Make a command of ``function(run, ...) -> (result, embedded)``.

    Args:
        example: for the help.
        name: of the command; by default the function's.
        choose: whom a photo is of, where the protocol says so; the option is left out then.
        without: options of the recognizer that make no sense.
        then: prints more after the table.
    """

    def decorate(function: Callable[..., Measured]) -> click.Command:
        names = list(inspect.signature(function).parameters)[1:]
        own_parameters = function.__dict__.pop("__click_params__", [])

        @functools.wraps(function)
        def run(
            no_cache: bool, report: Path | None, overwrite: bool, json: bool, **given: Any
        ) -> None:
            own = {name: given.pop(name) for name in names}
            check_report(report)
            whole = given if choose is None else {**given, "choose": choose}
            with stages() as show:
                measuring = _Run(whole, no_cache, show)
                result, embedded = function(measuring, **own)
            if embedded is not None:
                report_unreadable(embedded)
            measuring.finish(result, report, json)
            if then is not None and not json:
                then(result)

        left_out = without if choose is None else (*without, "choose")
        made: Any = options.recognizer(without=left_out)(run)
        for add in (options.json, options.overwrite, options.report, options.no_cache):
            made = add(made)
        made.__click_params__ += own_parameters  # they come first: Click reverses the list
        return command(example, name=name)(made)

    return decorate


# --- lists of pairs -------------------------------------------------------------------------------

_pairs_folder = argument(
    "folder", type=FILE, metavar="DIR", help="Folder with the list of pairs and the photos."
)


@_protocol("lineament eval agedb ~/data/agedb", choose="central")
@_pairs_folder
def agedb(run: _Run, folder: Path) -> Measured:
    """AgeDB-30: pairs with 30 years between their photos.

    In ten folds. A photo without a face stays in: its pairs are called different.
    """
    from lineament.datasets.agedb import read_agedb

    return _pair_list(run, "agedb", "AgeDB-30", folder, read_agedb(folder))


@_protocol("lineament eval calfw ~/data/calfw", choose="central")
@_pairs_folder
def calfw(run: _Run, folder: Path) -> Measured:
    """Cross-Age LFW: pairs of different ages, in ten folds.

    A photo without a face stays in: its pairs are called different.
    """
    return _two_lines(run, "calfw", folder)


@_protocol("lineament eval cplfw ~/data/cplfw", choose="central")
@_pairs_folder
def cplfw(run: _Run, folder: Path) -> Measured:
    """Cross-Pose LFW: pairs of different poses, in ten folds.

    A photo without a face stays in: its pairs are called different.
    """
    return _two_lines(run, "cplfw", folder)


def _two_lines(run: _Run, protocol: str, folder: Path) -> Measured:
    from lineament.datasets.pair_lists import TITLES, read_two_line_pairs

    return _pair_list(
        run, protocol, TITLES[protocol], folder, read_two_line_pairs(folder, protocol)
    )


def _pair_list(run: _Run, protocol: str, title: str, folder: Path, pairs: PairList) -> Measured:
    from lineament.evaluate.protocols.verification import run_pair_list

    return run_pair_list(pairs, run.source, protocol=protocol, title=title, data=str(folder))


@_protocol("lineament eval bin lfw.bin", name="bin", without=options.ONLY_CROPS)
@argument("file", type=FILE, metavar="FILE.bin", help="lfw.bin, cfp_fp.bin, agedb_30.bin, ...")
def bin_(run: _Run, file: Path) -> Measured:
    """InsightFace's verification sets: aligned pairs in one file.

    The file is a pickle. It is read without carrying out anything that it says; a file that asks
    for more than lists of photos and answers is refused.
    """
    from lineament.datasets.insightface_bin import read_bin
    from lineament.evaluate.protocols.verification import run_bin

    result, _ = run_bin(read_bin(file), run.source)
    return result, None


CFP_PROTOCOLS: dict[str, tuple[CfpProtocol, ...]] = {
    "ff": ("ff",),
    "fp": ("fp",),
    "both": ("ff", "fp"),
}


@_protocol("lineament eval cfp ~/data/cfp --protocol fp", choose="central")
@argument("folder", type=FILE, metavar="DIR", help="Folder that holds Data and Protocol.")
@option(
    "--protocol",
    choices=tuple(CFP_PROTOCOLS),
    default="both",
    show_default=True,
    help="Frontal-frontal, frontal-profile.",
)
def cfp(run: _Run, folder: Path, protocol: str) -> Measured:
    """Celebrities in Frontal-Profile: accuracy in ten folds.

    350 + 350 pairs each. A photo without a face stays in: its pairs are called different.
    """
    from lineament.evaluate.protocols.verification import run_cfp

    return run_cfp(folder, run.source, protocols=CFP_PROTOCOLS[protocol])


VIEWS = ("1", "2", "all-pairs")


@_protocol("lineament eval lfw ~/data/lfw --view 2 --json", choose="central")
@argument("folder", type=FILE, metavar="DIR", help="Folder with pairs.txt and the photos.")
@option(
    "--view",
    multiple=True,
    choices=VIEWS,
    help="May be repeated.",
    show_default="all three; 1 and 2 with another metric than the cosine",
    api=["views"],
)
@options.metric
def lfw(run: _Run, folder: Path, view: tuple[str, ...], metric: str | None) -> Measured:
    """Labeled Faces in the Wild: accuracy and error rates.

    By its protocols. Of several faces the central one is taken. A photo without a face stays in:
    its pairs are called different. Embeddings are kept in the cache folder.
    """
    other = metric not in (None, "cosine")
    views = tuple(dict.fromkeys(view)) if view else VIEWS[:2] if other else VIEWS
    from lineament.datasets.lfw import read_lfw
    from lineament.evaluate.protocols.lfw import run_lfw

    source = run.source
    chosen = None if metric is None else metric_of(source.recognizer, metric)
    return run_lfw(
        read_lfw(folder),
        source,
        views=cast("tuple[View, ...]", views),
        calibration=source.recognizer.calibration,
        metric=chosen,
        progress=run.comparing,
    )


@_protocol("lineament eval ytf ~/data/ytf --frames 20", choose="central")
@argument("folder", type=FILE, metavar="DIR", help="Folder with splits.txt and the frames.")
@option(
    "--frames",
    type=COUNT,
    metavar="N",
    default=20,
    show_default=True,
    help="Evenly spaced frames a video.",
)
def ytf(run: _Run, folder: Path, frames: int) -> Measured:
    """YouTube Faces: pairs of videos, compared in three ways.

    In ten splits. By the mean of the frames' embeddings, by the mean weighted by quality, and by
    the best pair of frames. A frame without a face counts for nothing.
    """
    from lineament.datasets.ytf import read_ytf
    from lineament.evaluate.protocols.videos import run_ytf

    return run_ytf(read_ytf(folder, frames=frames), run.source)


@_protocol("lineament eval ijb ~/data/ijb --set c --protocol 1:N", choose="central")
@argument(
    "folder",
    type=FILE,
    metavar="DIR",
    help="Folder with protocol/ and the photos, or meta/ and loose_crop/.",
)
@option("--set", "which", required=True, choices=("b", "c"), help="IJB-B or IJB-C.")
@option(
    "--protocol",
    choices=("1:1", "1:N"),
    default="1:1",
    show_default=True,
    help="Verification or identification.",
)
def ijb(run: _Run, folder: Path, which: str, protocol: str) -> Measured:
    """IJB-B and IJB-C: templates of photos and video frames.

    By NIST's or InsightFace's files. Faces are averaged within a medium, then over the media; a
    template without any face is like nobody and stays in.
    """
    kind = cast("Set", which)
    from lineament.datasets.ijb import read_ijb
    from lineament.evaluate.protocols.templates import run_ijb

    data = read_ijb(folder, kind, cast("Protocol", protocol))
    return run_ijb(data, run.source, kind)


# --- photos of your own ---------------------------------------------------------------------------


@_protocol("lineament eval pairs pairs.csv --root ~/photos")
@argument("file", type=FILE, metavar="FILE.csv", help="With the columns file_a, file_b and same.")
@option(
    "--root", type=FILE, metavar="DIR", help="Where the paths start.", show_default="FILE's folder"
)
@options.metric
def pairs(run: _Run, file: Path, root: Path | None, metric: str | None) -> Measured:
    """Pairs of your own: accuracy, error rates, decisions.

    The column same holds 1 or 0, true or false, or same or different. Two more columns, person_a
    and person_b, say who is shown, so that no threshold is chosen on the people it is judged on.
    """
    from lineament.datasets.pairs_csv import read_pairs
    from lineament.evaluate.protocols.pairs import run_pairs

    data = read_pairs(file, root=root)
    recognizer = run.source.recognizer
    chosen = None if metric is None else metric_of(recognizer, metric)
    try:
        threshold = recognizer.threshold(*([] if metric is None else [metric]))
    except OptionError as error:  # the other figures do not need one
        threshold = None
        print_note(f"nothing is decided: {error}")
    return run_pairs(data, run.source, threshold=threshold, metric=chosen)


@_protocol("lineament eval folder ~/staff --report staff.html")
@options.people_folder
@options.seed
def folder(run: _Run, folder: Path, seed: int) -> Measured:
    """One folder per person: all pairs, suspected mislabels.

    A rate is given only where the number of pairs supports it. A photo without a face stays
    in: its pairs are called different.
    """
    from lineament.datasets.people_folder import read_people
    from lineament.evaluate.protocols.folder import run_folder

    say_not_looked_at_in(folder)
    return run_folder(read_people(folder), run.source, seed=seed, progress=run.comparing)


@_protocol("lineament eval open-set ~/staff --trials 10", name="open-set")
@options.people_folder
@option("--trials", type=TRIALS, metavar="N", default=10, show_default=True, help="Random trials.")
@option(
    "--gallery",
    type=COUNT,
    metavar="N",
    help="People enrolled in a trial.",
    show_default="1000, or 84 % of those with two photos",
)
@options.seed
def open_set(run: _Run, folder: Path, trials: int, gallery: int | None, seed: int) -> Measured:
    """Open-set identification in the manner of BLUFR.

    In each trial people are enrolled with one photo; searched for are their other photos
    and those of people who are not enrolled.
    """
    from lineament.datasets.people_folder import read_people
    from lineament.evaluate.protocols.open_set import run_open_set

    people = read_people(folder)
    say_not_looked_at_in(folder)
    return run_open_set(
        people, run.source, trials=trials, gallery=gallery, seed=seed, progress=run.comparing
    )


@_protocol("lineament eval distractors ~/staff ~/others --sizes 10,100")
@options.people_folder
@argument(
    "distractors",
    type=FILE,
    metavar="DISTRACTORS",
    help="Folder with photos of other people, at any depth.",
)
@option(
    "--sizes",
    metavar="N,N,...",
    help="How many distractors.",
    show_default="10,100,1000 ... and all",
)
@options.seed
def distractors(
    run: _Run, folder: Path, distractors: Path, sizes: str | None, seed: int
) -> Measured:
    """Identification among growing distractors.

    In the manner of MegaFace. Distractors that repeat a photo of the probe set are left out and
    counted.
    """
    numbers = None if sizes is None else _sizes(sizes)
    from lineament.datasets.people_folder import read_people
    from lineament.evaluate.protocols.distractors import choose_distractors, run_distractors
    from lineament.images import find_images

    people = read_people(folder, min_people=1)
    say_not_looked_at_in(folder, distractors)
    chosen = choose_distractors(people, find_images([distractors]))
    return run_distractors(
        people, chosen, run.source, sizes=numbers, seed=seed, progress=run.comparing
    )


def _sizes(text: str) -> list[int]:
    numbers = [part.strip().replace("_", "") for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 12 for part in numbers):
        raise OptionError(f"--sizes: expected whole numbers with commas between them, got {text!r}")
    return [int(part) for part in numbers]


def _print_groups(result: Result) -> None:
    from lineament.evaluate.protocols.groups import GROUP_COLUMNS, group_rows

    for part in result.parts:
        print_line()
        print_line(part.title)
        print_table(GROUP_COLUMNS, group_rows(part), right=GROUP_COLUMNS[1:])


@_protocol("lineament eval groups pairs.csv people.csv --by sex+age", then=_print_groups)
@argument(
    "compared",
    type=FILE,
    metavar="PAIRS_OR_FOLDER",
    help="CSV file with file_a,file_b,same, or a folder with one folder per person.",
)
@argument(
    "attributes",
    type=FILE,
    metavar="ATTRIBUTES.csv",
    help="CSV file with person or file, and attributes.",
)
@option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="Attribute, or several as A+B; may be repeated.",
    show_default="each attribute",
)
@options.fmr
@option("--threshold", type=COSINE, metavar="COSINE", help="The threshold itself.")
@options.seed
def groups(
    run: _Run,
    compared: Path,
    attributes: Path,
    by: tuple[str, ...],
    fmr: float | None,
    threshold: float | None,
    seed: int,
) -> Measured:
    """Errors by groups of people, and the ratio worst to best.

    Rates within and across groups. A group that is too small for a figure is said to be so.
    """
    from lineament.datasets.attributes import read_attributes
    from lineament.evaluate.protocols.groups import run_groups

    source = run.source
    used = source.recognizer.threshold(fmr=fmr, value=threshold)
    table = read_attributes(attributes)
    say_not_looked_at_in(compared)
    return run_groups(compared, table, source, threshold=used.value, fmr=used.fmr, by=by, seed=seed)
