// The history by keys: one row at a time has the focus, and what its buttons do has the keys.
"use strict";
(() => {
  const rows = () => [...document.querySelectorAll("#rows tr[id]")];
  const now = () => document.querySelector("#rows tr.now");

  const choose = (row, focus) => {
    for (const each of document.querySelectorAll("#rows [data-row-key]")) delete each.dataset.key;
    now()?.classList.remove("now");
    if (!row) return;
    row.classList.add("now");
    for (const each of row.querySelectorAll("[data-row-key]")) each.dataset.key = each.dataset.rowKey;
    if (focus) {
      row.querySelector("a.open").focus();
      row.scrollIntoView({ block: "nearest" });
    }
  };
  const step = (by) => {
    const all = rows();
    const at = all.indexOf(now());
    choose(all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))], true);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    if (button) step(Number(button.dataset.step));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea") || document.querySelector("dialog[open]")) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      step(event.key === "ArrowDown" ? 1 : -1);
    }
  });
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("#rows tr[id]");
    if (row && row !== now()) choose(row, false);
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const row = document.getElementById(event.detail.target.id);
    if (row?.closest("#rows")) choose(row, true);
  });
})();
