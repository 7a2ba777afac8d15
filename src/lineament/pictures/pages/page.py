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
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Literal

from PIL import Image as PILImage

from lineament.errors import LineamentError
from lineament.images import load_image
from lineament.text import printable

THUMBNAIL_PX = 144
"""Longer side of a photo in a tile, as it is shown; it is kept at twice that, for print."""

JPEG_QUALITY = 82

ROWS_BESIDE = 30
"""A single table of no more rows stands beside the first pictures ..."""

ROWS_OF_ONE = 17
"""... beside the first one if it has no more rows than these, and is about as tall."""

_COMMAND = re.compile(r"`(lineament [^`]*|pip install [^`]*|--[a-z][^`]*)`")
"""What a person types; a name that holds such marks is left as it is."""

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
    """A part of a page, in this order: paragraphs, tables, pictures, tiles, faces, frame.

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
        frame: a whole page, encoded, in a frame of its own: its scripts run, and can reach neither
            this page nor anything outside it.
        frame_title: what the frame shows, for those who cannot see it.
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
    frame: bytes | None = None
    frame_title: str = ""


def page(title: str, sections: Sequence[Section], *, styles: Sequence[str] = ()) -> bytes:
    """Return the page, encoded in UTF-8.

    Args:
        title: of the page and of its first heading.
        sections: from the top.
        styles: names of style sheets of this package that follow ``page.css``.
    """
    framed = any(section.frame is not None for section in sections)
    return filled(
        "page.html",
        title=escaped(title),
        style="\n" + "".join(part_of_page(name) for name in ("page.css", *styles)),
        # A frame inherits the policy: its scripts stand within the page and may load nothing.
        scripts="; script-src 'unsafe-inline'" if framed else "",
        body="\n".join(_section(section) for section in sections),
    )


@lru_cache(maxsize=16)
def part_of_page(name: str) -> str:
    """The text of a template, style sheet or script of this package."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def filled(template: str, **values: str) -> bytes:
    """Fill a template of this package, in UTF-8; the values are HTML, escaped by the caller."""
    text = Template(part_of_page(template)).substitute(values)
    # Names of files that are not UTF-8 come with lone surrogates, which cannot be encoded.
    return text.encode("utf-8", "backslashreplace")


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
    lines += [f"<p>{_words(sentence(paragraph))}</p>" for paragraph in section.paragraphs]
    lines += [f"<pre>{escaped(code)}</pre>" for code in section.code]
    tables = list(map(_table, section.tables))
    pictures = list(map(_figure, section.pictures))
    if len(tables) == 1 and pictures and len(section.tables[0].rows) <= ROWS_BESIDE:
        tables, pictures = [], _beside(tables[0], pictures, len(section.tables[0].rows))
    elif len(pictures) % 2:
        pictures[-1] = _lone(pictures[-1])
    if tables:
        lines += ['<div class="tables">', *tables, "</div>"]
    if pictures:
        lines += ['<div class="pictures">', *pictures, "</div>"]
    if section.tiles:
        lines += ['<div class="tiles">', *map(_tile, section.tiles), "</div>"]
    if section.faces:
        lines += ['<div class="faces">', *map(_tile, section.faces), "</div>"]
    if section.frame is not None:
        inner = html.escape(section.frame.decode("utf-8"), quote=True)
        lines.append(
            f'<iframe class="frame" title="{escaped(section.frame_title)}" '
            f'sandbox="allow-scripts" srcdoc="{inner}"></iframe>'
        )
    return "\n".join([*lines, end])


def sentence(words: str) -> str:
    """Begin with a capital letter, and end with a full stop, as notes in a terminal do not.

    What begins with a name, a path or another word that is not plain letters stays so.
    """
    begins = re.match(r"[a-z]+(?=[ ,:;.-]|$)", words)
    if begins and begins[0] != "lineament":
        words = words[0].upper() + words[1:]
    return words if not words or words[-1] in ".!?:…" else f"{words}."


def _words(text: str) -> str:
    """Escaped, and commands in the letters of commands in place of backticks."""
    return _COMMAND.sub(r"<code>\1</code>", escaped(text))


def _beside(table: str, pictures: list[str], rows: int) -> list[str]:
    """A table on the left, and pictures in the two columns beside and beneath it."""
    tall = rows > ROWS_OF_ONE and len(pictures) > 1
    cells = len(pictures) + (2 if tall else 1)
    if tall:
        table = table.replace('class="table"', 'class="table tall"', 1)
    if cells % 2:
        pictures = [*pictures[:-1], _lone(pictures[-1])]
    return [table, *pictures]


def _lone(figure: str) -> str:
    """The last picture of an odd number stands in the middle."""
    return figure.replace("<figure>", '<figure class="lone">', 1)


def _table(table: Table) -> str:
    def cell(kind: str, place: int, text: str) -> str:
        number = ' class="number"' if place in table.numbers else ""
        scope = ' scope="col"' if kind == "th" else ""
        return f"<{kind}{scope}{number}>{_words(text)}</{kind}>"

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
    text = f"<figcaption>{_words(tile.text)}</figcaption>" if tile.text else ""
    return f'<figure class="tile"><div class="halves">{"".join(halves)}</div>{text}</figure>'


def _picture(picture: Picture) -> str:
    if not picture.data:
        return f'<div class="missing">{escaped(picture.alt)}</div>'
    data = base64.b64encode(picture.data).decode("ascii")
    return f'<img alt="{escaped(picture.alt)}" src="data:{picture.media_type};base64,{data}">'


def escaped(text: str) -> str:
    """Escaped for HTML; what would act or hide in a line is shown by ``text.printable``."""
    return html.escape("\n".join(map(printable, text.split("\n"))))
