// The page that shows and tries the API. It reads openapi.json, and keeps what
// it was told of the caller in memory only.
"use strict";

const state = { doc: null, ops: [], auth: "", current: null, abort: null };
const $ = (id) => document.getElementById(id);

// parts are what an element shall hold: text or other elements, never HTML.
const parts = (inside) => inside.flat(Infinity).filter((x) => x !== undefined && x !== "");

// fillWith puts them in place of what an element holds.
const fillWith = (e, ...inside) => e.replaceChildren(...parts(inside));

// el makes an element.
function el(tag, attrs = {}, ...inside) {
  const e = document.createElement(tag);
  for (const [name, v] of Object.entries(attrs)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), v);
    else if (v !== undefined && v !== null && v !== false) e.setAttribute(name, v === true ? "" : v);
  }
  e.append(...parts(inside));
  return e;
}

const order = ["get", "head", "post", "put", "patch", "delete"];

// operations lists what the document has, by group as it names them.
function operations(doc) {
  const groups = doc.tags.map((t) => t.name);
  const out = [];
  for (const [path, methods] of Object.entries(doc.paths)) {
    for (const [method, op] of Object.entries(methods)) out.push({ path, method, op, group: op.tags[0] });
  }
  const rank = (o) => groups.indexOf(o.group);
  return out.sort((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path) || order.indexOf(a.method) - order.indexOf(b.method));
}

function resolve(x) {
  for (let i = 0; x && x.$ref && i < 8; i++) x = x.$ref.slice(2).split("/").reduce((at, part) => at && at[part], state.doc);
  return x || {};
}

function matches(o, words) {
  const all = `${o.method} ${o.path} ${o.op.summary} ${o.group}`.toLowerCase();
  return words.every((w) => all.includes(w));
}

function showList() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const ops = state.ops.filter((o) => matches(o, words));
  const groups = new Map();
  for (const o of ops) groups.set(o.group, [...(groups.get(o.group) || []), o]);
  $("found").textContent = `${ops.length} of ${state.ops.length} operations`;
  fillWith($("groups"), [...groups].map(([name, list]) => el("details", { open: words.length > 0 || (state.current && state.current.group === name) },
    el("summary", {}, `${name} (${list.length})`),
    el("ul", {}, list.map((o) => el("li", {}, el("a", { href: "#" + o.op.operationId, title: o.op.summary,
      "aria-current": o === state.current && "true" }, el("span", { class: "verb" }, o.method.toUpperCase()), el("span", {}, o.path))))))));
}

// typeOf words a schema in a line.
function typeOf(s) {
  if (!s) return "";
  if (s.$ref) return s.$ref.split("/").pop();
  if (s.anyOf) return [...new Set(s.anyOf.map((x) => x.const === "" ? "empty" : x.format || typeOf(x)))].join(" or ");
  const t = [].concat(s.type || "anything").join(" or ");
  if (s.items) return `list of ${typeOf(s.items)}`;
  if (s.additionalProperties) return `map of ${typeOf(s.additionalProperties)}`;
  return s.format ? `${t}, ${s.format}` : s.contentEncoding ? `${t}, ${s.contentEncoding}` : t;
}

// schemaView shows a schema as a table; what it refers to opens on demand.
function schemaView(schema, depth = 0) {
  const s = resolve(schema);
  if (s.items) return el("div", {}, el("p", { class: "soft" }, "a list of"), schemaView(s.items, depth));
  if (s.additionalProperties && !s.properties) return el("div", {}, el("p", { class: "soft" }, "a map, by name, of"), schemaView(s.additionalProperties, depth));
  const head = s.description ? el("p", { class: "soft" }, s.description) : "";
  if (s.enum) return el("div", {}, head, el("p", {}, "one of ", s.enum.map((v) => el("code", {}, JSON.stringify(v) + " "))));
  if (!s.properties) return el("div", {}, head, el("p", {}, typeOf(s)));
  const required = new Set(s.required || []);
  return el("div", {}, head, el("table", {}, el("tbody", {}, Object.entries(s.properties).map(([name, p]) =>
    el("tr", {}, el("th", { scope: "row", class: "mono" }, name), el("td", {}, typeOf(p),
      required.has(name) ? el("span", { class: "soft" }, p.readOnly ? " always there" : " required") : "",
      p.readOnly ? el("span", { class: "soft" }, " set by the server") : "", inner(p, depth)), el("td", { class: "soft" }, p.description || ""))))));
}

function inner(p, depth) {
  const at = p.items || p.additionalProperties || (p.anyOf || []).find((x) => x.$ref) || p;
  const target = resolve(at);
  if (depth > 4 || !(at.$ref && (target.properties || target.enum))) return "";
  const d = el("details", {}, el("summary", {}, at.$ref.split("/").pop()));
  d.addEventListener("toggle", () => { if (d.open && d.children.length === 1) d.append(schemaView(at, depth + 1)); });
  return d;
}

function bodyOf(content) {
  const [type, media] = Object.entries(content || {})[0] || [];
  return { type, media };
}

// sample is what a body may look like.
function sample(media) {
  if (media.example !== undefined) return media.example;
  const s = resolve(media.schema);
  if (s.examples) return s.examples[0];
  if (s.type === "array") return [];
  const out = {};
  for (const [name, p] of Object.entries(s.properties || {})) if (!p.readOnly && (s.required || []).includes(name)) out[name] = "";
  return out;
}

function field(p) {
  const q = resolve(p);
  const id = `p-${q.in}-${q.name}`;
  const note = `${q.in}${q.required ? ", required" : ""}. ${q.description || ""}`;
  return [el("label", { for: id, class: "mono" }, q.name),
    el("input", { id, "data-in": q.in, "data-name": q.name, required: q.required, autocomplete: "off", placeholder: q.example || typeOf(q.schema) }),
    el("span", { class: "soft" }, note)];
}

function showOperation(o) {
  state.current = o;
  const params = (o.op.parameters || []).map(resolve);
  const main = params.filter((p) => p.in === "path" || p.required);
  const more = params.filter((p) => !main.includes(p));
  const { type, media } = bodyOf(o.op.requestBody && o.op.requestBody.content);
  const reply = Object.entries(o.op.responses).filter(([code]) => code !== "default");
  const form = el("form", { id: "try", onsubmit: (e) => { e.preventDefault(); send(o); } },
    main.length ? el("div", { class: "inputs" }, main.map(field)) : "",
    more.length ? el("details", {}, el("summary", {}, `${more.length} more parameters`), el("div", { class: "inputs" }, more.map(field))) : "",
    type === "application/json" ? el("label", {}, "Body (JSON)", el("textarea", { id: "body", spellcheck: "false" })) : "",
    type && type !== "application/json" ? el("label", {}, `Body (${type}) `, el("input", { id: "file", type: "file" })) : "",
    el("p", {}, el("button", {}, "Send"), " ", el("button", { type: "button", id: "stop", hidden: true, onclick: () => state.abort && state.abort.abort() }, "Stop")));
  fillWith($("main"),
    el("h2", {}, el("span", { class: "verb" }, o.method.toUpperCase() + " "), el("code", {}, "/api/v3" + o.path)),
    el("p", {}, o.op.summary + ".", o.op["x-drpd"] ? el("span", { class: "soft" }, " An addition of drpd.") : ""),
    o.op.description ? el("p", {}, o.op.description) : "",
    el("h3", {}, "Try it"), form, el("section", { id: "reply", "aria-live": "polite" }),
    media && type === "application/json" ? el("div", {}, el("h3", {}, "Body"), schemaView(media.schema)) : "",
    el("h3", {}, "Replies"),
    reply.map(([code, r]) => {
      const b = bodyOf(resolve(r).content);
      return el("details", {}, el("summary", {}, `${code} ${resolve(r).description || ""}`), b.media ? schemaView(b.media.schema) : el("p", {}, "no body"));
    }),
    el("details", {}, el("summary", {}, "errors"), schemaView({ $ref: "#/components/schemas/ErrorReply" })));
  if (type === "application/json") $("body").value = JSON.stringify(sample(media), null, 2);
  document.title = `${o.method.toUpperCase()} ${o.path} – drpd API`;
  showList();
  const here = document.querySelector("#groups [aria-current]");
  if (here) here.scrollIntoView({ block: "nearest" });
}

// request makes what fetch is given of the form.
function request(o) {
  const headers = {};
  const query = new URLSearchParams();
  let path = o.path;
  for (const i of document.querySelectorAll("#try [data-in]")) {
    const { in: where, name } = i.dataset;
    if (i.value === "") continue;
    if (where === "path") path = path.replace(`{${name}}`, () => name === "id" ? encodeURIComponent(i.value) : encodeURIComponent(i.value).replaceAll("%2F", "/"));
    else if (where === "header") headers[name] = i.value;
    else if (name === "filters") new URLSearchParams(i.value).forEach((v, k) => query.append(k, v));
    else query.append(name, i.value);
  }
  const { type } = bodyOf(o.op.requestBody && o.op.requestBody.content);
  let body;
  if (type === "application/json" && $("body").value.trim() !== "") body = $("body").value;
  else if (type && $("file")) body = $("file").files[0];
  if (body !== undefined) headers["Content-Type"] = type;
  if (state.auth) headers.Authorization = state.auth;
  const text = query.toString();
  return { url: "." + path + (text ? "?" + text : ""), options: { method: o.method.toUpperCase(), headers, body, credentials: "omit", cache: "no-store" } };
}

async function send(o) {
  const out = $("reply");
  if ($("body")) {
    try { if ($("body").value.trim()) JSON.parse($("body").value); } catch (e) {
      fillWith(out, el("p", { class: "bad" }, `The body is not JSON: ${e.message}`));
      return $("body").focus();
    }
  }
  const { url, options } = request(o);
  state.abort = new AbortController();
  $("stop").hidden = false;
  fillWith(out, el("p", { class: "soft" }, "waiting…"));
  const began = performance.now();
  try {
    const r = await fetch(url, { ...options, signal: state.abort.signal });
    const pre = el("pre", { tabindex: "0" });
    const head = el("p", { class: r.ok ? "good" : "bad" }, `${r.status} ${r.statusText}, ${Math.round(performance.now() - began)} ms`);
    const list = el("details", {}, el("summary", {}, "headers"), el("pre", {}, [...r.headers].map(([k, v]) => `${k}: ${v}`).join("\n")));
    fillWith(out, el("h3", {}, "Reply"), head, el("p", { class: "mono soft" }, `${options.method} ${new URL(url, location).pathname}`), list, pre);
    await fill(pre, r);
  } catch (e) {
    out.append(el("p", { class: "bad" }, e.name === "AbortError" ? "stopped" : `no reply: ${e.message}`));
  } finally {
    state.abort = null;
    if ($("stop")) $("stop").hidden = true;
  }
}

const most = 1 << 20; // characters that are shown of a reply

// fill shows a reply as it comes, so that streams can be followed.
async function fill(pre, r) {
  if (!r.body) return;
  const json = (r.headers.get("Content-Type") || "").includes("json");
  const decoder = new TextDecoder();
  let text = "";
  for (const reader = r.body.getReader(); text.length < most;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (!json) pre.textContent = text;
  }
  if (text.length >= most && state.abort) state.abort.abort();
  try { text = json ? JSON.stringify(JSON.parse(text), null, 2) : text; } catch { /* shown as it is */ }
  pre.textContent = text || "(no body)";
}

// basic is the header of name and password, in UTF-8.
function basic(user, password) {
  return "Basic " + btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${password}`)));
}

async function login(e) {
  e.preventDefault();
  const user = $("user").value, token = $("token").value.trim();
  const auth = token ? "Bearer " + token : basic(user, $("password").value);
  $("password").value = $("token").value = "";
  try {
    // A password is given up for a token of a day at once.
    const url = token ? "./info" : `./users/${encodeURIComponent(user)}/token?ttl=1d`;
    const r = await fetch(url, { headers: { Authorization: auth }, credentials: "omit", cache: "no-store" });
    const body = await r.json();
    if (!r.ok) throw new Error(`${r.status} ${(body.Messages || []).join("; ")}`);
    state.auth = token ? auth : "Bearer " + body.Token;
    said(token ? "logged in by token" : `logged in as ${user}`, true);
  } catch (err) {
    state.auth = "";
    said(`not logged in: ${err.message}`, false);
  }
}

function said(text, ok) {
  $("who").textContent = text;
  $("who").className = ok ? "good" : "bad";
  $("logout").hidden = !state.auth;
}

function go() {
  const o = state.ops.find((x) => x.op.operationId === location.hash.slice(1));
  if (!o) return;
  showOperation(o);
  $("main").focus();
}

// keys: / searches, arrows walk the list, Ctrl+Enter sends.
function keys(e) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName);
  if (e.key === "/" && !typing) { e.preventDefault(); $("search").focus(); }
  if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && $("try")) { e.preventDefault(); $("try").requestSubmit(); }
  if ((e.key === "ArrowDown" || e.key === "ArrowUp") && e.target.closest && e.target.closest("nav")) {
    const stops = [...document.querySelectorAll("#search, #groups summary, #groups details[open] a")];
    const next = stops[stops.indexOf(document.activeElement) + (e.key === "ArrowDown" ? 1 : -1)];
    if (next) { e.preventDefault(); next.focus(); }
  }
}

async function start() {
  const r = await fetch("./openapi.json", { credentials: "omit" });
  if (!r.ok) throw new Error(`openapi.json: ${r.status}`);
  state.doc = await r.json();
  state.ops = operations(state.doc);
  $("login").addEventListener("submit", login);
  $("logout").addEventListener("click", () => { state.auth = ""; said("logged out", true); });
  $("search").addEventListener("input", showList);
  addEventListener("hashchange", go);
  addEventListener("keydown", keys);
  showList();
  go();
}

start().catch((e) => fillWith($("main"), el("p", { class: "bad" }, `The description of the API cannot be read: ${e.message}`)));
