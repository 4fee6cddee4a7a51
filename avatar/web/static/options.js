// The options, drawn from the program's own description of them.
import { act } from "/static/api.js";
import { current, has, t } from "/static/i18n.js";

// Names that the user gave, and a picture named when the program started, are shown as they are.
const choiceWords = ({ name, named, names }, choice) => {
  if (names?.[choice]) return names[choice];
  if (named && choice !== null && !has(`choice.${name}.${choice}`)) return String(choice);
  // A choice of one option alone, such as an engine's, has words of its own.
  if (has(`choice.${name}.${choice}`)) return t(`choice.${name}.${choice}`);
  return has(`choice.${choice}`) ? t(`choice.${choice}`) : String(choice);
};

export class Options {
  #drawn = "";
  #looked = -3000;
  #fields = new Map();

  constructor(root, ask, notice) {
    this.root = root;
    this.ask = ask;
    this.notice = notice;
  }

  forget() {
    this.#drawn = "";
  }

  draw(options, running) {
    const shape = JSON.stringify([options.map(({ value, used, ...rest }) => rest), current()]);
    if (shape !== this.#drawn) {
      this.#drawn = shape;
      const open = new Set([...this.root.querySelectorAll("details[open]")].map(({ id }) => id));
      this.#fields.clear();
      this.root.replaceChildren(...[...new Set(options.map(({ group }) => group))].map((group) => this.#group(group, options, open)));
    }
    const engine = options.find(({ name }) => name === "engine");
    const engineWords = engine && choiceWords(engine, engine.value);
    for (const option of options) this.#fields.get(option.name)?.(option, running, engineWords);
  }

  #group(group, options, open) {
    const details = document.createElement("details");
    details.id = `options-${group}`;
    details.open = open.size ? open.has(details.id) : group === "movement";
    const summary = document.createElement("summary");
    summary.textContent = t(`group.${group}`);
    const fields = options.filter((option) => option.group === group).map((option) => this.#field(option));
    details.append(summary, ...fields);
    return details;
  }

  #send(name, value) {
    const what = t(`option.${name}`);
    this.notice.during({ key: "preparing", values: { what } }, this.ask("options", { [name]: value }));
  }

  #field(option) {
    const label = document.createElement("label");
    label.className = option.kind === "flag" ? "check" : "field";
    const words = document.createElement("span");
    words.textContent = t(`option.${option.name}`);
    if (option.kind === "number") label.classList.toggle("long", words.textContent.length > 16);
    const make = { choice: this.#choice, number: this.#number, flag: this.#flag, text: this.#text }[option.kind];
    const [control, set] = make.call(this, option);
    control.dataset.option = option.name;
    this.#fields.set(option.name, ({ value, used, change }, running, engine) => {
      const reason = used === false ? t("optionUnused", { engine })
        : running && change === "restart" ? t("optionFixed") : "";
      control.disabled = Boolean(reason);
      label.title = reason;
      // What the user is just changing is not taken out of their hands.
      if (!control.matches(":active")) set(value);
    });
    if (option.kind === "flag") label.append(control, words);
    else label.append(words, control, ...(control.output ? [control.output] : []));
    return label;
  }

  #choice(option) {
    const menu = document.createElement("select");
    menu.append(...option.choices.map((choice) => new Option(choiceWords(option, choice), JSON.stringify(choice))));
    menu.addEventListener("change", () => this.#send(option.name, JSON.parse(menu.value)));
    // Those that are plugged in now: asked for when somebody is about to choose.
    if (option.name === "mic") for (const moment of ["pointerenter", "focus"]) menu.addEventListener(moment, this.#lookForMicrophones);
    return [menu, (value) => { menu.value = JSON.stringify(value); }];
  }

  #lookForMicrophones = () => {
    if (performance.now() - this.#looked < 3000) return;
    this.#looked = performance.now();
    act("look", { what: "microphones" }).catch(() => {});
  };

  #number(option) {
    const slider = document.createElement("input");
    slider.type = "range";
    // Beyond the last step lies "no limit".
    slider.min = option.min;
    slider.max = option.optional ? option.max + option.step : option.max;
    slider.step = option.step;
    const output = document.createElement("output");
    slider.output = output;
    const valueOf = () => (option.optional && slider.valueAsNumber > option.max ? null : slider.valueAsNumber);
    const show = () => {
      const value = valueOf();
      const words = value === null ? t("noLimit") : option.unit === "degrees" ? t("degrees", { n: value })
        : `${Math.round(value * 100)} %`;
      output.textContent = words;
      slider.setAttribute("aria-valuetext", words);
    };
    let timer;
    slider.addEventListener("input", () => {
      show();
      clearTimeout(timer);
      timer = setTimeout(() => this.#send(option.name, valueOf()), 120);
    });
    return [slider, (value) => {
      slider.value = value ?? option.max + option.step;
      show();
    }];
  }

  #flag(option) {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.addEventListener("change", () => this.#send(option.name, box.checked));
    return [box, (value) => { box.checked = value; }];
  }

  #text(option) {
    const field = document.createElement("input");
    field.type = "text";
    field.maxLength = option.length;
    field.addEventListener("change", () => this.#send(option.name, field.value));
    return [field, (value) => { if (document.activeElement !== field) field.value = value; }];
  }
}
