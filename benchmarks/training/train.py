"""Every loss, from scratch, on the AT&T faces: 30 people to train with, 10 unseen to verify.

    python benchmarks/training/train.py --att DIR [--json] [--losses arcface triplet] [--seeds 3]
                                        [--choose] [--starts random whitened]

400 photos are all there is: whatever the network knows, it learned from 300 of them (s1 to
s30). The other ten people (s31 to s40) are only measured: 450 pairs of one person, 4,500 of two.
Faces are found by the package's detector, turned to the front (``lineament.align.frontal``), and
cut closely, since with 30 people hair and background are remembered in place of faces.

``att`` is every loss from a random start. ``whitened`` begins with a last layer in closed form
(``backbone.whitened``) on top of oriented edges: "none" is that alone, without a step of training,
the others go on from there with a loss.

The settings were chosen by --choose, which never reads s31 to s40: three times, ten of the thirty
are held out. Spread is the standard deviation over seeds. One process a core; about half an hour on
two cores for everything.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, report, table

PEOPLE, PHOTOS = 40, 10
UNSEEN = tuple(range(30, 40))
SIZE_PX = 48
NATIVE_PX, CUT_XY = 112, (14, 14)
"""Pixels left out of the 112x112 crop: to the left and right, and above (half as many below)."""

STARTS = ("random", "whitened")
EPOCHS = 60
DIMENSION = 128

COMMON: dict[str, dict[str, Any]] = {
    "data": {"size_px": SIZE_PX},
    "augment": {
        "rotation_deg": 8.0,
        "scaling": 0.08,
        "shift": 0.04,
        "erasing": 0.3,
        "erasing_most": 0.2,
    },
    "sampler": {"kind": "people", "people": 8, "photos": 4},
    "backbone": {"name": "shallow", "dimension": DIMENSION},
    "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 5e-4},
    "schedule": {"kind": "cosine", "warmup_steps": 40},
    "log": {"csv": False, "every": 1000},
    "checkpoint": {"every": 0},
}

SETTINGS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "normalized-softmax": {"loss": {"options": {"scale": 10.0}}},
    "contrastive": {"optimizer": {"lr": 0.01}, "loss": {"options": {"balanced": True}}},
    "triplet": {
        "optimizer": {"lr": 0.02},
        "loss": {"options": {"mining": "batch-hard", "margin": 0.3}},
    },
    "siamese": {"optimizer": {"lr": 0.02}},
    "centre": {},
    "a-softmax": {"loss": {"options": {"decay": 2.0}}},
    "cosface": {"loss": {"options": {"scale": 8.0, "margin": 0.1}}},
    "arcface": {"loss": {"options": {"scale": 10.0, "margin": 0.2}}},
    "combined": {"loss": {"options": {"scale": 10.0}}},
    "curricularface": {"loss": {"options": {"scale": 10.0, "margin": 0.2}}},
    "magface": {
        "loss": {
            "options": {
                "scale": 10.0,
                "least_norm": 1.0,
                "most_norm": 20.0,
                "least_margin": 0.2,
                "most_margin": 0.4,
                "penalty_weight": 5.0,
            }
        }
    },
    "adaface": {"loss": {"options": {"scale": 10.0, "margin": 0.2, "momentum": 0.9}}},
    "subcenter-arcface": {"loss": {"options": {"scale": 10.0, "margin": 0.2, "centers": 2}}},
    "partial-fc": {
        "loss": {"options": {"rate": 0.5, "margin_options": {"scale": 10.0, "margin": 0.2}}}
    },
}
"""What differs from ``COMMON`` for each loss."""

WHITENED: dict[str, dict[str, Any]] = {
    "backbone": {
        "name": "oriented",
        "dimension": 200,
        "whitened": 6,
        "frozen": ["stage1", "stage2"],
    },
    "augment": {"erasing": 0.0},
    "optimizer": {"lr": 0.02},
}
"""What differs again where the last layer begins in closed form."""

WHITENED_EPOCHS = 20
NO_LOSS = "none"
AFTER_WHITENING = (NO_LOSS, "arcface", "triplet")
"""Losses that go on from there: one with class centers, one with pairs."""


class Faces:
    """Some of the people, in memory; a ``lineament.train.data.FaceSet``."""

    def __init__(self, crops: np.ndarray, labels: np.ndarray, people: Sequence[int]) -> None:
        """Keep the photos of ``people``, who get the labels 0, 1, ..."""
        chosen = np.flatnonzero(np.isin(labels, list(people)))
        self.crops = crops[chosen]
        self.people = tuple(f"s{person + 1}" for person in people)
        place = {person: number for number, person in enumerate(people)}
        self.labels = np.array([place[int(label)] for label in labels[chosen]], np.int64)

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.crops)

    def name(self, index: int) -> str:
        """For messages."""
        return f"{self.people[int(self.labels[index])]}, photo {index % PHOTOS + 1}"

    def read(self, index: int) -> np.ndarray:
        """(S, S, 3) uint8 RGB."""
        return self.crops[index]


def aligned(folder: Path, frontal: bool) -> tuple[np.ndarray, np.ndarray]:
    """All 400 faces, (400, S, S, 3) uint8 RGB, with the person's number, 0 to 39."""
    import cv2

    from lineament import Recognizer, align_faces, load_image, models
    from lineament.align.frontal import frontalize
    from lineament.align.landmarks68 import landmarks68
    from lineament.models.runtime import load_model

    paths = [
        folder / f"s{person}" / f"{photo}.pgm"
        for person in range(1, PEOPLE + 1)
        for photo in range(1, PHOTOS + 1)
    ]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: expected the AT&T faces, folders s1 to s40 with 1.pgm ...")
    crops = []
    found = Recognizer("sface").stream([str(path) for path in paths], embed=False)
    points = load_model(models.get("landmarks68"))
    x, y = CUT_XY
    for path, photo in zip(paths, found, strict=True):
        if not photo.faces:
            raise DataError(f"{path}: no face was found")
        face = max(photo.faces, key=lambda face: face.score)
        image = load_image(path)
        if frontal:
            crop = frontalize(image, landmarks68(points, image, [face])[0], size_px=NATIVE_PX)
        else:
            crop = align_faces(image, [face], f"arcface-{NATIVE_PX}")[0]
        close = crop[y : NATIVE_PX - y // 2, x : NATIVE_PX - x]
        crops.append(cv2.resize(close, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA))
    return np.stack(crops), np.repeat(np.arange(PEOPLE), PHOTOS)


def verified(backbone: Any, faces: Faces) -> dict[str, Any]:
    """AUC, and TAR at FMR 1e-2, over all pairs; embeddings with their mirror images'.

    "lost" is what each person's own pairs lack to an AUC of 1, by name; they add up to 1 - AUC,
    up to ties.
    """
    import torch

    from lineament.evaluate.metrics import auc, tar_at_fmr

    x = torch.from_numpy(np.ascontiguousarray(faces.crops.transpose(0, 3, 1, 2))).float()
    with torch.inference_mode():
        both = backbone(x) + backbone(x.flip(3))  # (N, D)
        vectors = torch.nn.functional.normalize(both).numpy()
    scores = vectors @ vectors.T
    first, second = np.triu_indices(len(faces), 1)
    same = faces.labels[first] == faces.labels[second]
    values = scores[first, second]
    impostors = np.sort(values[~same])
    above = 1 - np.searchsorted(impostors, values[same], side="right") / len(impostors)
    whose = faces.labels[first[same]]
    return {
        "lost": {
            name: float(above[whose == person].sum() / same.sum())
            for person, name in enumerate(faces.people)
        },
        "auc": float(auc(values, same)),
        "tar_at_fmr_1e-2": float(tar_at_fmr(values[same], values[~same], [1e-2])[0]),
    }


@dataclass(frozen=True)
class Task:
    """One run.

    Attributes:
        start: "random" or "whitened".
        loss: of ``SETTINGS``, or ``NO_LOSS``.
        seed: of everything.
        unseen: people who are left out of training and verified.
        changes: "table.key=value", on top of the settings.
    """

    start: str
    loss: str
    seed: int
    unseen: tuple[int, ...]
    changes: tuple[str, ...]

    def settings(self, folder: str) -> dict[str, Any]:
        """Tables of the run's configuration."""
        epochs = EPOCHS if self.start == "random" else WHITENED_EPOCHS
        values: dict[str, Any] = {
            "run": {"out": folder + "/run", "seed": self.seed, "threads": 1, "epochs": epochs}
        }
        layers = [COMMON, SETTINGS.get(self.loss, {})]
        if self.start == "whitened":
            layers.append(WHITENED)
        for layer in layers:
            for name, settings in layer.items():
                values[name] = values.get(name, {}) | settings
        if self.loss != NO_LOSS:
            values["loss"] = {"name": self.loss, **values.get("loss", {})}
        return values


def one(work: tuple[Task, np.ndarray, np.ndarray]) -> dict[str, Any]:
    """Train and verify."""
    import torch

    from lineament.train.config import from_dict, override
    from lineament.train.data.crops import Crops
    from lineament.train.model.last_layer import whiten
    from lineament.train.model.start import starting_backbone
    from lineament.train.run.loop import fit

    task, crops, labels = work
    torch.set_num_threads(1)
    started = time.perf_counter()
    excluded = set(task.unseen) | set(UNSEEN)
    train = Faces(crops, labels, [p for p in range(PEOPLE) if p not in excluded])
    with tempfile.TemporaryDirectory(prefix="lineament-att-") as folder:
        values = task.settings(folder)
        for change in task.changes:
            override(values, change)
        config = from_dict(values)
        if task.loss == NO_LOSS:
            backbone, _ = starting_backbone(config.backbone, config.data.size_px)
            whiten(
                backbone.eval(),
                Crops(train, SIZE_PX, config.augment, task.seed),
                config.backbone.whitened,
            )
        else:
            backbone = fit(config, faces=train).backbone
        figures = verified(backbone, Faces(crops, labels, task.unseen))
    return {**figures, "seconds": time.perf_counter() - started}


def measured(
    tasks: list[Task], crops: np.ndarray, labels: np.ndarray, jobs: int
) -> dict[str, dict[str, Any]]:
    """For each start, each loss: mean and spread over seeds."""
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with ProcessPoolExecutor(jobs) as pool:
        work = ((task, crops, labels) for task in tasks)
        for task, figures in zip(tasks, pool.map(one, work), strict=True):
            rows.setdefault(task.start, {}).setdefault(task.loss, []).append(figures)
            print(
                f"{task.start:<9} {task.loss:<18} AUC {figures['auc']:.4f}  "
                f"TAR {figures['tar_at_fmr_1e-2']:.3f}  {figures['seconds']:.0f} s",
                file=sys.stderr,
            )
    return {
        start: {loss: summary(found) for loss, found in losses.items()}
        for start, losses in rows.items()
    }


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the seeds of one loss."""
    table: dict[str, Any] = {
        key: {
            "mean": float(np.mean([row[key] for row in found])),
            "spread": float(np.std([row[key] for row in found], ddof=min(1, len(found) - 1))),
        }
        for key in ("auc", "tar_at_fmr_1e-2")
    }
    table["seconds"] = float(np.mean([row["seconds"] for row in found]))
    lost = Counter[str]()
    for row in found:
        lost.update(row["lost"])
    hardest = max(lost, key=lambda name: lost[name])
    share = lost[hardest] / sum(lost.values()) if lost[hardest] else 0.0
    table["hardest"] = {"person": hardest, "share_of_lost_auc": share}
    return table


def run(options: Any) -> dict[str, Any]:
    crops, labels = aligned(options.att, options.crops == "frontal")
    tasks = []
    for start in options.starts:
        losses = options.losses
        if start == "whitened":
            losses = [loss for loss in AFTER_WHITENING if loss in (NO_LOSS, *options.losses)]
        for loss in losses:
            for seed in range(options.seeds):
                unseen = UNSEEN
                if options.choose:
                    unseen = tuple(range(10 * (seed % 3), 10 * (seed % 3) + 10))
                tasks.append(Task(start, loss, seed, unseen, tuple(options.set)))
    tables = measured(tasks, crops, labels, options.jobs)
    random = tables.get("random", {})
    best = max(random, key=lambda loss: random[loss]["auc"]["mean"], default=None)
    whitened = tables.get("whitened", {})
    return {"att": random, "best": best, "seeds": options.seeds, "whitened": whitened}


def show(figures: dict[str, Any]) -> None:
    for start, key in (("random", "att"), ("whitened", "whitened")):
        rows = []
        for loss, row in figures[key].items():
            auc, tar, hardest = row["auc"], row["tar_at_fmr_1e-2"], row["hardest"]
            rows.append(
                (
                    loss,
                    f"{auc['mean']:.4f} ± {auc['spread']:.4f}",
                    f"{tar['mean']:.3f} ± {tar['spread']:.3f}",
                    f"{hardest['person']}: {hardest['share_of_lost_auc']:.2f}",
                )
            )
        if rows:
            columns = (f"{start} start", "AUC", "TAR at FMR 1e-2", "share of 1 - AUC")
            table(columns, rows)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--att", type=Path, required=True, metavar="DIR", help="the AT&T faces")
    parser.add_argument("--losses", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--set", nargs="+", default=[], metavar="TABLE.KEY=VALUE")
    parser.add_argument("--crops", choices=("frontal", "five-points"), default="frontal")
    parser.add_argument("--choose", action="store_true", help="hold out ten of s1 to s30 instead")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
