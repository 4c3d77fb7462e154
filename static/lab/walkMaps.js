// The feature maps of the walk's picture: tiles of a layer, one of them opened, and what one unit of it sees.

import { el, options, setText } from "../dom.js";
import { t } from "../i18n.js";
import { bitmapOf } from "../heat.js";
import { explain } from "../problems.js";
import { call } from "../api.js";
import { short } from "./numbers.js";
import { createPicture } from "./picture.js";
import { nameOf, readOnly } from "./grid.js";
import { inspect } from "./pictureSource.js";
import { fieldOf, frameOf } from "./stages.js";

const TILES = 48;

export function mountMaps() {
  const problem = el("p.problem", { aria: { role: "status" } });
  const layer = el("select", { id: "walk-layer" });
  const depth = el("input", { type: "range", min: 0, max: 0, value: 0, id: "walk-depth" });
  const note = el("p.note");
  const tiles = el("ul.walk-tiles");
  const large = el("div.lab-inner", { data: { walk: "channel" } });
  const node = el(
    "section.lab-card",
    {},
    el("h3", { text: "walk.maps" }),
    el("div.lab-fields", {}, el("div.field", {}, el("label", { htmlFor: depth.id, text: "walk.depth" }), depth), el("div.field", {}, el("label", { htmlFor: layer.id, text: "walk.layer" }), layer)),
    problem,
    note,
    tiles,
    large,
  );
  let picture = null;
  let rows = [];
  let shown = null;
  let turn = 0;
  let channel = null;

  layer.addEventListener("change", () => look(layer.value));
  depth.addEventListener("change", () => look(shown?.layers[Number(depth.value)]?.name));

  async function look(name) {
    if (!picture) return;
    turn += 1;
    const mine = turn;
    setText(problem, t("walk.busy"));
    try {
      const found = await inspect("maps", picture, { layer: name ?? null, channels: TILES });
      const png = await bitmapOf(found.png);
      const input = await bitmapOf(found.input);
      if (mine !== turn) return;
      shown = { ...found, png, input };
      render();
      setText(problem, "");
      await open(found.channels.some((one) => one.channel === channel) ? channel : found.channels[0].channel, mine);
    } catch (error) {
      if (mine === turn) complain(error);
    }
  }

  function complain(error) {
    setText(problem, error.code ? explain(error) : String(error.message));
  }

  function render() {
    const { layers, layer: chosen, model, channels, columns, width, height, png } = shown;
    options(layer, layers.map((one) => [one.name, `${one.name}: ${one.channels} × ${one.height} × ${one.width}`]));
    layer.value = chosen.name;
    depth.max = layers.length - 1;
    depth.value = layers.findIndex((one) => one.name === chosen.name);
    depth.setAttribute("aria-valuetext", chosen.name);
    setText(note, t("walk.maps.note", { n: channels.length, all: chosen.channels, size: `${chosen.height} × ${chosen.width}`, name: model.name, precision: model.precision }));
    tiles.replaceChildren(
      ...channels.map(({ channel: number }, i) => {
        const canvas = el("canvas", { width, height, aria: { hidden: "true" } });
        canvas.getContext("2d").drawImage(png, (i % columns) * width, Math.floor(i / columns) * height, width, height, 0, 0, width, height);
        const opener = el("button", { type: "button", onclick: () => open(number, turn).catch(complain) }, canvas, el("span", {}, String(number)));
        opener.setAttribute("aria-label", t("walk.open", { n: number }));
        return el("li", { data: { channel: number } }, opener);
      }),
    );
  }

  async function open(number, mine) {
    channel = number;
    for (const tile of tiles.children) tile.firstChild.setAttribute("aria-pressed", String(tile.dataset.channel === String(number)));
    const found = await inspect("channel", picture, { layer: shown.layer.name, channel: number });
    if (mine !== turn || channel !== number) return;
    const isFirst = shown.layers[0].name === shown.layer.name;
    const filter = isFirst ? await call("GET", `api/models/${encodeURIComponent(shown.model.name)}/filters/${number}`).catch(() => null) : null;
    large.replaceChildren(...opened(found, filter));
  }

  function opened(found, filter) {
    const row = rows.find((one) => one.name === found.layer.name) ?? {};
    const input = createPicture(t("walk.seen"));
    input.canvas.width = shown.input.width;
    input.canvas.height = shown.input.height;
    input.canvas.getContext("2d").drawImage(shown.input, 0, 0);
    const frame = framed(input.node, row, found.layer);
    const pointed = { at: [Math.floor(found.layer.height / 2), Math.floor(found.layer.width / 2)] };
    const maps = [["walk.before", found.before], ["walk.after", found.after]].filter(([, plane]) => plane);
    const pictures = maps.map(([label, plane]) => {
      const one = createPicture(t(label), (at) => point(at));
      one.show([plane], plane.flat().some((value) => value < 0) ? "signed" : "positive");
      return [label, one];
    });
    const values = el("p.lab-sum", { aria: { role: "status" } });
    const fields = ["row", "column"].map((name) => {
      const field = el("input", { type: "number", min: 1, step: 1, max: name === "row" ? found.layer.height : found.layer.width });
      field.addEventListener("input", () => field.value && point(fields.map((one) => Number(one.value) - 1)));
      return field;
    });

    function point(at) {
      const inside = at.map((place, axis) => Math.max(0, Math.min((axis ? found.layer.width : found.layer.height) - 1, place)));
      pointed.at = inside;
      const [i, j] = inside;
      for (const [, one] of pictures) one.light([i, j, 1, 1], "made");
      const field = fieldOf(row, inside);
      input.light(field);
      fields.forEach((one, axis) => document.activeElement !== one && (one.value = inside[axis] + 1));
      const numbers = maps.map(([label, plane]) => `${t(label)}: ${short(plane[i][j], 4)}`).join(" → ");
      const sees = field ? t("walk.unit", { rows: `${short(field[0])} … ${short(field[0] + field[2] - 1)}`, columns: `${short(field[1])} … ${short(field[1] + field[3] - 1)}` }) : t("walk.unit.all");
      setText(values, `${numbers}. ${sees}${isBeyond(field, shown.input) ? ` ${t("walk.unit.padding")}` : ""}`);
    }

    const shownParts = [["walk.seen", frame], ...pictures.map(([label, one]) => [label, one.node])];
    const figures = shownParts.map(([label, part]) => el("figure.lab-stage", {}, el("figcaption", {}, t(label)), part));
    const parts = [
      el("h4", {}, t("walk.channel", { n: found.channel, layer: found.layer.name })),
      el("div.lab-fields.walk-point", {}, ...fields.map((field, i) => el("label", {}, t(i ? "bench.column" : "bench.row"), field))),
      el("div.lab-stages", {}, ...figures),
      values,
    ];
    if (!found.before) parts.push(el("p.note", {}, t(found.model.precision === "int8" ? "walk.noBefore.int8" : "walk.noBefore")));
    if (filter) parts.push(el("h4", {}, t("walk.filter", { n: filter.filter })), el("div.lab-stages", {}, ...filter.weights.map((plane, c, all) => el("figure.lab-stage", {}, el("figcaption", {}, nameOf(c, all.length)), readOnly(plane, nameOf(c, all.length))))));
    point(pointed.at);
    return parts;
  }

  // The picture as large as leaves room for the fields of all units of the layer.
  function framed(one, row, { height, width }) {
    const { top, left, side } = frameOf(row, [height, width], [shown.input.height, shown.input.width]);
    const share = (value) => `${(100 * value) / side}%`;
    one.style.top = share(-top);
    one.style.left = share(-left);
    one.style.width = share(shown.input.width);
    return el("div.walk-frame", {}, one);
  }

  return {
    node,
    take(fresh) {
      picture = fresh;
      look(shown?.layer.name);
    },
    rows(table) {
      rows = table;
    },
    end() {
      turn += 1;
    },
  };
}

function isBeyond(field, { width, height }) {
  return field && (field[0] < 0 || field[1] < 0 || field[0] + field[2] > height || field[1] + field[3] > width);
}
