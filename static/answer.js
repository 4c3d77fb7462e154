// The answer, readable across a room: word, drawing, colour and since when. Grey and "last seen" if it is not current.

import { byId, setAttribute, setIcon, setText, setVariable } from "./dom.js";
import { drawingOf, titleOf, toneOf } from "./labels.js";
import { isSeeing, sinceReceived, situation } from "./situation.js";
import { clock, duration, has, t } from "./i18n.js";

// States without a drawing of their own name.
const ICONS = { connecting: "wait", starting: "wait", joining: "wait", stale: "frozen", late: "lost", refused: "lost" };
// A screen reader announces a change once it has settled, not every flicker.
const SAY_AFTER_MS = 700;

/** @param {import("./store.js").Store} store */
export function mountAnswer(store) {
  const plate = byId("plate");
  const word = byId("word");
  const announce = announcer(byId("announce"));
  store.watch((page) => {
    const shown = answerOf(page);
    setAttribute(plate, "data-tone", shown.tone);
    setAttribute(plate, "data-repeats", String(shown.tone === "old" && !shown.eyebrow && page.live !== null));
    setIcon(byId("glyph"), shown.icon);
    setText(byId("eyebrow"), shown.eyebrow);
    setText(word, shown.word);
    setText(byId("since"), shown.since);
    fit(plate, word, shown.word);
    document.title = titleOfPage(page, shown);
    announce(shown.say);
  });
}

function titleOfPage(page, shown) {
  const name = page.about?.name || "Lookout";
  // A hidden page receives no states, so its tab shows the name only.
  if (page.connection === "away") return name;
  return `${shown.current ? shown.word : t(`chip.${situation(page)}`)} · ${name}`;
}

function answerOf(page) {
  const now = situation(page);
  const live = page.live;
  // A picture that does not arrive does not invalidate an answer that does.
  if (live && isSeeing(page)) return live.answer.current ? current(page) : old(page, "stale");
  return live && now !== "paused" ? old(page, now) : nothing(now);
}

function current(page) {
  const { live } = page;
  const { answer } = live;
  const title = answer.label === null ? t(`answer.${answer.reason}`) : titleOf(answer.label, live.model?.titles);
  const lasting = answer.for_s + sinceReceived(page);
  const for_ = lasting < 1 ? t("answer.new") : t("answer.for", { time: duration(lasting) });
  // By the reader's own clock, since the service's may not be set yet.
  const since = t("answer.since", { clock: clock(Date.now() - 1000 * lasting) });
  const none = answer.reason === "reject" ? "none" : "unsure";
  return {
    tone: answer.label === null ? none : toneOf(live, answer.label),
    icon: answer.label === null ? none : drawingOf(live, answer.label),
    eyebrow: "",
    word: title,
    since: `${for_} · ${since}`,
    // Without the probability, which at the time of a change is just that of the threshold.
    say: title,
    current: true,
  };
}

function old(page, now) {
  const { answer, prediction, model } = page.live;
  if (answer.label === null) return nothing(now);
  const title = titleOf(answer.label, model?.titles);
  const ago = prediction ? prediction.age_ms / 1000 + sinceReceived(page) : answer.for_s + sinceReceived(page);
  return {
    tone: "old",
    icon: drawingOf(page.live, answer.label),
    eyebrow: t("answer.last"),
    word: title,
    since: t("answer.ago", { time: duration(ago) }),
    say: t("answer.say.last", { state: t(`chip.${now}`), title }),
    current: false,
  };
}

function nothing(now) {
  const word = t(has(`answer.${now}`) ? `answer.${now}` : `chip.${now}`);
  return { tone: "old", icon: iconOf(now), eyebrow: "", word, since: "", say: word, current: false };
}

/** @param {import("./situation.js").Kind} now @returns {string} the symbol for a situation of the page */
export function iconOf(now) {
  return ICONS[now] ?? now;
}

function announcer(node) {
  let saidKey = "";
  let timer = 0;
  return (shown) => {
    const key = shown.replace(/\d+/g, "");
    if (key === saidKey) return;
    saidKey = key;
    clearTimeout(timer);
    timer = setTimeout(() => setText(node, shown), SAY_AFTER_MS);
  };
}

const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();

/**
 * Sets how large the word may be: one line that fills the plate, or two that are not higher, so that nothing below
 * moves when the answer changes.
 * @param {HTMLElement} plate @param {Element} node  the word @param {string} text
 */
export function fit(plate, node, text) {
  setVariable(plate, "--ems", widthInEms(node, text.split(/\s+/)));
  setVariable(plate, "--all", widthInEms(node, [text]));
}

// The longest part in units of the font size, measured in the actual font.
function widthInEms(node, parts) {
  const style = getComputedStyle(node);
  const font = `${style.fontWeight} 100px ${style.fontFamily}`;
  const key = font + parts.join("\n");
  if (!widths.has(key)) {
    pen.font = font;
    widths.set(key, Math.max(1.2, ...parts.map((part) => pen.measureText(part).width / 100)).toFixed(2));
  }
  return widths.get(key);
}
