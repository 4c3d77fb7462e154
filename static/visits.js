// The diary's data: events of a day or for review, loaded page by page, and the actions on them.

import { call } from "./api.js";

const PAGE = 200;
const MAX_AT_ONCE = 1000;
// The kinds that are shown as a card; the others happened to the camera and are shown in the band.
const CARDS = ["seen", "quiet", "missed"];

/**
 * @typedef {object} Visit  an event as the service sends it, with `from` and `to` in milliseconds since 1970
 * @typedef {{name: "day" | "todo" | "wrong" | "kept" | "latest", day?: string}} View
 */

/** @param {Date} date @returns {string} its day here, as in the URL */
export function dayOf(date) {
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** @param {string} day @param {number} [more]  days after it @returns {Date} its start here */
export function startOf(day, more = 0) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + more);
}

/** @param {Visit} visit @returns {boolean} */
export function isCard(visit) {
  return CARDS.includes(visit.kind);
}

/** @param {object} event @returns {Visit} */
export function visitOf(event) {
  const from = Date.parse(event.started);
  return { ...event, from, to: event.ended ? Date.parse(event.ended) : Date.now() };
}

function query(view) {
  if (view.name === "kept") return "kept=true";
  if (view.name === "latest") return "view=main";
  if (view.name !== "day") return `review=${view.name}`;
  return `from=${startOf(view.day).toISOString()}&to=${startOf(view.day, 1).toISOString()}`;
}

/**
 * @param {View} view
 * @param {(visits: Visit[], done: boolean) => boolean} take  gets a page, newest first; returns false if no more are wanted
 * @throws {import("./api.js").Problem}
 */
export async function load(view, take) {
  let before = null;
  do {
    const part = await call("GET", `api/events?${query(view)}&limit=${PAGE}${before ? `&before=${before}` : ""}`);
    before = part.next;
    if (!take(part.events.map(visitOf), before === null)) return;
  } while (before !== null);
}

/** @param {View} view @returns {Promise<Visit[]>} the newest of them */
export async function newest(view, limit = 50) {
  const { events } = await call("GET", `api/events?${query(view)}&limit=${limit}`);
  return events.map(visitOf);
}

/** @param {string} day @returns {Promise<object[]>} what the service knew at each time of the day, as spans */
export async function bandOf(day) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (await call("GET", `api/events/summary?day=${day}&zone=${encodeURIComponent(zone)}`)).band;
}

/** @param {number[]} ids @param {object} set  right, kept or note */
export function mark(ids, set) {
  if (ids.length === 1) return call("PATCH", `api/events/${ids[0]}`, { json: set });
  return batch(ids, { set });
}

/** @param {number[]} ids */
export function remove(ids) {
  return ids.length === 1 ? call("DELETE", `api/events/${ids[0]}`) : batch(ids, { delete: true });
}

async function batch(ids, what) {
  for (let i = 0; i < ids.length; i += MAX_AT_ONCE) {
    await call("POST", "api/events/batch", { json: { ids: ids.slice(i, i + MAX_AT_ONCE), ...what } });
  }
}

/** Undoes the last action. */
export function undo() {
  return call("POST", "api/events/undo");
}
