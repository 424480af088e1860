// Login, and the first account on a new Pi.

import { ApiError, accessToken, ask, forget, get, keep, post } from "./api.js";
import { h } from "./dom.js";
import { fine } from "./pieces.js";
import { changed, state } from "./state.js";

let busy = false;
let entered = () => {};

/** `told` is called when somebody is logged in. */
export const onEnter = (told) => { entered = told; };

/** Finds out who looks at the page. `#token=...` in the address logs in, and is taken out of it. */
export async function begin() {
	const token = new URLSearchParams(location.hash.slice(1)).get("token");
	if (token) {
		history.replaceState(null, "", location.pathname + location.search);
		keep({ access_token: token }, false);
	}
	const session = state.session;
	try {
		const status = await get("/api/v1/auth/status");
		if (status.setup_required) {
			forget();
			Object.assign(session, { phase: "setup", code: status.setup_code_required, fault: "" });
			return changed();
		}
		if (accessToken()) return await enter(await get("/api/v1/auth/me"));
		session.phase = "login";
		changed();
	} catch (error) {
		if (!(error instanceof ApiError)) throw error;
		if (error.status === 401) Object.assign(session, { phase: "login", fault: token ? "The token in the address is not valid any more." : "" });
		else Object.assign(session, { phase: "asking", fault: error.message });
		changed();
		if (session.phase === "asking") setTimeout(begin, 3000);
	}
}

async function enter(said) {
	Object.assign(state.session, { phase: "in", user: said.user ?? said, fault: "" });
	changed();
	await entered();
}

export async function leave() {
	await ask("POST", "/api/v1/auth/logout", {}).catch(() => {}); // the token is forgotten here in any case
	forget();
	window.location.reload(); // nothing of what this person saw stays
}

async function submit(event) {
	event.preventDefault();
	const said = Object.fromEntries(new FormData(event.target));
	const session = state.session;
	const setup = session.phase === "setup";
	if (setup && said.password !== said.again) {
		session.fault = "The two passwords are not the same.";
		return changed();
	}
	busy = true;
	session.fault = "";
	changed();
	try {
		const remember = said.remember === "on";
		const answer = setup
			? await post("/api/v1/auth/setup", { username: said.username, password: said.password, email: said.email || null, setup_code: said.code ?? "" })
			: await post("/api/v1/auth/login", { username: said.username, password: said.password, remember_me: remember });
		keep(answer.tokens, remember);
		busy = false;
		await enter(answer.user);
	} catch (error) {
		session.fault = error.status === 401 ? "This name and password do not fit together." : error.message;
		if (error.status === 403 && setup && !error.details.field) session.phase = "login";
	}
	busy = false;
	changed();
}

export function loginView() {
	const { phase, fault } = state.session;
	if (phase === "asking") return h("section", { class: "panel narrow", role: "status" }, h("h1", {}, "growyd"), h("p", {}, fault || "Asking growyd…"), fault && fine("Trying again."));
	const setup = phase === "setup";
	return h("section", { key: phase, class: "panel narrow" },
		h("h1", {}, setup ? "Welcome" : "Log in"),
		setup && h("p", {}, "This growyd has no accounts yet. Make the first one: it may do everything, and add the others."),
		h("form", { class: "login", onsubmit: submit },
			field("username", "Name", { autocomplete: "username", required: true, autofocus: true, maxlength: "50", ...(setup && { minlength: "3", pattern: "[a-zA-Z][a-zA-Z0-9_\\-]*", title: "A letter, then letters, digits, _ and -" }) }),
			setup && field("email", "E-mail (if you like)", { type: "email", autocomplete: "email" }),
			setup && state.session.code && field("code", "Setup code: on the Pi, growyd status shows it, and so does growyd's log", { autocomplete: "off", required: true }),
			field("password", "Password", { type: "password", autocomplete: setup ? "new-password" : "current-password", required: true, ...(setup && { minlength: "8" }) }),
			setup && field("again", "Password once more", { type: "password", autocomplete: "new-password", required: true, minlength: "8" }),
			h("label", { class: "check" }, h("input", { type: "checkbox", name: "remember" }), " Stay logged in on this device"),
			fault && h("p", { class: "bad", role: "alert" }, fault),
			h("button", { type: "submit", class: "main", disabled: busy }, setup ? "Make the account" : "Log in")));
}

function field(name, text, more) {
	return h("label", { key: name }, text, h("input", { name, id: `login-${name}`, type: "text", ...more }));
}
