// A bar for each label: its smoothed probability, and a mark at the threshold.

import { byId, el, icon, setIcon, setText, setVariable } from "./dom.js";
import { drawingOf, labelsShown, thresholdOf, titleOf } from "./labels.js";
import { percent, t } from "./i18n.js";

/** @param {import("./store.js").Store} store */
export function mountBars(store) {
  const render = barList(byId("bars"));
  store.watch(({ live }) => render(live));
}

/**
 * @param {HTMLUListElement} list
 * @returns {(live: object | null) => void}  shows the `answer.probabilities` and `answer.thresholds` of a state
 */
export function barList(list) {
  const rows = [];
  return (live) => {
    const labels = live?.model ? labelsShown(live) : [];
    while (rows.length < labels.length) rows.push(addRow(list));
    while (rows.length > labels.length) rows.pop().item.remove();
    labels.forEach((label, i) => renderRow(rows[i], live, label));
  };
}

function addRow(list) {
  const drawing = icon("circle", "bar-icon");
  const name = el("span.bar-name");
  const fill = el("span.bar-fill");
  const mark = el("span.bar-mark");
  const track = el("span.bar-track", { aria: { hidden: "true" } }, fill, mark);
  const value = el("span.bar-value");
  const item = el("li.bar-row", {}, drawing, name, track, value);
  list.append(item);
  return { item, drawing, name, fill, mark, value };
}

function renderRow(row, live, label) {
  const probability = live.answer.probabilities[label] ?? 0;
  const threshold = thresholdOf(live, label);
  setIcon(row.drawing, drawingOf(live, label));
  const name = titleOf(label, live.model.titles);
  setText(row.name, name);
  setText(row.value, percent(probability));
  setVariable(row.fill, "--p", probability.toFixed(3));
  row.mark.hidden = !threshold;
  if (threshold) {
    setVariable(row.mark, "--p", threshold.enter);
    row.item.title = t("bars.enter", { name, n: percent(threshold.enter) });
  }
}
