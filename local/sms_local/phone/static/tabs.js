// Tabs of a card (WAI-ARIA, *Tabs pattern*): arrow keys choose, and a link to what a tab hides opens it.

import { byId } from "./dom.js";

const tabs = [...document.querySelectorAll('[role="tab"]')];
const panelOf = (tab) => byId(tab.getAttribute("aria-controls"));

function choose(chosen) {
  for (const tab of tabs) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    panelOf(tab).hidden = !isChosen;
  }
}

/** Opens the tab that holds the target of a link: an element that is hidden can be no target. */
export function openTab(hash) {
  const target = hash.length > 1 ? byId(hash.slice(1)) : null;
  const tab = target && tabs.find((one) => !one.hidden && panelOf(one).contains(target));
  if (tab) choose(tab);
}

function neighbour(tab, key) {
  // What is not deployed has a tab that is hidden.
  const there = tabs.filter((one) => !one.hidden);
  const [at, last] = [there.indexOf(tab), there.length - 1];
  if (key === "ArrowRight") return there[at === last ? 0 : at + 1];
  if (key === "ArrowLeft") return there[at === 0 ? last : at - 1];
  if (key === "Home") return there[0];
  return key === "End" ? there[last] : null;
}

export function startTabs() {
  for (const tab of tabs) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const next = neighbour(tab, event.key);
      if (!next) return;
      event.preventDefault();
      choose(next);
      next.focus();
    });
  }
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", () => openTab(link.hash));
  }
  openTab(location.hash);
}
