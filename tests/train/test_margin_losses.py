"""The classification losses against loops written from their equations, and against another's."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from lineament.errors import OptionError  # noqa: E402
from lineament.train.losses import LOSSES, make_loss  # noqa: E402
from lineament.train.losses.loss import Loss  # noqa: E402

DIMENSION = 10
CLASSES = 9
ANGLES_DEG = (8, 35, 62, 88, 95, 120, 145, 165)
"""Between the photos and their own centers: on both sides of every turn of the margins."""
NORMS = (4, 14, 25, 33, 58, 90, 105, 150)
"""Below, inside and above MagFace's limits."""

Row = list[float]
Own = Callable[[float, float], float]


# --- loops from the equations ---------------------------------------------------------------------


def dot(a: Row, b: Row) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def cross_entropy(logits: Row, label: int) -> float:
    most = max(logits)
    return most + math.log(math.fsum(math.exp(z - most) for z in logits)) - logits[label]


def cosines_of(x: Row, weight: list[Row], centers: int = 1) -> Row:
    every = [dot(x, w) / math.sqrt(dot(x, x) * dot(w, w)) for w in weight]
    return [max(every[k : k + centers]) for k in range(0, len(every), centers)]


def loop(
    embeddings: list[Row],
    weight: list[Row],
    labels: list[int],
    own: Own,
    *,
    scale: float | None = 64.0,
    centers: int = 1,
    t: float | None = None,
) -> float:
    total = []
    for x, label in zip(embeddings, labels, strict=True):
        norm = math.sqrt(dot(x, x))
        cosines = cosines_of(x, weight, centers)
        target = own(cosines[label], norm)
        factor = norm if scale is None else scale
        logits = []
        for j, c in enumerate(cosines):
            if j == label:
                logits.append(factor * target)
            elif t is not None and c > target:
                logits.append(factor * c * (t + c))
            else:
                logits.append(factor * c)
        total.append(cross_entropy(logits, label))
    return math.fsum(total) / len(total)


def arc(m: float) -> Own:
    def own(c: float, norm: float) -> float:
        theta = math.acos(c)
        return math.cos(theta + m) if theta <= math.pi - m else c - m * math.sin(m)

    return own


def easy_arc(c: float, norm: float) -> float:
    return math.cos(math.acos(c) + 0.5) if c > 0 else c


def sphere(m: int, blend: float) -> Own:
    def own(c: float, norm: float) -> float:
        theta = math.acos(c)
        k = math.floor(m * theta / math.pi)
        psi = (-1) ** k * math.cos(m * theta) - 2 * k
        return (blend * c + psi) / (1 + blend)

    return own


def combined(m1: float, m2: float, m3: float) -> Own:
    def own(c: float, norm: float) -> float:
        phi = m1 * math.acos(c) + m2
        k = 0
        while phi > (k + 1) * math.pi:
            k += 1
        return (math.cos(phi) if k % 2 == 0 else -math.cos(phi)) - 2 * k - m3

    return own


def softmax_loop(x: list[Row], loss: Loss, labels: list[int]) -> float:
    weight, bias = loss.weight.double().tolist(), loss.bias.double().tolist()
    rows = [[dot(row, w) + b for w, b in zip(weight, bias, strict=True)] for row in x]
    return math.fsum(map(cross_entropy, rows, labels)) / len(x)


def curricular_loop(x: list[Row], loss: Loss, labels: list[int]) -> float:
    weight = loss.weight.double().tolist()
    own = [cosines_of(row, weight)[label] for row, label in zip(x, labels, strict=True)]
    t = 0.9 * 0.3 + 0.1 * math.fsum(own) / len(own)
    return loop(x, weight, labels, arc(0.5), t=t)


def magface_loop(x: list[Row], loss: Loss, labels: list[int]) -> float:
    def held(norm: float) -> float:
        return min(max(norm, 10.0), 110.0)

    def own(c: float, norm: float) -> float:
        return arc(0.45 + (0.8 - 0.45) / (110 - 10) * (held(norm) - 10))(c, norm)

    norms = [held(math.sqrt(dot(row, row))) for row in x]
    wanted = math.fsum(1 / a + a / 110**2 for a in norms) / len(x)
    return loop(x, loss.weight.double().tolist(), labels, own) + 35 * wanted


def adaface_loop(x: list[Row], loss: Loss, labels: list[int]) -> float:
    norms = [min(max(math.sqrt(dot(row, row)), 0.001), 100.0) for row in x]
    mean = math.fsum(norms) / len(norms)
    deviation = math.sqrt(math.fsum((n - mean) ** 2 for n in norms) / (len(norms) - 1))
    mu, sigma = 0.3 * mean + 0.7 * 20, 0.3 * deviation + 0.7 * 100

    def own(c: float, norm: float) -> float:
        q = (min(max(norm, 0.001), 100.0) - mu) / (sigma + 0.001) * 0.333
        q = min(max(q, -1.0), 1.0)
        theta = min(max(math.acos(c) - 0.4 * q, 0.0), math.pi)
        return math.cos(theta) - (0.4 * q + 0.4)

    return loop(x, loss.weight.double().tolist(), labels, own)


def of(own: Own, **options: Any) -> Callable[[list[Row], Loss, list[int]], float]:
    def run(x: list[Row], loss: Loss, labels: list[int]) -> float:
        return loop(x, loss.weight.double().tolist(), labels, own, **options)

    return run


def plain(c: float, norm: float) -> float:
    return c


LOOPS: list[tuple[str, dict[str, Any], Callable[[list[Row], Loss, list[int]], float]]] = [
    ("softmax", {}, softmax_loop),
    ("normalized-softmax", {"scale": 20.0}, of(plain, scale=20.0)),
    ("normalized-softmax", {"scale": None}, of(plain, scale=None)),
    ("a-softmax", {"start": 0.0, "least": 0.0}, of(sphere(4, 0), scale=None)),
    ("a-softmax", {"margin": 3, "start": 7.0}, of(sphere(3, 7), scale=None)),
    ("a-softmax", {"margin": 1, "start": 0.0, "least": 0.0}, of(plain, scale=None)),
    ("cosface", {"margin": 0.35}, of(lambda c, norm: c - 0.35)),
    ("arcface", {}, of(arc(0.5))),
    ("arcface", {"margin": 0.3, "scale": 30.0}, of(arc(0.3), scale=30.0)),
    ("arcface", {"easy_margin": True}, of(easy_arc)),
    ("combined", {}, of(combined(1, 0.3, 0.2))),
    ("combined", {"m1": 1.35, "m2": 0.6, "m3": 0.1}, of(combined(1.35, 0.6, 0.1))),
    ("combined", {"m1": 4.0, "m2": 0.0, "m3": 0.0}, of(sphere(4, 0))),
    ("curricularface", {"momentum": 0.9}, curricular_loop),
    ("magface", {}, magface_loop),
    ("adaface", {"momentum": 0.7}, adaface_loop),
    ("subcenter-arcface", {"centers": 3}, of(arc(0.5), centers=3)),
]
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(LOOPS)]
NAMES = sorted({name for name, _, _ in LOOPS})


def photos(loss: Loss, centers: int = 1) -> tuple[Tensor, Tensor]:
    """One at each angle to its own (first) center, of those lengths; float64."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(len(ANGLES_DEG)) % loss.classes
    weight = loss.weight.detach().double()[labels * centers]
    near = weight / weight.norm(dim=1, keepdim=True)
    side = torch.randn(near.shape, generator=generator, dtype=torch.float64)
    side -= (side * near).sum(dim=1, keepdim=True) * near
    side /= side.norm(dim=1, keepdim=True)
    angle = torch.deg2rad(torch.tensor(ANGLES_DEG, dtype=torch.float64))[:, None]
    x = near * angle.cos() + side * angle.sin()
    return x * torch.tensor(NORMS, dtype=torch.float64)[:, None], labels


def built(name: str, dtype: torch.dtype, **options: Any) -> tuple[Loss, Tensor, Tensor]:
    torch.manual_seed(7)
    loss = make_loss(name, DIMENSION, CLASSES, **options).to(dtype)
    if name == "curricularface":
        loss.margin.t.fill_(0.3)
    x, labels = photos(loss, options.get("centers", 3 if "subcenter" in name else 1))
    return loss, x.to(dtype), labels


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize(("name", "options", "expected"), LOOPS, ids=IDS)
def test_against_the_equation(
    name: str,
    options: dict[str, Any],
    expected: Callable[[list[Row], Loss, list[int]], float],
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    loss, x, labels = built(name, dtype, **options)
    wanted = expected(x.double().tolist(), loss, labels.tolist())
    got = loss(x, labels).loss
    assert got.dtype == dtype
    assert got.item() == pytest.approx(wanted, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(("name", "options", "expected"), LOOPS, ids=IDS)
def test_gradient(name: str, options: dict[str, Any], expected: object) -> None:
    loss, x, labels = built(name, torch.float64, **options)
    loss(x, labels)  # the running statistics: in eval mode they stay, as the check needs
    loss.eval()
    x = (x * 0.3 if name == "softmax" else x).requires_grad_()

    def run(x: Tensor, weight: Tensor) -> Tensor:
        if name == "adaface":  # No gradient goes through its norms, by design: hold them.
            x = x / x.norm(dim=1, keepdim=True) * torch.tensor(NORMS)[:, None]
        value: Tensor = torch.func.functional_call(loss, {"weight": weight}, (x, labels)).loss
        return value

    # The scale of 64 makes the loss steep: the differences are taken over 1e-7.
    assert torch.autograd.gradcheck(run, (x, loss.weight), eps=1e-7, atol=1e-5, rtol=1e-4)


# --- against pytorch-metric-learning --------------------------------------------------------------


def rival(name: str) -> tuple[Any, dict[str, Any]]:
    """It takes degrees for ArcFace, and 1 / scale as a temperature."""
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    sizes = {"num_classes": CLASSES, "embedding_size": DIMENSION}
    degrees = math.degrees(0.5)
    made: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
        "arcface": (lambda: losses.ArcFaceLoss(**sizes, margin=degrees, scale=64), {}),
        "cosface": (lambda: losses.CosFaceLoss(**sizes, margin=0.35, scale=64), {}),
        "a-softmax": (
            lambda: losses.SphereFaceLoss(**sizes, margin=4, scale=1),
            {"start": 0.0, "least": 0.0},
        ),
        "normalized-softmax": (
            lambda: losses.NormalizedSoftmaxLoss(**sizes, temperature=0.05),
            {"scale": 20.0},
        ),
        "subcenter-arcface": (
            lambda: losses.SubCenterArcFaceLoss(**sizes, margin=degrees, scale=64, sub_centers=3),
            {"centers": 3},
        ),
    }
    build, options = made[name]
    return build(), options


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # in its SphereFace
@pytest.mark.parametrize(
    "name", ["arcface", "cosface", "a-softmax", "normalized-softmax", "subcenter-arcface"]
)
def test_against_pytorch_metric_learning(name: str) -> None:
    theirs, options = rival(name)
    loss, x, labels = built(name, torch.float64, **options)
    x.requires_grad_()
    theirs.W.data = loss.weight.detach().t().clone()
    wanted = theirs(x, labels)
    wanted_grads = torch.autograd.grad(wanted, (x, theirs.W))
    value = loss(x, labels).loss
    grads = torch.autograd.grad(value, (x, loss.weight))
    torch.testing.assert_close(value, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grads[0], wanted_grads[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(grads[1], wanted_grads[1].t(), rtol=1e-9, atol=1e-9)


# --- relations between them -----------------------------------------------------------------------


def test_a_margin_makes_the_own_cosine_fall_over_all_angles() -> None:
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    norm = torch.full_like(theta, 20.0)
    for name in ("arcface", "cosface", "combined", "magface", "a-softmax", "normalized-softmax"):
        made = make_loss(name, 2, 3).double().margin(theta.cos(), norm)
        assert (made.diff() <= 1e-9).all(), name


def test_combined_is_arcface_and_cosface() -> None:
    for options, name, same in (
        ({"m2": 0.5, "m3": 0.0}, "arcface", ANGLES_DEG[:-1]),
        ({"m2": 0.0, "m3": 0.35}, "cosface", ANGLES_DEG),
    ):
        cosine = torch.deg2rad(torch.tensor(same, dtype=torch.float64)).cos()
        one = make_loss("combined", 2, 2, m1=1.0, **options).double().margin(cosine, cosine)
        other = make_loss(name, 2, 2).double().margin(cosine, cosine)
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_softmax_anneals() -> None:
    loss = make_loss("a-softmax", 4, 3)
    seen = []
    for step in (0, 10, 1000, 100_000):
        loss.advance(step, 100_000)
        seen.append(float(loss.margin.blend))
    assert seen == pytest.approx([1000, 1000 / 2.2, 1000 / 121, 5])


# --- edges ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_on_the_own_center_and_opposite(name: str, side: float, dtype: torch.dtype) -> None:
    loss, _, _ = built(name, dtype)
    # Centers along the axes: cosines of exactly +-1, and 0 to the others.
    k = loss.weight.shape[0] // CLASSES
    with torch.no_grad():
        loss.weight.copy_(torch.eye(DIMENSION, dtype=dtype)[:CLASSES].repeat_interleave(k, 0))
    labels = torch.arange(4)
    x = (side * 12 * torch.eye(DIMENSION, dtype=dtype)[:4]).requires_grad_()
    value = loss(x, labels).loss
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(loss.weight.grad).all()
    if name == "arcface":
        own = math.cos(0.5) if side > 0 else -1 - 0.5 * math.sin(0.5)
        logits = [64 * own] + [0.0] * (CLASSES - 1)
        assert value.item() == pytest.approx(cross_entropy(logits, 0), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_one_class(name: str) -> None:
    loss = make_loss(name, 4, 1)
    torch.manual_seed(0)
    x = torch.randn(3, 4, requires_grad=True)
    value = loss(x, torch.zeros(3, dtype=torch.int64)).loss
    value.backward()
    only_own = 0 if name != "magface" else 35 * (1 / 10 + 10 / 110**2)
    if name != "subcenter-arcface":
        assert value.item() == pytest.approx(only_own, abs=1e-5)
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(loss.weight.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_and_centers_of_no_length(name: str) -> None:
    loss, x, labels = built(name, torch.float32)
    x[2] = 0
    x.requires_grad_()
    with torch.no_grad():
        loss.weight[1] = 0
    value = loss(x, labels).loss
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(loss.weight.grad).all()
    if name not in ("softmax", "a-softmax"):
        assert (x.grad[2] == 0).all()
        assert (loss.weight.grad[1] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch(name: str) -> None:
    x = torch.zeros(0, 4, requires_grad=True)
    value = make_loss(name, 4, 3)(x, torch.zeros(0, dtype=torch.int64)).loss
    value.backward()
    assert value.item() == 0
    assert x.grad.shape == (0, 4)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_computed_in_float32(name: str, half: torch.dtype) -> None:
    loss, x, labels = built(name, torch.float32)
    loss.eval()
    rounded = x.to(half)
    exact, low = rounded.float().requires_grad_(), rounded.clone().requires_grad_()
    wanted = loss(exact, labels).loss
    wanted.backward()
    weight_grad, loss.weight.grad = loss.weight.grad.clone(), None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(low, labels).loss
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == wanted.item()
    assert low.grad.dtype == half
    torch.testing.assert_close(low.grad, exact.grad.to(half), rtol=0, atol=0)
    torch.testing.assert_close(loss.weight.grad, weight_grad, rtol=0, atol=0)


def test_the_graph_may_be_used_twice_and_the_centers_frozen() -> None:
    loss, x, labels = built("arcface", torch.float64)
    x.requires_grad_()
    value = loss(x, labels).loss
    once = torch.autograd.grad(value, (x, loss.weight), retain_graph=True)
    scaled = torch.autograd.grad(3 * value, (x, loss.weight))
    torch.testing.assert_close(scaled, tuple(3 * grad for grad in once), rtol=1e-12, atol=1e-15)
    loss.weight.requires_grad_(False)
    (alone,) = torch.autograd.grad(loss(x, labels).loss, (x,))
    torch.testing.assert_close(alone, once[0])
    with torch.no_grad():
        assert loss(x, labels).loss.item() == value.item()


# --- state ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_and_eval_moves_nothing(name: str) -> None:
    loss, x, labels = built(name, torch.float32)
    loss.advance(500, 1000)
    loss(x, labels)
    state = {key: value.clone() for key, value in loss.state_dict().items()}
    loss.eval()
    value = loss(x * 1.1, labels).loss
    for key, after in loss.state_dict().items():
        assert torch.equal(after, state[key]), key
    torch.manual_seed(99)
    other = make_loss(name, DIMENSION, CLASSES)
    other.load_state_dict(state)
    other.eval()
    assert other(x * 1.1, labels).loss.item() == value.item()


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("adaface", {"margin.mean": 20.0, "margin.deviation": 100.0}),
        ("curricularface", {"margin.t": 0.3}),
    ],
)
def test_running_statistics_move_in_training(name: str, buffers: dict[str, float]) -> None:
    loss, x, labels = built(name, torch.float32)
    assert {key: pytest.approx(float(loss.state_dict()[key])) for key in buffers} == buffers
    loss(x, labels)
    moved = loss.state_dict()
    assert all(abs(float(moved[key]) - value) > 1e-4 for key, value in buffers.items())


def test_a_batch_of_one_leaves_adafaces_statistics() -> None:
    loss, x, labels = built("adaface", torch.float32)
    value = loss(x[:1], labels[:1]).loss
    assert torch.isfinite(value)
    assert float(loss.margin.mean) == 20
    assert float(loss.margin.deviation) == 100


# --- the registry ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_importing_loads_no_torch() -> None:
    code = "import sys, lineament.train.losses; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_all_that_are_tested_here_are_registered() -> None:
    assert set(NAMES) <= set(LOSSES)
    assert "partial-fc" in LOSSES


@pytest.mark.parametrize(
    ("name", "sizes", "options", "says"),
    [
        ("arc-face", (4, 3), {}, "cosface"),
        (None, (4, 3), {}, "cosface"),
        ("arcface", (4, 0), {}, "classes"),
        ("arcface", (0, 3), {}, "dimension"),
        ("arcface", (4, 2.0), {}, "whole number"),
        ("arcface", (4, 3), {"marge": 0.5}, "easy_margin"),
        ("arcface", (4, 3), {"margin": -0.1}, "at least 0"),
        ("arcface", (4, 3), {"margin": math.pi}, "less than"),
        ("arcface", (4, 3), {"margin": math.nan}, "got nan"),
        ("arcface", (4, 3), {"margin": True}, "got True"),
        ("arcface", (4, 3), {"easy_margin": 1}, "true or false"),
        ("cosface", (4, 3), {"scale": 0}, "more than 0"),
        ("cosface", (4, 3), {"margin": "0.3"}, "got '0.3'"),
        ("normalized-softmax", (4, 3), {"scale": -1.0}, "more than 0"),
        ("a-softmax", (4, 3), {"margin": 1.5}, "whole number"),
        ("a-softmax", (4, 3), {"least": -1}, "least"),
        ("combined", (4, 3), {"m1": 0}, "m1"),
        ("curricularface", (4, 3), {"momentum": 1.5}, "momentum"),
        ("magface", (4, 3), {"least_norm": 200.0}, "most_norm"),
        ("adaface", (4, 3), {"concentration": 0.0}, "concentration"),
        ("subcenter-arcface", (4, 3), {"centers": 0}, "centers"),
        ("softmax", (4, 3), {"bias": "no"}, "true or false"),
    ],
)
def test_bad_options(name: Any, sizes: tuple[Any, Any], options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make_loss(name, *sizes, **options)


@pytest.mark.parametrize("name", ["softmax", "arcface"])
@pytest.mark.parametrize(
    ("shape", "labels", "says"),
    [
        ((2, 5), [0, 1], "embeddings"),
        ((2, 4), [0, 3], "labels from 0 to 2, got 0 to 3"),
        ((2, 4), [-1, 0], "got -1"),
        ((2, 4), [0], "labels"),
        ((2, 4), [0.0, 1.0], "int64"),
    ],
)
def test_bad_batches(name: str, shape: tuple[int, int], labels: list[Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make_loss(name, 4, 3)(torch.zeros(shape), torch.tensor(labels))
