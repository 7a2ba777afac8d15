"""How much one photo may cost."""

from __future__ import annotations

from dataclasses import dataclass

from lineament.errors import ImageTooLargeError, OptionError


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """How much one photo may cost.

    Attributes:
        max_bytes: of the file. 64 MiB holds any JPEG that a camera writes.
        max_pixels: width times height. 120 million lets the 108-megapixel sensors of telephones
            pass. GIF and TIFF are held to ``PIL.Image.MAX_IMAGE_PIXELS`` too (89 million unless
            somebody changed it), because Pillow warns about bigger ones on its own.
        url_timeout_s: seconds for a URL in all: names, redirects, headers and body. Of a pipe that
            is given by the path of a descriptor (``/dev/stdin``, ``<(command)``) as well.
        allow_private: whether a URL may lead to this machine and to networks of its own (loopback,
            private, link-local and other addresses that are not public), by itself or by a
            redirect. Allow it only where nobody else names the URLs.
        max_memory: bytes that decoding takes beside the file itself, the pixels that are returned
            among them: 7 a pixel for most photos, thus 0.84 GB for the largest. Kinds that take
            more, such as WebP (16), may have fewer pixels. Counted before pixels are decoded.

    Raises:
        OptionError: a limit that is not positive.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 120_000_000
    url_timeout_s: float = 20.0
    allow_private: bool = False
    max_memory: int = 1_000_000_000

    def __post_init__(self) -> None:
        """Validate."""
        for name in ("max_bytes", "max_pixels", "max_memory", "url_timeout_s"):
            if not getattr(self, name) > 0:
                raise OptionError(f"expected more than 0, got {getattr(self, name)}", option=name)
        if not isinstance(self.allow_private, bool):  # "no" would be true
            raise OptionError(
                f"expected True or False, got {self.allow_private!r}", option="allow_private"
            )


DEFAULT_LIMITS = ImageLimits()


def too_many_bytes(name: str, limits: ImageLimits) -> ImageTooLargeError:
    """The error for a photo that has more bytes than the limits allow."""
    return ImageTooLargeError(
        f"{name}: expected at most {limits.max_bytes:,} bytes, got more",
        hint="; make the photo smaller{or_max_bytes}",
    )
