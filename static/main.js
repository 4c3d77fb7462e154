// Starts the page: one store, one connection, and a panel for each part of index.html.

import { mountAnswer } from "./answer.js";
import { mountBars } from "./bars.js";
import { connect } from "./connection.js";
import { mountCover } from "./cover.js";
import { mountPicture } from "./picture.js";
import { createStore, nothingYet } from "./store.js";
import { translatePage } from "./words.js";

const TICK_MS = 250;

const store = createStore(nothingYet());
translatePage();

const picture = mountPicture(store);
mountAnswer(store);
mountBars(store);
const connection = connect(store, picture);
mountCover(store, { retry: connection.retry, openPhoto: () => {} });

// Ages grow and silences begin without any message: the page looks at the clock by itself.
setInterval(() => {
  if (!document.hidden) store.set({ now: performance.now() });
}, TICK_MS);
