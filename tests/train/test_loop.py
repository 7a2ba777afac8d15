"""The training loop: steps recomputed by hand, what is trained and what not, logs, refusals."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_faces import MadeFaces, made_config
from torch import Tensor, nn

from lineament.errors import CheckpointError, DataError, DivergedError, OptionError
from lineament.evaluate import metrics
from lineament.evaluate.pair_counts import all_pairs
from lineament.train.backbones import make_backbone
from lineament.train.backbones.bundled import load_bundled
from lineament.train.config import LeakageOptions, OptimizerOptions, VerifyOptions, load_config
from lineament.train.data import RandomBatches
from lineament.train.data.crops import Crops
from lineament.train.losses import make_loss
from lineament.train.model.checkpoint import load_model, load_run, read_checkpoint
from lineament.train.model.teacher import Distillation, Remembered, load_teacher
from lineament.train.run._verification import (
    accuracy_by_folds,
    open_verification,
    photo_numbers,
    read_pairs,
    without_leaks,
)
from lineament.train.run.loop import Run, fit
from lineament.train.run.optimizer import Average, Precision, parameter_groups

FACES = MadeFaces()


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six epochs of ArcFace with a third of the people held out."""
    out = tmp_path_factory.mktemp("learned") / "run"
    config = made_config(
        out, "run.epochs=6", "verify.people=0.34", "log.every=2", "log.curves=true"
    )
    return fit(config, faces=FACES)


def pixels(faces: MadeFaces, indices: Any) -> Tensor:
    """(N, 3, S, S), laid out as the loader does: other layouts are rounded otherwise."""
    crops = [np.ascontiguousarray(faces.read(i).transpose(2, 0, 1)) for i in indices]
    return torch.from_numpy(np.stack(crops)).float()


# --- the whole ------------------------------------------------------------------------------------


def test_it_learns_people_that_it_has_not_seen(learned: Run) -> None:
    losses = [row["loss"] for row in learned.history]
    assert losses[-1] < 0.2 * losses[0]
    assert learned.verified[-1][1]["auc"] > 0.95
    assert learned.step == learned.steps == 6 * len(RandomBatches(np.zeros(64, int), 24))
    assert not learned.stopped
    assert len(learned.people) == 8
    held_out = set(FACES.people) - set(learned.people)
    assert len(held_out) == 4


def test_the_folder_holds_what_it_should(learned: Run) -> None:
    names = {path.name for path in learned.folder.iterdir()}
    assert names == {"config.toml", "last.pt", "best.pt", "log.csv", "curves.png"}
    assert load_config(learned.folder / "config.toml") == learned.config
    with (learned.folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [row["step"] for row in learned.history]
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in learned.history]
    verified = [(int(r["step"]), float(r["verify_auc"])) for r in rows if r["verify_auc"]]
    assert verified == [(step, figures["auc"]) for step, figures in learned.verified]
    assert len(verified) == 6


def test_rows_are_means_since_the_last_one(learned: Run, tmp_path: Path) -> None:
    config = learned.config.changed(run={"out": str(tmp_path / "run")}, log={"every": 1})
    each = {row["step"]: row["loss"] for row in fit(config, faces=FACES).history}
    steps = [row["step"] for row in learned.history]
    assert steps[:3] == [1, 2, 4 if 3 not in steps else 3]
    for before, row in zip([0, *steps], learned.history, strict=False):
        mean = np.mean([each[step] for step in range(int(before) + 1, int(row["step"]) + 1)])
        assert row["loss"] == pytest.approx(mean)


def test_best_is_the_best_and_last_is_the_last(learned: Run) -> None:
    assert learned.best is not None
    figures = [figures["auc"] for _, figures in learned.verified]
    assert learned.best.value == max(figures)
    assert learned.best.step == learned.verified[int(np.argmax(figures))][0]
    x = pixels(FACES, [0, 9, 40])
    with torch.no_grad():
        assert torch.equal(load_run(learned.folder, "last")(x), learned.backbone(x))
    backbone, origin = load_model(learned.folder)
    assert not backbone.training
    assert (origin.name, origin.dimension, origin.size_px) == ("tiny", 16, 32)
    assert read_checkpoint(learned.folder / "best.pt")["best"]["value"] == max(figures)


def test_verification_is_what_the_metrics_say_of_the_best_model(learned: Run) -> None:
    backbone = load_run(learned.folder)
    held = [i for i, label in enumerate(FACES.labels) if FACES.people[label] not in learned.people]
    with torch.no_grad():
        vectors = nn.functional.normalize(backbone(pixels(FACES, held))).numpy()
    counts = all_pairs(vectors, FACES.labels[held])
    # Few enough that all pairs of the held-out people are compared.
    scores = np.concatenate([counts.genuine, counts.impostor_tail])
    same = np.arange(len(scores)) < counts.n_genuine
    assert learned.best is not None
    assert metrics.auc(scores, same) == pytest.approx(learned.best.value, abs=1e-6)


# --- one step, by hand ----------------------------------------------------------------------------


def test_a_step_is_plain_gradient_descent(tmp_path: Path) -> None:
    """With clipping, weight decay and both learning rates, against a loop of ten lines."""
    config = made_config(
        tmp_path / "run",
        "run.steps=1",
        "augment.flip=0",
        "loss.name=softmax",
        "loss.options={}",
        "loss.weight=0.5",
        "optimizer.clip_norm=0.1",
        "optimizer.momentum=0",
        "optimizer.weight_decay=0.01",
        "optimizer.head_lr_factor=3",
        "schedule.warmup_steps=4",
    )
    run = fit(config, faces=FACES)
    torch.manual_seed(config.run.seed)
    backbone = make_backbone("tiny", dimension=16, size_px=32, width=8)
    loss = make_loss("softmax", 16, 12)
    batch = RandomBatches(FACES.labels, 24, 0).batches(0)[0]
    labels = torch.from_numpy(FACES.labels[batch])
    total = 0.5 * loss(backbone(pixels(FACES, batch)), labels).loss
    total.backward()
    parameters = [*backbone.parameters(), *loss.parameters()]
    norm = torch.sqrt(sum(p.grad.square().sum() for p in parameters))  # type: ignore[union-attr, arg-type, misc]
    rate = 0.05 / 4
    assert float(norm) > 0.2  # or nothing would be clipped
    with torch.no_grad():
        for module, factor in ((backbone, 1), (loss, 3)):
            for p in module.parameters():
                assert p.grad is not None
                decay = 0.01 if p.ndim > 1 else 0.0
                p -= rate * factor * (p.grad * 0.1 / norm + decay * p)
    assert run.history[0]["loss"] == pytest.approx(float(total.detach()), rel=1e-5)
    assert run.history[0]["grad_norm"] == pytest.approx(float(norm), rel=1e-4)
    assert run.history[0]["lr"] == pytest.approx(rate)
    assert run.loss is not None
    found = [*run.backbone.parameters(), *run.loss.parameters()]
    for mine, theirs in zip(parameters, found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_two_batches_accumulated_are_one_of_twice_the_size(tmp_path: Path) -> None:
    same = (
        "run.steps=3",
        "backbone.options.norm=group",
        "loss.name=normalized-softmax",
        "augment.flip=0",
    )
    whole = fit(made_config(tmp_path / "a", *same), faces=FACES)
    halves = fit(
        made_config(tmp_path / "b", *same, "sampler.batch=12", "optimizer.accumulate=2"),
        faces=FACES,
    )
    assert halves.step == whole.step == 3
    assert [row["loss"] for row in halves.history] == pytest.approx(
        [row["loss"] for row in whole.history], rel=1e-4
    )
    for mine, theirs in zip(whole.backbone.parameters(), halves.backbone.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_an_epoch_that_accumulation_does_not_divide_has_a_shorter_last_step(tmp_path: Path) -> None:
    run = fit(made_config(tmp_path / "a", "optimizer.accumulate=3", "run.epochs=2"), faces=FACES)
    assert run.step == 2 * math.ceil(4 / 3)  # 96 photos, 4 batches an epoch


def test_norms_and_biases_do_not_decay() -> None:
    backbone = make_backbone("tiny", dimension=8, size_px=32, width=8)
    loss = make_loss("softmax", 8, 5)
    groups = parameter_groups(backbone, [loss], OptimizerOptions(head_lr_factor=10.0))
    listed = [(p.ndim > 1, g["weight_decay"] > 0) for g in groups for p in g["params"]]
    assert all(matrix == decays for matrix, decays in listed)
    assert len(listed) == len([*backbone.parameters(), *loss.parameters()])
    factors = {id(p): g["factor"] for g in groups for p in g["params"]}
    assert {factors[id(p)] for p in loss.parameters()} == {10.0}


# --- what is trained ------------------------------------------------------------------------------


def test_frozen_stages_stay_as_they_are_to_the_bit(learned: Run, tmp_path: Path) -> None:
    config = made_config(
        tmp_path / "run",
        "backbone.name=''",
        "backbone.dimension=0",
        "backbone.options={}",
        f'backbone.start="{learned.folder}"',
        'backbone.frozen=["stem", "stage1", "stage2"]',
    )
    before = load_run(learned.folder).state_dict()
    after = fit(config, faces=FACES).backbone.state_dict()
    frozen = [k for k in before if k.startswith(("stem.", "stage1.", "stage2."))]
    assert any("running_mean" in name for name in frozen)
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    others = [k for k in before if k.startswith("stage3.") and before[k].is_floating_point()]
    assert others
    assert not any(torch.equal(before[name], after[name]) for name in others)


def test_batch_norm_statistics_can_stay_while_weights_move(tmp_path: Path) -> None:
    config = made_config(tmp_path / "run", "backbone.fixed_batch_norm=true", "verify.people=0.2")
    state = fit(config, faces=FACES).backbone.state_dict()
    means = [v for k, v in state.items() if k.endswith("running_mean")]
    weights = [v for k, v in state.items() if k.endswith("1.weight") and v.ndim == 1]
    assert means
    assert all(bool((mean == 0).all()) for mean in means)
    assert weights
    assert not any(bool((weight == 1).all()) for weight in weights)


def test_the_average_of_weights_is_the_formula() -> None:
    backbone = make_backbone("tiny", dimension=4, size_px=16, width=8)
    average = Average(backbone, 0.3)
    expected = {k: v.clone().double() for k, v in backbone.state_dict().items()}
    for step in range(4):
        with torch.no_grad():
            for value in backbone.state_dict().values():
                value.add_(1 if value.dtype == torch.int64 else torch.rand(()))
        average.update(backbone)
        keep = min(0.3, (1 + step) / (10 + step))
        for name, value in backbone.state_dict().items():
            mean = keep * expected[name] + (1 - keep) * value.double()
            expected[name] = mean if value.is_floating_point() else value.double()
    for name, value in average.module.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_with_an_average_that_is_what_is_kept_and_returned(tmp_path: Path) -> None:
    run = fit(made_config(tmp_path / "run", "ema.decay=0.9", "verify.people=0.2"), faces=FACES)
    state = read_checkpoint(tmp_path / "run" / "last.pt")
    name = "output.3.weight"
    assert not torch.equal(state["ema"]["weights"][name], state["backbone"][name])
    assert torch.equal(run.backbone.state_dict()[name], state["ema"]["weights"][name])
    assert torch.equal(
        load_run(run.folder, "last").state_dict()[name], state["ema"]["weights"][name]
    )


# --- the teacher ----------------------------------------------------------------------------------


def test_a_student_that_is_its_teacher_has_nothing_to_learn(tmp_path: Path) -> None:
    group = ("backbone.options.norm=group", "run.epochs=1", "augment.flip=0")
    teacher = fit(made_config(tmp_path / "teacher", *group), faces=FACES)
    for sees in ("plain", "augmented"):
        config = made_config(
            tmp_path / sees,
            *group,
            f'teacher.name="{teacher.folder}"',
            f'backbone.start="{teacher.folder}"',
            f"teacher.sees={sees}",
            "teacher.clean=0.25",
            "loss.weight=0",
        )
        run = fit(config, faces=FACES)
        assert run.loss is None
        assert max(row["loss"] for row in run.history) < 1e-6


def test_the_teachers_term_is_one_minus_the_cosine_through_a_projection(tmp_path: Path) -> None:
    teacher = fit(made_config(tmp_path / "teacher", "run.epochs=1"), faces=FACES)
    config = made_config(
        tmp_path / "student",
        "backbone.dimension=8",
        f'teacher.name="{teacher.folder}"',
        "teacher.weight=2",
        "loss.weight=0",
        "run.epochs=6",
    )
    run = fit(config, faces=FACES)
    rows = run.history
    assert all(r["loss"] == pytest.approx(2 * r["teacher_loss"]) for r in rows)
    assert rows[-1]["teacher_loss"] < 0.65 * rows[0]["teacher_loss"]
    assert load_run(run.folder).dimension == 8  # the projection stays behind
    table = np.fromfile(tmp_path / "student" / "teacher.f32", np.float32).reshape(len(FACES), 16)
    with torch.no_grad():
        direct = nn.functional.normalize(load_run(teacher.folder)(pixels(FACES, range(len(FACES)))))
    np.testing.assert_allclose(table, direct.numpy(), atol=1e-5)


def test_the_bundled_recognizer_teaches(tmp_path: Path) -> None:
    config = made_config(
        tmp_path / "run", "teacher.name=mobilefacenet", "run.steps=2", "sampler.batch=8"
    )
    rows = fit(config, faces=FACES).history
    assert all(0 < row["teacher_loss"] < 2 for row in rows)
    assert rows[0]["loss"] == pytest.approx(rows[0]["label_loss"] + rows[0]["teacher_loss"])


def test_a_teacher_with_the_mirror_image(tmp_path: Path) -> None:
    teacher = fit(made_config(tmp_path / "teacher", "run.epochs=1"), faces=FACES)
    config = made_config(
        tmp_path / "student",
        f'teacher.name="{teacher.folder}"',
        "teacher.flip=true",
        "loss.weight=0",
        "run.epochs=1",
        "sampler.batch=8",
    )
    fit(config, faces=FACES)
    table = np.fromfile(tmp_path / "student" / "teacher.f32", np.float32).reshape(len(FACES), 16)
    network, crops = load_run(teacher.folder), pixels(FACES, range(len(FACES)))
    with torch.no_grad():
        wanted = nn.functional.normalize(network(crops) + network(crops.flip(3)))
        alone = nn.functional.normalize(network(crops))
    shown = np.any(table != 0, axis=1)
    assert shown.any()
    np.testing.assert_allclose(table[shown], wanted.numpy()[shown], atol=1e-5)
    assert np.abs(table[shown] - alone.numpy()[shown]).max() > 1e-3


def test_the_bundled_teacher_with_the_mirror_image() -> None:
    crops = torch.randint(0, 256, (2, 3, 112, 112), dtype=torch.uint8)
    found = load_teacher("sface", torch.device("cpu"), 1, flip=True).embed(crops)
    network = load_bundled("sface")
    with torch.no_grad():
        wanted = network(crops.float()) + network(crops.float().flip(3))
    np.testing.assert_allclose(found, nn.functional.normalize(wanted), atol=1e-4)


def test_plain_crops_are_shown_to_the_teacher_once(tmp_path: Path) -> None:
    class Counting:
        dimension = 3
        asked = 0

        def embed(self, crops: Tensor) -> Tensor:
            self.asked += len(crops)
            return nn.functional.normalize(crops.float().mean((2, 3)) + 1)

    teacher = Counting()
    crops = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8)
    first = Remembered(teacher, 10, tmp_path / "t.f32", resumed=False)
    again = torch.tensor([1, 3, 5, 3])
    a = first.embed(crops[again], again)
    assert torch.equal(first.embed(crops[again], again), a)
    assert teacher.asked == 4
    resumed = Remembered(teacher, 10, tmp_path / "t.f32", resumed=True)
    assert torch.equal(resumed.embed(crops[again], again), a)
    assert teacher.asked == 4
    resumed.embed(crops[:4], torch.arange(4))
    assert teacher.asked == 6
    Remembered(teacher, 10, tmp_path / "t.f32", resumed=False).embed(crops[again], again)
    assert teacher.asked == 10


def test_the_distillation_term() -> None:
    term = Distillation(2, 2)
    a = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    b = torch.tensor([[1.0, 0.0], [0.0, -1.0], [1.0, 0.0]])
    assert float(term(a, b)) == pytest.approx((0 + 2 + 1 - math.sqrt(0.5)) / 3)
    assert not list(term.parameters())
    assert [tuple(p.shape) for p in Distillation(2, 5).parameters()] == [(5, 2)]


# --- precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_too(tmp_path: Path, precision: str) -> None:
    run = fit(made_config(tmp_path / "run", f"run.precision={precision}"), faces=FACES)
    assert run.history[-1]["loss"] < 0.9 * run.history[0]["loss"]
    assert all(p.dtype == torch.float32 for p in run.backbone.parameters())
    assert ("loss_scale" in run.history[0]) == (precision == "fp16")


def test_the_scale_of_half_precision_halves_and_doubles() -> None:
    precision = Precision("fp16", torch.device("cpu"))
    precision.adjust(False)
    assert precision.scale == 2**15
    for _ in range(1999):
        precision.adjust(True)
    assert precision.scale == 2**15
    precision.adjust(True)
    assert precision.scale == 2**16
    other = Precision("fp16", torch.device("cpu"))
    other.load(precision.state())
    assert other.state() == precision.state()
    assert Precision("bf16", torch.device("cpu")).scale == 1


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_names_its_batch(tmp_path: Path) -> None:
    config = made_config(
        tmp_path / "run",
        "loss.name=softmax",
        "loss.options={}",
        "optimizer.lr=1e30",
        "optimizer.clip_norm=0",
        "checkpoint.every=1",
        "checkpoint.unit=steps",
    )
    with pytest.raises(DivergedError, match=r"epoch 1, step \d") as caught:
        fit(config, faces=FACES)
    names = (tmp_path / "run" / "nan-batch.txt").read_text().splitlines()
    step = read_checkpoint(tmp_path / "run" / "last.pt")["step"]
    assert f"step {step + 1}," in str(caught.value)
    batch = RandomBatches(FACES.labels, 24, 0).batches(0)[step]
    assert names == [FACES.name(int(i)) for i in batch]
    assert ", ".join(names[:8]) in str(caught.value)
    assert names[8] not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("backbone.frozen=['stm']", "backbone.frozen: expected some of stem"),
        ("backbone.start=nobody", "backbone.start: expected sface"),
        ("backbone.start=mobilefacenet", "backbone.name: expected mobilefacenet"),
        ("teacher.name=nobody", "teacher.name"),
        ("run.device=cuda:99", "run.device"),
        ("run.device=toaster", "run.device: expected auto"),
        ("loss.name=arcfase", "loss: expected one of"),
        ("verify.people=0.9", "verify.people"),
        ("leakage.against=['nowhere']", "no file or folder nowhere"),
    ],
)
def test_refusals(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises((OptionError, DataError), match=words.replace("[", r"\[")):
        fit(made_config(tmp_path / "run", override), faces=FACES)


def test_everything_frozen_is_refused(tmp_path: Path) -> None:
    frozen = [name for name, _ in make_backbone("tiny", dimension=4, size_px=32).stages()]
    config = made_config(
        tmp_path / "run", f"backbone.frozen={frozen}", "loss.name=triplet", "loss.options={}"
    )
    with pytest.raises(OptionError, match="nothing is left to train"):
        fit(config, faces=FACES)


def test_a_folder_with_a_run_is_not_written_over(learned: Run) -> None:
    with pytest.raises(OptionError, match=r"holds a run already.*--resume"):
        fit(learned.config, faces=FACES)


def test_no_folder_and_no_photos(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"run\.out"):
        fit(load_config(None, ["data.path=x"]))
    with pytest.raises(OptionError, match=r"data\.path"):
        fit(load_config(None, [f"run.out={tmp_path}/r"]))
    with pytest.raises(CheckpointError, match="expected the folder of a run"):
        load_run(tmp_path)


def test_a_damaged_checkpoint_says_so(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(CheckpointError, match=r"last\.pt: expected a checkpoint"):
        load_run(tmp_path)
    torch.save({"other": 1}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="version"):
        load_run(tmp_path)


# --- verification and leakage ---------------------------------------------------------------------


def test_lists_of_pairs(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("3\nAnn\t1\t2\nAnn 1 Bob 3\n\nZoë\t4\tAnn\t2\n", "utf-8")
    pairs = read_pairs(file)
    assert [(p.first, p.second, p.same) for p in pairs] == [
        (("Ann", 1), ("Ann", 2), True),
        (("Ann", 1), ("Bob", 3), False),
        (("Zoë", 4), ("Ann", 2), False),
    ]
    for text, words in (
        ("Ann 1\nAnn x 2\n", "line 1"),
        ("", "found none"),
        ("A 1 2 3 4", "line 1"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=words):
            read_pairs(file)


def test_photos_by_person_and_number() -> None:
    class Named(MadeFaces):
        def name(self, index: int) -> str:
            return ("p/person00_0007.png", "p/12.jpg", "p/person01_0003_1.png", "p/x.png")[index]

    faces = Named(2, 2)
    assert photo_numbers(faces) == {
        ("person00", 7): 0,
        ("person00", 12): 1,
        ("person01", 3): 2,
    }


def test_view_1_style_verification_from_files(tmp_path: Path) -> None:
    evaluation = MadeFaces(6, 4, seed=5)
    folder = evaluation.write(tmp_path / "crops")
    names = evaluation.people
    lines = [f"{name}\t1\t{k}" for name in names for k in (2, 3, 4)]
    lines += [f"{a}\t1\t{b}\t2" for a in names for b in names if a < b]
    file = tmp_path / "pairs.txt"
    file.write_text("\n".join(["18", *lines]))
    verification = open_verification(VerifyOptions(images=str(folder), pairs=str(file)))
    assert verification is not None
    torch.manual_seed(0)
    backbone = make_backbone("tiny", dimension=16, size_px=32, width=8).eval()
    found = verification.measure(backbone, torch.device("cpu"))
    with torch.no_grad():
        vectors = nn.functional.normalize(backbone(pixels(evaluation, range(24)))).numpy()
    scores, same = [], []
    for line in lines:
        parts = line.split()
        first = names.index(parts[0]) * 4 + int(parts[1]) - 1
        second = names.index(parts[0] if len(parts) == 3 else parts[2]) * 4 + int(parts[-1]) - 1
        scores.append(float(vectors[first] @ vectors[second]))
        same.append(len(parts) == 3)
    assert found["auc"] == pytest.approx(metrics.auc(scores, same), abs=1e-6)
    # A share of pairs without a crop is put up with, and called different; more is a mistake.
    (folder / names[0] / f"{names[0]}_0003.png").unlink()
    fewer = open_verification(VerifyOptions(images=str(folder), pairs=str(file)))
    assert fewer is not None
    assert "1 of 33 pairs have no crop" in fewer.notes[0]
    assert int((fewer.pairs < 0).sum()) == 1
    (folder / names[1] / f"{names[1]}_0001.png").unlink()
    with pytest.raises(DataError, match=r"no crop for \d+ of 33 pairs"):
        open_verification(VerifyOptions(images=str(folder), pairs=str(file)))


def test_accuracy_is_judged_by_thresholds_of_other_folds() -> None:
    random = np.random.default_rng(0)
    same = np.arange(400) < 200
    scores = (random.normal(0, 0.3, 400) + same * 0.5).astype(np.float32)
    folds = [np.r_[np.arange(200)[k::10], 200 + np.arange(200)[k::10]] for k in range(10)]
    expected = np.mean(
        [
            metrics.accuracy(
                scores[fold],
                same[fold],
                metrics.best_threshold(np.delete(scores, fold), np.delete(same, fold)),
            )
            for fold in folds
        ]
    )
    assert accuracy_by_folds(scores, same) == pytest.approx(expected)
    assert accuracy_by_folds(np.array([0.9, 0.1], np.float32), np.array([True, False])) == 1


def test_leakage_is_told_refused_or_dropped(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("person01 1 2\nSomebody_Else 1 person03 2\n")
    told: list[str] = []
    found = {}
    for action in ("warn", "drop"):
        options = LeakageOptions(against=(str(file),), action=action)
        found[action] = without_leaks(FACES, options, None, told.append)
    assert [len(faces.people) for faces, _ in found.values()] == [12, 10]
    assert found["warn"][1] == {str(file): ["person01", "person03"]}
    assert "person01" not in found["drop"][0].people
    assert len(told) == 2
    assert "2 people" in told[0]
    assert "left out" in told[1]
    with pytest.raises(DataError, match="person01, person03"):
        without_leaks(FACES, LeakageOptions(against=(str(file),), action="refuse"), None, print)
    # Held-out people are chosen after that, and are never trained with.
    run = fit(
        made_config(tmp_path / "run", f'leakage.against=["{file}"]', "run.steps=1"), faces=FACES
    )
    assert run.leaks == {str(file): ["person01", "person03"]}


def test_crops_of_another_size_are_resized_and_that_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    config = made_config(tmp_path / "run", "data.size_px=16", "run.epochs=1")
    run = fit(config, faces=FACES, note=told.append)
    assert run.backbone.size_px == 16
    assert sum("resized" in text for text in told) == 1


def test_events_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = made_config(tmp_path / "run", "log.tensorboard=true", "log.csv=false", "run.epochs=1")
    run = fit(config, faces=FACES)
    assert not (run.folder / "log.csv").exists()
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    losses = [event.value for event in events.Scalars("train/loss")]
    assert losses == pytest.approx([row["loss"] for row in run.history], rel=1e-6)


def test_the_triplet_loss_gets_people_and_its_picture(tmp_path: Path) -> None:
    config = made_config(
        tmp_path / "run", "loss.name=triplet", "loss.options={}", "run.epochs=1", "log.curves=true"
    )
    run = fit(config, faces=FACES)
    assert {"triplets_hard", "triplets_semi_hard"} <= set(run.history[0])
    assert (run.folder / "triplets.png").exists()
    assert Crops(FACES, 32)[0].augmented.shape == (3, 32, 32)


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(OptionError, match="expected one of softmax"):
        fit(made_config(out, "loss.name=arcfac", "loss.options={}"), faces=MadeFaces())
    assert not out.exists()


def test_channels_last_is_the_order_of_all_of_it(tmp_path: Path) -> None:
    seen = []
    for wanted in (False, True):
        config = made_config(
            tmp_path / str(wanted), f"run.channels_last={str(wanted).lower()}", "run.steps=2"
        )
        run = fit(config.changed(ema={"decay": 0.5}), faces=FACES)
        weights = [p for p in run.backbone.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
        assert weights
        assert all(p.is_contiguous(memory_format=torch.channels_last) == wanted for p in weights)
        seen.append((run, load_run(run.folder, which="last")))
    (usual, _), (last, loaded) = seen
    for row, other in zip(usual.history, last.history, strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=1e-3)
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, last.backbone.state_dict()[key]), key
