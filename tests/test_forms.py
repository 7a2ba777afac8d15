"""Forms: what fits is read, what does not is refused with its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import pytest

from lineament import forms
from lineament.errors import DataError, WeightsError


class Rate(msgspec.Struct, forbid_unknown_fields=True):
    fmr: Annotated[float, msgspec.Meta(ge=0, le=1)]
    data: str = ""


@dataclass
class Held:
    path: Path
    values: object


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"fmr": 2}', r"rates.json: Expected `float` <= 1.0 - at `\$.fmr`"),
        ('{"fmr": 0.5, "x": 1}', "rates.json: Object contains unknown field `x`"),
        ('{"fmr": "0.5"}', "Expected `float`, got `str`"),
        ('{"fmr": NaN}', "rates.json: JSON is malformed"),
        ("{", "rates.json: Input data was truncated"),
        (b"\xff", "rates.json: "),
        ("[" * 100_000, "rates.json: "),
        ("", "rates.json: "),
    ],
)
def test_what_does_not_fit_is_named(text: bytes | str, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        forms.decode(text, Rate, what="rates.json", error=WeightsError)


@pytest.mark.parametrize("data", [b"\xff", b'{"a": "\xff"}', b"{", b""])
def test_bytes_that_are_no_text_are_as_unfit_as_other_nonsense(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        forms.read_json(data)


def test_there_and_back() -> None:
    rate = Rate(0.5, "ä")
    assert forms.decode(forms.encode(rate), Rate, what="") == rate
    assert forms.encode({"a": np.float32(0.5)}, indent=0) == b'{"a":0.5}\n'
    held = forms.plain(Held(Path("a/b"), np.array([1, 2])))
    assert held == {"path": str(Path("a/b")), "values": [1, 2]}
    assert forms.decode_toml("fmr = 0.5", Rate, what="") == Rate(0.5)
    assert forms.convert({"fmr": 0.25}, Rate, what="") == Rate(0.25)
    with pytest.raises(DataError, match=r"x: Expected `float`, got `str` - at `\$.fmr`"):
        forms.convert({"fmr": "a"}, Rate, what="x")
    with pytest.raises(DataError, match=r"x.toml: "):
        forms.decode_toml("fmr =", Rate, what="x.toml")


def test_schema() -> None:
    assert forms.schema(Rate)["$defs"]["Rate"]["required"] == ["fmr"]
