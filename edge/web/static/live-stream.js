// One stream of events: it reconnects, stops while the page is hidden, and says when it is not of now.
"use strict";
const followStream = (address, { on, lost }) => {
  const SILENT_MS = 3500;
  const AGAIN_MS = 2000;
  let source = null;
  let heard = performance.now();
  let again = 0;

  const open = () => {
    clearTimeout(again);
    source = new EventSource(address);
    source.onmessage = (event) => {
      heard = performance.now();
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
      if (answer.type === "opaqueredirect") lost("logged_out", 0);
    } catch {
      /* the server is away: the silence says so */
    }
  };
  setInterval(() => {
    const silent = performance.now() - heard;
    if (!document.hidden && silent > SILENT_MS) lost("silent", Math.round(silent / 1000));
  }, 500);
  document.addEventListener("visibilitychange", () => {
    heard = performance.now();
    if (document.hidden) close();
    else if (!source) open();
  });
  open();
};
