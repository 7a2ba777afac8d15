"""Dockerfile, compose file and systemd unit: read, and held against the package. Not built here."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from lineament.server.settings import PREFIX, load_settings

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).resolve().parents[1]


def instructions() -> list[tuple[str, str]]:
    """Instruction and the rest of each line of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", text))
    pairs = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return [(word, rest) for word, _, rest in pairs]


def given(name: str) -> list[str]:
    return [rest for word, rest in instructions() if word == name]


def check_command(words: list[str]) -> None:
    """Whether the command line takes it: `--print-config` reads all and starts nothing."""
    from click.testing import CliRunner

    from lineament.cli import app

    done = CliRunner().invoke(app, [*words, "--print-config", "--json"])
    assert done.exit_code == 0, done.output


def test_every_instruction_is_one_and_copies_what_there_is() -> None:
    allowed = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
               "HEALTHCHECK", "ENTRYPOINT", "CMD"}  # fmt: skip
    assert {word for word, _ in instructions()} <= allowed
    stages = {rest.split(" AS ")[1] for rest in given("FROM") if " AS " in rest}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for rest in given("COPY"):
        words = shlex.split(rest)
        if words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in stages
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source.removeprefix('./')}" in ignored


def test_the_image_runs_as_nobody_in_particular() -> None:
    (user,) = given("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    last = [word for word, _ in instructions()]
    assert last.index("USER") > max(i for i, word in enumerate(last) if word == "RUN")
    assert all("slim" in rest for rest in given("FROM"))
    assert all(":latest" not in rest and ":" in rest for rest in given("FROM"))


def test_the_image_s_command_and_environment_are_taken() -> None:
    (entry,), (command,) = given("ENTRYPOINT"), given("CMD")
    assert json.loads(entry) == ["lineament"]
    check_command(json.loads(command))
    values = dict(pair.split("=", 1) for line in given("ENV") for pair in shlex.split(line))
    settings, origins = load_settings(environment=values)
    own = [name for name in values if name.startswith(PREFIX)]
    assert len(own) == sum(origin.startswith("environment") for origin in origins.values())
    assert str(settings.data) in given("VOLUME")
    port = json.loads(command)[json.loads(command).index("--port") + 1]
    (health,) = given("HEALTHCHECK")
    assert given("EXPOSE") == [port]
    assert f":{port}/v1/ready" in health
    compile(json.loads(health[health.index("[") :])[2], "health", "exec")


def compose() -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_compose_has_a_server_that_cannot_write_its_root() -> None:
    found = compose()
    server = found["services"]["server"]
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    check_command(server["command"])
    for service in found["services"].values():
        assert service["image"] == "lineament" or re.search(r":v\d", service["image"])
        for volume in service["volumes"]:
            assert volume.split(":")[0] in found["volumes"]
    assert set(server["depends_on"]) <= set(found["services"])
    assert "healthcheck" in found["services"]["milvus"]
    # What Docker waits before it kills is longer than what requests have to end.
    settings, _ = load_settings(environment={})
    assert int(server["stop_grace_period"].removesuffix("s")) > settings.drain_s


def test_the_unit_starts_what_there_is() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(ROOT / "examples" / "service" / "lineament.service", encoding="utf-8")
    service = unit["Service"]
    command = shlex.split(service["ExecStart"])
    assert Path(command[0]).name == "lineament"
    check_command(command[1:])
    values = dict(pair.split("=", 1) for pair in shlex.split(service["Environment"]))
    settings, _ = load_settings(environment=values)
    assert settings.data == Path("/var/lib") / service["StateDirectory"]
    assert int(service["TimeoutStopSec"]) > settings.drain_s
