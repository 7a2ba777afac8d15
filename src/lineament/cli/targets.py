"""Outputs: declared by the option that names them, probed before the work, never replaced unasked.

An option that names what a command writes has a ``Target`` (``option("--out", writes=PAGE)``).
``Command.invoke`` probes all of them before it calls the function: whether the name fits, the
folder exists and can be written to, and nothing is there yet that ``--overwrite`` was not given
for. The function then writes inside of ``writing``: should that fail all the same, the error is
said, the results are printed, and the exit code is 2.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.errors import OptionError

if TYPE_CHECKING:
    import click

Given = Mapping[str, Any]
"""A command's parameters by name."""

STDOUT = "-"
PROBE_BYTES = 4096
"""So much must fit on the disk, or it is full."""

_HINT = "name a file in a folder that you may write to"


@dataclass(frozen=True)
class Target:
    """What an option's path may be.

    Attributes:
        suffixes: endings of a file's name, lower case; () for any.
        file: whether it may be a file.
        folder: whether it may be a folder; it is made when it is missing. Where both are possible,
            a folder is what exists as one, or has no suffix.
        stdout: whether "-" stands for stdout.
        inside: names of the files that a folder gets, as far as they are known before.
        empty: a folder that must be new or empty, unless files in it may be replaced.
        resumes: a folder whose command has a rule of its own for what is there (it goes on).
        default: where it goes when the option is left out; None: nowhere.
        edits: parameters that may name the same file, since it is read first and then replaced.
    """

    suffixes: tuple[str, ...] = ()
    file: bool = True
    folder: bool = False
    stdout: bool = False
    inside: tuple[str, ...] = ()
    resumes: bool = False
    empty: bool = False
    default: Callable[[Given], Path | None] | None = field(default=None, compare=False)
    edits: tuple[str, ...] = ()

    def is_folder(self, path: Path) -> bool:
        """Whether the path means a folder."""
        if not (self.file and self.folder):
            return self.folder
        return path.suffix.lower() not in self.suffixes and (not path.suffix or path.is_dir())


PICTURE = Target((".png", ".jpg", ".jpeg"))
PAGE = Target((".html", ".htm"))
JSON = Target((".json",))
FOLDER = Target(file=False, folder=True)
RUN_FOLDER = Target(file=False, folder=True, resumes=True)


# --- before the work ------------------------------------------------------------------------------


def probe_all(targets: Mapping[str, Target], given: dict[str, Any]) -> None:
    """Probe every output of a command, and fill in the defaults of those that were left out.

    Args:
        targets: by the parameter's name.
        given: the command's parameters by name; defaults are written here.

    Raises:
        OptionError: one could not be written, or would replace something; ``option`` is the
            parameter's name.
    """
    overwrite = bool(given.get("overwrite", False))
    seen: dict[str, str] = {}
    for name, target in targets.items():
        if given.get(name) is None and target.default is not None:
            given[name] = target.default(given)
        path = given.get(name)
        if path is None or (target.stdout and str(path) == STDOUT):
            continue
        others = [v for k, v in given.items() if k not in targets and k not in target.edits]
        if not target.is_folder(path):
            refuse_inputs(path, others, name)
        elif target.empty:
            refuse_inside(path, others, name)
        probe(path, target, overwrite=overwrite, option=name)
        if target.is_folder(path):
            continue
        whole = os.path.realpath(path)
        if whole in seen:
            raise OptionError(f"{path} is named twice", option=name, hint="name two files")
        seen[whole] = name


def probe(
    path: Path, target: Target, *, overwrite: bool = False, option: str | None = None
) -> None:
    """Refuse an output that could not be written, or that would replace something.

    Raises:
        OptionError: the name does not end as it should, is too long, or is taken by a folder, a
            device or, without ``overwrite``, by a file; its folder does not exist, or nothing can
            be written there.
    """
    try:
        if target.is_folder(path):
            _probe_folder(path, target, overwrite, option)
        else:
            _probe_file(path, target, overwrite, option)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        if isinstance(error, OptionError):
            raise
        raise _unwritable(path, error, option) from error


def _probe_file(path: Path, target: Target, overwrite: bool, option: str | None) -> None:
    if path.is_dir():
        raise OptionError(f"expected a file, {path} is a folder", option=option)
    if target.suffixes and path.suffix.lower() not in target.suffixes:
        ends = " or ".join(", ".join(target.suffixes).rsplit(", ", 1))
        more = ", or a folder" if target.folder else ""
        raise OptionError(f"expected a name that ends in {ends}{more}, got {path}", option=option)
    above = path.absolute().parent
    if not above.is_dir():
        what = "is a file" if os.path.lexists(above) else "there is no folder"
        words = f"{above} {what}" if what == "is a file" else f"{what} {path.parent}"
        raise OptionError(words, option=option, hint="; make it first, or name another one")
    _refuse_special(path, option)
    refuse_existing(path, overwrite, option)
    _try_to_write(above, path, option)


def _probe_folder(path: Path, target: Target, overwrite: bool, option: str | None) -> None:
    if os.path.lexists(path) and not path.is_dir():
        raise OptionError(f"expected a folder, {path} is a file", option=option)
    os.lstat(path) if path.is_dir() else _name_fits(path)
    above = path.absolute()
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise OptionError(
            f"the folder {path} cannot be made ({above} is a file)",
            option=option,
            hint="; name another one",
        )
    if target.empty and not overwrite and path.is_dir() and any(path.iterdir()):
        raise OptionError(
            f"expected a new or an empty folder, {path} holds files",
            option=option,
            hint="; name another one, or add --overwrite to replace files of the same name",
        )
    for name in target.inside:
        refuse_existing(path / name, overwrite, option)
    _try_to_write(above, path, option)


def _name_fits(path: Path) -> None:
    """Raise OSError or ValueError for a name that no file can have."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return


def _refuse_special(path: Path, option: str | None) -> None:
    """Refuse a device or a pipe: it cannot be replaced as a whole."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        _name_fits(path)
        return
    if not stat.S_ISREG(mode):
        raise OptionError(f"expected a file, {path} is a device, a pipe or a socket", option=option)


def _try_to_write(folder: Path, path: Path, option: str | None) -> None:
    """Write a little into the folder: permissions alone tell nothing of full or read-only disks."""
    trial = folder / f".lineament-{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        with trial.open("xb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error, option) from error
    finally:
        trial.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError | ValueError, option: str | None) -> OptionError:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return OptionError(
            f"{path} cannot be written: the disk is full",
            option=option,
            hint="make room, or name a file on another disk",
        )
    reason = getattr(error, "strerror", None) or str(error)
    return OptionError(f"{path} cannot be written ({reason})", option=option, hint=f"; {_HINT}")


def refuse_existing(path: Path, overwrite: bool, option: str | None = None) -> None:
    """Raise OptionError when something has that name already and may not be replaced."""
    if not overwrite and os.path.lexists(path):
        raise OptionError(
            f"{path} exists already",
            option=option,
            hint="; name another one, or add --overwrite to replace it",
        )


def refuse_inputs(path: Path, inputs: Iterable[object], option: str | None = None) -> None:
    """Raise OptionError when ``path`` is one of the files that are read.

    Args:
        path: to be written.
        inputs: files, folders of photos, or lists of them; what is no path is passed over.
        option: the output's.
    """
    try:
        if not path.exists() or path.is_dir():
            return
    except (OSError, ValueError):  # no path at all
        return
    for source in inputs:
        if isinstance(source, (list, tuple)):
            refuse_inputs(path, source, option)
        elif isinstance(source, (str, os.PathLike)) and _reads(source, path):
            raise OptionError(
                f"{path} is one of the files that are read", option=option, hint="name another one"
            )


def refuse_inside(folder: Path, inputs: Iterable[object], option: str | None = None) -> None:
    """Raise OptionError when a new folder of photos would lie in one that is read.

    Arguments as ``refuse_inputs``.
    """
    whole = Path(os.path.realpath(folder))
    for source in inputs:
        if isinstance(source, (list, tuple)):
            refuse_inside(folder, source, option)
        elif isinstance(source, (str, os.PathLike)):
            read = Path(os.path.realpath(source))
            if read.is_dir() and (whole == read or read in whole.parents):
                raise OptionError(
                    f"{folder} is inside {source}, where it would be taken for more photos",
                    option=option,
                    hint="; name a folder elsewhere",
                )


def _reads(source: str | os.PathLike[str], path: Path) -> bool:
    """Whether reading ``source``, a file or a folder of photos, reads ``path``, too."""
    try:
        if path.samefile(source):
            return True
        whole = path.resolve()
        if Path(source).resolve() not in whole.parents:
            return False
        from lineament.images import find_images

        return path.suffix.lower() in PICTURE.suffixes and any(
            path.samefile(each) for each in find_images([source])
        )
    except (OSError, ValueError):  # no path at all, or one that is not there
        return False


def make_folder(path: Path, option: str | None = None) -> None:
    """Make a folder unless it exists.

    Raises:
        OptionError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error
        raise OptionError(
            f"the folder {path} cannot be made ({reason})", option=option, hint="; name another one"
        ) from error


# --- the writing itself ---------------------------------------------------------------------------

WRITTEN = "lineament.written"
"""Key of the context: the words for the outputs that were written."""


@contextmanager
def writing(path: Path, option: str, words: str | None = None) -> Iterator[None]:
    """Write an output in this block; what fails is said at once, and the command goes on.

    So hours of work are not lost with a disk that has filled up meanwhile: the results are printed,
    with ``--json`` together with the error, and the exit code is 2. "wrote PATH" is said when the
    command has ended.

    Args:
        path: of the output.
        option: the parameter that named it.
        words: what is said in place of "wrote PATH".
    """
    import click

    from lineament.cli.output import failed, print_error

    context = click.get_current_context()
    try:
        if not os.path.isdir(path):  # noqa: PTH112  # a path with a NUL character is none
            refuse_existing(path, bool(context.params.get("overwrite", False)), option)
        yield
    except (OptionError, OSError) as error:
        known = error if isinstance(error, OptionError) else _unwritable(path, error, option)
        sentence = known.sentence(_flag(context, known.option))
        failed(context).append((sentence, known))
        print_error(sentence)
    else:
        context.meta.setdefault(WRITTEN, []).append(f"wrote {path}" if words is None else words)


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table, such as ``to_rows`` of results give it.

    Raises:
        OptionError: the file cannot be written.
    """
    from lineament.bulk.tables import as_csv
    from lineament.files import write_atomically

    write_atomically(path, as_csv(list(rows)))


def written(context: click.Context) -> list[str]:
    """What is to be said of the outputs that were written."""
    found: list[str] = context.meta.setdefault(WRITTEN, [])
    return found


def _flag(context: click.Context, name: str | None) -> str | None:
    flags = (each for each in context.command.params if each.name == name)
    found = next(flags, None)
    return None if found is None else max(found.opts, key=len)
