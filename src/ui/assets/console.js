// Behaviour of every page: keeps times current, updates parts marked as live, confirms
// irreversible actions, sends no form twice, and focuses the search with "/".
//
// It inserts only content of this server's own pages, which is escaped there.

const TWICE = 2000; // milliseconds within which a repeated submission is ignored
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** Relative time in the same words as components/value.rs. */
function since(time, now) {
  const signed = Math.trunc((now - time) / 1000);
  const seconds = Math.abs(signed);
  if (seconds < 5) return "just now";
  const [size, unit] = UNITS.find(([size]) => seconds >= size);
  const text = `${Math.floor(seconds / size)} ${unit}`;
  return signed < 0 ? `in ${text}` : `${text} ago`;
}

function tellTimes() {
  const now = Date.now();
  for (const element of document.querySelectorAll("time[datetime]")) {
    const text = since(Date.parse(element.dateTime), now);
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Keeps the idempotency keys of forms (layout.rs): a new one is not an update. */
function keepWord(part, next) {
  const [known, fresh] = [part, next].map((it) => it?.querySelector("input[name=once]"));
  if (known) fresh?.setAttribute("value", known.value);
}

/** Reloads this page and replaces its live parts, except those in use. */
export async function refresh() {
  const response = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const next = fresh.getElementById(part.id);
    keepWord(part, next);
    if (!next) part.remove();
    else if (!part.contains(document.activeElement) && part.outerHTML !== next.outerHTML) {
      const end = part.scrollTop + part.clientHeight >= part.scrollHeight - 4;
      part.replaceWith(next);
      if (next.hasAttribute("data-tail") && end) next.scrollTop = next.scrollHeight;
    }
  }
  tellTimes();
}

/** Repeats while the page is marked as changing. */
function keepCurrent() {
  const period = () => Number(document.querySelector("[data-refresh]")?.dataset.refresh);
  const turn = async () => {
    if (!period()) return;
    if (!document.hidden) await refresh().catch(() => {});
    if (period()) setTimeout(turn, period() * 1000);
  };
  if (period()) setTimeout(turn, period() * 1000);
}

const sent = new Map(); // time of a form's last submission, by address

document.addEventListener("submit", (event) => {
  const { action, method, dataset } = event.target;
  // A second click arrives before the next page.
  const isTwice = method === "post" && event.timeStamp - (sent.get(action) ?? -Infinity) < TWICE;
  if (isTwice || (dataset.confirm && !confirm(dataset.confirm))) event.preventDefault();
  else sent.set(action, event.timeStamp);
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector('input[type="search"]');
  if (search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// A page restored from the cache would repeat its actions.
addEventListener("pageshow", (event) => event.persisted && location.reload());

for (const tail of document.querySelectorAll("[data-tail]")) tail.scrollTop = tail.scrollHeight;
tellTimes();
setInterval(tellTimes, 15000);
keepCurrent();
