"""``lineament eval NAME ...``: one command a protocol, each in a file of its own family."""

from __future__ import annotations

import typer

from lineament.cli.evaluation import (
    cfp,
    distractors,
    folder,
    groups,
    ijb,
    insightface,
    lfw,
    open_set,
    pair_lists,
    pairs,
    ytf,
)

app = typer.Typer(
    help="Measure on a standard benchmark, or on photos of your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
app.command("agedb")(pair_lists.agedb)
app.command("bin")(insightface.command)
app.command("calfw")(pair_lists.calfw)
app.command("cfp")(cfp.command)
app.command("cplfw")(pair_lists.cplfw)
app.command("distractors")(distractors.command)
app.command("folder")(folder.command)
app.command("groups")(groups.command)
app.command("ijb")(ijb.command)
app.command("lfw")(lfw.command)
app.command("open-set")(open_set.command)
app.command("pairs")(pairs.command)
app.command("ytf")(ytf.command)
