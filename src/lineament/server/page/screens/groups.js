// Whose faces are these? Groups of many photos: look through, split, unite, name.

import { html, useState } from "../vendor/htm-preact.js";
import { part, upload } from "../api.js";
import { t } from "../i18n.js";
import { WithGallery } from "../gallery.js";
import { FaceCrop, PhotoWell } from "../media.js";
import { announce, Button, Card, Confirm, Empty, Field, Icon, Page, Progress, Trouble } from "../ui.js";

export function Groups({ session }) {
  const [photos, setPhotos] = useState([]);
  const [state, setState] = useState({});
  const find = async () => {
    setState({ sent: 0 });
    try {
      const found = await upload("/group", [...photos.map((photo) => ["images", photo.blob]), ["min_size", 1]], {
        progress: (sent) => setState({ sent: sent * 0.5 }),
      });
      const boxes = [];
      for (const [place, photo] of photos.entries()) {
        boxes.push(await upload("/detect", [["image", photo.blob]]).then((answer) => answer.faces, () => []));
        setState({ sent: 0.5 + (0.5 * (place + 1)) / photos.length });
      }
      const groups = found.groups.map((group) => ({
        key: group.id,
        faces: group.faces.map((face) => {
          const place = Number(face.source.replace(/\D+/g, "")) - 1;
          const shown = boxes[place] && boxes[place][face.number];
          return { id: `${place}/${face.number}`, photo: photos[place], box: shown && shown.box_xyxy, doubts: face.doubts, probability: face.probability };
        }).filter((face) => face.box),
      })).filter((group) => group.faces.length > 0);
      setState({ groups, unreadable: found.unreadable || [] });
      announce(t("groups.found", { n: groups.length }));
    } catch (problem) {
      setState({ problem });
    }
  };
  const change = (groups) => setState((before) => ({ ...before, groups: groups.filter((group) => group.faces.length > 0) }));
  return html`<${Page} title=${t("groups.title")} lead=${t("groups.lead")}>
    ${!state.groups && html`<div class="result-grid flush">
      <${PhotoWell} many label=${t("groups.photos")} photo=${null} onPhotos=${(more) => setPhotos([...photos, ...more].slice(0, 100))} camera=${false} />
      <div>
        <p class="hint" role="status">${photos.length === 0 ? t("groups.hint") : t("groups.chosen", { n: photos.length })}</p>
        ${photos.length > 0 && html`<ul class="plain names">${photos.slice(0, 12).map((photo) => html`<li>${photo.name}</li>`)}${photos.length > 12 && html`<li>…</li>`}</ul>`}
        <div class="actions gap"><${Button} kind="primary" icon="groups" disabled=${photos.length === 0} busy=${state.sent !== undefined} onClick=${find}>${t("groups.find")}<//>
          ${photos.length > 0 && html`<${Button} onClick=${() => setPhotos([])}>${t("groups.clear")}<//>`}</div>
        ${state.sent !== undefined && html`<${Progress} value=${state.sent} label=${t("groups.working")} />`}
        <${Trouble} problem=${state.problem} />
      </div>
    </div>`}
    ${state.groups && html`<${Review} groups=${state.groups} onChange=${change} session=${session} onAgain=${() => { setPhotos([]); setState({}); }} />`}
  <//>`;
}

function Review({ groups, onChange, session, onAgain }) {
  const [chosen, setChosen] = useState(new Set());
  const [naming, setNaming] = useState(null);
  const toggle = (id) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const split = (target) => {
    const moved = groups.flatMap((group) => group.faces.filter((face) => chosen.has(face.id)));
    const rest = groups.map((group) => ({ ...group, faces: group.faces.filter((face) => !chosen.has(face.id)) }));
    if (target === null) onChange([{ key: `new-${moved[0].id}`, faces: moved }, ...rest]);
    else onChange(rest.map((group) => (group.key === target ? { ...group, faces: [...group.faces, ...moved] } : group)));
    setChosen(new Set());
    announce(t("groups.moved", { n: moved.length }));
  };
  const several = groups.filter((group) => group.faces.length > 1 || group.name);
  const single = groups.filter((group) => group.faces.length === 1 && !group.name);
  const show = (group, place) => html`<${Card} key=${group.key} kind="group">
    <div class="card-head"><h2>${group.name || t("groups.number", { n: place + 1 })}</h2>
      <div class="actions">
        ${chosen.size > 0 && html`<${Button} kind="small" onClick=${() => split(group.key)}>${t("groups.here")}<//>`}
        ${session.role !== "verify" && !group.name && html`<${Button} kind="small" icon="edit" onClick=${() => setNaming(group)} aria-label=${`${t("groups.name")}: ${t("groups.number", { n: place + 1 })}`}>${t("groups.name")}<//>`}
        ${group.name && html`<span class="badge good">${t("groups.enrolled")}</span>`}
      </div></div>
    <ul class="faces">${group.faces.map((face) => html`<li key=${face.id}><button type="button" class="face" aria-pressed=${chosen.has(face.id) ? "true" : "false"} onClick=${() => toggle(face.id)}>
      <${FaceCrop} photo=${face.photo} box=${face.box} size=${88} label=${face.photo.name} />
      ${face.doubts.length > 0 && html`<span class="face-doubt" title=${face.doubts.join(" ")}><${Icon} name="warn" /></span>`}
    </button></li>`)}</ul>
    ${group.faces.some((face) => face.doubts.length > 0) && html`<p class="hint">${t("groups.doubt")}</p>`}
  <//>`;
  return html`<div class="actions bar-actions">
      <p class="grow" role="status">${chosen.size > 0 ? t("groups.selected", { n: chosen.size }) : t("groups.found", { n: several.length })}</p>
      ${chosen.size > 0 && html`<${Button} icon="plus" onClick=${() => split(null)}>${t("groups.split")}<//><${Button} kind="quiet" onClick=${() => setChosen(new Set())}>${t("groups.unselect")}<//>`}
      <${Button} onClick=${onAgain}>${t("groups.again")}<//>
    </div>
    ${groups.length === 0 && html`<${Empty} icon="groups" title=${t("problem.no_face")} />`}
    <div class="groups">${several.map(show)}</div>
    ${single.length > 0 && html`<h2 class="section-title">${t("groups.single")}</h2><div class="groups">${single.map((group, place) => show(group, several.length + place))}</div>`}
    ${naming && html`<${Naming} group=${naming} session=${session} onClose=${() => setNaming(null)}
      onDone=${(name) => { setNaming(null); onChange(groups.map((group) => (group.key === naming.key ? { ...group, name } : group))); }} />`}`;
}

// A face of the user's photo with enough around it to be found again.
function cut(face) {
  const [left, top, right, bottom] = face.box;
  const { width, height } = face.photo.bitmap;
  const side = Math.max(right - left, bottom - top) * 2;
  const x = Math.max(0, (left + right - side) / 2);
  const y = Math.max(0, (top + bottom - side) / 2);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(Math.min(side, width - x));
  canvas.height = Math.round(Math.min(side, height - y));
  canvas.getContext("2d").drawImage(face.photo.bitmap, x, y, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
}

function Naming({ group, session, onClose, onDone }) {
  const [name, setName] = useState("");
  const [report, setReport] = useState(null);
  const send = async (gallery) => {
    const faces = await Promise.all(group.faces.map(cut));
    const path = `/galleries/${part(gallery)}/people/-/samples?name=${encodeURIComponent(name.trim())}`;
    const answer = await upload(path, [...faces.map((face) => ["images", face]), ["choose", true]]);
    announce(t("enroll.done", { n: answer.enrolled.length }));
    if (answer.enrolled.length > 0) onDone(name.trim());
    else setReport(answer);
  };
  return html`<${WithGallery} session=${session}>${(gallery, chooser) => html`<${Confirm} title=${t("groups.name-title", { n: group.faces.length })} action=${t("groups.enroll")} onNo=${onClose} onYes=${() => send(gallery)}>
    ${chooser}
    <${Field} label=${t("enroll.name")}>${(field) => html`<input ...${field} required maxlength="200" autocomplete="off" value=${name} onInput=${(event) => setName(event.target.value)} />`}<//>
    ${report && html`<div class="notice warn" role="alert"><${Icon} name="warn" /><div><strong>${t("enroll.refused")}</strong><p lang="en">${report.refused.map((one) => one.message).join(" ")}</p></div></div>`}
  <//>`}<//>`;
}
