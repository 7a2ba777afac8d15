"""The file of a calibration: JSON that people can read, checked by its types as it is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from lineament import forms
from lineament.decide._operating_points import Identification, OperatingPoint
from lineament.decide.conditions import Conditions
from lineament.decide.metrics import Metric, get_metric
from lineament.errors import DataError
from lineament.text import printable
from lineament.types import Contract

FORMAT = 1

_ROUNDING = 1e-3

_Number = Annotated[float, Meta(ge=-1e15, le=1e15)]
_Count = Annotated[int, Meta(ge=-(10**15), le=10**15)]


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    """Unknown keys are refused."""


class _Head(msgspec.Struct):
    """What a file of any version says."""

    format: int
    created_by: str = "unknown"


class _ContractForm(_Form):
    weights: str
    weights_sha256: str
    alignment: str
    color_order: str
    flip: bool | Literal["concatenate"]
    dimension: _Count


class _PointForm(_Form):
    fmr: _Number
    value: _Number
    low: _Number
    high: _Number
    false_matches: _Count
    false_non_matches: _Count | None = None


class _IdentificationForm(_Form):
    n_people: list[_Count]
    fpir: list[_Number]
    threshold: list[list[_Number]]
    low: list[list[_Number]]
    high: list[list[_Number]]
    n_probe_people: _Count
    reference_exponent: _Number


class _ConditionsForm(_Form):
    knots: list[_Number]
    threshold_rise: list[list[_Number]]
    llr_rise: list[list[_Number]]
    trust: list[list[_Number]]
    data: str


class _CalibrationForm(_Form, kw_only=True):
    format: int
    contract: _ContractForm
    metric: str
    method: str
    score: list[_Number]
    llr: list[_Number]
    llr_low: list[_Number]
    llr_high: list[_Number]
    data: str
    n_people: _Count
    n_photos: _Count = msgspec.field(name="n_photographs")
    n_genuine_pairs: _Count
    n_impostor_pairs: _Count
    cllr: _Number
    min_cllr: _Number
    ece: _Number
    points: list[_PointForm]
    metrics: dict[str, list[tuple[float, float]]] = {}
    identification: _IdentificationForm | None
    quality: dict[str, _Number]
    conditions: _ConditionsForm | None = None
    created_by: str
    wanted_fmr: _Number | None = None
    head_sha256: str | None = None


def plain(value: Any) -> Any:
    """A value of a calibration as JSON has it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Contract):
        return asdict(value)
    if isinstance(value, Conditions):
        return value.to_dict()
    if isinstance(value, Identification):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, OperatingPoint):
        return {name: each for name, each in asdict(value).items() if each is not None}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


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


def read_values(values: Any) -> dict[str, Any]:
    """Check what a JSON file holds; returns the attributes of a ``Calibration``.

    Raises:
        DataError: a key is missing, unknown, of the wrong type or out of range, or the format is
            newer than this version.
        OptionError: an unknown metric.
    """
    head = forms.convert(values, _Head, what="calibration")
    if head.format > FORMAT:
        raise DataError(
            f"expected format {FORMAT}, got {head.format}, written by a newer version "
            f"({head.created_by!r:.60}): update lineament"
        )
    if head.format != FORMAT:
        raise DataError(f"expected format {FORMAT}, got {head.format}")
    form = forms.convert(values, _CalibrationForm, what="calibration")
    metric = get_metric(form.metric)
    for point in form.points:
        _check_range(metric, "points", [point.value, point.low, point.high])
    for name, rows in form.metrics.items():
        _check_range(get_metric(name), f"metrics: {name}", [value for _, value in rows])
    for table in () if form.identification is None else (form.identification.threshold,):
        for row in table:
            _check_range(metric, "identification", row)
    taken = {key: getattr(form, key) for key in form.__struct_fields__ if key != "format"}
    taken |= {"data": printable(form.data), "created_by": printable(form.created_by)}
    taken["contract"] = Contract(**msgspec.structs.asdict(form.contract))
    taken["points"] = tuple(OperatingPoint(**msgspec.structs.asdict(p)) for p in form.points)
    taken["metrics"] = {get_metric(name).name: tuple(rows) for name, rows in form.metrics.items()}
    if form.identification is not None:
        taken["identification"] = Identification(**msgspec.structs.asdict(form.identification))
    if form.conditions is not None:
        conditions = msgspec.structs.asdict(form.conditions)
        taken["conditions"] = Conditions(**conditions | {"data": printable(conditions["data"])})
    return taken


def _check_range(metric: Metric, what: str, values: list[float]) -> None:
    """DataError for thresholds that no score of the metric reaches."""
    most = math.inf if metric.greatest is None else metric.greatest
    if not all(metric.least - _ROUNDING <= value <= most + _ROUNDING for value in values):
        raise DataError(
            f"{what}: expected thresholds from {metric.least:g} to {most:g}, as the metric "
            f"{metric.name} has them"
        )
