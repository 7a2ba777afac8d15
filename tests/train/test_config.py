"""What a run is: TOML, defaults, overrides, and what is refused. Nothing here loads PyTorch."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lineament.errors import OptionError
from lineament.train.config import (
    TrainConfig,
    absolute_paths,
    example,
    from_dict,
    load_config,
    save_config,
    to_toml,
)
from lineament.train.tables import parse_value


def test_the_example_is_the_defaults_with_every_key() -> None:
    read = tomllib.loads(example())
    assert from_dict(read) == TrainConfig()
    tables = {table.name for table in dataclasses.fields(TrainConfig)}
    assert set(read) == tables
    assert {(t, k) for t, keys in read.items() for k in keys} == {
        (t, k) for t, keys in TrainConfig().to_dict().items() for k in keys
    }


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    config = load_config(
        None,
        [
            'run.out=a "quoted" \\ path',
            "backbone.options.norm=group",
            'backbone.frozen=["stem", "stage1"]',
            'loss.options={ margin = 0.4, "odd key" = [1, 2] }',
            "schedule.milestones=[3, 5.5]",
            "augment.flip=0",
        ],
    )
    assert config.run.out == 'a "quoted" \\ path'
    assert config.backbone.frozen == ("stem", "stage1")
    assert config.loss.options == {"margin": 0.4, "odd key": [1, 2]}
    assert config.schedule.milestones == (3.0, 5.5)
    save_config(config, tmp_path / "config.toml")
    assert load_config(tmp_path / "config.toml") == config


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        'quotes " and \\ and\nlines\tand \x7f \x01 ü 名',
        0,
        -7,
        1e-300,
        0.1,
        math.inf,
        True,
        [1, [2.5, "x"], []],
        {"a": {"b c": 1}, "": [True]},
    ],
)
def test_every_value_survives_toml(value: object) -> None:
    config = TrainConfig().changed(backbone={"options": {"v": value}})
    assert tomllib.loads(to_toml(config))["backbone"]["options"]["v"] == value
    assert from_dict(tomllib.loads(to_toml(config))) == config


def test_a_value_that_toml_does_not_have() -> None:
    with pytest.raises(OptionError, match="options of text, numbers"):
        to_toml(TrainConfig().changed(loss={"options": {"scale": None}}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a \\u00fc"', "a ü"),
        ("-7", -7),
        ("0.1", 0.1),
        ("inf", math.inf),
        ("true", True),
        ('[1, [2.5, "x"], []]', [1, [2.5, "x"], []]),
        ('{ a = { "b c" = 1 } }', {"a": {"b c": 1}}),
        ("arcface", "arcface"),  # bare words are text, and nothing else slips in
        ("1\nother = 2", "1\nother = 2"),
        ("2024-13-99", "2024-13-99"),
    ],
)
def test_values_of_overrides(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_overrides_come_after_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    # By itself the file is no run: the override makes it one.
    file.write_text('[loss]\nweight = 0\n[run]\nepochs = 3\nseed = 5\n[teacher]\nname = ""\n')
    config = load_config(file, ["teacher.name=sface", "run.epochs = 9"])
    assert (config.run.epochs, config.run.seed, config.teacher.name) == (9, 5, "sface")
    with pytest.raises(OptionError, match=r"run\.toml: loss\.weight: .*no teacher"):
        load_config(file)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("los.name=x", ["los: there is no such table", "loss"]),
        ("loss.nam=x", ["loss.nam: there is no such key", "did you mean name"]),
        ("run.epochs=0.5", ["run.epochs: expected a whole number, at least 1, got 0.5"]),
        ("run.epochs=0", ["run.epochs: expected a whole number, at least 1, got 0"]),
        ("run.epochs=true", ["run.epochs: expected a whole number, at least 1, got True"]),
        ("optimizer.lr=0", ["optimizer.lr: expected a number, above 0, got 0"]),
        ("optimizer.lr=nan", ["optimizer.lr: expected a finite number, got nan"]),
        ("optimizer.momentum=1", ["momentum: expected a number from 0 to 0.9999, got 1"]),
        ("run.precision=fp8", ["run.precision: expected one of fp32, bf16, fp16, got 'fp8'"]),
        ("log.csv=1", ["log.csv: expected true or false, got 1"]),
        ("run.out=3", ["run.out: expected text, got 3"]),
        ("backbone.frozen=stem", ["backbone.frozen: expected a list of text, got 'stem'"]),
        ("backbone.frozen=[1]", ["backbone.frozen: expected a list of text, got [1]"]),
        ("loss.options=3", ["loss.options: expected a table"]),
        ("augment.flip=2", ["augment.flip: expected a number from 0 to 1, got 2"]),
        ("augment.flop=2", ["augment.flop: there is no such key", "did you mean flip"]),
        ("loss=arcface", ["expected table.key=value, got 'loss=arcface'"]),
        ("loss.name", ["expected table.key=value"]),
        ("run.out.deep=1", ["run.out: expected text"]),
        ("loss.weight=0", ["loss.weight", "teacher.name"]),
        ("verify.pairs=x", ["verify.pairs: expected with verify.images"]),
    ],
)
def test_what_is_refused_says_where_and_what_is_allowed(override: str, words: list[str]) -> None:
    with pytest.raises(OptionError) as caught:
        load_config(None, [override])
    for word in words:
        assert word in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[run\n")
    with pytest.raises(OptionError, match=r"bad\.toml: expected a configuration in TOML"):
        load_config(tmp_path / "bad.toml")
    (tmp_path / "flat.toml").write_text("run = 3\n")
    with pytest.raises(OptionError, match="run: expected a table"):
        load_config(tmp_path / "flat.toml")


def test_changed_is_checked_and_leaves_the_first_alone() -> None:
    config = TrainConfig()
    other = config.changed(run={"epochs": 3}, loss={"options": {"margin": 0.1}})
    assert (config.run.epochs, other.run.epochs) == (20, 3)
    assert other.loss.options == {"margin": 0.1}
    assert other.loss.name == config.loss.name
    with pytest.raises(OptionError, match=r"run\.epochs"):
        config.changed(run={"epochs": -1})
    with pytest.raises(OptionError, match="no such table"):
        config.changed(runs={"epochs": 1})


def test_paths_hold_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crops").mkdir()
    config = load_config(None, ["run.out=r", "data.path=crops", "teacher.name=sface"])
    fixed = absolute_paths(config)
    assert fixed.run.out == str(tmp_path / "r")
    assert fixed.data.path == str(tmp_path / "crops")
    assert fixed.teacher.name == "sface"
    assert tomllib.loads(to_toml(fixed))["data"]["path"] == str(tmp_path / "crops")


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys, lineament.train.config as c; c.load_config(None, ['loss.name=x']);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_keys_in_the_spelling_of_before_are_read(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        "[augment]\ngrey = 0.25\n[loss]\nname = 'centre'\noptions = {centre_weight = 0.5}\n"
    )
    config = load_config(file)
    assert config.augment.gray == 0.25
    assert config.loss.options == {"center_weight": 0.5}
    file.write_text("[augment]\ngrey = 0.25\ngray = 0.5\n")
    with pytest.raises(OptionError, match=r"augment.grey"):  # which of the two would count?
        load_config(file)
