"""What margins do, in two dimensions: a few people on the circle, one panel a loss.

J. Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019,
figure 3, trains eight people into two dimensions, with softmax and with ArcFace: softmax leaves
their sectors side by side, the margin draws each together. This does the same, on your photographs,
with more losses, in minutes on a CPU:

    result = toy("lfw/images")
    figures.save(result.figure(), "toy.png")

All losses start from the same weights, see the same photographs in the same order with the same
changes, and train for as many steps. What is shown are the photographs that were trained on, as in
the paper: the picture tells how a loss arranges what it knows, not how it does on strangers.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lineament.errors import DataError, DivergedError, MissingExtraError, OptionError
from lineament.train.data import FaceSet, open_faces
from lineament.types import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lineament.pipeline import Recognizer
    from lineament.train.losses.seam import Loss

Float64Array = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Told what is being done, how far it is, and how far it goes."""

LEAST_PEOPLE, MOST_PEOPLE = 2, 20
LEAST_PHOTOS = 4
MOST_PHOTOS = 60
NATIVE_PX = 112
SIZE_PX = 32
WIDTH = 16
BATCH = 64
EPOCHS = 100
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-4
CLIP_NORM = 5.0
WARM_UP = 20
"""Steps until the learning rate is reached; from there it falls as a cosine."""

TURNED_RAD, ZOOMED, MOVED, CONTRAST, LIGHTER = 0.1, 0.06, 0.07, 0.2, 20.0
"""How far photographs are changed at most; ``MOVED`` is in halves of a side, ``LIGHTER`` in grey
levels. Without changes the network knows 480 photographs by heart, and any loss makes points of its
people."""

LOSSES = ("softmax", "a-softmax", "cosface", "arcface", "triplet")

HEAD_FACTOR = 0.1
"""The classifier learns so much slower than the network. If it is as fast, the weights of two
people who begin mixed up run after their photographs until they lie on each other, for good."""

GROWING = ("arcface", "cosface")
GROWN_AFTER = 0.5
"""The margins of these grow from 0 over this share of the training, as A-Softmax's does by itself:
with the whole margin from the start, two people who begin on the wrong sides may never change
places in two dimensions."""

SHOWN_NAMES = MappingProxyType(
    {
        "softmax": "Softmax",
        "normalized-softmax": "Normalized softmax",
        "contrastive": "Contrastive",
        "triplet": "Triplet",
        "siamese": "Siamese",
        "centre": "Centre loss",
        "a-softmax": "A-Softmax (SphereFace)",
        "cosface": "CosFace",
        "arcface": "ArcFace",
        "combined": "Combined margins",
        "curricularface": "CurricularFace",
        "magface": "MagFace",
        "adaface": "AdaFace",
        "subcenter-arcface": "Sub-centre ArcFace",
    }
)
"""How the losses are called in the picture."""

OPTIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "normalized-softmax": {"scale": 16.0},
        "a-softmax": {"decay": 0.6, "least": 1.0},
        "cosface": {"scale": 16.0, "margin": 0.2},
        "arcface": {"scale": 16.0, "margin": 0.5},
        "triplet": {"margin": 0.3, "mining": "batch-all"},
    }
)
"""Options for two dimensions, where a loss needs others than its own.

Eight directions in the plane are 45 degrees apart, where thousands in 512 dimensions are 90 apart:
the cosine falls by 0.29 from one to the next, not by 1. A margin must be less than that: 0.5
radians (29 degrees) leave each person 8 degrees to either side, and so does a cosine of 0.2. With
the scale of 64 that thousands of people take, probabilities would be 0 or 1 while points are still
far from their centres; 16 keeps them in between. A-Softmax comes to its margin in a quarter of the
steps that its paper's code takes, since there are but 700.
"""


@dataclass(frozen=True, eq=False, slots=True)
class ToyLoss:
    """What one loss made of the photographs.

    Attributes:
        name: of the loss.
        options: that it was given.
        embeddings_xy: (N, 2), as the network returns them.
        centres_xy: (C, 2) the classifier's weights; the people's mean directions where it has none.
        has_weights: which of both.
        within_deg: mean angle between an embedding and its person's mean direction, the mean over
            people ("Intra" in the paper), 0 to 180. A photograph on a wrong side weighs much.
        median_deg: half of the photographs lie nearer to their person's mean direction than this.
        least_between_deg: least angle between the mean directions of two people, 0 to 180.
        weights_off_deg: mean angle between a classifier's weight and its person's mean direction
            ("W-EC"); None without weights.
        accuracy: share of the photographs, 0 to 1, that the classifier, or the nearest mean
            direction, assigns to their person. Of training.
        loss: mean over the last epoch.
        seconds: that it took.
    """

    name: str
    options: Mapping[str, Any]
    embeddings_xy: Float64Array
    centres_xy: Float64Array
    has_weights: bool
    within_deg: float
    median_deg: float
    least_between_deg: float
    weights_off_deg: float | None
    accuracy: float
    loss: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        off = self.weights_off_deg
        return {
            "name": self.name,
            "options": dict(self.options),
            "within_deg": round(self.within_deg, 3),
            "median_deg": round(self.median_deg, 3),
            "least_between_deg": round(self.least_between_deg, 3),
            "weights_off_deg": None if off is None else round(off, 3),
            "accuracy": round(self.accuracy, 4),
            "loss": round(self.loss, 5),
            "seconds": round(self.seconds, 1),
            "has_weights": self.has_weights,
            "centres_xy": self.centres_xy.round(5).tolist(),
            "embeddings_xy": self.embeddings_xy.round(5).tolist(),
        }


@dataclass(frozen=True, eq=False, slots=True)
class ToyResult:
    """What ``toy`` found.

    Attributes:
        people: C names, most photographs first.
        labels: (N,) int64, 0 to C - 1: of the rows of each ``embeddings_xy``.
        losses: in the order they were asked for.
        epochs, seed: of the training.
        notes: what is worth telling about the photographs.
    """

    people: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    losses: tuple[ToyLoss, ...]
    epochs: int
    seed: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: the table, and the points of the picture."""
        return {
            "people": list(self.people),
            "photos": np.bincount(self.labels, minlength=len(self.people)).tolist(),
            "epochs": self.epochs,
            "seed": self.seed,
            "losses": [each.to_dict() for each in self.losses],
            "labels": self.labels.tolist(),
            "notes": list(self.notes),
        }

    def figure(self, *, title: str = "") -> Figure:
        """Draw it: softmax where its points lie, the others on the circle.

        Raises:
            MissingExtraError: matplotlib is missing.
        """
        from lineament.train import figures

        panels = []
        for each in self.losses:
            # Softmax has lengths to tell: people differ in them too, not in direction only.
            in_plane = each.name == "softmax"
            rays = "weights" if each.has_weights else "means"
            head = SHOWN_NAMES.get(each.name, each.name)
            panels.append(
                figures.Circle(
                    name=f"{head}, as it lies in the plane" if in_plane else head,
                    points_xy=each.embeddings_xy,
                    labels=self.labels,
                    centres_xy=each.centres_xy,
                    note=(
                        f"within a person {each.within_deg:.1f}°, between at least "
                        f"{each.least_between_deg:.0f}°\n"
                        f"accuracy {each.accuracy:.1%}, rays: {rays}"
                    ),
                    on_circle=not in_plane,
                )
            )
            if in_plane:
                panels.append(
                    figures.Circle(
                        name=f"{head}, directions only",
                        points_xy=each.embeddings_xy,
                        labels=self.labels,
                        centres_xy=each.centres_xy,
                        note="the same points on the circle,\nas recognizers compare them",
                    )
                )
        names = [name.replace("_", " ") for name in self.people]
        return figures.circles(panels, names, title=title if title else self._title())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture, and ``to_dict`` as JSON beside it, under the same name.

        Args:
            path: ends in .png, .svg or .pdf; its folder must exist.

        Raises:
            OptionError: another ending, or it cannot be written.
            MissingExtraError: matplotlib is missing.
        """
        import json
        from pathlib import Path

        from lineament.atomic import write_atomically
        from lineament.evaluate import figures

        figures.save(self.figure(), path)
        text = json.dumps(self.to_dict(), ensure_ascii=False) + "\n"
        write_atomically(Path(path).with_suffix(".json"), text.encode())

    def _title(self) -> str:
        """What is seen; the claim only where it holds."""
        within = {each.name: each.within_deg for each in self.losses}
        people = f"{len(self.people)} people in two dimensions"
        if within.get("arcface", math.inf) < within.get("softmax", -math.inf):
            return (
                f"{people}: a photograph lies {within['softmax']:.1f}° from its person's centre "
                f"with softmax, {within['arcface']:.1f}° with ArcFace"
            )
        return f"{people}, photographs of training"


def toy(
    photos: str | os.PathLike[str] | FaceSet,
    *,
    people: int = 8,
    photos_each: int = MOST_PHOTOS,
    losses: Sequence[str] = LOSSES,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    epochs: int = EPOCHS,
    size_px: int = SIZE_PX,
    seed: int = 0,
    recognizer: Recognizer | None = None,
    progress: Progress | None = None,
) -> ToyResult:
    """Train a few people into two dimensions, once with each loss.

    The network is the "tiny" one of ``lineament.train.backbones``. Photographs are mirrored,
    turned, moved, scaled and made lighter or darker at random while training; embeddings are of
    the photographs as they are.

    A classifier's weights start evenly around the circle, in the order of the people, and learn ten
    times slower than the network; the margins of ArcFace and CosFace grow over the first half. In
    two dimensions nobody can pass anybody by: from random places some people stay wedged in between
    others, or end on one spot with them, and the picture would be one of luck. So the angles
    between people tell little about a loss here; those within a person do.

    Args:
        photos: folder a person (or whatever ``open_faces`` takes), or a set that is open. Crops of
            112x112 pixels are taken as they are; in other photographs the face nearest to the
            middle is looked for and aligned.
        people: C, those with the most photographs, 2 to 20.
        photos_each: of each person at most so many, and no more than the last of them has; drawn at
            random; 4 or more.
        losses: names, in the order of the panels.
        options: loss -> its options; over those in ``OPTIONS``.
        epochs: how often each photograph is seen.
        size_px: side of the crops in training, a multiple of 16.
        seed: of the weights, the order and the changes.
        recognizer: finds and aligns the faces; None is the default one, face in the middle.
        progress: told what is being done, how many are done, of how many.

    Raises:
        DataError: too few people with enough photographs, or one cannot be read.
        OptionError: values outside these, or a loss that does not exist.
        DivergedError: a loss is not a number any more.
        MissingExtraError: PyTorch is missing.
    """
    _check_options(people, photos_each, losses, epochs)
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    faces = open_faces(photos) if isinstance(photos, (str, os.PathLike)) else photos
    names, labels, crops, notes = _crops(
        faces, people, photos_each, size_px, seed, recognizer, progress
    )
    # (N, S, S, 3) -> (N, 3, S, S)
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous().float()
    results = []
    # Asked for first: a misspelt name or option must not wait until the others are trained.
    made = {name: _make(name, len(names), options, seed) for name in losses}
    for name, (loss, given) in made.items():
        results.append(
            _train(name, loss, given, pixels, labels, epochs=epochs, seed=seed, progress=progress)
        )
    return ToyResult(names, labels, tuple(results), epochs, seed, notes)


def _check_options(people: int, photos_each: int, losses: Sequence[str], epochs: int) -> None:
    if not LEAST_PEOPLE <= people <= MOST_PEOPLE:
        raise OptionError(
            f"people: expected {LEAST_PEOPLE} to {MOST_PEOPLE}, as many as can be told apart in "
            f"the picture, got {people}"
        )
    if photos_each < LEAST_PHOTOS:
        raise OptionError(f"photos_each: expected {LEAST_PHOTOS} or more, got {photos_each}")
    if epochs < 1:
        raise OptionError(f"epochs: expected 1 or more, got {epochs}")
    if isinstance(losses, str) or not losses or len(set(losses)) < len(losses):
        raise OptionError(f"losses: expected one name or more, each once, got {losses!r}")


# --- photographs ----------------------------------------------------------------------------------


def _crops(
    faces: FaceSet,
    people: int,
    photos_each: int,
    size_px: int,
    seed: int,
    recognizer: Recognizer | None,
    progress: Progress | None,
) -> tuple[tuple[str, ...], npt.NDArray[np.int64], Image, tuple[str, ...]]:
    """Names, (N,) labels and (N, S, S, 3) crops of the people with the most photographs."""
    from lineament.train.data.augment import resized

    counts = np.bincount(faces.labels, minlength=len(faces.people))
    top = np.argsort(-counts, kind="stable")[:people]
    if len(top) < people or counts[top[-1]] < LEAST_PHOTOS:
        enough = int((counts >= LEAST_PHOTOS).sum())
        raise DataError(
            f"expected {people} people with at least {LEAST_PHOTOS} photographs each, found "
            f"{enough}; add photographs or ask for fewer people"
        )
    each = min(photos_each, int(counts[top[-1]]))
    draw = np.random.default_rng(seed)
    chosen = [
        int(i)
        for person in top
        for i in np.sort(draw.choice(np.flatnonzero(faces.labels == person), each, replace=False))
    ]
    aligned = _aligned(faces, chosen, recognizer, progress)
    kept = [k for k, crop in enumerate(aligned) if crop is not None]
    labels = np.repeat(np.arange(people), each)[kept]
    left = np.bincount(labels, minlength=people)
    if left.min() < LEAST_PHOTOS:
        name = faces.people[top[int(left.argmin())]]
        raise DataError(
            f"{name}: expected a face in at least {LEAST_PHOTOS} of {each} photographs, found one "
            f"in {left.min()}; take other photographs, or crops that are aligned already"
        )
    notes = []
    if len(kept) < len(chosen):
        notes.append(f"no face was found in {len(chosen) - len(kept)} of {len(chosen)} photographs")
    crops = np.stack([resized(crop, size_px) for crop in aligned if crop is not None])
    return tuple(faces.people[i] for i in top), labels, crops, tuple(notes)


def _aligned(
    faces: FaceSet, chosen: Sequence[int], recognizer: Recognizer | None, progress: Progress | None
) -> list[Image | None]:
    """Crops of 112 by 112 pixels; None where no face was found."""
    crops: list[Image | None] = []
    searched: list[int] = []
    for done, index in enumerate(chosen):
        image = faces.read(index)
        crops.append(image)
        if image.shape[:2] != (NATIVE_PX, NATIVE_PX):
            searched.append(done)
            crops[-1] = None
        if progress is not None:
            progress("reading photographs", done + 1, len(chosen))
    if not searched:
        return crops
    if recognizer is None:
        from lineament.pipeline import Recognizer

        recognizer = Recognizer(choose="central")
    images = (faces.read(chosen[place]) for place in searched)
    found = recognizer.stream(images, embed=False, keep_crops=True, color_order="rgb")
    for done, (place, analysis) in enumerate(zip(searched, found, strict=True)):
        if analysis.error is not None:
            raise DataError(f"{faces.name(chosen[place])}: {analysis.error}") from analysis.error
        by_size = recognizer.choose == "largest"
        number = analysis.largest() if by_size else analysis.most_central()
        if number is not None and analysis.crops is not None:
            crops[place] = analysis.crops[number]
        if progress is not None:
            progress("aligning faces", done + 1, len(searched))
    return crops


# --- training -------------------------------------------------------------------------------------


def _make(
    name: str, classes: int, options: Mapping[str, Mapping[str, Any]] | None, seed: int
) -> tuple[Loss, dict[str, Any]]:
    import torch

    from lineament.train.losses import make_loss

    given = dict(OPTIONS.get(name, {})) | dict((options or {}).get(name, {}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loss = make_loss(name, 2, classes, **given)
    weight = _weight(loss)
    if weight is not None:
        turn = 2 * math.pi * torch.arange(classes) / classes
        with torch.no_grad():
            weight.copy_(torch.stack([turn.cos(), turn.sin()], 1))
    return loss, given


def _weight(loss: Loss) -> Any:
    """(C, 2) the parameter that holds a direction for each person; None where there is none."""
    for parameter in loss.parameters():
        if parameter.shape == (loss.classes, 2):
            return parameter
    return None


def _train(
    name: str,
    loss: Any,
    given: Mapping[str, Any],
    pixels: Any,
    labels: npt.NDArray[np.int64],
    *,
    epochs: int,
    seed: int,
    progress: Progress | None,
) -> ToyLoss:
    import torch

    from lineament.train.backbones import make_backbone

    began = time.perf_counter()
    n, batch = len(labels), min(BATCH, len(labels))
    target = torch.from_numpy(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make_backbone("tiny", dimension=2, size_px=pixels.shape[-1], width=WIDTH)
    parameters = [*net.parameters(), *loss.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(net.parameters()), "factor": 1.0},
            {"params": list(loss.parameters()), "factor": HEAD_FACTOR},
        ],
        LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )
    draw = torch.Generator().manual_seed(seed)
    in_epoch = n // batch
    steps, step = epochs * in_epoch, 0
    margin = loss.margin.margin if name in GROWING else None
    net.train()
    loss.train()
    last = math.nan
    for epoch in range(epochs):
        order = torch.randperm(n, generator=draw)
        total = 0.0
        for k in range(in_epoch):
            chosen = order[k * batch : (k + 1) * batch]
            warm = min(1.0, (step + 1) / WARM_UP)
            rate = LEARNING_RATE * warm * (1 + math.cos(math.pi * step / steps)) / 2
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            loss.advance(step, steps)
            if margin is not None:
                loss.margin.margin = margin * min(1.0, step / (GROWN_AFTER * steps))
            value = loss(net(_changed(pixels[chosen], draw)), target[chosen]).loss
            if not torch.isfinite(value):
                raise DivergedError(
                    f"{name}: the loss is {value.item()} in step {step + 1:,}; its options "
                    f"({dict(given)}) may not suit two dimensions"
                )
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            optimizer.step()
            loss.update(rate)
            total += value.item()
            step += 1
        last = total / in_epoch
        if progress is not None:
            progress(f"training with {name}", epoch + 1, epochs)
    net.eval()
    with torch.no_grad():
        embeddings = torch.cat([net(part) for part in pixels.split(256)]).double().numpy()
    weight = _weight(loss)
    centres = None if weight is None else weight.detach().double().numpy()
    biases = [p.detach().double().numpy() for p in loss.parameters() if p.shape == (loss.classes,)]
    return measured(
        name, given, embeddings, labels, loss.classes, centres,
        bias=biases[0] if biases else None, loss=last, seconds=time.perf_counter() - began,
    )  # fmt: skip


def _changed(x: Any, draw: Any) -> Any:
    """(N, 3, S, S) mirrored, turned, moved, scaled, lighter or darker: a little, each by itself."""
    import torch
    from torch.nn import functional

    n = len(x)

    def between(most: float) -> Any:
        return (2 * torch.rand(n, generator=draw) - 1) * most

    mirror = torch.where(torch.rand(n, generator=draw) < 0.5, -1.0, 1.0)
    turn, zoom = between(TURNED_RAD), 1 + between(ZOOMED)
    grid = torch.zeros(n, 2, 3)
    grid[:, 0, 0], grid[:, 0, 1] = mirror * zoom * turn.cos(), -zoom * turn.sin()
    grid[:, 1, 0], grid[:, 1, 1] = mirror * zoom * turn.sin(), zoom * turn.cos()
    grid[:, 0, 2], grid[:, 1, 2] = between(MOVED), between(MOVED)
    places = functional.affine_grid(grid, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, places, align_corners=False, padding_mode="border")
    mean = x.mean((1, 2, 3), keepdim=True)
    contrast, light = 1 + between(CONTRAST), between(LIGHTER)
    x = mean + (x - mean) * contrast[:, None, None, None] + light[:, None, None, None]
    return x.clamp(0, 255)


# --- measuring ------------------------------------------------------------------------------------


def measured(
    name: str,
    options: Mapping[str, Any],
    embeddings_xy: Float64Array,
    labels: npt.NDArray[np.int64],
    classes: int,
    weights_xy: Float64Array | None = None,
    *,
    bias: Float64Array | None = None,
    loss: float = math.nan,
    seconds: float = 0.0,
) -> ToyLoss:
    """Measure the angles of embeddings in the plane.

    Args:
        name: of the loss.
        options: of the loss.
        embeddings_xy: (N, 2).
        labels: (N,) 0 to C - 1; everybody has one at least.
        classes: C.
        weights_xy: (C, 2) of the classifier; None without one.
        bias: (C,) of the classifier; None where only directions count.
        loss: of the end of the training.
        seconds: that it took.
    """
    unit = _unit(embeddings_xy)  # (N, 2)
    means = _unit(np.stack([unit[labels == k].mean(0) for k in range(classes)]))  # (C, 2)
    own = _degrees(unit, means[labels])
    within = float(np.mean([own[labels == k].mean() for k in range(classes)]))
    pairs = [float(_degrees(means[a], means[b])) for a in range(classes) for b in range(a)]
    if weights_xy is None:
        scores = unit @ means.T  # (N, 2) @ (2, C) -> (N, C)
    elif bias is None:
        scores = unit @ _unit(weights_xy).T
    else:
        scores = embeddings_xy @ weights_xy.T + bias
    off = None if weights_xy is None else float(_degrees(_unit(weights_xy), means).mean())
    return ToyLoss(
        name=name,
        options=dict(options),
        embeddings_xy=embeddings_xy,
        centres_xy=means if weights_xy is None else weights_xy,
        has_weights=weights_xy is not None,
        within_deg=within,
        median_deg=float(np.median(own)),
        least_between_deg=min(pairs),
        weights_off_deg=off,
        accuracy=float((scores.argmax(1) == labels).mean()),
        loss=loss,
        seconds=seconds,
    )


def _unit(rows: Float64Array) -> Float64Array:
    scaled: Float64Array = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return scaled


def _degrees(a: Float64Array, b: Float64Array) -> Float64Array:
    """Angles between unit vectors of the plane, exact for small ones, where arccos is not."""
    across = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    along = (a * b).sum(-1)
    turned: Float64Array = np.degrees(np.abs(np.arctan2(across, along)))
    return turned
