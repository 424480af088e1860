// The live stream: connects, says when it is cut off and since when, and comes back with growing pauses.

import { accessToken, now, renew, runsOut } from "./api.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30000;
const PING_MS = 15000;
const SILENCE_MS = 25000; // a ping is answered at once: after this nobody is there, whatever TCP believes
const LOGIN_ENDED = 4001;

/** Where the stream stands: `up`, `since` when it is so, and while it is down when the next try comes. */
export const link = { up: false, since: now(), nextTry: null, tries: 0 };

let socket = null;
let timer = null;
let heard = 0;
let relieving = false;
let on = { message() {}, change() {} };
const clientId = `page-${Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;

/** Connects, and stays connected until `close`. */
export function open(handlers) {
	on = handlers;
	window.addEventListener("online", retry);
	document.addEventListener("visibilitychange", () => document.hidden || link.up || retry());
	setInterval(watch, 1000);
	connect();
}

/** Tries now instead of waiting. */
export function retry() {
	if (link.up || socket) return;
	clearTimeout(timer);
	connect();
}

/** After a login: with the new token. */
export function reconnect() {
	link.tries = 0;
	if (socket) socket.close(1000);
	else retry();
}

function connect() {
	timer = null;
	link.nextTry = null;
	const token = accessToken();
	const query = token ? `?token=${encodeURIComponent(token)}` : "";
	const scheme = location.protocol === "https:" ? "wss:" : "ws:";
	const before = socket;
	const mine = new WebSocket(`${scheme}//${location.host}/api/v1/ws/realtime/${clientId}${query}`);
	socket = mine;
	heard = Date.now();
	mine.onmessage = (event) => {
		heard = Date.now();
		const said = JSON.parse(event.data);
		if (said.type === "connection_established") {
			before?.close(1000);
			came();
		}
		on.message(said);
	};
	mine.onclose = (event) => mine === socket && gone(event.code);
}

function came() {
	Object.assign(link, { up: true, since: link.up ? link.since : now(), tries: 0 });
	on.change();
}

async function gone(code) {
	socket = null;
	if (link.up) Object.assign(link, { up: false, since: now() });
	on.change();
	if (code === LOGIN_ENDED && !(await renew()) && !accessToken()) return; // the login form connects again
	const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** link.tries) * (0.8 + 0.4 * Math.random());
	link.tries += 1;
	link.nextTry = now() + pause;
	clearTimeout(timer);
	timer = setTimeout(connect, pause);
	on.change();
}

/** A login does not last: the stream goes on over a second socket with a new one before the first is closed. */
async function relieve() {
	relieving = true;
	if ((await renew()) && link.up) connect();
	setTimeout(() => { relieving = false; }, 10000);
}

function watch() {
	if (!socket) return;
	if (link.up && runsOut() && !relieving) relieve();
	const silent = Date.now() - heard;
	if (silent > SILENCE_MS) {
		const dead = socket;
		dead.onclose = null;
		dead.close();
		gone(0);
	} else if (silent > PING_MS && socket.readyState === WebSocket.OPEN) {
		socket.send(JSON.stringify({ type: "ping", timestamp: Math.round(now() / 1000) }));
	}
}
