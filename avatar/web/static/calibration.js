// Calibration on the page: its prompts, its progress, what it found.
import { said, t } from "/static/i18n.js";

const $ = (id) => document.getElementById(id);

export class Calibration {
  constructor(ask) {
    this.ask = ask;
    const begin = (unattended) => (event) =>
      ask("calibrate", {
        on: true, name: $("profile-name").value.trim(), unattended, replace: $("profile-replace").checked,
      }, event.currentTarget);
    $("calibrate-guided").addEventListener("click", begin(false));
    $("calibrate-unattended").addEventListener("click", begin(true));
    $("calibrate-keep").addEventListener("click", ({ currentTarget }) => ask("calibrate", { on: false, keep: true }, currentTarget));
    $("calibrate-cancel").addEventListener("click", ({ currentTarget }) => ask("calibrate", { on: false }, currentTarget));
  }

  draw({ calibration: { active, unattended, shown, result }, options }, running) {
    $("calibrate-idle").hidden = active;
    $("calibrate-active").hidden = !active;
    for (const id of ["calibrate-guided", "calibrate-unattended"]) $(id).disabled = !running;
    $("overlay").hidden = !(active && shown && !unattended);
    if (active && shown) {
      const prompt = said(shown.text);
      if ($("calibrate-prompt").textContent !== prompt) $("calibrate-prompt").textContent = prompt;
      $("overlay").textContent = prompt;
      $("calibrate-progress").value = shown.progress;
      $("calibrate-step").textContent = unattended ? "" : t("calibrateStep", shown);
    }
    this.#drawResult(active ? null : result, options);
  }

  #drawResult(result, options) {
    const place = $("calibrate-result");
    const drawn = JSON.stringify([result, t("cancel"), options.find(({ name }) => name === "profile")]);
    if (place.dataset.drawn === drawn) return;
    place.dataset.drawn = drawn;
    place.replaceChildren();
    place.classList.toggle("bad", Boolean(result?.error));
    if (!result) return;
    if (result.error) return place.append(said(result.error));
    const list = (names) => names.map((name) => t(`step.${name.replaceAll(" ", "_")}`)).join(t("listComma"));
    const { frames, name, seen, partly, missing } = result;
    place.append(t("calibrateDone", { frames, name, seen: list(seen) || t("restOnly") }));
    const left = [...partly, ...missing];
    if (left.length) place.append(" ", t("calibrateMissing", { missing: list(left) }));
    if (options.find((option) => option.name === "profile")?.value === name) return;
    const use = document.createElement("button");
    use.type = "button";
    use.textContent = t("useProfile");
    use.addEventListener("click", () => this.ask("options", { profile: name }, use));
    place.append(" ", use);
  }
}
