// An inspection's page: a row lights its box; a person draws boxes by dragging, or by keys.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const wrong = document.getElementById("wrong");
  const form = document.getElementById("say-wrong");
  const list = document.getElementById("boxes");
  const looks = [...document.querySelectorAll("svg.look")];
  const boxes = [];
  let drawn = null;

  const light = (event) => {
    const at = event.target.closest?.("[data-box]")?.dataset.box;
    for (const each of document.querySelectorAll("[data-box]")) each.classList.toggle("lit", each.dataset.box === at);
  };
  document.addEventListener("pointerover", light);
  document.addEventListener("focusin", light);

  const size = (svg) => [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
  const within = (value, most) => Math.max(0, Math.min(most, value));
  const place = (svg, event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const [width, height] = size(svg);
    return [within(point.x, width), within(point.y, height)];
  };
  const label = () => {
    const typed = form.elements.another.value.trim();
    const chosen = form.querySelector("input[name=truth]:checked")?.value ?? "";
    const first = document.querySelector("#classes option")?.value ?? "";
    return typed || (chosen && chosen !== "good" ? chosen : first);
  };

  const write = () => {
    const sent = boxes.map((box) => ({ camera: box.camera, label: box.name.value.trim(), box_xyxy: box.corners.map((at) => Math.round(at * 100) / 100) }));
    form.elements.boxes.value = sent.length ? JSON.stringify(sent) : "";
  };
  const show = (box) => {
    const [left, top, right, bottom] = box.corners;
    for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) box.rect.setAttribute(name, value);
    box.where.textContent = `${box.camera}: ${box.corners.map(Math.round).join(" ")}`;
    box.rect.setAttribute("aria-label", `${box.name.value} ${box.where.textContent}`);
    write();
  };
  const number = () => boxes.forEach((box, at) => (box.row.querySelector(".number").textContent = at + 1));
  const remove = (box) => {
    boxes.splice(boxes.indexOf(box), 1);
    box.rect.remove();
    box.row.remove();
    number();
    write();
    document.getElementById("add-box").focus();
  };
  const add = (svg, corners) => {
    const row = document.getElementById("box-row").content.firstElementChild.cloneNode(true);
    const rect = document.createElementNS(SVG, "rect");
    const box = { camera: svg.dataset.camera, svg, corners, rect, row, name: row.querySelector("input"), where: row.querySelector("small") };
    rect.classList.add("drawn");
    rect.setAttribute("tabindex", "0");
    rect.setAttribute("role", "img");
    box.name.value = label();
    box.name.addEventListener("input", () => show(box));
    row.querySelector("button").addEventListener("click", () => remove(box));
    rect.addEventListener("keydown", (event) => move(box, event));
    svg.append(rect);
    list.append(row);
    boxes.push(box);
    const good = form.querySelector("input[name=truth][value=good]");
    if (good?.checked) {
      good.checked = false;
      (form.querySelector(`input[name=truth][value="${CSS.escape(box.name.value)}"]`) ?? form.querySelector("input[name=truth][value='']")).checked = true;
    }
    number();
    show(box);
    return box;
  };
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const move = (box, event) => {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      remove(box);
    }
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const [width, height] = size(box.svg);
    const by = [(step[0] * width) / 100, (step[1] * height) / 100];
    const [left, top, right, bottom] = box.corners;
    if (event.shiftKey) {
      box.corners = [left, top, Math.max(left + 1, within(right + by[0], width)), Math.max(top + 1, within(bottom + by[1], height))];
    } else {
      const shift = [within(left + by[0], width - (right - left)) - left, within(top + by[1], height - (bottom - top)) - top];
      box.corners = [left + shift[0], top + shift[1], right + shift[0], bottom + shift[1]];
    }
    show(box);
  };

  for (const svg of looks) {
    svg.addEventListener("pointerdown", (event) => {
      if (!wrong.open || event.button !== 0 || event.target.classList.contains("drawn")) return;
      event.preventDefault();
      svg.setPointerCapture(event.pointerId);
      drawn = { from: place(svg, event), box: null };
    });
    svg.addEventListener("pointermove", (event) => {
      if (!drawn) return;
      const [x, y] = place(svg, event);
      const [fromX, fromY] = drawn.from;
      const corners = [Math.min(x, fromX), Math.min(y, fromY), Math.max(x, fromX), Math.max(y, fromY)];
      if (corners[2] - corners[0] < 2 || corners[3] - corners[1] < 2) return;
      drawn.box ??= add(svg, corners);
      drawn.box.corners = corners;
      show(drawn.box);
    });
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => (drawn = null));
  }
  wrong.addEventListener("toggle", () => {
    for (const svg of looks) svg.classList.toggle("drawing", wrong.open);
    if (wrong.open) (form.querySelector("input[name=truth]:checked") ?? form.querySelector("input[name=truth]")).focus();
  });
  document.getElementById("add-box").addEventListener("click", () => {
    const svg = looks[0];
    if (!svg) return;
    const [width, height] = size(svg);
    add(svg, [width * 0.4, height * 0.4, width * 0.6, height * 0.6]).rect.focus();
  });
  if (location.hash === "#wrong") wrong.open = true;
})();
