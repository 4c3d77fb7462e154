// Faults in the reader's language: the service reports them in English with a code, by which they are translated.

import { faultText, languageInUse, t } from "./i18n.js";

// Remedies contain commands in quotes, in brackets or after a final colon, and these words begin nothing else in them.
const COMMANDS = /[\x60'(]((?:sudo|lookout|rpicam-|ls|ss) ?[^\x60')]*)[\x60')]|: ((?:sudo|lookout|rpicam-)[^\n]*?)\.?$/g; // \x60: a backquote

/**
 * @typedef {object} FaultText
 * @property {string} reason    what happened
 * @property {string} remedy    what helps, commands in backquotes
 * @property {string} lang      the language of both
 * @property {string} original  the service's own text if it differs from the above, else ""
 */

/**
 * @param {{code: string | null, reason: string | null, remedy: string | null}} fault
 * @param {string} [kind]  of camera, since remedies depend on it
 * @returns {FaultText}
 */
export function inWords(fault, kind = "") {
  const { code, reason, remedy } = { ...fault, reason: fault.reason ?? "", remedy: fault.remedy ?? "" };
  const text = reason ? faultText(`${code}.${kind}`) ?? faultText(code) : null;
  if (!text) return { reason, remedy, lang: "en", original: "" };
  const commands = [...remedy.matchAll(COMMANDS)].map((found) => ` \`${found[1] ?? found[2]}\``);
  return { reason: text[0], remedy: text[1] + commands.join(""), lang: languageInUse(), original: `${reason} ${remedy}`.trim() };
}

/** @param {string} source  a camera's address @returns {string} its kind, as in the keys of the translated faults */
export function kindOf(source) {
  const scheme = source.split(":", 1)[0];
  if (["file", "folder"].includes(scheme)) return "file";
  return ["pi", "usb", "auto", "demo"].includes(scheme) ? scheme : "stream";
}

/** @param {import("./api.js").Problem} error @returns {string} the error in one or two lines */
export function problemInWords(error) {
  return faultInWords({ code: error.code, reason: error.detail || error.title || t("problem.title"), remedy: error.remedy });
}

/** @param {{code: string | null, reason: string | null, remedy: string | null}} fault @returns {string} the same */
export function faultInWords(fault) {
  const words = inWords(fault);
  const original = words.original ? ` ${t("fault.original.inline", { text: words.original })}` : "";
  return `${words.reason} ${words.remedy}${original}`.trim();
}

/**
 * @param {string} text  a remedy
 * @param {(command: string) => Node} box
 * @returns {(Node | string)[]} the text with each command in a box
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
