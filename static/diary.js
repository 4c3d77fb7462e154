// The diary: who was here on a day, one card per visit; what needs a review; and the actions on visits.

import { byId, show } from "./dom.js";
import { dayBand } from "./day-band.js";
import { buildDiary } from "./diary-parts.js";
import { missButtons, mountReview } from "./review.js";
import { mountBelongings } from "./belongings.js";
import { labelsOf } from "./labels.js";
import { explain, offer } from "./problems.js";
import { patchSetting, valueOf } from "./settings.js";
import { goTo } from "./tabs.js";
import { openVisit } from "./visit.js";
import { visitList } from "./visit-list.js";
import { bandOf, dayOf, isCard, load, mark, newest, remove, startOf, undo } from "./visits.js";
import { t } from "./i18n.js";

// How often to poll where the service cannot push news.
const LOOK_EVERY_MS = 15_000;

/** @param {import("./store.js").Store} store @returns {{go: (parts: string[]) => void}} */
export function mountDiary(store) {
  const page = byId("diary");
  const chosen = new Set();
  let view = { name: "day", day: dayOf(new Date()) };
  let events = [];
  let spans = [];
  let label = null;
  let status = "loading";
  let problem = "";
  let turn = 0;
  let lookedAt = 0;
  let news = null;
  let detail = null;

  const act = {
    goToDay: (day) => goTo(day === dayOf(new Date()) ? "diary" : `diary/${day}`),
    goToView: (name) => goTo(`diary/${name}`),
    filter(next) {
      label = next;
      draw();
    },
    again: reload,
    mark: (right) => change(targets(), { right }),
    keep: () => keep(targets()),
    remove: () => drop(targets()),
    all() {
      for (const visit of shown()) chosen.add(visit.id);
      draw();
    },
    none() {
      chosen.clear();
      draw();
    },
    turnOn: () => patchSetting(store, "events.enabled", true).catch((error) => offer(explain(error))),
    missed: (right) => call(() => review.miss(right), "diary.done.missed"),
  };
  const parts = buildDiary(page, act);
  const list = visitList(parts.list, {
    href: (visit) => `#/${place(visit.id)}`,
    select(id, on) {
      if (on) chosen.add(id);
      else chosen.delete(id);
      draw();
    },
  });
  const band = dayBand(parts.band, (visit) => goTo(place(visit.id)));
  const review = mountReview(store, parts.review);
  parts.miss.append(missButtons(store, act.missed));
  const belongings = mountBelongings(store, parts.belongings, { emptied: reload });

  const place = (id) => `diary/${view.name === "day" ? view.day : view.name}${id ? `/${id}` : ""}`;
  const shown = () => events.filter((visit) => isCard(visit) && (label === null || visit.called === label));
  const labels = () => (store.get().live ? labelsOf(store.get().live) : []);
  const find = (id) => events.find((visit) => visit.id === id);

  function targets() {
    if (detail) return [detail.id()];
    if (chosen.size) return shown().map(({ id }) => id).filter((id) => chosen.has(id));
    return [list.focused()].filter(Boolean);
  }

  async function reload() {
    turn += 1;
    const mine = turn;
    status = "loading";
    chosen.clear();
    let first = true;
    spans = [];
    draw();
    lookAtBand();
    try {
      await load(view, (page, done) => {
        if (mine !== turn) return false;
        events = first ? page : [...events, ...page];
        first = false;
        status = done ? "ready" : "more";
        draw();
        return true;
      });
    } catch (error) {
      if (mine !== turn) return;
      status = "error";
      problem = explain(error);
      draw();
    }
    if (mine !== turn) return;
    review.look();
    belongings.look();
  }

  async function lookAtBand() {
    const mine = turn;
    if (view.name !== "day") return;
    const loaded = await bandOf(view.day).catch(() => null); // Then only the cards are shown.
    if (!loaded || mine !== turn) return;
    spans = loaded;
    draw();
  }

  // Loads new and changed visits, without moving anything under the finger of a reader who scrolls elsewhere.
  async function lookAgain() {
    const mine = turn;
    lookedAt = performance.now();
    lookAtBand();
    const fresh = await newest(view).catch(() => null);
    if (!fresh || mine !== turn) return;
    const known = new Map(fresh.map((visit) => [visit.id, visit]));
    events = [...fresh.filter(({ id }) => !find(id)), ...events.map((visit) => known.get(visit.id) ?? visit)];
    if (status === "error") status = "ready";
    draw();
  }

  async function call(work, done, values) {
    try {
      await work();
      if (done) offer(t(done, values), { text: t("diary.undo"), run: takeBack });
    } catch (error) {
      offer(explain(error));
      reload();
    }
    review.look();
  }

  function change(ids, set, done = "diary.done.marked") {
    if (!ids.length) return;
    const before = detail && view.name === "todo" ? detail.next() : null;
    events = events.map((visit) => (ids.includes(visit.id) ? changed(visit, set) : visit));
    draw();
    call(() => mark(ids, set), done, { n: ids.length });
    if (before && "right" in set) goTo(place(before), true);
  }

  function keep(ids) {
    const kept = !ids.every((id) => find(id)?.kept);
    change(ids, { kept }, kept ? "diary.done.kept" : "diary.done.unkept");
  }

  function drop(ids) {
    if (!ids.length) return;
    const next = detail?.next() ?? detail?.previous();
    const all = shown();
    const at = all.findIndex(({ id }) => id === ids[0]);
    const near = all.slice(at).find(({ id }) => !ids.includes(id)) ?? all[at - 1];
    const open = Boolean(detail);
    events = events.filter(({ id }) => !ids.includes(id));
    for (const id of ids) chosen.delete(id);
    if (open) goTo(place(next), true);
    draw();
    if (!open && near) list.focus(near.id);
    call(() => remove(ids), "diary.done.deleted", { n: ids.length });
  }

  async function takeBack() {
    await call(undo, null);
    offer(t("diary.done.undone"));
    lookedAt = 0;
    reload();
  }

  function draw() {
    const now = store.get();
    const cards = shown();
    parts.render({ view, events, cards, label, labels: labels(), chosen, status, problem, page: now, off: valueOf(now, "events.enabled") === false });
    list.render(cards, chosen, now.live, view.name !== "day");
    if (view.name !== "day") show(parts.band, false);
    else band.render(view.day, events, spans, now.live);
    detail?.render();
  }

  function follow(id) {
    if (!id) {
      detail?.close();
      return;
    }
    if (detail) detail.show(id);
    else {
      detail = openVisit(store, id, {
        find,
        order: () => shown().map((visit) => visit.id),
        go: (other) => goTo(place(other), true),
        mark: (right) => change([detail.id()], { right }),
        note: (note) => change([detail.id()], { note }, "set.saved"),
        keep: () => keep([detail.id()]),
        remove: () => drop([detail.id()]),
        labels,
        closed(last) {
          detail = null;
          if (window.location.hash === `#/${place(last)}`) goTo(place(null), true);
          list.focus(last);
        },
      });
    }
  }

  function onKey(event) {
    if (page.hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [role=tab], [role=slider]")) return;
    if (document.querySelector("dialog[open]") && !detail) return;
    const key = event.key.toLowerCase();
    const names = labels();
    if (/^[1-9]$/.test(key)) {
      if (names[key - 1] !== undefined) act.mark(names[key - 1]);
    } else if (key === "x") act.remove();
    else if (key === "k") act.keep();
    else if (key === "z") takeBack();
    else if (key === " " && list.focused() && !detail && event.target.localName === "a") {
      const id = list.focused();
      chosen[chosen.has(id) ? "delete" : "add"](id);
      draw();
    } else if (!step(key)) return;
    event.preventDefault();
  }

  function step(key) {
    const by = { arrowleft: -1, arrowright: 1, arrowup: -list.columns(), arrowdown: list.columns() }[key];
    if (!by) return false;
    if (detail) return Math.abs(by) === 1 && key.length > 7 ? detail.step(by) : false;
    const all = shown();
    const at = all.findIndex(({ id }) => id === list.focused());
    if (at < 0 && Math.abs(by) > 1 && key !== "arrowright" && key !== "arrowleft") return false; // the page scrolls
    const to = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))];
    if (to) list.focus(to.id);
    return Boolean(to);
  }

  document.addEventListener("keydown", onKey);
  let key = "";
  store.watch((now) => {
    if (page.hidden) return;
    // Rendered again only when something about it has changed, not with each state.
    const next = JSON.stringify([now.connection, now.live?.model?.titles, now.settings?.["events.enabled"]?.value, document.documentElement.lang, document.documentElement.dataset.theme]);
    if (next !== key) {
      key = next;
      draw();
      review.look();
      belongings.look();
    }
    const due = now.via === "events" && now.now - lookedAt > LOOK_EVERY_MS;
    if (now.connection === "open" && (now.news !== news || due) && status !== "loading") {
      news = now.news;
      if (view.name === "todo" || view.day === dayOf(new Date())) lookAgain();
      review.look();
    }
  });

  return {
    go([where = "", id = ""]) {
      const next = ["todo", "wrong", "kept"].includes(where) ? { name: where, day: view.day } : { name: "day", day: isDay(where) ? where : dayOf(new Date()) };
      const other = next.name !== view.name || next.day !== view.day || lookedAt === 0;
      view = next;
      if (other) {
        lookedAt = performance.now();
        label = null;
        events = [];
        reload();
      }
      follow(Number(id) || null);
    },
  };
}

function isDay(text) {
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(startOf(text).getTime());
}

function changed(visit, set) {
  const next = { ...visit, ...set };
  if ("right" in set) Object.assign(next, { called: set.right ?? visit.label, doubt: set.right === null ? visit.doubt : null });
  return next;
}
