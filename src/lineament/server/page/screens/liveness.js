// Is somebody there? Does what is asked for, before the camera; frames go by WebSocket.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { post, upload } from "../api.js";
import { fixed, has, number, t } from "../i18n.js";
import { Basis, Reasons, ScoreAxis, Verdict } from "../decision.js";
import { Camera, PhotoWell, still } from "../media.js";
import { announce, Button, Card, Page, Trouble } from "../ui.js";

const FRAMES_S = 12;
const MOST_WAIT_MS = 1000;

export function LivenessCheck() {
  const [photo, setPhoto] = useState(null);
  const [state, setState] = useState({ step: "ready" });
  const begin = async () => {
    setState({ step: "making" });
    try {
      const session = photo ? await upload("/liveness/sessions", [["photo", photo.blob]]) : await post("/liveness/sessions", {});
      setState({ step: "running", session });
    } catch (problem) {
      setState({ step: "ready", problem });
    }
  };
  const ended = (result) => {
    setState({ step: "ended", result });
    announce(t(`verdict.${result.liveness ? result.liveness.outcome : "unsure"}`));
  };
  return html`<${Page} title=${t("liveness.title")} lead=${t("liveness.lead")}>
    <${Trouble} problem=${state.problem} />
    ${state.step === "running"
      ? html`<${Running} session=${state.session} onEnd=${ended} onProblem=${(problem) => setState({ step: "ready", problem })} />`
      : state.step === "ended"
        ? html`<${Ended} result=${state.result} onAgain=${() => setState({ step: "ready" })} />`
        : html`<div class="result-grid flush">
            <${Card} title=${t("liveness.how")}>
              <ol class="steps"><li>${t("liveness.how-1")}</li><li>${t("liveness.how-2")}</li><li>${t("liveness.how-3")}</li></ol>
              <p class="hint">${t("liveness.limits")}</p>
              <div class="actions gap"><${Button} kind="primary" icon="camera" busy=${state.step === "making"} onClick=${begin}>${t("liveness.begin")}<//></div>
            <//>
            <${PhotoWell} label=${t("liveness.photo")} photo=${photo} onPhoto=${setPhoto} />
          </div>`}
  <//>`;
}

function Running({ session, onEnd, onProblem }) {
  const socket = useRef(null);
  const waiting = useRef(null);  // since when an answer is waited for; a busy server may give none
  const over = useRef(false);
  const [said, setSaid] = useState(null);
  useEffect(() => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const opened = new WebSocket(`${scheme}//${location.host}${session.frames_path}?ticket=${encodeURIComponent(session.ticket)}`);
    socket.current = opened;
    opened.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      waiting.current = null;
      if (message.problem) {
        over.current = true;
        onProblem(Object.assign(new Error(message.problem.error || message.problem.message || ""), message.problem));
      } else if (message.state && message.id) {
        over.current = true;
        onEnd(message);
      } else setSaid(message);
    });
    opened.addEventListener("close", (event) => {
      if (!over.current) onProblem(Object.assign(new Error(event.reason), { code: "liveness_closed" }));
    });
    return () => {
      over.current = true;
      opened.close();
    };
  }, []);
  const send = async (video) => {
    const now = performance.now();
    if ((waiting.current !== null && now - waiting.current < MOST_WAIT_MS) || !socket.current || socket.current.readyState !== WebSocket.OPEN) return;
    waiting.current = now;
    const blob = await still(video, { side: 800, quality: 0.85 });
    if (socket.current.readyState === WebSocket.OPEN) socket.current.send(blob);
  };
  const key = said && said.challenge ? `prompt.${said.challenge}` : "prompt.rest";
  const prompt = !said ? t("loading") : !said.face_seen ? t("prompt.no-face") : said.challenge && has(key) ? t(key) : said.challenge ? said.prompt : t("prompt.rest");
  return html`<div class="live-check">
    <p class="prompt" role="status" aria-live="assertive">${prompt}</p>
    <${Camera} everyMs=${1000 / FRAMES_S} onFrame=${send} />
    ${said && html`<div class="dots" role="img" aria-label=${t("liveness.step", { n: said.step, all: said.n_steps })}>
      ${Array.from({ length: said.n_steps }, (_, place) => html`<span class=${place < said.step ? "done" : place === said.step ? "now" : ""}></span>`)}</div>
      <p class="hint center">${t("liveness.left", { n: number(Math.max(0, said.seconds_left), 0) })}</p>`}
  </div>`;
}

function Ended({ result, onAgain }) {
  const liveness = result.liveness || { outcome: "unsure", reasons: [] };
  return html`<${Card} kind="result">
    <${Verdict} verdict=${liveness.outcome} text=${liveness.score == null ? "" : `${t("axis.score")} ${fixed(liveness.score, 2)}`} />
    <${Reasons} reasons=${liveness.reasons} title=${t("liveness.reasons")} />
    ${result.decision && html`<div class="gap"><${Verdict} verdict=${result.decision.verdict} />
      <${ScoreAxis} score=${result.decision.score} threshold=${result.decision.threshold} />
      <${Basis} threshold=${result.decision.threshold} contract=${result.decision.contract} explanation=${result.decision.explanation} /></div>`}
    <p class="hint gap">${t("liveness.limits")}</p>
    <div class="actions gap"><${Button} kind="primary" onClick=${onAgain}>${t("again")}<//></div>
  <//>`;
}
