"""Calibrations, ensembles and groups: JSON that somebody sent, and what is then said by it."""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from doors import people
from doors.case import AbsentError, Case, Door
from doors.damage import NUMBERS, anything, changed, damaged, special_file
from lineament import Calibration, LineamentError
from lineament.decide.conditions import MOST_RISE
from lineament.decide.ensemble_file import FOLDER, read_spec
from lineament.files import DATA
from lineament.gallery.grouping import Grouping


def _base(case: Case) -> Any:
    names = sorted((DATA / "models").glob("*/calibration*.json"))
    return json.loads(case.pick(names).read_bytes())


def _used(case: Case, calibration: Calibration) -> bool:
    """All that it says must be numbers that make sense, or our own refusal."""
    scores = np.linspace(-1, 1, 41)
    llr = calibration.llr_of(scores)
    case.expect(np.isfinite(llr).all(), "a log-likelihood ratio is not finite")
    for prior in (1e-6, 0.5, 1 - 1e-6):
        shares = calibration.probabilities(scores, prior)
        fits = np.isfinite(shares).all() and (shares >= 0).all() and (shares <= 1).all()
        case.expect(fits, f"probabilities {shares}")
    sign = 1 if calibration.metric == "cosine" else -1
    case.expect((np.diff(sign * llr) >= 0).all(), "more alike is less probable")
    for a, b in case.rng.random((4, 2)).tolist():
        condition = calibration.condition(a, b)
        case.expect(condition == calibration.condition(b, a), "who is the worse face matters")
        rise, trust = condition.threshold_rise, condition.trust
        case.expect(0 <= rise <= MOST_RISE and 0 <= trust <= 1, f"a condition {condition}")
        like_these = sign * np.diff(calibration.llr_of(scores, condition))
        case.expect((like_these >= 0).all(), "more alike is less probable in bad photos")
        one = calibration.probability(0.4, 0.5, condition)
        case.expect(0 <= one.low <= one.value <= one.high <= 1, f"a probability {one}")
    repr(calibration)
    json.dumps(calibration.to_dict(), allow_nan=False)
    calibration.to_rows()
    for fmr in (1e-2, 1e-4, 1e-5, 1e-7):
        try:
            threshold = calibration.threshold(fmr)
            case.expect(math.isfinite(threshold.plain.value), f"a threshold {threshold}")
        except LineamentError as error:
            case.say(str(error))
    for people_in in (1, 100, 10**6):
        try:
            found = calibration.identification_threshold(people_in, 0.01)
            case.expect(math.isfinite(found.value), f"a threshold {found}")
        except LineamentError as error:
            case.say(str(error))
    return True


def _loaded(case: Case, values: Any) -> bool:
    text = json.dumps(values).encode(errors="replace")
    calibration = Calibration.load(case.file("x.calibration.json", text))
    return _used(case, calibration)


def any_value(case: Case) -> bool:
    """Something in it is something else."""
    return _loaded(case, changed(_base(case), case.rng, times=int(case.rng.integers(1, 3))))


def numbers(case: Case) -> bool:
    """One number is another."""
    values = _base(case)
    lists = [key for key, value in values.items() if isinstance(value, list) and value]
    key = case.pick(lists)
    at = int(case.rng.integers(len(values[key])))
    entry = values[key][at]
    number = case.pick(NUMBERS)
    if isinstance(entry, dict):
        entry[case.pick(list(entry))] = number
    elif isinstance(entry, list) and entry:
        entry[0] = number
    else:
        values[key][at] = number
    return _loaded(case, values)


def lists(case: Case) -> bool:
    """Lists of other lengths and orders."""
    values = _base(case)
    key = case.pick([key for key, value in values.items() if isinstance(value, list)])
    kind = case.rng.integers(6)
    values[key] = (
        values[key][::-1],
        values[key][:1],
        [],
        values[key] * 2,
        values[key] * 20_000,
        [values[key]],
    )[int(kind)]
    return _loaded(case, values)


def contract(case: Case) -> bool:
    """Whose scores it is said to be for."""
    values = _base(case)
    if case.chance(0.5):
        values["contract"] = changed(values["contract"], case.rng)
    else:
        values["contract"][case.pick(list(values["contract"]))] = anything(case.rng)
    return _loaded(case, values)


def conditions(case: Case) -> bool:
    """What is said of two bad photos."""
    values, rng = _base(case), case.rng
    k = int(rng.integers(2, 6))
    rise = np.sort(rng.uniform(0, 1, k))[::-1]
    number = np.arange(k)
    better = np.maximum(number[:, None], number[None])
    table = rng.uniform(0, 1, k)[better]
    made: Any = {
        "knots": np.sort(rng.uniform(0, 1, k)).tolist(),
        "threshold_rise": rise[better].tolist(),
        "llr_rise": (table - 0.5).tolist(),
        "trust": table.tolist(),
        "data": "somebody's",
    }
    values["conditions"] = made
    try:
        sound = Calibration.from_dict(values)
    except LineamentError as error:
        raise RuntimeError(f"sound conditions are refused: {error}") from error
    if case.chance(0.1):
        return _used(case, sound)
    if case.chance(0.3):
        values["conditions"] = changed(made, rng, times=int(rng.integers(1, 3)))
    else:
        key = case.pick(["threshold_rise", "llr_rise", "trust", "knots"])
        rows = made[key]
        kind = int(rng.integers(5))
        if kind == 0:
            made[key] = rows[:-1]
        elif kind == 1:
            made[key] = [*rows[:-1], anything(rng)]
        elif kind == 2:
            made[key] = rows * 3
        elif kind == 3:
            made[key] = [rows]
        elif key == "knots":
            rows[int(rng.integers(k))] = case.pick(NUMBERS)
        else:
            rows[int(rng.integers(k))][int(rng.integers(k))] = case.pick(NUMBERS)
    return _loaded(case, values)


def damaged_bytes(case: Case) -> bool:
    """Bytes of the file are others."""
    data = damaged(json.dumps(_base(case)).encode(), case.rng)
    return _used(case, Calibration.load(case.file("x.json", data)))


def special_files(case: Case) -> bool:
    """In the place of a file stands something else."""
    path = special_file(case, "x.json", "x{}")
    read = case.pick([Calibration.load, Grouping.load])
    read(path)
    return True


def ensembles(case: Case) -> bool:
    """The file of an ensemble."""
    kind = case.pick(["logistic", "mean", "boosted"])
    folder = case.folder / kind
    folder.mkdir()
    values = json.loads((FOLDER / kind / "ensemble.json").read_bytes())
    if kind == "boosted":
        trees = (FOLDER / kind / "trees.txt").read_bytes()
        if case.chance(0.7):
            trees = damaged(trees, case.rng)
            values["fusion"]["sha256"] = hashlib.sha256(trees).hexdigest()
        (folder / "trees.txt").write_bytes(trees)
    if kind != "boosted" or case.chance(0.3):
        values = changed(values, case.rng)
    (folder / "ensemble.json").write_text(json.dumps(values), errors="replace")
    spec = read_spec(kind, case.folder)
    n = len(values["features"])
    fused = spec.fusion(np.zeros((3, n))) if callable(spec.fusion) else None
    case.expect(fused is None or np.isfinite(fused).all(), f"fused scores {fused}")
    for key in ("score", "llr", "llr_low", "llr_high"):
        case.expect(np.isfinite(getattr(spec, key)).all(), f"{key} is not finite")
    return True


def groups(case: Case) -> bool:
    """Groups that `lineament group` wrote: loaded, looked at, named."""
    rng = case.rng
    faces = [
        {
            "source": f"/photos/{i}.jpg",
            "number": 0,
            "box_xyxy": [10.0, 20.0, 110.0, 140.0],
            "score": 0.9,
            "landmarks_xy": [
                [30.0, 50.0],
                [80.0, 50.0],
                [55.0, 75.0],
                [35.0, 100.0],
                [75.0, 100.0],
            ],
            "turned_deg": 0,
            "group": i // 2 + 1,
            "problems": [],
            "norm": 11.0,
            "vector": people.lines(rng, 1, 1, crops=False)[2]["sample"]["vector"],
        }
        for i in range(4)
    ]
    values: Any = {
        "lineament": "groups",
        "format": 1,
        "contract": asdict(people.CONTRACT),
        "threshold": {
            "value": 0.5,
            "metric": "cosine",
            "fmr": None,
            "data": "their own",
            "impostor_pairs": None,
        },
        "next_id": 3,
        "apart": [],
        "photos": [{"source": f"/photos/{i}.jpg", "n_faces": 1, "error": None} for i in range(4)],
        "groups": [{"id": 1, "name": None}, {"id": 2, "name": "Ada"}],
        "faces": faces,
    }
    try:
        sound = Grouping.from_dict(values)
    except LineamentError as error:
        raise RuntimeError(f"sound groups are refused: {error}") from error
    values = changed(
        values if case.chance(0.5) else sound.to_dict(), rng, times=int(rng.integers(1, 3))
    )
    grouping = Grouping.load(case.file("groups.json", json.dumps(values).encode(errors="replace")))
    repr(grouping)
    json.dumps(grouping.to_dict(), allow_nan=False)
    for group in grouping.groups()[:4]:
        repr(group)
    return True


def _prepare(home: Path, seed: int) -> None:
    Calibration.load(DATA / "models" / "sface" / "calibration.json")
    with suppress(LineamentError):
        read_spec("boosted")  # what LightGBM takes is not the first case's


DOOR = Door(
    "calibrations",
    (
        any_value,
        numbers,
        lists,
        any_value,
        contract,
        conditions,
        damaged_bytes,
        groups,
        ensembles,
        special_files,
        any_value,
    ),
    cases=800,
    bound_mb=200.0,
    prepare=_prepare,
)
_ = AbsentError
