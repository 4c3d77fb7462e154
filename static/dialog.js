// A dialog over the page: a heading, a way out, and what it is about.

import { button, el, icon } from "./dom.js";

/**
 * @param {string} id  begins the ids of its parts
 * @param {string} kind  a further class
 * @param {HTMLElement} heading
 * @param {...Node} content
 * @returns {HTMLDialogElement} not shown yet
 */
export function addDialog(id, kind, heading, ...content) {
  heading.id = `${id}-title`;
  const close = button("tool", { id: `${id}-close`, label: "close" }, icon("close"));
  const dialog = el(
    "dialog",
    { className: `dialog ${kind}`, id: `${id}-dialog`, aria: { labelledby: heading.id } },
    el("div.dialog-head", {}, heading, close),
    ...content,
  );
  close.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  return dialog;
}
