// The focus aid: the newest sharpness beside the best since the page was opened, and which way it went.
"use strict";
(() => {
  const NEARLY = 0.97;
  const FULL = 1.15; // the bar leaves room above the best
  const IDLE_MS = 5000;
  const root = document.getElementById("focus");
  const stale = document.getElementById("stale");
  const words = JSON.parse(root.dataset.words);
  const best = new Map();
  const last = new Map();
  const came = new Map(); // by camera, of which part its picture is, since when, and whether it came while we looked

  const place = (section, name, share) => {
    const mark = section.querySelector(`.bar .${name}`);
    mark.setAttribute("visibility", share === null ? "hidden" : "visible");
    if (share !== null) mark.setAttribute("x", Math.min(994, Math.max(0, share * 1000 - 3)));
  };
  const shown = (value, digits = 3) => (value === null ? "–" : value.toFixed(digits));

  const draw = (section, found) => {
    const { camera, sharpness, least, mean, picture, missing } = found;
    section.querySelector(".mean-figure").textContent = shown(mean, 0);
    section.querySelector(".least-figure").textContent = shown(least);
    if (sharpness === null) {
      section.querySelector(".advice").textContent = words[missing] ?? missing;
      delete section.dataset.advice;
      for (const name of [".percent", ".figure"]) section.querySelector(name).textContent = "–";
      return;
    }
    const top = Math.max(best.get(camera) ?? 0, sharpness);
    best.set(camera, top);
    const full = Math.max(top, least ?? 0, 1e-6) * FULL;
    section.querySelector(".value").setAttribute("width", Math.min(1000, (sharpness / full) * 1000));
    place(section, "best", top / full);
    place(section, "least", least === null ? null : least / full);
    section.querySelector(".percent").textContent = `${Math.round((sharpness / top) * 100)} %`;
    section.querySelector(".figure").textContent = shown(sharpness);
    section.querySelector(".best-figure").textContent = shown(top);
    const advice = least !== null && sharpness < least ? "blurred" : sharpness >= NEARLY * top ? "at_best" : "below";
    section.dataset.advice = advice;
    section.querySelector(".advice").textContent = words[advice];
    if (picture && last.get(camera) !== picture) {
      last.set(camera, picture);
      const image = section.querySelector(".lens-picture");
      image.src = `/live/picture/${picture}?width=640`;
      image.hidden = false;
    }
  };

  const note = ({ camera, seq }) => {
    const known = came.get(camera);
    if (known?.seq !== seq) came.set(camera, { seq, since: sinceNow(), fresh: Boolean(known) });
  };
  // Who turns a lens while no picture comes would turn it by one of before.
  const age = () => {
    for (const [camera, { since, fresh }] of came) {
      const section = root.querySelector(`[data-camera="${CSS.escape(camera)}"]`);
      if (!section) continue;
      const idle = !fresh || since() > IDLE_MS;
      section.classList.toggle("old", idle);
      const text = fresh ? words.idle.replace("{n}", Math.floor(since() / 1000)) : words.before;
      section.querySelector(".idle").textContent = idle ? text : "";
    }
  };

  const say = (text) => {
    stale.hidden = !text;
    stale.textContent = text;
    root.classList.toggle("old", Boolean(text));
  };
  const on = ({ state, cameras }) => {
    say(state.running ? state.storage || "" : words.not_running.replace("{why}", state.storage || state.why));
    for (const found of cameras) {
      const section = root.querySelector(`[data-camera="${CSS.escape(found.camera)}"]`);
      if (section) draw(section, found);
      note(found);
    }
    age();
  };
  const lost = (why, seconds) => say(words[why].replace("{n}", seconds));

  document.getElementById("again").addEventListener("click", () => best.clear());
  setInterval(age, 500);
  followStream(root.dataset.events, { on, lost });
})();
