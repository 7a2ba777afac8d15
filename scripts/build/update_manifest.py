"""Write SHA-256 and size of each bundled file into the manifest, in one stable format.

    python -m scripts.build.update_manifest            rewrite src/lineament/data/manifest.json
    python -m scripts.build.update_manifest --check    change nothing; exit 1 if it would change

Entries are sorted by task and name, their keys are in the order of ``models.cards.Weights``.
It works on the JSON alone, so that it can also mend a manifest that the package refuses to read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

MANIFEST = Path(__file__).resolve().parents[2] / "src" / "lineament" / "data" / "manifest.json"
TASKS = ("recognizer", "detector", "landmarks")
KEYS = (
    *("name", "task", "file", "url", "sha256", "bytes", "input", "dimension", "alignment"),
    *("license_code", "license_weights", "commercial_use", "license_file"),
    *(
        "training_data",
        "source",
        "paper",
        "members",
        "norm_term",
        "measured",
        "thresholds",
        "notes",
    ),
)


def updated(text: str, folder: Path) -> tuple[str, list[str]]:
    """The manifest as it should be, and what is wrong with the files it names."""
    manifest = json.loads(text)
    problems: list[str] = []
    for entry in manifest["weights"]:
        if entry.get("file") is None:
            continue  # it joins others (see below), or its file lies elsewhere
        file = folder / entry["file"]
        if not file.is_file():
            problems.append(f"{entry['name']}: no file {file}")
            continue
        data = file.read_bytes()
        entry["sha256"] = hashlib.sha256(data).hexdigest()
        entry["bytes"] = len(data)
    known = {entry["name"]: entry for entry in manifest["weights"]}
    for entry in manifest["weights"]:
        if entry.get("members"):
            _describe_joined(entry, known)

    def place(entry: dict[str, Any]) -> tuple[int, str]:
        task = entry["task"]
        return TASKS.index(task) if task in TASKS else len(TASKS), entry["name"]

    def ordered(entry: dict[str, Any]) -> dict[str, Any]:
        known = {key: entry[key] for key in KEYS if key in entry}
        return known | {key: entry[key] for key in sorted(entry.keys() - known.keys())}

    manifest["weights"] = [ordered(entry) for entry in sorted(manifest["weights"], key=place)]
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", problems


def _describe_joined(entry: dict[str, Any], known: dict[str, Any]) -> None:
    """A recognizer that joins others: its hash is that of all that its vectors depend on."""
    members = [(known[member["name"]], member["share"]) for member in entry["members"]]
    rest = [[other["sha256"], share] for other, share in members] + [entry.get("norm_term")]
    entry["sha256"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    entry["bytes"] = sum(other["bytes"] for other, _ in members)
    entry["dimension"] = sum(other["dimension"] for other, _ in members)
    entry["dimension"] += entry.get("norm_term") is not None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 on a difference"
    )
    parser.add_argument("--manifest", type=Path, default=MANIFEST)
    options = parser.parse_args(arguments)

    old = options.manifest.read_text(encoding="utf-8")
    new, problems = updated(old, options.manifest.parent)
    for problem in problems:
        print(problem, file=sys.stderr)
    if options.check:
        if new != old:
            print(f"{options.manifest}: out of date; run  python -m scripts.build.update_manifest")
        return 1 if problems or new != old else 0
    if new != old:
        options.manifest.write_text(new, encoding="utf-8", newline="\n")
        print(f"{options.manifest}: updated")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
