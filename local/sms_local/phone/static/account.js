// What the cloud did, step by step, below the run that it belongs to; and the admin's line.

import { show, timeElement } from "./clock.js";
import { byId, copy, make, reconcile } from "./dom.js";

const items = new Map();
const notices = new Map();
let last = null;

/** A sentence of the server: text, and instants in the chosen zone, without the day that it is said on. */
function sentence(words, day) {
  return words.map((word) =>
    typeof word === "string" ? word : timeElement(word.at, show(word.at, "day") === day ? "time" : "moment"),
  );
}

/** Steps with a heading where another run begins, and a line where another day does. */
function withHeadings({ steps, titles }) {
  const list = [];
  let [chapter, day] = ["", ""];
  for (const step of steps) {
    if (step.chapter !== chapter) {
      chapter = step.chapter;
      list.push({ key: `run ${step.id}`, heading: titles[chapter] ?? [] });
    }
    const itsDay = show(step.at, "day");
    if (itsDay !== day) {
      day = itsDay;
      list.push({ key: `day ${step.id} ${day}`, day });
    }
    list.push({ key: step.id, step });
  }
  return list;
}

function create(item) {
  if (item.heading) {
    const heading = make("li", undefined, "chapter");
    const words = make("h3");
    words.append(...sentence(item.heading, ""));
    heading.append(words);
    return heading;
  }
  if (item.day) return make("li", item.day, "day");
  const element = make("li", undefined, `kind-${item.step.kind}`);
  element.append(timeElement(item.step.at, "seconds"), make("p"));
  return element;
}

function update(element, { step }) {
  if (!step) return;
  const day = show(step.at, "day");
  const words = JSON.stringify([step.at, step.words, day]);
  if (element.dataset.words === words) return;
  element.dataset.words = words;
  element.firstChild.replaceWith(timeElement(step.at, "seconds"));
  element.querySelector("p").replaceChildren(...sentence(step.words, day));
}

const isAtEnd = (scroll) => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 24;

export function showAccount(state) {
  const scroll = byId("account-scroll");
  const follows = isAtEnd(scroll);
  const newest = state.steps.at(-1)?.id ?? null;
  byId("account-empty").hidden = state.steps.length > 0;
  byId("account-cut").hidden = !state.isCut;
  reconcile(byId("account-steps"), items, withHeadings(state), { key: (item) => item.key, create, update });
  if (follows) scroll.scrollTop = scroll.scrollHeight;
  else if (newest !== last) byId("newest").hidden = false;
  last = newest;
}

export function startAccount() {
  const scroll = byId("account-scroll");
  byId("newest").addEventListener("click", () => {
    scroll.scrollTop = scroll.scrollHeight;
    scroll.focus({ preventScroll: true });
  });
  scroll.addEventListener("scroll", () => {
    if (isAtEnd(scroll)) byId("newest").hidden = true;
  });
}

export function showNotices(list) {
  reconcile(byId("notices"), notices, list, {
    key: (notice) => notice.id,
    create: (notice) => {
      const item = copy("notice-template");
      const [first, ...rest] = notice.text.split("\n");
      // To the admin the first line says it all, to others the subject.
      const hasSubject = notice.kind !== "admin" && notice.subject;
      item.classList.add(`kind-${notice.kind}`);
      item.querySelector(".text").textContent = hasSubject ? notice.subject : first;
      item.querySelector(".more-text").textContent = hasSubject ? notice.text.trim() : rest.join("\n").trim();
      item.querySelector(".when").append(timeElement(notice.at, "moment"));
      return item;
    },
  });
  byId("admin-empty").hidden = list.length > 0;
}
