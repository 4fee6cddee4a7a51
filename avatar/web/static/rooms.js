// Three rooms in one page: a call goes on in the live one while another is shown.
import { Clips } from "/static/clips.js";
import { t } from "/static/i18n.js";
import { Still } from "/static/still.js";

const NAMES = ["live", "still", "clips"];

export const room = () => document.body.dataset.room ?? "live";

export class Rooms {
  #state = null;

  // `trouble(error)` shows what went wrong, `calm()` takes it away.
  constructor(trouble, calm) {
    this.rooms = {
      still: new Still(document.getElementById("room-still"), trouble, calm),
      clips: new Clips(document.getElementById("room-clips"), trouble, calm),
    };
    this.calm = calm;
    addEventListener("hashchange", () => this.#enter(true));
    new MutationObserver(() => this.rooms.clips.repaint()).observe(
      document.documentElement, { attributeFilter: ["data-theme"] },
    );
    this.#enter(false);
  }

  draw(state) {
    this.#state = state;
    this.rooms[room()]?.draw(state);
  }

  // Another language was chosen.
  forget() {
    for (const one of Object.values(this.rooms)) one.forget();
    this.#title();
  }

  #title() {
    document.title = `${t(`room.${room()}`)} – ${t("title")}`;
  }

  #enter(moved) {
    const asked = location.hash.slice(1);
    if (moved && asked && !NAMES.includes(asked)) return;  // a place within the room
    const name = NAMES.includes(asked) ? asked : "live";
    const left = room();
    document.body.dataset.room = name;
    for (const one of NAMES) document.getElementById(`room-${one}`).hidden = one !== name;
    for (const link of document.querySelectorAll("#rooms a")) {
      if (link.dataset.room === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.querySelector(".skip").href = name === "live" ? "#stage" : `#room-${name}`;
    this.#title();
    if (left !== name) this.rooms[left]?.leave();
    this.rooms[name]?.enter();
    if (this.#state) this.rooms[name]?.draw(this.#state);
    if (!moved || left === name) return;
    this.calm();
    scrollTo(0, 0);
  }
}
