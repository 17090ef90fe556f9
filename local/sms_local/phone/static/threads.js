// The phones: threads of texts, and what their owners answer.

import { isKnown, show, timeElement } from "./clock.js";
import { describeState, goToAppointment, isRescheduling } from "./appointments.js";
import { byId, copy, isEnabled, make, reconcile, setEnabled, setText } from "./dom.js";
import { post, say } from "./server.js";

const QUICK_REPLIES = ["STOP", "START", "HELP", "YES"];
const TINTS = 6;
const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)]/g;

const IN_WORDS = {
  TEXT_DELIVERED: "Delivered",
  TEXT_SUCCESSFUL: "Delivered",
  TEXT_PENDING: "On its way",
  TEXT_QUEUED: "On its way",
  TEXT_SENT: "On its way",
};
const NOT_DELIVERED = "Not delivered";

const views = new Map(); // phone id → { article, list, shown, talks, phone, unread, entry, isVisible }
let isFirst = true; // what is there when the page opens is not new

function initials(name) {
  const words = name.split(/\s+/u).filter((word) => /\p{L}/u.test(word));
  return words.slice(0, 2).map((word) => [...word][0]).join("") || "#";
}

async function reply(phone, text) {
  const sent = await post("/api/reply", { phone: phone.phone, body: text });
  if (sent) say(`${phone.name} answered.`);
  return sent !== null;
}

function showWhere(article, phone) {
  const line = article.querySelector(".there");
  if (!phone.timeZone) return;
  const hour = make("time");
  hour.dataset.zone = phone.timeZone;
  line.append(`${phone.town} `, hour);
}

function addPhone(phone) {
  const tint = `tint-${views.size % TINTS}`;
  const article = copy("phone-template");
  const heading = article.querySelector("h2");
  article.id = phone.id;
  heading.id = `${phone.id}-name`;
  heading.textContent = phone.name;
  article.setAttribute("aria-labelledby", heading.id);
  article.querySelector(".number").textContent = phone.label;
  showWhere(article, phone);
  article.querySelector(".note").textContent = phone.note ? `Bought: ${phone.note}` : "";
  const avatar = article.querySelector(".avatar");
  avatar.textContent = initials(phone.name);
  avatar.classList.add(tint);
  article.querySelector(".thread").setAttribute("aria-label", `Texts of ${phone.name}`);
  article.querySelector(".talks").setAttribute("aria-label", `Appointments of ${phone.name}`);

  const quick = article.querySelector(".quick");
  quick.setAttribute("aria-label", `Quick answers of ${phone.name}`);
  for (const word of QUICK_REPLIES) {
    const button = make("button", word);
    button.type = "button";
    button.setAttribute("aria-label", `Answer ${word} as ${phone.name}`);
    button.addEventListener("click", () => reply(phone, word));
    quick.append(button);
  }
  const form = article.querySelector("form");
  form.body.setAttribute("aria-label", `Text from ${phone.name}`);
  form.querySelector("button").setAttribute("aria-label", `Send the text from ${phone.name}`);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = form.body.value.trim();
    if (text && (await reply(phone, text))) form.reset();
  });

  const entry = copy("person-template");
  const link = entry.querySelector("a");
  link.href = `#${phone.id}`;
  entry.querySelector(".avatar").textContent = avatar.textContent;
  entry.querySelector(".avatar").classList.add(tint);
  entry.querySelector(".label").textContent = phone.name.split(/\s+/u)[0];
  link.addEventListener("click", (event) => {
    event.preventDefault();
    article.scrollIntoView({ block: "nearest", inline: "center" });
    article.querySelector(".thread").focus({ preventScroll: true });
  });
  byId("people").append(entry);
  byId("strip").insertBefore(article, byId("more"));

  const view = {
    article,
    list: article.querySelector("ol"),
    shown: new Map(),
    talks: new Map(),
    phone: phone.phone,
    unread: entry.querySelector(".unread"),
    entry,
    isVisible: false,
  };
  views.set(phone.id, view);
  seen.observe(article);
  return view;
}

const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const view = views.get(entry.target.id);
      if (!view) continue;
      view.isVisible = entry.isIntersecting;
      if (view.isVisible) view.unread.hidden = true;
    }
  },
  { threshold: 0.6 },
);

function makeLink(url) {
  const link = make("a", url);
  if (isRescheduling(url)) {
    link.href = "#appointments";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      goToAppointment(url);
    });
    return link;
  }
  link.href = url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

function showText(element, text) {
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    element.append(text.slice(from, match.index));
    element.append(makeLink(match[0]));
    from = match.index + match[0].length;
  }
  element.append(text.slice(from));
}

function whatBecameOfIt(bubble) {
  if (bubble.isFromPhone) return "";
  const parts = bubble.parts === 1 ? "1 part" : `${bubble.parts} parts`;
  const status = bubble.status ? IN_WORDS[bubble.status] ?? `${NOT_DELIVERED} (${bubble.status})` : "On its way";
  return ` · ${parts} · ${status}`;
}

function createItem(view, phone, item) {
  if (item.day) return make("li", item.day, "day");
  const { bubble } = item;
  const element = copy("bubble-template");
  element.classList.toggle("from-phone", bubble.isFromPhone);
  element.querySelector(".hidden-text").textContent = bubble.isFromPhone ? `${phone.name}: ` : "Shop: ";
  showText(element.querySelector(".text"), bubble.body);
  element.querySelector(".meta").append(timeElement(bubble.at, "time"), make("span"));
  if (!bubble.isFromPhone && !view.isVisible && !isFirst) view.unread.hidden = false;
  return element;
}

function updateItem(element, item) {
  if (item.day) return;
  const words = whatBecameOfIt(item.bubble);
  setText(element.querySelector(".meta span"), words);
  element.classList.toggle("lost", words.includes(NOT_DELIVERED));
}

/** Bubbles with a line before the first of each day. */
function withDays(bubbles) {
  const items = [];
  let before = "";
  for (const bubble of bubbles) {
    const day = show(bubble.at, "day");
    if (day !== before) items.push({ day, key: `day ${day}` });
    before = day;
    items.push({ bubble, key: bubble.id });
  }
  return items;
}

function showPhone(phone) {
  const view = views.get(phone.id) ?? addPhone(phone);
  const before = view.list.lastElementChild;
  reconcile(view.list, view.shown, withDays(phone.bubbles), {
    key: (item) => item.key,
    create: (item) => createItem(view, phone, item),
    update: updateItem,
  });
  view.article.querySelector(".empty").hidden = phone.bubbles.length > 0;
  if (view.list.lastElementChild !== before) {
    const thread = view.article.querySelector(".thread");
    thread.scrollTop = thread.scrollHeight;
  }
}

export function showPhones(phones) {
  if (!isKnown()) return;
  for (const phone of phones) showPhone(phone);
  for (const [id, view] of views) {
    if (!phones.some((phone) => phone.id === id)) {
      view.article.remove();
      seen.unobserve(view.article);
      view.entry.remove();
      views.delete(id);
    }
  }
  // Only now: a strip that has nothing else to show would begin at it.
  byId("more").hidden = false;
  isFirst = false;
}

// --- what is said about appointments, beside the texts

const MOST_TALKS = 2;

function createTalk() {
  const item = make("li");
  const state = make("p", undefined, "state");
  state.append(make("span"), " ", make("code"));
  item.append(make("b"), state);
  return item;
}

function updateTalk(item, talk) {
  setText(item.querySelector("b"), talk.when);
  describeState(item.querySelector(".state"), talk);
  item.querySelector(".state").title = talk.why;
}

export function showConversations(appointments) {
  for (const view of views.values()) {
    const list = view.article.querySelector(".talks");
    const thread = view.article.querySelector(".thread");
    const height = thread.clientHeight;
    // The newest come first; one that was cancelled or moved is shown where there is no other.
    const own = appointments.filter((one) => one.phone === view.phone);
    const open = own.filter((one) => one.state !== "over");
    const talks = open.length > 0 ? open.slice(0, MOST_TALKS) : own.slice(0, 1);
    reconcile(list, view.talks, talks, { key: (one) => one.id, create: createTalk, update: updateTalk });
    list.hidden = talks.length === 0;
    // They take the room of the oldest texts, not of the newest.
    if (thread.clientHeight < height) thread.scrollTop += height - thread.clientHeight;
  }
}

// --- customers who can be added

const situations = new Map();

export function showSituations({ people, silent }) {
  reconcile(byId("situations"), situations, people, {
    key: (person) => person.userId,
    create: (person) => {
      const item = make("li");
      const button = make("button", `Add ${person.name}`);
      button.type = "button";
      button.addEventListener("click", async () => {
        if (!isEnabled(button)) return;
        setEnabled(button, false);
        if (await post("/api/customers", { userId: person.userId })) say(`${person.name} is a customer now.`);
        else setEnabled(button, true);
      });
      item.append(button, make("p", person.words, "sub"));
      return item;
    },
    update: (item, person) => {
      const button = item.querySelector("button");
      setText(button, person.isAdded ? `✓ ${person.name}` : `Add ${person.name}`);
      button.ariaLabel = person.isAdded ? `${person.name} is a customer` : null;
      setEnabled(button, !person.isAdded);
    },
  });
  byId("silent").replaceChildren(
    ...silent.map((person) => {
      const item = make("li");
      item.append(make("b", person.name), ` ${person.note}`);
      return item;
    }),
  );
}
