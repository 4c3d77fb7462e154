// The questions of the self-test and the numbers of the errata: computed, not written down. It does not touch the page.

import { convolutionParameters, convolve, denseParameters, positions, receptiveField, sizes } from "./arithmetic.js";
import { GRIDS, KERNELS } from "./examples.js";

const conv = (n, f, s, p) => positions(n, f, s, p, p);

/** @param {number} n @returns {number[]} sides behind stem and stages 1 to 4 of ResNet-18 for a picture of n */
export function resnetStages(n) {
  const stem = conv(conv(n, 7, 2, 3), 3, 2, 1);
  const sides = [stem];
  for (let stage = 2; stage <= 4; stage += 1) sides.push(conv(sides.at(-1), 3, 2, 1));
  return sides;
}

/** LeNet-5 with 32 x 32: after two convolutions of 5 and two pools there are 16 maps of 5 x 5. */
const LENET_FLAT = 16 * conv(conv(conv(conv(32, 5, 1, 0), 2, 2, 0), 5, 1, 0), 2, 2, 0) ** 2;

/**
 * @typedef {object} Question
 * @property {string} name  its texts are exercise.NAME and exercise.NAME.why
 * @property {number[]} [answer]   what has to be typed, in this order
 * @property {string[]} [wrong]    or: the statements (exercise.NAME.KEY) that are wrong
 * @property {string[]} [options]  all statements
 */
/** @type {Question[]} */
export const QUESTIONS = [
  { name: "edge", answer: [convolve(GRIDS.course, KERNELS.vertical, 0, { stride: 1, padding: 0 })[0][0]] },
  { name: "filters", answer: [convolutionParameters(3, 3, 10)] },
  { name: "dense", answer: [denseParameters(256 * 256 * 3, 1000)] },
  { name: "padding", answer: [conv(100, 1, 1, 1)] },
  { name: "twice", answer: [receptiveField([[3, 1], [3, 1]])] },
  { name: "twicePixels", answer: [receptiveField([[3, 1], [3, 1]]) ** 2] },
  { name: "lenet", answer: [denseParameters(LENET_FLAT, 120), denseParameters(120, 84), denseParameters(84, 10)] },
  { name: "stages224", answer: resnetStages(224) },
  { name: "stages96", answer: resnetStages(96) },
  { name: "valid", answer: [sizes(10, 3, 2, 0).floor, sizes(10, 3, 2, 0).valid] },
  { name: "pooling", options: ["learns", "backward", "channels", "size"], wrong: ["learns", "channels"] },
  { name: "fixed", options: ["any", "dense", "mean", "train"], wrong: ["any"] },
];

/** @param {string} text @returns {number[]} all numbers in it, thousands apart or not, with any minus sign */
export function numbersIn(text) {
  const plain = text.replace(/−/g, "-").replace(/(\d)[,\u00a0\u202f ](?=\d{3}(\D|$))/g, "$1");
  return (plain.match(/-?\d+(\.\d+)?/g) ?? []).map(Number);
}

/** @param {Question} question @param {string | string[]} given  typed, or the statements chosen @returns {boolean} */
export function isRight({ answer, wrong }, given) {
  if (wrong) return [...given].sort().join() === [...wrong].sort().join();
  const typed = numbersIn(String(given));
  return typed.length === answer.length && typed.every((value, i) => value === answer[i]);
}

/** Numbers of the errata: LeNet's layers on colour pictures, its dense ones, the third stage of ResNet-18. */
export const NUMBERS = {
  first: convolutionParameters(5, 3, 8),
  second: convolutionParameters(5, 8, 16),
  c5: denseParameters(LENET_FLAT, 120),
  f6: denseParameters(120, 84),
  output: denseParameters(84, 10),
  large: resnetStages(224)[2],
  small: resnetStages(96)[2],
};
