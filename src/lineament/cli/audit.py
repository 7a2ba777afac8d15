"""``lineament audit`` and ``lineament receipt``: what was written down, and whether it is true."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.gallery import open_gallery
from lineament.cli.lifecycle import MOMENT
from lineament.cli.numbers import COUNT
from lineament.cli.output import print_error, print_json, print_line, print_note, print_table
from lineament.errors import OptionError
from lineament.text import counted

_file = argument("file", type=FILE, metavar="FILE.jsonl", help="The log that is being written.")


@command("lineament audit verify audit.jsonl --head kept.head")
@_file
@option("--hash-key", type=FILE, metavar="FILE", help="The key of a log that has one.")
@option("--head", type=FILE, metavar="FILE", help="A head that was kept: finds a cut-off end.")
@option("--public-key", type=FILE, metavar="FILE.pub", help="Of whoever signed the head.")
@options.json
def verify(
    file: Path, hash_key: Path | None, head: Path | None, public_key: Path | None, json: bool
) -> int:
    """Follow a log's chain from its first entry to its last.

    Older files beside it (FILE.000000000001 and so on) are read first. Exit code 0: it is whole, 1:
    something was changed, removed, inserted or cut off, 2: error.
    """
    from lineament import audit
    from lineament.signing import VerifyKey

    if public_key is not None and head is None:
        raise OptionError("expected together with --head only", option="public_key")
    found = audit.verify(
        file,
        key=None if hash_key is None else audit.read_hash_key(hash_key),
        head=None if head is None else audit.AuditHead.load(head),
        public_key=None if public_key is None else VerifyKey.load(public_key),
    )
    if json:
        print_json({"log": str(file), **found.to_dict()})
        return 0 if found.whole else 1
    if found.whole:
        vouched = "" if found.head is None else f", entry {found.head:,} is the one of the head"
        print_line(f"{file}: {counted(found.n_entries, 'entry', 'entries')}, whole{vouched}")
    else:
        print_line(f"{file}: not whole, from entry {found.first_broken} on")
        print_error(found.problem)
    if found.torn_bytes:
        print_note(
            f"note: {found.torn_bytes:,} bytes of an entry that a crash left unfinished at the "
            "end; the next entry cuts them off, and says so"
        )
    return 0 if found.whole else 1


@command("lineament audit show audit.jsonl --action erase --since 2026-01-01")
@_file
@option("--action", metavar="WORD", help="Only entries of what was done: enroll, identify ...")
@option("--actor", metavar="WHO", help="Only of who did it.")
@option("--outcome", metavar="WORD", help="Only of what came of it.")
@option("--about", metavar="NAME", help="Only of this person of the gallery, there or erased.")
@option("--since", type=MOMENT, metavar="DATE", help="From then on.")
@option("--until", type=MOMENT, metavar="DATE", help="Before then.")
@option("--last", type=COUNT, metavar="N", help="Only the last N of these.")
@options.gallery
@options.json
def show(
    file: Path,
    action: str | None,
    actor: str | None,
    outcome: str | None,
    about: str | None,
    since: float | None,
    until: float | None,
    last: int | None,
    gallery: Path | None,
    json: bool,
) -> int:
    """List the entries of an audit log.

    People are in it by pseudonyms; the gallery's secret and the name together give one (--about).
    Exit code 0: there are some, 1: there are none, 2: error.
    """
    from lineament.audit import read_entries
    from lineament.gallery.consent import in_words

    if about is None and gallery is not None:
        raise OptionError("expected together with --about only", option="gallery")
    key = None
    if about is not None:
        with open_gallery(gallery, read_only=True) as opened:
            key = opened.pseudonym(about)
    entries = deque(
        read_entries(
            file,
            action=action,
            actor=actor,
            outcome=outcome,
            person_key=key,
            since=since,
            until=until,
        ),
        last,
    )
    if json:
        print_json({"log": str(file), "entries": [one.to_dict() for one in entries]})
        return 0 if entries else 1
    rows = [
        (
            str(one.n),
            in_words(one.time),
            one.action,
            one.actor,
            "-" if one.person is None else one.person[:12],
            one.outcome,
            _details(one.details),
        )
        for one in entries
    ]
    if rows:
        columns = ("entry", "when", "what", "by", "person", "outcome", "details")
        print_table(columns, rows, right=columns[:1])
    else:
        print_note(f"{file}: no such entries")
    return 0 if entries else 1


def _details(details: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in details.items())


# --- receipts -------------------------------------------------------------------------------------


@command("lineament receipt key erase.key")
@argument("file", type=FILE, metavar="FILE", help="To be made; FILE.pub is the public key.")
@options.json
def key(file: Path, json: bool) -> None:
    """Make a pair of keys to sign receipts and logs with.

    FILE is for you alone and signs; FILE.pub is for everybody who wants to check what you signed.
    """
    from lineament.signing import make_key

    private, public, fingerprint = make_key(file)
    if json:
        print_json({"out": [str(private), str(public)], "fingerprint": fingerprint})
        return
    print_note(f"wrote {private}, for you alone, and {public}, for everybody")
    print_line(fingerprint)


@command("lineament receipt verify ada.json --public-key erase.key.pub", name="verify")
@argument("file", type=FILE, metavar="FILE.json", help="What `gallery erase --receipt` wrote.")
@option(
    "--public-key", type=FILE, required=True, metavar="FILE.pub", help="Whose it is said to be."
)
@options.json
def verify_receipt(file: Path, public_key: Path, json: bool) -> int:
    """Is a receipt signed by this key, and unchanged?

    It needs neither the gallery nor the name. Exit code 0: it is, and nothing was left, 1: it is
    not, or something was left, 2: error.
    """
    from lineament.gallery.receipts import Receipt
    from lineament.signing import VerifyKey

    receipt = Receipt.load(file)
    valid = receipt.verify(VerifyKey.load(public_key))
    if json:
        print_json({"valid": valid, "receipt": receipt.to_dict()})
    else:
        print_line(
            f"{file}: {'signed by this key' if valid else 'not signed by this key, or changed'}"
        )
        if valid:
            print_line(str(receipt))
    return 0 if valid and receipt.clean else 1
