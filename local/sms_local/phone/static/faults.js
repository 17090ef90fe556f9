// What goes wrong: five switches, and how often anything has since one was turned.

import { byId, count, isEnabled, setEnabled, setText } from "./dom.js";
import { post, say } from "./server.js";

const buttons = () => document.querySelectorAll("#faults button");

function show({ on, done }) {
  for (const button of buttons()) {
    button.setAttribute("aria-pressed", String(on.includes(button.dataset.fault)));
    setEnabled(button, true);
  }
  const told = done ? `${count(done, "thing has", "things have")} gone wrong.` : "Nothing has gone wrong yet.";
  setText(byId("faults-done"), on.length ? told : "All goes well.");
}

async function look() {
  try {
    const answer = await fetch("/api/faults");
    if (answer.ok) show(await answer.json());
  } catch {
    // The stream tells when the server is gone.
  }
}

async function turn(button) {
  const isOn = button.getAttribute("aria-pressed") !== "true";
  for (const one of buttons()) setEnabled(one, false);
  const state = await post("/api/faults", { [button.dataset.fault]: isOn });
  if (!state) {
    await look();
    return;
  }
  show(state);
  say(`${button.textContent}: ${isOn ? "on" : "off"}.`);
}

export function startFaults() {
  for (const button of buttons()) {
    setEnabled(button, false);
    button.addEventListener("click", () => isEnabled(button) && turn(button));
  }
  look();
  setInterval(look, 5000);
}
