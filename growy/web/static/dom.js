// A tree of plain values becomes the document, and only what differs is touched: focus and half-typed words stay.
// Text goes in as text, never as markup: what devices and people call themselves cannot become a part of the page.

/** An element. Children: elements, texts, numbers, or lists of them; null and false are left out. */
export function h(tag, props, ...children) {
	return { tag, props: props || {}, children: flat(children, []) };
}

/** Makes `parent` show exactly these children. */
export function render(parent, ...children) {
	patchChildren(parent, flat(children, []));
}

function flat(children, into) {
	for (const child of children) {
		if (Array.isArray(child)) flat(child, into);
		else if (child !== null && child !== undefined && child !== false && child !== true)
			into.push(typeof child === "object" ? child : String(child));
	}
	return into;
}

const SVG = new Set(["svg", "path"]);
const LIVE = new Set(["value", "checked", "disabled", "open"]); // the property is what counts, not the attribute
const NAMES = /^(aria-[a-z]+|data-[a-z]+|class|id|for|type|name|role|title|min|max|step|rows|placeholder|autocomplete|required|minlength|maxlength|pattern|tabindex|href|colspan|scope|d|viewBox|hidden|autofocus|selected|lang|datetime)$/;

function create(node) {
	if (typeof node === "string") return document.createTextNode(node);
	const made = SVG.has(node.tag)
		? document.createElementNS("http://www.w3.org/2000/svg", node.tag)
		: document.createElement(node.tag);
	made.growy = { tag: node.tag, key: node.props.key, props: {} };
	patch(made, node);
	node.props.made?.(made);
	return made;
}

function patch(dom, node) {
	if (typeof node === "string") {
		if (dom.data !== node) dom.data = node;
		return;
	}
	const before = dom.growy.props;
	for (const name in before) if (!(name in node.props)) set(dom, name, null);
	for (const name in node.props) if (LIVE.has(name) || before[name] !== node.props[name]) set(dom, name, node.props[name]);
	dom.growy.props = node.props;
	if (!node.props.own) patchChildren(dom, node.children); // `own`: somebody else draws in there
}

function set(dom, name, value) {
	if (name === "key" || name === "own" || name === "made" || name === "start") {
		if (name === "start" && dom.growy.props.start === undefined) dom.value = value; // what a field begins with
	} else if (name.startsWith("on")) {
		dom[name] = value; // a function, or null
	} else if (LIVE.has(name)) {
		const wanted = value ?? (name === "value" ? "" : false);
		if (dom[name] !== wanted) dom[name] = wanted;
	} else if (!NAMES.test(name) || (name === "href" && value && !value.startsWith("#"))) {
		throw new Error(`no such attribute here: ${name}`);
	} else if (value === null || value === undefined || value === false) {
		dom.removeAttribute(name);
	} else {
		dom.setAttribute(name, value === true ? "" : value);
	}
}

function fits(dom, node) {
	if (typeof node === "string") return dom.nodeType === Node.TEXT_NODE;
	return dom.growy?.tag === node.tag && dom.growy.key === node.props.key;
}

function patchChildren(parent, nodes) {
	const keyed = new Map();
	for (const dom of parent.childNodes) if (dom.growy?.key !== undefined) keyed.set(dom.growy.key, dom);
	let at = parent.firstChild;
	for (const node of nodes) {
		const key = typeof node === "string" ? undefined : node.props.key;
		let dom = null;
		if (at && fits(at, node)) dom = at;
		else if (key !== undefined && keyed.has(key) && fits(keyed.get(key), node)) dom = keyed.get(key);
		if (dom) {
			if (dom === at) at = at.nextSibling;
			else parent.insertBefore(dom, at);
			patch(dom, node);
		} else {
			parent.insertBefore(create(node), at);
		}
		if (key !== undefined) keyed.delete(key);
		// What stands in the way and is not wanted further down goes at once, so that the rest still fits in place.
		while (at && at.growy?.key !== undefined && !keyed.has(at.growy.key)) {
			const gone = at;
			at = at.nextSibling;
			gone.remove();
		}
	}
	while (at) {
		const gone = at;
		at = at.nextSibling;
		gone.remove();
	}
}
