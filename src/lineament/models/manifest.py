"""Descriptions of weights, read from JSON and TOML and checked key by key.

A description may come from anywhere, so nothing in it is taken on trust: unknown, missing and
doubled keys, wrong types, paths that lead out of the manifest's folder, addresses that are not
HTTP and control characters are errors that name the entry and the key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, cast, get_args
from urllib.parse import urlsplit

from lineament.errors import WeightsError
from lineament.models.cards import (
    CommercialUse,
    InputSpec,
    Measurement,
    Member,
    NormTerm,
    Source,
    Task,
    Threshold,
    Weights,
)

T = TypeVar("T")

SCHEMA = 1

LARGEST_TEXT_FILE = 4 << 20  # a manifest beyond 4 MiB is a mistake or an attack
LARGEST_WEIGHTS = 1 << 36  # 64 GiB

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
NAME_RULE = 'up to 64 of a-z, 0-9, ".", "_", "-", the first a letter or a digit'
# SPDX specification, annex "SPDX license expressions": idstring = 1*(ALPHA / DIGIT / "-" / ".").
SPDX_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-")

ENTRY_NEEDS = (
    *("name", "task", "sha256", "bytes", "input", "dimension", "alignment"),
    *("license_code", "license_weights", "commercial_use", "training_data"),
)
ENTRY_TAKES = (
    *("file", "url", "license_file", "source", "paper", "measured", "thresholds", "notes"),
    *("members", "norm_term"),
)
INPUT_NEEDS = ("size_wh", "color_order", "mean", "scale")
FILE_TAKES = (
    *("name", "task", "dimension", "alignment", "license_code", "license_weights"),
    *("commercial_use", "training_data", "paper", "notes"),
)


def read_manifest(path: Path) -> list[Weights]:
    """The entries of a manifest, in its order. Read again only when the file has changed.

    Raises:
        WeightsError: it is not a manifest; the message names the entry and the key.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise WeightsError(f"manifest: {error}") from error
    return list(_parse_manifest(path, state.st_mtime_ns, state.st_size))


def read_toml(path: Path) -> dict[str, Any]:
    """The keys of a TOML file.

    Raises:
        WeightsError: it is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(_read_text(path))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise WeightsError(f"{path}: expected TOML: {error}") from error


def describe_file(values: dict[str, Any], path: Path, sha256: str, size: int) -> Weights:
    """The entry of a file that no manifest knows, from the keys of ``weights.from_file``.

    Raises:
        WeightsError: a key is unknown, missing or of the wrong type.
    """
    where = f"{path.name}: input spec"
    Table(where, values, required=INPUT_NEEDS, optional=("layout", *FILE_TAKES))
    given = {key: values[key] for key in FILE_TAKES if key in values}
    network = {key: values[key] for key in (*INPUT_NEEDS, "layout") if key in values}
    if network["size_wh"] == "dynamic":
        network["size_wh"] = None
    name = "".join(c if c in NAME_CHARACTERS else "-" for c in path.stem.lower()).strip("._-")
    defaults = {
        "name": name[:64] if name else "model",
        "task": "recognizer",
        "dimension": None,
        "alignment": "arcface-112" if given.get("task", "recognizer") == "recognizer" else None,
        "license_code": "unknown",
        "license_weights": "unknown",
        "commercial_use": "unknown",
        "training_data": "unknown",
    }
    described = {"sha256": sha256, "bytes": size, "input": network}
    entry = _entry(defaults | given | described, where, path.parent)
    return replace(entry, file=path.name)


def is_name(value: object) -> bool:
    """Whether an entry may be called that: ``NAME_RULE``."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 64
        and NAME_CHARACTERS.issuperset(value)
        and value[0] not in "._-"
    )


@lru_cache(maxsize=32)
def _parse_manifest(path: Path, mtime_ns: int, size: int) -> tuple[Weights, ...]:
    """The entries; the other arguments only tell the cache that the file has changed."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):  # which of the two would count is not for a parser to guess
            raise WeightsError(f"{path}: a key occurs twice among {show(list(values))}")
        return values

    try:
        raw = json.loads(_read_text(path), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: expected a manifest in JSON: {error}") from error
    table = Table(str(path), raw, required=("schema", "weights"))
    if table.whole("schema", 1, 1 << 31) != SCHEMA:
        raise table.wrong("schema", f"{SCHEMA}, the only one that this version reads")
    found: dict[str, Weights] = {}
    for i, value in enumerate(table.items("weights")):
        name = value.get("name") if isinstance(value, dict) else None
        label = f"weights {show(name)}" if isinstance(name, str) else f"weights[{i}]"
        entry = _entry(value, f"{path}: {label}", path.parent)
        if entry.file is None and entry.url is None and not entry.members:
            raise WeightsError(f'{path}: {label}: expected a path at "file" or an address at "url"')
        if entry.name in found:
            raise WeightsError(f"{path}: {label}: the name occurs twice")
        found[entry.name] = entry
    return tuple(found.values())


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_TEXT_FILE + 1)
    except OSError as error:
        raise WeightsError(f"{path}: {error}") from error
    if len(data) > LARGEST_TEXT_FILE:
        raise WeightsError(f"{path}: expected at most {LARGEST_TEXT_FILE} bytes of text, got more")
    return data.decode("utf-8-sig")


def _entry(raw: object, where: str, folder: Path) -> Weights:
    table = Table(where, raw, required=ENTRY_NEEDS, optional=ENTRY_TAKES)
    entry = Weights(
        name=table.name("name"),
        task=cast(Task, table.choice("task", get_args(Task))),
        sha256=table.sha256("sha256"),
        bytes=table.whole("bytes", 1, LARGEST_WEIGHTS),
        input=_input(Table(f"{where}: input", table.get("input"), INPUT_NEEDS, ("layout",))),
        dimension=table.maybe("dimension", table.whole, 1, 1 << 16),
        alignment=table.maybe("alignment", table.text),
        license_code=table.spdx("license_code"),
        license_weights=table.spdx("license_weights"),
        commercial_use=cast(CommercialUse, table.choice("commercial_use", get_args(CommercialUse))),
        training_data=table.text("training_data"),
        file=table.maybe("file", table.relative_path),
        url=table.maybe("url", table.url),
        license_file=table.maybe("license_file", table.relative_path),
        source=None if table.get("source") is None else _source(table),
        paper=table.maybe("paper", table.text),
        measured=_measured(table),
        thresholds=tuple(_thresholds(table)),
        notes=table.maybe("notes", table.text),
        members=tuple(_members(table)),
        norm_term=None if table.get("norm_term") is None else _norm_term(table),
        folder=folder,
    )
    if entry.members and (entry.task != "recognizer" or entry.file is not None):
        raise table.wrong("members", "null for anything but a recognizer without a file")
    if entry.members and entry.dimension is None:
        raise table.wrong("dimension", "the sum of the members' dimensions")
    if entry.norm_term is not None and not entry.members:
        raise table.wrong("norm_term", "null, since the entry has no members")
    if (entry.alignment is None) == (entry.task == "recognizer"):
        raise table.wrong("alignment", "a text for recognizers and null for the other tasks")
    if entry.dimension is not None and entry.task != "recognizer":
        raise table.wrong("dimension", "null, since only recognizers have an embedding")
    if entry.commercial_use == "yes" and "-nc" in entry.license_weights.casefold():
        raise table.wrong("commercial_use", f'"no", which is what {entry.license_weights} says')
    return entry


def _input(table: Table) -> InputSpec:
    size_wh = None
    if table.get("size_wh") is not None:
        sides = table.items("size_wh")
        if len(sides) != 2 or not all(_is_whole(side, 1, 1 << 14) for side in sides):
            raise table.wrong("size_wh", "width and height in pixels, or null for any size")
        size_wh = (sides[0], sides[1])
    scale = table.number("scale")
    if scale == 0:
        raise table.wrong("scale", "a number that is not 0")
    table.choice("layout", ("nchw",), default="nchw")
    return InputSpec(
        size_wh=size_wh,
        color_order=cast(Any, table.choice("color_order", ("rgb", "bgr", "gray"))),
        mean=table.number("mean"),
        scale=scale,
    )


def _source(parent: Table) -> Source:
    keys = ("package", "version", "path")
    table = Table(f"{parent.where}: source", parent.get("source"), keys)
    return Source(*(table.text(key) for key in keys))


def _measured(parent: Table) -> dict[str, Measurement]:
    if parent.get("measured") is None:
        return {}
    names = Table(f"{parent.where}: measured", parent.get("measured"))
    scores = {}
    for name in names.values:
        table = Table(f"{names.where}: {show(name)}", names.get(name), ("value", "protocol"))
        scores[name] = Measurement(table.number("value"), table.text("protocol"))
    return scores


def _thresholds(parent: Table) -> list[Threshold]:
    if parent.get("thresholds") is None:
        return []
    found = []
    for i, value in enumerate(parent.items("thresholds")):
        keys = ("metric", "threshold", "fmr", "flip", "data", "n_impostor_pairs")
        table = Table(f"{parent.where}: thresholds[{i}]", value, keys)
        fmr = table.number("fmr")
        if not 0 <= fmr <= 1:
            raise table.wrong("fmr", "a rate from 0 to 1")
        found.append(
            Threshold(
                metric=table.text("metric"),
                threshold=table.number("threshold"),
                fmr=fmr,
                flip=table.truth("flip"),
                data=table.text("data"),
                n_impostor_pairs=table.whole("n_impostor_pairs", 1, 1 << 50),
            )
        )
    return found


def _members(parent: Table) -> list[Member]:
    if parent.get("members") is None:
        return []
    found = []
    for i, value in enumerate(parent.items("members")):
        table = Table(f"{parent.where}: members[{i}]", value, ("name", "share"))
        share = table.number("share")
        if not 0 < share <= 1:
            raise table.wrong("share", "a share above 0 and up to 1")
        found.append(Member(table.name("name"), share))
    if abs(sum(member.share for member in found) - 1) > 1e-6:
        raise parent.wrong("members", "shares that sum to 1")
    return found


def _norm_term(parent: Table) -> NormTerm:
    keys = ("mean", "sd", "offset", "slope", "least", "most")
    table = Table(f"{parent.where}: norm_term", parent.get("norm_term"), keys)
    if table.number("sd") <= 0:
        raise table.wrong("sd", "a number above 0")
    if table.number("least") >= table.number("most"):
        raise table.wrong("least", 'a number below that of "most"')
    return NormTerm(*(table.number(key) for key in keys))


class Table:
    """One object of a manifest; each method reads one key and complains with its name."""

    def __init__(
        self,
        where: str,
        raw: object,
        required: Sequence[str] | None = None,
        optional: Sequence[str] = (),
    ) -> None:
        """``where`` begins each complaint; ``required`` None leaves the keys free."""
        self.where = where
        if not isinstance(raw, dict):
            raise WeightsError(f"{where}: expected an object with keys, got {show(raw)}")
        self.values: dict[str, Any] = raw
        if required is None:
            return
        allowed = (*required, *optional)
        for key in raw:
            if key not in allowed:
                raise WeightsError(f"{where}: unknown key {show(key)}; allowed: {_list(allowed)}")
        missing = [key for key in required if key not in raw]
        if missing:
            raise WeightsError(f"{where}: missing {_list(missing)}; needed: {_list(required)}")

    def get(self, key: str) -> Any:
        """The value as it is, None when the key is missing or null."""
        return self.values.get(key)

    def wrong(self, key: str, expected: str) -> WeightsError:
        """The error for this key's value."""
        return WeightsError(
            f'{self.where}: key "{key}": expected {expected}, got {show(self.get(key))}'
        )

    def maybe(self, key: str, read: Callable[..., T], *arguments: Any) -> T | None:
        """None when the key is missing or null, and what ``read`` makes of it otherwise."""
        return None if self.get(key) is None else read(key, *arguments)

    def text(self, key: str) -> str:
        """A text that is safe to print."""
        value = self.get(key)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.wrong(key, "a text without line breaks or control characters")
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """One of some words."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or value not in allowed:
            raise self.wrong(key, f"one of {_list(allowed)}")
        return value

    def whole(self, key: str, least: int, most: int) -> int:
        """A whole number."""
        if not _is_whole(self.get(key), least, most):
            raise self.wrong(key, f"a whole number from {least} to {most}")
        return int(self.get(key))

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, "a number")
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if not isfinite(number):
            raise self.wrong(key, "a finite number")
        return number

    def truth(self, key: str) -> bool:
        """True or false."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def items(self, key: str) -> Sequence[Any]:
        """A list."""
        value = self.get(key)
        if not isinstance(value, list | tuple):
            raise self.wrong(key, "a list")
        return value

    def name(self, key: str) -> str:
        """A name that is also part of a file's name."""
        value = self.get(key)
        if not is_name(value):
            raise self.wrong(key, NAME_RULE)
        return str(value)

    def spdx(self, key: str) -> str:
        """One SPDX identifier, or "unknown"."""
        value = self.get(key)
        if not isinstance(value, str) or not value or not SPDX_CHARACTERS.issuperset(value):
            raise self.wrong(key, 'one SPDX identifier such as "MIT", "LicenseRef-...", "unknown"')
        return value

    def sha256(self, key: str) -> str:
        """64 lower-case hexadecimal digits."""
        value = self.get(key)
        if not isinstance(value, str) or len(value) != 64 or not set(value) <= _HEX:
            raise self.wrong(key, "64 lower-case hexadecimal digits")
        return value

    def relative_path(self, key: str) -> str:
        """A path that stays in the manifest's folder, on every system."""
        value = self.text(key)
        bad = {"", ".", ".."}
        if any(c in value for c in "\\:") or any(part in bad for part in value.split("/")):
            raise self.wrong(key, 'a path below the manifest, with "/" and without ".."')
        return value

    def url(self, key: str) -> str:
        """An address that a plain HTTP client can fetch."""
        value = self.text(key)
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and parts.hostname is not None
            good = good and parts.username is None and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good or not value.isascii() or " " in value:
            raise self.wrong(key, "an http or https address without a user name")
        return value


_HEX = frozenset("0123456789abcdef")


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _list(words: Sequence[str]) -> str:
    return ", ".join(words)


def show(value: object) -> str:
    """A value as a message may show it: short, and without control characters."""
    try:
        text = json.dumps(value, default=repr)  # escapes whatever is not plain ASCII
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= 80 else f"{text[:77]}..."
