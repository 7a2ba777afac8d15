// One person: samples with their faces; rename, merge, remove; is it them?

import { html, useState } from "../vendor/htm-preact.js";
import { address, get, part, patch, post, remove, upload } from "../api.js";
import { moment, number, percent, t } from "../i18n.js";
import { Basis, Probability, Reasons, ScoreAxis, TONE, Verdict } from "../decision.js";
import { PhotoWell } from "../media.js";
import { announce, Button, Card, Confirm, Empty, Field, Icon, Loading, Page, Progress, Purpose, Trouble, useLoaded } from "../ui.js";
import { Privacy } from "./privacy.js";

export function OnePerson({ gallery, number: id, session, can }) {
  const path = `/galleries/${part(gallery)}/people/${part(id)}`;
  const { value: person, problem, loading, reload } = useLoaded(() => get(path), [path]);
  const [dialog, setDialog] = useState(null);
  const mayChange = session.role !== "verify";
  const close = () => setDialog(null);
  const done = (text) => {
    close();
    announce(text);
    reload();
  };
  if (!person) {
    return html`<${Page} title=${t("person.title")}><${Trouble} problem=${problem} retry=${reload} />${loading && html`<${Loading} />`}<//>`;
  }
  const actions = mayChange && html`
    <${Button} icon="edit" onClick=${() => setDialog("rename")}>${t("person.rename")}<//>
    <${Button} icon="merge" onClick=${() => setDialog("merge")}>${t("person.merge")}<//>
    <${Button} icon="trash" onClick=${() => setDialog("remove")}>${t("remove")}<//>`;
  return html`<p class="crumb"><a href=${`#/people/${part(gallery)}`}><${Icon} name="left" />${t("people.title")} · ${gallery}</a></p>
    <${Page} title=${person.name} lead=${`${t("samples.count", { n: person.n_samples })} · ${t("person.since", { date: moment(person.created) })}`} actions=${actions}>
      <${Card} title=${t("samples")}>
        ${person.samples.length === 0
          ? html`<${Empty} icon="enroll" title=${t("samples.none")} text=${t("samples.none-text")} />`
          : html`<ul class="samples">${person.samples.map((sample) => html`<${Sample} key=${sample.id} gallery=${gallery} sample=${sample} session=${session} onRemove=${() => setDialog(sample)} />`)}</ul>`}
      <//>
      <${Metadata} path=${path} person=${person} mayChange=${mayChange} onDone=${() => done(t("saved"))} />
      ${can("POST /v1/galleries/{gallery}/people/{person}/reject") && mayChange && html`<${NotThem} gallery=${gallery} path=${path} />`}
      ${can("POST /v1/galleries/{gallery}/people/{person}/verify") && person.samples.length > 0 && html`<${IsItThem} path=${path} name=${person.name} />`}
      <${Privacy} path=${path} person=${person} session=${session} can=${can} gallery=${gallery} />
      ${dialog === "rename" && html`<${Rename} path=${path} person=${person} onClose=${close} onDone=${() => done(t("saved"))} />`}
      ${dialog === "merge" && html`<${Merge} gallery=${gallery} path=${path} person=${person} onClose=${close} onDone=${() => done(t("person.merged"))} />`}
      ${dialog === "remove" && html`<${Confirm} danger title=${t("person.remove", { name: person.name })} text=${t("person.remove-text")} action=${t("remove")} onNo=${close}
        onYes=${async () => { await remove(path); announce(t("removed")); location.hash = `#/people/${part(gallery)}`; }} />`}
      ${dialog && dialog.id && html`<${Confirm} danger title=${t("samples.remove")} text=${t("samples.remove-text")} action=${t("remove")} onNo=${close}
        onYes=${async () => { await remove(`/galleries/${part(gallery)}/samples/${dialog.id}`); done(t("removed")); }} />`}
    <//>`;
}

function Sample({ gallery, sample, session, onRemove }) {
  const seen = sample.has_crop && session.role !== "verify";
  const quality = sample.quality || {};
  return html`<li class="sample">
    ${seen
      ? html`<img src=${address(`/galleries/${part(gallery)}/samples/${sample.id}/crop`)} alt=${t("samples.face", { n: sample.id })} width="112" height="112" loading="lazy" />`
      : html`<span class="sample-none"><${Icon} name="users" /></span>`}
    <span class="sample-text"><strong>${quality.recognizability == null ? t("samples.number", { n: sample.id }) : percent(quality.recognizability)}</strong>
      <small>${quality.size_px == null ? "" : `${number(quality.size_px, 0)} px`}</small><small>${moment(sample.added)}</small></span>
    ${session.role !== "verify" && html`<${Button} kind="quiet small" icon="trash" aria-label=${`${t("samples.remove")} ${sample.id}`} onClick=${onRemove} />`}
  </li>`;
}

function Rename({ path, person, onClose, onDone }) {
  const [name, setName] = useState(person.name);
  return html`<${Confirm} title=${t("person.rename")} action=${t("save")} onNo=${onClose} onYes=${async () => { await patch(path, { name: name.trim() }); onDone(); }}>
    <${Field} label=${t("login.name")}>${(field) => html`<input ...${field} required value=${name} onInput=${(event) => setName(event.target.value)} />`}<//>
  <//>`;
}

function Merge({ gallery, path, person, onClose, onDone }) {
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState([]);
  const { value } = useLoaded(() => get(`/galleries/${part(gallery)}/people`, { q: query.trim(), limit: 20 }), [query]);
  const others = value ? value.people.filter((one) => one.id !== person.id) : [];
  const toggle = (id) => setChosen((before) => (before.includes(id) ? before.filter((one) => one !== id) : [...before, id]));
  return html`<${Confirm} title=${t("person.merge-title", { name: person.name })} text=${t("person.merge-text")} action=${t("person.merge")} onNo=${onClose}
      onYes=${async () => { if (chosen.length > 0) { await post(`${path}/merge`, { others: chosen }); onDone(); } else onClose(); }}>
    <${Field} label=${t("people.search")}>${(field) => html`<input ...${field} type="search" value=${query} onInput=${(event) => setQuery(event.target.value)} />`}<//>
    <fieldset class="choices"><legend class="hidden">${t("people")}</legend>
      ${others.length === 0 && html`<p class="hint">${t("people.nobody-found")}</p>`}
      ${others.map((one) => html`<label class="check" key=${one.id}><input type="checkbox" checked=${chosen.includes(one.id)} onChange=${() => toggle(one.id)} /><span>${one.name} <small class="hint">${t("samples.count", { n: one.n_samples })}</small></span></label>`)}
    </fieldset>
  <//>`;
}

function Metadata({ path, person, mayChange, onDone }) {
  const entries = Object.entries(person.metadata);
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const [problem, setProblem] = useState(null);
  const change = async (metadata) => {
    setProblem(null);
    try {
      await patch(path, { metadata });
      setKey("");
      setValue("");
      onDone();
    } catch (error) {
      setProblem(error);
    }
  };
  if (!mayChange && entries.length === 0) return null;
  return html`<${Card} title=${t("metadata")}>
    ${entries.length === 0 && html`<p class="hint">${t("metadata.none")}</p>`}
    <dl class="facts">${entries.map(([name, held]) => html`<dt>${name}</dt><dd class="split"><span>${typeof held === "object" ? JSON.stringify(held) : String(held)}</span>
      ${mayChange && html`<${Button} kind="quiet small" icon="close" aria-label=${`${t("remove")}: ${name}`} onClick=${() => change({ [name]: null })} />`}</dd>`)}</dl>
    <${Trouble} problem=${problem} />
    ${mayChange && html`<form class="inline-form" onSubmit=${(event) => { event.preventDefault(); change({ [key.trim()]: value }); }}>
      <${Field} label=${t("metadata.key")}>${(field) => html`<input ...${field} required value=${key} onInput=${(event) => setKey(event.target.value)} />`}<//>
      <${Field} label=${t("metadata.value")}>${(field) => html`<input ...${field} required value=${value} onInput=${(event) => setValue(event.target.value)} />`}<//>
      <${Button} type="submit">${t("add")}<//>
    </form>`}
  <//>`;
}

function IsItThem({ path, name }) {
  const [photo, setPhoto] = useState(null);
  const [purpose, setPurpose] = useState("");
  const [state, setState] = useState({});
  const take = (chosen, wanted = purpose) => {
    setPhoto(chosen);
    if (!chosen) {
      setState({});
      return;
    }
    setState({ sent: 0 });
    upload(`${path}/verify`, [["image", chosen.blob], ...(wanted ? [["purpose", wanted]] : [])], { progress: (sent) => setState({ sent }) }).then(
      (decision) => {
        setState({ decision });
        announce(t(`verdict.${decision.verdict}`));
      },
      (problem) => setState({ problem }),
    );
  };
  const { decision } = state;
  const face = decision && decision.a.face;  // b is the sample that is most alike
  return html`<${Card} title=${t("person.verify", { name })}>
    <div class="options above"><${Purpose} value=${purpose} onChange=${(wanted) => { setPurpose(wanted); if (photo) take(photo, wanted); }} /></div>
    <div class="result-grid flush">
      <${PhotoWell} label=${t("photo")} photo=${photo} onPhoto=${(chosen) => take(chosen)} boxes=${face ? [{ box: face.box_xyxy, tone: TONE[decision.verdict] }] : []} />
      <div>
        ${state.sent !== undefined && html`<${Progress} value=${state.sent < 1 ? state.sent : null} label=${t(state.sent < 1 ? "sending" : "computing")} />`}
        <${Trouble} problem=${state.problem} />
        ${!decision && !state.problem && state.sent === undefined && html`<p class="hint">${t("person.verify-text")}</p>`}
        ${decision && html`<${Verdict} verdict=${decision.verdict} />
          <${ScoreAxis} score=${decision.score} threshold=${decision.threshold} />
          <${Probability} certainty=${decision.certainty} /><${Reasons} reasons=${decision.reasons} />
          <${Basis} threshold=${decision.threshold} contract=${decision.contract} explanation=${decision.explanation} />`}
      </div>
    </div>
  <//>`;
}

// Faces of others who were taken for this person: a search does not give these the name again.
function NotThem({ gallery, path }) {
  const { value, problem, reload } = useLoaded(() => get(`${path}/rejections`, { limit: 1000 }), [path]);
  const [photo, setPhoto] = useState(null);
  const [state, setState] = useState({});
  const send = async () => {
    setState({ busy: true });
    try {
      await upload(`${path}/reject`, [["image", photo.blob]]);
      setPhoto(null);
      setState({});
      announce(t("saved"));
      reload();
    } catch (error) {
      setState({ problem: error });
    }
  };
  const forget = async (one) => {
    try {
      await remove(`/galleries/${part(gallery)}/rejections/${one.id}`);
      announce(t("removed"));
      reload();
    } catch (error) {
      setState({ problem: error });
    }
  };
  const found = value ? value.rejections : [];
  return html`<${Card} title=${t("reject.title")}>
    <p class="hint">${t("reject.text")}</p>
    <${Trouble} problem=${problem || state.problem} />
    ${found.length > 0 && html`<ul class="plain rows" aria-label=${t("reject.count", { n: found.length })}>${found.map((one) => html`<li key=${one.id} class="split"><span>${t("reject.one", { n: one.id })} <small class="hint">${moment(one.added)}</small></span>
      <${Button} kind="quiet small" icon="trash" aria-label=${`${t("remove")}: ${t("reject.one", { n: one.id })}`} onClick=${() => forget(one)} /></li>`)}</ul>`}
    <details class="basis"><summary>${t("reject.add")}</summary>
      <div class="narrow"><${PhotoWell} label=${t("reject.photo")} photo=${photo} onPhoto=${setPhoto} />
      <div class="actions gap"><${Button} kind="primary" icon="no" disabled=${!photo} busy=${state.busy} onClick=${send}>${t("reject.send")}<//></div></div>
    </details>
  <//>`;
}
