// What a part of a page that asks for itself does where nobody answers, and sending a file without a form around it.
"use strict";
(() => {
  const lose = (element) => {
    if (!element.dataset || !element.dataset.lost || element.classList.contains("lost")) return;
    const says = document.createElement("p");
    says.className = "lost-says";
    says.setAttribute("role", "alert");
    says.textContent = `${element.dataset.lost} ${new Date().toLocaleTimeString()}`;
    element.classList.add("lost");
    element.prepend(says);
  };
  for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(name, (event) => lose(event.detail.elt));
  }

  const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];

  const send = (form, file) => {
    const says = form.querySelector(".upload-said");
    const bar = form.querySelector("progress");
    const request = new XMLHttpRequest();
    const query = new URLSearchParams({ name: file.name });
    for (const field of form.querySelectorAll("[name]")) if (field.type !== "radio" || field.checked) query.set(field.name, field.value);
    request.open("POST", `${form.dataset.upload}?${query}`);
    request.setRequestHeader("X-CSRF-Token", token());
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    bar.hidden = false;
    says.textContent = form.dataset.sending;
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; });
    request.addEventListener("load", () => {
      if (request.status === 204) { location.reload(); return; }
      const answer = new DOMParser().parseFromString(request.responseText, "text/html").body.textContent.trim();
      says.textContent = `${form.dataset.failed} ${answer}`;
      bar.hidden = true;
    });
    request.addEventListener("error", () => { says.textContent = form.dataset.failed; bar.hidden = true; });
    request.send(file);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-upload]");
    if (!form) return;
    event.preventDefault();
    const file = form.querySelector("input[type=file]").files[0];
    if (file && file.size > Number(form.dataset.most)) form.querySelector(".upload-said").textContent = form.dataset.tooLarge;
    else if (file) send(form, file);
  });
})();
