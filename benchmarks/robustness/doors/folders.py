"""Folders of photos that somebody sent: links, pipes, names, depth; listed, read, enrolled."""

from __future__ import annotations

import os
import socket
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from doors import people
from doors.case import Case, Door
from doors.damage import CONTROLS, TEXTS
from doors.people import recognizer, warm_tables
from doors.pictures import draw_face, encode
from lineament import Gallery, LineamentError, demo_photos
from lineament.datasets.people_folder import read_people
from lineament.gallery import enroll_folder, list_folder
from lineament.gallery import find as find_person
from lineament.images import list_images, load_image


def _name(case: Case) -> str:
    name = case.pick([*TEXTS, *CONTROLS]).replace("\0", "").replace("/", "_")[:60]
    return name.encode(errors="surrogateescape")[:200].decode(errors="surrogateescape")


def _fill(case: Case, root: Path, n: int = 6) -> None:
    """Photos, and what passes for some."""
    for i in range(n):
        folder = root / (_name(case) or "x") if case.chance(0.5) else root / f"Person {i}"
        with suppress(OSError, ValueError):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{_name(case)}{i}.jpg"
            kind = case.rng.integers(11)
            if kind < 3:
                path.write_bytes(case.shared)
            elif kind == 3:
                os.mkfifo(path)
            elif kind == 4:
                path.symlink_to(
                    case.pick(["/dev/zero", "/dev/stdin", "/proc/self/mem", "/dev/full"])
                )
            elif kind == 5:
                path.symlink_to(case.outside / "private.key")
            elif kind == 6:
                path.symlink_to(path.name)
            elif kind == 7:
                (folder / f"loop{i}").symlink_to(root, target_is_directory=True)
            elif kind == 8:
                path.mkdir()
            elif kind == 9:
                here = Path.cwd()
                os.chdir(folder)
                try:
                    with closing(socket.socket(socket.AF_UNIX)) as server:
                        server.bind(f"s{i}.jpg")
                finally:
                    os.chdir(here)
            else:
                with path.open("wb") as file:
                    file.truncate(100 << 20)


def listed(case: Case) -> bool:
    """Listed, and each photo read."""
    root = case.folder / "photos"
    root.mkdir()
    _fill(case, root)
    found = list_images([root])
    repr(found)
    for path in found.paths:
        try:
            load_image(path)
        except LineamentError as error:
            case.say(str(error))
    return True


def by_people(case: Case) -> bool:
    """As people's folders: listed by name, and read as a data set."""
    root = case.folder / "photos"
    root.mkdir()
    _fill(case, root, 9)
    for read in (
        lambda: list_folder(root, case.pick(["auto", "folders", "flat"])),
        lambda: read_people(root),
    ):
        try:
            repr(read())
        except LineamentError as error:
            case.say(str(error))
    return True


def enrolled(case: Case) -> bool:
    """Everybody in it enrolled."""
    root = case.folder / "photos"
    root.mkdir()
    _fill(case, root)
    with Gallery.in_memory(recognizer=recognizer()) as gallery:
        try:
            report = enroll_folder(gallery, root)
            case.say(report)
        finally:
            people.use(case, gallery)
    return True


def searched(case: Case) -> bool:
    """The photos that show somebody."""
    root = case.folder / "photos"
    root.mkdir()
    _fill(case, root)
    demo = Path(demo_photos()["obama"]) if isinstance(demo_photos(), dict) else demo_photos()[0]
    found = find_person(demo, root, recognizer=recognizer())
    repr(found)
    return True


def deep(case: Case) -> bool:
    """Hundreds of folders in each other, and a long path."""
    here = Path.cwd()
    os.chdir(case.folder)
    n = int(case.rng.choice([70, 150]))
    try:
        for _ in range(n):
            Path("d" * 50).mkdir()
            os.chdir("d" * 50)
        Path("a.jpg").write_bytes(case.shared)
    finally:
        os.chdir(here)
    found = list_images([case.folder])
    repr(found)
    for path in found.paths:
        load_image(path)
    return True


def many(case: Case) -> bool:
    """Very many names."""
    root = case.folder / "photos"
    root.mkdir()
    for i in range(3000):
        (root / f"Ada_{i:04d}.jpg").touch()
    found = list_images([root])
    case.expect(len(found.paths) == 3000, f"{len(found.paths)} of 3000")
    repr(list_folder(root, "flat"))
    return True


def one_path(case: Case) -> bool:
    """A single path that is no photo."""
    path: Any = case.folder / "a.jpg"
    kind = case.rng.integers(9)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path = Path(case.pick(["/dev/zero", "/dev/random", "/dev/full", "/dev/tty", "/dev/ptmx"]))
    elif kind == 2:
        path.symlink_to("/dev/zero")
    elif kind == 3:
        path = Path(
            case.pick(["/proc/self/mem", "/proc/kmsg", "/proc/self/environ", "/proc/self/fd/0"])
        )
    elif kind == 4:
        path = case.folder
    elif kind == 5:
        path = case.folder / ("x" * 300)
    elif kind == 6:
        path.write_bytes(case.shared)
        path = f"file://{path}{case.pick(['', '?x', '#y', '%00', '%2e%2e'])}"
    elif kind == 7:
        with path.open("wb") as file:
            file.truncate(5 << 30)
    else:
        path = case.folder / _name(case)
    case.say(path)
    load_image(path)
    return True


def patterns(case: Case) -> bool:
    """Patterns that somebody typed."""
    root = case.folder / "photos"
    root.mkdir()
    _fill(case, root)
    pattern = case.pick(
        ["**/*", "[", "*" * 60 + "x", "**/" * 12 + "*.jpg", "?" * 100, "[!]", "{a,b}"]
    )
    for path in list_images([f"{root}/{pattern}"]).paths:
        with suppress(LineamentError):
            load_image(path)
    return True


def _prepare(home: Path, seed: int) -> bytes:
    warm_tables()
    data = encode(draw_face(np.random.default_rng(seed)), "JPEG")
    recognizer().analyze([data])
    _ = recognizer().calibration
    return data


DOOR = Door(
    "folders",
    (listed, by_people, one_path, enrolled, listed, by_people, one_path, patterns, searched, listed)
    * 3
    + (deep, many),
    cases=500,
    bound_mb=450.0,
    prepare=_prepare,
)
