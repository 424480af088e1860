// What the page knows, and how it comes to know it: whole lists by HTTP, changes by the live stream.

import { ApiError, all, get, onLost } from "./api.js";
import { moment } from "./format.js";

export const state = {
	session: { phase: "asking", user: null, fault: "" }, // asking, setup, login, in
	devices: [], byEsp: new Map(), pending: [], zones: [], rules: [], stops: [], doctor: [], causes: [], health: null,
	sensors: new Map(), // by id; `heard` holds the newest reading
	bySeries: new Map(),
	actuators: new Map(), // by "ESP:gpio"
	notices: [], // what happened, newest first
	faults: new Map(), // lists that could not be loaded, with why
	loaded: new Set(),
	tab: "now",
};

const RANKS = { viewer: 1, operator: 2, admin: 3 };
let draw = () => {};

export const onChange = (told) => { draw = told; };
export const changed = () => draw();

export const may = (role) => (RANKS[state.session.user?.role] ?? 0) >= RANKS[role];

/** What to say beside a switch that this person may not use; null when they may. */
export function hindrance(role = "operator") {
	if (may(role)) return null;
	return `You are logged in as ${state.session.user?.role ?? "nobody"}: this needs the role ${role}.`;
}

// --- whole lists -----------------------------------------------------------------------------------------------------

const LOADS = {
	devices: async () => {
		state.devices = await all("/api/v1/esp/devices");
		state.byEsp = new Map(state.devices.map((one) => [one.esp_id, one]));
	},
	pending: async () => { state.pending = may("operator") ? (await get("/api/v1/esp/devices/pending")).devices : []; },
	zones: async () => { state.zones = (await get("/api/v1/zones")).zones; },
	sensors: async () => takeSensors(await all("/api/v1/sensors")),
	actuators: async () => {
		state.actuators = new Map((await all("/api/v1/actuators")).map((one) => [`${one.esp_id}:${one.gpio}`, one]));
	},
	rules: async () => { state.rules = await all("/api/v1/logic/rules"); },
	stops: async () => { state.stops = (await get("/api/v1/actuators/emergency")).stops; },
	health: async () => {
		try {
			state.health = await get("/api/v1/health");
		} catch (error) {
			if (error.status !== 503) throw error;
			state.health = { status: "unhealthy", causes: [{ code: "unhealthy", message: error.message }] };
		}
		state.causes = state.health.causes ?? [];
	},
	doctor: async () => { state.doctor = (await get("/api/v1/doctor")).findings.filter((one) => one.level !== "green"); },
};
const GAP_MS = { sensors: 2000, doctor: 60000, zones: 3000, devices: 1000, rules: 1000 };
const jobs = new Map();

/** Loads a list soon: wishes that come close together are one question, and one at a time. */
export function soon(name, delay = 150) {
	const job = jobs.get(name) ?? { timer: null, running: false, again: false, at: -Infinity };
	jobs.set(name, job);
	if (job.running) job.again = true;
	else job.timer ??= setTimeout(() => load(name), Math.max(delay, job.at + (GAP_MS[name] ?? 500) - Date.now()));
}

/** Loads a list now. Never throws: why it could not be had is kept in `state.faults`. */
export async function load(name) {
	const job = jobs.get(name) ?? { timer: null, running: false, again: false, at: 0 };
	jobs.set(name, job);
	clearTimeout(job.timer);
	job.timer = null;
	if (job.running) job.again = true; // what runs may have been answered before whatever is to be seen now
	if (job.running || state.session.phase !== "in") return;
	job.running = true;
	try {
		await LOADS[name]();
		state.faults.delete(name);
		state.loaded.add(name);
	} catch (error) {
		if (!(error instanceof ApiError)) console.error(error);
		state.faults.set(name, error.message);
	} finally {
		job.running = false;
		job.at = Date.now();
		changed();
		if (job.again) {
			job.again = false;
			soon(name);
		}
	}
}

export const loadAll = () => Promise.all(Object.keys(LOADS).map(load));

function takeSensors(rows) {
	const sensors = new Map();
	state.bySeries.clear();
	for (const row of rows) {
		const known = state.sensors.get(row.id)?.heard;
		const at = moment(row.latest_timestamp);
		const told = at === null ? null : { value: row.latest_value, quality: row.latest_quality, at };
		row.heard = known && (!told || known.at > told.at) ? known : told; // the stream may be ahead of the list
		sensors.set(row.id, row);
		if (row.series_id !== null) state.bySeries.set(row.series_id, row);
	}
	state.sensors = sensors;
}

// --- changes ---------------------------------------------------------------------------------------------------------

const TOUCHES = [
	[/^actuator_|^conflict/, ["actuators"]],
	[/^actuator_alert|^emergency_/, ["stops", "actuators"]],
	[/^(logic_execution|rule_|sequence_)/, ["rules", "actuators"]],
	[/^(esp_|device_|config_)/, ["devices", "pending", "actuators"]],
	[/^(zone|subzone)_/, ["zones", "devices"]],
	[/^(sensor_config|sensor_health)/, ["sensors"]],
	[/^notification|^system_event/, ["health"]],
];
const TELLING = new Set([
	"actuator_alert", "notification", "notification_new", "system_event", "rule_degraded", "rule_recovered",
	"actuator_command_failed", "error_event", "sequence_error",
]);
const MOST_NOTICES = 100;

/** Takes one message of the live stream. */
export function take(said) {
	const { type, data } = said;
	if (type === "sensor_data") {
		const row = state.bySeries.get(data.series_id);
		if (!row) soon("sensors");
		else if (!row.heard || data.timestamp_ms >= row.heard.at)
			row.heard = { value: data.value, quality: data.quality, at: data.timestamp_ms };
		return;
	}
	if (type === "actuator_status") {
		const row = state.actuators.get(`${data.esp_id}:${data.gpio}`);
		if (row) Object.assign(row, { current_value: data.value, is_active: data.value > 0, reported_at: new Date(said.timestamp * 1000).toISOString() });
	}
	if (type === "esp_health") {
		const device = state.byEsp.get(data.esp_id);
		if (device && (data.status === "online" || data.status === "offline")) device.online = data.status === "online";
	}
	if (TELLING.has(type)) note(type, data, said.timestamp);
	for (const [pattern, lists] of TOUCHES) if (pattern.test(type)) lists.forEach((name) => soon(name));
}

function note(type, data, stamp) {
	const text = data.message || data.title || type.replaceAll("_", " ");
	const severity = data.severity ?? (type === "rule_recovered" ? "info" : "warning");
	const where = [!text.includes(data.rule_name) && data.rule_name, data.esp_id && `${data.esp_id}${data.gpio === null || data.gpio === undefined ? "" : ` pin ${data.gpio}`}`];
	state.notices.unshift({ at: stamp * 1000, severity, text: [...where.filter(Boolean), text].join(": ") });
	state.notices.length = Math.min(state.notices.length, MOST_NOTICES);
}

onLost(() => {
	if (state.session.phase === "in") Object.assign(state.session, { phase: "login", user: null, fault: "Your login has ended. Log in again." });
	changed();
});
