// The emergency stop: one action stops, two end it, and nothing is called stopped before its device has proven it.

import { post, now } from "./api.js";
import { h } from "./dom.js";
import { ago, clock, plural } from "./format.js";
import { icon } from "./icons.js";
import { deviceName } from "./judge.js";
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
  ending.said = "";
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
  Object.assign(ending, { sending: true, said: "" });
  changed();
  try {
    const said = await post("/api/v1/actuators/clear_emergency", { reason: "Ended on the page" });
    ending.said = said.success ? "" : [said.message, ...said.details.filter((one) => one.state !== "cleared").map((one) => `${deviceName(state, one.esp_id)}: ${one.state}${one.reason ? `, ${one.reason}` : ""}`)].join(". ");
  } catch (error) {
    ending.said = `The stop was NOT ended: ${error.message}`;
  }
  Object.assign(ending, { asked: false, sending: false });
  await load("stops");
  load("actuators");
}

const askEnd = (asked) => () => { ending.asked = asked; changed(); };

/** What is fixed at the edge of the page, in reach wherever one has scrolled. */
export function stopBar() {
  if (state.session.phase !== "in") return null;
  const no = hindrance();
  const active = state.stops.length > 0;
  return h("div", { class: active ? "stopbar active" : "stopbar" },
    h("button", { id: "stop-everything", class: "stop", type: "button", disabled: no !== null, onclick: stopEverything, "aria-describedby": "stop-state" },
      icon("error"), press.sending ? "Stopping…" : active ? "Stop again" : "STOP EVERYTHING"),
    h("div", { id: "stop-state", class: "stopstate" }, no ? `Emergency stop: ${no}` : summary()),
    active && !no && h("button", { id: "stop-end", type: "button", disabled: ending.sending, onclick: askEnd(true) }, ending.sending ? "Ending…" : "End the stop…"));
}

function summary() {
  if (press.sending && press.fault) return h("strong", {}, `NOT STOPPED YET: ${press.fault} Trying again (${press.tries}). Switch off by hand!`);
  if (press.fault) return h("strong", {}, `NOT STOPPED: ${press.fault}`);
  if (state.faults.has("stops")) return `Whether a stop is in force is not known: ${state.faults.get("stops")}`;
  if (!state.loaded.has("stops")) return "Asking whether a stop is in force…";
  if (!state.stops.length) return link.up ? "No emergency stop is in force" : "Cut off: whether a stop is in force is not known";
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
        ` · by ${stop.by || "somebody"}, ${clock(Date.parse(stop.since))} (${ago(Date.parse(stop.since), now())}): ${stop.reason}`),
      !stop.durable && h("p", { class: "bad" }, icon("warning"), "The disk has not taken it yet: a restart of growyd would forget it."),
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
    : one.state === "offline" ? "NOT PROVEN: it is offline, and is told when it comes back. Go and look."
    : one.state === "refused" ? `NOT PROVEN: it refuses (${one.reason}). Switch it off by hand!`
    : one.told ? `NOT PROVEN YET: told ${plural(one.told, "time")}, no answer so far` : "NOT PROVEN YET: it could not be told so far";
  return h("li", { key: one.esp_id, class: done ? "proven" : "unproven", "data-state": one.state },
    icon(done ? "good" : "warning"), h("span", {}, h("strong", {}, deviceName(state, one.esp_id)), ` ${words}.`,
      one.actuators.length > 0 && h("span", { class: "fine" }, ` ${one.actuators.map((pin) => pinOf(one.esp_id, pin)).join(" · ")}`)));
}

function pinOf(espId, pin) {
  const name = state.actuators.get(`${espId}:${pin.gpio}`)?.name || `Pin ${pin.gpio}`;
  return `${name}: ${pin.off === true ? "off" : pin.off === false ? "STILL ON" : "has said nothing"}`;
}

/** Asked before a stop ends: the second of two deliberate actions. */
export function endDialog() {
  if (!ending.asked) return null;
  const open = state.stops.flatMap((stop) => stop.devices).filter((one) => one.state !== "proven").length;
  return h("dialog", { key: "end", "aria-labelledby": "end-title", made: (box) => queueMicrotask(() => box.showModal()), oncancel: askEnd(false), onclose: () => ending.asked && askEnd(false)() },
    h("h2", { id: "end-title" }, "End the emergency stop?"),
    h("p", {}, "Rules and people can switch again at once. Is nobody at the machines?"),
    open > 0 && h("p", { class: "bad" }, icon("warning"), `${plural(open, "device")} never proved the stop.`),
    h("div", { class: "row" },
      h("button", { type: "button", autofocus: true, onclick: askEnd(false) }, "Leave it stopped"),
      h("button", { id: "stop-end-yes", class: "danger", type: "button", disabled: ending.sending, onclick: endStop }, ending.sending ? "Ending… (takes some seconds)" : "Yes, end it")));
}

/** Whether it is worth asking again soon. */
export const unproven = () => state.stops.some((stop) => !stop.proven);
