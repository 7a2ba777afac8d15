"""What the OpenAPI description says is so: drawn requests to every operation (Schemathesis).

``LINEAMENT_OPENAPI_EXAMPLES=200`` sends as many to each; ``benchmarks/robustness/openapi.py`` does
so without pytest.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROBUSTNESS = Path(__file__).parents[2] / "benchmarks" / "robustness"
EXAMPLES = int(os.environ.get("LINEAMENT_OPENAPI_EXAMPLES", "6"))


@pytest.fixture
def openapi() -> Iterator[Any]:
    paths = [str(ROBUSTNESS), str(ROBUSTNESS.parent)]
    sys.path[:0] = paths
    try:
        yield importlib.import_module("openapi")
    finally:
        for path in paths:
            sys.path.remove(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_operation_answers_as_described(
    openapi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("schemathesis")
    monkeypatch.setenv(openapi.KEY_VARIABLE, "")  # it is set again, and as it was at the end
    monkeypatch.delenv(openapi.KEY_VARIABLE)
    target = openapi.start_with_key(tmp_path, 0)

    def without_a_status(description: dict[str, Any]) -> None:
        del description["paths"]["/v1/models"]["get"]["responses"]["200"]

    wrong = openapi.fuzz(target, 2, 0, only="/v1/models", change=without_a_status)
    assert wrong["unlike"] > 0  # what is not described is found
    figures = openapi.fuzz(target, EXAMPLES, 0)
    assert figures["found"] == []
    assert figures["operations"] == len(target.paths) > 60
    assert figures["never_done"] == [], "these never succeeded: nothing behind them was reached"
    assert figures["requests"] > figures["operations"]
    assert figures["without_strategy"] < figures["operations"]
