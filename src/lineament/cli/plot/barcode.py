"""``lineament plot barcode DIR``, or A B [C]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation.measuring import NoCache, source_from
from lineament.cli.plot import drawing, faces
from lineament.errors import OptionError

Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="DIR | A B [C]",
        help="A folder, of which a true and a false pair are picked; or two photos, or three: "
        "then A and C are the other pair.",
    ),
]

CROPS_UP_TO = 60
"""Of so few photos all crops are kept; of more, those that are shown are read again."""


@options.with_recognizer()
def command(
    ctx: typer.Context,
    photos: Photos,
    out: drawing.Out = None,
    fmr: options.Fmr = None,
    threshold: faces.Threshold_ = None,
    no_cache: NoCache = False,
    json: options.Json = False,
) -> None:
    """Embeddings as barcodes, and the squared difference of two: a true pair and a false one."""
    target = drawing.check_out(out, "barcode", json, inputs=faces.inputs_of(photos))
    from lineament.explain.faces import with_crops
    from lineament.pictures.plots.barcode import barcode, pick_pairs

    one_folder = len(photos) == 1
    if not one_folder and len(photos) > 3:
        raise OptionError(f"expected a folder, or 2 or 3 photos, got {len(photos)}")
    source = source_from(ctx.params)
    limit = faces.threshold_of(ctx.params, source)
    known = faces.load(photos, source, crops_up_to=CROPS_UP_TO)
    if one_folder:
        picked = pick_pairs(known)
        rows = list(dict.fromkeys(row for pair in picked for row in pair))
        known = known.select(rows)
        if known.crops is None:
            known = with_crops(known, source.recognizer)
        pairs = [(rows.index(a), rows.index(b)) for a, b in picked]
    elif known.left_out:
        raise OptionError("expected a face in each photo; see above which has none")
    else:
        pairs = [(0, other) for other in range(1, len(known))]
    drawing.finish(barcode(known, pairs=pairs, threshold=limit), target, json)
