// The bench's inputs, and what is computed from them. It does not touch the page: grids and tests use the same numbers.

import { GRIDS, KERNELS } from "./examples.js";
import { activate, convolve, each, flipped, outputSize, pool } from "./arithmetic.js";

/**
 * @typedef {object} Setup
 * @property {"grid" | "live" | "photo"} source
 * @property {keyof typeof GRIDS | "own"} grid
 * @property {import("./arithmetic.js").Volume} input
 * @property {boolean} colour        of pictures: three channels or grey
 * @property {string} kernelName     of KERNELS, "own" or "network"
 * @property {import("./arithmetic.js").Volume} kernel  as it was typed
 * @property {boolean} flip          whether it is turned before it is applied
 * @property {number} bias
 * @property {"valid" | "same" | "number"} padding
 * @property {number} zeros          of "number"
 * @property {number} stride
 * @property {"none" | "relu" | "sigmoid"} activation
 * @property {{kind: "none" | "max" | "mean", size: number, stride: number, ceil: boolean}} pooling
 * @property {[number, number]} at   the value of the output that is pointed at
 */

/** @returns {Setup} the worked example of the course: its first value is −5 */
export function courseSetup() {
  return {
    source: "grid",
    grid: "course",
    input: GRIDS.course,
    colour: true,
    kernelName: "vertical",
    kernel: KERNELS.vertical,
    flip: false,
    bias: 0,
    padding: "valid",
    zeros: 1,
    stride: 1,
    activation: "none",
    pooling: { kind: "none", size: 2, stride: 2, ceil: false },
    at: [0, 0],
  };
}

/** @param {import("./arithmetic.js").Volume} kernel @returns {import("./arithmetic.js").Volume} with this many channels */
export function fitted(kernel, channels) {
  return Array.from({ length: channels }, (_, c) => kernel[c] ?? kernel[0]);
}

/** @param {Setup} setup @returns {number} zeros on each side */
export function paddingOf(setup) {
  if (setup.padding === "number") return setup.zeros;
  return setup.padding === "same" ? Math.floor((setup.kernel[0].length - 1) / 2) : 0;
}

/**
 * @param {Setup} setup
 * @returns {null | {steps: import("./arithmetic.js").Steps, kernel: import("./arithmetic.js").Volume,
 *   pooling: import("./arithmetic.js").Pooling | null, output: number[][], active: number[][], pooled: number[][] | null}}
 *   null where the kernel does not fit the input
 */
export function computed(setup) {
  const steps = { stride: setup.stride, padding: paddingOf(setup) };
  const fitting = fitted(setup.kernel, setup.input.length);
  const kernel = setup.flip ? flipped(fitting) : fitting;
  if (Math.min(...outputSize(setup.input, kernel, steps)) < 1) return null;
  const output = convolve(setup.input, kernel, setup.bias, steps);
  const active = each(output, (x) => activate(setup.activation, x));
  const { kind, ...window } = setup.pooling;
  const fits = Math.min(output.length, output[0].length) >= window.size;
  const pooling = kind === "none" || !fits ? null : { kind, ...window };
  return { steps, kernel, pooling, output, active, pooled: pooling && pool(active, pooling) };
}
