// How a label is shown: its name in the reader's language, its drawing, its colour. Never by colour only.

import { t } from "./i18n.js";

const DRAWN = new Set(["cat", "dog"]);
const SHAPES = ["circle", "square", "triangle", "diamond", "ring", "cross"];
const HUES = 4;

/** @param {object} live a state @returns {string[]} all labels of the model in use */
export function labelsOf(live) {
  return live.model?.labels ?? Object.keys(live.answer.probabilities);
}

/** @param {object} live @param {string} label @returns {boolean} whether it means "none of the others" */
export function isReject(live, label) {
  return !Object.hasOwn(live.answer.thresholds, label); // a label may be called "constructor"
}

/** @param {object} live @param {string} label @returns {{enter: number, leave: number} | undefined} its thresholds, if any */
export function thresholdOf(live, label) {
  return isReject(live, label) ? undefined : live.answer.thresholds[label];
}

// The usual titles, which are translated; a card with another title means it ("Minka" for cat).
const USUAL_TITLES = { cat: "Cat", dog: "Dog", neither: "Nobody here" };

/** @param {string} label @param {Record<string, string>} [titles] the card's @returns {string} */
export function titleOf(label, titles = {}) {
  const own = Object.hasOwn(titles, label) ? titles[label] : label;
  const usual = Object.hasOwn(USUAL_TITLES, label) && [label, USUAL_TITLES[label]].includes(own);
  return usual ? t(`label.${label}`) : own;
}

/** @param {object} live @param {string} label @returns {string} its symbol */
export function drawingOf(live, label) {
  if (DRAWN.has(label)) return label;
  if (isReject(live, label)) return "none";
  return SHAPES[Math.max(0, labelsOf(live).indexOf(label)) % SHAPES.length];
}

/** @param {object} live @param {string} label @returns {string} its colour class in style.css: hue0 … hue3 or none */
export function toneOf(live, label) {
  if (isReject(live, label)) return "none";
  return `hue${Math.max(0, labelsOf(live).indexOf(label)) % HUES}`;
}

/**
 * The labels that get a row: all of a small model's, the most probable of a large one's.
 * @param {object} live
 * @param {number} most
 * @returns {string[]}
 */
export function labelsShown(live, most = 6) {
  const all = labelsOf(live);
  if (all.length <= most) return all;
  const { probabilities } = live.answer;
  const likeliest = [...all].sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0)).slice(0, most - 1);
  // In the model's order, so that rows stay where they are while the numbers change.
  return likeliest.sort((a, b) => all.indexOf(a) - all.indexOf(b));
}
