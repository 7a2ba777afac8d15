"""Groups, commands and options: help that fits a screen, errors as one line and an exit code.

A ``Group`` has a table of its commands and imports one only when it is called. A ``Command`` shows
its own options and an example; options that many commands share are named, and explained by
``--help-all``. Whatever is raised becomes one line on stderr, with ``--json`` one JSON object, too.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import click

from lineament.cli import terminal
from lineament.cli.help import MOST, Context, write_example
from lineament.cli.layout import wrap
from lineament.cli.output import PRINTED, failed, print_error, print_json, print_note
from lineament.cli.progress import NOTHING, interrupted
from lineament.cli.signals import EXIT_INTERRUPTED
from lineament.cli.targets import Target, probe_all, written
from lineament.cli.terminal import VERBOSITY
from lineament.errors import LineamentError, OptionError, spoken
from lineament.machine import address_space_left, memory_error, out_of_memory
from lineament.text import counted, printable

ROOM_BYTES = 550 << 20
"""Of address space, below which libraries of arrays and pictures end the process as they start."""

EXIT_ERROR, EXIT_BROKEN_PIPE = 2, 141

ACTIONS = {
    "allow_private_video": "add --allow-private if it is your own",
    "absent": "`lineament gallery erase NAME --absent` sees that nothing of it is there",
    "consent": "say where it is by --consent, and what for by --purpose",
    "enroll": "`lineament gallery enroll` adds people",
    "people": "`lineament gallery people` lists the names",
    "person": "`lineament gallery show NAME` lists the numbers",
    "force": "add --force",
    "migrate": "`lineament gallery migrate`",
    "model": "name its file by --model FILE.onnx, or the manifest that describes it by the "
    "environment's LINEAMENT_MANIFEST",
    "open_or_create": "`lineament gallery enroll` adds people to it",
    "frontal": "`lineament align --method frontal` cuts such crops",
    "lower_limits": "a lower --min-score or --min-face",
    "or_find_images": "",
    "or_allow_private": ", or add --allow-private where the address is your own",
    "or_max_bytes": "",
    "or_max_pixels": "",
    "or_max_memory": "",
    "or_timeout": "",
    "ray": "name it by --ray ADDRESS",
    "read_only": "",
    "restart": "add --restart to start anew",
    "remove_sample": "`lineament gallery remove --sample` removes it",
    "replace_metadata": "`lineament gallery annotate --replace` writes other metadata",
    "encrypt": "`lineament gallery encrypt` encrypts it",
    "key": "set LINEAMENT_GALLERY_KEY_FILE to the file of the key, LINEAMENT_GALLERY_KEY to the "
    "key, or LINEAMENT_GALLERY_KEY_COMMAND to a command that prints it",
    "rejections": "see `lineament gallery rejections` for the numbers",
    "rotate_key": "`lineament gallery rotate-key` gives it another key",
    "resume_or_overwrite": "add --resume or --overwrite",
    "shots": "`lineament watch --shots DIR` shows who has which",
    "skip_damaged": "add --skip-damaged to import the rest",
    "threshold": "name a threshold by --threshold",
    "wait": "try again later",
    "wait_or_read": "or try again later",
}
"""What the hints of errors advise, as it is done here; the keys of ``errors.ACTIONS``."""

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": MOST}


class PathType(click.Path):
    """A path; an empty one, such as a variable of the shell that is not set, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. OptionError: it is empty."""
        if isinstance(value, str) and not value.strip():
            raise OptionError(
                "expected a path, got an empty one", option=None if param is None else param.name
            )
        return super().convert(value, param, ctx)


FILE = PathType(path_type=Path)

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """An option that knows what the library calls it.

    Args:
        api: the library's names for it, as ``LineamentError.option`` has them, where they differ.
        family: heading of options that many commands share.
        writes: what its path may be, where the command writes there.
    """

    def __init__(
        self,
        *rest: Any,
        api: Collection[str] = (),
        family: str | None = None,
        writes: Target | None = None,
        **more: Any,
    ) -> None:
        """Arguments of ``click.Option``, and those of the class."""
        super().__init__(*rest, **more)
        self.api = {self.name, *api}
        self.family = family
        self.writes = writes

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return max(self.opts, key=len)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """A default in words stands without parentheses."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra


class Argument(click.Argument):
    """A positional argument; ``writes`` as that of ``Option``."""

    def __init__(self, *rest: Any, writes: Target | None = None, **more: Any) -> None:
        """Arguments of ``click.Argument``, and those of the class."""
        super().__init__(*rest, **more)
        self.writes = writes


class OneOf(click.Choice[str]):
    """One of some words; another one is refused in one line, as the library does it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word as it is spelled in the choices."""
        same = (each for each in self.choices if each.lower() == str(value).lower())
        found = next(same, None)
        if found is None:
            words = " or ".join(", ".join(self.choices).rsplit(", ", 1))
            name = None if param is None else param.name
            raise OptionError(f"expected {words}, got {value!r}", option=name)
        return found


def option(*names: str, choices: Sequence[str] = (), **more: Any) -> Callable[[F], F]:
    """An option; None when it is left out, False for a flag, an empty tuple for several values.

    Args:
        names: as it is written, and its name in the function where that is another.
        choices: the words that it takes.
        more: arguments of ``Option``.
    """
    if more.get("writes") is not None:
        more.setdefault("type", FILE)
    if choices:
        more = {"type": OneOf(choices), "metavar": "|".join(choices), **more}
    if more.get("is_flag"):
        more.setdefault("default", False)
    elif not more.get("multiple") and not more.get("required"):
        more.setdefault("default", None)
    return click.option(*names, cls=Option, **more)


def argument(name: str, **more: Any) -> Callable[[F], F]:
    """A positional argument; ``nargs=-1`` takes at least one unless ``required`` is False."""
    if more.get("nargs") == -1:
        more.setdefault("required", True)
    return click.argument(name, cls=Argument, **more)


class Command(click.Command):
    """One command; its function returns the exit code, or None for 0."""

    context_class = Context

    def __init__(self, *rest: Any, example: str = "", **more: Any) -> None:
        """Arguments of ``click.Command``; ``example``: how it is called, for the help."""
        super().__init__(*rest, **more)
        self.example = example

    @property
    def targets(self) -> dict[str, Target]:
        """What it writes, by the parameter that names the place."""
        found = {each.name: getattr(each, "writes", None) for each in self.params}
        return {str(name): target for name, target in found.items() if target is not None}

    @property
    def _shared(self) -> list[Option]:
        return [p for p in self.params if isinstance(p, Option) and p.family is not None]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its options, how much it says, and ``--help-all`` where some are only named."""
        found = super().get_params(ctx)
        if not self._shared:
            return [*found[:-1], *saying(None), *found[-1:]]
        return [*found, Option(["--help-all"], **_HELP_ALL), *saying(OUTPUT)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its options; shared ones by name, or explained after ``--help-all``."""
        rows = [
            row
            for each in self.get_params(ctx)
            if isinstance(each, click.Option) and getattr(each, "family", None) is None
            if (row := each.get_help_record(ctx)) is not None
        ]
        with formatter.section("Options"):
            formatter.write_dl(rows, col_max=26)
        families: dict[str, list[Option]] = {}
        for each in [*self._shared, *(saying(OUTPUT) if self._shared else ())]:
            families.setdefault(str(each.family), []).append(each)
        if ctx.meta.get(_HELP_ALL_KEY):
            for family, options in families.items():
                with formatter.section(family):
                    formatter.write_dl(
                        [row for each in options if (row := each.get_help_record(ctx))], col_max=26
                    )
        elif families:
            del families[OUTPUT]  # named in the heading
            with formatter.section("More options (--help-all explains them, -q and -v)"):
                for family, options in families.items():
                    start = f"{'':{formatter.current_indent}}{family:<12}"
                    names = "  ".join(map(_names, options))
                    lines = wrap(names, formatter.width, first=start, rest=" " * len(start))
                    formatter.write("\n".join(lines) + "\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, as it is typed."""
        if self.example:
            with formatter.section("Example"):
                write_example(formatter, self.example)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the arguments; a refused choice is one line."""
        as_json = "--json" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except LineamentError as error:
            named = [p for p in self.params if isinstance(p, Option) and p.name == error.option]
            fail(error.sentence(named[0].flag if named else None, ACTIONS), error, as_json)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the function; what it raises is said in the command line's words."""
        as_json = bool(ctx.params.get("json"))
        begun = time.perf_counter()
        left = address_space_left()
        if left < ROOM_BYTES and "numpy" not in sys.modules:
            refused = out_of_memory(
                f"to start: the limit of this process (ulimit -v) leaves {left >> 20} MB"
            )
            fail(refused.sentence(), refused, as_json)
        try:
            probe_all(self.targets, ctx.params)
            code = super().invoke(ctx)
            if not as_json:
                for words in written(ctx):
                    print_note(words)
            sys.stdout.flush()
            if VERBOSITY.verbose:
                _print_times(time.perf_counter() - begun)
            return EXIT_ERROR if failed(ctx) else code
        except LineamentError as error:
            fail(error.sentence(self._flag_of(error.option, ctx), ACTIONS), error, as_json)
        except KeyboardInterrupt:
            words = interrupted(ctx.meta, written(ctx))
            _print_failure(words, _INTERRUPTED, as_json and not ctx.meta.get(PRINTED))
            raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError as error:
            raise click.exceptions.Exit(broken_pipe()) from error
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except OSError as error:  # those of files are translated where they arise
            short = memory_error(error)
            if short is not None:
                fail(short.sentence(), short, as_json)
            fail(f"the output cannot be written: {_reason(error)}", error, as_json)
        except Exception as error:
            short = memory_error(error)
            if short is not None:
                fail(short.sentence(), short, as_json)
            fail(
                f"this is a bug in lineament: {type(error).__name__}: {one_line(error)} "
                "(LINEAMENT_DEBUG=1 shows where; please report it)",
                error,
                as_json,
            )

    def _flag_of(self, name: str | None, ctx: click.Context) -> str | None:
        """What the command line calls this argument of the library; None: it is of no argument.

        The option that was given for it, else one that could be; the word of the usage for a
        positional argument; otherwise the library's name in plain words.
        """
        if name is None:
            return None
        fitting = [each for each in self.params if isinstance(each, Option) and name in each.api]
        for each in fitting:
            source = ctx.get_parameter_source(str(each.name))
            if each.writes or source is click.core.ParameterSource.COMMANDLINE:
                return each.flag
        if fitting:
            return fitting[0].flag
        for parameter in self.params:
            if isinstance(parameter, click.Argument) and parameter.name == name:
                return parameter.make_metavar(ctx).strip("[].")
        return name.replace("_", " ") if name.isidentifier() else name


def command(
    example: str = "", name: str | None = None
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function."""
    return click.command(name, cls=Command, example=example)


OUTPUT = "Output"


def saying(family: str | None) -> list[click.Parameter]:
    """The options for how much is said besides the results, for commands and the program."""

    def set_level(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
        if asked and not ctx.resilient_parsing:
            level = -1 if option.name == "quiet" else 1
            if VERBOSITY.level == -level:
                raise click.UsageError("expected --quiet or --verbose, got both", ctx)
            VERBOSITY.level = level

    shared: dict[str, Any] = {"is_flag": True, "expose_value": False, "callback": set_level}
    return [
        Option(["-q", "--quiet"], help="No notes and no progress.", family=family, **shared),
        Option(["-v", "--verbose"], help="Say more, such as times.", family=family, **shared),
    ]


_HELP_ALL_KEY = "lineament.help_all"


def _help_all(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        ctx.meta[_HELP_ALL_KEY] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


_HELP_ALL: dict[str, Any] = {
    "is_flag": True,
    "is_eager": True,
    "expose_value": False,
    "callback": _help_all,
    "help": "Show all options and exit.",
}


def _names(option: Option) -> str:
    return "/".join([option.flag, *option.secondary_opts])


class Entry(NamedTuple):
    """A command of a ``Group``."""

    place: str
    """Module below ``lineament.cli`` and its attribute: "recognize:verify"."""
    help: str
    """One line; a test compares it with the command's own."""
    section: str = "Commands"


class Group(click.Group):
    """Commands by a table; one is imported when it is called.

    Args:
        entries: name -> place and line of help, in the help's order.
        moved: names of earlier versions -> what they are called now.
        example: shown at the end of the help.
    """

    def __init__(
        self,
        name: str,
        entries: Mapping[str, Entry],
        *,
        moved: Mapping[str, str] | None = None,
        example: str = "",
        **more: Any,
    ) -> None:
        """Arguments of ``click.Group``, and those of the class."""
        more.setdefault("no_args_is_help", True)
        super().__init__(name, context_settings=CONTEXT, **more)
        self.params += saying(None)
        self.entries = entries
        self.moved = {} if moved is None else moved
        self.example = example

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, none of them imported."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in self.entries:
            return None
        module, _, attribute = self.entries[name].place.partition(":")
        found: click.Command = getattr(
            import_module(f"lineament.cli.{module}" if module else "lineament.cli"), attribute
        )
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of an unknown one say what it is called, or what is alike."""
        name = args[0]
        if name not in self.entries and not name.startswith("-") and not ctx.resilient_parsing:
            if name in self.moved:
                words = f"No such command {name!r}: it is `lineament {self.moved[name]}` now."
                raise click.exceptions.NoSuchCommand(name, words, ctx=ctx)
            raise click.exceptions.NoSuchCommand(name, possibilities=self.entries, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, in sections."""
        for section in dict.fromkeys(entry.section for entry in self.entries.values()):
            rows = [(n, e.help) for n, e in self.entries.items() if e.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, and the exit codes."""
        if self.example:
            with formatter.section("Example"):
                write_example(formatter, self.example)
        super().format_epilog(ctx, formatter)


class Program(Group):
    """The outermost group: leaves by SystemExit with the exit code of the command."""

    def make_context(self, *rest: Any, **extra: Any) -> click.Context:
        """Parse; nobody may be there to read the help."""
        with _unread():
            return super().make_context(*rest, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; nobody may be there to read its help."""
        with _unread():
            return super().invoke(ctx)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run ``args``, or those of the process."""
        arguments = list(sys.argv[1:] if args is None else args)
        terminal.open_streams()
        with terminal.guarded():
            sys.exit(self._code_of(arguments, *rest, **extra))

    def _code_of(self, arguments: Sequence[str], *rest: Any, **extra: Any) -> int:
        """Run the arguments; returns the exit code."""
        VERBOSITY.level = 0
        extra["standalone_mode"] = False
        extra.setdefault("prog_name", "lineament")
        code: Any = None
        try:
            try:
                with spoken(ACTIONS):
                    code = super().main(arguments, *rest, **extra)
            except click.ClickException as error:
                code = _wrong_usage(error, arguments)
            sys.stdout.flush()
        except (KeyboardInterrupt, click.Abort):  # before the command began
            _print_failure(f"interrupted: {NOTHING}", _INTERRUPTED, "--json" in arguments)
            code = EXIT_INTERRUPTED
        except BrokenPipeError:
            code = broken_pipe()
        except OSError as error:  # a full disk behind stdout, said already if a command ran
            if code != EXIT_ERROR:
                print_error(f"the output cannot be written: {_reason(error)}")
            code = EXIT_ERROR
        return code if isinstance(code, int) else 0


_INTERRUPTED: Mapping[str, str | None] = {"code": "interrupted", "option": None, "hint": None}
_NO_CODE: Mapping[str, str | None] = {"code": "internal", "option": None, "hint": None}


def fail(message: str, error: Exception, as_json: bool) -> NoReturn:
    """Print the error and end with exit code 2."""
    if os.environ.get("LINEAMENT_DEBUG", "") not in ("", "0"):
        import traceback

        with contextlib.suppress(OSError):
            traceback.print_exception(error, file=sys.stderr)
    about = _NO_CODE
    if isinstance(error, LineamentError):
        hint = error.advice(ACTIONS)
        about = {"code": error.code, "option": error.option, "hint": hint}
    _print_failure(message, about, as_json)
    raise click.exceptions.Exit(EXIT_ERROR) from error


def _print_times(seconds: float) -> None:
    """What the networks did, and how long it took in all."""
    runtime = sys.modules.get("lineament.models.runtime")
    for used in [] if runtime is None else runtime.usage():
        calls = counted(used.calls, "call")
        print_note(f"network: {used.name}, by {used.engine}: {used.seconds:.3f} s in {calls}")
    print_note(f"time: {seconds:.2f} s")


def _print_failure(message: str, about: Mapping[str, str | None], as_json: bool) -> None:
    """The error as one line and, where it is asked for and can be written, as JSON."""
    print_error(message, "" if about is _INTERRUPTED else "error: ")
    if as_json:
        with contextlib.suppress(OSError):
            print_json({"error": message, **about})
            sys.stdout.flush()


def one_line(error: Exception) -> str:
    """The message without line breaks."""
    return printable(" ".join(str(error).split())) or "no message"


def _reason(error: OSError) -> str:
    return printable(error.strerror) if error.strerror else one_line(error)


def _wrong_usage(error: click.ClickException, arguments: Sequence[str]) -> int:
    """Print the usage and the message; returns the exit code."""
    context: click.Context | None = getattr(error, "ctx", None)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        if "--json" in arguments:
            hint = None if context is None else f"`{context.command_path} --help` lists them"
            about = {"code": "usage", "option": None, "hint": hint}
            _print_failure("expected a command", about, True)
        else:
            terminal.write_plain(error.format_message())  # it is the help
        return EXIT_ERROR
    if context is not None:
        usage = context.get_usage().splitlines()
        terminal.write_error([*usage, f"Try '{context.command_path} --help' for help."])
    parameter: click.Parameter | None = getattr(error, "param", None)
    about = {
        "code": "usage",
        "option": getattr(error, "option_name", None) or getattr(parameter, "name", None),
        "hint": None if context is None else f"`{context.command_path} --help` shows what there is",
    }
    _print_failure(" ".join(error.format_message().split()), about, "--json" in arguments)
    return EXIT_ERROR


@contextlib.contextmanager
def _unread() -> Iterator[None]:
    """End with the exit code of a broken pipe, before click ends with one of its own."""
    try:
        yield
    except BrokenPipeError as error:
        raise click.exceptions.Exit(broken_pipe()) from error


def broken_pipe() -> int:
    """Nobody reads stdout any more, which is no error (``| head``): fall silent."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # when stdout is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE
