"""``lineament tune FOLDER``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.eval import check_report, report_unreadable
from lineament.cli.numbers import RATE, Number
from lineament.cli.output import print_json, print_note, print_table
from lineament.cli.progress import CACHED, NOTHING, keeps, stages, with_progress
from lineament.cli.sources import not_looked_at, say_not_looked_at_in
from lineament.cli.targets import JSON, Target, writing
from lineament.errors import OptionError
from lineament.text import per_cent

if TYPE_CHECKING:
    from lineament.fit.tuned import Tuned

SUFFIX = ".calibration.json"


def _named_after_folder(given: Mapping[str, Any]) -> Path:
    return Path(given["folder"].absolute().name + SUFFIX)


@command("lineament tune ~/staff --out staff.calibration.json")
@argument("folder", type=FILE, metavar="FOLDER", help="Folder with one folder per person.")
@option(
    "--fmr",
    type=RATE,
    metavar="RATE",
    help="False match rate asked for; refused if the photos cannot support it.",
    show_default=f"{options.SHOWN_DEFAULTS['fmr']}, or the least they support",
)
@option(
    "--out",
    writes=Target(JSON.suffixes, default=_named_after_folder),
    metavar="FILE.json",
    help="Where the calibration is written.",
    show_default=f"FOLDER{SUFFIX} here",
)
@options.report
@option("--keep-suspects", is_flag=True, help="Fit on photos with a doubtful name, too.")
@option(
    "--near-duplicate",
    type=Number(0, 1),
    metavar="COSINE",
    help="Above it two photos of a person count as one.",
    show_default="0.95",
)
@options.seed
@options.overwrite
@options.no_cache
@options.json
@options.recognizer()
def tune(
    folder: Path,
    fmr: float | None,
    out: Path,
    report: Path | None,
    keep_suspects: bool,
    near_duplicate: float | None,
    seed: int,
    overwrite: bool,
    no_cache: bool,
    json: bool,
    **given: Any,
) -> None:
    """Fit thresholds and probabilities to your own photos.

    For --calibration of other commands. Duplicates, photos without a face and probable mislabels
    are listed and left out; nothing is deleted.
    """
    if fmr is not None and not 0 < fmr < 1:
        raise OptionError(f"--fmr: expected a rate between 0 and 1, got {fmr:g}")
    if near_duplicate is not None and not 0 < near_duplicate <= 1:
        raise OptionError(
            f"--near-duplicate: expected a cosine above 0 up to 1, got {near_duplicate:g}"
        )
    check_report(report)
    from lineament.datasets.people_folder import read_people
    from lineament.fit import tune as fit
    from lineament.fit.clean import DUPLICATE_COSINE
    from lineament.fit.examine import examine
    from lineament.quality import limits_of

    keeps(NOTHING if no_cache else CACHED)
    people = read_people(folder)
    say_not_looked_at_in(folder)
    recognizer = options.recognizer_from(given)
    examined, source = examine(
        recognizer, people.paths, use_cache=not no_cache, progress=with_progress, on_note=print_note
    )
    report_unreadable(examined.embedded)
    with stages() as show:
        tuned = fit.tune(
            people,
            examined,
            contract=recognizer.embedder.contract,
            fmr=fmr,
            keep_suspects=keep_suspects,
            duplicate=DUPLICATE_COSINE if near_duplicate is None else near_duplicate,
            limits=limits_of(recognizer.weights),
            head=recognizer.head,
            seed=seed,
            progress=show,
        )
    words = f"wrote {out}: lineament verify A B --calibration {shlex.quote(str(out))}"
    with writing(out, "out", words):
        tuned.calibration.save(out)
    if report is not None:
        from lineament.pictures.pages.tune import write_tune_report

        run = {
            "n_photos_embedded": source.images_embedded,
            "photos_per_second": source.images_per_second,
            "contract": asdict(recognizer.embedder.contract),
            "detector": recognizer.finder.detector_name,
            "seed": seed,
            "command": shlex.join(["lineament", *sys.argv[1:]])
            if sys.argv[1:2] == ["tune"]
            else ["lineament", "tune", str(folder)],
        }
        with writing(report, "report"):
            write_tune_report(tuned, report, run=run, calibration_file=shlex.quote(str(out)))
    if json:
        print_json(tuned.to_dict() | {"out": str(out)} | not_looked_at())
        return
    _print(tuned)
    _say_learned(tuned)


def _say_learned(tuned: Tuned) -> None:
    """The thresholds of the learned similarity, where the model has one."""
    rates = tuned.calibration.rates_of("siamese")
    if rates:
        words = ", ".join(f"{value:.3f} for {rate:g}" for rate, value in rates)
        print_note(f"--metric siamese has thresholds, too: {words}")


def _print(tuned: Tuned) -> None:
    from lineament.fit.clean import looked_for
    from lineament.pictures.pages.tune import rate_in_words, suspects_in_words

    made, cleaning = tuned.calibration, tuned.cleaning
    suspected = sum(len(suspect.photos) for suspect in cleaning.suspects)
    fitted = tuned.threshold
    rows = [
        ("photos", f"{len(tuned.people.paths):,} of {len(tuned.people.names):,} people"),
        ("could not be read", f"{len(tuned.examined.embedded.unreadable):,}"),
        ("no face", f"{len(tuned.without_face):,}"),
        ("several faces", f"{len(tuned.several_faces):,} (one was taken of each)"),
        ("duplicates", f"{len(cleaning.duplicates):,}"),
        ("probably a wrong name", f"{suspected:,}"),
        ("low quality", f"{tuned.low_quality.get('any', 0):,} (counted all the same)"),
        ("fitted on", f"{made.n_photos:,} of {made.n_people:,} people"),
        ("genuine pairs", f"{made.n_genuine_pairs:,}"),
        ("impostor pairs", f"{made.n_impostor_pairs:,}"),
        ("false match rate", f"{tuned.fmr:g}; the least supported is {made.least_fmr:.2g}"),
        ("threshold", f"{fitted.plain.value:.3f} ({fitted.low:.3f} to {fitted.high:.3f})"),
        ("  FNMR here", rate_in_words(tuned.own.fnmr)),
    ]
    if tuned.bundled is not None:
        rows += [
            ("package's threshold", f"{tuned.bundled.value:.3f}, {tuned.bundled_data}"),
            ("  FMR here", rate_in_words(tuned.bundled.fmr)),
            ("  FNMR here", rate_in_words(tuned.bundled.fnmr)),
        ]
    rows.append(("Cllr, ECE", f"{made.cllr:.4f} bits, {per_cent(made.ece, 2)} (cross-validated)"))
    print_table(("measure", "value"), rows)
    for suspect in cleaning.suspects:
        names = ", ".join(tuned.name(i) for i in suspect.photos)
        person = tuned.people.names[suspect.person]
        other = None if suspect.other is None else tuned.people.names[suspect.other]
        if suspect.kind == "two people":
            print_note(f"suspected: {names}: another person than the rest of {person}")
        elif suspect.kind == "unlike":
            print_note(
                f"suspected: {names}: unlike the others of {person} (similarity {suspect.own:.2f} "
                "on average), and not clearly somebody else here"
            )
        elif suspect.kind == "undecided":
            print_note(
                f"suspected: {names}: they disagree (similarity {suspect.own:.2f} on average), and "
                f"which of them show {person} cannot be said"
            )
        elif suspect.kind == "one person":
            print_note(f"suspected: {names}: {person} and {other} seem to be one person")
        elif suspect.kind == "two names":
            print_note(f"suspected: {names}: also in the folder of {other}")
        else:
            print_note(f"suspected: {names}: seems to be {other}")
    bad = "" if tuned.conditions is None else tuned.conditions.in_words
    notes = (
        tuned.comparison,
        bad,
        suspects_in_words(tuned),
        looked_for(tuned.cleaning),
        *tuned.notes,
    )
    for note in notes:
        if note:
            print_note(f"note: {note}")
