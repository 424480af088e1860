// The emergency stop: one action stops, two end it, and nothing is called stopped before its device has proven it.

import { post, now } from "./api.js";
import { h } from "./dom.js";
import { ago, clock, plural } from "./format.js";
import { bad, icon } from "./pieces.js";
import { deviceName, who } from "./judge.js";
import { link } from "./live.js";
import { changed, hindrance, load, state } from "./state.js";

const PATIENCE_MS = 6000;
const AGAIN_MS = 1500;
const press = { sending: false, tries: 0, fault: "" };
const ending = { asked: false, sending: false, said: "" };
const rest = (ms) => new Promise((done) => setTimeout(done, ms));

/** Stops everything; where no answer comes it is tried until one does. */
async function stopEverything() {
	if (press.sending) return;
	Object.assign(press, { sending: true, tries: 0, fault: "" });
	Object.assign(ending, { asked: false, said: "" });
	while (press.sending) {
		press.tries += 1;
		changed();
		try {
			await post("/api/v1/actuators/emergency_stop", { reason: "Stopped on the page" }, PATIENCE_MS);
			Object.assign(press, { sending: false, fault: "" });
		} catch (error) {
			press.fault = error.message;
			const final = error.status >= 400 && error.status < 500 && error.status !== 429;
			if (final) press.sending = false;
			else {
				changed();
				await rest(AGAIN_MS);
			}
		}
	}
	await load("stops");
	load("actuators");
}

async function endStop() {
	Object.assign(ending, { asked: false, sending: true, said: "" });
	changed();
	try {
		const said = await post("/api/v1/actuators/clear_emergency", { reason: "Ended on the page" });
		ending.said = said.success ? "" : [said.message, ...said.details.filter((one) => one.state !== "cleared").map((one) => `${deviceName(state, one.esp_id)}: ${one.state}${one.reason ? `, ${one.reason}` : ""}`)].join(". ");
	} catch (error) {
		ending.said = error.status === 0 ? `Not known whether the stop has ended: ${error.message}` : `The stop was NOT ended: ${error.message}`;
	}
	ending.sending = false;
	await load("stops");
	load("actuators");
}

function ask() {
	ending.asked = true;
	changed();
}

/** What is fixed at the edge of the page, in reach wherever one has scrolled. */
export function stopBar() {
	if (state.session.phase !== "in") return null;
	const no = hindrance();
	const active = state.stops.length > 0;
	return h("div", { class: active ? "stopbar active" : "stopbar" },
		h("button", { id: "stop-everything", class: "stop", type: "button", disabled: no !== null, onclick: stopEverything, "aria-describedby": "stop-state" },
			icon("error"), press.sending ? "Stopping…" : active ? "Stop again" : "STOP EVERYTHING"),
		h("div", { id: "stop-state", class: "stopstate" }, no ? `Emergency stop: ${no}` : summary()),
		active && !no && !ending.asked && h("button", { id: "stop-end", key: "end", type: "button", disabled: ending.sending, onclick: ask }, ending.sending ? "Ending… (takes some seconds)" : "End the stop…"),
		active && ending.asked && question());
}

function summary() {
	if (press.sending && press.fault) return h("strong", {}, `NOT STOPPED YET: ${press.fault} Trying again (${press.tries}). Switch off by hand!`);
	if (press.fault) return h("strong", {}, `NOT STOPPED: ${press.fault}`);
	if (state.faults.has("stops")) return `Whether a stop is in force is not known: ${state.faults.get("stops")}`;
	if (!state.loaded.has("stops")) return "Asking whether a stop is in force…";
	if (!link.up) return h("strong", {}, `Cut off: not known now. ${state.stops.length ? "A stop was in force" : "No stop was in force"} when growyd was last heard.`);
	if (!state.stops.length) return "No emergency stop is in force";
	const devices = state.stops.flatMap((stop) => stop.devices);
	const proven = devices.filter((one) => one.state === "proven").length;
	const what = state.stops.some((stop) => stop.scope === "all") ? "Everything is stopped" : "A stop is in force";
	return [h("strong", {}, what), ` · proven by ${proven} of ${plural(devices.length, "device")}`];
}

/** The proof, device by device; null while no stop is in force. */
export function proof() {
	if (!state.stops.length) return ending.said ? h("section", { class: "panel danger" }, h("p", {}, ending.said)) : null;
	return h("section", { class: "panel danger", id: "proof", "aria-label": "Emergency stop and its proof" },
		h("h2", {}, icon("error"), "Emergency stop"),
		ending.said && h("p", {}, h("strong", {}, ending.said)),
		state.stops.map((stop) => h("div", { key: stop.id, class: "stopped" },
			h("p", {}, h("strong", {}, stop.scope === "all" ? "Everything" : `${deviceName(state, stop.esp_id)}${stop.gpio === null ? "" : `, pin ${stop.gpio}`}`),
				` · by ${who(stop.by) || "somebody"}, ${clock(Date.parse(stop.since))} (${ago(Date.parse(stop.since), now())}): ${stop.reason}`),
			!stop.durable && bad("warning", "The disk has not taken it yet: a restart of growyd would forget it."),
			h("ul", { class: "proofs" }, [...stop.devices].sort((a, b) => (a.state === "proven") - (b.state === "proven")).map(proofOf)),
			!stop.devices.length && h("p", {}, "No device is known that could be stopped."))));
}

const PROVEN = {
	acknowledged: "its device has answered", latched: "every actuator says that it is off and held",
	off: "every actuator says that it is off", nothing: "it has nothing to switch",
};

function proofOf(one) {
	const done = one.state === "proven";
	const words = done ? `Proven: ${PROVEN[one.proof] ?? one.proof}${one.after_ms === null ? "" : `, after ${one.after_ms} ms`}`
		: one.state === "offline" ? "NOT PROVEN: it is offline, and is told when it comes back. Go and look"
		: one.state === "refused" ? `NOT PROVEN: it refuses (${one.reason}). Switch it off by hand`
		: one.told ? `NOT PROVEN YET: told ${plural(one.told, "time")}, no answer so far` : "NOT PROVEN YET: it could not be told so far";
	return h("li", { key: one.esp_id, class: done ? "proven" : "unproven", "data-state": one.state },
		icon(done ? "good" : "warning"), h("span", {}, h("strong", {}, deviceName(state, one.esp_id)), ` ${words}.`,
			one.actuators.length > 0 && h("span", { class: "fine" }, ` ${one.actuators.map((pin) => pinOf(one.esp_id, pin)).join(" · ")}`)));
}

function pinOf(espId, pin) {
	const name = state.actuators.get(`${espId}:${pin.gpio}`)?.name || `Pin ${pin.gpio}`;
	return `${name}: ${pin.off === true ? "off" : pin.off === false ? "STILL ON" : "has said nothing"}`;
}

/** The second of two deliberate actions. Not a modal box: the stop button stays in reach. */
function question() {
	const open = state.stops.flatMap((stop) => stop.devices).filter((one) => one.state !== "proven").length;
	return h("div", { key: "question", class: "question", role: "group", "aria-labelledby": "end-title", onkeydown: (event) => { if (event.key === "Escape") leave(); } },
		h("p", { id: "end-title" }, h("strong", {}, "End the emergency stop? "), "Rules and people can switch again at once. Is nobody at the machines?",
			open > 0 && h("span", { class: "bad" }, ` ${plural(open, "device")} never proved the stop.`)),
		h("button", { id: "stop-end-no", type: "button", onclick: leave, made: (button) => queueMicrotask(() => button.focus()) }, "Leave it stopped"),
		h("button", { id: "stop-end-yes", class: "danger", type: "button", onclick: endStop }, "Yes, end it"));
}

function leave() {
	ending.asked = false;
	changed();
	setTimeout(() => document.getElementById("stop-end")?.focus(), 300);
}

/** Whether it is worth asking again soon. */
export const unproven = () => state.stops.some((stop) => !stop.proven);
