// The live page: the newest part as soon as its pictures are here; what is old is grey and says how old.
"use strict";
(() => {
  const OLD_S = 10;
  const EARLY_MS = 1000;
  const SPOKEN_MS = 5000;
  const root = document.getElementById("live");
  const by = (id) => document.getElementById(id);
  const view = liveView(root, JSON.parse(root.dataset.words));
  let next = null; // the newest that was heard and not drawn yet
  let drawing = false;
  let held = false;
  let shown = null;
  let spokenAt = -SPOKEN_MS;

  const speak = (part) => {
    if (!part || part.verdict === "PASS" || performance.now() - spokenAt < SPOKEN_MS) return;
    spokenAt = performance.now();
    view.put(by("spoken"), `${view.say(part.verdict)}: ${part.part_id}`);
  };

  const draw = async (event) => {
    const { parts } = event;
    if (!parts) return;
    const looks = await view.prepare(parts.looks);
    if (held) return;
    looks.forEach((each) => view.drawLook(each, parts.part));
    view.drawIdle(parts.looks);
    view.drawVerdict(parts.part, parts.reasons);
    view.drawFigures(parts.figures);
    view.drawStrip(by("strip"), parts.strip);
    view.drawStrip(by("not-good"), parts.not_good);
    const before = shown;
    shown = event;
    age();
    if (!parts.part || before?.parts.part?.seq === parts.part.seq) return;
    speak(parts.part);
    requestAnimationFrame(() => document.dispatchEvent(new CustomEvent("drawn", { detail: parts.part.part_id })));
  };
  // One at a time: a slow screen draws the newest that came meanwhile, and leaves out what was between.
  const pump = async () => {
    if (drawing) return;
    drawing = true;
    try {
      while (next && !held) {
        const event = next;
        next = null;
        await draw(event);
      }
    } finally {
      drawing = false; // what cannot be drawn is the fault of one part, and not the end of the screen
    }
  };

  // How old the newest part is: by the station's clock when it was said, by this one's since.
  const age = () => {
    const part = shown?.parts.part;
    if (!part) return;
    const at = Date.parse(shown.now) - Date.parse(part.at);
    const seconds = Math.max(0, (at + shown.since()) / 1000);
    const unknown = at < -EARLY_MS; // the clock was set back since: by it the part is yet to come
    const said = seconds < 2 ? view.say("just_now") : view.say("age", { span: view.span(seconds) });
    view.put(by("age"), unknown ? view.say("age_unknown") : said);
    by("verdict").classList.toggle("old", unknown || seconds > OLD_S);
  };

  const stale = (text) => {
    root.classList.toggle("old", Boolean(text));
    by("stale").hidden = !text;
    view.put(by("stale"), text);
  };
  const lost = (why, seconds) => {
    stale(view.say(why, { n: seconds }));
    if (why !== "logged_out") return;
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
    link.textContent = view.say("log_in");
    by("stale").append(" ", link);
  };
  const on = (event) => {
    event.since = sinceNow();
    view.drawState(event.state);
    const { running, why, storage } = event.state;
    stale(running ? storage || "" : view.say("not_running", { why }));
    next = event;
    pump();
  };

  by("hold").addEventListener("click", () => {
    held = !held;
    by("hold").setAttribute("aria-pressed", String(held));
    by("held").hidden = !held;
    pump();
  });
  setInterval(age, 500);
  followStream(root.dataset.events, { on, lost });
  // Last: verdicts are shown whatever becomes of what lies over the pictures.
  inspectd.heat.layer([by("hide")], root, "boxes");
  inspectd.heat.layer([by("hide-heat")], root, "heat");
})();
