"""Every result that a server answers with comes back from JSON as it was."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lineament
from builders import make_embedding, make_face
from lineament import pose, types
from lineament.attributes import results as attributes
from lineament.audit import AuditEntry, AuditHead
from lineament.client import (
    AuditCheck,
    LivenessSession,
    NewKey,
    ServedKey,
    ServedSigningKey,
    ServedUser,
    Ticket,
)
from lineament.client._photo_calls import ServedModels
from lineament.client._values import read
from lineament.decide.thresholds import own_threshold
from lineament.errors import NoFaceError, ServiceError
from lineament.gallery import _types as gallery
from lineament.gallery.consent import Consent
from lineament.gallery.receipts import Receipt
from lineament.liveness.active import SessionState
from lineament.results import Outcome
from lineament.video.events import Event

CONTRACT = make_embedding([1, 0, 0, 0]).contract
QUALITY = types.Quality(61.23456, 0.12, -3.5, 1.25, 0.5, 0.2, 21.0, roll_deg=2.0)
THRESHOLD = types.Threshold(0.31, "cosine", 1e-4, "LFW", 1000, 0.29, 0.33)
CERTAINTY = types.Certainty(0.98, 0.97, 0.99, 3.9, 0.5, "LFW", 5749, 3000, 9000)
LIVE = types.Liveness("live", 0.91, "passive", {"texture": 0.5})
ATTACK = types.Liveness("attack", 0.1, "passive", {}, ("it is a screen; ask for a live one",))
SAMPLE = gallery.SampleInfo(
    3, "Ada", "a.jpg", bytes(range(32)), (1.5, 2.0, 30.25, 40.0), 0.9, QUALITY, 20.5,
    CONTRACT.id, 1.7e9, True, {"room": 3},
)  # fmt: skip
CONSENT = Consent("form 7", ("access",), 1.7e9, method="signed form", expires=1.9e9)
PERSON = gallery.PersonInfo(
    1, "Ada", {"team": ["a", "b"]}, 1.7e9, 1, (SAMPLE,), (CONSENT,), 1.8e9, 1.8e9
)
REFUSAL = gallery.Refusal(
    "b.jpg", "someone else", "looks like Bea", "Ada", "Bea", 0.7, 0.2, ("too_small",)
)
CANDIDATE = gallery.Candidate(1, 1, "Ada", 0.8, 0.9, 0.8, 0.95, 3, "a.jpg", 2, {"room": 3})
FACE = types.Face(
    np.array([30.123, 25.5, 70, 75.25]), 0.91234,
    np.array([[41.234, 40.5], [59.1, 41], [50, 51], [43, 60], [57, 60.7]]),
)  # fmt: skip
AGE, GENDER = attributes.Age(31.5, 25.0, 40.2), attributes.Gender("undecided", 0.55, 0.45)
EXPRESSION = attributes.Expression("happy", {"happy": 0.9, "sad": 0.1})
EYE, MOUTH = attributes.Eye("open", 0.1, 0.3), attributes.Mouth("shut", 0.02, 0.01)
GAZE = attributes.Gaze(1.5, 2.5, 3.5, 4.5, 2)
POSE = pose.HeadPose(20.25, 3.5, -2.25, 1.0)
FACE_ATTRIBUTES = attributes.FaceAttributes(
    FACE, 0, AGE, GENDER, EXPRESSION, POSE, (EYE, EYE), MOUTH, GAZE, 0.9, ("it is small",)
)
PHOTO = types.Photo("a.jpg", (100, 90), (FACE,), index=0, time_s=1.5, frame=3)
UNKNOWN = gallery.Identification(
    None, None, (CANDIDATE,), THRESHOLD, None, 3, FACE, QUALITY, ("small",), "not_live",
    "it is a screen", ATTACK,
)  # fmt: skip
KNOWN = gallery.Identification("Ada", CANDIDATE, (CANDIDATE, CANDIDATE), THRESHOLD, 0.2, 3)
REJECTION = gallery.Rejection(7, "Ada", "b.jpg", bytes(32), 1.7e9, searched=False)
UNLIKE = gallery.UnlikeSample(3, "Ada", "a.jpg", 0.1, None)
DAMAGED = gallery.DamagedPart(3, "Ada", "its vector is another", False)
ENTRY = gallery.DamagedEntry("line 7", None, "no JSON")


def decision(**changes: Any) -> types.Decision:
    given: dict[str, Any] = {
        "same": True, "score": 0.812345, "metric": "cosine", "similarity": 0.812345,
        "threshold": THRESHOLD, "margin": 0.502345, "source_a": "a.jpg", "source_b": "b.jpg",
        "face_a": FACE, "face_b": None, "others_a": 1, "others_b": 0, "norm_a": 20.5,
        "norm_b": 21.25, "contract": CONTRACT, "certainty": CERTAINTY, "quality_a": QUALITY,
    }  # fmt: skip
    return types.Decision(**given | changes)


VALUES: dict[type[Any], list[Any]] = {
    types.Face: [FACE, make_face(landmarks=False), make_face(score=0.5)],
    types.Contract: [CONTRACT],
    types.Embedding: [make_embedding([0.6, 0.8, 0, 0])],
    types.Liveness: [LIVE, ATTACK, types.Liveness("unsure", None, "active", {}, ("dark",))],
    types.Photo: [
        PHOTO,
        types.Photo("b.jpg", (3, 4)),
        types.Photo("c.jpg", None, error=NoFaceError("c.jpg: no face", hint="look again")),
    ],
    types.Quality: [QUALITY, types.Quality(1.0, None, None, None, 0.1, 0.2, None)],
    types.Threshold: [THRESHOLD, own_threshold(0.5, "cosine")],
    types.Certainty: [CERTAINTY],
    types.Decision: [
        decision(),
        decision(reasons=("one is small",), liveness_a=LIVE, liveness_b=ATTACK),
        decision(certainty=None, face_a=None, quality_a=None, same=False),
    ],
    pose.HeadPose: [POSE],
    attributes.Age: [AGE],
    attributes.Gender: [GENDER],
    attributes.Expression: [EXPRESSION],
    attributes.Eye: [EYE],
    attributes.Mouth: [MOUTH],
    attributes.Gaze: [GAZE],
    attributes.FaceAttributes: [FACE_ATTRIBUTES, attributes.FaceAttributes(FACE, 0)],
    attributes.PhotoAttributes: [attributes.PhotoAttributes(PHOTO, (FACE_ATTRIBUTES,))],
    gallery.SampleInfo: [SAMPLE],
    gallery.PersonInfo: [PERSON],
    Consent: [CONSENT],
    gallery.Refusal: [REFUSAL],
    gallery.EnrollReport: [
        gallery.EnrollReport(PERSON, True, (SAMPLE,), (REFUSAL,), ("no calibration",)),
        gallery.EnrollReport(None, False, (), (REFUSAL,)),
    ],
    gallery.Candidate: [CANDIDATE],
    gallery.Identification: [UNKNOWN, KNOWN],
    gallery.IdentifiedPhoto: [
        gallery.IdentifiedPhoto("a.jpg", (100, 90), (UNKNOWN, KNOWN)),
        gallery.IdentifiedPhoto("a.jpg", None, (), NoFaceError("a.jpg: broken")),
    ],
    gallery.Rejection: [REJECTION],
    Receipt: [
        Receipt("g", "p", "request", 2, 1.7e9, 1.8e9, 3, 4096, {"name": 1}, (), 0, False, "0.1.0")
    ],
    gallery.RemovalReport: [gallery.RemovalReport(("Ada",), (3, 4), True, 2)],
    gallery.DamagedPart: [DAMAGED],
    gallery.UnlikeSample: [UNLIKE],
    gallery.DamagedEntry: [ENTRY],
    gallery.ImportReport: [gallery.ImportReport(1, 2, 3, (UNLIKE,), True, 1, (ENTRY,))],
    gallery.MigrationReport: [
        gallery.MigrationReport("a", "b", 1, 2, ((SAMPLE, "no crop"),), (DAMAGED,))
    ],
    Event: [Event("appeared", 1.25, 30, 7, "Ada", 0.9, known=True), Event("left", 2.0, 60, 7)],
    SessionState: [SessionState("look left", "turn_left", 1, 3, 4.5, True, False, None)],
    AuditEntry: [
        AuditEntry(7, 1.7e9, "enroll", "k", "g", None, "done", {"n": 1}, True, "0" * 64, "1")
    ],
    AuditCheck: [
        AuditCheck(True, 7, None, None, 0, "1" * 64, AuditHead("0", 7, "1", 1.7e9, "k", "s")),
        AuditCheck(False, 0, "it is torn", 1, 3, "", None),
    ],
    ServedKey: [
        ServedKey("0f", "enroll", ("staff",), "door", 1.7e9, None, None),
        ServedKey("0f", "verify", ("*",), "", 1.7e9, 1.8e9, 1.9e9),
    ],
    NewKey: [
        NewKey("lin_0f_x", "0f", "admin", ("*",), None),
        NewKey("lin_0f_x", "0f", "admin", ("*",), 1.9e9),
    ],
    ServedUser: [ServedUser("anna", "verify", ("*",), 1.7e9)],
    ServedSigningKey: [ServedSigningKey("-----BEGIN", "ab")],
    Ticket: [Ticket("x", "/v1/streams/a/live", 30.0)],
    LivenessSession: [
        LivenessSession("a", "waiting", "staff", "Ada", 0, None, None, None, "x", "/v1/x", 120.0),
        LivenessSession("a", "done", None, None, 9, ATTACK, decision(), {"code": "no_face"}),
    ],
    ServedModels: [ServedModels("mobilefacenet", "yunet", CONTRACT, ({"name": "yunet"},))],
}
"""Results of each class. Add one where the test below says that it is missing."""

MODULES: tuple[ModuleType, ...] = (types, pose, attributes, gallery)
"""All results of these are answered by servers."""


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_a_result_comes_back_from_json(kind: type[Any]) -> None:
    for value in VALUES[kind]:
        assert type(value) is kind
        values = json.loads(json.dumps(value.to_dict()))
        again = read(kind, values)
        assert isinstance(again, kind)
        assert json.loads(json.dumps(again.to_dict())) == values
        if kind.__eq__ is not object.__eq__ and kind not in ROUNDED:
            assert again == value
        assert str(again) == str(value) or kind in ROUNDED


ROUNDED = {
    types.Quality,
    types.Photo,
    types.Embedding,
    attributes.FaceAttributes,
    attributes.PhotoAttributes,
}
"""Classes that print more digits than their JSON has, or what JSON leaves out."""


def test_every_result_is_tried() -> None:
    classes = {
        each
        for module in MODULES
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Outcome) and each.__module__ == module.__name__
    }
    assert classes <= set(VALUES)


def test_a_newer_server_may_say_more() -> None:
    assert read(gallery.PersonInfo, PERSON.to_dict() | {"color": "blue"}) == PERSON


def test_people_of_a_list_are_without_their_samples() -> None:
    listed = {key: value for key, value in PERSON.to_dict().items() if key != "samples"}
    assert read(gallery.PersonInfo, listed) == replace(PERSON, samples=())


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda values: values.pop(name)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without("name"), "'name' in PersonInfo"),
        (lambda v: v.update(id="1"), "a whole number in PersonInfo.id"),
        (lambda v: v.update(id=True), "a whole number in PersonInfo.id"),
        (lambda v: v.update(created="now"), "a number in PersonInfo.created"),
        (lambda v: v.update(metadata=[]), "an object in PersonInfo.metadata"),
        (lambda v: v.update(samples={}), "a list in PersonInfo.samples"),
        (lambda v: v["samples"][0].update(sha256="xyz"), "expected PersonInfo as lineament"),
        (lambda v: v["samples"][0].update(box_xyxy=[1]), r"4 values in PersonInfo.samples\[0\]"),
    ],
)
def test_what_is_something_else_is_refused(
    spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    values = json.loads(json.dumps(PERSON.to_dict()))
    spoil(values)
    with pytest.raises(ServiceError, match=message):
        read(gallery.PersonInfo, values)


@pytest.mark.parametrize("values", [None, [], "x", 3, {}])
@pytest.mark.parametrize("kind", [types.Photo, types.Decision, types.Face, types.Embedding])
def test_nothing_of_the_kind(kind: type[Any], values: Any) -> None:
    with pytest.raises(ServiceError):
        read(kind, values)


def test_a_photo_is_of_the_face_that_the_library_takes() -> None:
    photo = lineament.FaceFinder().find(lineament.demo_photos()["group"])
    again = read(types.Photo, photo.to_dict())
    assert again.index == photo.index
    assert again.to_dict() == photo.to_dict()
