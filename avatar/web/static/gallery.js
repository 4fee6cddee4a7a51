// The avatars to choose from, and adding a photograph.
import { Trouble, upload } from "/static/api.js";
import { current, said, t } from "/static/i18n.js";

const KINDS = ["image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/heif"];
// Browsers do not know every kind by its name.
const BY_NAME = { avif: "image/avif", heic: "image/heic", heif: "image/heif", jfif: "image/jpeg" };
const MOST_BYTES = 25_000_000;

// Returns what a photograph says it is; throws `Trouble` for what cannot be one.
export const kindOf = (file) => {
  const kind = file.type || BY_NAME[file.name.split(".").pop().toLowerCase()];
  if (!KINDS.includes(kind)) throw new Trouble({ key: "notPhoto", values: { name: file.name } });
  const size = Math.ceil(file.size / 1e6);
  if (file.size > MOST_BYTES) throw new Trouble({ key: "tooLarge", values: { name: file.name, size } });
  return kind;
};

// Adds a photograph as an avatar; returns the name under which it is kept.
export const addPhoto = async (file, say) => {
  const kind = kindOf(file);
  say({ key: "adding", values: { name: file.name } });
  // Names have letters, digits, spaces, - and _ alone.
  const stem = file.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{M}\p{Nd} _-]+/gu, "-");
  const { name } = await upload(file, kind, stem.replace(/^[\s-]+|[\s-]+$/g, "") || "photo");
  say({ key: "added", values: { name } });
  return name;
};

export class Gallery {
  #drawn = "";
  #said = "";
  #state = null;

  constructor(list, status, ask, trouble) {
    this.list = list;
    this.status = status;
    this.ask = ask;
    this.trouble = trouble;
    this.#listen();
  }

  forget() {
    this.#drawn = "";
    this.#say(this.#said);
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
      const remove = radio.closest(".tile").querySelector("button");
      if (remove) remove.hidden = radio.checked;
    }
  }

  #say(message) {
    this.#said = message;
    this.status.textContent = said(message);
  }

  // Show avatar number `at`, from 0; round and round where `at` is beyond the end.
  choose(at, wrap = false) {
    const usable = this.#state?.avatars.filter(({ fault }) => !fault) ?? [];
    const avatar = wrap ? usable.at(((at % usable.length) + usable.length) % usable.length) : usable[at];
    if (avatar && avatar.name !== this.#state.avatar) this.#take(avatar.name);
  }

  step(by) {
    const usable = this.#state?.avatars.filter(({ fault }) => !fault) ?? [];
    this.choose(usable.findIndex(({ name }) => name === this.#state.avatar) + by, true);
  }

  async #take(name) {
    this.list.setAttribute("aria-busy", "true");
    await this.ask("avatar", { avatar: name });
    this.list.removeAttribute("aria-busy");
    this.draw(this.#state);
  }

  #tile({ name, label, stored, fault }) {
    const tile = document.createElement("div");
    tile.className = "tile";
    const choice = document.createElement("label");
    const radio = document.createElement("input");
    radio.type = "radio";
    radio.name = "avatar";
    radio.value = name;
    radio.disabled = Boolean(fault);
    radio.addEventListener("change", () => this.#take(name));
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
    if (stored) tile.append(this.#remover(name));
    return tile;
  }

  #remover(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "remove";
    button.title = t("removeAvatar", { name });
    button.setAttribute("aria-label", button.title);
    button.textContent = "×";
    button.addEventListener("click", () => {
      if (confirm(t("removeSure", { name }))) this.ask("remove", { avatar: name }, button);
    });
    return button;
  }

  #listen() {
    const input = document.getElementById("photo");
    const drop = document.getElementById("drop");
    input.addEventListener("change", async () => {
      await this.#addAll([...input.files]);
      input.value = "";
    });
    addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    addEventListener("dragleave", () => drop.classList.remove("over"));
    addEventListener("drop", async (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (document.body.dataset.room !== "live") return;
      await this.#addAll([...event.dataTransfer.files]);
    });
  }

  // The last one that could be added is shown, and why others could not be is said of all at the end.
  async #addAll(files) {
    const errors = [];
    let added = null;
    for (const file of files) {
      try {
        added = await addPhoto(file, (message) => this.#say(message));
      } catch (error) {
        errors.push(error);
      }
    }
    if (added) await this.#take(added);
    else this.#say("");
    if (errors.length) this.trouble(errors);
  }
}
