// A list of names and values that is updated in place, so that numbers change without moving anything.

import { el, setAttribute, setText, show } from "./dom.js";

/**
 * @param {HTMLElement} parent
 * @returns {(facts: [string, string | null, boolean?, string?][]) => void}  keys of texts.en.js, values (null or ""
 *   hides a row), whether the value is bad news, and its language if that is not the page's
 */
export function factList(parent) {
  const list = el("dl.facts");
  parent.append(list);
  const rows = [];
  return (facts) => {
    facts.forEach(([key, text, bad, lang], i) => {
      if (!rows[i]) {
        const value = el("dd");
        const row = el("div", {}, el("dt", { text: key }), value);
        list.append(row);
        rows[i] = { row, value };
      }
      setText(rows[i].value, text ?? "");
      setAttribute(rows[i].value, "data-bad", String(Boolean(bad)));
      if (lang) rows[i].value.lang = lang;
      show(rows[i].row, Boolean(text));
    });
  };
}
