"""What runs a model, by name: detectors, landmarkers and embedders, those of plugins among them.

Each stage has one ``Registry``. Its own builders stand there as "module:attribute", so that a
module is imported only when it is used; others are added by a decorator:

    from lineament.detect import register_detector

    @register_detector("mine", models=("my-model",))
    class Mine:
        def __init__(self, model): ...
        def detect(self, image, options): ...

A plugin is a module that does so when it is imported. It is found by its entry point in the group
``lineament.models`` of the package that brings it (pyproject.toml:
``[project.entry-points."lineament.models"]`` ``mine = "my_package.faces"``), or by the environment
variable ``LINEAMENT_PLUGINS``: modules, joined by commas. Installed ones are looked for only when a
name is not known otherwise, or all names are listed, since that takes time.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from lineament.errors import OptionError

GROUP = "lineament.models"

Builder = TypeVar("Builder", bound=Callable[..., Any])

_loaded: set[str] = set()


class Entry(NamedTuple):
    """One builder, and the models that it takes.

    Attributes:
        target: "module:attribute", or the builder itself.
        models: names of cards.
    """

    target: str | Callable[..., Any]
    models: tuple[str, ...] = ()


class Registry(Generic[Builder]):
    """The builders of one kind, by name."""

    def __init__(self, kind: str, own: dict[str, Entry]) -> None:
        """``kind``: for messages, "detector"; ``own``: the package's."""
        self.kind = kind
        self._entries = dict(own)

    def register(self, name: str, *, models: tuple[str, ...] = ()) -> Callable[[Builder], Builder]:
        """Add a builder; a decorator.

        Args:
            name: how it is asked for; lower-case letters, digits, ".", "_" and "-".
            models: names of the cards of the models that it takes.

        Raises:
            OptionError: the name is taken by another builder, or cannot be one.
        """
        from lineament.models.cards import NAME_RULE, is_name

        if not is_name(name):
            raise OptionError(f"expected {NAME_RULE}, got {name!r}", option=self.kind)

        def add(builder: Builder) -> Builder:
            there = self._entries.get(name)
            if there is not None and not _same(there.target, builder):
                raise OptionError(f"the name {name!r} is taken: choose another", option=self.kind)
            self._entries[name] = Entry(builder, tuple(models))
            return builder

        return add

    def names(self) -> tuple[str, ...]:
        """All of them, the package's own first; imports the plugins."""
        load_plugins()
        return tuple(self._entries)

    def find(self, name: str) -> Entry | None:
        """The entry of that name, or None; plugins are imported if need be."""
        if name not in self._entries:
            load_plugins(installed=False)
        if name not in self._entries:
            load_plugins()
        return self._entries.get(name)

    def get(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            OptionError: there is none; the message lists those that there are.
        """
        found = self.find(name)
        if found is None:
            names = ", ".join(self.names())
            raise OptionError(f"expected one of {names}, got {name!r}", option=self.kind)
        return found

    def code_sha256(self, name: str) -> str | None:
        """The SHA-256 of the file that brings a builder; None for the package's own."""
        target = self.get(name).target
        if isinstance(target, str):
            return None
        import hashlib

        path = getattr(sys.modules.get(target.__module__), "__file__", None)
        data = b"" if path is None else Path(path).read_bytes()
        return hashlib.sha256(data).hexdigest()

    def builder(self, name: str) -> Builder:
        """The builder of that name, imported. Raises as ``get``."""
        target = self.get(name).target
        if isinstance(target, str):
            module, _, attribute = target.partition(":")
            target = getattr(importlib.import_module(module), attribute)
        built: Builder = target  # type: ignore[assignment]
        return built


def load_plugins(*, installed: bool = True) -> bool:
    """Import the plugins that are not imported yet; returns whether there were any.

    Args:
        installed: those of installed packages too, not only those of ``LINEAMENT_PLUGINS``.

    Raises:
        OptionError: a plugin cannot be imported.
    """
    modules = os.environ.get("LINEAMENT_PLUGINS", "").split(",")
    names = {name.strip(): "LINEAMENT_PLUGINS" for name in modules if name.strip()}
    if installed:
        from importlib.metadata import entry_points

        points = entry_points(group=GROUP)
        names = {point.module: f"entry point {point.name}" for point in points} | names
    new = [name for name in names if name not in _loaded]
    for name in new:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a stranger's module raises
            raise OptionError(
                f"{names[name]}: the plugin {name} cannot be imported: {error!r:.300}"
            ) from error
        _loaded.add(name)
    return bool(new)


def _same(one: object, other: object) -> bool:
    """Whether both are one builder, also when its module was imported anew."""
    names = ("__module__", "__qualname__")
    return one is other or (
        not isinstance(one, str)
        and all(getattr(one, key, 0) == getattr(other, key, 1) for key in names)
    )
