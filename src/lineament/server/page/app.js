// The shell: who is logged in, the menu, and the screen that the address names (#/verify).

import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { ask, get, routesOf, useCsrf, whenLost } from "./api.js";
import { LANGUAGES, speak, spoken, t } from "./i18n.js";
import { Button, Icon, Loading } from "./ui.js";
import { FirstAdmin, Login } from "./screens/login.js";
import { SCREENS, SECTIONS } from "./menu.js";

const RANK = { verify: 0, enroll: 1, admin: 2 };

function placeNow() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decodeURIComponent);
  return { name, rest, query: new URLSearchParams(query || "") };
}

function usePlace() {
  const [place, setPlace] = useState(placeNow);
  useEffect(() => {
    const changed = () => setPlace(placeNow());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return place;
}

function App({ first, problem }) {
  const [session, setSession] = useState(first);
  const [routes, setRoutes] = useState(null);
  const [ended, setEnded] = useState(false);
  const [later, setLater] = useState(false);
  const [, setLanguage] = useState(spoken());
  const place = usePlace();
  useCsrf(session ? session.csrf : "");
  useEffect(() => {
    whenLost(() => {
      setEnded(true);
      setSession(null);
    });
  }, []);
  useEffect(() => {
    if (session && !routes) routesOf().then(setRoutes, () => setRoutes(new Set()));
  }, [session]);
  const change = async (language) => {
    await speak(language);
    setLanguage(language);
  };
  if (!session) return html`<${Corner} onLanguage=${change} /><${Login} problem=${problem} ended=${ended} onLogin=${setSession} />`;
  if (session.user === null && !later) {
    return html`<${Corner} onLanguage=${change} /><${FirstAdmin} onLogin=${setSession} onLater=${() => setLater(true)} />`;
  }
  if (!routes) return html`<main class="login" id="main"><h1 class="hidden">lineament</h1><${Loading} /></main>`;
  const open = SCREENS.filter((screen) => RANK[session.role] >= RANK[screen.role] &&
    screen.routes.every((route) => routes.has(route)));
  const current = open.find((screen) => screen.name === place.name) || open[0];
  const leave = async () => {
    try {
      await ask("DELETE", "/session");
    } finally {
      setEnded(false);
      setSession(null);
    }
  };
  return html`<${Shell} ...${{ open, current, session, leave, change }}>
    <${current.screen} key=${`${current.name}/${place.rest.join("/")}`} session=${session} place=${place} can=${(route) => routes.has(route)} onSession=${setSession} />
  <//>`;
}

function Shell({ open, current, session, leave, change, children }) {
  const [shown, setShown] = useState(false);
  useEffect(() => setShown(false), [current.name]);
  useEffect(() => {
    const key = (event) => event.key === "Escape" && setShown(false);
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>${t("skip")}</a>
    <div class="shell">
      <header class="top">
        <a class="brand" href="#/"><img src=${new URL("icon.svg", import.meta.url)} alt="" width="28" height="28" />lineament</a>
        <${Button} kind="quiet" icon=${shown ? "close" : "menu"} aria-label=${t("menu")} aria-expanded=${shown ? "true" : "false"} aria-controls="side" onClick=${() => setShown(!shown)} />
      </header>
      <aside class=${`side-nav ${shown ? "shown" : ""}`} id="side" aria-label=${t("side")}>
        <a class="brand" href="#/"><img src=${new URL("icon.svg", import.meta.url)} alt="" width="28" height="28" />lineament</a>
        <nav aria-label=${t("menu")}>
          ${SECTIONS.map((section) => {
            const entries = open.filter((screen) => screen.section === section);
            return entries.length > 0 && html`<div class="nav-group"><h2 id=${`nav-${section}`}>${t(`section.${section}`)}</h2>
              <ul aria-labelledby=${`nav-${section}`}>${entries.map((screen) => html`<li><a href=${`#/${screen.name}`}
                aria-current=${screen === current ? "page" : null}><${Icon} name=${screen.name} />${t(`${screen.name}.menu`)}</a></li>`)}</ul></div>`;
          })}
        </nav>
        <div class="nav-foot">
          <a class="who" href="#/account"><span class="avatar" aria-hidden="true">${(session.user || "·")[0].toUpperCase()}</span>
            <span><strong>${session.user || t("account.link")}</strong><small>${t(`role.${session.role}`)}</small></span></a>
          <div class="switches"><${Switches} onLanguage=${change} />
            <${Button} kind="quiet" icon="out" onClick=${leave} aria-label=${t("logout")} title=${t("logout")} /></div>
        </div>
      </aside>
      <main id="main" tabindex="-1">${children}</main>
    </div>
    <div id="announcer" class="hidden" role="status" aria-live="polite"></div>`;
}

function dark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function Switches({ onLanguage }) {
  const [night, setNight] = useState(dark());
  const toggle = () => {
    const next = night ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // holds until the page is left
    }
    setNight(!night);
    dispatchEvent(new Event("resize"));
  };
  const other = LANGUAGES[(LANGUAGES.indexOf(spoken()) + 1) % LANGUAGES.length];
  return html`<${Button} kind="quiet" icon=${night ? "sun" : "moon"} onClick=${toggle} aria-label=${t(night ? "theme.light" : "theme.dark")} title=${t(night ? "theme.light" : "theme.dark")} />
    <button type="button" class="button quiet" lang=${other} onClick=${() => onLanguage(other)} aria-label=${`${other.toUpperCase()} – ${t(`language.${other}`)}`} title=${t(`language.${other}`)}><span>${other.toUpperCase()}</span></button>`;
}

function Corner({ onLanguage }) {
  return html`<div class="corner"><${Switches} onLanguage=${onLanguage} /></div>`;
}

// The link of the first start: #code=...; taken out of the address before anything else is done.
async function begin() {
  await speak();
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  let first = null;
  let problem = null;
  if (code) {
    history.replaceState(null, "", location.pathname);
    try {
      first = await ask("POST", "/session", { json: { code } });
    } catch (error) {
      problem = error.code === "unauthorized" ? { ...error, message: "", hint: "", code: "used_code" } : error;
    }
  } else {
    const now = await get("/session").catch(() => null);
    first = now && now.role ? now : null;
  }
  render(html`<${App} first=${first} problem=${problem} />`, document.getElementById("app"));
}

begin();
