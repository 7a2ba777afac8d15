"""How far a face may be turned: errors at the default threshold, by yaw.

    python benchmarks/accuracy/turned.py CFP_SAMPLE --lfw DIR [--recognizer NAME] [--json]

CFP_SAMPLE is what ``poses.py`` takes. One row for each range of the yaw
(``Quality.turn_deg``): genuine pairs and the share of them that is missed, impostor pairs
and how many of 10,000 match, with 95 % intervals (Wilson). "one turned": CFP's frontal photos
against its profiles, and all pairs of LFW's View 1, by the larger yaw. "two turned": CFP's profiles
against one another, all and those looking to one side or to two, by the lesser yaw. The halves are
CFP's people with even and odd numbers.

Last the limits that follow: where the first range begins in which more than 10 % of the pairs of
"one turned" are missed, from 35 degrees on: CFP's profiles with less are few, and some of them have
wrong landmarks. NAME is a preset or a recognizer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.evaluate.metrics import wilson_intervals
from lineament.evaluate.protocols.lfw import images_of
from lineament.models import DEFAULT_PRESET
from lineament.pose import head_pose
from lineament.quality import MISSED_LEVEL

sys.path.insert(0, str(Path(__file__).parents[1]))
from posing.fiducials import read_sample

from _harness import Parser, report, table, track

TURNS_DEG = (0, 15, 25, 35, 40, 45, 50, 55, 65, 75, 91)
TRUSTED_DEG = 35
MOST_AT_ONCE = 1000  # rows of scores

Bools = npt.NDArray[np.bool_]


class Seen:
    """Photos in which a face was found.

    ``person`` (N,) numbers, ``profile`` (N,) bool, ``vectors`` (N, D), ``yaws`` (N,) degrees.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        paths: Sequence[Path],
        person: Iterable[int],
        profile: Iterable[bool],
        title: str,
    ) -> None:
        """Find, embed and measure."""
        rows = []
        stream = recognizer.stream_chosen(paths)
        for photo, who, aside in zip(
            track(stream, title, len(paths)), person, profile, strict=True
        ):
            if photo.embedding is None or photo.face is None or photo.face.landmarks_xy is None:
                continue
            yaw = head_pose(photo.face.landmarks_xy).yaw_deg
            rows.append((who, aside, yaw, photo.embedding.vector))
        columns = list(zip(*rows, strict=True))
        self.person, self.profile = np.array(columns[0]), np.array(columns[1])
        self.yaws, self.vectors = np.array(columns[2]), np.stack(columns[3])


class Counts:
    """Pairs and errors by ranges of yaw."""

    def __init__(self) -> None:
        """None yet."""
        n = len(TURNS_DEG) - 1
        self.genuine, self.missed, self.impostor, self.matched = np.zeros((4, n), np.int64)

    def add(self, turns: npt.NDArray[np.float64], same: Bools, above: Bools) -> None:
        """Add pairs: their yaws, who shows one person, and whose scores pass the threshold."""
        place = np.digitize(turns, TURNS_DEG[1:-1])
        n = len(self.genuine)
        for counted, chosen in (
            (self.genuine, same),
            (self.missed, same & ~above),
            (self.impostor, ~same),
            (self.matched, ~same & above),
        ):
            counted += np.bincount(place[chosen], minlength=n)

    def rows(self) -> list[dict[str, Any]]:
        """One for each range."""
        found = []
        for i, (low, high) in enumerate(pairwise(TURNS_DEG)):
            row: dict[str, Any] = {"from_deg": low, "to_deg": min(high, 90)}
            for kind, errors, pairs in (
                ("fnmr", self.missed, self.genuine),
                ("fmr", self.matched, self.impostor),
            ):
                n = int(pairs[i])
                row["n_genuine" if kind == "fnmr" else "n_impostor"] = n
                row[kind] = float(errors[i] / n) if n else None
                row[f"{kind}_interval"] = interval(int(errors[i]), n)
            found.append(row)
        return found


def interval(errors: int, trials: int) -> tuple[float, float] | None:
    """Wilson's, 95 %; None without trials."""
    if not trials:
        return None
    low, high = wilson_intervals(np.array([errors / trials]), np.array([float(trials)]), 0.95)
    return max(0.0, float(low[0])), float(high[0])


def count(
    seen: Seen, threshold: float, kind: str, people: Bools | None = None
) -> list[dict[str, Any]]:
    """Pairs: "all", "one turned", "two turned", and of the last "one side" or "two sides"."""
    counts = Counts()
    n = len(seen.yaws)
    for first in range(0, n, MOST_AT_ONCE):
        block = slice(first, min(n, first + MOST_AT_ONCE))
        wanted = np.arange(n)[None] > np.arange(n)[block, None]
        aside, other = seen.profile[block, None], seen.profile[None]
        if kind == "one turned":
            wanted &= aside != other
        elif kind != "all":
            one_side = (seen.yaws[block, None] > 0) == (seen.yaws[None] > 0)
            wanted &= aside & other
            if kind != "two turned":
                wanted &= one_side == (kind == "one side")
        if people is not None:
            wanted &= people[block, None] & people[None]
        a, b = np.abs(seen.yaws[block, None]), np.abs(seen.yaws[None])
        turns = np.maximum(a, b) if kind in ("all", "one turned") else np.minimum(a, b)
        scores = seen.vectors[block] @ seen.vectors.T  # (B, D) @ (D, N) -> (B, N)
        same = seen.person[block, None] == seen.person[None]
        counts.add(turns[wanted], same[wanted], scores[wanted] >= threshold)
    return counts.rows()


def limit_of(*sets: list[dict[str, Any]]) -> int | None:
    """Where the first range begins in which too many of the pairs of all sets are missed."""
    for ranges in zip(*sets, strict=True):
        pairs = sum(row["n_genuine"] for row in ranges)
        missed = sum(row["n_genuine"] * (row["fnmr"] or 0) for row in ranges)
        if ranges[0]["from_deg"] >= TRUSTED_DEG and missed > MISSED_LEVEL * pairs:
            return int(ranges[0]["from_deg"])
    return None


def run(folder: Path, lfw_folder: Path | None, name: str) -> dict[str, Any]:
    recognizer = Recognizer(name, choose="largest")
    threshold = recognizer.threshold().value
    photos = read_sample(folder)
    people = sorted({photo.person for photo in photos})
    person = [people.index(photo.person) for photo in photos]
    profile = [photo.profile for photo in photos]
    cfp = Seen(recognizer, [photo.path for photo in photos], person, profile, "CFP")
    half = cfp.person % 2 == 0
    parts = {
        "CFP, one turned": count(cfp, threshold, "one turned"),
        "CFP, one turned, even": count(cfp, threshold, "one turned", half),
        "CFP, one turned, odd": count(cfp, threshold, "one turned", ~half),
        "CFP, two turned": count(cfp, threshold, "two turned"),
        "CFP, two turned to one side": count(cfp, threshold, "one side"),
        "CFP, two turned to two sides": count(cfp, threshold, "two sides"),
    }
    if lfw_folder is not None:
        lfw = read_lfw(lfw_folder)
        wanted = images_of(lfw, ("1",))
        central = Recognizer(name, choose="central")
        paths = [lfw.path(int(i)) for i in wanted]
        nobody = [False] * len(wanted)
        view1 = Seen(central, paths, lfw.person[wanted].tolist(), nobody, "View 1")
        parts = {"LFW View 1": count(view1, threshold, "all"), **parts}
    frontal = [parts["LFW View 1"]] if "LFW View 1" in parts else []
    limits = {
        name: limit_of(*frontal, parts[f"CFP, one turned{part}"])
        for name, part in (("all", ""), ("even", ", even"), ("odd", ", odd"))
    }
    turned = np.abs(cfp.yaws[cfp.profile])
    return {
        "recognizer": name,
        "threshold": threshold,
        "limit_deg": recognizer.judge.all_limits.greatest_turn_deg,
        "limits_deg": limits,
        "profiles_deg": np.percentile(turned, [5, 25, 50, 75, 95]).tolist(),
        "pairs": parts,
    }


def show(figures: dict[str, Any]) -> None:
    def rate(value: float | None, bounds: tuple[float, float] | None, times: float) -> str:
        if value is None or bounds is None:
            return ""
        return f"{times * value:.1f} ({times * bounds[0]:.1f} to {times * bounds[1]:.1f})"

    for title, rows in figures["pairs"].items():
        table(
            (title, "genuine", "missed, %", "impostor", "FMR, 1e-4"),
            (
                (
                    f"{row['from_deg']} to {row['to_deg']}",
                    row["n_genuine"],
                    rate(row["fnmr"], row["fnmr_interval"], 100),
                    row["n_impostor"],
                    rate(row["fmr"], row["fmr_interval"], 1e4),
                )
                for row in rows
                if row["n_impostor"]
            ),
        )
    profiles = ", ".join(f"{yaw:.0f}" for yaw in figures["profiles_deg"])
    print(f"yaw of CFP's profiles at 5, 25, 50, 75, 95 %: {profiles} degrees")
    fitted = ", ".join(f"{name} {limit}" for name, limit in figures["limits_deg"].items())
    print(f"{figures['recognizer']}: limit {figures['limit_deg']} degrees; fitted here: {fitted}")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="CFP_SAMPLE")
    parser.add_argument("--lfw", type=Path, metavar="DIR")
    parser.add_argument("--recognizer", default=DEFAULT_PRESET, metavar="NAME")
    options = parser.parse_args()
    report(options, lambda: run(options.folder, options.lfw, options.recognizer), show)


if __name__ == "__main__":
    main()
