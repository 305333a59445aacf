// The list of what is wrong is asked for again as soon as the station's troubles change.
"use strict";
(() => {
  const root = document.getElementById("alarms");
  const stale = document.getElementById("stale");
  const words = JSON.parse(root.dataset.words);
  let known = null;
  const on = ({ state }) => {
    stale.hidden = true;
    root.classList.remove("old");
    const found = state.troubles.map(({ name, why }) => `${name} ${why}`).join("\n");
    if (known !== null && known !== found) htmx.trigger("#now", "changed");
    known = found;
  };
  const lost = (why, seconds) => {
    root.classList.add("old");
    stale.hidden = false;
    stale.textContent = words[why].replace("{n}", seconds);
  };
  followStream(root.dataset.events, { on, lost });
})();
