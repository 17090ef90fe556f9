// The broadcast: a dry run, then the real one, and who gets the text, who not, and why.

import { moment, now, show, timeElement } from "./clock.js";
import { byId, count, isEnabled, make, reconcile, setEnabled, setText } from "./dom.js";
import { post, say } from "./server.js";

const TEXT_OF_GROUP = { now: "Sent", later: "Waits", unknown: "Not known", left: "No turn", not: "None" };
const TEXT_OF_GROUP_DRY = { ...TEXT_OF_GROUP, now: "Now", later: "Later" };

const rows = new Map();
let started = null; // id of the run that this window began, until it has said how that went
let shown = null;

const isOver = (run) => run.status !== "RUNNING";

/** Whether nothing moves until the clock does: another run may begin meanwhile. */
const isWaiting = (run) => !isOver(run) && run.waitsUntil !== null;

function headline(run) {
  const { groups, total } = run;
  if (run.isDry) {
    if (!isOver(run)) return "Looking at everybody…";
    const later = groups.later ? `, ${groups.later.toLocaleString("en")} later` : "";
    return `${groups.now.toLocaleString("en")} of ${count(total, "person", "people")} would get it now${later}`;
  }
  if (isOver(run)) return `${groups.now.toLocaleString("en")} of ${count(total, "person", "people")} got a text`;
  if (run.waitReason) return "Held: nothing is sent";
  if (isWaiting(run)) return `${count(run.left ?? groups.later, "person waits", "people wait")} until ${moment(run.waitsUntil)}`;
  return "Sending…";
}

function subline(run, followUp) {
  if (run.status === "ABORTED") return "The run was stopped. Send again, and it goes on where it was.";
  if (isOver(run) && run.status !== "SUCCEEDED") return `The run failed: ${run.problem ?? "no cause was given"}`;
  if (run.waitReason) return `The run waits: ${run.waitReason}.`;
  const parts = count(run.parts, "message part", "message parts");
  const cost = run.costUsd === null ? "" : `, about $${run.costUsd}`;
  const began = `Began at ${moment(run.startedAt)}.`;
  if (!isOver(run)) {
    return run.left === null || run.isDry ? began : `${count(run.left, "person", "people")} of ${run.total.toLocaleString("en")} left. ${began}`;
  }
  if (run.isDry) {
    const paused = run.paused ? " All sending is paused at present." : "";
    return `${parts}${cost}. Nothing was sent.${paused}`;
  }
  const stopped = run.stoppedBy ? ` Then ${run.stoppedBy}.` : "";
  const reminders =
    followUp && !isOver(followUp) && followUp.waitsUntil ? ` Reminders follow on ${show(followUp.waitsUntil, "moment")}.` : "";
  return `${parts}${cost}.${stopped}${reminders}`;
}

function whenCell(cell, person, isDry) {
  const words = (isDry ? TEXT_OF_GROUP_DRY : TEXT_OF_GROUP)[person.group];
  const until = person.group === "later" ? person.until : null;
  const format = until && show(until, "day") === show(now(), "day") ? "time" : "moment";
  const wanted = until ? `${until} ${format}` : words;
  if (cell.dataset.shown === wanted) return;
  cell.dataset.shown = wanted;
  cell.replaceChildren(until ? timeElement(until, format) : words);
}

function createRow(person) {
  const row = make("tr");
  const name = make("th");
  name.scope = "row";
  const who = make("span", person.name);
  who.dir = "auto";
  name.append(who, make("small", undefined, "why-below"));
  row.append(name, make("td", undefined, "when"), make("td", undefined, "why"), make("td", undefined, "number"));
  return row;
}

function updateRow(row, person, isDry) {
  const isPlain = person.group === "now";
  row.className = person.group;
  whenCell(row.querySelector(".when"), person, isDry);
  setText(row.querySelector(".why-below"), isPlain ? "" : person.words);
  const why = row.querySelector("td.why");
  const code = isPlain || !person.code ? "" : person.code;
  if (why.dataset.shown !== `${code} ${person.words}`) {
    why.dataset.shown = `${code} ${person.words}`;
    why.replaceChildren(...(isPlain ? [] : code ? [`${person.words} `, make("code", code)] : [person.words]));
  }
  setText(row.querySelector(".number"), person.parts ? String(person.parts) : "");
}

function showMeter(run) {
  const meter = byId("run-meter");
  meter.hidden = !run || isOver(run);
  if (meter.hidden) return;
  const isMeasured = run.left !== null && run.total > 0 && !run.isDry;
  meter.classList.toggle("unmeasured", !isMeasured);
  if (isMeasured) {
    const done = run.total - run.left;
    meter.setAttribute("aria-valuemax", run.total);
    meter.setAttribute("aria-valuenow", done);
    meter.firstElementChild.style.width = `${(100 * done) / run.total}%`;
  } else {
    meter.removeAttribute("aria-valuenow");
    meter.firstElementChild.style.width = "";
  }
}

/** Says once how the run went that this window began: when it is over, or has to wait for the hour. */
function announce(run) {
  if (!run || run.id !== started || !(isOver(run) || isWaiting(run))) return;
  started = null;
  if (isOver(run) && run.status !== "SUCCEEDED") say(subline(run, null));
  else if (run.isDry) say(`Dry run done: ${headline(run)}.`);
  else if (isOver(run)) say(`Done: ${count(run.groups.now, "text", "texts")} sent.`);
  else say(`${headline(run)}.`);
}

function showButtons(state) {
  const run = state.latest;
  const isBusy = started !== null || (run && !isOver(run) && !isWaiting(run));
  const [dry, send] = [byId("dry-run"), byId("send")];
  setEnabled(dry, state.canSend && !isBusy);
  setEnabled(send, state.canSend && !isBusy);
  // The next step of the two is the one that stands out.
  const isTried = run?.isDry && run.status === "SUCCEEDED";
  dry.classList.toggle("primary", !isTried);
  send.classList.toggle("primary", Boolean(isTried));
}

export function showBroadcast(state) {
  const run = state.latest;
  shown = state;
  announce(run);
  showButtons(state);
  byId("introduction").hidden = run !== null;
  byId("people-table").hidden = run === null;
  showMeter(run);
  if (!run) {
    setText(byId("run-headline"), "One text to each customer not asked yet.");
    setText(byId("run-sub"), "The dry run tells who would get it, who not and why, and what it costs.");
  } else {
    setText(byId("run-headline"), headline(run));
    setText(byId("run-sub"), subline(run, state.followUp));
  }
  byId("run-sub").classList.toggle("failed", run !== null && isOver(run) && !["SUCCEEDED", "ABORTED"].includes(run.status));
  reconcile(byId("run-people"), rows, run?.people ?? [], {
    key: (person) => `${run.id} ${person.userId}`,
    create: createRow,
    update: (row, person) => updateRow(row, person, run.isDry),
  });
  const unnamed = byId("run-unnamed");
  unnamed.hidden = !run?.unnamed;
  if (run?.unnamed) setText(unnamed, `and ${count(run.unnamed, "other person", "other people")}`);
}

async function begin(isDry) {
  started = "asked";
  showButtons(shown);
  say(isDry ? "Looking at everybody; nothing is sent…" : "Sending…");
  const run = await post("/api/broadcast", isDry ? { dryRun: true } : {});
  started = run?.id ?? null;
  showBroadcast(shown);
}

export function startBroadcast() {
  byId("dry-run").addEventListener("click", () => isEnabled(byId("dry-run")) && begin(true));
  byId("send").addEventListener("click", () => isEnabled(byId("send")) && begin(false));
}
