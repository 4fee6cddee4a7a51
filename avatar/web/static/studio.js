// The control page: what the program says is drawn, what the user does is asked of it.
import { Live, Trouble, act } from "/static/api.js";
import { Chart } from "/static/chart.js";
import { Calibration } from "/static/calibration.js";
import { Cutout } from "/static/cutout.js";
import { Driver } from "/static/driver.js";
import { Gallery } from "/static/gallery.js";
import { apply, current, said, setLanguage, t } from "/static/i18n.js";
import { Keys } from "/static/keys.js";
import { Options } from "/static/options.js";
import { Outputs } from "/static/outputs.js";
import { Sending, Watching } from "/static/rtc.js";

const $ = (id) => document.getElementById(id);

let state = null;
let reachable = false;
// When pictures were first to be expected, and how long that may take before it is explained.
let since = 0;
const PATIENCE_MS = 10_000;
let tokenLost = false;
let sending = null;
// What the page says of its own camera: a key of the table, kept over a change of language.
let cameraWords = "";

let trouble = null;
const showTrouble = (error) => {
  trouble = error;
  // One for each file of several, which stay until the next thing is asked for.
  const all = [error].flat();
  if (all.some(({ cause }) => cause === "token")) {
    tokenLost = true;
    draw();
  }
  $("trouble").textContent = all.map((one) => one.cause === "unreachable" ? t("coverAway")
    : one.cause === "token" ? t("coverToken") : said(one.said ?? one.message)).join("\n");
  $("trouble").hidden = $("trouble").textContent === $("cover").textContent;
};

const hideTrouble = () => {
  $("trouble").hidden = true;
};

// Ask the program; while it works the button cannot be pressed again.
const ask = async (action, values, button) => {
  hideTrouble();
  button?.setAttribute("aria-busy", "true");
  try {
    await act(action, values);
    return true;
  } catch (error) {
    showTrouble(error);
    return false;
  } finally {
    button?.removeAttribute("aria-busy");
  }
};

const isRunning = () => state?.phase === "running";

const toggle = () => {
  if (state?.phase === "stopped") ask("start", {}, $("start"));
  if (state?.phase !== "running" && state?.phase !== "starting") return;
  // Others may be watching: it ends what cannot be taken up again.
  const ends = state.outputs.some((one) => ["file", "stream"].includes(one.id) && ["on", "lost"].includes(one.state));
  if (!ends || confirm(t("stopSure"))) ask("stop", {}, $("start"));
};

const parts = {
  chart: new Chart($("chart"), $("chart-words"), $("stages")),
  calibration: new Calibration(ask),
  driver: new Driver($("points"), $("driver-picture"), $("driver-caption")),
  gallery: new Gallery($("gallery"), $("add-status"), ask, showTrouble),
  options: new Options($("options"), ask),
  outputs: new Outputs($("outputs"), ask),
};
const cutout = new Cutout($("avatar"), $("cutout"), () => state?.size);
const watching = new Watching($("avatar"), (error) => {
  if (error.cause === "token") showTrouble(error);
  else draw();
});
new Keys($("help"), $("key-table"), { toggle, ask, gallery: parts.gallery, running: isRunning });

// --- this page as the camera

// Whether this page, not another, is meant: kept over a reload, not known to a second tab.
const isMeant = () => sessionStorage.getItem("camera") === "page";
const mean = (meant) => sessionStorage.setItem("camera", meant ? "page" : "");

// The camera is open while the avatar runs, and no longer.
const followCamera = () => {
  const wanted = state.camera === "page" && ["starting", "running"].includes(state.phase);
  if (wanted && isMeant() && !sending) beCamera();
  if (!wanted && sending) sending.end();
  if (state.camera !== "page") cameraWords = "";
  else if (!sending && !["cameraRefused", "cameraInsecure", "cameraNoWay"].includes(cameraWords))
    cameraWords = isMeant() ? "cameraWhenStarted" : "cameraElsewhere";
};

const beCamera = async () => {
  if (!navigator.mediaDevices?.getUserMedia) {
    cameraWords = "cameraInsecure";
    mean(false);
    return;
  }
  cameraWords = "cameraOpening";
  const own = new Sending((why) => {
    if (why) sendsNothing(why);
    // Taken over by another page, or pulled out: it is not opened again by itself.
    if (sending === own && state.camera === "page" && state.phase === "running" && reachable) mean(false);
    sending = null;
    draw();
  });
  sending = own;
  try {
    await own.begin({ width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } });
    cameraWords = "cameraSending";
  } catch (error) {
    mean(false);
    own.end();
    sending = null;
    if (error instanceof Trouble) sendsNothing(error);
    else cameraWords = "cameraRefused";
  }
  draw();
};

// The browser gave a camera, but its pictures do not reach the program.
const sendsNothing = (why) => {
  cameraWords = "cameraNoWay";
  showTrouble(why);
};

const takeCamera = () => {
  cameraWords = "";
  mean(true);
  draw();
};

let looked = 0;
const lookAgain = () => {
  if (!reachable || performance.now() - looked < 3000) return;
  looked = performance.now();
  act("look").catch(() => {});
};

const drawCamera = () => {
  const menu = $("camera");
  const entries = state.cameras.map(({ id, label, problem }) => {
    const words = id === "page" ? t("cameraPage") : id === "demo" ? t("cameraDemo") : label || id;
    return { id, words: problem ? `${words}: ${said(problem)}` : words, disabled: Boolean(problem) };
  });
  const text = JSON.stringify([entries, current()]);
  if (menu.dataset.drawn !== text) {
    menu.dataset.drawn = text;
    menu.replaceChildren(...entries.map(({ id, words, disabled }) => {
      const option = new Option(words, id);
      option.disabled = disabled;
      return option;
    }));
  }
  if (document.activeElement !== menu || menu.value === "") menu.value = state.camera;
  const hint = $("camera-hint");
  followCamera();
  hint.hidden = !cameraWords;
  hint.replaceChildren(cameraWords ? t(cameraWords) : "");
  if (["cameraElsewhere", "cameraRefused", "cameraNoWay"].includes(cameraWords)) {
    const take = document.createElement("button");
    take.type = "button";
    take.textContent = t("cameraTake");
    take.addEventListener("click", takeCamera);
    hint.append(" ", take);
  }
};

// --- drawing

const phase = () => (tokenLost || !reachable || !state ? "away" : state.phase);

const coverWords = () => {
  if (tokenLost) return t("coverToken");
  if (!reachable) return state ? t("coverAway") : "";
  if (state?.phase === "running") {
    if (cutout.hasPicture) return cutout.problem && t(cutout.problem);
    const late = performance.now() - since > PATIENCE_MS;
    return late ? t("coverNoVideo", { why: watching.reason }) : t("coverWaiting");
  }
  if (state?.phase === "stopped" && state.problem) return said(state.problem);
  return t(state?.phase === "starting" ? "coverStarting" : "coverStopped");
};

const draw = () => {
  const now = phase();
  document.body.dataset.phase = now;
  $("phase").textContent = t(`phase.${now}`);
  const cover = coverWords();
  if ($("cover").textContent !== cover) $("cover").textContent = cover;
  $("cover").hidden = !cover;
  // What stands in place of the picture need not be said twice.
  if (cover && $("trouble").textContent === cover) hideTrouble();
  const button = $("start");
  const stops = now === "running" || now === "starting";
  button.textContent = t(stops ? "stop" : "start");
  button.classList.toggle("stops", stops);
  button.disabled = now === "away" || now === "stopping";
  $("reference").disabled = now !== "running";
  if (!state) return;
  drawCamera();
  parts.driver.draw(now === "running");
  parts.gallery.draw(state);
  parts.options.draw(state.options, now === "running");
  parts.outputs.draw(state.outputs);
  parts.calibration.draw(state, now === "running");
  parts.chart.draw();
};

const drawLines = (lines) => {
  $("said").replaceChildren(...lines.map(item));
  showNewest();
};

const showNewest = () => {
  $("said").parentElement.scrollTop = $("said").parentElement.scrollHeight;
};

const item = (line) => {
  const entry = document.createElement("li");
  entry.line = line;
  entry.textContent = said(line);
  return entry;
};

const hear = (message) => {
  if (message instanceof ArrayBuffer) return parts.driver.hear(message);
  if (message.type === "figures") return parts.chart.add(message);
  if (message.type === "said") {
    $("said").append(item(message.line));
    while ($("said").children.length > 40) $("said").firstChild.remove();
    return showNewest();
  }
  const first = state === null;
  const before = state?.phase;
  state = message;
  if (first) drawLines(state.said);
  if (before !== "running" && state.phase === "running") {
    cutout.forget();
    since = performance.now();
    setTimeout(draw, PATIENCE_MS + 100);
  }
  draw();
};

const live = new Live(hear, async (connected) => {
  reachable = connected;
  if (connected) {
    tokenLost = false;
    watching.again();
    hideTrouble();
  } else {
    // A closed socket does not say why: ask, since a wrong token has other words.
    await fetch("/api/view").then(({ status }) => { tokenLost = status === 401; }).catch(() => {});
  }
  draw();
});

// --- what the user does

apply();
$("language").value = current();
$("language").addEventListener("change", ({ target }) => {
  setLanguage(target.value);
  for (const part of Object.values(parts)) part.forget?.();
  for (const entry of $("said").children) entry.textContent = said(entry.line);
  if (!$("trouble").hidden) showTrouble(trouble);
  draw();
});
$("theme-button").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  parts.chart.draw();
  parts.driver.forget();
});
$("start").addEventListener("click", toggle);
$("reference").addEventListener("click", () => ask("key", { key: "x" }));
// Cameras that were plugged in since: looked for before the menu is opened.
for (const moment of ["pointerenter", "focus"]) $("camera").addEventListener(moment, () => lookAgain());
$("camera").addEventListener("change", async ({ target }) => {
  cameraWords = "";
  mean(target.value === "page");
  if (!(await ask("camera", { camera: target.value }))) target.value = state.camera;
});
$("show-driver").addEventListener("change", ({ target }) => {
  live.tell({ driver: target.checked });
  parts.driver.showPicture(target.checked);
});
$("avatar").addEventListener("resize", draw);
cutout.shown = draw;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => parts.chart.draw());
draw();
