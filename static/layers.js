// The table of layers: sizes and parameters with the formula filled in, so that a student can check the arithmetic.

import { call } from "./api.js";
import { addDialog } from "./dialog.js";
import { el } from "./dom.js";
import { cardOf, cardTitle } from "./cards.js";
import { complain } from "./problems.js";
import { t, whole } from "./i18n.js";

const FORMULA = "(n + 2p − f) / s + 1";

/** @param {import("./store.js").Store} store  whose model's layers are shown */
export async function openLayers(store) {
  const page = store.get();
  const name = page.live.model.name;
  let table;
  try {
    table = await call("GET", `api/models/${encodeURIComponent(name)}/layers`);
  } catch (error) {
    complain(error);
    return;
  }
  const filters = el("img.filters", { src: `api/models/${encodeURIComponent(name)}/filters.png`, alt: t("layers.filters") });
  filters.addEventListener("error", () => filters.remove());
  const scroll = el("div.table-scroll", { tabIndex: 0, aria: { role: "region", labelledby: "layers-title" } }, filters, tableOf(table));
  const title = t("layers.title", { name: cardTitle(cardOf(page, name) ?? { name }) });
  const intro = el("p.dialog-intro", { text: "layers.intro" });
  const dialog = addDialog("layers", "broad", el("h2", {}, title), intro, scroll);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

function tableOf(table) {
  const columns = ["name", "size", "formula", "field", "parameters", "madds"];
  const head = el("tr", {}, ...columns.map((column) => el("th", { scope: "col", className: `c-${column}` }, column === "formula" ? FORMULA : t(`layers.${column}`))));
  const rows = table.layers.map(rowOf);
  const { parameters, multiply_adds } = table.totals;
  const foot = el(
    "tr",
    {},
    el("th", { scope: "row", colSpan: 4 }, t("layers.total")),
    el("td.number", {}, whole(parameters)),
    el("td.number", {}, whole(multiply_adds)),
  );
  return el("table.layers", {}, el("thead", {}, head), el("tbody", {}, ...rows), el("tfoot", {}, foot));
}

function rowOf(layer) {
  return el(
    "tr",
    { className: layer.main ? "" : "aside-row" },
    el("th", { scope: "row" }, el("span.layer-operator", {}, layer.operator), el("span.layer-name", {}, layer.name)),
    el("td", {}, `${shape(layer.input)} → ${shape(layer.output)}`),
    el("td.formula", {}, ...formulas(layer)),
    el("td", {}, layer.receptive_field ? square(layer.receptive_field) : "–"),
    el("td.number", {}, layer.parameters ? whole(layer.parameters) : "–"),
    el("td.number", {}, layer.multiply_adds ? whole(layer.multiply_adds) : "–"),
  );
}

// The first dimension of a shape is the batch size, which says nothing about the layer.
function shape(sizes) {
  return sizes ? sizes.slice(1).join(" × ") || String(sizes[0]) : "?";
}

function square(sides) {
  return sides.every((side) => side === sides[0]) ? `${sides[0]} × ${sides[0]}` : sides.join(" × ");
}

function formulas(layer) {
  const { formula } = layer;
  if (!formula?.length) return ["–"];
  const texts = formula.map(({ n, p, f, s, size, rounding }) => {
    const [open, close] = rounding === "ceil" ? ["⌈", "⌉"] : ["⌊", "⌋"];
    return `${open}(${n} + 2·${p} − ${f}) / ${s}${close} + 1 = ${size}`;
  });
  // Height and width are nearly always equal; then only one is written.
  const same = texts.every((text) => text === texts[0]);
  const shown = same ? [texts[0]] : texts.map((text, i) => `${formula[i].axis}: ${text}`);
  return shown.map((text) => el("span", {}, text));
}
