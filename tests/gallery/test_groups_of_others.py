"""A file of groups that somebody changed: a DataError, or groups that can be used and saved."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from changed_values import changed

from lineament.errors import DataError, OptionError
from lineament.gallery.grouping import GroupFace, Grouping, assign_new, group_faces
from lineament.types import Contract, Embedding, Face, Threshold

CONTRACT = Contract("sface", "0" * 64, "arcface-112", "rgb", False, 8)
LIMIT = Threshold(0.3, "cosine", 1e-3, "made up", 100)


def some_faces() -> list[GroupFace]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(3):
        vector = rng.normal(0, 1, 8).astype(np.float32)
        vector /= np.linalg.norm(vector)
        face = Face(np.array([1.0, 2, 30, 40]), 0.9, np.zeros((5, 2)), 0)
        found.append(GroupFace(f"{i}.jpg", 1, face, Embedding(vector, 1.0, CONTRACT), ()))
    return found


def test_groups(tmp_path: Path) -> None:
    faces = some_faces()
    path = tmp_path / "groups.json"
    values = json.loads(json.dumps(group_faces(faces, CONTRACT, LIMIT).to_dict()))
    refused = used = 0
    for what, each in changed(values, every=17):
        path.write_text(json.dumps(each))
        try:
            groups = Grouping.load(path)
        except DataError as error:
            refused += 1
            if not str(error).isprintable():
                raise AssertionError(what) from error
            continue
        groups.save(path)
        used += 1
        with suppress(OptionError):  # it has the face already
            assign_new(groups, faces[:1], LIMIT)
    assert min(refused, used) > 20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "groups.json")
    with pytest.raises(DataError, match="pipe"):
        Grouping.load(tmp_path / "groups.json")
