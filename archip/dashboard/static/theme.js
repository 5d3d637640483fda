// Before the first paint: the theme that was chosen here, if any; otherwise the system's.
"use strict";
{
  const chosen = localStorage.getItem("archip.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
