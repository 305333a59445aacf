// Keys for what carries data-key: a link or button is pressed, a field gets the focus. "?" lists them.
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
    press(element);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys-help]")) help();
  });
})();
