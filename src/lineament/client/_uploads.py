"""Sources of photos, as the library takes them, into what is sent: bytes, never less than all."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass

from PIL import Image as PILImage

from lineament.finder import Source
from lineament.images import DEFAULT_LIMITS, describe_source, load_image, source_name
from lineament.images.arrays import is_array
from lineament.images.names import text_kind
from lineament.images.sources import read_bytes
from lineament.types import ColorOrder, Image, Photo


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo to be sent.

    Attributes:
        name: what results call it, as the library would.
        data: its bytes; None when the server is to fetch it from ``url``.
        url: an http or https address; None of everything else.
        media_type: of the bytes.
    """

    name: str
    data: bytes | None
    url: str | None = None
    media_type: str = "application/octet-stream"

    @property
    def file_name(self) -> str:
        """What the server is told: the last part of the name, no folders of this machine."""
        return os.path.basename(self.name.replace("\\", "/"))[:200] or "photo"  # noqa: PTH119

    @property
    def server_name(self) -> str:
        """What the server calls it, which only has the bytes."""
        return "" if self.data is None else source_name(self.data)


def upload_of(source: Source, *, color_order: ColorOrder | None = None) -> Upload:
    """Read a source; pixels are encoded as PNG, which loses nothing.

    Args:
        source: what ``lineament.load_image`` reads, or a ``Photo`` with its pixels. The file of a
            path is sent as it is, and an address is left to the server to fetch.
        color_order: of arrays; other sources ignore it.

    Raises:
        ImageError: it cannot be read.
        OptionError: a ``Photo`` without pixels.
    """
    if isinstance(source, Photo):
        return Upload(source.source, png_of(source.needed_pixels()), media_type="image/png")
    name = source_name(source)
    if isinstance(source, str) and text_kind(source) == "http":
        return Upload(name, None, url=source)
    if is_array(source) or isinstance(source, PILImage.Image):
        pixels = load_image(source, color_order=color_order)
        return Upload(name, png_of(pixels), media_type="image/png")
    return Upload(name, read_bytes(source, describe_source(source), DEFAULT_LIMITS))


def png_of(pixels: Image) -> bytes:
    """The bytes of a PNG: (H, W, 3) uint8, RGB."""
    file = io.BytesIO()
    PILImage.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
