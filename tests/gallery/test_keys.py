"""Keys of encrypted galleries: from files, variables and commands; what is none."""

from __future__ import annotations

import base64
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from lineament.errors import GalleryKeyError, OptionError
from lineament.gallery import Key, new_key_file

BYTES = bytes(range(200, 232))
URLSAFE = base64.urlsafe_b64encode(BYTES).decode()
PRINT = [sys.executable, "-c"]

posix = pytest.mark.skipif(os.name != "posix", reason="rights of files are POSIX's")


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, "ascii")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "text",
    [
        BYTES.hex(),
        BYTES.hex().upper(),
        base64.b64encode(BYTES).decode(),
        URLSAFE,
        URLSAFE.rstrip("="),
        f"\n {URLSAFE} \n",
    ],
)
def test_how_a_key_is_written(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Key.from_file(written(tmp_path / "key", text)).read() == BYTES
    monkeypatch.setenv("SOME_KEY", text)
    assert Key.from_env("SOME_KEY").read() == BYTES
    assert Key.from_command([*PRINT, f"print({text!r})"]).read() == BYTES


@pytest.mark.parametrize(
    "text", ["", "secret", BYTES.hex()[:-1], BYTES.hex() + "0", URLSAFE[:40], "é" * 43, "!" * 43]
)
def test_what_is_no_key(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    monkeypatch.setenv("SOME_KEY", text)
    for key in (Key.from_file(path), Key.from_env("SOME_KEY")):
        with pytest.raises(GalleryKeyError, match="expected a key") as caught:
            key.read()
        said = caught.value.message.removeprefix(str(path))  # it may be nearly one
        assert not text or text not in said


def test_a_new_key(tmp_path: Path) -> None:
    key = new_key_file(tmp_path / "key")
    assert key.read() == key.read()
    assert len(key.read()) == 32
    assert len(key.id) == 8
    assert key.read().hex() not in repr(key)
    assert new_key_file(tmp_path / "other").read() != key.read()
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(OptionError, match="never overwritten"):
        new_key_file(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before
    with pytest.raises(OptionError, match="cannot be written"):
        new_key_file(tmp_path / "nowhere" / "key")


@posix
@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604, 0o660, 0o601, 0o777])
def test_a_file_that_others_may_read(tmp_path: Path, mode: int) -> None:
    key = Key.from_file(written(tmp_path / "key", BYTES.hex(), mode))
    with pytest.raises(GalleryKeyError, match=f"{mode:04o}.*chmod 600"):
        key.read()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    for path in (tmp_path / "nothing", tmp_path / "folder", Path("a\0b")):
        with pytest.raises(GalleryKeyError, match="cannot be read"):
            Key.from_file(path).read()
    with pytest.raises(GalleryKeyError, match="at most 4,096 bytes"):
        Key.from_file(written(tmp_path / "long", "a" * 5000)).read()


def test_commands_that_fail(tmp_path: Path) -> None:
    fails = Key.from_command([*PRINT, "import sys; sys.exit('no such token')"])
    with pytest.raises(GalleryKeyError, match=r"exit code 1.*no such token"):
        fails.read()
    with pytest.raises(GalleryKeyError, match="cannot be run"):
        Key.from_command([str(tmp_path / "nothing")]).read()
    with pytest.raises(GalleryKeyError, match="expected a key"):
        Key.from_command([*PRINT, "print('x' * 100000)"]).read()
    with pytest.raises(GalleryKeyError, match="expected a key"):
        Key.from_command([*PRINT, ""]).read()


def test_a_command_is_no_shells(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(GalleryKeyError):
        Key.from_command(f"{sys.executable} -c 'print(1)' ; touch {made}").read()
    with pytest.raises(GalleryKeyError):
        Key.from_command(f"echo $(touch {made})").read()
    assert not made.exists()


@posix
@pytest.mark.slow
def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    """And what it has started, which holds its output open."""
    note = tmp_path / "pid"
    started = f"import os, subprocess; open({str(note)!r}, 'w').write(str(os.getpid())); "
    hangs = Key.from_command([*PRINT, started + "subprocess.run(['sleep', '300'])"], timeout_s=3.0)
    with pytest.raises(GalleryKeyError, match="longer than 3 s"):
        hangs.read()
    pid = int(note.read_text("ascii"))
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_arguments_that_make_no_sense() -> None:
    with pytest.raises(OptionError, match="32 bytes"):
        Key.from_bytes(b"short")
    for command in ("", "  ", []):
        with pytest.raises(OptionError, match="expected a command"):
            Key.from_command(command)
    with pytest.raises(OptionError, match="expected a command"):
        Key.from_command("it's")
    with pytest.raises(OptionError, match="more than 0"):
        Key.from_command("true", timeout_s=0)


def test_what_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Key.from_environment() is None
    path = written(tmp_path / "key", BYTES.hex())
    for name, value in (
        ("LINEAMENT_GALLERY_KEY_FILE", str(path)),
        ("LINEAMENT_GALLERY_KEY", BYTES.hex()),
        ("LINEAMENT_GALLERY_KEY_COMMAND", f"cat {path}"),
    ):
        with monkeypatch.context() as set_:
            set_.setenv(name, value)
            found = Key.from_environment()
            assert found is not None
            assert found.read() == BYTES
    monkeypatch.setenv("LINEAMENT_GALLERY_KEY", BYTES.hex())
    monkeypatch.setenv("LINEAMENT_GALLERY_KEY_FILE", "")  # as good as unset
    assert Key.from_environment() is not None
    monkeypatch.setenv("LINEAMENT_GALLERY_KEY_FILE", str(path))
    with pytest.raises(OptionError, match="unset the others"):
        Key.from_environment()
    with pytest.raises(GalleryKeyError, match="got none"):
        Key.from_env("NOTHING_IS_CALLED_SO").read()
