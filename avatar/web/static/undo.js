// Avatars that were removed a moment ago, each with a button that has it back.
import { current, t } from "/static/i18n.js";

export class Undo {
  #drawn = "";
  #awaited = null;

  constructor(place, ask) {
    this.place = place;
    this.ask = ask;
  }

  // Whoever removed it finds the focus on what takes that back.
  await(name) {
    this.#awaited = name;
    this.#focus();
  }

  draw({ removed }) {
    const drawn = JSON.stringify([removed, current()]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const hadFocus = this.place.contains(document.activeElement);
    this.place.replaceChildren(...removed.map((name) => this.#line(name)));
    this.#focus();
    // Where the button has gone under somebody's fingers, they go on at the avatars.
    if (hadFocus && document.activeElement === document.body) document.querySelector("#gallery input:checked")?.focus();
  }

  #line(name) {
    const line = document.createElement("p");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.restore = name;
    button.textContent = t("undo");
    button.setAttribute("aria-label", t("undoRemoval", { name }));
    button.addEventListener("click", () => this.ask("restore", { avatar: name }, button));
    line.append(t("removed", { name }), " ", button);
    return line;
  }

  #focus() {
    const button = this.#awaited && this.place.querySelector(`[data-restore="${CSS.escape(this.#awaited)}"]`);
    if (!button) return;
    this.#awaited = null;
    button.focus();
  }
}
