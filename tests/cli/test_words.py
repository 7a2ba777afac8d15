"""Messages speak one language: the command line's own words, and none of Python's."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lineament
from lineament import errors, forms
from lineament.cli import app
from lineament.cli.command import ACTIONS as COMMANDS
from lineament.text import reason_of

SOURCE = Path(lineament.__file__).parent
DEMO = SOURCE / "data" / "demo"
KINDS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.LineamentError)
}

PYTHON = re.compile(
    r"\w\(\)|\b\w+\(\w+=|\b\w+=(True|False|None)\b|\bcallback\b|\bkeyword\b|\bread-only\b"
    r"|\bfind_images\b|\bmax_(pixels|bytes)\b|\bwait_s\b|\burl_timeout_s\b|\bleast score\b"
    r"|\((restart|threshold|ray|workers|resume)\)|\blineament\.[a-z_]+\.?\w*\b|gallery's threshold"
)
"""What a person at a terminal cannot do."""

PROGRAMS_ONLY = (
    "align/", "embed/network.py", "quality.py", "types/", "results.py", "ensemble.py",
    "search/milvus.py", "search/_on_server.py", "decide/metrics.py", "video/people.py",
    "search/servers/", "gallery/_store.py", "gallery/_gallery", "train/data/samplers.py",
    "pipeline.py", "pictures/notebook.py", "geometry.py", "compat/",
)  # fmt: skip
"""Places whose messages of this kind answer a call from a program: no command makes it."""


def said(node: ast.expr) -> str:
    """The text of a literal, what is put in as "…"."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(said(v) if isinstance(v, ast.Constant) else "…" for v in node.values)
    if isinstance(node, ast.BinOp):
        return said(node.left) + said(node.right)
    return "…"


def messages() -> list[tuple[str, str]]:
    """(file, text) of every message and remedy of the package's errors."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name not in KINDS:
                continue
            where = path.relative_to(SOURCE).as_posix()
            hints = [word.value for word in node.keywords if word.arg == "hint"]
            found += [(where, said(each)) for each in (*node.args[:1], *hints)]
    return found


def test_messages_do_not_speak_to_programmers() -> None:
    everything = messages()
    assert len(everything) > 600
    wrong = [
        (where, text)
        for where, text in everything
        if PYTHON.search(text) and not where.startswith(PROGRAMS_ONLY)
    ]
    assert wrong == []


def test_every_remedy_has_words_for_the_command_line() -> None:
    assert errors.ACTIONS.keys() == COMMANDS.keys()
    assert [words for words in COMMANDS.values() if PYTHON.search(words)] == []
    used = {
        key
        for path in SOURCE.rglob("*.py")
        for key in re.findall(r"\{([a-z_]+)\}", path.read_text("utf-8"))
    }
    assert COMMANDS.keys() <= used  # none is left over


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file or directory", "x"), "no such file or directory"),
        (OSError("[Errno 5] Input/output error"), "Input/output error"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            "it is no text in UTF-8",
        ),
        (json.JSONDecodeError("Expecting value", "\n\nx", 2), "no JSON, from line 3 on"),
        (Exception("unpack_from requires a buffer of at least 8 bytes"), "it ends too early"),
        (ValueError("embedded null byte"), "a path has no NUL character"),
        (ValueError("two\nlines"), "two lines"),
        (ValueError(), "no reason was given"),
    ],
)
def test_reasons_of_others_are_said_plainly(error: Exception, words: str) -> None:
    assert reason_of(error) == words


# --- typical mistakes -----------------------------------------------------------------------------

LEAKS = re.compile(
    r"\[Errno|Errno \d|Traceback|\bNone\b|\b[A-Z]\w+(Error|Exception)\b|requires a buffer|"
    r"codec can't|Expecting value|object has no|this is a bug|\bbytes-like\b|"
    r"(?<![\w./`-])(?!LINEAMENT)[a-z]+_[a-z_]+(?![\w./])|\w\(\)"
)
DATA_WORDS = re.compile(
    r"\b(size_wh|color_order|license_code|license_weights|commercial_use|training_data|file_a|"
    r"file_b|person_a|person_b|euclidean_l2|chi_square)\b"
)
"""Keys of files, and words of options, which are written so."""

OTHERS = {
    "groups.json": '{"lineament": "groups", "format": 1}',
    "export.jsonl": '{"lineament": "gallery", "version": 1, "contract": {}}\n',
    "text.json": "hello\n",
    "list.json": "[1, 2]",
    "empty.json": "",
    "cut.json": '{"points": [',
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind that this package writes, and some of others."""
    root = tmp_path_factory.mktemp("mistakes")
    for name, text in OTHERS.items():
        (root / name).write_text(text)
    shutil.copy(DEMO / "obama.jpg", root / "photo.jpg")
    shutil.copy(SOURCE / "data" / "models" / "sface" / "card.json", root / "card.json")
    shutil.copy(SOURCE / "data" / "models" / "sface" / "calibration.json", root / "cal.json")
    (root / "photo.json").write_bytes((DEMO / "obama.jpg").read_bytes())
    (root / "cut.gif").write_bytes(b"GIF89a")
    (root / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (root / "text.jpg").write_text("hello")
    (root / "folder").mkdir()
    (root / "cut.onnx").write_bytes(b"\x08\x09")
    return root


WRONG_FILES = (
    "groups.json", "export.jsonl", "text.json", "list.json", "empty.json", "cut.json", "photo.json",
    "card.json", "cal.json", "folder", "nothing.json",
)  # fmt: skip


def call(root: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(root)
    return CliRunner().invoke(app, list(arguments))


def check(done: Result) -> str:
    """The message: one that does not speak Python."""
    assert done.exit_code == 2, (done.stdout, done.stderr)
    words: str = done.stderr
    assert LEAKS.search(DATA_WORDS.sub("", words)) is None, words
    return words


@pytest.mark.parametrize("name", WRONG_FILES)
@pytest.mark.parametrize(
    ("own", "words", "arguments"),
    [
        ("cal.json", "a calibration", ("verify", "photo.jpg", "photo.jpg", "--calibration", "@")),
        ("groups.json", "groups", ("gallery", "name-group", "@", "1", "Ada")),
        ("groups.json", "groups", ("group", "photo.jpg", "--groups", "@")),
        ("", "", ("train", "run", "@")),
        ("", "", ("verify", "photo.jpg", "photo.jpg", "--model", "@")),
        ("", "", ("eval", "pairs", "@")),
    ],
    ids=["calibration", "name-group", "groups", "train", "model", "pairs"],
)
def test_a_file_of_another_kind_is_called_what_it_is(
    files: Path, monkeypatch: pytest.MonkeyPatch, own: str, words: str, arguments: tuple[str, ...],
    name: str,
) -> None:  # fmt: skip
    if name == own or (arguments[0] == "train" and name == "empty.json"):
        pytest.skip("its own kind")
    said = check(call(files, monkeypatch, *(a.replace("@", name) for a in arguments)))
    found = forms.kind_of_file(files / name)
    if words and found is not None:
        assert found in said


@pytest.mark.parametrize("name", [*WRONG_FILES[:9], "nothing.json"])
def test_a_manifest_of_another_kind(
    files: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "card.json":  # the card of one model counts as a manifest
        return
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(files / name))
    assert name in check(call(files, monkeypatch, "models", "show", "mine"))


MISTAKES = (
    ("verify", "cut.gif", "photo.jpg"),
    ("verify", "cut.png", "photo.jpg"),
    ("verify", "text.jpg", "photo.jpg"),
    ("verify", "folder", "photo.jpg"),
    ("verify", "nothing.jpg", "photo.jpg"),
    ("verify", "", "photo.jpg"),
    ("verify", "nul\0.jpg", "photo.jpg"),
    ("verify", "x" * 300 + ".jpg", "photo.jpg"),
    ("verify", "photo.jpg", "photo.jpg", "--model", "cut.onnx"),
    ("verify", "photo.jpg", "photo.jpg", "--fmr", "2"),
    ("verify", "photo.jpg", "photo.jpg", "--fmr", "1e-12"),
    ("verify", "photo.jpg", "photo.jpg", "--metric", "manhattan"),
    ("verify", "photo.jpg", "photo.jpg", "--recognizer", "nobody"),
    ("verify", "photo.jpg", "photo.jpg", "--alignment", "frontal"),
    ("verify", "photo.jpg", "photo.jpg", "--threads", "-1"),
    ("verify", "photo.jpg", "photo.jpg", "--prior", "7"),
    ("verify", "photo.jpg", "photo.jpg", "--save", ""),
    ("detect", "folder"),
    ("detect", "photo.jpg", "--min-score", "7"),
    ("detect", "photo.jpg", "--min-face", "-1"),
    ("detect", "photo.jpg", "--detector", "nobody"),
    ("embed", "photo.jpg", "--workers", "2"),
    ("embed", "photo.jpg", "--out", ""),
    ("embed", "folder", "--out", "out", "--workers", "2"),
    ("embed", "photo.jpg", "--out", "nothing/a.npz"),
    ("align", "photo.jpg", "--out", "crops", "--size", "7"),
    ("align", "folder", "--people", "--out", "crops"),
    ("group", "folder", "--fmr", "7"),
    ("group", "photo.jpg", "--threshold", "7"),
    ("tune", "folder"),
    ("tune", "nothing"),
    ("eval", "folder", "folder"),
    ("eval", "lfw", "folder"),
    ("eval", "cfp", "folder"),
    ("eval", "ijb", "folder", "--set", "c"),
    ("eval", "ytf", "folder"),
    ("eval", "agedb", "folder"),
    ("eval", "open-set", "folder", "--trials", "0"),
    ("eval", "groups", "folder", "nothing.csv"),
    ("eval", "bin", "photo.jpg"),
    ("eval", "bin", "cut.gif"),
    ("plot", "grid", "folder"),
    ("plot", "pose", "nothing"),
    ("plot", "occlusion", "photo.jpg", "--kind", "fog"),
    ("gallery", "people"),
    ("gallery", "show", "Ada"),
    ("gallery", "remove", "Ada"),
    ("gallery", "import", "photo.jpg"),
    ("gallery", "import", "nothing.jsonl"),
    ("gallery", "import", "empty.json"),
    ("gallery", "export", "a.txt"),
    ("gallery", "people", "--gallery", "folder"),
    ("gallery", "enroll", "Ada", "nothing.jpg"),
    ("gallery", "enroll-folder", "nothing"),
    ("gallery", "migrate"),
    ("identify", "photo.jpg"),
    ("models", "show", "nobody"),
    ("train", "run", "nothing.toml"),
    ("train", "export", "folder", "out.onnx"),
    ("models", "quantize", "nobody", "--photos", "folder", "--out", "out"),
)


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_mistakes_are_answered_without_python(
    files: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    check(call(files, monkeypatch, *arguments))


@pytest.mark.parametrize("arguments", MISTAKES[:3], ids=" ".join)
def test_the_json_of_an_error_has_four_keys(
    files: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    done = call(files, monkeypatch, *arguments, "--json")
    assert json.loads(done.stdout).keys() == {"error", "code", "option", "hint"}


def test_nothing_has_a_plural_in_brackets_or_a_wrong_one() -> None:
    """ "1 face(s)", "1 people": numbers and nouns go together by ``output.count``."""
    root = Path(lineament.__file__).parent
    wrong = []
    for path in root.rglob("*.py"):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "(s)" in text else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = re.findall(r"\b(?!https?)[a-z]{3,}\(s\)", node.value)
                wrong += [f"{path.relative_to(root)}: {word}" for word in found]
    assert wrong == []
