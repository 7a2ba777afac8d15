// The explanation of a decision: the score beside its threshold, how probable, why, how good.

import { html } from "./vendor/htm-preact.js";
import { fixed, has, number, oneIn, percent, t } from "./i18n.js";
import { Icon, Meter } from "./ui.js";

export const TONE = { same: "good", different: "bad", undecided: "warn", not_live: "warn", live: "good", attack: "bad", unsure: "warn" };
const SIGN = { same: "check", different: "no", undecided: "warn", not_live: "warn", live: "check", attack: "no", unsure: "warn" };

export function Verdict({ verdict, text }) {
  return html`<div class=${`verdict ${TONE[verdict]}`}>
    <span class="verdict-sign"><${Icon} name=${SIGN[verdict]} /></span>
    <div><h2>${t(`verdict.${verdict}`)}</h2>${text && html`<p>${text}</p>`}</div>
  </div>`;
}

// The score as a point on an axis, the threshold with its interval, and what either side means.
export function ScoreAxis({ score, threshold }) {
  const low = Math.min(-0.2, score - 0.05);
  const high = 1;
  const at = (value) => `${(100 * Math.max(0, Math.min(1, (value - low) / (high - low)))).toFixed(2)}%`;
  const label = t("axis.label", { score: fixed(score), threshold: fixed(threshold.value) });
  return html`<figure class="axis" role="img" aria-label=${label}>
    <div class="axis-top" aria-hidden="true">
      <span class="axis-flag score" style=${{ left: at(score) }}>${t("axis.score")} ${fixed(score)}</span>
    </div>
    <div class="axis-track" aria-hidden="true">
      <span class="zone bad" style=${{ width: at(threshold.value) }}></span>
      <span class="zone good" style=${{ left: at(threshold.value) }}></span>
      <span class="axis-threshold" style=${{ left: at(threshold.value) }}></span>
      <span class="axis-point" style=${{ left: at(score) }}></span>
    </div>
    <div class="axis-bottom" aria-hidden="true">
      <span class="axis-side">${t("axis.different")}</span>
      <span class="axis-flag" style=${{ left: at(threshold.value) }}>${t("axis.threshold")} ${fixed(threshold.value)}</span>
      <span class="axis-side end">${t("axis.same")}</span>
    </div>
  </figure>`;
}

export function Probability({ certainty }) {
  if (!certainty) return null;
  const { probability, low, high } = certainty;
  return html`<div class="probability">
    <div class="probability-head"><span>${t("probability")}</span><strong>${percent(probability)}</strong></div>
    <div class="range" aria-hidden="true">
      <span class="bar-fill" style=${{ width: `${probability * 100}%` }}></span>
      <span class="bar-range" style=${{ left: `${low * 100}%`, width: `${Math.max(0.6, (high - low) * 100)}%` }}></span>
    </div>
    <p class="hint">${t("probability.between", { low: percent(low), high: percent(high) })} ${t("probability.prior", { prior: percent(certainty.prior) })}</p>
  </div>`;
}

export function Reasons({ reasons, title }) {
  if (!reasons || reasons.length === 0) return null;
  return html`<div class="reasons"><h3>${title || t("reasons")}</h3>
    <ul lang="en">${reasons.map((reason) => html`<li>${reason}</li>`)}</ul></div>`;
}

const MEASURES = [
  ["recognizability", (v) => v, (v) => percent(v)],
  ["size_px", (v) => v / 112, (v) => `${number(v, 0)} px`],
  ["sharpness", (v) => v / 0.3, (v) => number(v, 2)],
  ["brightness", (v) => v, (v) => number(v, 2)],
  ["contrast", (v) => v / 0.3, (v) => number(v, 2)],
  ["visible_share", (v) => v, (v) => percent(v)],
];

export function QualityOf({ quality }) {
  if (!quality) return null;
  const shown = MEASURES.filter(([name]) => quality[name] != null && has(`quality.${name}`));
  return html`<div class="quality">
    ${shown.map(([name, share, text]) => html`<${Meter} label=${t(`quality.${name}`)} value=${share(quality[name])}
      text=${text(quality[name])} tone=${name === "recognizability" && quality[name] < 0.5 ? "bad" : ""} />`)}
    ${quality.yaw_deg != null && html`<p class="hint">${t("quality.pose", {
      yaw: number(quality.yaw_deg, 0), pitch: number(quality.pitch_deg, 0), roll: number(quality.roll_deg, 0),
    })}</p>`}
  </div>`;
}

export function Basis({ threshold, contract, explanation }) {
  return html`<details class="basis"><summary>${t("basis")}</summary>
    <dl>
      <dt>${t("basis.threshold")}</dt><dd>${fixed(threshold.value)} (${fixed(threshold.low)} – ${fixed(threshold.high)})</dd>
      <dt>${t("basis.fmr")}</dt><dd>${threshold.fmr == null ? "–" : oneIn(threshold.fmr)}</dd>
      <dt>${t("basis.data")}</dt><dd lang="en">${threshold.data}, ${t("basis.pairs", { n: number(threshold.n_impostor_pairs, 0) })}</dd>
      ${contract && html`<dt>${t("basis.model")}</dt><dd lang="en">${contract.weights} · ${contract.alignment}</dd>`}
    </dl>
    ${explanation && html`<p class="explanation" lang="en">${explanation}</p>`}
  </details>`;
}
