// What all parts of the page are made of. Signs stand beside words, never instead of them.

import { h } from "./dom.js";
import { state } from "./state.js";

const PATHS = {
	good: "M3 8.5l3.2 3.2L13 4.8",
	warning: "M8 1.8L15 14H1zM8 6v4M8 11.8v.4",
	error: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M5.5 5.5l5 5M10.5 5.5l-5 5",
	info: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M8 7v4.5M8 4.3v.4",
	clock: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M8 4v4.3l2.8 1.6",
	cut: "M2 2l12 12M4.5 8.5a5 5 0 0 1 3-1.5M11.5 8.5a5 5 0 0 0-1.5-1M2 6a9 9 0 0 1 2.5-1.7M14 6a9 9 0 0 0-7-2.3M8 12v.4",
	unknown: "M5.5 5.8a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.1.8-1.1 1.7M8 12v.4",
	on: "M8 2v6M4.6 4.2a5.2 5.2 0 1 0 6.8 0",
	off: "M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10",
};

export function icon(name) {
	return h("svg", { class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, h("path", { d: PATHS[name] }));
}

/** A part with a title. */
export const panel = (title, ...what) => h("section", { key: title, class: "panel" }, h("h2", {}, title), what);
/** In place of an empty list: that it is empty, or why nobody knows. */
export const none = (title, list, text) => panel(title, h("p", {}, state.loaded.has(list) ? text : state.faults.get(list) ?? "Loading…"));
export const fine = (...what) => h("p", { class: "fine" }, what);
export const bad = (sign, ...what) => h("p", { class: "bad" }, icon(sign), what);

const OF_SEVERITY = { critical: "error", error: "error", warning: "warning", info: "info" };
export const severityIcon = (severity) => icon(OF_SEVERITY[severity] ?? "warning");
