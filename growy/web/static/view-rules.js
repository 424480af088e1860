// Rules: whether each holds and why, when it acted last, on and off, and what it would do now.

import { now, post } from "./api.js";
import { h } from "./dom.js";
import { ago, clock, moment, plural, span } from "./format.js";
import { bad, fine, icon, none } from "./pieces.js";
import { plain } from "./judge.js";
import { link } from "./live.js";
import { changed, hindrance, load, state } from "./state.js";

const trials = new Map(); // by rule: {busy} or {fault} or the answer
const faults = new Map();

export function rulesView() {
	if (!state.rules.length) {
		return none("Rules", "rules", "There are no rules: nothing is switched by itself.");
	}
	const no = hindrance();
	return h("section", { class: "zone" }, h("h2", {}, "Rules"),
		no && h("p", { class: "panel" }, icon("info"), no),
		h("div", { class: "cards" }, state.rules.map((rule) => card(rule, no))));
}

function standing(rule) {
	if (rule.fault) return { sign: "error", word: "Cannot run", state: "fault" };
	if (!rule.enabled) return { sign: "off", word: "Switched off", state: "disabled" };
	if (!link.up) return { sign: "cut", word: "Not known now", state: "unknown" };
	const is = rule.situation ?? {};
	if (rule.degraded_since) return { sign: "warning", word: "Holds, and cannot act", state: "degraded" };
	if (is.unknown || is.holds === null || is.holds === undefined) return { sign: "unknown", word: "Not known: it does nothing", state: "unknown" };
	if (is.holds) return { sign: "good", word: is.active ? "Holds, and acts" : "Holds", state: "holds" };
	return { sign: "clock", word: "Waits", state: "waits" };
}

function card(rule, no) {
	const is = standing(rule);
	const seen = rule.situation ?? {};
	return h("article", { key: rule.id, class: `card rule ${is.state}`, "data-rule": rule.id, "data-state": is.state, "aria-label": rule.name },
		h("header", {}, h("h3", {}, rule.name),
			h("p", { class: ["fault", "degraded", "unknown"].includes(is.state) ? "status bad" : "status" }, icon(is.sign), h("strong", {}, is.word), rule.is_critical && " · critical")),
		rule.description && fine(rule.description),
		h("p", {}, plain(rule.fault ?? seen.why, state)),
		rule.degraded_since && bad("warning", `Since ${clock(moment(rule.degraded_since))}: ${plain(rule.degraded_reason, state)}`),
		fine(`Acted last: ${ago(moment(seen.last_fired ?? rule.last_triggered), now())}`,
			rule.last_execution_success === false && rule.execution_count > 0 && " (not all of it was confirmed)", ` · ${plural(rule.execution_count, "time")} in all`,
			seen.since && ` · so for ${span(now() - moment(seen.since))}`),
		rule.runs_on_device && fine("Its device runs it by itself when growyd is away."),
		h("div", { class: "controls" },
			h("button", { type: "button", role: "switch", "aria-checked": String(rule.enabled), disabled: no !== null || !link.up, onclick: () => toggle(rule), "aria-label": `Switched ${rule.enabled ? "on" : "off"}: ${rule.name}` },
				icon(rule.enabled ? "good" : "off"), rule.enabled ? "Switched on" : "Switched off"),
			no === null && h("button", { type: "button", "data-try": true, disabled: trials.get(rule.id)?.busy || Boolean(rule.fault), onclick: () => tryIt(rule) }, "What would it do now?")),
		faults.has(rule.id) && h("p", { class: "bad", role: "status" }, icon("error"), faults.get(rule.id)),
		trial(rule));
}

async function toggle(rule) {
	faults.delete(rule.id);
	try {
		await post(`/api/v1/logic/rules/${rule.id}/toggle`, { enabled: !rule.enabled, reason: "on the page" });
	} catch (error) {
		faults.set(rule.id, error.message);
	}
	await load("rules");
}

async function tryIt(rule) {
	trials.set(rule.id, { busy: true });
	changed();
	try {
		trials.set(rule.id, { ...(await post(`/api/v1/logic/rules/${rule.id}/test`, { dry_run: true })), at: now() });
	} catch (error) {
		trials.set(rule.id, { fault: error.message });
	}
	changed();
}

const RESULTS = { true: ["good", "true"], false: ["clock", "not true"], null: ["unknown", "not known"] };

function trial(rule) {
	const found = trials.get(rule.id);
	if (!found) return null;
	if (found.busy) return h("p", { class: "answer", role: "status" }, icon("clock"), "Looking…");
	if (found.fault) return h("p", { class: "answer no", role: "status" }, icon("error"), found.fault);
	return h("div", { class: "answer", "data-trial": String(found.would_trigger) },
		h("p", {}, icon(found.would_trigger ? "good" : "clock"), h("strong", { role: "status" }, found.would_trigger ? "It would act now." : "It would not act now."),
			h("span", { class: "fine" }, ` Nothing was switched. ${ago(found.at, now())}`)),
		h("ul", {}, found.condition_results.map((one) => {
			const [sign, word] = RESULTS[String(one.result)] ?? RESULTS.null;
			return h("li", {}, icon(sign), `${plain(one.details || one.condition_type, state)}: ${word}`);
		})),
		h("ul", {}, found.action_results.map((one) => h("li", {}, `${one.would_execute ? "Would do" : "Would not do"}: ${plain(one.details || one.action_type, state)}`))));
}
