"""Pictures of many faces: their numbers, computed again by other means, and what they look like."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.metrics.pairwise import cosine_distances, cosine_similarity
from sklearn.neighbors import NearestNeighbors

from lineament.datasets.source import Embedded
from lineament.errors import DataError, NoFaceError, OptionError
from lineament.explain.faces import Faces, draw, load_people, photos_in
from lineament.pictures import plots as plot
from lineament.pictures.plots._label_places import apart, beside
from lineament.pictures.plots._ordering import leaf_order
from lineament.pictures.plots.correlation import closest
from lineament.pictures.plots.histogram import distances_to
from lineament.pictures.plots.plot import Plot, save
from lineament.pictures.plots.tsne import neighbors, on_plane
from lineament.types import Threshold

pytest.importorskip("matplotlib")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
THRESHOLD = Threshold(0.45, "cosine", 1e-3, "made-up faces", 1000)


def make_faces(
    people: int = 5, each: int = 4, *, crops: bool = True, noise: float = 0.5, **changes: Any
) -> Faces:
    """People about random directions; crops of one hue a person."""
    rng = np.random.default_rng(7)
    centers = rng.normal(size=(people, 32))
    person = np.repeat(np.arange(people), each)
    vectors = centers[person] + noise * rng.normal(size=(len(person), 32))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    hues = rng.integers(40, 220, (people, 3))
    pictures = np.broadcast_to(
        hues[person][:, None, None].astype(np.uint8), (len(person), 112, 112, 3)
    ).copy()
    pictures[:, 30:60, 30:80] = 20
    values: dict[str, Any] = {
        "paths": tuple(Path(f"p{k}/{i}.jpg") for i, k in enumerate(person)),
        "names": tuple(f"Person {k}" for k in range(people)),
        "person": person.astype(np.int64),
        "vectors": vectors.astype(np.float32),
        "norms": np.ones(len(person), np.float32),
        "crops": pictures if crops else None,
    }
    return Faces(**values | changes)


def pixels(made: Plot, tmp_path: Path, name: str = "a.png") -> np.ndarray:
    save(made, tmp_path / name)
    return np.asarray(PILImage.open(tmp_path / name).convert("RGB"))


def looks_right(image: np.ndarray) -> bool:
    """Not blank, and nothing runs into the edges."""
    edges = np.concatenate([image[:6].ravel(), image[-6:].ravel(), image[:, :6].ravel(),
                            image[:, -6:].ravel()])  # fmt: skip
    return bool((edges == 255).all() and (image != 255).any(axis=2).mean() > 0.03)


# --- the faces ------------------------------------------------------------------------------------


class FakeSource:
    """Finds a face in each photo that is not black; its vector is its mean color."""

    recognizer: Any = None

    def photos(self, paths: Any) -> Embedded:
        colors = np.array(
            [np.asarray(PILImage.open(path).convert("RGB")).mean(axis=(0, 1)) for path in paths]
        ).reshape(-1, 3)
        found = colors.sum(axis=1) > 0
        lengths = np.linalg.norm(colors, axis=1)
        vectors = colors / np.maximum(lengths, 1e-9)[:, None]
        return Embedded(vectors.astype(np.float32), lengths.astype(np.float32), found)


def photo(path: Path, color: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PILImage.new("RGB", (8, 8), color).save(path)
    return path


def test_folder_a_person(tmp_path: Path) -> None:
    photo(tmp_path / "Ada" / "1.png", (200, 10, 10))
    photo(tmp_path / "Ada" / "2.png", (0, 0, 0))
    photo(tmp_path / "김구" / "1.png", (10, 200, 10))
    faces = load_people(tmp_path, FakeSource(), keep_crops=False)
    assert faces.names == ("Ada", "김구")
    assert faces.named
    assert faces.relative == ("Ada/1.png", "김구/1.png")
    assert [(path.name, why) for path, why in faces.left_out] == [("2.png", "no face was found")]
    assert faces.notes == ("left out: 1 without a face",)
    np.testing.assert_allclose(np.linalg.norm(faces.vectors, axis=1), 1, atol=1e-6)


def test_plain_photos_have_a_name_each(tmp_path: Path) -> None:
    paths = [
        photo(tmp_path / "a" / "1.png", (9, 1, 1)),
        photo(tmp_path / "b" / "1.png", (1, 9, 1)),
        photo(tmp_path / "b" / "2.png", (1, 1, 9)),
    ]
    faces = load_people(paths, FakeSource(), keep_crops=False)
    assert not faces.named
    assert sorted(faces.names) == ["2", "a/1.png", "b/1.png"]
    assert [faces.name(row) for row in range(3)] == ["a/1.png", "b/1.png", "2"]
    flat = load_people(tmp_path / "b", FakeSource(), keep_crops=False)
    assert [flat.name(row) for row in range(2)] == ["1", "2"]
    assert photos_in(tmp_path / "b") == paths[1:]


@pytest.mark.parametrize(
    ("colors", "error", "words"),
    [
        ([], DataError, "expected"),
        ([(9, 9, 9)], DataError, "at least 2 photos, found 1"),
        ([(0, 0, 0), (0, 0, 0)], NoFaceError, "found 0 in 2 photos"),
        ([(9, 9, 9), (0, 0, 0)], NoFaceError, "found 1 in 2 photos"),
    ],
)
def test_too_few(tmp_path: Path, colors: list[Any], error: type[Exception], words: str) -> None:
    for i, color in enumerate(colors):
        photo(tmp_path / f"{i}.png", color)
    with pytest.raises(error, match=words):
        load_people(tmp_path, FakeSource(), keep_crops=False)


def test_a_sample_keeps_people_with_several_photos() -> None:
    person = np.array([0] * 30 + [1] * 3 + list(range(2, 60)))
    rows = draw(person, 20, seed=3)
    assert len(rows) == len(np.unique(rows)) == 20
    assert (np.bincount(person[rows])[:2] == 2).all()  # 2 = max(2, 20 // 12)
    np.testing.assert_array_equal(rows, draw(person, 20, seed=3))
    assert not np.array_equal(rows, draw(person, 20, seed=4))
    few = draw(np.zeros(50, np.int64), 20)
    assert len(np.unique(few)) == 20  # one person only: the room is filled
    sampled = make_faces(10, 4).sample(12, seed=1)
    assert len(sampled) == 12
    assert sampled.notes == ("12 of 40 photos of 6 of 10 people, drawn at random (seed 1)",)


def test_order_is_that_of_the_tree() -> None:
    faces = make_faces(6, 3)
    table = cosine_similarity(faces.vectors)
    tree = linkage(pdist(faces.vectors.astype(np.float64), "cosine"), "average",
                   optimal_ordering=True)  # fmt: skip
    theirs = leaves_list(tree)
    mine = leaf_order(table)
    assert mine.tolist() in (theirs.tolist(), theirs[::-1].tolist())
    assert mine[0] < mine[-1]


# --- grid -----------------------------------------------------------------------------------------


def test_grid(tmp_path: Path) -> None:
    faces = make_faces(noise=0.9)
    made = plot.grid(faces, threshold=THRESHOLD)
    rows = [faces.relative.index(name) for name in made.numbers["photos"]]
    assert sorted(rows) == list(range(20))
    table = cosine_similarity(faces.vectors[rows])
    np.testing.assert_allclose(made.numbers["similarity"], table, atol=2e-6)
    person = faces.person[rows]
    assert (np.diff(person) != 0).sum() == 4  # people stand together
    i, j = np.triu_indices(20, 1)
    same, match = person[i] == person[j], table[i, j] >= 0.45
    assert made.numbers["n_genuine_pairs"] == same.sum() == 30
    assert made.numbers["n_false_non_matches"] == (same & ~match).sum() > 0
    assert made.numbers["n_false_matches"] == (~same & match).sum()
    assert looks_right(pixels(made, tmp_path))


def test_grid_without_names_or_threshold(tmp_path: Path) -> None:
    plain = make_faces(4, 1, named=False, names=("a", "b", "Ä" * 60, "$x_1$"))
    made = plot.grid(plain)
    assert made.numbers["n_false_matches"] is None
    assert looks_right(pixels(made, tmp_path))


def test_grid_of_many_is_sampled_and_unnumbered(tmp_path: Path) -> None:
    made = plot.grid(make_faces(40, 4, crops=False), most=70, seed=5)
    assert len(made.numbers["photos"]) == 70
    assert "70 of 160 photos" in made.numbers["notes"][0]
    assert "no numbers" in made.numbers["notes"][1]
    assert looks_right(pixels(made, tmp_path))
    with pytest.raises(OptionError, match="at least 2"):
        plot.grid(make_faces(1, 1))


# --- the plane ------------------------------------------------------------------------------------


def test_tsne_keeps_people_together_and_repeats(tmp_path: Path) -> None:
    faces = make_faces(8, 5)
    made = plot.tsne(faces, seed=1, threads=1)
    xy = np.array(made.numbers["xy"])
    assert np.abs(xy).max() <= 1
    assert silhouette_score(xy, faces.person) > 0.7
    again = plot.tsne(faces, seed=1, threads=2, page=False)
    assert again.numbers["xy"] == made.numbers["xy"]
    nearest = NearestNeighbors(n_neighbors=2, metric="cosine").fit(faces.vectors)
    second = nearest.kneighbors(faces.vectors, return_distance=False)[:, 1]
    assert made.numbers["nearest_is_same_person"] == (faces.person[second] == faces.person).mean()
    assert looks_right(pixels(made, tmp_path))


def test_pca_is_that_of_scikit_learn() -> None:
    faces = make_faces(6, 4)
    mine = on_plane(faces, method="pca")
    theirs = PCA(2, svd_solver="full").fit_transform(faces.vectors.astype(np.float64))
    for axis in (0, 1):
        assert abs(np.corrcoef(mine[:, axis], theirs[:, axis])[0, 1]) > 1 - 1e-6


def test_neighbors_are_exact() -> None:
    vectors = make_faces(300, 4).vectors
    mine = neighbors(vectors, 5)
    finder = NearestNeighbors(n_neighbors=6, metric="cosine", algorithm="brute").fit(vectors)
    distances, places = finder.kneighbors(vectors)
    np.testing.assert_array_equal(mine.places, places[:, 1:])
    np.testing.assert_allclose(mine.distances, distances[:, 1:], atol=1e-5)


@pytest.mark.parametrize("number", [1, 2, 60, 200])
@pytest.mark.slow
def test_squares_do_not_overlap(number: int) -> None:
    rng = np.random.default_rng(number)
    places = rng.normal(5, 0.3, (number, 2))
    places[: number // 3] = 5.0  # many at one place
    side = 0.5
    moved = apart(places, side, (10, 8))
    gaps = np.abs(moved[:, None] - moved[None]).max(axis=2)
    gaps[np.diag_indices(number)] = np.inf
    assert gaps.min() >= side - 1e-6
    assert (moved >= side / 2 - 1e-9).all()
    assert (moved <= np.array([10, 8]) - side / 2 + 1e-9).all()
    alone = np.array([[2.0, 2.0], [7.0, 5.0]])
    np.testing.assert_allclose(apart(alone, side, (10, 8)), alone, atol=1e-3)


def test_labels_touch_no_square() -> None:
    rng = np.random.default_rng(0)
    squares = apart(rng.uniform(1, 8, (40, 2)), 0.6, (10, 8))
    groups = [squares[k::5] for k in range(5)]
    found = beside(groups, [(1.2, 0.3)] * 5, squares, 0.6, (10, 8))
    placed = found[~np.isnan(found[:, 0])]
    assert len(placed) >= 3
    for x, y, wide, high in placed.tolist():
        clear = (np.abs(squares[:, 0] - x) >= (0.6 + wide) / 2 - 1e-9) | (
            np.abs(squares[:, 1] - y) >= (0.6 + high) / 2 - 1e-9
        )
        assert clear.all()


def test_few_and_identical_photos_have_a_plane(tmp_path: Path) -> None:
    two = plot.tsne(make_faces(1, 2))
    assert two.numbers["method"] == "pca"
    assert "PCA" in two.numbers["notes"][0]
    assert looks_right(pixels(two, tmp_path))
    twice = make_faces(1, 8)
    alike = replace(twice, vectors=np.repeat(twice.vectors[:1], 8, axis=0))
    assert np.isfinite(on_plane(alike)).all()
    with pytest.raises(OptionError, match="at least 2"):
        plot.tsne(make_faces(1, 1))
    with pytest.raises(OptionError, match="method"):
        plot.tsne(make_faces(), method="lda")  # type: ignore[arg-type]


def page_of(tmp_path: Path) -> Path:
    names = ("</script><script>alert(1)</script>", "김구", "a & <b>", "Ada", '"quoted"')
    made = plot.tsne(make_faces(names=names), method="pca")
    save(made, tmp_path / "page.html")
    return tmp_path / "page.html"


def test_the_page_refers_to_nothing_outside(tmp_path: Path) -> None:
    text = page_of(tmp_path).read_text("utf-8")
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+/", text) == []
    assert re.findall(r'(?:src|href)\s*=\s*["\'](?!data:)', text) == []
    assert text.count("<script") == 2
    assert "default-src 'none'" in text


def test_the_page_draws_all_points(tmp_path: Path) -> None:
    path = page_of(tmp_path)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    done = subprocess.run(
        [browser, *flags, f"--user-data-dir={tmp_path / 'home'}", "--enable-logging=stderr",
         "--dump-dom", path.as_uri()],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert 'data-points="20"' in done.stdout
    assert done.stdout.count("<button") == 6  # five people, and "Show all"


@pytest.mark.slow
def test_ten_thousand_people(tmp_path: Path) -> None:
    faces = make_faces(10_000, 1, crops=False)
    made = plot.tsne(faces, method="pca")
    assert len(made.numbers["xy"]) == 10_000
    assert made.html is not None
    assert looks_right(pixels(made, tmp_path))
    heat = plot.correlation(faces, threshold=THRESHOLD)
    assert len(heat.numbers["people"]) <= 60
    assert "of 10,000 people are drawn" in heat.numbers["notes"][0]
    grid = plot.grid(faces)
    assert len(grid.numbers["photos"]) == 60


# --- barcode --------------------------------------------------------------------------------------


def test_barcode(tmp_path: Path) -> None:
    faces = make_faces()
    made = plot.barcode(faces, threshold=THRESHOLD)
    true, false = made.numbers["pairs"]
    assert (true["same_person"], false["same_person"]) == (True, False)
    for pair in (true, false):
        a, b = (faces.vectors[faces.relative.index(pair[end])].astype(float) for end in "ab")
        np.testing.assert_allclose(pair["squared_difference"], (a - b) ** 2, atol=1e-8)
        assert pair["similarity"] == pytest.approx(1 - ((a - b) ** 2).sum() / 2, abs=1e-6)
        assert pair["match"] == (pair["similarity"] >= 0.45)
        np.testing.assert_allclose(made.numbers["embeddings"][pair["a"]], a, atol=1e-7)
    anchor = faces.relative.index(false["a"])
    others = np.flatnonzero(faces.person != faces.person[anchor])
    closest_other = others[
        cosine_similarity(faces.vectors[[anchor]], faces.vectors[others]).argmax()
    ]
    assert false["b"] == faces.relative[closest_other]
    assert looks_right(pixels(made, tmp_path))


def test_barcode_of_given_pairs() -> None:
    made = plot.barcode(make_faces(named=False, names=tuple("abcde")), pairs=[(0, 1)])
    assert made.numbers["pairs"][0]["same_person"] is None
    assert made.numbers["pairs"][0]["match"] is None
    with pytest.raises(OptionError, match="pairs"):
        plot.barcode(make_faces(), pairs=[(0, 99)])
    with pytest.raises(OptionError, match="at least 2"):
        plot.barcode(make_faces(1, 1))


# --- histogram ------------------------------------------------------------------------------------


def test_histogram(tmp_path: Path) -> None:
    faces = make_faces(9, 4, noise=1.0)
    made = plot.histogram(faces, people=["Person 3", "Person 5"], threshold=THRESHOLD)
    told = made.numbers["people"][0]
    own, rest = faces.of(3), np.flatnonzero(faces.person != 3)
    left_out = [
        cosine_distances(faces.vectors[[row]], [faces.vectors[own[own != row]].mean(axis=0)])[0, 0]
        for row in own
    ]
    others = cosine_distances(faces.vectors[rest], [faces.vectors[own].mean(axis=0)])[:, 0]
    np.testing.assert_allclose(told["own"], left_out, atol=2e-6)
    np.testing.assert_array_equal(told["counts"], np.histogram(others, told["edges"])[0])
    assert sum(told["counts"]) == told["others"] == 32
    assert told["fnmr"] == np.mean(np.array(left_out) > 0.55)
    assert told["fmr"] == np.mean(others <= 0.55)
    assert looks_right(pixels(made, tmp_path))
    whole = plot.histogram(faces)
    assert [each["name"] for each in whole.numbers["people"]] == [f"Person {k}" for k in range(6)]
    assert whole.numbers["notes"] == ["the 6 people with most photos of 9"]


def test_histogram_of_one_person_only(tmp_path: Path) -> None:
    made = plot.histogram(make_faces(1, 5), threshold=0.4)
    assert made.numbers["people"][0]["fmr"] is None
    assert looks_right(pixels(made, tmp_path))


@pytest.mark.parametrize(
    ("faces", "people", "words"),
    [
        (make_faces(5, 1), None, "found nobody"),
        (make_faces(), ["Nobody"], "nobody is called 'Nobody'"),
        (make_faces(5, 1), ["Person 1"], "one photo"),
    ],
)
def test_histogram_says_what_is_missing(faces: Faces, people: list[str] | None, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        plot.histogram(faces, people=people)


def test_opposite_vectors_have_no_mean() -> None:
    vectors = np.array([[1.0, 0], [-1, 0], [0, 1]])
    own, others = distances_to(vectors, np.array([0, 1]))
    np.testing.assert_allclose(own, [2, 2])
    np.testing.assert_allclose(others, [1])


# --- correlation ----------------------------------------------------------------------------------


def test_correlation(tmp_path: Path) -> None:
    faces = make_faces(7, 3)
    ladder = [replace(THRESHOLD, value=value, fmr=fmr) for value, fmr in ((-0.9, 0.1), (0.1, 0.01))]
    made = plot.correlation(faces, threshold=0.2, ladder=ladder)
    shown = [faces.names.index(name) for name in made.numbers["people"]]
    assert sorted(shown) == list(range(7))
    means = np.stack([faces.vectors[faces.of(k)].mean(axis=0) for k in shown])
    table = cosine_similarity(means)
    np.testing.assert_allclose(made.numbers["similarity"], table, atol=2e-6)
    upper = table[np.triu_indices(7, 1)]
    pairs = made.numbers["closest"]
    np.testing.assert_allclose([p["similarity"] for p in pairs], np.sort(upper)[::-1], atol=1e-6)
    assert made.numbers["n_pairs_above_threshold"] == (upper >= 0.2).sum()
    a, b = (faces.names.index(pairs[0][end]) for end in "ab")
    to_b = cosine_similarity(faces.vectors[faces.of(a)], [faces.vectors[faces.of(b)].mean(axis=0)])
    to_a = cosine_similarity(faces.vectors[faces.of(b)], [faces.vectors[faces.of(a)].mean(axis=0)])
    assert pairs[0]["opens"] == {
        "n_photos_of_a": (to_b >= 0.2).sum(), "n_of_a": 3,
        "n_photos_of_b": (to_a >= 0.2).sum(), "n_of_b": 3,
    }  # fmt: skip
    assert pairs[0]["best"] == pytest.approx(max(to_a.max(), to_b.max()), abs=1e-6)
    assert pairs[0]["strictest_fmr"] == (0.01 if pairs[0]["best"] >= 0.1 else 0.1)
    assert looks_right(pixels(made, tmp_path))


def test_closest_of_many_is_exact() -> None:
    means = make_faces(1500, 1).vectors.astype(np.float64)
    table = means @ means.T
    upper = table[np.triu_indices(1500, 1)]
    pairs, above = closest(means, most=20, threshold=0.5)
    np.testing.assert_allclose([p.similarity for p in pairs], np.sort(upper)[::-1][:20], atol=1e-6)
    assert all(p.a < p.b for p in pairs)
    assert above == (upper >= 0.5).sum() > 0


def test_correlation_needs_two_people() -> None:
    with pytest.raises(OptionError, match="at least 2 people"):
        plot.correlation(make_faces(1, 4))
    two = plot.correlation(make_faces(2, 1))
    assert len(two.numbers["closest"]) == 1
    assert two.numbers["closest"][0]["opens"] is None


def test_importing_the_package_does_not_load_matplotlib() -> None:
    code = "import sys, lineament.pictures.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
