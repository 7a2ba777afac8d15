"""Which photos in folders of people should not count: duplicates, and people who seem to be wrong.

Labels of photos that people collect are wrong now and then, and both kinds of error spoil what
is fitted on them: a wrong name makes impostor pairs of one person, so that thresholds come out too
high, and genuine pairs of two. ``clean`` looks for, in this order:

- duplicates: photos of one person that are nearly the same picture. They would be genuine
  pairs that prove nothing, so one of them counts;
- mislabeled photos: unlike their own person's others, like all of another person's;
- folders that hold two people;
- photos that are unlike the others of their folder and not clearly another's, the commonest wrong
  name; where no group of photos is the largest, all of them, since it cannot be said which of
  them show the person (``lineament.decide.agreement``);
- two folders that hold one person;
- one photo in the folders of two people.

"Alike" and "like strangers" are measured on the photos themselves, so that it works for any
recognizer and camera: ``ALIKE`` and ``STRANGERS`` standard deviations above the median cosine of
two people. Both are robust (median and median absolute deviation), since wrong names are among the
scores that they come from.

Nothing is decided by one pair: means and medians over a group of photos are, since among
millions of pairs of strangers some are alike. A single photo against a single photo of another
folder is therefore never a suspect, unless the two are the same picture. Within a folder pairs are
few, and one photo that is like none of the others is one.

A folder with one photo cannot be judged, nor can a photo in which the recognizer sees little of a
face; ``Cleaning`` says which those are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.decide.agreement import Agreement, agree
from lineament.errors import OptionError
from lineament.text import counted
from lineament.types import BoolArray, Float64Array, FloatArray, IntArray

DUPLICATE_COSINE = 0.95
"""Above it two photos of one person count as one. On LFW View 1 SFace gives 1 genuine pair of
2,000 more than that; a photo and its copy at JPEG quality 50 have 0.97 at the median, its
mirror image 0.97, itself at half its size 0.95."""

ALIKE = 4.0
"""Standard deviations. On LFW View 1 with SFace a cosine of 0.45: 3 of 100,000 pairs of strangers
reach it, and 98 % of the pairs of one person."""

STRANGERS = 2.0
"""Standard deviations: below it a group of photos is like strangers to another. On LFW View 1
a cosine of 0.28, which 0.6 % of the genuine pairs do not reach, one by one."""

ONE_PERSON = 5.0
"""Standard deviations: what two folders must reach to be called one person. Brothers reach
``ALIKE``: on LFW View 1, where this is a cosine of 0.54, George and Jeb Bush have 0.53, and Joseph
and Sepp Blatter, who are one person, 0.67."""

UNLIKE = 2.6
"""Standard deviations: the limit of ``decide.agreement`` where no calibration has one. On LFW
View 1 a cosine of 0.33, as SFace's calibration says."""

MOST_UNLIKE = 0.1
"""Share of the photos: if more are unlike by a limit that comes from the photos themselves, then
the recognizer does not tell these people apart, and nothing is said of any photo."""

LEAST_CROSS_PAIRS = 4
"""Of two folders, before they may be called one person."""

MOST_IN_A_FOLDER = 3000
"""Photos of one person that are looked at for two people in one folder: memory grows with the
square."""

_SAMPLE = 1 << 18
_LEAST_DEVIATION = 0.01
_BLOCK = 512

Kind = Literal["mislabeled", "two people", "unlike", "undecided", "one person", "two names"]


class Limits(NamedTuple):
    """Cosines.

    Attributes:
        duplicate: above it two photos of one person are one picture.
        alike: from it on a group of photos is like another.
        strangers: below it, they are like strangers.
        one_person: from it on two people are called one.
        unlike: below it to all others of its folder a photo is unlike them; None: not looked for.
    """

    duplicate: float
    alike: float
    strangers: float
    one_person: float
    unlike: float | None = None


class Duplicate(NamedTuple):
    """A photo that does not count, since an earlier one of that person does.

    Attributes:
        photo, of: places of the two.
        score: their cosine; 1 for files that are equal.
        exact: the files are equal, byte for byte.
    """

    photo: int
    of: int
    score: float
    exact: bool


class Suspect(NamedTuple):
    """Photos whose name is probably wrong.

    Attributes:
        kind: "mislabeled", "two people" (in one folder), "unlike" (the others of its folder),
            "undecided" (the photos of a folder disagree, and it cannot be said which of them are
            wrong), "one person" (in two folders) or "two names" (one photo in two folders).
        photos: places of those that are left out.
        person: number of the person in whose folder they are.
        other: number of the person whose they seem to be, or who shares them; None: nobody's here.
        own: their mean cosine to the rest of their folder; None when there is none.
        towards: their mean cosine to the other person's photos; None without one.
        beside: places of photos to show with them: of the own folder (-1: none), of the other
            one (-1: none).
    """

    kind: Kind
    photos: tuple[int, ...]
    person: int
    other: int | None
    own: float | None
    towards: float | None
    beside: tuple[int, int]


@dataclass(frozen=True, eq=False, slots=True)
class Cleaning:
    """What ``clean`` found.

    Attributes:
        limits: by which.
        distinct: (N,) bool: has a face, and is not a duplicate.
        trusted: (N,) bool: of these, those whose name is not suspected.
        duplicates: in the order of the photos.
        suspects: the same; a photo is in one of them at most.
        not_examined: people with more than ``MOST_IN_A_FOLDER`` photos, whose folders were not
            searched for wrong names.
        alone: people with one photo that counts: there is nothing to compare it with.
        not_judged: places of photos that are unlike the others of their folder and show too little
            of a face to say so; they are trusted.
    """

    limits: Limits
    distinct: BoolArray
    trusted: BoolArray
    duplicates: tuple[Duplicate, ...]
    suspects: tuple[Suspect, ...]
    not_examined: tuple[int, ...] = ()
    alone: tuple[int, ...] = ()
    not_judged: tuple[int, ...] = ()


def looked_for(cleaning: Cleaning) -> str:
    """What wrong names were looked for, and what could not be judged, in one or two sentences."""
    kinds = []
    if cleaning.limits.unlike is not None:
        kinds.append("photos unlike the others of their folder")
    if cleaning.limits.alike < 1:  # else all are of one person
        kinds += [
            "photos like another person's",
            "two people in one folder",
            "one person in two folders",
            "one photo in the folders of two people",
        ]
    if not kinds:
        return (
            "Not looked for: there is one person only, and no calibration says how unlike photos "
            "of one person are."
        )
    if cleaning.limits.unlike is None:
        left = ["photos unlike the others of their folder, since nothing says how unlike they are"]
    else:
        left = []
    if cleaning.alone:
        left.append(counted(len(cleaning.alone), "folder with one photo", "folders with one photo"))
    if cleaning.not_examined:
        left.append(
            counted(len(cleaning.not_examined), "folder", "folders")
            + f" with more than {MOST_IN_A_FOLDER:,} photos"
        )
    if cleaning.not_judged:
        left.append(
            counted(len(cleaning.not_judged), "photo", "photos")
            + " unlike the others of the folder, but showing too little of a face"
        )
    words = f"Looked for: {', '.join(kinds)}."
    return words + (f" Not judged: {'; '.join(left)}." if left else "")


def none_found(cleaning: Cleaning) -> str:
    """That no wrong name was found, as far as any was looked for."""
    said = looked_for(cleaning)
    return said if said.startswith("Not looked for") else f"No wrong name was found. {said}"


def clean(
    vectors: npt.ArrayLike,
    person: npt.ArrayLike,
    found: npt.ArrayLike,
    *,
    digests: Sequence[Any] | None = None,
    duplicate: float = DUPLICATE_COSINE,
    norms: npt.ArrayLike | None = None,
    unlike: float | None = None,
) -> Cleaning:
    """Find duplicates and probably wrong names; see the module.

    Args:
        vectors: (N, D) unit vectors; rows without a face may hold anything.
        person: (N,) int, who each photo is said to show.
        found: (N,) bool, False where no face was found.
        digests: N hashes of the files; None: equal files count as near
            duplicates.
        duplicate: the cosine above which two photos of one person are one picture.
        norms: (N,) lengths of the embeddings before scaling; None: photos that show little of a
            face are judged as all others.
        unlike: from ``decide.agreement.unlike_below``; None: from these photos, if they are of two
            people or more.

    Raises:
        OptionError: other shapes, or a limit out of range.
    """
    rows, who = np.asarray(vectors, np.float32), np.asarray(person)
    seen = np.asarray(found)
    n = len(rows)
    if rows.ndim != 2 or who.shape != (n,) or seen.shape != (n,) or seen.dtype != np.bool_:
        raise OptionError(
            f"expected vectors (N, D), person (N,) and found (N,) bool, got {rows.shape}, "
            f"{who.shape} and {seen.shape} {seen.dtype}"
        )
    if digests is not None and len(digests) != n:
        raise OptionError(f"expected {n}, one a photo, got {len(digests)}", option="digests")
    if not 0 < duplicate <= 1:
        raise OptionError(f"expected a cosine above 0 up to 1, got {duplicate}", option="duplicate")
    duplicates, distinct = _duplicates(rows, who, seen, digests, duplicate)
    lengths = np.ones(n) if norms is None else np.asarray(norms, np.float64)
    if lengths.shape != (n,):
        raise OptionError(f"expected {n}, one a photo, got {lengths.shape}", option="norms")
    limits = limits_of(rows[distinct], who[distinct], duplicate)
    if unlike is not None:
        one = Limits(duplicate, 1.0, -1.0, 1.0)  # of one person: nobody to mistake anyone for
        limits = (one if limits is None else limits)._replace(unlike=unlike)
    if limits is None:
        alone = tuple(np.unique(who[distinct]).tolist()) if int(distinct.sum()) == 1 else ()
        limits = Limits(duplicate, 1.0, -1.0, 1.0)
        return Cleaning(limits, distinct, distinct.copy(), duplicates, (), alone=alone)
    search = _Search(rows, who, distinct, limits, lengths, unlike is not None)
    suspects = search.run()
    trusted = distinct.copy()
    for suspect in suspects:
        trusted[list(suspect.photos)] = False
    return Cleaning(
        search.limits,
        distinct,
        trusted,
        duplicates,
        suspects,
        tuple(search.too_large),
        tuple(search.alone),
        tuple(sorted(search.not_judged)),
    )


def limits_of(
    vectors: FloatArray, person: npt.NDArray[Any], duplicate: float = DUPLICATE_COSINE
) -> Limits | None:
    """The limits that these photos give; None when they are all of one person.

    From all pairs of two people or, when they are many, from a random sample (seeded).
    """
    n = len(vectors)
    if n * (n - 1) // 2 <= _SAMPLE:
        first, second = np.triu_indices(n, 1)
    else:
        first, second = np.random.default_rng(0).integers(0, n, (2, _SAMPLE))
    strangers = person[first] != person[second]
    first, second = first[strangers], second[strangers]
    if not len(first):
        return None
    scores = np.concatenate(
        [
            np.einsum("ij,ij->i", vectors[first[k : k + 8192]], vectors[second[k : k + 8192]])
            for k in range(0, len(first), 8192)
        ]
    )
    middle = float(np.median(scores))
    # 1.4826: of the normal distribution
    deviation = max(1.4826 * float(np.median(np.abs(scores - middle))), _LEAST_DEVIATION)
    alike, strangers, one, unlike = (
        middle + k * deviation for k in (ALIKE, STRANGERS, ONE_PERSON, UNLIKE)
    )
    return Limits(duplicate, alike, strangers, one, unlike)


def groups_of(similarity: npt.NDArray[np.floating], least: float) -> IntArray:
    """Group by average linkage: (N,) numbers of groups, in the order of their first member.

    Two groups are joined as long as the mean similarity of their members is ``least`` or more. By
    chains of nearest neighbors (Murtagh, "A survey of recent advances in hierarchical clustering
    algorithms", The Computer Journal 1983), N^2 steps.

    Args:
        similarity: (N, N), symmetric.
        least: similarity.
    """
    n = len(similarity)
    table = np.array(similarity, np.float64)
    np.fill_diagonal(table, -np.inf)
    size = np.ones(n)
    alive = np.ones(n, bool)
    root = np.arange(n)
    chain: list[int] = []
    for _ in range(n - 1):
        if not chain:
            chain.append(int(np.argmax(alive)))
        while True:
            last = chain[-1]
            best = int(np.argmax(table[last]))
            if len(chain) > 1 and table[last, chain[-2]] >= table[last, best]:
                break
            chain.append(best)
        b, a = chain.pop(), chain.pop()
        if table[a, b] >= least:  # heights never fall, so the cut may be made on the way
            root[root == b] = a
        merged = (size[a] * table[a] + size[b] * table[b]) / (size[a] + size[b])
        table[a], table[:, a] = merged, merged
        table[b], table[:, b] = -np.inf, -np.inf
        table[a, a] = -np.inf
        size[a] += size[b]
        alive[b] = False
    first = {int(r): i for i, r in reversed(list(enumerate(root)))}
    place = {r: k for k, r in enumerate(sorted(first, key=lambda r: first[r]))}
    return np.array([place[int(r)] for r in root], np.int64)


def _duplicates(
    rows: FloatArray,
    who: npt.NDArray[Any],
    seen: BoolArray,
    digests: Sequence[Any] | None,
    limit: float,
) -> tuple[tuple[Duplicate, ...], BoolArray]:
    """Each photo is held against the earlier ones of that person that count themselves."""
    duplicates: list[Duplicate] = []
    distinct = seen.copy()
    for name in np.unique(who[seen]):
        mine = np.flatnonzero((who == name) & seen)
        kept: list[int] = []
        by_digest: dict[Any, int] = {}
        for i in mine.tolist():
            digest = None if digests is None else digests[i]
            if digest is not None and digest in by_digest:
                duplicates.append(Duplicate(i, by_digest[digest], 1.0, True))
                distinct[i] = False
                continue
            if kept:
                scores = rows[kept] @ rows[i]
                best = int(np.argmax(scores))
                if scores[best] > limit:
                    duplicates.append(Duplicate(i, kept[best], float(scores[best]), False))
                    distinct[i] = False
            if distinct[i]:
                kept.append(i)
            if digest is not None:
                by_digest[digest] = i if distinct[i] else duplicates[-1].of
    return tuple(sorted(duplicates)), distinct


class _Search:
    """For wrong names among photos that are no duplicates.

    ``main``: by person the largest group of like photos, none when two are equally large.
    """

    def __init__(
        self,
        rows: FloatArray,
        who: npt.NDArray[Any],
        use: BoolArray,
        limits: Limits,
        norms: Float64Array,
        calibrated: bool,
    ) -> None:
        self.rows, self.who, self.limits, self.norms = rows, who, limits, norms
        self.calibrated = calibrated
        self.people: list[Any] = np.unique(who[use]).tolist()
        order = np.flatnonzero(use)
        order = order[np.argsort(who[order], kind="stable")]
        ends = np.cumsum(np.bincount(np.searchsorted(self.people, who[order])))
        self.of = dict(zip(self.people, np.split(order, ends[:-1]), strict=True))
        self.groups: dict[Any, list[IntArray]] = {}
        self.main: dict[Any, IntArray] = {}
        self.too_large: list[Any] = []
        self.alone: list[Any] = []
        self.not_judged: list[int] = []
        self.suspects: list[Suspect] = []
        self.taken: set[int] = set()

    def run(self) -> tuple[Suspect, ...]:
        for name in self.people:
            mine = self.of[name]
            if len(mine) > MOST_IN_A_FOLDER:
                self.too_large.append(name)
                self.groups[name] = [mine]
            else:
                number = groups_of(self._scores(mine, mine), self.limits.strangers)
                self.groups[name] = sorted(
                    (mine[number == k] for k in range(int(number.max()) + 1)),
                    key=lambda group: (-len(group), int(group[0])),
                )
            groups = self.groups[name]
            if len(groups) == 1 or len(groups[0]) > len(groups[1]):
                self.main[name] = groups[0]
        self._mislabeled()
        self._two_people()
        self._unlike()
        self._one_person()
        self._two_names()
        return tuple(sorted(self.suspects, key=lambda s: (s.photos, s.kind)))

    def _scores(self, a: IntArray, b: IntArray) -> Float64Array:
        return np.asarray(self.rows[a] @ self.rows[b].T, np.float64)

    def _add(
        self,
        kind: Kind,
        group: IntArray,
        other: Any,
        rest: IntArray,
        theirs: IntArray,
    ) -> None:
        beside = (self._nearest(rest, group), self._nearest(theirs, group))
        self.suspects.append(
            Suspect(
                kind,
                tuple(group.tolist()),
                self.who[group[0]].item(),
                other,
                float(self._scores(group, rest).mean()) if len(rest) else None,
                float(self._scores(group, theirs).mean()) if len(theirs) else None,
                beside,
            )
        )
        self.taken |= set(group.tolist())

    def _nearest(self, rows: IntArray, group: IntArray) -> int:
        """The most typical one of the rows, to be shown beside the group; -1 for none.

        The one nearest to their mean, not to the group, which would flatter the likeness.
        """
        rows = np.array([row for row in rows.tolist() if row not in set(group.tolist())], np.int64)
        if not len(rows):
            return -1
        return int(rows[int(np.argmax(self.rows[rows] @ self.rows[rows].mean(axis=0)))])

    def _mislabeled(self) -> None:
        references = [name for name in self.people if len(self.main.get(name, ())) >= 2]
        if not references:
            return
        rows = np.concatenate([self.main[name] for name in references])
        sizes = np.array([len(self.main[name]) for name in references])
        starts = np.cumsum(sizes) - sizes
        found: list[tuple[IntArray, Any]] = []
        for name in self.people:
            for group in self._candidates(name):
                scores = self._scores(group, rows)
                means = np.add.reduceat(scores.mean(axis=0), starts) / sizes
                own_rest = self._rest(name, group)
                own = float(np.median(self._scores(group, own_rest)))
                for k in np.argsort(-means)[:3].tolist():
                    if references[k] == name:
                        continue
                    if means[k] < self.limits.alike:
                        break
                    part = float(np.median(scores[:, starts[k] : starts[k] + sizes[k]]))
                    margin = self.limits.alike - self.limits.strangers
                    if part >= self.limits.alike and part - own >= margin:
                        found.append((group, references[k]))
                        break
        wrong = {i for group, _ in found for i in group.tolist()}
        for group, other in found:
            name = self.who[group[0]].item()
            rest = np.array([i for i in self.of[name].tolist() if i not in wrong], np.int64)
            theirs = np.array([i for i in self.main[other].tolist() if i not in wrong], np.int64)
            self._add("mislabeled", group, other, rest, theirs)

    def _candidates(self, name: Any) -> list[IntArray]:
        """Groups that may be another person's: all but the main one, and its own odd members."""
        mine, main = self.of[name], self.main.get(name)
        if len(mine) < 2:
            return []
        if main is None:
            return [group for group in self.groups[name] if len(group) < len(mine)]
        candidates = self.groups[name][1:]
        if len(main) < 2:
            return candidates
        if name in self.too_large:
            middle = self.rows[main].mean(axis=0)
            own = np.asarray(self.rows[main] @ middle, np.float64)
        else:
            scores = self._scores(main, main)
            np.fill_diagonal(scores, np.nan)
            own = np.nanmedian(scores, axis=1)
        return candidates + [main[k : k + 1] for k in np.flatnonzero(own < self.limits.alike)]

    def _rest(self, name: Any, group: IntArray) -> IntArray:
        """The others of the folder; of its main group if there is one."""
        left = self.main[name] if name in self.main else self.of[name]
        rest = left[~np.isin(left, group)]
        return rest if len(rest) else self.of[name][~np.isin(self.of[name], group)]

    def _two_people(self) -> None:
        for name in self.people:
            first, *others = self.groups[name]
            first = first[[i not in self.taken for i in first.tolist()]]
            for group in others:
                left = group[[i not in self.taken for i in group.tolist()]]
                if len(left) < 2 or len(first) < 2:
                    continue
                within = self._scores(left, left)[np.triu_indices(len(left), 1)]
                if within.mean() >= self.limits.alike:
                    self._add("two people", left, None, first, np.zeros(0, np.int64))

    def _unlike(self) -> None:
        self.alone = [name for name in self.people if len(self.of[name]) == 1]
        if self.limits.unlike is None:
            return
        found: list[tuple[IntArray, Agreement]] = []
        for name in self.people:
            mine = self.of[name]
            mine = mine[[i not in self.taken for i in mine.tolist()]]
            if len(mine) > 1 and name not in self.too_large:
                found.append((mine, agree(self.rows[mine], self.norms[mine], self.limits.unlike)))
        judged = sum(len(mine) for mine, _ in found)
        if not self.calibrated and sum(one.unlike.sum() for _, one in found) > MOST_UNLIKE * judged:
            self.limits = self.limits._replace(unlike=None)
            return
        for mine, one in found:
            self.not_judged += mine[one.not_judged].tolist()
            unlike = mine[one.unlike]
            if one.undecided:
                self._undecided(unlike)
                continue
            for i in unlike.tolist():
                self._add("unlike", np.array([i]), None, mine[one.main], np.zeros(0, np.int64))

    def _undecided(self, rows: IntArray) -> None:
        within = self._scores(rows, rows)[np.triu_indices(len(rows), 1)]
        photos, person = tuple(rows.tolist()), self.who[rows[0]].item()
        beside = (photos[1], -1)
        self.suspects.append(
            Suspect("undecided", photos, person, None, float(within.mean()), None, beside)
        )
        self.taken |= set(photos)

    def _one_person(self) -> None:
        left = {
            name: main[[i not in self.taken for i in main.tolist()]]
            for name, main in self.main.items()
        }
        names = [name for name, main in left.items() if len(main)]
        if len(names) < 2:
            return
        means = np.stack([self.rows[left[name]].mean(axis=0) for name in names])
        sizes = np.array([len(left[name]) for name in names])
        joined = list(range(len(names)))
        for start in range(0, len(names), _BLOCK):
            # The dot product of two means is the mean of the dot products.
            block = means[start : start + _BLOCK] @ means[start:].T
            for i, j in np.argwhere(block >= self.limits.one_person).tolist():
                a, b = start + i, start + j
                if a >= b or sizes[a] * sizes[b] < LEAST_CROSS_PAIRS:
                    continue
                cross = self._scores(left[names[a]], left[names[b]])
                if np.median(cross) >= self.limits.one_person:
                    old, new = joined[b], joined[a]
                    joined = [new if k == old else k for k in joined]
        for number in sorted(set(joined)):
            members = [k for k, each in enumerate(joined) if each == number]
            stays = max(members, key=lambda k: (sizes[k], -k))
            for k in members:
                if k != stays:
                    theirs = left[names[stays]]
                    mine = np.array(
                        [i for i in self.of[names[k]].tolist() if i not in self.taken], np.int64
                    )
                    self._add("one person", mine, names[stays], np.zeros(0, np.int64), theirs)

    def _two_names(self) -> None:
        rows = np.sort(np.concatenate(list(self.of.values())))
        rows = rows[[i not in self.taken for i in rows.tolist()]]
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            scores = self._scores(block, rows[start:])
            for i, j in np.argwhere(scores > self.limits.duplicate).tolist():
                a, b = int(block[i]), int(rows[start + j])
                if a < b and self.who[a] != self.who[b]:
                    for one, two in ((a, b), (b, a)):
                        if one in self.taken:
                            continue
                        name = self.who[one].item()
                        rest = self.of[name][self.of[name] != one]
                        other = self.who[two].item()
                        self._add("two names", np.array([one]), other, rest, np.array([two]))
