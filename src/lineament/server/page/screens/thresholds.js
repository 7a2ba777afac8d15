// What a false match rate takes, and what it costs: a slider from lenient to strict.

import { html, useState } from "../vendor/htm-preact.js";
import { get } from "../api.js";
import { fixed, number, oneIn, percent, t } from "../i18n.js";
import { Card, Field, Loading, Page, Trouble, useLoaded } from "../ui.js";

export function Thresholds() {
  const { value, problem, loading, reload } = useLoaded(() => get("/thresholds"), []);
  return html`<${Page} title=${t("thresholds.title")} lead=${t("thresholds.lead")}>
    <${Trouble} problem=${problem} retry=${reload} />
    ${loading && !value && html`<${Loading} />`}
    ${value && html`<${Slider} found=${value} />`}
  <//>`;
}

function Slider({ found }) {
  const points = found.points;
  const usual = points.findIndex((point) => point.fmr === 1e-4);
  const [place, setPlace] = useState(usual < 0 ? Math.floor(points.length / 2) : usual);
  const point = points[place];
  const costs = point.fnmr != null;
  return html`<${Card}>
      <${Field} label=${t("thresholds.slider")} hint=${t("thresholds.slider-hint")}>
        ${(field) => html`<input ...${field} type="range" min="0" max=${points.length - 1} step="1" value=${place}
          aria-valuetext=${oneIn(point.fmr)} onInput=${(event) => setPlace(Number(event.target.value))} />`}
      <//>
      <div class="ends" aria-hidden="true"><span>${t("thresholds.lenient")}</span><span>${t("thresholds.strict")}</span></div>
      <div class="figures" role="status">
        <div class="figure bad"><span>${t("thresholds.false-match")}</span><strong>${oneIn(point.fmr)}</strong><p>${t("thresholds.false-match-text", { share: percent(point.fmr) })}</p></div>
        ${costs && html`<div class="figure warn"><span>${t("thresholds.false-reject")}</span><strong>${oneIn(point.fnmr)}</strong><p>${t("thresholds.false-reject-text", { share: percent(point.fnmr) })}</p></div>`}
        <div class="figure"><span>${t("axis.threshold")}</span><strong>${fixed(point.threshold)}</strong><p>${t("probability.between", { low: fixed(point.low), high: fixed(point.high) })}</p></div>
      </div>
      ${costs && html`<${Curve} points=${points} place=${place} />`}
    <//>
    <${Card} title=${t("basis")}>
      <dl class="facts">
        <dt>${t("basis.data")}</dt><dd lang="en">${found.data}</dd>
        <dt>${t("people")}</dt><dd>${number(found.n_people, 0)}</dd>
        <dt>${t("thresholds.genuine")}</dt><dd>${number(found.n_genuine_pairs, 0)}</dd>
        <dt>${t("thresholds.impostor")}</dt><dd>${number(found.n_impostor_pairs, 0)}</dd>
        <dt>${t("thresholds.seen")}</dt><dd>${number(point.false_matches, 0)}</dd>
      </dl>
      <p class="hint">${t("thresholds.note")}</p>
    <//>`;
}

// False rejections over false matches, both on logarithmic axes; the point that is chosen.
function Curve({ points, place }) {
  const [width, height, left, bottom] = [640, 230, 74, 34];
  const log = Math.log10;
  const xs = points.map((point) => log(point.fmr));
  const ys = points.map((point) => log(point.fnmr));
  const [x0, x1] = [Math.max(...xs), Math.min(...xs)];
  const [y0, y1] = [Math.floor(Math.min(...ys)), Math.ceil(Math.max(...ys))];
  const x = (value) => left + ((x0 - value) / (x0 - x1)) * (width - left - 20);
  const y = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - bottom - 16);
  const line = xs.map((value, i) => `${i ? "L" : "M"}${x(value).toFixed(1)} ${y(ys[i]).toFixed(1)}`).join("");
  const rows = Array.from({ length: y1 - y0 + 1 }, (_, i) => y0 + i);
  const columns = [...new Set(xs.map((value) => Math.round(value)))].filter((value) => value <= x0 && value >= x1);
  return html`<svg class="curve" viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${t("thresholds.curve")}>
    ${rows.map((row) => html`<g><line class="grid" x1=${left} x2=${width - 20} y1=${y(row)} y2=${y(row)} /><text x=${left - 8} y=${y(row) + 4} text-anchor="end">${percent(10 ** row)}</text></g>`)}
    ${columns.map((column) => html`<text x=${x(column)} y=${height - 10} text-anchor="middle">${oneIn(10 ** -Math.round(-column))}</text>`)}
    <path d=${line} />
    ${xs.map((value, i) => html`<circle cx=${x(value)} cy=${y(ys[i])} r=${i === place ? 8 : 3.5} class=${i === place ? "here" : ""} />`)}
  </svg>`;
}
