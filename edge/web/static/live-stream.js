// One stream of events: it reconnects, stops while the page is hidden, and says when it is not of now.
"use strict";
// Milliseconds since now: a machine that slept slept them too, which the browser's own clock may not know.
const sinceNow = () => {
  const [ticked, at] = [performance.now(), Date.now()];
  return () => Math.max(performance.now() - ticked, Date.now() - at);
};
const followStream = (address, { on, lost }) => {
  const SILENT_MS = 3500;
  const AGAIN_MS = 2000;
  let source = null;
  let unheard = sinceNow();
  let again = 0;
  let out = false;

  const open = () => {
    clearTimeout(again);
    source = new EventSource(address);
    source.onmessage = (event) => {
      unheard = sinceNow();
      out = false;
      on(JSON.parse(event.data));
    };
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) refused();
    };
  };
  const close = () => {
    clearTimeout(again);
    if (source) source.close();
    source = null;
  };
  // A stream that was refused is not tried again by the browser: perhaps nobody is logged in any more.
  const refused = async () => {
    close();
    again = setTimeout(open, AGAIN_MS);
    try {
      const answer = await fetch(location.pathname, { redirect: "manual", headers: { accept: "text/html" } });
      const before = out;
      out = answer.type === "opaqueredirect";
      if (out && !before) lost("logged_out", 0); // once: what is said stays, and with it the way to log in
    } catch {
      out = false; // the server is away: the silence says so
    }
  };
  setInterval(() => {
    const silent = unheard();
    if (!document.hidden && !out && silent > SILENT_MS) lost("silent", Math.round(silent / 1000));
  }, 500);
  document.addEventListener("visibilitychange", () => {
    unheard = sinceNow();
    if (document.hidden) close();
    else if (!source) open();
  });
  open();
};
