// What is wrong now, and what happened while the page was open.

import { now } from "./api.js";
import { h } from "./dom.js";
import { ago, clock } from "./format.js";
import { plain } from "./judge.js";
import { link } from "./live.js";
import { bad, fine, icon, panel, severityIcon } from "./pieces.js";
import { state } from "./state.js";

const WORDS = { critical: "Critical", error: "Error", warning: "Warning", info: "Note" };

export function alarmsView(found) {
	const asked = link.up && ["devices", "sensors", "rules", "stops", "health"].every((name) => state.loaded.has(name));
	return [
		panel("Wrong now", !link.up && bad("cut", "Cut off from growyd: this list is of then, not of now."),
			found.length ? list(found.map((one) => item(one.severity, one.key, `${WORDS[one.severity]}: `, one.text, one.cure)))
				: h("p", {}, asked ? [icon("good"), "Nothing. Every device and sensor that is known speaks."] : "Not known.")),
		state.doctor.length > 0 && panel("What the doctor found", list(state.doctor.map((one) =>
			item(one.level === "red" ? "error" : "warning", `${one.area}:${one.code}:${one.message}`, `${one.area}: `, plain(one.message, state), plain(one.cure, state))))),
		panel("What happened", fine("Since this page was opened. growyd events tells of all times."),
			state.notices.length ? list(state.notices.map((one) =>
				item(one.severity, undefined, null, [one.text, h("span", { class: "fine", title: clock(one.at) }, ` ${ago(one.at, now())}`)])))
				: h("p", {}, "Nothing yet.")),
	];
}

const list = (items) => h("ul", { class: "alarms" }, items);

function item(severity, key, what, text, cure) {
	return h("li", { key, class: severity, "data-alarm": key }, severityIcon(severity), h("div", {}, what && h("strong", {}, what), text, cure && fine(cure)));
}
