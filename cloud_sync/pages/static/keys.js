// Keys for what carries data-key: a link or button is pressed, a field gets the focus. "?" lists them. A key that is
// held down presses once, but for what carries data-repeat: nobody says twenty things by leaning on a key.
"use strict";
(() => {
  const typing = (element) => element.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
  const seen = (element) => element.offsetParent !== null && !element.disabled;
  const keyed = (key) => [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key && seen(each));

  const press = (element) => (element.matches("input, select, textarea") ? element.focus() : element.click());

  const help = () => {
    const dialog = document.getElementById("keys");
    const list = dialog.querySelector("dl");
    list.replaceChildren();
    for (const each of document.querySelectorAll("[data-key]")) {
      if (!seen(each)) continue;
      const key = document.createElement("dt");
      const does = document.createElement("dd");
      key.textContent = each.dataset.key;
      does.textContent = each.getAttribute("aria-label") || each.textContent.trim();
      list.append(key, does);
    }
    dialog.showModal();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key === "Escape" && typing(event.target)) event.target.blur();
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    const element = keyed(event.key);
    if (!element) return;
    event.preventDefault();
    if (!event.repeat || "repeat" in element.dataset) press(element);
  });
  // What htmx asks for by a clock, or because a script said so, is nobody's doing: it keeps nobody logged in.
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (!detail.triggeringEvent || detail.triggeringEvent.type === "changed") detail.headers["X-By-Itself"] = "yes";
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys-help]")) help();
  });
})();
