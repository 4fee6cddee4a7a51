// The page's words. A language is a table; a word that a table lacks is shown in English.
import en from "/static/text.en.js";
import zh from "/static/text.zh.js";

const tables = { en, zh };
const fromBrowser = () => (navigator.languages ?? [navigator.language]).some((l) => l.startsWith("zh")) &&
  !(navigator.languages?.[0] ?? "").startsWith("en") ? "zh" : "en";

let language = localStorage.getItem("language") ?? fromBrowser();
if (!(language in tables)) language = "en";

export const current = () => language;

// `t("fps", {n: 30})`: the words, with {n} filled in.
export const t = (key, values = {}) =>
  (tables[language][key] ?? en[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// A line that the program says in English: translated where the table knows it whole.
export const said = (line) => tables[language].said?.[line] ?? line;

export const has = (key) => key in en;

// Fill in everything that names its words, and remember the choice.
export const setLanguage = (next) => {
  language = next in tables ? next : "en";
  localStorage.setItem("language", language);
  apply();
};

export const apply = (root = document) => {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of root.querySelectorAll("[data-title]")) element.title = t(element.dataset.title);
  for (const element of root.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", t(element.dataset.label));
};
