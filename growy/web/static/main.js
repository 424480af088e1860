// Puts the page together: who looks, which part they look at, and when it is drawn again.

import { now } from "./api.js";
import { h, render } from "./dom.js";
import { clock, span } from "./format.js";
import { icon } from "./pieces.js";
import { alarms } from "./judge.js";
import { link, open, reconnect, retry } from "./live.js";
import { changed, load, loadAll, onChange, soon, state, take } from "./state.js";
import { proof, stopBar, unproven } from "./stop.js";
import { alarmsView } from "./view-alarms.js";
import { aim, chartsView, leave as leaveCharts, redraw } from "./view-charts.js";
import { devicesView } from "./view-devices.js";
import { begin, leave as logOut, loginView, onEnter } from "./view-login.js";
import { nowView } from "./view-now.js";
import { rulesView } from "./view-rules.js";
import { switchesView } from "./view-switches.js";

const TABS = [["now", "Now"], ["switches", "Switches"], ["rules", "Rules"], ["charts", "Charts"], ["alarms", "Alarms"], ["devices", "Devices"]];
const VIEWS = { now: nowView, switches: switchesView, rules: rulesView, charts: chartsView, devices: devicesView };
const DRAW_MS = 250;
const SHARE = 4; // of the time, at most so much as one in this is spent on drawing: also where a thousand sensors speak
const POLLS = [["stops", 15000], ["health", 15000], ["rules", 10000], ["actuators", 20000], ["devices", 30000], ["sensors", 60000], ["zones", 60000], ["pending", 30000], ["doctor", 120000]];
const at = (id) => document.getElementById(id);
let drawing = null;
let drawn = 0;
let took = 0;

onChange(() => {
	drawing ??= setTimeout(() => requestAnimationFrame(paint), Math.max(0, drawn + Math.max(DRAW_MS, SHARE * took) - performance.now()));
});

function paint() {
	drawing = null;
	drawn = performance.now();
	const inside = state.session.phase === "in";
	const found = inside ? alarms(state, link, now()) : [];
	render(at("stop"), stopBar());
	document.body.className = inside ? "in" : "";
	render(at("top"), inside ? top(found) : null);
	render(at("main"), inside ? [proof(), state.tab === "alarms" ? alarmsView(found) : VIEWS[state.tab]()] : loginView());
	announce(found);
	took = performance.now() - drawn;
}

function top(found) {
	const loud = found.filter((one) => one.severity !== "info").length;
	return [
		h("div", { class: "bar" }, h("h1", {}, "growyd"), connection(), h("div", { class: "row account" },
			h("button", { type: "button", id: "theme", onclick: turn }, `Colours: ${theme()}`),
			state.session.user && h("span", { class: "fine" }, `${state.session.user.username} (${state.session.user.role})`),
			h("button", { type: "button", id: "logout", onclick: logOut }, "Log out"))),
		h("nav", { "aria-label": "Parts of the page" }, h("ul", {}, TABS.map(([name, text]) => h("li", { key: name },
			h("a", { href: `#${name}`, "aria-current": state.tab === name ? "page" : null }, text,
				name === "alarms" && loud > 0 && h("span", { class: "count" }, String(loud), h("span", { class: "hidden" }, " alarms")),
				name === "devices" && state.pending.length > 0 && h("span", { class: "count" }, String(state.pending.length), h("span", { class: "hidden" }, " waiting"))))))),
	];
}

function connection() {
	if (link.up) return h("p", { id: "link", class: "link up" }, icon("good"), "Live");
	const wait = link.nextTry === null ? "trying now" : `next try in ${span(link.nextTry - now())}`;
	return h("p", { id: "link", class: "link down" }, icon("cut"), h("strong", {}, `Cut off since ${clock(link.since)}`), ` (${span(now() - link.since)}), ${wait}. Nothing below is of now. `,
		link.nextTry !== null && h("button", { type: "button", onclick: retry }, "Try now"));
}

// --- what is read out ------------------------------------------------------------------------------------------------

let told = new Set();
let wasUp = null;

function announce(found) {
	if (state.session.phase === "in" && wasUp !== link.up) {
		if (wasUp !== null) at("said").textContent = link.up ? "Connected to growyd again." : "Cut off from growyd. Nothing on the page is of now.";
		if (wasUp !== null || link.up) wasUp = link.up;
	}
	const fresh = found.filter((one) => !told.has(one.key) && one.severity !== "info");
	if (fresh.length) {
		const text = fresh.slice(0, 3).map((one) => one.text).join(". ") + (fresh.length > 3 ? `. And ${fresh.length - 3} more.` : "");
		at(fresh.some((one) => one.severity === "critical") ? "shouted" : "said").textContent = text;
	}
	told = new Set(found.map((one) => one.key));
	const loud = found.filter((one) => one.severity !== "info").length;
	document.title = state.session.phase !== "in" ? "growyd" : !link.up ? "(cut off) growyd" : loud ? `(${loud}) growyd` : "growyd";
}

// --- colours, parts, times -------------------------------------------------------------------------------------------

const theme = () => localStorage.getItem("growy.theme") ?? "auto";

function turn() {
	const next = { auto: "light", light: "dark" }[theme()];
	if (next) localStorage.setItem("growy.theme", next);
	else localStorage.removeItem("growy.theme");
	window.repaint();
	changed();
}

function route() {
	if (state.session.phase !== "in") return;
	const [name, ...words] = location.hash.slice(1).split("/");
	const tab = TABS.some(([known]) => known === name) ? name : "now";
	if (state.tab === "charts" && tab !== "charts") leaveCharts();
	if (state.tab !== tab) scrollTo(0, 0);
	state.tab = tab;
	if (tab === "charts") aim(words);
	changed();
}

let opened = false;

onEnter(async () => {
	if (opened) reconnect();
	else {
		opened = true;
		open({ message: heard, change: changed });
	}
	await loadAll();
	route();
});

function heard(said) {
	if (said.type === "connection_established") loadAll();
	else take(said);
	changed();
}

for (const [name, every] of POLLS) setInterval(() => state.session.phase === "in" && !document.hidden && load(name), every);
setInterval(() => {
	if (state.session.phase !== "in") return;
	if (unproven()) soon("stops");
	if (state.tab === "rules" && link.up) soon("rules", 1000);
	changed();
}, 1000);
window.addEventListener("hashchange", () => (location.hash.startsWith("#token=") ? begin() : route()));
document.addEventListener("visibilitychange", () => document.hidden || loadAll());
window.addEventListener("themed", redraw);
begin();
