// A list of names and values that is updated in place, so that numbers change without moving anything.

import { el, setText, show } from "./dom.js";

/**
 * @param {HTMLElement} parent
 * @returns {(facts: {name: string, value: string | null}[]) => void}  a value of null or "" hides its row
 */
export function factList(parent) {
  const list = el("dl", { className: "facts" });
  parent.append(list);
  const rows = [];
  return (facts) => {
    facts.forEach((fact, i) => {
      if (!rows[i]) {
        const [name, value] = [el("dt"), el("dd")];
        const row = el("div", {}, name, value);
        list.append(row);
        rows[i] = { row, name, value };
      }
      setText(rows[i].name, fact.name);
      setText(rows[i].value, fact.value ?? "");
      show(rows[i].row, Boolean(fact.value));
    });
  };
}
