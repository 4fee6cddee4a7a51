// The avatar alone, for OBS and other programs that show web pages: no controls, and no words but why
// there is nothing to see.
// `?background=green` lays a colour behind an avatar that is cut out.
import { get } from "/static/api.js";
import { Cutout } from "/static/cutout.js";
import { said, t } from "/static/i18n.js";
import { Watching } from "/static/rtc.js";

const $ = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.search).get("background");
if (wanted && CSS.supports("color", wanted)) document.body.style.background = wanted;

let size;
const ask = () => get("/api/view").then((view) => { size = view.size; }).catch(() => {});
await ask();
const cutout = new Cutout($("avatar"), $("cutout"), () => size);
const why = $("why");
let trouble = "";
new Watching($("avatar"), (error) => {
  // A program that has ended is no news to a scene; what it answered is.
  trouble = error.cause === "unreachable" ? "" : error.cause === "token" ? t("coverToken") : said(error.said);
  ask();
});
// An avatar that was stopped goes, rather than stand frozen in the scene.
setInterval(() => {
  const nothing = performance.now() - cutout.seen > 2000;
  document.body.classList.toggle("nothing", nothing);
  if (!nothing) trouble = "";
  const words = trouble || (cutout.problem && t(cutout.problem));
  if (why.textContent !== words) why.textContent = words;
}, 500);
