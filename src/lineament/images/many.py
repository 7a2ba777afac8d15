"""Stage 1: one photo or many - the one place that decides it.

One source gives one result, and its error is raised. Many give a list, in their order, and an error
stands in the place of the photo that it spoiled. Many are

- a list, a tuple, a set, and whatever else can be iterated: a generator, ``Path.glob()``,
  ``os.scandir()``, a pandas Series of paths, an array of paths;
- a folder, searched as ``find_images`` does, and a glob pattern such as ``"party/*.jpg"``, unless
  there is a file of that name;
- a batch: an array or tensor of four axes, (N, H, W, C) or (N, C, H, W).

One photo is everything else that ``load_image`` reads: texts, bytes, files and arrays can be
iterated as well, and are one nevertheless. In a list each element is one photo, so that results
and sources stay side by side: a folder in a list is an error in its place.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from PIL import Image as PILImage

from lineament.errors import ImageError
from lineament.images.arrays import as_array, is_array
from lineament.images.find import find_images, is_pattern
from lineament.images.names import LONGEST_PATH, path_of
from lineament.types import Photo

Many: TypeAlias = list[Any] | tuple[Any, ...] | AbstractSet[Any] | Generator[Any, Any, Any]
"""What stands for many photos by its type; paths of folders, patterns and batches do by value."""


def is_many(source: object) -> bool:
    """Whether a source stands for many photos; see the module. Nothing is read or consumed."""
    try:
        return _is_many(source)
    except Exception:  # an object's own: it is said when it is read
        return False


def _is_many(source: object) -> bool:
    if isinstance(source, (list, tuple)):
        return True
    if isinstance(source, (str, os.PathLike)):
        path = path_of(source)
        if path is None or len(path) > LONGEST_PATH:
            return False
        return os.path.isdir(path) or is_pattern(path)  # noqa: PTH112
    if isinstance(source, (Photo, bytes, bytearray, memoryview, PILImage.Image, Mapping)):
        return False
    if hasattr(source, "read"):
        return False
    if is_array(source):
        shape = getattr(source, "shape", ())
        if len(shape) != 1:
            return len(shape) == 4
        return getattr(getattr(source, "dtype", None), "kind", "O") in "OUST"
    return isinstance(source, Iterable)


def expand(source: Any) -> Iterable[Any]:
    """The photos that a source stands for, each of which is one; of one that is one, itself.

    A list or tuple comes back as it is; everything else is walked over as it is needed, so that
    endless generators will do.

    Raises:
        ImageNotFoundError, ImageError: a folder or pattern without photos, or that cannot be read.
    """
    if isinstance(source, (list, tuple)):
        return source
    return _each(source) if is_many(source) else [source]


def _each(source: Any) -> Iterator[Any]:
    if isinstance(source, (str, os.PathLike)):
        yield from find_images(source)
    elif is_array(source) and len(source.shape) == 4:
        yield from as_array(source)
    else:
        yield from source


def check_one(source: object) -> None:
    """Raise ImageError when a source stands for many photos where one is expected."""
    if is_many(source):
        what = "a folder or pattern" if isinstance(source, (str, os.PathLike)) else "several"
        raise ImageError(f"expected one photo, got {what}; name one of them")
