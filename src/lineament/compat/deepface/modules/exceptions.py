"""What deepface raises, by its names; all are ``ValueError`` and ``LineamentError``, too."""

from __future__ import annotations

from lineament.errors import (
    DataError,
    ImageError,
    ImageNotFoundError,
    LineamentError,
    NoFaceError,
    OptionError,
)


class ImgNotFound(ImageNotFoundError):  # noqa: N818
    """There is no such photo."""


class PathNotFound(OptionError):  # noqa: N818
    """There is no such folder."""


class FaceNotDetected(NoFaceError):  # noqa: N818
    """A photo has no face."""


class SpoofDetected(LineamentError, ValueError):  # noqa: N818
    """A face is not of somebody who was there."""


class EmptyDatasource(DataError):  # noqa: N818
    """A folder has no photos."""


class DimensionMismatchError(OptionError):
    """Embeddings of two lengths."""


class InvalidEmbeddingsShapeError(OptionError):
    """No embeddings."""


class DataTypeError(ImageError):
    """No photo, by its type."""


class UnimplementedError(OptionError):
    """What there is not: a model, a detector, an attribute."""


class DuplicateEntryError(OptionError):
    """What is registered already."""


class ProcessingError(OptionError):
    """A photo given to ``verify`` could not be used; the reason is its ``__cause__``."""
