// The four tabs, by the URL: "#/diary/2026-11-30/57" is that day in the diary, with that visit open. A tab's content is
// loaded when the tab is first shown.

import { byId, setAttribute, show } from "./dom.js";
import { complain } from "./problems.js";

const NAMES = ["now", "diary", "inside", "settings"];
// What several tabs show. There is one of each, and it moves to the tab that is shown.
const MOVING = { frame: ["frame", "region-tools"], strips: ["strips"] };

/**
 * @param {Record<string, () => Promise<{go?: (parts: string[]) => void}>>} load  imports a tab's content, by tab name
 */
export function mountTabs(load) {
  const tabs = NAMES.map((name) => byId(`tab-${name}`));
  const places = {};
  let current = "";

  function follow() {
    const [name, ...parts] = route();
    if (name !== current) open(name);
    load[name]?.().then((tab) => name === current && tab.go?.(parts), complain);
  }

  function open(name) {
    places[current] = window.scrollY;
    current = name;
    document.documentElement.dataset.tab = name;
    for (const tab of tabs) {
      const chosen = tab.id === `tab-${name}`;
      setAttribute(tab, "aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    for (const one of NAMES) show(byId(one), one === name);
    gather(byId(name));
    window.scrollTo(0, places[name] ?? 0);
  }

  byId("tabs").addEventListener("keydown", (event) => {
    const at = tabs.indexOf(event.target.closest("[role=tab]"));
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1, " ": at }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    tab.click();
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    const page = byId(current);
    (current === "now" ? byId("word") : (page.querySelector("[tabindex='-1'], button, a, input") ?? page)).focus();
  });
  window.addEventListener("hashchange", follow);
  follow();
}

/** @param {HTMLElement} page  to which the moving parts that have a place in it are moved */
export function gather(page) {
  for (const slot of page.querySelectorAll("[data-slot]")) {
    const parts = MOVING[slot.dataset.slot].map(byId);
    if (parts.some((part) => part.parentElement !== slot)) slot.append(...parts);
  }
}

/** @returns {string[]} the tab in the URL, and what follows it */
export function route() {
  const parts = window.location.hash.replace(/^#\/?/, "").split("/");
  return NAMES.includes(parts[0]) && !("kiosk" in document.documentElement.dataset) ? parts : ["now"];
}

/** @param {string} place  in the page: "diary/2026-11-30" @param {boolean} [instead]  whether to replace the history entry */
export function goTo(place, instead = false) {
  if (!instead) {
    window.location.hash = `/${place}`;
    return;
  }
  history.replaceState(null, "", `#/${place}`);
  window.dispatchEvent(new Event("hashchange"));
}
