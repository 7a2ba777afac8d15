"""Fusions against an independent computation, the bundled files, and verification end to end."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import fusions
import numpy as np
import pytest
from click.testing import CliRunner
from fusions import PairSet, folds_of, judge, meaning_of, out_of_fold, pair_set
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

import lineament
from lineament import Recognizer
from lineament.cli import app
from lineament.decide.ensemble_file import FOLDER, Kind, read_spec
from lineament.decide.fusion import (
    BoostedFusion,
    LogisticFusion,
    MeanFusion,
    Side,
    feature_names,
    features_of,
    pair_features,
    rises,
)
from lineament.decide.metrics import METRICS
from lineament.ensemble import Ensemble
from lineament.errors import (
    DataError,
    LicenseError,
    MissingExtraError,
    NoFaceError,
    OptionError,
    WeightsError,
    WeightsHashError,
)
from lineament.models import LicensePolicy

DEMO = Path(lineament.__file__).parent / "data" / "demo"
KINDS: tuple[Kind, ...] = ("boosted", "logistic", "mean")
NAMES = feature_names(["one", "two"])


def sides(n: int, *dimensions: int, seed: int = 0) -> list[Side]:
    random = np.random.default_rng(seed)
    made = []
    for dimension in dimensions:
        raw = random.normal(size=(n, dimension))
        norms = np.linalg.norm(raw, axis=1)
        made.append(Side((raw / norms[:, None]).astype(np.float32), norms.astype(np.float32)))
    return made


def people_pairs(n_people: int = 60, each: int = 4, *, seed: int = 0) -> PairSet:
    """All pairs of photos of people who resemble themselves, by two recognizers."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_people), each)
    made = []
    for dimension, noise in ((16, 0.7), (12, 1.2)):
        raw = random.normal(size=(n_people, dimension))[person]
        raw = raw + noise * random.normal(size=raw.shape)
        norms = np.linalg.norm(raw, axis=1)
        made.append(Side((raw / norms[:, None]).astype(np.float32), norms.astype(np.float32)))
    return pair_set(made, person, hard_fmr=0.02, sample=6000, seed=seed)


# --- features -------------------------------------------------------------------------------------


def test_features_have_one_order() -> None:
    assert NAMES[:7] == (
        "one.cosine",
        "one.euclidean",
        "one.euclidean_l2",
        "one.angular",
        "one.chi_square",
        "one.norm_low",
        "one.norm_high",
    )
    assert NAMES[7:] == tuple(name.replace("one", "two") for name in NAMES[:7])
    assert [n for n, rise in zip(NAMES, rises(NAMES), strict=True) if not rise] == [
        f"{which}.{norm}" for which in ("one", "two") for norm in ("norm_low", "norm_high")
    ]


def test_features_against_plain_loops() -> None:
    made = sides(6, 5, 9)
    left, right = np.array([0, 2, 4]), np.array([1, 3, 0])
    features = features_of(made, left, right)
    assert features.shape == (3, 14)
    for row, (i, j) in enumerate(zip(left, right, strict=True)):
        wanted: list[float] = []
        for side in made:
            u, v = side.vectors[i].astype(float), side.vectors[j].astype(float)
            a, b = u * float(side.norms[i]), v * float(side.norms[j])
            cosine = sum(x * y for x, y in zip(u, v, strict=True))
            wanted += [
                cosine,
                -math.dist(a, b),
                -math.dist(u, v),
                -math.acos(cosine) / math.pi,
                -sum((x - y) ** 2 / (abs(x) + abs(y)) for x, y in zip(u, v, strict=True)),
                min(side.norms[i], side.norms[j]),
                max(side.norms[i], side.norms[j]),
            ]
        np.testing.assert_allclose(features[row], wanted, atol=2e-5)


def test_features_do_not_depend_on_which_photo_is_first() -> None:
    a, b = sides(4, 5, 9), sides(4, 5, 9, seed=1)
    np.testing.assert_array_equal(pair_features(a, b), pair_features(b, a))


def test_a_closer_pair_has_higher_features() -> None:
    (base,) = sides(1, 8)
    near = base.vectors + np.float32(0.1) * sides(1, 8, seed=1)[0].vectors
    far = base.vectors + np.float32(0.9) * sides(1, 8, seed=1)[0].vectors
    rows = [
        pair_features([base], [Side(v / np.linalg.norm(v), base.norms)])[0] for v in (near, far)
    ]
    scores = rises(feature_names(["one"]))
    assert len(METRICS) == scores.sum()
    assert (rows[0][scores] > rows[1][scores]).all()


def test_sides_must_fit() -> None:
    with pytest.raises(OptionError, match="as many recognizers"):
        pair_features(sides(2, 5), sides(2, 5, 5))
    with pytest.raises(OptionError, match="as many recognizers"):
        pair_features(sides(2, 5), sides(3, 5))


# --- the three fusions ----------------------------------------------------------------------------


@pytest.mark.parametrize("made", [MeanFusion, LogisticFusion])
def test_linear_fusion_by_hand(made: type[MeanFusion]) -> None:
    fusion = made(np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.array([0.25, 0.75]), -1.0)
    # (3-1)/2 * .25 + (10-2)/4 * .75 - 1
    np.testing.assert_allclose(fusion.fuse(np.array([[3.0, 10.0], [1.0, 2.0]])), [0.75, -1.0])
    with pytest.raises(OptionError, match=r"\(M, 2\)"):
        fusion.fuse(np.zeros((1, 3)))
    with pytest.raises(DataError, match="above 0"):
        dataclasses.replace(fusion, sd=np.array([1.0, 0.0]))
    with pytest.raises(DataError, match="finite"):
        dataclasses.replace(fusion, bias=math.nan)


def test_mean_is_the_average_of_standard_scores() -> None:
    pairs = people_pairs()
    fused = fusions.fit_mean(pairs, (3, 1)).fuse(pairs.features)
    impostor, weight = pairs.features[~pairs.same], pairs.weight[~pairs.same]
    wanted = np.zeros(len(fused))
    for member, share in enumerate((3, 1)):
        for column in range(5):
            k = 7 * member + column
            mean = np.average(impostor[:, k], weights=weight)
            sd = math.sqrt(np.average((impostor[:, k] - mean) ** 2, weights=weight))
            wanted += share / 20 * (pairs.features[:, k] - mean) / sd
    np.testing.assert_allclose(fused, wanted, atol=1e-9)


def test_logistic_fusion_is_scikit_learns_where_no_bound_binds() -> None:
    pairs = people_pairs()
    # Two scores that both help, so that the bounds play no part.
    some = dataclasses.replace(pairs, features=pairs.features[:, [0, 7]])
    ridge, prior = 1e-2, 0.05
    made = fusions.fit_logistic_fusion(some, ["one.cosine", "two.cosine"], prior=prior, ridge=ridge)
    assert (made.weights > 0).all()
    same = some.same
    share = np.where(same, prior / same.sum(), 0)
    share[~same] = (1 - prior) * some.weight[~same] / some.weight[~same].sum()
    other = LogisticRegression(C=1 / ridge, tol=1e-12, max_iter=10_000)
    other.fit((some.features - made.mean) / made.sd, same, sample_weight=share)
    np.testing.assert_allclose(made.weights, other.coef_[0], rtol=1e-4)
    bias = other.intercept_[0] - math.log(prior / (1 - prior))
    np.testing.assert_allclose(made.bias, bias, rtol=1e-4)


def test_no_score_has_a_negative_weight() -> None:
    pairs = people_pairs()
    features = pairs.features.copy()
    features[:, 7:12] *= -1  # the second recognizer lies
    some = dataclasses.replace(pairs, features=features)
    ridge, prior = 1e-3, 0.05
    made = fusions.fit_logistic_fusion(some, NAMES, prior=prior, ridge=ridge)
    assert (made.weights[7:12] == 0).all()
    assert (made.weights[rises(NAMES)] >= 0).all()
    # The same minimum by SciPy's bounded quasi-Newton method
    x = np.column_stack([(features - made.mean) / made.sd, np.ones(len(features))])
    sign = np.where(some.same, 1.0, -1.0)
    share = np.where(some.same, prior / some.same.sum(), (1 - prior) * some.weight)
    share[~some.same] /= some.weight[~some.same].sum()

    def loss(w: Any) -> tuple[float, Any]:
        t = sign * (x @ w)
        slope = -share * sign * np.exp(-np.logaddexp(0, t))
        ridged = np.append(ridge * w[:-1], 0)
        return float(share @ np.logaddexp(0, -t) + ridged @ w / 2), x.T @ slope + ridged

    bounds = [(0, None) if rise else (None, None) for rise in rises(NAMES)] + [(None, None)]
    start = np.zeros(x.shape[1])
    found = minimize(loss, start, jac=True, bounds=bounds, options={"maxiter": 9999, "ftol": 1e-15})
    ours = np.append(made.weights, made.bias + math.log(prior / (1 - prior)))
    assert loss(ours)[0] == pytest.approx(found.fun, rel=1e-6)
    np.testing.assert_allclose(ours, found.x, atol=5e-3)


def test_boosted_fusion_never_falls_and_is_reproducible() -> None:
    pytest.importorskip("lightgbm")
    pairs = people_pairs()
    text = fusions.fit_boosted(pairs, NAMES, depth=2, rounds=20)
    assert fusions.fit_boosted(pairs, NAMES, depth=2, rounds=20) == text
    fusion = BoostedFusion(text, len(NAMES))
    fused = fusion.fuse(pairs.features)
    assert len(np.unique(fused)) > 10
    more = pairs.features + np.where(rises(NAMES), 0.2, 0.0)
    assert (fusion.fuse(more) >= fused).all()
    assert fusion.fuse(more).mean() > fused.mean()
    assert fused[pairs.same].mean() > 0 > fused[~pairs.same].mean()
    assert fusion.fuse(np.zeros((0, len(NAMES)))).shape == (0,)
    with pytest.raises(DataError, match="15 features"):
        BoostedFusion(text, 15)


def test_without_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingExtraError, match='pip install "lightgbm'):
        Ensemble.load("boosted")
    assert Ensemble.load("logistic").name == "ensemble-logistic"


# --- fitting --------------------------------------------------------------------------------------


def test_pairs_stand_for_all() -> None:
    pairs = people_pairs(30, 3)
    assert pairs.same.sum() == 30 * 3
    assert (pairs.weight[pairs.same] == 1).all()
    assert pairs.n_impostor == 90 * 89 // 2 - 90
    assert (pairs.left < pairs.right).all()


def test_all_pairs_that_any_member_finds_alike_are_taken() -> None:
    made, person = sides(80, 6, 6), np.arange(80)
    pairs = pair_set(made, person, hard_fmr=0.01, sample=200)
    i, j = np.triu_indices(80, 1)
    hard = np.zeros(len(i), bool)
    for side in made:
        cosines = np.einsum("nd,nd->n", side.vectors[i], side.vectors[j])
        hard |= cosines >= np.sort(cosines)[-int(0.01 * len(i))]
    taken = set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    assert len(taken) == len(pairs.left) < len(i)
    assert {(int(a), int(b)) for a, b in zip(i[hard], j[hard], strict=True)} <= taken


def test_nobody_is_scored_by_what_has_seen_them() -> None:
    pairs = people_pairs(20, 3)
    fold = folds_of(pairs, folds=4)
    assert np.bincount(fold).tolist() == [5, 5, 5, 5]
    seen = []

    def score(train: PairSet, test: PairSet) -> Any:
        people = set(train.person_left) | set(train.person_right)
        assert not people & (set(test.person_left) | set(test.person_right))
        seen.append(len(test.left))
        return test.features[:, 0]

    np.testing.assert_array_equal(out_of_fold(pairs, fold, score), pairs.features[:, 0])
    assert sum(seen) == len(pairs.left)
    assert len(seen) == 10


def test_rates_count_pairs_as_often_as_they_stand_for() -> None:
    person = np.array([0, 0, 1, 1, 0, 1, 2])
    other = np.array([0, 0, 1, 1, 2, 2, 3])
    weight = np.array([1.0, 1, 1, 1, 1, 9, 90])
    pairs = PairSet(
        np.arange(7), np.arange(7) + 1, person, other, weight, np.zeros((7, 1)), n_people=4
    )
    scores = np.array([0.9, 0.5, 0.3, 0.1, 0.6, 0.4, 0.2])  # four genuine, then 1, 9 and 90 others
    tar = judge(pairs, scores, (0.0, 0.01, 0.1, 0.99)).tar
    assert tar == {0.0: 0.25, 0.01: 0.5, 0.1: 0.75, 0.99: 0.75}


def test_meaning_of_scores_that_are_likelihood_ratios() -> None:
    pairs = people_pairs(120, 4)
    fold = folds_of(pairs)
    scores = out_of_fold(
        pairs, fold, lambda a, b: fusions.fit_logistic_fusion(a, NAMES).fuse(b.features)
    )
    made = meaning_of(pairs, scores, fold, fmrs=(1e-2, 1e-3, 1e-9), n_bootstrap=30)
    assert [point.fmr for point in made.points] == [1e-2, 1e-3]
    impostor, weight = scores[~pairs.same], pairs.weight[~pairs.same]
    for point in made.points:
        rate = weight[impostor >= point.value].sum() / weight.sum()
        assert 0.5 * point.fmr < rate <= point.fmr
        assert point.low <= point.value <= point.high
    assert 0 < made.cllr < 0.5
    assert (made.llr_low <= made.llr).all()
    assert (made.llr <= made.llr_high).all()


# --- the bundled files ----------------------------------------------------------------------------


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "boosted":
        pytest.importorskip("lightgbm")
    return str(request.param)


def test_bundled_file(kind: str) -> None:
    spec = read_spec(kind)
    assert [member.name for member in spec.members] == ["sface", "mobilefacenet", "dlib-resnet"]
    assert {1e-2, 1e-3, 1e-4, 1e-5} <= {point.fmr for point in spec.points}
    values = [point.value for point in spec.points]
    assert values == sorted(values)
    assert spec.n_people == 3095
    assert spec.data == "LFW View 1"
    files = list((FOLDER / kind).iterdir())
    assert len(files) == (2 if kind == "boosted" else 1)
    assert sum(path.stat().st_size for path in files) < 300_000


def test_bundled_fusion_never_falls(kind: str) -> None:
    fusion = read_spec(kind).fusion
    names = feature_names(["sface", "mobilefacenet", "dlib-resnet"])
    random = np.random.default_rng(0)
    features = features_of(sides(200, 128, 512, 128), *random.integers(0, 200, (2, 500)))
    features[:, ~rises(names)] *= 0.8
    more = features + np.where(rises(names), random.random(features.shape), 0)
    assert (fusion.fuse(more) >= fusion.fuse(features) - 1e-12).all()
    assert fusion.fuse(more).sum() > fusion.fuse(features).sum()


def test_a_tampered_model_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    assert read_spec("boosted", tmp_path).kind == "boosted"
    trees = tmp_path / "boosted" / "trees.txt"
    trees.write_bytes(trees.read_bytes().replace(b"leaf_value=-", b"leaf_value=", 1))
    with pytest.raises(WeightsHashError, match="SHA-256"):
        read_spec("boosted", tmp_path)
    trees.unlink()
    with pytest.raises(DataError, match=r"trees\.txt"):
        read_spec("boosted", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 1"),
        ({"kind": "mean"}, "kind logistic"),
        ({"features": ["sface.cosine"]}, "expected the features"),
        ({"score": [1.0, 0.0], "llr": [0, 1], "llr_low": [0, 1], "llr_high": [0, 1]}, "rising"),
        ({"llr": [1.0, 2.0]}, "one length"),
        ({"points": []}, "points"),
        ({"fusion": {"mean": [0.0], "sd": [1.0], "weights": [1.0], "bias": 0}}, "21 weights"),
        ({"fusion": {}}, "mean"),
        ({"n_people": "many"}, "n_people"),
    ],
    ids=str,
)
def test_a_broken_file_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    values = json.loads((FOLDER / "logistic" / "ensemble.json").read_text("utf-8"))
    (tmp_path / "logistic").mkdir()
    (tmp_path / "logistic" / "ensemble.json").write_text(json.dumps(values | change), "utf-8")
    with pytest.raises(DataError, match=message):
        read_spec("logistic", tmp_path)


def test_members_must_be_those_of_the_fit() -> None:
    spec = read_spec("mean")
    other = dataclasses.replace(spec.members[0], weights_sha256="0" * 64)
    with pytest.raises(WeightsError, match="was fitted with sface"):
        Ensemble(dataclasses.replace(spec, members=(other, *spec.members[1:])))
    with pytest.raises(LicenseError, match="mobilefacenet"):
        Ensemble(spec, policy=LicensePolicy.parse("any;deny:mobilefacenet"))
    with pytest.raises(OptionError, match="boosted, logistic, mean"):
        Ensemble.load("median")


# --- end to end -----------------------------------------------------------------------------------


def test_verify(kind: str) -> None:
    ensemble = Ensemble.load(kind)
    a, a2, b = (ensemble.look(DEMO / name) for name in ("obama.jpg", "obama2.jpg", "biden.jpg"))
    same, different = ensemble.decide(a, a2), ensemble.decide(a, b)
    assert same.verdict == "same"
    assert different.verdict == "different"
    assert same.metric == same.threshold.metric == f"ensemble-{kind}"
    assert same.threshold.fmr == 1e-4
    assert same.margin == same.score - same.threshold.value > 0 > different.margin
    assert same.probability is not None
    assert different.probability is not None
    assert same.probability > 0.999 > 0.05 > different.probability
    assert same.contract.weights_sha256 == ensemble.spec.sha256
    assert same.contract.dimension == 128 + 512 + 128
    assert same.contract.alignment == "arcface-112+dlib-150"
    assert same.quality_a is not None
    assert f"ensemble-{kind}" in str(same)
    assert json.dumps(same.to_dict())
    assert ensemble.decide(a2, a).score == same.score


def test_a_members_embedding_is_the_recognizers_own() -> None:
    ensemble = Ensemble.load("mean")
    seen = ensemble.look(DEMO / "obama.jpg")
    for member, embedding in zip(ensemble.spec.members, seen.embeddings, strict=True):
        own = Recognizer(member.name, flip=True).embed(DEMO / "obama.jpg")
        assert embedding.contract == own.contract
        np.testing.assert_allclose(embedding.vector, own.vector, atol=1e-5)
        assert embedding.norm == pytest.approx(own.norm, rel=1e-4)
    assert seen.photo.embedding is seen.embeddings[0]


def test_crops_that_two_take_are_cut_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = Ensemble.load("mean")
    cut, real = [], ensemble.finder.crops
    monkeypatch.setattr(
        ensemble.finder, "crops", lambda *a, **k: cut.append(k["alignment"]) or real(*a, **k)
    )
    seen = ensemble.look(DEMO / "obama.jpg")
    assert cut == ["arcface-112", "dlib-150"]
    assert len(seen.embeddings) == 3
    assert seen.photo.crop is not None
    assert seen.photo.crop.shape == (112, 112, 3)


@pytest.mark.slow
def test_lists_equal_single_photos_to_the_bit() -> None:
    ensemble = Ensemble.load("mean")
    names = ("obama.jpg", "obama2.jpg", "biden.jpg", "astronaut.jpg")
    nobody = np.zeros((100, 100, 3), np.uint8)
    photos: list[Any] = [DEMO / name for name in names]
    many = ensemble.verify([photos[0], *photos, nobody], [photos[1], *photos[::-1], photos[0]])
    assert [type(each).__name__ for each in many] == ["Decision"] * 5 + ["NoFaceError"]
    pairs = [photos[:2], *zip(photos, photos[::-1], strict=True)]
    for decision, (a, b) in zip(many[:-1], pairs, strict=True):
        alone = ensemble.verify(a, b)
        assert not isinstance(decision, Exception)
        assert decision.to_dict() == alone.to_dict()


def test_thresholds() -> None:
    ensemble = Ensemble.load("logistic")
    strict, loose = ensemble.threshold(fmr=1e-5), ensemble.threshold(fmr=1e-2)
    assert strict.value > ensemble.threshold().value > loose.value
    assert "out of fold" in strict.origin
    assert ensemble.threshold(value=0.5).value == 0.5
    with pytest.raises(OptionError, match="both"):
        ensemble.threshold(fmr=1e-4, value=1.0)
    with pytest.raises(OptionError, match=r"1e-07; there are some for 0\.01"):
        ensemble.threshold(fmr=1e-7)
    with pytest.raises(OptionError, match="both"):
        ensemble.verify("a.jpg", "b.jpg", threshold=strict, fmr=1e-4)
    seen = ensemble.look(DEMO / "obama.jpg")
    with pytest.raises(OptionError, match="for cosine"):
        ensemble.decide(seen, seen, Recognizer().threshold())


def test_probability_follows_the_prior() -> None:
    even = Ensemble.load("mean").certainty(3.0)
    rare = Ensemble.load("mean", prior=0.01).certainty(3.0)
    assert even.llr == rare.llr
    odds = even.probability / (1 - even.probability)
    assert rare.probability == pytest.approx(odds / 99 / (1 + odds / 99))
    assert even.low <= even.probability <= even.high


def test_no_face() -> None:
    with pytest.raises(NoFaceError, match="no face was found"):
        Ensemble.load("mean").look(np.zeros((100, 100, 3), np.uint8))


def test_command_line(tmp_path: Path) -> None:
    run = CliRunner().invoke
    photos = [str(DEMO / name) for name in ("obama.jpg", "obama2.jpg", "biden.jpg")]
    same = run(app, ["verify", *photos[:2], "--fusion", "mean", "--json"])
    assert same.exit_code == 0
    assert json.loads(same.stdout)["metric"] == "ensemble-mean"
    picture = tmp_path / "v.png"
    options = ["--fusion", "logistic", "--fmr", "1e-3", "--save", str(picture)]
    different = run(app, ["verify", photos[0], photos[2], *options])
    assert different.exit_code == 1
    assert "ensemble-logistic" in different.stdout
    assert picture.stat().st_size > 10_000
    for refused in (["--preset", "fast"], ["--metric", "angular"], ["--flip"]):
        failed = run(app, ["verify", *photos[:2], "--fusion", "mean", *refused])
        assert isinstance(failed.exception, OptionError) or failed.exit_code == 2
