"""What README and docs mention exists, and their examples run, on the demo photos.

A comment ``<!-- skip: why -->`` on the line above a block says that it cannot run here; what the
block mentions has to exist all the same.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lineament

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path(lineament.__file__).parent / "data" / "demo"
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
PEOPLE = {
    "Barack Obama": ("obama.jpg", "obama2.jpg"),
    "Joe Biden": ("biden.jpg",),
    "Eileen Collins": ("astronaut.jpg",),
}

if not (ROOT / "README.md").is_file():
    pytest.skip("an installed package has no docs", allow_module_level=True)


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: Path
    line: int
    language: str
    skip: str | None
    code: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def blocks_of(page: Path) -> tuple[Block, ...]:
    found = []
    fence = re.compile(
        r"(?:^<!-- skip: (?P<skip>.+?) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n"
        r"(?P<code>.*?)^(?P=indent)```$",
        re.MULTILINE | re.DOTALL,
    )
    for match in fence.finditer(text_of(page)):
        line = text_of(page).count("\n", 0, match.start("code")) + 1
        found.append(Block(page, line, match["language"], match["skip"], match["code"]))
    return tuple(found)


def prose_of(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def spans_of(page: Path) -> list[str]:
    """What stands between backticks in the prose; lines that were wrapped are joined.

    The first column of the tables of ``from-NAME.md`` holds another library's names.
    """
    text = prose_of(page)
    if page.name.startswith("from-"):
        text = re.sub(r"^\|[^|]*\|", "|", text, flags=re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


RUN = """\
[run]
out = "run"
device = "cpu"
threads = 1
[data]
path = "crops"
[backbone]
name = "tiny"
[sampler]
batch = 4
[loss]
options = {scale = 16}
"""


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that examples name: the demo photos, one folder per person, a gallery, crops."""
    from lineament import align_faces, load_image
    from lineament.gallery import Gallery
    from lineament.pictures.photos import save_png

    folder = tmp_path_factory.mktemp("docs")
    for photo in DEMO.glob("*.jpg"):
        shutil.copy(photo, folder)
    (folder / "holidays").mkdir()
    recognizer = lineament.Recognizer()
    for name, photos in PEOPLE.items():
        (folder / "people" / name).mkdir(parents=True)
        (folder / "crops" / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy(DEMO / photo, folder / "people" / name)
            shutil.copy(DEMO / photo, folder / "holidays")
            image = load_image(DEMO / photo)
            crop = align_faces(image, recognizer.detect(image).faces[:1])[0]
            for number, picture in enumerate((crop, crop[:, ::-1])):
                save_png(picture, folder / "crops" / name / f"{Path(photo).stem}-{number}.png")
    with Gallery.create(folder / "gallery", recognizer=recognizer) as gallery:
        for name, (photo, *_) in PEOPLE.items():
            gallery.enroll(name, DEMO / photo, metadata={"building": "B"})
    (folder / "run.toml").write_text(RUN)
    (folder / "lfw").mkdir()
    (folder / "lfw" / "pairs.txt").write_text(
        "1\t1\nJoe_Biden\t1\t2\nJoe_Biden\t1\tAda_Lovelace\t1\n"
    )
    return folder


@pytest.fixture
def here(sandbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(sandbox, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINEAMENT_GALLERY", raising=False)
    return tmp_path


# ---- examples run --------------------------------------------------------------------------------

TO_RUN = [page for page in PAGES if any(b.language == "python" for b in blocks_of(page))]


def test_there_are_examples() -> None:
    assert len([b for b in blocks_of(ROOT / "README.md") if b.language == "python"]) >= 3


def test_few_blocks_are_skipped() -> None:
    skipped = [block.place for block in BLOCKS if block.skip is not None]
    assert len(skipped) <= 24, skipped  # servers, cameras and films are not there


@pytest.mark.parametrize("page", TO_RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_examples_run(page: Path, here: Path) -> None:
    """In their order, each with the names of those before it."""
    if "lineament.train" in "".join(b.code for b in blocks_of(page) if b.language == "python"):
        pytest.importorskip("torch")
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.language == "python" and block.skip is None:
            code = "\n" * (block.line - 1) + block.code  # so that a traceback has the page's lines
            exec(compile(code, str(page), "exec"), names)


def commands_of(block: Block) -> Iterator[list[str]]:
    """Words of each command after a prompt; lines that end in a backslash go on."""
    joined = block.code.replace("\\\n", " ")
    for line in joined.splitlines():
        prompt = re.match(r" *\$ (.+)$", line)
        if prompt:
            yield shlex.split(prompt[1], comments=True)


README_COMMANDS = [
    (f"{block.place}: {' '.join(words)}", words)
    for block in blocks_of(ROOT / "README.md")
    if block.skip is None
    for words in commands_of(block)
    if words[0] == "lineament"
]


@pytest.fixture(scope="module")
def shell(sandbox: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all of README's commands: later ones may use what earlier ones wrote."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(sandbox, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "gallery")
    return folder


@pytest.mark.parametrize(
    "words", [w for _, w in README_COMMANDS], ids=[n for n, _ in README_COMMANDS]
)
def test_commands_of_the_readme_run(
    words: list[str], shell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shell)
    done = CliRunner().invoke(root_command(), words[1:])
    assert done.exit_code in (0, 1), done.output  # 1 is an answer: no, unknown
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception


# ---- commands and options exist ------------------------------------------------------------------


@cache
def root_command() -> Any:
    from lineament import cli

    return cli.app


def resolve(words: list[str]) -> tuple[Any, list[str], str]:
    """The command that words name, the words after it, and what it is called."""
    command, rest, name = root_command(), words[1:], "lineament"
    while hasattr(command, "list_commands") and rest and not rest[0].startswith("-"):
        if rest[0].isupper():  # `lineament plot NAME`: any of them
            break
        found = command.get_command(None, rest[0])
        assert found is not None, f"{name} has no command {rest[0]}"
        command, name, rest = found, f"{name} {rest[0]}", rest[1:]
    return command, rest, name


def options_of(command: Any) -> set[str]:
    always = {"--help", "-h", "--version", "--help-all"}
    return always.union(*(set(p.opts) | set(p.secondary_opts) for p in command.params))


def all_options() -> set[str]:
    def walk(command: Any) -> set[str]:
        found = options_of(command)
        if hasattr(command, "list_commands"):
            for name in command.list_commands(None):
                found |= walk(command.get_command(None, name))
        return found

    return walk(root_command())


def unknown_in(words: list[str]) -> list[str]:
    """Options among the words of a command that it has not."""
    end = next((i for i, w in enumerate(words) if w in {"|", ">", ">>", "&&", ";"}), len(words))
    command, rest, name = resolve(words[:end])
    there = options_of(command)
    named = [word.partition("=")[0].strip("[]") for word in rest]
    return [
        f"{name} {word}" for word in named if re.match(r"--?[a-zA-Z]", word) and word not in there
    ]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_options_exist(page: Path) -> None:
    wrong = []
    for block in blocks_of(page):
        for words in commands_of(block):
            while words and re.match(r"[A-Z_]+=", words[0]):  # NAME=VALUE before a command
                words = words[1:]
            if words and words[0] == "lineament":
                wrong += unknown_in(words)
    anywhere = all_options()
    for span in spans_of(page):
        if re.match(r"lineament [a-z]", span):
            wrong += unknown_in(span.replace(" ...", "").split())
        elif re.match(r"--[a-z]", span):
            option = re.split(r"[ =,]", span)[0]
            if option not in anywhere and option not in OTHER_OPTIONS:
                wrong.append(option)
    assert wrong == []


def test_commands_that_docstrings_and_messages_name_exist() -> None:
    wrong = []
    for file in [f for x in ("src", "benchmarks", "scripts") for f in (ROOT / x).rglob("*.py")]:
        for span in re.findall(r"`(lineament [a-z][^`{}]*)`", file.read_text(encoding="utf-8")):
            wrong += [f"{file.name}: {name}" for name in unknown_in(span.split())]
    assert wrong == []


OTHER_OPTIONS = {
    *("--quick", "--rules", "--choose", "--crops", "--starts", "--only", "--no-times"),
    *("--draws", "--view1", "--shared", "--nproc-per-node", "--no-deps", "--min-photos"),
    *("--part", "--also", "--case", "--without", "--wider", "--all", "--kind", "--plot"),
    *("--people", "--films", "--clips", "--scenes", "--attacks", "--obedient"),
    *("--lids", "--glasses"),
}
"""Of benchmarks and other programs."""


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_console_blocks_have_prompts(page: Path) -> None:
    """So that what is typed can be told from what is printed."""
    for block in blocks_of(page):
        if block.language == "console":
            assert list(commands_of(block)), block.place
        assert block.language, f"{block.place}: expected a language after the fence"


# ---- names exist ---------------------------------------------------------------------------------


def has(path: str) -> bool:
    """Whether a dotted path is a module, or leads to something in one."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if error.name is not None and not error.name.startswith("lineament"):
                return True  # an extra that is not installed here
            continue
        return attribute(found, parts[end:])
    return False


def attribute(found: Any, names: list[str]) -> bool:
    for name in names:
        if name in getattr(found, "__annotations__", {}):
            return True
        if any(
            name in getattr(base, "__annotations__", {}) for base in getattr(found, "__mro__", ())
        ):
            return True
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


@cache
def classes() -> dict[str, list[Any]]:
    """Public classes of the package by name."""
    import pkgutil

    found: dict[str, list[Any]] = {}
    for info in pkgutil.walk_packages(lineament.__path__, "lineament."):
        if info.name.startswith("lineament.cli") or info.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(info.name)
        except (ImportError, lineament.LineamentError):
            continue
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == info.name:
                found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_names_exist(page: Path) -> None:
    wrong = []
    for span in spans_of(page):
        for path in re.findall(r"\blineament(?:\.\w+)+", span):
            if not has(path):
                wrong.append(path)
        method = re.match(r"([A-Z]\w+)\.(\w+)", span)
        found = classes().get(method[1], []) if method else []
        if method and found and not any(attribute(of, [method[2]]) for of in found):
            wrong.append(span)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_imports_exist(page: Path) -> None:
    wrong = []
    for block in blocks_of(page):
        if block.language != "python":
            continue
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lineament"):
                wrong += [
                    f"{node.module}.{a.name}"
                    for a in node.names
                    if not has(f"{node.module}.{a.name}")
                ]
            elif isinstance(node, ast.Import):
                wrong += [
                    a.name for a in node.names if a.name.startswith("lineament") and not has(a.name)
                ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_api_pages_name_modules(page: Path) -> None:
    """What mkdocstrings is asked for; `make docs` builds it."""
    asked = re.findall(r"^::: (\S+)$", text_of(page), re.MULTILINE)
    assert [path for path in asked if not has(path)] == []
    everywhere = [m for p in PAGES for m in re.findall(r"^::: (\S+)$", text_of(p), re.MULTILINE)]
    referred = re.findall(r"\]\[(lineament[\w.]*)\]", text_of(page))
    assert [path for path in referred if path.rpartition(".")[0] not in everywhere] == []


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    command = [sys.executable, "-m", "scripts.build.command_line", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_table_of_routes_is_what_the_routes_say() -> None:
    command = [sys.executable, "-m", "scripts.build.http_routes", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_name_is_in_the_reference() -> None:
    named = set(spans_of(DOCS / "reference" / "python" / "index.md"))
    assert set(lineament.__all__) - named == set()


@cache
def source() -> str:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    return "".join(file.read_text(encoding="utf-8") for file in files)


@cache
def words() -> frozenset[str]:
    """Of the package; what README and docs say of benchmarks stands there."""
    files = [f for x in ("src", "benchmarks") for f in (ROOT / x).rglob("*.py")]
    return frozenset(re.findall(r"[A-Za-z_]\w*", "".join(f.read_text("utf-8") for f in files)))


OTHER_NAMES = {
    *("by_NAME", "fmr_errors", "fmr_pairs", "ijbb_"),
    *("PQCodeBudgetGBRatio", "SearchCacheBudgetGBRatio", "maxSize", "yaml", "enableDisk"),
}
"""Patterns, and settings of Milvus."""


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_identifiers_and_attributes_occur_in_the_source(page: Path) -> None:
    """Those without the name of their module, and those of examples that cannot run here."""
    named = {
        re.split(r"\(", span)[0].rpartition(".")[2]
        for span in spans_of(page)
        if re.fullmatch(r"[A-Za-z_]\w+(\.\w+)*(\(.*\))?", span)
    }
    for block in blocks_of(page):
        if block.language == "python":
            nodes = ast.walk(ast.parse(block.code))
            named |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    if page.name == "json.md":  # tests/cli/test_json.py holds the keys against what is printed
        named = {name for name in named if not name.startswith("n_")}
    assert named - words() - OTHER_NAMES == set()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_environment_variables_exist(page: Path) -> None:
    named = set(re.findall(r"\bLINEAMENT_[A-Z_]+\b", text_of(page)))
    assert [name for name in named if name not in source()] == []


# ---- files and links -----------------------------------------------------------------------------

FOLDERS = "benchmarks|scripts|examples|requirements|tests|src|docs|lineament"


def mentioned(text: str) -> Iterator[str]:
    """Paths of files of this repository; links are another test's."""
    text = re.sub(r"\]\([^)]*\)", "", text)
    for path in re.findall(
        rf"(?<![\w./{{-])((?:{FOLDERS})/[\w./-]+\.(?:py|md|txt|toml|json))\b", text
    ):
        yield f"src/{path}" if path.startswith("lineament/") else path
    for module in re.findall(r"-m (scripts(?:\.\w+)+)", text):
        yield module.replace(".", "/") + ".py"


def test_files_that_are_mentioned_exist() -> None:
    folders = ("src", "scripts", "benchmarks", "examples", "docs")
    files = [
        ROOT / "README.md",
        ROOT / "Makefile",
        ROOT / "NOTICE",
        *ROOT.glob("requirements/*.txt"),
    ]
    files += [
        f
        for x in folders
        for s in ("*.py", "*.md", "*.toml", "*.json")
        for f in (ROOT / x).rglob(s)
    ]
    wrong = [
        f"{file.relative_to(ROOT)}: {path}"
        for file in files
        for path in mentioned(file.read_text(encoding="utf-8"))
        if "NAME" not in path and not (ROOT / path).exists()
    ]
    assert wrong == []


def slug(heading: str) -> str:
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", plain)).strip("-")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_resolve(page: Path) -> None:
    wrong = []
    for path in re.findall(r"\]\[(lineament[\w.]*)\]", prose_of(page)):
        if not has(path):
            wrong.append(path)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        if not target.exists():
            wrong.append(link)
        elif anchor:
            headings = re.findall(
                r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text_of(target), flags=re.M | re.S), re.M
            )
            if anchor not in {slug(heading) for heading in headings}:
                wrong.append(link)
    assert wrong == []


def test_the_index_of_scripts_has_them_all() -> None:
    index = text_of(ROOT / "scripts" / "README.md")
    for file in (ROOT / "scripts").glob("*/*.py"):
        module = f"scripts.{file.parent.name}.{file.stem}"
        assert f"`python -m {module}" in index or f"`{file.parent.name}/{file.name}`" in index, file


def test_every_page_is_in_the_navigation_and_in_the_index_of_its_shelf() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert f"- {page.relative_to(DOCS)}\n" in nav, page
        shelf = DOCS / page.relative_to(DOCS).parts[0] / "index.md"
        if shelf.is_file() and page != shelf:
            assert f"]({page.relative_to(shelf.parent)})" in text_of(shelf), page


def test_nothing_is_fetched_from_other_hosts() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings
    assert "http:" not in settings
    assert "https:" not in settings
    assert [
        n
        for page, n in zip(PAGES, NAMES, strict=True)
        if "](http" in text_of(page) and "![" in text_of(page)
    ] == []


def test_no_figure_is_missing() -> None:
    assert [name for page, name in zip(PAGES, NAMES, strict=True) if "@@" in text_of(page)] == []
