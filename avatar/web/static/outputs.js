// The outputs, each with a switch of its own.
import { said, t } from "/static/i18n.js";

export class Outputs {
  #rows = new Map();
  #latest = [];
  #sound = false;

  constructor(list, ask) {
    this.list = list;
    this.ask = ask;
  }

  forget() {
    const address = this.#rows.get("stream")?.address.value ?? "";
    this.#rows.clear();
    this.list.replaceChildren();
    this.draw(this.#latest, this.#sound);
    const field = this.#rows.get("stream")?.address;
    if (field) field.value = address;
  }

  // `sound`: whether there is a microphone for what takes sound.
  draw(outputs, sound) {
    this.#latest = outputs;
    this.#sound = sound;
    for (const { id, state, detail } of outputs) {
      const row = this.#rows.get(id) ?? this.#row(id);
      row.item.dataset.state = state;
      row.box.checked = state === "on" || state === "lost" || state === "waiting";
      row.state.textContent = t(`state.${state}`);
      const words = detail ? said(detail) : t(`outputHint.${id}`);
      const takesSound = ["file", "stream"].includes(id) && state !== "failed";
      const heard = takesSound ? ` – ${t(sound ? "withSound" : "withoutSound")}` : "";
      row.hint.textContent = words + heard;
    }
  }

  #row(id) {
    const item = document.createElement("li");
    const label = document.createElement("label");
    label.className = "switch";
    const box = document.createElement("input");
    box.type = "checkbox";
    box.setAttribute("role", "switch");
    box.dataset.output = id;
    const words = document.createElement("span");
    words.className = "name";
    words.textContent = t(`output.${id}`);
    const state = document.createElement("span");
    state.className = "state";
    state.setAttribute("role", "status");
    label.append(box, words, state);
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.id = `output-${id}-hint`;
    box.setAttribute("aria-describedby", hint.id);
    const address = document.createElement("input");
    // Hidden by the style sheet: browsers offer to remember what a password field holds.
    address.type = "text";
    address.className = "secret";
    address.spellcheck = false;
    address.placeholder = "rtmp://…";
    address.autocomplete = "off";
    address.setAttribute("aria-label", t("streamAddress"));
    box.addEventListener("change", async () => {
      await this.ask("output", { id, on: box.checked, address: id === "stream" ? address.value : "" }, box);
      this.draw(this.#latest, this.#sound);
    });
    item.append(label, hint);
    if (id === "stream") item.append(address);
    this.list.append(item);
    const row = { item, box, state, hint, address };
    this.#rows.set(id, row);
    return row;
  }
}
