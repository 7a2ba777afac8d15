"""The head that the margin losses share: cross-entropy over cosines, the own one made harder.

With embeddings x_i (N, D), class centers w_j (C, D), labels y_i:

    cos_ij = x_i . w_j / (|x_i| |w_j|)
    z_ij   = r_i cos_ij                    for j != y_i
    z_iy   = r_i margin(cos_iy, |x_i|)     for j == y_i
    loss   = mean over i of  log(sum over j of exp z_ij) - z_iy

with r_i = s, a fixed scale, or r_i = |x_i|. A loss is then only its ``Margin``: a function of N
numbers, differentiated by PyTorch. The (N, C) and (C, D) work is done here once for all of them, in
one ``autograd.Function``: no unit-length copy of the centers, no (N, C) masks, and the gradient of
the cross-entropy stands ready in the place of the cosines when the forward pass ends.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from lineament.errors import OptionError
from lineament.train.losses.loss import Loss, LossValue

SHORTEST = 1e-12
"""A vector shorter than this has no direction: its cosines are 0, and it gets no gradient from
them. The value is the one of ``torch.nn.functional.normalize``."""


class Margin(nn.Module):
    """What a margin loss does to the cosine between a photo and its own center.

    Attributes:
        scale: s, the factor of all cosines; None takes the norm of each embedding.
        centers: K, centers a class; the nearest of them counts.
    """

    centers: int = 1

    def __init__(self, scale: float | None) -> None:
        """See ``scale`` above."""
        super().__init__()
        self.scale = scale

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """The own cosine with its margin. Each result depends on its own photo only.

        Args:
            cosine: (N,) between each embedding and the center of its class, -1 to 1 up to rounding.
            norm: (N,) length of each embedding.
        """
        del norm
        return cosine

    def observe(self, cosine: Tensor, norm: Tensor) -> None:
        """Update running statistics before ``forward``, detached and in training only."""

    def easing(self) -> Tensor | None:
        """t of CurricularFace, () float, where the cosines to other centers are changed too."""
        return None

    def penalty(self, norm: Tensor) -> Tensor | None:
        """(), to be added to the loss; None where there is none."""
        del norm
        return None

    def advance(self, step: int, steps: int) -> None:
        """See ``Loss.advance``."""

    def figures(self) -> dict[str, Tensor | float]:
        """State to log."""
        return {}


class MarginLoss(Loss):
    """A loss that is a margin and nothing else: ``weight`` (C K, D), the centers, is its parameter.

    Args:
        dimension: D.
        classes: C.
        margin: what happens to the own cosine. With its K centers a class, rows K j to K j + K - 1
            of ``weight`` belong to class j.
    """

    def __init__(self, dimension: int, classes: int, margin: Margin) -> None:
        """Take the arguments above, and draw the centers."""
        super().__init__(dimension, classes)
        self.margin = margin
        self.weight = nn.Parameter(torch.empty(classes * margin.centers, dimension))
        # Only the directions matter. The length sets how fast they turn: the gradient is
        # proportional to 1 / length. 0.01 is what InsightFace's heads draw.
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """See ``Loss.forward``."""
        check_batch(embeddings, labels, self.dimension, self.classes)
        if len(labels) == 0:
            return LossValue(full_precision(embeddings).sum() * 0)
        with torch.autocast(embeddings.device.type, enabled=False):
            return margin_loss(embeddings, self.weight, labels, self.margin)

    def advance(self, step: int, steps: int) -> None:
        """See ``Loss.advance``."""
        self.margin.advance(step, steps)


def margin_loss(
    embeddings: Tensor,
    weight: Tensor,
    labels: Tensor,
    margin: Margin,
    *,
    group: Any = None,
) -> LossValue:
    """Compute the equation at the top of this file.

    Args:
        embeddings: (N, D), N at least 1; half precision is computed with in float32.
        weight: (C K, D), of any lengths. In a sharded head: the ones that this process has.
        labels: (N,) int64, row / K of ``weight``; -1 where another process has the class.
        margin: what happens to the own cosine.
        group: of ``torch.distributed``: the processes over which the classes are spread. Each gets
            the same ``embeddings``, the same loss, and the gradient of the whole loss in them.
    """
    dtype = torch.float64 if torch.float64 in (embeddings.dtype, weight.dtype) else torch.float32
    embeddings = embeddings.to(dtype)
    norm = torch.linalg.vector_norm(embeddings, dim=1)  # (N,)
    if margin.scale is None:
        rows = embeddings  # (N, D)
    else:
        rows = embeddings * (margin.scale * _inverse(norm))[:, None]
    loss, own = _MarginCrossEntropy.apply(  # type: ignore[no-untyped-call]
        rows, norm, weight.to(dtype), labels, margin, group
    )
    figures: dict[str, Tensor | float] = {
        "own_angle_deg": own.clamp(-1, 1).acos().mean() * (180 / math.pi),
        "norm": norm.detach().mean(),
        **margin.figures(),
    }
    penalty = margin.penalty(norm)
    if penalty is not None:
        figures["penalty"] = penalty.detach()
        loss = loss + penalty
    return LossValue(loss, figures)


class _MarginCrossEntropy(torch.autograd.Function):
    """Rows (N, D), already of length r_i, and centers (C K, D) -> loss (), own cosines (N,)."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        norm: Tensor,
        weight: Tensor,
        labels: Tensor,
        margin: Margin,
        group: Any,
    ) -> tuple[Tensor, Tensor]:
        n, centers = len(rows), margin.centers
        inverse = _inverse(torch.linalg.vector_norm(weight, dim=1))  # (C K,)
        linear = _product(rows, weight)  # (N, D) @ (D, C K) -> (N, C K)
        linear.mul_(inverse)
        chosen = None
        cosines = linear
        if centers > 1:
            cosines, chosen = linear.view(n, -1, centers).max(dim=2)  # (N, C) twice
        here, column = _here(labels, group)
        own = torch.zeros_like(norm)
        own[here] = cosines[here, column]
        if group is not None:
            _all_reduce(own, "SUM", group)
        # Derivatives of N numbers, by PyTorch: how the target depends on its cosine and norm.
        with torch.enable_grad():
            own_leaf = own.requires_grad_()
            norm_leaf = norm.detach().requires_grad_()
            if margin.scale is None:
                radius = norm_leaf.clamp_min(SHORTEST)
            else:
                radius = torch.full_like(norm, margin.scale)
            cosine = own_leaf / radius
            if margin.training:
                margin.observe(cosine.detach(), norm.detach())
            target = radius * margin(cosine, norm_leaf)
            d_own, d_norm = torch.autograd.grad(
                target.sum(), (own_leaf, norm_leaf), materialize_grads=True
            )
        own, target, cosine = own.detach(), target.detach(), cosine.detach()
        cosines[here, column] = target[here]
        logits, slope = cosines, None
        easing = margin.easing()
        if easing is not None:
            assert margin.scale is not None
            factor = easing + cosines / margin.scale
            hard = cosines > target[:, None]
            logits = torch.where(hard, cosines * factor, cosines)
            slope = torch.where(hard, factor + cosines / margin.scale, 1.0)
        grad, log_total = _softmax(logits, group)  # (N, C), (N,)
        loss = (log_total - target).mean()
        ctx.mark_non_differentiable(cosine)
        if not any(ctx.needs_input_grad):
            return loss, cosine
        # d loss / d logit = (softmax - [j is y]) / N, here without the 1 / N
        own_grad = (target - log_total).exp() - 1  # (N,)
        if slope is not None:
            grad.mul_(slope)
        grad[here, column] = (own_grad * d_own)[here]
        cosines[here, column] = own[here]
        if chosen is not None:
            grad = (
                torch.zeros_like(linear)
                .view(n, -1, centers)
                .scatter_(2, chosen[:, :, None], grad[:, :, None])
                .view_as(linear)
            )
            linear[here, column * centers + chosen[here, column]] = own[here]
        # The length of a center has no effect, so its gradient has no part along itself:
        # dw_j = sum_i g_ij (x_i - z_ij w_j / |w_j|) / |w_j|
        grad.mul_(inverse / n)
        along = linear.mul_(grad).sum(dim=0).mul_(inverse)  # (C K,)
        ctx.save_for_backward(rows, weight, grad, along, own_grad * d_norm / n)
        ctx.group = group
        return loss, cosine

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, grad, along, d_norm = ctx.saved_tensors
        factor = grads[0]
        need_rows, need_norm, need_weight = ctx.needs_input_grad[:3]
        d_rows = d_weight = None
        with torch.autocast(rows.device.type, enabled=False):
            if need_rows:
                d_rows = _product(grad, weight.t()).mul_(factor)  # (N, C K) @ (C K, D) -> (N, D)
                if ctx.group is not None:
                    _all_reduce(d_rows, "SUM", ctx.group)
            if need_weight:
                # (C K, N) @ (N, D) -> (C K, D); in place, since new memory is what costs most here
                d_weight = _product(grad.t(), (rows * factor).t().contiguous())
                d_weight.addcmul_(weight, (along * factor)[:, None], value=-1)
        return d_rows, d_norm * factor if need_norm else None, d_weight, None, None, None


def _softmax(logits: Tensor, group: Any) -> tuple[Tensor, Tensor]:
    """Over all classes of all processes: (N, C) of this one's, and log(sum over j of exp) (N,)."""
    if group is None:
        # One pass, and the logarithm of the largest share loses nothing: it is 1 / C or more.
        peak, where = logits.max(dim=1, keepdim=True)
        share = torch.softmax(logits, dim=1)
        return share, (peak - share.gather(1, where).log())[:, 0]
    # A process may have drawn no class at all.
    peak = logits.amax(dim=1) if logits.shape[1] else logits.new_full((len(logits),), -math.inf)
    _all_reduce(peak, "MAX", group)
    share = torch.sub(logits, peak[:, None]).exp_()
    total = share.sum(dim=1)
    _all_reduce(total, "SUM", group)
    return share.mul_((1 / total)[:, None]), peak + total.log()


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b.T. For float32 on a CPU by oneDNN, which PyTorch holds for its compiler.

    ``torch.mm`` asks MKL there, which takes twice as long on processors not of Intel's.
    """
    plain = a.dtype == torch.float32 and a.device.type == "cpu" and a.numel() and b.numel()
    if _ONE_DNN is not None and plain:
        return cast("Tensor", _ONE_DNN(a, b, None, "none", [], ""))
    return torch.mm(a, b.t())


def _one_dnn() -> Any:
    """oneDNN's float32 product, where this build of PyTorch has it and it works; else None."""
    try:
        product = torch.ops.mkldnn._linear_pointwise
        known = torch.arange(6.0).view(2, 3)
        with torch.no_grad():
            right = torch.equal(product(known, known, None, "none", [], ""), known @ known.t())
    except (AttributeError, RuntimeError, TypeError):
        return None
    return product if right else None


_ONE_DNN = _one_dnn()


def _here(labels: Tensor, group: Any) -> tuple[Tensor, Tensor]:
    """Which photos have their class in this process, and which class that is."""
    rows = torch.arange(len(labels), device=labels.device)
    if group is None:
        return rows, labels
    mask = labels >= 0
    return rows[mask], labels[mask]


def _all_reduce(values: Tensor, how: str, group: Any) -> None:
    import torch.distributed as dist

    dist.all_reduce(values, getattr(dist.ReduceOp, how), group=group)


def _inverse(norm: Tensor) -> Tensor:
    """1 / norm, and 0, without a gradient, for what is too short to have a direction."""
    long = norm > SHORTEST
    return torch.where(long, 1 / torch.where(long, norm, 1), 0)


def angle(cosine: Tensor) -> Tensor:
    """(N,) arc cosine in radians, 0 to pi, whose slope stays finite where |cosine| is 1.

    The slope -1 / sin is taken with sin^2 no less than the rounding unit. The embedding does not
    notice: its own gradient of the cosine is proportional to sin.
    """
    known = cosine.detach()
    sine = (1 - known * known).clamp_min(torch.finfo(known.dtype).eps).sqrt()
    return known.clamp(-1, 1).acos() - (cosine - known) / sine


def full_precision(values: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


# --- checks ---------------------------------------------------------------------------------------


def check_batch(embeddings: Tensor, labels: Tensor, dimension: int, classes: int) -> None:
    """Raise OptionError unless the shapes fit and, where that costs nothing, the labels too."""
    if embeddings.ndim != 2 or embeddings.shape[1] != dimension:
        raise OptionError(
            f"expected embeddings (N, {dimension}), got {tuple(embeddings.shape)}; "
            "the loss and the backbone must have the same dimension",
            option="loss",
        )
    if labels.shape != embeddings.shape[:1] or labels.dtype != torch.int64:
        raise OptionError(
            f"expected labels ({len(embeddings)},) of int64, "
            f"got {tuple(labels.shape)} of {str(labels.dtype).removeprefix('torch.')}",
            option="loss",
        )
    # On another device than the CPU, looking at the labels would wait for all work before.
    if labels.device.type == "cpu" and len(labels):
        least, most = (int(value) for value in labels.aminmax())
        if least < 0 or most >= classes:
            raise OptionError(
                f"expected labels from 0 to {classes - 1}, got {least} to {most}; "
                "build the loss for as many classes as the training set has people",
                option="loss",
            )


def check_number(
    what: str,
    value: object,
    least: float,
    most: float = math.inf,
    *,
    open_least: bool = False,
    open_most: bool = False,
) -> None:
    """Raise OptionError unless ``value`` is a finite number from ``least`` to ``most``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = number and math.isfinite(value)  # type: ignore[arg-type]
    if fits:
        assert isinstance(value, (int, float))
        fits = least <= value <= most
        fits = fits and not (open_least and value == least) and not (open_most and value == most)
    if not fits:
        low = f"more than {least:g}" if open_least else f"at least {least:g}"
        high = f"less than {most:g}" if open_most else f"at most {most:g}"
        expected = low if most == math.inf else f"{low} and {high}"
        raise OptionError(f"expected a number, {expected}, got {value!r}", option=what)


def check_whole(what: str, value: object, least: int) -> None:
    """Raise OptionError unless ``value`` is a whole number, ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(f"expected a whole number, at least {least}, got {value!r}", option=what)


def check_switch(what: str, value: object) -> None:
    """Raise OptionError unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise OptionError(f"expected true or false, got {value!r}", option=what)
