// Starts the page: one store, one connection, and first of all what answers "what is it now?".

import { mountAnswer } from "./answer.js";
import { mountBars } from "./bars.js";
import { connect } from "./connection.js";
import { mountControls } from "./controls.js";
import { mountCover } from "./cover.js";
import { mountPicture } from "./picture.js";
import { createStore, nothingYet } from "./store.js";
import { mountTabs } from "./tabs.js";

const TICK_MS = 250;
// The rest is fetched when the first picture is here, so that it does not make that one late; at the latest after this.
const REST_AFTER_MS = 4000;

const store = createStore(nothingYet());
let rest = null;

/** @returns {Promise<{openPhoto: () => void, tab: (name: string) => Promise<object>}>} once all below the answer is there */
function panels() {
  rest ??= import("./panels.js").then(({ mountPanels }) => mountPanels(store));
  rest.catch(() => (rest = null)); // The network may be back when it is asked for again.
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

// Ages grow and silences begin without any message: the page looks at the clock by itself.
setInterval(() => {
  if (!document.hidden) store.set({ now: performance.now() });
}, TICK_MS);
