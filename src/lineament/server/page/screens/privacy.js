// Consent, export and deletion of one person: on their own screen, and in data requests.

import { html, useState } from "../vendor/htm-preact.js";
import { address, ask, get, put } from "../api.js";
import { day, number, t } from "../i18n.js";
import { announce, Button, Card, Confirm, Field, Icon, Notice, Trouble, useLoaded } from "../ui.js";

export function Privacy({ path, person, session, can, onErased }) {
  if (session.role === "verify" || !can("GET /v1/galleries/{gallery}/people/{person}/consent")) return null;
  return html`<${Consents} path=${path} />
    ${session.role === "admin" && html`<${Requests} path=${path} person=${person} onErased=${onErased} />`}`;
}

function Consents({ path }) {
  const { value, problem, reload } = useLoaded(() => get(`${path}/consent`), [path]);
  const [adding, setAdding] = useState(false);
  const consents = value ? value.consents : [];
  return html`<${Card} title=${t("consent.title")} actions=${html`<${Button} kind="small" icon="plus" onClick=${() => setAdding(true)}>${t("consent.add")}<//>`}>
    <${Trouble} problem=${problem} retry=${reload} />
    ${value && consents.length === 0 && html`<p class="hint">${t("consent.none")}</p>`}
    ${consents.map((consent) => html`<dl class="facts">
      <dt>${t("consent.reference")}</dt><dd>${consent.reference}</dd>
      <dt>${t("consent.purposes")}</dt><dd>${(consent.purposes || []).join(", ")}</dd>
      <dt>${t("consent.given")}</dt><dd>${day(consent.given)}</dd>
      ${consent.expires != null && html`<dt>${t("consent.expires")}</dt><dd>${day(consent.expires)}</dd>`}
    </dl>`)}
    ${value && value.kept_until != null && html`<p class="hint">${t("consent.kept", { date: day(value.kept_until) })}</p>`}
    ${adding && html`<${AddConsent} path=${path} onClose=${() => setAdding(false)} onDone=${() => { setAdding(false); announce(t("saved")); reload(); }} />`}
  <//>`;
}

function AddConsent({ path, onClose, onDone }) {
  const [reference, setReference] = useState("");
  const [purposes, setPurposes] = useState("");
  const [given, setGiven] = useState(new Date().toISOString().slice(0, 10));
  const [end, setEnd] = useState("");
  const seconds = (text) => new Date(`${text}T00:00:00`).getTime() / 1000;
  const send = async () => {
    await put(`${path}/consent`, {
      reference: reference.trim(), purposes: purposes.split(",").map((one) => one.trim()).filter(Boolean),
      given: seconds(given), expires: end ? seconds(end) : null, add: true,
    });
    onDone();
  };
  return html`<${Confirm} title=${t("consent.add")} action=${t("save")} onNo=${onClose} onYes=${send}>
    <${Field} label=${t("consent.reference")} hint=${t("consent.reference-hint")}>${(field) => html`<input ...${field} required value=${reference} onInput=${(event) => setReference(event.target.value)} />`}<//>
    <${Field} label=${t("consent.purposes")} hint=${t("consent.purposes-hint")}>${(field) => html`<input ...${field} required value=${purposes} onInput=${(event) => setPurposes(event.target.value)} />`}<//>
    <${Field} label=${t("consent.given")}>${(field) => html`<input ...${field} type="date" required value=${given} onInput=${(event) => setGiven(event.target.value)} />`}<//>
    <${Field} label=${t("consent.expires")}>${(field) => html`<input ...${field} type="date" value=${end} onInput=${(event) => setEnd(event.target.value)} />`}<//>
  <//>`;
}

function Requests({ path, person, onErased }) {
  const [asking, setAsking] = useState(false);
  const erase = async () => {
    const done = await ask("DELETE", path, { query: { receipt: true } });
    setAsking(false);
    announce(t("erase.done"));
    if (onErased) onErased(done);
    else location.hash = "#/requests";
  };
  return html`<${Card} title=${t("privacy.title")}>
    <p class="hint">${t("privacy.export-text")}</p>
    <div class="actions gap">
      <a class="button" href=${address(`${path}/export`)} download><${Icon} name="down" /><span>${t("privacy.export")}</span></a>
      ${onErased && html`<${Button} kind="danger" icon="trash" onClick=${() => setAsking(true)}>${t("erase.begin")}<//>`}
    </div>
    ${asking && html`<${Confirm} danger title=${t("person.remove", { name: person.name })} text=${t("erase.text")} action=${t("erase.begin")} onNo=${() => setAsking(false)} onYes=${erase} />`}
  <//>`;
}

export function Receipt({ done }) {
  const { receipt } = done;
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 2)], { type: "application/json" }));
    link.download = "receipt.json";
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return html`<${Notice} kind=${receipt.clean ? "" : "bad"} icon=${receipt.clean ? "check" : "warn"}>
    <strong>${t(receipt.clean ? "erase.done" : "erase.left")}</strong>
    <p>${t("erase.samples", { n: number(receipt.n_samples ?? 0, 0) })}</p>
    <div class="actions gap"><${Button} icon="down" onClick=${save}>${t("erase.receipt")}<//></div>
  <//>`;
}
