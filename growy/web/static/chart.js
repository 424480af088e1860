// One series over time: the mean as a line, minimum and maximum as a band, gaps where nothing was measured. Drawn by uPlot.

import { clock, number, unitOf, withUnit } from "./format.js";

const HEIGHT = 260;
const GAP = 1.6; // buckets: further apart than this, and the line breaks
const RAW_GAP = 4; // the same of single readings, in usual distances

/** Columns for uPlot: [seconds, mean, low, high], with a null where a gap is. */
export function columns(said) {
	const rows = said.readings.map((one) => [Date.parse(one.timestamp) / 1000, one.processed_value, one.min_value ?? one.processed_value, one.max_value ?? one.processed_value]);
	const step = said.bucket_seconds ? said.bucket_seconds * GAP : usual(rows) * RAW_GAP;
	const found = [[], [], [], []];
	const put = (row) => row.forEach((value, at) => found[at].push(value));
	rows.forEach((row, at) => {
		if (at && step > 0 && row[0] - rows[at - 1][0] > step) put([(row[0] + rows[at - 1][0]) / 2, null, null, null]);
		put(row);
	});
	return found;
}

function usual(rows) {
	const apart = rows.slice(1).map((row, at) => row[0] - rows[at][0]).filter((one) => one > 0).sort((a, b) => a - b);
	return apart.length ? apart[Math.floor(apart.length / 2)] : 0;
}

/** In words what the picture shows, for those who cannot see it. */
export function summary(data, unit) {
	const means = data[1].filter((one) => one !== null);
	if (!means.length) return "Nothing was measured in this time.";
	const low = Math.min(...data[2].filter((one) => one !== null));
	const high = Math.max(...data[3].filter((one) => one !== null));
	const gaps = data[1].filter((one, at) => one === null && data[2][at] === null).length;
	return `Lowest ${withUnit(low, unit)}, highest ${withUnit(high, unit)}, last ${withUnit(means.at(-1), unit)}${gaps ? `, with ${gaps} ${gaps === 1 ? "gap" : "gaps"}` : ""}.`;
}

/**
 * Draws into `box`; returns `{update(data, range), resize(), destroy()}`.
 * `zoomed(from, to)` is called with seconds when somebody has dragged over a part.
 */
export function draw(box, unit, data, range, zoomed) {
	const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	const ink = colour("--ink-soft");
	const grid = { stroke: colour("--line"), width: 1 };
	const digits = (u, values) => values.map((value) => (value === null ? "" : number(value, unit)));
	const line = { stroke: colour("--chart"), width: 2, points: { show: data[0].length < 60 } };
	const edge = { stroke: "transparent", width: 0, points: { show: false } };
	const value = (u, one) => (one === null || one === undefined ? "–" : withUnit(one, unit));
	const plot = new window.uPlot({
		width: box.clientWidth, height: HEIGHT, legend: { live: true },
		scales: { x: { range: () => range } },
		cursor: { drag: { x: true, y: false }, sync: { key: "growy" } },
		axes: [{ stroke: ink, grid, ticks: grid, values: times }, { stroke: ink, grid, ticks: grid, size: 58, values: digits }],
		series: [
			{ label: "Time", value: (u, at) => (at === null || at === undefined ? "–" : clock(at * 1000)) },
			{ label: unit ? `Mean, ${unitOf(unit)}` : "Mean", value, ...line },
			{ label: "Lowest", value, ...edge }, { label: "Highest", value, ...edge },
		],
		bands: [{ series: [3, 2], fill: colour("--chart-band") }],
		hooks: {
			setSelect: [(u) => {
				if (u.select.width < 8) return;
				const from = u.posToVal(u.select.left, "x");
				const to = u.posToVal(u.select.left + u.select.width, "x");
				u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
				zoomed(from, to);
			}],
		},
	}, data, box);
	return {
		update(fresh, wanted) {
			range = wanted;
			plot.setData(fresh);
		},
		resize() {
			if (box.clientWidth && box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: HEIGHT });
		},
		destroy: () => plot.destroy(),
	};
}

function times(u, splits, axis, space, step) {
	const day = { day: "2-digit", month: "2-digit" };
	const time = { hour: "2-digit", minute: "2-digit", ...(step < 60 && { second: "2-digit" }) };
	return splits.map((at) => {
		const then = new Date(at * 1000);
		return step >= 86400 || (then.getHours() === 0 && then.getMinutes() === 0 && step >= 3600) ? then.toLocaleDateString(undefined, day) : then.toLocaleTimeString(undefined, time);
	});
}
