"""What all results can do: dictionaries, JSON, tables, and how they look in a notebook.

    photo.to_dict()  photo.to_json()  photo.to_pandas()      any result
    lineament.to_pandas(results)                             a list of them, one table
    lineament.succeeded(results), lineament.failed(results)  a list, without its errors; its errors

Results that have a picture also have ``picture()``, ``show()`` and ``save(path)``; a notebook shows
it without being asked.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from lineament.errors import LineamentError, MissingExtraError, OptionError, TruthValueError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

T = TypeVar("T")

_PICTURES = "lineament.pictures.notebook"
"""Draws results. By its name, since results are values that every stage makes, and pictures are
drawn of them at the end."""


class Outcome:
    """A value that is returned to the caller; a mixin of dataclasses."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def to_json(self, *, indent: int | None = None) -> str:
        """``to_dict`` as JSON: on one line, or indented by so many blanks."""
        return as_json(self.to_dict(), indent=indent)

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows of a table, flat: one, unless a result is of several things."""
        return [flat(self.to_dict())]

    def to_pandas(self) -> pd.DataFrame:
        """A ``pandas.DataFrame`` of ``to_rows``. MissingExtraError: pandas is not installed."""
        return to_pandas([self])

    def _repr_html_(self) -> str:
        """For notebooks."""
        html: str = import_module(_PICTURES).html_of(self)
        return html


class Pictured(Outcome):
    """A result of which a picture can be drawn."""

    __slots__ = ()

    def picture(self) -> npt.NDArray[np.uint8]:
        """Draw it: (H, W, 3) uint8, RGB.

        Raises:
            OptionError: the pixels were not kept.
        """
        drawn: npt.NDArray[np.uint8] = import_module(_PICTURES).picture_of(self)
        return drawn

    def show(self) -> None:
        """Show the picture: in a notebook below the cell, elsewhere in the system's viewer.

        Raises:
            OptionError: the pixels were not kept.
        """
        import_module(_PICTURES).show(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture; a file that exists is replaced, unless it is the photo itself.

        Args:
            path: a name that ends in .png, .jpg or .webp.

        Raises:
            OptionError: the pixels were not kept, another ending, the photo itself, or the file
                cannot be written.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise OptionError(f"expected a path, got {type(path).__name__}", option="path")
        import_module(_PICTURES).save(self, Path(path))


def no_truth(result: object, instead: str) -> NoReturn:
    """Refuse to be true or false.

    Raises:
        TruthValueError: always; it says what to ask.
    """
    raise TruthValueError(
        f"{type(result).__name__} is neither true nor false, since it may be undecided: "
        f"say which: {instead}"
    )


def failed(results: Iterable[object]) -> list[tuple[int, LineamentError]]:
    """The errors in a list of results: place in the list, and what went wrong there.

    >>> results = recognizer.embed(paths)  # doctest: +SKIP
    >>> for place, error in lineament.failed(results):  # doctest: +SKIP
    ...     print(paths[place], error)

    An error that stands in a ``Photo`` (``Photo.error``) counts, too.
    """
    found = ((place, _error_of(result)) for place, result in enumerate(_listed(results)))
    return [(place, error) for place, error in found if error is not None]


def succeeded(results: Iterable[T | LineamentError]) -> list[T]:
    """The results in a list that are no errors, in their order."""
    return [
        result
        for result in _listed(results)
        if not isinstance(result, LineamentError) and _error_of(result) is None
    ]


def _error_of(result: object) -> LineamentError | None:
    error = result if isinstance(result, LineamentError) else getattr(result, "error", None)
    return error if isinstance(error, LineamentError) else None


def _listed(results: Iterable[T]) -> Iterable[T]:
    if isinstance(results, (str, bytes, Outcome, LineamentError)) or not isinstance(
        results, Iterable
    ):
        raise OptionError(
            f"expected a list of results, got {type(results).__name__}", option="results"
        )
    return results


def to_pandas(results: Iterable[object]) -> pd.DataFrame:
    """A table of a list of results, such as ``verify``, ``detect`` or ``embed`` return of lists.

    Nothing is left out: a photo without a face has one row without a face, and a result that failed
    one with its ``error``. The column ``result`` is the place in the list, from 0.

    Raises:
        MissingExtraError: pandas is not installed.
        OptionError: no list, or something in it is no result.
    """
    table: list[dict[str, Any]] = []
    for place, result in enumerate(_listed(results)):
        if isinstance(result, LineamentError):
            rows = [{"error": str(result)}]
        elif hasattr(result, "to_rows"):
            rows = result.to_rows()
        elif hasattr(result, "to_dict"):
            rows = [flat(result.to_dict())]
        else:
            raise OptionError(
                f"expected results, got {type(result).__name__} at {place}", option="results"
            )
        table += [{"result": place, **row} for row in rows]
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("making a table of pandas", "pandas", package="pandas") from error
    return pd.DataFrame(table)


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """One level of keys: {"a": {"source": "x"}} becomes {"a_source": "x"}; lists stay lists."""
    row: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{before}{key}_")
        else:
            row[f"{before}{key}"] = value
    return row


def as_json(values: Any, *, indent: int | None = None) -> str:
    """JSON of plain values; names of files that are no UTF-8 are written as escaped surrogates."""
    text = json.dumps(values, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(values, indent=indent)
    return text


def in_notebook() -> bool:
    """Whether IPython's display can show pictures here."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
