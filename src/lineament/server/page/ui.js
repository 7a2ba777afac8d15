// The parts that all screens are made of.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { t, has } from "./i18n.js";

const PATHS = {
  verify: "M7 4.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM17 4.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM2.5 19c.4-3 2-5 4.5-5s4.1 2 4.5 5M12.5 19c.4-3 2-5 4.5-5s4.1 2 4.5 5",
  identify: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.5 15.5 20.5 20.5M8.5 9.5v.6M12.5 9.5v.6M8.3 12.5c1.3 1.1 3.1 1.1 4.4 0",
  liveness: "M2.5 12h4l2-5 4 10 2.5-6 1.5 3h5",
  anonymize: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM6 9h12v4H6zM10 16.5h4",
  enroll: "M10 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM3.5 20c.5-3.7 3-6 6.5-6 1.3 0 2.5.3 3.5.9M18 14.5v6M15 17.5h6",
  people: "M9 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM3 19.5c.5-3.3 2.8-5.5 6-5.5s5.5 2.2 6 5.5M15.5 5.3a3 3 0 0 1 0 5.5M17.5 14.3c2 .8 3.3 2.7 3.6 5.2",
  groups: "M4 4h6.5v6.5H4zM13.5 4H20v6.5h-6.5zM4 13.5h6.5V20H4zM13.5 13.5H20V20h-6.5z",
  live: "M3 6.5h12v11H3zM15 10.5l6-3.5v10l-6-3.5",
  thresholds: "M4 7h9M17 7h3M15 5v4M4 12h3M11 12h9M9 10v4M4 17h11M19 17h1M17 15v4",
  galleries: "M4 6.5h16v13H4zM7 3.5h10M8.5 16l3-4 2.2 2.7 1.5-1.7 2.3 3",
  keys: "M8 10.5a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM11 12l8.5-8.5M16 7l3 3M18 5l1.5 1.5",
  users: "M12 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM5 20c.6-3.8 3.3-6 7-6s6.4 2.2 7 6",
  audit: "M6 3.5h9l4 4v13H6zM15 3.5v4h4M9 12h7M9 15.5h7M9 8.5h3",
  requests: "M12 3.5 19.5 6v6c0 4.3-3 7.3-7.5 8.5C7.5 19.3 4.5 16.3 4.5 12V6zM9 12l2.2 2.2L15.2 10",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  camera: "M4 7.5h3.5l1.5-2.5h6l1.5 2.5H20v11H4zM12 9.5a3.3 3.3 0 1 0 0 6.6 3.3 3.3 0 0 0 0-6.6Z",
  upload: "M12 15.5V4.5M7.5 8.5 12 4l4.5 4.5M4.5 15.5v4h15v-4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z",
  out: "M14 4.5H5v15h9M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5",
  check: "M4.5 12.5l5 5 10-11",
  warn: "M12 4 21 19.5H3zM12 10v4.5M12 17v.2",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v6M13.5 10.5v6",
  edit: "M4.5 19.5l1-4L16 5l3 3L8.5 18.5zM14 7l3 3",
  merge: "M5 5v3c0 3 2 4 5 4h9M5 19v-3c0-3 2-4 5-4M16 8.5l3.5 3.5-3.5 3.5",
  no: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM6.5 6.5l11 11",
  down: "M12 4.5v11M7.5 11 12 15.5 16.5 11M4.5 19.5h15",
  plus: "M12 5v14M5 12h14",
  left: "M14.5 5.5 8 12l6.5 6.5",
  swap: "M4 9h15M15.5 5.5 19 9l-3.5 3.5M20 15H5M8.5 11.5 5 15l3.5 3.5",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>`;
}

export function Button({ icon, kind = "", busy, children, ...rest }) {
  return html`<button type="button" ...${rest} class=${`button ${kind}`} disabled=${rest.disabled || busy}
    aria-busy=${busy ? "true" : null}>
    ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon && html`<${Icon} name=${icon} />`}
    ${children && html`<span>${children}</span>`}
  </button>`;
}

let counted = 0;
export function useId(prefix = "f") {
  const kept = useRef(null);
  if (kept.current === null) kept.current = `${prefix}${(counted += 1)}`;
  return kept.current;
}

export function Field({ label, hint, error, children, wide }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const attributes = { id, "aria-describedby": described || null, "aria-invalid": error ? "true" : null };
  return html`<div class=${`field ${wide ? "wide" : ""}`}>
    <label for=${id}>${label}</label>
    ${children(attributes)}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

// What a search is for: only people who consented to it are searched. It is taken when it is complete.
export function Purpose({ value, onChange }) {
  return html`<${Field} label=${t("purpose")} hint=${t("purpose.hint")}>${(field) => html`<input ...${field} maxlength="500" value=${value}
    onChange=${(event) => onChange(event.target.value.trim())} />`}<//>`;
}

export function Page({ title, lead, actions, children }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title} · lineament`;
    heading.current.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [title]);
  return html`<div class="page-head">
      <div>
        <h1 tabindex="-1" ref=${heading}>${title}</h1>
        ${lead && html`<p class="lead">${lead}</p>`}
      </div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
    ${children}`;
}

export function Card({ title, children, actions, kind = "" }) {
  return html`<section class=${`card ${kind}`}>
    ${title && html`<div class="card-head"><h2>${title}</h2>${actions}</div>`}
    ${children}
  </section>`;
}

export function Empty({ icon, title, text, children }) {
  return html`<div class="empty">
    <span class="empty-icon"><${Icon} name=${icon} /></span>
    <h2>${title}</h2>
    ${text && html`<p>${text}</p>`}
    ${children && html`<div class="actions">${children}</div>`}
  </div>`;
}

// What a Problem says, in the page's language where it has words for the code.
export function wordsOf(problem) {
  if (problem.code === undefined) return { title: t("problem.error"), text: String(problem.message) };
  const key = `problem.${problem.code}`;
  return {
    title: has(key) ? t(key) : t("problem.error"),
    text: [problem.message === String(problem.status) ? "" : problem.message, problem.hint].filter(Boolean).join(" – "),
  };
}

export function Trouble({ problem, retry }) {
  if (!problem) return null;
  const { title, text } = wordsOf(problem);
  return html`<div class="notice bad" role="alert">
    <${Icon} name="warn" />
    <div><strong>${title}</strong>${text && html`<p lang="en">${text}</p>`}</div>
    ${retry && html`<${Button} kind="quiet" onClick=${retry}>${t("again")}<//>`}
  </div>`;
}

export function Notice({ kind = "", icon = "check", children }) {
  return html`<div class=${`notice ${kind}`} role="status"><${Icon} name=${icon} /><div>${children}</div></div>`;
}

export function Progress({ value, label }) {
  return html`<div class="progress">
    <div class="progress-text"><span>${label}</span></div>
    <progress max="1" value=${value == null ? undefined : value} aria-label=${label}></progress>
  </div>`;
}

export function Loading({ label }) {
  return html`<div class="loading" role="status"><span class="spinner" aria-hidden="true"></span>${label || t("loading")}</div>`;
}

export function Meter({ value, label, text, tone = "" }) {
  const share = Math.max(0, Math.min(1, value ?? 0));
  return html`<div class=${`meter ${tone}`}>
    <span class="meter-label">${label}</span>
    <span class="meter-track" aria-hidden="true"><span style=${{ width: `${share * 100}%` }}></span></span>
    <span class="meter-value">${text}</span>
  </div>`;
}

// A question before something is done that cannot be taken back.
export function Confirm({ title, text, action, danger, onYes, onNo, children }) {
  const dialog = useRef(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const id = useId("d");
  useEffect(() => {
    const element = dialog.current;
    element.showModal();
    return () => element.close();
  }, []);
  const yes = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await onYes();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} aria-labelledby=${id} onCancel=${(event) => { event.preventDefault(); onNo(); }}>
    <form method="dialog" onSubmit=${(event) => { event.preventDefault(); yes(); }}>
      <h2 id=${id}>${title}</h2>
      ${text && html`<p>${text}</p>`}
      ${children}
      <${Trouble} problem=${problem} />
      <div class="actions end">
        <${Button} onClick=${onNo}>${t("cancel")}<//>
        <${Button} type="submit" kind=${danger ? "danger" : "primary"} busy=${busy}>${action}<//>
      </div>
    </form>
  </dialog>`;
}

// Loads something, again whenever one of `inputs` changes; the screen says how far it is.
export function useLoaded(call, inputs) {
  const [state, setState] = useState({ value: null, problem: null, loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let current = true;
    setState((before) => ({ ...before, loading: true, problem: null }));
    Promise.resolve()
      .then(call)
      .then(
        (value) => current && setState({ value, problem: null, loading: false }),
        (problem) => current && problem.name !== "AbortError" &&
          setState((before) => ({ ...before, problem, loading: false })),
      );
    return () => {
      current = false;
    };
  }, [...inputs, round]);
  return { ...state, reload: () => setRound((n) => n + 1) };
}

// Says something to screen readers that is to be seen elsewhere.
export function announce(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}

// On phones each row is a card whose cells have their heads beside them; the roles are said, since
// some browsers take none from a table that is laid out otherwise.
export function Table({ heads, rows, label }) {
  const cell = (content, place) => html`<td role="cell">
    ${typeof heads[place] === "string" && html`<span class="cell-head" aria-hidden="true">${heads[place]}</span>`}
    <div class="cell">${content}</div>
  </td>`;
  return html`<div class="table-wrap" tabindex="0" role="region" aria-label=${label}>
    <table role="table">
      <thead role="rowgroup"><tr role="row">${heads.map((head) => html`<th scope="col" role="columnheader">${head}</th>`)}</tr></thead>
      <tbody role="rowgroup">${rows.map((row) => html`<tr role="row">${row.map(cell)}</tr>`)}</tbody>
    </table>
  </div>`;
}
