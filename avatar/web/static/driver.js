// What is seen of the driver: landmarks as points, and only if asked for, the camera's picture.
import { t } from "/static/i18n.js";

const POINTS = 1;
const PICTURE = 2;
const FORGET_AFTER_MS = 1500;

export class Driver {
  #points = null;
  #timer = 0;
  #feed = null;
  #aspect = 4 / 3;
  #running = false;
  #words = "";
  #asked = false;

  constructor(canvas, picture, caption) {
    this.canvas = canvas;
    this.picture = picture;
    this.caption = caption;
    new ResizeObserver(() => this.#paint()).observe(canvas);
  }

  hear(message) {
    const bytes = new DataView(message);
    if (bytes.getUint8(0) === PICTURE) return this.#show(message);
    if (bytes.getUint8(0) !== POINTS) return;
    this.#aspect = bytes.getUint16(2, true) / 1000;
    this.#points = message.byteLength > 4 ? new Uint16Array(message, 4) : null;
    // Where nothing more comes, the last points do not stand there as if somebody were seen.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#forgetPoints(), FORGET_AFTER_MS);
    this.#paint();
    this.#say();
  }

  showPicture(wanted) {
    this.#asked = wanted;
    if (!wanted) this.#hide();
  }

  // `feed`: what comes from the camera.
  draw(running, feed) {
    this.#running = running;
    this.#feed = feed;
    if (!running || this.#isCut) this.#forgetPoints();
    this.#say();
  }

  // Nothing comes any more of what came before.
  get #isCut() {
    return ["closed", "silent"].includes(this.#feed);
  }

  #forgetPoints() {
    this.#points = null;
    this.#hide();
    this.#paint();
    this.#say();
  }

  forget() {
    this.#words = "";
    this.#say();
    this.#paint();
  }

  #say() {
    const key = !this.#running ? "pointsNone" : this.#feed === "closed" ? "pointsClosed"
      : this.#feed === "silent" ? "pointsSilent" : this.#points ? "pointsFace" : "pointsNobody";
    const words = t(key);
    if (words === this.#words) return;
    this.#words = words;
    this.canvas.setAttribute("aria-label", words);
    this.caption.textContent = `${t("driverCaption")} – ${words}`;
  }

  async #show(message) {
    const picture = await createImageBitmap(new Blob([new Uint8Array(message, 2)], { type: "image/jpeg" }));
    if (this.#asked && this.#running) {
      this.picture.width = picture.width;
      this.picture.height = picture.height;
      this.picture.getContext("2d").drawImage(picture, 0, 0);
      this.picture.hidden = false;
    }
    picture.close();
  }

  #hide() {
    this.picture.hidden = true;
    this.picture.width = 1;
  }

  #paint() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = devicePixelRatio || 1;
    if (!width) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    if (!this.#points) return;
    // The camera's whole picture, as large as fits.
    const wide = Math.min(width, height * this.#aspect);
    const high = wide / this.#aspect;
    const left = (width - wide) / 2;
    const top = (height - high) / 2;
    pen.fillStyle = getComputedStyle(this.canvas).color;
    const radius = Math.max(0.7, wide / 420);
    for (let at = 0; at < this.#points.length; at += 2) {
      pen.beginPath();
      pen.arc(left + (this.#points[at] / 65535) * wide, top + (this.#points[at + 1] / 65535) * high, radius, 0, 7);
      pen.fill();
    }
  }
}
