// The bench: one filter over a grid of numbers or a picture, with every number on the way.

import { el, setText, show } from "../dom.js";
import { t } from "../i18n.js";
import { terms } from "./arithmetic.js";
import { mountControls } from "./benchControls.js";
import { mountDetails } from "./benchDetails.js";
import { createGrid, nameOf } from "./grid.js";
import { short, sum } from "./numbers.js";
import { createPicture } from "./picture.js";
import { computed, courseSetup, fitted } from "./setup.js";

// Kept while another part of the lab is open.
let setup = courseSetup();

/** @param {HTMLElement} place @returns {() => void} ends it */
export function mount(place) {
  const stages = el("div.lab-stages");
  const summing = el("section.bench-sum", { aria: { labelledby: "bench-sum" } });
  const problem = el("p.problem", { aria: { role: "status" } });
  const controls = mountControls({ get: () => setup, set });
  const details = mountDetails();
  place.append(
    el("div", {}, el("h2", { text: "lab.bench" }), el("p.lab-intro", { text: "bench.intro" })),
    el("div.lab-card", {}, controls.node, problem, stages),
    details.node,
  );
  let drawn = null;

  function set(change) {
    setup = { ...setup, ...change };
    render();
  }

  function point(at) {
    setup = { ...setup, at };
    light();
  }

  function render() {
    controls.render();
    const result = computed(setup);
    setText(problem, result ? "" : t("bench.tooLarge"));
    show(stages, Boolean(result));
    if (!result) return details.render(setup, null);
    setup.at = setup.at.map((place, axis) => Math.min(place, (axis ? result.output[0].length : result.output.length) - 1));
    const kind = [setup.source === "grid", Boolean(result.pooled), setup.activation !== "none"].join();
    if (drawn?.kind !== kind) {
      drawn = { kind, ...build(result) };
      stages.replaceChildren(...drawn.figures, summing);
      summing.replaceChildren(drawn.sum.node);
    }
    drawn.input.show(setup.input, setup.source === "grid" ? result.steps.padding : "pixels");
    drawn.kernel.show(setup.flip ? result.kernel : fitted(setup.kernel, setup.input.length));
    drawn.output.show([result.output], setup.source === "grid" ? 0 : "signed");
    drawn.active?.show([result.active], setup.source === "grid" ? 0 : "positive");
    drawn.pooled?.show([result.pooled], setup.source === "grid" ? 0 : setup.activation === "none" ? "signed" : "positive");
    captions(result);
    light();
    details.render(setup, result);
  }

  function build(result) {
    const make = (label, does) => (setup.source === "grid" ? createGrid(t(label), does) : createPicture(t(label), does?.point));
    const edit = (name) => (channel, row, column, value) => {
      const volume = (name === "kernel" ? fitted(setup.kernel, setup.input.length) : setup.input).map((plane) => plane.map((line) => [...line]));
      volume[channel][row][column] = value;
      set(name === "kernel" ? { kernel: volume, kernelName: "own" } : { input: volume, grid: "own" });
    };
    const parts = {
      input: make("bench.input", { edit: edit("input") }),
      kernel: createGrid(t("bench.kernel"), { edit: edit("kernel") }),
      output: make("bench.output", { point }),
      active: setup.activation === "none" ? null : make("bench.active", { point }),
      pooled: result.pooled ? make("bench.pooled", { point: pointPooled }) : null,
      sum: createSum(point),
    };
    const caption = () => el("figcaption");
    const figures = ["input", "kernel", "output", "active", "pooled"].filter((name) => parts[name]);
    return { ...parts, figures: figures.map((name) => el("figure.lab-stage", { data: { stage: name } }, caption(), parts[name].node)) };
  }

  function captions(result) {
    const size = (plane, channels = 1) => `${channels > 1 ? `${channels} × ` : ""}${plane.length} × ${plane[0].length}`;
    const values = {
      input: [t("bench.input"), size(setup.input[0], setup.input.length)],
      kernel: [t(setup.flip ? "bench.kernel.flipped" : "bench.kernel"), size(result.kernel[0], result.kernel.length)],
      output: [t("bench.output"), size(result.output)],
      active: [setup.activation === "relu" ? "ReLU" : "Sigmoid", size(result.active)],
      pooled: [t(`bench.pool.${setup.pooling.kind}`), result.pooled && size(result.pooled)],
    };
    for (const figure of drawn.figures) {
      const [name, sides] = values[figure.dataset.stage];
      figure.firstChild.replaceChildren(`${name} `, el("small", {}, sides));
    }
  }

  // A pooled value points at the place in its window that max pooling keeps, else at the window's first.
  function pointPooled([i, j]) {
    const { pooling, output } = computed(setup);
    point([Math.min(i * pooling.stride, output.length - 1), Math.min(j * pooling.stride, output[0].length - 1)]);
  }

  function light() {
    const result = computed(setup);
    if (!result || !drawn) return;
    const [i, j] = setup.at;
    const { stride, padding } = result.steps;
    const [height, width] = [result.kernel[0].length, result.kernel[0][0].length];
    drawn.input.light([i * stride - padding, j * stride - padding, height, width]);
    for (const one of [drawn.output, drawn.active]) {
      one?.light([i, j, 1, 1], "made");
      one?.enter([i, j]);
    }
    if (drawn.pooled) {
      const step = result.pooling.stride;
      const last = [result.pooled.length - 1, result.pooled[0].length - 1];
      drawn.pooled.light([Math.min(Math.floor(i / step), last[0]), Math.min(Math.floor(j / step), last[1]), 1, 1], "made");
    }
    drawn.sum.render(setup, result);
  }

  render();
  return controls.end;
}

// The value pointed at, written out: products by channel, then the bias, then the activation.
function createSum(point) {
  const fields = ["row", "column"].map((name) => el("input", { type: "number", min: 1, step: 1, name }));
  const lines = el("div.lab-sum", { aria: { role: "status", live: "polite" } });
  const labels = fields.map((field) => el("label", {}, t(`bench.${field.name}`), field));
  fields.forEach((field) => field.addEventListener("change", () => point(fields.map((one) => Math.max(0, Number(one.value) - 1 || 0)))));
  const node = el("div.lab-inner", {}, el("h3", { id: "bench-sum", text: "bench.sum" }), el("div.lab-fields", {}, ...labels), lines);

  function render(setup, result) {
    const [i, j] = setup.at;
    fields[0].max = result.output.length;
    fields[1].max = result.output[0].length;
    fields.forEach((field, axis) => {
      if (document.activeElement !== field) field.value = setup.at[axis] + 1;
    });
    if (!result.output[i] || result.output[i][j] === undefined) return;
    const all = terms(setup.input, result.kernel, result.steps, setup.at);
    const channels = result.kernel.map((_, c) => all.filter(({ channel }) => channel === c));
    const written = channels.map((one, c) => {
      const products = one.map(({ value, weight }) => `${short(value)}·${short(weight, 3).replace(/^−.*/, "($&)")}`).join(" + ");
      const name = channels.length > 1 ? `${nameOf(c, channels.length)}: ` : "";
      return [el("p", {}, name, el("span.of-window", {}, products)), el("p", {}, `= ${sum(byColumn(one))} = ${short(total(one))}`)];
    });
    const parts = channels.map(total);
    const end = el("p", {}, channels.length > 1 ? `${sum(parts)} ` : "", channels.length > 1 || setup.bias ? t("bench.bias.plus", { b: short(setup.bias) }) : "", " = ", el("b", {}, short(result.output[i][j])));
    if (setup.activation !== "none") end.append(` → ${setup.activation === "relu" ? "ReLU" : "σ"} → `, el("b", {}, short(result.active[i][j], 4)));
    lines.replaceChildren(...written.flat(), end);
  }

  return { node, render };
}

function total(one) {
  return one.reduce((all, { value, weight }) => all + value * weight, 0);
}

// In the order used by hand: column by column, without terms whose weight is 0.
function byColumn(one) {
  const sorted = one.filter(({ weight }) => weight !== 0).sort((a, b) => a.column - b.column || a.row - b.row);
  return sorted.map(({ value, weight }) => value * weight);
}
