// The link for proxies that block WebSockets: states as server-sent events, or by polling if those are buffered, too;
// pictures one request at a time.

import { address, call } from "./api.js";

const RATE = 2;
// The service sends an event once a second; after this much silence, something in between may be buffering them.
const HELD_BACK_MS = 1600;
const LOOK_EVERY_MS = 200;
const ASK_EVERY_MS = 1000;
const ANSWER_MS = 3000;
const PICTURE_EVERY_MS = 500;
const PICTURE_MS = 10_000;
const MIN_WIDTH = 80;
// A picture that took longer is followed by a smaller one, one that took less by a larger one, and by none if even the
// smallest takes too long.
const SLOW_MS = 1200;
const FAST_MS = 400;
const TOO_SLOW_MS = 4000;
const REST_MS = 5000;

/**
 * @param {number} widest  maximum width of pictures in pixels
 * @param {import("./connection.js").Callbacks} on
 * @returns {import("./connection.js").Link}
 */
export function openEvents(widest, on) {
  let closed = false;
  let heardAt = performance.now();
  let seeing = false;
  let polling = false;
  let width = Math.min(widest, 320);

  const source = new EventSource(address(`api/live.sse?rate=${RATE}`));
  source.onmessage = ({ data }) => state(JSON.parse(data));
  // EventSource would retry silently on its own; connection.js does so visibly.
  source.onerror = () => {
    source.close();
    if (!polling) end();
  };

  function state(message) {
    if (closed) return;
    heardAt = performance.now();
    seeing = message.status === "ok";
    on.state(message);
  }

  function end() {
    if (closed) return;
    close();
    on.ended(0);
  }

  function close() {
    closed = true;
    source.close();
  }

  async function states() {
    while (!closed && performance.now() - heardAt < HELD_BACK_MS) await pause(LOOK_EVERY_MS);
    polling = true;
    source.close();
    while (!closed) {
      await call("GET", "api/state", { timeout: ANSWER_MS }).then(state, end);
      await pause(ASK_EVERY_MS);
    }
  }

  async function pictures() {
    let network = "fine";
    while (!closed) {
      const took = seeing ? await picture() : null;
      if (took !== null) {
        const slow = took > SLOW_MS;
        width = Math.round(slow ? Math.max(MIN_WIDTH, width / 2) : took < FAST_MS ? Math.min(widest, width * 2) : width);
        network = took > TOO_SLOW_MS && width === MIN_WIDTH ? "too_slow" : slow || width < widest / 2 ? "slow" : "fine";
        if (!closed) on.coming({ bytes: 0, network });
      }
      await pause(network === "too_slow" ? REST_MS : PICTURE_EVERY_MS);
    }
  }

  /** @returns {Promise<number | null>} milliseconds until it had arrived; null if there was none */
  async function picture() {
    const began = performance.now();
    try {
      const signal = AbortSignal.timeout(PICTURE_MS);
      const response = await fetch(address(`api/snapshot.jpg?width=${width}`), { signal, cache: "no-store" });
      if (!response.ok) return null;
      const jpeg = await response.blob();
      // Only while the camera was known to work: if it was paused in between, the picture must stay wiped.
      if (!closed && seeing) await on.picture({}, jpeg);
      return performance.now() - began;
    } catch {
      return PICTURE_MS;
    }
  }

  states();
  pictures();
  return { close };
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
