// The texts of the installed models' cards, in the reader's language if the card has it.

import { languageInUse } from "./i18n.js";

/** @param {import("./store.js").Page} page @param {string} [name] @returns {any} the card of that model, if it is known */
export function cardOf(page, name) {
  return page.models?.find((card) => card.name === name) ?? null;
}

/** @param {any} card @returns {string} the model's name for people */
export function cardTitle(card) {
  return translation(card)?.title ?? (card.title || card.name);
}

/**
 * @param {any} card
 * @returns {{text: string, lang: string}} the description of the model, and its language
 */
export function cardDescription(card) {
  const own = translation(card)?.description;
  return own ? { text: own, lang: languageInUse() } : { text: card?.description ?? "", lang: "en" };
}

/** @param {object} live  a state, whose label titles are translated into the reader's language @param {any} card  of its model */
export function translateTitles(live, card) {
  const labels = translation(card)?.labels;
  if (labels) Object.assign(live.model.titles, labels);
}

function translation(card) {
  return card?.translations?.[languageInUse()];
}
