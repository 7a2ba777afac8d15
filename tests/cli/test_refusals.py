"""What makes no sense is refused at once, in one way, with --json as well."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from command_tree import COMMANDS

from lineament.cli import app
from lineament.cli.command import OneOf
from lineament.cli.numbers import COSINE, COUNT, RATE, Number
from lineament.errors import OptionError

ODD = ("nan", "inf", "-inf", "-1", "0", "1e309", "1e30", "abc", "", "1.5", "99999999999999999999")

Path_ = tuple[str, ...]
every_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return run


def flag_of(parameter: click.Parameter) -> str:
    return max(parameter.opts, key=len)


FILES = {("gallery", "export-person"): "nothing.zip"}
"""What a command takes for its file, where it is no list of entries."""

MAKES = {("gallery", "new-key"), ("receipt", "key")}
"""Commands whose file is a new one."""


def least_call(path: Path_, name: str = "", text: str | None = None) -> list[str]:
    """A call with all that the command needs; the files that it names do not exist.

    The parameter of that name is left out, or gets the text.
    """
    words = list(path)
    for each in COMMANDS[path].params:
        if each.name == name and text is not None:
            words += [flag_of(each), text] if isinstance(each, click.Option) else [text]
        if not each.required or each.name == name:
            continue
        value = "nothing"
        if isinstance(each.type, click.Choice):
            value = each.type.choices[0]
        elif isinstance(each.type, Number):
            value = "1"
        elif each.name == "file":
            value = FILES.get(path, "nothing.jsonl")
        words += [flag_of(each), value] if isinstance(each, click.Option) else [value]
    return words


def numbers_of(path: Path_) -> Iterator[click.Parameter]:
    return (each for each in COMMANDS[path].params if isinstance(each.type, Number))


def refusal_of(parameter: click.Parameter, text: str) -> str | None:
    """What its type says of the text; None: it is taken."""
    assert isinstance(parameter.type, Number)
    try:
        parameter.type.convert(text, parameter, None)
    except OptionError as error:
        return error.message
    return None


def has_json(path: Path_) -> bool:
    return "json" in {each.name for each in COMMANDS[path].params}


def refusal(done: Result, path: Path_) -> dict[str, str | None]:
    """The one JSON object of an error, compared with what stderr says."""
    assert done.exit_code == 2, done.output
    said: dict[str, str | None] = json.loads(done.stdout)
    assert {"error", "code", "option", "hint"} <= set(said)
    assert said["error"]
    assert said["code"] != "internal", (path, said)
    last = done.stderr.splitlines()[-1]
    assert last == f"error: {said['error']}"
    return said


# --- numbers --------------------------------------------------------------------------------------


@every_command
def test_every_number_has_limits(path: Path_) -> None:
    for each in COMMANDS[path].params:
        assert not isinstance(each.type, (click.types.IntParamType, click.types.FloatParamType)), (
            f"{path}: {each.name} takes any number: give it a type of lineament.cli.numbers"
        )


@every_command
def test_odd_numbers_are_refused_in_one_line_or_taken(
    path: Path_, call: Callable[..., Result]
) -> None:
    for each in numbers_of(path):
        for text in ODD:
            if isinstance(each, click.Argument) and text.startswith("-"):
                continue  # it would be taken for an option
            words = least_call(path, str(each.name), text)
            refused = refusal_of(each, text)
            if refused is None:
                assert text not in ("nan", "inf", "-inf", "1e309", "abc", "")
                continue
            done = call(*words)
            name = flag_of(each) if isinstance(each, click.Option) else each.name
            assert (done.exit_code, done.stdout) == (2, "")
            assert done.stderr == f"error: {name}: {refused}\n", words


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (COUNT, "0", "expected 1 or more, got 0"),
        (COUNT, "1.5", "expected a whole number, got '1.5'"),
        (COUNT, "3000000000", "expected a whole number from 1 to 2,147,483,647, got 3000000000"),
        (RATE, "0", "expected a rate between 0 and 1 and neither of them, got 0"),
        (RATE, "2", "expected a rate between 0 and 1, got 2"),
        (RATE, "nan", "expected a rate between 0 and 1, got nan"),
        (COSINE, "-1.5", "expected a cosine from -1 to 1, got -1.5"),
        (Number(), "inf", "expected a finite number, got inf"),
        (Number(0, between=True), "0", "expected a number above 0, got 0"),
    ],
)
def test_what_is_expected_is_said(kind: Number, text: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        kind.convert(text, None, None)
    assert str(caught.value) == words


def test_limits_belong_to_the_range() -> None:
    assert COSINE.convert("-1", None, None) == -1
    assert COUNT.convert("1", None, None) == 1
    assert RATE.convert("1e-9", None, None) == 1e-9


# --- one JSON object ------------------------------------------------------------------------------


@every_command
def test_errors_are_one_json_object(path: Path_, call: Callable[..., Result]) -> None:
    if not has_json(path):
        return
    said = refusal(call(*least_call(path), "--json", "--no-such-option"), path)
    assert (said["code"], said["option"]) == ("usage", "--no-such-option")
    assert f"lineament {' '.join(path)} --help" in str(said["hint"])
    for each in COMMANDS[path].params:
        if each.required and each.name != "name":  # of two names either is one
            words = least_call(path, str(each.name))
            said = refusal(call(*words, "--json"), path)
            assert said["code"] in ("usage", "option_invalid")
        if isinstance(each.type, OneOf) and isinstance(each, click.Option):
            said = refusal(call(*least_call(path), flag_of(each), "odd", "--json"), path)
            assert said["option"] == each.name
        if isinstance(each.type, Number) and isinstance(each, click.Option):
            said = refusal(call(*least_call(path), flag_of(each), "nan", "--json"), path)
            assert (said["code"], said["option"]) == ("option_invalid", each.name)


@every_command
def test_a_file_that_is_not_there_is_one_json_object(
    path: Path_, call: Callable[..., Result]
) -> None:
    reads = {"a", "photo", "photos", "images", "folder", "file", "run", "groups", "compared"}
    if not has_json(path) or not reads & {e.name for e in COMMANDS[path].params if e.required}:
        return
    if path in MAKES:
        return
    done = call(*least_call(path), "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 2, done.output
    assert "error: " in done.stderr
    if "error" in found:
        refusal(done, path)
    else:  # one photo of several
        assert found["n_errors"] > 0


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "a", "b", "--recognizer", "fast"), "fast is a preset: --preset fast"),
        (("verify", "a", "b", "--recognizer", "sfacee"), 'Did you mean "sface"?'),
        (("verify", "a", "b", "--recognizer", "zzz"), "presets fast, balanced, accurate"),
    ],
)
def test_a_wrong_recognizer_is_answered_with_recognizers(
    arguments: tuple[str, ...], words: str, call: Callable[..., Result]
) -> None:
    said = refusal(call(*arguments, "--json"), ("verify",))
    assert words in str(said["error"])
    assert said["option"] == "recognizer"
    assert "yunet" not in str(said["error"])
    assert "landmarks68" not in str(said["error"])


def test_a_folder_of_people_is_no_person(call: Callable[..., Result], tmp_path: Path) -> None:
    for name in ("people/Ada/1.jpg", "people/Bo/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"no photo")
    done = call("plot", "pose", "people")
    assert done.exit_code == 2
    assert done.stderr == (
        "error: expected the photos of one person, people holds 2 folders; name one of them, such "
        "as people/Ada\n"
    )
    assert "holds 2" not in call("plot", "pose", "people/Ada").stderr


def test_detectors_without_landmarks_name_the_remedy(call: Callable[..., Result]) -> None:
    import lineament

    photo = str(Path(lineament.__file__).parent / "data" / "demo" / "obama.jpg")
    done = call("verify", photo, photo, "--detector", "blazeface")
    assert done.exit_code == 2
    assert '"blazeface+onet"' in done.stderr
    with_onet = call("verify", photo, photo, "--detector", "blazeface+onet")
    assert with_onet.exit_code == 0
