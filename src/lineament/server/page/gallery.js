// Which gallery a screen is about: chosen once, kept for the next screen.

import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { get } from "./api.js";
import { t } from "./i18n.js";
import { Empty, Field, Loading, Trouble, useLoaded } from "./ui.js";

function kept() {
  try {
    return localStorage.getItem("gallery");
  } catch {
    return null;
  }
}

export function keep(name) {
  try {
    localStorage.setItem("gallery", name);
  } catch {
    // chosen again on the next screen
  }
}

// Shows `children(name, chooser)` for a gallery, or why there is none.
export function WithGallery({ session, name, children }) {
  const { value, problem, loading, reload } = useLoaded(() => get("/galleries", { limit: 1000 }), []);
  const names = value ? value.galleries.filter((one) => !one.error).map((one) => one.name) : [];
  const [chosen, setChosen] = useState(name || kept());
  const current = names.includes(chosen) ? chosen : names[0];
  useEffect(() => {
    if (name && name !== chosen) setChosen(name);
  }, [name]);
  if (problem) return html`<${Trouble} problem=${problem} retry=${reload} />`;
  if (loading && !value) return html`<${Loading} />`;
  if (!current) {
    return html`<${Empty} icon="galleries" title=${t("gallery.none")} text=${t(session.role === "admin" ? "gallery.none-admin" : "gallery.none-text")}>
      ${session.role === "admin" && html`<a class="button primary" href="#/galleries">${t("galleries.make")}</a>`}
    <//>`;
  }
  const chooser = html`<${Field} label=${t("gallery")}>
    ${(field) => html`<select ...${field} value=${current} onChange=${(event) => { keep(event.target.value); setChosen(event.target.value); }}>
      ${names.map((one) => html`<option value=${one}>${one}</option>`)}
    </select>`}
  <//>`;
  return children(current, chooser);
}
