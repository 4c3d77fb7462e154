// The walk: the network in use from the picture to the answer, stage by stage, with the same picture throughout.

import { call } from "../api.js";
import { el, setText } from "../dom.js";
import { t, whole } from "../i18n.js";
import { explain } from "../problems.js";
import { sizeFormula } from "./numbers.js";
import { createSource } from "./pictureSource.js";
import { branches, isSum, kernelShape, learned, stagesOf, wordsFor } from "./stages.js";
import { mountAnswer } from "./walkAnswer.js";
import { mountMaps } from "./walkMaps.js";
import { mountTimes } from "./walkTimes.js";

/** @param {HTMLElement} place */
export function mount(place) {
  const problem = el("p.problem", { aria: { role: "status" } });
  const facts = el("p.lab-intro");
  const drawing = el("div.lab-inner", { data: { walk: "stages" } });
  const maps = mountMaps();
  const answer = mountAnswer();
  let picture = null;
  const times = mountTimes(drawing, () => picture);
  const source = createSource((fresh) => {
    picture = fresh;
    maps.take(picture);
    answer.take(picture);
  });
  place.append(
    el("div", {}, el("h2", { text: "lab.walk" }), el("p.lab-intro", { text: "walk.intro" }), facts, problem),
    el("section.lab-card", {}, el("h3", { text: "walk.picture" }), source.node),
    maps.node,
    answer.node,
    el("section.lab-card", {}, el("h3", { text: "walk.stages" }), el("p.note", { text: "walk.stages.more" }), times.node, drawing),
  );

  async function load() {
    const { model } = await call("GET", "api/state");
    if (!model) throw new Error(t("walk.noModel"));
    const table = await call("GET", `api/models/${encodeURIComponent(model.name)}/layers`);
    const stages = stagesOf(table.layers);
    const [, ...sides] = table.input.shape;
    setText(facts, t("walk.facts", { name: model.name, precision: model.precision, layout: sides.at(-1) <= 4 ? "N × H × W × C" : "N × C × H × W", input: `1 × ${sides.join(" × ")}`, parameters: whole(table.totals.parameters), madds: whole(table.totals.multiply_adds) }));
    drawing.replaceChildren(...stages.map((stage) => stageOf(stage, table)));
    maps.rows(table.layers);
  }

  load().then(source.snapshot, (error) => setText(problem, error.code ? explain(error) : error.message));
  return () => {
    maps.end();
    answer.end();
    times.end();
  };
}

function stageOf({ name, rows }, table) {
  const title = /^\d+$/.test(name) ? t("walk.stage.n", { n: name }) : t(`walk.stage.${name}`);
  const shape = (row) => (row?.length > 1 ? row.slice(1).join(" × ") : "");
  const [first, last] = [rows[0], rows.at(-1)];
  const total = rows.reduce((sum, { parameters }) => sum + parameters, 0);
  const percent = (100 * total) / (table.totals.parameters || 1);
  const share = total && percent < 1 ? "< 1" : Math.round(percent);
  return el(
    "section.walk-stage",
    {},
    el("h4", {}, `${title} `, el("small", {}, `${shape(first.input)} → ${shape(last.output)} · ${t("walk.share", { n: share })}`)),
    ...rows.map((row) => rowOf(row, table)),
  );
}

function rowOf(row, table) {
  const shape = row.output ? row.output.slice(1).join(" × ") : "?";
  const kernel = kernelShape(row);
  const heads = [
    el("b", {}, row.operator),
    el("code", {}, row.name),
    el("span", {}, kernel ? t("walk.kernel", { shape: kernel }) : ""),
    el("span", {}, shape),
    bar("walk.parameters", row.parameters, table.totals.parameters),
    bar("walk.madds", row.multiply_adds, table.totals.multiply_adds),
  ];
  const node = el("details.walk-row", { data: { row: row.name } }, el("summary", {}, ...heads));
  if (isSum(row)) {
    const [worked, shortcut] = branches(row, table.layers);
    node.classList.add("walk-sum");
    node.querySelector("summary").append(el("span.walk-shortcut", {}, t("walk.sum", { worked, shortcut })));
  }
  node.addEventListener("toggle", () => node.open && node.childElementCount === 1 && node.append(inside(row)));
  return node;
}

function inside(row) {
  const lines = [];
  const [size] = row.formula ?? [];
  if (size) lines.push(el("p.formula-text", {}, sizeFormula(size.n, size.f, size.s, size.p, size.size, size.rounding)));
  const own = learned(row);
  if (own) lines.push(el("p", {}, t("walk.learned", { weights: whole(own.weights), biases: whole(own.biases), all: whole(row.parameters) }), own.biases && row.kernel ? ` ${t("walk.folded")}` : ""));
  if (row.multiply_adds) lines.push(el("p", {}, t("walk.madds.count", { n: whole(row.multiply_adds) })));
  if (row.receptive_field) lines.push(el("p", {}, t("walk.field", { size: row.receptive_field.join(" × "), jump: row.jump?.[0] ?? 1 })));
  if (row.inputs?.length) lines.push(el("p", {}, t("walk.inputs", { names: row.inputs.join(", ") })));
  lines.push(...wordsFor(row).map((key) => el("p", {}, t(`words.${key}`))));
  return el("div.walk-words", {}, ...lines);
}

function bar(label, value, all) {
  const share = all ? (100 * value) / all : 0;
  const text = `${t(label)}: ${share < 0.05 && value ? "< 0.1" : share.toFixed(1)} %`;
  const node = el("span.walk-bar", { title: text });
  const fill = el("i");
  fill.style.width = `${share}%`;
  node.append(fill, el("span.hidden-words", {}, value ? text : ""));
  return node;
}
