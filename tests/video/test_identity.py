"""Views, pools, names that do not flicker, and what is remembered of people."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from lineament.errors import ContractError, DataError, OptionError
from lineament.types import Contract
from lineament.video.identity import (
    AGAIN,
    AT_ONCE,
    LOST,
    MOST_VIEWS,
    Naming,
    View,
    Views,
    Wish,
    share_out,
)
from lineament.video.memory import Memory

CONTRACT = Contract("made up", "0" * 64, "arcface-112", "rgb", False, 8)


def view(*values: float, worth: float | None = 1.0, time_s: float = 0.0) -> View:
    vector = np.zeros(8, np.float32)
    vector[: len(values)] = values
    return View(vector / np.linalg.norm(vector), 10.0, worth, time_s)


def test_good_views_count_more() -> None:
    views = Views([view(1, 0, worth=1.0), view(0, 1, worth=0.5)])
    expected = np.array([1.0, 0.25]) / np.hypot(1, 0.25)
    assert views.pooled()[:2] == pytest.approx(expected)
    assert views.best == 1
    embedding = views.embedding(CONTRACT)
    assert embedding.norm == pytest.approx(10)
    assert np.asarray(embedding)[:2] == pytest.approx(expected)


def test_without_recognizability_the_norm_counts() -> None:
    views = Views([view(1, 0, worth=None), view(0, 1, worth=None)._replace(norm=5.0)])
    assert views.pooled()[1] / views.pooled()[0] == pytest.approx(0.5**4)


def test_the_best_views_are_kept() -> None:
    rng = np.random.default_rng(0)
    views = Views()
    for i in range(40):
        views.add(view(*rng.normal(size=8), worth=(i + 1) / 40))
    assert len(views) == MOST_VIEWS
    assert min(one.worth for one in views.listed) == pytest.approx((40 - MOST_VIEWS + 1) / 40)
    assert not views.add(view(*rng.normal(size=8), worth=0.1))


def test_one_that_shows_the_same_takes_the_place_of_a_worse_one() -> None:
    views = Views([view(1, 0), view(0, 1), view(0, 0, 1, worth=0.4)])
    assert not views.add(view(0, 0.01, 1, worth=0.3))
    assert views.add(view(0, 0.01, 1, worth=0.9))
    assert sorted(one.worth for one in views.listed) == [0.9, 1, 1]


def test_names_do_not_flicker() -> None:
    naming = Naming()
    assert not naming.propose("Ann", AT_ONCE / 2)
    assert naming.name is None
    assert naming.propose("Ann", AT_ONCE / 2)  # the second time
    assert AGAIN == 2
    for _ in range(LOST - 1):
        assert not naming.propose("Bob", 0.5)
    assert not naming.propose("Ann", 0.01)  # and the count begins anew
    for _ in range(LOST - 1):
        assert not naming.propose(None, 0)
    assert naming.propose(None, 0)
    assert naming.propose("Bob", AT_ONCE)  # so alike that one view is enough
    assert naming.name == "Bob"


def test_no_name_is_given_twice() -> None:
    assert share_out([Wish({"Ann": 0.3}), Wish({"Ann": 0.2, "Bob": 0.1})]) == ["Ann", "Bob"]
    assert share_out([Wish({"Ann": 0.3}), Wish({"Ann": 0.28}, "Ann")]) == [None, "Ann"]
    assert share_out([Wish({"Ann": -0.1}), Wish()]) == [None, None]
    assert share_out([]) == []


def memory_of_two() -> Memory:
    memory = Memory(CONTRACT)
    for values, name in (((1, 0), "Ann"), ((0, 1, 1), None)):
        person = memory.new()
        person.name, person.n_visits = name, 1
        memory.learn(person, view(*values, worth=0.7, time_s=3.0))
    return memory


def test_a_memory_is_read_as_it_was_written(tmp_path: Path) -> None:
    memory = memory_of_two()
    memory.save(tmp_path / "a.npz")
    again = Memory.open(tmp_path / "a.npz")
    assert again.people() == memory.people()
    assert again.contract == CONTRACT
    ids, alike = again.similarities(view(1, 0).vector)
    assert ids.tolist() == [1, 2]
    assert alike == pytest.approx([1, 0])
    assert again.named("Ann") is again[1]
    assert again[2].views.listed[0].recognizability == pytest.approx(0.7)
    assert again.new().id == 3
    assert (tmp_path / "a.npz").stat().st_mode & 0o077 == 0


def test_people_are_merged_and_forgotten() -> None:
    memory = memory_of_two()
    memory.merge(memory[1], memory[2])
    assert [one.id for one in memory.people()] == [1]
    assert len(memory[1].views) == 2
    assert memory.similarities(view(1).vector)[0].tolist() == [1]


def test_a_new_file_begins_empty(tmp_path: Path) -> None:
    memory = Memory.open(tmp_path / "new.npz")
    assert len(memory) == 0
    memory.check(CONTRACT)
    memory.save()
    assert Memory.open(tmp_path / "new.npz").contract == CONTRACT


def test_other_contracts_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="use the recognizer"):
        memory_of_two().check(Contract("other", "1" * 64, "arcface-112", "rgb", False, 8))
    path = tmp_path / "bad.npz"
    memory_of_two().save(path)
    whole = path.read_bytes()
    foreign = io.BytesIO()
    np.savez(foreign, vectors=np.zeros((2, 8)))
    for data in (b"", b"PK\x03\x04", whole[: len(whole) // 2], foreign.getvalue()):
        path.write_bytes(data)
        with pytest.raises(DataError, match="expected a memory of people"):
            Memory.open(path)
    with pytest.raises(OptionError, match="folder that exists"):
        Memory.open(tmp_path / "none" / "a.npz")
    with pytest.raises(OptionError, match="path"):
        memory_of_two().save()
