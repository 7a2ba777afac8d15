"""IJB-B and IJB-C: templates of still photos and frames of videos, 1:1 and 1:N.

Whitelam et al., "IARPA Janus Benchmark-B Face Dataset", CVPRW 2017; Maze et al., "IARPA Janus
Benchmark - C: Face Dataset and Protocol", ICB 2018.

A template is a set of faces of one person. Its faces are averaged within each medium (the frames of
one video are one medium), then over the media; the unit vector of that mean is compared. Two ways
are reported: all faces alike, and each face weighted by the norm of its embedding.

Three layouts are read, all with plain text files; ``b`` is IJB-B and ``c`` IJB-C:

- NIST's: ``protocol/`` (or ``protocols/``) with ``ijbc_1N_gallery_G1.csv``,
  ``ijbc_1N_gallery_G2.csv``, ``ijbc_1N_probe_mixed.csv`` and ``ijbc_11_G1_G2_matches.csv`` (IJB-B:
  S1 and S2 for G1 and G2), or for 1:1 ``ijbc_enroll_templates.csv`` and
  ``ijbc_verif_templates.csv``; photos under ``images/`` or in the folder itself. The tables
  have a heading with TEMPLATE_ID, SUBJECT_ID, FILENAME (or FILE), FACE_X, FACE_Y, FACE_WIDTH and
  FACE_HEIGHT, and usually SIGHTING_ID or MEDIA_ID, the medium. Pairs are lines "ID,ID".
- NIST's newer one: ``protocols/test1/`` with ``enroll_templates.csv``, ``verif_templates.csv`` and
  ``match.csv``, ``protocols/test4/`` with ``gallery_G1.csv``, ``gallery_G2.csv``, ``probes.csv``.
- InsightFace's: ``meta/ijbc_face_tid_mid.txt`` (lines "NAME TEMPLATE MEDIUM"),
  ``meta/ijbc_template_pair_label.txt`` ("TEMPLATE TEMPLATE 0|1"),
  ``meta/ijbc_name_5pts_score.txt`` ("NAME x y x y x y x y x y SCORE") and ``loose_crop/NAME``; for
  1:N also NIST's three tables in ``meta/``.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from lineament.datasets.text import DOWNLOAD, is_file, numbered_lines, read_text
from lineament.errors import DataError, OptionError
from lineament.files import open_regular
from lineament.images import describe_source
from lineament.types import BoolArray, FloatArray, IntArray

Set = Literal["b", "c"]
Protocol = Literal["1:1", "1:N"]
FACE_TO_EYES = 2.2
"""Side of the box around five points over the distance of the eyes: 112 / 35.2 would be the aligned
crop's; a detector's box is somewhat tighter. It only says where to look for the face."""
_SPLITS = {"b": ("S1", "S2"), "c": ("G1", "G2")}
_BOX = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")
_PROTOCOL_FOLDERS = ("protocol", "protocols", "meta", ".")
_IMAGE_FOLDERS = ("images", ".")


@dataclass(frozen=True, eq=False)
class Templates:
    """Faces in templates, as the files list them.

    Attributes:
        folder: what was read.
        paths: N photos, one a face; the same may come several times.
        boxes_xyxy: (N, 4) float32 pixels, where each face is; NaN where the files do not say.
        template: (N,) int64: the place of each face's template in ``ids``.
        medium: (N,) int64: equal numbers within a template are one medium.
        ids: (T,) int64: the templates' ids.
        subject: (T,) int64: the people's ids; -1 where the files do not say.
        media_known: whether the files tell which frames are of one video.
    """

    folder: Path
    paths: tuple[Path, ...]
    boxes_xyxy: FloatArray
    template: IntArray
    medium: IntArray
    ids: IntArray
    subject: IntArray
    media_known: bool


@dataclass(frozen=True, eq=False)
class TemplatePairs:
    """1:1. ``pairs``: (P, 2) int64, places in ``templates.ids``; ``same``: (P,) bool."""

    templates: Templates
    pairs: IntArray
    same: BoolArray


@dataclass(frozen=True, eq=False)
class TemplateSearches:
    """1:N. ``galleries``: name and (G,) int64 places of its templates; ``probes``: (Q,) int64."""

    templates: Templates
    galleries: tuple[tuple[str, IntArray], ...]
    probes: IntArray


def read_ijb(
    folder: str | os.PathLike[str], which: Set, protocol: Protocol
) -> TemplatePairs | TemplateSearches:
    """Read the lists; opens no photo.

    Args:
        folder: in one of the layouts above; for InsightFace's also the folder that holds IJBB and
            IJBC.
        which: "b" or "c".
        protocol: "1:1" or "1:N".

    Raises:
        OptionError: another set or protocol.
        DataError: a file is missing or not laid out as it should be; names file and line.
    """
    if which not in _SPLITS:
        raise OptionError(f"expected b or c, got {which!r}", option="set")
    if protocol not in ("1:1", "1:N"):
        raise OptionError(f"expected 1:1 or 1:N, got {protocol!r}", option="protocol")
    root = Path(folder)
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        raise DataError(
            f"{describe_source(root)}: expected the folder of IJB-{which.upper()}, found {what} "
            "of that name; check the path"
        )
    name = f"ijb{which}"
    for base in (root, root / name.upper()):
        if (base / "meta" / f"{name}_face_tid_mid.txt").is_file():
            return _read_insightface(base, name, which, protocol)
    return _read_nist(root, name, which, protocol)


class _Row(NamedTuple):
    line: int
    template: int
    subject: int
    name: str
    medium: str
    box: tuple[float, float, float, float]


class _Table(NamedTuple):
    file: Path
    rows: list[_Row]
    has_media: bool

    @property
    def templates(self) -> dict[int, int]:
        """Template -> subject, in the order of the file."""
        return {row.template: row.subject for row in self.rows}


def _read_nist(
    root: Path, name: str, which: Set, protocol: Protocol
) -> TemplatePairs | TemplateSearches:
    one, two = _SPLITS[which]
    old = (f"{name}_1N_gallery_{one}.csv", f"{name}_1N_gallery_{two}.csv")
    probes = f"{name}_1N_probe_mixed.csv"
    matches = f"{name}_11_{one}_{two}_matches.csv"
    if protocol == "1:N":
        ways: list[tuple[str, ...]] = [
            (*old, probes),
            ("test4/gallery_G1.csv", "test4/gallery_G2.csv", "test4/probes.csv"),
        ]
    else:
        ways = [
            (*old, probes, matches),
            (f"{name}_enroll_templates.csv", f"{name}_verif_templates.csv", matches),
            ("test1/enroll_templates.csv", "test1/verif_templates.csv", "test1/match.csv"),
        ]
    for way in ways:
        for folder in _PROTOCOL_FOLDERS:
            files = [root / folder / file for file in way]
            if all(file.is_file() for file in files):
                return _nist(root, files, (one, two), protocol)
    raise DataError(
        f"{describe_source(root)}: expected IJB-{which.upper()}'s {', '.join(ways[0])} in "
        f"protocol/ or protocols/ (or InsightFace's meta/{name}_face_tid_mid.txt), found no "
        "complete set; --set says which of IJB-B and IJB-C it is"
    )


def _nist(
    root: Path, files: Sequence[Path], names: tuple[str, str], protocol: Protocol
) -> TemplatePairs | TemplateSearches:
    tables = [_table(file) for file in (files if protocol == "1:N" else files[:-1])]
    templates = _joined(root, tables)
    place = {int(tid): i for i, tid in enumerate(templates.ids)}
    if protocol == "1:N":
        return _identifying(templates, tables, names, place)
    pairs = _places(files[-1], _integers(files[-1], ",", 2), place)
    subject = templates.subject[pairs]
    return _checked(files[-1], TemplatePairs(templates, pairs, subject[:, 0] == subject[:, 1]))


def _identifying(
    templates: Templates,
    tables: Sequence[_Table],
    names: tuple[str, str],
    place: Mapping[int, int],
) -> TemplateSearches:
    galleries = []
    for name, table in zip(names, tables[:2], strict=True):
        people: dict[int, int] = {}
        for row in table.rows:
            if people.setdefault(row.subject, row.template) != row.template:
                raise DataError(
                    f"{table.file}, line {row.line}: expected one template of subject "
                    f"{row.subject} in a gallery, got {people[row.subject]} and {row.template}; "
                    "use the published file"
                )
        galleries.append((name, np.array([place[t] for t in table.templates], np.int64)))
    probes = np.array([place[t] for t in tables[2].templates], np.int64)
    return TemplateSearches(templates, tuple(galleries), probes)


def _joined(root: Path, tables: Sequence[_Table]) -> Templates:
    first: dict[int, int] = {}  # template -> the table that it was read from
    faces: dict[int, list[_Row]] = {}
    for number, table in enumerate(tables):
        mine: dict[int, list[_Row]] = {}
        for row in table.rows:
            mine.setdefault(row.template, []).append(row)
        for template, rows in mine.items():
            if template not in first:
                first[template], faces[template] = number, rows
            elif sorted(row[2:] for row in rows) != sorted(row[2:] for row in faces[template]):
                raise DataError(
                    f"{table.file}, line {rows[0].line}: template {template} has other faces here "
                    f"than in {tables[first[template]].file.name}; use files of one release"
                )
    ids = list(faces)
    images = next(
        (
            root / folder
            for folder in _IMAGE_FOLDERS
            if is_file(root / folder / faces[ids[0]][0].name)
        ),
        None,
    )
    if images is None:
        row = faces[ids[0]][0]
        raise DataError(
            f"{tables[0].file}, line {row.line}: expected the photo {row.name} in {root} or "
            f"{root / 'images'}, found none; unpack the photos there"
        )
    rows = [row for tid in ids for row in faces[tid]]
    marks = {mark: i for i, mark in enumerate(sorted({row.medium for row in rows}))}
    boxes = np.array([row.box for row in rows], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Templates(
        folder=root,
        paths=tuple(images / row.name for row in rows),
        boxes_xyxy=boxes,
        template=np.repeat(np.arange(len(ids)), [len(faces[tid]) for tid in ids]),
        medium=np.array([marks[row.medium] for row in rows], np.int64),
        ids=np.array(ids, np.int64),
        subject=np.array([faces[tid][0].subject for tid in ids], np.int64),
        media_known=all(table.has_media for table in tables),
    )


def _table(file: Path) -> _Table:
    lines = _lines(file)
    rows = csv.reader(text for _, text in lines)
    heading = [cell.strip().upper() for cell in next(rows, [])]
    place = {name: i for i, name in enumerate(heading)}
    if "FILE" in place:
        place.setdefault("FILENAME", place["FILE"])
    needed = ("TEMPLATE_ID", "SUBJECT_ID", "FILENAME", *_BOX)
    lacking = [name for name in needed if name not in place]
    if lacking:
        raise DataError(
            f"{file}, line 1: expected a heading with {', '.join(needed)}, found none of "
            f"{', '.join(lacking)}; use the published file"
        )
    medium = next((place[k] for k in ("MEDIA_ID", "SIGHTING_ID") if k in place), None)
    subject_of: dict[int, int] = {}
    found: list[_Row] = []
    for (number, _), cells in zip(lines[1:], rows, strict=False):
        where = f"{file}, line {number}"
        if len(cells) != len(heading):
            raise DataError(
                f"{where}: expected {len(heading)} columns as in the heading, got {len(cells)}; "
                "the file is cut short or changed, download it again"
            )
        template = _whole(where, cells[place["TEMPLATE_ID"]], "TEMPLATE_ID")
        subject = _whole(where, cells[place["SUBJECT_ID"]], "SUBJECT_ID")
        name = cells[place["FILENAME"]].strip()
        if not name or name.startswith(("/", "\\")) or ".." in Path(name).parts:
            raise DataError(
                f"{where}: expected the path of a photo such as img/1.jpg, got {name!r}"
            )
        if subject_of.setdefault(template, subject) != subject:
            raise DataError(
                f"{where}: expected one subject a template, got {subject_of[template]} and "
                f"{subject} for template {template}"
            )
        box = [cells[place[k]] for k in _BOX]
        unknown = not any(map(str.strip, box))  # some tables of videos have frames without a box
        left, top, width, height = (
            math.nan if unknown else _pixels(where, cell, k)
            for k, cell in zip(_BOX, box, strict=True)
        )
        if width <= 0 or height <= 0:
            raise DataError(
                f"{where}: expected FACE_WIDTH and FACE_HEIGHT above 0, got {width:g} and "
                f"{height:g}"
            )
        mark = name if medium is None or not cells[medium].strip() else cells[medium].strip()
        found.append(_Row(number, template, subject, name, mark, (left, top, width, height)))
    if not found:
        raise DataError(f"{file}: expected lines of faces below the heading, found none")
    return _Table(file, found, medium is not None)


def _read_insightface(
    root: Path, name: str, which: Set, protocol: Protocol
) -> TemplatePairs | TemplateSearches:
    meta = root / "meta"
    media_file = meta / f"{name}_face_tid_mid.txt"
    points_file = meta / f"{name}_name_5pts_score.txt"
    _need(points_file)
    names: list[str] = []
    numbers: list[tuple[int, int]] = []
    for line, text in _lines(media_file):
        cells = text.split()
        where = f"{media_file}, line {line}"
        if len(cells) != 3:
            raise DataError(
                f'{where}: expected "NAME TEMPLATE MEDIUM", got {len(cells)} columns: {text!r:.80}'
            )
        names.append(cells[0])
        numbers.append((_whole(where, cells[1], "template"), _whole(where, cells[2], "medium")))
    boxes: list[tuple[float, float, float, float]] = []
    lines = _lines(points_file)
    if len(lines) != len(names):
        raise DataError(
            f"{points_file}: expected {len(names)} lines, one for each of {media_file.name}, found "
            f"{len(lines)}; the file is cut short or of another release"
        )
    for (line, text), face in zip(lines, names, strict=True):
        where = f"{points_file}, line {line}"
        cells = text.split()
        if len(cells) != 12:
            raise DataError(
                f'{where}: expected "NAME", five points and a score, 12 columns, got {len(cells)}'
            )
        if cells[0] != face:
            raise DataError(
                f"{where}: expected {face} as in {media_file.name}, got {cells[0]!r:.40}; the two "
                "files list the faces in one order"
            )
        points = np.array([_pixels(where, cell, "a coordinate") for cell in cells[1:11]])
        boxes.append(_box_around(points.reshape(5, 2)))
    images = root / "loose_crop"
    if not is_file(images / names[0]):
        raise DataError(
            f"{media_file}, line 1: expected the photo {images / names[0]}, found none; "
            "unpack loose_crop beside meta"
        )
    both = np.array(numbers, np.int64)
    ids, template = np.unique(both[:, 0], return_inverse=True)
    templates = Templates(
        folder=root,
        paths=tuple(images / face for face in names),
        boxes_xyxy=np.array(boxes, np.float32),
        template=template.reshape(-1).astype(np.int64),
        medium=both[:, 1],
        ids=ids,
        subject=np.full(len(ids), -1, np.int64),
        media_known=True,
    )
    place = {int(tid): i for i, tid in enumerate(ids)}
    if protocol == "1:1":
        file = meta / f"{name}_template_pair_label.txt"
        rows = _integers(file, " ", 3)
        pairs = _places(file, rows[:, :2], place)
        wrong = np.flatnonzero(~np.isin(rows[:, 2], (0, 1)))
        if len(wrong):
            raise DataError(
                f"{file}, line {_line_of(file, int(wrong[0]))}: expected the label 0 or 1, got "
                f"{rows[wrong[0], 2]}"
            )
        return _checked(file, TemplatePairs(templates, pairs, rows[:, 2] == 1))
    one, two = _SPLITS[which]
    kinds = (f"gallery_{one}", f"gallery_{two}", "probe_mixed")
    files = [meta / f"{name}_1N_{kind}.csv" for kind in kinds]
    for file in files:
        _need(file)
    tables = [_table(file) for file in files]
    subject = templates.subject
    for table in tables:
        for row in table.rows:
            if row.template not in place:
                raise DataError(
                    f"{table.file}, line {row.line}: expected a template of {media_file.name}, got "
                    f"{row.template}; use files of one release"
                )
            subject[place[row.template]] = row.subject
    return _identifying(templates, tables, (one, two), place)


def _box_around(points_xy: Any) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a box about (5, 2) points."""
    across = math.hypot(*(points_xy[1] - points_xy[0]))
    # On a profile the eyes lie close together; eyes to mouth does not shrink then.
    down = math.hypot(*(points_xy[3:].mean(axis=0) - points_xy[:2].mean(axis=0)))
    half = max(FACE_TO_EYES * max(across, down), 2.0) / 2
    x, y = points_xy.mean(axis=0)
    return float(x - half), float(y - half), float(x + half), float(y + half)


def _need(file: Path) -> None:
    if not file.is_file():
        raise DataError(
            f"{file.parent}: expected {file.name} in this folder, found none; it comes with the "
            "meta files of the release"
        )


def _lines(file: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, each with its number from 1."""
    _need(file)
    lines = numbered_lines(read_text(file, DOWNLOAD))
    if not lines:
        raise DataError(f"{file}: expected lines of text, found an empty file; download it again")
    return lines


def _integers(file: Path, separator: str, columns: int) -> IntArray:
    """(P, columns) int64: millions of lines of whole numbers, without an object for each."""
    _need(file)
    parts: list[IntArray] = []
    try:
        with open_regular(file) as stream:
            while chunk := stream.read(1 << 22):
                chunk += stream.readline()
                parts.append(_parsed(chunk, separator.encode(), columns))
    except (ValueError, OverflowError):
        _blame(file, separator, columns)
    except OSError as error:
        raise DataError(f"{file}: expected a readable file, got: {error.strerror}") from error
    if not parts or not sum(map(len, parts)):
        raise DataError(f"{file}: expected lines of pairs, found an empty file; download it again")
    return np.concatenate(parts)


def _parsed(chunk: bytes, separator: bytes, columns: int) -> IntArray:
    """The numbers of whole lines; ValueError when a line has another form."""
    rows = [row for row in chunk.split(b"\n") if row.strip()]
    cells = chunk.replace(separator, b" ").split()
    regular = all(row.strip().count(separator) == columns - 1 for row in rows)
    if not regular or len(cells) != columns * len(rows):
        raise ValueError
    return np.array(cells, dtype="S20").astype(np.int64).reshape(-1, columns)


def _blame(file: Path, separator: str, columns: int) -> None:
    shown = separator.join(("ID", "ID", "0|1")[:columns])
    for number, text in _lines(file):
        cells = [cell.strip() for cell in text.split(separator)]
        if len(cells) != columns or not all(c.isascii() and c.isdigit() for c in cells):
            raise DataError(
                f'{file}, line {number}: expected "{shown}" in whole numbers, got {text!r:.80}; '
                "the file is cut short or changed, download it again"
            )
    raise DataError(f'{file}: expected lines "{shown}" in whole numbers, got others')


def _line_of(file: Path, row: int) -> int:
    return _lines(file)[row][0]


def _places(file: Path, ids: IntArray, place: Mapping[int, int]) -> IntArray:
    known = np.array(sorted(place), np.int64)
    where = np.array([place[int(tid)] for tid in known], np.int64)
    found = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    wrong = np.argwhere(known[found] != ids)
    if len(wrong):
        row, column = wrong[0].tolist()
        raise DataError(
            f"{file}, line {_line_of(file, row)}: expected a template of the other files, got "
            f"{ids[row, column]}; use files of one release"
        )
    return where[found]


def _checked(file: Path, data: TemplatePairs) -> TemplatePairs:
    if data.same.all() or not data.same.any():
        kind = "one person" if data.same.all() else "two people"
        raise DataError(
            f"{file}: expected pairs of one person and of two, found {len(data.same)} of {kind} "
            "only; the file is cut short or changed"
        )
    return data


def _whole(where: str, text: str, what: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit() and len(stripped) < 16):
        raise DataError(f"{where}: expected {what} as a whole number, got {text!r:.40}")
    return int(stripped)


def _pixels(where: str, text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: expected {what} in pixels, got {text!r:.40}")
    return value
