// Campaigns: the welcome series, a promotion, how far they are, and the subscribers whom they are for.

import { moment, timeElement } from "./clock.js";
import { byId, copy, count, isEnabled, make, reconcile, setEnabled, setText } from "./dom.js";
import { post, say } from "./server.js";
import { openTab } from "./tabs.js";

const EVERYBODY = "";

const runs = new Map();
const subscribers = new Map();
let people = [];
let state = null;
let isStarting = false;

// --- starting one

function offerPeople(offered) {
  const names = (some) => some.map((person) => `${person.userId} ${person.name}`).join("\n");
  if (people.length && names(offered) === names(people)) return;
  const select = byId("campaign-whom");
  const chosen = select.value;
  people = offered;
  select.replaceChildren(
    new Option("All subscribers", EVERYBODY),
    ...people.map((person) => new Option(`Only ${person.name}`, person.userId)),
  );
  if (people.some((person) => person.userId === chosen)) select.value = chosen;
}

function showButtons() {
  setEnabled(byId("welcome-button"), Boolean(state?.canWelcome) && !isStarting);
  setEnabled(byId("promotion-button"), Boolean(state?.canPromote) && !isStarting);
}

async function start(wish, said) {
  isStarting = true;
  showButtons();
  say("Starting…");
  const userId = byId("campaign-whom").value;
  const run = await post("/api/journeys", userId === EVERYBODY ? wish : { ...wish, userId });
  isStarting = false;
  showButtons();
  if (run) say(said);
}

const startWelcome = () => start({ journey: "welcome" }, "The welcome series begins.");

function sendPromotion() {
  const [promo, discount] = [byId("promo").value.trim().toUpperCase(), byId("discount").value];
  start({ journey: "promotional", promo, discount }, `The promotion ${promo} begins.`);
}

// --- how far they are

const STATUSES = {
  RUNNING: "is under way",
  SUCCEEDED: "is over",
  FAILED: "failed",
  TIMED_OUT: "took too long",
  ABORTED: "was stopped",
};

function createMoment() {
  const item = make("li");
  const meter = make("div", undefined, "meter");
  meter.setAttribute("role", "progressbar");
  meter.setAttribute("aria-valuemin", "0");
  meter.append(make("span"));
  item.append(make("span", undefined, "which"), meter, make("span", undefined, "words"));
  return item;
}

function updateMoment(item, text) {
  setText(item.querySelector(".which"), `Text ${text.number}`);
  const meter = item.querySelector(".meter");
  const total = Math.max(1, text.total);
  const done = text.isRunning ? text.done : total;
  meter.setAttribute("aria-label", `People of text ${text.number} who are done`);
  meter.setAttribute("aria-valuemax", String(total));
  meter.setAttribute("aria-valuenow", String(done));
  meter.firstElementChild.style.width = `${(100 * done) / total}%`;
  const until = text.isRunning && text.waitsUntil ? `, until ${moment(text.waitsUntil)}` : "";
  setText(item.querySelector(".words"), `${text.words}${until}`);
}

function createRun() {
  const item = copy("campaign-run-template");
  item.moments = new Map();
  return item;
}

function updateRun(item, run) {
  setText(item.querySelector("b"), run.title);
  setText(item.querySelector(".what span"), STATUSES[run.status] ?? run.status);
  const isBad = !["RUNNING", "SUCCEEDED"].includes(run.status);
  const next = run.nextAt ? `. The next text is due ${moment(run.nextAt)}` : "";
  const why = item.querySelector(".why");
  setText(why, isBad ? (run.problem ?? "No cause was given.") : `Began ${moment(run.startedAt)}${next}.`);
  why.classList.toggle("failed", isBad);
  reconcile(item.querySelector(".moments"), item.moments, run.texts, {
    key: (text) => text.number,
    create: createMoment,
    update: updateMoment,
  });
}

// --- whom they are for

function createSubscriber() {
  const row = make("tr");
  const who = make("th");
  who.scope = "row";
  const name = make("span");
  name.dir = "auto";
  who.append(name, make("small"));
  const status = make("td", undefined, "status");
  const words = make("span", undefined, "state");
  words.append(make("span"), " ", make("code"));
  // In a small window the last answer has no column of its own.
  status.append(words, make("span", undefined, "last-below"));
  row.append(who, status, make("td", undefined, "number"), make("td", undefined, "number"), make("td", undefined, "said-last"));
  return row;
}

function updateSubscriber(row, one) {
  setText(row.querySelector("th span"), one.name);
  setText(row.querySelector("small"), one.phone);
  const status = row.querySelector(".state");
  status.dataset.state = one.mark;
  setText(status.querySelector("span"), one.words);
  setText(status.querySelector("code"), one.status);
  const [texts, answers] = row.querySelectorAll("td.number");
  setText(texts, one.texts.toLocaleString("en"));
  setText(answers, one.answers.toLocaleString("en"));
  for (const place of [".said-last", ".last-below"]) showLast(row.querySelector(place), one.last);
}

function showLast(cell, last) {
  const wanted = last ? `${last.at} ${last.sentiment} ${last.text}` : "";
  if (cell.dataset.shown === wanted) return;
  cell.dataset.shown = wanted;
  if (!last) {
    cell.replaceChildren();
    return;
  }
  const said = make("q", last.text);
  said.dir = "auto";
  cell.replaceChildren(said, ` ${last.sentiment} `, timeElement(last.at, "time"));
}

export function showCampaigns(shown) {
  const isFirst = state === null;
  state = shown;
  for (const id of ["tab-campaigns", "skip-to-campaigns", "link-to-campaigns"]) byId(id).hidden = !state;
  showButtons();
  if (!state) return;
  // A link that led here found the tab hidden, as nobody knew yet whether there is anything behind it.
  if (isFirst && location.hash === "#campaigns") openTab(location.hash);
  offerPeople(state.people);
  byId("campaign-hints").hidden = state.runs.length > 0;
  byId("subscribers-table").hidden = state.subscribers.length === 0;
  reconcile(byId("campaign-runs"), runs, state.runs, { key: (run) => run.id, create: createRun, update: updateRun });
  reconcile(byId("subscribers"), subscribers, state.subscribers, {
    key: (one) => one.id,
    create: createSubscriber,
    update: updateSubscriber,
  });
  byId("subscribers-table").caption.textContent = `Subscribers: ${count(state.subscribers.length, "person", "people")}`;
}

export function startCampaigns() {
  for (const [form, button, begin] of [
    ["welcome", "welcome-button", startWelcome],
    ["promotion", "promotion-button", sendPromotion],
  ]) {
    byId(form).addEventListener("submit", (event) => {
      event.preventDefault();
      if (isEnabled(byId(button))) begin();
    });
  }
}
