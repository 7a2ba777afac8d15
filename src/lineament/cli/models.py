"""``lineament models``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.output import print_json, print_note, print_table


def command(
    licenses: Annotated[
        bool, typer.Option("--licenses", help="Print the texts of the licenses instead.")
    ] = False,
    license_policy: options.Policy = None,
    json: options.Json = False,
) -> None:
    """List the networks and their licenses.

    With a license policy the table says which of them it refuses.
    """
    from lineament import models

    policy = options.policy_from(license_policy)
    known = models.entries()
    if json:
        listed = []
        for entry in known:
            item: dict[str, Any] = {**entry.to_dict(), "present": models.is_present(entry)}
            item["refused"] = policy.refusal(entry)
            if licenses:
                item["license_text"] = models.license_text(entry)
            listed.append(item)
        print_json({"policy": str(policy), "weights": listed})
        return
    if licenses:
        _print_licenses(known)
        return
    restricted = str(policy) != "any"
    columns: tuple[str, ...] = ("name", "task", "MB", "license", "commercial", "measured")
    rows = []
    for entry in known:
        row = [
            entry.name,
            entry.task,
            f"{entry.bytes / 1e6:.2f}",
            entry.license_weights,
            entry.commercial_use,
            _score(entry),
        ]
        rows.append([*row, "refused" if policy.refusal(entry) else "ok"] if restricted else row)
    if restricted:
        columns = (*columns, "policy")
    print_table(columns, rows, right=("MB",), fold=("measured",))
    if restricted:
        for entry in known:
            reason = policy.refusal(entry)
            if reason is not None:
                print_note(f"{entry.name}: {reason}")


def _score(entry: Any) -> str:
    """The one score that says most, in a few characters; --json has all of them."""
    measured = entry.measured
    if "lfw_view2" in measured:
        return f"LFW {measured['lfw_view2'].value:g} %"
    areas = [measured.get(f"wider_face_ap_{part}") for part in ("easy", "medium", "hard")]
    if all(area is not None for area in areas):
        return "AP " + "/".join(f"{area.value:.2f}".lstrip("0") for area in areas)
    for name, score in measured.items():
        return f"{name} {score.value:g}"
    return "-"


def _print_licenses(known: list[Any]) -> None:
    from lineament import models

    names: dict[str | None, list[str]] = {}
    for entry in known:
        names.setdefault(models.license_text(entry), []).append(
            f"{entry.name} ({entry.license_weights})"
        )
    for text, of in names.items():
        print("=" * 78)
        print(", ".join(of))
        print("=" * 78)
        print("The manifest names no license text." if text is None else text.rstrip())
        print()
