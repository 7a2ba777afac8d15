"""``Recognizer.stream`` on a cluster, by Ray Data.

The cluster's machines must have lineament installed, the same version, and see the photos
under the same paths. What a machine makes is sent back to the caller, who writes all files; Ray
does again what was lost with a machine.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lineament import __version__
from lineament.bulk.tables import Result, made_by
from lineament.detect import DETECTORS
from lineament.errors import ContractError, LineamentError, MissingExtraError, OptionError
from lineament.offline import silence
from lineament.pipeline import Recognizer
from lineament.types import Photo
from lineament.web import brief

CONNECT_S = 5.0
"""How long a cluster may take to accept a connection. Ray itself waits for over a minute, and ends
the process then (2.60)."""

TASK = 16
"""Photos that an actor embeds at once: two batches of the recognizer."""

BLOCK = 4 * TASK
"""Photos that Ray hands out as one piece, and does again when their actor is lost."""

READING_AHEAD, READING_AHEAD_S = "iter_threaded", 30.0
"""What Ray Data calls its thread that fetches results, and how long that may take to end."""

PIECES = 4
"""For each actor at the least, so that a small folder keeps all of them busy to the end."""


def stream_chosen_on_ray(
    paths: Iterable[Any], recognizer: Recognizer, address: str, *, workers: int | None = None
) -> Iterator[Photo]:
    """``Recognizer.stream_chosen`` with digests on a cluster: results in the order of the paths.

    Args and Raises as ``stream_on_ray``; the paths are listed before it starts.
    """
    listed = [os.fspath(path) for path in paths]
    waiting: dict[int, Result] = {}
    following = 0
    for place, result, _ in stream_on_ray(
        listed, recognizer, address, one_face=True, workers=workers
    ):
        waiting[place] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def stream_on_ray(
    paths: Sequence[str],
    recognizer: Recognizer,
    address: str,
    *,
    one_face: bool = False,
    workers: int | None = None,
) -> Iterator[tuple[int, Result, str]]:
    """Embed photos on a Ray cluster; results in any order, each once.

    Args:
        paths: as the cluster's machines see them.
        recognizer: what embeds; each actor makes an equal one, with one thread and one CPU.
        address: "auto" (the cluster that runs here), "HOST:PORT", or "ray://HOST:PORT". A
            connection that the caller has opened is used as it is.
        one_face: the face that each photo is of instead of all.
        workers: actors; None takes as many as the cluster has CPUs.

    Yields:
        The place in ``paths``, the result, and the id of the machine that made it.

    Raises:
        MissingExtraError: Ray is not installed.
        OptionError: no cluster answers at the address, or fewer than one worker.
        ContractError: a machine would embed in another way.
        LineamentError: the cluster failed.
    """
    if workers is not None and workers < 1:
        raise OptionError(f"expected 1 or more, got {workers}", option="workers")
    ray = _ray()
    options, expected = options_of(recognizer), fingerprint(recognizer)
    return _run(ray, list(paths), options, expected, address, one_face, workers)


def check_ray(address: str) -> None:
    """Raise what ``stream_on_ray`` would raise for a missing Ray or a wrong address."""
    ray = _ray()
    if not ray.is_initialized():
        _check_address(address)


def _ray() -> Any:
    silence()
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("embedding on a cluster", "ray") from error
    return ray


def _run(
    ray: Any,
    paths: list[str],
    options: Mapping[str, Any],
    expected: Mapping[str, Any],
    address: str,
    one_face: bool,
    workers: int | None,
) -> Iterator[tuple[int, Result, str]]:
    connected = not ray.is_initialized()
    if connected:
        _connect(ray, address)
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of each execution
    rows: Any = None
    try:
        size = max(1, int(ray.cluster_resources().get("CPU", 1))) if workers is None else workers
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        pieces = max(-(-len(paths) // BLOCK), min(len(paths), PIECES * size))
        items = [{"number": number, "path": path} for number, path in enumerate(paths)]
        photos = ray.data.from_items(items, override_num_blocks=pieces)
        results = photos.map_batches(
            Actor,
            fn_constructor_kwargs={
                "options": dict(options),
                "expected": dict(expected),
                "one_face": one_face,
            },
            compute=ray.data.ActorPoolStrategy(size=min(size, pieces)),
            batch_size=min(TASK, max(1, len(paths) // pieces)),  # Ray joins smaller pieces
            num_cpus=1,
        )
        seen: set[int] = set()
        rows = iter(results.iter_rows())
        for row in rows:
            result = pickle.loads(row["result"])
            if isinstance(result, LineamentError):
                raise result
            if row["number"] not in seen:
                seen.add(row["number"])
                yield row["number"], result, row["machine"]
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise LineamentError(
            f"the Ray cluster failed ({lines[-1] if lines else type(error).__name__}): what is "
            "finished is kept; start again to go on"
        ) from error
    finally:
        if rows is not None and hasattr(rows, "close"):
            rows.close()  # before the connection, which Ray's executor still needs to end
        if connected:
            _end_reading_ahead()
            ray.shutdown()


def _end_reading_ahead() -> None:
    """Wait for Ray Data's thread, which outlives its iterator a little.

    Ray connects to a cluster by itself when it is asked for something without a connection: this
    thread would open the one that has just been closed again.
    """
    for thread in threading.enumerate():
        if thread.name == READING_AHEAD:
            thread.join(READING_AHEAD_S)


def _connect(ray: Any, address: str) -> None:
    _check_address(address)
    settings = {k: v for k, v in os.environ.items() if k.startswith("LINEAMENT_")}
    try:
        with _sigterm_kept():
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level="ERROR",
                runtime_env={"env_vars": settings} if settings else None,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable(address, error) from error


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Leave what SIGTERM does in this process as it is: Ray makes it end at once."""
    ours = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if ours and before is not None:
            signal.signal(signal.SIGTERM, before)


def _check_address(address: str) -> None:
    if address in ("auto", "local"):
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.scheme not in ("", "ray"):
        raise OptionError(
            f'expected "auto", HOST:PORT or ray://HOST:PORT, got {address!r}', option="ray"
        )
    try:
        with contextlib.closing(socket.create_connection((host, port), CONNECT_S)):
            pass
    except OSError as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> OptionError:
    reason = brief((str(error).strip().splitlines() or [type(error).__name__])[0])
    return OptionError(
        f"no Ray cluster answers at {address!r} ({reason}): start one with  ray start --head, "
        "or check the address",
        option="ray",
    )


# --- on the cluster's machines --------------------------------------------------------------------


class Actor:
    """One recognizer on one CPU."""

    def __init__(self, options: dict[str, Any], expected: dict[str, Any], one_face: bool) -> None:
        """Load the networks; an error is the result of the first batch."""
        import ray

        one_thread()
        self.one_face = one_face
        self.machine = str(ray.get_runtime_context().get_node_id())
        self.failure: LineamentError | None = None
        try:
            self.recognizer = Recognizer(**options)
            self.recognizer.load()
            check_same(expected, fingerprint(self.recognizer), f"the machine {self.machine}")
        except LineamentError as error:
            self.failure = error

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Paths in; numbers, pickled results and the machine's id out."""
        numbers: list[int] = [-1]
        results: list[Any] = [self.failure]
        if self.failure is None:
            numbers = [int(number) for number in batch["number"]]
            paths = [str(path) for path in batch["path"]]
            if self.one_face:
                results = list(self.recognizer.stream_chosen(paths, digest=True))
            else:
                results = list(self.recognizer.stream(paths))
        return {
            "number": np.array(numbers, np.int64),
            "result": np.array([pickled(result) for result in results], dtype=object),
            "machine": np.array([self.machine] * len(results)),
        }


def one_thread() -> None:
    """Make this process, which works beside others of its kind, use one core."""
    import cv2

    cv2.setNumThreads(1)


def options_of(recognizer: Recognizer) -> dict[str, Any]:
    """Arguments of ``Recognizer`` that make an equal one, with one thread unless it has a number.

    Raises:
        OptionError: its detector is an object of the caller's.
    """
    if recognizer.finder.detector_name not in DETECTORS:
        raise OptionError(
            "expected a detector by its name, got an object of your own, which cannot be sent to "
            "another process: embed in this process, without workers"
        )
    threads = recognizer.runtime.threads
    return {
        "recognizer": recognizer.weights,
        "detector": recognizer.finder.detector_name,
        "options": recognizer.finder.options,
        "alignment": recognizer.alignment,
        "flip": recognizer.flip,
        "turning": recognizer.finder.turning,
        "choose": recognizer.finder.choose,
        "limits": recognizer.finder.limits,
        "runtime": replace(recognizer.runtime, threads=1 if threads is None else threads),
        "policy": recognizer.policy,
    }


def fingerprint(recognizer: Recognizer) -> dict[str, Any]:
    """What has to be equal on all machines: ``made_by`` and the version of the code."""
    return {**made_by(recognizer), "version": __version__}


def check_same(expected: Mapping[str, Any], got: Mapping[str, Any], where: str) -> None:
    """Raise ContractError unless a machine embeds as this process would."""
    differing = sorted(key for key in expected if expected[key] != got.get(key))
    if differing:
        raise ContractError(
            f"{where}: expected the networks, options and version of this process, "
            f"differing in {', '.join(differing)}: install the same lineament ({__version__}) there"
        )


# --- results on their way -------------------------------------------------------------------------


def pickled(value: object) -> bytes:
    """Pickle, with read-only arrays."""
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.ndarray) and not value.flags.writeable:
            return _read_only, (value.tobytes(), value.dtype.str, value.shape)
        return NotImplemented


def _read_only(data: bytes, dtype: str, shape: tuple[int, ...]) -> Any:
    return np.frombuffer(data, dtype).reshape(shape)
