"""The command line: parse -> call -> print -> exit code.

Exit codes are grep's: 0 for yes (the same person, a face was found), 1 for no, 2 for an error; 130
after Ctrl-C. Results go to stdout, messages and progress bars to stderr. With ``--json`` stdout is
exactly one JSON object, also when something fails: ``{"error": "...", "code": ..., "option": ...,
"hint": ...}``.

Each command has its file here, and is built when it is asked for: all of them would take as long as
numpy. What it needs of the pipeline it imports when it runs, so that ``lineament --help`` and the
shell's completion answer at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from lineament import __version__
from lineament.cli.output import print_error, print_json
from lineament.errors import LineamentError

_UNNAMED: Mapping[str, str | None] = {"code": "internal", "option": None, "hint": None}

EXIT_ERROR, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 2, 130, 141

# Typer has brought its own copy of Click since 0.26; this class is found in either.
_ClickException: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)

_OPTION_NAMES = {
    "min_face_px": "--min-face",
    "score_threshold": "--min-score",
    "views": "--view",
    "least_speedup": "--min-speedup",
    "most_loss": "--max-loss",
    "least_cosine": "--min-cosine",
    "loss.weight": "--labels",
    "teacher.weight": "--keep",
    "low_resolution_px": "--low-resolution",
    "run.epochs": "--epochs",
    "optimizer.lr": "--lr",
    "verify.people": "--hold-out",
    "path": "--out",
}
"""Options of the library that have another name here."""

_ACTIONS = {
    "people": "`lineament people` lists the names",
    "person": "`lineament show NAME` lists the numbers",
    "migrate": "`lineament migrate`",
    "model": "name its file by --model FILE.onnx",
    "wait": "try again later",
    "wait_or_read": "or try again later",
}
"""What the hints of errors advise, as it is done here; the keys of ``errors.ACTIONS``."""


COMMANDS = {
    "verify": "verify:command",
    "detect": "detect:command",
    "align": "align:command",
    "embed": "embed:command",
    "models": "models:command",
    "tune": "tune:command",
    "enroll": "gallery.enroll:command",
    "enroll-folder": "gallery.enroll_folder:command",
    "identify": "gallery.identify:command",
    "people": "gallery.people:list_command",
    "show": "gallery.people:show_command",
    "remove": "gallery.changes:remove_command",
    "rename": "gallery.changes:rename_command",
    "merge": "gallery.changes:merge_command",
    "annotate": "gallery.changes:annotate_command",
    "export": "export:command",
    "import": "gallery.exchange:import_command",
    "reindex": "gallery.upkeep:reindex_command",
    "migrate": "gallery.upkeep:migrate_command",
    "group": "group:command",
    "name-group": "group:name_command",
    "train": "training.train:command",
    "finetune": "training.finetune:command",
    "distill": "training.distill:command",
    "quantize": "training.quantize:command",
    "eval": "evaluation:app",
    "plot": "plot:app",
}
"""In the help's order: the name, and where in this package its function or its own group stands."""


class _Commands(dict[str, Any]):
    """``COMMANDS``, each imported and built when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self[name] = _built(name, found)
        return found

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - it would ask itself

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]


def _built(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"lineament.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        group = get_command(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(found)
    return get_command(alone)


class _Group(TyperGroup):
    """Builds commands late, and turns whatever is raised into one line and an exit code."""

    _arguments: tuple[str, ...] = ()

    def __init__(self, *rest: Any, **extra: Any) -> None:
        super().__init__(*rest, **extra)
        self.commands = _Commands(COMMANDS)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, none of them built."""
        return list(self.commands)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run, and leave by SystemExit."""
        arguments = list(sys.argv[1:] if args is None else args)
        self._arguments = tuple(arguments)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # names of files may hold what a terminal cannot
                stream.reconfigure(errors="backslashreplace")
        extra["standalone_mode"] = False
        code: Any = None
        try:
            code = super().main(arguments, *rest, **extra)
            sys.stdout.flush()
        except _ClickException as error:
            code = _wrong_usage(error, arguments)
        except (KeyboardInterrupt, typer.Abort):
            code = EXIT_INTERRUPTED
        except BrokenPipeError:
            code = _broken_pipe()
        except OSError as error:  # a full disk behind stdout, said already if a command ran
            if not isinstance(code, int) or code != EXIT_ERROR:
                print_error(f"the output cannot be written: {_one_line(error)}")
            code = EXIT_ERROR
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Here, because Typer has its own mind about OSError further out."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except LineamentError as error:
            about = {"code": error.code, "option": error.option, "hint": error.advice(_ACTIONS)}
            _fail(_in_options(error, self._arguments), error, self._arguments, about)
        except BrokenPipeError as error:
            raise typer.Exit(_broken_pipe()) from error
        except (typer.Exit, typer.Abort, _ClickException):
            raise
        except OSError as error:  # those of files are translated where they arise
            _fail(f"the output cannot be written: {_one_line(error)}", error, self._arguments)
        except Exception as error:
            _fail(
                f"this is a bug in lineament: {type(error).__name__}: {_one_line(error)} "
                "(LINEAMENT_DEBUG=1 shows where; please report it)",
                error,
                self._arguments,
            )


def _in_options(error: LineamentError, arguments: Sequence[str]) -> str:
    """The message, with the command line's words for an option that was given and for actions."""
    option = error.option
    if option is not None:
        name = _OPTION_NAMES.get(option, "--" + option.replace("_", "-"))
        if any(a.partition("=")[0] == name for a in arguments):
            option = name
    return error.sentence(option, _ACTIONS)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no message"


def _fail(
    message: str,
    error: Exception,
    arguments: Sequence[str],
    about: Mapping[str, str | None] | None = None,
) -> NoReturn:
    if os.environ.get("LINEAMENT_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if "--json" in arguments:
        print_json({"error": message, **(_UNNAMED if about is None else about)})
    print_error(message)
    raise typer.Exit(EXIT_ERROR) from error


def _wrong_usage(error: Any, arguments: Sequence[str]) -> int:
    """Print the usage and the message; returns the exit code."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    no_command = type(error).__name__ == "NoArgsIsHelpError"  # its message is the help, if any
    if no_command:
        print(message if message or context is None else context.get_help(), file=sys.stderr)
        message = "expected a command"
    if "--json" in arguments:
        print_json({"error": message, **_UNNAMED, "code": "usage"})
    if context is not None and not no_command:
        print(context.get_usage(), file=sys.stderr)
        print(f"Try '{context.command_path} --help' for help.", file=sys.stderr)
    print_error(message)
    return EXIT_ERROR


def _broken_pipe() -> int:
    """Nobody reads stdout any more, which is no error (``| head``): fall silent."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # when stdout is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE


app = typer.Typer(
    name="lineament",
    cls=_Group,
    help="Face recognition that says how sure it is.",
    epilog="Exit codes: 0 yes (same person, face found), 1 no, 2 error. "
    "Results go to stdout, messages to stderr.",
    no_args_is_help=True,
    rich_markup_mode=None,  # help in plain text: loading rich takes longer than all the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"lineament {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Face recognition that says how sure it is."""


def main() -> None:
    """Run ``lineament``; what the script of that name calls. Ends the process."""
    # OpenVINO imports its model converter, with telemetry and an HTTP client, which takes longer
    # than the rest of it. It does without, and this process belongs to us alone.
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    try:
        app(prog_name="lineament")
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Everything is written and no thread is at work. Taking the engine apart, object by
        # object, would cost a tenth of a second or more before the shell has its prompt back.
        os._exit(0 if end.code is None else end.code)
