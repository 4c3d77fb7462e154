// A modal dialog with a heading, a close button, and its content.

import { button, el, icon } from "./dom.js";

/**
 * @param {string} id  prefix for the ids of its parts
 * @param {string} kind  an additional class
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
