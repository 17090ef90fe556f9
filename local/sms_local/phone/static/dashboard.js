// The dashboard: asks for the numbers every two seconds, and changes only what has changed.

import { draw, legend } from "./charts.js";
import { byId, count, isEnabled, make, reconcile, setEnabled, setText } from "./dom.js";
import { post, say, showProblem } from "./server.js";

const EVERY_MS = 2000;
const KEPT_UNDER = "minimum of the dashboard";
const TIME = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZone: "UTC",
});
const KINDS = [
  ["delivered", "delivered"],
  ["failed", "failed"],
  ["answered", "answered"],
  ["opted-out", "opted out"],
];
const CHARTS = ["texts", "cost", "rates", "sentiment", "statuses"];

const shown = { figures: new Map(), same: new Map(), "by-campaign": new Map(), "by-country": new Map() };
let queries = "";
let words = new Map();
let isAsking = false;
let isFirst = true;
let last = "";

const moment = (iso) => (iso ? `${TIME.format(new Date(iso))}` : "–");

// --- what is shown

function showFigures(figures) {
  reconcile(byId("figures"), shown.figures, figures, {
    key: (figure) => figure.key,
    create: (figure) => {
      const group = make("div");
      group.dataset.key = figure.key;
      group.append(make("dt", figure.name), make("dd"), make("dd", undefined, "note"));
      return group;
    },
    update: (group, figure) => {
      const [value, note] = group.querySelectorAll("dd");
      setText(value, figure.words);
      setText(note, figure.note);
    },
  });
}

/** Rows of texts: names to the left, numbers to the right. */
function showTable(name, rows, names) {
  reconcile(byId(name), shown[name], rows, {
    key: (row) => row.slice(0, names).join("\n"),
    create: (row) => {
      const element = make("tr");
      row.forEach((_, at) => element.append(at === 0 ? make("th") : make("td", undefined, at < names ? "" : "figure")));
      element.firstChild.scope = "row";
      return element;
    },
    update: (element, row) => row.forEach((text, at) => setText(element.children[at], text)),
  });
}

const COMPARED = { equal: "✓ equal", behind: "archive comes later", different: "✗ not equal", alone: "–" };

function showSame({ rows, times, archive, problem }) {
  reconcile(byId("same-rows"), shown.same, rows, {
    key: (row) => row.name,
    create: (row) => {
      const element = make("tr");
      const name = make("th", row.name);
      name.scope = "row";
      element.append(name, ...["", "", ""].map(() => make("td", undefined, "figure")), make("td", undefined, "compared"));
      return element;
    },
    update: (element, row) => {
      [row.counts, row.metrics, row.athena].forEach((value, at) => setText(element.children[at + 1], value ?? "–"));
      element.lastChild.dataset.compared = row.compared;
      setText(element.lastChild, COMPARED[row.compared]);
    },
  });
  for (const [name, at] of Object.entries(times)) setText(byId(`time-${name}`), moment(at));
  setText(byId("archive"), [problem && `${problem}.`, archive].filter(Boolean).join(" "));
}

function showQueries(offered) {
  const names = JSON.stringify(offered);
  if (names === queries) return;
  queries = names;
  words = new Map(offered.map((query) => [query.id, query.description]));
  const select = byId("query");
  const chosen = select.value;
  select.replaceChildren(...offered.map((query) => new Option(query.name, query.id)));
  if (words.has(chosen)) select.value = chosen;
  setEnabled(byId("ask-button"), offered.length > 0 && !isAsking);
  showQueryWords();
}

function showQueryWords() {
  const select = byId("query");
  setText(byId("query-words"), select.value ? (words.get(select.value) ?? "") : "No saved query is there.");
}

function show(text) {
  if (text === last) return;
  last = text;
  const state = JSON.parse(text);
  byId("nothing").hidden = !state.isEmpty;
  showFigures(state.figures);
  for (const name of CHARTS) draw(byId(`chart-${name}`), state.charts[name]);
  showTable("by-campaign", state.campaigns, 2);
  showTable("by-country", state.countries, 1);
  showSame(state.same);
  showQueries(state.queries);
  byId("cut").hidden = !state.isCut;
  setText(byId("looks-back"), `Counts of the last ${count(state.looksBackDays, "day", "days")}.`);
  if (isFirst) say("Up to date; refreshed every two seconds.");
  isFirst = false;
}

// --- asking for it

const widthOf = (id) => Math.floor(byId(id).clientWidth);

async function look() {
  const wanted = new URLSearchParams({
    width: widthOf("chart-texts"),
    half: widthOf("chart-rates"),
    minimum: byId("minimum").value,
  });
  try {
    const answer = await fetch(`/api/dashboard?${wanted}`);
    const text = await answer.text();
    if (answer.ok) {
      show(text);
      showProblem(null);
    } else {
      showProblem(JSON.parse(text).problem ?? `The server answered ${answer.status}.`);
    }
  } catch {
    showProblem("The embedded cloud does not answer. Trying again…");
  }
}

async function keepLooking() {
  // Nobody sees a page in the background.
  if (!document.hidden) await look();
  setTimeout(keepLooking, EVERY_MS);
}

// --- Athena

function showAnswer(answer) {
  const box = byId("answer");
  box.hidden = false;
  const scanned = `${(answer.scannedBytes / 1024).toFixed(1)} KB scanned`;
  const more = answer.more ? `, ${answer.more.toLocaleString("en")} more not shown` : "";
  setText(byId("answer-caption"), `${answer.name}: ${count(answer.rows.length, "row", "rows")}${more}, ${scanned}, asked ${moment(answer.at)}`);
  const heads = answer.columns.map((name) => {
    const head = make("th", name);
    head.scope = "col";
    return head;
  });
  byId("answer-columns").replaceChildren(...heads);
  byId("answer-rows").replaceChildren(
    ...answer.rows.map((row) => {
      const element = make("tr");
      element.append(...row.map((cell) => make("td", cell ?? "–")));
      return element;
    }),
  );
}

async function ask() {
  isAsking = true;
  setEnabled(byId("ask-button"), false);
  say("Athena reads the archive…");
  const answer = await post("/api/athena", { query: byId("query").value });
  isAsking = false;
  setEnabled(byId("ask-button"), true);
  if (!answer) return;
  showAnswer(answer);
  say(`Athena answered: ${count(answer.rows.length, "row", "rows")}.`);
  await look();
}

legend(byId("texts-legend"), KINDS);
try {
  const kept = localStorage.getItem(KEPT_UNDER);
  if ([...byId("minimum").options].some((option) => option.value === kept)) byId("minimum").value = kept;
} catch {
  // A browser that keeps nothing begins with five each time.
}
byId("minimum").addEventListener("change", () => {
  try {
    localStorage.setItem(KEPT_UNDER, byId("minimum").value);
  } catch {
    // As above.
  }
  look();
});
byId("query").addEventListener("change", showQueryWords);
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isEnabled(byId("ask-button"))) ask();
});
say("Connecting…");
keepLooking();
