"""All pictures of a folder of people as one HTML page that begins with a summary in words.

How many people and photos there are; who is confusable with whom; which photos are
probably mislabeled or too poor, or show no face. The page refers to nothing outside itself.

    comparison  every photo against every other
    findings    what was found in the folder
    sections    that in words
    pictures    that as pictures
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament.datasets.people_folder import People, read_people
from lineament.decide.agreement import unlike_below
from lineament.errors import OptionError
from lineament.files import write_atomically
from lineament.fit.clean import clean, looked_for
from lineament.fit.examine import Examined, examine
from lineament.pictures.charts.files import check_extra
from lineament.pictures.pages.page import Section, page
from lineament.pipeline import Recognizer
from lineament.report._comparison import compare_all
from lineament.report._findings import Findings
from lineament.report._pictures import pictures_of
from lineament.report._sections import sections_of, summary, suspect_in_words
from lineament.types import ProgressBar, Threshold


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """The page, and the numbers behind it.

    Attributes:
        html: the page, encoded.
        numbers: plain values ready for JSON; those of each picture under "pictures".
    """

    html: bytes
    numbers: dict[str, Any]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page at once or not at all; a file that exists is replaced."""
        write_atomically(path, self.html)


def report(
    folder: str | os.PathLike[str],
    recognizer: Recognizer,
    *,
    threshold: Threshold | None = None,
    seed: int = 0,
    use_cache: bool = True,
    progress: ProgressBar[Any] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Report:
    """Look at a folder with one folder per person and make the page.

    Args:
        folder: its folders are the people; one person is enough, then with fewer pictures.
        recognizer: what embeds and compares.
        threshold: from ``Recognizer.threshold``, of the metric "cosine"; None: the default one.
        seed: of all samples, and of t-SNE.
        use_cache: keep embeddings on the disk, and use those that are there.
        progress: shows how far it is.
        on_note: called with what the user should know although no result depends on it.

    Raises:
        DataError: the folder is not laid out so.
        OptionError: a threshold of another metric.
        MissingExtraError: matplotlib, or what another picture needs, is missing.
    """
    check_extra()
    if threshold is None:
        threshold = recognizer.threshold()
    if threshold.metric != "cosine":
        raise OptionError(
            f"expected one for cosine, got one for {threshold.metric}", option="threshold"
        )
    people = read_people(folder, min_people=1)
    examined, _ = examine(
        recognizer, people.paths, use_cache=use_cache, progress=progress, on_note=on_note
    )
    seen = findings_of(recognizer, people, examined, threshold=threshold, seed=seed)
    drawn = pictures_of(seen, progress)
    words = summary(seen)
    title = f"What the recognizer sees: {folder_name(folder)}"
    sections = [Section("In short", tuple(words)), *sections_of(seen), *drawn]
    return Report(page(title, sections, styles=("folder.css",)), _numbers(seen, words))


def findings_of(
    recognizer: Recognizer,
    people: People,
    examined: Examined,
    *,
    threshold: Threshold,
    seed: int = 0,
) -> Findings:
    """All that the page says in words: who is confusable, mislabeled, too poor.

    Args:
        recognizer: what embedded.
        people: from ``read_people``.
        examined: its photos, in that order.
        threshold: of the metric "cosine".
        seed: as for ``report``.
    """
    embedded = examined.embedded
    cleaning = clean(
        embedded.vectors,
        people.person,
        embedded.found,
        digests=examined.digests,
        norms=embedded.norms,
        unlike=unlike_below(recognizer.calibration),
    )
    seen = Findings(recognizer, people, examined, cleaning, threshold, seed)
    limits = recognizer.judge.all_limits
    for i, quality in enumerate(examined.quality):
        problems = () if quality is None else limits.problems(quality)
        if problems:
            seen.problems[i] = problems
    seen.confusable, seen.hardest = compare_all(
        embedded.vectors, people.person, np.flatnonzero(cleaning.trusted), threshold.value
    )
    return seen


def folder_name(folder: str | os.PathLike[str]) -> str:
    """What the folder is called, whatever way it was named."""
    return Path(folder).absolute().name


def _numbers(seen: Findings, words: list[str]) -> dict[str, Any]:
    names = seen.people.names
    return {
        "summary": words,
        "n_photos": len(seen.people.paths),
        "n_people": len(names),
        "n_faces": int(seen.found.sum()),
        "threshold": seen.threshold.to_dict(),
        "confusable": [
            {
                "a": names[pair.a],
                "b": names[pair.b],
                "n_matches": pair.matches,
                "n_pairs": pair.pairs,
                "share": pair.matches / pair.pairs,
                "similarity": round(pair.similarity, 6),
                "photos": [seen.name(i) for i in pair.photos],
            }
            for pair in seen.confusable
        ],
        "hardest": {
            kind: None
            if pair is None
            else {
                "photos": [seen.name(i) for i in pair[:2]],
                "similarity": round(pair[2], 6),
            }
            for kind, pair in (
                ("genuine", seen.hardest.genuine),
                ("impostor", seen.hardest.impostor),
            )
        },
        "mislabeled": [
            {
                "kind": suspect.kind,
                "photos": [seen.name(i) for i in suspect.photos],
                "words": suspect_in_words(suspect, names),
            }
            for suspect in seen.cleaning.suspects
        ],
        "mislabels": {
            "looked_for": looked_for(seen.cleaning),
            "alone": [names[k] for k in seen.cleaning.alone],
            "not_judged": [seen.name(i) for i in seen.cleaning.not_judged],
        },
        "duplicates": [
            [seen.name(each.photo), seen.name(each.of)] for each in seen.cleaning.duplicates
        ],
        "too_poor": {seen.name(i): list(problems) for i, problems in seen.problems.items()},
        "without_face": [seen.name(i) for i in seen.without],
        "unreadable": [
            {"source": seen.name(i), "error": str(error)}
            for i, error in seen.examined.embedded.unreadable.items()
        ],
        "sampled": seen.sampled,
        "seed": seen.seed,
        "pictures": seen.pictures,
    }
