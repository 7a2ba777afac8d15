"""Layouts of data sets of living people and attacks: which one a folder has, and what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from lineament.datasets.liveness import LIVE, LivenessSet, read_liveness
from lineament.errors import DataError


def made(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def listed(data: LivenessSet) -> list[tuple[str, str, list[str]]]:
    return [(each.kind, each.person, [f.name for f in each.files]) for each in data.presentations]


@pytest.mark.parametrize("below", ["", "raw/"])
def test_nuaa_with_frames_in_their_order(tmp_path: Path, below: str) -> None:
    data = read_liveness(
        made(
            tmp_path,
            [f"{below}ClientRaw/0001/0001_00_00_01_{n}.jpg" for n in (10, 9, 100)]
            + [f"{below}ImposterRaw/0001/0001_00_00_01_3.jpg", "client_train_raw.txt"],
        )
    )
    assert (data.layout, data.kinds) == ("NUAA", ("print",))
    assert listed(data) == [
        (LIVE, "0001", [f"0001_00_00_01_{n}.jpg" for n in (9, 10, 100)]),
        ("print", "0001", ["0001_00_00_01_3.jpg"]),
    ]


def test_casia(tmp_path: Path) -> None:
    names = ("1", "2", "3", "4", "5", "6", "7", "8", "HR_1", "HR_2", "HR_3", "HR_4")
    data = read_liveness(made(tmp_path, [f"test_release/12/{name}.avi" for name in names]))
    assert (data.layout, data.kinds) == (
        "CASIA-FASD",
        ("cut photo", "video replay", "warped photo"),
    )
    alive = [files for kind, _, files in listed(data) if kind == LIVE]
    assert alive == [["1.avi"], ["2.avi"], ["HR_1.avi"]]
    assert all(each.is_film and each.person == "test_release/12" for each in data.presentations)


def test_replay_attack(tmp_path: Path) -> None:
    attack = "attack_{}_client009_session01_{}_photo_adverse.mov"
    data = read_liveness(
        made(
            tmp_path,
            [
                "test/real/client009_session01_webcam_authenticate_adverse_1.mov",
                "test/attack/fixed/" + attack.format("print", "highdef"),
                "test/attack/hand/" + attack.format("mobile", "mobile"),
                "test/attack/hand/" + attack.format("highdef", "highdef").replace("photo", "video"),
            ],
        )
    )
    assert data.layout == "Replay-Attack"
    assert data.kinds == ("highdef video", "mobile photo", "print")
    assert {each.person for each in data.presentations} == {"client009"}


def test_celeba_spoof_with_and_without_labels(tmp_path: Path) -> None:
    names = [f"Data/test/77/{kind}/00{n}.png" for n, kind in enumerate(("live", "spoof", "spoof"))]
    folder = made(tmp_path, [*names, "Data/test/77/live/000_BB.txt"])
    assert read_liveness(folder).kinds == ("spoof",)
    labels = {name: [0] * 40 + [kind] for name, kind in zip(names, (0, 9, 3), strict=True)}
    file = made(tmp_path, ["metas/intra_test/test_label.json"]) / "metas/intra_test/test_label.json"
    file.write_text(json.dumps(labels))
    data = read_liveness(folder)
    assert (data.layout, data.kinds) == ("CelebA-Spoof", ("A4", "phone"))
    file.write_text("[1]")
    with pytest.raises(DataError, match="a JSON object of paths"):
        read_liveness(folder)


def test_folders_by_kind(tmp_path: Path) -> None:
    data = read_liveness(made(tmp_path, ["Real/ada/1.jpg", "mask/2.png", "mask/3.mp4"]))
    assert (data.layout, data.kinds) == ("folders", ("mask",))
    assert listed(data) == [
        (LIVE, "ada", ["1.jpg"]),
        ("mask", "", ["2.png"]),
        ("mask", "3", ["3.mp4"]),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "expected the layout of NUAA, CASIA-FASD"),
        (["real/ada/1.jpg"], "found no attacks"),
        (["print/ada/1.jpg", "screen/ada/1.jpg"], "found no living people"),
    ],
)
def test_what_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_liveness(made(tmp_path, names))
    with pytest.raises(DataError, match="expected a folder"):
        read_liveness(tmp_path / "missing")
