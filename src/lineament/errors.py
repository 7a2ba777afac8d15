"""Every error that lineament raises on purpose.

    LineamentError
    ├── ImageError                    a photo could not be read
    │   ├── ImageNotFoundError        no such file, or the address answers "not found"
    │   ├── ImageFormatError          it is not an image, or it is broken or cut short
    │   └── ImageTooLargeError        more bytes or pixels than the limits allow
    ├── NoFaceError                   nothing was found where a face is needed
    ├── WeightsError                  a weights file or its description is unusable
    │   ├── UnknownWeightsError       no entry of that name
    │   ├── WeightsHashError          the file's bytes are not the ones that were promised
    │   ├── WeightsDownloadError      the weights could not be fetched
    │   └── LicenseError              the license policy refuses these weights
    ├── ContractError                 embeddings of two different contracts were mixed
    ├── MissingExtraError             an optional dependency is not installed
    ├── IndexFileError                the files of a search index are missing or damaged: rebuild
    │   └── IndexContractError        they hold embeddings of another contract (a ContractError too)
    ├── IndexServerError              the server of a search index cannot be reached, or refused
    ├── GalleryError                  a gallery cannot be used as asked
    │   ├── GalleryNotFoundError      there is no gallery in that folder
    │   ├── GalleryExistsError        there is one already
    │   ├── GalleryDamagedError       its database is damaged, or no gallery's
    │   ├── GalleryVersionError       it was written by a newer version
    │   ├── GalleryLockedError        another process is writing to it
    │   ├── GalleryReadOnlyError      it was opened for reading, or is closed
    │   ├── UnknownPersonError        nobody, or no sample, of that name or number is in it
    │   └── PersonExistsError         somebody of that name is in it already
    ├── TrainError                    a model cannot be trained or written as asked
    │   ├── CheckpointError           a run's files are missing, damaged, or of another set-up
    │   ├── DivergedError             the loss is not a number any more; names the batch
    │   └── ExportError               the written model would not do what the trained one does
    ├── DataError                     a data set is not laid out as its protocol says
    └── OptionError                   an option has a value that makes no sense

A message says what was expected, what came, and what to do about it. ``str(error)`` is meant to be
shown to a person as it is; the command line prints exactly that and exits with 2.
"""

from __future__ import annotations


class LineamentError(Exception):
    """Base of all errors raised on purpose; catch this one to catch them all."""


class ImageError(LineamentError, ValueError):
    """A photo could not be read."""


class ImageNotFoundError(ImageError):
    """The photo does not exist."""


class ImageFormatError(ImageError):
    """The bytes are not an image that can be decoded, or they end too early."""


class ImageTooLargeError(ImageError):
    """The image has more bytes or pixels than the limits allow."""


class NoFaceError(LineamentError, ValueError):
    """A step that needs a face was given a photo in which none was found."""


class WeightsError(LineamentError):
    """A weights file or its description is unusable."""


class UnknownWeightsError(WeightsError, KeyError):
    """No weights entry has that name."""

    def __str__(self) -> str:
        """The message itself: KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""


class WeightsHashError(WeightsError):
    """The bytes of a weights file do not have the promised SHA-256."""


class WeightsDownloadError(WeightsError):
    """The weights could not be fetched from their URL."""


class LicenseError(WeightsError):
    """The license policy in force refuses these weights."""


class ContractError(LineamentError, ValueError):
    """Embeddings that were made in different ways were about to be compared."""


class MissingExtraError(LineamentError, ImportError):
    """An optional dependency is missing; the message names the pip command."""

    def __init__(self, what: str, extra: str, *, package: str | None = None) -> None:
        """``what``: the feature in words; ``extra``: the extra that brings it, or ``package``."""
        wanted = f'"lineament[{extra}]"' if package is None else package
        super().__init__(f"{what} needs packages that are not installed: run  pip install {wanted}")
        self.extra = extra


class IndexFileError(LineamentError):
    """The files of a search index are missing, damaged, or of another version or contract.

    Nothing is lost: an index is derived, and can be rebuilt.
    """


class IndexContractError(IndexFileError, ContractError):
    """An index holds embeddings of another contract than the ones it was opened for."""


class IndexServerError(LineamentError):
    """The server of a search index cannot be reached, took too long, or refused."""


class DataError(LineamentError, ValueError):
    """A folder or a protocol file is not laid out as its protocol says."""


class OptionError(LineamentError, ValueError):
    """An option has a value that makes no sense."""


class GalleryError(LineamentError):
    """A gallery cannot be used as asked."""


class GalleryNotFoundError(GalleryError):
    """There is no gallery in that folder."""


class GalleryExistsError(GalleryError):
    """There is a gallery in that folder already."""


class GalleryDamagedError(GalleryError):
    """The gallery's database is damaged, or it is the database of something else."""


class GalleryVersionError(GalleryError):
    """The gallery was written by a newer version of lineament."""


class GalleryLockedError(GalleryError):
    """Another process is writing to the gallery."""


class GalleryReadOnlyError(GalleryError):
    """The gallery was opened for reading only, or is closed."""


class UnknownPersonError(GalleryError, KeyError):
    """Nobody of that name, or no sample of that number, is in the gallery."""

    def __str__(self) -> str:
        """The message itself: KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""


class PersonExistsError(GalleryError, ValueError):
    """Somebody of that name is in the gallery already."""


class TrainError(LineamentError):
    """A model cannot be trained, or written, as asked."""


class CheckpointError(TrainError):
    """The files of a training run are missing, damaged, or belong to another set-up."""


class DivergedError(TrainError):
    """The loss, or a gradient, is no finite number any more."""


class ExportError(TrainError):
    """The model that would be written does not do what the trained one does, or not well enough."""
