// A line at the window's foot, wherever one has scrolled: what a key did, and what takes its time.
import { said } from "/static/i18n.js";

const SHOWN_MS = 4000;
// What is done sooner needs no word.
const SLOW_MS = 400;

export class Notice {
  #timer = 0;
  #working = [];
  #answer = "";

  constructor(place) {
    this.place = place;
    this.words = place.querySelector("span");
    this.bar = place.querySelector("progress");
  }

  // Show a message, the program's or `{key, values}`, for a moment.
  say(message) {
    this.#answer = message;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#answer = "";
      this.forget();
    }, SHOWN_MS);
    this.forget();
  }

  // Show a message until what is awaited has ended, if that takes long; return what it becomes.
  async during(message, awaited) {
    const timer = setTimeout(() => {
      this.#working.push(message);
      this.forget();
    }, SLOW_MS);
    try {
      return await awaited;
    } finally {
      clearTimeout(timer);
      this.#working = this.#working.filter((one) => one !== message);
      this.forget();
    }
  }

  forget() {
    const working = this.#working.at(-1);
    const words = said(working ?? this.#answer);
    if (this.words.textContent !== words) this.words.textContent = words;
    this.bar.hidden = !working;
    this.place.classList.toggle("shown", Boolean(words));
  }
}
