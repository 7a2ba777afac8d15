"""The bundled int8 recognizers against float32: accuracy, cosines and lengths of embeddings.

    python benchmarks/accuracy/int8.py --lfw DIR [--cfp DIR] [--crops FILE.npy] [--photos N]

``tar``: over all pairs of View 1's photos, in %, by false match rate, without the mirror image;
"joined" is SFace with a share of 0.8 and MobileFaceNet with 0.2. ``spoilt``: TAR at FMR 1e-3 of two
photos each of 200 people of View 1, one or both of them blurred (sigma 2), compressed (JPEG 10) or
with 12 pixels between the eyes. ``frontal_profile``: TAR at FMR 1e-3 over all pairs of a frontal
and a profile photo of CFP. ``agreement``: cosine of a crop's two embeddings and the ratio of their
lengths, int8 to float32, by kind of crops.

``--crops`` as for ``benchmarks/speed/quantize.py``; ``--photos`` takes so many of View 1's only.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lineament import Recognizer, models
from lineament.datasets.lfw import read_lfw
from lineament.embed import BATCH
from lineament.evaluate.metrics import tar_at_fmr
from lineament.evaluate.protocols.lfw import images_of
from lineament.models.runtime import load_model

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "speed"))
from _harness import Parser, at_least, report, table, track
from quantize import faces_of

FMRS = (1e-3, 1e-4, 1e-5)
FLOAT = ("sface", "mobilefacenet")
PEOPLE = 200
SHARES = (0.8, 0.2)
EYES_PX = 12
"""Between the eyes of a small face; 35.2 in a crop as the networks take it."""


def jpeg(crop: Any) -> Any:
    _, data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 10])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def small(crop: Any) -> Any:
    side = round(len(crop) * EYES_PX / 35.2)
    shrunk = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)


SPOILT = {
    "blur 2": lambda crop: cv2.GaussianBlur(crop, (0, 0), 2),
    "JPEG 10": jpeg,
    "12 px": small,
}


def vectors(name: str, crops: Any) -> Any:
    """Embeddings (N, D), not scaled."""
    network = load_model(models.get(name))
    rows = []
    for i in track(range(0, len(crops), BATCH), name):
        some = crops[i : i + BATCH].transpose(0, 3, 1, 2)
        rows.append(network(np.ascontiguousarray(some).astype(np.float32))[0])
    return np.concatenate(rows)


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def joined(parts: list[Any]) -> Any:
    """By the square roots of the shares, so that cosines are weighted by the shares."""
    pairs = zip(SHARES, parts, strict=True)
    return np.concatenate([share**0.5 * unit(part) for share, part in pairs], axis=1)


def tars(scores: Any, same: Any, fmrs: tuple[float, ...]) -> dict[str, float]:
    found = tar_at_fmr(scores[same], scores[~same], fmrs)
    return {f"{fmr:g}": round(100 * float(tar), 2) for fmr, tar in zip(fmrs, found, strict=True)}


def profiles(folder: Path) -> tuple[Any, Any, Any]:
    """Crops, people and which are profiles of CFP's sample."""
    paths = sorted((folder / "Images").glob("*/*/*.jpg"))
    recognizer = Recognizer("sface", flip=False, choose="largest")
    photos = list(recognizer.stream(iter(paths), faces="chosen", embed=False, keep_crops=True))
    kept = [i for i, photo in enumerate(photos) if photo.crop is not None]
    crops = np.stack([photos[i].crop for i in kept])
    people = np.array([paths[i].parts[-3] for i in kept])
    return crops, people, np.array([paths[i].parts[-2] == "profile" for i in kept])


def measure(options: Any) -> dict[str, Any]:
    lfw = read_lfw(options.lfw)
    rows = images_of(lfw, ("1",))[: options.photos]
    all_crops, found = faces_of(models.get("sface"), lfw, rows, options.crops)
    rows = rows[found[rows]]
    person = lfw.person[rows]
    several = [p for p in np.unique(person) if (person == p).sum() > 1]
    drawn = np.random.default_rng(3).permutation(several)[:PEOPLE]
    two = np.concatenate([np.flatnonzero(person == p)[:2] for p in drawn])
    sets = {"View 1": all_crops[rows]}
    sets |= {
        kind: np.stack([spoil(crop) for crop in sets["View 1"][two]])
        for kind, spoil in SPOILT.items()
    }
    if options.cfp is not None:
        sets["CFP"], who, turned = profiles(options.cfp)
    made = {
        (name + end, kind): vectors(name + end, crops)
        for name in FLOAT
        for end in ("", "-int8")
        for kind, crops in sets.items()
    }
    for end in ("", "-int8"):
        for kind in sets:
            made[f"joined{end}", kind] = joined([made[name + end, kind] for name in FLOAT])
    names = [name + end for name in (*FLOAT, "joined") for end in ("", "-int8")]
    a, b = np.triu_indices(len(rows), 1)
    apart = ~np.eye(len(two), dtype=bool)
    alike = (person[two][:, None] == person[two])[apart]
    figures: dict[str, Any] = {"photos": len(rows), "recognizers": {}, "agreement": {}}
    for name in names:
        units = {kind: unit(made[name, kind]) for kind in sets}
        clean = units["View 1"]
        scores = (clean @ clean.T)[a, b].astype(np.float32)
        one: dict[str, Any] = {"tar": tars(scores, person[a] == person[b], FMRS), "spoilt": {}}
        for kind in SPOILT:
            one["spoilt"][kind] = {
                "one": tars((clean[two] @ units[kind].T)[apart], alike, (1e-3,))["0.001"],
                "both": tars((units[kind] @ units[kind].T)[apart], alike, (1e-3,))["0.001"],
            }
        if "CFP" in sets:
            frontal, profile = units["CFP"][~turned], units["CFP"][turned]
            same = who[~turned][:, None] == who[turned]
            one["frontal_profile"] = tars((frontal @ profile.T).ravel(), same.ravel(), (1e-3,))[
                "0.001"
            ]
        figures["recognizers"][name] = one
    for name in FLOAT:
        figures["agreement"][name] = {}
        for kind in sets:
            before, after = made[name, kind], made[f"{name}-int8", kind]
            cosines = np.einsum("nd,nd->n", unit(before), unit(after))
            ratios = np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)
            figures["agreement"][name][kind] = {
                "mean_cosine": round(float(cosines.mean()), 5),
                "least_cosine": round(float(cosines.min()), 4),
                "length": round(float(ratios.mean()), 4),
                "length_sd": round(float(ratios.std()), 4),
            }
    return figures


def show(figures: dict[str, Any]) -> None:
    rows = []
    for name, one in figures["recognizers"].items():
        spoilt = [f"{kind['one']:.1f}, {kind['both']:.1f}" for kind in one["spoilt"].values()]
        turned = one.get("frontal_profile")
        rows.append((name, *(f"{v:.2f}" for v in one["tar"].values()), *spoilt, turned))
    kinds = [f"{kind}: one, both" for kind in SPOILT]
    title = f"TAR, %: {figures['photos']:,} photos of View 1; spoilt and turned faces at FMR 1e-3"
    table(("", *(f"{fmr:g}" for fmr in FMRS), *kinds, "frontal-profile"), rows, title=title)
    rows = [
        (
            f"{name}, {kind}",
            one["mean_cosine"],
            one["least_cosine"],
            one["length"],
            one["length_sd"],
        )
        for name, found in figures["agreement"].items()
        for kind, one in found.items()
    ]
    table(("int8 to float32", "mean cosine", "least", "length", "sd"), rows)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--lfw", type=Path, required=True, metavar="DIR", help="LFW's folder")
    parser.add_argument("--cfp", type=Path, metavar="DIR", help="the sample of CFP")
    parser.add_argument("--crops", type=Path, metavar="FILE.npy", help="faces found before")
    parser.add_argument("--photos", type=at_least(4), metavar="N", help="of View 1 (all)")
    options = parser.parse_args()
    report(options, lambda: measure(options), show)


if __name__ == "__main__":
    main()
