(function () {
  var form = document.querySelector("form[data-sending]");
  var text = form.querySelector("textarea");
  var count = form.querySelector(".count");
  var button = form.querySelector("button");
  var caption = button.textContent;

  function showWhatIsLeft() {
    var left = text.maxLength - Array.from(text.value).length;
    count.textContent = count.dataset.template.replace("{n}", left.toLocaleString(document.documentElement.lang));
    count.hidden = !text.value;
    count.setAttribute("aria-live", left < 200 ? "polite" : "off");
  }

  function setSending(sending) {
    if (sending) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    button.textContent = sending ? form.dataset.sending : caption;
  }

  text.addEventListener("input", showWhatIsLeft);
  form.addEventListener("submit", function (event) {
    if (button.hasAttribute("aria-disabled")) event.preventDefault();
    else setSending(true);
  });
  /* Coming back by the browser's own button may show the page as it was left. */
  window.addEventListener("pageshow", function () { setSending(false); showWhatIsLeft(); });
})();
