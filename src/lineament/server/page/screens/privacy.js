// Consent, export and deletion of one person, where the server has these routes.

import { html } from "../vendor/htm-preact.js";
import { Icon, Card } from "../ui.js";
import { address } from "../api.js";
import { t } from "../i18n.js";

export function Privacy({ path, session, can }) {
  if (session.role !== "admin" || !can("GET /v1/galleries/{gallery}/people/{person}/export")) return null;
  return html`<${Card} title=${t("privacy.title")}>
    <p class="hint">${t("privacy.export-text")}</p>
    <div class="actions"><a class="button" href=${address(`${path}/export`)} download><${Icon} name="down" /><span>${t("privacy.export")}</span></a></div>
  <//>`;
}
