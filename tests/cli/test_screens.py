"""Every command on a terminal of 60, 80 and 120 columns: nothing is cut, nothing lost.

The screens are files: ``screens/NAME.COLUMNS.txt``. After a change of what commands print

    LINEAMENT_WRITE_SCREENS=1 pytest tests/cli/test_screens.py

writes them anew; look at ``git diff`` then.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pty", reason="there are no pseudo-terminals here")

from click.testing import CliRunner
from PIL import Image as PILImage
from PIL import ImageEnhance, ImageOps
from terminal_screen import piped, shown

import lineament
from lineament.cli import app
from lineament.cli.layout import cells
from tests.cli.test_commands import GROUPS, LEAVES

pytestmark = pytest.mark.slow
DEMO = Path(lineament.__file__).parent / "data" / "demo"
SCREENS = Path(__file__).parent / "screens"
COLUMNS = (60, 80, 120)
WRITE = "LINEAMENT_WRITE_SCREENS"
WRITES = os.environ.get(WRITE, "") not in ("", "0")

RUNS: dict[str, str] = {
    "verify": "verify obama.jpg obama2.jpg",
    "verify-undecided": "verify obama.jpg biden.jpg --threshold 0.1",
    "verify-error": "verify obama.jpg missing.jpg",
    "detect": "detect obama.jpg biden.jpg faceless.png",
    "detect-names": "detect odd",
    "analyze": "analyze obama.jpg biden.jpg faceless.png",
    "identify": "identify obama.jpg astronaut.jpg --gallery staff",
    "identify-names": "identify 张伟.jpg --gallery staff",
    "identify-group": "identify group.jpg --gallery staff",
    "identify-nobody": "identify obama.jpg --gallery staff --where biulding=B",
    "find": "find obama.jpg people others --top 3 --no-cache",
    "find-none": "find faceless.png people",
    "import": "import face-recognition-npy encodings --gallery dlib",
    "import-dry": "import face-recognition-npy encodings --gallery dlib --dry-run",
    "import-not": "import deepface-pkl encodings",
    "watch": "watch people/Barack --gallery staff --rate 2",
    "watch-missing": "watch missing.mp4",
    "liveness": "liveness people/Barack --photo obama.jpg",
    "liveness-photo": "liveness obama.jpg",
    "group": "group people --out made.json",
    "anonymize": "anonymize people --out covered",
    "anonymize-plan": "anonymize obama.jpg --plan made.json --keep Barack --gallery staff",
    "anonymize-nowhere": "anonymize obama.jpg",
    "anonymize-apply": "anonymize --apply groups.json --out covered",
    "demo": "demo",
    "align": "align obama.jpg biden.jpg --out crops",
    "embed": "embed obama.jpg faceless.png notes.txt --out made.jsonl",
    "tune": "tune people",
    "completion": "completion klingon",
    "gallery-create": "gallery create --gallery new",
    "gallery-enroll": "gallery enroll Barack obama.jpg biden.jpg faceless.png --gallery staff",
    "gallery-enroll-folder": "gallery enroll-folder people --gallery new",
    "gallery-name-group": "gallery name-group groups.json 1 Barack --gallery new",
    "gallery-verify": "gallery verify Barack obama.jpg --gallery staff",
    "gallery-people": "gallery people --gallery staff",
    "gallery-people-unmatched": "gallery people --gallery staff --where building=C",
    "gallery-people-none": "gallery people --gallery nowhere",
    "gallery-show": "gallery show Ada --gallery staff",
    "gallery-rename": "gallery rename Ada Augusta --gallery staff",
    "gallery-merge": "gallery merge Ada Joe --gallery staff --force",
    "gallery-annotate": 'gallery annotate Ada building=B groups=["night","day"] --gallery staff',
    "gallery-rejections": "gallery rejections Ada --gallery staff",
    "gallery-remove": "gallery remove Adda --yes --gallery staff",
    "gallery-consent": "gallery consent Ada --consent F17 --purpose access --given 2026-01-31 "
    "--expires 2099-01-31 --gallery staff",
    "gallery-keep": "gallery keep Ada --until 2099-01-31 --gallery staff",
    "gallery-configure": "gallery configure --retention-days 36500 --gallery staff",
    "gallery-erase": "gallery erase Adda --yes --gallery staff",
    "gallery-expire": "gallery expire --gallery staff",
    "gallery-export-person": "gallery export-person Ada made.zip --gallery staff",
    "audit-verify": "audit verify missing.jsonl",
    "audit-show": "audit show missing.jsonl",
    "receipt-key": "receipt key nowhere/made.key",
    "receipt-verify": "receipt verify missing.json --public-key made.key.pub",
    "gallery-export": "gallery export made.jsonl --gallery staff",
    "gallery-import": "gallery import staff.jsonl --gallery new",
    "gallery-check": "gallery check --gallery staff",
    "gallery-reindex": "gallery reindex --check --gallery staff",
    "gallery-reject": "gallery reject Nobody obama.jpg --gallery staff",
    "gallery-new-key": "gallery new-key staff/gallery.sqlite",
    "gallery-encrypt": "gallery encrypt --gallery staff",
    "gallery-decrypt": "gallery decrypt --gallery staff",
    "gallery-rotate-key": "gallery rotate-key --gallery staff",
    "gallery-migrate": "gallery migrate --recognizer mobilefacenet --gallery staff",
    "serve": "serve --port 0 --threads 2 --data server --print-config",
    "keys-add": "keys add --gallery Staff --data server",
    "keys-list": "keys list --data server",
    "keys-login": "keys login --data obama.jpg",
    "keys-revoke": "keys revoke 0f3a5b7c9d1e --data server",
    "cache-list": "cache list",
    "cache-size": "cache size",
    "cache-clear": "cache clear --yes",
    "models-list": "models list",
    "models-list-policy": "models list --license-policy commercial",
    "models-show": "models show sface",
    "models-licenses": "models licenses",
    "models-compare": "models compare nowhere",
    "models-add": "models add nowhere.pt",
    "models-remove": "models remove nobody",
    "models-verify": "models verify-weights sface",
    "models-quantize": "models quantize sface --photos nowhere --out int8",
    "train-run": "train run nowhere.toml",
    "train-finetune": "train finetune people --recognizer nothing --out run",
    "train-distill": "train distill nowhere --teacher sface --out run",
    "train-toy": "train toy --out toy --set nothing=1",
    "train-export": "train export nowhere",
    "eval-folder": "eval folder people",
    "eval-liveness-refused": "eval liveness people",
    "eval-groups": "eval groups people attributes.csv --by sex",
    "eval-pairs": "eval pairs pairs.csv",
    "eval-distractors": "eval distractors people --distractors others --sizes 1,2",
    "eval-open-set": "eval open-set people",
    **{
        f"eval-{name}": f"eval {name} nowhere"
        for name in ("agedb", "bin", "calfw", "cfp", "cplfw", "ijb", "lfw", "ytf")
    },
    "plot-alignment": "plot alignment missing.jpg",
    "plot-barcode": "plot barcode obama.jpg missing.jpg",
    "plot-correlation": "plot correlation nowhere",
    "plot-explain": "plot explain obama.jpg missing.jpg",
    "plot-grid": "plot grid nowhere",
    "plot-histogram": "plot histogram people --person Nobody",
    "plot-occlusion": "plot occlusion obama.jpg --kind rain",
    "plot-pose": "plot pose nowhere",
    "plot-report": "plot report nowhere",
    "plot-tsne": "plot tsne nowhere",
    "verify-quiet": "-q verify obama.jpg obama2.jpg --save made.png",
    "usage": "verify obama.jpg",
    "unknown-command": "verfy a b",
}
"""Name of the screen -> arguments; "nowhere" and "missing" are typical errors."""

VERBATIM = {"train example", "completion"}
"""What these print is a file for a program, which nothing may wrap."""

ODD_NAMES = (
    "[red]x[/red].jpg",
    ":smile:.jpg",
    "esc\x1b[31mred.jpg",
    "new\nline.jpg",
    "محمد العربي.jpg",
    "张伟 的 照片.jpg",
    "a name with several words that is longer than any column.jpg",
)


def _screens() -> dict[str, list[str]]:
    found = {name: arguments.split() for name, arguments in RUNS.items()}
    for path in [*GROUPS, *LEAVES]:
        found["-".join((*path, "help"))] = [*path, "--help"]
    return found


ALL = _screens()


@pytest.fixture(scope="module")
def world() -> Iterator[Path]:
    """A folder with photos, people, a gallery, groups and tables; and one for each run."""
    short = Path("/tmp")
    # The name is as long each time: where lines break depends on it. It has digits, by which paths
    # are known as what differs from run to run.
    root = short if short.is_dir() else Path(tempfile.gettempdir())
    root /= f"screens-{secrets.randbelow(10**8):08d}"
    root.mkdir(mode=0o700)
    made = root / "made"
    made.mkdir()
    photos = {}
    for path in sorted(DEMO.glob("*.jpg")):
        shutil.copyfile(path, made / path.name)
        with PILImage.open(path) as picture:
            small = picture.convert("RGB")
        small.thumbnail((300, 300))
        photos[path.stem] = small
    people = {"Ada": ["astronaut"], "Barack": ["obama", "obama2"], "Joe": ["biden"]}
    for person, names in people.items():
        (made / "people" / person).mkdir(parents=True)
        for name in names:
            photos[name].save(made / "people" / person / f"{name}.png")
        if len(names) == 1:
            other = ImageEnhance.Brightness(ImageOps.mirror(photos[names[0]])).enhance(0.4)
            other.save(made / "people" / person / f"{names[0]} 2.png")
    (made / "others").mkdir()
    for name in ("group",):
        photos[name].save(made / "others" / f"{name}.png")
        ImageOps.mirror(photos[name]).save(made / "others" / f"{name} 2.png")
    PILImage.new("RGB", (90, 60), (90, 120, 90)).save(made / "faceless.png")
    (made / "notes.txt").write_text("no photo")
    (made / "odd").mkdir()
    for name in ODD_NAMES:
        path = made / "odd" / name  # one of them is in a folder, "[red]x["
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(made / "faceless.png", path)
    shutil.copyfile(made / "biden.jpg", made / "张伟.jpg")
    files = sorted(path.relative_to(made) for path in (made / "people").glob("*/*.png"))
    pairs = [f"{a},{b},{int(a.parent == b.parent)}" for a in files for b in files if a < b]
    (made / "pairs.csv").write_text("\n".join(["file_a,file_b,same", *pairs]) + "\n")
    sexes = {"Ada": "female", "Barack": "male", "Joe": "male"}
    rows = [f"{name},{sex}" for name, sex in sexes.items()]
    (made / "attributes.csv").write_text("\n".join(["person,sex", *rows]) + "\n")
    (made / "encodings").mkdir()
    np.save(made / "encodings" / "Ada.npy", np.eye(2, 128))
    np.save(made / "encodings" / "Joe_1.npy", np.ones(128))
    (made / "kept" / "weights").mkdir(parents=True)
    (made / "kept" / "weights" / "net.onnx").write_bytes(bytes(5000))
    before = Path.cwd()
    patch = pytest.MonkeyPatch()
    patch.setenv("LINEAMENT_CACHE", str(root / "cache"))
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "CLICOLOR_FORCE"):
        patch.delenv(name, raising=False)
    patch.setenv("TERM", "xterm-256color")
    patch.setenv("NO_COLOR", "1")
    patch.setenv("TZ", "UTC")
    os.chdir(made)
    try:
        for arguments in (
            "gallery enroll-folder people --gallery staff",
            "gallery enroll 张伟 biden.jpg --gallery staff --force",
            "gallery export staff.jsonl --gallery staff",
            "group people --out groups.json",
        ):
            done = CliRunner().invoke(app, arguments.split())
            assert done.exit_code == 0, done.output
        yield root
    finally:
        os.chdir(before)
        patch.undo()
        shutil.rmtree(root)


@pytest.fixture
def here(world: Path) -> Iterator[Path]:
    """The same folder each time, as if nothing had been run before."""
    folder = world / "here"
    yield folder
    os.chdir(world)
    shutil.rmtree(folder, ignore_errors=True)


def fresh(folder: Path) -> None:
    """Begin anew: commands write and change."""
    os.chdir(folder.parent)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(folder.parent / "made", folder)
    os.chdir(folder)


def _same_everywhere(text: str, world: Path) -> str:
    """Without what differs from machine to machine: paths, versions, times, digits of figures."""
    text = text.replace(str(world), "/tmp/screens-########").replace(str(DEMO), "DEMO")
    text = text.replace(lineament.__version__, "VERSION")
    text = re.sub(r"\b\d{4}-\d\d-\d\d\b", "####-##-##", text)
    text = re.sub(r"\b\d+(\.\d+)? s\b", "# s", text)
    text = re.sub(r"\b[\d,]+\.\d+ a second", "# a second", text)
    return re.sub(r"\d+\.\d+", lambda figure: re.sub(r"\d", "#", figure[0]), text)


def _words(text: str) -> set[str]:
    """All words that people read, without what differs from run to run."""
    return {word for word in text.split() if not re.search(r"\d", word)}


@pytest.mark.parametrize("name", ALL)
def test_screen(name: str, world: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ALL[name]
    if arguments[0] == "cache":  # the others share one
        monkeypatch.setenv("LINEAMENT_CACHE", str(here / "kept"))
    fresh(here)
    into_pipe = piped(arguments)
    assert "\x1b" not in into_pipe
    assert all(line == line.rstrip() for line in into_pipe.splitlines())
    known = {columns: SCREENS / f"{name}.{columns}.txt" for columns in COLUMNS}
    different = []
    for columns in COLUMNS:
        fresh(here)
        screen = shown(arguments, columns)
        assert "…" not in screen
        assert "\x1b" not in screen
        wide = [line for line in screen.splitlines() if cells(line.rstrip()) > columns]
        wide = [line for line in wide if " " in line.strip()]  # one word is not broken
        assert not wide, f"wider than {columns}: {wide}"
        whole = " ".join(re.sub("[\u2068\u2069]", "", screen).split())
        joined = re.sub(r"(?<=[/\\|]) ", "", whole)  # a path may be broken after a separator
        lost = [
            word
            for word in _words(into_pipe)
            if word not in whole and word not in joined and cells(word) <= columns - 10
        ]
        assert not lost, f"{columns} columns: lost or cut: {sorted(lost)}"
        screen = _same_everywhere(screen, world)
        if WRITES:
            known[columns].write_text(screen, encoding="utf-8")
        elif not known[columns].is_file() or known[columns].read_text("utf-8") != screen:
            different.append((columns, screen))
    for columns, screen in different:
        before = known[columns].read_text("utf-8") if known[columns].is_file() else ""
        assert screen == before, f"not as in {known[columns].name}: {WRITE}=1 writes it anew"


def test_every_command_has_a_screen() -> None:
    words = [arguments.split() for arguments in RUNS.values()]
    for path in LEAVES:
        if " ".join(path) not in VERBATIM:
            known = any(tuple(one[: len(path)]) == path for one in words)
            assert known, f"add a run of {' '.join(path)} to RUNS"
    stored = {path.name for path in SCREENS.iterdir()}
    wanted = {f"{name}.{columns}.txt" for name in ALL for columns in COLUMNS}
    assert stored == wanted, f"{WRITE}=1 writes what is missing; remove the others"
