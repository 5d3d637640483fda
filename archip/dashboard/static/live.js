// Live: the server says that something changed; the parts marked data-live are then fetched again and put in place.
import { drawPlots } from "./plots.js";

const SAY_EVERY_MS = 10_000; // a screen reader is told no more often

let said = 0;

function say(text) {
  if (!text || Date.now() - said < SAY_EVERY_MS) return;
  said = Date.now();
  document.getElementById("announced").textContent = text;
}

// What had the focus inside a part that is replaced gets it back, found by its id or address.
function keepFocus(part, replace) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const scrolled = [...part.querySelectorAll(".scroll")].map((element) => element.scrollLeft);
  replace();
  [...part.querySelectorAll(".scroll")].forEach((element, i) => (element.scrollLeft = scrolled[i] ?? 0));
  if (!focused) return;
  const same = focused.id
    ? part.querySelector(`#${CSS.escape(focused.id)}`)
    : [...part.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused.getAttribute("href"));
  same?.focus({ preventScroll: true });
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (newer && newer.innerHTML !== part.innerHTML) {
      keepFocus(part, () => part.replaceChildren(...document.importNode(newer, true).childNodes));
    }
  }
  await drawPlots(document);
}

export function followRun(address) {
  const source = new EventSource(address);
  let isBusy = false;
  let isDue = false;
  const update = async () => {
    isDue = true;
    if (isBusy) return; // slow pages and quick runs: one at a time, and the last change is never missed
    isBusy = true;
    while (isDue) {
      isDue = false;
      const began = performance.now();
      await refresh().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, Math.max(500, 3 * (performance.now() - began))));
    }
    isBusy = false;
  };
  source.addEventListener("change", (event) => {
    say(JSON.parse(event.data).text);
    update();
  });
  const badge = document.getElementById("connection");
  source.onopen = () => (badge.hidden = true);
  source.onerror = () => (badge.hidden = false);
  addEventListener("pagehide", () => source.close());
}
