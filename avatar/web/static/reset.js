// One button that forgets all that was chosen on the page.
import { t } from "/static/i18n.js";

export class Reset {
  constructor(button, ask) {
    this.button = button;
    button.addEventListener("click", () => {
      if (confirm(t("resetSure"))) ask("reset", {}, button);
    });
  }

  draw({ chosen, phase }) {
    this.button.disabled = !chosen || phase !== "stopped";
    this.button.title = chosen && phase !== "stopped" ? t("optionFixed") : "";
  }
}
