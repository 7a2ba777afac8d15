// Who is logged in, and another password.

import { html, useState } from "../vendor/htm-preact.js";
import { post } from "../api.js";
import { moment, t } from "../i18n.js";
import { Button, Card, Field, Notice, Page, Trouble } from "../ui.js";

export function Account({ session, onSession }) {
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [state, setState] = useState({});
  const send = async (event) => {
    event.preventDefault();
    setState({ busy: true });
    try {
      onSession(await post("/session/password", { old, new: fresh }));
      setOld("");
      setFresh("");
      setState({ done: true });
    } catch (problem) {
      setState({ problem });
    }
  };
  return html`<${Page} title=${t("account.title")}>
    <${Card} title=${session.user || t("account.link")}>
      <dl class="facts">
        <dt>${t("role")}</dt><dd>${t(`role.${session.role}`)}</dd>
        <dt>${t("galleries")}</dt><dd>${session.galleries.includes("*") ? t("galleries.all") : session.galleries.join(", ")}</dd>
        <dt>${t("account.ends")}</dt><dd>${moment(session.ends)}</dd>
      </dl>
    <//>
    ${session.user && html`<${Card} title=${t("account.password")}>
      <form class="form" onSubmit=${send}>
        <${Field} label=${t("account.old")}>${(field) => html`<input ...${field} type="password" autocomplete="current-password" required value=${old} onInput=${(event) => setOld(event.target.value)} />`}<//>
        <${Field} label=${t("account.new")} hint=${t("user.password-hint")}>${(field) => html`<input ...${field} type="password" autocomplete="new-password" minlength="12" required value=${fresh} onInput=${(event) => setFresh(event.target.value)} />`}<//>
        <${Trouble} problem=${state.problem} />
        ${state.done && html`<${Notice}>${t("account.changed")}<//>`}
        <div class="actions"><${Button} type="submit" kind="primary" busy=${state.busy}>${t("account.change")}<//></div>
      </form>
    <//>`}
  <//>`;
}
