"""Fit which parts of a face seem to be covered (``lineament.covered``).

The faces are those of ``scripts/fit/recognizability.py``: View 1's photos, clean, spoiled in many
ways, and covered by many shapes. What a shape hides, its name says (``HIDES``); a part of which
that depends on what was drawn is left out. Two layers learn it from the coarse cells of crops.
Before the network for use, one is fitted on half of the people, and what it says of the others is
printed.

Run:  python -m scripts.fit.covered ../shared/lfw --kept FOLDER       (writes data/covered.npz)
"""

from __future__ import annotations

import argparse
import io
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lineament.covered import FILE, LEAST_PROBABILITY, PARTS
from lineament.datasets.lfw import read_lfw
from lineament.files import write_atomically
from lineament.recognizability import MOST_CUE, crop_cues
from scripts.fit.recognizability import kinds, made, shape_of, together

HIDDEN, EPOCHS, BATCH, SEED = 24, 10, 256, 4
CLEAN_TIMES = 4
NO, YES, EITHER = 0.0, 1.0, math.nan

HIDES = {
    "mask": (NO, YES, NO),
    "mouth": (NO, EITHER, NO),
    "mouth and nose": (NO, YES, NO),
    "nose": (NO, EITHER, NO),
    "glasses": (YES, NO, NO),
    "bar": (YES, NO, NO),
    "one eye": (EITHER, NO, NO),
    "forehead": (NO, NO, YES),
    "low cap": (EITHER, NO, YES),
    "half": (EITHER, EITHER, EITHER),
    "balaclava": (NO, YES, YES),
    "hijab": (NO, NO, EITHER),
    "mask and glasses": (YES, YES, NO),
    "mask and cap": (NO, YES, YES),
    "blots": (EITHER, EITHER, EITHER),
    "hand": (NO, EITHER, NO),
    "hood": (NO, NO, EITHER),
    "pointed hood": (NO, NO, EITHER),
    "hat": (NO, NO, YES),
    "turban": (NO, NO, YES),
    "collar": (NO, EITHER, NO),
    "curtains": (NO, NO, EITHER),
    "headscarf": (NO, NO, EITHER),
    "helmet": (NO, NO, YES),
    "surround": (NO, NO, EITHER),
    "hat and collar": (NO, EITHER, YES),
}


def hidden(family: str) -> tuple[float, ...]:
    """Whether each part is covered, by family."""
    name = shape_of(family)
    return HIDES[name.removeprefix(kinds.COVER)] if name.startswith(kinds.COVER) else (NO,) * 3


def fitted(inputs: np.ndarray, truth: np.ndarray) -> nn.Sequential:
    torch.manual_seed(SEED)
    x, y = torch.from_numpy(inputs), torch.from_numpy(truth)
    net = nn.Sequential(
        nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(0.1), nn.Linear(HIDDEN, len(PARTS))
    )
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    steps = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            said, known = net(x[rows] + 0.2 * torch.randn(BATCH, x.shape[1])), y[rows]
            there = ~torch.isnan(known)
            loss = nn.functional.binary_cross_entropy_with_logits(said[there], known[there])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kept", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lfw = read_lfw(options.folder)
    clean, families = made(lfw, options.kept)
    spoiled = together(list(families.values()))
    cues = [
        np.concatenate([crop_cues(f.crops[i : i + 1024]) for i in range(0, len(f.crops), 1024)])
        for f in (clean, spoiled)
    ]
    person = [lfw.person[f.photo] for f in (clean, spoiled)]
    truth = np.array([hidden(name) for name in spoiled.family.tolist()], np.float32)[spoiled.way]
    fit(cues, person, truth)


def fit(cues: list[np.ndarray], person: list[np.ndarray], truth: np.ndarray) -> None:
    """Both networks; ``cues`` and ``person`` of clean and of spoiled faces, ``truth`` of these."""
    mean, deviation = cues[0].mean(0), cues[0].std(0) + 1e-6
    inputs = [
        (np.clip((c - mean) / deviation, -MOST_CUE, MOST_CUE) / 2).astype(np.float32) for c in cues
    ]
    none = np.zeros((len(inputs[0]), len(PARTS)), np.float32)

    def trained(clean: np.ndarray, spoiled: np.ndarray) -> nn.Sequential:
        return fitted(
            np.concatenate([inputs[1][spoiled], *[inputs[0][clean]] * CLEAN_TIMES]),
            np.concatenate([truth[spoiled], *[none[clean]] * CLEAN_TIMES]),
        )

    held = trained(*(p % 2 == 0 for p in person))
    with torch.no_grad():
        said = [
            torch.sigmoid(held(torch.from_numpy(x[p % 2 == 1]))).numpy()
            for x, p in zip(inputs, person, strict=True)
        ]
    true = truth[person[1] % 2 == 1]
    for part, name in enumerate(PARTS):
        rates = [
            float((values[:, part] >= LEAST_PROBABILITY).mean())
            for values in (said[1][true[:, part] == 1], said[1][true[:, part] == 0], said[0])
        ]
        print(
            f"{name}: named of covered {rates[0]:.1%}, of others {rates[1]:.2%}, "
            f"of clean {rates[2]:.2%}"
        )
    print(f"clean faces with a part named: {(said[0] >= LEAST_PROBABILITY).any(1).mean():.2%}")
    whole = trained(*(np.ones(len(p), bool) for p in person))
    arrays = {"mean": mean.astype(np.float32), "deviation": deviation.astype(np.float32)}
    for number, layer in enumerate(part for part in whole if isinstance(part, nn.Linear)):
        arrays[f"matrix{number}"] = layer.weight.detach().numpy().T.astype(np.float16)
        arrays[f"offset{number}"] = layer.bias.detach().numpy()
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    write_atomically(FILE, target.getvalue())
    print(f"{FILE.name}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
