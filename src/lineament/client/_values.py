"""JSON back into the library's values: the inverse of ``to_dict``, from the types of their fields.

``read(PersonInfo, values)`` makes what ``to_dict`` was asked of, as far as JSON has it: pixels,
crops and the errors themselves are left out there, and numbers are rounded. ``read(kind, v)``
gives a value whose ``to_dict()`` is ``v`` again; tests hold every class to it. Keys that a field
does not know are passed over, since a newer server may say more.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from lineament.attributes.results import FaceAttributes, PhotoAttributes
from lineament.errors import LineamentError, ServiceError
from lineament.gallery import MigrationReport, SampleInfo
from lineament.pose import HeadPose
from lineament.text import in_short
from lineament.types import (
    Certainty,
    Contract,
    Decision,
    Face,
    Liveness,
    Photo,
    Quality,
    Threshold,
)

T = TypeVar("T")


def read(kind: type[T], values: Any) -> T:
    """Make a value of what its ``to_dict`` gave.

    Args:
        kind: its class.
        values: from JSON.

    Raises:
        ServiceError: it is something else; the message names the field.
    """
    try:
        return cast("T", _value(kind, values, kind.__name__))
    except ServiceError:
        raise
    except (LineamentError, KeyError, TypeError, ValueError) as error:
        raise ServiceError(
            f"expected {kind.__name__} as lineament writes it, got {in_short(values)} ({error})",
            hint="is the server of the same version?",
        ) from error


def _refused(where: str, expected: str, value: Any) -> ServiceError:
    return ServiceError(
        f"expected {expected} in {where} of the answer, got {in_short(value)}",
        hint="is the server of the same version?",
    )


def _value(hint: Any, value: Any, where: str) -> Any:
    """One value by its annotation."""
    if hint is Any or hint is object:
        return value
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _of_union(get_args(hint), value, where)
    if origin is Literal:
        if value not in get_args(hint):
            raise _refused(where, " or ".join(map(repr, get_args(hint))), value)
        return value
    if origin is tuple:
        return _tuple(get_args(hint), value, where)
    if origin is not None and issubclass(origin, Mapping):
        _, of_value = get_args(hint)
        if not isinstance(value, Mapping):
            raise _refused(where, "an object", value)
        return {key: _value(of_value, each, f"{where}.{key}") for key, each in value.items()}
    if origin is not None and issubclass(origin, Sequence):
        return _tuple((get_args(hint)[0], ...), value, where)
    if origin is np.ndarray:
        return np.asarray(value, get_args(get_args(hint)[1])[0])
    return _of_class(hint, value, where)


def _of_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    failed: ServiceError | None = None
    for option in options:
        if option is type(None):
            continue
        try:
            return _value(option, value, where)
        except ServiceError as error:
            failed = error
    assert failed is not None
    raise failed


def _tuple(hints: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _refused(where, "a list", value)
    each = [hints[0]] * len(value) if hints[1:] == (...,) else list(hints)
    if len(each) != len(value):
        raise _refused(where, f"{len(each)} values", value)
    return tuple(
        _value(hint, one, f"{where}[{n}]")
        for n, (hint, one) in enumerate(zip(each, value, strict=True))
    )


def _of_class(kind: Any, value: Any, where: str) -> Any:
    if kind in _READERS:
        if not isinstance(value, Mapping):
            raise _refused(where, "an object", value)
        return _READERS[kind](value)
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise _refused(where, "an object", value)
        return _of_fields(kind, value, where)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _refused(where, "a number", value)
        return float(value)
    if kind is bytes:
        if not isinstance(value, str):
            raise _refused(where, "hexadecimal digits", value)
        return bytes.fromhex(value)
    if isinstance(kind, type) and issubclass(kind, LineamentError):
        return kind(str(value))
    if kind is int and isinstance(value, bool):
        raise _refused(where, "a whole number", value)
    if not isinstance(value, kind):
        raise _refused(where, {int: "a whole number", str: "a text"}.get(kind, str(kind)), value)
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _of_fields(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    """A dataclass by its fields; a count stands in JSON under its name with "n_" before it."""
    hints, given = _hints(kind), {}
    names = {entry.name for entry in fields(kind)}
    for entry in fields(kind):
        if not entry.init:
            continue
        name = entry.name
        default = entry.default is not MISSING or entry.default_factory is not MISSING
        count = f"n_{name}"
        key = count if name not in values and count in values and count not in names else name
        if key not in values or (values[key] is None and default):
            if not default:
                raise _refused(where, f"{name!r}", values)
            continue
        given[name] = _value(hints[name], values[key], f"{where}.{name}")
    return kind(**given)


# --- what is laid out otherwise ------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class _AnsweredFace(Face):
    """A face with the angles that the server says; those of rounded landmarks are a little off."""

    angles: tuple[float, float, float] | None = None

    @property
    def pose(self) -> HeadPose | None:
        found: HeadPose | None = Face.pose.__get__(self)
        if found is None or self.angles is None:
            return found
        yaw, pitch, roll = self.angles
        return replace(found, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)


def _face(values: Mapping[str, Any]) -> Face:
    angles = tuple(values.get(name) for name in ("yaw_deg", "pitch_deg", "roll_deg"))
    points = values["landmarks_xy"]
    return _AnsweredFace(
        np.asarray(values["box_xyxy"], np.float32),
        values["score"],
        None if points is None else np.asarray(points, np.float32),
        values.get("turned_deg", 0),
        values.get("boxed"),
        None if None in angles else cast("tuple[float, float, float]", angles),
    )


def _photo(values: Mapping[str, Any]) -> Photo:
    size, error = values["size_wh"], values.get("error")
    photo = Photo(
        values["source"],
        None if size is None else _value(tuple[int, int], size, "size_wh"),
        tuple(_face(face) for face in values["faces"]),
        time_s=values.get("time_s"),
        frame=values.get("frame"),
        error=None if error is None else LineamentError(error),
    )
    return replace(photo, index=photo.largest())


def _decision(values: Mapping[str, Any]) -> Decision:
    given: dict[str, Any] = {
        name: values[name] for name in ("same", "score", "metric", "similarity", "margin")
    }
    prefix: list[str] = []
    for side in ("a", "b"):
        about = values[side]
        check = _value(Liveness | None, about.get("liveness"), f"{side}.liveness")
        given |= {
            f"source_{side}": about["source"],
            f"face_{side}": _value(Face | None, about["face"], f"{side}.face"),
            f"others_{side}": about["n_other_faces"],
            f"norm_{side}": about["embedding_norm"],
            f"quality_{side}": _value(Quality | None, about["quality"], f"{side}.quality"),
            f"liveness_{side}": check,
        }
        prefix += [] if check is None else list(check.reasons)
    return Decision(
        **given,
        threshold=_of_fields(Threshold, values["threshold"], "threshold"),
        contract=_of_fields(Contract, values["contract"], "contract"),
        certainty=_value(Certainty | None, values["certainty"], "certainty"),
        reasons=tuple(values["reasons"][len(prefix) :]),
    )


def _face_attributes(values: Mapping[str, Any], number: int = 0) -> FaceAttributes:
    hints = _hints(FaceAttributes)
    given = {
        entry.name: _value(hints[entry.name], values[entry.name], entry.name)
        for entry in fields(FaceAttributes)
        if entry.name not in ("face", "number") and values.get(entry.name) is not None
    }
    return FaceAttributes(_face(values), number, **given)


def _photo_attributes(values: Mapping[str, Any]) -> PhotoAttributes:
    faces = tuple(_face_attributes(face, n) for n, face in enumerate(values["faces"]))
    return PhotoAttributes(_photo(values), faces)


def _migration(values: Mapping[str, Any]) -> MigrationReport:
    failed = [{**each} for each in values["failed"]]
    plain: MigrationReport = _of_fields(
        MigrationReport, {**values, "failed": []}, "MigrationReport"
    )
    pairs = tuple(
        (_of_fields(SampleInfo, each["sample"], "failed"), str(each["error"])) for each in failed
    )
    return replace(plain, failed=pairs)


_READERS: dict[Any, Callable[[Mapping[str, Any]], Any]] = {
    Face: _face,
    Photo: _photo,
    Decision: _decision,
    FaceAttributes: _face_attributes,
    PhotoAttributes: _photo_attributes,
    MigrationReport: _migration,
}
