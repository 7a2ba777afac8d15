"""A self-contained HTML page from plain blocks: text, tables, pictures, faces side by side.

    Section(title, paragraphs, tables, pictures, tiles)  ->  page(title, sections)  ->  bytes

The page refers to nothing outside itself and holds no script, so it can be opened from the disk,
mailed and printed. All text is escaped here: names of people and files may hold anything.
"""

from __future__ import annotations

import base64
import html
import io
import os
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image as PILImage

from lineament.errors import LineamentError
from lineament.images import load_image

THUMBNAIL_PX = 144
"""Longer side of a photo in a tile, as it is shown; it is kept at twice that, for print."""

JPEG_QUALITY = 82

ROWS_BESIDE = 15
"""A single table of no more rows stands beside the first picture, and is about as tall."""

MediaType = Literal["image/svg+xml", "image/png", "image/jpeg"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading.

    Attributes:
        columns: headings.
        rows: cells as text, as many in each row as there are headings.
        caption: what it is about.
        numbers: which columns are numbers, by their places: set flush right.
        marked: which rows stand out, by their places.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numbers: tuple[int, ...] = ()
    marked: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture.

    Attributes:
        data: the file; empty when there is nothing to show, and ``alt`` then says why.
        media_type: what kind of file.
        alt: what it shows, for those who cannot see it.
        caption: beneath it.
    """

    data: bytes
    media_type: MediaType
    alt: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """Photos side by side, with words beneath.

    Attributes:
        pictures: usually two.
        names: of the pictures, each beneath its own.
        text: beneath all of them.
    """

    pictures: tuple[Picture, ...]
    names: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page, in this order: paragraphs, tables, pictures, tiles, faces.

    Attributes:
        title: empty for none.
        paragraphs: text.
        tables: side by side where there is room.
        pictures: side by side where there is room.
        tiles: in rows.
        code: commands, shown as they are.
        level: of the heading: 2, or 3 for a part of the section before.
        faces: small pictures of one size in rows, each with a word beneath, last of all.
        folded: shows the title only until it is clicked; needs a title.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tiles: tuple[Tile, ...] = ()
    code: tuple[str, ...] = ()
    level: Literal[2, 3] = 2
    faces: tuple[Tile, ...] = ()
    folded: bool = False


def page(title: str, sections: Sequence[Section]) -> bytes:
    """Return the page, encoded in UTF-8.

    Args:
        title: of the page and of its first heading.
        sections: from the top.
    """
    body = "\n".join(_section(section) for section in sections)
    text = _PAGE.format(title=escaped(title), style=_STYLE, body=body)
    # Names of files that are not UTF-8 come with lone surrogates, which cannot be encoded.
    return text.encode("utf-8", "replace")


def thumbnail(
    photo: str | os.PathLike[str] | bytes, *, alt: str, size_px: int = THUMBNAIL_PX
) -> Picture:
    """Return a photo as a small JPEG; one that cannot be read as an empty picture saying so.

    Args:
        photo: a file or its bytes.
        alt: what it shows.
        size_px: longer side as shown; the picture has up to twice as many pixels.
    """
    try:
        source = photo if isinstance(photo, bytes) else Path(photo)
        picture = PILImage.fromarray(load_image(source))
    except (LineamentError, OSError, ValueError) as error:
        reason = textwrap.shorten(str(error), 160, placeholder=" …")
        return Picture(b"", "image/jpeg", f"cannot be shown: {reason}")
    picture.thumbnail((2 * size_px, 2 * size_px), PILImage.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return Picture(file.getvalue(), "image/jpeg", alt)


def _section(section: Section) -> str:
    begin, end = ("<details>", "</details>") if section.folded else ("<section>", "</section>")
    lines = [begin]
    if section.title:
        heading = f"<h{section.level}>{escaped(section.title)}</h{section.level}>"
        lines.append(f"<summary>{heading}</summary>" if section.folded else heading)
    lines += [f"<p>{escaped(paragraph)}</p>" for paragraph in section.paragraphs]
    lines += [f"<pre>{escaped(code)}</pre>" for code in section.code]
    tables = list(map(_table, section.tables))
    pictures = list(map(_figure, section.pictures))
    if len(tables) == 1 and pictures and len(section.tables[0].rows) <= ROWS_BESIDE:
        tables, pictures = [], [*tables, *pictures]
    if tables:
        lines += ['<div class="tables">', *tables, "</div>"]
    if pictures:
        lines += ['<div class="pictures">', *pictures, "</div>"]
    if section.tiles:
        lines += ['<div class="tiles">', *map(_tile, section.tiles), "</div>"]
    if section.faces:
        lines += ['<div class="faces">', *map(_tile, section.faces), "</div>"]
    return "\n".join([*lines, end])


def _table(table: Table) -> str:
    def cell(kind: str, place: int, text: str) -> str:
        number = ' class="number"' if place in table.numbers else ""
        scope = ' scope="col"' if kind == "th" else ""
        return f"<{kind}{scope}{number}>{escaped(text)}</{kind}>"

    def row(kind: str, cells: Sequence[str]) -> str:
        return "".join(cell(kind, place, text) for place, text in enumerate(cells))

    caption = f"<caption>{escaped(table.caption)}</caption>" if table.caption else ""
    begin = ("<tr>", '<tr class="marked">')
    rows = "\n".join(
        f"{begin[place in table.marked]}{row('td', cells)}</tr>"
        for place, cells in enumerate(table.rows)
    )
    head = f"<thead><tr>{row('th', table.columns)}</tr></thead>" if any(table.columns) else ""
    return f'<div class="table"><table>{caption}{head}<tbody>\n{rows}\n</tbody></table></div>'


def _figure(picture: Picture) -> str:
    caption = f"<figcaption>{escaped(picture.caption)}</figcaption>" if picture.caption else ""
    return f"<figure>{_picture(picture)}{caption}</figure>"


def _tile(tile: Tile) -> str:
    halves = []
    for place, picture in enumerate(tile.pictures):
        name = tile.names[place] if place < len(tile.names) else ""
        # Names of files hold no spaces: they may be broken after a mark.
        broken = "<wbr>".join(re.split(r"(?<=[_/\\-])", escaped(name)))
        words = f'<span class="name">{broken}</span>' if name else ""
        halves.append(f'<div class="half">{_picture(picture)}{words}</div>')
    text = f"<figcaption>{escaped(tile.text)}</figcaption>" if tile.text else ""
    return f'<figure class="tile"><div class="halves">{"".join(halves)}</div>{text}</figure>'


def _picture(picture: Picture) -> str:
    if not picture.data:
        return f'<div class="missing">{escaped(picture.alt)}</div>'
    data = base64.b64encode(picture.data).decode("ascii")
    return f'<img alt="{escaped(picture.alt)}" src="data:{picture.media_type};base64,{data}">'


_CONTROL = frozenset([*range(9), 11, *range(12, 32), *range(127, 160)])


def escaped(text: str) -> str:
    """Escaped; control characters, which no page may hold, replaced."""
    plain = "".join("\ufffd" if ord(c) in _CONTROL else c for c in text)
    return html.escape(plain)


_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --gray: #5c5c62; --paper: #ffffff;
  --line: #d9d9d6; --mark: #e8f1f8; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #ececea; --gray: #a9a9ad; --paper: #1b1b1d; --line: #45454a; --mark: #22384a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 3rem; max-width: 76rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans",
  "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.3rem; margin: 2.25rem 0 .6rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
p { margin: 0 0 .6rem; max-width: 48rem; }
pre { margin: .6rem 0; padding: .7rem .9rem; border: 1px solid var(--line); border-radius: 6px;
  white-space: pre-wrap; font: .9rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
.tables, .pictures, .tiles { display: flex; flex-wrap: wrap; gap: 1.25rem 2rem; margin: .8rem 0;
  align-items: flex-start; }
.table { max-width: 100%; overflow-x: auto; }
table { border-collapse: collapse; font-size: .95rem; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; }
th, td { text-align: left; padding: .28rem 1.4rem .28rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th { color: var(--gray); font-weight: 600; }
th:last-child, td:last-child { padding-right: .4rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.marked td { background: var(--mark); font-weight: 600; }
figure { margin: 0; break-inside: avoid; }
figcaption { color: var(--gray); font-size: .9rem; line-height: 1.4; margin-top: .35rem; }
.pictures > * { flex: 1 1 30rem; max-width: min(100%, 36.5rem); }
.pictures img { display: block; width: 100%; height: auto; background: #fff; border-radius: 6px;
  border: 1px solid var(--line); }
.tile { width: 21rem; max-width: 100%; }
.halves { display: flex; gap: .5rem; }
.half { flex: 1 1 0; min-width: 0; }
.half img, .missing { display: block; width: 100%; aspect-ratio: 1; border-radius: 6px; }
.half img { object-fit: contain; background: #e6e6e4; }
.missing { display: flex; align-items: center; justify-content: center; padding: .5rem;
  background: #e6e6e4; color: #4a4a4e; font-size: .78rem; line-height: 1.3; text-align: center;
  overflow: hidden; }
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr));
  gap: .7rem .6rem; margin: .6rem 0; }
.faces .tile { width: auto; }
.faces .name, .faces figcaption { font-size: .74rem; line-height: 1.3; margin-top: .15rem; }
details { margin-top: 2.25rem; padding-top: .8rem; border-top: 1px solid var(--line); }
summary { cursor: pointer; margin-bottom: .6rem; }
summary > * { display: inline; border: 0; }
.name { display: block; font-size: .82rem; line-height: 1.3; margin-top: .25rem; }
@media print {
  html { font-size: 9.5pt; }
  body { padding: 0; max-width: none; }
  h2, h3, h3 + p { break-after: avoid; }
  .pictures > * { flex: 0 1 47%; }
  .pictures, .tiles, .tables { gap: .8rem 1rem; }
  .tile { width: 31%; }
  .half img, .missing, tr.marked td { print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  tr { break-inside: avoid; }
}
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
