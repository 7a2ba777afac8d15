"""Whatever comes from outside: nothing of it acts on the terminal it is printed to.

One hostile text is planted into every channel: names of files and folders, names of people,
metadata, arguments, settings of the environment, contents of files of every kind, answers of
servers, warnings, logs, tracebacks, bars. Commands run at a real pseudo-terminal, and what arrives
there holds plain text, line feeds, and the command line's own colors and bars.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from at_terminal import Call, acting, at_terminal
from PIL import Image as PILImage
from raw_server import says, serving

import lineament
from lineament.decide.calibration import Calibration
from lineament.errors import LineamentError, OptionError

pytestmark = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="its file systems refuse such names"
)

DEMO = Path(lineament.__file__).parent / "data" / "demo"
EVIL = "\x1b]0;x\x07\x1b[2J\x9b31m\r\x08\u202eEVIL\u2028\u200b"
"""Sets the terminal's title, clears it, colors, overwrites, turns around, hides."""


def evil_files(root: Path) -> list[Path]:
    """Files of every kind that hold the text, most of them damaged."""
    toml = "".join(f"\\u{ord(c):04x}" for c in EVIL)
    contents: dict[str, str | bytes] = {
        "cut.json": '{"a": ' + EVIL,
        "keys.json": json.dumps({EVIL: EVIL, "version": EVIL, "kind": EVIL, "format": EVIL}),
        "list.json": json.dumps([EVIL]),
        "cut.toml": f'a = "{EVIL}\nb',
        "keys.toml": f'"{toml}" = "{toml}"\n["{toml}"]\na = 1\n',
        "rows.jsonl": json.dumps({"name": EVIL, "kind": EVIL}) + "\n" + EVIL + "\n",
        "x.onnx": EVIL.encode() * 50,
        "x.npz": EVIL.encode() * 50,
        "x.parquet": b"PAR1" + EVIL.encode() * 20 + b"PAR1",
        "x.bin": EVIL.encode() * 20,
        "pairs.csv": f"a,b,same\n{EVIL},x.jpg,{EVIL}\n",
    }
    made = []
    for name, content in contents.items():
        path = root / (EVIL + name)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        made.append(path)
    return made


def evil_folder(root: Path) -> tuple[Path, Path, Path]:
    """A folder of people, and a photo of each of two."""
    folder = root / (EVIL + "people")
    ada, bo = folder / "Ada", folder / (EVIL + "Bo")
    ada.mkdir(parents=True)
    bo.mkdir()
    first, second = ada / (EVIL + "1.jpg"), bo / (EVIL + "2.jpg")
    shutil.copy(DEMO / "astronaut.jpg", first)
    shutil.copy(DEMO / "obama.jpg", second)
    shutil.copy(DEMO / "obama2.jpg", bo / (EVIL + "3.jpg"))
    (ada / (EVIL + "bad.jpg")).write_bytes(b"\xff\xd8\xff" + EVIL.encode())
    (folder / (EVIL + "notes.txt")).write_text(EVIL)
    (folder / (EVIL + ".doc" + EVIL)).write_text("x")
    (folder / (EVIL + "nowhere")).symlink_to("nowhere")
    PILImage.new("RGB", (64, 64)).save(ada / (EVIL + "nobody.png"))
    return folder, first, second


def check(calls: Sequence[Call], root: Path, typed: bytes = b"") -> list[str]:
    """Nothing acts, nothing is a bug; returns what was shown by each."""
    shown = at_terminal(calls, root, typed)
    for call, (code, text) in zip(calls, shown, strict=True):
        said = f"{call.arguments!a}: {text!a}"
        assert acting(text) == [], said
        assert "this is a bug" not in text, said
        assert code in ("0", "1", "2"), said
        assert "Traceback" not in text or "LINEAMENT_DEBUG" in call.settings, said
    return [text for _, text in shown]


def test_the_scanner_sees_what_acts(tmp_path: Path) -> None:
    raw = f"import os; os.write(2, {EVIL.encode()!r})"
    ((_, text),) = at_terminal([Call("cache", "list", patch=raw)], tmp_path)
    assert len(acting(text)) == 1
    for each in EVIL.replace("EVIL", ""):
        assert each == "]0;x"[0] or acting(f"a{each}b") or each.isprintable()


def test_arguments_and_settings(tmp_path: Path) -> None:
    files = evil_files(tmp_path)
    words = ["--preset", "--recognizer", "--detector", "--metric", "--alignment", "--engine",
             "--device", "--threads", "--license-policy", "--fmr", "--threshold",
             "--fusion", "--choose", "--input-size", "--min-face", "--calibration",
             "--model", "--save"]  # fmt: skip
    settings = ["LINEAMENT_CACHE", "LINEAMENT_LICENSE_POLICY", "LINEAMENT_PLUGINS",
                "LINEAMENT_MANIFEST", "LINEAMENT_GALLERY", "COLUMNS"]  # fmt: skip
    calls = [
        *(Call("verify", "a.jpg", "b.jpg", word, EVIL) for word in words),
        *(Call(command, "list", settings={name: EVIL})
          for name in settings for command in ("models", "cache")),
        *(Call("models", "list", settings={"LINEAMENT_MANIFEST": str(path)}) for path in files),
        *(Call("verify", "a.jpg", "b.jpg", settings={f"LINEAMENT_{name}": EVIL})
          for name in ("ENGINE", "DEVICE", "THREADS")),
        Call("cache", "clear", settings={"LINEAMENT_CACHE": str(tmp_path / EVIL)}),
        Call("cache", "clear", "--kind", EVIL),
        Call("verify", EVIL, EVIL), Call("verify", "a.jpg", "b.jpg", EVIL), Call(EVIL),
        Call("verify", "a.jpg", "b.jpg", "--" + EVIL), Call("verify", "a", "b", "-" + EVIL),
        Call("verify", "a.jpg", "b.jpg", "--json=" + EVIL), Call("--" + EVIL),
        Call("gallery", EVIL), Call("train", EVIL), Call("models", "show", EVIL),
        Call("completion", EVIL),
        Call("gallery", "people", "--gallery", EVIL), Call("gallery", "remove", EVIL),
        Call("models", "quantize", EVIL), Call("group", EVIL), Call("tune", EVIL),
        Call(settings={"_LINEAMENT_COMPLETE": "bash_complete", "COMP_CWORD": "2",
                       "COMP_WORDS": f"lineament verify {EVIL}"}),
        Call(settings={"_LINEAMENT_COMPLETE": EVIL}),
    ]  # fmt: skip
    shown = check(calls, tmp_path)
    assert sum(r"\x1b]0;x\x07" in text for text in shown) > len(words)


def test_what_libraries_write(tmp_path: Path) -> None:
    """Warnings, logs, plain printing and tracebacks, also while a bar is drawn."""
    text = repr(EVIL)
    noise = (
        f"import warnings, logging, sys; warnings.warn({text}); logging.warning({text}); "
        f"print({text}); print({text}, file=sys.stderr); import click; click.echo({text}); "
        f"click.echo({text}, err=True); sys.stdout.writelines([{text}])"
    )
    bar = (
        "from lineament.cli.progress import stages\n"
        "from lineament.cli.output import print_error, print_note\n"
        "with stages() as show:\n"
        "    for k in range(1, 9):\n"
        f"        show({text}, k, 8, {text})\n"
        f"        {noise}\n"
        f"        print_error({text}); print_note({text})\n"
    )
    debug = {"LINEAMENT_DEBUG": "1"}
    bug = (
        "import lineament.cli.cache as module\n"
        "def broken(*_, **__): raise {0}\n"
        "module.list_.callback = broken\n"
    )
    kinds = [f"ValueError({text})", f"OSError(5, {text}, {text})", f"KeyError({text})",
             f"__import__('http.client').client.BadStatusLine({text})"]  # fmt: skip
    with serving(x=says(b"HTTP/1.1 500 " + EVIL.encode("latin-1", "replace") + b"\r\n\r\n")) as s:
        calls = [
            Call("cache", "list", patch=noise),
            Call("cache", "list", patch=bar),
            *(Call("cache", "list", patch=bug.format(kind)) for kind in kinds),
            *(Call("cache", "list", patch=bug.format(kind), settings=debug) for kind in kinds),
            Call("detect", s.url("x"), "--allow-private", settings={"no_proxy": "*"}),
            Call("detect", s.url("x"), "--allow-private", settings={"no_proxy": "*", **debug}),
            Call("detect", EVIL, settings=debug),
        ]
        shown = at_terminal(calls, tmp_path)
    for call, (_, out) in zip(calls, shown, strict=True):
        assert acting(out) == [], f"{call.arguments}: {out!a}"
        assert r"\x1b]0;x" in out, out


@pytest.mark.slow
def test_photos_and_galleries(tmp_path: Path) -> None:
    folder, a, b = evil_folder(tmp_path)

    def made(name: str) -> Path:
        return tmp_path / (EVIL + name)

    at = ("--gallery", made("gallery"))
    bad = folder / "Ada" / (EVIL + "bad.jpg")
    calls = [
        Call("verify", a, b), Call("verify", a, a, "--save", made("a.png"), "-v"),
        Call("detect", folder), Call("detect", folder, "--save", made("drawn")),
        Call("detect", folder, "--csv", made("a.csv")), Call("detect", folder, "--json"),
        Call("embed", folder), Call("embed", folder, "--out", made("a.npz")),
        Call("embed", folder, "--out", made("bulk")), Call("embed", folder, "--out", made("bulk")),
        Call("align", folder, "--out", made("crops")),
        Call("align", folder, "--out", made("more crops"), "--people"),
        Call("group", folder, "--out", made("g.json"), "--report", made("g.html")),
        Call("group", folder, "--copy-to", made("copied")),
        Call("gallery", "create", *at),
        Call("gallery", "enroll", "Ada", a, *at, "--set", f"k={EVIL}", "--set", f"{EVIL}=v"),
        Call("gallery", "enroll", "Ada", a, *at), Call("gallery", "enroll", EVIL, a, *at),
        Call("gallery", "enroll", "Ada", bad, folder / "Ada" / (EVIL + "nobody.png"), *at),
        Call("gallery", "enroll-folder", folder, *at, "--dry-run"),
        Call("gallery", "enroll-folder", folder, *at, "--report", made("r.html")),
        Call("gallery", "people", *at), Call("gallery", "show", "Ada", *at),
        Call("gallery", "show", EVIL, *at),
        Call("gallery", "show", "Ada", *at, "--save", made("s.png")),
        Call("gallery", "annotate", "Ada", f"x={EVIL}", *at),
        Call("gallery", "annotate", "Ada", EVIL, *at),
        Call("identify", folder, *at), Call("identify", a, *at, "--where", EVIL),
        Call("identify", a, *at, "--where", f"k={EVIL}"),
        Call("identify", a, *at, "--save", made("i.png")),
        Call("gallery", "verify", "Ada", a, *at), Call("gallery", "verify", EVIL, a, *at),
        Call("gallery", "rename", "Ada", EVIL, *at), Call("gallery", "merge", "Ada", EVIL, *at),
        Call("gallery", "export", made("x.jsonl"), *at),
        Call("gallery", "export", made("x.nonsense"), *at),
        Call("gallery", "import", made("x.jsonl"), "--gallery", made("other")),
        Call("gallery", "reindex", "--check", *at), Call("gallery", "migrate", *at),
        Call("gallery", "remove", "Ada", "--sample", EVIL, *at, "--yes"),
        Call("gallery", "remove", "Ada", *at),  # asks
        Call("cache", "clear", settings={"LINEAMENT_CACHE": str(made("cache"))}),
        Call("gallery", "remove", "Ada", *at, "--yes"),
        Call("find", a, folder), Call("find", a, folder, "--save", made("f.png")),
        Call("tune", folder, "--out", made("cal.json")), Call("eval", "folder", folder),
        *(Call("eval", name, folder) for name in ("lfw", "agedb", "cfp", "ijb", "ytf", "calfw")),
    ]  # fmt: skip
    shown = check(calls, tmp_path, typed=b"n\n" * 4)
    assert sum("EVIL" in text for text in shown) > len(calls) // 2


@pytest.mark.slow
def test_pictures_with_such_titles(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder, a, _ = evil_folder(tmp_path)
    shown = ("--title", EVIL)
    calls = [
        Call("plot", "grid", folder, "--out", tmp_path / (EVIL + "1.png"), *shown),
        Call("plot", "alignment", a, "--out", tmp_path / (EVIL + "2.png"), *shown),
        Call("plot", "pose", folder / (EVIL + "Bo"), "--out", tmp_path / (EVIL + "3.png"), *shown),
        Call("plot", "barcode", folder, "--out", tmp_path / (EVIL + "4.png"), *shown),
    ]
    check(calls, tmp_path)


@pytest.mark.slow
def test_contents_of_files(tmp_path: Path) -> None:
    files = evil_files(tmp_path)
    a, b = DEMO / "astronaut.jpg", DEMO / "obama.jpg"
    calls = [
        *(Call("verify", a, b, "--calibration", path) for path in files),
        *(Call("verify", a, b, "--model", path) for path in files),
        *(Call("gallery", "import", path, "--gallery", tmp_path / "g") for path in files),
        *(Call("train", "run", path, "--out", tmp_path / "run") for path in files),
        *(Call("eval", "pairs", path) for path in files),
        *(Call("eval", "bin", path) for path in files),
        *(Call("group", a, "--groups", path) for path in files),
    ]
    check(calls, tmp_path)


# --- the library ----------------------------------------------------------------------------------


def test_errors_of_the_library_are_one_plain_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lineament import FaceFinder, Recognizer, load_image, models
    from lineament.bulk.tables import read_rows
    from lineament.gallery import Gallery
    from lineament.gallery.grouping import Grouping
    from lineament.images import find_images

    folder, a, _ = evil_folder(tmp_path)
    calls = [
        lambda: load_image(EVIL), lambda: load_image(tmp_path / EVIL), lambda: load_image(folder),
        lambda: load_image(folder / "Ada" / (EVIL + "bad.jpg")),
        lambda: load_image("http://" + EVIL), lambda: load_image("data:" + EVIL + ",x"),
        lambda: find_images(EVIL), lambda: find_images(tmp_path / (EVIL + "*")),
        lambda: FaceFinder(EVIL), lambda: FaceFinder(choose=EVIL),  # type: ignore[arg-type]
        lambda: Recognizer(EVIL), lambda: Recognizer(calibration=EVIL),
        lambda: Recognizer("fast", alignment=EVIL),  # type: ignore[arg-type]
        lambda: Gallery.open(tmp_path / EVIL), lambda: Gallery.create(a / EVIL),
        lambda: models.get(EVIL), lambda: models.from_file(tmp_path / EVIL),
        lambda: models.add_manifest(tmp_path / EVIL),
        lambda: models.LicensePolicy.parse(EVIL),
        lambda: read_rows(tmp_path / EVIL).__next__(),
        *((lambda p=p: Calibration.load(p)) for p in evil_files(tmp_path)),
        *((lambda p=p: Grouping.load(p)) for p in evil_files(tmp_path)),
        *((lambda p=p: models.add_manifest(p)) for p in evil_files(tmp_path)),
    ]  # fmt: skip
    seen = 0
    for call in calls:
        try:
            call()
        except LineamentError as error:
            seen += 1
            said = [str(error), error.message, str(error.hint), *map(str, error.to_dict().values())]
            assert all(text.isprintable() or text == "" for text in said), ascii(said)
        except OSError:
            pass
    assert seen > 30
    assert str(OptionError("x", option=EVIL)).isprintable()


def test_words_of_a_calibration_are_plain(tmp_path: Path) -> None:
    bundled = Path(lineament.__file__).parent / "data" / "models" / "sface" / "calibration.json"
    values = json.loads(bundled.read_text())
    (tmp_path / "c.json").write_text(json.dumps(values | {"data": EVIL, "created_by": EVIL}))
    read = Calibration.load(tmp_path / "c.json")
    assert read.data.isprintable()
    assert read.created_by.isprintable()
    assert os.fsdecode(EVIL.encode()) == EVIL
