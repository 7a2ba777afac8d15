"""Models of the user's own, which are known under their names on this machine.

    folder()          where they lie: LINEAMENT_MODELS, else the platform's folder for data
    remove(name)      forget one, and delete its files

``lineament.zoo.adding`` puts them there: the networks, and ``manifest.json``, which is read like
one that LINEAMENT_MANIFEST names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lineament.errors import OptionError, UnknownWeightsError, WeightsError
from lineament.files import locked, write_atomically
from lineament.models.cards import SCHEMA, Card, read_text
from lineament.models.folders import platform_folder
from lineament.text import reason_of

MANIFEST = "manifest.json"

_LOCK = ".lock"
_WAIT_S = 60.0


def folder() -> Path:
    """Where added models lie; it need not exist.

    Raises:
        WeightsError: there is no home folder, and LINEAMENT_MODELS is not set.
    """
    return platform_folder(
        "LINEAMENT_MODELS",
        "~/Library/Application Support",
        "XDG_DATA_HOME",
        "~/.local/share",
        "models of your own",
        inside="lineament/models",
    )


def manifest() -> Path | None:
    """The manifest of added models; None: there are none."""
    try:
        path = folder() / MANIFEST
        return path if path.is_file() else None
    except (WeightsError, OSError, ValueError):
        return None


def cards() -> list[Card]:
    """The added models, in the order in which they were added.

    Raises:
        WeightsError: their manifest is unusable.
    """
    from lineament.models.manifest import read_manifest  # few starts need it

    path = manifest()
    return [] if path is None else read_manifest(path)


@contextmanager
def changing() -> Iterator[Path]:
    """Hold the lock of the folder, which is made; yields it.

    Raises:
        OptionError: it cannot be made, or another process adds or removes a model and takes long.
    """
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = locked(
            place / _LOCK,
            busy=lambda who: OptionError(f"{place}: {who} is adding or removing a model"),
            wait_s=_WAIT_S,
        )
    except OSError as error:
        raise OptionError(
            f"{place}: models cannot be kept there ({reason_of(error)})",
            hint="LINEAMENT_MODELS names another folder",
        ) from error
    with lock:
        yield place


def remove(name: str) -> Card:
    """Forget a model that was added, and delete its files.

    Args:
        name: of it.

    Returns:
        Its entry.

    Raises:
        UnknownWeightsError: none of that name was added; the message lists those that were.
        OptionError: the folder cannot be written to.
    """
    with changing() as place:
        found = {card.name: card for card in cards()}
        if name not in found:
            listed = ", ".join(found) or "none"
            raise UnknownWeightsError(
                f"expected a model that was added, got {name!r}; added are: {listed}"
            )
        gone = found.pop(name)
        path = place / MANIFEST
        raw = json.loads(read_text(path).decode("utf-8-sig"))
        entries = raw["weights"] if isinstance(raw, dict) and "weights" in raw else [raw]
        left = [entry for entry in entries if entry["name"] != name]
        text = json.dumps({"schema": SCHEMA, "weights": left}, indent=2, ensure_ascii=False)
        write_atomically(path, f"{text}\n".encode())
        shared = {card.file for card in found.values()}
        if gone.file is not None and gone.file not in shared:
            for file in (place / gone.file, (place / gone.file).with_suffix(".toml")):
                try:
                    file.unlink(missing_ok=True)
                except OSError as error:
                    raise OptionError(f"{file}: cannot be removed ({reason_of(error)})") from error
    return gone
