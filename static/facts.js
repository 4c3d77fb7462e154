// A list of names and values that is updated in place, so that numbers change without moving anything.

import { el, setText, show } from "./dom.js";

/**
 * @param {HTMLElement} parent
 * @returns {(facts: [string, string | null][]) => void}  keys of texts.js and values; null or "" hides a row
 */
export function factList(parent) {
  const list = el("dl.facts");
  parent.append(list);
  const rows = [];
  return (facts) => {
    facts.forEach(([key, text], i) => {
      if (!rows[i]) {
        const value = el("dd");
        const row = el("div", {}, el("dt", { text: key }), value);
        list.append(row);
        rows[i] = { row, value };
      }
      setText(rows[i].value, text ?? "");
      show(rows[i].row, Boolean(text));
    });
  };
}
