"""The benchmark of bad photos: pairs are judged at once as ``Judge.assess`` judges each of them."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_contract, make_embedding, make_face
from lineament.decide.calibration import Calibration
from lineament.decide.conditions import Conditions
from lineament.decide.judge import Judge
from lineament.errors import LineamentError
from lineament.evaluate.scoring import ece
from lineament.quality import QualityLimits
from lineament.types import Embedding, Photo, Quality, Threshold

pytestmark = pytest.mark.usefixtures("benchmark_parts")

THRESHOLD = Threshold(0.35, "cosine", 1e-4, "made up", 405)


def part(name: str) -> Any:
    return importlib.import_module(f"judging.{name}")


def conditions() -> Conditions:
    knots = np.array([0.2, 0.5, 1.0])
    rise = np.array([[0.5, 0.2, 0.0], [0.2, 0.1, 0.0], [0.0, 0.0, 0.0]])
    return Conditions(knots, rise, rise * 0.9, 1 - rise, "made up")


def judge(**changes: Any) -> Judge:
    knots = np.linspace(-1, 1, 41)
    llr = 14 * np.tanh(3 * (knots - 0.3))
    calibration = Calibration(
        contract=make_contract(dimension=6),
        metric="cosine",
        method="logistic",
        score=knots,
        llr=llr,
        llr_low=llr - 0.5,
        llr_high=llr + 0.5,
        data="made up",
        n_people=30,
        n_photos=60,
        n_genuine_pairs=30,
        n_impostor_pairs=405_000,
        cllr=0.1,
        min_cllr=0.1,
        ece=0.01,
        quality={"least_norm": 2.0, "least_recognizability": 0.25},
        conditions=conditions(),
    )
    return Judge(replace(calibration, **changes), limits=QualityLimits(least_size_px=12))


def faces(seed: int, many: int = 40) -> Any:
    """Faces that are all somewhat alike; every tenth is missing."""
    rng = np.random.default_rng(seed)
    photos, qualities = [], []
    for number in range(many):
        photo = Photo(f"{number}.png", (100, 100), faces=(make_face(),), index=0)
        if number % 10 == 9:
            photos.append(replace(photo, faces=(), index=None))
            qualities.append(None)
            continue
        crop = np.full((1, 8, 8, 3), number, np.uint8)
        embedding = make_embedding(rng.normal([1.5, 0, 0, 0, 0, 0], 1), 5.0)
        photos.append(replace(photo, selected=(0,), embeddings=(embedding,), crops=crop))
        size, norm = rng.choice([11.0, 30, 40], p=[0.1, 0.5, 0.4]), rng.uniform(1.8, 9)
        left = None if number % 7 == 0 else float(rng.uniform(0.1, 1))
        qualities.append(Quality(size, 0.2, 3.0, 0.0, 0.5, 0.2, norm, recognizability=left))
    made = part("faces").Faces(photos)
    made.__dict__["qualities"] = qualities
    return made


def every_pair(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero(a.there[:, None] & b.there[None])


@pytest.mark.parametrize(
    "threshold", [THRESHOLD, replace(THRESHOLD, low=0.3, high=0.45)], ids=["exact", "interval"]
)
@pytest.mark.parametrize("ages", [None, lambda crops: crops.reshape(1, -1)[:, 0].astype(float)])
@pytest.mark.slow
def test_pairs_are_judged_as_one_by_one(threshold: Threshold, ages: Any) -> None:
    a, b = faces(0), faces(1)
    first, second = every_pair(a, b)
    for changes in ({}, {"conditions": None}):
        rules = part("verdicts").Verdicts(replace(judge(**changes), ages=ages), threshold)
        said = rules.of(a, b, first, second)
        assert rules.differences(said, a, b, first, second, len(first))[1] == 0
        assert set(said.verdict) == {-1, 0, 1}


def test_a_difference_is_counted() -> None:
    a, b = faces(0), faces(1)
    first, second = every_pair(a, b)
    rules = part("verdicts").Verdicts(judge(), THRESHOLD)
    said = rules.of(a, b, first, second)
    for wrong in (
        replace(said, verdict=np.where(said.verdict == 1, 0, said.verdict)),
        replace(said, probability=said.probability / 2 + 0.2),
    ):
        asked, differ = rules.differences(wrong, a, b, first, second, 200)
        assert asked == 200
        assert differ > 20


def test_without_recognizability_nothing_else_changes() -> None:
    plain = part("verdicts").without_recognizability(judge())
    assert plain.calibration is not None
    assert plain.calibration.conditions is None
    assert plain.all_limits == QualityLimits(least_size_px=12, least_norm=2.0)


def test_a_judge_without_calibration_is_refused() -> None:
    with pytest.raises(LineamentError, match="expected a recognizer that has a calibration"):
        part("verdicts").Verdicts(Judge(), THRESHOLD)


def test_each_sort_of_pairs_weighs_the_same_in_the_calibration_error() -> None:
    rng = np.random.default_rng(0)
    genuine, impostors = rng.beta(3, 1, 500), rng.beta(1, 4, 90_000)
    claims = part("measures").Claims()
    claims.add(genuine, same=True)
    claims.add(impostors, same=False)
    repeated = np.concatenate([np.repeat(genuine, 180), impostors])
    assert claims.ece == pytest.approx(ece(repeated, np.arange(180_000) < 90_000), abs=1e-9)
    both = part("measures").Claims()
    both += claims
    both += claims
    assert both.ece == pytest.approx(claims.ece)
    assert part("measures").Claims().ece is None


def test_the_calibration_error_has_two_parts_and_a_table_behind_it() -> None:
    claims = part("measures").Claims()
    assert claims.too_low is claims.too_high is None
    assert claims.rows() == []
    claims.add(np.array([0.05, 0.05, 0.99, 0.99]), same=True)  # half are claimed too improbable
    claims.add(np.array([0.05, 0.05]), same=False)
    low, high = claims.rows()
    assert low == pytest.approx({"share": 0.75, "claimed": 0.05, "true": 1 / 3})
    assert high == pytest.approx({"share": 0.25, "claimed": 0.99, "true": 1.0})
    assert claims.too_low == pytest.approx(0.75 * (1 / 3 - 0.05) + 0.25 * 0.01)
    assert claims.too_high == 0
    claims.add(np.array([0.9]), same=False)
    assert claims.too_high > 0
    assert claims.too_low + claims.too_high == pytest.approx(claims.ece)


def people_of(many: int, twice: int) -> Any:
    person = np.concatenate([np.arange(many), np.arange(twice)])
    return part("faces").People([Path(f"{p}.jpg") for p in person], person, twice)


def test_pairs_are_complete_and_of_whom_they_should_be() -> None:
    people = people_of(5, 2)
    first, second = people.impostors
    assert len(first) == 7 * 6 // 2 - 2
    assert (people.person[first] != people.person[second]).all()
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == len(first)
    first, second = people.genuine
    assert first.tolist() == [0, 1]
    assert second.tolist() == [5, 6]


def test_figures_of_a_kind_are_counts_over_judge_assess() -> None:
    """Against a second way: each pair of photos by itself."""
    many, twice = 22, 8
    people = people_of(many, twice)
    clean, bad = faces(3, many + twice), faces(4, many + twice)
    words, verdicts = part("verdicts").WORDS, part("verdicts")
    rules = verdicts.Verdicts(judge(), THRESHOLD)
    before = verdicts.Verdicts(verdicts.without_recognizability(judge()), THRESHOLD)
    figures, claims = part("measures").of_kind(rules, before, people, clean, bad)
    counts: dict[tuple[str, bool], list[int]] = {}
    for sort, a in (("one", clean), ("both", bad)):
        for i in range(many + twice):
            for j in range(many + twice):
                if i == j or (sort == "both" and i > j) or not (a.there[i] and bad.there[j]):
                    continue
                same = bool(people.person[i] == people.person[j])
                said = words[rules.one(a, bad, i, j).verdict]
                counts.setdefault((sort, same), []).append(said)

    def share(verdict: int, *keys: tuple[str, bool]) -> float:
        return float(np.mean([said == verdict for key in keys for said in counts[key]]))

    genuine = (("one", True), ("both", True))
    assert figures["clean_vs_spoilt"] == pytest.approx(share(1, ("one", False)))
    assert figures["spoilt_vs_spoilt"] == pytest.approx(share(1, ("both", False)))
    assert figures["pairs"] == len(counts["both", False])
    assert figures["genuine_same"] == pytest.approx(share(1, *genuine))
    assert figures["genuine_different"] == pytest.approx(share(0, *genuine))
    assert figures["undecided"] == pytest.approx(share(-1, *genuine))
    assert figures["spoilt_vs_spoilt_before"] > figures["spoilt_vs_spoilt"]
    assert figures["found"] == pytest.approx(1)
    assert figures["differ"] == 0
    assert figures["checked"] > 50
    assert claims.ece == figures["ece"]


def test_the_worst_kind_is_one_with_enough_pairs() -> None:
    measures = part("measures")
    kinds = {
        "a": {"pairs": 5_000, "x": 1e-3},
        "b": {"pairs": measures.LEAST_PAIRS - 1, "x": 0.5},
        "c": {"pairs": 9_000, "x": 2e-3},
        "d": {"pairs": 9_000, "x": None},
    }
    assert measures.worst(kinds, ["a", "b", "c", "d", "absent"], "x") == ("c", 2e-3)
    assert measures.worst(kinds, ["a", "b"], "x") == ("a", 1e-3)
    assert measures.worst(kinds, ["b", "d"], "x") == (None, None)


class FakeRecognizer:
    """Finds a face in pictures that are not black; its vectors are what crops are like."""

    def __init__(self, weights: str) -> None:
        self.contract = make_contract(weights=weights, dimension=3)
        self.asked = 0

    @property
    def embedder(self) -> FakeRecognizer:
        return self

    def embed(self, crops: Any) -> tuple[Any, Any]:
        self.asked += len(crops)
        rows = crops.reshape(len(crops), -1, 3).mean(axis=1).astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1)
        return rows / lengths[:, None], lengths

    def stream_chosen(self, sources: Any) -> Any:
        for photo in sources:
            pixels = photo.needed_pixels()
            if not pixels.any():
                yield replace(photo, pixels=None)
                continue
            crops = pixels[None, :8, :8]
            vectors, norms = self.embed(crops)
            yield replace(
                photo,
                pixels=None,
                faces=(make_face(),),
                index=0,
                selected=(0,),
                crops=crops,
                embeddings=(Embedding(vectors[0], float(norms[0]), self.contract),),
            )


def test_kept_faces_are_those_that_were_found_and_each_recognizer_embeds_them(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    pictures = [(f"{n}.png", rng.integers(1, 255, (20, 30, 3), np.uint8)) for n in range(5)]
    pictures[2][1][:] = 0
    kept, first, other = tmp_path / "kinds" / "a.npz", FakeRecognizer("one"), FakeRecognizer("two")
    look = part("faces").look
    plain, found = look(first, pictures), look(first, pictures, kept)
    assert first.asked == 8
    again = look(first, iter(()), kept)  # no picture is looked at
    assert first.asked == 8
    second = look(other, iter(()), kept)
    assert other.asked == 4
    assert len({len(each) for each in (plain, found, again, second)}) == 1
    for photos, recognizer in ((found, first), (again, first), (second, other)):
        for photo, expected in zip(photos, plain, strict=True):
            assert (photo.source, photo.size_wh) == (expected.source, expected.size_wh)
            assert (photo.face is None) == (expected.face is None)
            if photo.face is None or photo.embedding is None:
                continue
            assert photo.face.to_dict() == expected.face.to_dict()
            np.testing.assert_array_equal(photo.crop, expected.crop)
            np.testing.assert_array_equal(photo.embedding.vector, expected.embedding.vector)
            assert photo.embedding.contract == recognizer.contract
    assert [photo.face is None for photo in again] == [False, False, True, False, False]
