"""folder, open-set, distractors: a table of vectors against independent counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders import TableSource
from lineament.datasets.people_folder import People, read_people
from lineament.errors import DataError, OptionError
from lineament.evaluate.metrics import auc, eer
from lineament.evaluate.pair_counts import all_pairs
from lineament.evaluate.protocols.distractors import (
    choose_distractors,
    run_distractors,
    sizes_of,
)
from lineament.evaluate.protocols.folder import (
    auc_and_eer,
    extreme_pairs,
    run_folder,
    supported,
)
from lineament.evaluate.protocols.open_set import draw_trials, run_open_set
from lineament.evaluate.result import Scores


def crowd(
    root: Path, counts: list[int], *, noise: float = 0.6, missing: tuple[str, ...] = ()
) -> tuple[People, TableSource]:
    """People with so many photos each, as files and as vectors about their own centers."""
    rng = np.random.default_rng(7)
    table: dict[Path, np.ndarray | None] = {}
    for p, count in enumerate(counts):
        center = rng.normal(size=16)
        center /= np.linalg.norm(center)
        for i in range(count):
            path = root / f"p{p:03d}" / f"{i:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%d %d" % (p, i))
            blurred = center + noise * rng.normal(size=16) / 4
            table[path] = None if f"{p}/{i}" in missing else blurred
    return read_people(root, min_people=1), TableSource(table, 16)


def similarity(people: People, source: TableSource) -> np.ndarray:
    """(N, N) float64: by a formula of its own; -1 without a face."""
    rows = [source.table[str(path)] for path in people.paths]
    seen = np.array([row is not None for row in rows])
    known = np.array([np.zeros(16) if row is None else row for row in rows])
    lengths = np.linalg.norm(known, axis=1)
    with np.errstate(invalid="ignore"):
        table = known @ known.T / np.outer(lengths, lengths)
    return np.where(np.outer(seen, seen), table, -1.0)


class TestFolder:
    def test_figures_against_scikit_learn(self, tmp_path: Path) -> None:
        sklearn = pytest.importorskip("sklearn.metrics")
        people, source = crowd(tmp_path, [3] * 40 + [12] * 12, missing=("2/1", "45/3"))
        result, embedded = run_folder(people, source)
        scores = similarity(people, source)
        i, j = np.triu_indices(len(people.paths), 1)
        same, flat = people.person[i] == people.person[j], scores[i, j]
        part = result.part("all_pairs")
        measures = part.measures
        assert measures["auc"] == pytest.approx(sklearn.roc_auc_score(same, flat), abs=1e-6)
        fmr, tar, _ = sklearn.roc_curve(same, flat, drop_intermediate=False)
        for rate in (1e-2, 1e-3):
            best = tar[fmr <= rate].max()
            assert measures["tar_at_fmr"][f"1e-{-int(np.log10(rate))}"] == pytest.approx(best)
        assert measures["eer"] == pytest.approx(eer(flat, same), abs=1e-5)
        assert (result.images, result.faces_found) == (264, 262)
        assert (measures["n_genuine_pairs"], measures["n_impostor_pairs"]) == (
            same.sum(),
            (~same).sum(),
        )
        assert measures["n_pairs_without_face"] == int((flat == -1).sum())
        # 33,804 impostor pairs: 34 at 1e-3, 3 at 1e-4
        assert measures["tar_at_fmr"]["1e-4"] is None
        assert measures["threshold_at_fmr"]["1e-6"] is None
        assert any("cannot support 1e-4, 1e-5, 1e-6" in note for note in result.notes)
        assert ("all pairs: TAR at FMR 1e-4", "not measurable") in result.rows()
        assert embedded.found.sum() == 262

    def test_worst_pairs_are_the_extremes_and_each_photo_comes_once(self, tmp_path: Path) -> None:
        people, source = crowd(tmp_path, [4] * 20, missing=("0/0",))
        # A mislabeled photo: it shows the person of another folder.
        swapped = source.table[str(people.paths[9])]
        assert swapped is not None
        source.table[str(people.paths[40])] = swapped + 0.001
        result, embedded = run_folder(people, source)
        scores = similarity(people, source)
        worst = result.part("all_pairs").worst
        genuine = [w for w in worst if w.same]
        impostor = [w for w in worst if not w.same]
        assert len(genuine) == len(impostor) == 8
        assert {impostor[0].a, impostor[0].b} == {str(people.paths[9]), str(people.paths[40])}
        assert str(people.paths[40]) in {genuine[0].a, genuine[0].b}
        for kind in (genuine, impostor):
            names = [name for w in kind for name in (w.a, w.b)]
            assert len(set(names)) == 16
        assert str(people.paths[0]) not in {name for w in worst for name in (w.a, w.b)}
        low, high = extreme_pairs(embedded.vectors, people.person, embedded.found, 5)
        i, j = np.triu_indices(len(people.paths), 1)
        seen = embedded.found[i] & embedded.found[j]
        same = people.person[i] == people.person[j]
        assert [s for s, _, _ in low] == pytest.approx(
            np.sort(scores[i, j][same & seen])[:5].tolist(), abs=1e-6
        )
        assert [s for s, _, _ in high] == pytest.approx(
            np.sort(scores[i, j][~same & seen])[::-1][:5].tolist(), abs=1e-6
        )

    def test_references_a_person(self, tmp_path: Path) -> None:
        people, source = crowd(tmp_path, [4] * 10 + [6] * 30, noise=1.3, missing=("20/2",))
        result, _ = run_folder(people, source)
        part = result.part("references")
        curve = part.curves["references"]
        assert list(curve) == ["1", "2", "3", "5"]  # nobody has eleven photos
        assert part.measures["n_people"] == 30
        # 30 people make 870 impostor comparisons a draw, 8,700 in all: too few for 1e-3
        assert part.measures["references_measure"] == "1 - EER"
        assert curve["5"] > curve["1"] + 0.02
        assert part.curves["references_rank1"]["5"] > part.curves["references_rank1"]["1"]
        assert part.measures["accuracy_at_references"] == curve
        assert any("30 people with more than 5 photos" in note for note in result.notes)
        again = run_folder(people, source)[0].part("references")
        assert again.curves == part.curves
        other = run_folder(people, source, seed=1)[0].part("references")
        assert other.curves != part.curves

    def test_references_without_a_face(self, tmp_path: Path) -> None:
        hidden = tuple(f"4/{i}" for i in range(3))
        people, source = crowd(tmp_path, [3] * 12, missing=hidden)
        part = run_folder(people, source)[0].part("references")
        scores = part.scores
        assert isinstance(scores, Scores)
        # In each draw the person is once the mate, eleven times the probe and as often the entry.
        assert (scores.genuine == -1).sum() == 10
        assert (scores.impostor == -1).sum() == 10 * (11 + 11)
        assert part.curves["references_rank1"]["2"] <= 11 / 12

    def test_small_sets_say_what_is_missing(self, tmp_path: Path) -> None:
        people, source = crowd(tmp_path / "few", [2, 2, 1])
        result, _ = run_folder(people, source)
        assert [part.key for part in result.parts] == ["all_pairs"]
        assert any("fewer than 10 people have two photos" in n for n in result.notes)
        people, source = crowd(tmp_path / "single", [1, 1, 1])
        with pytest.raises(DataError, match="two photos of at least one person"):
            run_folder(people, source)

    def test_auc_and_eer_from_a_histogram(self) -> None:
        rng = np.random.default_rng(3)
        centers = rng.normal(size=(60, 8)).repeat(5, axis=0)
        vectors = centers + 0.9 * rng.normal(size=centers.shape)
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        person = np.arange(60).repeat(5)
        i, j = np.triu_indices(300, 1)
        same, scores = person[i] == person[j], (vectors @ vectors.T)[i, j]
        binned = all_pairs(vectors, person, exact_up_to_fmr=1e-3)
        assert len(binned.impostor_tail) < 100
        for counts, tolerance in ((all_pairs(vectors, person), 1e-9), (binned, 1e-4)):
            area, error = auc_and_eer(counts)
            assert area == pytest.approx(auc(scores, same), abs=tolerance)
            assert error == pytest.approx(eer(scores, same), abs=tolerance)

    def test_the_rule_of_30(self) -> None:
        assert supported(1e-3, 30_000)
        assert not supported(1e-3, 29_999)


class TestOpenSet:
    def test_trials_are_disjoint_seeded_and_of_blufrs_shape(self, tmp_path: Path) -> None:
        people, _ = crowd(tmp_path, [1] * 60 + [3] * 40)
        trials = draw_trials(people, trials=4, seed=3)
        assert len(trials) == 4
        assert trials[0].test.tolist() != trials[1].test.tolist()
        for trial in trials:
            person = people.person
            enrolled = person[trial.gallery]
            assert len(set(enrolled.tolist())) == len(enrolled)
            assert (people.counts[enrolled] == 3).all()
            assert set(person[trial.genuine]) == set(enrolled)
            assert len(trial.genuine) == 2 * len(enrolled)
            assert not set(person[trial.impostor]) & set(enrolled)
            together = np.concatenate([trial.gallery, trial.genuine, trial.impostor])
            assert sorted(together) == sorted(trial.test)
            assert len(np.unique(person[trial.test])) == round(100 * 4249 / 5749)
        again = draw_trials(people, trials=4, seed=3)
        assert all((a.gallery == b.gallery).all() for a, b in zip(trials, again, strict=True))

    def test_figures_against_a_count(self, tmp_path: Path) -> None:
        people, source = crowd(tmp_path, [1] * 150 + [4] * 60, noise=1.2, missing=("160/1", "3/0"))
        result, _ = run_open_set(people, source, trials=5, seed=2)
        scores = similarity(people, source)
        person = people.person
        tars, dirs, firsts = [], [], []
        for trial in draw_trials(people, trials=5, seed=2):
            i, j = (trial.test[k] for k in np.triu_indices(len(trial.test), 1))
            same = person[i] == person[j]
            genuine, impostor = scores[i, j][same], np.sort(scores[i, j][~same])[::-1]
            cut = impostor[int(len(impostor) * 1e-3)]
            tars.append((genuine > cut).mean())
            top = np.sort(scores[np.ix_(trial.impostor, trial.gallery)].max(axis=1))[::-1]
            cut = top[int(len(top) * 0.1)]
            hits = first = 0
            for probe in trial.genuine:
                row = scores[probe, trial.gallery]
                mate = row[person[trial.gallery] == person[probe]][0]
                best = (row >= mate).sum() == 1
                first += best
                hits += best and mate > cut
            dirs.append(hits / len(trial.genuine))
            firsts.append(first / len(trial.genuine))
        mean, less = (result.part(key).measures for key in ("mean", "mean_less_deviation"))
        assert mean["tar_at_fmr"]["1e-3"] == pytest.approx(np.mean(tars), abs=1e-9)
        assert mean["dir_at_fpir"]["1e-1"] == pytest.approx(np.mean(dirs), abs=1e-9)
        assert mean["rank"]["1"] == pytest.approx(np.mean(firsts), abs=1e-9)
        sd = np.std(dirs, ddof=1)
        assert sd > 0
        assert less["dir_at_fpir"]["1e-1"] == pytest.approx(np.mean(dirs) - sd, abs=1e-9)
        assert mean["dir_at_fpir"]["3e-3"] is None
        assert any("FPIR 3e-3" in note for note in result.notes)
        assert len(result.run["trials"]) == 5

    @pytest.mark.parametrize(
        ("counts", "options", "error", "message"),
        [
            ([1] * 9, {}, DataError, "found 0 with two of 9 people"),
            ([2, 2], {"gallery": 2}, DataError, "at least 2 people with two photos and one"),
            ([2] * 9, {"trials": 1}, OptionError, "trials: expected at least 2"),
            ([2] * 9, {"gallery": 0}, OptionError, "gallery: expected at least 1"),
        ],
    )
    def test_what_is_refused(
        self,
        tmp_path: Path,
        counts: list[int],
        options: dict[str, int],
        error: type[Exception],
        message: str,
    ) -> None:
        people, source = crowd(tmp_path, counts)
        with pytest.raises(error, match=message):
            run_open_set(people, source, **options)


class TestDistractors:
    def test_figures_against_a_count(self, tmp_path: Path) -> None:
        people, source = crowd(tmp_path / "probes", [3] * 8 + [1], noise=1.0, missing=("2/1",))
        others, table = crowd(tmp_path / "others", [1] * 300, noise=1.0, missing=("5/0",))
        source.table |= table.table
        chosen = choose_distractors(people, others.paths)
        # All files of both sets are equal by twos: "0 0" is in both, for one.
        assert (chosen.repeat_probes, len(chosen.paths)) == (9, 291)
        result, embedded = run_distractors(people, chosen, source, sizes=[10, 11, 100], seed=4)
        part = result.part("distractors")
        order = np.random.default_rng(4).permutation(291)
        paths = [chosen.paths[i] for i in order]

        def score(a: Path, b: Path) -> float:
            u, v = source.table[str(a)], source.table[str(b)]
            if u is None or v is None:
                return -1.0
            return float(u @ v / np.sqrt((u @ u) * (v @ v)))

        for size in (10, 11, 100):
            hits = total = 0
            for q, probe in enumerate(people.paths):
                top = max(score(probe, other) for other in paths[:size])
                for m, mate in enumerate(people.paths):
                    if m != q and people.person[m] == people.person[q]:
                        total += 1
                        hits += score(probe, mate) > top
            found = part.measures["rank1_at_distractors"][str(size)]
            assert found == pytest.approx(hits / total, abs=1e-9)
        impostor = np.sort([score(p, o) for p in people.paths for o in paths])[::-1]
        counts = part.scores
        assert counts is not None
        assert counts.n_impostor == len(impostor) == 25 * 291
        assert counts.impostor_tail.tolist() == pytest.approx(impostor.tolist(), abs=1e-6)
        assert counts.impostor_histogram.sum() == 25 * 291
        genuine = np.sort(
            [
                score(a, b)
                for i, a in enumerate(people.paths)
                for j, b in enumerate(people.paths)
                if i < j and people.person[i] == people.person[j]
            ]
        )
        assert counts.genuine.tolist() == pytest.approx(genuine.tolist(), abs=1e-6)
        # 7,275 pairs cannot support 1e-3 with 30 errors
        assert set(part.measures["tar_at_fmr"].values()) == {None}
        assert part.measures["n_pairs_without_face"] == int((impostor == -1).sum()) + 2
        assert len(embedded.found) == result.images == 25 + 291
        assert part.worst[0].score == pytest.approx(impostor[0], abs=1e-6)
        assert any("left out: 9 distractors" in note for note in result.notes)

    def test_more_distractors_never_help(self, tmp_path: Path) -> None:
        people, source = crowd(tmp_path / "probes", [2] * 30, noise=1.5)
        others, table = crowd(tmp_path / "others", [1] * 700, noise=1.5)
        for path in others.paths:
            path.write_bytes(path.read_bytes() + b" other")
        source.table |= table.table
        chosen = choose_distractors(people, others.paths)
        curve = run_distractors(people, chosen, source)[0].part("distractors").curves["distractors"]
        assert list(curve) == ["10", "100", "700"]
        assert curve["10"] > curve["100"] > curve["700"]
        tar = run_distractors(people, chosen, source)[0].part("distractors").measures["tar_at_fmr"]
        assert tar["1e-3"] is not None  # 42,000 pairs
        assert tar["1e-4"] is None

    def test_repeats(self, tmp_path: Path) -> None:
        people, _ = crowd(tmp_path / "probes", [2, 2])
        files = []
        for i, text in enumerate((b"0 0", b"other", b"other", b"0 0", b"third", b"9 9")):
            files.append(tmp_path / f"{i}.jpg")
            files[-1].write_bytes(text)
        chosen = choose_distractors(people, files)
        assert [path.stem for path in chosen.paths] == ["1", "4", "5"]
        assert (chosen.repeat_probes, chosen.repeat_each_other) == (2, 1)
        with pytest.raises(DataError, match="all repeat photos of the probe set"):
            choose_distractors(people, [files[0], files[3]])
        with pytest.raises(DataError, match="expected a file that can be read"):
            choose_distractors(people, [tmp_path / "no.jpg"])

    def test_sizes(self) -> None:
        assert sizes_of(None, 1000) == (10, 100, 1000)
        assert sizes_of(None, 7) == (7,)
        assert sizes_of([100, 10, 10], 100) == (10, 100)
        for wanted in ([0], [101], []):
            with pytest.raises(OptionError, match="numbers from 1 to 100"):
                sizes_of(wanted, 100)

    def test_nobody_with_two_photos(self, tmp_path: Path) -> None:
        people, source = crowd(tmp_path / "probes", [1, 1])
        others, _ = crowd(tmp_path / "others", [1, 1, 1])
        with pytest.raises(DataError, match="two photos of at least one person"):
            run_distractors(people, choose_distractors(people, others.paths), source)
