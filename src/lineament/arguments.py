"""Arguments of the wrong type are refused at the door, by the name of the parameter.

``@checked`` compares the arguments of a public function with its annotations, so that
``Recognizer(calibration=3)`` says "calibration: expected a Calibration, a path or None, got int"
in place of an AttributeError from the middle of the package. It checks what can be told at once:
classes, numbers, texts, words of a ``Literal``, whether something can be called or walked over,
whether an object has the methods of a protocol. What is in a list, the shapes of arrays, and what a
source of pixels is, the functions find out themselves.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar, get_args, get_origin

from lineament.errors import OptionError

P = ParamSpec("P")
R = TypeVar("R")


class _Kind(NamedTuple):
    """What an annotation allows."""

    allows: Callable[[Any], bool]
    words: tuple[str, ...]


_FIELDS: dict[type, dict[str, _Kind]] = {}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function: OptionError names the parameter whose value its annotation forbids.

    Annotations are read at the first call, so that importing stays cheap. One that cannot be read,
    or says nothing that can be told at once, allows everything.
    """
    signature = inspect.signature(function)
    kinds: dict[str, _Kind] = {}
    ready = False

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal ready
        if not ready:
            scope = sys.modules[function.__module__].__dict__
            kinds.update(_kinds_of(_annotations_of(signature), scope))
            ready = True
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:  # Python's own says it best
            return function(*args, **kwargs)
        for name, value in given.items():
            kind = kinds.get(name)
            if kind is not None and not kind.allows(value):
                raise _refusal(name, kind, value)
        return function(*args, **kwargs)

    return wrapper


def check_fields(values: Any) -> None:
    """For ``__post_init__`` of a dataclass: OptionError names the field of a wrong type."""
    if type(values) not in _FIELDS:
        annotations = {each.name: each.type for each in fields(values)}
        scope = sys.modules[type(values).__module__].__dict__
        _FIELDS[type(values)] = _kinds_of(annotations, scope)
    for name, kind in _FIELDS[type(values)].items():
        value = getattr(values, name)
        if not kind.allows(value):
            raise _refusal(name, kind, value)


def _refusal(name: str, kind: _Kind, value: object) -> OptionError:
    words = list(dict.fromkeys(kind.words))
    expected = " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
    shown = type(value).__name__
    if isinstance(value, (str, bool, int, float)) or value is None:
        shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
    return OptionError(f"expected {expected}, got {shown}", option=name)


def _annotations_of(signature: inspect.Signature) -> dict[str, Any]:
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: each.annotation
        for name, each in signature.parameters.items()
        if each.kind not in several and each.annotation is not inspect.Parameter.empty
    }


def _kinds_of(annotations: Mapping[str, Any], scope: dict[str, Any]) -> dict[str, _Kind]:
    found = {}
    for name, annotation in annotations.items():
        try:
            kind = _kind(eval(annotation, scope) if isinstance(annotation, str) else annotation)
        except NameError:  # of a name that only type checkers import
            continue
        if kind is not None:
            found[name] = kind
    return found


def _kind(annotation: Any) -> _Kind | None:
    """What an annotation allows; None: everything, as far as can be told."""
    origin = get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        parts = [_kind(each) for each in get_args(annotation)]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        words = tuple(word for part in known for word in part.words)
        return _Kind(
            lambda value: any(part.allows(value) for part in known),
            (*[word for word in words if word != "None"], *["None"] * ("None" in words)),
        )
    if origin is Literal:
        options = get_args(annotation)
        return _Kind(
            lambda value: any(value is each or value == each for each in options),
            tuple(f'"{each}"' if isinstance(each, str) else repr(each) for each in options),
        )
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if origin in _GENERIC:
        return _GENERIC[origin]
    if getattr(origin, "__name__", "") == "ndarray":
        return _Kind(lambda value: hasattr(value, "dtype"), ("an array",))
    if not inspect.isclass(annotation) or annotation is Any or annotation is object:
        return None
    if getattr(annotation, "_is_protocol", False):
        methods = [name for name, each in vars(annotation).items() if _is_public(name, each)]
        return _Kind(
            lambda value: all(callable(getattr(value, name, None)) for name in methods),
            (f"an object with the method {' and '.join(f'{name}()' for name in methods)}",),
        )
    article = "an" if annotation.__name__[0] in "AEIO" else "a"
    return _Kind(lambda value: isinstance(value, annotation), (f"{article} {annotation.__name__}",))


def _is_public(name: str, value: object) -> bool:
    return not name.startswith("_") and inspect.isfunction(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


_SIMPLE: dict[Any, _Kind] = {
    None: _Kind(lambda value: value is None, ("None",)),
    type(None): _Kind(lambda value: value is None, ("None",)),
    bool: _Kind(_is_flag, ("True", "False")),
    int: _Kind(lambda v: isinstance(v, Integral) and not _is_flag(v), ("a whole number",)),
    float: _Kind(lambda v: isinstance(v, Real) and not _is_flag(v), ("a number",)),
    str: _Kind(lambda value: isinstance(value, str), ("a text",)),
    Path: _Kind(_is_path, ("a path",)),
    os.PathLike: _Kind(_is_path, ("a path",)),
}

_GENERIC: dict[Any, _Kind] = {
    os.PathLike: _Kind(_is_path, ("a path",)),
    list: _Kind(lambda value: isinstance(value, list), ("a list",)),
    tuple: _Kind(lambda value: isinstance(value, tuple), ("a tuple",)),
    Sequence: _Kind(
        lambda v: hasattr(v, "__len__") and hasattr(v, "__getitem__") and not _is_text(v),
        ("a list",),
    ),
    Iterable: _Kind(lambda v: hasattr(v, "__iter__") and not _is_text(v), ("a list",)),
    Mapping: _Kind(lambda value: isinstance(value, Mapping), ("a dictionary",)),
    dict: _Kind(lambda value: isinstance(value, dict), ("a dictionary",)),
    Callable: _Kind(callable, ("a function",)),
}


def _is_text(value: object) -> bool:
    return isinstance(value, (str, bytes))
