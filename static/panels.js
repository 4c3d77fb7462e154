// Everything below the answer, one mount a panel. Another part of the page: its module, its place in index.html, a line here.

import { keepAsking } from "./api.js";
import { mountCamera } from "./camera.js";
import { mountHints } from "./hints.js";
import { mountHistory } from "./history.js";
import { mountInside } from "./inside.js";
import { mountModels } from "./models.js";
import { mountNumbers } from "./numbers.js";
import { mountPhoto } from "./photo.js";
import { mountRegion } from "./region.js";

/**
 * @param {import("./store.js").Store} store
 * @returns {{openPhoto: () => void}}
 */
export function mountPanels(store) {
  keepAsking(store, "api/models", ({ models }) => ({ models }));
  keepAsking(store, "api/settings", ({ keys }) => ({ settings: keys }));
  keepAsking(store, "api/about", (about) => ({ about }));
  mountRegion(store);
  mountHistory(store);
  mountCamera(store);
  mountNumbers(store);
  mountModels(store);
  mountInside(store);
  mountHints(store);
  return { openPhoto: mountPhoto(store).open };
}
