"""A page with a point for each photo, which shows itself beneath the mouse.

The page refers to nothing outside itself. Photos stand in it as sheets of small pictures, JPEG
in data URIs; names come as JSON and are only ever set as text, so they may hold anything.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import ImageOps

from lineament.pictures.pages.page import escaped
from lineament.pictures.plots.faces import Faces
from lineament.types import Float64Array, Image

TILES = ((1_500, 64), (5_000, 48), (20_000, 40))
"""Up to so many photos, the side of a small picture in pixels: the page has 10 MB or so."""

COLUMNS = 64
ROWS = 32
"""Of a sheet: browsers decode pictures of 4,096 pixels everywhere."""

QUALITY = 72


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Small pictures, row by row in sheets of ``COLUMNS`` by ``ROWS``.

    Attributes:
        side_px: of each; 0 when there are none.
        sheets: encoded, JPEG.
        of_faces: they are the aligned faces; otherwise the middle of each photo.
    """

    side_px: int
    sheets: tuple[bytes, ...]
    of_faces: bool

    @classmethod
    def of(cls, faces: Faces) -> Thumbnails:
        """Make them from the crops, or else from the photos; one that is gone stays gray."""
        side = next((px for most, px in TILES if len(faces) <= most), TILES[-1][1])
        tiles: list[Image | None]
        with ThreadPoolExecutor() as pool:
            if faces.crops is not None:
                tiles = list(pool.map(lambda crop: _small(crop, side), faces.crops))
            else:
                tiles = list(pool.map(lambda path: _middle(path, side), faces.paths))
        if all(tile is None for tile in tiles):
            return cls(0, (), False)
        each = COLUMNS * ROWS
        sheets = tuple(
            _sheet(tiles[start : start + each], side) for start in range(0, len(tiles), each)
        )
        return cls(side, sheets, faces.crops is not None)


def _small(crop: Image, side: int) -> Image:
    return np.asarray(PILImage.fromarray(crop).resize((side, side), PILImage.Resampling.BOX))


def _middle(path: Path, side: int) -> Image | None:
    """The middle of a photo; None when it cannot be read (any more)."""
    try:
        with PILImage.open(path) as photo:
            photo.draft("RGB", (2 * side, 2 * side))
            upright = ImageOps.exif_transpose(photo)
            return np.asarray(ImageOps.fit(upright.convert("RGB"), (side, side)))
    except (OSError, ValueError, SyntaxError, PILImage.DecompressionBombError):
        return None


def _sheet(tiles: Sequence[Image | None], side: int) -> bytes:
    columns = min(COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * side, columns * side, 3), 200, np.uint8)
    for k, tile in enumerate(tiles):
        if tile is not None:
            y, x = k // columns * side, k % columns * side
            sheet[y : y + side, x : x + side] = tile
    file = io.BytesIO()
    PILImage.fromarray(sheet).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def hover_page(
    title: str, words: str, xy: Float64Array, faces: Faces, thumbnails: Thumbnails
) -> bytes:
    """Return the page, encoded in UTF-8.

    Args:
        title: of the page.
        words: beneath it.
        xy: (N, 2), -1 to 1, y upwards.
        faces: N.
        thumbnails: of them.
    """
    data: dict[str, Any] = {
        "xy": np.round(xy * 10_000).astype(int).ravel().tolist(),
        "person": faces.person.tolist(),
        "names": list(faces.names),
        "files": list(faces.relative),
        "counts": faces.counts.tolist(),
        "named": faces.named,
        "side": thumbnails.side_px,
        "columns": min(COLUMNS, len(faces)),
        "each": COLUMNS * ROWS,
        "sheets": [
            "data:image/jpeg;base64," + base64.b64encode(sheet).decode("ascii")
            for sheet in thumbnails.sheets
        ],
    }
    if thumbnails.sheets and not thumbnails.of_faces:
        words += " Pointing shows the middle of the photo."
    # Escaped so that no name ends the script, whatever it is.
    script = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    page = Template(_PAGE).substitute(title=escaped(title), words=escaped(words), data=script)
    return page.encode("utf-8", "replace")


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light; --ink: #1c1c1e; --gray: #5c5c62; --line: #d9d9d6; }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem 1.25rem; color: var(--ink); background: #fff; height: 100vh;
  display: flex; flex-direction: column; font: 1rem/1.45 system-ui, -apple-system, "Segoe UI",
  "Noto Sans", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 .25rem; }
p { margin: 0 0 .5rem; color: var(--gray); max-width: 70rem; font-size: .92rem; }
#tools { display: flex; flex-wrap: wrap; gap: .4rem .5rem; align-items: center;
  margin-bottom: .5rem; font-size: .9rem; }
input, button { font: inherit; color: inherit; border: 1px solid var(--line); border-radius: 6px;
  background: #fff; padding: .2rem .6rem; }
button { cursor: pointer; display: inline-flex; align-items: center; gap: .4rem; }
button[aria-pressed="true"] { border-color: var(--ink); background: #e8f1f8; }
button canvas { width: 14px; height: 14px; }
#room { position: relative; flex: 1 1 0; min-height: 20rem; border: 1px solid var(--line);
  border-radius: 6px; overflow: hidden; }
#plane { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: none;
  cursor: crosshair; }
#tip { position: absolute; display: none; pointer-events: none; background: #fff; padding: .45rem;
  border: 1px solid var(--gray); border-radius: 6px; box-shadow: 0 2px 8px #0003; width: 9.4rem;
  font-size: .82rem; line-height: 1.3; }
#tip canvas { display: block; width: 8.4rem; height: 8.4rem; border-radius: 4px;
  margin-bottom: .35rem; }
#tip span { color: var(--gray); display: block; }
@media print { body { height: auto; } #room { height: 16cm; } #tools { display: none; } }
</style>
</head>
<body>
<h1>$title</h1>
<p>$words</p>
<div id="tools"><label>Find a name <input id="find" type="search" autocomplete="off"></label>
<span id="people"></span><button id="whole" type="button">Show all</button>
<span id="said" role="status"></span></div>
<div id="room"><canvas id="plane" role="img" aria-label="$title"></canvas>
<div id="tip"><canvas width="128" height="128"></canvas><b></b><span></span></div></div>
<noscript><p>The points are drawn by a script within this page.</p></noscript>
<script id="data" type="application/json">$data</script>
<script>
"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const N = D.person.length, P = D.names.length;
const colors = ["#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#1c1c1e"];
const plane = document.getElementById("plane"), room = document.getElementById("room");
const tip = document.getElementById("tip"), find = document.getElementById("find");
const said = document.getElementById("said"), pen = plane.getContext("2d");
let chosen = null, scale = 1, dx = 0, dy = 0, width = 1, height = 1, shown = -1;
const sheets = D.sheets.map(uri => { const image = new Image(); image.onload = () => show(shown);
  image.src = uri; return image; });
const order = [...Array(P).keys()].sort((a, b) => D.counts[b] - D.counts[a] || a - b);
const listed = !D.named ? [] : P > 14 ? order.filter(p => D.counts[p] > 1).slice(0, 14) : order;
const rank = new Map(listed.map((p, k) => [p, k]));

function mark(pen, all, x, y, r) {
  const k = all < 0 ? -1 : all % 7;
  pen.beginPath();
  if (k === 1 || k === 6) pen.rect(x - r * .9, y - r * .9, r * 1.8, r * 1.8);
  else if (k === 2 || k === 4) {
    const s = k === 2 ? 1 : -1;
    pen.moveTo(x, y - s * r * 1.2); pen.lineTo(x + r * 1.1, y + s * r * .9);
    pen.lineTo(x - r * 1.1, y + s * r * .9); pen.closePath();
  } else if (k === 3 || k === 5) {
    pen.moveTo(x, y - r * 1.25); pen.lineTo(x + r * 1.25, y); pen.lineTo(x, y + r * 1.25);
    pen.lineTo(x - r * 1.25, y); pen.closePath();
  } else pen.arc(x, y, r, 0, 7);
  if (all < 7) { pen.fill(); return; }
  pen.strokeStyle = pen.fillStyle; pen.lineWidth = Math.max(1.2, r * .4); pen.stroke();
}
function place(i) {
  const size = Math.min(width, height) / 2 - 14, wide = Math.min(width / height, 1.6);
  const tall = Math.min(height / width, 1.6);
  return [width / 2 + dx + D.xy[2 * i] / 1e4 * size * Math.max(wide, 1) * scale,
          height / 2 + dy - D.xy[2 * i + 1] / 1e4 * size * Math.max(tall, 1) * scale];
}
function draw() {
  const ratio = window.devicePixelRatio || 1, box = room.getBoundingClientRect();
  width = Math.max(box.width, 1); height = Math.max(box.height, 1);
  plane.width = width * ratio; plane.height = height * ratio;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const r = Math.max(1.4, Math.min(7, 130 / Math.sqrt(N))) * Math.sqrt(Math.sqrt(scale));
  for (const pass of [0, 1, 2]) for (let i = 0; i < N; i++) {
    const p = D.person[i], k = rank.has(p) ? rank.get(p) : -1;
    const lit = chosen !== null && chosen.has(p);
    if (pass !== (lit ? 2 : k >= 0 ? 1 : 0)) continue;
    const [x, y] = place(i);
    pen.globalAlpha = chosen !== null && !lit ? .18 : 1;
    pen.fillStyle = k >= 0 ? colors[k % 7] : lit ? "#1c1c1e" : "#9a9aa0";
    mark(pen, k, x, y, lit ? r * 1.7 : k >= 0 ? r * 1.3 : r);
  }
  pen.globalAlpha = 1;
  document.body.dataset.points = N;
}
function near(x, y) {
  let best = -1, least = 18 * 18;
  for (let i = 0; i < N; i++) {
    if (chosen !== null && !chosen.has(D.person[i])) continue;
    const [u, v] = place(i), d = (u - x) ** 2 + (v - y) ** 2;
    if (d < least) { least = d; best = i; }
  }
  return best;
}
function show(i) {
  shown = i;
  if (i < 0) { tip.style.display = "none"; return; }
  const [x, y] = place(i), face = tip.querySelector("canvas");
  const sheet = sheets[Math.floor(i / D.each)], k = i % D.each, s = D.side;
  face.style.display = sheet ? "block" : "none";
  if (sheet) face.getContext("2d").drawImage(
    sheet, k % D.columns * s, Math.floor(k / D.columns) * s, s, s, 0, 0, 128, 128);
  tip.querySelector("b").textContent = D.names[D.person[i]];
  tip.querySelector("span").textContent = D.files[i];
  tip.style.display = "block";
  const w = tip.offsetWidth, h = tip.offsetHeight;
  tip.style.left = (x + 14 + w > width ? Math.max(0, x - 14 - w) : x + 14) + "px";
  tip.style.top = Math.max(0, Math.min(height - h, y - h / 2)) + "px";
}
function choose(people, words) {
  chosen = people; said.textContent = words; show(-1); draw();
  for (const b of document.querySelectorAll("#people button"))
    b.setAttribute("aria-pressed", String(chosen !== null && chosen.has(Number(b.dataset.person))));
}
for (const p of listed) {
  const button = document.createElement("button"), sign = document.createElement("canvas");
  button.type = "button"; button.dataset.person = p; button.setAttribute("aria-pressed", "false");
  sign.width = sign.height = 28;
  const c = sign.getContext("2d"); c.fillStyle = colors[rank.get(p) % 7];
  mark(c, rank.get(p), 14, 14, 9);
  button.append(sign, D.names[p] + " (" + D.counts[p] + ")");
  button.onclick = () => button.getAttribute("aria-pressed") === "true" ? choose(null, "")
    : choose(new Set([p]), "");
  document.getElementById("people").append(button, " ");
}
find.oninput = () => {
  const wanted = find.value.trim().toLocaleLowerCase();
  if (!wanted) { choose(null, ""); return; }
  const found = new Set(order.filter(p => D.names[p].toLocaleLowerCase().includes(wanted)));
  let photos = 0; for (const p of found) photos += D.counts[p];
  choose(found, found.size + " of " + P + " names, " + photos + " photos");
};
document.getElementById("whole").onclick = () => {
  scale = 1; dx = dy = 0; find.value = ""; choose(null, "");
};
let drag = null;
plane.onpointerdown = e => {
  drag = [e.clientX - dx, e.clientY - dy]; plane.setPointerCapture(e.pointerId);
};
plane.onpointerup = plane.onpointercancel = () => { drag = null; };
plane.onpointerleave = () => show(-1);
plane.onpointermove = e => {
  if (drag !== null && e.buttons) {
    dx = e.clientX - drag[0]; dy = e.clientY - drag[1]; show(-1); draw(); return;
  }
  show(near(e.offsetX, e.offsetY));
};
plane.addEventListener("wheel", e => {
  e.preventDefault();
  const factor = Math.exp(-e.deltaY * .0015), to = Math.max(1, Math.min(60, scale * factor));
  const x = e.offsetX - width / 2, y = e.offsetY - height / 2, f = to / scale;
  dx = x - (x - dx) * f; dy = y - (y - dy) * f; scale = to;
  if (scale === 1) dx = dy = 0;
  show(-1); draw();
}, { passive: false });
new ResizeObserver(draw).observe(room);
draw();
if (location.hash) show(Number(location.hash.slice(1)) % N);
</script>
</body>
</html>
"""
