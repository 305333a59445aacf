// What comes and what goes: samples and their pictures before they are needed; answers while the next one is seen.
"use strict";
window.inspectd = window.inspectd || {};
(() => {
  const AHEAD = 8;
  const HAVE_MOST = 400; // as many as the server takes
  const RENEW_MS = 30000;
  const WAIT_MS = [1000, 2000, 4000, 8000, 15000];
  const WIDTHS = [320, 960, 1920, 3840];

  const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
  const mark = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  const post = (path, content, more = {}, heads = {}) =>
    fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token(), "HX-Request": "true", ...heads },
      body: JSON.stringify(content),
      ...more,
    });

  const textOf = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent.trim();

  class Queue {
    // person: whose answers these are; choice: product, reason, station, proposed; changed: something came or went
    constructor(person, choice, changed) {
      this.person = person;
      this.stranger = ""; // who is logged in instead
      this.choice = choice;
      this.changed = changed;
      this.page = mark();
      this.waiting = []; // samples that come next, each with `ready`: a promise of its picture
      this.current = null;
      this.outbox = []; // what is not stored yet
      this.sending = false;
      this.asking = false;
      this.dry = false;
      this.fault = "";
      this.progress = null;
      this.width = WIDTHS.find((width) => width >= screen.width * (window.devicePixelRatio || 1)) || WIDTHS.at(-1);
      setInterval(() => this.fill(true), RENEW_MS);
      window.addEventListener("beforeunload", (event) => this.outbox.length && event.preventDefault());
      window.addEventListener("pagehide", () => this.outbox.length || post("/review/release", { page: this.page }, { keepalive: true }).catch(() => {}));
      window.addEventListener("online", () => this.send());
    }

    have() {
      const busy = this.outbox.map((each) => each.sample.id);
      return [...new Set([...(this.current ? [this.current.id] : []), ...this.waiting.map((each) => each.id), ...busy])].slice(0, HAVE_MOST);
    }

    // Asks for more where few are left; `renew`: also where enough are, so that what is held stays ours.
    async fill(renew = false) {
      if (this.asking || (!renew && this.waiting.length > AHEAD / 2)) return;
      this.asking = true;
      try {
        const most = Math.max(0, AHEAD - this.waiting.length);
        const itself = renew ? { "X-By-Itself": "yes" } : {}; // a page that nobody uses keeps nobody logged in
        const answer = await post("/review/claim", { page: this.page, ...this.choice, have: this.have(), most }, {}, itself);
        if (!answer.ok) throw await this.refusal(answer);
        const { samples, classes, progress } = await answer.json();
        const known = new Set(this.have());
        for (const sample of samples) if (!known.has(sample.id)) this.waiting.push(this.fetched(sample));
        this.dry = !samples.length && most > 0;
        this.progress = progress;
        this.classes = classes;
        this.fault = this.stranger = "";
      } catch (error) {
        this.fault = error.message;
        setTimeout(() => this.fill(true), WAIT_MS[2]);
      } finally {
        this.asking = false;
        this.changed();
        if (!this.fault && !this.dry) this.fill(); // what was asked for may be used up by now
      }
    }

    fetched(sample) {
      sample.ready = this.picture(sample.sha256, this.width);
      sample.ready.catch(() => {}); // seen to where it is shown
      if (sample.beside) new Image().src = sample.beside.address;
      return sample;
    }

    async picture(sha256, width) {
      const answer = await fetch(`/pictures/${sha256}?width=${width}`);
      if (!answer.ok) throw new Error(String(answer.status));
      const size = answer.headers.get("X-Picture-Size").split("x").map(Number);
      return { bitmap: await createImageBitmap(await answer.blob()), size };
    }

    next() {
      this.current = this.waiting.shift() || null;
      this.fill();
      return this.current;
    }

    // Puts a sample before all others, for whoever undoes.
    back(sample) {
      if (this.current) this.waiting.unshift(this.current);
      this.current = sample;
    }

    // Takes an answer; it is on its way when this returns, and kept here until it is stored.
    say(sample, answer) {
      this.outbox.push({ sample, answer, path: "/review/say", tries: 0, refused: "" });
      this.send();
    }

    skip(sample) {
      this.outbox.push({ sample, answer: null, path: "/review/skip", tries: 0, refused: "" });
      this.send();
    }

    async send() {
      if (this.sending) return;
      this.sending = true;
      try {
        for (let first = this.sendable(); first; first = this.sendable()) await this.deliver(first);
      } catch (error) {
        const first = this.sendable();
        this.fault = error.message;
        setTimeout(() => this.send(), WAIT_MS[Math.min(first.tries++, WAIT_MS.length - 1)]);
      } finally {
        this.sending = false;
        this.changed();
      }
    }

    sendable() {
      return this.outbox.find((each) => !each.refused);
    }

    async deliver(each) {
      const body = each.answer ? { page: this.page, sample: each.sample.id, seen: each.sample.seen, ...each.answer } : { page: this.page, samples: [each.sample.id] };
      const answer = await post(each.path, body);
      if (answer.ok) {
        if (each.answer) each.sample.seen = (await answer.json()).seen;
        this.outbox.splice(this.outbox.indexOf(each), 1);
        this.fault = this.stranger = "";
        return;
      }
      if (answer.status === 409 || answer.status === 422) {
        each.refused = textOf(await answer.text());
        return;
      }
      throw await this.refusal(answer);
    }

    // Whoever logged in again in another tab has another token; the answers here are not lost by that. Another person's
    // token is not taken: nobody's answers are stored in somebody else's name.
    async refusal(answer) {
      const said = textOf(await answer.text());
      if (answer.status === 401) return new Error("401");
      if (answer.status === 403) {
        const page = new DOMParser().parseFromString(await (await fetch("/account")).text(), "text/html");
        const headers = page.body.getAttribute("hx-headers");
        const name = page.querySelector("header nav") ? page.querySelector("header .who a").textContent.trim() : "";
        this.stranger = name && name !== this.person ? name : "";
        if (name === this.person && headers) document.body.setAttribute("hx-headers", headers);
      }
      return new Error(said || String(answer.status));
    }

    drop(each) {
      this.outbox = this.outbox.filter((other) => other !== each);
      this.changed();
    }

    again(each) {
      each.refused = "";
      this.send();
    }
  }

  window.inspectd.Queue = Queue;
})();
