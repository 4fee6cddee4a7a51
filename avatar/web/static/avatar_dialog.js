// What can be done with a stored avatar: another name, another face of its photograph, its removal.
import { act } from "/static/api.js";
import { t } from "/static/i18n.js";
import { wordsOf } from "/static/trouble.js";

const $ = (id) => document.getElementById(id);

export class AvatarDialog {
  #avatar = null;
  #opener = "";

  // `removed`: called with the name of one that was removed; `closed`: of one that was not.
  constructor({ removed, closed }) {
    this.dialog = $("avatar-dialog");
    $("avatar-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = $("avatar-name").value.trim();
      this.#do("rename", { avatar: this.#avatar.name, name }, () => { this.#opener = name; });
    });
    $("avatar-remove").addEventListener("click", () => {
      const { name } = this.#avatar;
      this.#do("remove", { avatar: name }, () => {
        this.#opener = "";
        removed(name);
      });
    });
    $("avatar-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      if (this.#opener) closed(this.#opener);
    });
  }

  open(avatar, isShown) {
    this.#avatar = avatar;
    this.#opener = avatar.name;
    $("avatar-dialog-title").textContent = avatar.label;
    $("avatar-name").value = avatar.name;
    $("avatar-trouble").textContent = "";
    $("avatar-faces").hidden = avatar.faces < 2;
    $("avatar-faces-list").replaceChildren(
      ...(avatar.faces < 2 ? [] : Array.from({ length: avatar.faces }, (_, at) => this.#face(at + 1))),
    );
    this.#show(isShown);
    this.dialog.showModal();
  }

  // Show what has changed of the avatar since.
  follow({ avatars, avatar: shown }) {
    const avatar = this.dialog.open && avatars.find(({ name }) => name === this.#avatar.name);
    if (!avatar) return;
    this.#avatar = avatar;
    this.#show(avatar.name === shown);
  }

  #show(isShown) {
    $("avatar-remove").disabled = isShown;
    $("avatar-shown").hidden = !isShown;
    [...$("avatar-faces-list").children].forEach((button, at) => {
      button.setAttribute("aria-pressed", String(at + 1 === this.#avatar.face));
    });
  }

  #face(number) {
    const button = document.createElement("button");
    button.type = "button";
    const picture = document.createElement("img");
    picture.alt = t("faceNumber", { number });
    picture.src = `/api/avatars/${encodeURIComponent(this.#avatar.name)}?face=${number}`;
    button.append(picture);
    button.addEventListener("click", () => this.#do("face", { avatar: this.#avatar.name, face: number }));
    return button;
  }

  // What goes wrong is said in the dialog, which hides the page.
  async #do(action, values, done = () => {}) {
    $("avatar-trouble").textContent = "";
    this.dialog.setAttribute("aria-busy", "true");
    try {
      await act(action, values);
      done();
      this.dialog.close();
    } catch (error) {
      $("avatar-trouble").textContent = wordsOf(error);
    } finally {
      this.dialog.removeAttribute("aria-busy");
    }
  }
}
