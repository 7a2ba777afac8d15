"""Every error that lineament raises on purpose.

    LineamentError               error              any of them
    ├── ImageError               image_unreadable   a photo could not be read
    │   ├── ImageNotFoundError   image_not_found    no such file or address
    │   ├── ImageFormatError     image_format       no image, or broken, or cut short
    │   └── ImageTooLargeError   image_too_large    more bytes or pixels than the limits allow
    ├── VideoError               video_unreadable   a film, a stream or a camera could not be read
    │   ├── VideoNotFoundError   video_not_found    no such file, address or camera
    │   ├── VideoFormatError     video_format       no film, one without pictures, or broken
    │   ├── VideoTooLargeError   video_too_large    more pixels than the limits allow
    │   └── VideoLostError       video_lost         a live source ended and did not come back
    ├── NoFaceError              no_face            nothing was found where a face is needed
    ├── SeveralFacesError        several_faces      several were found where only one may be
    ├── WeightsError             weights_unusable   a file of weights or its description
    │   ├── UnknownWeightsError  unknown_weights    no entry of that name
    │   ├── WeightsHashError     weights_hash       the file's bytes are not the promised ones
    │   ├── WeightsDownloadError weights_download   the weights could not be fetched
    │   └── LicenseError         license_refused    the license policy refuses them
    ├── EngineError              engine_failed      the inference engine failed as it ran a network
    ├── OutOfMemoryError         out_of_memory      there is not enough memory
    ├── ContractError            contract_mismatch  embeddings of two contracts were mixed
    ├── MissingExtraError        missing_extra      an optional dependency is not installed
    ├── IndexFileError           index_damaged      a search index must be rebuilt
    │   └── IndexContractError   index_contract     of another contract; a ContractError too
    ├── IndexServerError         index_server       a search index's server does not answer
    ├── GalleryError             gallery_unusable   a gallery cannot be used as asked
    │   ├── GalleryNotFoundError gallery_not_found  there is no gallery in that folder
    │   ├── GalleryExistsError   gallery_exists     there is one already
    │   ├── GalleryDamagedError  gallery_damaged    its database is damaged, or no gallery's
    │   ├── GalleryKeyError      gallery_key        it is encrypted, and the key is missing or wrong
    │   ├── GalleryVersionError  gallery_version    it was written by a newer version
    │   ├── GalleryLockedError   gallery_locked     another process is writing to it
    │   ├── GalleryReadOnlyError gallery_read_only  it was opened for reading
    │   │   └── GalleryClosedError gallery_closed   it was closed
    │   ├── NobodySearchedError  nobody_searched    there was nobody to search among
    │   ├── EnrollRefusedError   enroll_refused     a photo was not enrolled
    │   ├── ConsentError         consent_missing    no consent, or none for this purpose
    │   ├── UnknownPersonError   unknown_person     no such person or sample
    │   ├── PersonExistsError    person_exists      the name is taken
    │   └── UnlikePeopleError    unlike_people      people to be made one do not look like one
    ├── KeyFileError             key_file           a key to sign or check with cannot be used
    ├── ReceiptError             receipt_unusable   a receipt cannot be read, or not be given
    ├── AuditError               audit_unusable     an audit log cannot be read or written
    ├── TrainError               training           a model cannot be trained or written
    │   ├── CheckpointError      checkpoint         a run's files are missing or damaged
    │   ├── DivergedError        diverged           the loss is not a number any more
    │   └── ExportError          export_refused     the written model would be another
    ├── DataError                data_layout        a data set is laid out in another way
    ├── ServiceError             service_failed     a server, or the way to it, failed
    │   ├── UnauthorizedError    unauthorized       it wants a key, or another one
    │   ├── ForbiddenError       forbidden          the key does not allow that
    │   ├── NotFoundError        not_found          it has no such thing
    │   ├── ConflictError        conflict           it is in another state than was thought
    │   ├── BusyError            busy               too many requests at once: ask again
    │   ├── TooSlowError         too_slow           the request took too long to come
    │   ├── TimedOutError        timed_out          the answer took too long
    │   ├── UnavailableError     unavailable        it starts or stops: ask again
    │   ├── BodyTooLargeError    body_too_large     the request has too many bytes
    │   └── MediaTypeError       media_type         the request is of a kind that it cannot read
    ├── TruthValueError          truth_value        an answer that is no yes or no was taken for one
    └── OptionError              option_invalid     an option has a wrong value

Each has a ``code`` (the second column; stable, for programs), the ``message`` (what was expected,
what came), the ``option`` that it is about and the ``hint`` (the remedy), the latter two or None.
``str(error)`` is all of it as one sentence, to be shown to a person as it is: names of files in it
are escaped by ``text.printable``, so it is no place to read a path from. The command line prints it
with its own words for options and actions and exits with 2.

Of one photo an error is raised. Of a list of photos it stands in the place of the result that it
spoiled, and there it cannot pass for one: asked whether it is true, it raises itself
(``LineamentError.as_result``), and asked for what a result has, such as ``vector``, it says what
failed. ``lineament.results.failed`` and ``succeeded`` tell both apart.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from lineament.text import printable

ACTIONS: Mapping[str, str] = {
    "allow_private_video": "allow private addresses by VideoLimits(allow_private=True) if it is "
    "your own",
    "absent": "erase(name, absent=True) sees that nothing of the name is there, and says so",
    "consent": "pass consent=Consent(...)",
    "encrypt": "encrypt(key) encrypts it",
    "enroll": "enroll() adds people",
    "people": "see people() for the names",
    "person": "see person() for the numbers",
    "migrate": "migrate()",
    "force": "pass force=True",
    "model": "pass a recognizer made of its file",
    "open_or_create": "Gallery.open_or_create opens it",
    "frontal": "lineament.FaceFinder.crops cuts such crops",
    "key": "pass the gallery's key (key=Key.from_file(...)), or name its file by "
    "LINEAMENT_GALLERY_KEY_FILE",
    "lower_limits": "lower min_score and min_face_px of DetectOptions",
    "or_find_images": ", or let lineament.images.find_images list them",
    "or_allow_private": ", or allow private addresses: ImageLimits(allow_private=True)",
    "or_max_bytes": " or raise max_bytes of the limits",
    "or_max_pixels": " or raise max_pixels of the limits",
    "or_max_memory": " or raise max_memory of the limits",
    "or_timeout": " or raise url_timeout_s of the limits",
    "ray": "ray=ADDRESS",
    "read_only": "open it with read_only=True, or ",
    "restart": "pass resume=False to start anew",
    "rejections": "see rejections() for the numbers",
    "remove_sample": "remove(number) removes it",
    "replace_metadata": "annotate(name, metadata, replace=True) writes other metadata",
    "resume_or_overwrite": "pass existing='resume' or existing='overwrite'",
    "rotate_key": "rotate_key(key) gives it another key",
    "shots": "watch(source, shots=FOLDER) shows who has which",
    "skip_damaged": "pass damaged='skip' to import the rest",
    "threshold": "pass a threshold",
    "wait": "wait longer (wait_s)",
    "wait_or_read": "wait longer (wait_s), or open it read-only",
}
"""What hints advise to call, by key; a program that calls it otherwise brings words of its own."""


LONGEST = 2000
"""Characters of a message."""


class LineamentError(Exception):
    """Base of all errors raised on purpose; catch this one to catch them all.

    Attributes:
        code: stable name of the class, for programs; see the table above.
        message: what was expected and what came, without ``option`` and ``hint``.
        option: the argument, or the key of a configuration, that the message is about, as the
            library calls it; None when it is about none.
    """

    code = "error"
    _is_result = False

    def __init__(
        self, message: str = "", *, option: str | None = None, hint: str | None = None
    ) -> None:
        """Describe what went wrong.

        Args:
            message: what was expected, what came.
            option: the argument that the message is about; it stands before the message.
            hint: the remedy; it stands after the message, after a colon, or after the ``;`` or
                ``,`` that it begins with. ``{key}`` of ``ACTIONS`` stands for what to call.
        """
        message = _short(printable(message))
        super().__init__(message)
        self.message = message
        self.option = option
        self._hint = None if hint is None else printable(hint)

    @property
    def hint(self) -> str | None:
        """The remedy, in terms of the library; None when the message has to do."""
        return self.advice()

    def advice(self, actions: Mapping[str, str] | None = None) -> str | None:
        """The remedy, with the words of ``actions`` for what to call."""
        return None if self._hint is None else _worded(self._hint, actions).lstrip(";, ")

    def sentence(self, option: str | None = None, actions: Mapping[str, str] | None = None) -> str:
        """The whole message.

        Args:
            option: the name to give the option, when the caller has another one for it.
            actions: the words for what to call, by the keys of ``ACTIONS``; None: those of
                ``spoken``.
        """
        name = self.option if option is None else option
        text = self.message if name is None else f"{printable(name)}: {self.message}"
        if self._hint is None:
            return text
        hint = _worded(self._hint, actions)
        return text + (hint if hint.startswith((";", ",")) else f": {hint}")

    def __str__(self) -> str:
        """The whole message, in terms of the library."""
        return self.sentence()

    def as_result(self) -> Self:
        """A copy that stands in a list in the place of a result, and cannot pass for one.

        ``bool(copy)`` raises the copy itself: ``if result:`` and ``filter(None, results)`` end with
        what went wrong in place of taking an unread photo for a match. Every other error is true,
        as exceptions are, since ``logging`` and ``concurrent.futures`` ask for it, and so that
        ``if photo.error:`` may be written.
        """
        error = copy.copy(self)  # without the traceback, which holds the pixels
        error._is_result = True
        return error

    def __bool__(self) -> bool:
        """True; of an error in the place of a result: raises it."""
        if self._is_result:
            raise self
        return True

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            """What results have and errors have not: AttributeError with the reason."""
            if name.startswith("_") or "message" not in vars(self):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise AttributeError(
                f"no {name!r} here: in the place of a result stands {type(self).__name__}: {self}"
            ) from self

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: without ``__init__``, whose arguments differ between classes."""
        return _restored, (type(self), self.args, vars(self))

    def to_dict(self) -> dict[str, str | None]:
        """For JSON: the code, the whole message, the option, the remedy."""
        return {
            "code": self.code,
            "message": str(self),
            "option": self.option,
            "hint": self.hint,
        }


def _restored(
    kind: type[LineamentError], args: tuple[Any, ...], values: dict[str, Any]
) -> LineamentError:
    error = kind.__new__(kind, *args)
    vars(error).update(values)
    return error


_words: Mapping[str, str] = ACTIONS


@contextmanager
def spoken(actions: Mapping[str, str]) -> Iterator[None]:
    """Have hints advise in other words, in the whole process: what to type, not what to call.

    Args:
        actions: words by the keys of ``ACTIONS``.
    """
    global _words  # noqa: PLW0603
    before, _words = _words, actions
    try:
        yield
    finally:
        _words = before


def _short(text: str) -> str:
    """Cut out the middle of what nobody would read to its end, such as a line of a damaged file."""
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 500]} ... {text[-400:]}"


def _worded(hint: str, actions: Mapping[str, str] | None) -> str:
    for key, words in (_words if actions is None else actions).items():
        hint = hint.replace(f"{{{key}}}", words)
    return hint


class ImageError(LineamentError, ValueError):
    """A photo could not be read."""

    code = "image_unreadable"


class ImageNotFoundError(ImageError):
    """The photo does not exist."""

    code = "image_not_found"


class ImageFormatError(ImageError):
    """The bytes are not an image that can be decoded, or they end too early."""

    code = "image_format"


class ImageTooLargeError(ImageError):
    """The image has more bytes or pixels than the limits allow."""

    code = "image_too_large"


class VideoError(LineamentError, ValueError):
    """A film, a stream or a camera could not be read."""

    code = "video_unreadable"


class VideoNotFoundError(VideoError):
    """There is no such film, address or camera."""

    code = "video_not_found"


class VideoFormatError(VideoError):
    """It is no film that can be decoded, it has no pictures, or too much of it is missing."""

    code = "video_format"


class VideoTooLargeError(VideoError):
    """The frames have more pixels than the limits allow."""

    code = "video_too_large"


class VideoLostError(VideoError):
    """A live source ended, and did not come back in time."""

    code = "video_lost"


class NoFaceError(LineamentError, ValueError):
    """A step that needs a face was given a photo in which none was found."""

    code = "no_face"


class SeveralFacesError(LineamentError, ValueError):
    """A photo that may have one face only (the choice "only") has several."""

    code = "several_faces"


class WeightsError(LineamentError):
    """A weights file or its description is unusable."""

    code = "weights_unusable"


class UnknownWeightsError(WeightsError, KeyError):
    """No weights entry has that name."""

    code = "unknown_weights"


class WeightsHashError(WeightsError):
    """The bytes of a weights file do not have the promised SHA-256."""

    code = "weights_hash"


class WeightsDownloadError(WeightsError):
    """The weights could not be fetched from their URL."""

    code = "weights_download"


class LicenseError(WeightsError):
    """The license policy in force refuses these weights."""

    code = "license_refused"


class EngineError(LineamentError, RuntimeError):
    """The inference engine failed as it ran a network that it had loaded."""

    code = "engine_failed"


class OutOfMemoryError(LineamentError, MemoryError):
    """There is not enough memory for what was asked for."""

    code = "out_of_memory"


class ContractError(LineamentError, ValueError):
    """Embeddings that were made in different ways were about to be compared."""

    code = "contract_mismatch"


class MissingExtraError(LineamentError, ImportError):
    """An optional dependency is missing; the message names the pip command."""

    code = "missing_extra"

    def __init__(self, what: str, extra: str, *, package: str | None = None) -> None:
        """``what``: the feature in words; ``extra``: the extra that brings it, or ``package``."""
        names = _packages_of(extra) if package is None else package
        super().__init__(
            f"{what} needs packages that are not installed", hint=f"run  pip install {names}"
        )
        self.extra = extra


def _packages_of(extra: str) -> str:
    """What an extra consists of, as pip takes it.

    The packages' own names work wherever lineament came from: an index, a clone, a wheel.
    """
    from importlib import metadata

    try:
        lines = metadata.requires("lineament") or []
    except metadata.PackageNotFoundError:  # used from its sources, not installed
        lines = []
    ends = (f"extra == '{extra}'", f'extra == "{extra}"')
    found = [line.partition(";")[0].strip() for line in lines if line.rstrip().endswith(ends)]
    return " ".join(f'"{each}"' for each in found) or f'"lineament[{extra}]"'


class IndexFileError(LineamentError):
    """The files of a search index are missing, damaged, or of another version or contract.

    Nothing is lost: an index is derived, and can be rebuilt.
    """

    code = "index_damaged"


class IndexContractError(IndexFileError, ContractError):
    """An index holds embeddings of another contract than the ones it was opened for."""

    code = "index_contract"


class IndexServerError(LineamentError):
    """The server of a search index cannot be reached, took too long, or refused."""

    code = "index_server"


class DataError(LineamentError, ValueError):
    """A folder or a protocol file is not laid out as its protocol says."""

    code = "data_layout"


class OptionError(LineamentError, ValueError):
    """An option has a value that makes no sense."""

    code = "option_invalid"


class ServiceError(LineamentError):
    """A server of lineament, or the way to it, failed."""

    code = "service_failed"


class UnauthorizedError(ServiceError):
    """The server wants a key, or another one."""

    code = "unauthorized"


class ForbiddenError(ServiceError):
    """The key does not allow what was asked for."""

    code = "forbidden"


class NotFoundError(ServiceError, LookupError):
    """The server has no such thing."""

    code = "not_found"


class ConflictError(ServiceError):
    """Things on the server are not as the request takes for granted."""

    code = "conflict"


class BusyError(ServiceError):
    """More was asked for at once than can be done; nothing of this request was.

    Attributes:
        retry_after_s: seconds after which it may be asked again.
    """

    code = "busy"

    def __init__(
        self,
        message: str = "",
        *,
        option: str | None = None,
        hint: str | None = None,
        retry_after_s: int = 1,
    ) -> None:
        """As ``LineamentError``, and when to ask again."""
        super().__init__(message, option=option, hint=hint)
        self.retry_after_s = retry_after_s


class TooSlowError(ServiceError, TimeoutError):
    """The request took too long to come in."""

    code = "too_slow"


class TimedOutError(ServiceError, TimeoutError):
    """The answer took too long; whether what was asked for is done is not known."""

    code = "timed_out"


class UnavailableError(ServiceError):
    """The server, or a part of it, starts or stops at this moment; ask again.

    Whether what was asked for is done is not known: ask for it with an idempotency key.
    """

    code = "unavailable"


class BodyTooLargeError(ServiceError, ValueError):
    """The request's body has more bytes than the server's settings allow."""

    code = "body_too_large"


class MediaTypeError(ServiceError, ValueError):
    """The request's body is of a kind that the server cannot read."""

    code = "media_type"


class TruthValueError(LineamentError, ValueError):
    """A result that is neither true nor false was asked for its truth, as by ``if decision:``."""

    code = "truth_value"


class GalleryError(LineamentError):
    """A gallery cannot be used as asked."""

    code = "gallery_unusable"


class GalleryNotFoundError(GalleryError):
    """There is no gallery in that folder."""

    code = "gallery_not_found"


class GalleryExistsError(GalleryError):
    """There is a gallery in that folder already."""

    code = "gallery_exists"


class GalleryDamagedError(GalleryError):
    """The gallery's database is damaged, or it is the database of something else."""

    code = "gallery_damaged"


class GalleryKeyError(GalleryError):
    """A gallery is encrypted, and its key was not given, is another one, or cannot be read."""

    code = "gallery_key"


class GalleryVersionError(GalleryError):
    """The gallery was written by a newer version of lineament."""

    code = "gallery_version"


class GalleryLockedError(GalleryError):
    """Another process is writing to the gallery."""

    code = "gallery_locked"


class GalleryReadOnlyError(GalleryError):
    """The gallery was opened for reading only."""

    code = "gallery_read_only"


class GalleryClosedError(GalleryReadOnlyError):
    """The gallery was closed, and then used."""

    code = "gallery_closed"


class NobodySearchedError(GalleryError):
    """There was nobody to search among: nobody is enrolled, or nobody matches the filter."""

    code = "nobody_searched"


class EnrollRefusedError(GalleryError, ValueError):
    """One or more photos were refused by enrollment.

    Attributes:
        refusals: all of them, each with source, reason and message (``gallery.Refusal``).
    """

    code = "enroll_refused"

    def __init__(
        self,
        message: str = "",
        *,
        option: str | None = None,
        hint: str | None = None,
        refusals: Sequence[Any] = (),
    ) -> None:
        """As ``LineamentError``; ``refusals``: one or more."""
        super().__init__(message, option=option, hint=hint)
        self.refusals = tuple(refusals)

    @property
    def refusal(self) -> Any:
        """The first of ``refusals``; None without any."""
        return self.refusals[0] if self.refusals else None


class ConsentError(GalleryError, ValueError):
    """Somebody's consent is missing, or does not allow what the gallery is for."""

    code = "consent_missing"


class UnknownPersonError(GalleryError, KeyError):
    """Nobody of that name, or no sample of that number, is in the gallery."""

    code = "unknown_person"


class PersonExistsError(GalleryError, ValueError):
    """Somebody of that name is in the gallery already."""

    code = "person_exists"


class UnlikePeopleError(GalleryError, ValueError):
    """People who are said to be one do not look like one."""

    code = "unlike_people"


class KeyFileError(LineamentError, ValueError):
    """A key to sign with, or to check signatures with, cannot be read or written."""

    code = "key_file"


class ReceiptError(LineamentError, ValueError):
    """A receipt is none, or cannot be given."""

    code = "receipt_unusable"


class AuditError(LineamentError, ValueError):
    """An audit log cannot be read or written, or is none."""

    code = "audit_unusable"


class TrainError(LineamentError):
    """A model cannot be trained, or written, as asked."""

    code = "training"


class CheckpointError(TrainError):
    """The files of a training run are missing, damaged, or belong to another set-up."""

    code = "checkpoint"


class DivergedError(TrainError):
    """The loss, or a gradient, is no finite number any more."""

    code = "diverged"


class ExportError(TrainError):
    """The model that would be written does not do what the trained one does, or not well enough."""

    code = "export_refused"
