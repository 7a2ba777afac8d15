"""A stranger in a person's folder: found, and is nobody else accused?

    python benchmarks/strangers.py DIR [--part NAME] [--folders 200] [--also DIR] [--json]

From LFW (DIR) come 200 folders of 3 to 12 photos, one of them of somebody who is nowhere else, and
as many honest folders of other people. Then three ways look at all of them: ``enroll_folder`` (what
is refused as unlike the others or as someone else), ``tune`` and the report of ``plot report``
(what is suspected).

- ``found``: share of the planted strangers that are named, by the way that finds least;
- ``accused``: share of the honest folders of which a photo is named, by the way that accuses most;
  enrolling accuses by either reason;
- ``beside``: share of the other photos of the folders with a stranger that are named, too;
- ``unlike``, ``someone_else``: the two parts of what enrolling accuses: unlike the person's other
  photos, and like another person who is enrolled (of all people in the folders).

People are everybody but one half of those that View 1 names (``--part report``, the default), that
half (``choose``), or those whom View 1 does not name (``others``; they are enough for about 100
folders of each kind). Photos of LFW under a wrong name are in honest
folders, too, and count. ``--also`` looks at more honest folders, one folder per person, such as
heads in profile (CFP).

Embeddings come from the cache as far as it has them; enrolling goes without the checks of quality.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament import Recognizer
from lineament.datasets.lfw import LFW, read_lfw
from lineament.datasets.people_folder import People, read_people
from lineament.datasets.source import Embedded
from lineament.evaluate.protocols.lfw import images_of
from lineament.fit.clean import Suspect
from lineament.fit.examine import Examined
from lineament.fit.tune import tune
from lineament.gallery import Gallery, Listing, enroll_folder
from lineament.models import DEFAULT_PRESET, PRESETS
from lineament.report import findings_of
from lineament.types import Embedding, Face, Photo

sys.path.insert(0, str(Path(__file__).parent))
from _harness import Parser, embed_all, report, table

LEAST, MOST = 3, 12
"""Photos in a folder, the stranger's among them."""


@dataclass(frozen=True)
class Folders:
    """Folders of photos, by the name of their person.

    Attributes:
        people: the photos of all folders.
        planted: places of the strangers' photos.
        honest: names of the folders without one.
    """

    people: People
    planted: tuple[int, ...]
    honest: frozenset[str]


def made(lfw: LFW, part: str, number: int, seed: int) -> Folders:
    """Draw folders with a stranger, and as many without one, of different people."""
    random = np.random.default_rng(seed)
    view_1 = np.unique(lfw.person[images_of(lfw, ("1",))])
    chosen = np.random.default_rng(0).permutation(view_1)[: len(view_1) // 2]
    counts = np.bincount(lfw.person)
    everybody = np.arange(len(counts))
    left_out = {"choose": ~np.isin(everybody, chosen), "report": np.isin(everybody, chosen)}
    allowed = ~left_out.get(part, np.isin(everybody, view_1))
    order = random.permutation(np.flatnonzero(allowed))
    honest = order[counts[order] >= LEAST][:number]
    left = order[~np.isin(order, honest)]
    hosts = left[counts[left] >= LEAST - 1][:number]
    strangers = left[~np.isin(left, hosts)][: len(hosts)]
    if min(len(honest), len(hosts), len(strangers)) < number:
        raise SystemExit(
            f"--folders: expected at most {min(len(honest), len(hosts), len(strangers)):,} "
            f"for the part {part!r}, got {number:,}"
        )
    rows: list[tuple[int, int, bool]] = []  # whose folder, which photo, planted
    for person in (*honest, *hosts):
        planted = int(np.flatnonzero(hosts == person)[0]) if person in hosts else None
        size = int(random.integers(LEAST, MOST + 1)) - (planted is not None)
        own = random.permutation(np.flatnonzero(lfw.person == person))[:size]
        rows += [(int(person), int(photo), False) for photo in own]
        if planted is not None:
            theirs = np.flatnonzero(lfw.person == strangers[planted])
            rows.append((int(person), int(random.choice(theirs)), True))
    # In no telling order within a folder
    rows.sort(key=lambda row: (lfw.people[row[0]], random.random()))
    names = tuple(sorted({lfw.people[person] for person, _, _ in rows}))
    place = {name: k for k, name in enumerate(names)}
    people = People(
        lfw.folder,
        tuple(lfw.path(photo) for _, photo, _ in rows),
        names,
        np.array([place[lfw.people[person]] for person, _, _ in rows], np.int64),
    )
    return Folders(
        people,
        tuple(k for k, row in enumerate(rows) if row[2]),
        frozenset(lfw.people[person] for person in honest),
    )


def looked_at(found: Embedded) -> Examined:
    """What ``fit.examine`` makes of photos, without what no one asks for here."""
    n = len(found.vectors)
    return Examined(
        found,
        found.found.astype(np.int64),
        np.zeros((n, 4), np.float32),
        (None,) * n,
        (None,) * n,
    )


def enrolled(recognizer: Recognizer, people: People, found: Embedded) -> dict[int, str]:
    """Enroll the folders; the places of the photos that are refused, with the reasons."""
    listing = Listing("folders", tuple((people.name(i), p) for i, p in enumerate(people.paths)))
    places = {(people.name(i), str(p.absolute())): i for i, p in enumerate(people.paths)}
    rows = iter(range(len(people.paths)))
    contract = recognizer.embedder.contract

    def stream(sources: Iterable[Any]) -> Iterator[Photo]:
        for source in sources:
            i = next(rows)
            if not found.found[i]:
                yield Photo(str(source), (250, 250))
                continue
            face = Face(np.array([60, 60, 190, 190], np.float32), 1.0)
            embedding = Embedding(found.vectors[i], float(found.norms[i]), contract)
            yield Photo(str(source), (250, 250), (face,), 0, selected=(0,), embeddings=(embedding,))

    with (
        tempfile.TemporaryDirectory() as folder,
        Gallery.create(Path(folder, "gallery"), recognizer=recognizer) as gallery,
    ):
        outcome = enroll_folder(gallery, listing, stream=stream)
    return {places[str(one.person), one.source]: one.reason for one in outcome.refused}


def named_by(suspects: Sequence[Suspect]) -> set[int]:
    return {photo for suspect in suspects for photo in suspect.photos}


def looks(
    recognizer: Recognizer, people: People, found: Embedded
) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """The places of the photos that are named, by way; and of those refused, by reason."""
    refused = enrolled(recognizer, people, found)
    examined = looked_at(found)
    tuned = tune(people, examined, contract=recognizer.embedder.contract, n_bootstrap=20)
    seen = findings_of(recognizer, people, examined, threshold=recognizer.threshold())
    reasons = {
        "unlike": {i for i, reason in refused.items() if reason == "unlike the others"},
        "someone_else": {i for i, reason in refused.items() if reason == "someone else"},
    }
    ways = {
        "enroll_folder": reasons["unlike"] | reasons["someone_else"],
        "tune": named_by(tuned.cleaning.suspects),
        "report": named_by(seen.cleaning.suspects),
    }
    return ways, reasons


def share_of_folders(people: People, names: Iterable[str], places: set[int]) -> float:
    wanted = set(names)
    hit = {people.name(i) for i in places} & wanted
    return round(len(hit) / len(wanted), 5)


def run(options: Any) -> dict[str, Any]:
    recognizer = Recognizer(options.preset, choose="central")
    folders = made(read_lfw(options.folder), options.part, options.folders, options.seed)
    people, planted = folders.people, set(folders.planted)
    found = embed_all(recognizer, people.paths)
    ways, reasons = looks(recognizer, people, found)
    by_way = {way: round(len(planted & places) / len(planted), 5) for way, places in ways.items()}
    accused_by = {
        way: share_of_folders(people, folders.honest, places) for way, places in ways.items()
    }
    own = {
        i
        for i in range(len(people.paths))
        if people.name(i) not in folders.honest and i not in planted
    }
    also = {}
    for folder in options.also:
        others = read_people(folder, strays="skip")  # photos may lie deeper, as CFP's do
        more, _ = looks(recognizer, others, embed_all(recognizer, others.paths))
        also[str(folder)] = {
            "folders": len(others.names),
            "photos": len(others.paths),
            "accused_by": {
                way: share_of_folders(others, others.names, places) for way, places in more.items()
            },
        }
    return {
        "preset": options.preset,
        "part": options.part,
        "folders": len(planted),
        "honest_folders": len(folders.honest),
        "photos": len(people.paths),
        "found": min(by_way.values()),
        "accused": max(accused_by.values()),
        "found_by": by_way,
        "accused_by": accused_by,
        "beside": {way: round(len(own & places) / len(own), 5) for way, places in ways.items()},
        **{
            reason: share_of_folders(people, folders.honest, places)
            for reason, places in reasons.items()
        },
        "missed": [
            f"{people.name(i)}: {people.paths[i].name}"
            for i in sorted(planted)
            if not all(i in places for places in ways.values())
        ],
        "wrongly_accused": sorted(
            {
                f"{people.name(i)}: {people.paths[i].name}"
                for places in ways.values()
                for i in places
                if people.name(i) in folders.honest
            }
        ),
        "also": also,
    }


def show(figures: dict[str, Any]) -> None:
    table(
        ("way", "strangers found, %", "honest folders accused, %", "other photos beside, %"),
        (
            (
                way,
                f"{100 * figures['found_by'][way]:.1f}",
                f"{100 * figures['accused_by'][way]:.1f}",
                f"{100 * figures['beside'][way]:.2f}",
            )
            for way in figures["found_by"]
        ),
        title=f"{figures['folders']} folders with a stranger, {figures['honest_folders']} honest",
    )
    for folder, row in figures["also"].items():
        shares = ", ".join(f"{way} {100 * x:.1f} %" for way, x in row["accused_by"].items())
        print(f"{folder}: {row['folders']} honest folders, accused: {shares}")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW: pairs.txt and images/")
    parser.add_argument("--part", choices=("choose", "report", "others"), default="report")
    parser.add_argument("--folders", type=int, default=200, metavar="N", help="of each kind (200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--also", type=Path, action="append", default=[], metavar="DIR", help="honest folders"
    )
    parser.add_argument(
        "--preset", default=DEFAULT_PRESET, metavar="NAME", help=f"{', '.join(PRESETS)}, or weights"
    )
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
