// The room Still: a photograph with sliders, drawn by the program as they are moved.
import { Trouble, get, post, upload } from "/static/api.js";
import { kindOf } from "/static/photo_file.js";
import { apply, current, said, t } from "/static/i18n.js";
import { PhotoTiles, avatarName, make } from "/static/tiles.js";

// So far a drag over the picture's whole width or height goes.
const DRAGS = {
  turn: [["turn", 90], ["nod", 70]], move: [["across", 3], ["down", 3]], look: [["look", 3], ["look_down", 3]],
};
const STRIPS = [1, 3, 4, 5, 6];

export class Still {
  #sliders = new Map();
  #photo = "";
  #like = "";
  #likeName = "";
  #avatars = [];
  #drawn = "";
  #before = null;
  #isBefore = false;
  #busy = false;
  #again = false;
  #isHere = false;
  #words = {};

  constructor(root, trouble, calm) {
    Object.assign(this, { root, trouble, calm });
    this.canvas = this.#find("still-canvas");
    this.tiles = new PhotoTiles(root.querySelector(".still-photo"), {
      kind: "radio", name: "still-photo", most: 1, trouble, calm,
      changed: ([name]) => this.#take(name),
    });
    this.#find("still-frames").append(...STRIPS.map((n) => new Option(n, n)));
    this.#listen();
  }

  #find(id) {
    return this.root.querySelector(`#${id}`);
  }

  async enter() {
    this.#isHere = true;
    if (this.#sliders.size) return;
    try {
      this.#furnish(await get("/api/still/sliders"));
    } catch (error) {
      this.trouble(error);
    }
  }

  leave() {
    this.#isHere = false;
  }

  draw(state) {
    this.#avatars = state.avatars;
    this.tiles.draw(state.avatars, state.avatar);
    const drawn = JSON.stringify([state.avatars, this.#likeName, current()]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const menu = this.#find("still-like");
    menu.replaceChildren(new Option(t("stillLikeNone"), ""));
    if (this.#likeName) menu.append(new Option(this.#likeName, "file"));
    menu.append(...state.avatars.filter(({ fault }) => !fault)
      .map((avatar) => new Option(avatarName(avatar), `avatar:${avatar.name}`)));
    menu.value = this.#like.startsWith("face:") ? "file" : this.#like;
  }

  forget() {
    apply(this.root);
    this.tiles.forget();
    this.#drawn = "";
    for (const slider of this.#sliders.values()) slider.show();
    for (const [id, message] of Object.entries(this.#words)) this.#find(id).textContent = said(message);
    this.#nameFrames();
    this.#describe();
  }

  #say(id, message) {
    this.#words[id] = message;
    this.#find(id).textContent = said(message);
  }

  #furnish(sliders) {
    const groups = [...new Set(sliders.map(({ group }) => group))];
    this.#find("still-sliders").replaceChildren(...groups.map((group) => {
      const legend = make("legend");
      legend.dataset.text = `stillGroup.${group}`;
      const rows = sliders.filter((one) => one.group === group).map((one) => this.#slider(one));
      return make("fieldset", { className: "group" }, legend, ...rows);
    }));
    this.forget();
    this.#nameFrames();
    this.#askPicture();
  }

  #slider({ name, min, max, step, unit, default: rest }) {
    const input = make("input", { type: "range", min, max, step, id: `still-${name}` });
    input.value = rest;
    const words = make("span");
    words.dataset.text = `still.${name}`;
    const output = make("output");
    output.setAttribute("for", input.id);
    const show = () => {
      const value = input.valueAsNumber;
      output.textContent = unit === "degrees" ? t("degrees", { n: value }) : `${Math.round(value * 100)} %`;
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      show();
      this.#changed();
    });
    input.addEventListener("dblclick", () => {
      input.value = rest;
      show();
      this.#changed();
    });
    this.#sliders.set(name, { input, rest, show });
    return make("label", { className: "field" }, words, input, output);
  }

  #nameFrames() {
    for (const option of this.#find("still-frames").options)
      option.textContent = option.value === "1" ? t("stillFrameOne") : t("stillFrameStrip", { n: option.value });
  }

  #set(name, value) {
    const slider = this.#sliders.get(name);
    slider.input.value = value;
    slider.show();
  }

  #changed() {
    this.#showBefore(false);
    this.#askPicture();
  }

  get #values() {
    return Object.fromEntries([...this.#sliders].map(([name, { input }]) => [name, input.valueAsNumber]));
  }

  #take(name) {
    if (!name || name === this.#photo) return;
    this.#photo = name;
    this.#before?.close();
    this.#before = null;
    this.#showBefore(false);
    this.#askPicture();
  }

  // The newest question is answered; those that were overtaken are not asked.
  async #askPicture() {
    if (!this.#photo || !this.#sliders.size || !this.#isHere) return;
    this.#again = true;
    if (this.#busy) return;
    this.#busy = true;
    this.canvas.setAttribute("aria-busy", "true");
    const waits = setTimeout(() => this.#cover("stillWait"), 600);
    try {
      while (this.#again) {
        this.#again = false;
        const photo = this.#photo;
        this.#before ??= await this.#bitmap({ photo });
        const picture = await this.#bitmap({ photo, like: this.#like, ...this.#values });
        if (photo === this.#photo && !this.#isBefore) this.#paint(picture);
        picture.close();
      }
      this.calm();
    } catch (error) {
      this.trouble(error);
    } finally {
      clearTimeout(waits);
      this.#cover("");
      this.canvas.removeAttribute("aria-busy");
      this.#busy = false;
    }
  }

  async #bitmap(values) {
    return createImageBitmap(await post("/api/still/picture", values));
  }

  #paint(picture) {
    const { canvas } = this;
    if (canvas.width !== picture.width || canvas.height !== picture.height)
      Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dispatchEvent(new Event("drawn"));
  }

  #cover(key) {
    const cover = this.#find("still-cover");
    this.#words["still-cover"] = key ? { key, values: {} } : "";
    cover.textContent = said(this.#words["still-cover"]);
    cover.hidden = !key;
  }

  #showBefore(shown) {
    this.#isBefore = shown && Boolean(this.#before);
    this.#find("still-before").setAttribute("aria-pressed", String(this.#isBefore));
    this.#describe();
    if (this.#isBefore) this.#paint(this.#before);
  }

  #describe() {
    this.canvas.setAttribute("aria-label", t(this.#isBefore ? "stillPictureBefore" : "stillPicture"));
  }

  #listen() {
    this.#find("still-before").addEventListener("click", () => {
      this.#showBefore(!this.#isBefore);
      if (!this.#isBefore) this.#askPicture();
    });
    this.#find("still-reset").addEventListener("click", () => {
      for (const [name, { rest }] of this.#sliders) this.#set(name, rest);
      this.#like = "";
      this.#find("still-like").value = "";
      this.#changed();
    });
    this.#find("still-like").addEventListener("change", ({ target }) => {
      this.#like = target.value === "file" ? this.fileLike : target.value;
      this.#changed();
    });
    this.#find("still-like-file").addEventListener("change", ({ target }) => this.#likeFile(target));
    this.#find("still-file").addEventListener("click", ({ target }) => this.#save(target));
    this.#listenToDrags();
  }

  #listenToDrags() {
    let from = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.#sliders.size) return;
      this.canvas.setPointerCapture(event.pointerId);
      const way = this.root.querySelector("input[name=drag]:checked").value;
      from = { x: event.clientX, y: event.clientY, moves: DRAGS[way], values: this.#values };
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      const { width, height } = this.canvas.getBoundingClientRect();
      const gone = [(event.clientX - from.x) / width, (event.clientY - from.y) / height];
      from.moves.forEach(([name, most], at) => this.#set(name, from.values[name] + gone[at] * most));
      this.#changed();
    });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => { from = null; });
  }

  async #likeFile(input) {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    this.calm();
    try {
      const kind = kindOf(file);
      this.#say("still-like-status", { key: "adding", values: { name: file.name } });
      const { like } = await upload(file, kind, file.name, () => {}, "/api/still/like");
      this.#like = this.fileLike = like;
      this.#likeName = file.name;
      this.#say("still-like-status", { key: "stillLikeTaken", values: { name: file.name } });
      this.draw({ avatars: this.#avatars, avatar: this.#photo });
      this.#changed();
    } catch (error) {
      this.#say("still-like-status", "");
      this.trouble(error);
    }
  }

  async #save(button) {
    this.calm();
    button.setAttribute("aria-busy", "true");
    this.#say("still-status", { key: "stillSaving", values: {} });
    const kind = this.#find("still-kind").value;
    try {
      if (!this.#photo) throw new Trouble({ key: "stillWait", values: {} });
      const blob = await post("/api/still/file", {
        photo: this.#photo, like: this.#like, kind, frames: Number(this.#find("still-frames").value), ...this.#values,
      });
      const link = make("a", { href: URL.createObjectURL(blob), download: `${this.#photo}-still.${kind}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      this.#say("still-status", { key: "stillSaved", values: { name: link.download } });
    } catch (error) {
      this.#say("still-status", "");
      this.trouble(error);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }
}
