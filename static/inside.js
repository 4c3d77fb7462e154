// For the curious: the few pixels that the network gets, which regions it used, and its layers.

import { call } from "./api.js";
import { button, byId, el, setAttribute, setText, show } from "./dom.js";
import { drawHeat, heatOf } from "./heat.js";
import { titleOf } from "./labels.js";
import { openLayers } from "./layers.js";
import { openMaps } from "./maps.js";
import { cardOf } from "./cards.js";
import { complain } from "./problems.js";
import { situation } from "./situation.js";
import { t } from "./i18n.js";

const THUMBNAIL_EVERY_MS = 500;
// One map a second is enough, and leaves a small machine time for its work.
const MAP_PAUSE_MS = 900;
const JPEG_QUALITY = 0.9;

/** @param {import("./store.js").Store} store */
export function mountInside(store) {
  const panel = byId("look-inside");
  const input = el("canvas.thumbnail", { width: 96, height: 96, aria: { role: "img" }, label: "inside.input.say" });
  const caption = el("p.note");
  const toggle = button("button", { id: "map", aria: { pressed: "false" } });
  const mapNote = el("p.note");
  const layers = button("button", { id: "layers", text: "inside.layers", onclick: () => openLayers(store) });
  const layersNote = el("p.note", { text: "inside.layers.more" });
  const maps = button("button", { id: "maps", text: "maps.title", onclick: () => openMaps(store) });
  const text = el("div.inside-text", {}, caption, el("div.buttons", {}, toggle, maps, layers), mapNote, layersNote);
  const lab = el("a.button", { href: "lab", text: "inside.lab", hidden: true });
  text.append(lab);
  panel.append(el("div.inside", {}, input, text));
  const map = createMap(store, () => render(store.get()));
  toggle.addEventListener("click", map.toggle);
  let drawnAt = 0;

  function render(page) {
    if (map.on() && document.documentElement.dataset.tab !== "inside") map.toggle(); // no other tab can hide it
    const size = cardOf(page, page.live?.model?.name)?.input ?? { width: 96, height: 96 };
    setText(caption, t("inside.input", { w: size.width, h: size.height }));
    setText(toggle, t(map.on() ? "inside.map.off" : "inside.map"));
    setAttribute(toggle, "aria-pressed", String(map.on()));
    setText(mapNote, map.note());
    toggle.disabled = maps.disabled = layers.disabled = !page.live?.model;
    show(lab, Boolean(page.about?.lab));
    show(byId("heat"), map.on() && situation(page) === "live");
    // A picture that was wiped is wiped here, too.
    if (!page.picture) for (const one of [input, byId("heat")]) one.getContext("2d").clearRect(0, 0, one.width, one.height);
    if (situation(page) !== "live" || !page.picture || page.now - drawnAt < THUMBNAIL_EVERY_MS) return;
    drawnAt = page.now;
    if (input.width !== size.width) [input.width, input.height] = [size.width, size.height];
    cut(input, page.live.region.seen);
    // Also on the small picture, because the large one may be scrolled out of view.
    if (map.on()) cut(input, page.live.region.seen, byId("heat"));
  }

  store.watch(render);
}

function createMap(store, changed) {
  let on = false;
  let note = "";

  async function run() {
    while (on) {
      const page = store.get();
      if (situation(page) === "live" && page.picture && !document.hidden) await once(page).catch(stop);
      await new Promise((resolve) => setTimeout(resolve, MAP_PAUSE_MS));
    }
  }

  async function once(page) {
    const seen = page.live.region.seen;
    const picture = byId("picture");
    const part = el("canvas", { width: Math.round(seen.width * picture.width), height: Math.round(seen.height * picture.height) });
    cut(part, seen);
    const body = await new Promise((resolve) => part.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
    const result = await call("POST", "api/classify?explain=true", { body, type: "image/jpeg" });
    const { explanation } = result;
    const light = explanation && (await heatOf(explanation.png));
    if (!on) return; // It was hidden in the meantime.
    if (!light) {
      on = false;
      note = t("inside.map.none");
    } else {
      const label = result.top[0].label;
      const heat = byId("heat");
      if (heat.width !== picture.width) [heat.width, heat.height] = [picture.width, picture.height];
      drawHeat(heat, light, seen);
      note = t("inside.map.more", { label: titleOf(label, page.live.model?.titles), n: explanation.cells });
    }
    changed();
  }

  function stop(error) {
    on = false;
    note = "";
    complain(error);
    changed();
  }

  return {
    on: () => on,
    note: () => note,
    toggle() {
      on = !on;
      if (!on) note = "";
      const heat = byId("heat");
      heat.getContext("2d").clearRect(0, 0, heat.width, heat.height);
      changed();
      if (on) run();
    },
  };
}

function cut(target, region, picture = byId("picture")) {
  const pen = target.getContext("2d");
  pen.imageSmoothingQuality = "high";
  const [w, h] = [picture.width, picture.height];
  pen.drawImage(picture, region.x * w, region.y * h, region.width * w, region.height * h, 0, 0, target.width, target.height);
}
