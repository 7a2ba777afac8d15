"""Which page of a file is the photo, depths of values, and formats that are refused by name."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageCms

from lineament.errors import ImageFormatError
from lineament.images import load_image

SHARED = Path(__file__).parents[3].parent / "shared" / "findings" / "inputs"

WIDTH, HEIGHT = 60, 40
_rows, _columns = np.mgrid[0:HEIGHT, 0:WIDTH]
PIXELS = np.stack([_columns * 4, _rows * 6, (_rows * 3 + _columns * 2) % 256], axis=2).astype(
    np.uint8
)
GRAY = PIXELS[..., 0]
SMALL = np.ascontiguousarray(PIXELS[::4, ::4])


def page(
    pixels: np.ndarray, tags: dict[int, int] | None = None, below: Sequence[Any] = ()
) -> tuple[np.ndarray, dict[int, int], Sequence[Any]]:
    """Of ``tiff``: 8-bit pixels, tags in place of the usual ones, further pages in SubIFDs."""
    return pixels, {} if tags is None else tags, below


def tiff(*pages: Any, order: str = "<", big: bool = False) -> bytes:
    """A TIFF made by hand, since writers do not mark their pages."""
    head, number, place = (20, "Q", 8) if big else (12, "I", 4)
    mark = b"II" if order == "<" else b"MM"
    start = struct.pack(order + ("HHH" if big else "H"), *((43, 8, 0) if big else (42,)))
    data = bytearray(mark + start + bytes(place))
    link = len(data) - place

    def put(at: int, value: int) -> None:
        data[at : at + place] = struct.pack(order + number, value)

    def write(one: Any) -> tuple[int, int]:
        """The place of the directory, and of its link to the next one."""
        pixels, changes, below = one
        offsets = [write(each)[0] for each in below]
        samples = 1 if pixels.ndim == 2 else pixels.shape[2]
        strip = len(data)
        data.extend(pixels.tobytes())
        bits = len(data)
        data.extend(struct.pack(order + f"{samples}H", *[8] * samples))
        subs = len(data)
        data.extend(struct.pack(order + f"{len(offsets)}{number}", *offsets))
        entries = {
            256: (4, 1, pixels.shape[1]),
            257: (4, 1, pixels.shape[0]),
            259: (4, 1, 1),
            258: (3, samples, bits if samples * 2 > place else 8),
            262: (4, 1, 2 if samples == 3 else 1),
            273: (4, 1, strip),
            277: (4, 1, samples),
            278: (4, 1, pixels.shape[0]),
            279: (4, 1, pixels.nbytes),
        }
        if samples * 2 <= place and samples > 1:
            entries[258] = (3, samples, 8 | 8 << 16 | 8 << 32)
        if offsets:
            kind = 16 if big else 4
            where = offsets[0] if len(offsets) == 1 else subs
            entries[330] = (kind, len(offsets), where)
        entries |= {tag: (4, 1, value) for tag, value in changes.items()}
        at = len(data)
        data.extend(struct.pack(order + ("Q" if big else "H"), len(entries)))
        for tag, (kind, count, value) in sorted(entries.items()):
            packed = struct.pack(order + number, value)
            if kind == 3 and count == 1:
                packed = struct.pack(order + "H", value).ljust(place, b"\0")
            elif kind == 4 and big:
                packed = struct.pack(order + "I", value).ljust(place, b"\0")
            elif kind == 3 and count * 2 <= place:
                packed = struct.pack(order + f"{count}H", *[8] * count).ljust(place, b"\0")
            data.extend(struct.pack(order + "HH" + number, tag, kind, count) + packed)
        assert len(data) - at == (8 if big else 2) + head * len(entries)
        data.extend(bytes(place))
        return at, len(data) - place

    for one in pages:
        at, following = write(one)
        put(link, at)
        link = following
    return bytes(data)


REDUCED, MASK, OLD_REDUCED, PAGE = {254: 1}, {254: 4}, {255: 2}, {254: 2}
SENSOR, LINEAR = {262: 32803}, {262: 34892}
DNG = {254: 1, 50706: 1}

FULL_FIRST = {
    "one page": [page(PIXELS)],
    "two pages": [page(PIXELS), page(SMALL)],
    "pages of a document": [page(PIXELS, PAGE), page(SMALL, PAGE)],
    "a pyramid": [page(PIXELS), page(SMALL, REDUCED), page(SMALL[::2, ::2].copy(), REDUCED)],
    "thumbnail in SubIFDs": [page(PIXELS, {}, [page(SMALL, REDUCED)])],
    "thumbnail first": [page(SMALL, REDUCED), page(PIXELS)],
    "thumbnail first, old tag": [page(SMALL, OLD_REDUCED), page(PIXELS, {255: 1})],
    "two thumbnails first": [page(SMALL, REDUCED), page(SMALL, REDUCED), page(PIXELS)],
    "mask first": [page(SMALL[..., 0].copy(), MASK), page(PIXELS)],
    "full one in SubIFDs": [page(SMALL, REDUCED, [page(PIXELS)])],
    "full one second in SubIFDs": [page(SMALL, REDUCED, [page(SMALL, REDUCED), page(PIXELS)])],
    "raw with a full preview": [
        page(SMALL, DNG, [page(PIXELS[..., 0].copy(), SENSOR), page(PIXELS, REDUCED)])
    ],
    "raw with a preview of nearly all": [
        page(
            SMALL,
            DNG,
            [page(np.zeros((HEIGHT + 2, WIDTH + 4), np.uint8), SENSOR), page(PIXELS, REDUCED)],
        )
    ],
    "raw whose preview stands upright": [
        page(SMALL, DNG, [page(PIXELS[..., 0].T.copy(), SENSOR), page(PIXELS, REDUCED)])
    ],
}


@pytest.mark.parametrize("name", FULL_FIRST)
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_the_first_full_page_of_a_tiff(name: str, order: str, big: bool) -> None:
    image = load_image(tiff(*FULL_FIRST[name], order=order, big=big))
    np.testing.assert_array_equal(image, PIXELS)


NO_FULL_PAGE = {
    "reduced copies only": ([page(SMALL, REDUCED), page(SMALL, REDUCED)], "got a TIFF whose pages"),
    "one reduced copy": ([page(SMALL, REDUCED)], r"reduced copies .*first is 15 x 10"),
    "DNG": ([page(SMALL, DNG, [page(PIXELS[..., 0].copy(), SENSOR)])], r"a raw file \(DNG\)"),
    "linear DNG": ([page(SMALL, DNG, [page(PIXELS, LINEAR)])], r"a raw file \(DNG\)"),
    "DNG with a half-size preview": (
        [page(SMALL, DNG, [page(PIXELS[..., 0].copy(), SENSOR), page(PIXELS[::2, ::2].copy())])],
        r"a raw file \(DNG\)",
    ),
    "another raw file": (
        [page(SMALL, {254: 1}, [page(PIXELS[..., 0].copy(), SENSOR)])],
        r"a raw file \(TIFF\)",
    ),
    "compressed as Nikon does": ([page(SMALL, REDUCED), page(PIXELS, {259: 34713})], "a raw file"),
}


@pytest.mark.parametrize("name", NO_FULL_PAGE)
def test_never_a_thumbnail_in_silence(name: str) -> None:
    pages, message = NO_FULL_PAGE[name]
    with pytest.raises(ImageFormatError, match=message) as caught:
        load_image(tiff(*pages))
    assert "broken" not in str(caught.value)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_page_without_an_orientation_has_that_of_the_first(orientation: int) -> None:
    turned = PIXELS[::-1, ::-1] if orientation == 3 else np.rot90(PIXELS, -1)
    thumbnail = page(SMALL, REDUCED | {274: orientation})
    np.testing.assert_array_equal(load_image(tiff(thumbnail, page(PIXELS))), turned)
    own = tiff(thumbnail, page(PIXELS, {274: 1}))
    np.testing.assert_array_equal(load_image(own), PIXELS)


def test_damaged_directories_are_the_decoders_business() -> None:
    data = tiff(*FULL_FIRST["thumbnail first"])
    for cut in range(4, len(data), 97):
        with pytest.raises(ImageFormatError):
            load_image(data[:cut])
    endless = bytearray(tiff(page(SMALL, REDUCED), page(SMALL, REDUCED)))
    endless[-4:] = endless[4:8]  # the last one leads to the first
    with pytest.raises(ImageFormatError, match="reduced copies"):
        load_image(bytes(endless))


def test_a_real_file_whose_first_page_is_a_thumbnail() -> None:
    path = SHARED / "thumbnail_first.tif"
    if not path.exists():
        pytest.skip(f"needs {path}")
    assert load_image(path).shape == (600, 480, 3)


# ---- depths of values ----------------------------------------------------------------------------

COLORS16 = {"PNG": (".png", []), "TIFF": (".tiff", []), "plain TIFF": (".tiff", [259, 1])}
COLORS16 |= {"PNM": (".ppm", [])}


@pytest.mark.parametrize("name", COLORS16)
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_colors_of_few_bits_in_16(name: str, bits: int) -> None:
    suffix, options = COLORS16[name]
    pixels = PIXELS.copy()
    pixels[0, 0] = 255
    values = (pixels.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    data = cv2.imencode(suffix, values[..., ::-1], options)[1].tobytes()
    assert np.abs(load_image(data).astype(int) - pixels).max() <= 1
    np.testing.assert_array_equal(load_image(values), load_image(values.astype(np.float64)))


def test_few_bits_with_alpha() -> None:
    values = (PIXELS.astype(np.uint32) * 1023 // 255).astype(np.uint16)
    alpha = np.where(_columns < 30, 0, 1023).astype(np.uint16)
    data = cv2.imencode(".png", np.dstack([values[..., ::-1], alpha]))[1].tobytes()
    image = load_image(data)
    assert (image[:, :30] == 255).all()
    assert np.abs(image[:, 30:].astype(int) - PIXELS[:, 30:]).max() <= 1


def test_what_a_pillow_image_lost_is_said() -> None:
    data = cv2.imencode(".png", PIXELS.astype(np.uint16))[1].tobytes()
    with (
        PILImage.open(io.BytesIO(data)) as picture,
        pytest.raises(ImageFormatError, match="colors of 16 bits that use fewer of them"),
    ):
        load_image(picture)


def encoded(picture: PILImage.Image, kind: str = "TIFF", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_a_tiff_of_32_bits_that_holds_8(kind: Any) -> None:
    gray = PIXELS[..., 0]
    image = load_image(encoded(PILImage.fromarray(gray.astype(kind))))
    np.testing.assert_array_equal(image[..., 1], gray)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (cv2.imencode(".tiff", PIXELS.astype(np.float32))[1].tobytes(), "a float TIFF of 3"),
        (encoded(PILImage.fromarray(GRAY.astype(np.int32) * 70_000)), "from 0 to 65535, got"),
        (encoded(PILImage.fromarray(GRAY.astype(np.int32) - 9)), "65535, got -9 to"),
        (encoded(PILImage.fromarray(GRAY.astype(np.float32) - 9)), "0 to 255, got -9 to"),
    ],
)
def test_values_that_mean_nothing_known_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ImageFormatError, match=message) as caught:
        load_image(data)
    assert "broken" not in str(caught.value)


def test_modes_of_pillow() -> None:
    picture = PILImage.fromarray(PIXELS)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    in_lab = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
    assert in_lab is not None
    smooth = {"LAB": in_lab, "LAB TIFF": encoded(in_lab), "HSV": picture.convert("HSV")}
    smooth |= {"YCbCr": picture.convert("YCbCr"), "YCbCr TIFF": encoded(picture.convert("YCbCr"))}
    smooth |= {"CMYK": picture.convert("CMYK"), "RGBX": picture.convert("RGBX")}
    smooth |= {"RGBa": picture.convert("RGBA").convert("RGBa")}
    for name, source in smooth.items():
        assert np.abs(load_image(source).astype(int) - PIXELS).mean() < 2, name
    gray = picture.convert("L")
    for mode in ("LA", "La", "1", "P", "PA", "F", "I", "I;16"):
        source = gray.convert("LA").convert("La") if mode == "La" else gray.convert(mode)
        image = load_image(source)
        assert np.abs(image.astype(int) - np.asarray(gray)[..., None]).mean() < (
            130 if mode == "1" else 2
        ), mode


# ---- refused by name -----------------------------------------------------------------------------

REFUSED = {
    "JPEG 2000 image": encoded(PILImage.fromarray(PIXELS), "JPEG2000"),
    "JPEG 2000 image (codestream)": encoded(PILImage.fromarray(PIXELS), "JPEG2000", no_jp2=True),
    "JPEG XL image": b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ",
    "JPEG XL image (codestream)": b"\xff\x0a\xfa\x1f",
    "raw file (Canon CR2)": b"II*\0\x10\0\0\0CR\x02\0",
    "raw file (Canon CR3)": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "raw file (Olympus ORF)": b"IIRO\x08\0\0\0",
    "raw file (Panasonic RW2)": b"IIU\0\x18\0\0\0",
    "raw file (Fujifilm RAF)": b"FUJIFILMCCD-RAW 0201FF383501",
    "raw file (Sigma X3F)": b"FOVb\0\0\3\0",
    "raw file (Canon CRW)": b"II\x1a\0\0\0HEAPCCDR",
    "Photoshop document": b"8BPS\0\1",
    "BPG image": b"BPG\xfb\0\0",
    "FLIF image": b"FLIF1\0",
    "OpenEXR image": b"v/1\x01\2\0\0\0",
    "Radiance HDR image": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
    "DICOM file": bytes(128) + b"DICM",
    "SVG drawing": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "PDF document": b"%PDF-1.7",
    "EPS or PostScript drawing": b"%!PS-Adobe-3.0 EPSF-3.0",
    "video": b"\0\0\0\x18ftypisom\0\0\2\0",
    "icon (ICO)": encoded(PILImage.fromarray(PIXELS), "ICO"),
    "PNM image in text": b"P3\n1 1\n255\n0 0 0\n",
    "pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
    "array of NumPy": b"\x93NUMPY\1\0",
}


@pytest.mark.parametrize("name", REFUSED)
def test_formats_that_are_not_read_are_named(name: str) -> None:
    data = REFUSED[name].ljust(200, b"\0" if b"\0" in REFUSED[name] else b" ")
    with pytest.raises(ImageFormatError) as caught:
        load_image(data)
    assert f" {name}" in str(caught.value)
    assert str(caught.value).endswith("; save it as JPEG or PNG")
