// What is the matter right now: one word for what the whole page shows. Pure, so that no two panels can disagree.

// A picture may be this much later than the service's own limit before the page says so: a slow network's share.
const PICTURE_GRACE_MS = 900;

/**
 * @typedef {"connecting" | "lost" | "refused" | "failed" | "paused" | "absent" | "ended" | "starting" | "stale"
 *   | "late" | "live"} Kind
 * `late`: the service sees well, but its pictures do not reach this page.
 */

/**
 * @param {import("./store.js").Page} page
 * @returns {Kind}
 */
export function situation(page) {
  if (page.refusal) return "refused";
  if (page.connection === "lost") return "lost";
  if (!page.live) return "connecting";
  const status = page.live.status;
  if (status !== "ok") return status;
  return pictureIsLate(page) ? "late" : "live";
}

function pictureIsLate(page) {
  const limit = 1000 * page.live.stale_after_s + PICTURE_GRACE_MS;
  const since = page.picture ? page.picture.at : page.openedAt;
  return page.now - since > limit;
}

/** @param {import("./store.js").Page} page @returns {number} seconds since the last state arrived */
export function sinceReceived(page) {
  return Math.max(0, (page.now - page.receivedAt) / 1000);
}

/** @param {import("./store.js").Page} page @returns {number | null} seconds since the newest frame, null if none */
export function frameAge(page) {
  const age = page.live?.camera.frame_age_s ?? (page.live?.prediction ? page.live.prediction.age_ms / 1000 : null);
  return age === null ? null : age + sinceReceived(page);
}
