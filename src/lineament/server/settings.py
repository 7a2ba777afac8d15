"""What can be set of a server: flags go before the environment, that before a TOML file.

``load_settings`` says of each value where it is from; ``lineament serve --print-config`` shows it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from lineament.detect import DEFAULT_DETECTOR
from lineament.errors import OptionError
from lineament.machine import processors
from lineament.models import DEFAULT_PRESET
from lineament.models.folders import platform_folder
from lineament.text import reason_of

PREFIX = "LINEAMENT_SERVER_"
"""Of the environment's variables: ``LINEAMENT_SERVER_PORT``."""

Origin = Literal["default", "file", "environment", "flag"]


def data_folder() -> Path:
    """Where galleries, keys and jobs of a server lie unless another folder is named.

    Raises:
        WeightsError: there is no home folder.
    """
    return platform_folder(
        "LINEAMENT_SERVER_DATA",
        "~/Library/Application Support",
        "XDG_DATA_HOME",
        "~/.local/share",
        "a server's data",
        inside="lineament/server",
    )


def make_data(folder: Path) -> None:
    """Make the data folder if need be, of its owner alone.

    Raises:
        OptionError: it cannot be made, or is no folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OptionError(
            f"{folder}: expected a folder, or a place for one ({reason_of(error)}); name another",
            option="data",
        ) from error


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of a server.

    Attributes: as the help texts say; ``help_of`` returns them.

    Raises:
        OptionError: a value out of range; it names the setting.
    """

    host: str = field(
        default="127.0.0.1", metadata={"help": "address to listen on; 0.0.0.0 for all"}
    )
    port: int = field(default=8000, metadata={"help": "port to listen on; 0: a free one"})
    data: Path = field(
        default_factory=data_folder,
        metadata={"help": "folder of galleries, keys, jobs and the audit log"},
    )
    workers: int = field(default=1, metadata={"help": "processes that answer"})
    threads: int = field(
        default=0,
        metadata={"help": "threads of each process that compute; 0: one for each processor"},
    )
    queue: int = field(
        default=64, metadata={"help": "requests that wait for a thread at most; more get 429"}
    )
    recognizer: str = field(
        default=DEFAULT_PRESET, metadata={"help": "recognizer of comparisons and of new galleries"}
    )
    detector: str = field(default=DEFAULT_DETECTOR, metadata={"help": "what finds faces"})
    max_body_bytes: int = field(
        default=32 << 20, metadata={"help": "bytes of a request's body at most"}
    )
    max_pixels: int = field(default=50_000_000, metadata={"help": "pixels of a photo at most"})
    max_waiting_bytes: int = field(
        default=512 << 20,
        metadata={"help": "bytes of all bodies of requests under way at most; more get 429"},
    )
    connections: int = field(
        default=1000, metadata={"help": "open connections of each process at most"}
    )
    header_timeout_s: float = field(
        default=10.0, metadata={"help": "seconds in which a request's header has to come"}
    )
    keep_alive_s: float = field(
        default=10.0, metadata={"help": "seconds that a connection without requests stays open"}
    )
    body_timeout_s: float = field(
        default=20.0, metadata={"help": "seconds in which a request's body has to come"}
    )
    request_timeout_s: float = field(
        default=60.0, metadata={"help": "seconds until a request is given up"}
    )
    drain_s: float = field(
        default=30.0, metadata={"help": "seconds that requests have to end when the server stops"}
    )
    tls_certificate: Path | None = field(
        default=None, metadata={"help": "PEM file of the certificate; with it: https"}
    )
    tls_key: Path | None = field(
        default=None, metadata={"help": "PEM file of the certificate's key"}
    )
    urls: bool = field(
        default=False, metadata={"help": "photos may be named by public http and https addresses"}
    )
    cors: tuple[str, ...] = field(
        default=(), metadata={"help": "origins of other sites' pages that may call"}
    )
    liveness_sessions: int = field(default=16, metadata={"help": "liveness sessions at once"})
    streams: int = field(default=4, metadata={"help": "cameras that are watched at once"})
    stream_private: bool = field(
        default=False,
        metadata={"help": "admins may name cameras of the server's own network"},
    )
    max_upload_bytes: int = field(
        default=2 << 30, metadata={"help": "bytes of what is sent with a job at most"}
    )
    upload_timeout_s: float = field(
        default=3600.0, metadata={"help": "seconds in which what is sent with a job has to come"}
    )
    jobs_keep_h: float = field(
        default=24.0, metadata={"help": "hours for which the results of jobs are kept"}
    )
    page: bool = field(default=True, metadata={"help": "serve the page, too"})
    log: Literal["text", "json"] = field(default="text", metadata={"help": "form of the log"})

    def __post_init__(self) -> None:
        """Validate, and fill in what depends on the machine."""
        if self.threads == 0:
            object.__setattr__(self, "threads", processors())
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise OptionError(f"expected {least} to {most}, got {value}", option=name)
        if (self.tls_certificate is None) != (self.tls_key is None):
            missing = "tls_key" if self.tls_key is None else "tls_certificate"
            raise OptionError("expected both files of TLS, or none", option=missing)
        if self.log not in ("text", "json"):
            raise OptionError(f'expected "text" or "json", got {self.log!r}', option="log")
        if "*" in self.cors:
            raise OptionError("expected origins such as https://example.org, got *", option="cors")


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("port", 0, 65_535),
    ("workers", 1, 64),
    ("threads", 1, 256),
    ("queue", 0, 100_000),
    ("max_body_bytes", 1 << 10, 1 << 32),
    ("max_pixels", 1 << 10, 1 << 30),
    ("max_waiting_bytes", 1 << 20, 1 << 40),
    ("connections", 1, 1_000_000),
    ("header_timeout_s", 0.1, 86_400),
    ("keep_alive_s", 0, 86_400),
    ("body_timeout_s", 0.1, 86_400),
    ("request_timeout_s", 0.1, 86_400),
    ("drain_s", 0, 86_400),
    ("liveness_sessions", 0, 10_000),
    ("streams", 0, 1000),
    ("max_upload_bytes", 1 << 10, 1 << 40),
    ("upload_timeout_s", 0.1, 7 * 86_400),
    ("jobs_keep_h", 0, 24 * 366),
)


def help_of() -> dict[str, str]:
    """Setting -> what it is."""
    return {entry.name: str(entry.metadata["help"]) for entry in fields(ServerSettings)}


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[ServerSettings, dict[str, str]]:
    """Settings of flags, environment and file, in this order of precedence.

    Args:
        flags: by name; None stands for one that was not given.
        file: TOML with the settings' names as keys; None: the one that the environment names by
            LINEAMENT_SERVER_CONFIG, if any.
        environment: None takes the process's own.

    Returns:
        The settings, and of each the origin: "default", "flag --port", "environment
        LINEAMENT_SERVER_PORT" or "file PATH".

    Raises:
        OptionError: an unknown name, a value of another kind or out of range, or a file that
            cannot be read; it says where the value is from.
    """
    environment = os.environ if environment is None else environment
    if file is None and environment.get(f"{PREFIX}CONFIG"):
        file = Path(environment[f"{PREFIX}CONFIG"])
    values: dict[str, Any] = {}
    origins = {entry.name: "default" for entry in fields(ServerSettings)}
    if file is not None:
        for name, value in _read(file).items():
            if name not in origins:
                raise OptionError(
                    f"{file}: unknown setting {name!r}; there are {', '.join(origins)}",
                    option="config",
                )
            values[name], origins[name] = _of_file(name, value, file), f"file {file}"
    for name in origins:
        text = environment.get(f"{PREFIX}{name.upper()}")
        if text is not None and text != "":
            variable = f"{PREFIX}{name.upper()}"
            values[name], origins[name] = _of_text(name, text, variable), f"environment {variable}"
    for name, value in (flags or {}).items():
        if value is not None and value != ():
            values[name], origins[name] = value, f"flag --{name.replace('_', '-')}"
    try:
        return ServerSettings(**values), origins
    except OptionError as error:
        origin = origins.get(str(error.option), "default")
        if origin.startswith(("flag", "default")):
            raise
        raise OptionError(f"{error.message} (from {origin})", option=error.option) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(
            f"{file}: expected a TOML file ({reason_of(error)})", option="config"
        ) from error


_KINDS: dict[str, str] = {entry.name: str(entry.type) for entry in fields(ServerSettings)}


def _of_file(name: str, value: Any, file: Path) -> Any:
    kind = _KINDS[name]
    if kind.startswith("Path") and isinstance(value, str):
        return (file.parent / value).absolute()
    if kind.startswith("tuple") and isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return tuple(value)
    elif kind == "bool":
        if isinstance(value, bool):
            return value
    elif kind in ("int", "float"):
        number = int if kind == "int" else (int, float)
        if isinstance(value, number) and not isinstance(value, bool):
            return value
    elif isinstance(value, str):
        return value
    raise OptionError(f"{file}: expected {_expected(kind)}, got {value!r}", option=name)


def _of_text(name: str, text: str, variable: str) -> Any:
    kind = _KINDS[name]
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
                text.strip().lower()
            ]
    except (ValueError, KeyError) as error:
        raise OptionError(
            f"expected {_expected(kind)}, got {text!r} (from {variable})", option=name
        ) from error
    if kind.startswith("Path"):
        return Path(text).absolute()
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _expected(kind: str) -> str:
    return {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "str": "a text",
    }.get(kind, "a path" if kind.startswith("Path") else "a list of texts")
