// Formats everything in the current language: texts, durations, percentages, label names.

import { remember } from "./kept.js";

// Each language is a file of its own, and only the current one is loaded. CONTRIBUTING.md says how to add one.
const LANGUAGES = {
  en: () => import("./texts.en.js"),
  "zh-Hant": () => import("./texts.zh-Hant.js"),
};

// Set by early.js before the first paint.
let language = document.documentElement.lang;
let { TEXTS: texts, FAULTS: faults, HELP: help } = await LANGUAGES[language]();
// The additional texts of other pages, again one file per language.
const added = [];

/** @param {Record<string, () => Promise<{TEXTS: Record<string, string>}>>} languages  additional texts of a page */
export async function addTexts(languages) {
  added.push(languages);
  const { TEXTS } = await languages[language]();
  texts = { ...texts, ...TEXTS };
}

/** Switches to the other language and remembers it. */
export async function switchLanguage() {
  const next = language === "en" ? "zh-Hant" : "en";
  const [own, ...more] = await Promise.all([LANGUAGES, ...added].map((languages) => languages[next]()));
  ({ FAULTS: faults, HELP: help } = own);
  texts = Object.assign({}, own.TEXTS, ...more.map((one) => one.TEXTS));
  language = next;
  remember("language", language);
  translatePage();
}

/** @returns {string} the current language, as HTML and model cards write it */
export function languageInUse() {
  return language;
}

/** @param {string} key  of texts.*.js: a fault's code, or code.kind @returns {[string, string] | null} reason and remedy */
export function faultText(key) {
  return Object.hasOwn(faults, key) ? faults[key] : null;
}

/** @param {string} key  of a setting @returns {string | undefined} its help, if the service's own text is not used */
export function helpText(key) {
  return help[key];
}

/** @param {string} key @returns {boolean} */
export function has(key) {
  return key in texts;
}

/** @param {string} key @param {Record<string, string | number>} [values] @returns {string} */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** @param {HTMLElement} button  offers the other language, in that language */
export function offerLanguage(button) {
  button.textContent = t("language.other");
  button.lang = language === "en" ? "zh-Hant" : "en";
  button.title = t("language.switch");
}

/** Translates the whole page into the current language. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-t], [data-t-label]")) translate(node);
}

/** @param {HTMLElement} node  whose texts are set from its keys */
export function translate(node) {
  if (node.dataset.t) node.textContent = t(node.dataset.t);
  if (node.dataset.tLabel) node.setAttribute("aria-label", t(node.dataset.tLabel));
}

/** @param {number} seconds @returns {string} "8 s", "2 min", "3 h 5 min", "4 days" */
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return t("unit.s", { n: s });
  if (s < 3600) return t("unit.min", { n: Math.floor(s / 60) });
  const hours = Math.floor(s / 3600);
  const minutes = Math.floor((s % 3600) / 60);
  if (hours < 48) return minutes ? t("unit.h.min", { h: hours, m: minutes }) : t("unit.h", { n: hours });
  return t("unit.d", { n: Math.floor(hours / 24) });
}

/** @param {number} probability 0..1 @returns {string} 100 % only if it is exactly that */
export function percent(probability) {
  const n = probability >= 0.995 && probability < 1 ? 99 : Math.round(probability * 100);
  return t("unit.percent", { n });
}

// Creating one takes a thousand times as long as using it.
const formats = new Map();

function moments(options, moment) {
  if (Number.isNaN(Number(moment))) return "";
  const key = language + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(language, options));
  return formats.get(key).format(moment);
}

/** @param {number} moment milliseconds since 1970 @param {"2-digit"} [second] @returns {string} the time of day here */
export function clock(moment, second) {
  return moments({ hour: "2-digit", minute: "2-digit", second, hour12: false }, moment);
}

/** @param {number} moment milliseconds since 1970 @returns {string} its date and the time of day here, in short form */
export function dayAndClock(moment) {
  return moments({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false }, moment);
}

/** @param {number} n @returns {string} with grouped thousands */
export function whole(n) {
  return n.toLocaleString(language);
}

/** @param {number} n @param {number} digits @returns {string} always with that many decimals */
export function decimal(n, digits) {
  return n.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {number} bytes @returns {string} */
export function megabytes(bytes) {
  return `${whole(Math.round(bytes / 1e6))} MB`;
}
