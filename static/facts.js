// A list of names and values that is updated in place, so that numbers change without moving anything.

import { el, setAttribute, setText, show } from "./dom.js";

/**
 * @param {HTMLElement} parent
 * @returns {(facts: [string, string | null, boolean?][]) => void}  keys of texts.js, values (null or "" hides
 *   a row), and whether the value is bad news
 */
export function factList(parent) {
  const list = el("dl.facts");
  parent.append(list);
  const rows = [];
  return (facts) => {
    facts.forEach(([key, text, bad], i) => {
      if (!rows[i]) {
        const value = el("dd");
        const row = el("div", {}, el("dt", { text: key }), value);
        list.append(row);
        rows[i] = { row, value };
      }
      setText(rows[i].value, text ?? "");
      setAttribute(rows[i].value, "data-bad", String(Boolean(bad)));
      show(rows[i].row, Boolean(text));
    });
  };
}
