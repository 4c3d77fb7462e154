// The situation: one word for what the whole page shows. Pure functions, so that no two panels can disagree.

// A picture may exceed the service's own age limit by this much before the page says so: the share of a slow network.
const PICTURE_GRACE_MS = 900;

/**
 * @typedef {"connecting" | "lost" | "refused" | "failed" | "paused" | "absent" | "ended" | "starting" | "stale"
 *   | "joining" | "late" | "live"} Kind
 * `joining`: the service sees well again, and its first picture is on its way. `late`: it sees well, but its pictures
 * do not reach this page.
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
  return status === "ok" ? pictureSituation(page) : status;
}

/** @param {import("./store.js").Page} page @returns {boolean} whether the last state is recent and its camera works */
export function isSeeing(page) {
  return ["joining", "late", "live"].includes(situation(page));
}

function pictureSituation(page) {
  if (page.network === "too_slow") return "late";
  // A picture from before a fault is not live, however recent it is.
  const since = Math.max(page.okAt, page.openedAt);
  const at = page.picture?.at ?? 0;
  if (page.now - Math.max(at, since) > 1000 * page.live.stale_after_s + PICTURE_GRACE_MS) return "late";
  return at < since ? "joining" : "live";
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
