// Starts the page: one store, one connection, and first of all the answer.

import { mountAnswer } from "./answer.js";
import { mountBars } from "./bars.js";
import { connect } from "./connection.js";
import { mountControls } from "./controls.js";
import { mountCover } from "./cover.js";
import { mountPicture } from "./picture.js";
import { createStore, nothingYet } from "./store.js";
import { mountTabs } from "./tabs.js";

const TICK_MS = 250;
// Everything else is loaded after the first picture, so as not to delay that one, or after this time at the latest.
const REST_AFTER_MS = 4000;

const store = createStore(nothingYet());
let rest = null;

/** @returns {Promise<{openPhoto: () => void, tab: (name: string) => Promise<object>}>} once everything below the answer is loaded */
function panels() {
  rest ??= import("./panels.js").then(({ mountPanels }) => mountPanels(store));
  rest.catch(() => (rest = null)); // The network may be back at the next attempt.
  return rest;
}

const picture = mountPicture(store);
const connection = connect(store, picture);
const openPhoto = () => panels().then((all) => all.openPhoto());
mountControls(store, { openPhoto });
mountCover(store, { retry: connection.retry, openPhoto });
mountAnswer(store);
mountBars(store);
const tab = (name) => () => panels().then((all) => all.tab(name));
mountTabs({ diary: tab("diary"), inside: panels, settings: tab("settings") });

const began = performance.now();
store.watch((page) => {
  const due = page.picture || page.now - began > REST_AFTER_MS;
  if (!rest && due && page.connection === "open") panels().catch(() => {});
});

// Ages grow and silence begins without any message, so the page also checks the clock.
setInterval(() => {
  if (!document.hidden) store.set({ now: performance.now() });
}, TICK_MS);
