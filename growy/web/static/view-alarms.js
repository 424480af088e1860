// What is wrong now, and what happened while the page was open.

import { now } from "./api.js";
import { h } from "./dom.js";
import { ago, clock } from "./format.js";
import { bad, fine, icon, severityIcon } from "./icons.js";
import { plain } from "./judge.js";
import { link } from "./live.js";
import { state } from "./state.js";

const WORDS = { critical: "Critical", error: "Error", warning: "Warning", info: "Note" };

export function alarmsView(found) {
  return [
    h("section", { key: "now", class: "panel" }, h("h2", {}, "Wrong now"),
      !link.up && bad("cut", "Cut off from growyd: this list is of then, not of now."),
      found.length ? h("ul", { class: "alarms" }, found.map((one) => h("li", { key: one.key, class: one.severity, "data-alarm": one.key },
        severityIcon(one.severity), h("div", {}, h("strong", {}, `${WORDS[one.severity]}: `), one.text, one.cure && fine(one.cure)))))
        : h("p", {}, link.up ? [icon("good"), "Nothing. Every device and sensor that is known speaks."] : "Not known.")),
    state.doctor.length > 0 && h("section", { key: "doctor", class: "panel" }, h("h2", {}, "What the doctor found"),
      h("ul", { class: "alarms" }, state.doctor.map((one) => {
        const severity = one.level === "red" ? "error" : "warning";
        return h("li", { key: `${one.area}:${one.code}:${one.message}`, class: severity }, severityIcon(severity),
          h("div", {}, h("strong", {}, `${one.area}: `), plain(one.message, state), one.cure && fine(plain(one.cure, state))));
      }))),
    h("section", { key: "then", class: "panel" }, h("h2", {}, "What happened"),
      fine("Since this page was opened. growyd events tells of all times."),
      state.notices.length ? h("ul", { class: "alarms" }, state.notices.map((one) => h("li", { class: one.severity },
        severityIcon(one.severity), h("div", {}, one.text, h("span", { class: "fine", title: clock(one.at) }, ` ${ago(one.at, now())}`)))))
        : h("p", {}, "Nothing yet.")),
  ];
}
