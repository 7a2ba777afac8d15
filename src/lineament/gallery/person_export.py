"""Everything that a gallery has of one person, as one zip file to be handed over.

    person.json      name, metadata, consents, until when they are kept; faces that were said not to
                     be theirs (vectors in base64); each sample with its date,
                     photo, box, landmarks, quality, contract and vector
    crops/17.png     the kept aligned faces, by the numbers of the samples
    audit.json       entries of an audit log about the person, where one was given
    index.html       all of it but the vectors, to be read

The photos themselves are not in a gallery, so they are not in the file; their names are.
"""

from __future__ import annotations

import html
import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.errors import GalleryDamagedError, OptionError
from lineament.files import replacing
from lineament.gallery import _rejections as rejecting
from lineament.gallery import lookup
from lineament.gallery._erasure import pseudonym
from lineament.gallery._store import Store
from lineament.gallery._types import SampleInfo
from lineament.results import Outcome
from lineament.text import printable, reason_of

if TYPE_CHECKING:
    from lineament.audit import AuditLog

VERSION = 1


@dataclass(frozen=True, slots=True)
class PersonExport(Outcome):
    """What ``Gallery.export_person`` wrote.

    Attributes:
        path: of the file.
        person: the name.
        n_samples, n_crops: their numbers.
        n_audit: entries of the audit log, or None when none was given.
        unreadable: numbers of samples that are damaged: of these the file has no more than that.
    """

    path: str
    person: str
    n_samples: int
    n_crops: int
    n_audit: int | None
    unreadable: tuple[int, ...] = ()


def checked_zip(path: Path) -> None:
    """OptionError: the name does not end in ".zip"."""
    if path.suffix.lower() != ".zip":
        raise OptionError(f"{path}: expected a name that ends in .zip")


def export_person(store: Store, name: str, path: Path, audit: AuditLog | None) -> PersonExport:
    """Write the file, as a whole or not at all; see ``Gallery.export_person``."""
    checked_zip(path)
    with store.reading():
        person = lookup.person(store, name)
        there = {sample.id for sample in person.samples}
        unreadable = tuple(
            number
            for number in lookup.samples_of_person(store, person.id, all_contracts=True)
            if number not in there
        )
        samples = [_sample(store, sample) for sample in person.samples]
        rejected = rejecting.exported(store, person)
        crops = {sample.id: lookup.crop(store, sample.id) for sample in person.samples}
    kept = {number: png for number, png in crops.items() if png is not None}
    for values in samples:
        values["crop"] = f"crops/{values['id']}.png" if values["id"] in kept else None
    key = pseudonym(store, person.name)
    entries = None if audit is None else [e.to_dict() for e in audit.entries(person_key=key)]
    now = store.clock()
    about = {
        "lineament": "person",
        "version": VERSION,
        "exported": now,
        "gallery": store.uid,
        "pseudonym": key,
        "contract": asdict(store.contract),
        "person": person.to_dict() | {"samples": samples},
        "rejections": rejected,
        "unreadable": list(unreadable),
    }
    try:
        with (
            replacing(path, durable=True) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as into,
        ):
            into.writestr("person.json", _json(about))
            for number, png in kept.items():
                into.writestr(f"crops/{number}.png", png)
            if entries is not None:
                into.writestr("audit.json", _json(entries))
            into.writestr("index.html", _page(about, entries))
    except OSError as error:
        raise OptionError(
            f"{path}: cannot be written ({reason_of(error)}): name a file in a folder that exists "
            "and that you may write to"
        ) from error
    return PersonExport(
        str(path),
        person.name,
        len(samples),
        len(kept),
        None if entries is None else len(entries),
        unreadable,
    )


def _json(values: object) -> bytes:
    text = json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _sample(store: Store, sample: SampleInfo) -> dict[str, Any]:
    """A sample with all that is known of it."""
    values = sample.to_dict() | {"landmarks_xy": None, "vector": None}
    with suppress(GalleryDamagedError):  # the vector alone: the others are sound
        values["vector"] = lookup.embedding(store, sample.id).vector.tolist()
    landmarks = lookup.seen(store, sample.id).landmarks_xy
    values["landmarks_xy"] = landmarks
    return values


# --- to be read -----------------------------------------------------------------------------------

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;min-width:40em}td,th{border-bottom:1px solid #8884;"
    "padding:.3em;text-align:left;vertical-align:top}img{width:5em}:root{color-scheme:light dark}"
)


def _page(about: Mapping[str, Any], entries: list[dict[str, Any]] | None) -> bytes:
    person = about["person"]
    rows = [
        ("Name", person["name"]),
        ("Enrolled since", _when(person["created"])),
        ("Kept until", _when(person["expires"]) if person["expires"] else "no end is set"),
        ("Exported", _when(about["exported"])),
        ("Recognizer", about["contract"]["weights"]),
        *((f"Metadata: {key}", value) for key, value in person["metadata"].items()),
    ]
    parts = [
        "<h1>What this gallery has of you</h1>",
        _table((), rows),
        "<h2>Consents</h2>",
        _consents(person["consents"]),
        "<h2>Faces</h2><p>The photos themselves are not kept; of each enrolled face there are "
        "these values and a vector of numbers (person.json).</p>",
        _samples(person["samples"]),
    ]
    if about["unreadable"]:
        numbers = ", ".join(map(str, about["unreadable"]))
        parts.append(f"<p>Damaged, and not to be read: {numbers}</p>")
    if entries is not None:
        parts.append(f"<h2>Audit log</h2>{_entries(entries)}")
    head = f"<meta charset=utf-8><title>{_text(person['name'])}</title><style>{_STYLE}</style>"
    page = f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>"
    return page.encode("utf-8", "backslashreplace")


def _consents(consents: list[dict[str, Any]]) -> str:
    if not consents:
        return "<p>None is noted.</p>"
    heads = ("Reference", "For", "Given", "By", "How", "Until")
    rows = [
        (
            one["reference"],
            ", ".join(one["purposes"]),
            _when(one["given"]),
            one["by"] or "yourself",
            one["method"] or "-",
            _when(one["expires"]) if one["expires"] else "withdrawn",
        )
        for one in consents
    ]
    return _table(heads, rows)


def _samples(samples: list[dict[str, Any]]) -> str:
    rows = []
    for one in samples:
        box = one["box_xyxy"]
        where = "-" if box is None else ", ".join(f"{value:.0f}" for value in box)
        picture = "-" if one["crop"] is None else _Html(f'<img src="{one["crop"]}" alt="">')
        rows.append((str(one["id"]), picture, one["source"] or "-", where, _when(one["added"])))
    return _table(("Number", "Face", "Photo", "Box, px", "Enrolled"), rows)


def _entries(entries: list[dict[str, Any]]) -> str:
    rows = [
        (str(one["n"]), _when(one["time"]), one["action"], one["actor"], one["outcome"])
        for one in entries
    ]
    return _table(("Entry", "When", "What", "By", "Outcome"), rows)


class _Html(str):
    """Text that is HTML already."""


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    head = "".join(f"<th>{_text(one)}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_text(one)}</td>' for one in row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _text(value: object) -> str:
    if isinstance(value, _Html):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return html.escape(printable(text))


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
