"""Face regions of photo libraries: read, written, and everything else left as it was."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import DataError, ImageFormatError, LineamentError, OptionError
from lineament.images import load_image
from lineament.images.regions import Region, match, read_regions, write_regions
from lineament.images.regions._containers import held_in
from lineament.images.regions._frame import stored, upright

EXIFTOOL = shutil.which("exiftool")
needs_exiftool = pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")

KINDS = ("JPEG", "PNG", "WebP")
SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "TIFF": ".tif"}
BOX = (0.1, 0.2, 0.3, 0.5)
MWG = "http://www.metadataworkinggroup.com/schemas/regions/"


def packet(inner: str, about: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="{about}" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:mwg-rs="{MWG}" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" '
        'xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" '
        'xmlns:MP="http://ns.microsoft.com/photo/1.2/" '
        'xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#" '
        'xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#">'
        f"{inner}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


def area(x: float, y: float, w: float, h: float, unit: str = "normalized") -> str:
    return (
        f'<mwg-rs:Area stArea:x="{x}" stArea:y="{y}" stArea:w="{w}" stArea:h="{h}" '
        f'stArea:unit="{unit}"/>'
    )


def mwg(*items: str, size_wh: tuple[int, int] | None = (60, 40)) -> str:
    about = (
        ""
        if size_wh is None
        else f'<mwg-rs:AppliedToDimensions stDim:w="{size_wh[0]}" stDim:h="{size_wh[1]}" '
        'stDim:unit="pixel"/>'
    )
    return (
        f'<mwg-rs:Regions rdf:parseType="Resource">{about}<mwg-rs:RegionList><rdf:Bag>'
        f"{''.join(items)}</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
    )


DIGIKAM = (
    '<rdf:li><rdf:Description mwg-rs:Name="Ada &amp; Co" mwg-rs:Type="Face">'
    f"{area(0.2, 0.35, 0.2, 0.3)}</rdf:Description></rdf:li>"
)
LIGHTROOM = (
    '<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Ada &amp; Co</mwg-rs:Name>'
    f"<mwg-rs:Type>Face</mwg-rs:Type>{area(0.2, 0.35, 0.2, 0.3)}</rdf:li>"
)
MICROSOFT = (
    '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>'
    '<rdf:li MPReg:Rectangle="0.1, 0.2, 0.2, 0.3" MPReg:PersonDisplayName="Ada &amp; Co"/>'
    "</rdf:Bag></MPRI:Regions></MP:RegionInfo>"
)


def photo(path: Path, xmp: bytes | None = None, orientation: int = 1, size: Any = (60, 40)) -> Path:
    """A photo of its suffix's kind, with XMP and EXIF."""
    generator = np.random.default_rng(1)
    image = PILImage.fromarray(generator.integers(0, 255, (size[1], size[0], 3), np.uint8))
    exif = PILImage.Exif()
    exif[0x112] = orientation
    exif[0x10E] = "kept"
    more: dict[str, Any] = {"exif": exif}
    if path.suffix == ".png":
        from PIL.PngImagePlugin import PngInfo

        texts = PngInfo()
        texts.add_text("Comment", "kept")
        if xmp is not None:
            texts.add_itxt("XML:com.adobe.xmp", xmp.decode())
        more["pnginfo"] = texts
    elif path.suffix == ".tif":
        if xmp is not None:
            more["tiffinfo"] = {700: xmp, 274: orientation}
    elif xmp is not None:
        more["xmp"] = xmp
    image.save(path, **more)
    return path


def near(box: Any, expected: Any, by: float = 1e-5) -> bool:
    return np.allclose(box, expected, atol=by)


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIX.values())
@pytest.mark.parametrize(
    "inner", [mwg(DIGIKAM), mwg(LIGHTROOM), MICROSOFT, mwg(DIGIKAM) + MICROSOFT]
)
def test_regions_of_files(tmp_path: Path, suffix: str, inner: str) -> None:
    path = photo(tmp_path / f"a{suffix}", packet(inner))
    (found,) = read_regions(path)
    assert (found.name, found.source) == ("Ada & Co", "file")
    assert near(found.box, BOX)


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp"])
def test_regions_of_sidecars(tmp_path: Path, name: str) -> None:
    path = photo(tmp_path / "a.jpg", packet(mwg(DIGIKAM.replace("Ada &amp; Co", "Bob"))))
    (tmp_path / name).write_bytes(packet(mwg(DIGIKAM)))
    (found,) = read_regions(path)
    assert (found.name, found.source) == ("Ada & Co", "sidecar")


def test_regions_of_picasa(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    photo(tmp_path / "b.jpg")
    digits = "".join(f"{round(one * 65536):04x}" for one in BOX)
    (tmp_path / ".picasa.ini").write_text(
        "[Contacts2]\n8e62398ebda8c1a5=Ada Lovelace;;\n[A.JPG]\nbackuphash=1\n"
        f"faces=rect64({digits.lstrip('0')}),8e62398ebda8c1a5;rect64(8000800090009000),ffffffffffffffff"
        f"\n[b.jpg]\nrotate=rotate(1)\nfaces=rect64({digits}),8e62398ebda8c1a5\n",
        encoding="utf-8",
    )
    ada, nobody = read_regions(path)
    assert (ada.name, ada.source, nobody.name) == ("Ada Lovelace", "picasa", None)
    assert near(ada.box, BOX, 1e-4)
    assert read_regions(tmp_path / "b.jpg") == []


def test_what_is_no_face(tmp_path: Path) -> None:
    pet = DIGIKAM.replace('"Face"', '"Pet"')
    bad = [
        DIGIKAM.replace("0.35", word)
        for word in ("nan", "1e999", "", "x" * 50, "-9", "0x1", "9" * 30)
    ]
    outside = DIGIKAM.replace('stArea:x="0.2"', 'stArea:x="1.05"')
    path = photo(tmp_path / "a.jpg", packet(mwg(pet, *bad, outside, "<rdf:li/>")))
    (found,) = read_regions(path)
    assert near(found.box, (0.95, 0.2, 1, 0.5))
    path = photo(tmp_path / "a.jpg", packet(mwg(
        DIGIKAM.replace(area(0.2, 0.35, 0.2, 0.3), area(12, 14, 12, 12, "pixel")))))  # fmt: skip
    assert near(read_regions(path)[0].box, BOX)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos(tmp_path: Path, orientation: int) -> None:
    """Boxes follow pixels: a white patch is where the region says, in the photo as it is shown."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[8:20, 6:18] = 255
    exif = PILImage.Exif()
    exif[0x112] = orientation
    path = tmp_path / "a.png"
    PILImage.fromarray(pixels).save(path, exif=exif)
    (tmp_path / "a.png.xmp").write_bytes(packet(mwg(DIGIKAM)))
    (found,) = read_regions(path)
    shown = load_image(path)
    height, width = shown.shape[:2]
    left, top, right, bottom = np.round(np.multiply(found.box, (width, height) * 2)).astype(int)
    assert shown[top:bottom, left:right].min() == 255
    assert (shown > 0).sum() == 3 * (bottom - top) * (right - left)
    assert near(stored(upright(BOX, orientation), orientation), BOX)
    if orientation >= 5:  # some programs write boxes of the photo as it is shown
        (tmp_path / "a.png.xmp").write_bytes(packet(mwg(DIGIKAM, size_wh=(40, 60))))
        assert near(read_regions(path)[0].box, BOX)


def test_extended_xmp(tmp_path: Path) -> None:
    extended = packet(mwg(DIGIKAM))
    digest = hashlib.md5(extended).hexdigest().upper()
    note = '<n:HasExtendedXMP xmlns:n="http://ns.adobe.com/xmp/note/">' + digest
    path = photo(tmp_path / "a.jpg", packet(note + "</n:HasExtendedXMP>"))
    data = path.read_bytes()
    middle = len(extended) // 2
    pieces = b""
    for offset, piece in ((0, extended[:middle]), (middle, extended[middle:])):
        body = b"http://ns.adobe.com/xmp/extension/\0" + digest.encode()
        body += struct.pack(">II", len(extended), offset) + piece
        pieces += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    path.write_bytes(data[:2] + pieces + data[2:])
    (found,) = read_regions(path)
    assert found.name == "Ada & Co"
    with pytest.raises(OptionError, match=r"further pieces .* write a sidecar"):
        write_regions(path, [Region("Bob", (0.6, 0.6, 0.8, 0.8))], into="files")
    path.write_bytes(data[:2] + pieces.replace(digest.encode(), b"0" * 32) + data[2:])
    assert read_regions(path) == []


# --- writing --------------------------------------------------------------------------------------


def without_xmp(path: Path) -> list[bytes]:
    """All parts of a file but its XMP, and of WebP's head what must change."""
    data = path.read_bytes()
    if data[:2] == b"\xff\xd8":
        from lineament.images.regions._containers import _segments

        parts = [data[a:b] for _, a, b in _segments(data)]
        end = [b for _, _, b in _segments(data)][-1]
        return [one for one in parts if b"ns.adobe.com/xap" not in one[:40]] + [data[end:]]
    if data[:4] == b"RIFF":
        from lineament.images.regions._containers import _pieces

        return [data[a:b] for kind, a, b, _ in _pieces(data) if kind not in (b"XMP ", b"VP8X")]
    from lineament.images.regions._containers import _chunks

    return [data[a - 8 : b + 4] for kind, a, b in _chunks(data) if kind != b"iTXt"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", [None, packet("<dc:format>kept</dc:format>", "uuid:1"),
                                    packet(mwg(LIGHTROOM)), packet(mwg())])  # fmt: skip
@pytest.mark.parametrize("orientation", [1, 6])
def test_regions_into_files(
    tmp_path: Path, kind: str, before: bytes | None, orientation: int
) -> None:
    path = photo(tmp_path / f"a{SUFFIX[kind]}", before, orientation)
    parts, pixels = without_xmp(path), load_image(path)
    there = read_regions(path)
    new = Region('Zoë <&> "O\'Brien"', (0.05, 0.6, 0.3, 0.9))
    written = write_regions(path, [new], into="files")
    assert (written.path, written.added) == (path, (new.name,))
    assert without_xmp(path) == parts
    np.testing.assert_array_equal(load_image(path), pixels)
    found = read_regions(path)
    assert [one.name for one in found] == [*(one.name for one in there), new.name]
    assert near(found[-1].box, new.box)
    if before is not None:
        after = held_in(path.read_bytes(), "a").packet
        kept = [line for line in (b"kept", b"Ada &amp; Co", b"end='w'") if line in before]
        assert kept
        assert all(line in after for line in kept)
    assert not list(tmp_path.glob("*.xmp"))
    again = path.read_bytes()
    assert write_regions(path, [new], into="files").known == 1
    assert path.read_bytes() == again


def test_regions_into_sidecars(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    before = path.read_bytes()
    written = write_regions(path, [Region("Ada", BOX)])
    assert written.path == tmp_path / "a.jpg.xmp"
    assert path.read_bytes() == before
    write_regions(path, [Region("Bob", (0.6, 0.1, 0.9, 0.4))])
    assert [one.name for one in read_regions(path)] == ["Ada", "Bob"]
    (tmp_path / "a.jpg.xmp").rename(tmp_path / "a.xmp")
    assert write_regions(path, [Region("Cy", (0.6, 0.6, 0.9, 0.9))]).path == tmp_path / "a.xmp"
    photo(tmp_path / "t.tif")
    assert write_regions(tmp_path / "t.tif", [Region("Ada", BOX)]).path.name == "t.tif.xmp"


def test_names_that_are_there_stay(tmp_path: Path) -> None:
    nameless = LIGHTROOM.replace("<mwg-rs:Name>Ada &amp; Co</mwg-rs:Name>", "")
    path = photo(tmp_path / "a.jpg", packet(mwg(nameless)))
    wider = (0.08, 0.15, 0.32, 0.55)
    assert write_regions(path, [Region("Ada", wider)], into="files").added == ("Ada",)
    (found,) = read_regions(path)
    assert found.name == "Ada"
    written = write_regions(path, [Region("Bob", BOX), Region(None, BOX)], into="files")
    assert (written.added, written.kept) == ((), ("Bob",))
    assert [one.name for one in read_regions(path)] == ["Ada"]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    region = [Region("Ada", BOX)]
    big = photo(tmp_path / "big.jpg", packet("<dc:format>" + "x" * 64500 + "</dc:format>"))
    before = big.read_bytes()
    with pytest.raises(OptionError, match="in one piece: write a sidecar"):
        write_regions(big, region, into="files")
    assert big.read_bytes() == before
    with pytest.raises(OptionError, match="written into JPEG, PNG, WebP only, got TIFF"):
        write_regions(photo(tmp_path / "t.tif"), region, into="files")
    with pytest.raises(OptionError, match="expected one of sidecars, files"):
        write_regions(big, region, into="x")
    (tmp_path / "big.jpg.xmp").write_bytes(packet(mwg()).decode().encode("utf-16"))
    with pytest.raises((OptionError, DataError)):
        write_regions(big, region)
    for box in ((0, 0, 0, 1), (0.5, 0.5, 0.4, 0.6), (0, 0, 2, 2), (float("nan"), 0, 1, 1)):
        with pytest.raises(OptionError, match="left, top, right, bottom"):
            Region("Ada", box)
    with pytest.raises(OptionError, match="a name that XML can hold"):
        write_regions(photo(tmp_path / "b.jpg"), [Region("A\x01", BOX)])
    (tmp_path / "c.gif").write_bytes(b"GIF89a" + bytes(20))
    with pytest.raises(ImageFormatError, match="expected JPEG, PNG, WebP, TIFF, got"):
        read_regions(tmp_path / "c.gif")


# --- files of anybody -----------------------------------------------------------------------------

ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>'
    "<a>&c;&c;&c;</a>"
)


@pytest.mark.parametrize(
    ("xmp", "words"),
    [
        (ENTITIES.encode(), "a declaration of a type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "a declaration of a type"),
        (b"<a>" * 100 + b"</a>" * 100, "64 deep"),
        (b"<a><b></a>", "damaged XML"),
        (b"\xff\xfe\x00", "damaged XML"),
        (b"hello", "damaged XML"),
        (b"<a>&undefined;</a>", "damaged XML"),
    ],
)
def test_hostile_xml(tmp_path: Path, xmp: bytes, words: str) -> None:
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "a.jpg.xmp").write_bytes(xmp)
    for call in (lambda: read_regions(path), lambda: write_regions(path, [Region("A", BOX)])):
        with pytest.raises(DataError, match=words):
            call()


def test_a_bomb_of_zlib(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png")
    data = path.read_bytes()
    content = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(64 << 20))
    chunk = struct.pack(">I", len(content)) + b"iTXt" + content
    chunk += struct.pack(">I", zlib.crc32(b"iTXt" + content))
    path.write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(ImageFormatError, match="its XMP is too long"):
        read_regions(path)


@pytest.mark.parametrize("suffix", SUFFIX.values())
def test_mutants(tmp_path: Path, suffix: str) -> None:
    generator = np.random.default_rng(5)
    path = photo(tmp_path / f"a{suffix}", packet(mwg(DIGIKAM) + MICROSOFT), 6)
    whole = path.read_bytes()
    start = whole.index(b"xpacket")
    for number in range(60):
        data = bytearray(whole)
        places = generator.integers(0, len(data), 3) if number % 2 else start + (
            generator.integers(0, 1500, 3))  # fmt: skip
        for place in places:
            data[min(place, len(data) - 1)] = generator.integers(0, 256)
        path.write_bytes(bytes(data[: generator.integers(1, len(data))] if number % 5 == 0
                               else data))  # fmt: skip
        for call in (
            read_regions,
            lambda one: write_regions(one, [Region("A", BOX)], into="files"),
        ):
            with contextlib.suppress(LineamentError):
                call(path)


def test_matching() -> None:
    regions = [Region("A", (0.1, 0.1, 0.3, 0.3)), Region("B", (0.6, 0.6, 0.9, 0.9))]
    boxes = [(61, 61, 89, 89), (12, 12, 28, 28), (40, 40, 50, 50), (62, 62, 88, 88)]
    assert match(boxes, (100, 100), regions) == [1, 0, -1, -1]
    assert match([(0, 0, 100, 100)], (100, 100), [Region("A", (0.4, 0.4, 0.6, 0.6))]) == [-1]
    assert match([], (100, 100), regions) == []


# --- exiftool -------------------------------------------------------------------------------------


def exiftool(*arguments: str) -> Any:
    done = subprocess.run(
        [str(EXIFTOOL), *arguments], capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout) if "-j" in arguments else done.stdout


@needs_exiftool
@pytest.mark.parametrize("kind", [*KINDS, "sidecar"])
def test_exiftool_reads_what_is_written(tmp_path: Path, kind: str) -> None:
    path = photo(tmp_path / f"a{SUFFIX.get(kind, '.jpg')}", packet(mwg(LIGHTROOM)))
    into = "sidecars" if kind == "sidecar" else "files"
    region = Region("Grace Höpper", (0.5, 0.25, 0.75, 0.75))
    target = write_regions(path, [region], into=into).path
    (found,) = exiftool("-j", "-struct", "-RegionInfo", "-validate", "-warning", "-error",
                        str(target))  # fmt: skip
    assert "Error" not in found
    listed = found["RegionInfo"]["RegionList"]
    assert listed[-1]["Name"] == "Grace Höpper"
    assert listed[-1]["Type"] == "Face"
    values = {key: float(value) for key, value in listed[-1]["Area"].items() if key != "Unit"}
    assert values == pytest.approx({"X": 0.625, "Y": 0.5, "W": 0.25, "H": 0.5}, abs=1e-4)
    assert len(listed) == (1 if kind == "sidecar" else 2)
    if kind == "sidecar":
        assert found["RegionInfo"]["AppliedToDimensions"]["W"] == 60


@needs_exiftool
@pytest.mark.parametrize("kind", [*KINDS, "TIFF", "sidecar"])
def test_what_exiftool_writes_is_read(tmp_path: Path, kind: str) -> None:
    path = photo(tmp_path / f"a{SUFFIX.get(kind, '.jpg')}")
    target = tmp_path / "a.jpg.xmp" if kind == "sidecar" else path
    exiftool(
        "-overwrite_original",
        "-RegionInfo={AppliedToDimensions={W=60,H=40,Unit=pixel},RegionList=[{Name=Ada,Type=Face,"
        "Area={X=0.2,Y=0.35,W=0.2,H=0.3,Unit=normalized}}]}",
        "-RegionInfoMP={Regions=[{PersonDisplayName=Bob,Rectangle=|0.6, 0.6, 0.2, 0.2}]}".replace(
            "=|", "=").replace(", ", "|, "),
        str(target),
    )  # fmt: skip
    found = read_regions(path)
    assert [one.name for one in found] == ["Ada", "Bob"]
    assert near(found[0].box, BOX)
    assert near(found[1].box, (0.6, 0.6, 0.8, 0.8))
    if kind in KINDS:
        write_regions(path, [Region("Cy", (0.6, 0.1, 0.9, 0.4))], into="files")
        assert [one.name for one in read_regions(path)] == ["Ada", "Cy", "Bob"]
        assert io.BytesIO(path.read_bytes()).getbuffer().nbytes > 0
