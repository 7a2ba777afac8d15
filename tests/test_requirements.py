"""The oldest versions that are tried are those that pyproject.toml allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def bounds(lines: list[str]) -> dict[str, str]:
    """Package -> version, of lines such as "numpy>=1.26,<3" and "numpy==1.26.0"."""
    found = {}
    for line in lines:
        named = re.match(r"([\w-]+)[=>]=([\d.]+)", line)
        if named:
            found[named[1].lower()] = named[2]
    return found


def test_the_lower_bounds_are_what_is_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extra = project["optional-dependencies"]["onnxruntime"]
    allowed = bounds(project["dependencies"] + extra)
    tried = bounds((ROOT / "requirements" / "oldest.txt").read_text("utf-8").splitlines())
    assert len(allowed) >= 9
    for package, version in allowed.items():
        assert tried[package] == version or tried[package].startswith(f"{version}."), package


@pytest.mark.parametrize("name", ["demo.txt", "test.txt"])
def test_what_is_installed_here_is_within_the_bounds(name: str) -> None:
    def number(version: str) -> tuple[int, ...]:
        return tuple(map(int, version.split(".")))

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = bounds((ROOT / "requirements" / name).read_text("utf-8").splitlines())
    for package, version in bounds(project["dependencies"]).items():
        assert number(pinned[package]) >= number(version), package
