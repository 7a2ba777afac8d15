// Keys for programs: made (shown once) and revoked.

import { html, useState } from "../vendor/htm-preact.js";
import { get, part, post, remove } from "../api.js";
import { moment, t } from "../i18n.js";
import { announce, Button, Card, Confirm, Empty, Field, Loading, Notice, Page, Table, Trouble, useLoaded } from "../ui.js";
import { Holder, listed } from "./users.js";

export function Keys() {
  const { value, problem, loading, reload } = useLoaded(() => get("/keys", { limit: 1000 }), []);
  const [making, setMaking] = useState(false);
  const [fresh, setFresh] = useState(null);
  const [revoked, setRevoked] = useState(null);
  const keys = value ? value.keys : [];
  const make = html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>${t("keys.make")}<//>`;
  return html`<${Page} title=${t("keys.title")} lead=${t("keys.lead")} actions=${keys.length > 0 && make}>
    <${Trouble} problem=${problem} retry=${reload} />
    ${fresh && html`<${Fresh} value=${fresh} />`}
    ${loading && !value && html`<${Loading} />`}
    ${value && keys.length === 0 && html`<${Empty} icon="keys" title=${t("keys.none")} text=${t("keys.none-text")}>${make}<//>`}
    ${keys.length > 0 && html`<${Card}><${Table} label=${t("keys.title")}
      heads=${[t("keys.id"), t("keys.label"), t("role"), t("galleries"), t("created"), t("keys.expires"), html`<span class="hidden">${t("actions")}</span>`]}
      rows=${keys.map((key) => [
        html`<code>${key.id}</code>`, key.label, t(`role.${key.role}`),
        key.galleries.includes("*") ? t("galleries.all") : key.galleries.join(", "), moment(key.created),
        moment(key.expires),
        key.revoked || isOver(key) ? html`<div class="row-actions"><span class="badge">${t(key.revoked ? "keys.revoked" : "keys.expired")}</span></div>`
          : html`<div class="row-actions"><${Button} kind="small" onClick=${() => setRevoked(key)} aria-label=${`${t("keys.revoke")} ${key.id}`}>${t("keys.revoke")}<//></div>`,
      ])} /><//>`}
    ${making && html`<${Make} onClose=${() => setMaking(false)} onDone=${(key) => { setMaking(false); setFresh(key); reload(); }} />`}
    ${revoked && html`<${Confirm} danger title=${t("keys.revoke-title", { id: revoked.id })} text=${t("keys.revoke-text")} action=${t("keys.revoke")} onNo=${() => setRevoked(null)}
      onYes=${async () => { await remove(`/keys/${part(revoked.id)}`); setRevoked(null); announce(t("keys.revoked")); reload(); }} />`}
  <//>`;
}

const isOver = (key) => key.expires != null && key.expires * 1000 <= Date.now();

function Fresh({ value }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    setCopied(true);
  };
  return html`<${Notice} icon="keys"><strong>${t("keys.fresh")}</strong><p><code class="secret">${value}</code></p>
    ${navigator.clipboard && html`<${Button} kind="small" onClick=${copy}>${t(copied ? "keys.copied" : "keys.copy")}<//>`}<//>`;
}

function Make({ onClose, onDone }) {
  const [label, setLabel] = useState("");
  const [role, setRole] = useState("verify");
  const [galleries, setGalleries] = useState("");
  const [expires, setExpires] = useState("");
  // A day as it is for whoever looks at the page: its first second.
  const end = () => (expires ? { expires: new Date(`${expires}T00:00`).getTime() / 1000 } : {});
  const send = async () => onDone((await post("/keys", { role, galleries: listed(galleries), label: label.trim(), ...end() })).key);
  return html`<${Confirm} title=${t("keys.make")} action=${t("keys.make")} onNo=${onClose} onYes=${send}>
    <${Field} label=${t("keys.label")} hint=${t("keys.label-hint")}>${(field) => html`<input ...${field} maxlength="200" value=${label} onInput=${(event) => setLabel(event.target.value)} />`}<//>
    <${Holder} role=${role} galleries=${galleries} onRole=${setRole} onGalleries=${setGalleries} />
    <${Field} label=${t("keys.expires")} hint=${t("keys.expires-hint")}>${(field) => html`<input ...${field} type="date" value=${expires} onInput=${(event) => setExpires(event.target.value)} />`}<//>
  <//>`;
}
