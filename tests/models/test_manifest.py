"""Manifests: what a good one says, and that a hostile one gets a clear error and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from lineament import models
from lineament.errors import WeightsError
from lineament.models import Card, InputSpec, Measurement, Source, cards, catalog
from lineament.models.cards import StatedThreshold

ENTRY: dict[str, Any] = {
    "name": "mine",
    "task": "embedder",
    "file": "sub/mine.onnx",
    "url": "https://example.org/mine.onnx",
    "sha256": "ab" * 32,
    "bytes": 1234,
    "input": {
        "size_wh": [96, 112],
        "color_order": "bgr",
        "mean": 127.5,
        "scale": 0.0078125,
        "layout": "nchw",
    },
    "dimension": 256,
    "alignment": "arcface-112",
    "license_code": "MIT",
    "license_weights": "CC-BY-NC-4.0",
    "commercial_use": "no",
    "license_file": "sub/license.txt",
    "training_data": "unknown",
    "source": {"package": "pypi:some", "version": "1.0", "path": "a/b.onnx"},
    "paper": "arXiv:0000.00000",
    "measured": {"lfw_view2": {"value": 99, "protocol": "accuracy in %"}},
    "thresholds": [
        {
            "metric": "cosine",
            "threshold": 0.25,
            "fmr": 1e-4,
            "data": "LFW View 1",
            "flip": True,
            "n_impostor_pairs": 1100,
        }
    ],
    "notes": "none",
}


def write(tmp_path: Path, *entries: Any, **changes: Any) -> Path:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"schema": 1, "weights": list(entries)} | changes))
    return path


def test_every_key_arrives(tmp_path: Path) -> None:
    (found,) = catalog.read_manifest(write(tmp_path, ENTRY))
    assert found == Card(
        name="mine",
        task="embedder",
        file="sub/mine.onnx",
        url="https://example.org/mine.onnx",
        sha256="ab" * 32,
        bytes=1234,
        input=InputSpec((96, 112), "bgr", 127.5, 0.0078125, "nchw"),
        dimension=256,
        alignment="arcface-112",
        license_code="MIT",
        license_weights="CC-BY-NC-4.0",
        commercial_use="no",
        license_file="sub/license.txt",
        training_data="unknown",
        source=Source("pypi:some", "1.0", "a/b.onnx"),
        paper="arXiv:0000.00000",
        measured={"lfw_view2": Measurement(99.0, "accuracy in %")},
        thresholds=(StatedThreshold("cosine", 0.25, 1e-4, True, "LFW View 1", 1100),),
        notes="none",
    )
    assert found.folder == tmp_path
    assert found.path == tmp_path / "sub" / "mine.onnx"


def test_what_is_written_out_reads_back_the_same(tmp_path: Path) -> None:
    (found,) = catalog.read_manifest(write(tmp_path, ENTRY))
    assert json.loads(json.dumps(found.to_dict())) == ENTRY


def test_keys_in_the_spelling_of_before_are_read(tmp_path: Path) -> None:
    old = {key.replace("license", "licence"): value for key, value in ENTRY.items()}
    assert "licence_weights" in old
    (today,) = catalog.read_manifest(write(tmp_path, ENTRY))
    (found,) = catalog.read_manifest(write(tmp_path, old | {"task": "recognizer"}))
    assert found == today
    with pytest.raises(WeightsError, match="licence_code"):  # which of the two would count?
        catalog.read_manifest(write(tmp_path, ENTRY | {"licence_code": "MIT"}))


def test_an_empty_manifest_has_no_entries(tmp_path: Path) -> None:
    assert catalog.read_manifest(write(tmp_path)) == []


def test_optional_keys_may_be_missing_or_null(tmp_path: Path) -> None:
    optional = ("url", "license_file", "source", "paper", "measured", "thresholds", "notes")
    short = {key: value for key, value in ENTRY.items() if key not in optional}
    null = ENTRY | dict.fromkeys(optional)
    (from_short,) = catalog.read_manifest(write(tmp_path, short))
    (from_null,) = catalog.read_manifest(write(tmp_path, null))
    assert from_short == from_null
    assert from_short.measured == {}
    assert from_short.thresholds == ()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRY)
    assert [w.name for w in catalog.read_manifest(path)] == ["mine"]
    write(tmp_path, ENTRY | {"name": "other"})
    os.utime(path, ns=(1, 1))  # not the time stamp of the first one, however coarse the clock
    assert [w.name for w in catalog.read_manifest(path)] == ["other"]


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A function that sets the key at "outer.inner" of an entry."""

    def apply(entry: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        for key in outer:
            entry = entry[int(key)] if isinstance(entry, list) else entry[key]
        entry[last] = value

    return apply


def drop(path: str) -> Callable[[dict[str, Any]], None]:
    def apply(entry: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        for key in outer:
            entry = entry[key]
        del entry[last]

    return apply


BAD_NAMES = ["", "UPPER", "a b", "../x", "a/b", ".hidden", "-flag", "x" * 65, "ä", 7, None, ["x"]]
BAD_PATHS = [
    *("../x.onnx", "/etc/passwd", "a/../../x", "a//b", "./x", "C:/x", "a\\b", "", " ", "x\n", "a/"),
    *(5, ["x"]),
]
BAD_URLS = [
    *("file:///etc/passwd", "ftp://example.org/x", "javascript:alert(1)", "//example.org/x"),
    *("http://", "https://user:pass@example.org/x", "https://example.org:99999/x", "x.onnx"),
    *("https://example.org/a b", "https://exämple.org/x", "http://[::1/x", 3),
]
BAD_HASHES = ["", "ab" * 31, "AB" * 32, "xy" * 32, "ab" * 33, 0, None]
BAD_SIZES = [0, -1, 1.5, "12", True, None, 1 << 40]
BAD_NUMBERS = ["1", None, True, float("nan"), float("inf"), 10**400, [1]]
BAD_SIDES = [[112], [112, 112, 3], "112x112", [0, 112], [1.5, 2], [True, True], 112, [10**9, 1]]
BAD_TEXTS = ["", "  ", "two\nlines", "\x1b[31mred", "\u202egnp", "\ud800", 5, ["x"]]

CASES: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    *(("name", change("name", value)) for value in BAD_NAMES),
    *(("file", change("file", value)) for value in BAD_PATHS),
    *(("license_file", change("license_file", value)) for value in BAD_PATHS),
    *(("url", change("url", value)) for value in BAD_URLS),
    *(("sha256", change("sha256", value)) for value in BAD_HASHES),
    *(("bytes", change("bytes", value)) for value in BAD_SIZES),
    *(("mean", change("input.mean", value)) for value in BAD_NUMBERS),
    *(("scale", change("input.scale", value)) for value in [*BAD_NUMBERS, 0]),
    *(("size_wh", change("input.size_wh", value)) for value in BAD_SIDES),
    *(("notes", change("notes", value)) for value in BAD_TEXTS),
    *(("training_data", change("training_data", value)) for value in [*BAD_TEXTS, None]),
    *(("license_weights", change("license_weights", value)) for value in ["", "M I T", None, 1]),
    *(("license_code", change("license_code", value)) for value in ["a\x00", "MIT OR GPL"]),
    *(("commercial_use", change("commercial_use", value)) for value in [True, "maybe", None]),
    ("commercial_use", change("commercial_use", "yes")),  # its license is CC-BY-NC
    *(("task", change("task", value)) for value in ["liveness", None, ["embedder"], {}]),
    *(("dimension", change("dimension", value)) for value in [0, -1, 1.5, "512", True]),
    ("dimension", lambda e: e.update(task="detector", alignment=None)),
    ("alignment", change("alignment", None)),
    ("alignment", lambda e: e.update(task="landmarker", dimension=None)),
    ("color_order", change("input.color_order", "rbg")),
    ("layout", change("input.layout", "hwcn")),
    ("input", change("input", [112, 112])),
    ("input", change("input", None)),
    ("source", change("source", "pypi")),
    ("version", change("source.version", 1)),
    ("measured", change("measured", 99.5)),
    ("measured", change("measured.lfw_view2", 99.5)),
    ("protocol", change("measured.lfw_view2.protocol", None)),
    ("value", change("measured.lfw_view2.value", "99")),
    ("thresholds", change("thresholds", {"cosine": 0.2})),
    ("thresholds[0]", change("thresholds", [0.2])),
    ("thresholds[0].fmr", lambda e: e["thresholds"][0].update(fmr=2)),
    (
        "thresholds[0].n_impostor_pairs",
        lambda e: e["thresholds"][0].update(n_impostor_pairs=0),
    ),
    *((key, drop(key)) for key in ("sha256", "bytes", "input", "dimension", "training_data")),
    ("scale", drop("input.scale")),
    ("path", drop("source.path")),
    ("flie", change("flie", "x")),
    ("mena", change("input.mena", 0)),
    (r"\x1b[2J", change("\x1b[2J", 0)),
    ("license", change("source.license", "MIT")),
    ("url", lambda e: (e.pop("file"), e.pop("url"))),
]


@pytest.mark.parametrize(("named", "spoil"), CASES)
def test_a_bad_value_is_an_error_that_names_entry_and_key(
    tmp_path: Path, named: str, spoil: Callable[[dict[str, Any]], None]
) -> None:
    entry = deepcopy(ENTRY)
    spoil(entry)
    path = write(tmp_path, entry)
    with pytest.raises(WeightsError) as caught:
        catalog.read_manifest(path)
    message = str(caught.value)
    assert named in message
    assert str(path) in message
    if entry.get("name") == "mine":
        assert '"mine"' in message
    assert message.isprintable()
    assert len(message) < 1000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"schema": 1}',
        b'{"weights": []}',
        b'{"schema": 2, "weights": []}',
        b'{"schema": true, "weights": []}',
        b'{"schema": 1, "weights": {}}',
        b'{"schema": 1, "weights": [7]}',
        b'{"schema": 1, "weights": [null]}',
        b'{"schema": 1, "weights": [{}]}',
        b'{"schema": 1, "weights": [], "extra": 1}',
        b'{"schema": 1, "weights": [], "weights": []}',
        b'{"schema": 1, "weights": ' + b"9" * 10_000 + b"}",
        b" " * (cards.LARGEST_TEXT_FILE + 1),
    ],
    ids=lambda content: repr(content[:30]),
)
def test_what_is_no_manifest_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"manifest\.json"):
        catalog.read_manifest(path)


def test_a_doubled_key_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRY)
    path.write_text(path.read_text().replace('"bytes": 1234', '"bytes": 1234, "bytes": 99'))
    with pytest.raises(WeightsError, match="twice"):
        catalog.read_manifest(path)


def test_a_doubled_name_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRY, ENTRY)
    with pytest.raises(WeightsError, match=r'"mine".*twice'):
        catalog.read_manifest(path)


def test_missing_files_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nowhere"):
        catalog.read_manifest(tmp_path / "nowhere.json")
    with pytest.raises(WeightsError, match=tmp_path.name):
        catalog.read_manifest(tmp_path)


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRY)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(catalog.read_manifest(path)) == 1


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"a": ["a"]}, id="of itself"),
        pytest.param({"a": ["b"], "b": ["a"]}, id="of each other"),
        pytest.param({"a": ["sface-mobilefacenet", "sface"]}, id="of one that joins"),
        pytest.param({"a": ["nobody"]}, id="of nobody"),
        pytest.param({"a": ["sface", "sface"]}, id="of one twice"),
        pytest.param({"a": [f"m{i}" for i in range(17)]}, id="of many"),
        pytest.param({f"m{i}": [f"m{i + 1}"] for i in range(2000)}, id="of a chain"),
    ],
)
def test_embedders_that_join_what_they_cannot(
    tmp_path: Path, members: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lineament.embed import load_embedder

    card = json.loads((models.get("sface-mobilefacenet").folder / "card.json").read_text())
    cards = []
    for name, names in members.items():
        parts = [{"name": each, "share": 1 / len(names)} for each in names]
        cards.append(card | {"name": name, "members": parts, "license_file": None})
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"schema": 1, "weights": cards}))
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(path))
    first = next(iter(members))

    def use() -> None:
        assert not models.is_present(models.get(first))
        load_embedder(models.get(first), flip=True)

    with pytest.raises(WeightsError):
        use()
