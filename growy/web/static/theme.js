// Runs before anything is drawn, so that a dark page does not flash white. Classic script: modules come later.
"use strict";
(() => {
  const chosen = localStorage.getItem("growy.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
