"use strict";
// Sorts, searches and opens the tables of the page. Texts go into it as texts, never as HTML.

const STEPS = ["waiting", "copy", "verify", "index", "analyze", "other", "merge"];
const table = document.getElementById("loads");
const body = table.tBodies[0];
const rows = Array.from(body.rows);
const tip = document.getElementById("tip");
const found = document.getElementById("found");
let data = null;

/** Reads the page's data, which gzip has compressed. */
async function unpack() {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (one) => one.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Makes an element with attributes and children; a child that is a string becomes text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// ---- figures, as figures.py writes them

const NOTHING = "–";

function seconds(value) {
  if (value == null) return NOTHING;
  if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  const all = Math.round(value), minutes = Math.floor(all / 60);
  return minutes < 60 ? `${minutes} min ${all % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const count = (value) => (value == null ? NOTHING : Math.round(value).toLocaleString("en-US"));

const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const brief = (value) => (value == null ? NOTHING : compact.format(value));

function size(value) {
  if (value == null) return NOTHING;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value.toFixed(unit === 0 || value >= 99.5 ? 0 : 1)} ${units[unit]}`;
}

function share(value) {
  if (value == null) return NOTHING;
  return value >= 0.0995 || value === 0 ? `${(100 * value).toFixed(0)} %` : `${Number((100 * value).toPrecision(2))} %`;
}

// ---- sorting

/** What a row is sorted by; null comes last. */
function keyOf(row, key) {
  const one = row.own;
  if (key === "table") return row.dataset.table;
  if (key === "ratio") return one.usual && one.seconds != null && one.usual.median ? one.seconds / one.usual.median : null;
  if (key === "shard" && /^\d+$/.test(one.shard ?? "")) return Number(one.shard);
  return one[key] ?? null;
}

function compare(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}

function sort(header) {
  const key = header.dataset.key;
  const isText = ["table", "shard", "load", "outcome"].includes(key);
  const before = header.getAttribute("aria-sort");
  const order = before ? (before === "ascending" ? "descending" : "ascending") : isText ? "ascending" : "descending";
  const sign = order === "ascending" ? 1 : -1;
  const keyed = rows.map((row) => [keyOf(row, key), row]);
  keyed.sort(([a, first], [b, second]) => {
    if (a == null || b == null) return (a == null) - (b == null) || first.place - second.place;
    return sign * compare(a, b) || first.place - second.place;
  });
  for (const one of table.tHead.querySelectorAll("th")) one.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", order);
  body.append(...keyed.flatMap(([, row]) => (row.detail ? [row, row.detail] : [row])));
}

// ---- searching

/** A text as the search compares it: in one case, and a letter and its accent in one way. */
const folded = (text) => text.normalize("NFKC").toLowerCase();

function search(text) {
  const words = folded(text).split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const matches = words.every((word) => row.words.includes(word));
    row.hidden = !matches;
    if (row.detail) row.detail.hidden = !matches;
    shown += matches;
  }
  found.textContent = `${count(shown)} of ${count(rows.length)} tables`;
}

// ---- the numbers of a row

function told(row) {
  const one = row.own;
  const steps = STEPS.map((name, at) => [name, one.steps[at]]).filter(([, value]) => value > 0);
  const lines = [steps.map(([name, value]) => `${name} ${seconds(value)}`).join(", ") || one.outcome];
  if (one.usual) lines.push(`usually ${seconds(one.usual.median)} (${seconds(one.usual.p10)} to ${seconds(one.usual.p90)} in ${one.usual.nights} nights)`);
  return lines.join("\n");
}

/** Shows the numbers of a row below a place or, where the window ends, above it: they hide neither pointer nor focus. */
function showTip(row, place) {
  tip.textContent = `${row.dataset.table}\n${told(row)}`;
  tip.hidden = false;
  const own = tip.getBoundingClientRect();
  const left = Math.min(Math.max(place.left, 8), innerWidth - own.width - 8);
  const top = place.bottom + 18 + own.height > innerHeight ? place.top - own.height - 8 : place.bottom + 18;
  tip.style.left = `${Math.max(left, 8)}px`;
  tip.style.top = `${Math.max(top, 8)}px`;
}

function hideTip() {
  tip.hidden = true;
}

// ---- the nights of a table

function chart(name, past, now, write, loads) {
  const values = [...past, now], width = 310 / Math.max(values.length, 10);
  const highest = Math.max(...values.map((value) => value ?? 0)) || 1;
  const label = `${name}: tonight ${write(now)}, highest ${write(highest)} in ${values.length} nights`;
  const svg = draw("svg", { viewBox: "0 0 310 60", preserveAspectRatio: "none", role: "img", "aria-label": label });
  values.forEach((value, at) => {
    const isTonight = at === values.length - 1, failed = loads[at] === "failed";
    const height = Math.max((60 * (value ?? 0)) / highest, failed ? 4 : 1);
    const kind = isTonight ? "tonight" : failed ? "bad" : "";
    const bar = draw("rect", { x: at * width + 1, y: 60 - height, width: width - 2, height, class: kind });
    const when = isTonight ? "tonight" : data.nights[at];
    bar.append(draw("title", {}, `${when}: ${failed || loads[at] === "not published" ? loads[at] : write(value)}`));
    svg.append(bar);
  });
  return make("figure", {}, make("figcaption", {}, make("span", {}, name), " ", make("b", {}, write(now))), svg);
}

function fact(name, value, isWide = false) {
  return make("div", isWide ? { class: "wide" } : {}, make("dt", {}, name), make("dd", {}, value));
}

function facts(one) {
  const list = make("dl", {}, fact("Began", one.started_at ?? NOTHING), fact(one.outcome === "failed" ? "Failed" : "Staged", one.finished_at ?? NOTHING));
  if (one.shard != null) list.append(fact("Shard", one.shard));
  STEPS.forEach((name, at) => one.steps[at] > 0 && list.append(fact(name, seconds(one.steps[at]))));
  if (one.usual) list.append(fact("Usually", `${seconds(one.usual.median)} (${seconds(one.usual.p10)} to ${seconds(one.usual.p90)})`));
  if (one.slow_since) list.append(fact("Slow since", `${one.slow_since}: ${seconds(one.slow_after)}, before that ${seconds(one.slow_before)}`));
  if (one.as_of) list.append(fact("As of", one.as_of));
  if (one.reason) list.append(fact("Why", `${one.load}: ${one.reason}`, true));
  if (one.drift) list.append(fact("Drift", one.drift, true));
  if (one.note) list.append(fact("Note", one.note, true));
  return list;
}

function nights(one) {
  const head = ["Night", "Load", "Took", "Rows", "Changed", "Copied"].map((name) => make("th", { scope: "col" }, name));
  const line = (when, load, took, all, changed, bytes) => {
    const cells = [load ?? NOTHING, seconds(took), brief(all), brief(changed), size(bytes)];
    return make("tr", {}, make("th", { scope: "row" }, when), ...cells.map((text) => make("td", {}, text)));
  };
  const { loads, seconds: took, rows: all, changed, bytes } = one.past;
  const lines = data.nights.map((when, at) => line(when, loads[at], took[at], all[at], changed[at], bytes[at]));
  lines.push(line("tonight", one.load, one.seconds, one.rows, one.changed, one.bytes));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...lines.reverse()));
}

function detail(row) {
  const one = row.own, past = one.past;
  const changed = past.changed.map((value, at) => (value == null || !past.rows[at] ? null : Math.min(value / past.rows[at], 1)));
  const now = one.changed == null || !one.rows ? null : Math.min(one.changed / one.rows, 1);
  // on a telephone it scrolls sideways, which the keyboard has to reach, too
  const inner = make("div", { class: "inner", role: "region", "aria-label": `The nights of ${row.dataset.table}`, tabindex: "0" });
  if (one.error) inner.append(make("pre", {}, one.error));
  inner.append(facts(one));
  const charts = make("div", { class: "charts" }, chart("Took", past.seconds, one.seconds, seconds, past.loads), chart("Rows", past.rows, one.rows, brief, past.loads), chart("Copied", past.bytes, one.bytes, size, past.loads));
  if (now != null || changed.some((value) => value != null)) charts.append(chart("Changed rows", changed, now, share, past.loads));
  inner.append(charts);
  if (data.nights.length) inner.append(nights(one));
  return make("tr", { class: "detail" }, make("td", { colspan: table.tHead.rows[0].cells.length }, inner));
}

function toggle(row) {
  const button = row.querySelector("button");
  if (row.detail) {
    row.detail.remove();
    row.detail = null;
  } else {
    row.detail = detail(row);
    row.after(row.detail);
  }
  button.setAttribute("aria-expanded", String(Boolean(row.detail)));
  hideTip();
}

// ---- the page

/** A table's own figures: each is a column of the data. */
function ownOf(place) {
  const own = {};
  for (const [name, column] of Object.entries(data.columns)) own[name] = column[place];
  own.past = {};
  for (const [name, column] of Object.entries(data.past)) own.past[name] = column[place];
  return own;
}

function rowAt(event) {
  const row = event.target.closest("tr");
  return row && row.own ? row : null;
}

async function begin() {
  data = await unpack();
  rows.forEach((row, place) => {
    const button = row.querySelector("button"), bars = row.querySelector(".bars");
    Object.assign(row, { own: ownOf(place), place, detail: null });
    row.dataset.table = button.textContent;
    row.words = folded(`${button.textContent} ${row.own.outcome} ${row.own.load ?? ""} ${row.className} ${row.own.drift ? "drift" : ""}`);
    button.setAttribute("aria-expanded", "false");
    bars.setAttribute("role", "img");
    bars.setAttribute("aria-label", told(row));
  });
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(button.closest("th"));
  });
  body.addEventListener("click", (event) => {
    const row = rowAt(event);
    const isSelecting = String(getSelection()) && !event.target.closest("button");
    if (row && !isSelecting) toggle(row);
  });
  body.addEventListener("pointermove", (event) => {
    const row = rowAt(event);
    if (row) showTip(row, { left: event.x, top: event.y, bottom: event.y });
    else hideTip();
  });
  body.addEventListener("pointerleave", hideTip);
  body.addEventListener("focusin", (event) => {
    const row = rowAt(event);
    if (row) showTip(row, event.target.getBoundingClientRect());
  });
  body.addEventListener("focusout", hideTip);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    hideTip();
    const open = rows.find((row) => row.detail && (row.contains(event.target) || row.detail.contains(event.target)));
    if (!open) return;
    toggle(open);
    open.querySelector("button").focus();
  });
  const box = document.getElementById("search");
  box.closest(".tools").hidden = false;
  box.addEventListener("input", () => search(box.value));
  document.documentElement.dataset.ready = "";
}

begin().catch((error) => {
  document.getElementById("unable").hidden = false;
  throw error;
});
