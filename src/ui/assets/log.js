// Shows and searches a live log. It replaces the tail that a page shows without JavaScript
// (pages/execution/printed.rs) by the whole log.
//
// The log is hostile. It becomes text nodes and classes, never markup. Stored lines are
// bounded, and only those near the visible ones have elements.

import { classes, isUnusual, overwritten, read } from "./ansi.js";
import { refresh } from "./console.js";

const CHUNK = 64; // lines whose elements are created and removed together
const MAX_LINES = 400_000;
const MAX_HELD = 120_000_000; // characters of all lines
const DROPPED = 20_000; // lines removed at once
const MAX_LINE = 20_000; // characters
const MAX_MARKS = 500; // in a line
const SCANNED = 50_000; // lines searched in one frame

function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const press = (element, isPressed) => element.setAttribute("aria-pressed", String(isPressed));
const told = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const lineCount = (count) => `${told(count)} ${count === 1 ? "line" : "lines"}`;
const named = (pattern, text) => Number(pattern.exec(text)?.[1] ?? 0);

/** Template of each line. */
const ROW = make("div", "line", make("a", "no"), make("span", "text"));
ROW.firstChild.tabIndex = -1; // ":123" in the search focuses it, too

/** One log on its page. */
class Log {
  lines = []; // { n: its number, s: 1 for stderr, t: text, a: style before it, x: characters left out, el }
  only = null; // the only stream shown, if set
  shown = this.lines; // its lines
  chunks = []; // of those, CHUNK each: { el, from, to, isFilled }
  listed = 0; // lines that are placed, or need no place
  open = [null, null]; // incomplete lines
  carried = [0, 0]; // styles after the last complete lines
  changed = new Set();
  count = 0;
  held = 0;
  isFollowing = true;
  lineHeight = 19;
  needle = "";
  hits = [];
  scanned = 0;
  target = 0; // number of the line in the address
  lastEvent = "";
  patience = 2000;

  constructor(section) {
    this.section = section;
    this.box = section.querySelector(".log");
    this.list = make("div", "log-lines");
    this.observer = new IntersectionObserver((entries) => this.seen(entries), { root: this.box, rootMargin: "600px 0px" });
    this.tools = Object.fromEntries(Array.from(section.querySelectorAll("[data-tool]"), (it) => [it.dataset.tool, it]));
    const { follow, wrap, search, previous, next, both, stdout, stderr } = this.tools;
    follow.addEventListener("click", () => this.setFollowing(!this.isFollowing, true));
    wrap.addEventListener("click", () => this.setWrapped(!this.box.classList.contains("wrap")));
    for (const [button, only] of [[both, null], [stdout, 0], [stderr, 1]]) {
      button.addEventListener("click", () => {
        for (const other of [both, stdout, stderr]) press(other, other === button);
        this.setOnly(only);
      });
    }
    previous.addEventListener("click", () => this.step(-1));
    next.addEventListener("click", () => this.step(1));
    search.addEventListener("input", () => {
      clearTimeout(this.typed);
      this.typed = setTimeout(() => this.look(), 150);
    });
    search.addEventListener("keydown", (event) => this.keyed(event));
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.list.addEventListener("click", (event) => this.clicked(event));
    addEventListener("hashchange", () => this.seek());
    section.querySelector(".log-tools").hidden = false;
    this.seek();
    this.connect();
  }

  connect() {
    const address = new URL(this.section.dataset.events, location.href);
    if (this.lastEvent) address.searchParams.set("last_event_id", this.lastEvent);
    const source = new EventSource(address);
    const on = (name, act) => source.addEventListener(name, (event) => {
      this.lastEvent = event.lastEventId || this.lastEvent;
      act(JSON.parse(event.data));
    });
    on("stdout", ({ text }) => this.append(0, text));
    on("stderr", ({ text }) => this.append(1, text));
    on("status", ({ status }) => {
      if (status === this.section.dataset.state) return;
      this.section.dataset.state = status;
      if (!this.count && status === "running") this.say("It runs, and has printed nothing yet.");
      refresh().catch(() => {});
    });
    on("end", () => {
      source.close();
      this.open.forEach((line, stream) => line && this.close(stream));
      if (!this.count) this.say("It printed nothing.");
      this.tools.follow.hidden = true;
      this.schedule();
    });
    source.addEventListener("open", () => {
      this.patience = 2000;
      tell(this.tools.said, "");
    });
    source.addEventListener("error", () => {
      tell(this.tools.said, "The connection is lost; trying again …");
      if (source.readyState !== EventSource.CLOSED) return;
      // Refused, not only interrupted: the browser does not reconnect by itself.
      setTimeout(() => this.connect(), this.patience);
      this.patience = Math.min(2 * this.patience, 60_000);
    });
  }

  say(text) {
    this.box.replaceChildren(make("p", "log-empty", text));
  }

  append(stream, text) {
    if (!this.count) {
      this.section.querySelector(".log-note")?.remove();
      this.box.replaceChildren(this.list);
    }
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf("\n", from);
      this.extend(stream, text.slice(from, end < 0 ? text.length : end));
      if (end < 0) break;
      this.close(stream);
      from = end + 1;
    }
    this.schedule();
  }

  extend(stream, text) {
    let line = this.open[stream];
    if (!line) {
      line = { n: ++this.count, s: stream, t: "", a: this.carried[stream], x: 0, el: null };
      this.open[stream] = line;
      this.lines.push(line);
    }
    let whole = line.t + text;
    // Overwritten text is dropped: progress bars run for hours.
    const back = overwritten(whole);
    if (back >= 0) {
      line.a = read(whole.slice(0, back), line.a).style;
      line.x = 0;
      whole = whole.slice(back + 1);
    }
    line.x += Math.max(whole.length - MAX_LINE, 0);
    whole = whole.slice(0, MAX_LINE);
    this.held += whole.length - line.t.length;
    line.t = whole;
    if (line.el) this.changed.add(line);
  }

  close(stream) {
    const line = this.open[stream];
    this.open[stream] = null;
    this.carried[stream] = line.t.includes("\x1b") ? read(line.t, line.a).style : line.a;
  }

  schedule() {
    if (this.isDue) return;
    this.isDue = true;
    const flush = () => this.flush();
    if (document.hidden) setTimeout(flush, 500);
    else requestAnimationFrame(flush);
  }

  /** Updates the page, once per frame. */
  flush() {
    this.isDue = false;
    this.drop();
    for (const line of this.changed) if (line.el) this.paint(line);
    this.changed.clear();
    this.grow();
    this.scan();
    if (this.isSought) this.goToTarget();
    if (this.isFollowing) this.pin();
  }

  /** Removes the oldest lines over the limit. */
  drop() {
    if (this.lines.length <= MAX_LINES && this.held <= MAX_HELD) return;
    const excess = Math.max(this.lines.length - MAX_LINES, 0) + DROPPED;
    this.rebuild(this.topLine(), Math.min(excess, Math.ceil(this.lines.length / 2)));
  }

  /** Rebuilds all chunks without the oldest lines, and restores the position. */
  rebuild(place, dropped = 0) {
    for (const chunk of this.chunks) {
      this.observer.unobserve(chunk.el);
      this.empty(chunk);
    }
    this.list.replaceChildren();
    for (const line of this.lines.splice(0, dropped)) {
      this.held -= line.t.length;
      if (this.open[line.s] === line) this.open[line.s] = null;
    }
    [this.chunks, this.hits, this.scanned, this.listed] = [[], [], 0, 0];
    this.shown = this.only === null ? this.lines : [];
    this.grow();
    this.scan();
    if (this.isFollowing) this.pin();
    else if (place) this.goTo(place, 0);
  }

  /** Places new lines. */
  grow() {
    const touched = new Set();
    for (; this.listed < this.lines.length; this.listed++) {
      const line = this.lines[this.listed];
      if (this.only !== null && line.s !== this.only) continue;
      if (this.shown !== this.lines) this.shown.push(line);
      let chunk = this.chunks.at(-1);
      const to = (chunk?.to ?? 0) + 1;
      if (!chunk || to - chunk.from > CHUNK) {
        if (chunk?.isFilled) this.watch(chunk);
        chunk = { el: make("div"), from: to - 1, to, isFilled: false };
        chunk.el.chunk = chunk;
        this.chunks.push(chunk);
      }
      chunk.to = to;
      touched.add(chunk);
    }
    const end = this.chunks.at(-1)?.to ?? 0;
    for (const chunk of touched) {
      const isNew = !chunk.el.isConnected;
      if (isNew) this.list.append(chunk.el);
      const isNear = (isNew && touched.size <= 2) || (this.isFollowing && chunk.to > end - CHUNK);
      if (chunk.isFilled || isNear) this.fill(chunk);
      else chunk.el.style.height = `${(chunk.to - chunk.from) * this.lineHeight}px`;
      if (isNew) this.watch(chunk);
    }
    const gone = this.count - this.lines.length;
    const notKept = gone ? `, the first ${told(gone)} not kept here: download the log when it has ended` : "";
    if (this.count) tell(this.tools.tally, lineCount(this.count) + notKept);
  }

  /** Observes a chunk's visibility, again if it was observed before. */
  watch(chunk) {
    this.observer.unobserve(chunk.el);
    this.observer.observe(chunk.el);
  }

  /** Creates the missing elements of a chunk. */
  fill(chunk) {
    const rows = this.shown.slice(chunk.from + chunk.el.childElementCount, chunk.to).map((line) => this.row(line));
    chunk.el.append(...rows);
    chunk.el.style.height = "";
    chunk.isFilled = true;
  }

  empty(chunk) {
    chunk.el.replaceChildren();
    if (chunk.isFilled) for (let at = chunk.from; at < chunk.to; at++) this.shown[at].el = null;
    chunk.isFilled = false;
  }

  seen(entries) {
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const chunk = target.chunk;
      if (!target.isConnected || isIntersecting === chunk.isFilled) continue;
      if (isIntersecting) this.fill(chunk);
      else if (chunk !== this.chunks.at(-1)) {
        this.empty(chunk);
        target.style.height = `${boundingClientRect.height}px`; // nothing moves
      }
    }
    const row = this.list.querySelector(".line");
    if (row && !this.box.classList.contains("wrap")) this.lineHeight = row.getBoundingClientRect().height || this.lineHeight;
    if (this.isFollowing) this.pin();
  }

  row(line) {
    line.el = ROW.cloneNode(true);
    line.el.line = line;
    if (line.s) line.el.classList.add("err");
    const place = line.el.firstChild;
    place.textContent = `${line.n} `;
    place.href = `#L${line.n}`;
    this.paint(line);
    return line.el;
  }

  paint(line) {
    const text = line.el.lastChild;
    text.replaceChildren(...this.marked(read(line.t, line.a).runs));
    if (line.x) text.append(make("span", "muted", `…(${told(line.x)} more)`));
    line.el.classList.toggle("target", line.n === this.target || line === this.current);
  }

  repaint() {
    for (const line of this.shown) if (line.el) this.paint(line);
  }

  /** Nodes for runs, with matches marked. */
  marked(runs) {
    const lower = this.needle && runs.map(([text]) => text).join("").toLowerCase();
    const starts = [];
    const next = (from) => (lower ? lower.indexOf(this.needle, from) : -1);
    for (let at = next(0); at >= 0 && starts.length < MAX_MARKS; at = next(at + this.needle.length)) starts.push(at);
    const nodes = [];
    let offset = 0;
    for (const [text, style] of runs) {
      const parts = [];
      let done = 0;
      for (const start of starts) {
        const from = Math.max(start - offset, done);
        const to = Math.min(start - offset + this.needle.length, text.length);
        if (from >= to) continue;
        parts.push(text.slice(done, from), make("mark", "", text.slice(from, to)));
        done = to;
      }
      parts.push(text.slice(done));
      const name = classes(style);
      nodes.push(...(name ? [make("span", name, ...parts)] : parts));
      offset += text.length;
    }
    return nodes;
  }

  pin() {
    this.box.scrollTop = this.box.scrollHeight;
    this.lastTop = this.box.scrollTop;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    if (scrollHeight - scrollTop - clientHeight < 8) this.setFollowing(true);
    else if (scrollTop < this.lastTop - 1) this.setFollowing(false);
    this.lastTop = scrollTop;
  }

  setFollowing(isFollowing, isAsked = false) {
    this.isFollowing = isFollowing;
    press(this.tools.follow, isFollowing);
    if (isFollowing && isAsked) this.pin();
  }

  setWrapped(isWrapped) {
    const place = this.topLine();
    this.box.classList.toggle("wrap", isWrapped);
    press(this.tools.wrap, isWrapped);
    if (this.isFollowing) this.pin();
    else if (place) this.goTo(place, 0);
  }

  setOnly(only) {
    const place = this.topLine();
    this.only = only;
    this.rebuild(place);
  }

  /** First visible line. */
  topLine() {
    const { left, top, width } = this.box.getBoundingClientRect();
    return document.elementFromPoint(left + width / 2, top + 6)?.closest(".line")?.line;
  }

  /** Scrolls to a line, or the next one, with a part of the box above it. */
  goTo(wanted, share = 1 / 3) {
    let [low, high] = [0, this.shown.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle].n < wanted.n) low = middle + 1;
      else high = middle;
    }
    const chunk = this.chunks[Math.floor(low / CHUNK)];
    if (!chunk) return;
    this.setFollowing(false);
    if (!chunk.isFilled) this.fill(chunk);
    const row = this.shown[low].el;
    this.box.scrollTop = row.offsetTop - this.box.clientHeight * share;
    const mark = row.querySelector("mark");
    if (mark) this.box.scrollLeft = Math.max(0, mark.offsetLeft - this.box.clientWidth * 0.7);
    this.lastTop = this.box.scrollTop;
  }

  /** Scrolls to the line in the address as soon as it exists. */
  seek() {
    this.target = named(/^#L(\d{1,9})$/, location.hash);
    this.isSought = this.target > 0;
    if (this.isSought) this.setFollowing(false);
    this.repaint();
    this.schedule();
  }

  goToTarget() {
    const line = this.lines[this.target - (this.lines[0]?.n ?? 0)];
    if (line?.n !== this.target) return;
    this.isSought = false;
    if (this.only !== null && this.only !== line.s) this.tools.both.click();
    this.goTo(line);
    this.section.scrollIntoView({ block: "nearest" });
  }

  clicked(event) {
    const place = event.target.closest("a.no");
    if (!place || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault(); // a visible one is marked without scrolling
    history.replaceState(null, "", place.hash);
    this.target = place.parentElement.line.n;
    this.repaint();
  }

  keyed(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    this.look();
    const line = named(/^:(\d{1,9})$/, this.tools.search.value.trim());
    if (!line) this.step(event.shiftKey ? -1 : 1);
    else if (location.hash === `#L${line}`) this.seek();
    else location.hash = `#L${line}`;
  }

  /** Starts a search for the field's text, unless it is already running. */
  look() {
    clearTimeout(this.typed);
    const text = this.tools.search.value;
    const needle = /^\s*:\d*\s*$/.test(text) ? "" : text.toLowerCase();
    if (needle === this.needle) return;
    [this.needle, this.hits, this.scanned, this.current] = [needle, [], 0, null];
    this.repaint();
    this.scan();
  }

  /** Searches some more lines, except the incomplete ones at the end. */
  scan() {
    const until = Math.min(this.shown.length, this.scanned + SCANNED);
    for (; this.needle && this.scanned < until; this.scanned++) {
      const line = this.shown[this.scanned];
      if (this.open[line.s] === line && this.scanned >= this.shown.length - 2) break;
      const text = isUnusual(line.t) ? read(line.t, line.a).runs.map(([part]) => part).join("") : line.t;
      if (text.toLowerCase().includes(this.needle)) this.hits.push(line);
    }
    if (this.needle && until < this.shown.length) this.schedule();
    const place = this.hits.indexOf(this.current) + 1;
    const all = this.needle && `${lineCount(this.hits.length)} found`;
    tell(this.tools.found, place ? `${told(place)} of ${all}` : all);
  }

  step(by) {
    const { length } = this.hits;
    if (!length) return;
    let at = this.hits.indexOf(this.current) + by;
    if (!this.current) {
      const top = this.topLine()?.n ?? 0;
      const below = this.hits.findIndex((line) => line.n >= top);
      at = (below < 0 ? length : below) - (by < 0 ? 1 : 0);
    }
    const before = this.current;
    this.current = this.hits[(at + length) % length];
    if (before?.el) this.paint(before);
    this.goTo(this.current);
    this.paint(this.current);
    this.scan();
  }
}

const section = document.querySelector("#log[data-events]");
if (section) new Log(section);
