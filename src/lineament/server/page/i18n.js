// Words of the page, from messages/LANGUAGE.json; numbers as the language writes them.

export const LANGUAGES = ["en", "de"];
let words = {};
let language = "en";

function preferred() {
  try {
    const kept = localStorage.getItem("language");
    if (LANGUAGES.includes(kept)) return kept;
  } catch {
    // no storage: what the browser prefers
  }
  for (const tag of navigator.languages) {
    const short = tag.split("-")[0];
    if (LANGUAGES.includes(short)) return short;
  }
  return "en";
}

export async function speak(chosen) {
  const next = chosen || preferred();
  const answer = await fetch(new URL(`messages/${next}.json`, import.meta.url));
  words = await answer.json();
  language = next;
  document.documentElement.lang = next;
  if (chosen) {
    try {
      localStorage.setItem("language", next);
    } catch {
      // holds until the page is left
    }
  }
}

export const spoken = () => language;

// The words of a key; {name} in them is replaced. A key with "one" and "other" wants {n}.
export function t(key, values = {}) {
  let text = words[key];
  if (text !== undefined && typeof text === "object") {
    text = text[new Intl.PluralRules(language).select(values.n)] ?? text.other;
  }
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

export const has = (key) => key in words;

// Why a photo was not enrolled or a face got no name: codes of the server, which may have blanks.
export function reasonOf(code) {
  const key = `reason.${code.replaceAll(/[ _]/g, "-")}`;
  return has(key) ? t(key) : code;
}

export function number(value, digits = 2) {
  if (value == null) return "–";
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

export function fixed(value, digits = 3) {
  if (value == null) return "–";
  return new Intl.NumberFormat(language, {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  }).format(value);
}

// A share as per cent, with as many digits as it takes not to say 0 or 100 of what is neither.
export function percent(share) {
  if (share == null) return "–";
  const rest = Math.min(share, 1 - share) * 100;
  let digits = 1;
  while (rest > 0 && rest < 10 ** -digits && digits < 6) digits += 1;
  return new Intl.NumberFormat(language, {
    style: "percent", maximumFractionDigits: digits,
  }).format(share);
}

// A rate such as 0.0001 as "1 in 10,000".
export function oneIn(rate) {
  if (!rate) return "–";
  return t("one-in", { n: new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(1 / rate) });
}

export function moment(seconds) {
  if (seconds == null) return "–";
  const date = typeof seconds === "number" ? new Date(seconds * 1000) : new Date(seconds);
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(date);
}

export function day(seconds) {
  if (seconds == null) return "–";
  return new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(seconds * 1000));
}
