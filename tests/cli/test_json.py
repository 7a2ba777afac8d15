"""One thing has one name in the JSON of all commands, and the page of the keys has all of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lineament
from lineament.cli import app

DEMO = Path(lineament.__file__).parent / "data" / "demo"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"

COMMANDS = (
    "detect obama.jpg nothing.jpg",
    "verify obama.jpg obama2.jpg",
    "embed obama.jpg",
    "embed obama.jpg --out faces.npz",
    "align obama.jpg --out crops",
    "align people --people --out others",
    "group people --out groups.json",
    "anonymize obama.jpg --out covered",
    "anonymize obama.jpg --plan plan.json",
    "gallery create",
    "gallery enroll Ada obama.jpg",
    "gallery enroll-folder people",
    "gallery people",
    "gallery show Ada",
    "identify obama2.jpg",
    "watch people/Obama",
    "gallery export staff.jsonl",
    "gallery import staff.jsonl --gallery second",
    "gallery check",
    "gallery reindex --check",
    "gallery reject Ada biden.jpg",
    "gallery rejections",
    "gallery verify Ada obama2.jpg",
    "gallery rename Ada Countess",
    "gallery remove Biden --yes",
    "gallery consent Countess --consent F17 --purpose access",
    "gallery keep Countess --until 2099-01-31",
    "gallery configure --retention-days 36500",
    "gallery export-person Countess countess.zip",
    "receipt key erase.key",
    "gallery erase Countess --yes --signing-key erase.key --receipt r.json --audit audit.jsonl",
    "gallery expire",
    "receipt verify r.json --public-key erase.key.pub",
    "audit verify audit.jsonl",
    "audit show audit.jsonl",
    "serve --print-config --data server",
    "keys add --data server",
    "keys list --data server",
    "models list",
    "models show sface",
    "models verify-weights sface",
    "eval folder people",
    "plot grid people",
    "plot correlation people",
)

LISTS = {"photos", "people", "faces", "samples", "candidates", "pairs", "groups"}
OLD = {"images", "photographs", "photograph", "errors"}

THRESHOLD = {"value", "metric", "fmr", "data", "n_impostor_pairs", "low", "high"}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each of ``COMMANDS`` prints, run one after the other in a folder."""
    root = tmp_path_factory.mktemp("json")
    for name, photo in (("Obama", "obama"), ("Obama", "obama2"), ("Biden", "biden")):
        (root / "people" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(DEMO / f"{photo}.jpg", root / "people" / name)
        shutil.copy(DEMO / f"{photo}.jpg", root)
    (root / "people" / "Biden" / "broken.jpg").write_text("no photo")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for command in COMMANDS:
            done = CliRunner().invoke(app, [*command.split(), "--json"])
            found[command] = json.loads(done.stdout)
            assert "code" not in found[command], (command, done.stdout)
    return found


def documented() -> dict[str, set[str]]:
    """Command -> the keys that the page has for it."""
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE.read_text("utf-8"), re.M)
    return {command: set(re.findall(r"`(\w+)`", keys)) for command, keys in rows}


def every(value: Any, path: str = "") -> list[tuple[str, str, Any]]:
    """(path, key, value) of all objects inside."""
    if isinstance(value, dict):
        own = [(path, key, item) for key, item in value.items()]
        return own + [row for key, item in value.items() for row in every(item, f"{path}/{key}")]
    if isinstance(value, list):
        return [row for item in value for row in every(item, path)]
    return []


def test_the_page_has_every_key(printed: dict[str, dict[str, Any]]) -> None:
    page = documented()
    missing = {}
    for command, values in printed.items():
        words = command.split()
        name = next(n for n in (" ".join(words[:2]), words[0]) if n in page)
        if unknown := values.keys() - page[name]:
            missing[name] = unknown
    assert missing == {}


def test_a_name_is_of_one_kind(printed: dict[str, dict[str, Any]]) -> None:
    for command, values in printed.items():
        for path, key, value in every(values):
            where = (command, path, key)
            assert key not in OLD, where
            if key in LISTS:
                assert isinstance(value, list), where
            elif key.startswith("n_"):
                counts = value.values() if isinstance(value, dict) else [value]
                assert all(isinstance(n, int) or n is None for n in counts), where
            elif key == "error":
                assert value is None or isinstance(value, str), where
            elif key == "threshold" and value is not None:
                assert value.keys() == THRESHOLD, where


def test_photos_are_alike_everywhere(printed: dict[str, dict[str, Any]]) -> None:
    for command in COMMANDS:
        if command.split()[0] not in ("detect", "identify", "align") or "--people" in command:
            continue
        for photo in printed[command]["photos"]:
            assert {"source", "size_wh", "faces", "error"} <= photo.keys(), command
            assert (photo["error"] is None) == (photo["size_wh"] is not None)
