// The region of interest: what the network really sees is always outlined; dragging or the arrow keys select another.

import { cardOf } from "./cards.js";
import { button, byId, el, icon, setAttribute, setText, setVariable, show } from "./dom.js";
import { complain, tell } from "./problems.js";
import { patchSettings } from "./settings.js";
import { isSeeing, situation } from "./situation.js";
import { t } from "./i18n.js";

const WHOLE = { x: 0, y: 0, width: 1, height: 1 };
const STEP = 0.02;
// The service's own limit, checked before anything is sent.
const MIN_PIXELS = 32;
// Fingers are broad: a touch this close to a corner takes hold of it.
const CORNER_PX = 28;

/** @param {import("./store.js").Store} store */
export function mountRegion(store) {
  const frame = byId("frame");
  const seen = byId("seen");
  const editor = buildEditor(store, frame);
  store.watch((page) => {
    const live = situation(page) === "live";
    show(seen, live && !editor.editing());
    if (page.live) place(seen, page.live.region.seen);
    const why = page.live?.region.why;
    seen.classList.toggle("focused", Boolean(why));
    show(byId("seen-why"), Boolean(why));
    if (why) setText(byId("seen-why"), t(`region.why.${why}`));
    // A region can be drawn even while pictures are late.
    editor.render(live, isSeeing(page));
  });
}

/** @param {HTMLElement} node @param {{x: number, y: number, width: number, height: number}} region of its parent */
export function place(node, region) {
  const { x: left, y: top, width, height } = region;
  for (const [name, share] of Object.entries({ left, top, width, height })) setVariable(node, name, `${(share * 100).toFixed(2)}%`);
}

function buildEditor(store, frame) {
  const layer = byId("editor");
  const square = el("span.region-square");
  const corners = ["nw", "ne", "sw", "se"].map((corner) => el("i", { className: corner }));
  const box = button("region-box", { aria: { describedby: "region-help" } }, square, ...corners);
  layer.append(box);
  // Below the picture, which is small enough on a phone.
  const tools = byId("region-tools");
  const help = el("p.region-help", { id: "region-help" }, el("span", { text: "region.help" }), " ", el("span", { text: "region.square" }));
  const edit = button("pill", { id: "region-edit" }, icon("region"), el("span", { text: "region.edit" }));
  const use = button("button main", { id: "region-use", text: "region.use" });
  const whole = button("button", { id: "region-whole", text: "region.whole" });
  const cancel = button("button", { id: "region-cancel", text: "cancel" });
  byId("frame-tools").append(edit);
  tools.append(el("div.buttons", {}, use, whole, cancel), help);
  let region = null;

  function start(from) {
    region = from ?? { ...store.get().live.region.asked };
    draw();
    store.set({});
    box.focus({ preventScroll: true });
  }

  function stop() {
    region = null;
    store.set({});
    edit.focus({ preventScroll: true });
  }

  async function save(chosen) {
    const { width, height } = pixels(chosen, store.get());
    if (width < MIN_PIXELS || height < MIN_PIXELS) {
      tell(t("region.small", { n: MIN_PIXELS }));
      return;
    }
    try {
      await patchSettings(store, { answer: { region: rounded(chosen) } });
      tell(t("region.saved"));
      stop();
    } catch (error) {
      complain(error);
    }
  }

  function draw() {
    place(box, region);
    place(square, squareIn(region, store.get()));
    const [x, y, w, h] = [region.x, region.y, region.width, region.height].map((part) => Math.round(part * 100));
    setAttribute(box, "aria-label", t("region.label", { x, y, w, h }));
  }

  edit.addEventListener("click", () => start(null));
  use.addEventListener("click", () => save(region));
  box.addEventListener("click", (event) => {
    // A key press "clicks" with detail 0; a mouse click on the box is part of dragging it.
    if (event.detail === 0) save(region);
  });
  whole.addEventListener("click", () => save(WHOLE));
  cancel.addEventListener("click", stop);
  layer.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop();
    const moved = byKey(region, event);
    if (!moved) return;
    event.preventDefault();
    region = moved;
    draw();
  });
  tools.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && region) stop();
  });

  dragging(frame, {
    // A finger that moves up or down scrolls the page (style.css); one that moves sideways draws, like the mouse.
    may: () => region !== null || situation(store.get()) === "live",
    current: () => region,
    change(next) {
      if (region === null) start(next);
      region = next;
      draw();
    },
  });

  return {
    editing: () => region !== null,
    render(live, seeing) {
      if (!seeing && region) region = null;
      const editing = region !== null;
      show(layer, editing);
      show(tools, editing);
      show(edit, !editing && live);
    },
  };
}

// Returns what cropping to the model's aspect ratio leaves of a region, as a normalised part of that region.
function squareIn(region, page) {
  const input = cardOf(page, page.live.model?.name)?.input;
  if (input?.resize !== "crop") return WHOLE;
  const { width, height } = pixels(region, page);
  const wide = (width * input.height) / (height * input.width); // how much wider than the model's input it is
  const share = { width: Math.min(1, 1 / wide), height: Math.min(1, wide) };
  return { x: (1 - share.width) / 2, y: (1 - share.height) / 2, ...share };
}

function dragging(frame, { may, current, change }) {
  let hold = null;
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest(".frame-tools, .cover") || !may(event)) return;
    hold = takeHold(current(), pointIn(frame, event), frame);
    hold.from = [event.clientX, event.clientY];
  });
  window.addEventListener("pointermove", (event) => {
    if (!hold) return;
    // A click is not a drag: only a real movement changes the region.
    const far = event.pointerType === "mouse" ? 6 : 12;
    if (!hold.moved && Math.hypot(event.clientX - hold.from[0], event.clientY - hold.from[1]) < far) return;
    hold.moved = true;
    event.preventDefault();
    change(hold.to(pointIn(frame, event)));
  });
  for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => (hold = null));
}

// Inside the box, a drag moves it; at a corner, it moves that corner; anywhere else, it draws a new box.
function takeHold(region, point, frame) {
  if (region) {
    const reach = [CORNER_PX / frame.clientWidth, CORNER_PX / frame.clientHeight];
    for (const [cx, cy] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
      const corner = [region.x + cx * region.width, region.y + cy * region.height];
      if (Math.abs(point[0] - corner[0]) < reach[0] && Math.abs(point[1] - corner[1]) < reach[1]) {
        const opposite = [region.x + (1 - cx) * region.width, region.y + (1 - cy) * region.height];
        return { to: (now) => between(opposite, now) };
      }
    }
    const inside = point[0] > region.x && point[0] < region.x + region.width && point[1] > region.y && point[1] < region.y + region.height;
    // The whole picture cannot be moved; dragging on it draws a part of it.
    if (inside && (region.width < 0.99 || region.height < 0.99)) {
      return { to: (now) => moved(region, now[0] - point[0], now[1] - point[1]) };
    }
  }
  return { to: (now) => between(point, now) };
}

function pointIn(frame, event) {
  const box = frame.getBoundingClientRect();
  return [clamp((event.clientX - box.left) / box.width, 0, 1), clamp((event.clientY - box.top) / box.height, 0, 1)];
}

function between(a, b) {
  return { x: Math.min(a[0], b[0]), y: Math.min(a[1], b[1]), width: Math.abs(a[0] - b[0]), height: Math.abs(a[1] - b[1]) };
}

function moved(region, dx, dy) {
  return { ...region, x: clamp(region.x + dx, 0, 1 - region.width), y: clamp(region.y + dy, 0, 1 - region.height) };
}

const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

function byKey(region, event) {
  const arrow = ARROWS[event.key];
  if (!arrow || !region) return null;
  if (!event.shiftKey) return moved(region, ...arrow);
  return {
    ...region,
    width: clamp(region.width + arrow[0], STEP, 1 - region.x),
    height: clamp(region.height + arrow[1], STEP, 1 - region.y),
  };
}

function pixels(region, page) {
  const { width, height } = page.live.camera;
  return { width: region.width * (width || 640), height: region.height * (height || 480) };
}

function rounded(region) {
  const [x, y] = [region.x, region.y].map((part) => Math.round(part * 1e4) / 1e4);
  const round = (part, start) => Math.min(Math.round(part * 1e4), Math.round((1 - start) * 1e4)) / 1e4;
  return { x, y, width: round(region.width, x), height: round(region.height, y) };
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
