// To and from the server of this page, and the line that says how it went.

import { byId, setText } from "./dom.js";

export function say(sentence) {
  setText(byId("status"), sentence);
}

export function showProblem(sentence) {
  const line = byId("problem");
  setText(line, sentence ?? "");
  line.hidden = !sentence;
  byId("status").hidden = Boolean(sentence);
}

/** Posts JSON; returns the answer, or null after saying why there is none. */
export async function post(path, body) {
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
