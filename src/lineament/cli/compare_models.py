"""``lineament models compare DIR``: which model, metric and alignment is best for these photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.numbers import COUNT
from lineament.cli.output import print_json, print_note, print_table
from lineament.cli.progress import stages
from lineament.cli.sources import say_not_looked_at_in
from lineament.cli.targets import PICTURE, Target, writing
from lineament.errors import OptionError
from lineament.text import per_cent

if TYPE_CHECKING:
    from lineament.evaluate.protocols.models import ModelComparison, ModelRow

_DRAWN = Target((*PICTURE.suffixes, ".svg", ".pdf"))


@command("lineament models compare ~/staff --out models.png")
@argument(
    "folder",
    type=FILE,
    metavar="DIR",
    help="One folder per person, or LFW with pairs.txt and the lists of View 1.",
)
@option("--models", metavar="NAME,NAME,...", help="Which models.", show_default="all there are")
@option("--metrics", metavar="NAME,NAME,...", help="Which metrics.", show_default="all")
@option(
    "--alignments",
    metavar="NAME,NAME,...",
    help="Some of five-points, eyes, crop and frontal.",
    show_default="the first three",
)
@option(
    "--view",
    choices=("1", "2"),
    default="1",
    show_default=True,
    help="Of LFW: 1 for choosing, 2 for reporting.",
)
@option("--most", type=COUNT, metavar="N", help="Photos read, of whole people.", show_default="all")
@option("--no-ensemble", is_flag=True, help="Leave the package's ensemble out.")
@option("--out", writes=_DRAWN, metavar="FILE.png", help="Draw the rows, with intervals.")
@options.seed
@options.overwrite
@options.json
@options.recognizer(
    without=(
        *options.ONLY_FACES,
        *("min_face", "min_score", "max_faces", "no_turning"),
    )
)
def compare(
    folder: Path,
    models: str | None,
    metrics: str | None,
    alignments: str | None,
    view: str,
    most: int | None,
    no_ensemble: bool,
    out: Path | None,
    seed: int,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """Which model is best for these photos, with which metric?

    Every model that is here, with every metric and alignment: accuracy with thresholds of other
    people, true accept rate, time, size, license; the ensemble below. A threshold comes from
    `lineament tune`, for the model that you chose.
    """
    from lineament.evaluate.protocols.models import compare_models

    if out is not None:
        from lineament.pictures.charts.files import check_extra

        check_extra()
    policy = options.policy_from(given["license_policy"])
    detector = given["detector"]
    say_not_looked_at_in(folder)
    with stages() as progress:
        found = compare_models(
            folder,
            models=_names(models, "models"),
            metrics=_names(metrics, "metrics"),
            alignments=_names(alignments, "alignments"),
            view=view,
            most=most,
            ensemble=not no_ensemble,
            seed=seed,
            runtime=options.runtime_from(given),
            policy=policy,
            progress=progress,
            **({} if detector is None else {"detector": detector}),
        )
    if out is not None:
        from lineament.pictures.charts import compared_models
        from lineament.pictures.charts.files import save

        with writing(out, "out"):
            save(compared_models(found.to_rows(), title=f"Models on {found.data}"), out)
    for note in found.notes:
        print_note(f"note: {note}")
    if json:
        print_json(found.to_rows())
    else:
        _print(found)


def _names(text: str | None, option: str) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise OptionError(f"expected names with commas between them, got {text!r}", option=option)
    return names


COLUMNS = (
    *("model", "metric", "alignment", "accuracy", "TAR at FMR 1e-3"),
    *("ms a face", "MB", "license"),
)


def _print(found: ModelComparison) -> None:
    """The rows; metrics of a model that give the same share one."""
    rows: list[list[str]] = []
    for row in found.rows:
        figures = _figures(row)
        if rows and _same_way(rows[-1], row, figures):
            rows[-1][1] += f", {row.metric}"
        else:
            rows.append([row.model, row.metric, row.alignment, *figures])
    print_table(COLUMNS, rows, right=COLUMNS[3:7])
    print_note(
        f"{found.data}: accuracy of {found.n_pairs:,} pairs, TAR of {found.n_genuine_pairs:,} and "
        f"{found.n_impostor_pairs:,}; in brackets what 95 % confidence leaves open"
    )


def _same_way(printed: list[str], row: ModelRow, figures: list[str]) -> bool:
    return printed[0] == row.model and printed[2:] == [row.alignment, *figures]


def _figures(row: ModelRow) -> list[str]:
    tar = "too few pairs"
    if row.tar is not None and row.tar_interval is not None:
        tar = f"{per_cent(row.tar, 2)} {_span(row.tar_interval)}"
    return [
        f"{per_cent(row.accuracy, 2)} {_span(row.accuracy_interval)}",
        tar,
        f"{row.ms:.1f}",
        f"{row.megabytes:.1f}",
        row.license if row.commercial_use == "yes" else f"{row.license}, not commercial",
    ]


def _span(interval: tuple[float, float]) -> str:
    low, high = (100 * end for end in interval)
    return f"({low:.1f} to {high:.1f})"
