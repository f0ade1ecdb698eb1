// Shows ../openapi.json and sends requests. Plain script: no build, nothing from elsewhere, and no
// text of a reply ever becomes markup.
"use strict";

/** The description, and where its paths begin. */
let api = {};
let base = "";

/** An element with attributes (`on...` are listeners) and children. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== ""));
  return element;
}

/** Text with `code` in back quotes. */
function prose(text = "") {
  return text.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

/** Paragraphs and lists of a text. */
function blocks(text = "") {
  return text.split("\n\n").map((block) =>
    block.startsWith("- ")
      ? el("ul", {}, block.split(/^- /m).filter(Boolean).map((item) => el("li", {}, prose(item.trim()))))
      : el("p", {}, prose(block)));
}

/** What a reference stands for. */
function resolve(node) {
  if (!node || !node.$ref) return node || {};
  const found = node.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
  return { ...found, ...node, $ref: undefined };
}

/** A type in a few words. */
function kind(schema) {
  const whole = resolve(schema);
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.enum) return whole.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (whole.type === "array") {
    const many = whole.maxItems ? `${whole.minItems || 0} to ${whole.maxItems}` : "any number";
    return `list, ${many} of: ${schema.items.$ref ? schema.items.$ref.split("/").pop() : kind(schema.items)}`;
  }
  const limits = [];
  if (whole.minimum !== undefined && whole.maximum !== undefined) limits.push(`${whole.minimum} to ${whole.maximum}`);
  else if (whole.minimum !== undefined) limits.push(`${whole.minimum} or more`);
  if (whole.maxLength) limits.push(`${whole.minLength || 0} to ${whole.maxLength} characters`);
  if ((whole.pattern || "").includes("T[0-9]")) limits.push("RFC 3339 or empty");
  if (whole.format === "date-time") limits.push("RFC 3339");
  const name = [].concat(whole.type || "any").filter((type) => type !== "null").join(" or ");
  return limits.length ? `${name}, ${limits.join(", ")}` : name;
}

/** The fields of an object, those of inner objects folded. */
function fields(schema) {
  const whole = resolve(schema);
  const inner = whole.type === "array" ? resolve(whole.items) : whole;
  if (!inner.properties) return null;
  const required = new Set(inner.required || []);
  return el("ul", { class: "fields" }, Object.entries(inner.properties).map(([name, field]) => {
    const head = [el("code", {}, name), " ", el("span", { class: "kind" }, kind(field)), " ", prose(resolve(field).description || field.description)];
    const below = fields(field);
    const must = schema.isRequest && required.has(name) ? el("span", { class: "must", title: "has to be there" }, " *") : null;
    return el("li", {}, below ? el("details", {}, el("summary", {}, head, must), below) : [...head, must]);
  }));
}

/** Text that was written as an example, or as an answer. */
function pretty(value) {
  return JSON.stringify(value, null, 2);
}

// ---- Credentials ----

function credentialFields() {
  const form = document.getElementById("credentials");
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const [name, scheme] of Object.entries(api.components.securitySchemes)) {
    const isToken = scheme.type === "http";
    const kept = sessionStorage.getItem(`credential-${name}`);
    const input = el("input", {
      id: `credential-${name}`,
      type: isToken ? "password" : "text",
      placeholder: { token: "eyJ...", mockScope: "gauntlet.admin.read" }[name] || "",
      size: name === "mockScope" ? 22 : 16,
      value: kept ?? (name === "mockPlayer" ? "alice" : ""),
      oninput: () => {
        sessionStorage.setItem(`credential-${name}`, input.value);
        document.dispatchEvent(new Event("credentials"));
      },
    });
    form.append(el("label", { title: scheme.description }, isToken ? "Bearer token" : scheme.name, input));
  }
}

/** The headers that prove who asks, as far as the operation looks at them. */
function credentials(operation) {
  const headers = {};
  for (const name of new Set((operation.security || []).flatMap((way) => Object.keys(way)))) {
    const scheme = api.components.securitySchemes[name];
    const value = (document.getElementById(`credential-${name}`)?.value || "").trim();
    if (value) headers[scheme.type === "http" ? "authorization" : scheme.name] = scheme.type === "http" ? `Bearer ${value}` : value;
  }
  return headers;
}

// ---- One operation ----

/** Headers that a page cannot set. */
const LEFT_TO_THE_BROWSER = ["accept-encoding"];

/** An input for a parameter. */
function parameterInput(parameter) {
  const schema = resolve(parameter.schema);
  if (LEFT_TO_THE_BROWSER.includes(parameter.name.toLowerCase())) {
    return el("input", { disabled: true, placeholder: "(set by the browser)" });
  }
  if (schema.type === "boolean") {
    return el("select", {}, ["", "true", "false"].map((value) => el("option", { value }, value || "(not sent)")));
  }
  const sent = parameter.required ? parameter.example : undefined;
  const placeholder = parameter.example ?? (parameter.required ? "" : "(not sent)");
  return el("input", { value: sent ?? "", placeholder, required: parameter.required, spellcheck: "false" });
}

function operationSection(path, method, operation) {
  const parameters = (operation.parameters || []).map((parameter) => ({ ...resolve(parameter), input: parameterInput(resolve(parameter)) }));
  const content = operation.requestBody?.content["application/json"];
  const body = content && el("textarea", { spellcheck: "false", "aria-label": "Request body" });
  if (body) {
    body.value = pretty(content.example ?? {});
    body.rows = body.value.split("\n").length + 1;
  }

  const request = () => {
    let target = path;
    const query = new URLSearchParams();
    const headers = credentials(operation);
    for (const { name, in: place, required, input } of parameters) {
      if (place === "path") target = target.replace(`{${name}}`, input.value ? encodeURIComponent(input.value) : `{${name}}`);
      else if (input.value !== "" && place === "query") query.append(name, input.value);
      else if (input.value !== "") headers[name.toLowerCase()] = input.value;
    }
    const text = query.toString();
    if (body) headers["content-type"] = "application/json";
    return { url: base + target + (text ? `?${text}` : ""), method: method.toUpperCase(), headers, body: body ? body.value : undefined };
  };

  const curl = el("pre", { class: "curl" });
  const showCurl = () => { curl.textContent = curlOf(request()); };
  const answer = el("div", { class: "answer", "aria-live": "polite", hidden: true });
  const send = el("button", { class: "send", type: "submit" }, "Send");
  const copy = el("button", { type: "button", onclick: () => navigator.clipboard?.writeText(curl.textContent) }, "Copy curl");
  const form = el("form", { oninput: showCurl, onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    await ask(request(), answer);
    send.disabled = false;
  } });
  document.addEventListener("credentials", showCurl);

  if (parameters.length) {
    form.append(el("h3", {}, "Parameters"), el("table", {}, parameters.map((parameter) => {
      parameter.input.id = `${operation.operationId}-${parameter.name}`;
      return el("tr", {},
        el("th", {}, el("label", { for: parameter.input.id }, el("code", {}, parameter.name), parameter.required ? el("span", { class: "must" }, " *") : "", el("br"), el("small", {}, parameter.in))),
        el("td", {}, prose(parameter.description), el("div", { class: "kind" }, kind(parameter.schema))),
        el("td", { class: "value" }, parameter.input));
    })));
  }
  if (body) {
    form.append(el("h3", {}, "Body"), body, fields({ ...content.schema, isRequest: true }));
  }
  form.append(el("div", { class: "row" }, send, copy), curl);
  showCurl();

  return el("section", { id: operation.operationId },
    el("h2", {}, title(operation)),
    el("div", { class: "path" }, el("span", { class: `method ${method}` }, method.toUpperCase()), base + path),
    el("p", { class: "needs" }, needs(operation)),
    blocks(operation.description),
    form, answer,
    el("h3", {}, "Answers"), replies(operation));
}

/** The operation's name in words. */
function title({ operationId }) {
  const words = operationId.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words[0].toUpperCase() + words.slice(1);
}

/** Who may ask. */
function needs(operation) {
  const scopes = (operation.security || []).flatMap((way) => Object.values(way).flat());
  if (!operation.security?.length) return "Needs no credentials.";
  return scopes.length ? ["Needs the scope ", el("code", {}, scopes[0]), "."] : "Needs a player's credentials.";
}

/** The answers that the description knows, folded. */
function replies(operation) {
  return Object.entries(operation.responses).map(([status, response]) => {
    const content = response.content?.["application/json"];
    const inside = el("div", {});
    const examples = Object.entries(content?.examples || {});
    const headers = Object.entries(response.headers || {}).map(([name, header]) => [name, resolve(header)]);
    if (content?.example !== undefined) inside.append(el("pre", {}, pretty(content.example)));
    for (const [name, example] of examples) {
      const { summary, value } = resolve(example);
      inside.append(el("details", {}, el("summary", {}, el("code", {}, name), " ", prose(summary)), el("pre", {}, pretty(value))));
    }
    if (content && !examples.length) inside.append(el("details", {}, el("summary", {}, "Fields"), fields(content.schema)));
    inside.append(el("details", {}, el("summary", {}, "Headers"), el("ul", { class: "fields" },
      headers.map(([name, header]) => el("li", {}, el("code", {}, name), " ", prose(header.description))))));
    const good = status < 400;
    return el("details", { class: "reply" },
      el("summary", {}, el("span", { class: `status ${good ? "good" : "bad"}` }, status), " ", response.description), inside);
  });
}

// ---- Sending ----

/** A value as a word of a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** JSON on one line; anything else as it is. */
function compact(text) {
  try { return JSON.stringify(JSON.parse(text)); } catch { return text; }
}

/** The request as a command. */
function curlOf({ url, method, headers, body }) {
  const lines = [`curl -i${method === "GET" ? "" : ` -X ${method}`} ${quoted(location.origin + url)}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body) lines.push(`-d ${quoted(compact(body))}`);
  return lines.join(" \\\n  ");
}

/** Sends the request and shows what came back. */
async function ask({ url, method, headers, body }, answer) {
  answer.hidden = false;
  answer.replaceChildren(el("p", { class: "faint" }, "Waiting for the answer …"));
  const started = performance.now();
  try {
    const response = await fetch(url, { method, headers, body, cache: "no-store", redirect: "manual" });
    const text = await response.text();
    const took = `${(performance.now() - started).toFixed(1)} ms`;
    let shown = text;
    try { shown = pretty(JSON.parse(text)); } catch { /* not JSON: as it is */ }
    const list = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    answer.replaceChildren(
      el("div", { class: "row" },
        el("span", { class: `status ${response.status < 400 ? "good" : "bad"}` }, `${response.status} ${response.statusText}`),
        el("span", { class: "faint" }, `${took}, ${new Blob([text]).size} bytes`)),
      shown ? el("pre", { class: "body" }, shown) : el("p", { class: "faint" }, "No body."),
      el("details", {}, el("summary", {}, "Headers"), el("pre", {}, list)));
  } catch (error) {
    answer.replaceChildren(el("p", {}, el("span", { class: "status bad" }, "No answer. "), String(error)));
  }
}

// ---- The page ----

function show() {
  document.getElementById("version").textContent = api.info.version;
  credentialFields();
  const main = document.getElementById("main");
  const list = document.getElementById("list");
  main.replaceChildren(el("section", {}, blocks(api.info.description)));
  for (const tag of api.tags) {
    const group = el("div", {}, el("h2", { title: tag.description }, tag.name));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (!operation.tags.includes(tag.name)) continue;
        group.append(el("a", { class: "op", href: `#${operation.operationId}`, title: `${method.toUpperCase()} ${base}${path}\n${operation.summary}` },
          el("span", { class: `method ${method}` }, method.toUpperCase()), el("span", {}, title(operation))));
        main.append(operationSection(path, method, operation));
      }
    }
    list.append(group);
  }
  filterBy(list);
  const here = () => {
    for (const link of list.querySelectorAll("a.op")) link.classList.toggle("here", link.hash === location.hash);
    document.getElementById(location.hash.slice(1))?.scrollIntoView();
  };
  window.addEventListener("hashchange", here);
  here();
}

/** Hides what the reader does not look for. */
function filterBy(list) {
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    for (const group of list.children) {
      for (const link of group.querySelectorAll("a.op")) {
        link.hidden = !`${link.textContent} ${link.title}`.toLowerCase().includes(wanted);
      }
      group.hidden = !group.querySelector("a.op:not([hidden])");
    }
  });
}

async function load() {
  try {
    const response = await fetch("../openapi.json");
    if (!response.ok) throw new Error(`the description is answered with ${response.status}`);
    api = await response.json();
    base = api.servers[0].url.replace(/\/$/, "");
    show();
  } catch (error) {
    document.getElementById("state").textContent = `The description cannot be shown: ${error}`;
  }
}

load();
