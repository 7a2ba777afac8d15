"""What several tests need: the demonstration photo, and a clean environment."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament.types import Image

pytest.register_assert_rewrite("index_contract")  # it holds tests


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {name for name in os.environ if name.startswith("LINEAMENT_")}
    for name in settings - {"LINEAMENT_DATA"}:  # where data sets lie, for tests alone
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def astronaut_path() -> Path:
    return Path(lineament.__file__).parent / "data" / "demo" / "astronaut.jpg"


@pytest.fixture(scope="session")
def astronaut(astronaut_path: Path) -> Image:
    """(512, 512, 3), one face of 91 by 112 pixels about (223, 119)."""
    image = np.asarray(PILImage.open(astronaut_path).convert("RGB"))
    image.flags.writeable = False
    return image
