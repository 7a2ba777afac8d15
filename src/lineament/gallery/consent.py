"""Consent: who allowed what a person's samples are used for, when, how, and until when.

A person may have several records, after a merge: then a purpose is allowed if each of them allows
it, and the person expires when the first of them ends.

A person *expires* at the earliest of the ends that are given: those of the consents, and the
person's own (``Gallery.keep_until``). Who has none of these expires ``Settings.retention_days``
after the day of the first enrollment, if that is set; else never. Somebody who expired is found by
nothing any more, from that very second on, and is removed for good by ``Gallery.expire``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import msgspec

from lineament.arguments import check_fields
from lineament.errors import OptionError
from lineament.gallery.values import checked_time
from lineament.results import Outcome
from lineament.text import in_short, is_shown

LONGEST_TEXT, MOST_PURPOSES = 500, 32
"""Characters of each text; purposes of a consent."""
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Consent(Outcome):
    """One record of consent; what it says is written down, not judged.

    Attributes:
        reference: where the consent itself is: the number of a form, an address in an archive;
            1 to 500 characters, as all texts here.
        purposes: what for: ("access", "attendance"), each once, at least one.
        given: when, in seconds since 1970, UTC.
        by: who consented, where it is not the person: a parent, a guardian; "": the person.
        method: how: "signed form", "web form"; "" where that is not said.
        expires: until when, in seconds since 1970, UTC, later than ``given``; None: until it is
            withdrawn.
    """

    reference: str
    purposes: tuple[str, ...]
    given: float
    by: str = ""
    method: str = ""
    expires: float | None = None

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        check_fields(self)
        for name in ("reference", "by", "method"):
            _check_text(getattr(self, name), name, needed=name == "reference")
        if not 1 <= len(self.purposes) <= MOST_PURPOSES:
            raise OptionError(
                f"expected 1 to {MOST_PURPOSES}, got {len(self.purposes)}", option="purposes"
            )
        for purpose in self.purposes:
            checked_purpose(purpose, "purposes")
        if len(set(self.purposes)) < len(self.purposes):
            raise OptionError(
                f"expected each once, got {', '.join(self.purposes)}", option="purposes"
            )
        checked_moment(self.given, "given")
        if self.expires is not None:
            checked_moment(self.expires, "expires")
            if self.expires <= self.given:
                raise OptionError(
                    f"expected a time after the consent was given ({in_words(self.given)}), got "
                    f"{in_words(self.expires)}",
                    option="expires",
                )

    def allows(self, purpose: str) -> bool:
        """Whether it names this purpose, in capitals or not."""
        return purpose.casefold() in (each.casefold() for each in self.purposes)

    def __str__(self) -> str:
        """In words, for people."""
        who = f", by {self.by}" if self.by else ""
        how = f", {self.method}" if self.method else ""
        end = "" if self.expires is None else f", until {in_words(self.expires)}"
        purposes = ", ".join(self.purposes)
        return f"{self.reference} ({purposes}{who}{how}, {in_words(self.given)}{end})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"purposes": list(self.purposes)}


def checked_purpose(purpose: object, option: str) -> None:
    """See that it is a purpose. OptionError: it is empty, too long, or no text."""
    _check_text(purpose, option, needed=True)


def _check_text(value: object, option: str, *, needed: bool) -> None:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or (needed and not value.strip()):
        least = "1 to" if needed else "at most"
        raise OptionError(
            f"expected {least} {LONGEST_TEXT} characters, got {in_short(value)}", option=option
        )
    if value != value.strip() or not all(is_shown(value, at) for at in range(len(value))):
        raise OptionError(
            "expected text without control characters, and without white space at its ends, got "
            f"{in_short(ascii(value))}",
            option=option,
        )


def checked_moment(seconds: object, option: str) -> float:
    """Seconds since 1970, of the years 1 to 9999. OptionError: they are not."""
    try:
        return checked_time(seconds)
    except OptionError as error:
        raise OptionError(error.message, option=option) from error


def read_moment(text: str, option: str) -> float:
    """A date or time as text, "2027-01-31" or "2027-01-31T18:00", as seconds since 1970.

    Without a zone ("Z", "+02:00") it is the computer's own time; a date is its first second.

    Raises:
        OptionError: it is neither.
    """
    try:
        return checked_time(datetime.fromisoformat(text.strip()).astimezone().timestamp())
    except (ValueError, OverflowError, OSError, OptionError) as error:
        raise OptionError(
            f"expected a date such as 2027-01-31, or 2027-01-31T18:00+01:00, got {in_short(text)}",
            option=option,
        ) from error


def in_words(seconds: float) -> str:
    """A time as it is where the computer is: "2027-01-31", with the hour if it is not midnight."""
    when = datetime.fromtimestamp(seconds).astimezone()
    midnight = (when.hour, when.minute, when.second) == (0, 0, 0)
    return when.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%S")


def as_record(consent: Consent) -> str:
    """A record as JSON, as it stands in a gallery."""
    return json.dumps(consent.to_dict(), ensure_ascii=False)


_RECORD = msgspec.json.Decoder(Consent)
_UNFIT = (msgspec.DecodeError, UnicodeError, RecursionError, TypeError)


def read_consent(text: object) -> Consent:
    """A record as it stands in a gallery. OptionError: it is none; the message says why."""
    try:
        return _RECORD.decode(text)  # type: ignore[arg-type]
    except _UNFIT as error:
        raise OptionError(in_short(str(error), 200, quoted=False), option="consent") from error


_RECORDS = msgspec.json.Decoder(tuple[Consent, ...])
MOST_CONSENTS = 100
"""Of one person of a file that somebody else may have written."""


def read_consents(text: str | bytes) -> tuple[Consent, ...]:
    """A list of records in JSON. OptionError: it is none, or too long; the message says why."""
    try:
        found = _RECORDS.decode(text)
    except _UNFIT as error:
        raise OptionError(in_short(str(error), 200, quoted=False), option="consents") from error
    if len(found) > MOST_CONSENTS:
        raise OptionError(
            f"expected at most {MOST_CONSENTS}, got {len(found):,}", option="consents"
        )
    return found


def first_end(kept_until: float | None, consents: Iterable[Consent]) -> float | None:
    """The earliest of a person's own end and those of the consents; None without any."""
    ends = [one.expires for one in consents if one.expires is not None]
    ends += [] if kept_until is None else [kept_until]
    return min(ends, default=None)
