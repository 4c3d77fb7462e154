// A volume of numbers as tables: to type in, or to point at. Arrow keys move; nothing is rebuilt while the
// shape stays the same.

import { el, setAttribute, setText } from "../dom.js";
import { t } from "../i18n.js";
import { short, typed } from "./numbers.js";

const STEP = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * @param {string} label  says what the numbers are
 * @param {{edit?: (channel: number, row: number, column: number, value: number) => void,
 *   point?: (at: [number, number]) => void}} [does]
 */
export function createGrid(label, does = {}) {
  const node = el("div.lab-planes");
  let shape = "";
  let cells = [];

  function build(volume, padding) {
    cells = volume.map(() => []);
    const planes = volume.map((plane, channel) => {
      const rows = plane.length + 2 * padding;
      const columns = plane[0].length + 2 * padding;
      const table = el("table.grid", { aria: { role: "grid", label: volume.length > 1 ? `${label}, ${nameOf(channel, volume.length)}` : label } });
      for (let i = 0; i < rows; i += 1) {
        const line = el("tr");
        for (let j = 0; j < columns; j += 1) line.append(cell(channel, i - padding, j - padding, plane));
        table.append(line);
      }
      const scroll = el("div.grid-scroll", {}, table);
      return volume.length > 1 ? el("div", {}, el("p.plane-name", {}, nameOf(channel, volume.length)), scroll) : scroll;
    });
    node.replaceChildren(...planes);
  }

  function cell(channel, row, column, plane) {
    const node = el("td");
    if (plane[row]?.[column] === undefined) {
      node.className = "pad";
      node.textContent = "0";
    } else if (does.edit) {
      node.append(input(channel, row, column));
    } else if (does.point) {
      node.tabIndex = row === 0 && column === 0 ? 0 : -1;
      node.addEventListener("pointerenter", () => does.point([row, column]));
      node.addEventListener("focus", () => does.point([row, column]));
      node.addEventListener("keydown", (event) => walk(event, channel, row, column));
    }
    ((cells[channel] ??= [])[row] ??= [])[column] = node;
    return node;
  }

  function input(channel, row, column) {
    const name = t("grid.cell", { row: row + 1, column: column + 1 });
    const field = el("input", { type: "text", inputMode: "decimal", autocomplete: "off", aria: { label: name } });
    field.addEventListener("input", () => {
      const value = typed(field.value);
      setAttribute(field, "aria-invalid", String(value === null));
      if (value !== null) does.edit(channel, row, column, value);
    });
    field.addEventListener("focus", () => field.select());
    field.addEventListener("keydown", (event) => walk(event, channel, row, column));
    return field;
  }

  function walk(event, channel, row, column) {
    const step = STEP[event.key];
    if (!step) return;
    const next = cells[channel][row + step[0]]?.[column + step[1]];
    if (!next || next.className.includes("pad")) return;
    event.preventDefault();
    (next.querySelector("input") ?? next).focus();
  }

  return {
    node,
    /** @param {import("./arithmetic.js").Volume} volume @param {number} [padding]  zeros shown around it */
    show(volume, padding = 0) {
      const wanted = JSON.stringify([volume.map((plane) => [plane.length, plane[0].length]), padding]);
      if (wanted !== shape) build(volume, padding);
      shape = wanted;
      volume.forEach((plane, channel) => {
        plane.forEach((line, row) => {
          line.forEach((value, column) => {
            const place = cells[channel][row][column];
            const field = place.querySelector("input");
            if (!field) setText(place, short(value));
            else if (typed(field.value) !== value && (document.activeElement !== field || typed(field.value) !== null)) field.value = short(value, 4);
          });
        });
      });
    },
    /** @param {[number, number, number, number] | null} box  row, column, height, width; may begin in the padding */
    light(box, kind = "lit") {
      for (const plane of cells) {
        for (const [row, line] of entries(plane)) {
          for (const [column, place] of entries(line)) {
            const isIn = box && row >= box[0] && row < box[0] + box[2] && column >= box[1] && column < box[1] + box[3];
            place.classList.toggle(kind, Boolean(isIn));
          }
        }
      }
    },
    /** Makes a cell the one that Tab enters. @param {[number, number]} at */
    enter(at) {
      for (const [row, line] of entries(cells[0] ?? [])) {
        for (const [column, place] of entries(line)) if (place.hasAttribute("tabindex")) place.tabIndex = row === at[0] && column === at[1] ? 0 : -1;
      }
    },
  };
}

// Positions in the padding are negative, so array methods cannot be used on them.
function entries(list) {
  return Object.keys(list).map((key) => [Number(key), list[key]]);
}

/** @returns {string} what a plane is called: of three, its colour */
export function nameOf(channel, channels) {
  return channels === 3 ? t(["grid.red", "grid.green", "grid.blue"][channel]) : t("grid.channel", { n: channel });
}

/** Rows of numbers to read only, with a name for the region that scrolls. @param {number[][]} rows */
export function readOnly(rows, label, heads = null) {
  const table = el("table.grid.long");
  if (heads) table.append(el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head))));
  for (const row of rows) table.append(el("tr", {}, ...row.map((value) => el(value === 0 ? "td.zero" : "td", {}, short(value)))));
  return el("div.grid-scroll", { tabIndex: 0, aria: { role: "group", label } }, table);
}
