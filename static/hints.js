// The first start: what can be done here, in four sentences, until somebody says "Got it".

import { byId, el, icon, setText, show } from "./dom.js";
import { isReject, labelsOf, titleOf } from "./labels.js";
import { cardOf } from "./models.js";
import { t } from "./words.js";

const KEY = "lookout.hints";
const MOST_LABELS = 8;

/** @param {ReturnType<typeof import("./store.js").createStore>} store */
export function mountHints(store) {
  const box = byId("hints");
  if (seenBefore()) return;
  const title = el("h2");
  const lines = ["region", "wait", "photo"].map((name) => ({ text: el("span"), drawing: icon(name === "wait" ? "brand" : name) }));
  const done = el("button", { type: "button", className: "button", id: "hints-done" });
  done.addEventListener("click", () => {
    remember();
    box.remove();
  });
  box.append(title, el("ul", {}, ...lines.map(({ text, drawing }) => el("li", {}, drawing, text))), done);
  store.watch((page) => {
    const { live } = page;
    show(box, Boolean(live?.model) && live.status !== "absent");
    if (!live?.model) return;
    const labels = labelsOf(live).filter((label) => !isReject(live, label));
    const names = labels.slice(0, MOST_LABELS).map((label) => titleOf(label, live.model.titles));
    const size = cardOf(page, live.model.name)?.input.width ?? 96;
    setText(title, t("hints.title"));
    setText(lines[0].text, t("hints.region"));
    setText(lines[1].text, t("hints.limits", { labels: list(names), size }));
    setText(lines[2].text, t("hints.photo"));
    setText(done, t("hints.done"));
  });
}

function list(names) {
  return new Intl.ListFormat(t("language.code"), { type: "conjunction" }).format(names);
}

function seenBefore() {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return true; // Without storage they would come back for ever.
  }
}

function remember() {
  try {
    localStorage.setItem(KEY, "done");
  } catch {
    // Gone for this visit, then.
  }
}
