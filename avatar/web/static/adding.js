// Photographs that are added: by the button, or dropped anywhere; how far they have come.
import { said, t } from "/static/i18n.js";
import { addPhoto } from "/static/photo_file.js";

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
        ({ name: added } = await addPhoto(
          file, (message) => this.#say(message), (share) => this.#progress(share),
        ));
      } catch (error) {
        errors.push(error);
      }
    }
    this.bar.hidden = true;
    if (added) await this.taken(added);
    else this.#say("");
    if (errors.length) this.trouble(errors);
  }

  // `share` of the file that was sent; what comes after that has no measure.
  #progress(share) {
    this.bar.hidden = false;
    if (share < 1) this.bar.value = share;
    else this.bar.removeAttribute("value");
  }
}
