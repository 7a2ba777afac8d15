"""Write SHA-256 and size of each bundled file into its card, in one stable format.

    python -m scripts.build.update_cards            rewrite src/lineament/data/models/*/card.json
    python -m scripts.build.update_cards --check    change nothing; exit 1 if it would change

Keys are in the order of ``models.cards.CardForm``. It works on the JSON alone, so that it can also
mend a card that the package refuses to read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from lineament.models.borrowed import assembled

FOLDER = Path(__file__).resolve().parents[2] / "src" / "lineament" / "data" / "models"
KEYS = (
    *(
        "name",
        "task",
        "file",
        "weights_of",
        "url",
        "sha256",
        "bytes",
        "input",
        "dimension",
        "alignment",
    ),
    *("builder", "license_code", "license_weights", "commercial_use", "license_file"),
    *("training_data", "source", "paper", "members", "norm_term", "measured", "thresholds"),
    *("quality_limits", "notes"),
)


def updated(cards: dict[str, dict[str, Any]], folder: Path) -> tuple[dict[str, str], list[str]]:
    """The cards as they should be, by the names of their folders, and what is wrong with files."""
    problems: list[str] = []
    for name, card in cards.items():
        if card.get("file") is None:
            continue  # it joins others (see below), or its file lies elsewhere
        file = folder / name / card["file"]
        if not file.is_file():
            problems.append(f"{name}: no file {file}")
            continue
        data = file.read_bytes()
        if card.get("weights_of"):
            other = cards[card["weights_of"]]
            data = assembled(data, (folder / other["name"] / other["file"]).read_bytes(), name)
        card["sha256"] = hashlib.sha256(data).hexdigest()
        card["bytes"] = len(data)
    for card in cards.values():
        if card.get("members"):
            _describe_joined(card, cards)
    texts = {}
    for name, card in cards.items():
        ordered = {key: card[key] for key in KEYS if key in card}
        ordered |= {key: card[key] for key in sorted(card.keys() - ordered.keys())}
        texts[name] = json.dumps(ordered, indent=1, ensure_ascii=False) + "\n"
    return texts, problems


def _describe_joined(card: dict[str, Any], cards: dict[str, Any]) -> None:
    """An embedder that joins others: its hash is that of all that its vectors depend on."""
    members = [(cards[member["name"]], member["share"]) for member in card["members"]]
    rest = [[other["sha256"], share] for other, share in members] + [card.get("norm_term")]
    views = [member.get("view", "both") for member in card["members"]]
    if set(views) != {"both"}:  # as it was when nothing else was possible
        rest.append(views)
    card["sha256"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    card["bytes"] = sum(other["bytes"] for other, _ in members)
    card["dimension"] = sum(other["dimension"] for other, _ in members)
    card["dimension"] += card.get("norm_term") is not None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 on a difference"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)

    paths = {path.parent.name: path for path in sorted(options.folder.glob("*/card.json"))}
    old = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    new, problems = updated({name: json.loads(text) for name, text in old.items()}, options.folder)
    changed = [name for name in paths if new[name] != old[name]]
    for problem in problems:
        print(problem, file=sys.stderr)
    for name in changed:
        if options.check:
            print(f"{paths[name]}: out of date; run  python -m scripts.build.update_cards")
        else:
            paths[name].write_text(new[name], encoding="utf-8", newline="\n")
            print(f"{paths[name]}: updated")
    return 1 if problems or (options.check and changed) else 0


if __name__ == "__main__":
    sys.exit(main())
