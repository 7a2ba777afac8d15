"""Write the table of routes into docs/reference/http.md from the routes themselves.

python -m scripts.build.http_routes            rewrite the table
python -m scripts.build.http_routes --check    change nothing; exit 1 if it would change
"""

from __future__ import annotations

import argparse
import sys
from itertools import groupby

from lineament.server.app import PREFIX, ROUTERS
from lineament.server.table import Operation, operations
from scripts.packages import ROOT

PAGE = ROOT / "docs" / "reference" / "http.md"
BEGIN, END = "<!-- routes: begin -->", "<!-- routes: end -->"


def role_of(operation: Operation) -> str:
    """Who may, in words."""
    if operation.role is None:
        return "no key"
    if operation.everywhere:
        return f"{operation.role}, of all galleries"
    return f"{operation.role}, of the gallery" if operation.gallery else operation.role


def table() -> str:
    """All operations, by topic."""
    lines = []
    for topic, group in groupby(operations(ROUTERS), key=lambda one: one.topic):
        lines += [f"### {topic.capitalize()}", "", "| request | | role |", "|---|---|---|"]
        for one in group:
            marks = " *" if one.writes else ""
            lines.append(
                f"| `{one.method} {PREFIX}{one.path}`{marks} | {one.summary} | {role_of(one)} |"
            )
        lines.append("")
    return "\n".join(lines)


def page() -> str:
    """The page as it should be."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


def main() -> int:
    """Write the page, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    wanted = page()
    if PAGE.read_text("utf-8") == wanted:
        return 0
    if check:
        print(f"{PAGE.relative_to(ROOT)} is old: run python -m scripts.build.http_routes")
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
