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
