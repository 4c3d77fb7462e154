// The one place that holds what the page knows. Panels watch it and are functions of what it holds.

/**
 * @typedef {object} Page
 * @property {"connecting" | "open" | "lost"} connection
 * @property {string | null} refusal       why the service does not let this page in or on, in its own words
 * @property {number | null} lostAt        performance.now() of the loss
 * @property {number | null} retryAt       performance.now() of the next try
 * @property {object | null} live          the last state message, whole
 * @property {number} receivedAt           performance.now() of its arrival
 * @property {number} openedAt             performance.now() of this connection's first state
 * @property {{sequence: number, width: number, height: number, at: number} | null} picture  what the canvas shows
 * @property {object[] | null} models      the cards of the models installed
 * @property {object | null} settings      what is told of each setting, by dotted key
 * @property {object | null} about         what runs there
 * @property {number} now                  performance.now() of the last tick
 */

/** @typedef {ReturnType<typeof createStore>} Store */

/**
 * @param {Page} initial
 * @returns {{get: () => Page, set: (change: Partial<Page>) => void, watch: (watcher: (page: Page) => void) => void}}
 */
export function createStore(initial) {
  let page = initial;
  const watchers = [];
  return {
    get: () => page,
    set(change) {
      page = { ...page, ...change };
      for (const watcher of watchers) watcher(page);
    },
    watch(watcher) {
      watchers.push(watcher);
      watcher(page);
    },
  };
}

/** @returns {Page} what the page knows before anything has arrived */
export function nothingYet() {
  return {
    connection: "connecting",
    refusal: null,
    lostAt: null,
    retryAt: null,
    live: null,
    receivedAt: 0,
    openedAt: 0,
    picture: null,
    models: null,
    settings: null,
    about: null,
    now: performance.now(),
  };
}
