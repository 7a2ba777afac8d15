// Cover the faces of a photo: before and after, and a file without what the old one said.

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { upload } from "../api.js";
import { t } from "../i18n.js";
import { photoOf, FacePicture, PhotoWell } from "../media.js";
import { announce, Field, Icon, Page, Progress, Trouble } from "../ui.js";

const METHODS = ["blur", "pixelate", "solid"];
const SHAPES = ["ellipse", "box"];

export function Anonymize() {
  const [photo, setPhoto] = useState(null);
  const [method, setMethod] = useState("blur");
  const [shape, setShape] = useState("ellipse");
  const [state, setState] = useState({});
  useEffect(() => {
    if (!photo) {
      setState({});
      return undefined;
    }
    let current = true;
    let link = null;
    setState({ sent: 0 });
    upload("/anonymize", [["image", photo.blob], ["method", method], ["shape", shape], ["form", "jpeg"]], {
      progress: (sent) => current && setState({ sent }),
    }).then(
      async (blob) => {
        const after = await photoOf(blob, "anonymized.jpg");
        if (!current) return;
        link = URL.createObjectURL(blob);
        setState({ after, link });
        announce(t("anonymize.done"));
      },
      (problem) => current && setState({ problem }),
    );
    return () => {
      current = false;
      if (link) URL.revokeObjectURL(link);
    };
  }, [photo, method, shape]);
  return html`<${Page} title=${t("anonymize.title")} lead=${t("anonymize.lead")}>
    <div class="options above">
      <${Field} label=${t("anonymize.method")}>${(field) => html`<select ...${field} value=${method} onChange=${(event) => setMethod(event.target.value)}>
        ${METHODS.map((name) => html`<option value=${name}>${t(`anonymize.${name}`)}</option>`)}</select>`}<//>
      <${Field} label=${t("anonymize.shape")}>${(field) => html`<select ...${field} value=${shape} onChange=${(event) => setShape(event.target.value)}>
        ${SHAPES.map((name) => html`<option value=${name}>${t(`anonymize.${name}`)}</option>`)}</select>`}<//>
    </div>
    <div class="pair">
      <${PhotoWell} label=${t("anonymize.before")} photo=${photo} onPhoto=${setPhoto} />
      <div class="well" role="group" aria-label=${t("anonymize.after")}>
        <div class="well-head"><span class="well-label">${t("anonymize.after")}</span>
          ${state.link && html`<a class="button small" href=${state.link} download="anonymized.jpg"><${Icon} name="down" /><span>${t("download")}</span></a>`}</div>
        ${state.after
          ? html`<div class="well-picture"><${FacePicture} photo=${state.after} alt=${t("anonymize.after")} /></div>`
          : html`<div class="well-empty">${state.sent !== undefined
              ? html`<${Progress} value=${state.sent < 1 ? state.sent : null} label=${t(state.sent < 1 ? "sending" : "anonymize.working")} />`
              : html`<${Icon} name="anonymize" /><p>${t("anonymize.nothing")}</p>`}</div>`}
      </div>
    </div>
    <${Trouble} problem=${state.problem} />
  <//>`;
}
