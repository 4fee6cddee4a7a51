// The latency of the last minute, drawn by hand: the median as a line, up to the 95 % as a band.
import { t } from "/static/i18n.js";

const KEPT = 120;
const STAGES = [
  ["capture", "stageCapture"], ["track", "stageTrack"], ["retarget", "stageRetarget"],
  ["generate", "stageGenerate"], ["label", "stageLabel"], ["sink page", "stageSink"],
];

const round = (value) => (value === null || value === undefined ? "–" : value < 10 ? value.toFixed(1) : Math.round(value));

export class Chart {
  #kept = [];

  constructor(canvas, words, table) {
    this.canvas = canvas;
    this.words = words;
    this.table = table.tBodies[0];
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  add(figures) {
    this.#kept.push(figures);
    if (this.#kept.length > KEPT) this.#kept.shift();
    this.draw();
  }

  draw() {
    const latest = this.#kept.at(-1);
    this.canvas.setAttribute("aria-label", t("chartLabel"));
    const running = latest?.running && latest.p50 !== null;
    this.words.textContent = running
      ? t("chartWords", {
          fps: round(latest.fps), p50: round(latest.p50), p95: round(latest.p95),
          dropped: (100 * latest.dropped).toFixed(1),
        })
      : t("chartNothing");
    this.#rows(running ? latest.stages : {});
    this.#paint();
  }

  #rows(stages) {
    const longest = Math.max(1, ...Object.values(stages).map((value) => value ?? 0));
    this.table.replaceChildren(
      ...STAGES.filter(([name]) => name in stages).map(([name, words]) => {
        const row = document.createElement("tr");
        const head = document.createElement("th");
        head.scope = "row";
        head.textContent = t(words);
        const bar = document.createElement("meter");
        bar.max = longest;
        bar.value = stages[name] ?? 0;
        bar.setAttribute("aria-hidden", "true");
        const cell = document.createElement("td");
        cell.textContent = `${round(stages[name])} ms`;
        const drawn = document.createElement("td");
        drawn.append(bar);
        row.append(head, drawn, cell);
        return row;
      }),
    );
  }

  #paint() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const ink = style.color;
    const accent = style.getPropertyValue("--accent");
    const values = this.#kept.flatMap(({ running, p95 }) => (running && p95 ? [p95] : []));
    const top = [50, 100, 200, 400, 1000].find((limit) => Math.max(0, ...values) < limit * 0.95) ?? 2000;
    const left = 58, bottom = 6;
    const x = (at) => left + ((at + KEPT - this.#kept.length) / (KEPT - 1)) * (width - left - 4);
    const y = (ms) => height - bottom - (Math.min(ms, top) / top) * (height - bottom - 8);
    pen.font = `11px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (let part = 0; part <= 2; part++) {
      const ms = (top * part) / 2;
      pen.globalAlpha = 0.75;
      pen.fillStyle = ink;
      pen.fillText(part === 2 ? `${ms} ms` : String(ms), left - 6, y(ms) + (part === 2 ? 3 : part === 0 ? -3 : 0));
      pen.globalAlpha = 0.18;
      pen.fillRect(left, Math.round(y(ms)), width - left, 1);
    }
    pen.globalAlpha = 1;
    for (const stretch of this.#stretches()) {
      pen.fillStyle = accent;
      pen.globalAlpha = 0.22;
      pen.beginPath();
      for (const at of stretch) pen.lineTo(x(at), y(this.#kept[at].p95));
      for (const at of stretch.toReversed()) pen.lineTo(x(at), y(this.#kept[at].p50));
      pen.fill();
      pen.globalAlpha = 1;
      pen.strokeStyle = accent;
      pen.lineWidth = 2;
      pen.lineJoin = "round";
      pen.beginPath();
      for (const at of stretch) pen.lineTo(x(at), y(this.#kept[at].p50));
      pen.stroke();
    }
  }

  // Runs of moments with numbers: while it is stopped there is no line.
  #stretches() {
    const stretches = [[]];
    this.#kept.forEach(({ running, p50 }, at) => {
      if (running && p50 !== null) stretches.at(-1).push(at);
      else if (stretches.at(-1).length) stretches.push([]);
    });
    return stretches.filter(({ length }) => length);
  }
}
