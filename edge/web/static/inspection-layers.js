// What lies over an inspection's pictures: the model's heat map and its boxes, each hidden by a key.
"use strict";
(() => {
  const main = document.getElementById("main");
  for (const svg of document.querySelectorAll("svg.look[data-heat]")) {
    const heat = JSON.parse(svg.dataset.heat);
    const { width, height } = svg.viewBox.baseVal;
    svg.parentElement.querySelector(".grid").textContent = inspectd.heat.said("grid", heat, svg.dataset.camera);
    const text = inspectd.heat.said("alt", heat, svg.dataset.camera);
    inspectd.heat.drawing(heat, [width, height], text).then((drawn) => svg.querySelector("image").after(drawn));
  }
  for (const name of ["boxes", "heat"]) inspectd.heat.layer([...document.querySelectorAll(`.hide-${name}`)], main, name);
})();
