"""Files that are written anew: none of the old file's bytes, pictures or words are in them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, ImageCms, PngImagePlugin
from PIL import Image as PILImage

from lineament.anonymize.photos import load
from lineament.anonymize.writing import WRITTEN_SUFFIXES, encode_photo, photo_name
from lineament.errors import OptionError
from lineament.images import DEFAULT_LIMITS, load_image
from lineament.types import Image

SECRET = "Rue-de-la-Paix-17"
"""Stands in every kind of metadata below."""


@pytest.fixture(scope="module")
def picture() -> PILImage.Image:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return PILImage.fromarray(small).resize((160, 120), PILImage.Resampling.BICUBIC)


def jpeg(image: PILImage.Image, **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **more)
    return file.getvalue()


def exif(thumbnail: bytes = b"", orientation: int = 1) -> bytes:
    made = PILImage.Exif()
    made[ExifTags.Base.ImageDescription] = SECRET
    made[ExifTags.Base.Orientation] = orientation
    gps = made.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitude] = (48.0, 52.0, 7.0)
    gps[ExifTags.GPS.GPSAreaInformation] = SECRET
    return made.tobytes() + thumbnail


XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d>{SECRET}</d></x:xmpmeta>'.encode()
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\x00\x16\x1c\x02\x78\x00\x11" + SECRET.encode()


def segment(marker: int, data: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def a_jpeg(image: PILImage.Image) -> bytes:
    """EXIF with a thumbnail, XMP, IPTC, a comment, a second picture, and one behind the end."""
    thumbnail = jpeg(image.resize((40, 30)))
    plain = jpeg(image, exif=exif(thumbnail, orientation=6), comment=SECRET)
    index = b"MPF\0MM\0*\0\0\0\x08" + SECRET.encode()
    more = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    more += segment(0xED, IPTC) + segment(0xE2, index)
    return plain[:2] + more + plain[2:] + jpeg(image) + SECRET.encode()


def a_png(image: PILImage.Image) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Description", SECRET)
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add_text("Comment", SECRET, zip=True)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info, exif=exif(jpeg(image.resize((40, 30)))))
    chunk = b"prVW" + jpeg(image)
    return file.getvalue() + struct.pack(">I", len(chunk) - 4) + chunk + b"\0\0\0\0" + jpeg(image)


def a_webp(image: PILImage.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", exif=exif(jpeg(image.resize((40, 30)))), xmp=XMP)
    return file.getvalue()


def a_tiff(image: PILImage.Image) -> bytes:
    """With a second page, and a preview as a tag."""
    file = io.BytesIO()
    more = image.resize((40, 30))
    tags = {270: SECRET, 700: XMP, 34377: IPTC, 50971: SECRET}
    image.save(file, "TIFF", save_all=True, append_images=[more], tiffinfo=tags)
    return file.getvalue()


def a_heic(image: PILImage.Image) -> bytes:
    heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    file = io.BytesIO()
    made = heif.from_pillow(image)
    made.add_from_pillow(image.transpose(PILImage.Transpose.FLIP_LEFT_RIGHT))
    made.save(file, exif=exif(jpeg(image.resize((40, 30)))), xmp=XMP, quality=90, thumbnails=[64])
    return file.getvalue()


MAKERS: dict[str, Callable[[PILImage.Image], bytes]] = {
    ".jpg": a_jpeg,
    ".png": a_png,
    ".webp": a_webp,
    ".tif": a_tiff,
    ".heic": a_heic,
}


def pictures_in(data: bytes) -> int:
    """How many JPEGs, PNGs and TIFFs begin somewhere in the bytes."""
    marks = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"II*\0", b"MM\0*")
    return sum(data.count(mark) for mark in marks)


def without_deflate(data: bytes) -> bytes:
    """What zlib streams of the file hold, joined to the file itself."""
    out = data
    for at in range(len(data) - 2):
        if data[at] == 0x78 and data[at + 1] in (0x01, 0x5E, 0x9C, 0xDA):
            try:
                out += zlib.decompressobj().decompress(data[at:])
            except zlib.error:
                continue
    return out


@pytest.mark.parametrize("suffix", MAKERS)
def test_nothing_of_the_old_file_is_left(
    picture: PILImage.Image, suffix: str, tmp_path: Path
) -> None:
    old = MAKERS[suffix](picture)
    assert SECRET.encode() in without_deflate(old)  # or this test would show nothing
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(old)
    loaded = load(path, DEFAULT_LIMITS)
    name = photo_name(path.name)
    new = encode_photo(loaded.pixels, name)
    assert SECRET.encode() not in without_deflate(new)
    assert b"adobe" not in new.lower()
    assert b"Exif" not in new
    assert pictures_in(new) <= 1
    with PILImage.open(io.BytesIO(new)) as read:
        assert getattr(read, "n_frames", 1) == 1
        assert not read.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        assert {"exif", "xmp", "icc_profile", "comment", "photoshop"} & set(read.info) == set()
        assert "XML:com.adobe.xmp" not in read.info
        size_wh = read.size
    assert size_wh == ((120, 160) if suffix == ".jpg" else (160, 120))  # the right way up
    error = np.abs(load_image(new).astype(int) - load_image(old)).mean()
    assert error < 3


def test_the_sha_256_is_that_of_the_file(picture: PILImage.Image, tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "a.png"
    picture.save(path)
    loaded = load(path, DEFAULT_LIMITS)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(np.asarray(picture), DEFAULT_LIMITS).sha256 == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "a.jpg"),
        ("a.JPEG", "a.JPEG"),
        ("a.heic", "a.heic.jpg"),
        ("a.mpo", "a.mpo.jpg"),
        ("a.gif", "a.gif.png"),
        ("a.avif", "a.avif.jpg"),
        ("a", "a.jpg"),
        ("a.tif", "a.tif"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert photo_name(name) == expected


@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
def test_every_format_that_is_written_can_be_read(picture: PILImage.Image, suffix: str) -> None:
    pixels = np.asarray(picture)
    error = np.abs(load_image(encode_photo(pixels, f"a{suffix}")).astype(int) - pixels)
    assert error.mean() < 3
    if suffix in (".png", ".tif", ".bmp"):
        assert error.max() == 0


def test_what_cannot_be_written() -> None:
    with pytest.raises(OptionError, match="expected a name that ends in"):
        encode_photo(np.zeros((4, 4, 3), np.uint8), "a.gif")
    with pytest.raises(OptionError, match="cannot be written as WEBP"):
        encode_photo(np.zeros((1, 20_000, 3), np.uint8), "a.webp")


def wide_gamut() -> bytes:
    """A profile whose red and green are each other's: made of sRGB's by exchanging two tags."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = made.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    return swapped.replace(b"s\0R\0G\0B", b"t\0e\0s\0t").replace(b"sRGB", b"test")


def test_colors_hold_without_the_profile(picture: PILImage.Image) -> None:
    pixels: Image = np.asarray(picture)
    for profile in (None, b"damaged", wide_gamut()):
        file = io.BytesIO()
        picture.save(file, "PNG", icc_profile=profile)
        shown = load(file.getvalue(), DEFAULT_LIMITS).pixels.astype(int)
        expected = pixels[:, :, [1, 0, 2]] if profile == wide_gamut() else pixels
        assert np.abs(shown - expected).mean() < 3
