// The service's settings as this page needs them: their values, whether one may be changed here, and changing it.

import { call } from "./api.js";

/**
 * @param {{keys: object, restart_required: string[]}} response  of the service
 * @returns {Partial<import("./store.js").Page>}
 */
export function settingsFrom({ keys, restart_required }) {
  return { settings: keys, restartFor: restart_required };
}

/**
 * @param {import("./store.js").Store} store
 * @param {object} patch  sections and keys as in the settings file; null resets what was changed here
 * @throws {import("./api.js").Problem}
 */
export async function patchSettings(store, patch) {
  store.set(settingsFrom(await call("PATCH", "api/settings", { json: patch })));
}

/** @param {import("./store.js").Store} store @param {string} key @param {unknown} value  null resets a change */
export function patchSetting(store, key, value) {
  const [section, name] = key.split(".");
  return patchSettings(store, { [section]: { [name]: value } });
}

/** @param {import("./store.js").Page} page @param {string} key @returns {boolean} whether it can be changed here */
export function mayChange(page, key) {
  return page.settings?.[key]?.changeable ?? false;
}

/** @param {import("./store.js").Page} page @param {string} key @returns {boolean} whether it was changed here */
export function wasChanged(page, key) {
  return page.settings?.[key]?.source === "override";
}

/** @param {import("./store.js").Page} page @param {string} key @returns {any} its value, from any source */
export function valueOf(page, key) {
  return page.settings?.[key]?.value;
}

/** @param {import("./store.js").Store} store  gets the settings in force, which may have been changed elsewhere */
export async function refreshSettings(store) {
  store.set(settingsFrom(await call("GET", "api/settings")));
}
