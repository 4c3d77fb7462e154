// The machine's cameras, offered while the configured one is missing.

import { call } from "./api.js";
import { button, el, icon, setText, show } from "./dom.js";
import { complain } from "./problems.js";
import { mayChange, patchSettings } from "./settings.js";
import { t } from "./i18n.js";

// Searching takes a small machine a second or two, and plugging in a camera takes a while.
const LOOK_EVERY_MS = 20_000;
// If this Python has no picamera2, other interpreters are searched, which takes long on a slow card.
const TIMEOUT_MS = 50_000;

/**
 * @param {import("./store.js").Store} store
 * @param {HTMLElement} box
 * @returns {(page: import("./store.js").Page, wanted: boolean) => void}
 */
export function mountFound(store, box) {
  const title = el("p.cover-more");
  const list = el("div.buttons");
  box.append(title, list);
  box.hidden = true;
  let lookedAt = -Infinity;
  let looking = false;
  let cameras = null;

  async function look(now) {
    looking = true;
    lookedAt = now;
    try {
      ({ cameras } = await call("GET", "api/cameras", { timeout: TIMEOUT_MS }));
    } catch {
      cameras = null; // The rest of the page says what is wrong.
    }
    looking = false;
    store.set({});
  }

  function offer(page) {
    const others = (cameras ?? []).filter((camera) => camera.address !== page.live.camera.source);
    setText(title, t(others.length ? "found.title" : "found.none"));
    const key = JSON.stringify(others);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...others.map(offerOne));
  }

  function offerOne({ address, name }) {
    const use = () => patchSettings(store, { camera: { source: address } }).catch(complain);
    return button("button", { onclick: use }, icon("absent"), el("span", {}, `${name} (${address})`));
  }

  return (page, wanted) => {
    if (!wanted) {
      cameras = null;
      lookedAt = -Infinity;
    } else if (!looking && !document.hidden && page.now - lookedAt > LOOK_EVERY_MS) {
      look(page.now);
    }
    show(box, wanted && cameras !== null && mayChange(page, "camera.source"));
    if (!box.hidden) offer(page);
  };
}
