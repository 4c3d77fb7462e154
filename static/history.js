// The last minutes as a strip chart per label, with the thresholds for entering and leaving.

import { byId, el, icon, setAttribute, setIcon, setText, show } from "./dom.js";
import { drawingOf, isReject, labelsShown, thresholdOf, titleOf, toneOf } from "./labels.js";
import { isSeeing } from "./situation.js";
import { decimal, percent, t } from "./i18n.js";

const SPAN_MS = 180_000;
const DRAW_EVERY_MS = 250;
// Screen readers do not need the chart's description ten times a second.
const DESCRIBE_EVERY_MS = 5000;
// A longer time without a state is a gap, and is shown as one.
const HOLE_MS = 2600;
const MAX_STRIPS = 4;
// Room above "certain" for the name of a threshold close to it.
const HEADROOM = 16;

/** The strips shown, in order. @type {{row: HTMLElement, box: HTMLElement, name: HTMLElement, label: string, threshold: object | null}[]} */
export const strips = [];
/** Thresholds by label that are being edited, drawn instead of those in force. @type {Map<string, {enter: number, leave: number}>} */
export const chosen = new Map();

/** @param {number} p  a probability @param {number} height  of a strip @returns {number} where it is drawn, from the top */
export function levelOf(p, height) {
  return HEADROOM + (1 - p) * (height - HEADROOM - 2);
}

/** @param {number} y  from the top of a strip @param {number} height @returns {number} the probability there, 0 to 1 */
export function probabilityAt(y, height) {
  return Math.min(1, Math.max(0, 1 - (y - HEADROOM) / (height - HEADROOM - 2)));
}

/** @param {import("./store.js").Store} store */
export function mountHistory(store) {
  const panel = byId("strips");
  const record = createRecord();
  const legend = el("p.note", { text: "history.legend" });
  const axis = el("p.strip-axis", { aria: { hidden: "true" } }, el("span", { text: "history.start" }), el("span", { text: "history.now" }));
  panel.append(axis, legend);
  let drawnAt = 0;

  store.watch((page) => {
    record.add(page);
    if (document.hidden || page.now - drawnAt < DRAW_EVERY_MS) return;
    drawnAt = page.now;
    const { live } = page;
    const labels = live?.model ? labelsShown(live, MAX_STRIPS + 1).filter((label) => !isReject(live, label)).slice(0, MAX_STRIPS) : [];
    if (live) {
      while (strips.length < labels.length) strips.push(addStrip(panel, axis));
      while (strips.length > labels.length) strips.pop().row.remove();
      labels.forEach((label, i) => render(strips[i], live, label));
    }
    for (const strip of strips) draw(strip, record, page.now);
    show(axis, strips.length > 0);
  });
}

function createRecord() {
  // {at, p: probabilities by label, null if nothing was seen; away: whether that was because this page was hidden}
  const moments = [];
  let sequence = null;
  return {
    moments,
    add(page) {
      const { live } = page;
      const known = isSeeing(page);
      const key = known ? `${live.instance}-${live.sequence}` : null;
      if (known ? key === sequence : moments.at(-1)?.p === null || moments.length === 0) return;
      sequence = key;
      const away = page.connection === "away";
      moments.push({ at: known ? page.receivedAt : page.now, p: known ? live.answer.probabilities : null, away });
      while (moments.length && moments[0].at < page.now - SPAN_MS - 1000) moments.shift();
    },
  };
}

function addStrip(panel, before) {
  const drawing = icon("circle", "bar-icon");
  const name = el("span");
  const canvas = el("canvas.strip", { aria: { role: "img" } });
  const box = el("div.strip-box", {}, canvas);
  const row = el("div.strip-row", {}, el("p.strip-name", {}, drawing, name), box);
  panel.insertBefore(row, before);
  return { row, box, drawing, name, canvas, label: "", threshold: null, describedAt: -Infinity };
}

function render(strip, live, label) {
  strip.label = label;
  strip.threshold = chosen.get(label) ?? thresholdOf(live, label);
  setAttribute(strip.row, "data-tone", toneOf(live, label));
  setIcon(strip.drawing, drawingOf(live, label));
  setText(strip.name, titleOf(label, live.model.titles));
}

function draw(strip, record, now) {
  const { canvas } = strip;
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const look = { line: style.color, soft: style.getPropertyValue("--soft"), faint: style.getPropertyValue("--line") };
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  const x = (at) => width - ((now - at) / SPAN_MS) * width;
  const y = (p) => levelOf(p, height);
  pen.fillStyle = look.faint;
  pen.fillRect(0, height - 1, width, 1);
  const highest = curve(pen, strip, record, { x, y, now, height, look });
  thresholds(pen, strip.threshold, { y, width, look });
  if (now - strip.describedAt > DESCRIBE_EVERY_MS) describe(strip, record, highest, now);
}

function curve(pen, strip, record, { x, y, now, height, look }) {
  let highest = 0;
  let run = [];
  const flush = () => {
    if (run.length > 1) paint(pen, run, height, look.line);
    run = [];
  };
  let before = null;
  for (const moment of record.moments) {
    if (before && (before.p === null || moment.at - before.at > HOLE_MS)) {
      flush();
      if (!before.away) hatch(pen, x(before.at), x(moment.at), height, look.faint);
    }
    const p = moment.p?.[strip.label];
    if (p !== undefined) {
      run.push([x(moment.at), y(p)]);
      highest = Math.max(highest, p);
    }
    before = moment;
  }
  if (before?.p === null) {
    flush();
    if (!before.away) hatch(pen, x(before.at), x(now), height, look.faint);
  } else if (run.length) {
    run.push([x(now), run.at(-1)[1]]);
  }
  flush();
  return highest;
}

/** Draws a curve, with the area below it filled. */
export function paint(pen, run, height, color, filled = true) {
  pen.beginPath();
  run.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  pen.setLineDash([]);
  pen.stroke();
  if (!filled) return;
  pen.lineTo(run.at(-1)[0], height);
  pen.lineTo(run[0][0], height);
  pen.globalAlpha = 0.16;
  pen.fillStyle = color;
  pen.fill();
  pen.globalAlpha = 1;
}

/** Fills a part of a drawing with diagonal lines. */
export function hatch(pen, from, to, height, color) {
  pen.save();
  pen.beginPath();
  pen.rect(from, 0, to - from, height);
  pen.clip();
  pen.beginPath();
  for (let x = Math.floor((from - height) / 8) * 8; x < to; x += 8) {
    pen.moveTo(x, height);
    pen.lineTo(x + height, 0);
  }
  pen.strokeStyle = color;
  pen.lineWidth = 1.5;
  pen.stroke();
  pen.restore();
}

/** Draws the two thresholds, each with its name. */
export function thresholds(pen, threshold, { y, width, look }) {
  if (!threshold) return;
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = pen.strokeStyle = look.soft;
  pen.lineWidth = 1;
  const lines = [
    [threshold.enter, [], "history.enter", "bottom"],
    [threshold.leave, [4, 4], "history.leave", "top"],
  ];
  for (const [value, dash, text, side] of lines) {
    pen.setLineDash(dash);
    pen.beginPath();
    pen.moveTo(0, y(value));
    pen.lineTo(width, y(value));
    pen.stroke();
    pen.textBaseline = side;
    pen.fillText(t(text, { n: decimal(value, 2) }), 2, y(value) + (side === "top" ? 4 : -2));
  }
  pen.setLineDash([]);
}

function describe(strip, record, highest, now) {
  strip.describedAt = now;
  const last = record.moments.at(-1)?.p?.[strip.label] ?? 0;
  const { enter = 0, leave = 0 } = strip.threshold ?? {};
  const values = { now: percent(last), high: percent(highest), enter: percent(enter), leave: percent(leave) };
  setAttribute(strip.canvas, "aria-label", t("history.say", { label: strip.name.textContent, ...values }));
}
