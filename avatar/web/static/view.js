// The avatar alone, for OBS and other programs that show web pages: no words, no controls.
// `?background=green` lays a colour behind an avatar that is cut out.
import { get } from "/static/api.js";
import { Cutout } from "/static/cutout.js";
import { Watching } from "/static/rtc.js";

const $ = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.search).get("background");
if (wanted && CSS.supports("color", wanted)) document.body.style.background = wanted;

let size;
const ask = () => get("/api/view").then((view) => { size = view.size; }).catch(() => {});
await ask();
const cutout = new Cutout($("avatar"), $("cutout"), () => size);
new Watching($("avatar"), ask);
// An avatar that was stopped goes, rather than stand frozen in the scene.
setInterval(() => {
  document.body.classList.toggle("nothing", performance.now() - cutout.seen > 2000);
}, 500);
