// What the live page draws: pictures with boxes, strips, figures. No words of its own: they come with the page.
"use strict";
const liveView = (root, words) => {
  const SVG = "http://www.w3.org/2000/svg";
  const by = (id) => document.getElementById(id);
  const say = (key, values = {}) =>
    Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), words[key] ?? key);
  const put = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  const node = (name, className, text = "") => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };
  const widths = new Map(); // by content, in which width the browser has a picture already
  const address = (sha256, width) => `/live/picture/${sha256}?width=${width}`;
  const span = (seconds) => {
    if (seconds < 60) return say("seconds", { n: Math.floor(seconds) });
    if (seconds < 3600) return say("minutes", { n: Math.floor(seconds / 60) });
    return seconds < 172800 ? say("hours", { n: Math.floor(seconds / 3600) }) : say("days", { n: Math.floor(seconds / 86400) });
  };

  const SURE = 0.5; // the model's own threshold: what lies below it is a candidate
  const boxed = (overlay, look) => {
    overlay.replaceChildren();
    if (!look.size) return;
    const [width, height] = look.size;
    overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const { xyxy, label, score } of look.boxes) {
      const [left, top, right, bottom] = xyxy;
      for (const kind of ["under", score < SURE ? "over doubted" : "over"]) {
        const rect = document.createElementNS(SVG, "rect");
        rect.setAttribute("class", kind);
        for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) rect.setAttribute(name, value);
        overlay.append(rect);
      }
      const size = Math.max(width, height) / 36;
      const text = document.createElementNS(SVG, "text");
      text.setAttribute("x", left);
      text.setAttribute("y", top > size * 1.4 ? top - size * 0.3 : Math.min(height - 2, bottom + size));
      text.setAttribute("font-size", size);
      text.textContent = `${label} ${score.toFixed(2)}`;
      overlay.append(text);
    }
  };

  // Drawn once for each part: what has no map that was recorded shows none, and neither does what cannot be drawn.
  const heated = (figure, look) => {
    const canvas = figure.querySelector(".heat");
    const heat = look?.size ? look.heat : null;
    const of = heat ? `${look.seq} ${look.picture}` : "";
    if (of === canvas.dataset.of) return;
    canvas.dataset.of = of;
    canvas.hidden = true;
    put(figure.querySelector(".grid"), "");
    if (!heat) return;
    try {
      inspectd.heat.draw(canvas, heat, look.size);
      canvas.setAttribute("aria-label", inspectd.heat.said("alt", heat, look.camera));
      put(figure.querySelector(".grid"), inspectd.heat.said("grid", heat, look.camera));
      root.querySelector(".heat-legend").hidden = false; // from the first on: what moves about draws eyes
      canvas.hidden = false;
    } catch (error) {
      console.error(error); // a browser that is short of memory still shows the verdict
    }
  };

  const loaded = async (look, width) => {
    const image = new Image();
    image.alt = say("picture_of", { camera: look.camera });
    image.src = address(look.picture, width);
    widths.set(look.picture, width);
    if (widths.size > 100) widths.delete(widths.keys().next().value);
    await image.decode();
    return image;
  };
  // No more pixels than are seen: the picture is as large as its place lets it be.
  const wanted = ({ clientWidth, clientHeight }, [width, height]) => {
    const seen = Math.min(clientWidth, (clientHeight * width) / height) * devicePixelRatio;
    return Math.min(1920, Math.max(16, Math.ceil(seen)));
  };
  // Pictures are ready before anything is drawn, so that verdict, picture and boxes change in one frame.
  const prepare = (looks) =>
    Promise.all(
      looks.map(async (look) => {
        const figure = root.querySelector(`[data-camera="${CSS.escape(look.camera)}"]`);
        if (!figure || !look.picture || figure.dataset.picture === look.picture) return { look, figure, image: null };
        const width = wanted(figure.querySelector(".picture"), look.size);
        return { look, figure, image: await loaded(look, width).catch(() => null) };
      }),
    );
  // What a camera saw of another part than the newest is grey, and says of which.
  const drawLook = ({ look, figure, image }, newest) => {
    if (!figure) return;
    const earlier = look.seq !== newest?.seq;
    figure.classList.toggle("old", earlier);
    put(figure.querySelector(".of"), earlier ? say("earlier", { part: look.part_id }) : "");
    const shown = figure.querySelector("img");
    const here = image || (look.picture && figure.dataset.picture === look.picture);
    if (image) {
      shown.replaceWith(image);
      figure.dataset.picture = look.picture;
    }
    if (!here) {
      shown.hidden = true;
      delete figure.dataset.picture;
    }
    const overlay = figure.querySelector(".boxes");
    overlay.toggleAttribute("hidden", !here);
    boxed(overlay, look);
    heated(figure, here ? look : null);
    const missing = figure.querySelector(".missing");
    missing.hidden = Boolean(here);
    put(missing, here ? "" : say(look.missing || "gone"));
    const chip = figure.querySelector(".verdict");
    chip.className = `verdict ${look.verdict}`;
    put(chip, say(look.verdict));
    const more = look.more ? [say("more", { n: look.more })] : [];
    put(figure.querySelector(".why"), [...look.reasons, ...more].join(", "));
    const [id, version, precision] = look.model;
    put(figure.querySelector(".model"), id ? `${id} v${version} ${precision}` : "");
  };

  // A camera that saw none of the last parts shows none: what it saw before may be of yesterday.
  const drawIdle = (looks) => {
    const seen = new Set(looks.map(({ camera }) => camera));
    for (const figure of root.querySelectorAll("[data-camera]")) {
      if (seen.has(figure.dataset.camera)) continue;
      delete figure.dataset.picture;
      figure.classList.remove("old");
      figure.querySelector("img").hidden = true;
      figure.querySelector(".boxes").toggleAttribute("hidden", true);
      heated(figure, null);
      const missing = figure.querySelector(".missing");
      missing.hidden = false;
      put(missing, say(looks.length ? "not_lately" : "no_part"));
      figure.querySelector(".verdict").className = "verdict";
      for (const name of [".verdict", ".of", ".why", ".model"]) put(figure.querySelector(name), "");
    }
  };

  const card = (part) => {
    const item = node("li", "");
    item.dataset.seq = part.seq;
    const link = node("a", "");
    link.href = `/history/${part.seq}`;
    link.title = part.part_id;
    const thumb = node("span", "thumb", part.picture ? "" : say("no_picture"));
    if (part.picture) {
      const image = new Image();
      image.alt = "";
      image.src = address(part.picture, widths.get(part.picture) ?? 160);
      thumb.append(image);
    }
    link.append(thumb, node("span", `verdict ${part.verdict}`, say(part.verdict)), node("span", "id", part.part_id));
    item.append(link);
    return item;
  };
  // What stays is moved and not made again, so that the focus stays where it is.
  const drawStrip = (list, parts) => {
    const known = new Map([...list.querySelectorAll("[data-seq]")].map((item) => [`${item.dataset.seq} ${item.dataset.as}`, item]));
    const items = parts.map((part) => {
      const as = `${part.part_id} ${part.verdict} ${part.picture}`; // numbers begin anew where a backup was put back
      const item = known.get(`${part.seq} ${as}`) ?? card(part);
      item.dataset.as = as;
      return item;
    });
    if (!items.length) items.push(node("li", "nothing", say("none")));
    if (items.length === list.children.length && items.every((item, at) => item === list.children[at])) return;
    list.replaceChildren(...items);
  };

  const drawVerdict = (part, reasons) => {
    const bar = by("verdict");
    bar.className = `now ${part ? part.verdict : "waiting"}`;
    put(by("word"), part ? say(part.verdict) : say("no_part"));
    put(by("part"), part ? `${part.product} · ${part.part_id}` : "");
    by("master").hidden = !(part && part.part_id.startsWith("master:"));
    put(by("reasons"), reasons.join(", "));
    const told = part && part.outcome ? say(part.outcome, { ms: part.told_ms === null ? "–" : part.told_ms.toFixed(0) }) : "";
    const unlike = part && part.verdict !== part.found ? say("unlike", { found: say(part.found) }) : "";
    put(by("told"), [told, unlike].filter(Boolean).join(" · "));
  };

  const drawFigures = ({ parts, good, per_minute, p50_ms, p99_ms }) => {
    const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));
    put(by("rate"), fixed(per_minute, per_minute !== null && per_minute < 10 ? 1 : 0));
    put(by("good"), good === null ? "–" : `${(good * 100).toFixed(1)} %`);
    put(by("of"), say("of_parts", { n: parts }));
    put(by("p50"), fixed(p50_ms, 0));
    put(by("p99"), fixed(p99_ms, 0));
  };

  const drawState = (state) => {
    const ready = by("ready");
    ready.className = state.ready ? "yes" : "no";
    put(ready, state.ready ? say("ready") : `${say("not_ready")}: ${state.why}`);
    put(by("product"), state.product || Object.keys(state.models).join(", ") || "–");
    put(by("model"), state.models[state.product] || Object.values(state.models).join(", ") || "–");
    const link = by("link");
    link.className = state.linked === false ? "no" : "";
    const waiting = state.waiting && state.linked !== null ? ` · ${say("waiting_records", { n: state.waiting })}` : "";
    put(link, (state.linked === null ? say("no_cloud") : say(state.linked ? "linked" : "unlinked")) + waiting);
    put(by("disk"), typeof state.free_bytes === "number" ? say("free", { n: (state.free_bytes / 1e9).toFixed(1) }) : "–");
    const troubles = state.troubles.filter(({ name }) => name !== "daemon"); // the page says that by itself, louder
    const wanted = troubles.map(({ weight, name, why }) => `${weight} ${name} ${why}`).join("\n");
    const box = by("troubles");
    if (box.dataset.shown === wanted) return;
    box.dataset.shown = wanted;
    box.replaceChildren(
      ...troubles.slice(0, 4).map(({ weight, name, why }) => {
        const link = node("a", weight, `${weight === "fault" ? "■" : "▲"} ${say(weight)}: ${why || name}`);
        link.href = "/alarms";
        return link;
      }),
    );
    if (troubles.length > 4) {
      const all = node("a", "", say("more_troubles", { n: troubles.length - 4 }));
      all.href = "/alarms";
      box.append(all);
    }
  };
  return { say, put, span, prepare, drawLook, drawIdle, drawStrip, drawVerdict, drawFigures, drawState };
};
