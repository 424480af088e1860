// Numbers, times and names as people say them. Pure, but for the language of the browser.

const DIGITS = {
	"°C": 1, "%RH": 1, "%": 1, pH: 2, kPa: 2, hPa: 0, ppm: 0, lux: 0, "µS/cm": 0, "mS/cm": 2, "L/min": 2, V: 2, mV: 0,
	cm: 1, mm: 0, L: 1, ml: 0, "g/m³": 1,
};
const UNITS = { "%RH": "% RH", lux: "lx" };
const KINDS = {
	temp: "Temperature", temperature: "Temperature", humidity: "Humidity", pressure: "Air pressure", co2: "CO₂",
	ds18b20: "Temperature", moisture: "Soil moisture", ph: "pH", ec: "EC (nutrients)", tds: "Dissolved solids",
	flow: "Flow", vpd: "VPD (air dryness)", bh1750: "Light", tsl2561: "Light", light: "Light",
};

// Made once: with a thousand values on the page, making them takes longer than all the rest.
const FORMS = [0, 1, 2, 3].map((digits) => new Intl.NumberFormat(undefined, { minimumFractionDigits: Math.min(digits, 2), maximumFractionDigits: digits }));
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE = new Intl.DateTimeFormat();

export const NOTHING = "–";

/** A number with the precision that its unit deserves, without the unit. */
export function number(value, unit) {
	if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
	const size = Math.abs(value);
	const digits = DIGITS[unit] ?? (size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
	return FORMS[digits].format(value);
}

export const unitOf = (unit) => UNITS[unit] ?? unit ?? "";

export function withUnit(value, unit) {
	const text = number(value, unit);
	return text === NOTHING || !unit ? text : `${text} ${unitOf(unit)}`;
}

/** What is measured: "Temperature" of `sht31_temp`. */
export function kind(type) {
	if (!type) return "Sensor";
	const words = type.toLowerCase();
	return KINDS[words] ?? KINDS[words.split("_").slice(1).join("_")] ?? words.replaceAll("_", " ");
}

/** How long: "12 s", "5 min", "3 h 10 min", "2 d". */
export function span(ms) {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 100 && s !== 60) return `${s} s`;
	const min = Math.round(s / 60);
	if (min < 100) return `${min} min`;
	const h = Math.floor(min / 60);
	if (h < 48) return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
	return `${Math.round(h / 24)} d`;
}

export const ago = (ms, now) => (ms === null || ms === undefined ? "never" : now - ms < 1500 ? "just now" : `${span(now - ms)} ago`);

/** A moment in the browser's own time; with the date unless it is today. */
export function clock(ms) {
	if (ms === null || ms === undefined || !Number.isFinite(ms)) return NOTHING;
	const at = new Date(ms);
	const time = TIME.format(at);
	return at.toDateString() === new Date().toDateString() ? time : `${DATE.format(at)} ${time}`;
}

/** ISO 8601 to Unix ms; null stays null. */
export const moment = (iso) => (iso ? Date.parse(iso) : null);

/** "On", "Off", "35 %"; null: nobody knows. */
export function level(value) {
	if (value === null || value === undefined) return "Not known";
	return value === 0 ? "Off" : value === 1 ? "On" : `${Math.round(value * 100)} %`;
}

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many ?? `${one}s`}`;
