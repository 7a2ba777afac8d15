"""Signatures by Ed25519 (RFC 8032): keys in files, what is signed, and whether it was changed.

A private key is a file of its owner alone (PEM, PKCS #8, mode 0600); the public key beside it,
``NAME.pub`` (PEM), is for everybody who wants to check what was signed. What is signed is a JSON
object in one canonical form: keys sorted, no white space, no letter outside of ASCII.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.errors import KeyFileError, MissingExtraError
from lineament.files import read_regular, write_atomically, write_private
from lineament.text import reason_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

MOST_KEY = 4096
"""Bytes of a file with a key."""
_WHAT = "signing and checking signatures"


def canonical(values: Mapping[str, Any]) -> bytes:
    """A JSON object as the bytes that are hashed and signed."""
    return json.dumps(
        values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


class SigningKey:
    """A private key.

    Attributes:
        public: the public key that belongs to it.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Use ``make_key`` and ``load``."""
        self._key = key
        self.public = VerifyKey(key.public_key())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SigningKey:
        """Read one from a file.

        Raises:
            KeyFileError: it cannot be read, is no such key, or others than its owner may read it.
            MissingExtraError: ``cryptography`` is not installed.
        """
        serialization, ed25519 = _parts()
        data = _read(path)
        if os.name == "posix" and stat.S_IMODE(Path(path).stat().st_mode) & 0o077:
            raise KeyFileError(
                f"{path}: others than its owner may read this key: run  chmod 600 {path}, and make "
                "another key if somebody may have read it"
            )
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError) as error:
            raise _no_key(path, "a private key") from error
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise _no_key(path, "a private key")
        return cls(key)

    def sign(self, values: Mapping[str, Any]) -> str:
        """The signature of a JSON object: 128 figures and letters of hexadecimal."""
        return self._key.sign(canonical(values)).hex()


class VerifyKey:
    """A public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        """Use ``load``."""
        self._key = key

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> VerifyKey:
        """Read one from a file; raises as ``SigningKey.load``."""
        serialization, ed25519 = _parts()
        data = _read(path)
        try:
            key = serialization.load_pem_public_key(data)
        except ValueError as error:
            raise _no_key(path, "a public key (NAME.pub)") from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise _no_key(path, "a public key (NAME.pub)")
        return cls(key)

    @property
    def fingerprint(self) -> str:
        """Which key it is: SHA-256 of its 32 bytes, 64 figures and letters."""
        return hashlib.sha256(self._key.public_bytes_raw()).hexdigest()

    def verifies(self, values: Mapping[str, Any], signature: object) -> bool:
        """Whether this key signed that very object."""
        from cryptography.exceptions import InvalidSignature

        if not isinstance(signature, str):
            return False
        try:
            self._key.verify(bytes.fromhex(signature), canonical(values))
        except (InvalidSignature, ValueError):
            return False
        return True


def make_key(path: str | os.PathLike[str]) -> tuple[Path, Path, str]:
    """Make a new pair of keys: ``path``, of its owner alone, and ``path`` with ".pub" behind it.

    Returns:
        The two files, and the fingerprint.

    Raises:
        KeyFileError: one of the files is there already, or cannot be written.
        MissingExtraError: ``cryptography`` is not installed.
    """
    serialization, ed25519 = _parts()
    private, public = Path(path), Path(f"{os.fspath(path)}.pub")
    key = ed25519.Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    shown = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        if os.path.lexists(public):
            raise FileExistsError
        write_private(private, secret)
        write_atomically(public, shown, durable=True)
    except FileExistsError as error:
        raise KeyFileError(
            f"{path}: there is a key already, and what it signed can be checked with its public "
            "key alone: nothing was changed",
            hint="choose another name",
        ) from error
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"{path}: the key cannot be written ({reason_of(error)})",
            hint="name a file in a folder that exists and that you may write to",
        ) from error
    return private, public, VerifyKey(key.public_key()).fingerprint


def _parts() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise MissingExtraError(_WHAT, "encrypt") from error
    return serialization, ed25519


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        return read_regular(path, at_most=MOST_KEY)
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"{path}: the key cannot be read ({reason_of(error)})", hint="check the path"
        ) from error


def _no_key(path: str | os.PathLike[str], what: str) -> KeyFileError:
    return KeyFileError(
        f"{path}: expected {what} of Ed25519 in PEM, got something else",
        hint="`lineament receipt key` makes a pair",
    )
