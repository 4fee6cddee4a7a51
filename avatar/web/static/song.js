// A song as it is drawn: how loud it is, its beats and bars, and the part that the clip has.
export class SongChart {
  #song = null;

  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(song) {
    this.#song = song;
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    if (!this.#song) return;
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name);
    const { peaks, beats, bars, heard_s: heard, clip_s: clip } = this.#song;
    const x = (at) => (at / heard) * width;
    pen.fillStyle = colour("--soft");
    pen.fillRect(0, 0, x(clip), height);
    const middle = height * 0.56;
    const step = width / peaks.length;
    peaks.forEach((peak, at) => {
      pen.fillStyle = colour(at * step < x(clip) ? "--accent" : "--quiet");
      const tall = Math.max(1, peak * height * 0.4);
      pen.fillRect(at * step, middle - tall, Math.max(1, step * 0.7), 2 * tall);
    });
    const isBar = new Set(bars);
    for (const beat of beats) {
      const tall = isBar.has(beat) ? 12 : 6;
      pen.fillStyle = colour("--ink");
      pen.fillRect(x(beat) - 0.75, 0, 1.5, tall);
    }
    pen.fillStyle = colour("--ink");
    pen.fillRect(x(clip) - 1, 0, 2, height);
  }
}
