// The page's whole state in one place. Panels watch it and render what it holds.

/**
 * @typedef {object} Page
 * @property {"connecting" | "open" | "lost" | "away"} connection  away: the page is hidden and has disconnected
 * @property {"socket" | "events"} via     how states arrive: by WebSocket, or past a proxy that blocks those
 * @property {"fine" | "slow" | "too_slow"} network  its capacity: pictures as requested, smaller ones, none
 * @property {object | null} refusal       the problem for which the service refuses this page
 * @property {number | null} lostAt        performance.now() of the loss
 * @property {number | null} retryAt       performance.now() of the next attempt
 * @property {object | null} live          the last state message, completed
 * @property {number} receivedAt           performance.now() of its arrival
 * @property {number} openedAt             performance.now() of this connection's first state
 * @property {number} okAt                 performance.now() of the first state since which the camera has worked
 * @property {{width: number, height: number, at: number} | null} picture  what the canvas shows, and since when
 * @property {object[] | null} models      the cards of the models installed
 * @property {object | null} settings      the settings by dotted key
 * @property {string[] | null} restartFor  settings that were changed in the file and wait for a restart
 * @property {object | null} about         version, name and features of the service
 * @property {number | null} news          performance.now() of the last change to the diary
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
    via: "socket",
    network: "fine",
    refusal: null,
    lostAt: null,
    retryAt: null,
    live: null,
    receivedAt: 0,
    openedAt: 0,
    okAt: 0,
    picture: null,
    models: null,
    settings: null,
    restartFor: null,
    about: null,
    news: null,
    now: performance.now(),
  };
}
