// What every page does: keeps times current, brings parts marked as live up to date,
// asks before what can't be undone, sends no form twice, and moves to the search with "/".
//
// It only ever puts in what this server's own pages contain, which is escaped there.

const TWICE = 2000; // milliseconds within which nobody means to send a form again
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** How long ago a time was, in the same words as pieces/value.rs. */
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

/** What is to be done once keeps its word (layout.rs): it is no news, and no other deed. */
function keepWord(part, next) {
  const [known, fresh] = [part, next].map((it) => it?.querySelector("input[name=once]"));
  if (known) fresh?.setAttribute("value", known.value);
}

/** Loads this page again and replaces its live parts, unless somebody is busy in one. */
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

/** Goes on for as long as the page says that something of it changes. */
function keepCurrent() {
  const period = () => Number(document.querySelector("[data-refresh]")?.dataset.refresh);
  const turn = async () => {
    if (!period()) return;
    if (!document.hidden) await refresh().catch(() => {});
    if (period()) setTimeout(turn, period() * 1000);
  };
  if (period()) setTimeout(turn, period() * 1000);
}

const sent = new Map(); // when a form was last sent, by where to

document.addEventListener("submit", (event) => {
  const { action, method, dataset } = event.target;
  // A second click comes before the next page does.
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

// A page that comes back as it was left would do again what it has done.
addEventListener("pageshow", (event) => event.persisted && location.reload());

for (const tail of document.querySelectorAll("[data-tail]")) tail.scrollTop = tail.scrollHeight;
tellTimes();
setInterval(tellTimes, 15000);
keepCurrent();
