// A model's heat map over a picture: { columns, rows, to_frame, cells }, a byte for each cell in base64, 255 for 1.0.
// Between the middles of cells values run straight; in its middle each cell has its own, and beyond them nothing is made
// up. What is below FLOOR is not drawn, what is below the model's own threshold faintly; a white line is between.
"use strict";
window.inspectd = window.inspectd || {};
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const FLOOR = 0.4;
  const THRESHOLD = 0.5;
  const FINE_PX = 320; // so many points along the longer side, at least
  const LINE_PX = 200; // the white line is a part in so many of it
  const LONG_PX = 960;
  // From the threshold to 1. Brighter is more, as evenly as eyes see it, and without red against green ("plasma").
  const RAMP = [[143, 13, 164], [177, 42, 144], [204, 71, 120], [225, 100, 98], [242, 132, 75], [252, 166, 54], [252, 206, 37], [240, 249, 33]];
  const LINE = [255, 255, 255, 235];

  const colour = (value) => {
    const at = Math.min(1, Math.max(0, (value - THRESHOLD) / (1 - THRESHOLD))) * (RAMP.length - 1);
    const low = Math.min(RAMP.length - 2, Math.floor(at));
    const mixed = RAMP[low].map((part, i) => part + (RAMP[low + 1][i] - part) * (at - low));
    const strength = value < THRESHOLD ? ((value - FLOOR) / (THRESHOLD - FLOOR)) * 0.3 : 0.5 + (value - THRESHOLD) * 0.4;
    return [...mixed, 255 * strength];
  };
  // As the bytes of pixels, for each thousandth; the last is the line's.
  const COLOURS = new Uint32Array(new Uint8ClampedArray([...Array.from({ length: 1001 }, (_, i) => colour(i / 1000)), LINE].flat()).buffer);

  const levels = (heat) => Uint8Array.from(atob(heat.cells), (each) => each.charCodeAt(0));

  // Points along a cell: odd, so that one of them is its middle.
  const fineness = ({ columns, rows }) => 2 * Math.floor(FINE_PX / Math.max(columns, rows) / 2) + 1;
  // For each point along a side: the cell before it, the one behind it, and how far it is on its way.
  const steps = (cells, fine) =>
    Array.from({ length: cells * fine }, (_, i) => {
      const at = Math.min(cells - 1, Math.max(0, (i + 0.5) / fine - 0.5));
      const low = Math.min(Math.max(0, cells - 2), Math.floor(at));
      return [low, Math.min(cells - 1, low + 1), at - low];
    });
  const between = (heat) => {
    const cells = levels(heat);
    const { columns, rows } = heat;
    const [across, down] = [steps(columns, fineness(heat)), steps(rows, fineness(heat))];
    const values = new Float32Array(across.length * down.length);
    let i = 0;
    for (const [above, below, y] of down) {
      const row = Float32Array.from({ length: columns }, (_, at) => (cells[above * columns + at] * (1 - y) + cells[below * columns + at] * y) / 255);
      for (let at = 0; at < across.length; at += 1) {
        const step = across[at];
        values[i++] = row[step[0]] * (1 - step[2]) + row[step[1]] * step[2];
      }
    }
    return { values, width: across.length, height: down.length };
  };

  // The whole grid as a picture.
  const painted = (heat) => {
    const { values, width, height } = between(heat);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(width, height);
    const wide = Math.max(1, Math.round(Math.max(width, height) / LINE_PX));
    const pixels = new Uint32Array(image.data.buffer);
    const below = (x, y) => x >= 0 && y >= 0 && x < width && y < height && values[y * width + x] < THRESHOLD;
    const edge = (x, y) => below(x - wide, y) || below(x + wide, y) || below(x, y - wide) || below(x, y + wide);
    for (let y = 0, i = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, i += 1) {
        const value = values[i];
        if (value >= FLOOR) pixels[i] = COLOURS[value >= THRESHOLD && edge(x, y) ? 1001 : Math.floor(value * 1000)];
      }
    }
    pen.putImageData(image, 0, 0);
    return canvas;
  };

  // Over a picture of this size (width, height, in its own pixels), on a canvas that lies on it.
  const draw = (canvas, heat, [width, height]) => {
    const scale = LONG_PX / Math.max(width, height);
    [canvas.width, canvas.height] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    const [x, y] = [canvas.width / width, canvas.height / height];
    const [a, b, c, d, e, f] = heat.to_frame;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.setTransform(x * a, y * b, x * c, y * d, x * e, y * f);
    pen.drawImage(painted(heat), 0, 0, heat.columns, heat.rows);
  };

  // The same for a drawing whose user units are the picture's pixels: an element to put between picture and boxes.
  const drawing = async (heat, [width, height], text) => {
    const blob = await new Promise((done) => painted(heat).toBlob(done));
    const frame = document.createElementNS(SVG, "svg"); // so that nothing shows beyond the picture
    const image = document.createElementNS(SVG, "image");
    const set = (element, values) => Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
    const address = URL.createObjectURL(blob);
    for (const end of ["load", "error"]) image.addEventListener(end, () => URL.revokeObjectURL(address), { once: true });
    set(frame, { class: "heat", x: 0, y: 0, width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text });
    set(image, { width: heat.columns, height: heat.rows, preserveAspectRatio: "none", transform: `matrix(${heat.to_frame.join(" ")})`, href: address });
    frame.append(image);
    return frame;
  };

  // What is said of it, by what the page's legend has to say.
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const said = (key, heat, camera) => {
    const cells = levels(heat);
    const { columns, rows } = heat;
    const reached = cells.reduce((count, each) => count + (each >= 255 * THRESHOLD), 0);
    const highest = (cells.reduce((most, each) => Math.max(most, each), 0) / 255).toFixed(2);
    return filled(document.querySelector(".heat-legend").dataset[key], { camera, columns, rows, reached, highest });
  };

  // Buttons that hide a layer of the pictures below `root`, of one or of all; this browser remembers it.
  const layer = (buttons, root, name) => {
    const set = (hides) => {
      root.classList.toggle(`no-${name}`, hides);
      for (const each of buttons) each.setAttribute("aria-pressed", String(hides));
    };
    const turn = () => {
      const hides = !root.classList.contains(`no-${name}`);
      set(hides);
      localStorage.setItem(`hides ${name}`, hides ? "yes" : "no");
    };
    for (const each of buttons) each.addEventListener("click", turn);
    set(localStorage.getItem(`hides ${name}`) === "yes");
  };

  const ramps = () => {
    for (const canvas of document.querySelectorAll(".heat-legend canvas")) {
      const pen = canvas.getContext("2d");
      for (let x = 0; x < canvas.width; x += 1) {
        const [red, green, blue, strength] = colour(FLOOR + ((1 - FLOOR) * x) / canvas.width);
        pen.fillStyle = `rgb(${red} ${green} ${blue} / ${strength / 255})`;
        pen.fillRect(x, 0, 1, canvas.height);
      }
      pen.fillStyle = "white";
      pen.fillRect(((THRESHOLD - FLOOR) / (1 - FLOOR)) * canvas.width - 1, 0, 3, canvas.height);
    }
  };
  document.addEventListener("DOMContentLoaded", ramps);

  window.inspectd.heat = { draw, drawing, said, layer };
})();
