// The feature maps: the response of a layer's channels to the current picture, updated while the dialog is open.

import { call } from "./api.js";
import { addDialog } from "./dialog.js";
import { button, el, options, setText, show } from "./dom.js";
import { bitmapOf } from "./heat.js";
import { explain } from "./problems.js";
import { isSeeing, situation } from "./situation.js";
import { clock, decimal, t } from "./i18n.js";

const EVERY_MS = 1000;

/** @param {import("./store.js").Store} store */
export function openMaps(store) {
  const layer = el("select", { id: "maps-layer" });
  // Readers who prefer reduced motion update it by hand.
  const follow = el("input", { type: "checkbox", checked: !matchMedia("(prefers-reduced-motion: reduce)").matches });
  const again = button("button", { id: "maps-again", text: "maps.again" });
  const problem = el("p.reason", { aria: { role: "status" } }, t("photo.busy"));
  const note = el("p.reason.note");
  const form = el(
    "div.form",
    {},
    el("div.field", {}, el("label", { htmlFor: layer.id, text: "layers.name" }), layer),
    el("label.check", {}, follow, el("span", { text: "maps.follow" })),
    again,
    problem,
    note,
  );
  const list = el("ul.maps");
  const region = { className: "table-scroll", tabIndex: 0, aria: { role: "region", labelledby: "maps-title" } };
  const dialog = addDialog("maps", "broad", el("h2", { text: "maps.title" }), form, el("div", region, list));
  // Requests are numbered: a response that comes late is not shown.
  let turn = 0;
  let looking = false;

  async function look() {
    turn += 1;
    const mine = turn;
    looking = true;
    try {
      const query = layer.value ? `?layer=${encodeURIComponent(layer.value)}` : "";
      const found = await call("GET", `api/feature-maps${query}`);
      const [input, png] = await Promise.all([found.input, found.png].map(bitmapOf));
      if (mine === turn) shown(found, input, png);
    } catch (error) {
      // Another model may have other layers.
      if (error.status === 422) layer.replaceChildren();
      if (mine === turn) clear(explain(error));
    }
    if (mine === turn) looking = false;
  }

  function shown(found, input, png) {
    const { channels, height, width } = found.layer;
    options(layer, found.layers.map((one) => [one.name, `${one.name}: ${one.channels} × ${one.height} × ${one.width}`]));
    layer.value = found.layer.name;
    drawTiles(list, found, input, png);
    setText(problem, "");
    // By the reader's own clock, since the service's may not be set yet.
    const at = clock(Date.now() - found.age_ms, "2-digit");
    const words = t("maps.told", { clock: at, n: found.channels.length, all: channels, size: `${height} × ${width}` });
    setText(note, `${words} ${t(found.zero ? "maps.grey" : "maps.black")}`);
  }

  // Removes a picture that is not current, and says why.
  function clear(words) {
    turn += 1;
    looking = false;
    list.replaceChildren();
    setText(problem, words);
    setText(note, "");
  }

  function tick() {
    const page = store.get();
    if (!isSeeing(page)) clear(t(`chip.${situation(page)}`));
    else if (!looking && (follow.checked || !list.firstChild)) look();
    show(again, !follow.checked);
  }

  layer.addEventListener("change", look);
  again.addEventListener("click", look);
  follow.addEventListener("change", tick);
  const timer = setInterval(tick, EVERY_MS);
  dialog.addEventListener("close", () => {
    clearInterval(timer);
    turn += 1;
    dialog.remove();
  });
  dialog.showModal();
  tick();
}

// Draws the network's input first, then a tile for each channel, cut from the one picture that contains them all.
function drawTiles(list, found, input, png) {
  const { channels, columns, width, height } = found;
  const tiles = channels.map(({ channel, mean }, i) => ({
    picture: png,
    from: [(i % columns) * width, Math.floor(i / columns) * height, width, height],
    words: [String(channel), decimal(mean, 2)],
  }));
  tiles.unshift({ picture: input, from: [0, 0, input.width, input.height], words: [t("maps.input"), ""] });
  while (list.children.length > tiles.length) list.lastChild.remove();
  tiles.forEach(({ picture, from, words }, i) => {
    const item = list.children[i] ?? list.appendChild(el("li", {}, el("canvas", { aria: { hidden: "true" } }), el("b"), el("span")));
    const [canvas, number, mean] = item.children;
    [canvas.width, canvas.height] = from.slice(2);
    canvas.getContext("2d").drawImage(picture, ...from, 0, 0, canvas.width, canvas.height);
    setText(number, words[0]);
    setText(mean, words[1]);
  });
}
