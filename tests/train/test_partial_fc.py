"""PartialFC: the whole head at rate 1, one process or two; samples that resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402
from torch import Tensor  # noqa: E402

from lineament.errors import CheckpointError, OptionError  # noqa: E402
from lineament.train.losses import make_loss  # noqa: E402
from lineament.train.losses.partial_fc import MARGINS, PartialFC  # noqa: E402

DIMENSION = 8
CLASSES = 41


def built(**options: Any) -> PartialFC:
    loss = make_loss("partial-fc", DIMENSION, CLASSES, **{"seed": 5, **options})
    assert isinstance(loss, PartialFC)
    return loss


def batch(step: int, n: int = 6, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1000 + step)
    x = 30 * torch.randn(n, DIMENSION, generator=generator, dtype=dtype)
    return x.requires_grad_(), torch.randint(CLASSES, (n,), generator=generator)


# --- against the whole head -----------------------------------------------------------------------


@pytest.mark.parametrize("margin", sorted(MARGINS))
def test_at_rate_1_it_is_the_whole_head(margin: str) -> None:
    partial = built(margin=margin, rate=1.0, momentum=0.9, weight_decay=0.01).double()
    whole = make_loss(margin, DIMENSION, CLASSES).double()
    with torch.no_grad():
        whole.weight.copy_(partial.centers)
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    start = partial.centers.clone()
    for step in range(4):
        x, labels = batch(step)
        other = x.detach().clone().requires_grad_()
        for loss in (partial, whole):
            loss.advance(step * 500, 2000)
        optimizer.zero_grad()
        one, two = partial(x, labels).loss, whole(other, labels).loss
        one.backward()
        two.backward()
        optimizer.step()
        partial.update(0.1)
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(x.grad, other.grad, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(partial.centers, whole.weight.data, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(partial.centers, start)


def test_in_eval_mode_it_is_the_whole_head() -> None:
    partial = built(rate=0.2).eval()
    whole = make_loss("arcface", DIMENSION, CLASSES)
    with torch.no_grad():
        whole.weight.copy_(partial.centers)
    x, labels = batch(0, dtype=torch.float32)
    assert partial(x, labels).loss.item() == whole(x, labels).loss.item()
    assert partial.draws == 0


def test_a_sampled_step_is_the_head_over_the_sample() -> None:
    """The rows in the sample move as a head over them alone; the others rest."""
    partial = built(rate=0.4, momentum=0.9, weight_decay=0.02).double()
    start = partial.centers.clone()
    velocity = torch.zeros_like(start)
    for step in range(3):
        x, labels = batch(step)
        before = partial.centers.clone()
        value = partial(x, labels).loss
        ((index, _),) = partial._pending
        assert index is not None
        assert len(index) == round(0.4 * CLASSES)
        assert (index.diff() > 0).all()
        assert set(labels.tolist()) <= set(index.tolist())
        whole = make_loss("arcface", DIMENSION, len(index)).double()
        with torch.no_grad():
            whole.weight.copy_(before[index])
        place = torch.tensor([index.tolist().index(label) for label in labels.tolist()])
        other = x.detach().clone().requires_grad_()
        wanted = whole(other, place).loss
        wanted.backward()
        value.backward()
        torch.testing.assert_close(value, wanted, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(x.grad, other.grad, rtol=1e-12, atol=1e-12)
        assert partial.gradient_norm().item() == pytest.approx(whole.weight.grad.norm().item())
        partial.update(0.1, grad_scale=0.5)
        after = before.clone()
        velocity[index] = 0.9 * velocity[index] + 0.5 * whole.weight.grad + 0.02 * before[index]
        after[index] = before[index] - 0.1 * velocity[index]
        torch.testing.assert_close(partial.centers, after, rtol=1e-12, atol=1e-14)
    assert not torch.equal(partial.centers, start)


@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_small_batches_add_up(rate: float) -> None:
    """Several forwards, one update: the sum of their gradients over all rows, moved once."""
    partial = built(rate=rate, momentum=0.9, weight_decay=0.02).double()
    before = partial.centers.clone()
    total = torch.zeros_like(before)
    drawn = torch.zeros(CLASSES, dtype=torch.bool)
    for step in range(3):
        x, labels = batch(step)
        (partial(x, labels).loss / 3).backward()
        index, rows = partial._pending[-1]
        where = torch.arange(CLASSES) if index is None else index
        total[where] += rows.grad
        if index is None:  # The same memory each time, but a gradient of its own.
            assert rows.data_ptr() == partial.centers.data_ptr()
        drawn[where] = True
    assert partial.gradient_norm().item() == pytest.approx(total.norm().item())
    partial.update(0.1)
    wanted = before - 0.1 * (total + 0.02 * before) * drawn[:, None]
    torch.testing.assert_close(partial.centers, wanted, rtol=1e-12, atol=1e-14)
    assert partial._pending == []


def test_one_large_batch_is_many_small_ones_at_rate_1() -> None:
    large, small = (built(rate=1.0).double() for _ in range(2))
    x, labels = batch(0, 12)
    large(x, labels).loss.backward()
    for part in range(3):
        rows = slice(4 * part, 4 * part + 4)
        (small(x.detach()[rows], labels[rows]).loss / 3).backward()
    large.update(0.1)
    small.update(0.1)
    torch.testing.assert_close(small.centers, large.centers, rtol=1e-12, atol=1e-14)


# --- sampling -------------------------------------------------------------------------------------


def test_more_people_than_the_sample_holds() -> None:
    partial = built(rate=0.01)
    labels = torch.arange(CLASSES)
    value = partial(torch.randn(CLASSES, DIMENSION), labels)
    assert value.figures["classes_drawn"] == CLASSES


def test_samples_differ_and_reach_everybody() -> None:
    partial = built(rate=0.2)
    x, labels = batch(0, 1, torch.float32)
    drawn = []
    for _ in range(200):
        partial(x, labels)
        drawn.append(partial._pending.pop()[0])
    count = torch.bincount(torch.cat(drawn), minlength=CLASSES)
    assert count[labels].item() == 200
    others = count[torch.arange(CLASSES) != labels]
    # 7 of 40 each time: 35 +- 5.4 expected.
    assert others.min() > 35 - 25
    assert others.max() < 35 + 25


def test_resumed_it_goes_on_bit_for_bit() -> None:
    def run(loss: PartialFC, steps: range) -> None:
        for step in steps:
            x, labels = batch(step, dtype=torch.float32)
            loss(x, labels).loss.backward()
            loss.update(0.1)

    unbroken = built(rate=0.3)
    run(unbroken, range(6))
    first = built(rate=0.3)
    run(first, range(3))
    state = first.state_dict()
    second = built(rate=0.3, seed=77)
    second.load_state_dict(state)
    run(second, range(3, 6))
    assert torch.equal(second.centers, unbroken.centers)
    assert torch.equal(second.velocity, unbroken.velocity)


def test_state_of_another_set_up_is_refused() -> None:
    state = built().state_dict()
    with pytest.raises(CheckpointError, match="classes 40, got 41"):
        make_loss("partial-fc", DIMENSION, 40).load_state_dict(state)
    state["_extra_state"]["world"] = 2
    with pytest.raises(CheckpointError, match="world 1, got 2"):
        built().load_state_dict(state)


def test_a_skipped_step_moves_nothing() -> None:
    partial = built(rate=0.3)
    before = partial.centers.clone()
    x, labels = batch(0, dtype=torch.float32)
    (partial(x, labels).loss * torch.inf).backward()
    partial.update(0.1, grad_scale=0.0)
    partial.update(0.1)
    assert torch.equal(partial.centers, before)
    assert torch.equal(partial.velocity, torch.zeros_like(before))


def test_without_a_gradient_nothing_waits() -> None:
    partial = built(rate=0.3)
    x, labels = batch(0, dtype=torch.float32)
    with torch.no_grad():
        partial(x, labels)
    partial.eval()
    partial(x, labels)
    assert partial._pending == []
    assert list(partial.parameters()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": 1.5}, "at most 1"),
        ({"momentum": 1.0}, "less than 1"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"seed": -1}, "seed"),
        ({"margin": "softmax"}, "arcface"),
        ({"margin": "triplet"}, "expected one of"),
        ({"margin_options": 3}, "table"),
        ({"margin_options": {"m": 3}}, "easy_margin"),
        ({"margin_options": {"margin": -3}}, "at least 0"),
        ({"shards": 2}, "margin_options"),
    ],
)
def test_bad_options(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make_loss("partial-fc", DIMENSION, CLASSES, **options)


# --- several processes ----------------------------------------------------------------------------


def shard(rank: int, world: int, folder: str) -> None:
    """One process: three steps at each rate; what came out goes to a file."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world
    )
    out: dict[str, Any] = {}
    for margin, rate in (
        ("arcface", 1.0),
        ("magface", 1.0),
        ("curricularface", 1.0),
        ("arcface", 0.05),
    ):
        loss = built(margin=margin, rate=rate, weight_decay=0.01).double()
        assert loss.sharded == (world > 1)
        steps = []
        for step in range(3):
            x, labels = batch(step)
            value = loss(x, labels).loss
            value.backward()
            norm = loss.gradient_norm()
            loss.update(0.1)
            steps.append((value.detach(), x.grad, norm))
        out[f"{margin}-{rate}"] = (steps, loss.centers, loss.first)
    torch.save(out, f"{folder}/{rank}-of-{world}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[Any]]:
    folder = tmp_path_factory.mktemp("shards")
    mp.spawn(shard, args=(2, str(folder)), nprocs=2)
    (folder / "store").unlink(missing_ok=True)
    alone: dict[str, Any] = {}
    for margin in ("arcface", "magface", "curricularface"):
        loss = built(margin=margin, rate=1.0, weight_decay=0.01).double()
        steps = []
        for step in range(3):
            x, labels = batch(step)
            value = loss(x, labels).loss
            value.backward()
            norm = loss.gradient_norm()
            loss.update(0.1)
            steps.append((value.detach(), x.grad, norm))
        alone[f"{margin}-1.0"] = (steps, loss.centers, 0)
    return alone, [torch.load(Path(folder) / f"{rank}-of-2.pt") for rank in range(2)]


@pytest.mark.parametrize("margin", ["arcface", "magface", "curricularface"])
def test_two_processes_are_one(runs: tuple[Any, list[Any]], margin: str) -> None:
    alone, both = runs
    key = f"{margin}-1.0"
    steps, centers, _ = alone[key]
    for out in both:
        for one, other in zip(out[key][0], steps, strict=True):
            for a, b in zip(one, other, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    joined = torch.cat([out[key][1] for out in both])
    torch.testing.assert_close(joined, centers, rtol=1e-10, atol=1e-12)
    assert [out[key][2] for out in both] == [0, CLASSES // 2]


def test_two_processes_agree_on_a_sample(runs: tuple[Any, list[Any]]) -> None:
    _, both = runs
    first, second = (out["arcface-0.05"][0] for out in both)
    assert len(first) == 3
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a, b)
            assert (a != 0).any()
