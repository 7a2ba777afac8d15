"""Cleaning on tables with planted faults, and what `tune` makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_contract
from lineament.datasets.people_folder import People
from lineament.datasets.source import Embedded
from lineament.decide.calibration import Calibration
from lineament.decide.conditions import Conditions
from lineament.errors import DataError, ImageFormatError, OptionError
from lineament.fit._support import pairs_needed
from lineament.fit.clean import clean, groups_of, limits_of, looked_for
from lineament.fit.examine import Examined
from lineament.fit.tune import on_unseen_people, tune
from lineament.pictures.pages.tune import tune_result, tune_sections
from lineament.pipeline import Recognizer
from lineament.types import Quality

D = 64


def faces(people: int = 20, each: int = 6, noise: float = 0.7, seed: int = 0) -> tuple[Any, Any]:
    """(N, D) unit vectors about a center a person, in the order of the people; who is who."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(people, D))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    who = np.repeat(np.arange(people), each)
    vectors = centers[who] + noise * rng.normal(size=(len(who), D)) / np.sqrt(D)
    return unit(vectors), who


def unit(vectors: Any) -> Any:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def all_found(who: Any) -> Any:
    return np.ones(len(who), bool)


# --- cleaning -------------------------------------------------------------------------------------


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    vectors, who = faces()
    found = clean(vectors, who, all_found(who))
    assert found.suspects == ()
    assert found.duplicates == ()
    assert found.trusted.all()
    assert found.distinct.all()


def test_one_person_alone_has_no_limits() -> None:
    vectors, who = faces(people=1, each=4)
    found = clean(vectors, who, all_found(who))
    assert limits_of(vectors, who) is None
    assert found.trusted.all()


def test_limits_are_those_of_the_pairs_of_two_people() -> None:
    vectors, who = faces(people=8, each=3)
    scores = [
        float(vectors[i] @ vectors[j])
        for i in range(len(who))
        for j in range(i)
        if who[i] != who[j]
    ]
    middle = np.median(scores)
    deviation = 1.4826 * np.median(np.abs(scores - middle))
    limits = limits_of(vectors, who)
    assert limits is not None
    np.testing.assert_allclose(
        limits, [0.95, *(middle + k * deviation for k in (4, 2, 5, 2.6))], rtol=1e-5
    )


def test_duplicates_of_one_person_count_once() -> None:
    vectors, who = faces()
    vectors[3] = vectors[1]  # the same file
    near = vectors[8] + 0.01 * vectors[9]
    vectors[10] = near / np.linalg.norm(near)
    digests = [bytes([k % 250, k // 250]) for k in range(len(who))]
    digests[3] = digests[1]
    found = clean(vectors, who, all_found(who), digests=digests)
    assert [(d.photo, d.of, d.exact) for d in found.duplicates] == [
        (3, 1, True),
        (10, 8, False),
    ]
    assert found.duplicates[1].score == pytest.approx(float(vectors[8] @ vectors[10]))
    assert np.flatnonzero(~found.distinct).tolist() == [3, 10]
    assert found.suspects == ()


def test_of_a_chain_of_duplicates_no_two_that_count_are_near() -> None:
    vectors, who = faces()
    for k in range(1, 6):  # each like the one before, the last unlike the first
        step = vectors[k - 1] + 0.3 * vectors[60 + k]
        vectors[k] = step / np.linalg.norm(step)
    found = clean(vectors, who, all_found(who))
    left = np.flatnonzero(found.distinct & (who == 0))
    scores = (vectors[left] @ vectors[left].T)[np.triu_indices(len(left), 1)]
    assert 1 < len(left) < 6
    assert scores.max() <= 0.95


def test_mislabeled_photos_are_found_with_their_person() -> None:
    vectors, who = faces()
    who = who.copy()
    who[12] = 7  # of person 2, under 7
    who[[30, 31]] = 9  # two of person 5, under 9
    found = clean(vectors, who, all_found(who))
    assert [(s.kind, s.photos, s.person, s.other) for s in found.suspects] == [
        ("mislabeled", (12,), 7, 2),
        ("mislabeled", (30, 31), 9, 5),
    ]
    first = found.suspects[0]
    own = [i for i in np.flatnonzero(who == 7) if i != 12]
    assert first.own == pytest.approx(float((vectors[own] @ vectors[12]).mean()), abs=1e-6)
    theirs = np.flatnonzero(who == 2)
    assert first.towards == pytest.approx(float((vectors[theirs] @ vectors[12]).mean()), abs=1e-6)
    assert first.beside[0] in own
    assert first.beside[1] in theirs.tolist()
    assert np.flatnonzero(~found.trusted).tolist() == [12, 30, 31]
    assert found.distinct.all()


def test_two_photos_that_changed_places_are_both_found() -> None:
    vectors, who = faces()
    who = who.copy()
    who[[0, 6]] = who[[6, 0]]
    found = clean(vectors, who, all_found(who))
    assert [(s.photos, s.person, s.other) for s in found.suspects] == [
        ((0,), 1, 0),
        ((6,), 0, 1),
    ]


def test_a_folder_of_two_people_is_found() -> None:
    vectors, who = faces(people=21)
    who = who.copy()
    who[124:] = 19  # two of person 20 under 19; the other four nowhere
    keep = np.r_[0:120, 124:126]
    found = clean(vectors[keep], who[keep], all_found(keep))
    assert [(s.kind, s.photos, s.person, s.other) for s in found.suspects] == [
        ("two people", (120, 121), 19, None)
    ]


def test_a_stranger_who_is_nobody_here_is_found() -> None:
    vectors, who = faces(people=22)
    who = who.copy()
    who[120] = 3  # one of person 20, under 3; the others of 20 and 21 are nowhere
    keep = np.r_[0:121]
    found = clean(vectors[keep], who[keep], all_found(keep))
    assert [(s.kind, s.photos, s.person, s.other) for s in found.suspects] == [
        ("unlike", (120,), 3, None)
    ]
    (suspect,) = found.suspects
    own = np.flatnonzero(who[:120] == 3)
    assert suspect.own == pytest.approx(float((vectors[own] @ vectors[120]).mean()), abs=1e-6)
    assert suspect.beside[0] in own.tolist()
    assert np.flatnonzero(~found.trusted).tolist() == [120]


def test_two_photos_that_disagree_are_both_doubtful() -> None:
    vectors, who = faces(people=22)
    who = who.copy()
    who[[120, 126]] = 20
    keep = np.r_[0:121, 126]
    found = clean(vectors[keep], who[keep], all_found(keep))
    assert [(s.kind, s.photos, s.person) for s in found.suspects] == [("undecided", (120, 121), 20)]
    assert np.flatnonzero(~found.trusted).tolist() == [120, 121]


def test_what_cannot_be_judged_is_said() -> None:
    vectors, who = faces(people=22)
    who = who.copy()
    who[120], who[126] = 3, 21
    keep = np.r_[0:121, 126]
    norms = np.full(len(keep), 10.0)
    norms[120] = 5.0  # the recognizer sees half as much of a face
    found = clean(vectors[keep], who[keep], all_found(keep), norms=norms)
    assert found.suspects == ()
    assert (found.not_judged, found.alone) == ((120,), (21,))
    words = looked_for(found)
    assert "photos unlike the others of their folder" in words
    assert "1 folder with one photo" in words
    assert "too little of a face" in words


def test_one_person_alone_is_judged_by_a_calibration() -> None:
    vectors, who = faces(people=2, each=4)
    who = np.zeros(5, np.int64)
    found = clean(vectors[:5], who, all_found(who), unlike=0.33)
    assert [(s.kind, s.photos) for s in found.suspects] == [("unlike", (4,))]
    assert looked_for(found) == "Looked for: photos unlike the others of their folder."
    silent = clean(vectors[:5], who, all_found(who))
    assert silent.suspects == ()
    assert looked_for(silent).startswith("Not looked for")


def test_a_recognizer_that_tells_nobody_apart_accuses_nobody() -> None:
    vectors, who = faces(noise=2.0)
    found = clean(vectors, who, all_found(who))
    assert [s for s in found.suspects if s.kind in ("unlike", "undecided")] == []
    assert found.limits.unlike is None
    assert "Not judged: photos unlike the others" in looked_for(found)


def test_two_folders_of_one_person_are_found() -> None:
    vectors, who = faces(noise=0.5)
    who = who.copy()
    who[[0, 1]] = 20
    found = clean(vectors, who, all_found(who))
    assert [(s.kind, s.photos, s.person, s.other) for s in found.suspects] == [
        ("one person", (0, 1), 20, 0)
    ]


def test_one_photo_under_two_names_counts_for_neither() -> None:
    vectors, who = faces(each=1)
    vectors[4] = vectors[2]
    found = clean(vectors, who, all_found(who))
    assert [(s.kind, s.photos, s.person, s.other) for s in found.suspects] == [
        ("two names", (2,), 2, 4),
        ("two names", (4,), 4, 2),
    ]


def test_photos_without_a_face_play_no_part() -> None:
    vectors, who = faces()
    seen = all_found(who)
    seen[[0, 50]] = False
    vectors[[0, 50]] = np.nan
    found = clean(vectors, who, seen)
    assert np.flatnonzero(~found.trusted).tolist() == [0, 50]
    assert found.suspects == ()


@pytest.mark.parametrize("least", [0.0, 0.2, 0.4, 0.6])
def test_groups_are_those_of_scipy(least: float) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    vectors, _ = faces(people=4, each=5, noise=1.2, seed=3)
    similarity = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    distance = (1 - similarity)[np.triu_indices(len(vectors), 1)]
    theirs = hierarchy.fcluster(hierarchy.linkage(distance, "average"), 1 - least, "distance")
    ours = groups_of(similarity, least)
    assert len(set(ours.tolist())) > 1
    np.testing.assert_array_equal(ours[:, None] == ours[None], theirs[:, None] == theirs[None])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"person": np.zeros(3, int)}, "expected vectors"),
        ({"found": np.ones(120)}, "bool"),
        ({"duplicate": 0}, "duplicate"),
        ({"digests": [b""]}, "digests"),
    ],
)
def test_wrong_input_is_refused(change: dict[str, Any], words: str) -> None:
    vectors, who = faces()
    values: dict[str, Any] = {"person": who, "found": all_found(who)} | change
    with pytest.raises(OptionError, match=words):
        clean(vectors, **values)


# --- tune -----------------------------------------------------------------------------------------


def collection(vectors: Any, who: Any, **changes: Any) -> tuple[People, Examined]:
    names = tuple(f"person {k:02}" for k in range(int(who.max()) + 1))
    folder = Path("collection")
    people = People(
        folder, tuple(folder / names[p] / f"{i}.jpg" for i, p in enumerate(who)), names, who
    )
    n = len(who)
    examined = Examined(
        Embedded(vectors, np.full(n, 10, np.float32), all_found(who)),
        np.ones(n, np.int64),
        np.tile(np.float32([10, 10, 50, 60]), (n, 1)),
        (Quality(30, 0.14, 0.0, 0.0, 0.5, 0.2, 10.0),) * n,
        tuple(str(i).encode() for i in range(n)),
    )
    return people, replace(examined, **changes)


def tuned(vectors: Any, who: Any, **options: Any) -> Any:
    people, examined = collection(vectors, who)
    return tune(people, examined, contract=make_contract(dimension=D), n_bootstrap=20, **options)


def impostors(vectors: Any, who: Any) -> Any:
    scores = vectors @ vectors.T
    upper = np.triu_indices(len(who), 1)
    return np.sort(scores[upper][who[upper[0]] != who[upper[1]]])[::-1]


def test_the_threshold_lets_in_what_was_wanted() -> None:
    vectors, who = faces(noise=2.0)
    made = tuned(vectors, who, fmr=1e-2)
    scores = impostors(vectors, who)
    allowed = int(0.01 * len(scores))
    at = made.threshold.plain.value
    assert scores[allowed] < at <= scores[allowed - 1] + 1e-6
    assert made.own.fmr.errors == int((scores >= at).sum())
    assert made.own.fmr.trials == len(scores)
    assert made.threshold.low <= at <= made.threshold.high
    assert made.calibration.threshold(0.01).plain.value == at
    assert made.bundled is None  # nothing of the package is for this contract
    assert "no threshold of its own" in made.comparison


def test_without_a_rate_the_least_supported_one_is_taken() -> None:
    vectors, who = faces(noise=2.0)
    made = tuned(vectors, who)
    pairs = len(impostors(vectors, who))
    assert 30 / pairs <= made.fmr < 1.1 * 30 / pairs
    assert made.calibration.rate_nearest(1e-4) == made.fmr
    assert "do not support the default rate" in " ".join(made.notes)


def test_a_rate_beyond_the_data_is_refused_with_what_it_takes() -> None:
    vectors, who = faces()
    with pytest.raises(OptionError, match="300,000 pairs") as error:
        tuned(vectors, who, fmr=1e-4)
    assert "rule of 30" in str(error.value)
    # 120 photos have 20 * 19 / 2 * 36 = 6,840 pairs, which support 30 / 6,840 = 0.00439
    assert "6,840, which support 0.0044" in str(error.value)
    # 6^2 P (P - 1) / 2 >= 300,000 from P = 130 on
    assert "130 people with 6 each" in str(error.value)
    assert pairs_needed(1e-4) == 300_000


@pytest.mark.parametrize(
    ("people", "each", "words"),
    [(9, 6, "at least 10 people"), (20, 1, "two different"), (10, 2, "1,000 pairs")],
)
def test_too_few_are_refused(people: int, each: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        tuned(*faces(people, each))


def test_copies_are_no_second_photo() -> None:
    vectors, who = faces(each=2)
    vectors[1::2] = vectors[::2]
    with pytest.raises(DataError, match="20 of 40 photos count"):
        tuned(vectors, who)


def test_suspects_are_left_out_or_kept_and_both_thresholds_told() -> None:
    vectors, who = faces(noise=0.5)
    wrong = who.copy()
    wrong[[0, 1]] = 20
    without, kept = (tuned(vectors, wrong, fmr=1e-2, keep_suspects=k) for k in (False, True))
    assert without.used.sum() == 118
    assert kept.used.sum() == 120
    rest = np.arange(2, 120)
    told = (
        (without.without_suspects, impostors(vectors[rest], wrong[rest])),
        (without.with_suspects, impostors(vectors, wrong)),
    )
    for value, scores in told:
        assert (scores >= value).sum() == int(0.01 * len(scores))
    assert kept.with_suspects == pytest.approx(without.with_suspects)
    assert kept.without_suspects == pytest.approx(without.without_suspects)
    assert without.to_dict()["cleaning"]["suspects"] == [
        {
            "kind": "one person",
            "photos": ["person 20/0.jpg", "person 20/1.jpg"],
            "person": "person 20",
            "other": "person 00",
            "own_score": None,
            "other_score": pytest.approx(
                float((vectors[[0, 1]] @ vectors[2:6].T).mean()), abs=1e-5
            ),
        }
    ]


def test_thresholds_are_tried_on_other_people() -> None:
    vectors, who = faces(people=25, noise=2.0)
    unseen = on_unseen_people(vectors, who, 1e-2)
    assert unseen is not None
    assert len(unseen.thresholds) == 5
    assert unseen.impostor_pairs == 5 * 10 * 36  # 5 people in each of 5 folds
    assert unseen.genuine_pairs == 25 * 15
    assert 0 < unseen.false_matches < 0.05 * unseen.impostor_pairs
    assert on_unseen_people(vectors, who, 3e-3) is None  # supported by all people, not by 4 of 5


def test_what_cannot_be_used_is_listed(tmp_path: Path) -> None:
    vectors, who = faces(noise=1.0)
    people, examined = collection(vectors, who)
    found = all_found(who)
    found[[4, 5]] = False
    many = np.ones(len(who), np.int64)
    many[7] = 3
    dark = replace(examined.quality[0], brightness=0.01)
    examined = replace(
        examined,
        embedded=replace(
            examined.embedded, found=found, unreadable={4: ImageFormatError("broken")}
        ),
        faces=many,
        quality=(dark, *examined.quality[1:]),
    )
    made = tune(people, examined, contract=make_contract(dimension=D), n_bootstrap=20)
    lists = made.to_dict()["cleaning"]
    assert lists["unreadable"] == [{"source": "person 00/4.jpg", "error": "broken"}]
    assert lists["without_face"] == ["person 00/5.jpg"]
    assert lists["several_faces"] == [
        {"source": "person 01/7.jpg", "n_faces": 3, "taken_box_xyxy": [10, 10, 50, 60]}
    ]
    assert made.low_quality["any"] == made.low_quality["least_brightness"] == 1
    assert made.calibration.n_photos == 118
    path = tmp_path / "own.json"
    made.calibration.save(path)
    assert Calibration.load(path).to_dict() == made.calibration.to_dict()


def test_the_least_norm_is_found_where_weak_photos_are_missed() -> None:
    vectors, who = faces(people=60, each=8, noise=0.8)
    rng = np.random.default_rng(1)
    weak = np.arange(len(who)) % 80 == 3
    vectors[weak] = unit(rng.normal(size=(int(weak.sum()), D)))
    people, examined = collection(vectors, who)
    norms = np.where(weak, 3, 10 + rng.random(len(who))).astype(np.float32)
    examined = replace(examined, embedded=replace(examined.embedded, norms=norms))
    made = tune(people, examined, contract=make_contract(dimension=D), n_bootstrap=20, fmr=1e-3)
    # 6 photos with 7 genuine pairs each are missed: 42 of 1,680 pairs are more than 2 %
    assert made.calibration.quality == {}
    vectors, who = faces(people=80, each=8, noise=0.8)
    vectors[[3, 83, 163, 243, 323]] = unit(rng.normal(size=(5, D)))
    norms = 10 + rng.random(len(who)).astype(np.float32)
    norms[[3, 83, 163, 243, 323]] = 3
    people, examined = collection(vectors, who)
    examined = replace(examined, embedded=replace(examined.embedded, norms=norms))
    made = tune(people, examined, contract=make_contract(dimension=D), n_bootstrap=20, fmr=1e-3)
    assert 3 < made.calibration.quality["least_norm"] < 11


def test_the_report_says_all_of_it() -> None:
    vectors, who = faces()
    wrong = who.copy()
    wrong[12] = 7
    made = tuned(vectors, wrong, fmr=1e-2)
    result = tune_result(made)
    assert result.part("all_pairs").measures["n_impostor_pairs"] == made.own.fmr.trials
    sections = tune_sections(made, "own.json")
    titles = [section.title for section in sections]
    # There is nothing of the package's to set beside for these made-up embeddings.
    assert made.bundled is None
    assert titles[:3] == ["Thresholds", "Rates on your photos", "Probably wrong names"]
    wrong_names = sections[titles.index("Probably under a wrong name")]
    assert wrong_names.tables[0].rows[0][0] == "person 07/12.jpg"
    assert next(tile.names for tile in wrong_names.tiles)[0] == "person 07/12.jpg"


def test_few_photos_do_not_loosen_what_same_means() -> None:
    """Without --fmr the package's threshold stays, where there is one and it is the stricter."""
    recognizer = Recognizer()
    contract = recognizer.embedder.contract
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(20), 4)
    vectors = rng.normal(size=(20, contract.dimension))[who]
    vectors = vectors + 0.5 * rng.normal(size=vectors.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    people, examined = collection(vectors, who)
    options = {"contract": contract, "n_bootstrap": 20}
    small = tune(people, examined, **options)  # type: ignore[arg-type]
    assert small.fmr > 1e-3
    assert small.calibration.wanted_fmr is None
    assert any(note.startswith("keep the package's threshold") for note in small.notes)
    plain = recognizer.threshold()
    guarded = Recognizer(calibration=small.calibration)
    assert guarded.threshold() == plain
    assert guarded.threshold(fmr=small.fmr).value == small.threshold.plain.value
    asked = tune(people, examined, fmr=small.fmr, **options)  # type: ignore[arg-type]
    assert not any(note.startswith("keep") for note in asked.notes)
    assert asked.calibration.wanted_fmr == small.fmr
    own = Recognizer(calibration=asked.calibration).threshold()
    assert own.value == asked.threshold.plain.value


# --- both photos bad ------------------------------------------------------------------------------


def known(rise: Any = (2.0, 0.1, 0.0)) -> Conditions:
    table = np.array(rise)[np.maximum(np.arange(3)[:, None], np.arange(3)[None])]
    return Conditions([0.3, 0.6, 1.0], table, table / 4, np.ones((3, 3)), "made-up faces")


def with_known(monkeypatch: pytest.MonkeyPatch, vectors: Any, who: Any) -> Calibration:
    """The package's own calibration knows of two bad photos."""
    plain = tuned(vectors, who, fmr=1e-2).calibration
    limits = {"least_recognizability": 0.2, "least_norm": 3.0}
    made: Calibration = replace(plain, conditions=known(), quality=limits)
    monkeypatch.setattr("lineament.fit.tune.bundled", lambda *_: made)
    return made


def tuned_with(vectors: Any, who: Any, left: Any, **options: Any) -> Any:
    people, examined = collection(vectors, who)
    quality = tuple(
        None if np.isnan(v) else replace(examined.quality[0], recognizability=float(v))
        for v in left
    )
    examined = replace(examined, quality=quality)
    return tune(people, examined, contract=make_contract(dimension=D), n_bootstrap=20, **options)


def test_what_is_known_of_bad_photos_goes_with_the_users_calibration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, who = faces(noise=2.0)
    with_known(monkeypatch, vectors, who)
    made = tuned_with(vectors, who, np.ones(len(who)), fmr=1e-2)
    own = made.calibration
    assert own.conditions is not None
    assert own.conditions.to_dict() == known().to_dict()
    assert dict(own.quality) == {"least_recognizability": 0.2}  # the norm's is left out
    assert "the package's own thresholds" in made.conditions.in_words
    assert "too few pairs" in made.conditions.in_words
    values = made.to_dict()["conditions"]
    assert values["data"] == "made-up faces"
    assert values["n_photos"] == len(who)
    assert [row["fitted"] for row in values["rises"]] == [False] * 3
    assert [row["threshold_rise"] for row in values["rises"]] == [2.0, 0.1, 0.0]
    assert Calibration.from_dict(own.to_dict()).conditions is not None


def test_rises_are_those_of_the_users_pairs_where_they_suffice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, who = faces(people=40, noise=2.0)
    bad = np.arange(len(who)) % 6 < 3
    alike = np.where(bad[:, None], 0.7 * np.eye(D)[0], 0).astype(np.float32)
    vectors = unit(vectors + alike)
    with_known(monkeypatch, vectors, who)
    left = np.where(bad, 0.6, 1.0)
    left[0] = np.nan
    made = tuned_with(vectors, who, left, fmr=1e-2)
    rows = made.to_dict()["conditions"]["rises"]
    assert [row["fitted"] for row in rows] == [False, True, False]
    assert rows[1]["impostor_pairs"] > 3000
    rise = made.calibration.conditions.at(0.6, 0.6).threshold_rise
    assert rise > 0.02
    mine = bad & ~np.isnan(left)
    scores = impostors(vectors[mine], who[mine])
    at = made.threshold.plain.value
    assert (scores >= at).mean() > 0.015
    assert 0.005 < (scores >= at + rise).mean() <= 0.01
    assert "recognizability 0.60 are those of your pairs" in made.conditions.in_words
    assert "partly by" in made.calibration.conditions.data


def test_few_photos_keep_the_packages_rises_with_its_threshold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, who = faces(noise=2.0)
    with_known(monkeypatch, vectors, who)
    made = tuned_with(vectors, who, np.full(len(who), 0.6))
    assert made.calibration.wanted_fmr is None
    assert not made.conditions.raised.fitted.any()
    assert made.calibration.conditions.to_dict() == known().to_dict()


def test_without_an_estimate_the_norms_limit_stays() -> None:
    vectors, who = faces(noise=2.0)
    made = tuned(vectors, who, fmr=1e-2)
    assert made.conditions is None
    assert made.calibration.conditions is None
    assert made.to_dict()["conditions"] is None
