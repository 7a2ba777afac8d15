"""Children of a process whose threads run networks or hold locks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import lineament
from lineament import forks
from lineament.batching import Batcher
from lineament.errors import EngineError
from lineament.forks import Calls, lock, rlock

DEMO = Path(lineament.__file__).parent / "data" / "demo"
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.slow,
]

BUSY = f"""
import os, sys, threading, time
import numpy as np, lineament
from lineament.models.runtime import Runtime

recognizer = lineament.Recognizer(runtime=Runtime({{engine!r}}))
expected = recognizer.embed({str(DEMO / "obama.jpg")!r}).vector

def work():
    while True:
        recognizer.analyze({str(DEMO / "obama2.jpg")!r})

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
codes = []
for _ in range(3):
    time.sleep(0.05)
    child = os.fork()
    if not child:
        found = recognizer.embed({str(DEMO / "obama.jpg")!r}).vector
        other = lineament.Recognizer("fast", runtime=Runtime({{engine!r}}, threads=1))
        other.embed({str(DEMO / "obama.jpg")!r})  # a network that is compiled in the child
        os._exit(0 if np.allclose(found, expected, atol=1e-5) else 3)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            codes.append(os.waitstatus_to_exitcode(status))
            break
        time.sleep(0.02)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        codes.append("hung")
print(codes, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_forked_while_threads_detect(engine: str) -> None:
    pytest.importorskip(engine)
    done = subprocess.run(
        [sys.executable, "-c", BUSY.format(engine=engine)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "[0, 0, 0]", done.stdout + done.stderr


def exit_code_of_child(work: object) -> int:
    child = os.fork()
    if not child:
        code = 9
        try:
            code = work()  # type: ignore[operator]
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_locks_that_others_hold_are_free_in_a_child() -> None:
    held, release = threading.Event(), threading.Event()
    locks = [lock(), rlock()]

    def hold() -> None:
        with locks[0], locks[1]:
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    got = exit_code_of_child(lambda: 0 if all(each.acquire(timeout=5) for each in locks) else 1)
    assert not locks[0].acquire(blocking=False)  # in the parent nothing changed
    release.set()
    thread.join()
    assert got == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_waits_for_calls_and_new_ones_wait_for_it() -> None:
    calls, order = Calls(), []
    inside = threading.Event()

    def call() -> None:
        with calls.running():
            inside.set()
            time.sleep(0.05)
            order.append("call")

    thread = threading.Thread(target=call)
    thread.start()
    inside.wait(30)
    calls.before_fork()
    order.append("fork")
    late = threading.Thread(target=call)
    late.start()
    time.sleep(0.05)
    assert order == ["call", "fork"]
    calls.after_in_parent()
    late.join()
    thread.join()
    assert order == ["call", "fork", "call"]
    assert not calls.interrupted


def test_a_child_that_could_not_wait_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from lineament import models
    from lineament.models import runtime

    monkeypatch.setattr(forks, "WAIT_S", 0.01)
    calls = Calls()
    with calls.running():
        calls.before_fork()
        calls.after_in_child()  # as the child sees it
        assert calls.interrupted
        calls._running = 1
    monkeypatch.setattr(forks, "calls", calls)
    monkeypatch.setattr(runtime, "_loaded", {})
    with pytest.raises(EngineError, match=r'get_context\("spawn"\)'):
        runtime.load_model(models.get("sface"))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_batcher_works_in_a_child() -> None:
    class Sum:
        contract = None
        size_wh = (4, 4)

        def embed(self, crops: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
            sums = crops.sum(axis=(1, 2, 3), dtype=np.float32)[:, None]
            return sums, sums[:, 0]

    crops = np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)
    with Batcher(Sum()) as batcher:  # type: ignore[arg-type]
        expected, _ = batcher.embed(crops)

        def in_child() -> int:
            signal.alarm(20)  # what waits for a thread that is not there is ended
            with batcher:
                found, _ = batcher.embed(crops)
            return 0 if np.array_equal(found, expected) else 1

        assert exit_code_of_child(in_child) == 0
        again, _ = batcher.embed(crops)
    assert np.array_equal(again, expected)
