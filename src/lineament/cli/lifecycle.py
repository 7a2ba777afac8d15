"""``lineament gallery`` for people's data: consents, until when, expiry, erasing, handing over."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.gallery import about_gallery, open_gallery, somebody_there, terms_in_words
from lineament.cli.numbers import Number
from lineament.cli.output import print_error, print_json, print_line, print_note, print_pairs
from lineament.cli.targets import FOLDER, JSON, Target, writing
from lineament.errors import OptionError
from lineament.text import counted

if TYPE_CHECKING:
    from lineament.audit import AuditLog
    from lineament.gallery import Consent, Receipt
    from lineament.signing import SigningKey

ACTOR = "command line"
"""Who did it, in audit logs."""
MOST_LISTED = 20


class Moment(click.ParamType[float]):
    """A date, or a date and a time, as seconds since 1970."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The time. OptionError: it is none."""
        from lineament.gallery.consent import read_moment

        if isinstance(value, float):
            return value
        return read_moment(str(value), "" if param is None else str(param.name))


MOMENT = Moment()

# --- consents -------------------------------------------------------------------------------------


_REFERENCE = "Where the consent is: the number of a form."
_PURPOSE = "What it is for; may be repeated."
_EXPIRES = "When it ends, such as 2027-01-31."
CONSENT = "Consent"

consent_option = option("--consent", metavar="REFERENCE", help=_REFERENCE, family=CONSENT)
purpose_option = option("--purpose", multiple=True, metavar="WORDS", help=_PURPOSE, family=CONSENT)
expires_option = option("--expires", type=MOMENT, metavar="DATE", help=_EXPIRES, family=CONSENT)
"""Of commands that enroll, which have many others."""


def consent_of(
    consent: str | None,
    purpose: tuple[str, ...],
    expires: float | None,
    *,
    given: float | None = None,
    by: str | None = None,
    method: str | None = None,
) -> Consent | None:
    """The consent that options describe; None without ``--consent``."""
    if consent is None:
        rest = {"purpose": purpose or None, "expires": expires, "given": given, "by": by}
        for name, value in {**rest, "method": method}.items():
            if value is not None:
                raise OptionError("expected together with --consent only", option=name)
        return None
    if not purpose:
        raise OptionError(
            "expected what the consent is for, got nothing", option="purpose", hint="name it"
        )
    from lineament.gallery import Consent

    now = time.time() if given is None else given
    return Consent(consent, purpose, now, by or "", method or "", expires)


@command('lineament gallery consent "Ada Lovelace" --consent "form 17" --purpose access')
@argument("name", metavar="NAME", help="Whose.")
@option("--consent", metavar="REFERENCE", help=_REFERENCE)
@option("--purpose", multiple=True, metavar="WORDS", help=_PURPOSE)
@option("--expires", type=MOMENT, metavar="DATE", help=_EXPIRES)
@option("--given", type=MOMENT, metavar="DATE", help="When it was given.", show_default="now")
@option("--by", metavar="WHO", help="Who gave it, if not the person: a parent, a guardian.")
@option("--method", metavar="WORDS", help="How: signed form, web form.")
@option("--add", is_flag=True, help="Keep the consents that are there, too.")
@option("--withdraw", is_flag=True, help="Take away the consents that are there.")
@options.gallery
@options.json
def consent(
    name: str,
    consent: str | None,
    purpose: tuple[str, ...],
    expires: float | None,
    given: float | None,
    by: str | None,
    method: str | None,
    add: bool,
    withdraw: bool,
    gallery: Path | None,
    json: bool,
) -> int:
    """Note a person's consent, or show it.

    With --consent it takes the place of what is there, which is overwritten. The person is found by
    nothing any more from the second on in which it ends. Exit code 0: there is a consent, 1: there
    is none, 2: error.
    """
    new = consent_of(consent, purpose, expires, given=given, by=by, method=method)
    if withdraw and (new is not None or add):
        raise OptionError("consent: expected --consent or --withdraw, got both")
    if add and new is None:
        raise OptionError("expected together with --consent only", option="add")
    with open_gallery(gallery, read_only=new is None and not withdraw) as opened:
        if new is not None or withdraw:
            person = opened.set_consent(name, new, add=add)
        else:
            person = opened.person(name)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    else:
        print_pairs([("name", person.name), *terms_in_words(person)])
    return 0 if person.consents else 1


@command('lineament gallery keep "Ada Lovelace" --until 2027-01-31')
@argument("name", metavar="NAME", help="Whom.")
@option(
    "--until",
    type=MOMENT,
    metavar="DATE",
    help="Found until then.",
    show_default="as consents and the gallery say",
)
@options.gallery
@options.json
def keep(name: str, until: float | None, gallery: Path | None, json: bool) -> None:
    """Say until when a person is kept.

    It comes before the gallery's retention; a consent that ends earlier ends it earlier.
    """
    from lineament.gallery.consent import in_words

    with open_gallery(gallery) as opened:
        before = opened.person(name).name
        person = opened.keep_until(name, until)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": None if person is None else person.to_dict()})
    elif person is None:
        print_line(f"{before} is found by nothing any more; `lineament gallery expire` erases")
    elif person.expires is None:
        print_line(f"{person.name} is kept without an end")
    else:
        print_line(f"{person.name} is kept until {in_words(person.expires)}")


@command("lineament gallery configure --require-consent --retention-days 365")
@option(
    "--require-consent/--no-require-consent",
    help="Enroll nobody without a consent.",
    show_default="as it is",
)
@option("--purpose", metavar="WORDS", help='What each consent has to allow; "" for nothing.')
@option(
    "--retention-days",
    type=Number(0, 365_000),
    metavar="N",
    help="Whoever has no end of their own is kept so long; 0: for ever.",
)
@options.gallery
@options.json
def configure(
    require_consent: bool | None,
    purpose: str | None,
    retention_days: float | None,
    gallery: Path | None,
    json: bool,
) -> None:
    """Settings of a gallery about consents and time, or show them."""
    changes: dict[str, Any] = {}
    if require_consent is not None:
        changes["require_consent"] = require_consent
    if purpose is not None:
        changes["purpose"] = purpose if purpose else None
    if retention_days is not None:
        changes["retention_days"] = retention_days if retention_days else None
    with open_gallery(gallery, read_only=not changes) as opened:
        settings = opened.configure(**changes) if changes else opened.settings
        about = about_gallery(opened)
    if json:
        print_json(about | {"settings": settings.to_dict()})
        return
    days = settings.retention_days
    print_pairs(
        [
            ("consent", "needed" if settings.require_consent else "not needed"),
            ("purpose", "any" if settings.purpose is None else settings.purpose),
            ("retention", "for ever" if days is None else f"{days:g} days"),
        ]
    )


# --- removing -------------------------------------------------------------------------------------

_signing_key = option(
    "--signing-key",
    type=FILE,
    metavar="FILE",
    help="Signs receipts; `lineament receipt key` makes one.",
)
_audit = option("--audit", type=FILE, metavar="FILE.jsonl", help="Note it in this audit log, too.")


def _signer(path: Path | None) -> SigningKey | None:
    from lineament.signing import SigningKey

    return None if path is None else SigningKey.load(path)


def _log(path: Path | None) -> AuditLog | None:
    from lineament.audit import AuditLog

    return None if path is None else AuditLog.open(path)


def _note(log: AuditLog | None, receipt: Receipt) -> None:
    if log is not None:
        log.append(
            "expire" if receipt.reason == "expired" else "erase",
            ACTOR,
            receipt.gallery,
            receipt.person,
            "done" if receipt.clean else "left",
            n_samples=receipt.n_samples,
            signed=bool(receipt.signature),
        )


@command('lineament gallery erase "Ada Lovelace" --receipt ada.json')
@argument("name", metavar="NAME", help="Whom.")
@_signing_key
@option("--receipt", writes=JSON, metavar="FILE.json", help="Write the receipt.")
@option("--absent", is_flag=True, help="Where nobody has that name: see that nothing is left.")
@_audit
@option("--yes", "-y", is_flag=True, help="Do not ask.")
@options.overwrite
@options.gallery
@options.json
def erase(
    name: str,
    signing_key: Path | None,
    receipt: Path | None,
    absent: bool,
    audit: Path | None,
    yes: bool,
    overwrite: bool,
    gallery: Path | None,
    json: bool,
) -> int:
    """Remove a person, search every file for what is left, say so.

    The database is written anew; then the name, the vectors, the crops and all else that was there
    are looked for in each byte of the gallery's folder. It cannot be undone; exports and backups of
    your own keep what is in them. Exit code 0: nothing is left, 1: something is, or nothing was
    done, 2: error.
    """
    if not yes and (json or not somebody_there()):
        raise OptionError("erase: there is no terminal to ask on: add --yes to do it all the same")
    key, log = _signer(signing_key), _log(audit)
    with open_gallery(gallery) as opened:
        if not yes and not click.confirm(f"Erase {name} for good?", err=True):
            print_note("nothing was erased")
            return 1
        made = opened.erase(name, signing_key=key, absent=absent)
        _note(log, made)
        about = about_gallery(opened)
    if receipt is not None:
        with writing(receipt, "receipt"):
            made.save(receipt)
    if json:
        print_json(about | {"receipt": made.to_dict()})
    else:
        _print_receipt(name, made)
    return 0 if made.clean else 1


def _print_receipt(name: str, made: Receipt) -> None:
    if made.reason == "absent":
        print_line(f"{name} is not in the gallery")
    else:
        print_line(f"erased {name} with {counted(made.n_samples, 'photo')}")
    searched = f"{counted(made.n_files, 'file')}, {made.n_bytes:,} bytes, searched"
    print_line(f"{searched}: {'nothing is left' if made.clean else 'something is left'}")
    for words in made.found:
        print_error(f"left in {words}")


@command("lineament gallery expire --signing-key erase.key --receipts receipts")
@_signing_key
@option("--receipts", writes=FOLDER, metavar="DIR", help="Write a receipt for each person.")
@_audit
@options.overwrite
@options.gallery
@options.json
def expire(
    signing_key: Path | None,
    receipts: Path | None,
    audit: Path | None,
    overwrite: bool,
    gallery: Path | None,
    json: bool,
) -> int:
    """Erase everybody whose time is over.

    They are found by nothing any more already; a server does this by itself, elsewhere a line in a
    crontab. Exit code 0: nothing of them is left, 1: something is, 2: error.
    """
    key, log = _signer(signing_key), _log(audit)
    with open_gallery(gallery) as opened:
        made = opened.expire(signing_key=key)
        for one in made:
            _note(log, one)
        about = about_gallery(opened)
    if receipts is not None:
        with writing(receipts, "receipts"):
            receipts.mkdir(parents=True, exist_ok=True)
            for one in made:
                one.save(receipts / f"{one.person[:32]}.json")
    left = sorted({words for one in made for words in one.found})
    if json:
        print_json(about | {"n_erased": len(made), "receipts": [one.to_dict() for one in made]})
    else:
        print_line(f"{about['gallery']}: erased {counted(len(made), 'person', 'people')}")
        for words in left[:MOST_LISTED]:
            print_error(f"left in {words}")
    return 1 if left else 0


# --- handing over ---------------------------------------------------------------------------------


@command('lineament gallery export-person "Ada Lovelace" ada.zip')
@argument("name", metavar="NAME", help="Whom.")
@argument("file", type=FILE, writes=Target((".zip",)), metavar="FILE.zip", help="To be written.")
@option("--audit", type=FILE, metavar="FILE.jsonl", help="With this log's entries of the person.")
@options.overwrite
@options.gallery
@options.json
def export_person(
    name: str,
    file: Path,
    audit: Path | None,
    overwrite: bool,
    gallery: Path | None,
    json: bool,
) -> None:
    """Write all that is known of one person into a zip file.

    Name, metadata, consents, each face with its date, photo, box, quality and vector, the kept
    faces as PNG, and a page to read it (index.html).
    """
    log = _log(audit)
    with open_gallery(gallery, read_only=True) as opened:
        about = about_gallery(opened)
        written = opened.export_person(name, file, audit=log)
    if json:
        print_json(about | {"out": str(file), **asdict(written)})
        return
    print_note(
        f"wrote {written.person} with {counted(written.n_samples, 'photo')} and "
        f"{counted(written.n_crops, 'crop')} to {file}"
    )
    for number in written.unreadable:
        print_error(f"sample {number} is damaged: the file has its number alone")
