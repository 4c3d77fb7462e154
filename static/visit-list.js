// Cards of visits, of which only the visible ones exist in the page, since a day may have thousands.

import { el, icon, setAttribute, setIcon, setText, setVariable, show } from "./dom.js";
import { drawingOf, titleOf, toneOf } from "./labels.js";
import { clock, dayAndClock, duration, percent, t } from "./i18n.js";

const MIN_WIDTH = 300;
const HEIGHT = 112;
const GAP = 12;
// Rows beyond the edge that are prepared before they are scrolled into view.
const SPARE = 2;
// What moves by more than half a window in a frame cannot be seen: its pictures are loaded when scrolling stops.
const FAST = 0.5;
const RESTS_MS = 120;
// About thirty pages; thousands of visits would take the browser minutes.
const MAX_PRINTED = 600;

/**
 * @param {HTMLElement} list
 * @param {{href: (visit: object) => string, select: (id: number, on: boolean) => void}} act
 */
export function visitList(list, { href, select }) {
  const shown = new Map();
  let visits = [];
  let selected = new Set();
  let live = null;
  let dated = false;
  let columns = 1;
  let asked = 0;
  let topBefore = 0;
  let resting = 0;
  // Counts renderings, so that a card is not filled again merely by scrolling.
  let version = 0;

  function layOut(whole = false) {
    asked = 0;
    const width = list.clientWidth;
    if (!width) return;
    columns = Math.max(1, Math.floor((width + GAP) / (MIN_WIDTH + GAP)));
    const each = (width - (columns - 1) * GAP) / columns;
    const step = HEIGHT + GAP;
    setVariable(list, "height", `${Math.ceil(visits.length / columns) * step}px`);
    setVariable(list, "--each", `${each}px`);
    const top = -list.getBoundingClientRect().top;
    const isFast = Math.abs(top - topBefore) > FAST * window.innerHeight;
    topBefore = top;
    // Always as many, so that no card is removed to be built again a frame later.
    const count = (Math.ceil(window.innerHeight / step) + 1 + 2 * SPARE) * columns;
    const first = whole ? 0 : Math.max(0, Math.floor(top / step) - SPARE) * columns;
    const last = Math.min(visits.length, whole ? MAX_PRINTED : first + count);
    const wanted = new Set(visits.slice(first, last).map(({ id }) => id));
    const free = [...shown.values()].filter((card) => !wanted.has(card.id) && !isFocused(card));
    for (let i = first; i < last; i++) {
      const visit = visits[i];
      const card = shown.get(visit.id) ?? take(visit, free);
      card.at = i;
      if (card.version !== version) fill(card, visit, i);
      card.version = version;
      load(card, isFast);
      setVariable(card.item, "transform", `translate(${(i % columns) * (each + GAP)}px, ${Math.floor(i / columns) * step}px)`);
    }
    for (const card of free) {
      shown.delete(card.id);
      card.item.remove();
    }
    clearTimeout(resting);
    resting = setTimeout(rest, RESTS_MS);
  }

  function isFocused(card) {
    return card.item.contains(document.activeElement) && visits.some((visit) => visit.id === card.id);
  }

  // A card that was scrolled out of view is reused without moving it in the document: the styles of an element that is
  // inserted again are computed again, which for a dozen cards takes longer than a frame. One of the same label is best,
  // since another drawing is built anew.
  function take(visit, free) {
    const alike = free.findIndex(({ called }) => called === visit.called);
    const card = free.splice(Math.max(0, alike), 1)[0] ?? build();
    shown.delete(card.id);
    Object.assign(card, { id: visit.id, called: visit.called, version: 0 });
    card.item.dataset.id = visit.id;
    card.link.href = href(visit);
    shown.set(visit.id, card);
    if (!card.item.isConnected) list.append(card.item);
    return card;
  }

  // When scrolling stops: the order of the list, so that Tab follows the visual order. The focused card is not moved,
  // since it would lose the focus.
  function rest() {
    if (-list.getBoundingClientRect().top !== topBefore) return; // a slow machine scrolls on: the next frame asks again
    const cards = [...shown.values()].sort((a, b) => a.at - b.at);
    const pivot = cards.findIndex(isFocused);
    const put = (some, before) => some.reduceRight((next, { item }) => {
      if (item.nextSibling !== next) list.insertBefore(item, next);
      return item;
    }, before);
    put(cards.slice(pivot + 1), null);
    if (pivot >= 0) put(cards.slice(0, pivot), cards[pivot].item);
    for (const card of cards) load(card, false);
  }

  function load({ picture, address }, isFast) {
    if (picture.getAttribute("src") === address) return;
    picture.removeAttribute("src"); // else the picture of another visit would be shown until it has arrived
    if (address && !isFast) picture.src = address;
  }

  function build() {
    const card = { id: 0, version: 0, at: 0, address: null };
    card.check = el("input", { type: "checkbox" });
    card.check.addEventListener("change", () => select(card.id, card.check.checked));
    card.drawing = icon("circle", "bar-icon");
    card.name = el("b");
    card.badge = el("span.badge");
    card.when = el("span");
    card.sure = el("span.note");
    card.picture = el("img", { alt: "", width: 128, height: 96, decoding: "async", draggable: false });
    card.none = el("span.visit-none", {}, icon("none"));
    card.title = el("span.visit-name", {}, card.drawing, card.name);
    const text = el("span.visit-text", {}, card.title, card.when, card.sure, card.badge);
    card.link = el("a", {}, card.picture, card.none, text);
    card.item = el("li.visit", {}, card.link, el("label.visit-check", {}, card.check));
    return card;
  }

  function fill(card, visit, i) {
    const words = wordsOf(visit, live);
    // With the date there is no room for the duration on the same line.
    const when = dated ? dayAndClock(visit.from) : words.when;
    const sure = dated ? [words.length, words.sure].filter(Boolean).join(" · ") : words.sure;
    setAttribute(card.title, "data-tone", words.tone);
    setAttribute(card.item, "data-selected", String(selected.has(visit.id)));
    setAttribute(card.item, "aria-setsize", String(visits.length));
    setAttribute(card.item, "aria-posinset", String(i + 1));
    card.address = visit.picture ? `api/events/${visit.id}/thumbnail.webp` : null;
    show(card.picture, visit.picture);
    show(card.none, !visit.picture);
    setIcon(card.drawing, words.drawing);
    setText(card.name, words.name);
    setText(card.when, when);
    setText(card.sure, sure);
    setText(card.badge, words.badge);
    setAttribute(card.check, "aria-label", t("diary.select", { name: words.name, when }));
    card.check.checked = selected.has(visit.id);
  }

  function ask() {
    if (!asked) asked = requestAnimationFrame(() => layOut());
  }

  window.addEventListener("scroll", ask, { passive: true });
  window.addEventListener("beforeprint", () => layOut(true));
  window.addEventListener("afterprint", ask);
  new ResizeObserver(ask).observe(list);

  return {
    /** @param {object[]} next  visits @param {Set<number>} chosen  their ids @param {object | null} state  the live one @param {boolean} days  whether they are of several */
    render(next, chosen, state, days) {
      visits = next;
      selected = chosen;
      live = state;
      dated = days;
      version += 1;
      layOut();
    },
    /** @returns {number | null} the id of the visit that has the focus */
    focused: () => Number(document.activeElement?.closest?.(".visit")?.dataset.id) || null,
    /** Moves the focus to a visit, which may be out of view. */
    focus(id) {
      const i = visits.findIndex((visit) => visit.id === id);
      if (i < 0) return;
      const top = list.getBoundingClientRect().top + Math.floor(i / columns) * (HEIGHT + GAP);
      if (top < 80 || top + HEIGHT > window.innerHeight - 90) window.scrollBy(0, top - window.innerHeight / 2);
      layOut();
      shown.get(id)?.link.focus({ preventScroll: true });
    },
    columns: () => columns,
  };
}

/** @param {object} visit @param {object | null} live @returns {Record<string, string>} the texts of its card */
export function wordsOf(visit, live) {
  const state = live ?? { answer: { thresholds: {}, probabilities: {} } };
  const label = visit.called;
  const name = (one) => one === null ? t("diary.nobody") : titleOf(one, live?.model?.titles);
  const length = visit.ended === null ? t("diary.still") : duration(visit.for_s);
  const said = visit.right !== null && visit.right !== visit.label;
  return {
    tone: label === null ? "none" : toneOf(state, label),
    drawing: label === null ? "none" : drawingOf(state, label),
    name: name(label),
    when: `${clock(visit.from)} · ${length}`,
    length,
    sure: said
      ? t("diary.said", { label: name(visit.label) })
      : visit.probability === null ? "" : t("diary.surest", { n: percent(visit.probability) }),
    badge: [
      visit.kept && t("diary.badge.kept"),
      visit.kind !== "seen" && t(`diary.kind.${visit.kind}`),
      visit.right !== null ? t("diary.badge.looked") : visit.doubt && t(`diary.doubt.${visit.doubt}`),
    ].filter(Boolean).join(" · "),
  };
}
