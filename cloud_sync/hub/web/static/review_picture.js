// The picture of the review queue: drawn on a canvas, zoomed, moved and stretched without asking for anything.
"use strict";
window.inspectd = window.inspectd || {};
(() => {
  const STEP = 1.4;
  const FARTHEST = 40;

  class Picture {
    // stage: the element that holds a canvas and an svg over it
    constructor(stage) {
      this.stage = stage;
      this.canvas = stage.querySelector("canvas");
      this.svgs = stage.querySelectorAll("svg");
      this.svg = this.svgs[this.svgs.length - 1]; // of the boxes
      this.bitmap = null;
      this.size = [1, 1]; // of the picture as it lies in the store; boxes are in these pixels
      this.view = { zoom: 1, x: 0.5, y: 0.5 };
      this.stretched = false;
      this.changed = () => {};
      new ResizeObserver(() => this.draw()).observe(stage);
    }

    show(bitmap, size) {
      this.bitmap = bitmap;
      this.size = size;
      this.view = { zoom: 1, x: 0.5, y: 0.5 };
      this.filter();
      this.draw();
    }

    clear() {
      this.bitmap = null;
      this.draw();
    }

    // pixels of the screen for one of the picture
    scale() {
      const { clientWidth, clientHeight } = this.stage;
      return Math.min(clientWidth / this.size[0], clientHeight / this.size[1]) * this.view.zoom;
    }

    zoom(closer, at) {
      const before = this.view.zoom;
      this.view.zoom = Math.min(FARTHEST, Math.max(1, before * (closer ? STEP : 1 / STEP)));
      if (at) {
        const kept = before / this.view.zoom;
        this.view.x = at[0] / this.size[0] + (this.view.x - at[0] / this.size[0]) * kept;
        this.view.y = at[1] / this.size[1] + (this.view.y - at[1] / this.size[1]) * kept;
      }
      this.draw();
    }

    whole() {
      this.view = { zoom: 1, x: 0.5, y: 0.5 };
      this.draw();
    }

    // by shares of what is seen
    move(right, down) {
      this.view.x += right / this.view.zoom;
      this.view.y += down / this.view.zoom;
      this.draw();
    }

    // a place on the screen as one in the picture
    at(event) {
      const box = this.stage.getBoundingClientRect();
      const scale = this.scale();
      const [left, top] = this.corner(scale);
      return [left + (event.clientX - box.left) / scale, top + (event.clientY - box.top) / scale];
    }

    corner(scale) {
      return [
        this.view.x * this.size[0] - this.stage.clientWidth / scale / 2,
        this.view.y * this.size[1] - this.stage.clientHeight / scale / 2,
      ];
    }

    keep() {
      const half = 0.5 / this.view.zoom;
      for (const axis of ["x", "y"]) this.view[axis] = Math.min(1 - half, Math.max(half, this.view[axis]));
    }

    draw() {
      this.keep();
      const ratio = window.devicePixelRatio || 1;
      const { clientWidth, clientHeight } = this.stage;
      const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
      if (this.canvas.width !== width || this.canvas.height !== height) {
        this.canvas.width = width;
        this.canvas.height = height;
      }
      const pen = this.canvas.getContext("2d");
      pen.clearRect(0, 0, width, height);
      const scale = this.scale();
      const [left, top] = this.corner(scale);
      if (this.bitmap) {
        pen.imageSmoothingEnabled = scale * ratio < 3;
        pen.drawImage(this.bitmap, -left * scale * ratio, -top * scale * ratio, this.size[0] * scale * ratio, this.size[1] * scale * ratio);
      }
      for (const svg of this.svgs) {
        svg.setAttribute("viewBox", `${left} ${top} ${clientWidth / scale} ${clientHeight / scale}`);
        svg.setAttribute("preserveAspectRatio", "none");
      }
      this.svg.setAttribute("font-size", String(15 / scale));
      this.changed();
    }

    stretch() {
      this.stretched = !this.stretched;
      this.filter();
    }

    // Brightness, then contrast, so that the darkest and the brightest hundredth become black and white.
    filter() {
      if (!this.stretched || !this.bitmap) {
        this.canvas.style.filter = "";
        return;
      }
      const [low, high] = this.ends();
      const gain = 1 / Math.max(0.02, high - low);
      const contrast = 1 + 2 * low * gain;
      this.canvas.style.filter = `brightness(${gain / contrast}) contrast(${contrast})`;
    }

    ends() {
      const small = new OffscreenCanvas(64, 64);
      const pen = small.getContext("2d");
      pen.drawImage(this.bitmap, 0, 0, 64, 64);
      const { data } = pen.getImageData(0, 0, 64, 64);
      const grey = new Uint8Array(data.length / 4).map((_, i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3).sort();
      return [grey[Math.floor(grey.length * 0.01)] / 255, grey[Math.floor(grey.length * 0.99)] / 255];
    }
  }

  window.inspectd.Picture = Picture;
})();
