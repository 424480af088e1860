// Zones, their devices, and what each sensor says now.

import { now } from "./api.js";
import { h } from "./dom.js";
import { NOTHING, ago, clock, kind, number, plural, unitOf, withUnit } from "./format.js";
import { fine, icon, none } from "./pieces.js";
import { given, isCurrent, isHistory, judge, judgeActuator, place, sensorName } from "./judge.js";
import { link } from "./live.js";
import { state } from "./state.js";

const SIGNS = { stale: "clock", error: "error", offline: "cut", lost: "cut", never: "unknown", off: "off", doubtful: "warning" };

export function nowView() {
	const devices = state.devices.filter((one) => one.status !== "rejected");
	if (!devices.length) {
		return none("Now", "devices", "No device has been heard yet. Switch one on that is provisioned for this Pi: it announces itself.");
	}
	const zones = new Map();
	for (const device of devices) {
		const id = device.zone_id ?? "";
		if (!zones.has(id)) zones.set(id, []);
		zones.get(id).push(device);
	}
	const sensors = byDevice(state.sensors.values());
	const actuators = byDevice(state.actuators.values());
	return [...zones].sort(([a], [b]) => (a === "") - (b === "") || a.localeCompare(b)).map(([id, those]) =>
		h("section", { key: `zone:${id}`, class: "zone", "aria-label": zoneName(id) },
			h("h2", {}, zoneName(id)),
			h("div", { class: "cards" }, those.map((device) => card(device, sensors.get(device.esp_id) ?? [], actuators.get(device.esp_id) ?? [])))));
}

function byDevice(rows) {
	const found = new Map();
	for (const row of rows) {
		if (!found.has(row.esp_id)) found.set(row.esp_id, []);
		found.get(row.esp_id).push(row);
	}
	return found;
}

export function zoneName(id) {
	if (!id) return "In no zone";
	return state.zones.find((one) => one.zone_id === id)?.name || id;
}

export function presence(device) {
	if (!link.up) return { sign: "cut", word: "not known now", bad: true };
	if (device.status === "pending_approval") return { sign: "unknown", word: "waits for approval", bad: true };
	if (device.status === "error") return { sign: "error", word: "online, in its error state", bad: true };
	return device.online ? { sign: "good", word: "online", bad: false } : { sign: "cut", word: "offline", bad: true };
}

function card(device, every, actuators) {
	const sensors = every.filter((row) => !isHistory(row, state, now()));
	const gone = every.length - sensors.length;
	const there = presence(device);
	return h("article", { key: device.esp_id, class: "card", "data-esp": device.esp_id, "aria-label": device.name || device.esp_id },
		h("header", {},
			h("h3", {}, device.name || device.esp_id),
			h("p", { class: there.bad ? "status bad" : "status" }, icon(there.sign), there.word,
				h("span", { class: "fine" }, ` · ${device.name ? `${device.esp_id} · ` : ""}heartbeat ${ago(device.last_seen && Date.parse(device.last_seen), now())}`))),
		sensors.length ? h("ul", { class: "readings" }, sensors.map((row) => reading(row, sensors.filter((other) => given(other) === given(row) && other.sensor_type === row.sensor_type).length > 1))) : fine("No sensor has sent anything yet."),
		gone > 0 && fine(`Not shown: ${plural(gone, "sensor")} that nobody has set up, silent for more than a day.`),
		actuators.length > 0 && h("ul", { class: "outputs" }, actuators.map(output)));
}

function reading(row, alike) {
	const verdict = judge(row, state, link, now());
	const current = isCurrent(verdict);
	const heard = row.heard;
	const last = !current && heard && heard.value !== null ? `last ${withUnit(heard.value, row.unit)}, ` : "";
	const age = heard && h("span", { class: "age", title: clock(heard.at) }, ` ${last}${ago(heard.at, now())}`);
	return h("li", { key: row.id, class: `reading ${verdict.state}`, "data-sensor": row.id, "data-state": verdict.state },
		h("span", { class: "name" }, h("a", { href: `#charts/${encodeURIComponent(row.id)}`, title: "Show its chart" }, given(row) || kind(row.sensor_type)),
			h("span", { class: "fine" }, given(row) && ` ${kind(row.sensor_type)}`, alike && ` · ${place(row)}`, current && age)),
		h("span", { class: "value" }, current ? number(heard.value, row.unit) : NOTHING, " ", h("span", { class: "unit" }, unitOf(row.unit))),
		verdict.word && h("span", { class: "note" }, icon(SIGNS[verdict.state] ?? "warning"), h("strong", {}, verdict.word), !current && age));
}

function output(row) {
	const is = judgeActuator(row, state, link);
	return h("li", { key: `${row.gpio}`, class: `output ${is.state}` },
		h("a", { class: "name", href: "#switches" }, row.name || `Pin ${row.gpio}`),
		h("span", { class: "lamp" }, icon(is.state === "on" ? "on" : is.state === "off" ? "off" : "unknown"), is.word),
		row.why?.code && h("span", { class: "note" }, icon("warning"), "safety says no"));
}

export const label = (row) => `${sensorName(row)}, ${place(row)} (${state.byEsp.get(row.esp_id)?.name || row.esp_id})`;
