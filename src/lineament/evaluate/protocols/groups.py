"""Error rates by groups of people: reads attributes, embeds, and asks ``evaluate.fairness``.

The attributes are a CSV file with a heading: a column ``person`` (the name of the person's folder)
or ``file`` (the photo's path below the folder, or as the list of pairs writes it), and a
column for each attribute, such as ``sex`` or ``age``. What is left blank is unknown.

What is compared is a folder with one folder per person (all pairs), or a CSV file of pairs with the
heading ``file_a,file_b,same``, paths below the file's own folder and ``same`` 1 or 0. In a list of
pairs, people follow from its own answers: photos that pairs of one person join.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lineament.datasets.attributes import Attributes
from lineament.datasets.pair_lists import PairList
from lineament.datasets.pairs_csv import PairsFile, read_pairs
from lineament.datasets.people_folder import People, plain, read_people
from lineament.datasets.source import Embedded, FaceSource
from lineament.errors import DataError, OptionError
from lineament.evaluate.fairness import (
    LEAST_PEOPLE,
    GroupRates,
    rates_of_all_pairs,
    rates_of_pairs,
)
from lineament.evaluate.protocols.verification import pair_cosines
from lineament.evaluate.result import Part, Result, rate_text
from lineament.text import counted, per_cent
from lineament.types import IntArray

MOST_GROUPS = 20
"""More are ages in years or other numbers, which belong into ranges first."""


def run_groups(
    compared: str | os.PathLike[str],
    attributes: Attributes,
    source: FaceSource,
    *,
    threshold: float,
    fmr: float | None = None,
    by: Sequence[str] = (),
    seed: int = 0,
) -> tuple[Result, Embedded]:
    """Embed, compare, and count errors by group.

    Args:
        compared: a folder with one folder per person, or a CSV file of pairs.
        attributes: from ``read_attributes``.
        source: what embeds.
        threshold: from which similarity on two faces count as one person.
        fmr: the false match rate that the groups' own thresholds are for; None: what all groups
            together have here at ``threshold``.
        by: names of attributes, or several joined with "+"; empty: each attribute.
        seed: of the bootstrap.

    Raises:
        DataError: the files are not laid out as above, or no photo has an attribute.
        OptionError: an attribute that is not there.
    """
    path = Path(compared)
    wanted = tuple(by) if by else attributes.columns
    chosen = [_columns(attributes, name) for name in wanted]
    people: People | None = None
    pairs: PairList | None = None
    person: IntArray
    if path.is_dir():
        people = read_people(path)
        person = people.person
        photos = people.paths
        names = [_names_in_folder(people, path, i, attributes.key) for i in range(len(photos))]
    else:
        pairs = _both_kinds(read_pairs(path))
        photos = pairs.photos
        person = _joined_people(pairs)
        by_person = attributes.key == "person"
        names = [
            (plain(photo.parent.name),) if by_person else _names_in_list(photo, path.parent)
            for photo in photos
        ]
    rows = [_row(attributes, each) for each in names]
    unknown = sum(row is None for row in rows)
    if unknown == len(rows):
        raise DataError(
            f"{attributes.file}: expected rows about the photos of {path}, such as "
            f"{names[0][0]!r}, found none; the column {attributes.key!r} names "
            f"{next(iter(attributes.rows))!r}"
        )
    labels = [
        _labels(attributes, rows, name, places) for name, places in zip(wanted, chosen, strict=True)
    ]
    embedded = source.photos(photos)
    parts: list[Part] = []
    notes: list[str] = []
    keys: set[str] = set()
    for name, (group, groups) in zip(wanted, labels, strict=True):
        settings: dict[str, Any] = {"threshold": threshold, "wanted_fmr": fmr, "seed": seed}
        if pairs is None:
            rates = rates_of_all_pairs(
                embedded.vectors, person, group, groups, found=embedded.found, **settings
            )
        else:
            scores = pair_cosines(embedded.vectors, embedded.found, pairs.pairs)
            rates = rates_of_pairs(
                pairs.pairs, scores, pairs.same, person, group, groups, **settings
            )
        parts.append(group_part(_key(name, keys), name, rates))
        notes += group_notes(name, rates)
    if unknown:
        verb, stays = ("has", "is") if unknown == 1 else ("have", "are")
        notes.append(
            f"{unknown:,} of {counted(len(rows), 'photo', 'photos')} {verb} no row in "
            f"{attributes.file.name} and {stays} left out"
        )
    notes.append(
        "intervals: the wider of Wilson's and of a bootstrap over people, since pairs share photos"
    )
    result = Result(
        protocol="groups",
        title="errors by group",
        data=str(path),
        images=len(photos),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=tuple(parts),
        run={"attributes": str(attributes.file), "n_photos_without_row": unknown},
        notes=tuple(notes),
    )
    return result, embedded


def group_part(key: str, title: str, rates: GroupRates) -> Part:
    """The figures of one attribute as tables and matrices.

    ``curves`` holds the matrices for pictures, "A x B" -> value: "fmr", "fmr_low", "fmr_high" and
    the same of fnmr, each only where there is enough to say; "fmr_too_few" and "fnmr_too_few" hold
    the others, with the number of pairs.
    """
    measures: dict[str, Any] = {"threshold_value": rates.threshold, "groups": list(rates.groups)}
    curves: dict[str, dict[str, float]] = {}
    for name, table in (("fmr", rates.fmr), ("fnmr", rates.fnmr)):
        cells = {rates.cell(i, j): rate for (i, j), rate in table.items()}
        measures[name] = {cell: rate.value for cell, rate in cells.items()}
        measures[f"{name}_interval"] = {
            cell: [rate.low, rate.high] for cell, rate in cells.items() if rate.enough
        }
        measures[f"{name}_errors"] = {cell: rate.errors for cell, rate in cells.items()}
        measures[f"{name}_pairs"] = {cell: rate.trials for cell, rate in cells.items()}
        given = {cell: rate for cell, rate in cells.items() if rate.enough}
        curves[name] = {cell: rate.errors / rate.trials for cell, rate in given.items()}
        curves[f"{name}_low"] = {cell: rate.low for cell, rate in given.items()}
        curves[f"{name}_high"] = {cell: rate.high for cell, rate in given.items()}
        curves[f"{name}_too_few"] = {
            cell: float(rate.trials) for cell, rate in cells.items() if not rate.enough
        }
    if rates.wanted_fmr is not None:
        at = rate_text(rates.wanted_fmr)
        measures["threshold_at_fmr"] = {
            f"{at}, {group}": value
            for group, value in zip(rates.groups, rates.own_threshold, strict=True)
        }
    measures["n_people"] = dict(zip(rates.groups, rates.people.tolist(), strict=True))
    measures["n_photos"] = dict(zip(rates.groups, rates.photos.tolist(), strict=True))
    measures["fmr_overall"], measures["fnmr_overall"] = rates.overall_fmr, rates.overall_fnmr
    measures["n_pairs_without_face"] = rates.pairs_without_face
    measures |= rates.differentials()
    return Part(key, title, measures, threshold=rates.threshold, curves=curves)


GROUP_COLUMNS = ("groups", "FMR", "95 %", "of pairs", "FNMR", "95 % ", "of pairs ", "own threshold")


def group_rows(part: Part) -> list[tuple[str, ...]]:
    """The cells of ``GROUP_COLUMNS`` for each pair of groups, each group with itself first."""
    groups: list[str] = part.measures["groups"]
    own = {
        key.partition(", ")[2]: value
        for key, value in part.measures.get("threshold_at_fmr", {}).items()
    }
    pairs = [(a, a) for a in groups]
    pairs += [(a, b) for i, a in enumerate(groups) for b in groups[i + 1 :]]
    rows = []
    for a, b in pairs:
        cell = f"{a} x {b}"
        row = [cell]
        for rate in ("fmr", "fnmr"):
            count = part.measures[f"{rate}_pairs"].get(cell, 0)
            value, span = part.measures[rate].get(cell), ""
            if value is not None:
                low, high = part.measures[f"{rate}_interval"][cell]
                span = f"{per_cent(low, 3)} to {per_cent(high, 3)}"
            none = "too small" if count else "no pairs"
            row += [none if value is None else per_cent(value, 3), span, f"{count:,}"]
        needed = own.get(a) if a == b else None
        rows.append((*row, "" if needed is None else f"{needed:.4f}"))
    return rows


def group_notes(name: str, rates: GroupRates) -> list[str]:
    """What the table does not say: ratios, and which groups are too small."""
    notes = []
    ratios = rates.differentials()
    for rate, table in (("FMR", rates.fmr), ("FNMR", rates.fnmr)):
        ratio = ratios[f"{rate.lower()}_max_over_min"]
        mean = ratios[f"{rate.lower()}_max_over_geometric_mean"]
        if ratio is not None and mean is not None:
            known = {
                group: value
                for i, group in enumerate(rates.groups)
                if (i, i) in table and (value := table[i, i].value) is not None
            }
            worst, best = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
            notes.append(
                f"{name}: the {rate} of {worst} is {ratio:.2f} times that of {best} and "
                f"{mean:.2f} times the groups' geometric mean (NISTIR 8280, 8429)"
            )
        else:
            notes.append(
                f"{name}: no ratio of {rate}: it needs two groups with enough pairs and errors"
            )
        small = [
            f"{group} ("
            f"{counted(table[i, i].trials if (i, i) in table else 0, 'pair', 'pairs')}, "
            f"{counted(int(rates.people[i]), 'person', 'people')})"
            for i, group in enumerate(rates.groups)
            if (i, i) not in table or not table[i, i].enough
        ]
        if small:
            notes.append(
                f"{name}: too small for an {rate}: {', '.join(small)}; it takes {LEAST_PEOPLE} "
                "people, and pairs enough for 30 errors (rule of 30)"
            )
    return notes


def _columns(attributes: Attributes, name: str) -> tuple[int, ...]:
    lowered = [column.lower() for column in attributes.columns]
    if name in attributes.columns:
        return (attributes.columns.index(name),)
    places = []
    for part in name.split("+"):
        if part.strip().lower() not in lowered:
            raise OptionError(
                f"expected some of {', '.join(attributes.columns)} (several joined with "
                f'"+"), got {name!r}',
                option="by",
            )
        places.append(lowered.index(part.strip().lower()))
    return tuple(places)


def _names_in_folder(people: People, given: Path, index: int, key: str) -> tuple[str, ...]:
    if key == "person":
        return (people.names[people.person[index]],)
    below = people.paths[index].relative_to(given).as_posix()
    return (people.relative(index), plain(below))


def _names_in_list(photo: Path, folder: Path) -> tuple[str, ...]:
    below = photo.relative_to(folder) if photo.is_relative_to(folder) else photo
    return (plain(below.as_posix()),)


def _both_kinds(listed: PairsFile) -> PairList:
    same = listed.pairs.same
    if same.all() or not same.any():
        raise DataError(
            f"{listed.file}: expected pairs of one person and of two, found {len(same)} of one "
            "kind only"
        )
    return listed.pairs


def _row(attributes: Attributes, names: Sequence[str]) -> tuple[str, ...] | None:
    return next((attributes.rows[name] for name in names if name in attributes.rows), None)


def _labels(
    attributes: Attributes,
    rows: Sequence[tuple[str, ...] | None],
    name: str,
    places: tuple[int, ...],
) -> tuple[IntArray, tuple[str, ...]]:
    """(N,) the group of each photo, -1 unknown, and the groups' names."""
    labels = [
        None
        if row is None or not all(row[p] for p in places)
        else ", ".join(row[p] for p in places)
        for row in rows
    ]
    groups = tuple(sorted({label for label in labels if label is not None}))
    if not groups:
        raise DataError(f"{attributes.file}: expected values in the column {name}, found none")
    if len(groups) > MOST_GROUPS:
        raise DataError(
            f"{attributes.file}: expected at most {MOST_GROUPS} groups in the column {name}, found "
            f"{len(groups)}; put numbers such as ages into ranges, or name other columns (--by)"
        )
    number = {group: i for i, group in enumerate(groups)}
    return np.array([-1 if label is None else number[label] for label in labels], np.int64), groups


def _joined_people(pairs: PairList) -> IntArray:
    """(N,) int64: photos that pairs of one person join, directly or by way of others."""
    leader = list(range(len(pairs.photos)))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for a, b in pairs.pairs[pairs.same].tolist():
        leader[find(a)] = find(b)
    return np.array([find(i) for i in range(len(leader))], np.int64)


def _key(name: str, taken: set[str]) -> str:
    """A key of lower-case letters, digits and "_", each once."""
    key = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower()).strip("_")
    key = f"by_{key}" if key else "by_attribute"
    while key in taken:
        key += "_"
    taken.add(key)
    return key
