"""Photos' addresses on the command line: public ones, and others with --allow-private."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command_tree import COMMANDS
from raw_server import RawServer, found, moved, says, serving

import lineament
from lineament.cli import app

DEMO = Path(lineament.__file__).parent / "data" / "demo"

CALLS = {
    ("verify",): ["URL", "URL"],
    ("detect",): ["URL"],
    ("analyze",): ["URL"],
    ("identify",): ["URL"],
    ("find",): ["URL", "."],
    ("align",): ["URL", "--out", "crops"],
    ("embed",): ["URL"],
    ("gallery", "enroll"): ["Ada", "URL"],
    ("gallery", "verify"): ["Ada", "URL"],
    ("gallery", "reject"): ["Ada", "URL"],
    ("plot", "alignment"): ["URL"],
    ("plot", "explain"): ["URL", "URL"],
    ("plot", "occlusion"): ["URL"],
    ("plot", "pose"): ["URL", "URL"],
    ("watch",): ["URL", "--give-up", "0"],
    ("liveness",): ["URL"],
}
"""Every command that takes an address."""


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "*")
        with serving() as running:
            running.answers |= {
                "face.jpg": found((DEMO / "astronaut.jpg").read_bytes()),
                "moved": moved("/broken"),
                "broken": says(b"HTTP/1.1 500 \x1b]0;title\x07\x1b[2J\r\n\r\n"),
            }
            yield running


def test_every_command_that_takes_an_address_has_the_option() -> None:
    assert CALLS.keys() == {
        path
        for path, each in COMMANDS.items()
        if any(parameter.name == "allow_private" for parameter in each.params)
    }
    for path, each in COMMANDS.items():
        words = " ".join(str(getattr(p, "help", "")) for p in each.params)
        takes = any("URL" in str(getattr(p, "help", "")) for p in each.params
                    if isinstance(p, click.Argument))  # fmt: skip
        assert not takes or path in CALLS, (path, words)


@pytest.mark.parametrize("path", CALLS, ids=" ".join)
def test_this_machine_is_asked_only_with_the_option(
    path: tuple[str, ...], server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path[0] == "plot":
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "b.jpg").write_bytes((DEMO / "obama.jpg").read_bytes())
    if path in (("identify",), ("gallery", "verify"), ("gallery", "reject")):
        made = CliRunner().invoke(
            app, ["gallery", "enroll", "Ada", str(DEMO / "astronaut.jpg"), "--preset", "fast"]
        )
        assert made.exit_code == 0, made.output
    call = [*path, *(server.url("moved") if each == "URL" else each for each in CALLS[path])]
    before = server.connections
    refused = CliRunner().invoke(app, call)
    assert refused.exit_code in (1, 2), refused.output
    assert "public internet" in refused.stderr
    assert "--allow-private" in refused.stderr
    assert server.connections == before
    allowed = CliRunner().invoke(app, [*call, "--allow-private"])
    assert "public internet" not in allowed.stderr, allowed.output
    assert "answers 500" in allowed.stderr
    assert server.connections >= before + 2  # and the redirect


def test_a_photo_of_this_machine(server: RawServer) -> None:
    done = CliRunner().invoke(app, ["detect", server.url("face.jpg"), "--allow-private"])
    assert done.exit_code == 0, done.output


def test_what_a_server_says_cannot_act(server: RawServer) -> None:
    call = ["detect", server.url("broken"), "--allow-private"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 2
    assert r"500 (\x1b]0;title\x07\x1b[2J)" in done.stderr
    done = CliRunner().invoke(app, [*call, "--json"])
    assert "\x1b" not in done.stdout
    assert "500" in json.dumps(json.loads(done.stdout))
