// Questions to growyd, and who asks them. Every answer that is not a yes becomes an ApiError in plain words.

const LONGEST_MS = 30000;
const PLACE = "growy.tokens";
const EARLY_MS = 120000;
const LOCK = "growy.renewing";
const LOCKED_MS = 5000;

export class ApiError extends Error {
	constructor(status, code, message, details) {
		super(message);
		this.status = status; // 0: no answer came
		this.code = code;
		this.details = details || {};
	}
}

let tokens = read();
let refreshing = null;
let skew = 0;
let lost = () => {};

/** `told` is called when the login has ended and cannot be renewed. */
export const onLost = (told) => { lost = told; };

export const accessToken = () => tokens?.access ?? null;

/** growyd's time in Unix ms: ages must not depend on how this computer's clock is set. */
export const now = () => Date.now() + skew;

/** Whether the login must be renewed now, so that nothing is cut off meanwhile. */
export const runsOut = () => Boolean(tokens?.refresh && tokens.until && Date.now() > tokens.until - EARLY_MS);

/** Keeps a login (`said`: the server's `tokens`): over a restart of the browser only where `remember`. */
export function keep(said, remember) {
	forget();
	tokens = {
		access: said.access_token, refresh: said.refresh_token ?? null, remember: Boolean(remember),
		until: said.expires_in ? Date.now() + said.expires_in * 1000 : null,
	};
	(remember ? localStorage : sessionStorage).setItem(PLACE, JSON.stringify(tokens));
}

export function forget() {
	tokens = null;
	localStorage.removeItem(PLACE);
	sessionStorage.removeItem(PLACE);
}

function read() {
	try {
		return JSON.parse(sessionStorage.getItem(PLACE) ?? localStorage.getItem(PLACE) ?? "null");
	} catch {
		return null;
	}
}

export async function ask(method, path, body, within = LONGEST_MS) {
	const said = await once(method, path, body, within);
	if (said.status !== 401 || path.startsWith("/api/v1/auth/login")) return checked(said);
	if (!(await renew())) return checked(said);
	return checked(await once(method, path, body, within));
}

export const get = (path) => ask("GET", path);
export const post = (path, body, within) => ask("POST", path, body ?? {}, within);

/** All pages of a list. */
export async function all(path) {
	const found = [];
	for (let page = 1; ; page += 1) {
		const said = await get(`${path}${path.includes("?") ? "&" : "?"}page=${page}&page_size=100`);
		found.push(...said.data);
		if (!said.pagination.has_next) return found;
	}
}

/** A new access token for the old refresh token; one question, however many wait for it. False: log in again. */
export function renew() {
	refreshing ??= alone(exchange).finally(() => { refreshing = null; });
	return refreshing;
}

/** Tabs share a remembered login, and a refresh token that is used twice ends it: only one tab may renew at a time. */
async function alone(work) {
	if (!tokens?.remember) return work();
	if (navigator.locks) return navigator.locks.request(LOCK, work);
	const mine = `${Math.random()} ${Date.now()}`; // plain HTTP in the house: browsers give no locks there
	for (let tries = 0; tries < 60 && localStorage.getItem(LOCK) !== mine; tries += 1) {
		const since = Number((localStorage.getItem(LOCK) ?? "0 0").split(" ")[1]);
		if (Date.now() - since > LOCKED_MS) localStorage.setItem(LOCK, mine);
		await new Promise((done) => setTimeout(done, 50 + 50 * Math.random()));
	}
	try {
		return await work();
	} finally {
		localStorage.removeItem(LOCK);
	}
}

async function exchange() {
	const stored = read();
	if (stored && tokens && stored.access !== tokens.access) { // another tab was faster
		tokens = stored;
		return true;
	}
	const held = tokens;
	if (held?.refresh) {
		const said = await once("POST", "/api/v1/auth/refresh", { refresh_token: held.refresh });
		const fresh = said.json?.tokens;
		if (said.ok && fresh) {
			keep({ refresh_token: held.refresh, ...fresh }, held.remember);
			return true;
		}
		if (said.status === 0 || said.status >= 500 || said.status === 429) return false; // not a no: only no answer
	}
	if (tokens === held) {
		forget();
		lost();
	}
	return false;
}

async function once(method, path, body, within = LONGEST_MS) {
	const headers = { Accept: "application/json" };
	if (body !== undefined) headers["Content-Type"] = "application/json";
	if (tokens) headers.Authorization = `Bearer ${tokens.access}`;
	const began = Date.now();
	let answer;
	try {
		answer = await fetch(path, {
			method, headers, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(within),
			body: body === undefined ? undefined : JSON.stringify(body),
		});
		setClock(answer.headers.get("Date"), began, Date.now());
		const text = await answer.text();
		return { ok: answer.ok, status: answer.status, json: text ? JSON.parse(text) : {} };
	} catch {
		return { ok: false, status: 0, json: null };
	}
}

function setClock(date, began, ended) {
	const said = Date.parse(date ?? "");
	// A whole second, cut off, at some moment while we waited: only what lies outside of that is skew.
	if (!Number.isFinite(said)) return;
	if (said > ended + skew) skew = said - ended;
	else if (said + 1000 < began + skew) skew = said + 1000 - began;
}

function checked(said) {
	if (said.ok) return said.json;
	if (said.status === 0) throw new ApiError(0, "NO_ANSWER", "growyd does not answer. Is the Pi on, and this device in its network?");
	const error = said.json?.error;
	throw new ApiError(said.status, error?.code ?? "", error?.message ?? `growyd answered ${said.status}`, error?.details);
}
