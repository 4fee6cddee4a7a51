// Photographs to choose from in the rooms, and adding one; and small helps to make elements.
import { addPhoto } from "/static/photo_file.js";
import { current, said, t } from "/static/i18n.js";

export const make = (tag, values = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children);
  return element;
};

export const avatarName = ({ name, label }) => (name === "builtin" ? t("avatarBuiltin") : label);

// `kind`: radio or checkbox. `changed(names)` hears what is chosen, in the order of choosing.
export class PhotoTiles {
  #drawn = "";
  #chosen = [];
  // What was chosen for the user gives way to what they add.
  #isOwn = false;
  #words = "";

  constructor(root, { kind, name, most, changed, trouble, calm }) {
    this.list = root.querySelector(".gallery");
    this.status = root.querySelector(".status");
    this.input = root.querySelector("input[type=file]");
    Object.assign(this, { kind, name, most, changed, trouble, calm });
    this.input.addEventListener("change", async () => {
      await this.add([...this.input.files]);
      this.input.value = "";
    });
  }

  get chosen() {
    return [...this.#chosen];
  }

  forget() {
    this.#drawn = "";
    this.#say(this.#words);
  }

  draw(avatars, first) {
    const usable = avatars.filter(({ fault }) => !fault).map(({ name }) => name);
    const kept = this.#chosen.filter((name) => usable.includes(name));
    if (!kept.length && usable.length) kept.push(usable.includes(first) ? first : usable[0]);
    const changed = kept.join("\n") !== this.#chosen.join("\n");
    this.#chosen = kept;
    const drawn = JSON.stringify([avatars, current()]);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.list.replaceChildren(...avatars.map((avatar) => this.#tile(avatar)));
    }
    this.#show();
    if (changed) this.changed(this.chosen);
  }

  #tile(avatar) {
    const box = make("input", {
      type: this.kind, name: this.name, value: avatar.name, disabled: Boolean(avatar.fault),
    });
    box.addEventListener("change", () => this.#take(box));
    const picture = make("img", { alt: "", width: 96, height: 96, loading: "lazy" });
    if (!avatar.fault) picture.src = `/api/avatars/${encodeURIComponent(avatar.name)}`;
    const number = make("b", { className: "order" });
    const label = make("label", {}, box, picture, number, make("span", { textContent: avatarName(avatar) }));
    if (avatar.fault) label.title = said(avatar.fault);
    return make("div", { className: "tile" }, label);
  }

  #take(box) {
    this.calm();
    this.#isOwn = true;
    if (this.kind === "radio") this.#chosen = [box.value];
    else if (!box.checked) this.#chosen = this.#chosen.filter((name) => name !== box.value);
    else if (this.#chosen.length < this.most) this.#chosen.push(box.value);
    // One at least, and so many at most.
    if (!this.#chosen.length) this.#chosen = [box.value];
    this.#show();
    this.changed(this.chosen);
  }

  #show() {
    const full = this.kind === "checkbox" && this.#chosen.length >= this.most;
    for (const box of this.list.querySelectorAll("input")) {
      const at = this.#chosen.indexOf(box.value);
      box.checked = at >= 0;
      const number = box.parentElement.querySelector(".order");
      number.textContent = this.kind === "checkbox" && at >= 0 && this.#chosen.length > 1 ? at + 1 : "";
      if (full) box.setAttribute("aria-disabled", String(at < 0));
      else box.removeAttribute("aria-disabled");
    }
  }

  #say(message) {
    this.#words = message;
    this.status.textContent = said(message);
  }

  async add(files) {
    this.calm();
    const errors = [];
    for (const file of files) {
      try {
        const { name } = await addPhoto(file, (message) => this.#say(message));
        if (this.kind === "radio" || !this.#isOwn) this.#chosen = [name];
        else if (this.#chosen.length < this.most) this.#chosen.push(name);
        this.#isOwn = true;
      } catch (error) {
        this.#say("");
        errors.push(error);
      }
    }
    if (errors.length) this.trouble(errors);
    this.#show();
    this.changed(this.chosen);
  }
}
