"""Enrollment, searches and verification over HTTP are the library's, with a report per photo."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_under_test import Served

from lineament import Gallery

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gallery(server: Served, photos: dict[str, bytes]) -> Iterator[Gallery]:
    with server.client("admin") as client:
        body = {"name": "samples", "settings": {"keep_crops": True}}
        assert client.post("/galleries", json=body).status_code == 201
        made: Gallery = server.app.state.lineament.galleries.get("samples")  # type: ignore[attr-defined]
        report = made.enroll("Barack Obama", [photos["obama"]])
        assert report.enrolled
        yield made
        client.delete("/galleries/samples")


def test_the_report_has_every_photo_in_its_place(
    server: Served, gallery: Gallery, photos: dict[str, bytes], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(photos["biden"])
    files = [
        ("images", (str(secret), photos["biden"])),
        ("images", ("../../x.jpg", b"no photo")),
        ("images", ("group.jpg", photos["group"])),
        ("images", ("obama.jpg", photos["obama2"])),
    ]
    with server.client("enroll") as client:
        answer = client.post(
            "/galleries/samples/people/-/samples",
            files=files,
            data={"name": "Joe Biden", "metadata": '{"office": "oval"}', "force": "false"},
        )
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["created"] is True
    assert report["person"]["metadata"] == {"office": "oval"}
    rows = report["photos"]
    assert [row["photo"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["sample"] == report["enrolled"][0]["id"]
    assert [row["reason"] for row in rows] == [None, "unreadable", "several faces", "someone else"]
    assert all(row["message"] for row in rows[1:])
    assert str(secret) not in answer.text
    assert gallery.sample(rows[0]["sample"]).source == "photo 1"
    gallery.remove("Joe Biden")


def test_raw_bytes_and_base64_are_the_same(
    server: Served, gallery: Gallery, photos: dict[str, bytes]
) -> None:
    with server.client("enroll") as client:
        place = "/galleries/samples/people/-/samples"
        raw = client.post(
            place, params={"name": "Raw"}, content=photos["astronaut"],
            headers={"content-type": "image/jpeg"},
        )  # fmt: skip
        assert raw.json()["created"], raw.text
        number = raw.json()["person"]["id"]
        crop = client.get(f"/galleries/samples/samples/{raw.json()['photos'][0]['sample']}/crop")
        assert crop.content.startswith(b"\x89PNG")
        coded = base64.b64encode(photos["astronaut"]).decode()
        again = client.post(
            f"/galleries/samples/people/{number}/samples", json={"images": [coded, coded]}
        )
        assert [row["reason"] for row in again.json()["photos"]] == ["duplicate", "duplicate"]
        nobody = client.post(place, json={"images": [coded]})
        assert (nobody.status_code, nobody.json()["option"]) == (422, "name")
        bad = client.post(place, json={"images": [coded], "name": "a\nb"})
        assert (bad.status_code, bad.json()["option"]) == (422, "name")
        path = client.post(place, json={"images": ["/etc/passwd"], "name": "x"})
        assert path.status_code == 422
    gallery.remove("Raw")


def test_a_search_is_that_of_the_library(
    server: Served, gallery: Gallery, photos: dict[str, bytes]
) -> None:
    expected = gallery.identify(photos["group"], top=2).to_dict()
    with server.client("verify") as client:
        answer = client.post(
            "/galleries/samples/identify", files={"image": photos["group"]}, data={"top": "2"}
        ).json()
        assert answer.pop("not_searched") == [
            {"face": n, "reason": face["reason"], "message": face["reason_in_words"]}
            for n, face in enumerate(expected["faces"])
            if face["reason"] in ("nobody_searched", "not_live", "low_quality")
        ]
        assert answer == json.loads(json.dumps(expected))
        nobody = client.post(
            "/galleries/samples/identify",
            files={"image": photos["obama2"]},
            data={"where": '{"building": "X"}'},
        ).json()
        assert [one["reason"] for one in nobody["not_searched"]] == ["nobody_searched"]
        decision = gallery.verify("Barack Obama", photos["obama2"], fmr=1e-3).to_dict()
        place = "/galleries/samples/people/-/verify"
        same = client.post(
            place, files={"image": photos["obama2"]}, data={"name": "Barack Obama", "fmr": "1e-3"}
        )
        assert same.json() == json.loads(json.dumps(decision))
        stranger = client.post(
            place, params={"name": "Nobody"}, content=photos["obama2"],
            headers={"content-type": "image/jpeg"},
        )  # fmt: skip
        assert (stranger.status_code, stranger.json()["code"]) == (404, "unknown_person")
        both = client.post(
            place + "?name=Barack%20Obama", files={"image": photos["obama2"]},
            data={"fmr": "1e-3", "threshold": "0.4"},
        )  # fmt: skip
        assert both.status_code == 422


def test_looks_are_those_of_the_library(server: Served, photos: dict[str, bytes]) -> None:
    recognizer = server.app.state.lineament.recognizer  # type: ignore[attr-defined]
    with server.client("verify") as client:
        embedded = client.post("/embed", files={"image": photos["group"]}).json()
        expected = recognizer.analyze(photos["group"]).embeddings
        assert embedded["n_faces"] == len(expected)
        for face, one in zip(embedded["faces"], expected, strict=True):
            assert face["vector"] == pytest.approx(one.vector.tolist(), abs=1e-7)
        quality = client.post("/quality", files={"image": photos["obama"]}).json()
        assert quality["faces"][0]["problems"] == []
        assert quality["faces"][0]["quality"]["size_px"] > 50
        looks = client.post("/attributes", files={"image": photos["obama"]}, data={"only": "age"})
        assert looks.json()["faces"][0]["age"]["years"] > 20
        wrong = client.post("/attributes", files={"image": photos["obama"]}, data={"only": "race"})
        assert wrong.status_code == 422
        many = [("images", photos[name]) for name in ("obama", "biden", "obama2")]
        groups = client.post("/group", files=many).json()
    assert groups["n_photos"] == 3
    faces = [{face["source"] for face in one["faces"]} for one in groups["groups"]]
    assert faces == [{"photo 1", "photo 3"}]


def test_thresholds_are_those_of_the_calibration(server: Served) -> None:
    calibration = server.app.state.lineament.recognizer.calibration  # type: ignore[attr-defined]
    with server.client("verify") as client:
        found = client.get("/thresholds").json()
        assert [point["fmr"] for point in found["points"]] == [p.fmr for p in calibration.points]
        one = client.get("/thresholds", params={"fmr": 3e-4}).json()["points"][0]
        assert one["threshold"] == calibration.threshold(3e-4).plain.value
        assert client.get("/thresholds", params={"fmr": 1e-12}).status_code == 422


def test_a_face_is_boxed_by_hand(
    server: Served, gallery: Gallery, photos: dict[str, bytes]
) -> None:
    place = "/galleries/samples/people/-/samples"
    with server.client("enroll") as client:
        found = client.post("/detect", files={"image": photos["group"]}).json()["faces"]
        box = found[-1]["box_xyxy"]
        text = ",".join(map(str, box))
        boxed = client.post(f"/detect?box={text}", files={"image": photos["group"]}).json()
        assert [face["boxed"] for face in boxed["faces"]] == ["found"]
        form = {"name": "Boxed", "box": text, "on_low_quality": "accept", "force": "true"}
        report = client.post(place, files={"images": photos["group"]}, data=form).json()
        assert report["photos"][0]["reason"] is None, report
        assert report["enrolled"][0]["source"] == "photo 1"
        body = {"image": base64.b64encode(photos["group"]).decode(), "name": "Boxed", "box": box}
        same = client.post("/galleries/samples/people/-/verify", json=body).json()
        assert same["verdict"] == "same"
        for wrong in ("1,2,3", "a,b,c,d", "0,0,1e9,1e9", "5,5,1,1", "nan,0,1,1", "[0,0,1,1]"):
            form["box"] = wrong
            answer = client.post(place, files={"images": photos["group"]}, data=form)
            assert answer.status_code == 422, wrong
            assert str(answer.json()["option"]).startswith("box")
        two = [("images", photos["group"])] * 2
        answer = client.post(place, files=two, data={"name": "Boxed", "box": text})
        assert (answer.status_code, answer.json()["option"]) == (422, "box")
    gallery.remove("Boxed")
