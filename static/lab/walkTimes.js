// How long each layer takes on this machine, measured on request: a third bar in each row of the walk.

import { button, el, setText } from "../dom.js";
import { t } from "../i18n.js";
import { explain } from "../problems.js";
import { short } from "./numbers.js";
import { inspect } from "./pictureSource.js";

/** @param {HTMLElement} drawing  holds the rows @param {() => Blob | null} picture  the walk's */
export function mountTimes(drawing, picture) {
  const said = el("p.note", { aria: { role: "status" } });
  const measure = button("button", { text: "walk.time.measure", onclick: ask });
  let isEnded = false;

  async function ask() {
    if (!picture() || measure.disabled) return;
    measure.disabled = true;
    setText(said, t("walk.time.busy"));
    try {
      const found = await inspect("times", picture(), {});
      if (isEnded) return;
      const all = Object.values(found.layers).reduce((sum, ms) => sum + ms, found.between);
      if (Object.keys(found.layers).length) drawing.classList.add("walk-timed"); // of a graph without names there is the sum
      for (const row of drawing.querySelectorAll(".walk-timed .walk-row")) show(row, found.layers[row.dataset.row], all);
      setText(said, t("walk.time.all", { all: ms(all), between: ms(found.between), runs: found.runs, precision: found.model.precision }));
    } catch (error) {
      setText(said, error.code ? explain(error) : String(error.message));
    } finally {
      measure.disabled = false;
    }
  }

  function show(row, time, all) {
    const old = row.querySelector(".walk-time");
    const fill = el("i");
    fill.style.width = `${(100 * (time ?? 0)) / (all || 1)}%`;
    const text = time === undefined ? "–" : ms(time);
    const cell = el("span.walk-time", { title: time === undefined ? t("walk.time.joined") : `${t("walk.time")}: ${text}` }, el("span.walk-bar", {}, fill), text);
    if (old) old.replaceWith(cell);
    else row.querySelectorAll("summary > .walk-bar")[1].after(cell);
  }

  return { node: el("div.lab-inner", {}, el("div.buttons", {}, measure), said), end: () => { isEnded = true; } };
}

function ms(value) {
  return `${short(value, 3)} ms`;
}
