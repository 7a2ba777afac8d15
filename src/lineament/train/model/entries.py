"""Adding a model to the manifest beside it: is its name free, and which entries stay?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lineament.errors import OptionError
from lineament.models import read_manifest
from lineament.models.cards import NAME_RULE, is_name


def check_name(name: object) -> None:
    """Raise OptionError unless a manifest may have an entry of that name."""
    if not is_name(name):
        raise OptionError(f"expected {NAME_RULE}, got {name!r}", option="name")


def staying_entries(
    manifest: Path, name: str, target: Path, *, overwrite: bool
) -> list[dict[str, Any]]:
    """The entries of a manifest that stay, as they stand there; [] where there is no manifest yet.

    Args:
        manifest: its path.
        name: of the entry that will be added.
        target: its file.
        overwrite: an entry of that name may be replaced.

    Raises:
        OptionError: the name is taken, or the file belongs to another entry.
        WeightsError: the manifest is unusable.
    """
    if not manifest.exists():
        return []
    for known in read_manifest(manifest):  # checked as a whole before anything is added
        if known.name == name and not overwrite:
            raise OptionError(
                f"{manifest} has {name!r} already: choose another, or overwrite", option="name"
            )
        if known.name != name and known.file == target.name:
            raise OptionError(f"{target}: it belongs to {known.name!r} of {manifest.name}")
    raw = json.loads(manifest.read_text(encoding="utf-8-sig"))["weights"]
    return [entry for entry in raw if entry["name"] != name]
