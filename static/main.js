// Starts the page: one store, one connection, and a panel for each part of index.html.

import { mountAnswer } from "./answer.js";
import { keepAsking } from "./api.js";
import { mountBars } from "./bars.js";
import { mountCamera } from "./camera.js";
import { connect } from "./connection.js";
import { mountControls } from "./controls.js";
import { mountCover } from "./cover.js";
import { mountHints } from "./hints.js";
import { mountHistory } from "./history.js";
import { mountInside } from "./inside.js";
import { mountModels } from "./models.js";
import { mountNumbers } from "./numbers.js";
import { mountPhoto } from "./photo.js";
import { mountPicture } from "./picture.js";
import { mountRegion } from "./region.js";
import { createStore, nothingYet } from "./store.js";

const TICK_MS = 250;

const store = createStore(nothingYet());
const picture = mountPicture(store);
const photo = mountPhoto(store);
const connection = connect(store, picture);
mountControls(store);
mountCover(store, { retry: connection.retry, openPhoto: photo.open });
mountAnswer(store);
mountBars(store);
mountRegion(store);
mountHistory(store);
mountCamera(store);
mountNumbers(store);
mountModels(store);
mountInside(store);
mountHints(store);
keepAsking(store, "api/models", ({ models }) => ({ models }));
keepAsking(store, "api/settings", ({ keys }) => ({ settings: keys }));
keepAsking(store, "api/about", (about) => ({ about }));

// Ages grow and silences begin without any message: the page looks at the clock by itself.
setInterval(() => {
  if (!document.hidden) store.set({ now: performance.now() });
}, TICK_MS);
