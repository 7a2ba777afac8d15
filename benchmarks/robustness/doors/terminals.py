"""Commands at a pseudo-terminal: what others named reaches it escaped, and nothing ends in Python's
words."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from doors import people
from doors.case import Case, Door
from doors.damage import CONTROLS, TEXTS, anything, changed, damaged
from doors.exports import CROPS
from doors.pictures import draw_face, encode
from doors.server import saying, serving
from doors.terminal import command, judged, run
from lineament import Gallery, LineamentError, demo_photos
from lineament.files import DATA
from lineament.gallery import Settings


def _evil(case: Case, *, file: bool = False) -> str:
    evil = case.pick([*CONTROLS, *CONTROLS, *TEXTS])
    text = f"{case.pick(['', 'a', 'Zoë'])}{evil}{case.pick(['', 'b'])}"
    text = text.replace("\0", "")
    if file:
        data = text.replace("/", "_").encode(errors="surrogateescape")[:120]
        text = data.decode(errors="surrogateescape").lstrip("-")
        text = text if text not in ("", ".", "..") else "x"
    return text


def _gallery(case: Case, *, known: bool = False) -> Path:
    """A gallery whose metadata, photos' names and people's names somebody else chose."""
    folder = case.folder / ("g" if case.chance(0.6) else _evil(case, file=True))
    made = people.lines(case.rng, 2, 2)
    names = []
    for person in people.people_in(made):
        old = person["name"]
        new = _evil(case) if case.chance(0.5) else old
        person["name"] = new
        person["metadata"] = {_evil(case)[:80]: _evil(case), "n": 1, "list": [_evil(case)]}
        for sample in people.samples_in(made):
            if sample["person"] == old:
                sample["person"] = new
                data = f"/photos/{_evil(case)}".encode(errors="surrogateescape")
                sample["source"] = data.decode(errors="replace")
                sample["source_bytes"] = data.hex()
                sample["metadata"] = {"camera": _evil(case)}
        names.append(new)
    settings = Settings(threshold=0.6, keep_crops=True)
    with Gallery.create(folder, people.CONTRACT, settings=settings) as gallery:
        with suppress(LineamentError):
            gallery.import_(case.file("in.jsonl", people.as_bytes(made)))
        if not gallery.n_people:
            gallery.enroll_samples(
                [("Ada", people.new_sample(0, 0))], metadata={"Ada": {"a": "\x1b[2J"}}, force=True
            )
    return folder


def _names(folder: Path) -> list[str]:
    with Gallery.open(folder, read_only=True) as gallery:
        return [person.name for person in gallery.people()]


def galleries(case: Case) -> bool:
    """Every command on a gallery that others filled."""
    folder = _gallery(case)
    names = _names(folder)
    name, other = case.pick(names), _evil(case)
    out = case.folder / _evil(case, file=True)
    words = case.pick(
        [
            ["people"],
            ["people", "--json"],
            ["people", "--where", f"n={_evil(case)}"],
            ["people", "--where", f"{_evil(case)}~x"],
            ["show", name],
            ["show", name, "--json"],
            ["show", name, "--save", f"{out}.png"],
            ["show", other],
            ["rename", name, other],
            ["merge", name, *([n for n in names if n != name] or [other])],
            ["annotate", name, f"{_evil(case)}={_evil(case)}"],
            ["remove", name],
            ["remove", "--sample", "1"],
            ["remove", other, "--yes"],
            ["export", f"{out}.jsonl"],
            ["export", f"{out}.parquet"],
            ["import", str(case.folder / "in.jsonl")],
            ["reindex", "--check"],
            ["reindex"],
            ["create"],
        ]
    )
    answer = case.pick([b"y\n", b"n\n", b"\x04", b"\x1b[A\nn\n"]) if words[0] == "remove" else b""
    return command(case, "gallery", *words, "--gallery", str(folder), stdin=answer)


def damaged_galleries(case: Case) -> bool:
    """The same on one whose database is damaged, or that is none."""
    folder = people.copied(case, "full")
    path = folder / "gallery.sqlite"
    kind = case.rng.integers(4)
    if kind == 0:
        path.write_bytes(damaged(path.read_bytes(), case.rng))
    elif kind == 1:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            table, column = case.pick(
                [
                    ("labels", "name"),
                    ("labels", "metadata"),
                    ("samples", "source"),
                    ("samples", "face"),
                    ("samples", "added"),
                    ("people", "created"),
                    ("vectors", "vector"),
                    ("crops", "png"),
                ]
            )
            value = case.pick(
                ["\x1b[2J", b"\x1b[2J", 1e300, float("inf"), "{", None, 10**18, -1e12]
            )
            with suppress(sqlite3.Error):
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (value,))
            connection.commit()
    elif kind == 2:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE crops SET png = ?", (case.pick(CROPS)(case.rng),))
            connection.commit()
    else:
        path.unlink()
        path.symlink_to(case.outside / "letter.txt")
    words = case.pick(
        [
            ["people"],
            ["show", people.NAMES[0]],
            ["show", people.NAMES[0], "--save", str(case.folder / "out.png")],
            ["export", str(case.folder / "out.jsonl")],
            ["reindex", "--check"],
            ["reindex"],
            ["annotate", people.NAMES[0], "a=1"],
            ["remove", people.NAMES[0], "--yes"],
            ["migrate", "--recognizer", "mobilefacenet"],
        ]
    )
    return command(case, "gallery", *words, "--gallery", str(folder))


def imports(case: Case) -> bool:
    """Exports from others, imported at the command line."""
    folder = people.copied(case, "empty")
    made = people.lines(case.rng)
    kind = case.rng.integers(4)
    if kind < 2:
        at = int(case.rng.integers(len(made)))
        made[at] = changed(made[at], case.rng)
    elif kind == 2:
        made[0]["contract"][case.pick(["weights", "alignment"])] = _evil(case)
    data = people.as_bytes(made)
    if kind == 3:
        data = damaged(data, case.rng)
    name = f"{_evil(case, file=True)}.jsonl" if case.chance(0.5) else "in.jsonl"
    return command(case, "gallery", "import", str(case.file(name, data)), "--gallery", str(folder))


def _photo(case: Case) -> Path:
    folder = case.folder / _evil(case, file=True)
    folder.mkdir(exist_ok=True)
    path = folder / f"{_evil(case, file=True)}.jpg"
    kind = case.rng.integers(5)
    if kind < 2:
        shutil.copy(case.shared / "obama.jpg", path)
    elif kind == 2:
        path.write_bytes((case.shared / "nobody.jpg").read_bytes())
    elif kind == 3:
        path.write_bytes(damaged((case.shared / "nobody.jpg").read_bytes(), case.rng))
    return path


def photos(case: Case) -> bool:
    """Commands that read photos, by names that others gave them."""
    a, b = _photo(case), _photo(case)
    folder = str(case.folder / "g")
    out = case.folder / _evil(case, file=True)
    words = case.pick(
        [
            ["verify", str(a), str(b)],
            ["verify", str(a), str(b), "--json"],
            ["verify", str(a), str(b), "--save", f"{out}.png"],
            ["detect", str(a), str(b)],
            ["detect", str(a), "--save", f"{out}.png"],
            ["gallery", "enroll", "Ada", str(a), str(b), "--gallery", folder],
            ["gallery", "enroll", _evil(case), str(a), "--gallery", folder],
            ["gallery", "enroll-folder", str(case.folder), "--gallery", folder],
            ["gallery", "enroll-folder", str(case.folder), "--gallery", folder, "--list"],
            ["group", str(case.folder)],
            ["group", str(case.folder), "--out", f"{out}.json"],
            ["embed", str(a), str(b), "--out", f"{out}.npz"],
            ["embed", str(case.folder), "--out", f"{out}.csv"],
            ["align", str(a), "--out", str(out)],
            ["find", str(a), str(case.folder)],
            ["verify", str(a), str(b), "--calibration", str(out)],
            ["tune", str(case.folder), "--out", f"{out}.json"],
            ["plot", "alignment", str(a), "--out", f"{out}.svg"],
            ["plot", "barcode", str(a), str(b), "--out", f"{out}.png"],
            ["eval", "folder", str(case.folder)],
            ["eval", "pairs", str(a)],
            ["eval", "lfw", str(case.folder)],
            ["eval", "bin", str(a)],
        ]
    )
    return command(case, *words)


def identified(case: Case) -> bool:
    """Faces found in a gallery of the recognizer's own, with photos' names of others."""
    folder = case.folder / "g"
    shutil.copytree(case.shared / "own", folder)
    a = _photo(case)
    words = case.pick(
        [
            ["identify", str(a), str(case.folder)],
            ["identify", str(a), "--json"],
            ["identify", str(a), "--save", str(case.folder / "out.png")],
            ["identify", str(a), "--where", f"n={_evil(case)}"],
            ["gallery", "verify", "Ada", str(a)],
            ["gallery", "verify", _evil(case), str(a)],
        ]
    )
    return command(case, *words, "--gallery", str(folder))


def servers(case: Case) -> bool:
    """What a server says."""
    evil = str(case.pick(CONTROLS)).encode(errors="surrogateescape")
    answer = case.pick(
        [
            b"HTTP/1.1 404 " + evil + b"\r\n\r\n",
            b"HTTP/1.1 500 " + evil + b"\r\n\r\n",
            evil + b"\r\n\r\n",
            b"HTTP/1.1 302 x\r\nLocation: " + evil + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: " + evil + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: " + evil + b"\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\n" + evil + b": x\r\n\r\n" + evil,
        ]
    )
    with serving(saying(answer)) as server:
        case.allowed.add(("127.0.0.1", server.port))
        url = f"http://127.0.0.1:{server.port}/{case.pick(['a.jpg', _evil(case)])}"
        words = case.pick([["verify", url, url], ["detect", url], ["embed", url, "--out", "-"]])
        return command(case, *words, *(["--allow-private"] if case.chance(0.8) else []))


def arguments(case: Case) -> bool:
    """Words that are none of the command's."""
    path = case.pick(
        [
            ["verify"],
            ["detect"],
            ["gallery"],
            ["gallery", "people"],
            ["gallery", "remove"],
            ["models", "show"],
            ["models", "list", "--license-policy"],
            ["cache", "clear", "--kind"],
            ["train", "run"],
            ["train", "export"],
            ["eval"],
            ["plot", "tsne"],
            ["completion"],
            ["name-group"],
            ["gallery", "name-group"],
            [],
        ]
    )
    words = [_evil(case) for _ in range(int(case.rng.integers(1, 4)))]
    if case.chance(0.5):
        words.insert(
            0, case.pick(["--gallery", "--json", "--fmr", "--threshold", "--out", "--save"])
        )
    return command(case, *path, *words)


def descriptions(case: Case) -> bool:
    """Models, calibrations, groups and configurations whose texts others chose."""
    kind = case.rng.integers(5)
    evil = _evil(case)
    if kind == 0:
        card = json.loads((DATA / "models" / "sface" / "card.json").read_bytes())
        card.update(name="theirs", file="x.onnx", license_file=None)
        card[case.pick(["notes", "training_data", "paper", "license_code", "name", "file"])] = evil
        manifest = {"schema": 1, "weights": [card]}
        os.environ["LINEAMENT_MANIFEST"] = str(
            case.file("m.json", json.dumps(manifest).encode(errors="replace"))
        )
        try:
            words = case.pick([["list"], ["show", "theirs"], ["show", evil], ["licenses"]])
            return command(case, "models", *words)
        finally:
            del os.environ["LINEAMENT_MANIFEST"]
    if kind == 1:
        values = json.loads((DATA / "models" / "sface" / "calibration.json").read_bytes())
        key = case.pick(["data", "method", "metric", "contract"])
        values[key] = {**values["contract"], "weights": evil} if key == "contract" else evil
        path = case.file("c.json", json.dumps(values).encode(errors="replace"))
        demo = str(case.shared / "obama.jpg")
        return command(case, "verify", demo, demo, "--calibration", str(path))
    if kind == 2:
        path = case.file(
            "groups.json",
            json.dumps({"lineament": "groups", "format": evil}).encode(errors="replace"),
        )
        return command(
            case, "gallery", "name-group", str(path), "1", evil, "--gallery", str(case.folder / "g")
        )
    if kind == 3:
        text = f"[run]\n{json.dumps(evil)} = {json.dumps(str(anything(case.rng))[:300])}\n"
        path = case.file("c.toml", text.encode(errors="replace"))
        return command(case, "train", "run", str(path), "--out", str(case.folder / "out"))
    path = case.file("model.onnx", b"x")
    case.file("model.toml", f"name = {json.dumps(evil)}\n".encode(errors="replace"))
    demo = str(case.shared / "obama.jpg")
    return command(case, "verify", demo, demo, "--recognizer", str(path))


def closed_outputs(case: Case) -> bool:
    """Nobody listens: the answer's exit code stays what it is."""
    folder = people.copied(case, "full")
    words = case.pick(
        [
            ["gallery", "people", "--gallery", str(folder)],
            ["gallery", "show", people.NAMES[0], "--gallery", str(folder)],
            ["models", "list"],
            ["--version"],
            ["gallery", "reindex", "--check", "--gallery", str(folder)],
            ["gallery", "people", "--json", "--gallery", str(folder)],
        ]
    )
    wanted, _ = run(case, words)
    for closed in ((1,), (0, 1), (1, 2), (0, 1, 2)):
        code, output = run(case, words, closed=closed)
        judged(case, words, code, output)
        fits = code in (wanted, 2)
        case.expect(fits, f"{words} with {closed} closed ends with {code}, otherwise {wanted}")
    return True


def signals(case: Case) -> bool:
    """Ended by a signal: in our words, and what was done is there."""
    folder = case.folder / "people"
    for i in range(6):
        (folder / f"P{i}").mkdir(parents=True)
        shutil.copy(case.shared / "obama.jpg", folder / f"P{i}" / "a.jpg")
    gallery = case.folder / "g"
    words = case.pick(
        [
            ["gallery", "enroll-folder", str(folder), "--gallery", str(gallery)],
            ["embed", str(folder), "--out", str(case.folder / "e.npz")],
            ["group", str(folder)],
            ["detect", str(folder)],
        ]
    )
    number = case.pick([signal.SIGINT, signal.SIGTERM])
    code, output = run(case, words, kill=(float(case.rng.uniform(0.05, 2.0)), int(number)))
    case.say(code, output.decode(errors="replace"))
    if code in (-number, 128 + number, 130, 143):
        code = 0
    judged(case, words, code, output)
    if Gallery.exists(gallery):
        with Gallery.open(gallery) as opened:
            case.expect(opened.check() == [], "the gallery is damaged")
    return True


def _prepare(home: Path, seed: int) -> Path:
    """Templates; no engine is started here, since its threads do not survive a fork."""
    import lineament.cli.enroll
    import lineament.cli.gallery
    import lineament.cli.gallery_files
    import lineament.cli.identify
    import lineament.cli.recognize  # noqa: F401

    place = people.prepare(home, seed)
    demo = demo_photos()
    paths = demo.values() if isinstance(demo, dict) else demo
    for path in map(Path, paths):
        if path.stem == "obama":
            shutil.copy(path, place / "obama.jpg")
    face = draw_face(np.random.default_rng(seed))
    (place / "nobody.jpg").write_bytes(encode(face, "JPEG"))
    _own(place)
    return place


def _own(place: Path) -> None:
    """A gallery of the default recognizer, made in a process of its own."""
    number = os.fork()
    if not number:
        try:
            with Gallery.open_or_create(place / "own") as gallery:
                gallery.enroll("Ada", place / "obama.jpg", metadata={"n": 1})
        finally:
            os._exit(0)
    os.waitpid(number, 0)


DOOR = Door(
    "terminals",
    (
        galleries,
        photos,
        damaged_galleries,
        servers,
        imports,
        galleries,
        arguments,
        descriptions,
        identified,
        galleries,
        damaged_galleries,
        arguments,
        closed_outputs,
        signals,
    ),
    cases=600,
    bound_mb=300.0,
    limit_s=40.0,
    prepare=_prepare,
)
