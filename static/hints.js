// First steps in four sentences, shown until the reader clicks "Got it".

import { button, byId, el, icon, setText, show } from "./dom.js";
import { recall, remember } from "./kept.js";
import { isReject, labelsOf, titleOf } from "./labels.js";
import { cardOf } from "./cards.js";
import { languageInUse, t } from "./i18n.js";

const MAX_LABELS = 8;

/** @param {import("./store.js").Store} store */
export function mountHints(store) {
  const box = byId("hints");
  // Without storage they would come back on every visit.
  if (recall("hints") !== null) return;
  const title = el("h2", { text: "hints.title" });
  const limits = el("span");
  const done = button("button", { id: "hints-done", text: "hints.done" });
  done.addEventListener("click", () => {
    remember("hints", "done");
    box.remove();
    byId("word").focus({ preventScroll: true });
  });
  const lines = [
    el("li", {}, icon("region"), el("span", { text: "hints.region" })),
    el("li", {}, icon("brand"), limits),
    el("li", {}, icon("photo"), el("span", { text: "hints.photo" })),
  ];
  box.append(title, el("ul", {}, ...lines), done);
  store.watch((page) => {
    const { live } = page;
    show(box, Boolean(live?.model) && live.status !== "absent");
    if (!live?.model) return;
    const labels = labelsOf(live).filter((label) => !isReject(live, label));
    const names = labels.slice(0, MAX_LABELS).map((label) => titleOf(label, live.model.titles));
    const size = cardOf(page, live.model.name)?.input.width ?? 96;
    const key = labels.length > names.length ? "hints.many" : "hints.limits";
    setText(limits, t(key, { labels: list(names), count: labels.length, size }));
  });
}

function list(names) {
  return new Intl.ListFormat(languageInUse(), { type: "conjunction" }).format(names);
}
