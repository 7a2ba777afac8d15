"""Libraries that report their use, or write into the home folder, are kept from both.

    silence()                          before the first of them is imported
    with quiet_import("openvino"):     around an import of OpenVINO, NNCF or matplotlib
        import openvino

OpenVINO and NNCF report to Google Analytics when they are imported, and keep a client's number in
the home folder; ONNX Runtime reports to Microsoft some seconds after it was imported, and keeps a
database in the cache folder; Ray reports the use of a cluster that it starts; matplotlib keeps a
list of the fonts. Nothing here changes what a program does with these libraries itself: OpenVINO's
``convert_model``, which is what reports, is imported when somebody asks for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lineament.files import is_own, is_real_folder

VARIABLES = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}
"""Of the environment, which processes that are started inherit. ONNX Runtime reads its own when it
is imported; what its ``disable_telemetry_events`` does comes too late."""

_CONVERTER = "openvino.tools.ovc"
_KEPT_OUT = {
    "openvino": (_CONVERTER, "openvino_telemetry"),
    "nncf": (_CONVERTER, "openvino_telemetry"),
}
"""Modules that are not to be imported along; both libraries do without."""


def silence() -> None:
    """Set the variables that tell libraries not to report; those that are set stay as they are."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def quiet_import(package: str, *, folder: Path | None = None) -> Iterator[None]:
    """Import a library inside so that it reports nothing, and writes into no folder of the user's.

    Args:
        package: "openvino", "nncf" or "matplotlib"; of any other one ``silence`` is enough.
        folder: where matplotlib may keep its list of fonts; where it cannot be made, a temporary
            one is taken, and removed again.
    """
    silence()
    if package in sys.modules:
        yield
    elif package == "matplotlib":
        with _fonts_in(folder):
            yield
    else:
        with _kept_out(_KEPT_OUT.get(package, ())):
            yield


@contextlib.contextmanager
def _kept_out(modules: tuple[str, ...]) -> Iterator[None]:
    blocked = [name for name in modules if name not in sys.modules]
    before = sys.modules.get("openvino")
    for name in blocked:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in blocked:
            if sys.modules.get(name, blocked) is None:
                del sys.modules[name]
        openvino = sys.modules.get("openvino")
        if before is None and openvino is not None and _CONVERTER in blocked:
            _convert_later(openvino)


def _convert_later(openvino: Any) -> None:
    """Let ``openvino.convert_model`` be imported when it is first asked for."""

    def missing(name: str) -> Any:
        if name == "convert_model":
            from importlib import import_module

            openvino.convert_model = import_module(_CONVERTER).convert_model
            return openvino.convert_model
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")

    if not hasattr(openvino, "__getattr__") and not hasattr(openvino, "convert_model"):
        openvino.__getattr__ = missing


@contextlib.contextmanager
def _fonts_in(folder: Path | None) -> Iterator[None]:
    """Have matplotlib keep its files there for the import; the user's settings still hold."""
    if "MPLCONFIGDIR" in os.environ:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            if folder is None:
                raise OSError
            folder.mkdir(parents=True, exist_ok=True)
            own = is_real_folder(folder) and is_own(folder.stat())  # what it holds is believed
            writable = own and os.access(folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            import tempfile  # not needed at every start

            made = tempfile.TemporaryDirectory(prefix="lineament-fonts-")
            folder = Path(stack.enter_context(made))
        changed = {"MPLCONFIGDIR": str(folder)}
        settings = _settings_of_matplotlib()
        if settings is not None and "MATPLOTLIBRC" not in os.environ:
            changed["MATPLOTLIBRC"] = str(settings)
        os.environ.update(changed)
        try:
            yield
        finally:
            for name in changed:
                os.environ.pop(name, None)
            matplotlib = sys.modules.get("matplotlib")
            for name in ("get_cachedir", "get_configdir"):  # asked anew: styles are the user's
                clear = getattr(getattr(matplotlib, name, None), "cache_clear", None)
                if clear is not None:
                    clear()


def _settings_of_matplotlib() -> Path | None:
    """The user's own matplotlibrc, where it would be found."""
    config = os.environ.get("XDG_CONFIG_HOME")
    folders = [Path(config)] if config else []
    with contextlib.suppress(RuntimeError):  # no home folder
        home = Path.home()
        folders += [home / ".config", home]
    for parent in folders:
        for name in ("matplotlib", ".matplotlib"):
            path = parent / name / "matplotlibrc"
            if path.is_file():
                return path
    return None
