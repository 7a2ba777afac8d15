// Who is in a gallery: search, page by page.

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { get, part } from "../api.js";
import { number, t } from "../i18n.js";
import { WithGallery } from "../gallery.js";
import { Button, Empty, Field, Icon, Loading, Page, Trouble } from "../ui.js";
import { OnePerson } from "./person.js";

export function People({ session, place, can }) {
  const [gallery, person] = place.rest;
  if (gallery && person) return html`<${OnePerson} gallery=${gallery} number=${person} session=${session} can=${can} />`;
  return html`<${Page} title=${t("people.title")} lead=${t("people.lead")}
      actions=${session.role !== "verify" && html`<a class="button primary" href="#/enroll"><${Icon} name="enroll" /><span>${t("enroll.menu")}</span></a>`}>
    <${WithGallery} session=${session} name=${gallery}>${(name, chooser) => html`<${List} key=${name} gallery=${name} chooser=${chooser} session=${session} />`}<//>
  <//>`;
}

export function initials(name) {
  const words = name.trim().split(/\s+/);
  return (words[0][0] + (words.length > 1 ? words[words.length - 1][0] : "")).toUpperCase();
}

function List({ gallery, chooser, session }) {
  const [query, setQuery] = useState("");
  const [state, setState] = useState({ people: [], next: null, loading: true });
  const load = async (after, before, signal) => {
    try {
      const page = await get(`/galleries/${part(gallery)}/people`, { q: query.trim(), after, limit: 24 }, signal);
      setState({ people: [...before, ...page.people], next: page.next, all: page.n_people });
    } catch (problem) {
      if (problem.name !== "AbortError") setState({ people: before, next: null, problem });
    }
  };
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(() => load(null, [], controller.signal), query ? 250 : 0);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [query, gallery]);
  const { people, next, problem, loading, all } = state;
  return html`<div class="options above">
      ${chooser}
      <${Field} label=${t("people.search")}>${(field) => html`<input ...${field} type="search" value=${query} onInput=${(event) => setQuery(event.target.value)} />`}<//>
    </div>
    <${Trouble} problem=${problem} />
    ${loading && html`<${Loading} />`}
    ${!loading && !problem && people.length === 0 && html`<${Empty} icon="people" title=${t(query ? "people.nobody-found" : "people.nobody")} text=${query ? "" : t("people.nobody-text")}>
      ${!query && session.role !== "verify" && html`<a class="button primary" href="#/enroll">${t("enroll.menu")}</a>`}<//>`}
    ${people.length > 0 && html`<p class="hint" role="status">${t("people.count", { n: all == null ? people.length : all })}</p>
      <ul class="people">${people.map((person) => html`<li key=${person.id}><a class="person" href=${`#/people/${part(gallery)}/${person.id}`}>
        <span class="avatar" aria-hidden="true">${initials(person.name)}</span>
        <span class="grow"><strong>${person.name}</strong><small>${t("samples.count", { n: person.n_samples })}</small></span>
      </a></li>`)}</ul>`}
    ${next && html`<div class="actions center"><${Button} onClick=${() => load(next, people)}>${t("more")}<//></div>`}`;
}
