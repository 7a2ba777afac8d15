// Users of the page: made, changed and removed by admins.

import { html, useState } from "../vendor/htm-preact.js";
import { get, part, patch, post, remove } from "../api.js";
import { moment, t } from "../i18n.js";
import { announce, Button, Card, Confirm, Empty, Field, Loading, Page, Table, Trouble, useLoaded } from "../ui.js";

export const ROLES = ["verify", "enroll", "admin"];

// Role and galleries, as users and keys have them.
export function Holder({ role, galleries, onRole, onGalleries }) {
  return html`<${Field} label=${t("role")} hint=${t(`role.${role}-hint`)}>
      ${(field) => html`<select ...${field} value=${role} onChange=${(event) => onRole(event.target.value)}>
        ${ROLES.map((name) => html`<option value=${name}>${t(`role.${name}`)}</option>`)}
      </select>`}
    <//>
    <${Field} label=${t("galleries")} hint=${t("galleries.hint")}>
      ${(field) => html`<input ...${field} value=${galleries} spellcheck="false" onInput=${(event) => onGalleries(event.target.value)} />`}
    <//>`;
}

export const listed = (text) => (text.trim() === "" ? ["*"] : text.split(",").map((name) => name.trim()).filter(Boolean));

export function Users({ session }) {
  const { value, problem, loading, reload } = useLoaded(() => get("/users"), []);
  const [making, setMaking] = useState(false);
  const [changed, setChanged] = useState(null);
  const [removed, setRemoved] = useState(null);
  const users = value ? value.users : [];
  return html`<${Page} title=${t("users.title")} lead=${t("users.lead")}
      actions=${html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>${t("users.make")}<//>`}>
    <${Trouble} problem=${problem} retry=${reload} />
    ${loading && !value && html`<${Loading} />`}
    ${value && users.length === 0 && html`<${Empty} icon="users" title=${t("users.none")} text=${t("users.none-text")} />`}
    ${users.length > 0 && html`<${Card}><${Table} label=${t("users.title")}
      heads=${[t("login.name"), t("role"), t("galleries"), t("created"), html`<span class="hidden">${t("actions")}</span>`]}
      rows=${users.map((user) => [
        html`<strong>${user.name}</strong>`,
        t(`role.${user.role}`),
        user.galleries.includes("*") ? t("galleries.all") : user.galleries.join(", "),
        moment(user.created),
        html`<div class="row-actions">
          <${Button} kind="quiet" icon="edit" aria-label=${`${t("change")}: ${user.name}`} onClick=${() => setChanged(user)} />
          <${Button} kind="quiet" icon="trash" aria-label=${`${t("remove")}: ${user.name}`} disabled=${user.name === session.user} onClick=${() => setRemoved(user)} />
        </div>`,
      ])} /><//>`}
    ${making && html`<${UserDialog} onClose=${() => setMaking(false)} onDone=${() => { setMaking(false); announce(t("users.made")); reload(); }} />`}
    ${changed && html`<${UserDialog} user=${changed} onClose=${() => setChanged(null)} onDone=${() => { setChanged(null); announce(t("saved")); reload(); }} />`}
    ${removed && html`<${Confirm} danger title=${t("users.remove", { name: removed.name })} text=${t("users.remove-text")} action=${t("remove")}
      onNo=${() => setRemoved(null)} onYes=${async () => { await remove(`/users/${part(removed.name)}`); setRemoved(null); announce(t("removed")); reload(); }} />`}
  <//>`;
}

function UserDialog({ user, onClose, onDone }) {
  const [name, setName] = useState(user ? user.name : "");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState(user ? user.role : "verify");
  const [galleries, setGalleries] = useState(user && !user.galleries.includes("*") ? user.galleries.join(", ") : "");
  const send = async () => {
    const holder = { role, galleries: listed(galleries) };
    if (user) await patch(`/users/${part(user.name)}`, { ...holder, ...(password ? { password } : {}) });
    else await post("/users", { name: name.trim().toLowerCase(), password, ...holder });
    onDone();
  };
  return html`<${Confirm} title=${user ? t("users.change", { name: user.name }) : t("users.make")} action=${t(user ? "save" : "users.make")} onNo=${onClose} onYes=${send}>
    ${!user && html`<${Field} label=${t("login.name")} hint=${t("user.name-hint")}>${(field) => html`<input ...${field} required autocapitalize="none" autocomplete="off" spellcheck="false" value=${name} onInput=${(event) => setName(event.target.value)} />`}<//>`}
    <${Field} label=${t(user ? "users.new-password" : "login.password")} hint=${t(user ? "users.new-password-hint" : "user.password-hint")}>${(field) => html`<input ...${field} type="password" autocomplete="new-password" required=${!user} minlength="12" value=${password} onInput=${(event) => setPassword(event.target.value)} />`}<//>
    <${Holder} role=${role} galleries=${galleries} onRole=${setRole} onGalleries=${setGalleries} />
  <//>`;
}
