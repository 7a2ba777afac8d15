// Requests to the server: the session's header on what changes something, errors as Problem.

export const PREFIX = "/v1";
let csrf = "";
let lost = () => {};

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || String(status));
    this.status = status;
    this.code = body.code || "error";
    this.hint = body.hint || "";
    this.option = body.option || "";
    this.body = body;
  }
}

export function useCsrf(value) {
  csrf = value;
}

export function whenLost(call) {
  lost = call;
}

function key() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function headersOf(method) {
  const safe = method === "GET" || method === "HEAD";
  if (safe) return {};
  const headers = { "X-CSRF-Token": csrf };
  if (method === "POST") headers["Idempotency-Key"] = key();
  return headers;
}

function problemOf(status, text) {
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    // a proxy's own page
  }
  const problem = new Problem(status, body);
  if (status === 401 && csrf) lost();
  return problem;
}

export async function ask(method, path, { json, query, signal } = {}) {
  const headers = headersOf(method);
  let body;
  if (json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  let answer;
  try {
    answer = await fetch(address(path, query), { method, headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "offline" });
  }
  if (answer.status === 204) return null;
  const text = await answer.text();
  if (!answer.ok) throw problemOf(answer.status, text);
  return text === "" ? null : JSON.parse(text);
}

export const get = (path, query, signal) => ask("GET", path, { query, signal });
export const post = (path, json) => ask("POST", path, { json });
export const put = (path, json) => ask("PUT", path, { json });
export const patch = (path, json) => ask("PATCH", path, { json });
export const remove = (path, query) => ask("DELETE", path, { query });

export function address(path, query) {
  const pairs = Object.entries(query || {}).filter(([, value]) => value != null && value !== "");
  const text = new URLSearchParams(pairs).toString();
  return PREFIX + path + (text ? `?${text}` : "");
}

export const part = encodeURIComponent;

// Photos and fields as multipart/form-data. `progress` is called with 0 to 1 while bytes go out,
// which fetch does not say. Answers JSON, or a Blob where the answer is a picture or a file.
export function upload(path, fields, { progress, signal, method = "POST" } = {}) {
  const form = new FormData();
  for (const [name, value] of fields) {
    if (value == null || value === "") continue;
    if (value instanceof Blob) form.append(name, value, value.name || "photo.jpg");
    else form.append(name, String(value));
  }
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, PREFIX + path);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headersOf(method))) {
      request.setRequestHeader(name, value);
    }
    if (progress) {
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) progress(event.loaded / event.total);
      });
    }
    request.addEventListener("load", async () => {
      const blob = request.response;
      if (request.status >= 400) reject(problemOf(request.status, await blob.text()));
      else if (request.status === 204) resolve(null);
      else if (blob.type.includes("json")) resolve(JSON.parse(await blob.text()));
      else resolve(blob);
    });
    request.addEventListener("error", () => reject(new Problem(0, { code: "offline" })));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    if (signal) signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

// Which routes this server has: screens of others are left out of the menu.
export async function routesOf() {
  const described = await get("/openapi.json");
  const found = new Set();
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const method of Object.keys(methods)) found.add(`${method.toUpperCase()} ${path}`);
  }
  return found;
}
