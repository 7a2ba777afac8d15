"""Keys in files of their owner alone, and signatures that notice every change."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from lineament.errors import KeyFileError
from lineament.signing import SigningKey, VerifyKey, canonical, make_key

cryptography = pytest.importorskip("cryptography", reason="signing needs cryptography")

VALUES = {"name": "Zoë", "n": 3, "share": 0.1, "found": [], "nothing": None}


def test_a_signature_is_checked_without_this_package(tmp_path: Path) -> None:
    private, public, fingerprint = make_key(tmp_path / "k")
    signature = SigningKey.load(private).sign(VALUES)
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(public.read_bytes())
    text = json.dumps(VALUES, sort_keys=True, separators=(",", ":"))
    key.verify(bytes.fromhex(signature), text.encode())  # type: ignore[union-attr, call-arg]
    assert canonical(VALUES) == text.encode()
    raw = key.public_bytes_raw()  # type: ignore[union-attr]
    assert hashlib.sha256(raw).hexdigest() == fingerprint


def test_every_change_is_noticed(tmp_path: Path) -> None:
    private, public, fingerprint = make_key(tmp_path / "k")
    key, checking = SigningKey.load(private), VerifyKey.load(public)
    signature = key.sign(VALUES)
    assert checking.verifies(VALUES, signature)
    assert checking.fingerprint == key.public.fingerprint == fingerprint
    for name in VALUES:
        assert not checking.verifies({**VALUES, name: "other"}, signature)
    assert not checking.verifies({**VALUES, "more": 1}, signature)
    flipped = f"{int(signature[0], 16) ^ 1:x}{signature[1:]}"
    for wrong in (flipped, "", "zz", signature[:-2], None):
        assert not checking.verifies(VALUES, wrong)
    other = VerifyKey.load(make_key(tmp_path / "other")[1])
    assert not other.verifies(VALUES, signature)


def test_a_key_is_for_its_owner_and_is_never_replaced(tmp_path: Path) -> None:
    private, public, _ = make_key(tmp_path / "k")
    before = private.read_bytes(), public.read_bytes()
    if os.name == "posix":
        assert private.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match="there is a key already"):
        make_key(tmp_path / "k")
    private.unlink()
    with pytest.raises(KeyFileError, match="there is a key already"):
        make_key(tmp_path / "k")
    assert not private.exists()
    assert public.read_bytes() == before[1]


@pytest.mark.skipif(os.name != "posix", reason="there are no such rights here")
def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    private, _, _ = make_key(tmp_path / "k")
    private.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        SigningKey.load(private)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    private, public, _ = make_key(tmp_path / "k")
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("no key")
    rubbish.chmod(0o600)
    public.chmod(0o600)
    for path in (rubbish, public):
        with pytest.raises(KeyFileError, match="expected a private key"):
            SigningKey.load(path)
    for path in (rubbish, private):
        with pytest.raises(KeyFileError, match="expected a public key"):
            VerifyKey.load(path)
    with pytest.raises(KeyFileError, match="cannot be read"):
        VerifyKey.load(tmp_path / "missing")
    with pytest.raises(KeyFileError, match="cannot be written"):
        make_key(tmp_path / "nowhere" / "k")
