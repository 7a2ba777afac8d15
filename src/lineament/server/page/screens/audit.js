// What was changed and searched, by whom; whether the log is whole.

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { get } from "../api.js";
import { moment, number, t } from "../i18n.js";
import { announce, Button, Card, Empty, Field, Loading, Notice, Page, Table, Trouble } from "../ui.js";

export function Audit() {
  const [filter, setFilter] = useState({ action: "", actor: "", gallery: "" });
  const [state, setState] = useState({ entries: [], loading: true });
  const [check, setCheck] = useState({});
  const load = async (after, before) => {
    try {
      const page = await get("/audit", { ...filter, newest: true, limit: 50, after });
      setState({ entries: [...before, ...page.entries], next: page.next });
    } catch (problem) {
      setState({ entries: before, problem });
    }
  };
  useEffect(() => {
    const timer = setTimeout(() => load(null, []), 250);
    return () => clearTimeout(timer);
  }, [filter]);
  const verify = async () => {
    setCheck({ busy: true });
    try {
      const report = await get("/audit/verify");
      setCheck({ report });
      announce(t(report.whole ? "audit.whole" : "audit.broken"));
    } catch (problem) {
      setCheck({ problem });
    }
  };
  const { entries, next, problem, loading } = state;
  const field = (name) => html`<${Field} label=${t(`audit.${name}`)}>${(attributes) => html`<input ...${attributes} value=${filter[name]} spellcheck="false" onInput=${(event) => setFilter({ ...filter, [name]: event.target.value.trim() })} />`}<//>`;
  return html`<${Page} title=${t("audit.title")} lead=${t("audit.lead")} actions=${html`<${Button} icon="requests" busy=${check.busy} onClick=${verify}>${t("audit.verify")}<//>`}>
    <${Trouble} problem=${check.problem || problem} />
    ${check.report && html`<${Notice} kind=${check.report.whole ? "" : "bad"} icon=${check.report.whole ? "check" : "warn"}>
      <strong>${t(check.report.whole ? "audit.whole" : "audit.broken")}</strong>
      <p>${t("audit.entries", { n: number(check.report.n_entries, 0) })}${check.report.problem ? html` <span lang="en">${check.report.problem}</span>` : ""}</p><//>`}
    <div class="options above">${field("action")}${field("actor")}${field("gallery")}</div>
    ${loading && html`<${Loading} />`}
    ${!loading && !problem && entries.length === 0 && html`<${Empty} icon="audit" title=${t("audit.none")} />`}
    ${entries.length > 0 && html`<${Card}><${Table} label=${t("audit.title")}
      heads=${[t("audit.when"), t("audit.action"), t("audit.actor"), t("audit.gallery"), t("audit.person"), t("audit.outcome")]}
      rows=${entries.map((entry) => [
        html`<span class="nowrap">${moment(entry.time ?? entry.at)}</span>`, html`<span lang="en">${entry.action}</span>`,
        html`<code>${entry.actor}</code>`, entry.gallery || "–",
        entry.person ? html`<code>${String(entry.person).slice(0, 12)}</code>` : "–",
        html`<span class=${`badge ${entry.outcome === "done" ? "good" : ""}`} lang="en">${entry.outcome || "–"}</span>`,
      ])} /><//>`}
    ${next && html`<div class="actions center"><${Button} onClick=${() => load(next, entries)}>${t("more")}<//></div>`}
  <//>`;
}
