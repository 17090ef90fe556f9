// Charts as inline SVG: the server says where everything stands, here it is drawn.

import { make } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

function bar({ x, y, width, height, kind, title }) {
  const element = shape("rect", { x, y, width, height, rx: Math.min(2, width / 2), class: `bar ${kind}` });
  if (title) {
    const words = shape("title", {});
    words.textContent = title;
    element.append(words);
  }
  return element;
}

function word({ x, y, text, anchor, kind }) {
  const element = shape("text", { x, y, "text-anchor": anchor, class: kind });
  element.textContent = text;
  return element;
}

/** Draws a chart into an element, unless it shows just that: what did not change does not blink. */
export function draw(element, chart) {
  const wanted = JSON.stringify(chart);
  if (element.drawn === wanted) return;
  element.drawn = wanted;
  const { width, height } = chart;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": chart.summary });
  svg.append(
    ...chart.lines.filter((line) => line.kind !== "mark").map(({ kind, ...where }) => shape("line", { ...where, class: kind })),
    ...chart.bars.map(bar),
    ...chart.lines.filter((line) => line.kind === "mark").map(({ kind, ...where }) => shape("line", { ...where, class: kind })),
    ...chart.words.map(word),
  );
  element.replaceChildren(svg);
}

/** What the colours mean. */
export function legend(element, kinds) {
  element.replaceChildren(
    ...kinds.map(([kind, name]) => {
      const item = make("li", name);
      const mark = shape("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" });
      mark.append(shape("rect", { x: 0, y: 0, width: 12, height: 12, rx: 3, class: `bar ${kind}` }));
      item.prepend(mark);
      return item;
    }),
  );
}
