// Pictures of executions: scrubs through numbered ones, and compares two with a wipe. It sets
// addresses that the page has, and loads nothing else. Without it the page has lists and links.

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

/** Adds controls to what has none yet: live parts of the page are replaced. */
function furnish() {
  for (const figure of document.querySelectorAll("figure[data-frames]:not(:has(.scrubber))")) new Frames(figure);
  for (const figure of document.querySelectorAll("figure[data-wipe]:not(.is-wipe)")) new Wipe(figure);
}

furnish();
new MutationObserver(furnish).observe(document.querySelector("main"), { childList: true, subtree: true });
