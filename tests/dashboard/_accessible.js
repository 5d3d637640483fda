// What a page must have so that a screen reader and a keyboard can use it: a small part of what axe checks.
() => {
  const faults = [];
  const all = (what) => [...document.querySelectorAll(what)];
  const named = (e) => (e.getAttribute("aria-label") || e.innerText || e.labels?.[0]?.innerText || "").trim();

  for (const what of ["main", "h1", "header", "footer", "nav[aria-label='You are here']"]) {
    if (all(what).length !== 1) faults.push(`not one ${what}`);
  }
  if (!document.documentElement.lang || !document.title) faults.push("no language or title");
  const ids = all("[id]").map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`id twice: ${id}`);
  for (const e of all("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
    if (e.checkVisibility() && !named(e)) faults.push(`without a name: ${e.outerHTML.slice(0, 80)}`);
  }
  for (const e of all("main table")) {
    if (!e.caption?.textContent.trim()) faults.push("table without caption");
    if (!e.querySelector("th[scope=col]")) faults.push("table without heads");
  }
  for (const e of all("main svg, header svg, img")) {
    const is_told = e.closest("[aria-hidden=true], [role=img], [role=region]") || e.getAttribute("alt");
    if (!is_told) faults.push(`picture without a name: ${e.outerHTML.slice(0, 80)}`);
  }
  for (const e of all(".scroll, .drawing, .floor")) {
    if (e.tabIndex !== 0 || !e.getAttribute("aria-label")) faults.push("a region that the keyboard cannot scroll");
  }
  let level = 0;
  for (const e of all("h1, h2, h3")) {
    if (Number(e.tagName[1]) > level + 1) faults.push(`heading skipped before ${e.innerText}`);
    level = Number(e.tagName[1]);
  }

  // Contrast by WCAG 2.2, 1.4.3: relative luminances of text and what is behind it.
  const rgb = (text) => text.match(/[\d.]+/g).map(Number);
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  for (const e of all("main *, header *, footer *")) {
    const has_text = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!has_text || !e.checkVisibility() || e.closest("svg, .plot, [aria-disabled], .hidden-text")) continue;
    const pair = [luminance(rgb(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)}: ${e.innerText.slice(0, 40)}`);
  }
  return [...new Set(faults)];
}
