// What may be said of a value, a device, an actuator: an old value is never a present one. Pure.

import { kind, span } from "./format.js";

const WORDS = { poor: "poor quality", suspect: "doubtful", stale: "stale", unknown: "quality not known" };

/** A person's name of what growyd calls whoever did something: `user:robin`. */
export const who = (by) => (by ?? "").replace(/^(user|key):/, "");

const deviceOf = (state, espId) => state.byEsp.get(espId);

/** A device's name for people; the id where nobody gave one. */
export function deviceName(state, espId) {
	return deviceOf(state, espId)?.name || espId;
}

/** What people called a sensor; "" where only growyd did, after its type and pin. */
export const given = (row) => (row.name && !(row.name.endsWith(` ${row.gpio}`) && row.sensor_type.startsWith(row.name.split(" ")[0])) ? row.name : "");

export const sensorName = (row) => (given(row) ? `${given(row)}: ${kind(row.sensor_type)}` : kind(row.sensor_type));

/** Where on its device a sensor is, for those that would else look alike. */
export function place(row) {
	if (row.bus === "derived") return "computed";
	if (row.onewire_address) return `probe …${row.onewire_address.slice(-4)}`;
	return row.i2c_address === null || row.i2c_address === undefined ? `pin ${row.gpio}` : `I²C ${row.i2c_address}`;
}

/** A text of growyd with its names for sensors and devices said as people say them. */
export function plain(text, state) {
	return (text ?? "").replace(/\b((?:ESP|MOCK)_[A-Z0-9]+)(?::(\d+)(?:\/(\w+))?)?/g, (whole, esp, gpio, type) => {
		const name = deviceName(state, esp);
		if (type) return `${kind(type)} (${name})`;
		const row = gpio === undefined ? null : state.actuators.get(`${esp}:${gpio}`);
		return row?.name ? `${row.name} (${name})` : gpio === undefined ? name : `${name}, pin ${gpio}`;
	});
}

/**
 * How a sensor's newest value is to be shown: `{state, word}`.
 * `fresh`: as it is. `doubtful`: shown, with the word. Everything else is no value of now, and `word` says why.
 */
export function judge(row, state, link, now) {
	if (!row.enabled) return { state: "off", word: "switched off" };
	if (!link.up) return { state: "lost", word: "not known now: cut off from growyd" };
	if (!row.heard) return { state: "never", word: "no reading yet" };
	const age = now - row.heard.at;
	const limit = row.max_age_seconds;
	const device = deviceOf(state, row.esp_id);
	if (row.heard.quality === "error" || row.heard.value === null) {
		return { state: "error", word: "error: the sensor gives no value" };
	}
	if (device && !device.online && device.status !== "pending_approval") return { state: "offline", word: "its device is offline" };
	if (limit !== null && limit !== undefined && age > limit * 1000) return { state: "stale", word: `silent for ${span(age)}` };
	const word = WORDS[row.heard.quality];
	return word ? { state: "doubtful", word } : { state: "fresh", word: "" };
}

export const isCurrent = (verdict) => verdict.state === "fresh" || verdict.state === "doubtful";

const DAY_MS = 86400000;

/** Whether a sensor that nobody has set up has been gone so long that it is history: replaced, or its device given up. */
export const isHistory = (row, state, now) => !deviceOf(state, row.esp_id) || (!row.config_id && row.heard && now - row.heard.at > DAY_MS);

/** An actuator's state for people: `{state, word}`; `state` is on, off, unknown or offline. */
export function judgeActuator(row, state, link) {
	const device = deviceOf(state, row.esp_id);
	if (!link.up) return { state: "unknown", word: "Not known now" };
	if (device && !device.online) return { state: "unknown", word: "Not known: device offline" };
	if (row.current_value === null) return { state: "unknown", word: "Not known yet" };
	return row.current_value > 0 ? { state: "on", word: row.current_value < 1 ? `On, ${Math.round(row.current_value * 100)} %` : "On" } : { state: "off", word: "Off" };
}

const SEEN = new Set(["devices", "sensors", "rules", "actuators"]); // areas that this list looks at itself
const SERIOUS = { critical: 0, error: 1, warning: 2, info: 3 };

/** Everything that is wrong now, worst first: `{key, severity, text, cure}`. */
export function alarms(state, link, now) {
	const found = [];
	const say = (key, severity, text, cure = "") => found.push({ key, severity: severity in SERIOUS ? severity : "warning", text, cure });
	for (const stop of state.stops) {
		const left = stop.devices.filter((one) => one.state !== "proven").length;
		say(`stop:${stop.id}`, "critical", `Emergency stop of ${plain(stop.text, state).replace("by user:", "by ")}`, left ? `${left} of ${stop.devices.length} devices have not proven it yet` : "Every device has proven it");
	}
	for (const device of state.devices) {
		if (device.status === "error") say(`state:${device.esp_id}`, "error", `${device.name || device.esp_id} says that it is in its error state`);
		else if (link.up && !device.online && device.status !== "pending_approval" && device.status !== "rejected")
			say(`offline:${device.esp_id}`, "error", `Device ${device.name || device.esp_id} is offline`, device.last_seen ? `Last heard ${span(now - Date.parse(device.last_seen))} ago. Look after its power and its WiFi` : "It has not been heard yet");
	}
	for (const row of state.sensors.values()) {
		if (isHistory(row, state, now)) continue;
		const name = `${sensorName(row)} on ${deviceName(state, row.esp_id)}`;
		const verdict = judge(row, state, link, now);
		if (verdict.state === "stale" || verdict.state === "error")
			say(`sensor:${row.id}:${verdict.state}`, "warning", `${name}: ${verdict.state === "stale" ? "no reading any more" : verdict.word}`, "Look after the sensor and its cable. Rules that need it do nothing meanwhile");
		if (row.config_status === "failed") say(`config:${row.id}`, "warning", `${name} was not accepted: ${row.config_error ?? ""}`, row.config_cure ?? "");
	}
	for (const rule of state.rules) {
		if (rule.fault) say(`fault:${rule.id}`, "error", `Rule ${rule.name} cannot run`, plain(rule.fault, state));
		else if (rule.degraded_since) say(`degraded:${rule.id}`, rule.is_critical ? "critical" : "warning", `Rule ${rule.name} holds and cannot act`, plain(rule.degraded_reason, state));
		else if (rule.enabled && rule.situation?.unknown) say(`blind:${rule.id}`, "warning", `Rule ${rule.name} cannot be judged`, plain(rule.situation.why, state));
	}
	for (const row of state.actuators.values()) {
		if (row.config_status === "failed") say(`config:${row.id}`, "warning", `${row.name || `Pin ${row.gpio}`} on ${deviceName(state, row.esp_id)} was not accepted: ${row.config_error ?? ""}`, row.config_cure ?? "");
	}
	for (const cause of state.causes) say(`cause:${cause.code}`, state.health?.status === "unhealthy" ? "critical" : "error", plain(cause.message, state), cause.cure ?? "");
	for (const one of state.doctor) if (one.level === "red" && !SEEN.has(one.area)) say(`doctor:${one.area}:${one.code}`, "error", plain(one.message, state), plain(one.cure, state));
	for (const [name, text] of state.faults) say(`asked:${name}`, "warning", `Not known, because growyd could not be asked: ${name}`, text);
	if (state.pending.length) say("pending", "info", `${state.pending.length} new ${state.pending.length === 1 ? "device waits" : "devices wait"} for approval`, "See Devices");
	return found.sort((a, b) => SERIOUS[a.severity] - SERIOUS[b.severity]);
}
