// Below the bench: sizes with their formula, the layer as a matrix and as a dense layer, backwards, and as Python.

import { button, el, setText } from "../dom.js";
import { t } from "../i18n.js";
import { activateBackward, convolveBackward, denseMatrix, im2col, poolBackward, sizes, slope, stepped } from "./arithmetic.js";
import { numpyCode, torchCode } from "./code.js";
import { readOnly } from "./grid.js";
import { short, sizeFormula } from "./numbers.js";

// A larger matrix would not be readable.
const MAX_SIDE = 8;
const RATE = 0.01;

export function mountDetails() {
  const parts = ["sizes", "flip", "matrix", "dense", "back", "copy"].map(part);
  let last = null;
  parts[0].node.open = true;

  function part(name) {
    const inner = el("div.lab-inner");
    const node = el("details", { data: { detail: name } }, el("summary", { text: `details.${name}` }), inner);
    node.addEventListener("toggle", () => last && node.open && fill(name, inner));
    return { name, node, inner };
  }

  // Closed sections are not computed.
  function fill(name, inner) {
    const { setup, result } = last;
    inner.replaceChildren(...(result ? CONTENTS[name](setup, result) : [el("p", {}, t("bench.tooLarge"))]));
  }

  return {
    node: el("div.lab-card", {}, ...parts.map(({ node }) => node)),
    render(setup, result) {
      last = { setup, result };
      for (const { name, node, inner } of parts) if (node.open) fill(name, inner);
    },
  };
}

function note(key, values) {
  return el("p.note", {}, t(key, values));
}

const CONTENTS = {
  sizes(setup, { steps, kernel, output, pooling, pooled, active }) {
    const { stride, padding } = steps;
    const axes = [
      [t("details.sizes.rows"), setup.input[0].length, kernel[0].length, output.length],
      [t("details.sizes.columns"), setup.input[0][0].length, kernel[0][0].length, output[0].length],
    ];
    const found = axes.map(([axis, n, f, size]) => ({ axis, n, f, size, by: sizes(n, f, stride, padding) }));
    const heads = ["(n + 2p − f) / s + 1", "floor", "ceil", "SAME: ⌈n / s⌉", "VALID: ⌈(n − f + 1) / s⌉"];
    const rows = found.map(({ axis, n, f, by }) =>
      el("tr", {}, el("th", { scope: "row" }, axis), el("td.number", {}, `(${n} + 2·${padding} − ${f}) / ${stride} + 1 = ${short(by.exact)}`), ...["floor", "ceil", "same", "valid"].map((key) => el("td.number", {}, String(by[key])))),
    );
    const table = el("table.lab-table", {}, el("thead", {}, el("tr", {}, el("td"), ...heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...rows));
    const divides = found.every(({ by }) => Number.isInteger(by.exact));
    const parts = [
      ...found.map(({ axis, n, f, size }) => el("p", {}, `${axis}: `, el("span.formula-text", {}, sizeFormula(n, f, stride, padding, size)))),
      el("div.grid-scroll", { tabIndex: 0, aria: { role: "group", label: t("details.sizes") } }, table),
      note(divides ? "details.sizes.divides" : "details.sizes.rest"),
    ];
    if (pooled) {
      const by = sizeFormula(active.length, pooling.size, pooling.stride, 0, pooled.length, pooling.ceil ? "ceil" : "floor");
      parts.push(el("p", {}, `${t("bench.pooling")}: `, el("span.formula-text", {}, by)));
    }
    if (padding === 0) parts.push(note("details.sizes.pad"));
    return parts;
  },

  flip(setup, { kernel }) {
    const same = JSON.stringify(kernel) === JSON.stringify([...kernel].map((plane) => [...plane].reverse().map((row) => [...row].reverse())));
    return [note(setup.flip ? "details.flip.on" : "details.flip.off"), note(same ? "details.flip.same" : "details.flip.more")];
  },

  matrix(setup, { kernel, steps, output }) {
    if (isLarge(setup)) return [note("details.small", { n: MAX_SIDE })];
    const windows = im2col(setup.input, kernel, steps);
    const column = kernel.flat(2);
    return [
      note("details.matrix.more", { rows: windows.length, columns: column.length, r: output.length, c: output[0].length }),
      readOnly(windows, t("details.matrix")),
      el("p", {}, t("details.matrix.kernel")),
      readOnly([column], t("details.matrix.kernel")),
      el("p", {}, t("details.matrix.product")),
      readOnly([output.flat()], t("details.matrix.product")),
    ];
  },

  dense(setup, { kernel, steps, output }) {
    if (isLarge(setup)) return [note("details.small", { n: MAX_SIDE })];
    const matrix = denseMatrix(setup.input, kernel, steps);
    const weights = kernel.flat(2).length;
    return [
      note("details.dense.more", { outputs: matrix.length, inputs: matrix[0].length, all: matrix.length * matrix[0].length, weights }),
      note("details.dense.same", { r: output.length, c: output[0].length }),
      readOnly(matrix, t("details.dense")),
    ];
  },

  back(setup, { kernel, steps, output, active, pooling, pooled }) {
    if (isLarge(setup)) return [note("details.small", { n: MAX_SIDE })];
    const last = pooled ?? active;
    const ones = last.map((row) => row.map(() => 1));
    const parts = [note("details.back.more"), el("h3", {}, t("details.back.start")), readOnly(ones, t("details.back.start"))];
    let gradient = ones;
    if (pooled) {
      gradient = poolBackward(active, pooling, gradient);
      parts.push(el("h3", {}, t(`details.back.${pooling.kind}`)), readOnly(gradient, t(`details.back.${pooling.kind}`)));
    }
    if (setup.activation !== "none") {
      const slopes = output.map((row) => row.map((x) => slope(setup.activation, x)));
      gradient = activateBackward(setup.activation, output, gradient);
      parts.push(el("h3", {}, t(`details.back.${setup.activation}`)), readOnly(slopes, t("details.back.slopes")), el("p", {}, t("details.back.times")), readOnly(gradient, t("details.back.times")));
      if (setup.activation === "relu") parts.push(note("details.back.zero"));
    }
    const back = convolveBackward(setup.input, kernel, steps, gradient);
    parts.push(el("h3", {}, t("details.back.input")), ...back.input.map((plane) => readOnly(plane, t("details.back.input"))));
    parts.push(el("h3", {}, t("details.back.kernel")), ...back.kernel.map((plane) => readOnly(plane, t("details.back.kernel"))));
    parts.push(el("p", {}, t("details.back.bias", { b: short(back.bias) })));
    parts.push(el("h3", {}, t("details.back.step", { rate: RATE })), ...stepped(kernel, back.kernel, RATE).map((plane) => readOnly(plane, t("bench.kernel"))));
    return parts;
  },

  copy(setup, result) {
    const layer = layerOf(setup, result);
    const programs = [["NumPy", numpyCode(layer)], ["PyTorch", torchCode(layer)]];
    return [note(setup.source === "grid" ? "details.copy.more" : "details.copy.window"), ...programs.flatMap(([name, text]) => program(name, text))];
  },
};

function program(name, text) {
  const copy = button("button", { onclick: async () => setText(copy, t((await copied(text, code)) ? "details.copied" : "details.copy.byHand")) }, t("details.copy.as", { name }));
  const code = el("pre", { tabIndex: 0, aria: { label: name } }, text);
  return [el("div.buttons", {}, copy), code];
}

// Over plain HTTP, browsers deny pages the clipboard: then the text is selected, ready to be copied by keyboard.
async function copied(text, code) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}

// For a picture, only the window that is pointed at: a program of thousands of numbers would not be readable.
function layerOf(setup, { kernel, steps, pooling }) {
  const whole = { kernel, bias: setup.bias, activation: setup.activation, ...steps };
  if (setup.source === "grid") return { ...whole, input: setup.input, pooling };
  const [top, left] = setup.at.map((place) => place * steps.stride - steps.padding);
  const input = kernel.map((plane, c) => plane.map((row, i) => row.map((_, j) => setup.input[c][top + i]?.[left + j] ?? 0)));
  return { ...whole, input, stride: 1, padding: 0, pooling: null };
}

function isLarge(setup) {
  return Math.max(setup.input[0].length, setup.input[0][0].length) > MAX_SIDE;
}
