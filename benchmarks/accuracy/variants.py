"""What the parts of `accurate` and other cheap changes to a vector do to TAR at low rates.

    python benchmarks/accuracy/variants.py DIR [--att DIR] [--json]

DIR is LFW's folder. Everything is measured on all pairs of View 1's photos, which are those
for choosing; embeddings are kept from run to run. "mean" is the mean TAR at 13 rates from 1e-6 to
1e-3. "gain" is how much higher it is than that of the row in "over", with the standard error of the
difference from a bootstrap over people.

"norms": mean scores of SFace by how long the embedding is, in five bins: those of impostors hardly
depend on it, those of one person do.

``--att`` names the AT&T faces, a folder a person. It tells what becomes of the false match rate
there when LFW's mean is taken off all vectors, and what the mean of half of its people is worth for
the other half.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import Recognizer, models
from lineament.datasets.lfw import read_lfw
from lineament.datasets.people_folder import read_people
from lineament.datasets.source import Embedded
from lineament.errors import OptionError
from lineament.evaluate.metrics import tar_at_fmr
from lineament.evaluate.protocols.lfw import images_of
from lineament.models import NormTerm

sys.path.insert(0, str(Path(__file__).parents[1]))
from hard_pairs.faces import ALIASES, MISLABELLED

from _harness import Parser, embed_all, report, table

SHOWN = (1e-3, 1e-4, 1e-5)
AVERAGED = tuple(10.0 ** np.linspace(-6, -3, 13))
KEPT = 2e-3
"""The share of impostor scores kept: twice the highest rate, since a bootstrap shifts it."""
DRAWS = 200
SPLITS = 20
SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
NORM_BINS = (-1.5, -0.75, 0.0, 0.75)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Truth:
    """Who is who, and the pairs of one person."""

    person: npt.NDArray[np.int64]
    same: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    n_impostor: int
    draws: npt.NDArray[np.int64]
    impostors_drawn: npt.NDArray[np.int64]

    @classmethod
    def of(cls, person: npt.NDArray[np.int64]) -> Truth:
        """All pairs of N photos, and bootstraps over people."""
        same = person[:, None] == person[None]
        left, right = np.nonzero(np.triu(same, 1))
        n, sizes = len(person), np.bincount(person)
        random = np.random.default_rng(0)
        people = len(sizes)
        draws = np.stack(
            [
                np.bincount(random.integers(0, people, people), minlength=people)
                for _ in range(DRAWS)
            ]
        )
        heavy = draws * sizes
        impostors = (heavy.sum(axis=1) ** 2 - (heavy**2).sum(axis=1)) // 2
        return cls(person, same, left, right, n * (n - 1) // 2 - len(left), draws, impostors)


@dataclass(frozen=True, eq=False)
class Row:
    """What one kind of vector is worth."""

    shown: tuple[float, ...]
    mean: float
    threshold: float
    drawn: npt.NDArray[np.float64]


def unit(vectors: npt.NDArray[Any]) -> Floats:
    made: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


def joined(*parts: tuple[float, Floats]) -> Floats:
    """Unit vectors whose cosine is the weighted mean of the parts' cosines."""
    return unit(np.hstack([np.sqrt(share) * vectors for share, vectors in parts]))


def with_norm(vectors: Floats, norms: Floats, term: NormTerm) -> Floats:
    deviation = np.clip((norms - term.mean) / term.sd, term.least, term.most)
    return unit(np.hstack([vectors, (term.offset - term.slope * deviation)[:, None]]))


def centered(vectors: Floats) -> Floats:
    return unit(vectors - vectors.mean(axis=0))


def judge(vectors: Floats, truth: Truth) -> Row:
    scores = vectors @ vectors.T
    genuine = scores[truth.left, truth.right]
    scores[truth.same] = -2
    scores[np.tril_indices(len(scores))] = -2
    flat = scores.ravel()
    keep = int(KEPT * truth.n_impostor)
    places = np.argpartition(flat, len(flat) - keep)[-keep:]
    places = places[np.argsort(-flat[places])]
    tail = flat[places]

    def rate(fmr: float) -> float:  # as metrics.threshold_at_fmr: never optimistic
        return float((genuine > tail[int(fmr * truth.n_impostor)]).mean())

    a, b = truth.person[places // len(scores)], truth.person[places % len(scores)]
    order = np.argsort(-genuine)
    falling = -genuine[order]
    owner = truth.person[truth.left[order]]
    drawn = np.zeros(DRAWS)
    for d, times in enumerate(truth.draws):
        matches = np.cumsum(times[a] * times[b])
        allowed = np.array(AVERAGED) * truth.impostors_drawn[d]
        cuts = tail[np.minimum(np.searchsorted(matches, allowed, side="right"), keep - 1)]
        accepted = np.append(0, np.cumsum(times[owner]))
        drawn[d] = (accepted[np.searchsorted(falling, -cuts)] / accepted[-1]).mean()
    return Row(
        tuple(rate(fmr) for fmr in SHOWN),
        float(np.mean([rate(fmr) for fmr in AVERAGED])),
        float(tail[int(1e-4 * truth.n_impostor)]),
        drawn,
    )


def by_norm(made: Embedded, truth: Truth) -> list[dict[str, float]]:
    scores = made.vectors @ made.vectors.T
    deviation = (made.norms - made.norms.mean()) / made.norms.std()
    place = np.digitize(deviation, NORM_BINS)
    rows = []
    for number in range(len(NORM_BINS) + 1):
        mine = place == number
        either = mine[truth.left] | mine[truth.right]
        rows.append(
            {
                "impostor": float(scores[mine][~truth.same[mine]].mean()),
                "genuine": float(scores[truth.left, truth.right][either].mean()),
            }
        )
    return rows


def abroad(folder: Path, vectors: Floats, rows: dict[str, Row]) -> dict[str, Any]:
    """SFace on other photos, at View 1's threshold for 1e-4."""
    people = read_people(folder)
    made = embed("sface", False, list(people.paths))
    theirs, person = made.vectors[made.found], people.person[made.found]
    upper = np.triu_indices(len(person), 1)

    def pairs(
        of: Floats, who: npt.NDArray[np.int64], at: tuple[npt.NDArray[Any], ...]
    ) -> tuple[Floats, Floats]:
        scores, same = (of @ of.T)[at], (who[:, None] == who[None])[at]
        return scores[same], scores[~same]

    mean = vectors.mean(axis=0)
    figures: dict[str, Any] = {"photos": len(person), "people": len(people.names)}
    ways = (("plain", "SFace", theirs), ("centred", "SFace, mean-centred", unit(theirs - mean)))
    for name, row, moved in ways:
        _, impostor = pairs(moved, person, upper)
        figures[f"fmr_{name}"] = float((impostor > rows[row].threshold).mean())
    tars: dict[str, list[float]] = {"plain": [], "own_mean": []}
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(people.names))
        fitted = np.isin(person, order[: len(order) // 2])
        own, others = theirs[~fitted], person[~fitted]
        if not fitted.any() or len(own) < 2:
            raise OptionError(f"--att: expected photos of more people in {folder}")
        half = np.triu_indices(len(own), 1)
        moved = unit(own - theirs[fitted].mean(axis=0))
        for name, of in (("plain", own), ("own_mean", moved)):
            genuine, impostor = pairs(of, others, half)
            tars[name].append(float(tar_at_fmr(genuine, impostor, [1e-4])[0]))
    return figures | {f"tar_half_{name}": float(np.mean(tar)) for name, tar in tars.items()}


def embed(name: str, flip: bool, paths: list[Path]) -> Embedded:
    made: Embedded = embed_all(Recognizer(name, flip=flip, choose="central"), paths)
    return made


def run(folder: Path, att: Path | None) -> dict[str, Any]:
    if att is not None:
        read_people(att)  # before the long part
    lfw = read_lfw(folder)
    chosen = [i for i in images_of(lfw, ("1",)).tolist() if lfw.path(i).stem not in MISLABELLED]
    paths = [lfw.path(i) for i in chosen]
    everything = {
        (name, flip): embed(name, flip, paths)
        for name in ("sface", "mobilefacenet", "dlib-resnet")
        for flip in (False, True)
    }
    found = np.all([made.found for made in everything.values()], axis=0)
    made = {
        way: Embedded(one.vectors[found], one.norms[found], one.found[found])
        for way, one in everything.items()
    }
    names = [lfw.people[lfw.person[i]] for i in chosen]
    _, person = np.unique([ALIASES.get(name, name) for name in names], return_inverse=True)
    truth = Truth.of(person[found])

    plain, flip = made["sface", False], made["sface", True]
    mobile, dlib = made["mobilefacenet", True].vectors, made["dlib-resnet", True].vectors
    term = models.get("sface-mobilefacenet").norm_term
    assert term is not None

    def own(norms: Floats) -> NormTerm:
        return term.replace(mean=float(norms.mean()), sd=float(norms.std()))

    both = joined((0.8, flip.vectors), (0.2, mobile))
    three = joined((0.72, flip.vectors), (0.18, mobile), (0.1, dlib))
    accurate = "the same, norm coordinate: accurate"
    vectors = {
        "SFace": plain.vectors,
        "SFace, norm coordinate": with_norm(plain.vectors, plain.norms, own(plain.norms)),
        "SFace, mean-centred": centered(plain.vectors),
        "SFace flip": flip.vectors,
        "SFace flip, norm coordinate": with_norm(flip.vectors, flip.norms, own(flip.norms)),
        "0.8 SFace flip + 0.2 MobileFaceNet flip": both,
        accurate: with_norm(both, flip.norms, term),
        "the same + 0.1 dlib flip": with_norm(three, flip.norms, term),
        "MobileFaceNet": made["mobilefacenet", False].vectors,
        "MobileFaceNet flip": mobile,
        "dlib": made["dlib-resnet", False].vectors,
        "dlib flip": dlib,
    }
    for share in SHARES:
        mixed = joined((1 - share, flip.vectors), (share, mobile))
        vectors[f"accurate, MobileFaceNet's share {share}"] = with_norm(mixed, flip.norms, term)
    over = {
        "SFace, norm coordinate": "SFace",
        "SFace, mean-centred": "SFace",
        "SFace flip": "SFace",
        "SFace flip, norm coordinate": "SFace flip",
        "0.8 SFace flip + 0.2 MobileFaceNet flip": "SFace flip",
        accurate: "0.8 SFace flip + 0.2 MobileFaceNet flip",
        "the same + 0.1 dlib flip": accurate,
        "MobileFaceNet flip": "MobileFaceNet",
        "dlib flip": "dlib",
    }
    for share in SHARES:
        if share != 0.2:
            over[f"accurate, MobileFaceNet's share {share}"] = accurate
    rows = {name: judge(of, truth) for name, of in vectors.items()}
    table: dict[str, Any] = {}
    for name, row in rows.items():
        tar = {
            f"{fmr:.0e}".replace("e-0", "e-"): v for fmr, v in zip(SHOWN, row.shown, strict=True)
        }
        table[name] = {"tar": tar, "mean": row.mean, "over": over.get(name)}
        if name in over:
            base = rows[over[name]]
            table[name]["gain"] = row.mean - base.mean
            table[name]["gain_se"] = float((row.drawn - base.drawn).std(ddof=1))
    return {
        "photos": len(truth.person),
        "people": len(np.unique(truth.person)),
        "genuine_pairs": len(truth.left),
        "impostor_pairs": truth.n_impostor,
        "rows": table,
        "norms": by_norm(plain, truth),
        "att": None if att is None else abroad(att, plain.vectors, rows),
    }


def show(figures: dict[str, Any]) -> None:
    rows = []
    for name, row in figures["rows"].items():
        gain = ""
        if row["over"] is not None:
            gain = f"{100 * row['gain']:+.2f} ± {100 * row['gain_se']:.2f}"
        rates = (f"{100 * rate:.2f}" for rate in (*row["tar"].values(), row["mean"]))
        rows.append((name, *rates, gain, row["over"]))
    table(
        ("", "TAR at 1e-3", "1e-4", "1e-5", "mean", "gain", "over"),
        rows,
        title=f"{figures['photos']:,} photos of {figures['people']:,} people; "
        f"{figures['genuine_pairs']:,} genuine pairs",
    )
    table(
        ("norm", "impostors' mean score", "one person's"),
        (
            (number, f"{row['impostor']:.3f}", f"{row['genuine']:.3f}")
            for number, row in enumerate(figures["norms"], 1)
        ),
        title="SFace, short to long",
    )
    att = figures["att"]
    if att is not None:
        print(
            f"AT&T, {att['photos']} photos, SFace. FMR at View 1's threshold for 1e-4: "
            f"{att['fmr_plain']:.1e}, less LFW's mean {att['fmr_centred']:.1e}. TAR at 1e-4 of "
            f"half the people: {100 * att['tar_half_plain']:.2f}, less the other half's mean "
            f"{100 * att['tar_half_own_mean']:.2f}"
        )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW")
    parser.add_argument("--att", type=Path, metavar="DIR", help="the AT&T faces")
    options = parser.parse_args()
    report(options, lambda: run(options.folder, options.att), show)


if __name__ == "__main__":
    main()
