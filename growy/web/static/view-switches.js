// Actuators: what each does, WHY, and a switch for those who may.

import { get, now, post } from "./api.js";
import { h } from "./dom.js";
import { ago, clock, level, moment, span } from "./format.js";
import { bad, fine, icon, none } from "./pieces.js";
import { deviceName, judgeActuator, plain } from "./judge.js";
import { link } from "./live.js";
import { changed, hindrance, soon, state } from "./state.js";
import { zoneName } from "./view-now.js";

const RANKS = { safety: "the safety machine", person: "a person", critical: "a critical rule", rule: "a rule", default: "nobody" };
const TIMES = [["0", "until changed, at most its longest run"], ["60", "for 1 minute"], ["300", "for 5 minutes"], ["900", "for 15 minutes"], ["3600", "for 1 hour"]];
const SILENT_MS = 150000; // devices tell of each actuator every 30 s
const answers = new Map(); // by actuator: {state, text} of what was switched last
const choices = new Map(); // by actuator: {duration, percent}
const claims = new Map(); // by actuator, where they are unfolded

export function switchesView() {
	const rows = [...state.actuators.values()];
	if (!rows.length) {
		return none("Switches", "actuators", "No actuator is set up yet: growyd has nothing to switch.");
	}
	const no = hindrance();
	const zones = new Map();
	for (const row of rows) zones.set(row.zone_id ?? "", [...(zones.get(row.zone_id ?? "") ?? []), row]);
	return [
		no && h("p", { key: "no", class: "panel" }, icon("info"), no),
		[...zones].sort(([a], [b]) => a.localeCompare(b)).map(([id, those]) => h("section", { key: `zone:${id}`, class: "zone" },
			h("h2", {}, zoneName(id)), h("div", { class: "cards" }, those.map((row) => card(row, no))))),
	];
}

function card(row, no) {
	const key = `${row.esp_id}:${row.gpio}`;
	const is = judgeActuator(row, state, link);
	return h("article", { key, class: `card actuator ${is.state}`, "data-actuator": key, "data-state": is.state, "aria-label": row.name || key },
		h("header", {}, h("h3", {}, row.name || `Pin ${row.gpio}`),
			h("p", { class: "lamp big" }, icon(is.state === "on" ? "on" : is.state === "off" ? "off" : "unknown"), is.word),
			fine(`${deviceName(state, row.esp_id)}, pin ${row.gpio} · said ${ago(moment(row.reported_at), now())}`,
				row.is_active && row.on_since && ` · on for ${span(now() - moment(row.on_since))}`,
				row.run_today_seconds > 0 && ` · ${span(row.run_today_seconds * 1000)} today`)),
		link.up && is.state !== "unknown" && now() - moment(row.reported_at) > SILENT_MS &&
			bad("clock", `Its device has said nothing of it for ${span(now() - moment(row.reported_at))}: this may be old.`),
		why(row),
		row.wanted_value !== null && row.current_value !== null && row.output_value !== row.current_value && is.state !== "unknown" &&
			h("p", { class: "note" }, icon("clock"), `growyd drives it to ${level(row.output_value).toLowerCase()}; its device has not said so yet.`),
		row.config_status === "pending" && h("p", { class: "note" }, icon("clock"), "Its device has not confirmed yet that it is set up like this."),
		row.config_status === "failed" && bad("error", `Its device does not take it: ${row.config_error ?? ""} ${row.config_cure ?? ""}`),
		no ? null : controls(row, key),
		said(key),
		h("details", { ontoggle: (event) => { if (event.target.open) unfold(row, key); } }, h("summary", {}, "All who want something of it"), claimed(key)));
}

/** Why it is as it is, in sentences. */
function why(row) {
	const why = row.why ?? {};
	const lines = [];
	if (row.emergency) lines.push(bad("error", h("strong", {}, "Held by an emergency stop."), " Nothing but off passes until somebody ends it."));
	if (why.rank && why.rank !== "default") {
		const until = moment(why.until);
		lines.push(h("p", {}, h("strong", {}, holder(why)), ` wants it ${level(why.claimed_value).toLowerCase()}`,
			why.since && ` since ${clock(moment(why.since))}`,
			until ? ` until ${clock(until)}${until > now() ? ` (${span(until - now())} more)` : ""}` : " until that changes", "."));
	} else if (!row.emergency) lines.push(h("p", {}, why.text === "nobody claims it" ? "Nobody wants anything of it: it rests." : sentence(plain(why.text, state))));
	if (why.code && !row.emergency) {
		lines.push(bad("warning", h("strong", {}, "Safety says no: "), sentence(plain(why.message, state)), why.cure && ` ${sentence(plain(why.cure, state))}`,
			why.again_at && moment(why.again_at) > now() && ` Possible again in ${span(moment(why.again_at) - now())}.`));
	}
	if (row.lease_until && row.is_active) lines.push(fine(`If growyd falls silent, the device switches off by itself at ${clock(moment(row.lease_until))}.`));
	return h("div", { class: "why" }, lines);
}

function holder(claim) {
	const [kind, ...rest] = (claim.issued_by || claim.holder || "").split(":");
	const name = rest.join(":");
	if (kind === "rule" && name) return `Rule “${name}”`;
	if ((kind === "user" || kind === "key") && name) return name;
	if (kind === "api") return "A person";
	return claim.issued_by || RANKS[claim.rank] || claim.holder;
}

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "");

function controls(row, key) {
	const chosen = choices.get(key) ?? { duration: "0", percent: 100 };
	choices.set(key, chosen);
	const busy = answers.get(key)?.state === "busy";
	const pwm = row.actuator_type === "pwm";
	const press = (command) => () => order(row, key, command, chosen);
	const blocked = busy || !link.up || !row.enabled;
	return h("div", { class: "controls", role: "group", "aria-label": `Switch ${row.name || key}` },
		h("button", { type: "button", "data-command": "ON", disabled: blocked, onclick: press(pwm ? "PWM" : "ON") }, "On"),
		h("button", { type: "button", "data-command": "OFF", disabled: busy, onclick: press("OFF") }, "Off"),
		h("button", { type: "button", "data-command": "AUTO", disabled: blocked, title: "Give it back to the rules", onclick: press("AUTO") }, "Automatic"),
		pwm && h("label", {}, `Power ${chosen.percent} %`, h("input", { type: "range", min: "1", max: "100", start: "100", oninput: (event) => { chosen.percent = Number(event.target.value); changed(); } })),
		h("label", {}, "How long ", h("select", { onchange: (event) => { chosen.duration = event.target.value; } },
			TIMES.map(([value, text]) => h("option", { key: value, value }, text)))),
		!row.enabled && h("span", { class: "note" }, "It is disabled."));
}

async function order(row, key, command, chosen) {
	answers.set(key, { state: "busy", text: "Sending…" });
	changed();
	const body = { command, duration: command === "AUTO" ? 0 : Number(chosen.duration) };
	if (command === "PWM") body.value = chosen.percent === 1 ? 0.01 : chosen.percent / 100;
	try {
		const done = await post(`/api/v1/actuators/${encodeURIComponent(row.esp_id)}/${row.gpio}/command?wait=5`, body);
		answers.set(key, { ...outcome(command, done), at: now() });
	} catch (error) {
		const text = error.status === 0 ? `Not known whether it was switched: ${error.message}` : `Not switched: ${error.message}`;
		answers.set(key, { state: "no", text, at: now() });
	}
	soon("actuators", 0);
	changed();
}

function outcome(command, done) {
	const warned = done.safety_warnings?.length ? ` ${done.safety_warnings.join(". ")}` : "";
	if (done.acknowledged) return { state: "yes", text: `Done: its device has confirmed it.${warned}` };
	if (command === "AUTO") return { state: "yes", text: `Given back to the rules.${warned}` };
	if (done.success) return { state: "open", text: `${done.message}. Not confirmed by the device.${warned}` };
	return { state: "no", text: `${done.message}.${warned}` };
}

function said(key) {
	const last = answers.get(key);
	if (!last) return null;
	const sign = { busy: "clock", yes: "good", open: "clock", no: "error" }[last.state];
	return h("p", { class: `answer ${last.state}`, "data-answer": last.state }, icon(sign), h("span", { role: "status" }, last.text), last.at && h("span", { class: "fine" }, ` ${ago(last.at, now())}`));
}

async function unfold(row, key) {
	try {
		claims.set(key, (await get(`/api/v1/actuators/${encodeURIComponent(row.esp_id)}/${row.gpio}/status`)).state.claims);
	} catch (error) {
		claims.set(key, error.message);
	}
	changed();
}

function claimed(key) {
	const found = claims.get(key);
	if (found === undefined) return fine("…");
	if (typeof found === "string") return h("p", { class: "bad" }, found);
	if (!found.length) return fine("Nobody.");
	return h("ol", {}, found.map((claim) => h("li", {}, `${holder(claim)} (${RANKS[claim.rank] ?? claim.rank}): ${level(claim.claimed_value).toLowerCase()}`,
		claim.until && ` until ${clock(moment(claim.until))}`)));
}
