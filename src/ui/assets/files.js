// Files of executions: scrubs through numbered pictures, compares two with a wipe, and sends files
// as soon as they are chosen or dropped, with their progress. It sets addresses that the page has,
// and loads nothing else. Without it the page has lists and links, and files go with their form.

const FRAMES_PER_SECOND = 24;

/** Indexes of the runs that a page names, such as `3-17,20-20`. */
function indexes(runs) {
  return runs.split(",").filter(Boolean).flatMap((run) => {
    const [first, last] = run.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, step) => first + step);
  });
}

function element(name, attributes, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

/** A sequence of pictures with a slider and a button that plays it. */
class Frames {
  playing = false;

  constructor(figure) {
    this.picture = figure.querySelector("img");
    this.base = figure.dataset.base;
    this.frames = indexes(figure.dataset.frames);
    this.button = element("button", { type: "button", "aria-pressed": "false" }, "Play");
    this.slider = element("input", {
      type: "range", min: "1", max: String(this.frames.length), value: "1", "aria-label": "Frame",
    });
    this.place = element("output", {});
    const tools = element("div", { class: "scrubber" });
    tools.append(this.button, this.slider, this.place);
    figure.append(tools);
    this.slider.addEventListener("input", () => this.show());
    this.button.addEventListener("click", () => this.toggle());
    this.told();
  }

  told() {
    this.place.textContent = `${this.slider.value} of ${this.frames.length}`;
  }

  /** Shows the frame of the slider; of those asked for meanwhile only the last one. */
  async show() {
    this.told();
    if (this.isLoading) return;
    this.isLoading = true;
    let shown;
    while (shown !== this.slider.value) {
      shown = this.slider.value;
      this.picture.src = this.base + this.frames[Number(shown) - 1];
      await this.picture.decode().catch(() => {}); // a broken one is passed over
    }
    this.isLoading = false;
  }

  toggle() {
    this.playing = !this.playing;
    this.button.textContent = this.playing ? "Stop" : "Play";
    this.button.setAttribute("aria-pressed", String(this.playing));
    if (this.playing) this.play();
  }

  async play() {
    while (this.playing && this.slider.isConnected) {
      const next = (Number(this.slider.value) % this.frames.length) + 1;
      this.slider.value = String(next);
      const pause = new Promise((done) => setTimeout(done, 1000 / FRAMES_PER_SECOND));
      await Promise.all([this.show(), pause]);
    }
  }
}

/** Two pictures above each other, with a slider between them. */
class Wipe {
  constructor(figure) {
    const label = figure.dataset.wipe;
    this.slider = element("input", { type: "range", min: "0", max: "100", value: "50", "aria-label": label });
    this.figure = figure;
    figure.classList.add("is-wipe");
    figure.append(this.slider);
    this.slider.addEventListener("input", () => this.show());
    this.show();
  }

  show() {
    this.figure.style.setProperty("--at", `${this.slider.value}%`);
  }
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes in the words of domain/quantities/show.rs. */
function words(bytes) {
  const unit = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), SIZES.length - 1);
  return `${Math.floor((bytes / 1024 ** unit) * 10) / 10} ${SIZES[unit]}`;
}

/** A control for files, as a place to drop them on. Its name says which field takes their names. */
class Drop {
  constructor(control) {
    this.control = control;
    this.form = control.form;
    this.target = control.name.slice("upload ".length);
    this.zone = element("div", { class: "drop" });
    this.list = element("ul", { class: "plain", "aria-live": "polite" });
    control.replaceWith(this.zone);
    this.zone.append(element("span", { class: "muted" }, "Drop files here, or choose them: "), control, this.list);
    control.addEventListener("change", () => this.take(control.files));
    for (const name of ["dragenter", "dragover"]) {
      this.zone.addEventListener(name, (event) => {
        event.preventDefault();
        this.zone.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) this.zone.addEventListener(name, () => this.zone.classList.remove("over"));
    this.zone.addEventListener("drop", (event) => {
      event.preventDefault();
      this.take(event.dataTransfer.files);
    });
  }

  field(name) {
    return this.form.elements.namedItem(name);
  }

  /** Sends files one after the other; the form can be sent when all have come. */
  async take(files) {
    const taken = this.control.multiple ? Array.from(files) : Array.from(files).slice(0, 1);
    const buttons = Array.from(this.form.querySelectorAll("button[type=submit]:not(:disabled)"));
    for (const button of buttons) button.disabled = true;
    for (const file of taken) await this.one(file);
    for (const button of buttons) button.disabled = false;
    this.control.value = ""; // it is not sent once more with the form
  }

  async one(file) {
    const line = element("li", {});
    const bar = element("progress", { max: "1", value: "0", "aria-label": file.name });
    const said = element("span", {}, ` ${words(file.size)}`);
    const stop = element("button", { type: "button", class: "quiet", "aria-label": `Stop sending ${file.name}` }, "Stop");
    line.append(element("span", {}, `${file.name} `), bar, said, stop);
    this.list.append(line);
    try {
      const stored = await this.send(file, bar, said, stop);
      this.note(stored);
      said.textContent = ` ${words(stored.bytes)}, sent`;
    } catch (error) {
      said.textContent = ` ${error.message}`;
      said.className = "wrong";
    }
    bar.remove();
    stop.remove();
  }

  /** Sends a file as it is. Only this kind of request tells how much of a body has gone. */
  send(file, bar, said, stop) {
    return new Promise((done, failed) => {
      const request = new XMLHttpRequest();
      request.open("POST", `/files?name=${encodeURIComponent(file.name)}`);
      request.responseType = "json";
      request.setRequestHeader("gantry-form-token", this.field("form_token").value);
      request.upload.addEventListener("progress", ({ loaded, total }) => {
        bar.value = total ? loaded / total : 0;
        said.textContent = ` ${words(loaded)} of ${words(total)}`;
      });
      request.addEventListener("load", () => {
        if (request.status === 201 && request.response) done(request.response);
        else failed(new Error(request.response?.detail ?? `refused (${request.status})`));
      });
      request.addEventListener("error", () => failed(new Error("the connection broke")));
      request.addEventListener("abort", () => failed(new Error("stopped")));
      stop.addEventListener("click", () => request.abort());
      request.send(file);
    });
  }

  /** Writes the file's name and digest into the form's fields, under a name that is free. */
  note({ name, digest }) {
    const files = this.field("files");
    const known = new Set(files.value.split("\n").map((it) => it.split("=")[0].trim().toLowerCase()));
    const at = name.lastIndexOf(".") > 0 ? name.lastIndexOf(".") : name.length;
    let free = name;
    for (let number = 2; known.has(free.toLowerCase()); number += 1) {
      free = `${name.slice(0, at)}-${number}${name.slice(at)}`;
    }
    this.add(files, `${free}=${digest}`);
    const target = this.target && this.field(this.target);
    if (target?.tagName === "TEXTAREA") this.add(target, free);
    else if (target) target.value = free;
    files.closest("details")?.setAttribute("open", "");
  }

  add(area, line) {
    area.value = [area.value.trimEnd(), line].filter(Boolean).join("\n");
  }
}

/** Adds controls to what has none yet: live parts of the page are replaced. */
function furnish() {
  for (const figure of document.querySelectorAll("figure[data-frames]:not(:has(.scrubber))")) new Frames(figure);
  for (const figure of document.querySelectorAll("figure[data-wipe]:not(.is-wipe)")) new Wipe(figure);
}

for (const control of document.querySelectorAll('input[type="file"][name^="upload "]')) new Drop(control);
furnish();
new MutationObserver(furnish).observe(document.querySelector("main"), { childList: true, subtree: true });
