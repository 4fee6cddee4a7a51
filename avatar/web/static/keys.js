// Keyboard shortcuts, those of the preview window; `?` lists them.
import { t } from "/static/i18n.js";

const TABLE = [
  ["1 – 9", "keyAvatar"], ["N  P", "keyNext"], ["+  −", "keyZoom"], ["← → ↑ ↓", "keyMove"],
  ["X", "keyReference"], ["R", "keySearch"], ["M", "keyMirror"], ["O", "keyPerson"], ["L", "keyLabel"],
  ["S", "keyStart"], ["?", "keyHelp"],
];
const SENT = { x: "x", r: "r", m: "m", o: "o", l: "l", "+": "+", "=": "+", "-": "-", "_": "-", "−": "-" };
const MOVES = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
// Where keys mean something else already.
const TYPED = "input:not([type=checkbox], [type=range], [type=radio]), select, textarea, [contenteditable]";

export class Keys {
  constructor(dialog, table, { toggle, ask, gallery, running }) {
    this.dialog = dialog;
    this.table = table.tBodies[0];
    const open = () => {
      this.#fill();
      dialog.showModal();
    };
    document.getElementById("help-button").addEventListener("click", open);
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (dialog.open || event.target.closest?.(TYPED)) return;
      const key = event.key.toLowerCase();
      if (event.key === "?") open();
      else if (key === "s") toggle({ slip: true });
      else if (/^[1-9]$/.test(key)) gallery.choose(Number(key) - 1);
      else if (key === "n") gallery.step(1);
      else if (key === "p") gallery.step(-1);
      else if (key in SENT) ask("key", { key: SENT[key] });
      // Arrows scroll the page, unless the preview has the focus.
      else if (event.key in MOVES && running() && event.target.closest?.("#stage")) ask("key", { key: MOVES[event.key] });
      else return;
      event.preventDefault();
    });
  }

  #fill() {
    this.table.replaceChildren(
      ...TABLE.map(([keys, words]) => {
        const row = document.createElement("tr");
        const head = document.createElement("th");
        head.scope = "row";
        head.append(...keys.split(/\s\s?(?=\S)/).flatMap((key, at) => {
          if (key === "–") return [" – "];
          const cap = document.createElement("kbd");
          cap.textContent = key;
          return at ? [" ", cap] : [cap];
        }));
        const cell = document.createElement("td");
        cell.textContent = t(words);
        row.append(head, cell);
        return row;
      }),
    );
  }
}
