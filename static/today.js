// On the first tab: who was here last, with a link to the diary.

import { byId, el, icon, setText, show } from "./dom.js";
import { wordsOf } from "./visit-list.js";
import { dayOf, isCard, newest } from "./visits.js";
import { languageInUse, t } from "./i18n.js";

const MAX_CARDS = 4;
const LOOK_EVERY_MS = 60_000;

/** @param {import("./store.js").Store} store */
export function mountToday(store) {
  const list = el("ul.latest");
  const none = el("p.note", { text: "today.none" });
  const todo = el("a", { href: "#/diary/todo", text: "today.todo" });
  const all = el("a", { href: "#/diary", text: "today.all" });
  byId("today").append(list, none, el("p.aside", {}, all, todo));
  let lookedAt = -Infinity;
  let news = null;
  let visits = null;

  async function look() {
    const loaded = await Promise.all([newest({ name: "latest" }, 12), newest({ name: "todo" }, 1)]).catch(() => null);
    if (!loaded) return;
    visits = loaded[0].filter((visit) => isCard(visit) && visit.kind !== "quiet").slice(0, MAX_CARDS);
    show(todo, loaded[1].length > 0);
    draw();
  }

  function draw() {
    const { live } = store.get();
    show(none, visits !== null && !visits.length);
    const key = JSON.stringify([visits, languageInUse()]);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...(visits ?? []).map((visit) => item(visit, live)));
  }

  function item(visit, live) {
    const { name, when, tone, drawing } = wordsOf(visit, live);
    const picture = visit.picture
      ? el("img", { src: `api/events/${visit.id}/thumbnail.webp`, alt: "", width: 64, height: 48 })
      : el("span.visit-none", {}, icon("none"));
    const text = el("span.visit-text", {}, el("span.visit-name", {}, icon(drawing, "bar-icon"), el("b", {}, name)), el("span", {}, when));
    return el("li", { data: { tone } }, el("a", { href: `#/diary/${dayOf(new Date(visit.from))}/${visit.id}` }, picture, text));
  }

  setText(none, t("today.none"));
  store.watch((page) => {
    if (document.hidden || byId("now").hidden || page.connection !== "open" || !page.live?.model) return;
    if (page.news !== news || page.now - lookedAt > LOOK_EVERY_MS) {
      news = page.news;
      lookedAt = page.now;
      look();
    } else if (visits) draw();
  });
}
