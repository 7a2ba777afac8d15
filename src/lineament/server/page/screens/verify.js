// Are two photos of the same person? With the explanation of the decision.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { upload } from "../api.js";
import { oneIn, t } from "../i18n.js";
import { Basis, Probability, QualityOf, Reasons, ScoreAxis, TONE, Verdict } from "../decision.js";
import { FaceCrop, PhotoWell } from "../media.js";
import { announce, Card, Field, Page, Progress, Trouble } from "../ui.js";

const RATES = ["1e-2", "1e-3", "1e-4", "1e-5", "1e-6"];

export function Verify() {
  const [photos, setPhotos] = useState({ a: null, b: null });
  const [rate, setRate] = useState("");
  const [state, setState] = useState({});
  const round = useRef(0);
  const put = (side, photo) => setPhotos((before) => ({ ...before, [side]: photo }));

  useEffect(() => {
    const current = (round.current += 1);
    if (!photos.a || !photos.b) {
      setState({});
      return;
    }
    const mine = (call) => (value) => round.current === current && call(value);
    setState({ sent: 0 });
    upload("/compare", [["a", photos.a.blob], ["b", photos.b.blob], ["fmr", rate]], {
      progress: mine((sent) => setState({ sent })),
    }).then(
      mine((decision) => {
        setState({ decision });
        announce(t(`verdict.${decision.verdict}`));
      }),
      mine((problem) => setState({ problem })),
    );
  }, [photos, rate]);

  const { decision } = state;
  const boxes = (side) => {
    const face = decision && decision[side].face;
    return face ? [{ box: face.box_xyxy, tone: TONE[decision.verdict] }] : [];
  };
  return html`<${Page} title=${t("verify.title")} lead=${t("verify.lead")}>
    <div class="pair">
      <${PhotoWell} label=${t("verify.first")} photo=${photos.a} boxes=${boxes("a")} onPhoto=${(photo) => put("a", photo)} />
      <${PhotoWell} label=${t("verify.second")} photo=${photos.b} boxes=${boxes("b")} onPhoto=${(photo) => put("b", photo)} />
    </div>
    <div class="options">
      <${Field} label=${t("verify.rate")} hint=${t("verify.rate-hint")}>
        ${(field) => html`<select ...${field} value=${rate} onChange=${(event) => setRate(event.target.value)}>
          <option value="">${t("verify.rate-default")}</option>
          ${RATES.map((value) => html`<option value=${value}>${oneIn(Number(value))}</option>`)}
        </select>`}
      <//>
    </div>
    <${Trouble} problem=${state.problem} />
    ${state.sent !== undefined && html`<${Progress} value=${state.sent < 1 ? state.sent : null}
      label=${t(state.sent < 1 ? "sending" : "computing")} />`}
    ${decision && html`<${Result} decision=${decision} photos=${photos} />`}
  <//>`;
}

function Result({ decision, photos }) {
  return html`<${Card} kind="result">
    <${Verdict} verdict=${decision.verdict} />
    <div class="result-grid">
      <div>
        <${ScoreAxis} score=${decision.score} threshold=${decision.threshold} />
        <${Probability} certainty=${decision.certainty} />
        <${Reasons} reasons=${decision.reasons} />
      </div>
      <div class="sides">
        ${["a", "b"].map((side) => html`<section class="side">
          <${FaceCrop} photo=${photos[side]} box=${decision[side].face && decision[side].face.box_xyxy} label=${t(side === "a" ? "verify.first" : "verify.second")} />
          <div class="grow">
            <h3>${t(side === "a" ? "verify.first" : "verify.second")}</h3>
            <${QualityOf} quality=${decision[side].quality} />
            ${decision[side].n_other_faces > 0 && html`<p class="hint">${t("verify.others", { n: decision[side].n_other_faces })}</p>`}
          </div>
        </section>`)}
      </div>
    </div>
    <${Basis} threshold=${decision.threshold} contract=${decision.contract} explanation=${decision.explanation} />
  <//>`;
}
