// Enroll photos of a person: chosen ones, or pictures of the camera with what is wrong said at once.

import { html, useRef, useState } from "../vendor/htm-preact.js";
import { part, upload } from "../api.js";
import { has, percent, reasonOf, t } from "../i18n.js";
import { WithGallery } from "../gallery.js";
import { Camera, FacePicture, photoOf, PhotoWell, still } from "../media.js";
import { announce, Button, Card, Field, Icon, Meter, Notice, Page, Progress, Trouble } from "../ui.js";

export function Enroll({ session, can }) {
  return html`<${Page} title=${t("enroll.title")} lead=${t("enroll.lead")}>
    <${WithGallery} session=${session}>${(gallery, chooser) => html`<${Form} key=${gallery} gallery=${gallery} chooser=${chooser} live=${can("POST /v1/quality")} />`}<//>
  <//>`;
}

function Form({ gallery, chooser, live }) {
  const [name, setName] = useState("");
  const [photos, setPhotos] = useState([]);
  const [options, setOptions] = useState({ choose: false, force: false, accept: false });
  const [filming, setFilming] = useState(false);
  const [state, setState] = useState({});
  const add = (more) => {
    setPhotos((before) => [...before, ...more].slice(0, 100));
    setState({});
  };
  const send = async (event) => {
    event.preventDefault();
    setFilming(false);
    setState({ sent: 0 });
    const fields = photos.map((photo) => ["images", photo.blob]);
    fields.push(["choose", options.choose], ["force", options.force], ["on_low_quality", options.accept ? "accept" : "refuse"]);
    try {
      const path = `/galleries/${part(gallery)}/people/-/samples?name=${encodeURIComponent(name.trim())}`;
      const report = await upload(path, fields, { progress: (sent) => setState({ sent }) });
      setState({ report, photos });
      setPhotos([]);
      announce(t("enroll.done", { n: report.enrolled.length }));
    } catch (problem) {
      setState({ problem });
    }
  };
  const option = (key) => html`<label class="check"><input type="checkbox" checked=${options[key]} onChange=${(event) => setOptions({ ...options, [key]: event.target.checked })} /><span>${t(`enroll.${key}`)}</span></label>`;
  return html`<form onSubmit=${send}>
    <div class="options above">${chooser}
      <${Field} label=${t("enroll.name")}>${(field) => html`<input ...${field} required maxlength="200" autocomplete="off" value=${name} onInput=${(event) => setName(event.target.value)} />`}<//>
    </div>
    <div class="result-grid">
      ${filming
        ? html`<${LiveCamera} live=${live} onTaken=${(photo) => add([photo])} onClose=${() => setFilming(false)} />`
        : html`<div class="stack"><${PhotoWell} many label=${t("enroll.photos")} photo=${null} onPhotos=${add} camera=${false} />
            <${Button} icon="camera" onClick=${() => setFilming(true)}>${t("enroll.camera")}<//></div>`}
      <div>
        ${photos.length > 0
          ? html`<ul class="thumbs">${photos.map((photo, place) => html`<li key=${place}><${Thumb} photo=${photo} />
              <${Button} kind="small" icon="close" aria-label=${`${t("photo.remove")} ${place + 1}`} onClick=${() => setPhotos(photos.filter((one) => one !== photo))} /></li>`)}</ul>`
          : html`<p class="hint">${t("enroll.hint")}</p>`}
        <details class="basis"><summary>${t("options")}</summary>${option("choose")}${option("accept")}${option("force")}</details>
        <div class="actions"><${Button} type="submit" kind="primary" icon="enroll" disabled=${photos.length === 0} busy=${state.sent !== undefined}>${photos.length ? t("enroll.send", { n: photos.length }) : t("enroll.menu")}<//></div>
        ${state.sent !== undefined && html`<${Progress} value=${state.sent < 1 ? state.sent : null} label=${t(state.sent < 1 ? "sending" : "computing")} />`}
        <${Trouble} problem=${state.problem} />
      </div>
    </div>
    ${state.report && html`<${Report} report=${state.report} photos=${state.photos} gallery=${gallery} />`}
  </form>`;
}

function Thumb({ photo }) {
  return html`<div class="thumb"><${FacePicture} photo=${photo} alt=${photo.name} /></div>`;
}

// What the camera shows, judged a few times a second by the server.
function LiveCamera({ live, onTaken, onClose }) {
  const video = useRef(null);
  const [seen, setSeen] = useState(null);
  const look = async (element) => {
    const blob = await still(element, { side: 640, quality: 0.8 });
    const answer = await upload("/quality", [["image", blob]]);
    const scale = element.videoWidth / answer.size_wh[0];
    setSeen({ faces: answer.faces.map((face) => ({ ...face, box: face.box_xyxy.map((value) => value * scale) })) });
  };
  const faces = seen ? seen.faces : [];
  const problems = faces.length === 1 ? faces[0].problems : [];
  const good = faces.length === 1 && problems.length === 0;
  const text = !seen ? t("loading") : faces.length === 0 ? t("problem.no_face") : faces.length > 1 ? t("enroll.several") : good ? t("enroll.good") : t("enroll.poor");
  const take = async () => onTaken(await photoOf(await still(video.current), "camera.jpg"));
  return html`<div class="stack">
    <${Camera} everyMs=${300} onReady=${(element) => { video.current = element; }} onFrame=${live ? look : null}
      boxes=${faces.map((face) => ({ box: face.box, tone: good ? "good" : "warn" }))} />
    <div class=${`notice ${good ? "" : "warn"}`} role="status"><${Icon} name=${good ? "check" : "warn"} />
      <div><strong>${live ? text : t("camera.picture")}</strong>${problems.length > 0 && html`<ul class="plain">${problems.map((problem) => html`<li>${words(problem)}</li>`)}</ul>`}</div></div>
    ${faces.length === 1 && faces[0].quality && html`<${Meter} label=${t("quality.recognizability")} value=${faces[0].quality.recognizability} text=${percent(faces[0].quality.recognizability)} tone=${good ? "" : "warn"} />`}
    <div class="actions"><${Button} kind="primary" icon="camera" onClick=${take}>${t("camera.shoot")}<//><${Button} onClick=${onClose}>${t("enroll.close")}<//></div>
  </div>`;
}

// A problem is a text, or a code with its words.
function words(problem) {
  const code = problem.code || problem;
  return has(`flaw.${code}`) ? t(`flaw.${code}`) : problem.message || problem.text || code;
}

function Report({ report, photos, gallery }) {
  return html`<${Card} title=${t("enroll.report")}>
    ${report.person && html`<${Notice} kind=${report.enrolled.length > 0 ? "" : "warn"} icon=${report.enrolled.length > 0 ? "check" : "warn"}>
      <strong>${t("enroll.done", { n: report.enrolled.length })}</strong>
      <p><a href=${`#/people/${part(gallery)}/${report.person.id}`}>${report.person.name}</a></p><//>`}
    <ul class="report">${report.photos.map((row) => html`<li key=${row.photo}>
      <${Thumb} photo=${photos[row.photo - 1]} />
      <div class="grow"><span class=${`badge ${row.sample ? "good" : "bad"}`}>${t(row.sample ? "enroll.taken" : "enroll.refused")}</span>
        ${row.reason && html`<p>${reasonOf(row.reason)}</p><p class="hint" lang="en">${row.message}</p>`}</div></li>`)}</ul>
    ${(report.notes || []).map((note) => html`<p class="hint" lang="en">${note}</p>`)}
  <//>`;
}
