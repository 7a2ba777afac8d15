"""The page's files: what is sent, with which headers; words in files, in every language."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest
from page_browser import AXE
from server_under_test import Served

import lineament.server
from lineament.server.static import POLICY, page_files

PAGE = Path(lineament.server.__file__).parent / "page"
SCRIPTS = sorted(PAGE.glob("*.js")) + sorted(PAGE.glob("screens/*.js"))
WORDS = {path.stem: json.loads(path.read_text("utf-8")) for path in PAGE.glob("messages/*.json")}


def test_the_page_is_sent_with_a_strict_policy(server: Served) -> None:
    answer = httpx.get(f"{server.address}/")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert answer.headers["cache-control"] == "no-cache"
    assert "BASE" not in answer.text
    for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        assert address.startswith("/page/"), address
        file = httpx.get(server.address + address)
        assert file.status_code == 200, address
        assert "immutable" in file.headers["cache-control"]
    assert "<style" not in answer.text
    assert "onclick" not in answer.text
    again = httpx.get(f"{server.address}/", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["nothing.js", "../static.py", "%2e%2e/static.py", "index.html", "vendor/", ""]
)
def test_only_the_pages_files_are_sent(server: Served, path: str) -> None:
    version, _ = page_files()
    answer = httpx.get(f"{server.address}/page/{version}/{path}", follow_redirects=True)
    assert answer.status_code == 404


def test_files_of_another_version_are_not_sent(server: Served) -> None:
    assert httpx.get(f"{server.address}/page/{'0' * 16}/app.js").status_code == 404


def test_every_file_of_the_folder_is_sent() -> None:
    _, found = page_files()
    assert set(found) == {
        path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file()
    }


def test_the_vendored_file_is_the_one_that_is_recorded() -> None:
    vendor = json.loads((PAGE / "vendor" / "vendor.json").read_text("utf-8"))
    data = (PAGE / "vendor" / vendor["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == vendor["sha256"]
    assert len(data) == vendor["bytes"]
    notice = (Path(__file__).parents[2] / "NOTICE").read_text("utf-8")
    for part in vendor["holds"]:
        assert (PAGE / "vendor" / part["text"]).stat().st_size > 500
        assert part["name"] in notice
        assert part["license"] in notice or part["license"].replace("-", " ") in notice
    assert vendor["version"] in notice


def test_axe_is_the_published_one() -> None:
    digest = hashlib.sha256(AXE.read_bytes()).hexdigest()
    assert digest == "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
    assert "Mozilla Public License" in (AXE.parent / "LICENSE").read_text("utf-8")


# --- words ----------------------------------------------------------------------------------------


def test_languages_have_the_same_words() -> None:
    english = WORDS["en"]
    assert len(WORDS) >= 2
    for language, words in WORDS.items():
        assert list(words) == list(english), language
        for key, text in words.items():
            assert type(text) is type(english[key]), (language, key)
            if isinstance(text, dict):
                assert text.keys() == {"one", "other"}, (language, key)
            if key == "language.en" or key == "language.de":
                continue
            assert holes(text) == holes(english[key]), (language, key)


def holes(text: str | dict[str, str]) -> set[str]:
    whole = text if isinstance(text, str) else text["other"]
    return set(re.findall(r"\{(\w+)\}", whole))


def keys_of(script: str) -> tuple[set[str], set[str]]:
    """Keys that stand in a script, and the beginnings of those that are put together."""
    whole = set(re.findall(r'"([a-z][a-z-]*(?:\.[a-z0-9_-]+)*)"', script))
    begun = set(re.findall(r"`([a-z-]+\.)\$\{", script))
    return whole, begun


def test_no_word_is_missing_and_none_is_left_over() -> None:
    used, begun = set(), set()
    for path in SCRIPTS:
        script = path.read_text("utf-8")
        whole, beginnings = keys_of(script)
        used |= whole
        begun |= beginnings
        for key in re.findall(r'\bt\("([^"]+)"', script):
            assert key in WORDS["en"], (path.name, key)
    menu = set(re.findall(r'name: "([a-z]+)"', (PAGE / "menu.js").read_text("utf-8")))
    assert {f"{name}.menu" for name in menu} <= WORDS["en"].keys()
    left = {
        key
        for key in WORDS["en"]
        if key not in used and not key.startswith(tuple(begun)) and not key.endswith(".menu")
    }
    assert left == set()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_words_stand_in_the_scripts(path: Path) -> None:
    """Templates have tags and what is computed: no text, and none in attributes that are read."""
    script = path.read_text("utf-8")
    literal = r'\b(?:aria-label|title|placeholder|alt|label|text|lead|hint)="[^"]*[A-Za-z]'
    assert re.findall(literal, script) == []
    for template in re.findall(r"html`(.*?)`", script, re.S):
        bare = re.sub(r"<(?:code|kbd)[^>]*>[^<]*</(?:code|kbd)>", "", template)
        for text in re.findall(r">([^<>${}`]+)<", bare):
            assert not re.search(r"[A-Za-z]{3}", text.replace("lineament", "")), text
    assert "innerHTML" not in script
    assert "dangerously" not in script
    assert not re.search(r"https?://", script)
