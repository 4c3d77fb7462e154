// The one connection to the service: states and pictures in, acknowledgements out, and back again after a loss.

import { address, goToLogin } from "./api.js";

// The service speaks at least once a second: this much silence means that the connection is gone, whatever TCP says.
const SILENCE_MS = 2500;
// The first try is quick (most losses are a restart); then the pauses double, so that a crowd does not hammer.
const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 30_000;
const LOOK_EVERY_MS = 200;
// A server that accepts but never speaks must not hold the page for ever.
const OPENING_MS = 5000;

const NO_TOKEN = 4401;
const FOREIGN_ORIGIN = 4403;
const TOO_MANY = 1013;

/**
 * Keeps the store in step with the service for as long as the page is seen.
 * @param {import("./store.js").Store} store
 * @param {{pictureWidth: () => number, onPicture: (header: object, jpeg: Blob) => Promise<void>}} how
 * @returns {{retry: () => void}}
 */
export function connect(store, how) {
  let socket = null;
  let openedAt = 0;
  let heardAt = 0;
  let losses = 0;

  function open() {
    drop();
    const url = address(`api/live?picture=${how.pictureWidth()}`);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    openedAt = performance.now();
    heardAt = 0;
    const mine = new WebSocket(url);
    mine.binaryType = "arraybuffer";
    mine.onmessage = (event) => {
      if (mine === socket) hear(event.data);
    };
    mine.onclose = (event) => {
      if (mine === socket) lose(event.code);
    };
    socket = mine;
  }

  function hear(data) {
    heardAt = performance.now();
    if (typeof data !== "string") {
      picture(data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "state") state(message);
    else if (message.status) store.set({ refusal: [message.detail, message.remedy].filter(Boolean).join(" ") });
  }

  function state(message) {
    const first = store.get().connection !== "open";
    losses = 0;
    const change = { connection: "open", refusal: null, lostAt: null, retryAt: null, live: message };
    if (first) change.openedAt = heardAt;
    store.set({ ...change, receivedAt: heardAt, now: heardAt });
  }

  async function picture(data) {
    const mine = socket;
    const view = new DataView(data);
    const length = view.getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    try {
      await how.onPicture(header, new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    } catch (error) {
      console.warn("A picture could not be drawn.", error);
    } finally {
      // Acknowledged only when drawn: the service then never sends more than this page can show.
      if (mine === socket && mine.readyState === WebSocket.OPEN) {
        mine.send(JSON.stringify({ type: "ack", sequence: header.sequence }));
      }
    }
  }

  function lose(code) {
    if (code === NO_TOKEN) {
      goToLogin();
      return;
    }
    drop();
    const now = performance.now();
    const pause = Math.min(LONGEST_PAUSE_MS, losses === 0 ? FIRST_PAUSE_MS : 1000 * 2 ** (losses - 1));
    const refused = code === TOO_MANY || code === FOREIGN_ORIGIN;
    losses += 1;
    store.set({
      connection: "lost",
      refusal: refused ? store.get().refusal : null,
      lostAt: store.get().lostAt ?? now,
      retryAt: now + (refused ? LONGEST_PAUSE_MS : pause) * (0.75 + Math.random() / 2),
      now,
    });
  }

  function drop() {
    if (!socket) return;
    const old = socket;
    socket = null;
    // A dead peer never answers a close; without its handlers the old socket can finish dying by itself.
    old.onmessage = old.onclose = null;
    old.close();
  }

  function look() {
    if (document.hidden) return;
    const now = performance.now();
    const { retryAt } = store.get();
    if (socket && heardAt && now - heardAt > SILENCE_MS) lose(0);
    else if (socket && !heardAt && now - openedAt > OPENING_MS) lose(0);
    else if (!socket && now >= (retryAt ?? 0)) open();
  }

  function retry() {
    losses = 0;
    if (!document.hidden) open();
  }

  // A hidden page costs the service and the battery nothing; shown again it asks afresh, also out of the page cache.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      drop();
      store.set({ connection: "connecting", live: null, picture: null, lostAt: null, retryAt: null });
    } else {
      retry();
    }
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) retry();
  });
  window.addEventListener("online", retry);

  setInterval(look, LOOK_EVERY_MS);
  look();
  return { retry };
}
