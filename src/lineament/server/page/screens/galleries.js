// Galleries: made and deleted by admins.

import { html, useState } from "../vendor/htm-preact.js";
import { get, part, post, remove } from "../api.js";
import { number, t } from "../i18n.js";
import { keep } from "../gallery.js";
import { announce, Button, Card, Confirm, Empty, Field, Loading, Page, Table, Trouble, useLoaded } from "../ui.js";

export function Galleries() {
  const { value, problem, loading, reload } = useLoaded(() => get("/galleries", { limit: 1000 }), []);
  const [making, setMaking] = useState(false);
  const [deleted, setDeleted] = useState(null);
  const found = value ? value.galleries : [];
  const make = html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>${t("galleries.make")}<//>`;
  return html`<${Page} title=${t("galleries.title")} lead=${t("galleries.lead")} actions=${found.length > 0 && make}>
    <${Trouble} problem=${problem} retry=${reload} />
    ${loading && !value && html`<${Loading} />`}
    ${value && found.length === 0 && html`<${Empty} icon="galleries" title=${t("gallery.none")} text=${t("gallery.none-admin")}>${make}<//>`}
    ${found.length > 0 && html`<${Card}><${Table} label=${t("galleries.title")}
      heads=${[t("gallery"), t("people"), t("samples"), t("galleries.recognizer"), t("galleries.crops"), html`<span class="hidden">${t("actions")}</span>`]}
      rows=${found.map((one) => [
        html`<a href=${`#/people/${part(one.name)}`} onClick=${() => keep(one.name)}><strong>${one.name}</strong></a>`,
        one.error ? html`<span class="badge bad" lang="en">${one.error}</span>` : number(one.n_people, 0),
        one.error ? "" : number(one.n_samples, 0),
        html`<span lang="en">${one.recognizer || ""}</span>`,
        one.settings ? t(one.settings.keep_crops ? "yes" : "no") : "",
        html`<div class="row-actions"><${Button} kind="quiet" icon="trash" aria-label=${`${t("remove")}: ${one.name}`} onClick=${() => setDeleted(one)} /></div>`,
      ])} /><//>`}
    ${making && html`<${Make} onClose=${() => setMaking(false)} onDone=${(name) => { keep(name); setMaking(false); announce(t("galleries.made")); reload(); }} />`}
    ${deleted && html`<${Delete} gallery=${deleted} onClose=${() => setDeleted(null)} onDone=${() => { setDeleted(null); announce(t("removed")); reload(); }} />`}
  <//>`;
}

function Make({ onClose, onDone }) {
  const [name, setName] = useState("");
  const [crops, setCrops] = useState(true);
  const send = async () => {
    await post("/galleries", { name: name.trim(), settings: { keep_crops: crops } });
    onDone(name.trim());
  };
  return html`<${Confirm} title=${t("galleries.make")} action=${t("galleries.make")} onNo=${onClose} onYes=${send}>
    <${Field} label=${t("login.name")} hint=${t("galleries.name-hint")}>${(field) => html`<input ...${field} required pattern="[a-z0-9][a-z0-9_\\-]*" maxlength="64" autocomplete="off" spellcheck="false" value=${name} onInput=${(event) => setName(event.target.value)} />`}<//>
    <label class="check"><input type="checkbox" checked=${crops} onChange=${(event) => setCrops(event.target.checked)} /><span>${t("galleries.keep-crops")}</span></label>
    <p class="hint">${t("galleries.keep-crops-hint")}</p>
  <//>`;
}

function Delete({ gallery, onClose, onDone }) {
  const [typed, setTyped] = useState("");
  const send = async () => {
    await remove(`/galleries/${part(gallery.name)}`);
    onDone();
  };
  return html`<${Confirm} danger title=${t("galleries.delete", { name: gallery.name })} text=${t("galleries.delete-text", { n: gallery.n_people ?? 0 })} action=${t("remove")} onNo=${onClose} onYes=${send}>
    <${Field} label=${t("galleries.type", { name: gallery.name })}>${(field) => html`<input ...${field} required pattern=${gallery.name} autocomplete="off" spellcheck="false" value=${typed} onInput=${(event) => setTyped(event.target.value)} />`}<//>
  <//>`;
}
