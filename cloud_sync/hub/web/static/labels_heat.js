// A sample's heat map: drawn when somebody asks for it.
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const svg = by("whole");
  const button = by("show_heat");
  if (!button) return;
  const heat = JSON.parse(svg.dataset.heat);
  const { width, height } = svg.viewBox.baseVal;
  by("grid").textContent = inspectd.heat.said("grid", heat, svg.dataset.camera);
  button.addEventListener("click", async () => {
    const shows = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shows));
    for (const each of [by("grid"), document.querySelector(".heat-legend")]) each.hidden = !shows;
    svg.querySelector(".heat")?.remove();
    if (!shows) return;
    const drawn = await inspectd.heat.drawing(heat, [width, height], inspectd.heat.said("alt", heat, svg.dataset.camera));
    if (button.getAttribute("aria-pressed") === "true" && !svg.querySelector(".heat")) svg.querySelector("image").after(drawn);
  });
})();
