"""Text on a terminal: widths, wrapping, records, tables; colors and streams."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lineament
from lineament.cli import layout, terminal
from lineament.cli.layout import cells, isolated, records, sentence, table, wrap

CLI = Path(lineament.__file__).parent / "cli"
DEMO = CLI.parent / "data" / "demo"

TEXTS = (
    "",
    "one",
    "two words",
    "the threshold is 0.377 for a false match rate of 0.0001 (95 % interval 0.338 to 0.402)",
    "/home/somebody/photos/2024-05-01/a folder with blanks/IMG_0001.jpg: no face was found",
    "张伟 和 金正日 和 محمد العربي und Łukasz",
    "é" * 3 + " and e\u0301e\u0301 and 👩‍🚀 and 👍🏽 and ❤️",
    "x" * 90 + " after it",
)


def test_cells_are_those_of_another_library() -> None:
    rich_cells = pytest.importorskip("rich.cells")
    letters = [chr(code) for code in (*range(0x20, 0x7F), *range(0xA0, 0x3400, 7), 0x1F600)]
    printable = [c for c in letters if c.isprintable() and c not in "\u0600\u0601\u06dd\u070f"]
    differ = [c for c in printable if cells(c) != rich_cells.cell_len(c)]
    assert len(differ) <= len(printable) / 50, differ
    for text, wide in (
        ("abc", 3),
        ("张伟", 4),
        ("e\u0301", 1),
        ("👩‍🚀", 2),
        ("👍🏽", 2),
        ("한글", 4),
    ):
        assert cells(text) == wide, text


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_wrapped_lines_fit_and_have_all_words(text: str, width: int) -> None:
    lines = wrap(text, width, first="  ", rest="    ")
    assert " ".join(" ".join(lines).split()).replace("/ ", "/") == text.strip()
    for line in lines:
        assert cells(line) <= width or " " not in line.strip(), line
        assert line == line.rstrip()
    assert wrap(text, None) == [text.rstrip()]


def test_figures_stay_with_their_units() -> None:
    text = "sure: > 99.9 % and < 0.1 % of 172 x 229 px in 0.35 s"
    for width in range(14, 60):
        for line in wrap(text, width):
            assert not re.match(r"%|px|s\b|x ", line), (width, line)
            assert not re.search(r"[<>]$|\d$| x$", line), (width, line)


def test_paths_are_broken_after_separators_where_they_must_be() -> None:
    path = "/home/somebody/photos/holidays/IMG_0001.jpg"
    assert wrap(f"in {path}", 60) == [f"in {path}"]
    assert wrap(f"not in {path}", 46) == ["not in", path]
    assert wrap(path, 30) == ["/home/somebody/photos/", "holidays/IMG_0001.jpg"]
    assert wrap(".69/.52/.30/.10/.11/.12", 10) == [".69/.52/.30/.10/.11/.12"]


def test_notes_go_on_under_their_text() -> None:
    assert sentence("refused: a.jpg: expected one face, found 2", 30) == [
        "refused: a.jpg: expected one",
        "         face, found 2",
    ]
    assert sentence("  margin 0.3 to the one after it", 20) == [
        "  margin 0.3 to the",
        "    one after it",
    ]


def test_records_stand_in_two_columns_or_one_below_the_other() -> None:
    rows = [("threshold", "0.363 (0.358 to 0.367)"), ("  for", "a false match rate of 0.0001")]
    assert records(rows, None) == [
        "  threshold  0.363 (0.358 to 0.367)",
        "    for      a false match rate of 0.0001",
    ]
    assert records(rows, 38)[1:] == ["    for      a false match rate of", "             0.0001"]
    assert records([("a name that is long", "value")], 40) == ["  a name that is long", "    value"]
    assert records([], 40) == []


HEADINGS = ("photo", "name", "score", "left,top")
ROWS = (
    ("a long name of a photo from May.jpg", "张伟", "0.931", "80,64"),
    ("b.jpg", "Ada Lovelace and her mother", "0.5", "1,1"),
)


@pytest.mark.parametrize("width", [None, *range(20, 140, 5)])
def test_tables_lose_nothing(width: int | None) -> None:
    lines = [line.text for line in table(HEADINGS, ROWS, width, right=HEADINGS[2:])]
    text = " ".join(" ".join(lines).split())
    for words in (*HEADINGS, *itertools.chain(*ROWS)):
        for word in words.split():
            assert word in text, (width, word)
    if width is not None:
        assert max(map(cells, lines)) <= width
    else:
        assert len(lines) == 3
        assert len({cells(line) for line in lines}) == 1  # the last column is aligned to the right


def test_columns_stand_below_each_other_whatever_names_hold() -> None:
    names = ("a\x1b[31m.jpg", "b\n\t.jpg", "张伟.jpg", "محمد.jpg", "e\u0301.jpg", "c\udce9.jpg")
    for width in (None, 40):
        lines = [one.text for one in table(("photo", "faces"), [(n, "|") for n in names], width)]
        places = {cells(line.partition("|")[0]) for line in lines[1:]}
        assert len(places) == 1, lines
    lines = records([(name, "|") for name in names], 60)
    assert len({cells(line.partition("|")[0]) for line in lines}) == 1, lines


def test_narrow_tables_are_records() -> None:
    lines = [line.text for line in table(HEADINGS, ROWS[1:], 24, right=HEADINGS[2:])]
    assert lines == [
        "photo: b.jpg",
        "name: Ada Lovelace and",
        "    her mother",
        "score: 0.5",
        "left,top: 1,1",
    ]


def test_right_to_left_is_isolated() -> None:
    assert isolated("a.jpg  Ada") == "a.jpg  Ada"
    assert isolated("1  محمد العربي  0.9") == "1  \u2068محمد العربي\u2069  0.9"
    assert isolated("משה כהן.jpg: unknown") == "\u2068משה כהן\u2069.jpg: unknown"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("settings", "on_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR": "0"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colors(
    settings: dict[str, str], on_terminal: bool, in_pipe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for stream, colored in ((_Terminal(), on_terminal), (io.StringIO(), in_pipe)):
        monkeypatch.setattr(sys, "stdout", stream)
        terminal.write(["the same person"], style="green")
        written = "\x1b[32mthe same person\x1b[0m\n" if colored else "the same person\n"
        assert stream.getvalue() == written


def test_what_names_hold_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    names = ("a\x1b[31m.jpg", "a\nb.jpg", "a\u202egpj.exe", "a\udce9.jpg", "[red]a[/red]", ":cat:")
    for stream in (_Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        terminal.write(layout.Line(name) for name in names)
        assert stream.getvalue().splitlines() == [
            r"a\x1b[31m.jpg",
            r"a\nb.jpg",
            r"a\u202egpj.exe",
            r"a\udce9.jpg",
            "[red]a[/red]",
            ":cat:",
        ]


def test_width(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, width in (("100", 100), ("12", terminal.LEAST_WIDTH), ("many", 80), ("0", 80)):
        monkeypatch.setenv("COLUMNS", columns)
        assert terminal.width_of(_Terminal()) == width
        assert terminal.width_of(io.StringIO()) is None


def test_nothing_is_printed_by_another_way() -> None:
    """Every line of the command line passes the printer, which wraps and escapes."""
    found = {
        (path.name, line.strip())
        for path in CLI.glob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"(?<![\w.])print\(|sys\.(stdout|stderr)\.write|click\.echo\(", line)
    }
    assert {name for name, _ in found} <= {"command.py", "terminal.py"}, found


# --- standard streams that are closed, or full ----------------------------------------------------


def _run(arguments: str, redirection: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "{sys.executable}" -m lineament {arguments} {redirection}'
    return subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        cwd=DEMO,
        env={**os.environ, "PYTHONPATH": str(CLI.parents[1])},
        timeout=120,
    )


@pytest.mark.skipif(os.name == "nt", reason="redirections of a shell of Unix")
class TestStreams:
    @pytest.mark.parametrize(
        "arguments", ["models list", "models list --json", "--help", "verify --help", "--version"]
    )
    @pytest.mark.parametrize(
        ("redirection", "words"), [(">&-", "closed"), (">/dev/full", "No space")]
    )
    def test_no_output(self, arguments: str, redirection: str, words: str) -> None:
        if redirection == ">/dev/full" and not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full here")
        done = _run(arguments, redirection)
        assert done.returncode == 2, done.stderr
        assert re.fullmatch(rf"error: .*cannot be written.*{words}.*\n", done.stderr)

    def test_no_messages(self) -> None:
        for redirection in ("2>&-", "2>/dev/full"):
            done = _run("models show nothing --json", redirection)
            assert done.returncode == 2
            assert json.loads(done.stdout)["code"]
            assert _run("models show nothing", redirection).stdout == ""

    def test_nothing_at_all(self) -> None:
        assert _run("models show nothing", "<&- >&- 2>&-").returncode == 2


def test_quiet_and_verbose() -> None:
    from click.testing import CliRunner

    from lineament.cli import app

    def messages(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, arguments)
        return done.exit_code, done.stderr

    policy = ("models", "list", "--license-policy", "spdx:MIT")
    code, notes = messages(*policy)
    assert code == 0
    assert "sface" in notes
    assert "time: " not in notes
    for said in ((*policy, "-v"), ("--verbose", *policy)):
        assert re.search(r"\ntime: \d+\.\d\d s\n$", messages(*said)[1])
    for said in ((*policy, "-q"), ("-q", *policy)):
        assert messages(*said) == (0, "")
    assert messages(*policy)[1] == notes  # one command says nothing of the next one
    assert messages("models", "show", "nothing", "-q")[1].startswith("error: ")
    assert messages("-q", *policy, "-v")[0] == 2
    assert CliRunner().invoke(app, ["-V"]).stdout == f"lineament {lineament.__version__}\n"
