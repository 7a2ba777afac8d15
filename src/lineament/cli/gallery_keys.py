"""``lineament gallery encrypt``, ``decrypt``, ``rotate-key`` and ``new-key``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.gallery import about_gallery, folder_from, open_gallery
from lineament.cli.output import print_json, print_line, print_note
from lineament.cli.progress import progress_bar
from lineament.errors import GalleryKeyError, OptionError

if TYPE_CHECKING:
    from lineament.gallery import Key

_LATER = (
    "another process has the gallery open: what was written before is erased by the next command "
    "that changes the gallery once that has ended, such as `lineament gallery reindex`"
)


def key_here() -> Key:
    """The key that the environment names. GalleryKeyError: it names none."""
    from lineament.gallery import Key

    found = Key.from_environment()
    if found is None:
        raise GalleryKeyError(
            "no key was given",
            hint="{key}; `lineament gallery new-key FILE` makes one",
        )
    return found


@command("lineament gallery new-key gallery.key")
@argument("file", type=FILE, metavar="FILE", help="A new file, which only its owner may read.")
@options.json
def new_key(file: Path, json: bool) -> None:
    """Make a key for encrypted galleries.

    Who loses it has lost what is in the galleries: keep a copy, and not beside them. Commands use
    the key that the environment variable LINEAMENT_GALLERY_KEY_FILE names the file of,
    LINEAMENT_GALLERY_KEY has, or the command in LINEAMENT_GALLERY_KEY_COMMAND prints.
    """
    from lineament.gallery import new_key_file

    made = new_key_file(file)
    if json:
        print_json({"out": str(file), "key_id": made.id})
    else:
        print_line(f"{file}: the key {made.id}")
        print_note(f"use it:  export LINEAMENT_GALLERY_KEY_FILE={os.path.abspath(file)}")  # noqa: PTH100


@command("lineament gallery encrypt --gallery staff")
@options.gallery
@options.json
def encrypt(gallery: Path | None, json: bool) -> int:
    """Encrypt a gallery that exists.

    With the key of the environment (see `lineament gallery new-key`), which every command needs for
    this gallery from then on. Afterwards no vector, name, metadata or crop stands as it is in any
    file of the folder. Copies and exports that were made before are not changed. Exit code 0: all
    is erased that was written before, 1: another process is in the way of that, 2: error.
    """
    key = key_here()
    with open_gallery(gallery) as opened, progress_bar("encrypting") as progress:
        erased = opened.encrypt(key, progress=progress)
        about = about_gallery(opened)
    return _done(about | {"encrypted": True, "erased": erased}, f"encrypted, key {key.id}", json)


@command("lineament gallery decrypt --gallery staff --yes")
@option("--yes", is_flag=True, help="Do it: who has the folder can read everybody then.")
@options.gallery
@options.json
def decrypt(yes: bool, gallery: Path | None, json: bool) -> int:
    """Write an encrypted gallery as it is, without a key."""
    if not yes:
        raise OptionError(
            f"{folder_from(gallery)}: who has the folder could read everybody's names and vectors",
            hint="add --yes if that is wanted",
        )
    with open_gallery(gallery) as opened, progress_bar("decrypting") as progress:
        opened.decrypt(progress=progress)
        about = about_gallery(opened)
    return _done(about | {"encrypted": False, "erased": True}, "not encrypted any more", json)


@command("lineament gallery rotate-key --new-key-file new.key --gallery staff")
@option("--new-key-file", type=FILE, metavar="FILE", help="The file of the new key.")
@option("--new-key-command", metavar="COMMAND", help="A command that prints the new key.")
@option("--new-key-variable", metavar="NAME", help="The environment variable of the new key.")
@option(
    "--reencrypt",
    is_flag=True,
    help="Also change the inner key and rewrite everything: somebody may have had the old one.",
)
@options.gallery
@options.json
def rotate_key(
    new_key_file: Path | None,
    new_key_command: str | None,
    new_key_variable: str | None,
    reencrypt: bool,
    gallery: Path | None,
    json: bool,
) -> int:
    """Give an encrypted gallery another key.

    It is opened with the old key, that of the environment. Other processes that have it open read
    on; with --reencrypt they need the new key at their next search. Exit code 0: the old key opens
    nothing in the folder any more, 1: another process is in the way of that, 2: error.
    """
    from lineament.gallery import Key

    given = [one for one in (new_key_file, new_key_command, new_key_variable) if one is not None]
    if len(given) != 1:
        raise OptionError(
            "expected one of --new-key-file, --new-key-command, --new-key-variable, got "
            f"{len(given)}"
        )
    if new_key_file is not None:
        new = Key.from_file(new_key_file)
    elif new_key_command is not None:
        new = Key.from_command(new_key_command)
    else:
        assert new_key_variable is not None
        new = Key.from_env(new_key_variable)
    with open_gallery(gallery) as opened, progress_bar("encrypting anew") as progress:
        erased = opened.rotate_key(new, reencrypt=reencrypt, progress=progress)
        about = about_gallery(opened)
    found = about | {"encrypted": True, "erased": erased, "reencrypted": reencrypt}
    return _done(found, f"it has the key {new.id} now", json)


def _done(found: dict[str, object], words: str, json: bool) -> int:
    """Print what was done; the exit code."""
    if json:
        print_json(found)
    else:
        print_line(f"{found['gallery']}: {words}")
        if not found["erased"]:
            print_note(f"note: {_LATER}")
    return 0 if found["erased"] else 1
