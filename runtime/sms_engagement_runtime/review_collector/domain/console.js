"use strict";
// Everything works without this: it adds keys, and keeps a double click from sending twice.
const reviews = [...document.querySelectorAll("article")];
let at = -1;
function go(step) {
  if (!reviews.length) return;
  at = Math.min(reviews.length - 1, Math.max(0, at + step));
  reviews[at].focus();
  reviews[at].scrollIntoView({ block: "nearest" });
}
document.addEventListener("focusin", (event) => {
  const article = event.target.closest("article");
  if (article) at = reviews.indexOf(article);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, textarea, select")) return;
  const review = reviews[at];
  if (event.key === "j") go(1);
  else if (event.key === "k") go(-1);
  else if (event.key === "a" && review) review.querySelector("button.approve")?.click();
  else if (event.key === "r" && review) {
    const details = review.querySelector(".actions details");
    if (!details) return;
    details.open = true;
    details.querySelector("input[name=reason]").focus();
  } else return;
  event.preventDefault();
});
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
