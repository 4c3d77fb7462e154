// A command in a box, with a button that copies it.

import { button, el } from "./dom.js";
import { withCommands } from "./faults.js";
import { t } from "./i18n.js";

const SAYS_SO_MS = 1500;

/** @param {string} text  a remedy @returns {(Node | string)[]} the text, with its commands in boxes with a copy button */
export function remedyParts(text) {
  return withCommands(text, commandBox);
}

function commandBox(command) {
  const copier = button("copy", { onclick: () => copy(command, copier) }, t("copy"));
  return el("span.command", {}, el("code", {}, command), copier);
}

async function copy(text, copier) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers offer no clipboard without HTTPS: select the text, so that one key press copies it.
    window.getSelection().selectAllChildren(copier.previousElementSibling);
    return;
  }
  copier.textContent = t("copied");
  setTimeout(() => (copier.textContent = t("copy")), SAYS_SO_MS);
}
