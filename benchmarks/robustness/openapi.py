"""Every operation of the OpenAPI description, with values that fit it and values that do not.

    python benchmarks/robustness/openapi.py [--examples N] [--seed N] [--json]

Schemathesis draws requests from the description that the server gives of itself, and sends them, on
a real socket, with an administrator's key. A third goes as it was drawn; another third is about a
gallery, a person, a job or whatever else a path names that are there; the last is like the
description's example, with photos of people, but for one value that was drawn: so what lies behind
the first checks is reached, too. What a request removes is made again. The gallery is encrypted.
Counted are

    server_errors    answers with a status from 500 on
    hangs            no answer within 20 seconds
    unlike           answers that the description does not have: status, media type, fields, headers
    leaks            answers with a path of the server or a traceback

All must be 0, and ``never_done`` empty: the operations of which no request succeeded. None is left
out: events are those of streams and jobs that are over, and end.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from doors.likely import OF_SESSION, ROOM, SNAPSHOT, Likely, camera
from doors.served import Target, start
from doors.things import Things

from _harness import Parser, at_least, report, table

BAD = ("server_errors", "hangs", "unlike", "leaks")
ANSWER_S = 20.0


KEY_VARIABLE = "LINEAMENT_GALLERY_KEY_FILE"


def start_with_key(home: Path, seed: int) -> Target:
    """Start a server; galleries that are made from now on are encrypted, since a key is named."""
    from lineament.gallery.keys import new_key_file

    (home / "user").mkdir()
    target = start(home, seed, private=True)
    os.environ[KEY_VARIABLE] = str(home / "gallery.key")
    new_key_file(home / "gallery.key")
    return target


def fuzz(
    target: Target,
    examples: int,
    seed: int,
    *,
    only: str = "",
    change: Callable[[dict[str, Any]], object] = lambda description: None,
) -> dict[str, Any]:
    """Send so many requests to each operation, half of each kind.

    Args:
        target: the server.
        examples: of each operation.
        seed: of all.
        only: operations whose path begins so.
        change: makes the description another one, to see that this is found.

    Returns:
        Figures, and what was found.
    """
    import requests
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis.errors import HypothesisException, Unsatisfiable
    from schemathesis import GenerationMode
    from schemathesis import openapi as loader
    from schemathesis.core.errors import SchemathesisError
    from schemathesis.core.failures import Failure, FailureGroup
    from schemathesis.specs.openapi import checks

    address = f"http://127.0.0.1:{target.port}"
    headers = {"Authorization": f"Bearer {target.keys['admin']}"}
    description = requests.get(f"{address}/v1/openapi.json", headers=headers, timeout=60).json()
    change(description)
    schema = loader.from_dict(description)
    wanted = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    counts: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    found: dict[tuple[str, str, str], str] = {}
    done: Counter[str] = Counter()
    session = requests.Session()
    likely = Likely(description, seed)
    asked: Counter[str] = Counter()

    def note(what: str, name: str, detail: str, sent: str) -> None:
        counts[what] += 1
        found.setdefault((what, name, detail.partition("\n")[0][:80]), f"{detail[:600]}\n{sent}")

    def shaped(case: Any, name: str) -> dict[str, str]:
        """Make a third of the cases likely, and another one about what is there; its headers."""
        asked[name] += 1
        kind = asked[name] % 3
        if kind == 2:
            return headers
        if kind == 1:
            likely.make(case, name, known, pure=asked[name] == 1)
            if name in ROOM:
                things.make_room(ROOM[name])
        else:
            given_ones = case.path_parameters or {}
            there = {key: known[key] for key in known.keys() & given_ones}
            case.path_parameters = {**given_ones, **there}
        if name == SNAPSHOT:
            case.path_parameters = {"stream": known["live"]}
        return things.log_in() if name in OF_SESSION else headers

    def send(case: Any, name: str) -> None:
        nonlocal known
        counts["requests"] += 1
        own = shaped(case, name)
        try:
            answer = case.call(address, session=session, headers=own, timeout=ANSWER_S)
        except requests.exceptions.Timeout:
            note("hangs", name, f"no answer within {ANSWER_S:g} s", repr(case)[:600])
            return
        except requests.exceptions.ConnectionError as error:
            note("unlike", name, f"no answer: {error}", repr(case)[:600])
            return
        session.cookies.clear()  # of a log-in: the key is what counts
        statuses[answer.status_code] += 1
        if answer.status_code < 300:
            done[name] += 1
            if case.method not in ("GET", "HEAD"):
                known = things.known()
        sent = (
            f"{case.method} {case.formatted_path} {case.query} {case.media_type} {case.body!r:.300}"
        )
        if answer.status_code >= 500:
            note("server_errors", name, f"{answer.status_code}: {answer.text[:400]}", sent)
            return
        if any(leak in answer.content for leak in target.leaks[:-1]):
            note("leaks", name, answer.text[:400], sent)
        try:
            case.validate_response(answer, checks=wanted)
        except FailureGroup as group:
            for one in group.exceptions:
                note("unlike", name, f"{getattr(one, 'title', '')} {one}", sent)
        except Failure as one:
            note("unlike", name, f"{one.title} {one}", sent)

    def drawn(strategy: Any, name: str) -> Any:
        """Send what is drawn for one operation."""

        @seeded(seed)
        @settings(
            max_examples=max(1, examples // 2),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def each(case: Any) -> None:
            send(case, name)

        return each

    def draw(operation: Any, name: str, mode: GenerationMode) -> None:
        """Draw values of an operation, right or wrong ones, and count where there are none."""
        try:
            strategy = operation.as_strategy(mode)
        except Exception as error:  # nothing can be wrong with an operation that takes nothing
            counts["without_strategy"] += 1
            print(f"{name}: no {mode} values: {error!r:.200}", file=sys.stderr)
            return
        try:
            drawn(strategy, name)()
        except Unsatisfiable:  # such as of one that takes nothing
            counts["without_strategy"] += 1
        except (HypothesisException, SchemathesisError) as error:
            counts["without_strategy"] += 1
            print(f"{name}: no {mode} values: {error!r:.200}", file=sys.stderr)

    with camera() as address_of_camera:
        things = Things(target, session, address_of_camera)
        known = things.known()
        for outcome in schema.get_all_operations():
            operation = outcome.ok()
            name = f"{operation.method.upper()} {operation.path}"
            if not operation.path.startswith(only):
                continue
            counts["operations"] += 1
            done[name] += 0
            for mode in GenerationMode:
                draw(operation, name, mode)
        things.make_room(f"/streams/{known['live']}")
    session.close()
    return {
        **{key: counts[key] for key in ("operations", "requests", *BAD, "without_strategy")},
        "never_done": sorted(name for name, times in done.items() if not times),
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "found": [
            {"what": what, "operation": name, "detail": text}
            for (what, name, _), text in found.items()
        ],
    }


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--examples", type=at_least(2), default=200, metavar="N", help="of each")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        target = start_with_key(Path(folder), options.seed)
        figures = fuzz(target, options.examples, options.seed)
    report(options, lambda: figures, show)
    raise SystemExit(int(any(figures[what] for what in (*BAD, "never_done"))))


def show(figures: dict[str, Any]) -> None:
    table(("figure", "value"), [(k, v) for k, v in figures.items() if k != "found"])
    for one in figures["found"]:
        print(f"{one['what']}: {one['operation']}: {one['detail']}", file=sys.stderr)


if __name__ == "__main__":
    main()
