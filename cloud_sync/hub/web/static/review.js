// The review page: keys to answers, and the next picture at once.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const SEEN_MS = 150; // nobody sees and answers in less: a key that bounced is no word on the next picture
  const root = document.getElementById("review");
  const by = (id) => document.getElementById(id);
  const words = JSON.parse(root.dataset.words);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const places = Boolean(root.dataset.places);
  const { product, reason, station, proposed } = root.dataset;
  const history = []; // what was answered here, for undo
  let classes = JSON.parse(root.dataset.classes);
  let last = "";
  let comparing = localStorage.getItem("review beside") !== "no"; // a good part is shown beside
  let asked = ""; // a new class that one more Enter makes
  let shownId = ""; // what may be answered: it has been before somebody's eyes
  let showing = null; // when the key was pressed that asks for the next picture

  const picture = new window.inspectd.Picture(by("stage"));
  const heat = new window.inspectd.Heat(picture, by("heat"), by("heat_said"), words);
  const boxes = new window.inspectd.Boxes(picture, () => last || classes[0] || "", () => mode());
  const queue = new window.inspectd.Queue(root.dataset.person, { product, reason, station, proposed }, () => refresh());

  // Digits are classes here; the pages of the menu are a click away.
  for (const each of document.querySelectorAll("header nav [data-key]")) each.removeAttribute("data-key");

  const make = (name, text, kind = "") => {
    const element = document.createElement(name);
    element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };

  const drawing = () => boxes.own.length > 0;

  const truthText = (truth) => {
    if (!truth) return words.nothing;
    if (truth.says === "good") return words.good;
    if (truth.says === "unsure") return words.unsure;
    if (truth.says === "defect") return truth.name;
    const names = [...new Set(truth.boxes.map((box) => box.name))].join(", ");
    return fill(words.boxes, { names, count: truth.boxes.length });
  };

  const listClasses = () => {
    const first = classes.slice(0, 9).join("\n");
    if (by("classes").dataset.shown === first) return;
    by("classes").dataset.shown = first;
    by("classes").replaceChildren(
      ...classes.slice(0, 9).map((name, i) => {
        const button = make("button", name);
        button.type = "button";
        button.dataset.key = String(i + 1);
        button.addEventListener("click", () => name_(name));
        return button;
      }),
    );
    by("known").replaceChildren(...classes.map((name) => Object.assign(document.createElement("option"), { value: name })));
  };

  const mode = () => {
    const busy = drawing();
    const box = boxes.own[boxes.chosen];
    for (const id of ["proposed", "good", "unsure", "skip", "undo", "edit"]) by(id).disabled = !queue.current || busy;
    if (!busy && queue.current) {
      by("proposed").disabled = !queue.current.as_proposed;
      by("edit").disabled = !boxes.proposed.length;
    }
    by("undo").disabled = busy || !history.length;
    by("mode").hidden = !busy;
    if (busy) by("mode").textContent = fill(words.mode, { number: boxes.chosen + 1, count: boxes.own.length, name: (box && box.name) || words.no_class });
  };

  const describe = (sample) => {
    const about = by("about");
    about.replaceChildren(...sample.reasons.map((each) => make("span", words.reasons[each] || each, "reason")));
    about.append(make("br", ""), [sample.part_id, sample.station, sample.camera, new Date(sample.at).toLocaleString(document.documentElement.lang)].filter(Boolean).join(" · "));
    const verdict = by("verdict");
    verdict.replaceChildren();
    for (const [who, said] of Object.entries(sample.proposals)) {
      const mark = make("span", words.verdicts[said.verdict], `verdict ${said.verdict}`);
      const score = said.score === null ? "" : ` ${said.score.toFixed(2)} `;
      verdict.append(mark, score, make("small", `${words[who]} ${said.model.id} v${said.model.version} `));
    }
    by("proposal").textContent = truthText(sample.as_proposed);
    by("said").replaceChildren(
      ...(sample.said ? [make("p", fill(words.said, { by: sample.said_by, what: truthText(sample.said) }), "warn")] : []),
      ...sample.words.map((word) => make("p", fill(word.right ? words.word_right : words.word_wrong, { by: word.by, verdict: words.verdicts[word.verdict] || word.verdict, label: word.label || "–" }), "warn")),
    );
    by("beside").hidden = !sample.beside || !comparing;
    if (sample.beside) {
      if (by("good_one").getAttribute("src") !== sample.beside.address) by("good_one").src = sample.beside.address;
      by("good_one").alt = by("beside_says").textContent = sample.beside.says;
    }
  };

  const proposedBoxes = (sample) => {
    const said = sample.proposals.champion;
    return said ? said.detections.map((each) => ({ name: each.label, corners: each.box_xyxy, score: each.score })) : [];
  };

  const seen = (sample) => {
    if (queue.current !== sample) return;
    shownId = sample.id;
    root.dataset.shown = sample.id;
  };

  const display = async () => {
    const sample = queue.current;
    by("empty").hidden = Boolean(sample) || !queue.dry;
    if (!sample) {
      picture.clear();
      heat.show(null);
      boxes.show([], []);
      shownId = "";
      mode();
      return;
    }
    describe(sample);
    shownId = "";
    boxes.locked = true;
    try {
      const { bitmap, size } = await sample.ready;
      if (queue.current !== sample) return;
      picture.show(bitmap, size);
      heat.show(sample);
      boxes.show(proposedBoxes(sample), sample.drawn || []);
      boxes.locked = false;
      setTimeout(() => seen(sample), SEEN_MS);
      if (showing !== null) performance.measure("next picture", { start: showing, end: performance.now() });
      showing = null;
    } catch (error) {
      if (queue.current !== sample) return; // what was undone meanwhile is not the one to skip
      by("errors").replaceChildren(make("p", fill(words.no_picture, { why: error.message }), "bad card"));
      advance("skip");
    }
  };

  const advance = (how) => {
    const done = queue.current;
    if (how === "skip" && done) queue.skip(done);
    queue.next();
    display();
  };

  // Nothing is said of what is not seen.
  const ready = () => queue.current && shownId === queue.current.id;

  const answer = (truth, more = {}) => {
    if (!ready()) return;
    showing = performance.now();
    const sample = queue.current;
    sample.said_here = truth;
    sample.drawn = truth.says === "boxes" ? truth.boxes : [];
    history.push(sample);
    const said = { says: truth.says, name: truth.name || "", boxes: (truth.boxes || []).map(({ name, corners }) => ({ name, corners })), ...more };
    queue.say(sample, said);
    advance("say");
  };

  const name_ = (name, more = {}) => {
    last = name;
    if (!drawing()) answer({ says: "defect", name }, more);
    else {
      boxes.rename(name);
      if (more.new_class) made.add(name);
    }
  };
  const made = new Set(); // classes that boxes here name for the first time

  const finish = () => {
    const news = boxes.own.map((box) => box.name).find((name) => made.has(name) && !classes.includes(name));
    if (boxes.own.every((box) => box.name)) answer({ says: "boxes", boxes: boxes.own }, news ? { new_class: news } : {});
  };

  const undo = () => {
    const sample = history.pop();
    if (!sample) return;
    queue.back(sample);
    display();
  };

  const refresh = () => {
    if (queue.classes) classes = queue.classes;
    listClasses();
    if (!queue.current && queue.waiting.length) advance("start");
    else if (!queue.current) display();
    else mode();
    tell();
    if (queue.progress) count(queue.progress);
  };

  const tell = () => {
    const outbox = by("outbox");
    const refused = queue.outbox.filter((each) => each.refused);
    const late = queue.fault ? queue.outbox.length - refused.length : 0;
    outbox.hidden = !refused.length && !queue.fault;
    outbox.replaceChildren();
    if (queue.fault && queue.stranger) outbox.append(make("p", fill(words.other_person, { name: queue.stranger, count: late })));
    else if (queue.fault) outbox.append(make("p", queue.fault === "401" ? fill(words.logged_out, { count: late }) : fill(words.late, { count: late, why: queue.fault })));
    for (const each of refused) {
      const line = make("p", fill(words.refused, { part: each.sample.part_id || each.sample.id, why: each.refused }));
      const [again, drop] = [make("button", words.again), make("button", words.drop, "danger")];
      again.addEventListener("click", () => queue.again(each));
      drop.addEventListener("click", () => queue.drop(each));
      line.append(again, drop);
      outbox.append(line);
    }
  };

  const count = ({ left, disputed, people }) => {
    by("left").textContent = left > 10000 ? `${(10000).toLocaleString()}+` : left.toLocaleString();
    const mine = people.find((each) => each.me);
    by("today").textContent = mine ? mine.today.toLocaleString() : "0";
    by("pace").textContent = mine ? mine.an_hour.toLocaleString() : "0";
    by("disputed").hidden = !disputed;
    by("disputed").textContent = fill(words.disputed, { count: disputed });
    by("people").hidden = !people.length;
    by("people").tBodies[0].replaceChildren(
      ...people.map((each) => {
        const row = document.createElement("tr");
        const kappa = each.kappa === null ? (each.judged ? `${each.alike}/${each.judged}` : "–") : `${each.kappa.toFixed(2)} (${each.judged})`;
        row.append(make("td", each.name), ...[each.today, each.an_hour, kappa].map((text) => make("td", String(text), "number")));
        return row;
      }),
    );
  };

  const typed = by("typed");
  typed.addEventListener("input", () => {
    asked = "";
    by("typed_said").hidden = true;
  });
  typed.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const text = typed.value.trim();
    const near = classes.filter((name) => name.toLowerCase().startsWith(text.toLowerCase()));
    const known = classes.find((name) => name.toLowerCase() === text.toLowerCase()) || (near.length === 1 ? near[0] : "");
    if (!text) return;
    if (!known && !root.dataset.declares) {
      by("typed_said").hidden = false;
      by("typed_said").textContent = fill(words.unknown_class, { name: text });
      return;
    }
    if (!known && asked !== text) {
      asked = text;
      by("typed_said").hidden = false;
      by("typed_said").textContent = fill(words.new_class, { name: text });
      return;
    }
    typed.value = asked = "";
    by("typed_said").hidden = true;
    typed.blur();
    if (known) name_(known);
    else name_(text, { new_class: text });
  });

  const toggle = (button, on) => button.setAttribute("aria-pressed", String(on));
  const clicks = {
    proposed: () => queue.current && queue.current.as_proposed && answer(queue.current.as_proposed),
    good: () => answer({ says: "good" }),
    unsure: () => answer({ says: "unsure" }),
    skip: () => ready() && advance("skip"),
    undo,
    contrast: () => {
      picture.stretch();
      toggle(by("contrast"), picture.stretched);
    },
    show_heat: () => {
      heat.turn();
      toggle(by("show_heat"), heat.on);
    },
    hide: () => toggle(by("hide"), by("stage").classList.toggle("hide")),
    closer: () => sharpen(picture.zoom(true)),
    farther: () => picture.zoom(false),
    whole: () => picture.whole(),
    compare: () => {
      comparing = !comparing;
      localStorage.setItem("review beside", comparing ? "yes" : "no");
      toggle(by("compare"), comparing);
      if (queue.current) by("beside").hidden = !queue.current.beside || !comparing;
    },
    draw: () => ready() && boxes.add(),
    edit: () => ready() && boxes.set(boxes.proposed.map(({ name, corners }) => ({ name: classes.includes(name) ? name : classes.length === 1 ? classes[0] : "", corners: boxes.inside(corners) })), 0),
  };
  for (const [id, act] of Object.entries(clicks)) by(id).addEventListener("click", act);

  // From near, a picture that came smaller than it is comes whole.
  const sharpen = async () => {
    const sample = queue.current;
    if (!ready() || sample.sharp || picture.size[0] <= queue.width) return;
    sample.sharp = true;
    sample.ready = queue.picture(sample.sha256, "all");
    const { bitmap } = await sample.ready;
    if (queue.current !== sample) return;
    picture.bitmap = bitmap;
    picture.draw();
  };

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, select, textarea")) return;
    const arrow = ARROWS[event.key];
    const acts = {
      Enter: finish,
      Escape: () => boxes.set([], -1),
      Delete: () => boxes.remove(),
      Backspace: () => boxes.remove(),
      Tab: () => boxes.next(),
    };
    if (arrow && drawing()) boxes.nudge(...arrow, event.shiftKey, event.altKey);
    else if (arrow) picture.move(arrow[0] * 0.15, arrow[1] * 0.15);
    else if (drawing() && acts[event.key]) acts[event.key]();
    else return;
    event.preventDefault();
  });

  toggle(by("compare"), comparing);
  listClasses();
  mode();
  if (product) queue.fill();
  else by("empty").hidden = false;
});
