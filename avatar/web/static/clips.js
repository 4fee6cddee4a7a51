// The room Clips: photographs, what they do, a song; then a film that is made while a call goes on.
import { Trouble, get, post, upload } from "/static/api.js";
import { apply, current, has, said, t } from "/static/i18n.js";
import { SongChart } from "/static/song.js";
import { PhotoTiles, make } from "/static/tiles.js";

const MOST_PHOTOS = 9;
const MOST_SONG_BYTES = 100_000_000;
const MOST_S = 600;
const PHASES = ["together", "canon", "alternate"];
const KINDS = ["mp4", "gif", "webp"];
const LOOP_S = 30;
const LOOK_MS = 500;
const LISTEN_AFTER_MS = 500;

export class Clips {
  #room = null;
  #template = "hey";
  #song = null;
  #asked = 0;
  #isHere = false;
  #timer = 0;
  #sent = 0;
  #heard = 0;
  #listening = 0;
  #words = {};
  #drawn = "";
  #films = "";

  constructor(root, trouble, calm) {
    Object.assign(this, { root, trouble, calm });
    this.chart = new SongChart(this.#find("clip-beats"));
    this.tiles = new PhotoTiles(root.querySelector(".clip-photos"), {
      kind: "checkbox", name: "clip-photo", most: MOST_PHOTOS, trouble, calm,
      changed: () => this.#fit(),
    });
    this.#find("clip-moving").checked = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#listen();
    this.#menus();
  }

  #find(id) {
    return this.root.querySelector(`#${id}`);
  }

  get #number() {
    return (id) => (Number.isFinite(this.#find(id).valueAsNumber) ? this.#find(id).valueAsNumber : null);
  }

  async enter() {
    this.#isHere = true;
    try {
      await this.#look();
      if (this.#lacksPreviews) await post("/api/clips/previews");
      if (!this.#song) this.#hearSong();
    } catch (error) {
      this.trouble(error);
    }
    this.#move();
    this.#follow();
  }

  leave() {
    this.#isHere = false;
    clearTimeout(this.#timer);
    this.#move();
    for (const film of this.#find("clip-list").querySelectorAll("video")) film.pause();
  }

  draw(state) {
    this.tiles.draw(state.avatars, state.avatar);
  }

  repaint() {
    this.chart.draw();
  }

  forget() {
    apply(this.root);
    this.tiles.forget();
    this.#drawn = this.#films = "";
    this.#menus();
    for (const [id, message] of Object.entries(this.#words)) this.#find(id).textContent = said(message);
    if (this.#room) this.#show();
  }

  #say(id, message, isBad = false) {
    const place = this.#find(id);
    this.#words[id] = message;
    place.classList.toggle("bad", isBad);
    if (place.textContent !== said(message)) place.textContent = said(message);
  }

  // --- what the program has

  async #look() {
    const room = await this.#hear("/api/clips");
    if (!room) return;
    this.#noticeEnd(room.job);
    this.#room = room;
    this.#show();
  }

  // While the room is open: how far a clip is, and previews that are just being made.
  #follow() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      if (!this.#isHere) return;
      try {
        const job = await this.#hear("/api/clips/job");
        const ended = job && this.#takeJob(job);
        if (ended || this.#lacksPreviews) await this.#look();
      } catch {
        // The page says by itself that the program is away.
      }
      this.#follow();
    }, this.#isWorking(this.#room?.job) ? LOOK_MS : 4 * LOOK_MS);
  }

  get #lacksPreviews() {
    return this.#room.templates.some(({ fault, preview }) => !fault && !preview);
  }

  #isWorking(job) {
    return ["running", "stopping"].includes(job?.state);
  }

  // Answers overtake each other: null for one that was asked for before what was heard last.
  async #hear(path) {
    const at = ++this.#sent;
    const answer = await get(path);
    if (at <= this.#heard) return null;
    this.#heard = at;
    return answer;
  }

  #takeJob(job) {
    const ended = this.#noticeEnd(job);
    this.#room.job = job;
    this.#showJob();
    return ended;
  }

  // Say how a clip ended that was being made when the page heard of it last; returns whether one did.
  #noticeEnd(job) {
    const ended = this.#isWorking(this.#room?.job) && !this.#isWorking(job);
    if (ended) this.#tellEnd(job);
    return ended;
  }

  #tellEnd({ state, name, problem }) {
    if (state === "done") this.#say("clip-status", { key: "clipMade", values: { name } });
    else if (state === "cancelled") this.#say("clip-status", { key: "clipCancelled", values: {} });
    else this.#say("clip-status", problem, true);
  }

  #show() {
    const { templates, tunes, songs } = this.#room;
    const drawn = JSON.stringify([templates, tunes, songs, current()]);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#showTemplates(templates);
      const menu = this.#find("clip-song");
      const before = menu.value;
      menu.replaceChildren(
        ...tunes.map((name) => new Option(has(`tune.${name}`) ? t(`tune.${name}`) : name, name)),
        ...songs.map(({ id, name }) => new Option(name, id)),
      );
      menu.value = [...tunes, ...songs.map(({ id }) => id)].includes(before) ? before : tunes[0];
    }
    this.#showFilms();
    this.#showJob();
    this.#fit();
  }

  // --- templates

  #title({ name, title, own }) {
    return !own && has(`template.${name}`) ? t(`template.${name}`) : title ?? name;
  }

  #about({ name, about, own }) {
    return !own && has(`templateAbout.${name}`) ? t(`templateAbout.${name}`) : about ?? "";
  }

  #showTemplates(templates) {
    const focused = document.activeElement?.name === "template" ? document.activeElement.value : null;
    this.#find("clip-templates").replaceChildren(...templates.map((one) => this.#templateTile(one)));
    if (focused) this.root.querySelector(`input[name=template][value="${CSS.escape(focused)}"]`)?.focus();
    this.#choose(this.#template);
    this.#move();
  }

  #templateTile(one) {
    const box = make("input", { type: "radio", name: "template", value: one.name, disabled: Boolean(one.fault) });
    box.addEventListener("change", () => {
      this.#choose(one.name);
      this.#soon();
    });
    const film = make("video", { muted: true, loop: true, playsInline: true, preload: "none" });
    film.tabIndex = -1;
    film.setAttribute("aria-hidden", "true");
    if (one.preview) film.src = `/api/clips/preview/${encodeURIComponent(one.name)}.mp4`;
    if (one.preview) film.preload = "auto";
    const label = make("label", {}, box, film, make("span", { textContent: this.#title(one) }));
    label.title = one.fault ? said(one.fault) : this.#about(one);
    return make("div", { className: "tile template" }, label);
  }

  #choose(name) {
    this.#template = name;
    for (const box of this.root.querySelectorAll("input[name=template]")) box.checked = box.value === name;
    const one = this.#room.templates.find((template) => template.name === name);
    this.#find("clip-about").textContent = one ? this.#about(one) : "";
    this.#find("clip-making").hidden = !this.#lacksPreviews;
  }

  #move() {
    const moves = this.#isHere && this.#find("clip-moving").checked;
    for (const film of this.#find("clip-templates").querySelectorAll("video[src]")) {
      if (moves) film.play().catch(() => {});
      else film.pause();
    }
  }

  // --- the song

  get #music() {
    const own = this.#find("clip-song").value.startsWith("song:");
    return {
      music: this.#find("clip-song").value, template: this.#template,
      start: this.#number("clip-from") ?? 0, end: this.#number("clip-to"),
      ...(own ? { bpm: this.#number("clip-bpm"), offset: this.#number("clip-offset") } : {}),
    };
  }

  // Why the part cannot be; a key of the table.
  #wrongPart({ start, end, bpm, offset }) {
    if (["clip-from", "clip-to", "clip-bpm", "clip-offset"].some((id) => !this.#find(id).validity.valid)) return "clipWrongNumber";
    if (end !== null && end <= start) return "clipWrongEnd";
    if (end !== null && end - start > MOST_S) return "clipTooLong";
    if (offset !== null && offset !== undefined && bpm === null) return "clipWrongOffset";
    return "";
  }

  #soon() {
    clearTimeout(this.#listening);
    this.#listening = setTimeout(() => this.#hearSong(), LISTEN_AFTER_MS);
  }

  async #hearSong() {
    const music = this.#music;
    const wrong = this.#wrongPart(music);
    const asked = ++this.#asked;
    if (wrong) return this.#say("clip-beats-words", { key: wrong, values: {} }, true);
    this.#say("clip-beats-words", { key: "clipListening", values: {} });
    try {
      const song = await post("/api/clips/beats", music);
      if (asked !== this.#asked) return;
      this.#song = song;
      this.chart.show(song);
      this.#say("clip-beats-words", { key: "clipHeard", values: {
        bpm: Math.round(song.bpm), beats: song.beats.length, seconds: song.clip_s.toFixed(1),
      } });
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#song = null;
      this.chart.show(null);
      this.#say("clip-beats-words", error.said ?? error.message, true);
      if (error.said?.key === "error.noBeat") this.#find("clip-tempo").open = true;
    }
  }

  async #addSong(input) {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    this.calm();
    const values = { name: file.name, size: Math.ceil(file.size / 1e6) };
    try {
      if (file.size > MOST_SONG_BYTES) throw new Trouble({ key: "clipSongLarge", values });
      this.#say("clip-beats-words", { key: "clipSending", values: { name: file.name } });
      const { music } = await upload(
        file, "application/octet-stream", file.name, () => {}, "/api/clips/song",
      );
      await this.#look();
      this.#find("clip-song").value = music;
      for (const id of ["clip-to", "clip-bpm", "clip-offset"]) this.#find(id).value = "";
      this.#find("clip-from").value = 0;
      this.#fit();
      this.#hearSong();
    } catch (error) {
      this.#say("clip-beats-words", "");
      this.trouble(error);
    }
  }

  // --- the rest of what is asked for

  #menus() {
    const fill = (id, values, words) => {
      const menu = this.#find(id);
      const kept = menu.value;
      menu.replaceChildren(...values.map((value) => new Option(words(value), value)));
      if (values.includes(kept)) menu.value = kept;
    };
    fill("clip-phase", PHASES, (phase) => t(`clipPhase.${phase}`));
    fill("clip-kind", KINDS, (kind) => t(`clipKind.${kind}`));
    const count = this.tiles.chosen.length;
    const grids = Array.from({ length: count }, (_, at) => [at + 1, Math.ceil(count / (at + 1))])
      .filter(([columns, rows]) => columns * (rows - 1) < count).map((grid) => grid.join("x"));
    fill("clip-grid", ["", ...grids], (grid) => (grid ? grid.replace("x", " × ") : t("clipGridAuto")));
    for (const field of this.root.querySelectorAll("[data-placeholder]")) field.placeholder = t(field.dataset.placeholder);
  }

  // What goes with as many photographs as are chosen.
  #fit() {
    const several = this.tiles.chosen.length > 1;
    const inPlace = this.#find("clip-in-place");
    inPlace.disabled = several;
    if (several) inPlace.checked = false;
    this.#find("clip-grid").closest("label").hidden = !several;
    this.#find("clip-phase").closest("label").hidden = !several && !inPlace.checked;
    this.#find("clip-tempo").hidden = !this.#find("clip-song").value.startsWith("song:");
    this.#menus();
  }

  async #start(button) {
    this.calm();
    const music = this.#music;
    const kind = this.#find("clip-kind").value;
    const wrong = this.#wrongPart(music);
    if (wrong) return this.#say("clip-status", { key: wrong, values: {} }, true);
    if (kind !== "mp4" && (music.end ?? 0) - music.start > LOOP_S) return this.#say("clip-status", { key: "clipLoopLong", values: {} }, true);
    const several = this.tiles.chosen.length > 1;
    const inPlace = this.#find("clip-in-place").checked;
    button.setAttribute("aria-busy", "true");
    try {
      await post("/api/clips/make", {
        ...music, kind, photos: this.tiles.chosen, in_place: inPlace,
        shape: this.root.querySelector("input[name=shape]:checked").value,
        phase: several || inPlace ? this.#find("clip-phase").value : "together",
        grid: several ? this.#find("clip-grid").value : "",
      });
      // What was asked for before knows nothing of this one.
      this.#heard = this.#sent;
      this.#room.job = { state: "running" };
      this.#say("clip-status", { key: "clipBegun", values: {} });
      const job = await this.#hear("/api/clips/job");
      if (job && this.#takeJob(job)) await this.#look();
      this.#follow();
    } catch (error) {
      this.#say("clip-status", error.said ?? error.message, true);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  #showJob() {
    const { job } = this.#room;
    const works = this.#isWorking(job);
    const hadFocus = document.activeElement === this.#find("clip-cancel");
    this.#find("clip-working").hidden = !works;
    this.#find("clip-start").disabled = works;
    if (hadFocus && !works) this.#find("clip-start").focus();
    if (!works) return;
    const bar = this.#find("clip-progress");
    if (job.share) bar.value = job.share;
    else bar.removeAttribute("value");
    const left = this.#find("clip-left");
    if (job.state === "stopping") left.textContent = t("clipStopping");
    else if (!job.share) left.textContent = t("clipPreparing");
    else left.textContent = t("clipLeft", { share: Math.round(job.share * 100), seconds: Math.ceil(job.left_s ?? 0) });
  }

  // --- finished clips

  #showFilms() {
    const { clips } = this.#room;
    const drawn = JSON.stringify([clips, current()]);
    if (drawn === this.#films) return;
    this.#films = drawn;
    const list = this.#find("clip-list");
    list.replaceChildren(...clips.map((clip) => this.#film(clip)));
    if (!clips.length) list.append(make("li", { className: "hint", textContent: t("clipNone") }));
  }

  #film({ name, bytes }) {
    const source = `/api/clips/film/${encodeURIComponent(name)}`;
    const shown = name.endsWith(".mp4")
      ? make("video", { src: source, controls: true, loop: true, playsInline: true, preload: "metadata" })
      : make("img", { src: source, alt: name, loading: "lazy" });
    if (shown.controls) shown.setAttribute("aria-label", name);
    const load = make("a", { href: `${source}?download`, download: name, className: "button", textContent: t("clipDownload") });
    load.setAttribute("aria-label", t("clipDownloadName", { name }));
    const remove = make("button", { type: "button", textContent: t("clipDelete") });
    remove.setAttribute("aria-label", t("clipDeleteName", { name }));
    remove.addEventListener("click", () => this.#delete(name));
    const about = make("p", { className: "hint", textContent: `${name} · ${(bytes / 1e6).toFixed(1)} MB` });
    return make("li", {}, shown, about, make("div", { className: "row" }, load, remove));
  }

  async #delete(name) {
    if (!confirm(t("clipDeleteSure", { name }))) return;
    this.calm();
    try {
      await post("/api/clips/delete", { name });
      await this.#look();
      this.#say("clip-status", { key: "clipDeleted", values: { name } });
    } catch (error) {
      this.trouble(error);
    }
  }

  #listen() {
    this.#find("clip-moving").addEventListener("change", () => this.#move());
    this.#find("clip-song").addEventListener("change", () => {
      this.#fit();
      this.#hearSong();
    });
    this.#find("clip-song-file").addEventListener("change", ({ target }) => this.#addSong(target));
    for (const id of ["clip-from", "clip-to", "clip-bpm", "clip-offset"])
      this.#find(id).addEventListener("input", () => this.#soon());
    this.#find("clip-in-place").addEventListener("change", () => this.#fit());
    this.#find("clip-start").addEventListener("click", ({ target }) => this.#start(target));
    this.#find("clip-cancel").addEventListener("click", () => post("/api/clips/cancel").catch((error) => this.trouble(error)));
  }
}
