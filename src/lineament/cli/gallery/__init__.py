"""The gallery's commands, each family in a file of its own; ``add_to`` registers them.

enroll           enroll
enroll_folder    enroll-folder; folders lists its photographs, refusals reports
identify         identify; pictures draws
people           people, show
changes          remove, rename, merge, annotate
exchange         export, import
upkeep           reindex, migrate
opening          which gallery, and the recognizer that it was made with
values           KEY=VALUE, and filters
"""

from __future__ import annotations

import typer

from lineament.cli.gallery import (
    changes,
    enroll,
    enroll_folder,
    exchange,
    identify,
    people,
    upkeep,
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("enroll")(enroll.command)
    app.command("enroll-folder")(enroll_folder.command)
    app.command("identify")(identify.command)
    app.command("people")(people.list_command)
    app.command("show")(people.show_command)
    app.command("remove")(changes.remove_command)
    app.command("rename")(changes.rename_command)
    app.command("merge")(changes.merge_command)
    app.command("annotate")(changes.annotate_command)
    app.command("export")(exchange.export_command)
    app.command("import")(exchange.import_command)
    app.command("reindex")(upkeep.reindex_command)
    app.command("migrate")(upkeep.migrate_command)
