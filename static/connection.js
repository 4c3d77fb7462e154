// Keeps the page connected to the service: opens a link, notices when it goes silent, and opens a new one after a loss.

import { call, goToLogin } from "./api.js";
import { cardOf, translateTitles } from "./cards.js";
import { openSocket } from "./socket.js";

// The service sends something every second; after this much silence the page is out of date, whatever TCP reports.
const SILENCE_MS = 2500;
// An announced picture may still be on its way over a slow network, where a new link would not be faster.
const PATIENT_MS = 8000;
// The first retry is quick, because most losses are a restart; then the pauses double, to spare the service.
const FIRST_PAUSE_MS = 400;
const MAX_PAUSE_MS = 8000;
const LOOK_EVERY_MS = 200;
// A server that accepts connections but never responds must not block the page for ever.
const OPENING_MS = 5000;
// After this many WebSockets that never opened although the service responds, something in between blocks them.
const BLOCKED_AFTER = 2;
const PROBE_MS = 4000;
// Without WebSockets, one is tried this often, because the proxy may have been fixed.
const TRIAL_EVERY_MS = 60_000;

const NO_TOKEN = 4401;
const FOREIGN_ORIGIN = 4403;
const TOO_MANY = 1013;

/**
 * @typedef {object} Link  a connection to the service: socket.js, events.js
 * @property {() => void} close
 * @property {boolean} [opened]  whether a WebSocket's handshake succeeded
 * @property {"socket" | "events"} [via]
 *
 * @typedef {object} Callbacks  what a link calls
 * @property {(message: object) => void} state
 * @property {(problem: object) => void} refused   a problem object, before the link ends
 * @property {() => void} news  something was written to the diary
 * @property {(coming: {bytes: number, network: "fine" | "slow" | "too_slow"}) => void} coming  of the next picture
 * @property {(header: object, jpeg: Blob) => Promise<void>} picture  resolves when it is drawn
 * @property {(code: number) => void} ended
 */

/**
 * Keeps the store up to date while the page is visible.
 * @param {import("./store.js").Store} store
 * @param {{pictureWidth: () => number, onPicture: (header: object, jpeg: Blob) => Promise<void>}} how
 * @returns {{retry: () => void}}
 */
export function connect(store, how) {
  let link = null;
  let whole = null;
  let trial = null;
  let trialAt = 0;
  let openedAt = 0;
  let heardAt = 0;
  let picturesBytes = 0;
  let losses = 0;
  let blocked = 0;

  function open() {
    drop();
    openedAt = performance.now();
    heardAt = picturesBytes = 0;
    trialAt = openedAt + TRIAL_EVERY_MS;
    link = blocked < BLOCKED_AFTER ? socket() : events();
  }

  function socket() {
    const mine = openSocket(how.pictureWidth(), callbacks(() => mine));
    mine.via = "socket";
    return mine;
  }

  // Loaded only if it is needed.
  function events() {
    const mine = { via: "events", close: () => (mine.closed = true) };
    import("./events.js")
      .then(({ openEvents }) => {
        if (!mine.closed) mine.close = openEvents(how.pictureWidth(), callbacks(() => mine)).close;
      })
      .catch(() => mine === link && lose(0));
    return mine;
  }

  /** @returns {Callbacks} callbacks that ignore a link which is no longer in use */
  function callbacks(which) {
    const used = () => which() === link;
    return {
      state(message) {
        if (which() === trial) adopt();
        if (used()) state(message);
      },
      refused(problem) {
        if (used()) store.set({ refusal: problem });
      },
      news() {
        if (used()) store.set({ news: performance.now() });
      },
      coming({ bytes, network }) {
        if (!used()) return;
        heard();
        picturesBytes = bytes;
        if (store.get().network !== network) store.set({ network });
      },
      async picture(header, jpeg) {
        if (!used()) return;
        heard();
        picturesBytes = 0;
        await how.onPicture(header, jpeg);
      },
      ended(code) {
        if (used()) lose(code);
        else if (which() === trial) trial = null;
      },
    };
  }

  function heard() {
    heardAt = performance.now();
  }

  function state(message) {
    heard();
    const page = store.get();
    complete(message);
    if (message.model) translateTitles(message, cardOf(page, message.model.name));
    losses = 0;
    if (link.via === "socket") blocked = 0;
    const change = { connection: "open", refusal: null, lostAt: null, retryAt: null, live: message, via: link.via };
    if (page.connection !== "open") change.openedAt = heardAt;
    if (message.status === "ok" && page.live?.status !== "ok") change.okAt = heardAt;
    store.set({ ...change, receivedAt: heardAt, now: heardAt });
  }

  // If a model has many labels, only the first state of a connection contains all of them.
  function complete(message) {
    const { model, answer } = message;
    // Without a prototype, which would answer for labels called "constructor" that are not in it.
    answer.probabilities = { __proto__: null, ...answer.probabilities };
    if (!model || model.labels.length === model.label_count) whole = message;
    message.model = whole.model;
    answer.thresholds = whole.answer.thresholds;
  }

  function lose(code) {
    if (code === NO_TOKEN) {
      goToLogin();
      return;
    }
    const { via, opened } = link;
    drop();
    const now = performance.now();
    const refused = code === TOO_MANY || code === FOREIGN_ORIGIN;
    const pause = losses === 0 ? FIRST_PAUSE_MS : Math.min(MAX_PAUSE_MS, 1000 * 2 ** (losses - 1));
    losses += 1;
    store.set({
      connection: "lost",
      refusal: refused ? store.get().refusal : null,
      lostAt: store.get().lostAt ?? (heardAt || now),
      retryAt: now + (refused ? MAX_PAUSE_MS : pause) * (0.75 + Math.random() / 2),
      now,
    });
    if (via === "socket" && !opened) probe();
  }

  // Finds out whether only the WebSocket is blocked, or the service is unreachable.
  function probe() {
    call("GET", "api/state", { timeout: PROBE_MS }).then(
      () => {
        blocked += 1;
        if (!link) store.set({ retryAt: performance.now() });
      },
      () => (blocked = 0),
    );
  }

  // A trial WebSocket received something, so they work again.
  function adopt() {
    link?.close();
    link = trial;
    trial = null;
  }

  function drop() {
    link?.close();
    trial?.close();
    link = trial = null;
  }

  function look() {
    if (document.hidden) return;
    const now = performance.now();
    const { retryAt, connection } = store.get();
    if (link && heardAt && now - heardAt > SILENCE_MS) {
      if (!picturesBytes || now - heardAt > PATIENT_MS) lose(0);
      else if (connection === "open") store.set({ connection: "lost", lostAt: heardAt, retryAt: null, now });
    } else if (link && !heardAt && now - openedAt > (link.opened ? PATIENT_MS : OPENING_MS)) {
      lose(0);
    } else if (!link && now >= (retryAt ?? 0)) {
      open();
    } else if (link?.via === "events" && !trial && now > trialAt) {
      trialAt = now + TRIAL_EVERY_MS;
      trial = socket();
    }
  }

  function retry() {
    losses = 0;
    if (!document.hidden) open();
  }

  // A hidden page costs neither the service nor the battery anything. It reconnects when shown again.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      drop();
      store.set({ connection: "away", live: null, picture: null, lostAt: null, retryAt: null });
    } else {
      store.set({ connection: "connecting" });
      retry();
    }
  });
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) retry();
  });
  window.addEventListener("online", retry);

  setInterval(look, LOOK_EVERY_MS);
  look();
  return { retry };
}
