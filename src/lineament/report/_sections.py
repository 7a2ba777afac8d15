"""What is seen of a folder in words: the summary, and a section for each kind of finding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lineament.fit.clean import Suspect, looked_for, none_found
from lineament.pictures.pages.page import Picture, Section, Table, Tile, thumbnail
from lineament.pictures.pages.result import tile_of
from lineament.report._findings import Findings
from lineament.text import counted

MOST_LISTED = 24
"""Photos or pairs shown of each kind; the page says how many there are."""

MOST_IN_SUMMARY = 5


def summary(seen: Findings) -> list[str]:
    """What all of it comes to, in sentences."""
    people, examined, cleaning = seen.people, seen.examined, seen.cleaning
    n, faces = len(people.paths), int(seen.found.sum())
    several = int((examined.faces > 1).sum())
    least, most = int(people.counts.min()), int(people.counts.max())
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    words = [
        f"{counted(n, 'photo', 'photos')} of "
        f"{counted(len(people.names), 'person', 'people')}, {each} each. A face was found in "
        f"{faces:,}"
        + (
            f"; {counted(several, 'photo', 'photos')} {'shows' if several == 1 else 'show'} "
            "several faces, of which one was taken."
            if several
            else "."
        )
    ]
    compared = np.unique(people.person[cleaning.trusted])
    if len(people.names) == 1:
        words.append("There is one person only: nobody to be confused with.")
    elif len(compared) < 2:
        words.append(
            "Who is confusable cannot be said: the photos that count show fewer than two people."
        )
    elif not seen.confusable:
        words.append(
            f"Nobody is confusable: no pair of photos of two people reaches the threshold "
            f"{seen.threshold.value:.3f}. Compared: {int(cleaning.trusted.sum()):,} photos of "
            f"{len(compared):,} people."
        )
    else:
        first = [
            f"{people.names[pair.a]} and {people.names[pair.b]} ({pair.matches:,} of "
            f"{counted(pair.pairs, 'pair', 'pairs')})"
            for pair in seen.confusable[:MOST_IN_SUMMARY]
        ]
        words.append(
            f"{counted(len(seen.confusable), 'pair', 'pairs')} of people "
            f"{'is' if len(seen.confusable) == 1 else 'are'} confusable, which means that "
            f"photos of both reach the threshold {seen.threshold.value:.3f}: "
            f"{_listed(first, len(seen.confusable))}."
        )
    suspected = sum(len(suspect.photos) for suspect in cleaning.suspects)
    if suspected:
        names = [seen.name(i) for suspect in cleaning.suspects for i in suspect.photos]
        words.append(
            f"Probably mislabeled: {_listed(names[:MOST_IN_SUMMARY], suspected)}. They are left "
            f"out where people are compared. {looked_for(cleaning)}"
        )
    else:
        words.append(f"Wrong names: {_lowered(none_found(cleaning))}")
    if cleaning.duplicates:
        words.append(
            f"{counted(len(cleaning.duplicates), 'photo', 'photos')} nearly equal to "
            "another one of the same person; one of each counts where people are compared."
        )
    if seen.problems:
        names = [seen.name(i) for i in list(seen.problems)[:MOST_IN_SUMMARY]]
        words.append(
            f"Too poor to rely on: {counted(len(seen.problems), 'photo', 'photos')}, "
            f"{_listed(names, len(seen.problems))}."
        )
    else:
        words.append(_none_poor(seen))
    if seen.without:
        names = [seen.name(i) for i in seen.without[:MOST_IN_SUMMARY]]
        words.append(f"No face was found in {_listed(names, len(seen.without))}.")
    unreadable = examined.embedded.unreadable
    if unreadable:
        names = [seen.name(i) for i in list(unreadable)[:MOST_IN_SUMMARY]]
        words.append(f"Could not be read: {_listed(names, len(unreadable))}.")
    if cleaning.not_examined:
        names = [people.names[k] for k in cleaning.not_examined]
        words.append(f"Too many photos to look for wrong names among them: {'; '.join(names)}.")
    if seen.sampled:
        words.append(f"Sampled (seed {seen.seed}): {'; '.join(seen.sampled)}.")
    words.append(
        f"Recognizer {seen.recognizer.weights.name}, threshold {seen.threshold}. Photos "
        "stay as they are: nothing was changed on the disk."
    )
    return words


def _none_poor(seen: Findings) -> str:
    """That no face is too poor, of those whose quality is known."""
    measured = sum(quality is not None for quality in seen.examined.quality)
    faces = int(seen.found.sum())
    if not measured:
        return "How good the faces are to rely on was not measured."
    of = f" of the {measured:,} of {faces:,} that were measured" if measured < faces else ""
    return f"No face{of} is too small, blurred, turned, dark, bright or cut to rely on."


def _lowered(words: str) -> str:
    return f"{words[:1].lower()}{words[1:]}"


def _listed(names: Sequence[str], total: int) -> str:
    more = total - len(names)
    return "; ".join(names) + (f" and {more:,} more" if more > 0 else "")


def sections_of(seen: Findings) -> list[Section]:
    """The sections of facts, in their order; what there is nothing of has none."""
    return [*_confusable(seen), *_suspects(seen), *_poor(seen), *_faceless(seen)]


# --- sections -------------------------------------------------------------------------------------


def _shown_of(total: int, kind: str) -> tuple[str, ...]:
    return (f"The first {MOST_LISTED} of {total:,} {kind} are shown.",) * (total > MOST_LISTED)


def _confusable(seen: Findings) -> list[Section]:
    if not seen.confusable:
        return []
    names = seen.people.names
    tiles = tuple(
        tile_of(
            seen.pair(*pair.photos),
            text=f"{names[pair.a]} and {names[pair.b]}: similarity {pair.similarity:.3f} at most, "
            f"{pair.matches:,} of {counted(pair.pairs, 'pair', 'pairs')} match",
        )
        for pair in seen.confusable[:MOST_LISTED]
    )
    words = (
        "The most alike pair of each two people. Whoever unlocks a device with one of these faces "
        "could do so with the other; the first are those most of whose pairs match.",
    )
    return [
        Section(
            "Who is confusable with whom",
            (*words, *_shown_of(len(seen.confusable), "pairs of people")),
            tiles=tiles,
        )
    ]


def suspect_in_words(suspect: Suspect, names: Sequence[str]) -> str:
    """Why a name is probably wrong."""
    person = names[suspect.person]
    other = None if suspect.other is None else names[suspect.other]
    said = {
        "mislabeled": f"seems to be {other}, not {person}",
        "two people": f"another person than the rest of {person}",
        "unlike": f"unlike the others of {person}, and not clearly somebody else here",
        "undecided": f"do not agree with each other: which of them show {person} cannot be said",
        "one person": f"{person} and {other} seem to be one person",
        "two names": f"stands under {person} and under {other}",
    }[suspect.kind]
    likeness = []
    if suspect.own is not None:
        rest = "each other" if suspect.kind == "undecided" else f"the rest of {person}"
        likeness.append(f"{suspect.own:.2f} to {rest}")
    if suspect.towards is not None and other is not None:
        likeness.append(f"{suspect.towards:.2f} to {other}")
    return f"{said} ({', '.join(likeness)})" if likeness else said


def _suspects(seen: Findings) -> list[Section]:
    suspects = seen.cleaning.suspects
    if not suspects:
        return []
    tiles = []
    for suspect in suspects[:MOST_LISTED]:
        text = suspect_in_words(suspect, seen.people.names)
        if len(suspect.photos) > 1:
            text = f"{len(suspect.photos)} photos: {text}"
        own, theirs = suspect.beside
        beside = theirs if theirs >= 0 else own
        if beside >= 0:
            tiles.append(tile_of(seen.pair(suspect.photos[0], beside), text=text))
        else:
            tiles.append(Tile((_thumb(seen, suspect.photos[0]),), (), text))
    words = "On the left the photo in question, on the right one that it is held against."
    return [
        Section(
            "Probably mislabeled", (words, *_shown_of(len(suspects), "cases")), tiles=tuple(tiles)
        )
    ]


def _thumb(seen: Findings, photo: int) -> Picture:
    return thumbnail(seen.people.paths[photo], alt=f"photo {seen.name(photo)}", size_px=96)


def _poor(seen: Findings) -> list[Section]:
    if not seen.problems:
        return []
    rows = [(seen.name(i), "; ".join(problems)) for i, problems in seen.problems.items()]
    table = Table(("photo", "what is wrong, and what would help"), rows[:MOST_LISTED])
    tiles = tuple(
        Tile((_thumb(seen, i),), (seen.name(i),)) for i in list(seen.problems)[:MOST_LISTED]
    )
    return [
        Section(
            "Too poor to rely on",
            ("Decisions about these photos are called undecided.",
             *_shown_of(len(rows), "photos")),
            (table,),
            faces=tiles,
        )
    ]  # fmt: skip


def _faceless(seen: Findings) -> list[Section]:
    unreadable = seen.examined.embedded.unreadable
    sections = []
    if seen.without:
        tiles = tuple(Tile((_thumb(seen, i),), (seen.name(i),)) for i in seen.without[:MOST_LISTED])
        words = "They take no part in what follows."
        sections.append(
            Section(
                "No face was found",
                (words, *_shown_of(len(seen.without), "photos")),
                faces=tiles,
            )
        )
    if unreadable:
        rows = [(seen.name(i), str(error)) for i, error in unreadable.items()]
        sections.append(
            Section(
                "Could not be read",
                _shown_of(len(rows), "photos"),
                (Table(("photo", "why"), rows[:MOST_LISTED]),),
            )
        )
    return sections
