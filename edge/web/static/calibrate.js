// The form shows the fields that mean something beside what is chosen. Of the others those are not sent that could be
// wrong; switches are, so that they stand as they stood if the form comes back.
"use strict";
(() => {
  const form = document.getElementById("calibrate-form");
  if (!form) return;
  const fits = (words, chosen) => words === undefined || words.split(" ").includes(chosen);
  const from = () => (["live", "passed", "none"].includes(form.elements.source.value) ? form.elements.source.value : "folder");
  const offer = () => {
    const source = form.elements.source;
    for (const option of source.options) option.hidden = option.disabled = !fits(option.dataset.for, form.elements.what.value);
    if (source.selectedOptions.length === 0 || source.selectedOptions[0].disabled) {
      source.value = [...source.options].find((option) => !option.disabled).value;
    }
  };
  const fit = () => {
    offer();
    for (const part of form.querySelectorAll("fieldset, label, div, span")) {
      part.hidden = !fits(part.dataset.for, form.elements.what.value) || !fits(part.dataset.from, from());
    }
    for (const field of form.querySelectorAll("[type=number], [name=defects], [name=repeats]")) {
      field.disabled = field.closest("[hidden]") !== null;
    }
  };
  form.addEventListener("change", fit);
  window.addEventListener("pageshow", fit);
  fit();
})();
