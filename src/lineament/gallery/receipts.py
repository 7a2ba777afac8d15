"""Receipts: that somebody was erased from a gallery, signed, to be checked by anybody.

A receipt says which gallery, whom (by a keyed hash, so that only those who know the name and the
gallery's secret can tell), how many samples, when, what was looked for afterwards in every file of
the gallery's folder, and what was found of it: nothing. It is signed by Ed25519
(``lineament.signing``); the public key checks it, wherever the receipt has gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

import lineament
from lineament.errors import ReceiptError
from lineament.files import read_regular, write_atomically
from lineament.results import Outcome, no_truth
from lineament.signing import SigningKey, VerifyKey
from lineament.text import counted, reason_of

VERSION = 1
MOST = 1 << 20
"""Bytes of a receipt."""

Reason = Literal["request", "expired", "absent"]


@dataclass(frozen=True, slots=True)
class Receipt(Outcome):
    """That somebody was erased.

    Attributes:
        gallery: id of the gallery.
        person: ``Gallery.pseudonym`` of the name.
        reason: "request"; "expired"; "absent": nobody of the name was there, as after an erasing
            that a crash interrupted before its receipt.
        n_samples: how many samples were erased.
        removed: when the person was gone from the database, in seconds since 1970, UTC.
        checked: when all files had been searched.
        n_files, n_bytes: of the gallery's folder, that were searched.
        searched: what for: kind of value ("name", "vector", "crop", ...) -> how many values.
        found: where something was found, in words; () means nowhere.
        n_uncached: how many photos' embeddings went from the cache folder, too.
        on_server: whether an index on a server was told to delete; its files were not searched.
        lineament: version of the package.
        key, signature: fingerprint of the key that signed, and the signature; "" without one.
    """

    gallery: str
    person: str
    reason: Reason
    n_samples: int
    removed: float
    checked: float
    n_files: int
    n_bytes: int
    searched: dict[str, int]
    found: tuple[str, ...] = ()
    n_uncached: int = 0
    on_server: bool = False
    lineament: str = field(default_factory=lambda: lineament.__version__)
    key: str = ""
    signature: str = ""

    def __bool__(self) -> bool:
        """TruthValueError: a receipt of what could not be erased is one, too."""
        return no_truth(self, "receipt.clean (nothing is left), or receipt.verify(key)")

    @property
    def clean(self) -> bool:
        """Whether nothing was found any more."""
        return not self.found

    def signed_values(self) -> dict[str, Any]:
        """What the signature is over."""
        values = asdict(replace(self, signature=""))
        return {"receipt": "erasure", "version": VERSION, **values, "found": list(self.found)}

    def signed(self, key: SigningKey | None) -> Receipt:
        """The same with a signature; without a key as it is."""
        if key is None:
            return self
        named = replace(self, key=key.public.fingerprint)
        return replace(named, signature=key.sign(named.signed_values()))

    def verify(self, key: VerifyKey) -> bool:
        """Whether the owner of this key signed it, and nothing of it was changed."""
        return self.key == key.fingerprint and key.verifies(self.signed_values(), self.signature)

    def __str__(self) -> str:
        """In words, for people."""
        samples, files = counted(self.n_samples, "sample"), counted(self.n_files, "file")
        left = "nothing of it is left" if self.clean else f"left: {'; '.join(self.found)}"
        words = f"{self.person[:12]}, {samples}, erased from {self.gallery[:12]}"
        return f"{words}; {files} ({self.n_bytes:,} bytes) searched: {left}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return self.signed_values() | {"signature": self.signature}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, on the disk when this returns. OptionError: that cannot be done."""
        data = json.dumps(self.to_dict(), indent=2).encode() + b"\n"
        write_atomically(path, data, durable=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Receipt:
        """Read one that ``save`` wrote. ReceiptError: it is none; whether it is true: ``verify``.

        Args:
            path: of the file.
        """
        try:
            return read_receipt(json.loads(read_regular(path, at_most=MOST)))
        except (OSError, ValueError, RecursionError) as error:
            reason = error.message if isinstance(error, ReceiptError) else reason_of(error)
            raise ReceiptError(
                f"{Path(path)}: expected a receipt of lineament, got none ({reason})"
            ) from error


def read_receipt(values: object) -> Receipt:
    """A receipt of what ``to_dict`` returned. ReceiptError: it is none."""
    if not isinstance(values, Mapping) or values.get("receipt") != "erasure":
        raise ReceiptError("it is something else")
    if values.get("version") != VERSION:
        raise ReceiptError("it is of another version: update lineament")
    fields = {name: each for name, each in values.items() if name not in ("receipt", "version")}
    unknown = fields.keys() - set(Receipt.__dataclass_fields__)
    if unknown:
        raise ReceiptError(f"it says more than a receipt does: {', '.join(sorted(unknown))[:80]}")
    try:
        return msgspec.convert(fields, Receipt)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ReceiptError(str(error)[:200]) from error
