"""Calibrations and ensembles that somebody changed: refused, or sane in all that they say."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from changed_values import changed

from lineament import models
from lineament.decide.calibration import Calibration
from lineament.decide.ensemble_file import FOLDER, read_spec
from lineament.errors import DataError, LineamentError, OptionError


def check_sane(calibration: Calibration) -> None:
    """What it says of cosines is possible."""
    shares = calibration.probabilities(np.linspace(-1, 1, 9))
    assert (np.isfinite(shares) & (shares >= 0) & (shares <= 1)).all()
    one = calibration.probability(0.3)
    assert 0 <= one.low <= one.value <= one.high <= 1
    for fmr in (1e-1, 1e-3, 1e-5):
        try:
            fitted = calibration.threshold(fmr)
        except OptionError:
            continue
        assert -1.01 <= fitted.low <= fitted.plain.value <= fitted.high <= 1.01
    for n_people in (1, 1000, 10**9):
        try:
            found = calibration.identification_threshold(n_people, 1.5)
        except OptionError:
            continue
        assert -3 < found.value < 3
    assert all(math.isfinite(v) for _, v in calibration.rates_of("euclidean"))
    assert json.dumps(calibration.to_dict(), allow_nan=False)
    assert repr(calibration).isprintable()


def test_calibrations(tmp_path: Path) -> None:
    path = models.get("sface").folder / "calibration.json"
    check_sane(Calibration.load(path))
    values = json.loads(path.read_text())
    refused = 0
    for what, each in changed(values, every=23):
        target = tmp_path / "calibration.json"
        target.write_text(json.dumps(each))
        try:
            made = Calibration.load(target)
        except DataError as error:
            refused += 1
            text = str(error)
            if not text.isprintable():
                raise AssertionError(what) from error
        else:
            check_sane(made)
    assert refused > 200


@pytest.mark.parametrize("kind", ["logistic", "mean"])
def test_ensembles(tmp_path: Path, kind: Any) -> None:
    values = json.loads((FOLDER / kind / "ensemble.json").read_text())
    features = np.random.default_rng(0).normal(0, 1, (9, len(values["features"])))
    (tmp_path / kind).mkdir()
    refused = 0
    for what, each in changed(values, every=13):
        (tmp_path / kind / "ensemble.json").write_text(json.dumps(each))
        try:
            spec = read_spec(kind, tmp_path)
        except DataError as error:
            refused += 1
            if not str(error).isprintable():
                raise AssertionError(what) from error
            continue
        assert np.isfinite(spec.fusion.fuse(features)).all(), what
        assert (spec.llr_low <= spec.llr_high).all(), what
        assert all(0 < point.fmr < 1 for point in spec.points), what
    assert refused > 30


def boosted(folder: Path, trees: str) -> None:
    """An ensemble with these trees, and their hash."""
    import hashlib

    shutil.copytree(FOLDER / "boosted", folder / "boosted", dirs_exist_ok=True)
    (folder / "boosted" / "trees.txt").write_bytes(trees.encode())
    path = folder / "boosted" / "ensemble.json"
    values = json.loads(path.read_text())
    values["fusion"]["sha256"] = hashlib.sha256(trees.encode()).hexdigest()
    path.write_text(json.dumps(values))


TREES = {
    "a branch to nowhere": ("left_child=1 3 -3 -1", "left_child=9 3 -3 -1"),
    "a branch to far away": ("left_child=1 3 -3 -1", "left_child=1 3 -3 -9"),
    "a branch that comes back": ("left_child=1 3 -3 -1", "left_child=1 0 -3 -1"),
    "two branches to one": ("left_child=1 3 -3 -1", "left_child=1 1 -3 -1"),
    "a feature that is not there": ("split_feature=0 1 15 5", "split_feature=0 1 15 99999999"),
    "a feature below 0": ("split_feature=0 1 15 5", "split_feature=0 1 15 -5"),
    "half a feature": ("split_feature=0 1 15 5", "split_feature=0 1 15 0.5"),
    "many leaves": ("num_leaves=5", "num_leaves=500000000"),
    "no leaves": ("num_leaves=5", "num_leaves=0"),
    "fewer leaves": ("num_leaves=5", "num_leaves=4"),
    "categories": ("num_cat=0", "num_cat=7"),
    "by category": ("decision_type=2 2 2 2", "decision_type=3 2 2 2"),
    "linear leaves": ("is_linear=0", "is_linear=1"),
    "no leaf values": ("leaf_value=-0.014555251127124783 ", "leaf_value="),
    "no number": ("threshold=0.44026812911033636", "threshold=nan"),
    "other sizes": ("tree_sizes=691 809", "tree_sizes=99999 809"),
    "other features": ("max_feature_idx=20", "max_feature_idx=2000000"),
    "classes": ("num_class=1", "num_class=1000000"),
    "another number": ("Tree=1\n", "Tree=7\n"),
    "a key twice": ("num_cat=0\n", "num_cat=0\nnum_cat=0\n"),
    "no end": ("end of trees", "end of"),
    "nothing": ("tree\n", "forest\n"),
}


@pytest.mark.parametrize("kind", TREES)
def test_trees(tmp_path: Path, kind: str) -> None:
    """LightGBM would read these beyond the end of its memory, or without end."""
    pytest.importorskip("lightgbm")
    whole = (FOLDER / "boosted" / "trees.txt").read_text()
    old, new = TREES[kind]
    assert old in whole
    boosted(tmp_path, whole.replace(old, new, 1))
    with pytest.raises(DataError, match="fusion"):
        read_spec("boosted", tmp_path)


def test_nothing_after_the_trees_is_read(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    whole = (FOLDER / "boosted" / "trees.txt").read_text()
    boosted(tmp_path, whole.replace("[machine_list_filename: ]", "[machine_list_filename: /x]"))
    features = np.random.default_rng(0).normal(0, 3, (50, 21))
    one, other = (read_spec("boosted", folder) for folder in (tmp_path, FOLDER))
    np.testing.assert_array_equal(one.fusion.fuse(features), other.fusion.fuse(features))


def test_files_beyond_all_measure(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(b"[" * (1 << 20))
    with pytest.raises(DataError):
        Calibration.load(path)
    with path.open("wb") as file:
        file.truncate(1 << 33)  # holes
    with pytest.raises(DataError, match="at most 4 MiB"):
        Calibration.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes(tmp_path: Path) -> None:
    """In a process of its own, which ends if one of them is waited for."""
    os.mkfifo(tmp_path / "calibration.json")
    (tmp_path / "mean").mkdir()
    os.mkfifo(tmp_path / "mean" / "ensemble.json")
    code = """
import sys
from lineament.decide.calibration import Calibration
from lineament.decide.ensemble_file import read_spec
from lineament.errors import LineamentError
from lineament.forms import kind_of_file
from pathlib import Path
folder = Path(sys.argv[1])
print(kind_of_file(folder / "calibration.json"))
for read, *where in (Calibration.load, folder / "calibration.json"), (read_spec, "mean", folder):
    try:
        read(*where)
    except LineamentError as error:
        print("pipe" in str(error))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["None", "True", "True"]
    assert issubclass(DataError, LineamentError)
