// Boxes on the picture: what the model proposes, and what the reviewer draws by mouse or by keys.
"use strict";
window.inspectd = window.inspectd || {};
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEAST = 3; // pixels of the picture
  const GRIP = 9; // pixels of the screen
  const SURE = 0.5;

  class Boxes {
    // picture: where they lie; naming: gives the class of a new box; changed: called with each change
    constructor(picture, naming, changed) {
      this.picture = picture;
      this.naming = naming;
      this.changed = changed;
      this.proposed = [];
      this.own = [];
      this.chosen = -1;
      this.pull = null;
      this.locked = true;
      picture.changed = () => this.draw();
      picture.stage.addEventListener("pointerdown", (event) => this.take(event));
      picture.stage.addEventListener("pointermove", (event) => this.drag(event));
      picture.stage.addEventListener("pointerup", () => this.drop());
      picture.stage.addEventListener("pointercancel", () => this.drop());
      picture.stage.addEventListener("wheel", (event) => {
        event.preventDefault();
        picture.zoom(event.deltaY < 0, picture.at(event));
      }, { passive: false });
    }

    show(proposed, own) {
      this.proposed = proposed;
      this.set(own, own.length - 1);
    }

    set(own, chosen) {
      this.own = own;
      this.chosen = chosen;
      this.draw();
      this.changed();
    }

    add() {
      const [width, height] = this.picture.size;
      const { x, y, zoom } = this.picture.view;
      const half = [width / zoom / 8, height / zoom / 8];
      const corners = [x * width - half[0], y * height - half[1], x * width + half[0], y * height + half[1]];
      this.set([...this.own, { name: this.naming(), corners: this.inside(corners) }], this.own.length);
    }

    remove() {
      this.set(this.own.filter((_, i) => i !== this.chosen), this.own.length - 2);
    }

    next() {
      if (this.own.length) this.set(this.own, (this.chosen + 1) % this.own.length);
    }

    rename(name) {
      if (this.own[this.chosen]) this.own[this.chosen].name = name;
      this.set(this.own, this.chosen);
    }

    // by keys: moves the box, or with `size` its right and lower edge; a step is ten pixels of the screen, or one
    nudge(right, down, size, fine) {
      const box = this.own[this.chosen];
      if (!box) return;
      const step = (fine ? 1 : 10) / this.picture.scale();
      const [dx, dy] = [right * step, down * step];
      const [left, top, east, south] = box.corners;
      const moved = size
        ? [left, top, Math.max(left + LEAST, east + dx), Math.max(top + LEAST, south + dy)]
        : [left + dx, top + dy, east + dx, south + dy];
      box.corners = this.inside(moved, !size);
      this.set(this.own, this.chosen);
    }

    inside([left, top, right, bottom], whole = false) {
      const [width, height] = this.picture.size;
      if (whole) {
        const dx = Math.max(0, -left) - Math.max(0, right - width);
        const dy = Math.max(0, -top) - Math.max(0, bottom - height);
        [left, right, top, bottom] = [left + dx, right + dx, top + dy, bottom + dy];
      }
      const within = (value, most) => Math.min(most, Math.max(0, value));
      return [within(left, width), within(top, height), within(right, width), within(bottom, height)];
    }

    take(event) {
      if (this.locked || event.button !== 0) return;
      const at = this.picture.at(event);
      this.picture.stage.setPointerCapture(event.pointerId);
      if (event.shiftKey) {
        this.pull = { kind: "pan", from: [event.clientX, event.clientY] };
        return;
      }
      const grip = GRIP / this.picture.scale();
      const box = this.own[this.chosen];
      const near = box && [0, 1, 2, 3].filter((i) => Math.abs(box.corners[i] - at[i % 2]) < grip && this.along(box, at, i, grip));
      const hit = this.own.findIndex(({ corners: [l, t, r, b] }) => at[0] > l && at[0] < r && at[1] > t && at[1] < b);
      if (near && near.length) this.pull = { kind: "edge", box, edges: near };
      else if (hit >= 0) {
        this.set(this.own, hit);
        this.pull = { kind: "move", box: this.own[hit], from: at, corners: [...this.own[hit].corners] };
      } else this.pull = { kind: "new", from: at };
    }

    along(box, at, edge, grip) {
      const other = 1 - (edge % 2);
      return at[other] > box.corners[other] - grip && at[other] < box.corners[other + 2] + grip;
    }

    drag(event) {
      const pull = this.pull;
      if (!pull) return;
      const at = this.picture.at(event);
      if (pull.kind === "pan") {
        const { clientWidth, clientHeight } = this.picture.stage;
        this.picture.move((pull.from[0] - event.clientX) / clientWidth, (pull.from[1] - event.clientY) / clientHeight);
        pull.from = [event.clientX, event.clientY];
      } else if (pull.kind === "new") {
        const corners = [Math.min(at[0], pull.from[0]), Math.min(at[1], pull.from[1]), Math.max(at[0], pull.from[0]), Math.max(at[1], pull.from[1])];
        if (corners[2] - corners[0] < LEAST || corners[3] - corners[1] < LEAST) return;
        const box = { name: this.naming(), corners: this.inside(corners) };
        this.set([...this.own, box], this.own.length);
        this.pull = { kind: "grow", box, from: pull.from };
      } else if (pull.kind === "grow") {
        const [x, y] = pull.from;
        const grown = this.inside([Math.min(x, at[0]), Math.min(y, at[1]), Math.max(x, at[0]), Math.max(y, at[1])]);
        if (grown[2] - grown[0] >= LEAST && grown[3] - grown[1] >= LEAST) pull.box.corners = grown;
      } else if (pull.kind === "move") {
        const [dx, dy] = [at[0] - pull.from[0], at[1] - pull.from[1]];
        const [l, t, r, b] = pull.corners;
        pull.box.corners = this.inside([l + dx, t + dy, r + dx, b + dy], true);
      } else {
        for (const edge of pull.edges) this.pullEdge(pull.box, edge, at[edge % 2]);
      }
      this.draw();
    }

    pullEdge(box, edge, to) {
      const most = this.picture.size[edge % 2];
      const [low, high] = edge < 2 ? [0, box.corners[edge + 2] - LEAST] : [box.corners[edge - 2] + LEAST, most];
      box.corners[edge] = Math.min(high, Math.max(low, to));
    }

    drop() {
      if (this.pull) this.changed();
      this.pull = null;
    }

    draw() {
      const proposed = this.own.length ? [] : this.proposed;
      this.picture.svg.replaceChildren(
        ...proposed.map((box) => this.drawn(box, box.score < SURE ? "proposed doubted" : "proposed", `${box.name} ${box.score.toFixed(2)}`)),
        ...this.own.map((box, i) => this.drawn(box, i === this.chosen ? "own chosen" : "own", box.name)),
      );
    }

    drawn(box, kind, text) {
      const [left, top, right, bottom] = box.corners;
      const group = document.createElementNS(SVG, "g");
      const rect = document.createElementNS(SVG, "rect");
      const words = document.createElementNS(SVG, "text");
      group.setAttribute("class", kind);
      for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) rect.setAttribute(name, value);
      const line = 15 / this.picture.scale();
      words.setAttribute("x", left + line / 4);
      words.setAttribute("y", top > line * 1.2 ? top - line / 3 : top + line * 1.1);
      words.textContent = text;
      group.append(rect, words);
      return group;
    }
  }

  window.inspectd.Boxes = Boxes;
})();
