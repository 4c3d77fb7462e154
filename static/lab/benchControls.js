// What can be chosen on the bench, and where its picture comes from.

import { address, call } from "../api.js";
import { button, el, setText, show } from "../dom.js";
import { t } from "../i18n.js";
import { explain } from "../problems.js";
import { GRIDS, KERNELS } from "./examples.js";
import { short, typed } from "./numbers.js";
import { squareOf, volumeOf } from "./picture.js";
import { fitted } from "./setup.js";

// Once a second is enough to look live; thirty readers cost thirty small pictures a second, encoded once for all.
const EVERY_MS = 1000;
const SIDE = 96;

/** @param {{get: () => import("./setup.js").Setup, set: (change: object) => void}} bench */
export function mountControls(bench) {
  const problem = el("p.problem", { aria: { role: "status" } });
  const source = choice("bench.source", ["grid", "live", "photo"], (value) => changeSource(value));
  const grid = choice("bench.grid", [...Object.keys(GRIDS), "own"], (value) => GRIDS[value] && bench.set({ grid: value, input: GRIDS[value], at: [0, 0] }));
  const colour = choice("bench.colour", ["rgb", "grey"], (value) => takePicture({ colour: value === "rgb" }));
  const file = el("input", { type: "file", accept: "image/*" });
  const photo = el("label", {}, t("bench.photo"), file);
  const follow = el("input", { type: "checkbox", checked: !matchMedia("(prefers-reduced-motion: reduce)").matches });
  const again = button("button", { text: "bench.again", onclick: () => snapshot() });
  const followed = el("label.check", {}, follow, el("span", { text: "maps.follow" }));
  const kernel = choice("bench.kernel", [...Object.keys(KERNELS), "network", "own"], chooseKernel);
  const filter = number("bench.filter", 0, 4095, () => chooseKernel("network"));
  const size = choice("bench.kernel.size", ["3", "5"], (value) => resize(Number(value)));
  const padding = choice("bench.padding", ["valid", "same", "number"], (value) => bench.set({ padding: value }));
  const zeros = number("bench.zeros", 0, 9, (value) => bench.set({ zeros: value }));
  const stride = number("bench.stride", 1, 9, (value) => bench.set({ stride: value }));
  const bias = el("input", { type: "text", inputMode: "decimal" });
  const activation = choice("bench.activation", ["none", "relu", "sigmoid"], (value) => bench.set({ activation: value }));
  const pooling = choice("bench.pooling", ["none", "max", "mean"], (value) => pool({ kind: value }));
  const poolSize = number("bench.pool.size", 1, 9, (value) => pool({ size: value }));
  const poolStride = number("bench.pool.stride", 1, 9, (value) => pool({ stride: value }));
  const ceil = el("input", { type: "checkbox", onchange: () => pool({ ceil: ceil.checked }) });
  const ceiled = el("label.check", {}, ceil, el("span", { text: "bench.pool.ceil" }));
  const flip = el("input", { type: "checkbox", onchange: () => bench.set({ flip: flip.checked }) });
  const flipping = el("label.check", {}, flip, el("span", { text: "bench.flip" }));
  let pixels = null;

  bias.addEventListener("input", () => typed(bias.value) !== null && bench.set({ bias: typed(bias.value) }));
  file.addEventListener("change", async () => {
    if (!file.files[0]) return;
    try {
      takePicture({}, squareOf(await createImageBitmap(file.files[0]), SIDE));
    } catch {
      setText(problem, t("bench.photo.unreadable"));
    }
  });

  function choice(label, names, chosen) {
    const select = el("select", { id: label, onchange: () => chosen(select.value) }, ...names.map((name) => el("option", { value: name, text: `${label}.${name}` })));
    return { node: el("div.field", {}, el("label", { htmlFor: label, text: label }), select), select };
  }

  function number(label, min, max, chosen) {
    const field = el("input", { type: "number", min, max, step: 1, value: min });
    field.addEventListener("input", () => {
      const value = Number(field.value);
      if (field.value !== "" && Number.isInteger(value) && value >= min && value <= max) chosen(value);
    });
    return { node: el("label", {}, el("span", { text: label }), field), field };
  }

  function pool(change) {
    bench.set({ pooling: { ...bench.get().pooling, ...change } });
  }

  async function chooseKernel(name) {
    setText(problem, "");
    if (KERNELS[name]) bench.set({ kernelName: name, kernel: KERNELS[name] });
    else if (name === "network") await ownFilter().catch((error) => setText(problem, explain(error)));
    else bench.set({ kernelName: name });
  }

  async function ownFilter() {
    const state = await call("GET", "api/state");
    const filters = await call("GET", `api/models/${encodeURIComponent(state.model.name)}/filters/${filter.field.value || 0}`);
    filter.field.max = filters.count - 1;
    bench.set({ kernelName: "network", kernel: filters.weights, bias: 0 });
  }

  // A larger kernel contains the old one in its centre; a smaller one is the old one's centre.
  function resize(side) {
    const { kernel } = bench.get();
    const off = (kernel[0].length - side) / 2;
    const whole = Math.trunc(off);
    const planes = kernel.map((plane) => Array.from({ length: side }, (_, i) => Array.from({ length: side }, (_, j) => plane[i + whole]?.[j + whole] ?? 0)));
    bench.set({ kernel: planes, kernelName: "own" });
  }

  async function changeSource(value) {
    setText(problem, "");
    if (value === "grid") return bench.set({ source: value, grid: "course", input: GRIDS.course, at: [0, 0] });
    pixels = null;
    bench.set({ source: value, input: volumeOf(new ImageData(SIDE, SIDE), bench.get().colour) });
    if (value === "live") await snapshot();
    return undefined;
  }

  function takePicture(change, fresh = pixels) {
    pixels = fresh;
    const colour = change.colour ?? bench.get().colour;
    bench.set({ ...change, ...(pixels ? { input: volumeOf(pixels, colour) } : {}) });
  }

  async function snapshot() {
    try {
      const response = await fetch(address("api/snapshot.jpg?region=true&width=160"), { credentials: "same-origin", signal: AbortSignal.timeout(10_000) });
      if (!response.ok || response.headers.get("X-Lookout-Stale")) throw new Error(t("bench.noPicture"));
      const bitmap = await createImageBitmap(await response.blob());
      if (bench.get().source === "live") takePicture({}, squareOf(bitmap, SIDE));
      setText(problem, "");
    } catch (error) {
      setText(problem, error.name === "Error" ? error.message : t("bench.noPicture"));
    }
  }

  let timer = null;
  async function turn() {
    if (bench.get().source === "live" && follow.checked && !document.hidden) await snapshot();
    if (timer !== null) timer = setTimeout(turn, EVERY_MS);
  }
  timer = setTimeout(turn, EVERY_MS);

  return {
    node: el(
      "div.lab-inner",
      {},
      el("div.lab-fields", {}, source.node, grid.node, colour.node, photo, followed, again),
      el("div.lab-fields", {}, kernel.node, filter.node, size.node, el("label", {}, el("span", { text: "bench.bias" }), bias), flipping),
      el("div.lab-fields", {}, padding.node, zeros.node, stride.node, activation.node, pooling.node, poolSize.node, poolStride.node, ceiled),
      problem,
    ),
    render() {
      const setup = bench.get();
      const isGrid = setup.source === "grid";
      const values = [
        [source, setup.source],
        [grid, setup.grid],
        [colour, setup.colour ? "rgb" : "grey"],
        [kernel, setup.kernelName],
        [size, String(setup.kernel[0].length)],
        [padding, setup.padding],
        [activation, setup.activation],
        [pooling, setup.pooling.kind],
      ];
      for (const [{ select }, value] of values) select.value = value;
      for (const [{ field }, value] of [[zeros, setup.zeros], [stride, setup.stride], [poolSize, setup.pooling.size], [poolStride, setup.pooling.stride]]) {
        if (document.activeElement !== field) field.value = value;
      }
      if (document.activeElement !== bias) bias.value = short(setup.bias, 4);
      flip.checked = setup.flip;
      ceil.checked = setup.pooling.ceil;
      show(grid.node, isGrid);
      show(colour.node, !isGrid);
      show(photo, setup.source === "photo");
      for (const one of [followed, again]) show(one, setup.source === "live");
      show(filter.node, setup.kernelName === "network");
      show(zeros.node, setup.padding === "number");
      for (const one of [poolSize.node, poolStride.node, ceiled]) show(one, setup.pooling.kind !== "none");
    },
    end() {
      clearTimeout(timer);
      timer = null;
    },
  };
}
