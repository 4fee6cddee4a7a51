// The finished recordings: to open, to download, to be shown in their folder.
import { current, t } from "/static/i18n.js";

export class Recordings {
  #drawn = "";

  constructor(place, ask) {
    this.place = place;
    this.ask = ask;
  }

  draw({ recordings, shows_folders: showsFolders }) {
    const drawn = JSON.stringify([recordings, showsFolders, current()]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.place.hidden = !recordings.length;
    this.place.querySelector("ul").replaceChildren(...recordings.map((one) => this.#line(one, showsFolders)));
  }

  #line({ name, bytes }, showsFolders) {
    const line = document.createElement("li");
    const words = document.createElement("span");
    const megabytes = bytes < 1e6 ? (bytes / 1e6).toFixed(1) : Math.round(bytes / 1e6);
    words.textContent = `${name.replace(/\.\w+$/, "")} · ${t("megabytes", { n: megabytes })}`;
    const address = `/api/recordings/${encodeURIComponent(name)}`;
    const open = this.#link(address, t("recordingOpen"), t("recordingOpenOne", { name }));
    open.target = "_blank";
    open.rel = "noopener";
    const download = this.#link(`${address}?download`, t("recordingDownload"), t("recordingDownloadOne", { name }));
    download.download = name;
    line.append(words, open, download, ...(showsFolders ? [this.#folder(name)] : []));
    return line;
  }

  #link(address, words, label) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = words;
    link.setAttribute("aria-label", label);
    return link;
  }

  #folder(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = t("recordingFolder");
    button.setAttribute("aria-label", t("recordingFolderOne", { name }));
    button.addEventListener("click", () => this.ask("show", { recording: name }, button));
    return button;
  }
}
