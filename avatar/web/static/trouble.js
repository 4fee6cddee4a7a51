// What went wrong, in a banner that stays in sight until the next thing is asked for, or it is closed.
import { said, t } from "/static/i18n.js";

export const wordsOf = ({ cause, message, said: line }) =>
  cause === "unreachable" ? t("coverAway") : cause === "token" ? t("coverToken") : said(line ?? message);

export class Banner {
  #errors = [];

  constructor(box) {
    this.box = box;
    this.words = box.querySelector("p");
    box.querySelector("button").addEventListener("click", () => this.hide());
  }

  // One error, or one for each file of several.
  show(errors) {
    this.#errors = [errors].flat();
    this.box.hidden = false;
    this.forget();
  }

  hide() {
    this.box.hidden = true;
  }

  // What stands in place of the picture need not be said twice.
  hideIf(words) {
    if (words && this.words.textContent === words) this.hide();
  }

  // Say it in the language that was chosen since.
  forget() {
    if (!this.box.hidden) this.words.textContent = this.#errors.map(wordsOf).join("\n");
  }
}
