"""Whose face is it: candidates, thresholds, filters, and two faces of one photo."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, make_gallery, turned, vectors

from lineament import models
from lineament.decide.calibration import bundled
from lineament.decide.metrics import score_matrix
from lineament.errors import NobodySearchedError, OptionError
from lineament.gallery import Gallery, NewSample, Settings
from lineament.models.cards import StatedThreshold as Stated
from lineament.types import Contract, Embedding

SFACE = models.get("sface")
DEFAULT = Contract("sface", SFACE.sha256, "arcface-112", "rgb", False, 128)


def test_candidates_are_those_of_brute_force(tmp_path: Path) -> None:
    known, asked = vectors(50), vectors(7, seed=9)
    with make_gallery(tmp_path / "g", people=50) as gallery:
        answers = gallery.identify_embeddings([embed(v) for v in asked], top=6)
    scores = score_matrix(asked, known)
    for row, answer in zip(scores, answers, strict=True):
        order = np.argsort(-row)[:6]
        assert [c.name for c in answer.candidates] == [f"person {i}" for i in order]
        assert [c.similarity for c in answer.candidates] == pytest.approx(row[order], abs=1e-5)
        assert [c.rank for c in answer.candidates] == [1, 2, 3, 4, 5, 6]
        assert answer.margin == pytest.approx(row[order[0]] - row[order[1]], abs=1e-5)
        assert answer.name == (f"person {order[0]}" if row[order[0]] >= 0.6 else None)
    assert len(answers) == 7


@pytest.mark.parametrize("rule", ["best", "mean", "centroid"])
def test_rules_of_a_persons_score(tmp_path: Path, rule: str) -> None:
    rng = np.random.default_rng(4)
    with make_gallery(tmp_path / "g", person_score=rule, mean_of=2) as gallery:
        samples = {}
        for i, center in enumerate(vectors(12)):
            made = [
                embed(turned(center, 0.7, seed=100 * i + j)) for j in range(int(rng.integers(1, 6)))
            ]
            samples[f"person {i}"] = np.stack([one.vector for one in made])
            gallery.enroll_samples([(f"person {i}", NewSample(one)) for one in made], force=True)
        query = embed(turned(vectors(12)[5], 0.8))
        (answer,) = gallery.identify_embeddings([query], top=12)
    wanted = {}
    for name, rows in samples.items():
        scores = np.sort(rows.astype(float) @ query.vector.astype(float))[::-1]
        if rule == "best":
            wanted[name] = scores[0]
        elif rule == "mean":
            wanted[name] = scores[:2].mean()
        else:
            center = rows.mean(axis=0) / np.linalg.norm(rows.mean(axis=0))
            wanted[name] = center @ query.vector
    found = {c.name: c.similarity for c in answer.candidates}
    assert found == pytest.approx(wanted, abs=1e-5)
    assert answer.candidates[0].name == max(wanted, key=lambda name: wanted[name])


def test_people_with_many_samples_do_not_hide_others(tmp_path: Path) -> None:
    first, second = vectors(2)
    with make_gallery(tmp_path / "g") as gallery:
        many = [("Ada", NewSample(embed(turned(first, 0.9, seed=i)))) for i in range(200)]
        gallery.enroll_samples([*many, ("Bob", NewSample(embed(second)))], force=True)
        (answer,) = gallery.identify_embeddings([embed(first)], top=5)
    assert [c.name for c in answer.candidates] == ["Ada", "Bob"]
    assert answer.candidates[0].n_samples == 200


def test_two_faces_of_a_photo_are_two_people(tmp_path: Path) -> None:
    # Both faces are most like Ada; the second is hardly like anybody else, the first is like Bob.
    ada, bob = vectors(2)
    bob = bob - (bob @ ada) * ada
    bob /= np.linalg.norm(bob)
    first = 0.75 * ada + 0.65 * bob
    second = turned(ada, 0.73, seed=3)
    with make_gallery(tmp_path / "g") as gallery:
        gallery.enroll_samples(
            [("Ada", NewSample(embed(ada))), ("Bob", NewSample(embed(bob)))], force=True
        )
        faces = [embed(first), embed(second)]
        apart = gallery.identify_embeddings(faces)
        joint = gallery.identify_embeddings(faces, together=True)
        thrice = gallery.identify_embeddings([embed(ada)] * 3, together=True)
    assert [a.name for a in apart] == ["Ada", "Ada"]
    assert [a.name for a in joint] == ["Bob", "Ada"]
    assert joint[0].match is not None
    assert joint[0].match.rank == 2
    assert "another face of this photo" in joint[0].notes[0]
    assert sorted(str(a.name) for a in thrice) == ["Ada", "None", "None"]
    unknown = [a for a in thrice if a.name is None]
    assert {a.reason for a in unknown} == {"same_photo"}
    assert all("two faces of one photo are two people" in str(a) for a in unknown)


def test_why_a_face_is_unknown(tmp_path: Path) -> None:
    asked = [embed(turned(vectors(1)[0], 0.4))]
    with make_gallery(tmp_path / "empty") as gallery:
        (empty,) = gallery.identify_embeddings(asked)
        with pytest.raises(NobodySearchedError, match=r"nobody is enrolled.*enroll\(\) adds"):
            gallery.check_search()
    with make_gallery(tmp_path / "g", people=3) as gallery:
        (stranger,) = gallery.identify_embeddings(asked)
        (filtered,) = gallery.identify_embeddings(asked, where={"building": "C"})
        (known,) = gallery.identify_embeddings([embed(vectors(1)[0])])
        (alike,) = gallery.identify_embeddings([embed(vectors(1)[0])], threshold=-1)
        for name in ("person 0", "person 1", "person 2"):
            gallery.remove(gallery.person(name).samples[0].id)
        (bare,) = gallery.identify_embeddings(asked)
        with pytest.raises(NobodySearchedError, match=r"of the 3 people .* nobody has"):
            gallery.check_search()
    answers = [empty, stranger, filtered, known, alike, bare]
    assert [one.reason for one in answers] == [
        *("nobody_searched", "below_threshold", "nobody_searched", None, None, "nobody_searched")
    ]
    assert [one.n_searched for one in (empty, stranger, filtered)] == [0, 3, 0]
    assert "nobody is enrolled" in str(empty)
    assert "(similarity 0.400) is the most alike, below the threshold 0.600" in str(stranger)
    assert "nobody of the 3 people in the gallery matches building=C" in str(filtered)
    assert filtered.to_dict()["reason"] == "nobody_searched"
    assert known.to_dict()["reason"] is known.to_dict()["reason_in_words"] is None
    assert any("reach the threshold, too" in note for note in alike.notes)
    assert any("no calibration" in note for note in known.notes)
    for one in answers:
        assert str(one).count("threshold 0.6") <= 2
        assert "1 people" not in str(one)


FILTERS = [
    # filter, what the error says; None: somebody matches; what the note says
    ({"building": "A"}, None, None),
    ({"building": "C"}, "values that exist: building is A, B", None),
    ({"number": {">": 9}}, "values that exist: number is 0, 1, 2", None),
    ({"biulding": "A"}, r"nobody has biulding \(did you mean building\?\); keys that exist", None),
    ({"x": {"!=": "A"}}, "nobody has x; keys that exist: building, number", None),
    ({"biulding": None}, None, "biulding=null leaves nobody out: nobody has biulding"),
    ({"building": ["A"], "vip": None}, None, "vip=null leaves nobody out"),
    ({"building": None}, "values that exist: building is A, B", None),
    ({"number": {"has": "night"}}, "matches number~night,", None),
]


@pytest.mark.parametrize(("where", "error", "note"), FILTERS, ids=lambda one: str(one)[:30])
def test_a_filter_that_nobody_matches_says_what_there_is(
    tmp_path: Path, where: dict[str, object], error: str | None, note: str | None
) -> None:
    with make_gallery(tmp_path / "g", people=3) as gallery:
        if error is None:
            notes = gallery.check_search(where)
            assert (note is None) == (notes == [])
            assert note is None or note in notes[0]
            assert gallery.filter_notes(where) == notes
            return
        with pytest.raises(NobodySearchedError, match=error) as raised:
            gallery.check_search(where)
        assert raised.value.option == "where"
        assert "0 people" not in str(raised.value)
        assert gallery.filter_notes(where)[0].startswith("nobody of 3 people matches ")


def test_a_gallery_of_one_has_one_person(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", DEFAULT) as gallery:
        gallery.enroll_embeddings("Ada", [embed(vectors(1, dimension=128)[0], DEFAULT)])
        (answer,) = gallery.identify_embeddings([embed(vectors(2, dimension=128)[1], DEFAULT)])
        (several,) = gallery.identify_embeddings(
            [embed(vectors(2, dimension=128)[1], DEFAULT)], fpir=0.05
        )
    assert "among 1 person, 95 %" in answer.threshold.origin
    assert str(answer).count(f"{answer.threshold.value:.3f} (") == 1
    assert "0.05 false alarms" in str(several)


def test_filters_reach_the_search(tmp_path: Path) -> None:
    known = vectors(20)
    with make_gallery(tmp_path / "g", people=20) as gallery:
        (answer,) = gallery.identify_embeddings([embed(known[3])], where={"building": "A"}, top=20)
        assert answer.name is None
        assert answer.n_searched == 10
        assert {c.metadata["building"] for c in answer.candidates} == {"A"}
        assert len(answer.candidates) == 10
        gallery.annotate("person 3", {"building": "A"})
        (answer,) = gallery.identify_embeddings([embed(known[3])], where={"building": "A"})
        assert answer.name == "person 3"
        (answer,) = gallery.identify_embeddings([embed(known[3])], where={"building": "C"})
        assert (answer.name, answer.candidates, answer.n_searched) == (None, (), 0)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ({}, "abcd"),
        ({"age": 30}, "b"),
        ({"age": "30"}, ""),
        ({"age": {">=": 30}}, "bc"),
        ({"age": {">": 20, "<": 40}}, "b"),
        ({"age": {"!=": 30}}, "ac"),
        ({"role": ["guard", "cook"]}, "ab"),
        ({"role": []}, ""),
        ({"role": None}, "cd"),
        ({"groups": {"has": "night"}}, "a"),
        ({"staff": True}, "a"),
        ({"staff": 1}, "b"),
        ({'a "quoted".key[0]': "x"}, "c"),
        ({"age": 20, "role": "guard"}, "a"),
    ],
)
def test_filters(tmp_path: Path, where: dict[str, object], names: str) -> None:
    metadata = {
        "a": {"age": 20, "role": "guard", "groups": ["day", "night"], "staff": True},
        "b": {"age": 30.0, "role": "cook", "groups": ["day"], "staff": 1},
        "c": {"age": 40, "role": None, 'a "quoted".key[0]': "x"},
        "d": {},
    }
    with make_gallery(tmp_path / "g") as gallery:
        for name, vector in zip(metadata, vectors(4), strict=True):
            gallery.enroll_embeddings(name, [embed(vector)], metadata=metadata[name])
        gallery.annotate("c", metadata["c"] | {"role": None})
        assert "".join(info.name for info in gallery.people(where=where)) == names


@pytest.mark.parametrize("where", [7, {"a": object()}, {"a": {"like": 1}}, {"a": {}}, {1: 2}])
def test_filters_that_are_none(tmp_path: Path, where: dict[str, object]) -> None:
    with (
        make_gallery(tmp_path / "g", people=1) as gallery,
        pytest.raises(OptionError, match="where"),
    ):
        gallery.identify_embeddings([embed(vectors(1)[0])], where=where)


def test_an_empty_gallery_knows_nobody(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g") as gallery:
        (answer,) = gallery.identify_embeddings([embed(vectors(1)[0])])
        assert (answer.name, answer.candidates, answer.margin) == (None, (), None)
        assert gallery.identify_embeddings([]) == []


def test_the_threshold_follows_the_size(tmp_path: Path) -> None:
    calibration = bundled(DEFAULT, "cosine")
    assert calibration is not None
    drawn = vectors(300, dimension=128)
    with Gallery.create(tmp_path / "g", DEFAULT) as gallery:
        values = []
        for size in (10, 300):
            new = [
                (f"person {i}", NewSample(Embedding(drawn[i], 1.0, DEFAULT)))
                for i in range(gallery.n_people, size)
            ]
            gallery.enroll_samples(new, force=True)
            (answer,) = gallery.identify_embeddings([Embedding(drawn[4], 1.0, DEFAULT)])
            wanted = calibration.identification_threshold(size, 1, 0.01)
            assert answer.threshold.value == pytest.approx(wanted.value)
            assert answer.name == "person 4"
            values.append(answer.threshold.value)
        assert values[1] > values[0] + 0.02
        lenient = gallery.identify_embeddings([Embedding(drawn[4], 1.0, DEFAULT)], fpir=0.1)[0]
        assert lenient.threshold.value < values[1]
        with pytest.raises(OptionError, match="FPIR"):
            gallery.identify_embeddings([Embedding(drawn[4], 1.0, DEFAULT)], fpir=1e-9)

        # Bayes' rule over 300 people, by hand, for the candidates that were shown.
        query = Embedding(turned(drawn[4], 0.45).astype(np.float32), 1.0, DEFAULT)
        (answer,) = gallery.identify_embeddings([query], top=5)
        ratios = [math.exp(float(calibration.llr_of(c.similarity))) for c in answer.candidates]
        rest = 300 - 5 + 300 * (1 - 0.5) / 0.5
        for candidate, ratio in zip(answer.candidates, ratios, strict=True):
            assert candidate.probability == pytest.approx(ratio / (sum(ratios) + rest))
            assert candidate.low is not None
            assert candidate.high is not None
            assert candidate.low <= candidate.probability <= candidate.high


def test_without_a_table_for_galleries_a_fixed_rate_is_divided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lineament.gallery import _thresholds as thresholds
    from lineament.gallery._thresholds import search_threshold

    stated = [
        Stated("cosine", value, fmr, False, "a fit", 10**7)
        for fmr, value in ((1e-2, 0.25), (1e-3, 0.34), (1e-4, 0.41), (1e-5, 0.48))
    ]
    other = models.get("mobilefacenet").replace(thresholds=tuple(stated))
    monkeypatch.setattr(thresholds, "get", lambda name: other)
    contract = Contract(
        other.name, other.sha256, "arcface-112", other.input.color_order, False, 512
    )
    known = sorted(
        (t.fmr, t.threshold) for t in other.thresholds if t.metric == "cosine" and not t.flip
    )
    options = {"n_people": 100, "references": 1.0}
    found = search_threshold(None, contract, Settings(), fpir=100 * known[1][0], **options)
    assert found.value == pytest.approx(known[1][1])
    assert "no calibration for galleries" in found.origin
    strict = search_threshold(None, contract, Settings(), fpir=10 * known[0][0], **options)
    assert strict.value > known[0][1]
    assert "extrapolated" in strict.origin


@pytest.mark.parametrize("options", [{"top": 0}, {"threshold": 2.0}, {"top": 5000}])
def test_options_out_of_range(tmp_path: Path, options: dict[str, float]) -> None:
    with make_gallery(tmp_path / "g", people=1) as gallery, pytest.raises(OptionError):
        gallery.identify_embeddings([embed(vectors(1)[0])], **options)  # type: ignore[arg-type]


def test_the_contract_of_the_tests_is_no_real_one() -> None:
    assert bundled(CONTRACT, "cosine") is None
