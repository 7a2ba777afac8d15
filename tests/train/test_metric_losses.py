"""Contrastive, triplet, siamese and center loss, against loops from the equations."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from lineament.errors import OptionError  # noqa: E402
from lineament.train.losses.center import Center  # noqa: E402
from lineament.train.losses.contrastive import Contrastive  # noqa: E402
from lineament.train.losses.loss import Loss  # noqa: E402
from lineament.train.losses.siamese import Siamese  # noqa: E402
from lineament.train.losses.triplet import Triplet  # noqa: E402

D, C, N = 6, 5, 14
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
DTYPES = (torch.float32, torch.float64)

LOSSES: dict[str, tuple[type[Loss], dict[str, Any]]] = {
    "contrastive": (Contrastive, {}),
    "contrastive raw": (Contrastive, {"normalize": False, "margin": 3.0}),
    "contrastive balanced": (Contrastive, {"balanced": True}),
    "triplet batch-all": (Triplet, {"mining": "batch-all", "margin": 0.5}),
    "triplet batch-hard": (Triplet, {"mining": "batch-hard", "margin": 0.5}),
    "triplet semi-hard": (Triplet, {"mining": "semi-hard", "margin": 0.5}),
    "siamese absolute": (Siamese, {}),
    "siamese raw": (Siamese, {"features": "raw"}),
    "siamese koch": (Siamese, {"features": "sigmoid"}),
    "siamese chi-square": (Siamese, {"form": "chi-square"}),
    "siamese chi-square sigmoid": (Siamese, {"form": "chi-square", "features": "sigmoid"}),
    "centre": (Center, {"center_weight": 0.3}),
}


def batch(dtype: Any = torch.float64, seed: int = 0, n: int = N) -> tuple[Any, Any]:
    """Embeddings that lie near their person, so that all kinds of pairs and triplets occur."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, C, (n,), generator=source)
    places = torch.randn(C, D, generator=source, dtype=torch.float64)
    noise = torch.randn(n, D, generator=source, dtype=torch.float64)
    return (places[labels] + 0.6 * noise).to(dtype), labels


def make(name: str, dtype: Any = torch.float64) -> Loss:
    torch.manual_seed(1)
    kind, options = LOSSES[name]
    loss = kind(D, C, **options).to(dtype)
    with torch.no_grad():
        for parameter in loss.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for buffer in loss.buffers():
            if buffer.shape == (C, D) and isinstance(loss, Center):
                loss.centers.copy_(torch.randn(C, D))
                break
    return loss


# --- the equations, one pair or triplet at a time, in Python's own numbers ------------------------


def unit(row: list[float]) -> list[float]:
    length = math.sqrt(sum(v * v for v in row))
    return [v / length for v in row] if length > 0 else row


def squared(a: list[float], b: list[float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def by_hand(name: str, loss: Any, rows: list[list[float]], labels: list[int]) -> float:
    if name.startswith("contrastive"):
        return contrastive_by_hand(loss, rows, labels)
    if name.startswith("triplet"):
        return triplet_by_hand(loss, [unit(row) for row in rows], labels)[0]
    if name.startswith("siamese"):
        return siamese_by_hand(loss, rows, labels)
    return center_by_hand(loss, rows, labels)


def contrastive_by_hand(loss: Contrastive, rows: list[list[float]], labels: list[int]) -> float:
    pull, push = [], []
    for i, j in combinations(range(len(rows)), 2):
        a, b = (unit(rows[k]) if loss.normalize else rows[k] for k in (i, j))
        d = math.sqrt(squared(a, b))
        if labels[i] == labels[j]:
            pull.append(d * d / 2)
        else:
            push.append(max(0.0, loss.margin - d) ** 2 / 2)
    if loss.balanced:
        return sum(pull) / len(pull) / 2 + sum(push) / len(push) / 2
    return sum(pull + push) / len(pull + push)


def triplet_by_hand(
    loss: Triplet, rows: list[list[float]], labels: list[int]
) -> tuple[float, dict[str, int]]:
    n, margin = len(rows), loss.margin
    d = [[squared(a, b) for b in rows] for a in rows]
    positives = {a: [p for p in range(n) if p != a and labels[p] == labels[a]] for a in range(n)}
    negatives = {a: [q for q in range(n) if labels[q] != labels[a]] for a in range(n)}
    counts = dict.fromkeys(("easy", "semi_hard", "hard"), 0)
    for a in range(n):
        for p in positives[a]:
            for q in negatives[a]:
                if d[a][q] <= d[a][p]:
                    counts["hard"] += 1
                elif d[a][q] < d[a][p] + margin:
                    counts["semi_hard"] += 1
                else:
                    counts["easy"] += 1
    terms = []
    if loss.mining == "batch-all":
        for a in range(n):
            for p in positives[a]:
                terms += [d[a][p] - d[a][q] + margin for q in negatives[a]]
        terms = [t for t in terms if t > 0]
    elif loss.mining == "batch-hard":
        for a in range(n):
            if positives[a] and negatives[a]:
                far, near = max(d[a][p] for p in positives[a]), min(d[a][q] for q in negatives[a])
                terms.append(max(0.0, far - near + margin))
    else:
        for a in range(n):
            for p in positives[a]:
                near = [d[a][q] for q in negatives[a] if d[a][p] < d[a][q] < d[a][p] + margin]
                if near:
                    terms.append(d[a][p] - min(near) + margin)
    active = sum(t > 0 for t in terms)
    figures = {f"triplets_{k}": v for k, v in counts.items()}
    figures |= {"triplets": sum(counts.values()), "triplets_active": active}
    return (sum(terms) / len(terms) if terms else 0.0), figures


def siamese_by_hand(loss: Siamese, rows: list[list[float]], labels: list[int]) -> float:
    features = []
    for row in rows:
        if loss.features == "sigmoid":
            row = [1 / (1 + math.exp(-v)) for v in row]
        elif loss.features == "non-negative":
            row = [max(0.0, v) for v in row]
        features.append(row if loss.features == "raw" else unit(row))
    alpha, beta = loss.alpha.tolist(), loss.beta.item()
    same, different = [], []
    for i, j in combinations(range(len(rows)), 2):
        z = beta
        for weight, a, b in zip(alpha, features[i], features[j], strict=True):
            if loss.form == "absolute":
                z += weight * abs(a - b)
            elif a + b > 0:
                z += weight * (a - b) ** 2 / (a + b)
        p = 1 / (1 + math.exp(-z))
        (same if labels[i] == labels[j] else different).append((p, i, j))
    most = loss.negatives * len(same)
    if len(different) > most:
        different = [different[int((k + 0.5) * len(different) / most)] for k in range(most)]
    entropy_same = -sum(math.log(p) for p, _, _ in same) / len(same)
    entropy_different = -sum(math.log(1 - p) for p, _, _ in different) / len(different)
    return (entropy_same + entropy_different) / 2


def center_by_hand(loss: Center, rows: list[list[float]], labels: list[int]) -> float:
    weights, biases = loss.classifier.weight.tolist(), loss.classifier.bias.tolist()
    centers = loss.centers.tolist()
    total = 0.0
    for x, y in zip(rows, labels, strict=True):
        logits = [
            sum(w * v for w, v in zip(row, x, strict=True)) + b
            for row, b in zip(weights, biases, strict=True)
        ]
        total += math.log(sum(math.exp(z) for z in logits)) - logits[y]
        total += loss.center_weight / 2 * squared(x, centers[y])
    return total / len(rows)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_the_equation(name: str, dtype: Any) -> None:
    loss = make(name, dtype)
    for seed in range(3):
        embeddings, labels = batch(dtype, seed)
        expected = by_hand(name, loss, embeddings.tolist(), labels.tolist())
        assert expected > 0.01
        found = loss(embeddings, labels).loss.item()
        assert found == pytest.approx(expected, rel=TOLERANCE[dtype], abs=TOLERANCE[dtype])


@pytest.mark.parametrize("negatives", [1, 2, 3])
def test_siamese_takes_even_steps_through_the_negatives(negatives: int) -> None:
    loss = Siamese(D, C, negatives=negatives).double()
    embeddings, labels = batch()
    value = loss(embeddings, labels)
    expected = siamese_by_hand(loss, embeddings.tolist(), labels.tolist())
    assert value.loss.item() == pytest.approx(expected, rel=1e-12)
    positive = value.figures["positive_pairs"]
    assert value.figures["negative_pairs"] == negatives * positive


@pytest.mark.parametrize("name", LOSSES)
def test_gradient(name: str) -> None:
    loss = make(name)
    embeddings, labels = batch(n=10)
    embeddings.requires_grad_()
    inputs = (embeddings, *loss.parameters())
    assert torch.autograd.gradcheck(lambda *_: loss(embeddings, labels).loss, inputs)


@pytest.mark.parametrize("name", [name for name in LOSSES if name.startswith("triplet")])
@pytest.mark.parametrize("margin", [0.05, 0.5, 2.0])
def test_triplets_are_counted(name: str, margin: float) -> None:
    loss = Triplet(D, C, mining=LOSSES[name][1]["mining"], margin=margin)
    seen = dict.fromkeys(("triplets_easy", "triplets_semi_hard", "triplets_hard"), 0)
    for seed in range(4):
        embeddings, labels = batch(seed=seed, n=20)
        rows = [unit(row) for row in embeddings.tolist()]
        value, expected = triplet_by_hand(loss, rows, labels.tolist())
        found = loss(embeddings, labels)
        assert {k: int(v) for k, v in found.figures.items()} == expected
        assert found.loss.item() == pytest.approx(value, rel=1e-12)
        seen = {k: v + expected[k] for k, v in seen.items()}
    assert min(seen.values()) > 0


def test_triplets_at_the_limits_count_as_the_equation_says() -> None:
    # From the first: its positive and one negative at the same distance, another just at the
    # margin. Squares of halves and quarters are exact, so nothing hangs on rounding.
    rows = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [-1.0, 0, 0, 0]])
    labels = torch.tensor([0, 0, 1, 2])
    value = Triplet(4, 3, margin=2.0, mining="batch-all")(rows.double(), labels)
    # d(0,1) = d(0,2) = 2: hard. d(0,3) = 4 = 2 + margin: easy. From 1 all are 2 away: both hard.
    assert value.loss.item() == pytest.approx(2, rel=1e-12)
    assert {k: int(v) for k, v in value.figures.items()} == {
        "triplets": 4, "triplets_easy": 1, "triplets_semi_hard": 0, "triplets_hard": 3,
        "triplets_active": 3,
    }  # fmt: skip


# --- against pytorch-metric-learning --------------------------------------------------------------


def test_batch_all_is_that_of_pytorch_metric_learning() -> None:
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    theirs = losses.TripletMarginLoss(margin=0.4, distance=distances.LpDistance(power=2))
    embeddings, labels = batch(seed=5, n=24)
    ours, other = embeddings.clone().requires_grad_(), embeddings.clone().requires_grad_()
    mine = Triplet(D, C, margin=0.4, mining="batch-all")(ours, labels).loss
    reference = theirs(other, labels)
    assert mine.item() == pytest.approx(reference.item(), rel=1e-9)
    mine.backward()
    reference.backward()
    torch.testing.assert_close(ours.grad, other.grad, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "keys"), [("semihard", ("triplets_semi_hard",)), ("hard", ("triplets_hard",)),
                       ("easy", ("triplets_easy",)),
                       ("all", ("triplets_semi_hard", "triplets_hard"))],
)  # fmt: skip
def test_counts_are_those_of_its_miner(kind: str, keys: tuple[str, ...]) -> None:
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    miner = miners.TripletMarginMiner(
        margin=0.4, type_of_triplets=kind, distance=distances.LpDistance(power=2)
    )
    embeddings, labels = batch(seed=6, n=24)
    figures = Triplet(D, C, margin=0.4)(embeddings, labels).figures
    expected = len(miner(embeddings, labels)[0])
    assert expected > 0
    assert sum(int(figures[key]) for key in keys) == expected


@pytest.mark.parametrize("normalize", [True, False])
def test_contrastive_is_that_of_pytorch_metric_learning(normalize: bool) -> None:
    # Theirs is not squared, and counts each pair twice: compare its terms.
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    reducers = pytest.importorskip("pytorch_metric_learning.reducers")
    theirs = losses.ContrastiveLoss(
        neg_margin=1.2,
        distance=distances.LpDistance(normalize_embeddings=normalize),
        reducer=reducers.DoNothingReducer(),
    )
    embeddings, labels = batch(seed=7)
    terms = theirs(embeddings, labels)
    squares = [(terms[k]["losses"] ** 2 / 2).mean().item() for k in ("pos_loss", "neg_loss")]
    ours = Contrastive(D, C, margin=1.2, normalize=normalize, balanced=True)
    assert ours(embeddings, labels).loss.item() == pytest.approx(sum(squares) / 2, rel=1e-5)


# --- edges ----------------------------------------------------------------------------------------

EDGES: dict[str, tuple[Any, Any]] = {
    "equal embeddings": (torch.ones(6, D), torch.tensor([0, 0, 1, 1, 2, 2])),
    "zero vectors": (torch.zeros(6, D), torch.tensor([0, 0, 1, 1, 2, 2])),
    "some zero vectors": (
        torch.cat([torch.zeros(2, D), torch.eye(6)[:4]]),
        torch.tensor([0, 1, 0, 1, 2, 2]),
    ),
    "one photo": (torch.ones(1, D), torch.tensor([3])),
    "opposite embeddings": (
        torch.cat([torch.eye(6)[:3], -torch.eye(6)[:3]]),
        torch.tensor([0, 0, 1, 1, 2, 2]),
    ),
    "very long": (torch.randn(6, D) * 1e6, torch.tensor([0, 0, 1, 1, 2, 2])),
    "very short": (torch.randn(6, D) * 1e-15, torch.tensor([0, 0, 1, 1, 2, 2])),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", LOSSES)
def test_edges_are_finite(name: str, edge: str) -> None:
    loss = make(name, torch.float32)
    embeddings, labels = EDGES[edge]
    embeddings = embeddings.clone().requires_grad_()
    value = loss(embeddings, labels)
    value.loss.backward()
    assert torch.isfinite(value.loss)
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()
    assert all(math.isfinite(float(figure)) for figure in value.figures.values())


@pytest.mark.parametrize(
    ("labels", "what"), [([0, 1, 2, 3, 4], "no positives"), ([2, 2, 2, 2, 2], "no negatives")]
)
@pytest.mark.parametrize("name", [n for n in LOSSES if n.startswith(("triplet", "siamese"))])
def test_nothing_to_count_is_zero_with_a_gradient(name: str, labels: list[int], what: str) -> None:
    loss = make(name)
    embeddings = batch(n=5)[0].requires_grad_()
    value = loss(embeddings, torch.tensor(labels))
    assert value.loss.item() == 0, what
    value.loss.backward()
    assert embeddings.grad is not None
    assert not embeddings.grad.any()
    assert all(p.grad is not None and not p.grad.any() for p in loss.parameters())


@pytest.mark.parametrize("name", [n for n in LOSSES if n.startswith("contrastive")])
def test_contrastive_with_one_kind_of_pairs(name: str) -> None:
    loss = make(name)
    assert isinstance(loss, Contrastive)
    embeddings = batch(n=5)[0]
    rows = embeddings.tolist()
    pairs = list(combinations(range(5), 2))
    if loss.normalize:
        rows = [unit(row) for row in rows]
    far = [math.sqrt(squared(rows[i], rows[j])) for i, j in pairs]
    same = loss(embeddings, torch.zeros(5, dtype=torch.int64)).loss.item()
    assert same == pytest.approx(sum(d * d / 2 for d in far) / 10, rel=1e-12)
    different = loss(embeddings, torch.arange(5)).loss.item()
    expected = sum(max(0.0, loss.margin - d) ** 2 / 2 for d in far) / 10
    assert different == pytest.approx(expected, rel=1e-12)


def test_equal_embeddings_are_hard_triplets() -> None:
    embeddings, labels = torch.ones(6, D), torch.tensor([0, 0, 1, 1, 2, 2])
    for mining, expected in (("batch-all", 0.2), ("batch-hard", 0.2), ("semi-hard", 0.0)):
        value = Triplet(D, 3, mining=mining)(embeddings, labels)
        assert value.loss.item() == pytest.approx(expected)
        assert int(value.figures["triplets_hard"]) == int(value.figures["triplets"]) == 24


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_computed_in_float32(name: str, half: Any) -> None:
    loss = make(name, torch.float32)
    embeddings, labels = batch(half)
    embeddings.requires_grad_()
    value = loss(embeddings, labels).loss
    value.backward()
    assert value.dtype == torch.float32
    assert embeddings.grad is not None
    assert embeddings.grad.dtype == half
    assert value.item() == pytest.approx(loss(embeddings.float(), labels).loss.item(), rel=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(embeddings.float(), labels).loss
    assert inside.item() == pytest.approx(value.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Contrastive, {"margin": 0.0}),
        (Contrastive, {"margin": 2.0}),
        (Contrastive, {"margin": math.nan}),
        (Contrastive, {"margin": math.inf, "normalize": False}),
        (Triplet, {"margin": 0.0}),
        (Triplet, {"margin": 4.0}),
        (Triplet, {"margin": math.nan}),
        (Triplet, {"mining": "hardest"}),
        (Siamese, {"form": "cosine"}),
        (Siamese, {"form": "chi-square", "features": "unit"}),
        (Siamese, {"form": "chi-square", "features": "raw"}),
        (Siamese, {"features": "relu"}),
        (Siamese, {"negatives": 0}),
        (Center, {"center_weight": -1.0}),
        (Center, {"center_weight": math.nan}),
        (Center, {"alpha": 0.0}),
        (Center, {"alpha": 1.5}),
    ],
)
def test_bad_options(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="expected"):
        kind(D, C, **options)


def test_who_wants_what() -> None:
    assert {kind.wants for kind in (Contrastive, Triplet, Siamese)} == {"people"}
    assert Center.wants == "photos"


# --- scoring with the siamese head ----------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in LOSSES if name.startswith("siamese")])
def test_score_is_the_probability_that_was_trained(name: str) -> None:
    loss = make(name)
    assert isinstance(loss, Siamese)
    embeddings, _ = batch(n=2)
    p = loss.score(embeddings[0], embeddings[1]).item()
    same = by_hand(name, loss, embeddings.tolist() * 2, [0, 1, 0, 1])
    # Two of each: both pairs of one person are equal embeddings, all four of two are (a, b).
    z_equal = loss.beta.item()
    expected = (math.log(1 + math.exp(-z_equal)) - math.log(1 - p)) / 2
    assert same == pytest.approx(expected, rel=1e-10)
    assert loss.score(embeddings[1], embeddings[0]).item() == pytest.approx(p, rel=1e-12)
    table = loss.score(embeddings[:, None], embeddings[None, :])
    assert table.shape == (2, 2)
    assert table[0, 1].item() == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize("form", ["absolute", "chi-square"])
def test_the_head_learns_to_tell_people_apart(form: Any) -> None:
    torch.manual_seed(0)
    head = Siamese(32, 8, form=form)
    labels = torch.arange(8).repeat_interleave(4)
    places = torch.randn(8, 32)
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        value = head(places[labels] + 0.4 * torch.randn(32, 32), labels)
        value.loss.backward()
        optimizer.step()
    x = places + 0.4 * torch.randn(8, 32)
    y = places + 0.4 * torch.randn(8, 32)
    p = head.score(x[:, None], y[None])
    assert p.diagonal().min().item() > p[~torch.eye(8, dtype=torch.bool)].max().item()


# --- the centers ----------------------------------------------------------------------------------


def moved_by_hand(loss: Center, rows: list[list[float]], labels: list[int]) -> list[list[float]]:
    centers = loss.centers.tolist()
    moved = [list(row) for row in centers]
    for j in range(C):
        own = [x for x, y in zip(rows, labels, strict=True) if y == j]
        for k in range(D):
            step = sum(centers[j][k] - x[k] for x in own) / (1 + len(own))
            moved[j][k] -= loss.alpha * step
    return moved


def test_centers_move_by_the_papers_rule() -> None:
    loss = make("centre")
    assert isinstance(loss, Center)
    embeddings, labels = batch()
    labels[labels == 2] = 3  # somebody who is not in the batch stays
    moved = moved_by_hand(loss, embeddings.tolist(), labels.tolist())
    expected = torch.tensor(moved, dtype=torch.float64)
    before = loss.centers.clone()
    loss(embeddings, labels)
    assert torch.equal(loss.centers, before)
    loss.update(0.1)
    torch.testing.assert_close(loss.centers, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(loss.centers[2], before[2])
    assert not torch.equal(loss.centers[3], before[3])
    after = loss.centers.clone()
    loss.update(0.1)  # nothing was seen since
    assert torch.equal(loss.centers, after)


def test_small_batches_move_centers_as_a_large_one() -> None:
    whole, parts = make("centre"), make("centre")
    assert isinstance(whole, Center)
    assert isinstance(parts, Center)
    embeddings, labels = batch()
    for _ in range(3):
        whole(embeddings, labels)
        for part in (slice(0, 5), slice(5, 6), slice(6, N)):
            parts(embeddings[part], labels[part])
        whole.update(0.1)
        parts.update(0.1)
    torch.testing.assert_close(whole.centers, parts.centers, rtol=1e-12, atol=1e-12)


def test_centers_forget_a_step_that_was_given_up() -> None:
    loss, untouched = make("centre"), make("centre")
    assert isinstance(loss, Center)
    assert isinstance(untouched, Center)
    embeddings, labels = batch()
    loss(embeddings * math.nan, labels)
    for each in (loss, untouched):
        each.advance(1, 10)
        each(embeddings, labels)
        each.update(0.1)
    assert torch.equal(loss.centers, untouched.centers)


def test_centers_do_not_move_in_evaluation() -> None:
    loss = make("centre")
    assert isinstance(loss, Center)
    before = loss.centers.clone()
    embeddings, labels = batch()
    loss.eval()(embeddings, labels)
    loss.train()
    with torch.no_grad():
        loss(embeddings, labels)
    loss.update(0.1)
    assert torch.equal(loss.centers, before)


def test_centers_are_saved_and_read() -> None:
    loss, other = make("centre"), Center(D, C, center_weight=0.3).double()
    assert isinstance(loss, Center)
    state = loss.state_dict()
    assert set(state) == {"centers", "classifier.weight", "classifier.bias"}
    assert "centers" not in dict(loss.named_parameters())
    other.load_state_dict(state)
    embeddings, labels = batch()
    assert other(embeddings, labels).loss.item() == loss(embeddings, labels).loss.item()
