// A day from midnight to midnight, with a lane for each label and one for the camera: who was here when.

import { el, icon, setAttribute, setIcon, setText, show } from "./dom.js";
import { hatch } from "./history.js";
import { drawingOf, titleOf, toneOf } from "./labels.js";
import { startOf } from "./visits.js";
import { clock, duration, t } from "./i18n.js";

const MAX_LANES = 5;
const HOURS = [0, 6, 12, 18, 24];
// The smallest width at which a short visit can still be seen, and hit with a finger.
const MIN_PX = 3;
const REACH_PX = 8;
const AWAY = ["camera_lost", "paused", "off"];

/** @param {HTMLElement} box @param {(visit: object) => void} open */
export function dayBand(box, open) {
  const lanes = [];
  const axis = el("p.strip-axis.hours", { aria: { hidden: "true" } }, ...HOURS.map((hour) => el("span", {}, String(hour))));
  box.append(axis);

  function addLane() {
    const drawing = icon("circle", "bar-icon");
    const name = el("span");
    const canvas = el("canvas.lane", { aria: { role: "img" } });
    const row = el("div.strip-row", {}, el("p.strip-name", {}, drawing, name), canvas);
    const lane = { row, drawing, name, canvas, visits: [] };
    canvas.addEventListener("click", ({ offsetX }) => {
      const near = lane.visits.filter(({ x, width }) => offsetX > x - REACH_PX && offsetX < x + width + REACH_PX);
      if (near.length) open(near.at(-1).visit);
    });
    box.insertBefore(row, axis);
    return lane;
  }

  return {
    /**
     * @param {string} day
     * @param {object[]} events  all of the day, newest first
     * @param {{state: string, begin: string, end: string}[]} spans  what the service knew at each time
     * @param {object | null} live
     */
    render(day, events, spans, live) {
      const wanted = lanesOf(events, spans, live);
      while (lanes.length < wanted.length) lanes.push(addLane());
      while (lanes.length > wanted.length) lanes.pop().row.remove();
      show(box, wanted.length > 0);
      wanted.forEach((lane, i) => draw(lanes[i], lane, day));
    },
  };
}

function lanesOf(events, spans, live) {
  const state = live ?? { answer: { thresholds: {}, probabilities: {} } };
  const byLabel = new Map();
  for (const visit of events) {
    if (visit.kind !== "seen" || visit.called === null) continue;
    if (!byLabel.has(visit.called)) byLabel.set(visit.called, []);
    byLabel.get(visit.called).push(visit);
  }
  const most = [...byLabel].sort((a, b) => b[1].length - a[1].length).slice(0, MAX_LANES);
  const lanes = most.sort(([a], [b]) => a.localeCompare(b)).map(([label, visits]) => ({
    name: titleOf(label, live?.model?.titles),
    drawing: drawingOf(state, label),
    tone: toneOf(state, label),
    visits,
  }));
  const away = spans
    .filter(({ state: what }) => AWAY.includes(what))
    .map(({ begin, end }) => ({ from: Date.parse(begin), to: Date.parse(end) }));
  if (away.length) lanes.push({ name: t("diary.away"), drawing: "absent", tone: "none", visits: away, hatched: true });
  return lanes;
}

function draw(row, { name, drawing, tone, visits, hatched }, day) {
  const [from, until] = [startOf(day).getTime(), startOf(day, 1).getTime()];
  const end = Math.min(until, Date.now());
  setAttribute(row.row, "data-tone", tone);
  setIcon(row.drawing, drawing);
  setText(row.name, name);
  const { canvas } = row;
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const x = (at) => ((at - from) / (until - from)) * width;
  pen.fillStyle = style.getPropertyValue("--faint");
  pen.fillRect(0, 0, x(end), height);
  pen.fillStyle = style.color;
  let seconds = 0;
  row.visits = visits.map((visit) => {
    const to = Math.min(visit.to, end);
    seconds += (to - visit.from) / 1000;
    const place = { visit, x: x(visit.from), width: Math.max(MIN_PX, x(to) - x(visit.from)) };
    if (hatched) hatch(pen, place.x, place.x + place.width, height, style.color);
    else pen.fillRect(place.x, 2, place.width, height - 4);
    return place;
  });
  if (hatched) row.visits = [];
  const times = visits.map((visit) => visit.from);
  const [first, last] = [Math.min(...times), Math.max(...times)].map((at) => clock(at));
  setAttribute(canvas, "aria-label", t("diary.lane", { name, n: visits.length, time: duration(seconds), first, last }));
}
