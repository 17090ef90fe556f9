// Appointments: booking one as at Calendly, and the conversation about each.

import { isKnown, now, show } from "./clock.js";
import { byId, copy, isEnabled, reconcile, setEnabled, setText } from "./dom.js";
import { post, say } from "./server.js";
import { openTab } from "./tabs.js";

const DAYS = [
  [0, "today"],
  [1, "tomorrow"],
  [2, "in 2 days"],
  [3, "in 3 days"],
  [7, "in a week"],
  [14, "in 2 weeks"],
];
const [USUAL_DAYS, USUAL_HOUR] = [2, 15];
const A_DAY = 86_400_000;

const items = new Map();
let people = [];
let canBook = false;
let isBooking = false;

const hourWords = (hour) => `${String(hour).padStart(2, "0")}:00`;

// --- booking

const who = () => people.find((person) => person.userId === byId("book-who").value);

/** Says when that would be where the person is. */
export function previewStart() {
  const person = who();
  if (!person || !isKnown()) return;
  const day = show(now().getTime() + Number(byId("book-days").value) * A_DAY, "day", person.timeZone);
  setText(byId("book-when"), `${day}, ${hourWords(byId("book-hour").value)} in ${person.town}`);
}

function offerPeople(offered) {
  const select = byId("book-who");
  const names = (some) => some.map((person) => `${person.userId} ${person.name}`).join("\n");
  if (names(offered) === names(people)) return;
  const chosen = select.value;
  people = offered;
  select.replaceChildren(...people.map((person) => new Option(person.name, person.userId)));
  if (people.some((person) => person.userId === chosen)) select.value = chosen;
}

function showBookButton() {
  setEnabled(byId("book-button"), canBook && !isBooking);
}

async function book() {
  const person = who();
  if (!person) return;
  const eventName = byId("book-what").value.trim();
  if (!eventName) {
    say("Say what is booked.");
    return;
  }
  isBooking = true;
  showBookButton();
  const [days, hour] = [Number(byId("book-days").value), Number(byId("book-hour").value)];
  const booked = await post("/api/appointments", { userId: person.userId, eventName, days, hour });
  isBooking = false;
  showBookButton();
  if (booked) say(`${person.name} booked: ${eventName}.`);
}

// --- what was booked

async function act(button, path, body, said) {
  if (!isEnabled(button)) return;
  setEnabled(button, false);
  const done = await post(`/api/appointments/${path}`, body);
  if (done) say(said);
  else setEnabled(button, true);
}

function create(appointment) {
  const item = copy("appointment-template");
  const { id, name } = appointment;
  item.dataset.link = appointment.link;
  item.querySelector(".what b").textContent = name;
  item.querySelector(".what span").textContent = appointment.eventName;
  item.querySelector(".acts").setAttribute("aria-label", `Appointment of ${name}, ${appointment.when}`);
  const [cancel, move, mark] = item.querySelectorAll(".acts button");
  cancel.addEventListener("click", () => act(cancel, "cancel", { id }, `The appointment of ${name} is cancelled.`));
  move.addEventListener("click", () => act(move, "move", { id }, `The appointment of ${name} is a day later.`));
  mark.addEventListener("click", () => {
    const undone = mark.dataset.undoes === "true";
    act(mark, "no-show", { id, undone }, undone ? `${name} came after all.` : `${name} did not come.`);
  });
  return item;
}

function label(button, words, appointment) {
  setText(button, words);
  button.ariaLabel = `${words}: ${appointment.name}, ${appointment.when}`;
}

export function describeState(element, appointment) {
  setText(element.querySelector("span"), appointment.words);
  const code = element.querySelector("code");
  setText(code, appointment.code);
  code.hidden = !appointment.code;
  element.dataset.state = appointment.state;
}

function update(item, appointment) {
  setText(item.querySelector(".when"), `${appointment.when} in ${appointment.where}`);
  describeState(item.querySelector(".state"), appointment);
  const why = [appointment.why, appointment.answer].filter(Boolean).join(" · ");
  const line = item.querySelector(".why");
  setText(line, why);
  line.hidden = !why;
  const [cancel, move, mark] = item.querySelectorAll(".acts button");
  label(cancel, "Cancel", appointment);
  label(move, "Move a day later", appointment);
  mark.dataset.undoes = String(appointment.canUnmark);
  label(mark, appointment.canUnmark ? "Undo no-show" : "Mark as no-show", appointment);
  setEnabled(cancel, appointment.canCancel);
  setEnabled(move, appointment.canMove);
  setEnabled(mark, appointment.canMark || appointment.canUnmark);
}

export function showAppointments(state) {
  canBook = state.canBook;
  offerPeople(state.people);
  showBookButton();
  previewStart();
  byId("booking-hints").hidden = state.list.length > 0;
  reconcile(byId("appointment-list"), items, state.list, { key: (one) => one.id, create, update });
}

/** Where people choose another time at Calendly, whose pages are not on this machine. */
export const isRescheduling = (url) => url.startsWith("https://calendly.com/reschedulings/");

/** Leads to the appointment that such a link is of. */
export function goToAppointment(url) {
  openTab("#appointments");
  const item = [...items.values()].find((one) => one.dataset.link === url);
  const target = item?.querySelector(".move") ?? byId("appointments");
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "center" });
  say(item ? "Move it here: Calendly’s own page is not on this machine." : "That appointment is not known here.");
}

export function startAppointments() {
  const [days, hours] = [byId("book-days"), byId("book-hour")];
  days.replaceChildren(...DAYS.map(([number, words]) => new Option(words, number)));
  hours.replaceChildren(...Array.from({ length: 24 }, (_, hour) => new Option(hourWords(hour), hour)));
  days.value = USUAL_DAYS;
  hours.value = USUAL_HOUR;
  for (const select of [byId("book-who"), days, hours]) select.addEventListener("change", previewStart);
  byId("book").addEventListener("submit", (event) => {
    event.preventDefault();
    if (isEnabled(byId("book-button"))) book();
  });
}
