// Log in by name and password, or by the link that the server printed.

import { html, useState } from "../vendor/htm-preact.js";
import { ask, post, useCsrf } from "../api.js";
import { t } from "../i18n.js";
import { Button, Field, Trouble } from "../ui.js";

export function Login({ onLogin, problem: before, ended }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [state, setState] = useState({ problem: before });
  const send = async (event) => {
    event.preventDefault();
    setState({ busy: true });
    try {
      onLogin(await ask("POST", "/session", { json: { name: name.trim().toLowerCase(), password } }));
    } catch (problem) {
      setState({ problem: problem.code === "unauthorized" ? { ...problem, message: "", code: "wrong_password", hint: "" } : problem });
    }
  };
  return html`<main class="login" id="main">
    <form class="card login-card" onSubmit=${send}>
      <img src=${new URL("../icon.svg", import.meta.url)} alt="" width="48" height="48" />
      <h1 tabindex="-1">${t("login.title")}</h1>
      <p class="lead">${t("login.lead")}</p>
      ${ended && !state.problem && html`<p class="notice warn" role="status">${t("login.ended")}</p>`}
      <${Trouble} problem=${state.problem} />
      <${Field} label=${t("login.name")}>${(field) => html`<input ...${field} autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus
        value=${name} onInput=${(event) => setName(event.target.value)} />`}<//>
      <${Field} label=${t("login.password")}>${(field) => html`<input ...${field} type="password" autocomplete="current-password" required
        value=${password} onInput=${(event) => setPassword(event.target.value)} />`}<//>
      <${Button} type="submit" kind="primary wide" busy=${state.busy}>${t("login.enter")}<//>
      <p class="hint">${t("login.lost")} <code>lineament keys login</code></p>
    </form>
  </main>`;
}

// After a one-time link: an admin with a name and a password, so that the next login is a usual one.
export function FirstAdmin({ onLogin, onLater }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [state, setState] = useState({});
  const send = async (event) => {
    event.preventDefault();
    if (password !== again) {
      setState({ differs: true });
      return;
    }
    setState({ busy: true });
    try {
      await post("/users", { name: name.trim().toLowerCase(), password, role: "admin", galleries: ["*"] });
      const session = await post("/session", { name: name.trim().toLowerCase(), password });
      useCsrf(session.csrf);
      onLogin(session);
    } catch (problem) {
      setState({ problem });
    }
  };
  return html`<main class="login" id="main">
    <form class="card login-card" onSubmit=${send}>
      <img src=${new URL("../icon.svg", import.meta.url)} alt="" width="48" height="48" />
      <h1 tabindex="-1">${t("first.title")}</h1>
      <p class="lead">${t("first.lead")}</p>
      <${Trouble} problem=${state.problem} />
      <${Field} label=${t("login.name")} hint=${t("user.name-hint")}>${(field) => html`<input ...${field} autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus
        value=${name} onInput=${(event) => setName(event.target.value)} />`}<//>
      <${Field} label=${t("login.password")} hint=${t("user.password-hint")}>${(field) => html`<input ...${field} type="password" autocomplete="new-password" required minlength="12"
        value=${password} onInput=${(event) => setPassword(event.target.value)} />`}<//>
      <${Field} label=${t("first.again")} error=${state.differs && t("first.differs")}>${(field) => html`<input ...${field} type="password" autocomplete="new-password" required
        value=${again} onInput=${(event) => setAgain(event.target.value)} />`}<//>
      <${Button} type="submit" kind="primary wide" busy=${state.busy}>${t("first.make")}<//>
      <${Button} kind="quiet wide" onClick=${onLater}>${t("first.later")}<//>
    </form>
  </main>`;
}
