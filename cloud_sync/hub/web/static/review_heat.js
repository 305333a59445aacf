// The model's heat map in the review queue: asked for by a key and never shown by itself, so that who judges a picture
// may look at it first.
"use strict";
window.inspectd = window.inspectd || {};
(() => {
  class Heat {
    // picture: what it lies on; words: what is said where there is none; said: where
    constructor(picture, svg, said, words) {
      Object.assign(this, { picture, svg, place: said, words });
      this.on = false;
      this.sample = null;
      this.kept = new WeakMap(); // by sample, what was asked for
      this.legend = document.querySelector(".heat-legend");
    }

    turn() {
      this.on = !this.on;
      this.show(this.sample);
    }

    asked(sample) {
      if (!this.kept.has(sample)) this.kept.set(sample, this.fetched(sample));
      return this.kept.get(sample);
    }

    async fetched(sample) {
      const answer = await fetch(`/review/heat/${sample.id}`);
      if (!answer.ok) throw new Error(String(answer.status));
      return (await answer.json()).heat;
    }

    // The sample whose picture is on the screen, null without one.
    async show(sample) {
      this.sample = sample;
      this.put(null);
      this.say("");
      this.legend.hidden = !this.on;
      if (!this.on || !sample) return;
      try {
        const heat = await this.asked(sample);
        const text = heat ? window.inspectd.heat.said("alt", heat, sample.camera) : "";
        const drawn = heat ? await window.inspectd.heat.drawing(heat, this.picture.size, text) : null;
        if (this.sample !== sample || !this.on) return;
        this.put(drawn);
        this.say(heat ? window.inspectd.heat.said("grid", heat, sample.camera) : this.words.no_heat);
      } catch (error) {
        this.kept.delete(sample);
        if (this.sample === sample) this.say(this.words.heat_late.replace("{why}", error.message));
      }
    }

    // What is drawn of it; without, nothing is told to who cannot see.
    put(drawn) {
      this.svg.replaceChildren(...(drawn ? [drawn] : []));
      this.svg.setAttribute("aria-hidden", String(!drawn));
    }

    say(text) {
      this.place.hidden = !text;
      this.place.textContent = text;
    }
  }

  window.inspectd.Heat = Heat;
})();
