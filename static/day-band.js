// A day from midnight to midnight, a lane for each label and one for the camera: who was there when.

import { el, icon, setAttribute, setIcon, setText, show } from "./dom.js";
import { hatch } from "./history.js";
import { drawingOf, titleOf, toneOf } from "./labels.js";
import { startOf } from "./visits.js";
import { clock, duration, t } from "./i18n.js";

const MOST_LANES = 5;
const HOURS = [0, 6, 12, 18, 24];
// So narrow that a moment can still be seen, and be hit with a finger.
const LEAST_PX = 3;
const REACH_PX = 8;
const AWAY = { camera_lost: "camera_back", paused: "resumed" };

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
    /** @param {string} day @param {object[]} events  all of the day, the newest first @param {object | null} live */
    render(day, events, live) {
      const wanted = lanesOf(events, live);
      while (lanes.length < wanted.length) lanes.push(addLane());
      while (lanes.length > wanted.length) lanes.pop().row.remove();
      show(axis, wanted.length > 0);
      wanted.forEach((lane, i) => draw(lanes[i], lane, day));
    },
  };
}

function lanesOf(events, live) {
  const state = live ?? { answer: { thresholds: {}, probabilities: {} } };
  const byLabel = new Map();
  for (const visit of events) {
    if (visit.kind !== "seen" || visit.called === null) continue;
    if (!byLabel.has(visit.called)) byLabel.set(visit.called, []);
    byLabel.get(visit.called).push(visit);
  }
  const most = [...byLabel].sort((a, b) => b[1].length - a[1].length).slice(0, MOST_LANES);
  const lanes = most.sort(([a], [b]) => a.localeCompare(b)).map(([label, visits]) => ({
    name: titleOf(label, live?.model?.titles),
    drawing: drawingOf(state, label),
    tone: toneOf(state, label),
    visits,
  }));
  const away = awayOf(events);
  if (away.length) lanes.push({ name: t("diary.away"), drawing: "absent", tone: "none", visits: away, hatched: true });
  return lanes;
}

// From where the camera was lost or closed until it was back.
function awayOf(events) {
  const away = [];
  const open = {};
  for (const event of [...events].sort((a, b) => a.from - b.from)) {
    const back = AWAY[event.kind];
    if (back) open[back] ??= event;
    else if (open[event.kind]) {
      away.push({ ...open[event.kind], to: event.from });
      delete open[event.kind];
    }
  }
  return [...away, ...Object.values(open).map((event) => ({ ...event, to: Infinity }))];
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
    const place = { visit, x: x(visit.from), width: Math.max(LEAST_PX, x(to) - x(visit.from)) };
    if (hatched) hatch(pen, place.x, place.x + place.width, height, style.color);
    else pen.fillRect(place.x, 2, place.width, height - 4);
    return place;
  });
  if (hatched) row.visits = [];
  const [last, first] = [visits[0], visits.at(-1)].map((visit) => clock(visit.from));
  setAttribute(canvas, "aria-label", t("diary.lane", { name, n: visits.length, time: duration(seconds), first, last }));
}
