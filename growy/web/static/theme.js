// Runs before anything is drawn, so that a dark page does not flash white: no module.
"use strict";
(() => {
	const system = matchMedia("(prefers-color-scheme: dark)");
	const paint = () => {
		const chosen = localStorage.getItem("growy.theme");
		document.documentElement.dataset.theme = chosen ?? (system.matches ? "dark" : "light");
		window.dispatchEvent(new Event("themed"));
	};
	window.repaint = paint;
	system.addEventListener("change", paint);
	paint();
})();
