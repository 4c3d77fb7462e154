// Helpers to build and update the page. They write only what changed, so that nothing flickers or is read out twice.

import { translate } from "./i18n.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} kind  tag and classes: "p.note"
 * @param {Record<string, unknown>} [properties]  properties of the element; `data` and `aria` are maps of attributes;
 *   `text` and `label` are keys of texts.en.js for its content or its name, in the current language
 * @param {...(Node | string | null)} children
 * @returns {any} the element
 */
export function el(kind, properties = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  const { data = {}, aria = {}, text, label, ...plain } = properties;
  Object.assign(node, plain);
  if (text) node.dataset.t = text;
  if (label) node.dataset.tLabel = label;
  translate(node);
  for (const [name, value] of Object.entries(data)) node.dataset[name] = value;
  for (const [name, value] of Object.entries(aria)) node.setAttribute(name === "role" ? name : `aria-${name}`, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** @param {string} className @param {Record<string, unknown>} [properties] @param {...(Node | string)} children */
export function button(className, properties = {}, ...children) {
  return el("button", { type: "button", className, ...properties }, ...children);
}

/** @param {string} name  a symbol of index.html @param {string} [kind]  its class @returns {SVGElement} */
export function icon(name, kind = "icon") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", kind);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** @param {Element} svg an icon @param {string} name the symbol to show */
export function setIcon(svg, name) {
  setAttribute(svg.querySelector("use") ?? svg, "href", `#i-${name}`);
}

/** @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent === text) return;
  // Changing a text costs the browser less than replacing it.
  const [only, more] = node.childNodes;
  (only?.data && !more ? only : node).textContent = text;
}

/** @param {Element} node @param {string} name @param {string} value */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** @param {HTMLElement} node @param {boolean} shown */
export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/** @param {string} id @returns {any} the element with that id, which index.html contains */
export function byId(id) {
  return document.getElementById(id);
}

/** @param {HTMLElement} node @param {string} name a custom property @param {string | number} value */
export function setVariable(node, name, value) {
  if (node.style.getPropertyValue(name) !== String(value)) node.style.setProperty(name, String(value));
}

/** @param {HTMLSelectElement} select @param {string[][]} wanted  values and texts; the selection is kept if possible */
export function options(select, wanted) {
  const key = JSON.stringify(wanted);
  if (select.dataset.key === key) return;
  const chosen = select.value;
  select.dataset.key = key;
  select.replaceChildren(...wanted.map(([value, text]) => el("option", { value }, text)));
  if (wanted.some(([value]) => value === chosen)) select.value = chosen;
}
