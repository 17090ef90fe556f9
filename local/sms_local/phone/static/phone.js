// The phones: shows the state that the server streams, and sends what their owners answer.
// Whatever comes from outside is set as text, never as markup.

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

const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const time = (iso) => clock.format(new Date(iso));
const copy = (id) => byId(id).content.firstElementChild.cloneNode(true);
const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

const views = new Map(); // phone id → { article, list, bubbles, person, unread }
let started = null; // the run that this page's button began, until the state shows it
let last = null;

// --- phones

function initials(name) {
  const words = name.split(/\s+/u).filter((word) => /\p{L}/u.test(word));
  return words.slice(0, 2).map((word) => [...word][0]).join("") || "#";
}

// +14045550101 → +1 404 555 0101; other countries group their numbers in other ways.
const spaced = (number) => number.replace(/^\+1(\d{3})(\d{3})(\d{4})$/, "+1 $1 $2 $3");

function addPhone(phone) {
  const tint = `tint-${views.size % TINTS}`;
  const article = copy("phone-template");
  const heading = article.querySelector("h2");
  article.id = phone.id;
  heading.id = `${phone.id}-name`;
  heading.textContent = phone.name;
  article.setAttribute("aria-labelledby", heading.id);
  article.querySelector(".number").textContent = phone.name === phone.phone ? "" : spaced(phone.phone);
  article.querySelector(".note").textContent = phone.note ? `Bought: ${phone.note}` : "";
  const avatar = article.querySelector(".avatar");
  avatar.textContent = initials(phone.name);
  avatar.classList.add(tint);
  article.querySelector(".thread").setAttribute("aria-label", `Texts of ${phone.name}`);

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

  const person = copy("person-template");
  const link = person.querySelector("a");
  link.href = `#${phone.id}`;
  person.querySelector(".avatar").textContent = avatar.textContent;
  person.querySelector(".avatar").classList.add(tint);
  person.querySelector(".label").textContent = phone.name.split(/\s+/u)[0];
  link.addEventListener("click", (event) => {
    event.preventDefault();
    article.scrollIntoView({ block: "nearest", inline: "center" });
    article.querySelector(".thread").focus({ preventScroll: true });
  });
  byId("people").append(person);
  byId("strip").append(article);

  const view = {
    article,
    list: article.querySelector("ol"),
    bubbles: new Map(),
    unread: person.querySelector(".unread"),
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
      view.isVisible = entry.isIntersecting;
      if (view.isVisible) view.unread.hidden = true;
    }
  },
  { threshold: 0.6 },
);

function showText(element, text) {
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    element.append(text.slice(from, match.index));
    const link = make("a", match[0]);
    link.href = match[0];
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    element.append(link);
    from = match.index + match[0].length;
  }
  element.append(text.slice(from));
}

function meta(bubble) {
  if (bubble.isFromPhone) return time(bubble.at);
  const parts = bubble.parts === 1 ? "1 part" : `${bubble.parts} parts`;
  const status = bubble.status ? IN_WORDS[bubble.status] ?? `${NOT_DELIVERED} (${bubble.status})` : "On its way";
  return `${time(bubble.at)} · ${parts} · ${status}`;
}

function showBubble(view, bubble, phone) {
  let item = view.bubbles.get(bubble.id);
  if (!item) {
    item = copy("bubble-template");
    item.classList.toggle("from-phone", bubble.isFromPhone);
    item.querySelector(".hidden-text").textContent = bubble.isFromPhone ? `${phone.name}: ` : "Shop: ";
    showText(item.querySelector(".text"), bubble.body);
    view.bubbles.set(bubble.id, item);
    if (!bubble.isFromPhone && !view.isVisible && last) view.unread.hidden = false;
  }
  const words = meta(bubble);
  const line = item.querySelector(".meta");
  if (line.textContent !== words) line.textContent = words;
  item.classList.toggle("lost", words.includes(NOT_DELIVERED));
  return item;
}

function showPhone(phone) {
  const view = views.get(phone.id) ?? addPhone(phone);
  const known = new Set(phone.bubbles.map((bubble) => bubble.id));
  for (const [id, item] of view.bubbles) {
    if (!known.has(id)) {
      item.remove();
      view.bubbles.delete(id);
    }
  }
  const before = view.list.lastElementChild;
  phone.bubbles.forEach((bubble, position) => {
    const item = showBubble(view, bubble, phone);
    if (view.list.children[position] !== item) view.list.insertBefore(item, view.list.children[position] ?? null);
  });
  view.article.querySelector(".empty").hidden = phone.bubbles.length > 0;
  if (view.list.lastElementChild !== before) {
    const thread = view.article.querySelector(".thread");
    thread.scrollTop = thread.scrollHeight;
  }
}

// --- the run

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

function section(title, people, className, withReason) {
  if (!people.length) return [];
  const list = make("ul", undefined, className);
  for (const person of people) {
    const item = make("li");
    const name = make("span", person.name);
    name.dir = "auto";
    item.append(name);
    if (withReason) {
      const why = make("small", `${person.words} `);
      why.append(make("code", person.code));
      item.append(why);
    }
    list.append(item);
  }
  return [make("h3", title), list];
}

function runView(run) {
  if (run.status === "RUNNING") {
    return [make("p", "Sending…", "headline"), make("div", undefined, "running")];
  }
  const when = `Began at ${time(run.startedAt)}`;
  if (run.status !== "SUCCEEDED") {
    return [
      make("p", `The run ended as ${run.status}.`, "headline failed"),
      make("p", run.cause ?? "No cause was given.", "sub failed"),
      make("p", when, "sub"),
    ];
  }
  const total = run.reached.length + run.leftOut.length + run.uncertain.length;
  return [
    make("p", `${run.reached.length} of ${count(total, "person", "people")} got a text`, "headline"),
    make("p", `${count(run.parts, "message part", "message parts")} · ${when}`, "sub"),
    ...section("Got it", run.reached, "reached", false),
    ...section("Left out, and why", run.leftOut, "left-out", true),
    ...section("Not known", run.uncertain, "uncertain", true),
  ];
}

const introduction = [...byId("run").children];
let shownRun = "";

function showRun(run) {
  const now = JSON.stringify(run);
  if (now === shownRun) return;
  shownRun = now;
  byId("run").replaceChildren(...(run ? runView(run) : introduction));
}

function showButton(state) {
  if (started && state.run?.id === started && state.run.status !== "RUNNING") {
    const { status, reached = [] } = state.run;
    say(status === "SUCCEEDED" ? `Done: ${count(reached.length, "text", "texts")} sent.` : "The run failed.");
    started = null;
  }
  const busy = started !== null || state.run?.status === "RUNNING";
  byId("send").disabled = busy || !state.canSend;
}

// --- the admin's line

const shownNotices = new Map();

function showNotices(notices) {
  const known = new Set(notices.map((notice) => notice.id));
  for (const [id, item] of shownNotices) {
    if (!known.has(id)) {
      item.remove();
      shownNotices.delete(id);
    }
  }
  const list = byId("notices");
  notices.forEach((notice, position) => {
    let item = shownNotices.get(notice.id);
    if (!item) {
      item = copy("notice-template");
      const [first, ...rest] = notice.text.split("\n");
      item.classList.add(notice.kind);
      item.querySelector(".text").textContent = notice.kind === "attention" ? notice.subject || first : first;
      item.querySelector(".more").textContent =
        notice.kind === "attention" && notice.subject ? notice.text.trim() : rest.join("\n").trim();
      const stamp = item.querySelector("time");
      stamp.dateTime = notice.at;
      stamp.textContent = time(notice.at);
      shownNotices.set(notice.id, item);
    }
    if (list.children[position] !== item) list.insertBefore(item, list.children[position] ?? null);
  });
  byId("admin-empty").hidden = notices.length > 0;
}

// --- to and from the server

function say(sentence) {
  byId("status").textContent = sentence;
}

function showProblem(sentence) {
  byId("problem").textContent = sentence ?? "";
  byId("problem").hidden = !sentence;
}

async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const result = await answer.json();
    if (answer.ok) return result;
    say(result.problem ?? `The server answered ${answer.status}.`);
  } catch {
    say("The server on this machine does not answer.");
  }
  return null;
}

async function reply(phone, text) {
  const sent = await post("/api/reply", { phone: phone.phone, body: text });
  if (sent) say(`${phone.name} answered.`);
  return sent !== null;
}

byId("send").addEventListener("click", async () => {
  byId("send").disabled = true;
  say("Sending…");
  started = "asked";
  started = (await post("/api/broadcast", {}))?.id ?? null;
  if (last) showButton(last);
});

function show(state) {
  for (const phone of state.phones) showPhone(phone);
  for (const [id, view] of views) {
    if (!state.phones.some((phone) => phone.id === id)) {
      view.article.remove();
      seen.unobserve(view.article);
      view.unread.closest("li").remove();
      views.delete(id);
    }
  }
  showRun(state.run);
  showNotices(state.notices);
  showProblem(state.problem);
  if (!last) say(state.canSend ? "Ready." : "No review broadcast is deployed.");
  last = state;
  showButton(state);
}

say("Connecting…");
const stream = new EventSource("/api/events");
stream.addEventListener("message", (event) => show(JSON.parse(event.data)));
stream.addEventListener("error", () => showProblem("The embedded cloud does not answer. Trying again…"));
