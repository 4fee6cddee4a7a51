// The control page: what the program says is drawn, what the user does is asked of it.
import { Adding } from "/static/adding.js";
import { Live, Trouble, act } from "/static/api.js";
import { Chart } from "/static/chart.js";
import { Calibration } from "/static/calibration.js";
import { Cutout } from "/static/cutout.js";
import { Driver } from "/static/driver.js";
import { Expressions } from "/static/expressions.js";
import { Gallery } from "/static/gallery.js";
import { apply, current, said, setLanguage, t } from "/static/i18n.js";
import { Keys } from "/static/keys.js";
import { Notice } from "/static/notice.js";
import { Options } from "/static/options.js";
import { Outputs } from "/static/outputs.js";
import { Recordings } from "/static/recordings.js";
import { Reset } from "/static/reset.js";
import { Rooms } from "/static/rooms.js";
import { Sending, Watching } from "/static/rtc.js";
import { Banner } from "/static/trouble.js";

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
// What comes from the camera: see `Studio.figures`.
let cameraFeed = null;

// What the program says while it does what a key stands for, or so soon after, is its answer.
const ANSWER_WITHIN_MS = 1500;
let pressed = 0;
let answered = 0;

const banner = new Banner($("trouble"));
const notice = new Notice($("notice"));

const showTrouble = (error) => {
  if ([error].flat().some(({ cause }) => cause === "token")) {
    tokenLost = true;
    draw();
  }
  banner.show(error);
  banner.hideIf($("cover").textContent);
};

// Ask the program; while it works the button cannot be pressed again.
const ask = async (action, values, button) => {
  banner.hide();
  pressed += action === "key";
  button?.setAttribute("aria-busy", "true");
  try {
    await act(action, values);
    return true;
  } catch (error) {
    showTrouble(error);
    return false;
  } finally {
    button?.removeAttribute("aria-busy");
    if (action === "key") {
      pressed -= 1;
      answered = performance.now() + ANSWER_WITHIN_MS;
    }
  }
};

const isRunning = () => state?.phase === "running";

// `slip`: by a letter, which may have been meant for another window.
const toggle = ({ slip = false } = {}) => {
  if (state?.phase === "stopped") notice.during({ key: "phase.starting" }, ask("start", {}, $("start")));
  if (state?.phase !== "running" && state?.phase !== "starting") return;
  // Others may be watching: it ends what cannot be taken up again.
  const ends = state.outputs.some((one) => ["file", "stream"].includes(one.id) && ["on", "lost"].includes(one.state));
  if (!(ends || slip) || confirm(t(ends ? "stopSure" : "stopSlip"))) ask("stop", {}, $("start"));
};

const parts = {
  chart: new Chart($("chart"), $("chart-words"), $("stages")),
  calibration: new Calibration(ask),
  driver: new Driver($("points"), $("driver-picture"), $("driver-caption")),
  expressions: new Expressions(ask),
  gallery: new Gallery($("gallery"), ask, notice),
  options: new Options($("options"), ask, notice),
  outputs: new Outputs($("outputs"), ask),
  recordings: new Recordings($("recordings"), ask),
  reset: new Reset($("reset"), ask),
  rooms: new Rooms(showTrouble, () => banner.hide()),
};
parts.adding = new Adding({
  taken: (name) => parts.gallery.take(name), edit: (name) => parts.gallery.edit(name), trouble: showTrouble,
});
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
    if (cutout.hasPicture && cutout.problem) return t(cutout.problem);
    if (cutout.hasPicture) return cameraFeed === "closed" ? t("coverCameraClosed") : "";
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
  // The avatar goes on moving a little beneath it.
  $("cover").classList.toggle("aside", now === "running" && cutout.hasPicture);
  // What stands in place of the picture need not be said twice.
  banner.hideIf(cover);
  const button = $("start");
  const stops = now === "running" || now === "starting";
  button.textContent = t(stops ? "stop" : "start");
  button.classList.toggle("stops", stops);
  button.disabled = now === "away" || now === "stopping";
  $("reference").disabled = now !== "running";
  if (!state) return;
  drawCamera();
  parts.driver.draw(now === "running", cameraFeed);
  parts.expressions.draw(state, now === "running");
  parts.gallery.draw(state);
  parts.options.draw(state.options, now === "running");
  parts.outputs.draw(state.outputs, state.sound);
  parts.recordings.draw(state);
  parts.reset.draw(state);
  parts.calibration.draw(state, now === "running");
  parts.chart.draw();
  parts.rooms.draw(state);
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

const hearFigures = (figures) => {
  parts.chart.add(figures);
  if (figures.camera === cameraFeed) return;
  cameraFeed = figures.camera;
  draw();
};

const hear = (message) => {
  if (message instanceof ArrayBuffer) return parts.driver.hear(message);
  if (message.type === "figures") return hearFigures(message);
  if (message.type === "said") {
    if (pressed || performance.now() < answered) notice.say(message.line);
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
    banner.hide();
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
  banner.forget();
  notice.forget();
  draw();
});
$("theme-button").addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  parts.chart.draw();
  parts.driver.forget();
});
$("start").addEventListener("click", () => toggle());
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
