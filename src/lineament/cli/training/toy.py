"""``lineament train toy FOLDER --out DIR``: what margins do, in two dimensions."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lineament.cli.output import make_folder, print_json, print_note, print_pairs, print_table
from lineament.errors import OptionError

KEYS = ("people", "photos_each", "losses", "epochs", "size_px", "seed")
"""What ``--set`` may change; see ``lineament.train.toy.toy``."""


def run_toy(
    folder: Path | None, changes: Sequence[str] | None, out: Path | None, json: bool
) -> None:
    """Train, write ``toy.png`` and ``toy.json``, print the table.

    Raises:
        OptionError: no folder, no --out, or an unknown key.
    """
    if folder is None or out is None:
        raise OptionError("toy: expected FOLDER and --out DIR")
    from lineament.train.tables import parse_value

    given: dict[str, Any] = {}
    for change in () if changes is None else changes:
        key, equals, text = change.partition("=")
        if equals == "" or key.strip() not in KEYS:
            raise OptionError(f"--set: expected one of {', '.join(KEYS)} with =VALUE, got {change}")
        given[key.strip()] = parse_value(text.strip())
    from lineament.cli.training.train import check_torch

    check_torch()
    from lineament.pictures.charts.training import check_extra
    from lineament.train.toy import toy

    check_extra()
    for key, value in given.items():
        default = inspect.signature(toy).parameters[key].default
        wanted = (list, tuple) if key == "losses" else type(default)
        if not isinstance(value, wanted) or isinstance(value, bool):
            kind = "a list of names" if key == "losses" else "a whole number"
            raise OptionError(f"{key}: expected {kind}, got {value!r}")
    make_folder(out, "--out")
    result = toy(folder, progress=_told(), **given)
    for note in result.notes:
        print_note(note)
    result.save(out / "toy.png")
    if json:
        print_json({**result.to_dict(), "out": str(out / "toy.png")})
        return
    rows = [
        (
            each.name,
            f"{each.within_deg:.1f}",
            f"{each.least_between_deg:.1f}",
            f"{each.accuracy:.1%}",
        )
        for each in result.losses
    ]
    headings = ("loss", "within a person, degrees", "least between two", "accuracy")
    print_table(headings, rows, right=headings[1:])
    print_pairs([("picture", str(out / "toy.png"))])


def _told() -> Any:
    last = [""]

    def tell(what: str, done: int, total: int) -> None:
        if what != last[0] and done <= total:
            last[0] = what
            print_note(what)

    return tell
