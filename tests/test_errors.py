"""What every error carries: a code of its class, the option, the remedy, one sentence."""

from __future__ import annotations

import ast
import importlib.metadata
import pickle
import re
from pathlib import Path

import pytest

import lineament
from lineament import errors
from lineament.cli.command import ACTIONS as COMMANDS
from lineament.errors import (
    ACTIONS,
    DataError,
    LineamentError,
    MissingExtraError,
    OptionError,
    UnknownPersonError,
)

CLASSES = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, LineamentError)
}


def test_every_class_has_a_code_of_its_own_and_the_table_names_it() -> None:
    codes = {name: vars(kind).get("code") for name, kind in CLASSES.items()}
    assert all(codes.values())
    assert len(set(codes.values())) == len(codes) >= 35
    table = dict(
        line.lstrip(" │├└─").split()[:2]
        for line in (errors.__doc__ or "").splitlines()
        if "Error  " in line or "──" in line
    )
    assert table == codes


@pytest.mark.parametrize(
    ("option", "hint", "sentence"),
    [
        (None, None, "got 7"),
        ("fmr", None, "fmr: got 7"),
        (None, "ask for less", "got 7: ask for less"),
        ("fmr", "; ask for less", "fmr: got 7; ask for less"),
        ("fmr", ", or ask for less", "fmr: got 7, or ask for less"),
        (None, "{people}", "got 7: see people() for the names"),
    ],
)
def test_the_sentence_is_option_message_and_hint(
    option: str | None, hint: str | None, sentence: str
) -> None:
    for kind in (OptionError, UnknownPersonError):  # KeyError would show its repr
        error = kind("got 7", option=option, hint=hint)
        assert str(error) == error.sentence() == sentence
        assert error.message == "got 7"


def test_callers_may_have_other_words_for_options_and_actions() -> None:
    error = UnknownPersonError("nobody", option="name", hint="{people}")
    assert error.sentence("NAME", {"people": "`list` them"}) == "NAME: nobody: `list` them"
    assert error.advice({"people": "`list` them"}) == "`list` them"
    assert set(COMMANDS) == set(ACTIONS)


def test_a_message_has_an_end() -> None:
    error = DataError(f"a.csv: expected three columns, got {'x,' * 50_000!r}")
    assert len(str(error)) < 2100
    assert str(error).startswith("a.csv: expected three columns")
    assert str(error).endswith("x,'")
    assert str(DataError("a" * 2000)) == "a" * 2000


def test_as_json() -> None:
    error = OptionError("got 7", option="fmr", hint="; ask for less")
    assert error.to_dict() == {
        "code": "option_invalid",
        "message": "fmr: got 7; ask for less",
        "option": "fmr",
        "hint": "ask for less",
    }
    hint = MissingExtraError("plots", "plot").hint
    assert MissingExtraError("plots", "plot").to_dict() == {
        "code": "missing_extra",
        "message": f"plots needs packages that are not installed: {hint}",
        "option": None,
        "hint": hint,
    }


def test_a_missing_extra_names_packages_that_pip_finds_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = ["numpy>=1.26", "scipy>=1.11; extra == 'plot'", "ray[data]>=2.20; extra == 'ray'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: lines)
    assert MissingExtraError("plots", "plot").hint == 'run  pip install "scipy>=1.11"'
    assert MissingExtraError("Ray", "ray").hint == 'run  pip install "ray[data]>=2.20"'

    def unknown(_: str) -> None:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "requires", unknown)
    assert MissingExtraError("plots", "plot").hint == 'run  pip install "lineament[plot]"'


@pytest.mark.parametrize("name", ["plot", "train", "ray", "index", "parquet", "quantize"])
def test_every_extra_is_described(name: str) -> None:
    assert "lineament[" not in str(MissingExtraError("it", name).hint)


def test_errors_can_be_sent_to_another_process() -> None:
    for error in (
        OptionError("got 7", option="fmr", hint="; ask for less"),
        MissingExtraError("plots", "plot"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_what_needs_packages_is_always_said_in_one_way() -> None:
    """ "reading HEIC photos needs packages that are not installed": an activity, not a thing."""
    files = Path(lineament.__file__).parent.rglob("*.py")
    said = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "MissingExtraError" in text else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "MissingExtraError":
                first = node.args[0]
                if isinstance(first, ast.JoinedStr):
                    first = first.values[0]
                if isinstance(first, ast.Constant):
                    said.append((file.name, first.value))
    assert len(said) > 15
    assert [each for each in said if not re.match(r"[a-z]+ing\b", each[1])] == []
