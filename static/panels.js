// Everything below the answer, one mount per panel. To add one: its module, its place in index.html, and a line here.

import { keepAsking } from "./api.js";
import { mountCamera } from "./camera.js";
import { mountHints } from "./hints.js";
import { mountHistory } from "./history.js";
import { mountInside } from "./inside.js";
import { mountModels } from "./models.js";
import { mountNumbers } from "./numbers.js";
import { mountPhoto } from "./photo.js";
import { mountRegion } from "./region.js";
import { settingsFrom } from "./settings.js";
import { mountToday } from "./today.js";

const TABS = {
  diary: (store) => import("./diary.js").then(({ mountDiary }) => mountDiary(store)),
  settings: (store) => import("./settings-page.js").then(({ mountSettingsPage }) => mountSettingsPage(store)),
};

/**
 * @param {import("./store.js").Store} store
 * @returns {{openPhoto: () => void, tab: (name: string) => Promise<{go?: (parts: string[]) => void}>}}
 */
export function mountPanels(store) {
  keepAsking(store, "api/models", ({ models }) => ({ models }));
  keepAsking(store, "api/settings", settingsFrom);
  keepAsking(store, "api/about", (about) => ({ about }));
  mountRegion(store);
  mountHistory(store);
  mountCamera(store);
  mountNumbers(store);
  mountModels(store);
  mountInside(store);
  mountHints(store);
  mountToday(store);
  const tabs = {};
  const tab = (name) => {
    tabs[name] ??= TABS[name](store).catch((error) => {
      delete tabs[name]; // The network may be back at the next attempt.
      throw error;
    });
    return tabs[name];
  };
  return { openPhoto: mountPhoto(store).open, tab };
}
