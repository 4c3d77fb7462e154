// Selects one of the cameras that are connected, and turns its picture, next to that picture.

import { call } from "./api.js";
import { button, el, icon, options, setAttribute, show } from "./dom.js";
import { complain } from "./problems.js";
import { mayChange, patchSetting, valueOf } from "./settings.js";
import { t } from "./i18n.js";

const OTHER = "…";
// If this Python has no picamera2, other interpreters are searched, which takes long on a slow card.
const TIMEOUT_MS = 50_000;

/**
 * @param {import("./store.js").Store} store
 * @returns {{input: HTMLElement, extra: HTMLElement, read: () => unknown, write: (value: any) => void, look: () => void}} for a field
 */
export function cameraChoice(store) {
  const input = el("select");
  const address = el("input", { type: "text", label: "set.camera.address", placeholder: "rtsp://camera.local/stream", hidden: true, spellcheck: false, autocapitalize: "off" });
  let found = [];
  let looking = false;
  let shown = "";

  function offer() {
    const wanted = [["auto", t("set.camera.auto")], ...found.map((one) => [one.address, `${one.name} (${one.address})`]), ["demo", t("set.camera.demo")]];
    if (!wanted.some(([value]) => value === shown)) wanted.push([shown, shown]);
    options(input, [...wanted, [OTHER, t("set.camera.other")]]);
  }

  input.addEventListener("change", (event) => {
    show(address, input.value === OTHER);
    if (input.value !== OTHER) return;
    event.stopImmediatePropagation(); // Nothing has been selected yet.
    address.focus();
  });

  return {
    input,
    extra: address,
    read: () => (input.value === OTHER ? address.value.trim() || undefined : input.value),
    write(value) {
      shown = value;
      offer();
      input.value = value;
      show(address, false);
    },
    async look() {
      if (looking) return;
      looking = true;
      ({ cameras: found } = await call("GET", "api/cameras", { timeout: TIMEOUT_MS }).catch(() => ({ cameras: found })));
      looking = false;
      store.set({});
    },
  };
}

const MIRRORED = { none: [], horizontal: ["horizontal"], vertical: ["vertical"], both: ["horizontal", "vertical"] };

/** @param {import("./store.js").Store} store @returns {HTMLElement} buttons that turn and mirror the picture */
export function turnButtons(store) {
  const change = (key, value) => patchSetting(store, key, value).catch(complain);
  const turn = button("button", { id: "turn" }, icon("turn"), el("span", { text: "set.turn" }));
  turn.addEventListener("click", () => change("camera.rotate", (valueOf(store.get(), "camera.rotate") + 90) % 360));
  const mirrors = ["horizontal", "vertical"].map((way) => {
    const one = button("button", { text: `set.flip.${way}`, aria: { pressed: "false" } });
    one.addEventListener("click", () => {
      const now = MIRRORED[valueOf(store.get(), "camera.flip")];
      const next = now.includes(way) ? now.filter((other) => other !== way) : [...now, way];
      change("camera.flip", next.length === 2 ? "both" : (next[0] ?? "none"));
    });
    return { way, one };
  });
  store.watch((page) => {
    const may = page.connection === "open";
    turn.disabled = !may || !mayChange(page, "camera.rotate");
    for (const { way, one } of mirrors) {
      one.disabled = !may || !mayChange(page, "camera.flip");
      setAttribute(one, "aria-pressed", String(MIRRORED[valueOf(page, "camera.flip") ?? "none"].includes(way)));
    }
  });
  return el("div.buttons", {}, turn, ...mirrors.map(({ one }) => one));
}
