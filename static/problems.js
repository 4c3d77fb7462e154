// A short message at the foot of the page: what failed and what helps, or that something succeeded.

import { Problem } from "./api.js";
import { button, el } from "./dom.js";
import { problemInWords } from "./faults.js";
import { t } from "./i18n.js";

const STAYS_MS = 9000;
let box = null;
let timer = 0;

/** @param {unknown} error @returns {string} what happened, and what helps */
export function explain(error) {
  if (!(error instanceof Problem)) return `${t("problem.title")} ${error}`;
  if (error.code === "unreachable") return t("problem.unreachable");
  return problemInWords(error);
}

/** @param {unknown} error  shown to the reader; an error that does not come from the service is also logged */
export function complain(error) {
  if (!(error instanceof Problem)) console.error(error);
  tell(explain(error));
}

/** @param {string} text */
export function tell(text) {
  offer(text);
}

/** @param {string} text @param {{text: string, run: () => void}} [action]  of a button next to the text */
export function offer(text, action) {
  if (!box) {
    box = el("div.message", { aria: { role: "status" } });
    document.body.append(box);
  }
  box.replaceChildren(text);
  if (action) box.append(" ", button("link", { onclick: action.run }, action.text));
  box.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (box.hidden = true), STAYS_MS);
}
