"""``Recognizer.stream`` in several processes of one machine.

Each process has a ``Recognizer`` of its own, with one thread. Tasks of a few photos go to them
through pipes, results come back in the order of the sources. A process that dies (killed for its
memory, or by a photo that crashes a decoder) is replaced: its photos are tried again one
by one, and the one that kills a process twice gets an error for a result.

``Recognizer.stream`` itself uses all cores already, see ``docs/bulk.md`` for what is measured.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, cast

from lineament.bulk.spec import (
    Packed,
    Spec,
    check_worker,
    fingerprint,
    pack,
    retold,
    spec_of,
    told,
    unpack,
)
from lineament.bulk.tables import Result
from lineament.errors import ImageError, LineamentError, OptionError
from lineament.images import ImageSource, describe_source
from lineament.pipeline import Chosen, Recognizer
from lineament.types import Analysis

TASK = 16
"""Photos that are sent at once: enough for two batches of the recognizer, few enough that the
last ones do not keep a single process busy for long."""

AHEAD = 2
"""Tasks that a process has at a time: while it works on one, the next one waits at its door."""

MOST_DEATHS = 5
"""So many ends of processes, with nothing finished in between, are no photo's fault."""

Want = Literal["all", "crops", "chosen"]


def stream_in_processes(
    sources: Iterable[ImageSource],
    recognizer: Recognizer,
    workers: int,
    *,
    keep_crops: bool = False,
) -> Iterator[Analysis]:
    """``Recognizer.stream`` in ``workers`` processes: the same results in the same order.

    The caller's main module is imported in each process (multiprocessing's "spawn"): a script must
    keep its work below ``if __name__ == "__main__"``.

    Args:
        sources: what ``load_image`` reads and pickle carries: paths, URLs, bytes, arrays.
        recognizer: what embeds; each process makes an equal one.
        workers: number of processes, 1 or more.
        keep_crops: return the aligned faces too.

    Raises:
        OptionError: fewer than one worker, a source that cannot be sent, a detector of your own.
        ContractError: a process would embed in another way.
        LineamentError: processes keep ending, or cannot load the networks.
    """
    want: Want = "crops" if keep_crops else "all"
    return cast("Iterator[Analysis]", _stream(sources, recognizer, workers, want))


def stream_chosen_in_processes(
    sources: Iterable[ImageSource], recognizer: Recognizer, workers: int
) -> Iterator[Chosen]:
    """``Recognizer.stream_chosen`` in ``workers`` processes; as ``stream_in_processes``."""
    return cast("Iterator[Chosen]", _stream(sources, recognizer, workers, "chosen"))


def stream_results(
    sources: Iterable[ImageSource],
    recognizer: Recognizer,
    *,
    one_face: bool = False,
    workers: int | None = None,
) -> Iterator[Result]:
    """All faces of photos or the one that each is of, in this process or in several.

    Args:
        sources: photos.
        recognizer: what embeds.
        one_face: ``stream_chosen`` instead of ``stream``.
        workers: processes; None embeds in this one, with its threads.
    """
    if workers is not None:
        return _stream(sources, recognizer, workers, "chosen" if one_face else "all")
    if one_face:
        return recognizer.stream_chosen(sources)
    return recognizer.stream(sources)


@dataclass(slots=True)
class _Task:
    """Photos by their numbers."""

    items: list[tuple[int, ImageSource]]
    tries: int = 0


class _Worker:
    """One process and what it was given."""

    def __init__(self, spec: Spec, want: Want) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, dict(spec), want), daemon=True)
        self.tasks: deque[_Task] = deque()
        self.ready = False
        with _interrupts_held():  # what is blocked now is blocked in the process for good
            self.process.start()
        theirs.close()

    def send(self, task: _Task) -> None:
        """Give it a task."""
        try:
            self.pipe.send(task.items)
        except OSError:  # it died: receiving tells, and the task is still in ``tasks``
            pass
        except Exception as error:  # pickle raises what it likes
            raise OptionError(
                "sources: expected paths, URLs, bytes or arrays, got something that cannot be "
                f"sent to another process ({error})"
            ) from error
        self.tasks.append(task)

    def end(self) -> int | None:
        """Stop it now; returns how it ended."""
        self.pipe.close()
        self.process.join(1)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        return self.process.exitcode


def _stream(
    sources: Iterable[ImageSource], recognizer: Recognizer, workers: int, want: Want
) -> Iterator[Result]:
    if workers < 1:
        raise OptionError(f"workers: expected 1 or more, got {workers}")
    return _run(sources, spec_of(recognizer), fingerprint(recognizer), workers, want)


def _run(
    sources: Iterable[ImageSource],
    spec: Spec,
    wanted: Mapping[str, Any],
    workers: int,
    want: Want,
) -> Iterator[Result]:
    numbered = enumerate(iter(sources))
    again: deque[_Task] = deque()
    finished: dict[int, Result] = {}
    following, given, deaths = 0, 0, 0
    # Whoever comes first to the end of what may be ahead waits for the slowest.
    most = TASK * (AHEAD + 4) * workers
    pool: list[_Worker] = []
    try:
        while True:
            # A process is started when there is something for it to do.
            while given - following < most or again:
                idle = [worker for worker in pool if len(worker.tasks) < AHEAD]
                if not idle and len(pool) == workers:
                    break
                task = again.popleft() if again else _Task(list(islice(numbered, TASK)))
                if not task.items:
                    break
                given = max(given, task.items[-1][0] + 1)
                worker = min(idle, key=lambda one: len(one.tasks), default=None)
                if len(pool) < workers and (worker is None or worker.tasks):
                    worker = _Worker(spec, want)
                    pool.append(worker)
                assert worker is not None
                worker.send(task)
            if not any(worker.tasks for worker in pool):
                assert not finished
                return
            ready = wait([worker.pipe for worker in pool])
            for worker in [one for one in pool if one.pipe in ready]:
                try:
                    kind, content = worker.pipe.recv()
                except (EOFError, OSError):
                    deaths += 1
                    code = worker.end()
                    pool.remove(worker)
                    _check_deaths(deaths, code, worker.ready)
                    if not worker.ready:  # no photo was read yet
                        again.extendleft(reversed(worker.tasks))
                        continue
                    reason = f"the process that read it ended ({_in_words(code)})"
                    again.extendleft(reversed(list(islice(worker.tasks, 1, None))))
                    if worker.tasks:
                        _try_again(worker.tasks[0], reason, want, again, finished)
                    continue
                if kind == "ready":
                    check_worker(wanted, content, "a worker process")
                    worker.ready = True
                elif kind == "failed":
                    failure = retold(content)
                    assert failure is not None
                    raise failure
                elif kind == "spoiled":
                    _try_again(worker.tasks.popleft(), content, want, again, finished)
                else:
                    deaths = 0
                    task = worker.tasks.popleft()
                    results = [unpack(packed) for packed in content]
                    numbers = [number for number, _ in task.items]
                    finished.update(zip(numbers, results, strict=True))
            while following in finished:
                result = finished.pop(following)
                following += 1
                yield result
    finally:
        for worker in pool:
            with contextlib.suppress(OSError):
                worker.pipe.close()
        for worker in pool:
            worker.end()


def _try_again(
    task: _Task, reason: str, want: Want, again: deque[_Task], finished: dict[int, Result]
) -> None:
    """One of its photos is to blame: they go one by one, each twice at the most."""
    if len(task.items) > 1:
        again.extendleft(_Task([item]) for item in reversed(task.items))
        return
    if task.tries == 0:
        again.appendleft(_Task(task.items, tries=1))
        return
    ((number, source),) = task.items
    name = describe_source(source)
    error = ImageError(f"{name}: {reason}, twice: check the file, and the machine's memory")
    photo = Analysis(name, None, error=error)
    finished[number] = Chosen(photo, error=error) if want == "chosen" else photo


def _check_deaths(deaths: int, code: int | None, ready: bool) -> None:
    if deaths < MOST_DEATHS and (ready or deaths < 2):
        return
    when = "one after the other" if ready else "while they loaded the networks"
    raise LineamentError(
        f"worker processes ended {when} (the last one: {_in_words(code)}): fewer workers need less "
        'memory; a script must keep its work below  if __name__ == "__main__"'
    )


def _in_words(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal; only the first one is to heed it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows: ``_work`` ignores it
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in the process -------------------------------------------------------------------------------


def _work(pipe: Connection[Any, Any], spec: dict[str, Any], want: Want) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()
    try:
        recognizer = Recognizer(**spec)
        recognizer.load()
        pipe.send(("ready", fingerprint(recognizer)))
    except LineamentError as error:
        pipe.send(("failed", told(error)))
        return
    tasks: queue.SimpleQueue[list[tuple[int, ImageSource]]] = queue.SimpleQueue()

    def receive() -> None:
        # In a thread, so that the other side never waits for this one to take a task, and so that
        # no process outlives the one that started it.
        try:
            while True:
                tasks.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=receive, name="lineament-tasks", daemon=True).start()
    while True:
        sources = [source for _, source in tasks.get()]
        try:
            answer: tuple[str, Any] = ("done", embed_task(recognizer, sources, want))
        except Exception as error:  # LineamentErrors of photos stand in the results
            reason = " ".join(str(error).split())
            answer = ("spoiled", f"reading it failed ({type(error).__name__}: {reason})")
        try:
            pipe.send(answer)
        except OSError:
            os._exit(0)


def one_thread() -> None:
    """Make this process, which works beside others of its kind, use one core."""
    import cv2

    cv2.setNumThreads(1)
    # OpenVINO imports its model converter, which takes long and is not needed here.
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]


def embed_task(recognizer: Recognizer, sources: list[ImageSource], want: Want) -> list[Packed]:
    """The results of a few photos, ready to be sent."""
    if want == "chosen":
        return [pack(chosen) for chosen in recognizer.stream_chosen(sources)]
    return [pack(photo) for photo in recognizer.stream(sources, keep_crops=want == "crops")]
