// An error page of something that is away asks again by itself, and gives way to the page once that is back.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const ask = async () => {
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: "text/html", "X-By-Itself": "yes" } });
      if (answer.status < 500) {
        window.location.reload();
        return;
      }
    } catch {
      // the pages' own program is away too: asked again like all else
    }
    window.setTimeout(ask, EVERY_MS);
  };
  window.setTimeout(ask, EVERY_MS);
})();
