"""What is let in of names, metadata, times, faces and crops; what a database of others may hold."""

from __future__ import annotations

import json
import math
import struct
import unicodedata
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, make_gallery, vectors

from lineament.errors import (
    GalleryDamagedError,
    OptionError,
    UnknownPersonError,
)
from lineament.gallery import Gallery, NewSample
from lineament.gallery import _editing as editing
from lineament.gallery import values as schema
from lineament.types import Embedding, Face, Quality

SEEN = [
    *("Ada Lovelace", "O'Brien; DROP TABLE people", "x", "7", "*", "O", "a--b", "Zo\u00eb"),
    *(
        "\u738b\u5c0f\u660e",
        "\u5c71\u7530\u3000\u592a\u90ce",
        "\u0639\u062f\u0629",
        "\u05e2\u05d3\u05d4",
    ),
    *(
        "\u0928\u0947\u0939\u093e",
        "\u0e19\u0e49\u0e33",
        "\u1019\u103c\u1014\u103a",
        "\u13e3\u13b3\u13a9",
    ),
    # joiners where they change what is seen: Persian, Bengali, Sinhala, Kannada, Malayalam
    *("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u09b0\u200d\u09cd\u09af\u09be\u09ac"),
    *("\u0d9a\u0dca\u200d\u0dc2", "\u0cb0\u200d\u0ccd\u0c95", "\u0d28\u0d4d\u200d\u0d2e"),
    # emoji: families, tones, flags of two letters, keycaps, presentation selectors
    *(
        "\U0001f469\u200d\U0001f52c",
        "\U0001f468\U0001f3fd\u200d\u2695\ufe0f",
        "\U0001f1e9\U0001f1ea",
    ),
    *(
        "1\ufe0f\u20e3",
        "\u2764\ufe0f",
        "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468",
        "\u2194\ufe0f",
    ),
    *("\u845b\U000e0100\u57ce", "\u1820\u180b", "\u2801\u2800\u2811", "\U00020000", "\u0600123"),
]
ACTS = [
    *"\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2064\u2066\u2067\u2068\u2069",
    *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u180e\u206a\ufeff\u3164\uffa0\ufff9\ufffb\u2028\u2029",
    *"\0\n\t\x1b\x7f\x85\x9b\u200c\u200d\ufe0f\ufe00\u180b\u2800\ufdd0\ufdef\ufffe\uffff\ud800\udce9",
    *"\U000e0001\U000e0020\U000e0041\U000e007f\U000e0100\U000e0fff\U0001fffe\U0010ffff\U0001d173",
    *"\U0001bca0\U0001d159\u2065\ufff0",
]
"""Characters that nobody sees, or that act; none belongs between two Latin letters."""
SIGNS_OVER_FIGURES = (
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
NOT_SEEN = ["", " ", "\u3000", "\u00a0", "\u0301", "\u0301\u0316", "\u20dd", "\ue000", "\u093e"]


@pytest.mark.parametrize("name", SEEN, ids=ascii)
def test_what_is_seen_is_a_name(name: str) -> None:
    for form in ("NFC", "NFD"):
        made = schema.checked_name(unicodedata.normalize(form, f" {name}\n"))
        assert made == unicodedata.normalize("NFC", name)
        assert schema.checked_name(made) == made


@pytest.mark.parametrize("letter", ACTS, ids=ascii)
def test_what_nobody_sees_is_no_part_of_a_name(letter: str) -> None:
    for name in (f"a{letter}b", f"\u00e9{letter}\u00e9", letter * 3, f"\u738b{letter} \u738b"):
        if letter in "\ufe00\U000e0100" and name[0] == "\u738b":
            continue  # of an ideograph there are variants
        with pytest.raises(OptionError, match="name") as caught:
            schema.checked_name(name)
        shown = str(caught.value)
        assert shown.isprintable()
        assert ascii(letter)[1:-1] in shown or "at least one" in shown
    for name in (f"{letter}ab", f"ab{letter}"):  # white space at its ends does no harm
        try:
            assert schema.checked_name(name) == "ab"
        except OptionError:
            assert not letter.isspace()


@pytest.mark.parametrize(
    "name",
    [*NOT_SEEN, "a" * 201, "e\u0301" * 201, "a\u0301" * 10**6, 7, b"Ada"],
    ids=lambda name: ascii(name)[:20],
)
def test_names_that_are_none(name: Any) -> None:
    with pytest.raises(OptionError, match="name") as caught:
        schema.checked_name(name)
    assert len(str(caught.value)) < 300


def test_every_character_is_seen_or_refused_between_letters() -> None:
    """No two names that are let in look the same but for a character that nobody sees."""
    ignorable = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for code in range(0x110000):
        letter = chr(code)
        if unicodedata.category(letter) not in ignorable or letter in SIGNS_OVER_FIGURES:
            continue
        with pytest.raises(OptionError):
            schema.checked_name(f"a{letter}b")


def test_one_person_in_every_form_of_the_name(tmp_path: Path) -> None:
    nfc = "Zo\u00eb \u1e9b\u0323"
    nfd = unicodedata.normalize("NFD", nfc)
    with make_gallery(tmp_path / "g", people=1) as gallery:
        gallery.enroll_embeddings(nfd, [embed(vectors(3)[1])])
        gallery.enroll_embeddings("Zz", [embed(vectors(3)[2])])
        gallery.annotate(nfd, {"a": 1})
        assert gallery.person(f" {nfd} ").name == nfc
        assert nfd in gallery
        for after in (nfc, nfd):
            assert [one.name for one in gallery.people(after=after)] == ["Zz", "person 0"]
        with pytest.raises(OptionError, match="after"):
            gallery.people(after="caf\udce9")
        assert gallery.people(after="\U0010ffff" * 10**6) == []
        assert gallery.rename(nfd, nfd).name == nfc
        gallery.merge(nfd, [unicodedata.normalize("NFD", "Zz")], force=True)
        assert gallery.remove(nfd).people == (nfc,)
    for name in ("caf\udce9", "x" * 10**6, "a\u0301" * 10**5, "\0", ""):
        with Gallery.open(tmp_path / "g") as gallery:
            assert name not in gallery
            for call in (gallery.person, gallery.remove):
                with pytest.raises(UnknownPersonError) as caught:
                    call(name)
                assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "name", ["\u200b", "a\u200bb", "\ufeff\u3164", "a\u202eb", "\U000e0041", "\uffff"], ids=ascii
)
def test_names_of_old_galleries_stay_until_they_are_changed(tmp_path: Path, name: str) -> None:
    with make_gallery(tmp_path / "g", people=1) as gallery:
        with gallery._state.store.writing() as connection:
            editing.add_person(gallery._state.store, connection, name)
        assert name in [one.name for one in gallery.people()]
        assert gallery.person(name).name == name
        gallery.annotate(name, {"a": 1})
        gallery.export(tmp_path / "all.jsonl")
        with pytest.raises(OptionError):
            gallery.enroll_embeddings(name, [embed(vectors(2)[1])])
        assert gallery.rename(name, "Ada").metadata == {"a": 1}
        with pytest.raises(OptionError):
            gallery.rename("Ada", name)
        with gallery._state.store.writing() as connection:
            editing.add_person(gallery._state.store, connection, name)
        assert gallery.remove(name).people == (name,)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value


NO_VALUES: list[Any] = [
    *(math.nan, math.inf, -math.inf, 2**64, -(2**63) - 1, 10**5000, b"x", 1j, {1, 2}, object()),
    *("caf\udce9", "\ud800", {"\udce9": 1}, {1: 2}, np.float32(1)),
]
BAD_METADATA: list[Callable[[], Any]] = [
    *(lambda value=value: {"k": value} for value in NO_VALUES),  # type: ignore[misc]
    *(lambda depth=depth: {"k": nested(depth)} for depth in (40, 41, 1_000, 100_000)),
    lambda: {"": 1},
    lambda: {"k" * 201: 1},
    lambda: {"a": {"k" * 201: 1}},
    lambda: {"caf\udce9": 1},
    lambda: {"a": "x" * 70_000},
    lambda: {"a": [0] * 10**6},
    lambda: {str(i): 1 for i in range(1_001)},
    lambda: {3: 1},
    lambda: [("a", 1)],
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD_METADATA)))
def test_metadata_that_are_none(tmp_path: Path, number: int) -> None:
    metadata = BAD_METADATA[number]()
    with make_gallery(tmp_path / "g", people=1) as gallery:
        calls: list[Callable[[], Any]] = [
            lambda: gallery.annotate("person 0", metadata),
            lambda: gallery.enroll_embeddings("New", [embed(vectors(2)[1])], metadata=metadata),
            lambda: gallery.enroll_embeddings(
                "New", [NewSample(embed(vectors(2)[1]), metadata=metadata)]
            ),
        ]
        for call in calls:
            with pytest.raises(OptionError, match="metadata") as caught:
                call()
            assert len(str(caught.value)) < 500
        assert (gallery.n_people, gallery.n_samples) == (1, 1)


def test_metadata_of_every_kind(tmp_path: Path) -> None:
    metadata = {
        "text": "\0\n\u202e\U0001f600 caf\u00e9",
        "numbers": [0, -0.0, 1e308, 5e-324, 2**64 - 1, -(2**63), True, False, None],
        "deep": nested(schema.DEEPEST - 2),
        "k" * 200: "",
        "new\nline": {"": {}},
    }
    assert schema.read_metadata(schema.checked_metadata(metadata)) == metadata
    with make_gallery(tmp_path / "g", people=1) as gallery:
        gallery.annotate("person 0", metadata, replace=True)
        assert gallery.person("person 0").metadata == metadata


@pytest.mark.parametrize(
    "seconds",
    [
        *(math.nan, math.inf, -math.inf, 1e300, 1e15, -1e15, 253402300800.0, -62135596801.0),
        *(True, "7", None, 10**400),
    ],
    ids=lambda seconds: repr(seconds)[:20],
)
def test_times_that_are_none(seconds: Any) -> None:
    with pytest.raises(OptionError, match="years 1 to 9999"):
        schema.checked_time(seconds)
    assert schema.read_time(seconds) == 0


def test_times_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds in (schema.EARLIEST, schema.LATEST, 0, 1.7e9, -1.5):
        assert schema.checked_time(seconds) == seconds
        assert 1 <= datetime.fromtimestamp(seconds).astimezone().year <= 9999


def face(**changes: Any) -> Face:
    values: dict[str, Any] = {"box_xyxy": [1, 2, 30, 40], "score": 0.9, "landmarks_xy": None}
    return Face(**values | changes)


def quality(**changes: Any) -> Quality:
    values: dict[str, Any] = {
        "size_px": 50.0, "sharpness": 0.1, "yaw_deg": 1.0, "pitch_deg": None, "brightness": 0.5,
        "contrast": 0.2, "norm": 9.0, "roll_deg": -3.0, "visible_share": 0.9,
        "recognizability": 0.8,
    }  # fmt: skip
    return Quality(**values | changes)


@pytest.mark.parametrize(
    "sample",
    [
        {"face": face(box_xyxy=[0, 0, 1e30, 1e30])},
        {"face": face(box_xyxy=[-2e6, 0, 1, 1])},
        {"face": face(landmarks_xy=[[1e9, 0]] * 5)},
        *({"quality": quality(**{name: math.nan})} for name in quality().to_dict()),
        *({"quality": quality(**{name: math.inf})} for name in quality().to_dict()),
        *({"quality": quality(**{name: -1e9})} for name in quality().to_dict()),
        *({"quality": quality(**{name: "7"})} for name in quality().to_dict()),
        {"quality": quality(size_px=None)},
        {"embedding": Embedding(embed(vectors(1)[0]).vector, 1e30, CONTRACT)},
        {"source": "a\0b"},
        {"source": "x" * 40_000},
        {"source": 7},
        {"crop": np.zeros((600, 600, 3), np.uint8)},
    ],
    ids=lambda sample: next(iter(sample)),
)
def test_samples_that_are_none(tmp_path: Path, sample: dict[str, Any]) -> None:
    with make_gallery(tmp_path / "g", keep_crops=True) as gallery:
        new = NewSample(**{"embedding": embed(vectors(1)[0])} | sample)
        with pytest.raises(OptionError, match="expected"):
            gallery.enroll_embeddings("Ada", [new])
        assert (gallery.n_people, gallery.n_samples) == (0, 0)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width: int,
    height: int,
    *,
    kind: bytes = b"\x08\x02\0\0\0",
    data: bytes | None = None,
    more: bytes = b"",
) -> bytes:
    rows = bytes((1 + 3 * width) * height) if data is None else data
    head = chunk(b"IHDR", struct.pack(">II", width, height) + kind)
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + more
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def test_crops_are_what_the_package_writes() -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    assert schema.check_crop(editing.encoded(drawn)) == (512, 512)
    assert schema.check_crop(editing.encoded(drawn[:112, :96])) == (96, 112)
    assert schema.check_crop(png(3, 2)) == (3, 2)
    whole = png(8, 8)
    bad = [
        *(whole[:at] for at in range(len(whole))),
        *(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :] for at in range(len(whole))),
        b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a", whole + b"x", whole + whole,
        png(8, 8, data=bytes(10)), png(8, 8, data=bytes(10**7)), png(8, 8, data=b"\x05" * 200),
        png(30_000, 30_000, data=b""), png(0, 8, data=b""), png(513, 1),
        png(8, 8, kind=b"\x10\x02\0\0\0"), png(8, 8, kind=b"\x08\x06\0\0\0"),
        png(8, 8, kind=b"\x08\x02\0\0\x01"), png(8, 8, more=chunk(b"iCCP", b"x")),
        png(8, 8, more=chunk(b"acTL", bytes(8))), png(8, 8, more=chunk(b"pHYs", bytes(1 << 21))),
    ]  # fmt: skip
    for data in bad:
        with pytest.raises(OptionError, match="crop"):
            schema.check_crop(data)


MAD = '{"norm": 1, "box_xyxy": [0, 0, 1e30, 1e30], "score": 1}'
DEEP, LONG, NO_TEXT = "[" * 10**5, "x" * 10**5, b"\xff\xfe"
TAMPERED = {
    "labels.metadata": ["{", "", "[]", "null", "7", NO_TEXT, 7, '{"a": 1e999}', DEEP],
    "labels.name": [NO_TEXT, 7, "a\u202eb", "", LONG],
    "people.created": [math.inf, -math.inf, 1e300, 1e15, "x", NO_TEXT, 2**62],
    "samples.added": [math.inf, 1e300, "x", NO_TEXT],
    "samples.face": ["{", "null", '{"norm": -1}', MAD, NO_TEXT, 7, '{"norm": 1, "quality": {}}'],
    "samples.metadata": ["{", "[]", NO_TEXT, 7, DEEP],
    "samples.source": [NO_TEXT, 7, "\0", LONG],
    "samples.sha256": ["x", 7, NO_TEXT],
}


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [(*place.split("."), value) for place, values in TAMPERED.items() for value in values],
    ids=lambda value: ascii(value)[:24],
)
def test_a_tampered_value_spoils_no_list(
    tmp_path: Path, table: str, column: str, value: Any
) -> None:
    with make_gallery(tmp_path / "g", people=3) as gallery:
        with gallery._state.store.writing() as connection:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = 2", (value,))
        names = [one.name for one in gallery.people()]
        assert len(names) == 3
        assert {"person 0", "person 2"} <= set(names)
        for one in gallery.people():
            datetime.fromtimestamp(one.created)
        assert gallery.person("person 0").samples
        assert len(gallery.people(where={"building": "A"})) == 2
        (answer,) = gallery.identify_embeddings([embed(vectors(3)[2])])
        assert answer.name == "person 2"
        repr(gallery), gallery._repr_html_(), gallery.to_rows(), gallery.to_dict()
        gallery.metadata_keys()
        if table != "samples" and column != "name":
            with pytest.raises(GalleryDamagedError, match=r"person 1.*annotate"):
                gallery.person("person 1")
            gallery.annotate("person 1", {"building": "B"}, replace=True)
            assert gallery.person("person 1").metadata == {"building": "B"}
        elif column != "name":
            assert gallery.person("person 1").samples == ()
            with pytest.raises(GalleryDamagedError, match="sample 2 is damaged"):
                gallery.sample(2)
        if column != "name":
            assert gallery.remove("person 1").people == ("person 1",)


def test_what_was_seen_before_there_was_a_measure_is_read() -> None:
    known = {"roll_deg", "visible_share", "recognizability"}
    old = {key: value for key, value in quality().to_dict().items() if key not in known}
    seen = schema.decode_seen(json.dumps({"norm": 9.0, "quality": old}))
    assert seen.quality == quality(roll_deg=None, visible_share=None, recognizability=None)
    now = schema.decode_seen(json.dumps({"norm": 9.0, "quality": quality().to_dict()}))
    assert now.quality == quality()
