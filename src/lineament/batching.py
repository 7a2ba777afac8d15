"""Calls from many threads, one batch of the network: what a server and video streams share.

with Batcher(recognizer.embedder) as batcher:
    shared = Recognizer(embedder=batcher, finder=recognizer.finder)
    ...                                      threads call shared.embed, shared.analyze, ...
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from types import TracebackType

import numpy as np

from lineament.arguments import checked
from lineament.embed import Embedder
from lineament.errors import OptionError
from lineament.forks import calls, lock
from lineament.types import Contract, FloatArray, Image

Result = tuple[FloatArray, FloatArray]


@dataclass(eq=False, slots=True)
class _Call:
    """What one caller waits for: crops, of which the first ``taken`` are in batches already."""

    crops: Image
    due_s: float
    future: Future[Result] = field(default_factory=Future)
    taken: int = 0
    parts: list[Result] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.crops) - self.taken


class Batcher:
    """An ``Embedder`` that gathers the crops of calls from several threads into one batch.

    A batch runs as soon as it is full, or its oldest call has waited ``wait_ms``; while one runs,
    the next gathers. Each waiting call gets an equal share of a batch, so a call with a thousand
    crops does not keep others waiting. When a batch fails, each call in it is run by itself, and
    the error is raised in the call that caused it.

    Vectors are those that the embedder returns for the same crops alone. With OpenVINO on a CPU
    they are equal to the bit: of sface, mobilefacenet and dlib-resnet, with and without flip, no
    bit depends on how crops are divided into batches of 1 to 24. Engines on other devices may
    choose other kernels for other sizes; then they agree to rounding.

    Attributes:
        contract: the embedder's.
    """

    @checked
    def __init__(self, embedder: Embedder, *, wait_ms: float = 2.0, most: int = 32) -> None:
        """Start the thread that runs the batches.

        Args:
            embedder: what runs them.
            wait_ms: milliseconds that a call waits for others at most, before its batch runs.
            most: crops in a batch.

        Raises:
            OptionError: a negative wait, or no crops in a batch.
        """
        if not 0 <= wait_ms < math.inf:
            raise OptionError(f"expected 0 or more milliseconds, got {wait_ms}", option="wait_ms")
        if most < 1:
            raise OptionError(f"expected at least 1 crop in a batch, got {most}", option="most")
        self._embedder, self._wait_s, self._most = embedder, wait_ms / 1000, most
        self._closed = False
        self._starting = lock()
        self._start()

    def _start(self) -> None:
        """Begin without calls; also in the child of a fork, which has none of the threads."""
        self._calls: deque[_Call] = deque()
        self._changed = Condition()
        self._thread = Thread(target=self._work, name="lineament-batches", daemon=True)
        if not self._closed:
            self._thread.start()
        self._generation = calls.generation

    @property
    def contract(self) -> Contract:
        """What its embeddings carry."""
        return self._embedder.contract

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the crops it takes."""
        return self._embedder.size_wh

    def embed(self, crops: Image, /) -> Result:
        """Embed aligned faces, in a batch with those of other threads; waits for the result.

        Args:
            crops: (N, S, S, 3) uint8, RGB; N may be 0.

        Returns:
            As ``Embedder.embed``.

        Raises:
            OptionError: the batcher is closed.
            LineamentError: as the embedder raises for these crops.
        """
        if self._generation != calls.generation:
            with self._starting:
                if self._generation != calls.generation:
                    self._start()
        call = _Call(crops, time.monotonic() + self._wait_s)
        with self._changed:
            if self._closed:
                raise OptionError("expected an open batcher, it is closed", hint="make another")
            if crops.ndim == 4 and len(crops):
                self._calls.append(call)
                self._changed.notify_all()
        if crops.ndim != 4 or not len(crops):  # nothing to share; the embedder knows what is wrong
            return self._embedder.embed(crops)
        return call.future.result()

    def close(self) -> None:
        """Finish the calls that wait, and end the thread; later calls are refused."""
        if self._generation != calls.generation:  # the thread is the parent's
            self._closed = True
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Batcher:
        """Itself, to be closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """``close``."""
        self.close()

    # --- the thread -------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls or self._closed)
                while self._calls and not self._closed and not self._is_full():
                    rest_s = self._calls[0].due_s - time.monotonic()
                    if rest_s <= 0:
                        break
                    self._changed.wait(rest_s)
                if not self._calls:
                    return
                batch = self._next_batch()
            self._run(batch)

    def _is_full(self) -> bool:
        return sum(call.left for call in self._calls) >= self._most

    def _next_batch(self) -> list[tuple[_Call, Image]]:
        """An equal share of each waiting call that has crops like the oldest one's."""
        like = self._calls[0].crops
        calls = [
            call
            for call in self._calls
            if call.crops.shape[1:] == like.shape[1:] and call.crops.dtype == like.dtype
        ]
        shares = _shares([call.left for call in calls], self._most)
        batch = []
        for call, share in zip(calls, shares, strict=True):
            if share:
                batch.append((call, call.crops[call.taken : call.taken + share]))
                call.taken += share
        served = {id(call) for call, _ in batch}
        # Who was served goes behind those who were not.
        waiting = [call for call in self._calls if call.left]
        waiting.sort(key=lambda call: id(call) in served)
        self._calls = deque(waiting)
        return batch

    def _run(self, batch: Sequence[tuple[_Call, Image]]) -> None:
        try:
            vectors, norms = self._embedder.embed(np.concatenate([crops for _, crops in batch]))
        except BaseException as error:
            if len(batch) == 1:
                self._fail(batch[0][0], error)
            else:
                for one in batch:
                    self._run([one])
            return
        first = 0
        for call, crops in batch:
            rows = slice(first, first + len(crops))
            first = rows.stop
            call.parts.append((vectors[rows], norms[rows]))
            if not call.left and not call.future.done():
                call.future.set_result(
                    (
                        np.concatenate([part for part, _ in call.parts]),
                        np.concatenate([part for _, part in call.parts]),
                    )
                )

    def _fail(self, call: _Call, error: BaseException) -> None:
        with self._changed:
            if call in self._calls:
                self._calls.remove(call)
        if not call.future.done():
            call.future.set_exception(error)


def _shares(lefts: Sequence[int], most: int) -> list[int]:
    """How many of ``most`` each gets: equal shares, and what one does not need goes to the rest.

    Earlier ones get the odd crops.
    """
    shares = [0] * len(lefts)
    room = most
    while room:
        hungry = [i for i, left in enumerate(lefts) if left > shares[i]]
        if not hungry:
            break
        each = max(1, room // len(hungry))
        for i in hungry:
            more = min(each, lefts[i] - shares[i], room)
            shares[i] += more
            room -= more
    return shares
