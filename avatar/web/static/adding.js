// Photographs that are added: by the button, or dropped anywhere; how far they have come.
import { Trouble, upload } from "/static/api.js";
import { said, t } from "/static/i18n.js";

const KINDS = ["image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/heif"];
// Browsers do not know every kind by its name.
const BY_NAME = { avif: "image/avif", heic: "image/heic", heif: "image/heif", jfif: "image/jpeg" };
const MOST_BYTES = 25_000_000;

export class Adding {
  #said = "";

  // `taken`: called with the name of the last one added; `edit`: with one whose face is to be
  // chosen; `trouble`: with all errors at the end.
  constructor({ taken, edit, trouble }) {
    this.taken = taken;
    this.edit = edit;
    this.trouble = trouble;
    this.status = document.getElementById("add-status");
    this.bar = document.getElementById("add-progress");
    this.#listen();
  }

  forget() {
    this.#say(this.#said);
  }

  #say(message) {
    this.#said = message;
    this.status.textContent = said(message);
    if (message.key === "addedOneOf") this.status.append(" ", this.#chooser(message.values.name));
  }

  #chooser(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = t("chooseFace");
    button.addEventListener("click", () => this.edit(name));
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
      await this.#addAll([...event.dataTransfer.files]);
    });
  }

  // The last one that could be added is shown, and why others could not be is said of all at the end.
  async #addAll(files) {
    const errors = [];
    let added = null;
    for (const file of files) {
      try {
        added = await this.#add(file);
      } catch (error) {
        errors.push(error);
      }
    }
    this.bar.hidden = true;
    if (added) await this.taken(added);
    else this.#say("");
    if (errors.length) this.trouble(errors);
  }

  // Returns the name under which it is kept.
  async #add(file) {
    const kind = file.type || BY_NAME[file.name.split(".").pop().toLowerCase()];
    if (!KINDS.includes(kind)) throw new Trouble({ key: "notPhoto", values: { name: file.name } });
    const size = Math.ceil(file.size / 1e6);
    if (file.size > MOST_BYTES) throw new Trouble({ key: "tooLarge", values: { name: file.name, size } });
    this.#progress(file.name, 0);
    // Names have letters, digits, spaces, - and _ alone.
    const stem = file.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{M}\p{Nd} _-]+/gu, "-");
    const name = stem.replace(/^[\s-]+|[\s-]+$/g, "") || "photo";
    const stored = await upload(file, kind, name, (share) => this.#progress(file.name, share));
    const { name: kept, faces } = stored;
    this.#say(faces > 1 ? { key: "addedOneOf", values: { name: kept, faces } } : { key: "added", values: { name: kept } });
    return stored.name;
  }

  // `share` of the file that was sent; what comes after that has no measure.
  #progress(name, share) {
    this.bar.hidden = false;
    if (share < 1) this.bar.value = share;
    else this.bar.removeAttribute("value");
    this.#say({ key: share < 1 ? "sendingFile" : "adding", values: { name } });
  }
}
