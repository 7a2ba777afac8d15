"""Rebuild the demo photos in ``src/lineament/data/demo`` from the packages that carry them.

    python -m scripts.build.demo_photos [--out FOLDER]

Fetches scikit-image 0.26.0 and the source package of face-recognition 1.3.0 with pip, checks their
SHA-256 and that of each photo, scales it down as a whole (nothing is cut off or retouched)
and writes it as JPEG. ``group.jpg`` is a collage of these photos and says so in the picture.
``PROVENANCE.md`` beside the photos says where they come from and on what terms.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from scripts.packages import BUILD_DIR, ROOT

DEMO_DIR = ROOT / "src" / "lineament" / "data" / "demo"

SKIMAGE = (
    "scikit-image==0.26.0",
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
)
FACE_RECOGNITION = (
    "face-recognition==1.3.0",
    "face_recognition-1.3.0.tar.gz",
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
)
_TESTS = "face_recognition-1.3.0/tests/test_images/"

KEPT_TAGS = (0x010E, 0x013B, 0x8298)
"""EXIF's ImageDescription, Artist and Copyright stay with the photo."""

PLACES = (
    ("obama.jpg", 20, 20, 330),
    ("astronaut.jpg", 370, 20, 420),
    ("biden.jpg", 810, 20, 170),
    ("obama2.jpg", 1000, 20, 200),
    ("astronaut.jpg", 1000, 430, 200),
    ("biden.jpg", 370, 460, 90),
    ("obama2.jpg", 490, 460, 100),
    ("obama.jpg", 620, 460, 120),
)
"""Of the collage: photo, left, top and width in pixels."""


@dataclass(frozen=True)
class Photo:
    """One photo: where it lies in which package, and how large it becomes."""

    name: str
    package: tuple[str, str, str]
    path: str
    sha256: str
    longest_px: int
    quality: int


PHOTOS = (
    Photo(
        "astronaut.jpg",
        SKIMAGE,
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        512,
        90,
    ),
    Photo(
        "obama.jpg",
        FACE_RECOGNITION,
        _TESTS + "obama.jpg",
        "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
        800,
        88,
    ),
    Photo(
        "obama2.jpg",
        FACE_RECOGNITION,
        _TESTS + "obama2.jpg",
        "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
        800,
        88,
    ),
    Photo(
        "biden.jpg",
        FACE_RECOGNITION,
        _TESTS + "biden.jpg",
        "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
        1000,
        88,
    ),
)


def checked(data: bytes, sha256: str, what: str) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        sys.exit(f"{what}: expected SHA-256 {sha256}, got {digest}")
    return data


def archive(package: tuple[str, str, str]) -> bytes:
    spec, file, sha256 = package
    path = BUILD_DIR / file
    if not path.exists():
        BUILD_DIR.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(BUILD_DIR)]
        if file.endswith(".whl"):  # the one that is pinned, whatever Python runs this
            command += ["--only-binary=:all:", "--python-version", "3.11", "--abi", "cp311"]
            command += ["--platform", "manylinux_2_28_x86_64", "--implementation", "cp"]
        else:
            command += ["--no-binary=:all:", "--no-build-isolation"]
        subprocess.run([*command, spec], check=True)
    return checked(path.read_bytes(), sha256, file)


def member(package: tuple[str, str, str], path: str) -> bytes:
    data = io.BytesIO(archive(package))
    if package[1].endswith(".whl"):
        with zipfile.ZipFile(data) as wheel:
            return wheel.read(path)
    with tarfile.open(fileobj=data) as tar:
        stream = tar.extractfile(path)
        if stream is None:
            sys.exit(f"{package[1]}: no file {path}")
        return stream.read()


def shrink(photo: Photo) -> bytes:
    original = Image.open(io.BytesIO(checked(member(photo.package, photo.path), photo.sha256, "")))
    exif = Image.Exif()
    for tag in KEPT_TAGS:
        if tag in original.getexif():
            exif[tag] = original.getexif()[tag]
    picture = original.convert("RGB")
    if max(picture.size) > photo.longest_px:
        size = (photo.longest_px, photo.longest_px)
        picture = ImageOps.contain(picture, size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    if len(exif):
        picture.save(out, "JPEG", quality=photo.quality, exif=exif)
    else:
        picture.save(out, "JPEG", quality=photo.quality)
    return out.getvalue()


def collage(folder: Path) -> bytes:
    sheet = Image.new("RGB", (1220, 720), (236, 232, 224))
    for name, left, top, width in PLACES:
        with Image.open(folder / name) as photo:
            height = round(photo.height * width / photo.width)
            small = photo.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(small, (left, top))
    pen = ImageDraw.Draw(sheet)
    text = "Collage of the demo photos, not a group photo (see PROVENANCE.md)"
    pen.text((20, 684), text, fill=(40, 40, 40), font=ImageFont.load_default(22))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=88)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEMO_DIR)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for photo in PHOTOS:
        (out / photo.name).write_bytes(shrink(photo))
    (out / "group.jpg").write_bytes(collage(out))
    for file in sorted(out.glob("*.jpg")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        print(f"{file.name:16} {file.stat().st_size:8,} bytes  {digest}")


if __name__ == "__main__":
    main()
