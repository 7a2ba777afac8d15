// Photos in: chosen, dropped, pasted or taken by the camera. Faces on them, drawn in a canvas.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { t } from "./i18n.js";
import { Button, Icon, useId } from "./ui.js";

const KINDS = "image/*,.heic,.heif,.avif,.webp,.tif,.tiff";

// A photo as {blob, bitmap, name}; bitmap is null where the browser cannot read what the server can.
export async function photoOf(blob, name) {
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    // HEIC and TIFF: sent as they are, without a preview
  }
  return { blob, bitmap, name: name || blob.name || "photo.jpg" };
}

// Colors on photos: the same in both themes, since photos are.
const TONES = { plain: "#5eead4", good: "#4be3ac", bad: "#ff8674", warn: "#ffcf5c" };
const ON_TONE = "#06231f";

// Draw a photo into a canvas as wide as its place, with boxes: [{box: [l, t, r, b], tone, label, short}].
export function draw(canvas, source, size, boxes, { mirrored = false, shown = canvas.clientWidth || 480 } = {}) {
  const [width, height] = size;
  const scale = Math.min(2, window.devicePixelRatio || 1) * (shown / width);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (source) {
    context.save();
    if (mirrored) {
      context.translate(canvas.width, 0);
      context.scale(-1, 1);
    }
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    context.restore();
  }
  const pixel = canvas.width / shown;
  const faces = boxes.map(({ box, tone, label, short }) => {
    let [left, top, right, bottom] = box.map((value) => value * scale);
    if (mirrored) [left, right] = [canvas.width - right, canvas.width - left];
    return { left, top, right, bottom, label, short, color: TONES[tone] || TONES.plain };
  });
  for (const { left, top, right, bottom, color } of faces) corners(context, left, top, right - left, bottom - top, pixel, color);
  const taken = [];
  for (const face of faces) if (face.label) tag(context, face, faces.filter((other) => other !== face), pixel, taken);
}

function corners(context, x, y, w, h, pixel, stroke) {
  const arm = Math.min(w, h) * 0.28;
  const radius = Math.min(w, h) * 0.1;
  const path = new Path2D();
  for (const [cx, cy, sx, sy] of [[x, y, 1, 1], [x + w, y, -1, 1], [x + w, y + h, -1, -1], [x, y + h, 1, -1]]) {
    path.moveTo(cx, cy + sy * arm);
    path.lineTo(cx, cy + sy * radius);
    path.quadraticCurveTo(cx, cy, cx + sx * radius, cy);
    path.lineTo(cx + sx * arm, cy);
  }
  context.lineCap = "round";
  context.lineWidth = 5 * pixel;
  context.strokeStyle = "rgba(0, 0, 0, 0.45)";
  context.stroke(path);
  context.lineWidth = 2.5 * pixel;
  context.strokeStyle = stroke;
  context.stroke(path);
}

// A label at its box: above, below or beside it, and within only where the box is so large that brow
// or chin alone are hidden; not close to other faces if it can be helped, so that it is clear whose it
// is. Where it would cover a label or a face everywhere, the short one takes its place.
function tag(context, face, others, pixel, taken) {
  const { left: x, top: y, right, bottom, label, short, color } = face;
  context.font = `600 ${12 * pixel}px system-ui, sans-serif`;
  const width = context.measureText(label).width + 12 * pixel;
  const height = 20 * pixel;
  const gap = 5 * pixel;
  const at = (left, top) => ({ left, top, right: left + width, bottom: top + height });
  const level = (wanted) => Math.max(0, Math.min(wanted, context.canvas.width - width));
  const tops = [y - height - gap, bottom + gap];
  if (bottom - y > 5 * height) tops.push(y + 3 * pixel, bottom - height - 3 * pixel);
  const places = [
    ...tops.flatMap((top) => [at(level(x), top), at(level(right - width), top)]),
    at(right + gap, y), at(x - gap - width, y),
  ].filter((one) => one.left >= 0 && one.right <= context.canvas.width && one.top >= 0 && one.bottom <= context.canvas.height);
  const overlap = (a, b, around = 0) => Math.max(0, Math.min(a.right, b.right + around) - Math.max(a.left, b.left - around))
    * Math.max(0, Math.min(a.bottom, b.bottom + around) - Math.max(a.top, b.top - around));
  const free = (place, around) => taken.every((one) => !overlap(place, one)) && others.every((one) => !overlap(place, one, around));
  const clear = places.find((each) => free(each, 2 * gap)) ?? places.find((each) => free(each, 0));
  if (!clear && short && short !== label) return tag(context, { ...face, label: short }, others, pixel, taken);
  const hidden = (place) => [...taken, ...others, face].reduce((sum, one) => sum + overlap(place, one), 0);
  const place = clear ?? places.reduce((best, each) => (best && hidden(best) <= hidden(each) ? best : each), null) ?? at(level(x), 0);
  const { left, top } = place;
  taken.push(place);
  context.fillStyle = color;
  context.beginPath();
  context.roundRect(left, top, width, height, 5 * pixel);
  context.fill();
  context.fillStyle = ON_TONE;
  context.textBaseline = "middle";
  context.fillText(label, left + 6 * pixel, top + height / 2 + pixel);
}

// As wide as its place, and at most `most` pixels high.
export function FacePicture({ photo, boxes = [], alt, most = 440 }) {
  const canvas = useRef(null);
  useEffect(() => {
    if (!photo.bitmap) return undefined;
    const size = [photo.bitmap.width, photo.bitmap.height];
    const redraw = () => {
      const place = canvas.current.parentElement;
      const shown = Math.round(Math.min(place.clientWidth, (most * size[0]) / size[1]));
      canvas.current.style.width = `${shown}px`;
      draw(canvas.current, photo.bitmap, size, boxes, { shown });
    };
    redraw();
    const watcher = new ResizeObserver(redraw);
    watcher.observe(canvas.current.parentElement);
    return () => watcher.disconnect();
  }, [photo, JSON.stringify(boxes)]);
  if (!photo.bitmap) return html`<div class="no-preview"><${Icon} name="galleries" />${photo.name}</div>`;
  return html`<canvas class="picture" ref=${canvas} role="img" aria-label=${alt || photo.name}></canvas>`;
}

// A face cut out of the user's own photo, a little wider than its box.
export function FaceCrop({ photo, box, label, size = 96 }) {
  const canvas = useRef(null);
  useEffect(() => {
    if (!photo.bitmap || !box) return;
    const [left, top, right, bottom] = box;
    const side = Math.max(right - left, bottom - top) * 1.4;
    const scale = Math.min(2, window.devicePixelRatio || 1);
    canvas.current.width = canvas.current.height = Math.round(size * scale);
    canvas.current.getContext("2d").drawImage(photo.bitmap,
      (left + right - side) / 2, (top + bottom - side) / 2, side, side,
      0, 0, canvas.current.width, canvas.current.height);
  }, [photo, JSON.stringify(box), size]);
  return html`<canvas class="crop" ref=${canvas} role="img" aria-label=${label}
    style=${{ width: `${size}px`, height: `${size}px` }}></canvas>`;
}

// The camera: a stream that ends with the component. `onFrame` gets the video, a few times a second.
export function Camera({ onReady, onFrame, everyMs = 400, boxes = [], label }) {
  const video = useRef(null);
  const overlay = useRef(null);
  const [problem, setProblem] = useState(null);
  const frame = useRef(onFrame);
  frame.current = onFrame;
  useEffect(() => {
    let stream = null;
    let ended = false;
    let timer = null;
    const tick = async () => {
      if (ended) return;
      if (frame.current && video.current.videoWidth) {
        try {
          await frame.current(video.current);
        } catch {
          // the screen shows what went wrong
        }
      }
      if (!ended) timer = setTimeout(tick, everyMs);
    };
    const begin = async () => {
      if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
      stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 1280 }, height: { ideal: 960 }, facingMode: "user" }, audio: false,
      });
      if (ended) {
        stream.getTracks().forEach((track) => track.stop());
        return;
      }
      video.current.srcObject = stream;
      await video.current.play();
      if (onReady) onReady(video.current);
      tick();
    };
    begin().catch((error) => !ended && setProblem(error.name));
    return () => {
      ended = true;
      clearTimeout(timer);
      if (stream) stream.getTracks().forEach((track) => track.stop());
    };
  }, []);
  useEffect(() => {
    if (overlay.current && video.current.videoWidth) {
      const { videoWidth, videoHeight } = video.current;
      draw(overlay.current, null, [videoWidth, videoHeight], boxes, { mirrored: true });
    }
  }, [JSON.stringify(boxes)]);
  if (problem) {
    const key = problem === "NotAllowedError" ? "camera.refused" : problem === "NotFoundError" ? "camera.none" : "camera.failed";
    return html`<div class="notice bad" role="alert"><${Icon} name="warn" /><div><strong>${t(key)}</strong>
      <p>${t("camera.remedy")}</p></div></div>`;
  }
  return html`<div class="camera">
    <video ref=${video} playsinline muted aria-label=${label || t("camera.picture")}></video>
    <canvas ref=${overlay} class="overlay" aria-hidden="true"></canvas>
  </div>`;
}

// What the camera shows now, as a JPEG.
export function still(video, { side = 1280, quality = 0.92 } = {}) {
  const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
}

export function CameraDialog({ onTaken, onClose }) {
  const dialog = useRef(null);
  const video = useRef(null);
  const [ready, setReady] = useState(false);
  const id = useId("c");
  useEffect(() => {
    dialog.current.showModal();
    return () => dialog.current && dialog.current.close();
  }, []);
  const take = async () => {
    const blob = await still(video.current);
    onTaken(await photoOf(blob, "camera.jpg"));
  };
  return html`<dialog class="camera-dialog" ref=${dialog} aria-labelledby=${id}
      onCancel=${(event) => { event.preventDefault(); onClose(); }}>
    <h2 id=${id}>${t("camera.take")}</h2>
    <${Camera} onReady=${(element) => { video.current = element; setReady(true); }} />
    <div class="actions end">
      <${Button} onClick=${onClose}>${t("cancel")}<//>
      <${Button} kind="primary" icon="camera" disabled=${!ready} onClick=${take}>${t("camera.shoot")}<//>
    </div>
  </dialog>`;
}

// A place for one photo. Paste goes to the first well of the page that is empty.
const wells = [];
document.addEventListener("paste", (event) => {
  const item = Array.from(event.clipboardData?.items || []).find(({ type }) => type.startsWith("image/"));
  const well = wells.find(({ current }) => current.empty) || wells[0];
  if (!item || !well) return;
  event.preventDefault();
  well.current.take([item.getAsFile()]);
});

export function PhotoWell({ label, photo, onPhoto, boxes, alt, many = false, onPhotos, camera = true }) {
  const id = useId("w");
  const [over, setOver] = useState(false);
  const [shooting, setShooting] = useState(false);
  const input = useRef(null);
  const self = useRef({});
  const take = async (files) => {
    const chosen = Array.from(files).filter(Boolean);
    if (chosen.length === 0) return;
    if (many) onPhotos(await Promise.all(chosen.map((file) => photoOf(file))));
    else onPhoto(await photoOf(chosen[0]));
  };
  self.current = { empty: !photo, take };
  useEffect(() => {
    wells.push(self);
    return () => wells.splice(wells.indexOf(self), 1);
  }, []);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  return html`<div class=${`well ${over ? "over" : ""} ${photo ? "full" : ""}`} role="group" aria-labelledby=${id}
      onDragOver=${(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <div class="well-head"><span class="well-label" id=${id}>${label}</span>
      ${photo && html`<${Button} kind="quiet small" icon="close" onClick=${() => onPhoto(null)} aria-label=${`${t("photo.remove")}: ${label}`} />`}
    </div>
    ${photo
      ? html`<div class="well-picture"><${FacePicture} photo=${photo} boxes=${boxes} alt=${alt} /></div>`
      : html`<div class="well-empty">
          <${Icon} name="upload" />
          <p class="desktop">${t(many ? "photo.drop-many" : "photo.drop")}</p>
          <div class="actions">
            <${Button} onClick=${() => input.current.click()} aria-label=${`${t("photo.choose")}: ${label}`}>${t("photo.choose")}<//>
            ${camera && html`<${Button} icon="camera" onClick=${() => setShooting(true)} aria-label=${`${t("photo.camera")}: ${label}`}>${t("photo.camera")}<//>`}
          </div>
        </div>`}
    <input type="file" ref=${input} accept=${KINDS} multiple=${many} class="hidden-input" tabindex="-1" aria-label=${label}
      onChange=${(event) => { take(event.target.files); event.target.value = ""; }} />
    ${shooting && html`<${CameraDialog} onClose=${() => setShooting(false)}
      onTaken=${(taken) => { setShooting(false); if (many) onPhotos([taken]); else onPhoto(taken); }} />`}
  </div>`;
}
