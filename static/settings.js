// The service's settings as far as this page needs them: whether something may be changed here, and changing it.

import { call } from "./api.js";

/**
 * @param {import("./store.js").Store} store
 * @param {object} patch  sections and keys as in the settings file; null takes back what was changed here
 * @throws {import("./api.js").Problem}
 */
export async function patchSettings(store, patch) {
  const told = await call("PATCH", "api/settings", { json: patch });
  store.set({ settings: told.keys });
}

/** @param {import("./store.js").Page} page @param {string} key @returns {boolean} whether it can be changed here */
export function mayChange(page, key) {
  return page.settings?.[key]?.changeable ?? false;
}

/** @param {import("./store.js").Page} page @param {string} key @returns {boolean} whether it was changed here */
export function wasChanged(page, key) {
  return page.settings?.[key]?.source === "override";
}

/** @param {import("./store.js").Page} page @param {string} key @returns {any} what is set, whoever set it */
export function valueOf(page, key) {
  return page.settings?.[key]?.value;
}

/** @param {import("./store.js").Store} store  gets the settings in force, which others may have changed */
export async function refreshSettings(store) {
  const { keys } = await call("GET", "api/settings");
  store.set({ settings: keys });
}
