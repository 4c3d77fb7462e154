// The accuracy in this place: what people said about visits drawn at random. And reporting what was missed.

import { call } from "./api.js";
import { markButtons } from "./diary-parts.js";
import { el, setText, setVariable, show } from "./dom.js";
import { labelsOf } from "./labels.js";
import { t } from "./i18n.js";

/** @param {import("./store.js").Store} store @param {HTMLElement} box */
export function mountReview(store, box) {
  const headline = el("p.headline");
  const scale = el("div.interval", { aria: { hidden: "true" } }, el("i"), el("b"));
  box.append(el("section.panel", {}, el("p.note", { text: "review.what" }), headline, scale, el("p.note", { text: "review.how" })));

  function render({ reviewed, right, interval }) {
    const [low, high] = (interval ?? [0, 1]).map((part) => Math.round(part * 100));
    setText(headline, reviewed ? t("review.right", { right, reviewed, low, high }) : t("review.none"));
    show(scale, reviewed > 0);
    if (!reviewed) return;
    setVariable(scale, "--low", `${low}%`);
    setVariable(scale, "--high", `${high}%`);
    setVariable(scale, "--at", `${(100 * right) / reviewed}%`);
  }

  return {
    look: () => box.hidden || call("GET", "api/events/accuracy").then(render, () => setText(headline, "")),
    miss: (label) => call("POST", "api/events", { json: { label } }),
  };
}

/** @param {import("./store.js").Store} store @param {(label: string) => void} missed @returns {HTMLElement} buttons to report a missed visit */
export function missButtons(store, missed) {
  const group = el("div.buttons", { label: "review.missed", aria: { role: "group" } });
  store.watch(({ live }) => {
    if (live?.model) markButtons(group, labelsOf(live), live, missed);
  });
  return el("details", {}, el("summary", { text: "review.missed" }), el("p.note", { text: "review.missed.more" }), group);
}
