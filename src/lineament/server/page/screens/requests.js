// Requests of people about their data: look, export, erase with a signed receipt; who expired.

import { html, useState } from "../vendor/htm-preact.js";
import { get, part, post } from "../api.js";
import { t } from "../i18n.js";
import { WithGallery } from "../gallery.js";
import { announce, Button, Card, Confirm, Field, Loading, Page, Trouble, useLoaded } from "../ui.js";
import { initials } from "./people.js";
import { Privacy, Receipt } from "./privacy.js";

export function DataRequests({ session, can }) {
  return html`<${Page} title=${t("requests.title")} lead=${t("requests.lead")}>
    <${WithGallery} session=${session}>${(gallery, chooser) => html`<${Choose} key=${gallery} gallery=${gallery} chooser=${chooser} session=${session} can=${can} />`}<//>
  <//>`;
}

function Choose({ gallery, chooser, session, can }) {
  const [query, setQuery] = useState("");
  const [person, setPerson] = useState(null);
  const [done, setDone] = useState(null);
  const [expiring, setExpiring] = useState(false);
  const [expired, setExpired] = useState(null);
  const { value, problem, loading } = useLoaded(
    () => get(`/galleries/${part(gallery)}/people`, { q: query.trim(), limit: 8 }), [gallery, query, done],
  );
  const people = value ? value.people : [];
  const expire = async () => {
    const { receipts } = await post(`/galleries/${part(gallery)}/expire`, {});
    setExpiring(false);
    setExpired(receipts.length);
    announce(t("expire.done", { n: receipts.length }));
  };
  return html`<div class="options above">${chooser}
      <${Field} label=${t("people.search")}>${(field) => html`<input ...${field} type="search" value=${query} onInput=${(event) => { setQuery(event.target.value); setPerson(null); }} />`}<//></div>
    <${Trouble} problem=${problem} />
    ${done && html`<${Receipt} done=${done} />`}
    ${loading && !value && html`<${Loading} />`}
    ${!person && value && (people.length === 0 ? html`<p class="hint">${t("people.nobody-found")}</p>`
      : html`<ul class="people">${people.map((one) => html`<li key=${one.id}><button type="button" class="person" onClick=${() => { setPerson(one); setDone(null); }}>
        <span class="avatar" aria-hidden="true">${initials(one.name)}</span><span class="grow"><strong>${one.name}</strong><small>${t("samples.count", { n: one.n_samples })}</small></span></button></li>`)}</ul>`)}
    ${person && html`<div class="stack"><div class="bar"><h2>${person.name}</h2><${Button} kind="small" onClick=${() => setPerson(null)}>${t("requests.another")}<//></div>
      <${Privacy} path=${`/galleries/${part(gallery)}/people/${person.id}`} person=${person} session=${session} can=${can}
        onErased=${(answer) => { setDone(answer); setPerson(null); }} /></div>`}
    ${!person && html`<${Card} title=${t("expire.title")} kind="gap">
      <p class="hint">${t("expire.text")}</p>
      ${expired !== null && html`<p role="status">${t("expire.done", { n: expired })}</p>`}
      <div class="actions gap"><${Button} icon="trash" onClick=${() => setExpiring(true)}>${t("expire.begin")}<//></div>
    <//>`}
    ${expiring && html`<${Confirm} danger title=${t("expire.title")} text=${t("expire.text")} action=${t("expire.begin")} onNo=${() => setExpiring(false)} onYes=${expire} />`}`;
}
