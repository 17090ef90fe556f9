// The page: shows the state that the server streams, part by part.

import { showAccount, showNotices, startAccount } from "./account.js";
import { previewStart, showAppointments, startAppointments } from "./appointments.js";
import { showBroadcast, startBroadcast } from "./broadcast.js";
import { showCampaigns, startCampaigns } from "./campaigns.js";
import { showClock, startClock } from "./clock.js";
import { byId, isEnabled, setEnabled } from "./dom.js";
import { startFaults } from "./faults.js";
import { post, say, showProblem } from "./server.js";
import { startTabs } from "./tabs.js";
import { showConversations, showPhones, showSituations } from "./threads.js";

const state = {};

function showSending({ isPaused, reason, canPause }) {
  const button = byId("pause");
  const word = isPaused ? "Resume" : "Pause";
  if (button.firstChild.data !== word) button.firstChild.data = word;
  button.setAttribute("aria-label", `${word} sending`);
  button.classList.toggle("is-paused", isPaused);
  button.title = isPaused ? `All sending is paused: ${reason ?? "nobody said why"}` : "";
  setEnabled(button, canPause);
}

// In the order in which they are shown: whatever tells a time needs the clock.
const SHOWS = [
  ["clock", showClock],
  ["sending", showSending],
  ["phones", showPhones],
  ["situations", showSituations],
  ["appointments", showAppointments],
  ["run", showBroadcast],
  ["campaigns", showCampaigns],
  ["account", showAccount],
  ["notices", showNotices],
  ["dashboard", ({ isThere }) => (byId("link-to-dashboard").hidden = !isThere)],
  ["problem", showProblem],
];

function show(parts) {
  const isFirst = Object.keys(state).length === 0;
  Object.assign(state, parts);
  for (const [name, showPart] of SHOWS) if (name in parts) showPart(state[name]);
  // A clock that was not known at first has kept everything that tells a time from being shown.
  if ("clock" in parts && !("phones" in parts)) showPhones(state.phones);
  if ("clock" in parts) previewStart();
  // A phone that was not there before has conversations, too.
  if ("phones" in parts || "appointments" in parts) showConversations(state.appointments.list);
  if (isFirst) say(state.run.canSend ? "Ready." : "No review broadcast is deployed.");
}

byId("pause").addEventListener("click", async () => {
  const button = byId("pause");
  if (!isEnabled(button)) return;
  const isToPause = !state.sending.isPaused;
  setEnabled(button, false);
  const answer = await post("/api/sending", { paused: isToPause });
  setEnabled(button, true);
  if (answer) say(isToPause ? "All sending is paused." : "Sending goes on.");
});

// Days begin at other hours in another zone.
startClock(() => {
  if ("phones" in state) show({ phones: state.phones, account: state.account, run: state.run, campaigns: state.campaigns });
});
startAccount();
startBroadcast();
startAppointments();
startCampaigns();
startFaults();
startTabs();
setEnabled(byId("pause"), false);

say("Connecting…");
const stream = new EventSource("/api/events");
stream.addEventListener("message", (event) => show(JSON.parse(event.data)));
stream.addEventListener("error", () => showProblem("The embedded cloud does not answer. Trying again…"));
