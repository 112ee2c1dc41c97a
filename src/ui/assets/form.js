// Shows faults beside their fields while a form is filled in. The server finds them
// (pages/editor/check.rs), by the same rules as on submission; nothing is decided here.

const PAUSE = 400; // milliseconds without a change
const MAX_FILE = 8 << 20; // bytes of a file that is checked before submission

const describing = (control) => (control.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);

/** Replaces the faults beside a field. Returns the new ones. */
function tell(control, words) {
  const id = `${control.id}-wrong`;
  let place = document.getElementById(id);
  const others = describing(control).filter((it) => it !== id);
  const all = words.length ? [id, ...others] : others;
  if (all.length) control.setAttribute("aria-describedby", all.join(" "));
  else control.removeAttribute("aria-describedby");
  if (!words.length) {
    control.removeAttribute("aria-invalid");
    place?.remove();
    return [];
  }
  control.setAttribute("aria-invalid", "true");
  if (!place) {
    place = document.createElement("div");
    place.className = "wrong";
    place.id = id;
    (control.closest("label.tick") ?? control).after(place);
  }
  const known = Array.from(place.children, (it) => it.textContent);
  if (known.join("\n") === words.join("\n")) return [];
  place.replaceChildren(...words.map((text) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    return paragraph;
  }));
  return words;
}

/** A form that the server checks. */
class Checked {
  touched = new Set(); // fields that were filled in or cleared
  chosen = new Set(); // file inputs to be checked

  constructor(form) {
    this.form = form;
    // Live regions are read out; new text beside a field is not, in all browsers.
    this.said = document.createElement("p");
    this.said.className = "visually-hidden";
    this.said.setAttribute("role", "status");
    form.append(this.said);
    for (const control of form.elements) {
      if (control.hasAttribute("aria-invalid")) this.touched.add(control.id);
    }
    form.addEventListener("input", ({ target }) => this.changed(target));
  }

  changed(control) {
    this.asked?.abort(); // its request is outdated
    this.touched.add(control.id);
    if (control.type === "file") tell(control, []);
    for (const file of this.form.querySelectorAll("input[type=file]")) {
      // The same file may be valid for another type.
      if (file === control || control.name === "script_type") this.chosen.add(file.name);
    }
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.ask().catch(() => {}), PAUSE);
  }

  async ask() {
    this.asked = new AbortController();
    const sent = new FormData(this.form);
    for (const [name, value] of Array.from(sent)) {
      if (value instanceof File && !(this.chosen.has(name) && value.size <= MAX_FILE)) sent.delete(name);
    }
    const { signal } = this.asked;
    const response = await fetch(this.form.dataset.check, {
      method: "POST", body: sent, credentials: "same-origin", redirect: "error", signal,
    });
    if (!response.ok) return; // reported on submission
    const wrong = await response.json();
    this.chosen.clear();
    const news = [];
    for (const control of this.form.elements) {
      if (!control.id || (control.type === "file" && !sent.has(control.name))) continue;
      // Untouched fields show no faults.
      const isAwaited = !control.value && !this.touched.has(control.id);
      news.push(...tell(control, isAwaited ? [] : (wrong[control.id] ?? [])));
    }
    if (news.length) this.said.textContent = news.join(" ");
    // The summary above the form is about the last submission.
    if (!Object.keys(wrong).length) document.querySelector("main > .alert[role=alert]")?.remove();
  }
}

for (const form of document.querySelectorAll("form[data-check]")) new Checked(form);
