// Expressions over your face, and templates in place of it, while the avatar runs.
import { current, has, t } from "/static/i18n.js";

const $ = (id) => document.getElementById(id);
// A button held down for longer than a tap shows its expression for as long as it is held.
const TAP_MS = 350;
// One's own templates have the name that they were given.
const title = (name) => has(`template.${name}`) ? t(`template.${name}`) : name;

export class Expressions {
  #held = null;
  #down = null;
  #last = Promise.resolve();

  constructor(ask) {
    // One after the other: letting go must not overtake taking hold.
    this.ask = (action, values) => {
      this.#last = this.#last.then(() => ask(action, values));
      return this.#last;
    };
    $("play").addEventListener("click", () => this.ask("play", { template: $("template").value }));
    $("hold-expression").addEventListener("change", ({ target }) => {
      if (!target.checked) this.#letGo();
    });
    // Who goes away holds nothing any more.
    addEventListener("blur", () => this.#released());
  }

  draw({ acting: { expressions, templates, usable } }, running) {
    const drawn = JSON.stringify([expressions, templates, current()]);
    if ($("acting").dataset.drawn !== drawn) {
      $("acting").dataset.drawn = drawn;
      $("expressions").replaceChildren(...expressions.map((name) => this.#button(name)));
      const chosen = $("template").value || "wave";
      $("template").replaceChildren(...templates.map((name) => new Option(title(name), name, false, name === chosen)));
    }
    const off = !running || !usable;
    for (const button of $("acting").querySelectorAll("button, input, select")) button.disabled = off;
    $("acting-hint").hidden = usable;
    if (!running) this.#held = null;
    this.#mark();
  }

  #button(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.expression = name;
    button.textContent = t(`expression.${name}`);
    button.addEventListener("pointerdown", () => this.#pressed(name));
    for (const end of ["pointerup", "pointercancel", "pointerleave"])
      button.addEventListener(end, () => this.#released());
    // Keys: down and up as with a pointer; others (a screen reader's) click alone.
    button.addEventListener("keydown", (event) => {
      if (![" ", "Enter"].includes(event.key)) return;
      event.preventDefault();
      if (!event.repeat) this.#pressed(name);
    });
    button.addEventListener("keyup", (event) => {
      if ([" ", "Enter"].includes(event.key)) this.#released();
    });
    button.addEventListener("click", (event) => {
      if (event.detail === 0 && !event.pointerType) this.#tapped(name);
    });
    return button;
  }

  #pressed(name) {
    if ($("hold-expression").checked) return this.#toggle(name);
    this.#down = { name, at: performance.now() };
    this.ask("expression", { name });
    this.#down.timer = setTimeout(() => this.#hold(name), TAP_MS);
  }

  #tapped(name) {
    if ($("hold-expression").checked) this.#toggle(name);
    else this.ask("expression", { name });
  }

  #toggle(name) {
    if (this.#held === name) this.#letGo();
    else this.#hold(name);
  }

  #hold(name) {
    this.#held = name;
    this.ask("expression", { name, held: true });
    this.#mark();
  }

  #released() {
    if (!this.#down) return;
    clearTimeout(this.#down.timer);
    this.#down = null;
    if (this.#held && !$("hold-expression").checked) this.#letGo();
  }

  #letGo() {
    if (this.#held) this.ask("expression", { name: this.#held, held: false });
    this.#held = null;
    this.#mark();
  }

  #mark() {
    for (const button of $("expressions").children)
      button.setAttribute("aria-pressed", String(button.dataset.expression === this.#held));
  }
}
