// The virtual clock: what time it is, in the zone that the reader chose, and skipping some of it.

import { byId, count, isEnabled, make, setEnabled, setText } from "./dom.js";
import { post, say } from "./server.js";

const ZONES = [
  ["UTC", "UTC"],
  ["America/New_York", "New York"],
  ["America/Chicago", "Chicago"],
  ["America/Los_Angeles", "Los Angeles"],
  ["Pacific/Honolulu", "Honolulu"],
];
const KEPT_UNDER = "time zone of the page";

// Dates in English like the rest of the page, hours of a day counted to 24 whatever the browser's habits.
const LANGUAGE = "en-GB";
const FORMATS = {
  time: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  seconds: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  day: { weekday: "short", day: "numeric", month: "short" },
  moment: { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
};

let zone = "UTC";
let offset = null; // milliseconds by which virtual time is ahead of this machine's
let jump = null;
let asked = null; // number of the jump that this window asked for, until it has said how that went
const formatters = new Map();

function formatter(format, inZone) {
  const name = `${format} ${inZone}`;
  if (!formatters.has(name)) {
    formatters.set(name, new Intl.DateTimeFormat(LANGUAGE, { ...FORMATS[format], timeZone: inZone }));
  }
  return formatters.get(name);
}

export const now = () => new Date(Date.now() + (offset ?? 0));

export const isKnown = () => offset !== null;

/** An instant as text, in the chosen zone unless another one is given. */
export const show = (instant, format, inZone = zone) => formatter(format, inZone).format(new Date(instant));

/** An element that shows an instant, and shows it anew when another zone is chosen. */
export function timeElement(iso, format) {
  const element = make("time", show(iso, format));
  element.dateTime = iso;
  element.dataset.format = format;
  return element;
}

/** The hour for messages: today's without its day. */
export function moment(iso) {
  return show(iso, "day") === show(now(), "day") ? show(iso, "time") : show(iso, "moment");
}

// --- the zone

function offerZones(onChange) {
  const select = byId("zone");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = ZONES.some(([name]) => name === own) ? ZONES : [...ZONES, [own, `Here (${own.replaceAll("_", " ")})`]];
  select.replaceChildren(...zones.map(([name, label]) => new Option(label, name)));
  try {
    zone = localStorage.getItem(KEPT_UNDER) ?? zone;
  } catch {
    // A browser that keeps nothing begins with UTC each time.
  }
  if (!zones.some(([name]) => name === zone)) zone = "UTC";
  select.value = zone;
  select.addEventListener("change", () => {
    zone = select.value;
    try {
      localStorage.setItem(KEPT_UNDER, zone);
    } catch {
      // As above.
    }
    for (const element of document.querySelectorAll("time[data-format]")) {
      setText(element, show(element.dateTime, element.dataset.format));
    }
    tick();
    onChange();
  });
}

// --- the hands

function tick() {
  if (offset === null) return;
  const at = now();
  const element = byId("now");
  element.dateTime = at.toISOString();
  setText(element.querySelector(".date"), show(at, "day"));
  setText(element.querySelector(".hour"), show(at, "seconds"));
  for (const there of document.querySelectorAll("[data-zone]")) {
    setText(there, show(at, "time", there.dataset.zone));
  }
  showJump(at);
}

function showJump(at) {
  const bar = byId("jump");
  const isRunning = jump?.running ?? false;
  bar.hidden = !isRunning;
  if (!isRunning) return;
  const [from, to] = [Date.parse(jump.from), Date.parse(jump.to)];
  const done = Math.round(100 * Math.min(1, Math.max(0, (at - from) / (to - from))));
  bar.setAttribute("aria-valuenow", done);
  bar.firstElementChild.style.width = `${done}%`;
}

/** Says once how the jump went that this window asked for. */
function announce() {
  if (!jump || jump.running || jump.number !== asked) return;
  asked = null;
  const due = jump.due === 0 ? "Nothing fell due" : `${count(jump.due, "thing", "things")} fell due on the way`;
  say(jump.problem ?? `It is ${show(now(), "moment")}. ${due}.`);
}

function showButtons() {
  const isFree = offset !== null && !jump?.running && asked === null;
  for (const button of document.querySelectorAll(".skips button")) setEnabled(button, isFree);
}

export function showClock(state) {
  offset = state.offsetSeconds === null ? null : state.offsetSeconds * 1000;
  jump = state.jump;
  announce();
  showButtons();
  tick();
}

async function skip(button) {
  asked = 0;
  showButtons();
  say(`Skipping ${button.textContent}…`);
  const begun = await post("/api/skip", { seconds: Number(button.dataset.seconds) });
  asked = begun?.number ?? null;
  // The stream may have told already that it is over.
  announce();
  showButtons();
}

export function startClock(onZone) {
  offerZones(onZone);
  showButtons();
  for (const button of document.querySelectorAll(".skips button")) {
    button.addEventListener("click", () => isEnabled(button) && skip(button));
  }
  setInterval(tick, 250);
}
