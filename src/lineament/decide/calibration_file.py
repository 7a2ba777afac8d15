"""The file of a calibration: JSON that people can read, checked as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from lineament.decide.metrics import get_metric
from lineament.decide.operating_points import Identification, OperatingPoint
from lineament.errors import DataError
from lineament.types import Contract

FORMAT = 1


def plain(value: Any) -> Any:
    """A value of a calibration as JSON has it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Contract):
        return asdict(value)
    if isinstance(value, Identification):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, OperatingPoint):
        return asdict(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def compact(text: str) -> str:
    """JSON of one level a line: lists of numbers on one line each."""
    lines: list[str] = []
    for line in text.split("\n"):
        deep = len(line) - len(line.lstrip(" ")) > 1
        if lines and (deep or (line.strip(" ,") in ("]", "}") and line.startswith(" "))):
            lines[-1] += line.strip() if lines[-1].endswith(("[", "{")) else " " + line.strip()
        else:
            lines.append(line)
    return "\n".join(lines)


_HUGE = 10**15
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "list": (list,),
    "dict": (dict,),
}


def _take(values: Any, kinds: Mapping[str, str], what: str) -> dict[str, Any]:
    """The values of exactly these keys, each of its kind."""
    if not isinstance(values, dict):
        raise DataError(f"{what}: expected an object, got {type(values).__name__}")
    missing, unknown = kinds.keys() - values.keys(), values.keys() - kinds.keys()
    if missing or unknown:
        raise DataError(
            f"{what}: expected the keys {', '.join(kinds)}; "
            f"missing: {', '.join(sorted(missing)) or 'none'}, "
            f"unknown: {', '.join(sorted(map(str, unknown)))[:200] or 'none'}"
        )
    for key, kind in kinds.items():
        value = values[key]
        if kind == "bool":
            good = isinstance(value, bool)
        else:
            good = isinstance(value, _KINDS[kind]) and not isinstance(value, bool)
        if good and kind in ("int", "float"):
            good = abs(value) < _HUGE  # nan is not, either
        if not good:
            raise DataError(f"{what}: {key}: expected {kind}, got {value!r:.60}")
    return values


def _row(values: Any, what: str, kinds: tuple[type, ...] = (int, float)) -> list[Any]:
    """A list of numbers; NumPy would take text and booleans for numbers, too."""
    if not isinstance(values, list) or not all(type(v) in kinds for v in values):
        raise DataError(f"{what}: expected a list of numbers")
    if not all(abs(v) < _HUGE for v in values):  # nan is not, either
        raise DataError(f"{what}: expected finite numbers")
    return values


def _table(values: Any, what: str) -> list[list[Any]]:
    rows = [_row(row, what) for row in values]
    if len({len(row) for row in rows}) > 1:
        raise DataError(f"{what}: expected rows of one length")
    return rows


def read_values(values: Any) -> dict[str, Any]:
    """Check what a JSON file holds; returns the attributes of a ``Calibration``.

    Raises:
        DataError: a key is missing, unknown, of the wrong type or out of range, or the format is
            newer than this version.
        OptionError: an unknown metric.
    """
    if isinstance(values, dict) and isinstance(values.get("format"), int):
        found = values["format"]
        if found > FORMAT:
            raise DataError(
                f"expected format {FORMAT}, got {found}, written by a newer version "
                f"({values.get('created_by', 'unknown')!r:.60}): update lineament"
            )
        if found != FORMAT:
            raise DataError(f"expected format {FORMAT}, got {found}")
    knots = ("score", "llr", "llr_low", "llr_high")
    kinds = {
        "format": "int",
        "contract": "dict",
        "metric": "str",
        "method": "str",
        **dict.fromkeys(knots, "list"),
        "data": "str",
        **dict.fromkeys(
            ("n_people", "n_photographs", "n_genuine_pairs", "n_impostor_pairs"), "int"
        ),
        **dict.fromkeys(("cllr", "min_cllr", "ece"), "float"),
        "points": "list",
        "identification": "dict",
        "quality": "dict",
        "created_by": "str",
    }
    # A calibration of few people has no table, but has the key.
    table = values.get("identification") if isinstance(values, dict) else None
    if table is None and isinstance(values, dict) and "identification" in values:
        values = {**values, "identification": {}}
    if isinstance(values, dict) and values.get("wanted_fmr") is not None:
        kinds["wanted_fmr"] = "float"
    elif isinstance(values, dict):
        values = {key: value for key, value in values.items() if key != "wanted_fmr"}
    taken = dict(_take(values, kinds, "calibration"))
    del taken["format"], taken["identification"]
    taken["n_photos"] = taken.pop("n_photographs")  # the file's key, from its first version on
    get_metric(taken["metric"])
    contract_kinds = {
        "weights": "str",
        "weights_sha256": "str",
        "alignment": "str",
        "color_order": "str",
        "flip": "bool",
        "dimension": "int",
    }
    taken["contract"] = Contract(**_take(taken["contract"], contract_kinds, "contract"))
    for name in knots:
        taken[name] = _row(taken[name], name)
    point_kinds = dict.fromkeys(("fmr", "value", "low", "high"), "float") | {"false_matches": "int"}
    taken["points"] = tuple(
        OperatingPoint(**_take(point, point_kinds, "points")) for point in taken["points"]
    )
    limits = taken["quality"]
    taken["quality"] = dict(_take(limits, dict.fromkeys(limits, "float"), "quality"))
    if table is not None:
        taken["identification"] = _read_identification(table)
    return taken


def _read_identification(table: Any) -> Identification:
    arrays = ("n_people", "fpir", "threshold", "low", "high")
    kinds = {
        **dict.fromkeys(arrays, "list"),
        "n_probe_people": "int",
        "reference_exponent": "float",
    }
    values = dict(_take(table, kinds, "identification"))
    for name in arrays[2:]:
        values[name] = _table(values[name], f"identification: {name}")
    values["fpir"] = _row(values["fpir"], "identification: fpir")
    values["n_people"] = _row(values["n_people"], "identification: n_people", (int,))
    return Identification(**values)
