// The last step: logits, temperature, softmax with its numbers; and which parts of the picture support a label.

import { button, el, setText } from "../dom.js";
import { t } from "../i18n.js";
import { titleOf } from "../labels.js";
import { explain } from "../problems.js";
import { softmax } from "./arithmetic.js";
import { short } from "./numbers.js";
import { createPicture, squareOf, volumeOf } from "./picture.js";
import { inspect } from "./pictureSource.js";

const MAX_LABELS = 12;
const SIDE = 192;

export function mountAnswer() {
  const problem = el("p.problem", { aria: { role: "status" } });
  const numbers = el("div.lab-inner", { data: { walk: "answer" } });
  const why = el("div.lab-inner", { data: { walk: "why" } });
  const node = el(
    "section.lab-card",
    {},
    el("h3", { text: "walk.answer" }),
    problem,
    numbers,
    el("h3", { text: "walk.why" }),
    el("p.note", { text: "walk.why.more" }),
    why,
  );
  let picture = null;
  let turn = 0;

  async function take(fresh) {
    picture = fresh;
    turn += 1;
    const mine = turn;
    try {
      const found = await inspect("answer", picture, {});
      if (mine !== turn) return;
      setText(problem, "");
      numbers.replaceChildren(...softmaxOf(found));
      const best = ranked(found).slice(0, MAX_LABELS);
      const map = el("div.lab-stages");
      const buttons = best.map((i) => button("button", { aria: { pressed: "false" }, onclick: (event) => heat(i, event.currentTarget, map) }, nameOf(found.labels[i])));
      why.replaceChildren(el("div.buttons", {}, ...buttons), map);
    } catch (error) {
      if (mine === turn) setText(problem, error.code ? explain(error) : String(error.message));
    }
  }

  async function heat(label, pressed, map) {
    const mine = turn;
    for (const one of pressed.parentNode.children) one.setAttribute("aria-pressed", String(one === pressed));
    setText(problem, t("walk.busy"));
    try {
      const found = await inspect("answer", picture, { label });
      if (mine !== turn) return;
      setText(problem, "");
      map.replaceChildren(...(await drawn(found)));
    } catch (error) {
      if (mine === turn) setText(problem, error.code ? explain(error) : String(error.message));
    }
  }

  // What supports the label is light, what opposes it dark, on the picture as the network received it.
  async function drawn(found) {
    const { heat: map, labels } = found;
    const title = nameOf(labels.find((one) => one.label === map.label));
    const bitmap = await createImageBitmap(picture);
    const grey = volumeOf(squareOf(bitmap, SIDE), true);
    const peak = Math.max(...map.cells.flat().map(Math.abs), 1e-9);
    const at = (i, j) => smooth(map.cells, (i / SIDE) * map.cells.length - 0.5, (j / SIDE) * map.cells[0].length - 0.5, map.method) / peak;
    const lit = grey.map((plane, c) => plane.map((row, i) => row.map((value, j) => {
      const strength = at(i, j);
      const shade = strength >= 0 ? 0.35 + 0.65 * strength : 0.35 * (1 + strength);
      return value * shade + (c < 2 ? 60 * Math.max(0, strength) : 0);
    })));
    const one = createPicture(t("walk.heat.of", { label: title }));
    one.show(lit, "pixels");
    const values = el("table.lab-table", {}, ...map.cells.map((row) => el("tr", {}, ...row.map((value) => el("td.number", {}, short(value, 3))))));
    return [
      el("figure.lab-stage", {}, el("figcaption", {}, t("walk.heat.of", { label: title })), one.node),
      el("figure.lab-stage", {}, el("figcaption", {}, t(`walk.heat.${map.method}`)), el("div.grid-scroll", { tabIndex: 0, aria: { role: "group", label: t("walk.heat.numbers") } }, values)),
    ];
  }

  return {
    node,
    take,
    end() {
      turn += 1;
    },
  };
}

function nameOf({ label, title }) {
  return titleOf(label, { [label]: title });
}

function ranked({ probabilities }) {
  return probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
}

function softmaxOf(found) {
  const { labels, values, are_logits: areLogits, probabilities } = found;
  // Labels that stand for several outputs together have no logit of their own.
  const isPlain = areLogits && values.length === labels.length;
  const table = el("table.lab-table");
  const temperature = el("input", { type: "range", min: 0.25, max: 4, step: 0.05, value: found.temperature, id: "temperature" });
  const said = el("output", { htmlFor: "temperature" });
  const order = ranked(found).slice(0, MAX_LABELS);

  function render() {
    const T = Number(temperature.value);
    const isOwn = Math.abs(T - found.temperature) < 0.026;
    const used = isOwn ? found.temperature : T;
    setText(said, `T = ${short(used, 4)}${isOwn ? ` (${t("walk.temperature.own")})` : ""}`);
    const shares = isPlain ? softmax(values, used) : probabilities;
    const heads = isPlain ? ["walk.label", "walk.logit", "walk.divided", "walk.power", "walk.probability"] : ["walk.label", "walk.probability"];
    const sum = isPlain ? values.reduce((all, value) => all + Math.exp(value / used), 0) : 0;
    const cells = (i) => (isPlain ? [short(values[i], 3), short(values[i] / used, 3), short(Math.exp(values[i] / used), 4)] : []);
    table.replaceChildren(
      el("thead", {}, el("tr", {}, ...heads.map((key, i) => el(i ? "th.number" : "th", { scope: "col" }, t(key))))),
      el("tbody", {}, ...order.map((i) => el("tr", {}, el("th", { scope: "row" }, nameOf(labels[i])), ...[...cells(i), short(shares[i], 4)].map((text) => el("td.number", {}, text))))),
      el("tfoot", {}, isPlain ? el("tr", {}, el("th", { scope: "row", colSpan: 3 }, t("walk.sum.of")), el("td.number", {}, short(sum, 4)), el("td.number", {}, "1")) : ""),
    );
  }

  temperature.addEventListener("input", render);
  render();
  const scroll = el("div.grid-scroll", { tabIndex: 0, aria: { role: "group", label: t("walk.answer") } }, table);
  const parts = [el("p.note", {}, t(isPlain ? "walk.answer.more" : "walk.answer.plain"))];
  if (isPlain) parts.push(el("label", {}, `${t("walk.temperature")} `, temperature, " ", said));
  return [...parts, scroll];
}

// Linear between the cells' centres; the centre of a covered place is half a square from the border.
function smooth(cells, i, j, method) {
  const stretch = (place, count) => (method === "cover" ? ((place + 0.5) / count) * (count + 1) - 1 : place);
  const [y, x] = [stretch(i, cells.length), stretch(j, cells[0].length)];
  const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const value = (a, b) => cells[clamp(a, cells.length)][clamp(b, cells[0].length)];
  const [v, u] = [y - top, x - left];
  return (value(top, left) * (1 - u) + value(top, left + 1) * u) * (1 - v) + (value(top + 1, left) * (1 - u) + value(top + 1, left + 1) * u) * v;
}
