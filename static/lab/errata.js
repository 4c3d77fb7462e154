// Where printed courses and this page differ, each with our number and how it comes about.

import { el } from "../dom.js";
import { t, whole } from "../i18n.js";
import { NUMBERS } from "./questions.js";

const ITEMS = ["lenet", "lenetConv", "stage3", "slope", "valid", "convolution"];

/** @param {HTMLElement} place */
export function mount(place) {
  const numbers = Object.fromEntries(Object.entries(NUMBERS).map(([name, value]) => [name, whole(value)]));
  const rows = ITEMS.map((name) =>
    el(
      "section.lab-card",
      { data: { erratum: name } },
      el("h3", {}, t(`errata.${name}`)),
      el("p.note", {}, t(`errata.${name}.says`, numbers)),
      el("p", {}, t(`errata.${name}.ours`, numbers)),
    ),
  );
  place.append(el("div", {}, el("h2", { text: "lab.errata" }), el("p.lab-intro", { text: "errata.intro" })), ...rows);
}
