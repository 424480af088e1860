// Charts: up to four sensors, one below the other, over the same time.

import { get, now } from "./api.js";
import { columns, draw, summary } from "./chart.js";
import { h } from "./dom.js";
import { fine } from "./pieces.js";
import { clock, kind, span } from "./format.js";
import { changed, state } from "./state.js";
import { label } from "./view-now.js";

const H = 3600;
const RANGES = [["1h", "1 hour", H, "raw"], ["6h", "6 hours", 6 * H, "1m"], ["1d", "1 day", 24 * H, "5m"], ["1w", "1 week", 168 * H, "1h"], ["1mo", "1 month", 720 * H, "1h"], ["1y", "1 year", 8766 * H, "1d"]];
const MOST = 4;
const AGAIN_MS = { raw: 10000, "1m": 30000, "5m": 60000 }; // so often a picture is drawn anew; coarser ones every five minutes
const SELDOM_MS = 300000;
const POINTS = 1500; // single readings in one picture; beyond, the server draws them together
const charts = new Map(); // by sensor id
let shown = { ids: [], range: "1h", zoom: null };
let timer = null;

/** What the address says: `#charts/<id>,<id>/<range>`. */
export function aim(words) {
	const ids = (words[0] ?? "").split(",").map(decodeURIComponent).filter(Boolean).slice(0, MOST);
	const range = RANGES.some(([name]) => name === words[1]) ? words[1] : "1h";
	if (ids.join() !== shown.ids.join() || range !== shown.range) shown = { ids, range, zoom: null };
	refresh();
}

/** Nobody looks any more. */
export function leave() {
	clearTimeout(timer);
	timer = null;
	for (const chart of charts.values()) chart.plot?.destroy();
	charts.clear();
}

const go = (ids, range) => { location.hash = `charts/${ids.map(encodeURIComponent).join(",")}/${range}`; };

export function chartsView() {
	const rows = [...state.sensors.values()].filter((row) => row.series_id !== null);
	const others = rows.filter((row) => !shown.ids.includes(row.id)).sort((a, b) => label(a).localeCompare(label(b)));
	return [
		h("section", { key: "choose", class: "panel controls" }, h("h2", {}, "Charts"),
			h("div", { class: "row", role: "group", "aria-label": "How long" }, RANGES.map(([name, text]) =>
				h("button", { key: name, type: "button", "data-range": name, "aria-pressed": String(!shown.zoom && name === shown.range), onclick: () => { shown.zoom = null; shown.range === name ? refresh() : go(shown.ids, name); } }, text))),
			shown.ids.length > 0 && h("div", { class: "row", role: "group", "aria-label": "Which part" },
				[["Earlier", -0.5, 1], ["Later", 0.5, 1], ["Closer", 0, 0.5], ["Wider", 0, 2]].map(([text, by, size]) => h("button", { key: text, type: "button", onclick: () => move(by, size) }, text)),
				shown.zoom && h("button", { type: "button", onclick: () => { shown.zoom = null; refresh(); } }, "Up to now")),
			shown.ids.length < MOST && h("label", {}, shown.ids.length ? "Add a sensor " : "Sensor ",
				h("select", { onchange: (event) => { const id = event.target.value; event.target.value = ""; if (id) go([...shown.ids, id], shown.range); } },
					h("option", { value: "", key: "" }, "choose…"), others.map((row) => h("option", { key: row.id, value: row.id }, label(row)))))),
		!shown.ids.length && h("p", { key: "none", class: "panel" }, rows.length ? "Choose a sensor above, or select one under Now." : "No sensor has sent anything yet."),
		shown.ids.map((id) => one(id)),
	];
}

function one(id) {
	const row = state.sensors.get(id);
	const chart = charts.get(id) ?? {};
	if (!row) return h("p", { key: id, class: "panel" }, state.loaded.has("sensors") ? "This sensor is gone." : "Loading…");
	return h("section", { key: id, class: "panel", "data-chart": id, "data-points": chart.data ? String(chart.data[0].length) : null, "aria-label": label(row) },
		h("div", { class: "row" }, h("h3", {}, label(row)),
			h("button", { type: "button", "aria-label": `Take away ${kind(row.sensor_type)}`, onclick: () => go(shown.ids.filter((other) => other !== id), shown.range) }, "Take away")),
		chart.fault && h("p", { class: "bad", role: "status" }, chart.fault),
		h("div", { class: "plot", own: true, role: "img", "aria-label": chart.data ? `Chart. ${summary(chart.data, row.unit)}` : "Chart", made: (box) => { const held = of(id); held.box = box; paint(id); } }),
		fine(chart.data ? `${summary(chart.data, row.unit)} ${chart.grain} Drag over a part to look closer.` : "Loading…"));
}

function of(id) {
	if (!charts.has(id)) charts.set(id, {});
	return charts.get(id);
}

function window_() {
	if (shown.zoom) return shown.zoom;
	const end = now() / 1000;
	return [end - RANGES.find(([name]) => name === shown.range)[2], end];
}

/** Another part of the time: so many widths further, of another width. */
function move(by, size) {
	const [from, to] = window_();
	const middle = (from + to) / 2 + by * (to - from);
	const half = Math.max(30, (size * (to - from)) / 2);
	shown.zoom = [middle - half, middle + half];
	refresh();
}

/** The resolution that a picture of so many seconds deserves. */
function resolution(seconds) {
	return RANGES.find(([, , most]) => seconds <= most * 1.01)?.[3] ?? "1d";
}

async function refresh() {
	clearTimeout(timer);
	for (const [id, chart] of charts) if (!shown.ids.includes(id)) { chart.plot?.destroy(); charts.delete(id); }
	changed();
	await Promise.all(shown.ids.map(fetchOne));
	clearTimeout(timer);
	if (state.tab === "charts" && shown.ids.length) timer = setTimeout(refresh, AGAIN_MS[resolution(window_()[1] - window_()[0])] ?? SELDOM_MS);
}

async function fetchOne(id) {
	const row = state.sensors.get(id);
	if (!row || row.series_id === null) return;
	const chart = of(id);
	const [from, to] = window_();
	const grain = resolution(to - from);
	const query = new URLSearchParams({ series_id: row.series_id, start_time: new Date(from * 1000).toISOString(), end_time: new Date(to * 1000).toISOString() });
	query.set("resolution", grain);
	if (grain === "raw") query.set("max_points", POINTS);
	try {
		const said = await get(`/api/v1/sensors/data?${query}`);
		if (!shown.ids.includes(id)) return;
		Object.assign(chart, { data: columns(said), range: [from, to], fault: "", at: now(),
			grain: said.bucket_seconds ? `Each point stands for ${span(said.bucket_seconds * 1000)}.` : "Each point is one reading." });
	} catch (error) {
		chart.fault = `Not loaded: ${error.message}${chart.at ? ` What you see is of ${clock(chart.at)}.` : ""}`;
	}
	paint(id);
	changed();
}

function paint(id) {
	const chart = charts.get(id);
	if (!chart?.box || !chart.data || !window.uPlot) return;
	const row = state.sensors.get(id);
	if (chart.plot && chart.box.contains(chart.plotted)) chart.plot.update(chart.data, chart.range);
	else {
		chart.plot = draw(chart.box, row.unit, chart.data, chart.range, (from, to) => { shown.zoom = [from, to]; refresh(); });
		chart.plotted = chart.box.firstElementChild;
	}
}

/** The lines take the colours of the theme only when they are drawn anew. */
export function redraw() {
	for (const [id, chart] of charts) {
		chart.plot?.destroy();
		chart.plot = null;
		paint(id);
	}
}

new ResizeObserver(() => charts.forEach((chart) => chart.plot?.resize())).observe(document.documentElement);
