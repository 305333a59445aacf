// A COCO file goes up as it is, piece by piece; what came of it is said beside the button.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("import");
  if (!form) return;
  const said = document.getElementById("import_said");
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const tell = (text, bad) => {
    said.textContent = text;
    said.className = bad ? "bad" : "";
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const asked = new URLSearchParams({ product: form.elements.product.value, empty_is_good: form.elements.empty_is_good.checked });
    for (const name of form.elements.new_class.value.split(",").map((each) => each.trim())) if (name) asked.append("new_class", name);
    const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
    const button = form.querySelector("button");
    button.disabled = true;
    tell(form.dataset.busy, false);
    try {
      const headers = { "X-CSRF-Token": token, "HX-Request": "true", "Content-Type": "application/octet-stream" };
      const answer = await fetch(`/labels/files/import?${asked}`, { method: "POST", headers, body: form.elements.file.files[0] });
      if (!answer.ok) tell(new DOMParser().parseFromString(await answer.text(), "text/html").body.textContent.trim(), true);
      else {
        const done = await answer.json();
        tell(done.again ? form.dataset.again : fill(form.dataset.done, done), false);
      }
    } catch (error) {
      tell(`${form.dataset.lost} (${error.message})`, true);
    } finally {
      button.disabled = false;
    }
  });
});
