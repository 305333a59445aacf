// Says so where a page could not ask itself anew for a while: nobody shall take an old figure for one of now.
"use strict";
(() => {
  let answered = Date.now();
  const check = () => {
    const notice = document.getElementById("stale");
    if (notice) notice.hidden = Date.now() - answered < Number(notice.dataset.afterS) * 1000;
    document.body.classList.toggle("is-stale", Boolean(notice) && !notice.hidden);
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) answered = Date.now();
    check();
  });
  window.setInterval(check, 1000);
})();
