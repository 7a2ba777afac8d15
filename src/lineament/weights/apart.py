"""What is read by libraries in C is read in a process of its own, with limits.

HDF5's library and OpenVINO's front ends may be brought down by a damaged file. So a child process
reads it, writes what it found as plain arrays (or as OpenVINO's own format), and this process reads
that. A child that dies, takes too long or asks for too much memory is an error in words.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import lineament
from lineament.errors import MissingExtraError, WeightsError
from lineament.text import printable
from lineament.weights.file import refuse

TIMEOUT_S: Final = 300.0
"""Of a clock on the wall; processor time is limited to less."""

LONGEST_ANSWER: Final = 8 << 20
ANSWER: Final = "answer.json"


@contextmanager
def read_apart(
    task: str, files: dict[str, bytes], **options: Any
) -> Iterator[tuple[dict[str, Any], Path]]:
    """Have a file read by a child process.

    Args:
        task: a function of ``lineament.weights._child``.
        files: what it reads, by name; the first is the file itself.
        options: for the task, as JSON has them.

    Yields:
        What the task answered, and the folder with the files that it wrote, which is removed
        afterwards.

    Raises:
        Refusal: it could not be read; or the child died, took too long or too much memory.
        MissingExtraError: a package is missing.
    """
    with tempfile.TemporaryDirectory(prefix="lineament-weights-") as made:
        folder = Path(made)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        size = sum(map(len, files.values()))
        request = {"task": task, "file": next(iter(files)), "bytes": size, **options}
        _run(folder, request)
        answer = _answer(folder)
        if "missing" in answer:
            raise MissingExtraError(str(answer["missing"]), str(answer["extra"]))
        if "refused" in answer:
            raise refuse(printable(str(answer["refused"]))[:600])
        yield answer, folder


def _run(folder: Path, request: dict[str, Any]) -> None:
    source = str(Path(lineament.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {source!r}); from lineament.weights._child import main"
    # The reader's own modules come from where this one's do, and none from the working folder.
    paths = [path for path in sys.path if path and Path(path).is_absolute()]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "HDF5_USE_FILE_LOCKING": "FALSE",
        "HDF5_PLUGIN_PATH": str(folder),  # it would load filters from a folder of the system
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"{code}; main()"],
            input=json.dumps(request).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise refuse(f"one that took more than {TIMEOUT_S:.0f} s to read") from None
    except OSError as error:
        raise WeightsError(
            f"no process can be started to read the file in ({error.strerror})"
        ) from error
    if done.returncode and not (folder / ANSWER).exists():
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"code {done.returncode}"
        raise refuse(f"a damaged one: the process that read it ended with {how}")


def _answer(folder: Path) -> dict[str, Any]:
    path = folder / ANSWER
    try:
        if path.stat().st_size > LONGEST_ANSWER:
            raise refuse("one of too many parts")
        answer = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        if type(error).__name__ == "Refusal":
            raise
        raise refuse("a damaged one: the process that read it gave no answer") from error
    if not isinstance(answer, dict):
        raise refuse("a damaged one: the process that read it gave no answer")
    return answer
