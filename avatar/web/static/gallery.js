// The avatars to choose from.
import { AvatarDialog } from "/static/avatar_dialog.js";
import { current, said, t } from "/static/i18n.js";
import { Undo } from "/static/undo.js";

export class Gallery {
  #drawn = "";
  #state = null;
  #awaited = "";

  constructor(list, ask, notice) {
    this.list = list;
    this.ask = ask;
    this.notice = notice;
    this.undo = new Undo(document.getElementById("removed"), ask);
    this.dialog = new AvatarDialog({
      removed: (name) => this.undo.await(name), closed: (name) => this.#focusOn(name),
    });
  }

  forget() {
    this.#drawn = "";
  }

  draw(state) {
    this.#state = state;
    const drawn = JSON.stringify([state.avatars, current()]);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.list.replaceChildren(...state.avatars.map((avatar) => this.#tile(avatar)));
    }
    for (const radio of this.list.querySelectorAll("input")) {
      radio.checked = radio.value === state.avatar;
    }
    this.undo.draw(state);
    this.dialog.follow(state);
    if (this.#awaited) this.#focusOn(this.#awaited);
  }

  // The focus goes on at an avatar, which may be drawn only when the program has told of it.
  #focusOn(name) {
    const button = this.list.querySelector(`[data-edit="${CSS.escape(name)}"]`);
    this.#awaited = button ? "" : name;
    button?.focus();
  }

  // Show avatar number `at`, from 0; round and round where `at` is beyond the end.
  choose(at, wrap = false) {
    const usable = this.#state?.avatars.filter(({ fault }) => !fault) ?? [];
    const avatar = wrap ? usable.at(((at % usable.length) + usable.length) % usable.length) : usable[at];
    if (avatar && avatar.name !== this.#state.avatar) this.take(avatar.name);
  }

  step(by) {
    const usable = this.#state?.avatars.filter(({ fault }) => !fault) ?? [];
    this.choose(usable.findIndex(({ name }) => name === this.#state.avatar) + by, true);
  }

  // Open what can be done with a stored avatar.
  edit(name) {
    const avatar = this.#state?.avatars.find((one) => one.name === name && one.stored);
    if (avatar) this.dialog.open(avatar, name === this.#state.avatar);
  }

  async take(name) {
    this.list.setAttribute("aria-busy", "true");
    await this.notice.during({ key: "preparing", values: { what: name } }, this.ask("avatar", { avatar: name }));
    this.list.removeAttribute("aria-busy");
    this.draw(this.#state);
  }

  #tile(avatar) {
    const { name, label, stored, fault } = avatar;
    const tile = document.createElement("div");
    tile.className = "tile";
    const choice = document.createElement("label");
    const radio = document.createElement("input");
    radio.type = "radio";
    radio.name = "avatar";
    radio.value = name;
    radio.disabled = Boolean(fault);
    radio.addEventListener("change", () => this.take(name));
    const picture = document.createElement("img");
    picture.alt = "";
    picture.width = picture.height = 96;
    picture.loading = "lazy";
    if (!fault) picture.src = `/api/avatars/${encodeURIComponent(name)}`;
    const words = document.createElement("span");
    words.textContent = name === "builtin" ? t("avatarBuiltin") : label;
    choice.append(radio, picture, words);
    if (fault) choice.title = said(fault);
    tile.append(choice);
    if (stored) tile.append(this.#editor(avatar));
    return tile;
  }

  #editor(avatar) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "edit";
    button.dataset.edit = avatar.name;
    button.title = t("editAvatar", { name: avatar.name });
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-haspopup", "dialog");
    button.textContent = "⋯";
    button.addEventListener("click", () => this.edit(avatar.name));
    return button;
  }
}
