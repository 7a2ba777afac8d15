"""Where the files of models lie, and how to read them safely.

    read(card)       its bytes, after the license policy and the SHA-256 agreed
    locate(card)     its path, after a download if need be
    license_text(card)

Environment variables: ``LINEAMENT_CACHE``, the folder for what is downloaded (default: the
platform's cache folder); ``LINEAMENT_OFFLINE``: 1 forbids every download.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lineament.errors import UnknownWeightsError, WeightsError, WeightsHashError
from lineament.files import TooManyBytesError, read_regular
from lineament.models._license import LicensePolicy
from lineament.models.cards import LARGEST_TEXT_FILE, Card
from lineament.models.catalog import get
from lineament.models.folders import platform_folder
from lineament.text import reason_of

# hashlib and the module "download" are imported where they are used: importing this module is part
# of every start.

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all."""


def license_text(card: Card) -> str | None:
    """The text of the weights' license, or None when the card names none.

    Raises:
        WeightsError: the text is not where the card says.
    """
    if card.license_file is None:
        return None
    try:
        return read_regular(card.folder / card.license_file, at_most=LARGEST_TEXT_FILE).decode()
    except (OSError, ValueError) as error:
        raise WeightsError(f'weights "{card.name}": license text: {reason_of(error)}') from error


def is_present(card: Card) -> bool:
    """Whether the file is on this machine, so that it can be read without a download.

    Of an embedder that joins others: whether theirs are. Those have files of their own. Of one that
    computes its weights from another's: whether both files are.
    """
    if card.members:
        try:
            members = [get(member.name) for member in card.members]
        except UnknownWeightsError:
            return False
        return all(not member.members and is_present(member) for member in members)
    if card.path is not None and card.path.is_file():
        return card.weights_of is None or _lender_is_present(card.weights_of)
    if card.file is None and card.url is None:  # its builder needs none
        return True
    return card.url is not None and _has_size(cached_path(card), card.bytes)


def _lender_is_present(name: str) -> bool:
    try:
        return is_present(_lender(name))
    except WeightsError:
        return False


def _lender(name: str) -> Card:
    """The model that lends its weights; it has all of them in its own file."""
    card = get(name)
    if card.weights_of is not None or card.members:
        raise WeightsError(f'weights "{name}": expected a complete file to take weights from')
    return card


def cache_folder() -> Path:
    """Where downloads go: ``LINEAMENT_CACHE``, or ``lineament`` in the platform's cache folder."""
    return platform_folder(
        "LINEAMENT_CACHE", "~/Library/Caches", "XDG_CACHE_HOME", "~/.cache", "the cache"
    )


def cached_path(card: Card) -> Path:
    """Where the downloaded file lies, or would lie; the name changes with the content."""
    return cache_folder() / "weights" / f"{card.name}-{card.sha256[:16]}.onnx"


def locate(
    card: Card, *, policy: LicensePolicy | None = None, progress: Progress | None = None
) -> Path:
    """Where the file lies on this machine; it is downloaded if that is where it comes from.

    A download is checked before it gets its name. A file that was there before is not: ``read``
    checks each time, and is what loads models.

    Args:
        card: of the model.
        policy: the license policy; None takes the one in force, ``LicensePolicy.active()``.
        progress: called during a download.

    Raises:
        LicenseError: the policy refuses this model.
        WeightsDownloadError: they could not be fetched, or may not, offline.
        WeightsHashError: the server sent another file.
        WeightsError: the file is missing and there is no URL.
    """
    active = LicensePolicy.active() if policy is None else policy
    active.check(card)
    if card.members:
        names = ", ".join(member.name for member in card.members)
        raise WeightsError(
            f'weights "{card.name}": it has no file of its own, it joins {names}: read those'
        )
    if card.path is not None and card.path.is_file():
        return card.path
    if card.url is None:
        raise WeightsError(
            f'weights "{card.name}": there is no file {card.path}; '
            "install lineament again, or put the file back"
        )
    target = cached_path(card)
    if not _has_size(target, card.bytes):
        from lineament.models import _download as download

        download.fetch(
            card.url,
            target,
            sha256=card.sha256,
            size=card.bytes,
            what=f'weights "{card.name}"',
            progress=progress,
        )
    return target


def read(
    card: Card, *, policy: LicensePolicy | None = None, progress: Progress | None = None
) -> bytes:
    """The network's bytes, after the license policy and the SHA-256 agreed.

    What is returned is what was checked: give these bytes to the engine, not the path. A damaged
    file in the cache is removed and fetched once more. With ``weights_of``, the two files are put
    together first, each of them whole: the SHA-256 is that of the result.

    Args and Raises as ``locate``; WeightsHashError also for a file that is not what the card
    promises.
    """
    path = locate(card, policy=policy, progress=progress)
    try:
        return _read_checked(card, path)
    except WeightsHashError:
        if path == card.path:
            raise
        path.unlink(missing_ok=True)
    return _read_checked(card, locate(card, policy=policy, progress=progress))


def _read_checked(card: Card, path: Path) -> bytes:
    import hashlib

    data, length = b"", f"more than {card.bytes}"
    try:
        data = read_regular(path, at_most=card.bytes)
        length = f"{len(data)}"
    except TooManyBytesError:
        pass
    except OSError as error:
        raise WeightsError(f'weights "{card.name}": {path}: {reason_of(error)}') from error
    if card.weights_of is not None and data:
        from lineament.models.borrowed import assembled

        # Its license is checked as this card's, which states it.
        other = read(_lender(card.weights_of), policy=LicensePolicy())
        try:
            data = assembled(data, other, card.name)
        except WeightsError as error:
            raise WeightsHashError(
                f"{error}. Put the right file there, or install lineament again."
            ) from error
        length = f"{len(data)}"
    digest = hashlib.sha256(data).hexdigest()
    if len(data) != card.bytes or digest != card.sha256:
        raise WeightsHashError(
            f'weights "{card.name}": {path} is not the promised file: expected {card.bytes} '
            f"bytes with SHA-256 {card.sha256}, got {length} bytes"
            + (f" with {digest}" if data else "")
            + ". Put the right file there, or install lineament again."
        )
    return data


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False
