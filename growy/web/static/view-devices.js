// Devices: new ones to approve or to reject, and how those that are known are doing.

import { now, post } from "./api.js";
import { h } from "./dom.js";
import { ago, span } from "./format.js";
import { bad, fine, icon, panel } from "./pieces.js";
import { changed, hindrance, load, state } from "./state.js";
import { presence, zoneName } from "./view-now.js";

const busy = new Set();
const faults = new Map();

export function devicesView() {
	const no = hindrance();
	const waiting = state.devices.filter((one) => one.status === "pending_approval");
	const rest = state.devices.filter((one) => one.status !== "pending_approval");
	return [
		panel("Waiting for approval",
			no && waiting.length > 0 && h("p", {}, icon("info"), no),
			waiting.length ? h("div", { class: "cards" }, waiting.map((one) => newcomer(one, no))) : h("p", {}, "No device waits.")),
		panel("Known devices",
			rest.length ? h("div", { class: "wide" }, h("table", {}, h("thead", {}, h("tr", {}, ["Device", "Zone", "State", "Heartbeat", "WiFi", "Running for", "Firmware"].map((text) => h("th", { scope: "col" }, text)))),
				h("tbody", {}, rest.map(line)))) : h("p", {}, "None yet.")),
	];
}

function line(device) {
	const there = device.status === "rejected" ? { sign: "off", word: "rejected", bad: false } : presence(device);
	return h("tr", { key: device.esp_id },
		h("th", { scope: "row" }, device.name || device.esp_id, device.name && h("span", { class: "fine" }, ` ${device.esp_id}`)),
		h("td", {}, zoneName(device.zone_id)),
		h("td", { class: there.bad ? "bad" : "" }, icon(there.sign), there.word),
		h("td", {}, ago(device.last_seen && Date.parse(device.last_seen), now())),
		h("td", {}, device.wifi_rssi === null ? "–" : `${device.wifi_rssi} dBm, ${device.wifi_rssi > -67 ? "good" : device.wifi_rssi > -80 ? "weak" : "very weak"}`),
		h("td", {}, device.uptime === null ? "–" : span(device.uptime * 1000 + now() - Date.parse(device.last_seen))),
		h("td", {}, device.firmware_version || device.firmware_generation || "–"));
}

function newcomer(device, no) {
	const id = device.esp_id;
	return h("article", { key: id, class: "card", "data-pending": id, "aria-label": id },
		h("header", {}, h("h3", {}, device.name || id), fine(`${device.hardware_type ?? ""} ${device.ip_address ?? ""} · ${device.sensor_count ?? 0} sensors, ${device.actuator_count ?? 0} actuators · heard ${ago(device.last_seen && Date.parse(device.last_seen), now())}`)),
		device.configured_before && bad("warning", "It came with sensors or actuators that somebody else had set up."),
		no === null && h("form", { class: "controls", onsubmit: (event) => decide(event, id) },
			h("label", {}, "Name ", h("input", { name: "name", maxlength: "64", autocomplete: "off", start: device.name ?? "" })),
			h("label", {}, "Zone ", h("input", { name: "zone", maxlength: "32", pattern: "[A-Za-z0-9_\\-]*", autocomplete: "off", start: device.zone_id ?? "", title: "Letters, digits, _ and -" })),
			h("button", { type: "submit", value: "approve", disabled: busy.has(id) }, "Approve"),
			h("label", {}, "Reason ", h("input", { name: "reason", maxlength: "500", autocomplete: "off" })),
			h("button", { type: "submit", value: "reject", class: "danger", disabled: busy.has(id) }, "Reject")),
		faults.has(id) && h("p", { class: "bad", role: "status" }, icon("error"), faults.get(id)));
}

async function decide(event, id) {
	event.preventDefault();
	const said = new FormData(event.target);
	const reject = event.submitter?.value === "reject";
	const reason = String(said.get("reason")).trim();
	faults.delete(id);
	if (reject && !reason) {
		faults.set(id, "Say why it is rejected: whoever looks for the device later will ask.");
		return changed();
	}
	const zone = String(said.get("zone")).trim();
	const name = String(said.get("name")).trim();
	busy.add(id);
	changed();
	try {
		await post(`/api/v1/esp/devices/${encodeURIComponent(id)}/${reject ? "reject" : "approve"}`, reject ? { reason } : { ...(name && { name }), ...(zone && { zone_id: zone }) });
	} catch (error) {
		faults.set(id, error.message);
	}
	busy.delete(id);
	await Promise.all([load("devices"), load("pending"), load("zones")]);
}
