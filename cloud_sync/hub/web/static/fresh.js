// Says so where a page could not ask itself anew for a while: nobody shall take an old figure for one of now.
"use strict";
(() => {
  // A clock may be set back, and another one stands still while the machine sleeps: the longer of both holds.
  const sinceNow = () => {
    const [ticked, at] = [performance.now(), Date.now()];
    return () => Math.max(performance.now() - ticked, Date.now() - at);
  };
  let unanswered = sinceNow();
  const check = () => {
    const notice = document.getElementById("stale");
    if (notice) notice.hidden = unanswered() < Number(notice.dataset.afterS) * 1000;
    document.body.classList.toggle("is-stale", Boolean(notice) && !notice.hidden);
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) {
      unanswered = sinceNow();
      if ("board" in event.detail.requestConfig.elt.dataset) document.getElementById("errors").replaceChildren(); // it is over
    }
    check();
  });
  window.setInterval(check, 1000);
})();
