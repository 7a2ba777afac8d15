"""Try the package on the oldest versions that pyproject.toml allows.

    python scripts/oldest.py [--environment FOLDER]

Installs requirements/oldest.txt into an environment of its own (a temporary one unless a folder is
named, which is kept), and runs what most people use: the help of every command, verify and detect
with both engines, and a gallery. Ends with 1 and the output of the first one that fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "src" / "lineament" / "data" / "demo"

HELP = """
import click
from lineament.cli import app

def walk(command, context):
    print(len(command.get_help(context)), context.command_path)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            walk(each, click.Context(each, info_name=name, parent=context))

walk(app, click.Context(app, info_name="lineament"))
"""


class CommandError(Exception):
    """A command ended in another way than it should."""


def run(python: Path, *words: str, code: int = 0, folder: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [python, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != code:
        said = f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
        raise CommandError(f"{' '.join(words)}: {said}")
    return done.stdout


def install(folder: Path) -> Path:
    """The Python of the environment, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r")
    run(python, *pip, str(ROOT / "requirements" / "oldest.txt"))
    return python


def try_out(python: Path, work: Path) -> None:
    lineament = ("-m", "lineament")
    a, b, other = (str(DEMO / name) for name in ("obama.jpg", "obama2.jpg", "biden.jpg"))
    print(f"{len(run(python, '-c', HELP).splitlines())} helps")
    for engine in ("openvino", "onnxruntime"):
        chosen = ("--engine", engine, "--json")
        same = json.loads(run(python, *lineament, "verify", a, b, *chosen))
        run(python, *lineament, "verify", a, other, *chosen, code=1)
        found = json.loads(run(python, *lineament, "detect", str(DEMO / "group.jpg"), *chosen))
        faces = len(found["photos"][0]["faces"])
        print(f"{engine}: similarity {same['score']:.3f}, {faces} faces")
        if faces != 8:
            raise CommandError(f"{engine}: expected 8 faces in group.jpg, got {faces}")
    gallery = ("--gallery", str(work / "people"))
    run(python, *lineament, "gallery", "enroll", "Barack Obama", a, *gallery)
    run(python, *lineament, "gallery", "people", *gallery)
    if "Barack Obama" not in run(python, *lineament, "identify", b, *gallery):
        raise CommandError("identify: expected Barack Obama")
    run(python, *lineament, "verify", code=2)  # the missing argument is named
    run(python, str(ROOT / "examples" / "quickstart.py"), folder=work)
    print("gallery and quickstart")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environment", type=Path, help="kept; a temporary one otherwise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lineament-oldest-") as folder:
        work = Path(folder)
        try:
            try_out(install((options.environment or work / "environment").absolute()), work)
        except CommandError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
