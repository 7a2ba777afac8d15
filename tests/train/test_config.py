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
    ScheduleOptions,
    TrainConfig,
    absolute_paths,
    example,
    from_dict,
    load_config,
    save_config,
    to_toml,
)
from lineament.train.run.schedules import factor_at
from lineament.train.toml_text import from_text, to_text


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
    assert tomllib.loads(f"v = {to_text(value)}")["v"] == value
    assert from_text(to_text(value)) == value


def test_bare_words_are_text_and_nothing_else_slips_in() -> None:
    assert from_text("arcface") == "arcface"
    assert from_text("1\nother = 2") == "1\nother = 2"
    assert from_text("2024-13-99") == "2024-13-99"


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
        ("run.epochs=0.5", ["run.epochs: expected a whole number, got 0.5"]),
        ("run.epochs=0", ["run.epochs: expected at least 1, got 0"]),
        ("run.epochs=true", ["run.epochs: expected a whole number, got True"]),
        ("optimizer.lr=0", ["optimizer.lr: expected above 0, got 0"]),
        ("optimizer.lr=nan", ["optimizer.lr: expected a finite number, got nan"]),
        ("optimizer.momentum=1", ["optimizer.momentum", "at most 0.9999"]),
        ("run.precision=fp8", ["run.precision: expected one of fp32, bf16, fp16, got 'fp8'"]),
        ("log.csv=1", ["log.csv: expected true or false, got 1"]),
        ("run.out=3", ["run.out: expected text, got 3"]),
        ("backbone.frozen=stem", ["backbone.frozen: expected a list of text, got 'stem'"]),
        ("backbone.frozen=[1]", ["backbone.frozen: expected text, got 1"]),
        ("loss.options=3", ["loss.options: expected a table"]),
        ("augment.flip=2", ["augment", "flip", "0 to 1", "2"]),
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
    with pytest.raises(OptionError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[run\n")
    with pytest.raises(OptionError, match=r"bad\.toml: expected a TOML file"):
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


# --- the learning rate ----------------------------------------------------------------------------


def factors(steps: int, each: int, **options: object) -> list[float]:
    schedule = ScheduleOptions(**options)  # type: ignore[arg-type]
    return [factor_at(schedule, step, steps, each) for step in range(steps)]


def test_warm_up_rises_to_one_and_then_the_rest_falls() -> None:
    found = factors(10, 5, kind="polynomial", power=1.0, warmup_steps=4)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:] == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    # Told in epochs, the longer one counts.
    assert factors(10, 5, kind="constant", warmup_epochs=1.0, warmup_steps=2)[3:6] == [0.8, 1, 1]


def test_cosine_is_the_formula_and_ends_where_it_shall() -> None:
    found = factors(9, 3, kind="cosine", end=0.1)
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * t / 9)) / 2 for t in range(9)]
    assert found == pytest.approx(expected)


def test_milestones_are_epochs() -> None:
    found = factors(8, 2, kind="step", milestones=(1.0, 3.0), factor=0.1)
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_by_epochs_the_rate_keeps_within_one() -> None:
    found = factors(6, 2, kind="polynomial", power=1.0, by="epochs")
    assert found == pytest.approx([1, 1, 2 / 3, 2 / 3, 1 / 3, 1 / 3])
