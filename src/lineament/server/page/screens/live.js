// Cameras that the server watches: pictures with tracks, events as they happen; add and end them.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { address, get, part, post, remove } from "../api.js";
import { has, t } from "../i18n.js";
import { announce, Button, Card, Confirm, Empty, Field, Loading, Page, Purpose, Trouble, useLoaded } from "../ui.js";

const TONE = { live: "good", connecting: "warn", lost: "warn", ended: "bad" };
const SHOWN = ["appeared", "identified", "changed", "left"];
const MOST_EVENTS = 50;
const MOST_PICTURES = 2;

export function Live({ session }) {
  const { value, problem, loading, reload } = useLoaded(() => get("/streams"), []);
  const [adding, setAdding] = useState(false);
  const [ended, setEnded] = useState(null);
  const may = session.role !== "verify";
  const streams = value ? value.streams : [];
  const add = may && html`<${Button} kind="primary" icon="plus" onClick=${() => setAdding(true)}>${t("live.add")}<//>`;
  return html`<${Page} title=${t("live.title")} lead=${t("live.lead")} actions=${streams.length > 0 && add}>
    <${Trouble} problem=${problem} retry=${reload} />
    ${loading && !value && html`<${Loading} />`}
    ${value && streams.length === 0 && html`<${Empty} icon="live" title=${t("live.none")} text=${t("live.none-text")}>${add}<//>`}
    ${streams.map((stream, place) => html`<${Stream} key=${stream.id} stream=${stream} may=${may} first=${place < MOST_PICTURES} onEnd=${() => setEnded(stream)} />`)}
    ${adding && html`<${Add} session=${session} onClose=${() => setAdding(false)} onDone=${() => { setAdding(false); announce(t("live.added")); reload(); }} />`}
    ${ended && html`<${Confirm} danger title=${t("live.end", { name: ended.label || ended.source })} text=${t("live.end-text")} action=${t("live.stop")} onNo=${() => setEnded(null)}
      onYes=${async () => { await remove(`/streams/${part(ended.id)}`); setEnded(null); announce(t("removed")); reload(); }} />`}
  <//>`;
}

function Stream({ stream, may, first, onEnd }) {
  const [events, setEvents] = useState([]);
  const [state, setState] = useState(stream.state);
  const [shown, setShown] = useState(first);
  const path = `/streams/${part(stream.id)}`;
  const name = stream.label || stream.source;
  useEffect(() => {
    // By WebSocket: browsers open few connections of HTTP to one server, and pictures need these.
    let socket = null;
    let last = 0;
    let timer = null;
    let over = false;
    const take = (message) => {
      const event = JSON.parse(message.data);
      last = event.id;
      if (event.kind === "state") setState((before) => event.data.state || before);
      else if (SHOWN.includes(event.kind)) setEvents((before) => [event, ...before].slice(0, MOST_EVENTS));
    };
    const open = () => {
      const scheme = location.protocol === "https:" ? "wss:" : "ws:";
      socket = new WebSocket(`${scheme}//${location.host}${address(`${path}/live`, { after: last })}`);
      socket.addEventListener("message", take);
      socket.addEventListener("close", () => {
        if (!over) timer = setTimeout(open, 3000);
      });
    };
    open();
    return () => {
      over = true;
      clearTimeout(timer);
      socket.close();
    };
  }, [stream.id]);
  return html`<${Card} title=${name} actions=${html`<div class="actions"><span class=${`badge ${TONE[state] || ""}`}>${t(`stream.${state}`)}</span>
      ${may && html`<${Button} kind="small" icon="close" onClick=${onEnd}>${t("live.stop")}<//>`}</div>`}>
    <div class=${`stream ${state}`}>
      ${state === "ended" ? null : may && shown && state === "live" ? html`<${Moving} address=${address(`${path}/preview.mjpeg`)} name=${name} />`
        : html`<div class="stream-picture none">${may && state === "live" && html`<${Button} onClick=${() => setShown(true)}>${t("live.show")}<//>`}</div>`}
      <div class="events"><h3>${t("live.events")}</h3>
        ${events.length === 0 ? html`<p class="hint">${t("live.no-events")}</p>`
          : html`<ul aria-live="polite">${events.map((event) => html`<li key=${event.id}><span class="badge">${has(`event.${event.kind}`) ? t(`event.${event.kind}`) : event.kind}</span>
            <span class="grow">${event.data.name || t("live.unknown", { n: event.data.track_id ?? "" })}</span></li>`)}</ul>`}
      </div>
    </div>
    ${stream.problem && html`<p class="hint" lang="en">${stream.problem.message}</p>`}
    ${(stream.label || stream.gallery) && html`<p class="hint">${[stream.label && stream.source, stream.gallery, stream.purpose && `${t("purpose")}: ${stream.purpose}`].filter(Boolean).join(" · ")}</p>`}
    ${stream.n_left_out > 0 && html`<p class="hint">${t("purpose.left-out", { n: stream.n_left_out })}</p>`}
  <//>`;
}

// Pictures that come one after the other; their connection ends with the element.
function Moving({ address: from, name }) {
  const image = useRef(null);
  useEffect(() => {
    const element = image.current;
    return () => element.removeAttribute("src");
  }, []);
  return html`<img class="stream-picture" ref=${image} src=${from} alt=${t("live.picture", { name })} />`;
}

function Add({ onClose, onDone }) {
  const [url, setUrl] = useState("");
  const [label, setLabel] = useState("");
  const [gallery, setGallery] = useState("");
  const [purpose, setPurpose] = useState("");
  const { value } = useLoaded(() => get("/galleries", { limit: 1000 }), []);
  const names = value ? value.galleries.filter((one) => !one.error).map((one) => one.name) : [];
  const send = async () => {
    await post("/streams", { url: url.trim(), label: label.trim(), ...(gallery ? { gallery, ...(purpose ? { purpose } : {}) } : {}) });
    onDone();
  };
  return html`<${Confirm} title=${t("live.add")} action=${t("live.add")} onNo=${onClose} onYes=${send}>
    <${Field} label=${t("live.url")} hint=${t("live.url-hint")}>${(field) => html`<input ...${field} required inputmode="url" spellcheck="false" value=${url} onInput=${(event) => setUrl(event.target.value)} />`}<//>
    <${Field} label=${t("live.label")}>${(field) => html`<input ...${field} maxlength="100" value=${label} onInput=${(event) => setLabel(event.target.value)} />`}<//>
    <${Field} label=${t("gallery")}>${(field) => html`<select ...${field} value=${gallery} onChange=${(event) => setGallery(event.target.value)}>
      <option value="">${t("live.no-gallery")}</option>${names.map((name) => html`<option value=${name}>${name}</option>`)}</select>`}<//>
    ${gallery && html`<${Purpose} value=${purpose} onChange=${setPurpose} />`}
  <//>`;
}
