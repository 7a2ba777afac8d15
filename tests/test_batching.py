"""Calls from real threads through one ``Batcher``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from builders import FakeDetector, make_contract, make_face
from lineament import Batcher, Recognizer
from lineament.errors import ContractError, OptionError
from lineament.types import FloatArray, Image

SIDE = 4


def crop(value: int, n: int = 1) -> Image:
    """``n`` crops of which the first pixels count up from ``value``."""
    crops = np.zeros((n, SIDE, SIDE, 3), np.uint8)
    crops[:, 0, 0, 0] = np.arange(value, value + n)
    return crops


class Recording:
    """An embedder whose norm is the crop's first pixel; remembers its batches."""

    contract = make_contract(dimension=2)
    size_wh = SIDE, SIDE

    def __init__(self, before: Callable[[Image], None] = lambda crops: None) -> None:
        self.batches: list[list[int]] = []
        self.before = before

    def embed(self, crops: Image, /) -> tuple[FloatArray, FloatArray]:
        self.batches.append(crops[:, 0, 0, 0].tolist())
        self.before(crops)
        values = crops[:, 0, 0, 0].astype(np.float32)
        return np.stack([values, -values], axis=1), values


def together(batcher: Batcher, calls: list[Image]) -> list[object]:
    """The results of the calls, or their errors, made from one thread each at once."""
    barrier = threading.Barrier(len(calls))

    def one(crops: Image) -> object:
        barrier.wait()
        try:
            return batcher.embed(crops)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def norms_of(result: object) -> list[int]:
    assert isinstance(result, tuple)
    vectors, norms = result
    np.testing.assert_array_equal(vectors[:, 0], norms)
    return [int(v) for v in norms]


def wait_for(gate: threading.Event) -> None:
    assert gate.wait(5)


def test_calls_at_once_share_batches_and_each_gets_its_own() -> None:
    embedder = Recording()
    with Batcher(embedder, wait_ms=200, most=8) as batcher:
        results = together(batcher, [crop(10 * i, n=2) for i in range(4)])
    assert [norms_of(r) for r in results] == [[10 * i, 10 * i + 1] for i in range(4)]
    assert len(embedder.batches) == 1  # full, so nobody waited
    assert sorted(embedder.batches[0]) == sorted(10 * i + k for i in range(4) for k in range(2))


def test_a_full_batch_does_not_wait() -> None:
    with Batcher(Recording(), wait_ms=10_000, most=4) as batcher:
        started = time.monotonic()
        assert norms_of(batcher.embed(crop(0, n=4))) == [0, 1, 2, 3]
        assert time.monotonic() - started < 5


def test_the_wait_is_bounded() -> None:
    with Batcher(Recording(), wait_ms=20, most=100) as batcher:
        started = time.monotonic()
        assert norms_of(batcher.embed(crop(7))) == [7]
        assert 0.015 < time.monotonic() - started < 5


def test_a_large_call_does_not_keep_small_ones_waiting() -> None:
    gate = threading.Event()
    embedder = Recording(lambda crops: wait_for(gate))
    with Batcher(embedder, wait_ms=0, most=4) as batcher, ThreadPoolExecutor(4) as pool:
        large = pool.submit(batcher.embed, crop(0, n=40))
        while not embedder.batches:  # its first share is running
            time.sleep(0.001)
        small = [pool.submit(batcher.embed, crop(200 + i)) for i in range(2)]
        while len(batcher._calls) < 3:
            time.sleep(0.001)
        gate.set()
        assert [norms_of(each.result(10)) for each in small] == [[200], [201]]
        assert norms_of(large.result(10)) == list(range(40))
    assert embedder.batches[0] == [0, 1, 2, 3]
    assert {200, 201} < set(embedder.batches[1])  # the next one has all who wait
    assert all(len(batch) <= 4 for batch in embedder.batches)


def test_equal_shares_whoever_waits() -> None:
    from lineament.batching import _shares

    assert _shares([], 4) == []
    assert _shares([3], 8) == [3]
    assert _shares([100, 100], 8) == [4, 4]
    assert _shares([1, 100, 100], 9) == [1, 4, 4]
    assert _shares([5] * 6, 4) == [1, 1, 1, 1, 0, 0]
    assert sum(_shares([7, 2, 9, 1], 16)) == 16


def test_who_was_left_out_of_a_batch_is_in_the_next() -> None:
    gate = threading.Event()
    embedder = Recording(lambda crops: wait_for(gate))
    with Batcher(embedder, wait_ms=0, most=2) as batcher, ThreadPoolExecutor(5) as pool:
        first = pool.submit(batcher.embed, crop(200))
        while not embedder.batches:
            time.sleep(0.001)
        calls = [pool.submit(batcher.embed, crop(10 * i, n=3)) for i in range(4)]
        while len(batcher._calls) < 4:
            time.sleep(0.001)
        gate.set()
        results = [call.result(10) for call in calls]
        assert norms_of(first.result(10)) == [200]
    assert [norms_of(r) for r in results] == [[10 * i + k for k in range(3)] for i in range(4)]
    assert sorted(value // 10 for batch in embedder.batches[1:3] for value in batch) == [0, 1, 2, 3]


def test_an_error_goes_to_the_call_that_caused_it() -> None:
    def refuse(crops: Image) -> None:
        if (crops[:, 0, 0, 0] == 66).any():
            raise OptionError("66")

    with Batcher(Recording(refuse), wait_ms=200, most=6) as batcher:
        good, bad, other = together(batcher, [crop(1, n=2), crop(66, n=2), crop(5, n=2)])
        assert norms_of(good) == [1, 2]
        assert norms_of(other) == [5, 6]
        assert isinstance(bad, OptionError)
        assert str(bad) == "66"
        assert norms_of(batcher.embed(crop(9))) == [9]  # it goes on


def test_crops_of_another_size_are_a_batch_of_their_own() -> None:
    embedder = Recording()
    large = np.full((1, 2 * SIDE, 2 * SIDE, 3), 50, np.uint8)
    with Batcher(embedder, wait_ms=50, most=8) as batcher:
        results = together(batcher, [crop(1), large, crop(3)])
    assert [norms_of(r) for r in results] == [[1], [50], [3]]
    assert sorted(map(sorted, embedder.batches)) == [[1, 3], [50]]


def test_what_has_no_crops_is_answered_at_once() -> None:
    with Batcher(Recording(), wait_ms=10_000) as batcher:
        vectors, norms = batcher.embed(crop(0, n=0))
        assert vectors.shape == (0, 2)
        assert norms.shape == (0,)


def test_closing_finishes_what_waits_and_refuses_what_comes() -> None:
    gate = threading.Event()
    batcher = Batcher(Recording(lambda crops: wait_for(gate)), wait_ms=0, most=1)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(batcher.embed, crop(i)) for i in range(3)]
        while len(batcher._calls) < 2:
            time.sleep(0.001)
        closing = pool.submit(batcher.close)
        while not batcher._closed:
            time.sleep(0.001)
        gate.set()
        assert sorted(norms_of(call.result(10))[0] for call in calls) == [0, 1, 2]
        closing.result(10)
    assert not batcher._thread.is_alive()
    with pytest.raises(OptionError, match="closed"):
        batcher.embed(crop(0))
    batcher.close()  # once more changes nothing


@pytest.mark.parametrize("wrong", [{"wait_ms": -1}, {"wait_ms": float("nan")}, {"most": 0}])
def test_options(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        Batcher(Recording(), **wrong)  # type: ignore[arg-type]


def test_a_recognizer_on_a_batcher_gives_the_same_bits(astronaut: Image) -> None:
    alone = Recognizer("mobilefacenet")
    photos = [np.ascontiguousarray(astronaut[i * 5 :, i * 7 :]) for i in range(6)]
    expected = [alone.embed(photo) for photo in photos]
    with Batcher(alone.embedder, wait_ms=20, most=8) as batcher:
        shared = Recognizer("mobilefacenet", embedder=batcher, finder=alone.finder)
        with ThreadPoolExecutor(6) as pool:
            got = list(pool.map(shared.embed, photos))
    for one, other in zip(got, expected, strict=True):
        assert one.contract == other.contract
        np.testing.assert_array_equal(one.vector, other.vector)
        assert one.norm == other.norm


def test_an_embedder_of_another_recognizer_is_refused(tmp_path: Path) -> None:
    sface = Recognizer("sface", detector=FakeDetector(make_face()))
    with pytest.raises(ContractError, match="weights_sha256"):
        Recognizer("mobilefacenet", embedder=sface.embedder)
    with pytest.raises(ContractError, match="flip"):
        Recognizer("sface", flip=True, embedder=sface.embedder)
