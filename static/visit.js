// One visit in full: its best picture, the curve with the thresholds, the settings in force, and its correct label.

import { call } from "./api.js";
import { addDialog } from "./dialog.js";
import { markButtons } from "./diary-parts.js";
import { button, el, icon, setAttribute, setText, show } from "./dom.js";
import { factList } from "./facts.js";
import { levelOf, paint, thresholds } from "./history.js";
import { titleOf, toneOf } from "./labels.js";
import { explain } from "./problems.js";
import { place } from "./region.js";
import { wordsOf } from "./visit-list.js";
import { decimal, duration, languageInUse, percent, t, whole } from "./i18n.js";

/**
 * @param {import("./store.js").Store} store
 * @param {number} first  the visit's id
 * @param {Record<string, (...values: any[]) => any>} act
 */
export function openVisit(store, first, act) {
  let id = first;
  let visit = null;
  let curve = null;
  const title = el("h2");
  const picture = el("img.visit-picture", { alt: "" });
  const seen = el("div.seen", { aria: { hidden: "true" } }, el("i"), el("i"), el("i"), el("i"));
  const frame = el("div.visit-frame", {}, picture, seen);
  const nothing = el("p.note");
  const chart = el("canvas.strip", { aria: { role: "img" } });
  const facts = el("div");
  const renderFacts = factList(facts);
  const marks = el("div.buttons", { label: "visit.was", aria: { role: "group" } });
  const undone = button("link", { text: "visit.unmark", onclick: () => act.mark(null) });
  const keep = button("button", { aria: { pressed: "false" }, onclick: act.keep }, icon("star"), el("span", { text: "visit.keep" }));
  const drop = button("button", { onclick: act.remove, text: "visit.delete" });
  const note = el("input", { type: "text", id: "visit-note", maxLength: 500 });
  const previous = button("tool", { label: "visit.previous", onclick: () => step(-1) }, icon("left"));
  const next = button("tool", { label: "visit.next", onclick: () => step(1) }, icon("right"));
  const problem = el("p.problem", { aria: { role: "status" } });
  const dialog = addDialog(
    "visit",
    "visit-dialog",
    title,
    el(
      "div.visit-parts",
      {},
      el("div.visit-left", {}, frame, nothing, chart),
      el(
        "div.visit-right",
        {},
        el("p.headline", { text: "visit.was" }),
        marks,
        el("p.note", { text: "visit.what" }),
        undone,
        problem,
        facts,
        el("div.field", {}, el("label", { htmlFor: "visit-note", text: "visit.note" }), note),
        el("div.aside", {}, el("div.buttons", {}, keep, drop), el("div", {}, previous, next)),
      ),
    ),
  );
  note.addEventListener("change", () => act.note(note.value));
  dialog.addEventListener("close", () => {
    dialog.remove();
    act.closed(id);
  });

  async function load() {
    const mine = id;
    curve = null;
    visit = act.find(id) ?? null;
    setText(problem, "");
    note.value = visit?.note ?? "";
    render();
    try {
      visit ??= await call("GET", `api/events/${id}`).then((event) => ({ ...event, from: Date.parse(event.started) }));
      const found = await call("GET", `api/events/${mine}/curve`);
      if (mine !== id) return;
      curve = found;
    } catch (error) {
      if (mine === id) setText(problem, explain(error));
    }
    render();
  }

  function render() {
    visit = act.find(id) ?? visit;
    if (!visit) return;
    const { live } = store.get();
    const words = wordsOf(visit, live);
    const name = (label) => titleOf(label, live?.model?.titles);
    dialog.dataset.tone = words.tone;
    setText(title, `${words.name} · ${new Date(visit.from).toLocaleString(languageInUse(), { dateStyle: "medium", timeStyle: "short", hour12: false })}`);
    const source = visit.picture ? `api/events/${visit.id}/snapshot.jpg` : "";
    show(frame, visit.picture);
    if (picture.getAttribute("src") !== source && source) picture.src = source;
    picture.alt = t("visit.picture", { name: words.name });
    show(seen, Boolean(visit.region));
    if (visit.region) place(seen, visit.region);
    setText(nothing, visit.picture ? "" : t("visit.no_picture"));
    markButtons(marks, act.labels(), live, act.mark);
    for (const one of marks.children) setAttribute(one, "aria-pressed", String(one.dataset.label === visit.right));
    show(undone, visit.right !== null);
    setAttribute(keep, "aria-pressed", String(visit.kept));
    const gaps = visit.why.gaps?.length ?? 0;
    renderFacts([
      ["visit.said", visit.label === null ? t("diary.nobody") : name(visit.label)],
      ["visit.surest", visit.probability === null ? null : percent(visit.probability)],
      ["visit.mean", visit.mean === null ? null : percent(visit.mean)],
      ["visit.frames", visit.frames ? t("visit.frames.n", { n: whole(visit.frames) }) : null],
      ["visit.lasted", visit.ended === null ? t("diary.still") : duration(visit.for_s) + (visit.cut ? ` (${t("visit.cut")})` : "")],
      ["visit.lines", visit.why.enter === undefined ? null : t("visit.lines.n", { enter: decimal(visit.why.enter, 2), leave: decimal(visit.why.leave, 2), window: decimal(visit.why.window_s ?? 0, 1) })],
      ["visit.gaps", gaps ? t("visit.gaps.n", { n: gaps }) : null],
      ["visit.model", visit.model && `${visit.model.name} ${visit.model.version} (${visit.model.precision})`],
      ["machine.clock", visit.clock_ok ? null : t("machine.clock.no"), true],
    ]);
    const order = act.order();
    previous.disabled = order.indexOf(id) <= 0;
    next.disabled = order.indexOf(id) === order.length - 1;
    show(chart, Boolean(curve?.times_s.length));
    if (!chart.hidden) drawCurve(chart, curve, visit, { tone: visit.label && live ? toneOf(live, visit.label) : "none", name });
  }

  function neighbour(by) {
    const order = act.order();
    return order[order.indexOf(id) + by] ?? null;
  }

  function step(by) {
    const to = neighbour(by);
    if (to) act.go(to);
    return Boolean(to);
  }

  dialog.showModal();
  load();
  return {
    id: () => id,
    render,
    step,
    next: () => neighbour(1),
    previous: () => neighbour(-1),
    show(other) {
      if (other === id) return;
      id = other;
      load();
    },
    close: () => dialog.close(),
  };
}

function drawCurve(canvas, { labels, times_s: times, probabilities }, visit, { tone, name }) {
  setAttribute(canvas, "data-tone", tone);
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const look = { soft: style.getPropertyValue("--soft") };
  const end = times.at(-1) || 1;
  for (const label of [...labels].reverse()) {
    const run = times.map((at, i) => [(at / end) * width, levelOf(probabilities[label][i], height)]);
    if (run.length > 1) paint(pen, run, height, label === visit.label ? style.getPropertyValue("--hue") || style.color : look.soft, label === visit.label);
  }
  if (visit.why.enter !== undefined) thresholds(pen, visit.why, { y: (p) => levelOf(p, height), width, look });
  const own = probabilities[visit.label] ?? [];
  const values = { label: visit.label === null ? "" : name(visit.label), high: percent(Math.max(0, ...own)), time: duration(end) };
  setAttribute(canvas, "aria-label", t("visit.curve", values));
}
