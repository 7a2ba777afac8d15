"""Stage 1: what the first bytes of a file say it is."""

from __future__ import annotations

PLUGINS = {
    # format: Pillow's module and class. They are called directly, not by way of Image.open: that
    # would load all forty plugins for WebP, TIFF or AVIF, and check and warn about sizes by
    # Pillow's global limit. The JPEG class reads the first picture of an MPO.
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "PNM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIC": ("pillow_heif", "HeifImageFile"),
}
"""The formats that are read."""

_MAGIC = (
    # (offset, bytes, what it is): the formats above, then what people give by mistake
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (8, b"CR\x02\0", "a raw file (Canon CR2)"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),  # BigTIFF
    (0, b"MM\0+", "TIFF"),
    *((0, b"P%d%c" % (kind, end), "PNM") for kind in (4, 5, 6) for end in b" \t\r\n#"),
    # raw files that are no TIFF by their first bytes
    (0, b"IIRO", "a raw file (Olympus ORF)"),
    (0, b"IIRS", "a raw file (Olympus ORF)"),
    (0, b"MMOR", "a raw file (Olympus ORF)"),
    (0, b"IIU\0", "a raw file (Panasonic RW2)"),
    (0, b"FUJIFILMCCD-RAW", "a raw file (Fujifilm RAF)"),
    (0, b"FOVb", "a raw file (Sigma X3F)"),
    (0, b"\0MRM", "a raw file (Minolta MRW)"),
    (6, b"HEAPCCDR", "a raw file (Canon CRW)"),
    # pictures of other formats
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image (codestream)"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image (codestream)"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"v/1\x01", "an OpenEXR image"),
    (0, b"#?RADIANCE", "a Radiance HDR image"),
    (0, b"#?RGBE", "a Radiance HDR image"),
    (0, b"BPG\xfb", "a BPG image"),
    (0, b"FLIF", "a FLIF image"),
    (0, b"qoif", "a QOI image"),
    (0, b"DDS ", "a DirectDraw surface (DDS)"),
    (0, b"icns", "an icon (ICNS)"),
    (0, b"\0\0\x01\0", "an icon (ICO)"),
    (0, b"\0\0\x02\0", "a TGA image, or a cursor"),
    (0, b"\x0a\x05\x01", "a PCX image"),
    (0, b"\x01\xda", "an SGI image"),
    (0, b"II\xbc", "a JPEG XR image"),
    (0, b"SIMPLE  =", "a FITS image"),
    (0, b"PF\n", "a PFM image (floats without a range)"),
    (0, b"Pf\n", "a PFM image (floats without a range)"),
    (0, b"P7\n", "a PAM image"),
    *(
        (0, b"P%d%c" % (kind, end), "a PNM image in text form")
        for kind in (1, 2, 3)
        for end in b" \n"
    ),
    (128, b"DICM", "a DICOM file"),
    (0, b"%!PS", "an EPS or PostScript drawing"),
    (0, b"\xc5\xd0\xd3\xc6", "an EPS drawing"),
    (0, b"\x93NUMPY", "an array of NumPy (.npy): load it, and give the array"),
    # no pictures
    (0, b"%PDF", "a PDF document"),
    (0, b"PK", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x1a\x45\xdf\xa3", "a video"),  # Matroska, WebM
    (8, b"AVI ", "a video"),
    (0, b"FLV\x01", "a video"),
    (0, b"\0\0\x01\xba", "a video"),  # MPEG program stream
    (0, b"\0\0\x01\xb3", "a video"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a video"),  # ASF, WMV
    (4, b"moov", "a video"),
    (4, b"mdat", "a video"),
    (4, b"ftyp", "a video"),
    (8, b"WAVE", "a sound"),
    (0, b"ID3", "a sound"),
    (0, b"OggS", "a sound or video"),
)

_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_BRANDS = {
    b"crx ": "a raw file (Canon CR3)",
    b"jp2 ": "a JPEG 2000 image",
    b"jxl ": "a JPEG XL image",
}


def sniff(data: bytes) -> str:
    """What a file is: a key of ``PLUGINS``, or other words for what is not read.

    Args:
        data: its bytes, or the first of them.
    """
    if data[4:8] == b"ftyp":  # ISO base media: major brand, version, compatible brands
        end = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[i : i + 4] for i in range(8, end, 4)}
        if brands & _AVIF:
            return "AVIF"
        if brands & _HEIC:
            return "HEIC"
        for brand, what in _BRANDS.items():
            if brand in brands:
                return what
    for offset, magic, what in _MAGIC:
        if data.startswith(magic, offset):
            return what
    head = data[:512].lstrip().lower()
    if b"<svg" in head:
        return "an SVG drawing"
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS: fetch the file itself (git lfs pull)"
    return "text" if head.isascii() and b"\0" not in head else "unknown bytes"
