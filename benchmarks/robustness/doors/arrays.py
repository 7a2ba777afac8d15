"""Photos that come as values: arrays, tensors, Pillow images, file objects, data: URIs, base64."""

from __future__ import annotations

import base64
import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from doors.case import AbsentError, Case, Door
from doors.damage import NUMBERS, TEXTS, damaged
from doors.pictures import draw_face, encode
from lineament import FaceFinder, LineamentError
from lineament.images import load_image

SHAPES = (
    (),
    (0,),
    (5,),
    (0, 0),
    (0, 5, 3),
    (5, 0, 3),
    (5, 7),
    (5, 7, 1),
    (5, 7, 2),
    (5, 7, 3),
    (5, 7, 4),
    (5, 7, 5),
    (3, 5, 7),
    (1, 5, 7),
    (4, 5, 7),
    (1, 5, 7, 3),
    (2, 5, 7, 3),
    (1, 1, 1),
    (3, 3, 3),
    (1, 200_000),
    (200_000, 1, 3),
)
TYPES = (
    *("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "?", "c8", "c16"),
    *("S3", "U3", "O", "M8[s]", "m8[s]", "V5", ">u2", ">f4", ">i8"),
)


def _checked(case: Case, source: Any, **options: Any) -> bool:
    image = load_image(source, **options)
    fits = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size
    case.expect(fits, f"the result is {image.dtype} {image.shape}")
    case.expect(image.flags.c_contiguous, "the result is not contiguous")
    return True


def arrays(case: Case) -> bool:
    """Of every type and shape, with values that are none."""
    shape, kind = case.pick(SHAPES), case.pick(TYPES)
    try:
        array = (case.rng.random(shape) * 300 - 20).astype(kind)
    except (TypeError, ValueError):
        array = np.zeros(shape, kind)
    if array.dtype.kind == "f" and array.size and case.chance(0.5):
        with np.errstate(over="ignore"):
            array.flat[int(case.rng.integers(array.size))] = case.pick(
                [np.nan, np.inf, -np.inf, 1e300, -1.0, 5e-324]
            )
    deed = case.rng.integers(6)
    if deed == 0 and array.ndim:
        array = array[::-1]
    elif deed == 1:
        array = np.asfortranarray(array)
    elif deed == 2:
        array = np.broadcast_to(array, (*((1,) * (3 - array.ndim)), *array.shape))
    elif deed == 3 and isinstance(array, np.ndarray):
        array.flags.writeable = False
    elif deed == 4:
        array = np.ma.masked_array(array, mask=np.zeros(array.shape, bool))
    case.say(array.dtype, array.shape, deed)
    return _checked(case, array, color_order=case.pick([None, "rgb", "bgr"]))


def enormous_views(case: Case) -> bool:
    """Arrays of gigabytes that take no memory."""
    shape = case.pick(
        [(60_000, 60_000), (20_000, 20_000, 3), (3, 20_000, 20_000), (1 << 20, 1 << 12)]
    )
    array = np.broadcast_to(np.zeros(1, case.pick(["u1", "u2", "f4", "f8"])), shape)
    case.bound_mb = 6_000.0  # limits do not apply to arrays: they are in memory already
    case.limit_s = 60.0
    try:
        return _checked(case, array)
    except LineamentError:
        return False


class _Liar:
    """An object with what arrays have, that answers something else each time."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.shape = (5, 7, 3)
        self.dtype = np.dtype("u1")

    def __array__(self, *args: Any, **options: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


ERRORS = (
    RuntimeError("x"),
    ValueError("x"),
    OSError(5, "x"),
    zipfile.BadZipFile("x"),
    MemoryError(),
    KeyError("x"),
    EOFError(),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "x"),
    RecursionError("x"),
    TimeoutError(),
    StopIteration(),
    AssertionError("x"),
    NotImplementedError(),
)


def liars(case: Case) -> bool:
    """Objects that pass for arrays."""
    return _checked(
        case,
        _Liar(case.pick([None, "x", 7, np.zeros(3), np.zeros((5, 7, 3)), [[1, 2]], *ERRORS])),
    )


class _File:
    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def read(self, size: int = -1) -> Any:
        part = self.parts.pop(0) if self.parts else b""
        if isinstance(part, BaseException):
            raise part
        return part


def file_objects(case: Case) -> bool:
    """That give no bytes, raise, never end, or are closed: the rest of a list goes on."""
    good = case.shared
    kind = case.rng.integers(8)
    made: Any
    if kind < 3:
        made = _File([good[:500], case.pick(ERRORS)])
    elif kind == 3:
        made = _File(case.pick([["text"], [None], [7], [bytearray(good)], [memoryview(good)]]))
    elif kind == 4:
        made = io.BytesIO(good)
        made.close()
    elif kind == 5:
        made = _File([bytes(1 << 20)] * 70)
    elif kind == 6:
        made = io.StringIO("x")
    else:
        made = _File([b"x"] * 3)
        made.read = case.pick([7, None, lambda: b"", lambda *a, **b: good])
    if case.chance(0.5):
        return _checked(case, made)
    found = list(FaceFinder().stream([good, made, good]))
    case.expect(len(found) == 3, f"{len(found)} results of 3 photos")
    case.expect(found[0].error is None and found[2].error is None, "an honest photo was refused")
    error = found[1].error
    case.expect(error is None or isinstance(error, LineamentError), f"the error is {error!r}")
    return error is None


def data_uris(case: Case) -> bool:
    """data: URIs and base64 that are broken, escaped, or very long."""
    payload = base64.b64encode(case.shared).decode()
    kind = case.rng.integers(9)
    text = (
        f"data:image/jpeg;base64,{payload}",
        f"data:;base64,{payload[:-3]}",
        f"data:image/jpeg,{payload}",
        "data:image/jpeg;base64," + "%41" * 1_000_000,
        "data:image/jpeg;base64," + "A" * 120_000_000,
        "data:" + "x" * 5_000_000,
        "data:image/jpeg;base64," + "\n".join(payload),
        damaged(f"data:image/jpeg;base64,{payload}".encode(), case.rng).decode("latin1"),
        payload[: int(case.rng.integers(len(payload)))],
    )[int(kind)]
    case.say(text[:60], len(text))
    case.start()
    return _checked(case, text)


def texts(case: Case) -> bool:
    """Texts that are no path and no address."""
    text = case.pick(
        [*TEXTS, "http://", "http://[", "file://", "file:///dev/zero", "s3://x/y", "-"]
    )
    if case.chance(0.3):
        return _checked(case, Path(text.replace("\0", "")))
    return _checked(case, text)


def pillow_images(case: Case) -> bool:
    """Of every mode, closed, or of a file that was cut short."""
    mode = case.pick(
        ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "I;16"]
    )
    kind = case.rng.integers(5)
    if kind == 0:
        return _checked(case, Image.new(mode, (7, 5)))
    if kind == 1:
        image = Image.open(io.BytesIO(case.shared[: int(case.rng.integers(200, len(case.shared)))]))
        return _checked(case, image)
    if kind == 2:
        image = Image.open(io.BytesIO(case.shared))
        image.close()
        return _checked(case, image)
    if kind == 3:
        return _checked(case, Image.new(mode, (0, 5)))
    return _checked(case, Image.new(mode, (20_000, 8_000) if mode in "1LP" else (9, 9)))


def tensors(case: Case) -> bool:
    """Of PyTorch, of every type."""
    try:
        import torch
    except ImportError as error:
        raise AbsentError("torch is not installed") from error
    kinds = (torch.uint8, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool)
    shape = case.pick([s for s in SHAPES if np.prod(s) < 1000])
    tensor = torch.zeros(shape).to(case.pick(kinds))
    deed = case.rng.integers(5)
    if deed == 0:
        tensor = tensor.to("meta")
    elif deed == 1 and tensor.is_floating_point():
        tensor.requires_grad_()
    elif deed == 2:
        tensor = tensor.to_sparse()
    elif deed == 3:
        tensor = tensor.to(torch.complex64)
    return _checked(case, tensor)


def nonsense(case: Case) -> bool:
    """Whatever else somebody may pass."""
    source = case.pick(
        [
            None,
            7,
            1.5,
            True,
            [],
            {},
            object(),
            type,
            iter([1]),
            (1, 2),
            {1},
            range(3),
            b"",
            Exception(),
        ]
    )
    limit = case.pick([None, *NUMBERS])
    if limit is not None:
        from lineament.images import ImageLimits

        ImageLimits(max_bytes=limit, max_pixels=limit)
    return _checked(case, source)


def _prepare(home: Path, seed: int) -> bytes:
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401  (its memory is not the first case's)
    data = encode(draw_face(np.random.default_rng(seed)), "JPEG")
    list(FaceFinder().stream([data]))
    return data


DOOR = Door(
    "arrays",
    (
        arrays,
        file_objects,
        data_uris,
        arrays,
        liars,
        texts,
        arrays,
        pillow_images,
        tensors,
        nonsense,
    )
    * 4
    + (enormous_views,),
    cases=800,
    bound_mb=450.0,
    prepare=_prepare,
)
