// The page's words. A language is a table from keys to words, `text.LANGUAGE.json`. What the program
// says comes with its English line, its key and its values: see `avatar/core/messages.py`.
import { get } from "/static/api.js";

const LANGUAGES = ["en", "zh"];
const tables = Object.fromEntries(await Promise.all(
  LANGUAGES.map(async (language) => [language, await get(`/static/text.${language}.json`)]),
));
const fromBrowser = () => (navigator.languages ?? [navigator.language]).some((l) => l.startsWith("zh")) &&
  !(navigator.languages?.[0] ?? "").startsWith("en") ? "zh" : "en";

let language = localStorage.getItem("language") ?? fromBrowser();
if (!LANGUAGES.includes(language)) language = "en";

export const current = () => language;

// `t("fps", {n: 30})`: the words, with {n} filled in.
export const t = (key, values = {}) =>
  (tables[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => said(values[name]));

export const has = (key) => key in tables[language];

// Words of the program, or of this page as `{key, values}`; plain text is shown as it is.
export const said = (message) =>
  typeof message?.key !== "string" ? String(message ?? "")
    : has(message.key) ? t(message.key, message.values) : message.line;

// Fill in everything that names its words, and remember the choice.
export const setLanguage = (next) => {
  language = LANGUAGES.includes(next) ? next : "en";
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
