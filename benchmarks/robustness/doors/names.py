"""Names of people: let in, found, told apart, shown, and brought back."""

from __future__ import annotations

import unicodedata
from typing import Any

from doors import people
from doors.case import Case, Door
from doors.damage import CONTROLS, TEXTS
from doors.exports import taken_in
from lineament import Gallery, LineamentError
from lineament.gallery import Settings

PARTS = (
    "Ada",
    "ada",
    "ADA",
    "Zoë",
    "Zoe\u0308",
    "Straße",
    "STRASSE",
    "İstanbul",
    "ﬁ",
    "Å",
    "A\u030a",
    "李小龍",
    "محمد",
    "\u05d0\u05d1",
    "می\u200cخواهم",
    "\U0001f468\u200d\U0001f469",
    "e" + "\u0301" * 50,
    "A" + "\u0327" * 199,
    "\u1100\u1161",
    "\u00a0",
    "\u3000",
    "\t",
    "%_",
    "a" * 200,
    "ß" * 199,
    "\u0344" * 100,
    "\ufdfa" * 12,
    "\u0958",
    "0",
    "None",
    "-",
    "A\u0430",
)
INVISIBLE = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u2800"
    "\u3164\uffa0\ufe0f\U000e0100\U000e0041\u200e\u200f\u2061\ufff9\U0001d173"
)
"""Nothing of these is seen."""


def _drawn(case: Case) -> str:
    parts = []
    for _ in range(int(case.rng.integers(1, 4))):
        kind = case.rng.integers(6)
        if kind < 2:
            parts.append(case.pick(PARTS))
        elif kind == 2:
            parts.append(case.pick(TEXTS))
        elif kind == 3:
            parts.append(case.pick(CONTROLS))
        elif kind == 4:
            parts.append(case.pick(INVISIBLE) * int(case.rng.integers(1, 4)))
        else:
            parts.append(chr(int(case.rng.integers(1, 0x110000))))
    return "".join(parts)


def visible(name: str) -> bool:
    """Whether something of it is seen: marks and formats alone are not."""
    blank = set(INVISIBLE)
    return any(
        c not in blank
        and unicodedata.category(c)[0] not in "ZM"
        and unicodedata.category(c) not in ("Cc", "Cf", "Cs")
        for c in name
    )


def _check_name(case: Case, name: str) -> None:
    case.expect(visible(name), f"nothing of {name!r} is visible")
    bad = [
        c
        for c in name
        if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        or ord(c) & 0xFFFE == 0xFFFE  # no characters, and never to be some
        or 0xFDD0 <= ord(c) < 0xFDF0
    ]
    case.expect(not bad, f"{name!r} holds {bad}")
    turned = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    case.expect(not any(unicodedata.bidirectional(c) in turned for c in name), f"{name!r} turns")
    tags = [c for c in name if 0xE0000 <= ord(c) < 0xE0080]
    case.expect(not tags, f"{name!r} hides tags")
    case.expect(unicodedata.normalize("NFC", name) == name, f"{name!r} is not in NFC")
    case.expect(name == name.strip(), f"{name!r} has blanks at its ends")


def _empty() -> Gallery:
    return Gallery.create(":memory:", people.CONTRACT, settings=Settings(threshold=0.6))


def one(case: Case) -> bool:
    """Enrolled, found under each of its forms, and gone in the end."""
    name = _drawn(case)
    case.say(repr(name))
    with _empty() as gallery:
        gallery.enroll_embeddings("Somebody", [people.embedding(5)])
        try:
            gallery.enroll_embeddings(name, [people.embedding(0)], force=True)
        except LineamentError:
            case.expect(gallery.n_people == 1, "refused, but somebody came in")
            raise
        stored = next(p.name for p in gallery.people() if p.name != "Somebody")
        _check_name(case, stored)
        for form in ("NFC", "NFD"):
            same = unicodedata.normalize(form, name)
            case.expect(same in gallery, f"{same!r} ({form}) is not in it")
            case.expect(gallery.person(same).name == stored, f"{same!r} is somebody else")
            after = [person.name for person in gallery.people(after=same.strip())]
            case.expect(stored not in after, f"{stored!r} comes after itself ({form})")
        (found,) = gallery.identify_embeddings([people.embedding(0)])
        case.expect(found.name == stored, f"{stored!r} is taken for {found.name!r}")
        people.use(case, gallery)
        gallery.remove(unicodedata.normalize("NFD", name))
        case.expect(gallery.n_people == 1, f"{name!r} was not removed")
    return True


def two(case: Case) -> bool:
    """Two names that look alike: one person, or two that can be told apart."""
    name = case.pick(PARTS[:20])
    at = int(case.rng.integers(len(name) + 1))
    other = name[:at] + case.pick(INVISIBLE) + name[at:]
    case.say(repr(name), repr(other))
    with _empty() as gallery:
        gallery.enroll_embeddings(name, [people.embedding(0)])
        try:
            gallery.enroll_embeddings(other, [people.embedding(1)], force=True)
        except LineamentError:
            return False
        stored = [person.name for person in gallery.people()]
        if len(stored) == 2:
            seen = {
                "".join(c for c in n if c not in INVISIBLE or c in "\u200c\u200d") for n in stored
            }
            case.expect(len(seen) == 2, f"{stored!r} look the same")
    return True


def renamed(case: Case) -> bool:
    """By each of the ways that give a name."""
    name = _drawn(case)
    with _empty() as gallery:
        gallery.enroll_embeddings("Somebody", [people.embedding(5)])
        gallery.enroll_embeddings("Ada", [people.embedding(0)])
        kind = case.rng.integers(3)
        if kind == 0:
            gallery.rename("Ada", name)
        elif kind == 1:
            gallery.enroll_samples([(name, people.new_sample(3, 0))], force=True)
        else:
            gallery.enroll_embeddings("B", [people.embedding(0, 1)], force=True)
            gallery.rename("B", name)
            gallery.merge(name, "Ada", force=True)
        for person in gallery.people():
            _check_name(case, person.name)
        people.use(case, gallery)
    return True


def imported(case: Case) -> bool:
    """In an export."""
    name = _drawn(case)
    made: list[Any] = people.lines(case.rng, 2, 1)
    made[1]["person"]["name"] = made[2]["sample"]["person"] = name
    return taken_in(case, case.file("in.jsonl", people.as_bytes(made)))


def asked_for(case: Case) -> bool:
    """Names of nobody, in every method that takes one: our own errors."""
    name = _drawn(case)
    with _empty() as gallery:
        gallery.enroll_embeddings("Ada", [people.embedding(0)])
        ways = (
            lambda: gallery.person(name),
            lambda: gallery.remove(name),
            lambda: gallery.rename(name, "B"),
            lambda: gallery.rename("Ada", name),
            lambda: gallery.merge("Ada", name),
            lambda: gallery.annotate(name, {"a": 1}),
            lambda: gallery.annotate("Ada", {name: name}),
            lambda: gallery.people(after=name, limit=3),
            lambda: gallery.people(where={name: name}),
            lambda: name in gallery,
            lambda: gallery.check_search({"a": name}),
        )
        case.pick(ways)()
        for person in gallery.people():
            _check_name(case, person.name)
    return True


DOOR = Door(
    "names",
    (one, two, renamed, one, asked_for, imported, one, asked_for),
    cases=800,
    bound_mb=200.0,
    prepare=people.prepare,
)
