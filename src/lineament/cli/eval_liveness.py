"""``lineament eval liveness DIR``: how many attacks pass, and how many living people do not."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command
from lineament.cli.eval import check_report
from lineament.cli.output import print_error, print_json, print_note, print_table
from lineament.cli.progress import stages
from lineament.cli.targets import writing
from lineament.errors import DataError


@command("lineament eval liveness ~/data/nuaa", name="liveness")
@argument("folder", type=FILE, metavar="DIR", help="Folder with living people and attacks.")
@options.report
@options.overwrite
@options.json
@options.recognizer(without=options.ONLY_FACES)
def liveness(folder: Path, report: Path | None, overwrite: bool, json: bool, **given: Any) -> None:
    """Liveness: attacks that pass, living people who do not.

    ISO/IEC 30107-3: APCER by kind of attack, BPCER and ACER, for one frame and for five of a
    presentation. The folder is laid out as NUAA, CASIA-FASD, Replay-Attack, CelebA-Spoof, or has
    real/ and a folder for each kind of attack. Whom the check is unsure of does not pass.
    """
    from lineament.datasets.liveness import read_liveness
    from lineament.evaluate.protocols.liveness import run_liveness
    from lineament.liveness.passive import load_passive

    check_report(report)
    data = read_liveness(folder)
    finder = options.finder_from(given)
    passive = load_passive(runtime=finder.runtime, policy=finder.policy)
    with stages() as show:
        result, _, _ = run_liveness(
            data, finder, passive, progress=lambda done, total: show("looking", done, total)
        )
    for message in result.run["unreadable"]:
        print_error(DataError(message))
    run = {"detector": finder.detector_name, "command": ["lineament", *sys.argv[1:]]}
    result = replace(result, run={**result.run, **run})
    if report is not None:
        from lineament.pictures.pages.result import write_report

        with writing(report, "report"):
            write_report(result, report)
    if json:
        print_json(result.to_dict())
        return
    rows = [("layout", data.layout), *result.rows()]
    print_table(("measure", "value"), rows, right=("value",))
    for note in result.notes:
        print_note(f"note: {note}")
