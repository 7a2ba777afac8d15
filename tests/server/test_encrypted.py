"""Galleries of a server whose environment names a key; the key is changed while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from server_under_test import run_server

from lineament.errors import GalleryKeyError
from lineament.gallery import Gallery, Key, new_key_file
from lineament.server.settings import ServerSettings


def test_the_key_is_changed_while_the_server_runs(
    tmp_path: Path, photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, old, data = tmp_path / "current.key", tmp_path / "old.key", tmp_path / "data"
    new_key_file(place)
    monkeypatch.setenv("LINEAMENT_GALLERY_KEY_FILE", str(place))
    for server in run_server(ServerSettings(data=data, port=0, threads=2)):
        with server.client() as client:
            made = client.post("/galleries", json={"name": "staff"})
            assert made.json()["encrypted"] is True
            report = client.post(
                "/galleries/staff/people/-/samples",
                data={"name": "Barack Obama"},
                files={"images": photos["obama"]},
            )
            assert report.status_code == 200, report.text
            place.rename(old)
            new_key_file(place)
            turned = client.post("/galleries/staff/rotate-key")
            assert turned.status_code == 200, turned.text
            found = client.post("/galleries/staff/identify", files={"image": photos["obama2"]})
            assert found.json()["faces"][0]["name"] == "Barack Obama"
            actions = [each["action"] for each in client.get("/audit").json()["entries"]]
            assert "rotate key" in actions
    with Gallery.open(data / "galleries" / "staff", key=Key.from_file(place)) as gallery:
        assert gallery.n_people == 1
    with pytest.raises(GalleryKeyError):
        Gallery.open(data / "galleries" / "staff", key=Key.from_file(old))
    written = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert b"Barack Obama" not in written
