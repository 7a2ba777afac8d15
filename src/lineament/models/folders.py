"""Where this package keeps what is not part of it: the user's word, else the platform's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lineament.errors import WeightsError


def platform_folder(
    variable: str, mac: str, xdg: str, other: str, what: str, *, inside: str = "lineament"
) -> Path:
    """The folder that ``variable`` names, else ``inside`` of what the platform has for it.

    Args:
        variable: of the environment, asked first.
        mac, xdg, other: the platform's folder on macOS; the variable of the XDG specification that
            names it elsewhere, and the folder where that is not set.
        what: lies there, for the message.
        inside: of the platform's folder.

    Raises:
        WeightsError: there is no home folder.
    """
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        parent = mac
    else:
        parent = os.environ.get(xdg)
        if parent and not Path(parent).is_absolute():
            parent = None  # the XDG specification: relative paths are to be ignored
    try:
        return (Path(parent) if parent else Path(other)).expanduser() / inside
    except RuntimeError as error:
        raise WeightsError(f"no home folder for {what}: set {variable} to a folder") from error
