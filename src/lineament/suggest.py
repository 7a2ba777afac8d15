"""What somebody may have meant: names and paths that are spelled nearly like the given one.

Everything here looks only at names; nothing is opened.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

LIKENESS = 0.72
"""Of ``difflib``: one wrong letter in a word of four reaches it; two words of five seldom do."""

MOST_NAMES = 20_000
"""So many names are compared at most: 0.1 s."""

MOST_ENTRIES = 5_000
"""So many files of a folder are compared at most."""


def folded(name: str) -> str:
    """The form in which names that differ by case, width or spaces alone are equal."""
    wide = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(unicodedata.normalize("NFKC", wide).split())


def bare(name: str) -> str:
    """``folded`` without accents."""
    apart = unicodedata.normalize("NFKD", folded(name))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def similar_names(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Those of ``names`` that may have been meant by ``name``, the likeliest first.

    Such as differ by accents, then such as hold all of its words ("obama", "Barack Obama"), then
    such as are spelled nearly alike, as a whole or in one word.
    """
    wanted = bare(name)
    if not wanted:
        return []
    by_form: dict[str, list[str]] = {}
    for each in islice(names, MOST_NAMES):
        by_form.setdefault(bare(each), []).append(each)
    forms = [wanted] if wanted in by_form else []
    words = set(wanted.split())
    forms += [form for form in by_form if words <= set(form.split())]
    length = len(wanted)
    near = [form for form in by_form if abs(len(form) - length) <= max(2, length // 3)]
    forms += get_close_matches(wanted, near, most, LIKENESS)
    vocabulary = {word for form in by_form for word in form.split()}
    for word in words if len(words) == 1 else ():
        close = set(get_close_matches(word, vocabulary, most, LIKENESS))
        forms += [form for form in by_form if close & set(form.split())]
    return [each for form in dict.fromkeys(forms) for each in by_form[form]][:most]


def similar_path(path: str | os.PathLike[str], *, folders: bool | None = None) -> str | None:
    """A path beside one that does not exist, whose name is nearly the same; None without any.

    Args:
        path: that does not exist.
        folders: True: only folders; False: only files; None: either.

    Returns:
        As it is to be typed: with the folder that ``path`` names.
    """
    try:
        given = Path(path)
        entries: dict[str, None] = {}
        with os.scandir(given.parent) as found:
            for entry in islice(found, MOST_ENTRIES):
                if not entry.name.startswith(".") and folders in (None, entry.is_dir()):
                    entries[entry.name] = None
    except (OSError, ValueError):
        return None
    names = {bare(name): name for name in entries}
    wanted = bare(given.name)
    if wanted not in names:
        # The suffix does not make two names alike, but the same name with another one is near.
        stem = wanted.rpartition(".")[0] or wanted
        same = [form for form in names if (form.rpartition(".")[0] or form) == stem]
        close = same or get_close_matches(wanted, list(names), 1, 0.8)
        if not close:
            return None
        wanted = close[0]
    return os.fspath(given.with_name(names[wanted]))


def did_you_mean(what: str | Iterable[str] | None) -> str:
    """``" (did you mean X?)"`` for messages; "" when there is nothing to suggest."""
    names = [] if what is None else [what] if isinstance(what, str) else list(what)
    return f" (did you mean {' or '.join(names)}?)" if names else ""
