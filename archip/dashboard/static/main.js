// What every page does: the theme switch, plots, and live updates where the page has something that changes.
import { drawPlots, redrawPlots } from "./plots.js";
import { followRun } from "./live.js";

const root = document.documentElement;

function themeSwitch(select) {
  select.value = root.dataset.theme ?? "auto";
  select.addEventListener("change", () => {
    if (select.value === "auto") {
      delete root.dataset.theme;
      localStorage.removeItem("archip.theme");
    } else {
      root.dataset.theme = select.value;
      localStorage.setItem("archip.theme", select.value);
    }
    redrawPlots();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawPlots);
}

// A form that only asks for another view is sent when a choice changes; the button is for those without scripts.
function quickForms() {
  for (const form of document.querySelectorAll("form[data-quick]")) {
    form.addEventListener("change", () => form.requestSubmit());
  }
}

themeSwitch(document.getElementById("theme"));
quickForms();
drawPlots(document);
if (root.dataset.events) followRun(root.dataset.events);
