// The top bar and the footer: status in one word, pause for privacy, language, light or dark, and the wall display.

import { iconOf } from "./answer.js";
import { call, goToLogin } from "./api.js";
import { button, byId, el, icon, setAttribute, setIcon, setText, show } from "./dom.js";
import { recall, remember } from "./kept.js";
import { complain } from "./problems.js";
import { situation } from "./situation.js";
import { offerLanguage, switchLanguage, t, translatePage } from "./i18n.js";

const CURSOR_HIDES_MS = 4000;

/** @param {import("./store.js").Store} store @param {{openPhoto: () => void}} act */
export function mountControls(store, { openPhoto }) {
  for (const node of document.querySelectorAll("[data-icon]")) node.prepend(icon(node.dataset.icon));
  const chip = byId("chip");
  const pause = byId("pause");
  pause.addEventListener("click", () => {
    const paused = store.get().live?.status === "paused";
    call("PUT", "api/paused", { json: !paused }).catch(complain);
  });
  byId("open-photo").addEventListener("click", () => openPhoto());
  byId("language").addEventListener("click", async () => {
    await switchLanguage();
    offerLanguage(byId("language"));
    store.set({});
  });
  byId("theme").addEventListener("click", () => {
    switchTheme();
    store.set({});
  });
  store.watch((page) => {
    const now = situation(page);
    const demo = now === "live" && page.live.camera.source === "demo";
    setAttribute(document.documentElement, "data-situation", now);
    setIcon(chip.querySelector("svg"), iconOf(now));
    setText(chip.querySelector("span"), t(demo ? "chip.demo" : `chip.${now}`));
    const paused = page.live?.status === "paused";
    setIcon(pause.querySelector("svg"), paused ? "play" : "paused");
    setText(pause.querySelector("span"), t(paused ? "resume" : "pause"));
    pause.disabled = page.connection !== "open";
    setText(byId("theme").querySelector("span"), t(isDark() ? "theme.light" : "theme.dark"));
  });
  mountFoot(store);
  if ("kiosk" in document.documentElement.dataset) mountKiosk();
  translatePage();
  offerLanguage(byId("language"));
}

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

function switchTheme() {
  remember("theme", isDark() ? "light" : "dark");
  window.dispatchEvent(new Event("lookout:theme"));
}

function mountFoot(store) {
  const version = el("span");
  const brand = document.querySelector(".brand span");
  const leave = button("link", { id: "sign-out", text: "sign_out", onclick: signOut });
  const api = el("a", { href: "api/docs", text: "foot.api" });
  const state = el("a", { href: "api/state", text: "foot.state" });
  byId("foot").append(version, state, api, leave);
  store.watch(({ about }) => {
    setText(brand, about?.name || "Lookout");
    setText(version, about ? `Lookout ${about.version}` : "");
    show(leave, Boolean(about?.signed_in));
    if (about) renew(about.dashboard);
  });
}

/** Logs this browser out. */
export async function signOut() {
  await call("POST", "api/logout").then(goToLogin, complain);
}

// After an update of the service, a page that has been open for weeks may no longer match it.
function renew(version) {
  const mine = import.meta.url.match(/\/static\/([0-9a-f]{12})\//)?.[1];
  if (!mine || mine === version || recall("renewed") === version) return;
  remember("renewed", version); // Only once: a cache in between may return an old page.
  window.location.reload();
}

// A wall display has no user at a keyboard: the screen stays on and the pointer is hidden.
function mountKiosk() {
  const root = document.documentElement;
  let timer = 0;
  const awake = () => {
    if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {});
  };
  const moved = () => {
    delete root.dataset.idle;
    clearTimeout(timer);
    timer = setTimeout(() => (root.dataset.idle = ""), CURSOR_HIDES_MS);
  };
  const leave = el("a.leave", { href: "./", label: "kiosk.leave" }, icon("close"));
  document.querySelector("main").append(leave);
  document.addEventListener("visibilitychange", awake);
  document.addEventListener("pointermove", moved);
  document.addEventListener("keydown", (event) => {
    moved();
    if (event.key === "Escape") window.location.assign("./");
  });
  awake();
  moved();
}
