"""Read .npy and .npz files: arrays of numbers and text, and those that are pickles in disguise.

``numpy.load`` runs an array of objects as a pickle; here ``_pickles`` reads it. An array is as long
as its bytes, whatever its head says, and a member of an archive is unpacked no further than to the
bound.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from lineament.errors import DataError
from lineament.files import read_regular
from lineament.gallery.foreign._pickles import MOST_BYTES, Progress, read_pickle

MOST_MEMBERS: Final = 1_000_000


def read_file(path: Path) -> bytes:
    """The bytes of a file of somebody else's. DataError: it cannot be read, or is too large."""
    try:
        return read_regular(path, at_most=MOST_BYTES)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror})", hint="check the path and its rights"
        ) from error


def read_array(data: bytes, name: str, progress: Progress | None = None) -> Any:
    """What a .npy file holds: an array of numbers or text, or the values of one of objects.

    Raises:
        DataError: it is no such file, damaged, or holds something else.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(file)
    except Exception as error:  # NumPy evaluates the head, and raises what that does
        raise DataError(f"{name}: expected a file of NumPy, got: {str(error)[:200]}") from error
    rest = data[file.tell() :]
    if dtype.hasobject:
        if dtype != np.dtype(object):
            raise DataError(f"{name}: expected numbers or text, got records of objects")
        return read_pickle(rest, name, progress)
    if dtype.kind not in "biufU" or dtype.fields is not None:
        raise DataError(f"{name}: expected numbers or text, got {str(dtype)[:80]}")
    expected = math.prod(shape) * dtype.itemsize
    if len(rest) != expected:
        raise DataError(f"{name}: expected {expected:,} bytes of numbers, got {len(rest):,}")
    made = np.frombuffer(rest, dtype) if expected else np.zeros(math.prod(shape), dtype)
    return made.reshape(shape, order="F" if fortran else "C")


def read_archive(data: bytes, name: str, progress: Progress | None = None) -> dict[str, Any]:
    """What a .npz file holds, by the names of its arrays; raises as ``read_array``."""
    found: dict[str, Any] = {}
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise DataError(f"{name}: expected at most {MOST_MEMBERS:,} arrays")
            for number, member in enumerate(members, 1):
                with archive.open(member) as file:
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise DataError(f"{name}: expected at most {MOST_BYTES:,} bytes when unpacked")
                key = member.filename.removesuffix(".npy")
                found[key] = read_array(content, f"{name}: {key}")
                if progress is not None:
                    progress(number, len(members))
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise DataError(f"{name}: expected a whole archive, got: {str(error)[:200]}") from error
    except (RuntimeError, NotImplementedError, ValueError, MemoryError) as error:
        raise DataError(f"{name}: the archive cannot be read ({str(error)[:200]})") from error
    return found


def texts(value: Any, what: str, name: str) -> list[str]:
    """A list of texts, of an array or a list. DataError: it is none."""
    listed = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else value
    if type(listed) is not list or any(type(one) is not str for one in listed):
        raise DataError(f"{name}: expected {what} as texts, got something else")
    return listed
