"""Losses and backbones by name: what builds them is imported when it is first used."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lineament.errors import MissingExtraError, OptionError


def looked_up(
    what: str,
    registry: Mapping[str, str],
    name: object,
    options: Collection[str],
    common: Collection[str],
) -> Callable[..., Any]:
    """Look up what builds the thing of that name, and check that it takes these options.

    Args:
        what: "loss" or "backbone", for messages.
        registry: name -> "module:attribute".
        name: which.
        options: names of the options that it will be given.
        common: parameters that all of them have, and that are no options.

    Raises:
        OptionError: no such name or option.
        MissingExtraError: PyTorch is not installed.
    """
    target = registry.get(name) if isinstance(name, str) else None
    if target is None:
        raise OptionError(f"expected one of {', '.join(registry)}, got {name!r}", option=what)
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "lineament":
            raise
        raise MissingExtraError("training", "train") from error
    built: Callable[..., Any] = getattr(module, attribute)
    known = [key for key in inspect.signature(built).parameters if key not in common]
    unknown = [key for key in options if key not in known]
    if unknown:
        raise OptionError(
            f"{what} {name}: expected options among {', '.join(known) or 'none'}, "
            f"got {', '.join(unknown)}"
        )
    return built
