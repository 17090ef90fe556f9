// Small tools for the page's elements. Whatever comes from outside is set as text, never as markup.

export const byId = (id) => document.getElementById(id);

export const copy = (id) => byId(id).content.firstElementChild.cloneNode(true);

export function make(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** Sets text only where it is another one: what did not change is not read out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A button that cannot be used now keeps its focus, which `disabled` would take away. */
export function setEnabled(button, isEnabled) {
  button.setAttribute("aria-disabled", String(!isEnabled));
}

export const isEnabled = (button) => button.getAttribute("aria-disabled") !== "true";

export const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/**
 * Shows a list of things by their keys: an element stays the same for the same key, so that nothing moves,
 * blinks or loses its focus. `shown` is a Map of key to element that the caller keeps.
 */
export function reconcile(list, shown, things, { key, create, update }) {
  const wanted = new Set(things.map(key));
  for (const [name, element] of shown) {
    if (!wanted.has(name)) {
      element.remove();
      shown.delete(name);
    }
  }
  things.forEach((thing, position) => {
    const name = key(thing);
    let element = shown.get(name);
    if (!element) {
      element = create(thing);
      shown.set(name, element);
    }
    update?.(element, thing);
    if (list.children[position] !== element) list.insertBefore(element, list.children[position] ?? null);
  });
}
