// Who is in a photo? Every face with its candidates; those that could get no name, and why.

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { part, upload } from "../api.js";
import { fixed, number, percent, reasonOf, t } from "../i18n.js";
import { WithGallery } from "../gallery.js";
import { FaceCrop, PhotoWell } from "../media.js";
import { announce, Button, Card, Confirm, Empty, Field, Page, Progress, Purpose, Trouble } from "../ui.js";

const RATES = [0.1, 0.03, 0.01, 0.003, 0.001];

export function Identify({ session, can }) {
  return html`<${Page} title=${t("identify.title")} lead=${t("identify.lead")}>
    <${WithGallery} session=${session}>${(gallery, chooser) => html`<${Search} key=${gallery} gallery=${gallery} chooser=${chooser}
      rejects=${session.role !== "verify" && can("POST /v1/galleries/{gallery}/people/{person}/reject")} />`}<//>
  <//>`;
}

function Search({ gallery, chooser, rejects }) {
  const [photo, setPhoto] = useState(null);
  const [rate, setRate] = useState("0.01");
  const [purpose, setPurpose] = useState("");
  const [state, setState] = useState({});
  const [round, setRound] = useState(0);
  const reject = async (one, place) => {
    await upload(`/galleries/${part(gallery)}/people/${one.match.person_id}/reject`, [["image", photo.blob], ["face", place]]);
    announce(t("saved"));
    setRound(round + 1);
  };
  useEffect(() => {
    if (!photo) {
      setState({});
      return undefined;
    }
    let current = true;
    setState({ sent: 0 });
    upload(`/galleries/${part(gallery)}/identify`, [["image", photo.blob], ["fpir", rate], ...(purpose ? [["purpose", purpose]] : [])], {
      progress: (sent) => current && setState({ sent }),
    }).then(
      (found) => {
        if (!current) return;
        setState({ found });
        announce(t("identify.done", { n: found.faces.length }));
      },
      (problem) => current && setState({ problem }),
    );
    return () => {
      current = false;
    };
  }, [photo, rate, purpose, round]);
  const { found } = state;
  const boxes = found ? found.faces.map((one, place) => ({
    box: one.face.box_xyxy, tone: one.name ? "good" : "warn", label: one.name || String(place + 1), short: String(place + 1),
  })) : [];
  return html`<div class="options above">${chooser}
      <${Field} label=${t("identify.rate")} hint=${t("identify.rate-hint")}>${(field) => html`<select ...${field} value=${rate} onChange=${(event) => setRate(event.target.value)}>
        ${RATES.map((value) => html`<option value=${String(value)}>${percent(value)}</option>`)}</select>`}<//>
      <${Purpose} value=${purpose} onChange=${setPurpose} />
    </div>
    <div class="result-grid wide-left">
      <${PhotoWell} label=${t("photo")} photo=${photo} onPhoto=${setPhoto} boxes=${boxes} />
      <div>
        ${state.sent !== undefined && html`<${Progress} value=${state.sent < 1 ? state.sent : null} label=${t(state.sent < 1 ? "sending" : "searching")} />`}
        <${Trouble} problem=${state.problem} />
        ${!photo && html`<p class="hint">${t("identify.hint")}</p>`}
        ${found && (found.people_not_searched || []).map((left) => html`<p class="hint">${t("purpose.left-out", { n: left.n_people })}</p>`)}
        ${found && found.faces.length === 0 && html`<${Empty} icon="identify" title=${t("problem.no_face")} />`}
        ${found && found.faces.map((one, place) => html`<${FoundFace} key=${place} one=${one} place=${place} photo=${photo} searched=${!found.not_searched.some((left) => left.face === place)}
          onReject=${rejects && one.name ? () => reject(one, place) : null} />`)}
      </div>
    </div>`;
}

function FoundFace({ one, place, photo, searched, onReject }) {
  const [asking, setAsking] = useState(false);
  const title = one.name || t("identify.nobody");
  return html`<${Card} kind=${`found ${one.name ? "" : "unnamed"}`}>
    <div class="side">
      <${FaceCrop} photo=${photo} box=${one.face.box_xyxy} label=${t("identify.face", { n: place + 1 })} />
      <div class="grow">
        <div class="found-head"><h2><span class="found-number">${place + 1}</span> ${title}</h2>
          <span class=${`badge ${one.name ? "good" : searched ? "warn" : "bad"}`}>${one.name ? percent(one.match.probability) : t(searched ? "identify.open" : "identify.not-searched")}</span></div>
        ${one.reason && html`<p class="hint">${reasonOf(one.reason)} <span lang="en">${one.reason_in_words || ""}</span></p>`}
        ${one.candidates.length > 0 && html`<ol class="candidates">${one.candidates.slice(0, 3).map((candidate) => html`<li>
          <span class="grow">${candidate.name}</span>
          <span class="candidate-track" aria-hidden="true"><span style=${{ width: `${Math.max(0, candidate.similarity) * 100}%` }}></span>
            <i style=${{ left: `${one.threshold.value * 100}%` }}></i></span>
          <span class="candidate-value">${fixed(candidate.similarity)}</span></li>`)}</ol>
          <p class="hint">${t("identify.searched", { n: number(one.n_searched, 0), threshold: fixed(one.threshold.value) })}</p>`}
        ${(one.notes || []).map((note) => html`<p class="hint" lang="en">${note}</p>`)}
        ${onReject && html`<div class="actions"><${Button} kind="small" icon="no" aria-label=${`${t("reject.title")}: ${title}`} onClick=${() => setAsking(true)}>${t("reject.title")}<//></div>`}
      </div>
    </div>
    ${asking && html`<${Confirm} title=${t("reject.ask", { name: title })} text=${t("reject.ask-text")} action=${t("reject.send")} onNo=${() => setAsking(false)} onYes=${async () => { await onReject(); setAsking(false); }} />`}
  <//>`;
}
