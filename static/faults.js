// What went wrong, in the reader's language: the service says it in English with a code, and the code is translated.

import { faultText, languageInUse, t } from "./i18n.js";

// Remedies write commands in quotes, in brackets or behind a last colon; nothing else of theirs begins so.
const COMMANDS = /[`'(]((?:sudo|lookout|rpicam-|ls|ss) ?[^`')]*)[`')]|: ((?:sudo|lookout|rpicam-)[^\n]*?)\.?$/g;

/**
 * @typedef {object} Told
 * @property {string} reason    what happened
 * @property {string} remedy    what helps, commands in backquotes
 * @property {string} lang      the language of both
 * @property {string} original  the service's own words where they are not the ones above, else ""
 */

/**
 * @param {{code: string | null, reason: string | null, remedy: string | null}} fault
 * @param {string} [kind]  of camera: what helps one helps no other
 * @returns {Told}
 */
export function inWords(fault, kind = "") {
  const { code, reason, remedy } = { ...fault, reason: fault.reason ?? "", remedy: fault.remedy ?? "" };
  const text = reason ? faultText(`${code}.${kind}`) ?? faultText(code) : null;
  if (!text) return { reason, remedy, lang: "en", original: "" };
  const commands = [...remedy.matchAll(COMMANDS)].map((found) => ` \`${found[1] ?? found[2]}\``);
  return { reason: text[0], remedy: text[1] + commands.join(""), lang: languageInUse(), original: `${reason} ${remedy}`.trim() };
}

/** @param {string} source  a camera's address @returns {string} its kind, as the keys of faults have it */
export function kindOf(source) {
  const scheme = source.split(":", 1)[0];
  if (["file", "folder"].includes(scheme)) return "file";
  return ["pi", "usb", "auto", "demo"].includes(scheme) ? scheme : "stream";
}

/** @param {import("./api.js").Problem} error @returns {string} the same in a line or two */
export function problemInWords(error) {
  const words = inWords({ code: error.code, reason: error.detail || error.title || t("problem.title"), remedy: error.remedy });
  const original = words.original ? ` ${t("fault.original.inline", { text: words.original })}` : "";
  return `${words.reason} ${words.remedy}${original}`.trim();
}

/**
 * @param {string} text  a remedy
 * @param {(command: string) => Node} box
 * @returns {(Node | string)[]} the same with each command in a box
 */
export function withCommands(text, box) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(COMMANDS)) {
    const lead = found[2] ? ": " : "";
    parts.push(text.slice(end, found.index) + lead, box(found[1] ?? found[2]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}
