"""What galleries do, encrypted ones do, too: tests of other files, over encrypted galleries."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lineament.gallery import Gallery, Key
from lineament.gallery._store import Store

pytest.importorskip("cryptography")

TESTS = Path(__file__).parent
SUITES = ("test_people.py", "test_exchange.py", "test_damage.py")
SLOW = ("test_damage.py",)
WITHOUT = ("test_a_page_of_rubbish_is_read_around",)
"""It looks for a vector's bytes in the file, and for the files of the index."""


def _taken() -> Iterator[tuple[str, Any]]:
    for name in SUITES:
        spec = importlib.util.spec_from_file_location(f"encrypted_{name[:-3]}", TESTS / name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for each, value in vars(module).items():
            if each.startswith("test_") and each not in WITHOUT:
                if name in SLOW:
                    value = pytest.mark.slow(value)
                yield f"{each}_{name[5:-3]}", value
            elif type(value).__name__ == "FixtureFunctionDefinition":
                yield each, value


globals().update(_taken())


@pytest.fixture(autouse=True)
def _encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever gallery is made is encrypted; the key is in the environment."""
    monkeypatch.setenv("LINEAMENT_GALLERY_KEY", "5e" * 32)
    real: Callable[..., None] = Store.create.__func__  # type: ignore[attr-defined]

    def create(cls: type[Store], *arguments: Any, **named: Any) -> None:
        if len(arguments) < 4 and named.get("key") is None:
            named["key"] = Key.from_env()
        elif len(arguments) == 4 and arguments[3] is None:
            arguments = (*arguments[:3], Key.from_env())
        real(cls, *arguments, **named)

    monkeypatch.setattr(Store, "create", classmethod(create))


def test_they_are_encrypted(tmp_path: Path) -> None:
    from gallery_builders import CONTRACT

    with Gallery.create(tmp_path / "g", CONTRACT) as gallery:
        assert gallery.encrypted
