// The parts of the diary's page, and their content in each state.

import { button, el, icon, setAttribute, setText, show } from "./dom.js";
import { faultInWords } from "./faults.js";
import { titleOf } from "./labels.js";
import { dayOf, startOf } from "./visits.js";
import { languageInUse, t, whole } from "./i18n.js";

const VIEWS = ["todo", "wrong", "kept"];

/**
 * @param {HTMLElement} page
 * @param {Record<string, (...values: any[]) => void>} act
 */
export function buildDiary(page, act) {
  const title = el("h2.diary-title", { id: "h-diary", tabIndex: -1 });
  const before = button("tool", { label: "diary.before" }, icon("left"));
  const after = button("tool", { label: "diary.after" }, icon("right"));
  const date = el("input", { type: "date", label: "diary.date" });
  const today = button("button", { text: "diary.today", onclick: () => act.goToDay(dayOf(new Date())) });
  const views = VIEWS.map((name) => ({ name, node: button("button", { text: `diary.view.${name}`, aria: { pressed: "false" }, onclick: () => act.goToView(name) }) }));
  const head = el(
    "div.diary-head",
    {},
    el("div.diary-day", {}, before, title, after),
    el("div.diary-day", {}, date, today),
    el("div.diary-views", {}, ...views.map(({ node }) => node)),
  );
  const notice = el("div.notice", { aria: { role: "status" } });
  const band = el("div.strips.panel", { label: "diary.band", aria: { role: "group" } });
  const review = el("div");
  const filter = el("div.buttons", { label: "diary.filter", aria: { role: "group" } });
  const count = el("p.note", { aria: { role: "status" } });
  const list = el("ul.visits", { label: "diary.visits" });
  const bar = chosenBar(act);
  const keys = el("p.note.keys", { text: "diary.keys" });
  const [miss, belongings] = [el("div"), el("div")];
  page.append(head, notice, review, band, el("div.aside", {}, filter, count), list, bar.node, keys, miss, belongings);
  let day = "";
  before.addEventListener("click", () => act.goToDay(dayOf(startOf(day, -1))));
  after.addEventListener("click", () => act.goToDay(dayOf(startOf(day, 1))));
  date.addEventListener("change", () => date.value && act.goToDay(date.value));

  return {
    band,
    list,
    review,
    miss,
    belongings,
    render(now) {
      day = now.view.day;
      const isDay = now.view.name === "day";
      const isToday = day === dayOf(new Date());
      setText(title, isDay ? dayInWords(day) : t(`diary.view.${now.view.name}`));
      if (document.activeElement !== date) date.value = day;
      date.max = dayOf(new Date());
      for (const one of [before, after]) show(one, isDay);
      after.disabled = isToday;
      show(today, !isDay || !isToday);
      for (const { name, node } of views) setAttribute(node, "aria-pressed", String(name === now.view.name));
      show(review, now.view.name === "todo");
      renderNotice(notice, now, act);
      renderFilter(filter, now, act);
      const more = now.status === "more" || now.status === "loading";
      setText(count, more && now.events.length ? t("diary.loading") : now.cards.length ? t("diary.count", { n: whole(now.cards.length) }) : "");
      show(keys, now.cards.length > 0);
      bar.render(now);
    },
  };
}

function dayInWords(day) {
  return startOf(day).toLocaleDateString(languageInUse(), { weekday: "short", day: "numeric", month: "long" });
}

// Shows one notice at a time: a problem, or that there is nothing to show.
function renderNotice(box, { status, problem, cards, events, view, label, page, off }, act) {
  const again = ["diary.again", act.again];
  const disk = page.live?.system.disk;
  const notice =
    status === "error" ? ["diary.error", problem, again]
    : off ? ["diary.off", "", ["diary.on", act.turnOn]]
    : page.connection === "lost" ? ["diary.offline", "", null]
    : disk ? [faultInWords(disk), "", null]
    : status === "loading" && !events.length ? ["diary.loading", "", null]
    : status === "ready" && !cards.length ? [label ? "diary.none.label" : `diary.none.${view.name}`, view.name === "day" && !label ? t("diary.none.more") : "", null]
    : null;
  const key = JSON.stringify([notice?.slice(0, 2), languageInUse()]);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  show(box, notice !== null);
  if (!notice) return;
  const [text, more, action] = notice;
  box.replaceChildren(el("p.headline", {}, t(text)), el("p.reason", {}, more), ...(action ? [button("button main", { onclick: action[1] }, t(action[0]))] : []));
}

function renderFilter(box, { events, label, page }, act) {
  const counts = new Map();
  for (const visit of events) if (visit.called !== null && ["seen", "quiet", "missed"].includes(visit.kind)) counts.set(visit.called, (counts.get(visit.called) ?? 0) + 1);
  show(box, counts.size > 1 || label !== null);
  const wanted = [[null, t("diary.all")], ...[...counts].sort(([a], [b]) => a.localeCompare(b)).map(([name, n]) => [name, `${titleOf(name, page.live?.model?.titles)} ${whole(n)}`])];
  const key = JSON.stringify(wanted);
  if (box.dataset.key !== key) {
    box.dataset.key = key;
    box.replaceChildren(...wanted.map(([name, text]) => button("button", { onclick: () => act.filter(name), data: { label: name ?? "" } }, text)));
  }
  for (const one of box.children) setAttribute(one, "aria-pressed", String(one.dataset.label === (label ?? "")));
}

// The actions for the selected visits.
function chosenBar(act) {
  const count = el("b", { aria: { role: "status" } });
  const marks = el("span.buttons", { label: "visit.was", aria: { role: "group" } });
  const node = el(
    "div.chosen-bar",
    { hidden: true },
    count,
    marks,
    button("button", { text: "visit.keep", onclick: act.keep }),
    button("button", { text: "visit.delete", onclick: act.remove }),
    button("link", { text: "diary.choose.all", onclick: act.all }),
    button("link", { text: "diary.choose.none", onclick: act.none }),
  );
  return {
    node,
    render({ chosen, labels, page }) {
      show(node, chosen.size > 0);
      setText(count, t("diary.chosen", { n: whole(chosen.size) }));
      markButtons(marks, labels, page.live, act.mark);
    },
  };
}

/** Fills a group with a button for each label that may be the correct one. */
export function markButtons(box, labels, live, mark) {
  const wanted = labels.slice(0, 9).map((label) => [label, titleOf(label, live?.model?.titles)]);
  const key = JSON.stringify(wanted);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.replaceChildren(
    ...wanted.map(([label, text], i) => button("button", { onclick: () => mark(label), data: { label } }, text, el("kbd", { aria: { hidden: "true" } }, String(i + 1)))),
  );
}
