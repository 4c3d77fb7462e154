// The lines of the probability chart as handles: dragging them, or the arrow keys, sets the thresholds.

import { button, byId, el, setAttribute, setText, setVariable, show } from "./dom.js";
import { chosen, levelOf, probabilityAt, strips } from "./history.js";
import { explain } from "./problems.js";
import { mayChange, patchSettings, valueOf, wasChanged } from "./settings.js";
import { percent, t } from "./i18n.js";

const KEYS = { ArrowUp: 0.01, ArrowRight: 0.01, ArrowDown: -0.01, ArrowLeft: -0.01, PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1 };
// Key presses in quick succession are one change.
const SAVE_AFTER_MS = 600;
// Until the service's next states contain the new value.
const SHOWN_MS = 1500;

/** @param {import("./store.js").Store} store @returns {HTMLElement} the text below the chart */
export function mountThresholds(store) {
  const outcome = el("p.outcome", { aria: { role: "status" } });
  const back = button("link", { text: "set.thresholds.back", onclick: () => save({ enter: null, leave: null }) });
  const box = el("div.setting", {}, el("p.note", { text: "set.thresholds" }), el("div.aside", {}, outcome, back));

  async function save(answer) {
    setText(outcome, t("set.saving"));
    box.dataset.refused = "false";
    try {
      await patchSettings(store, { answer });
      setText(outcome, t("set.saved"));
    } catch (error) {
      box.dataset.refused = "true";
      setText(outcome, explain(error));
    }
  }

  async function keep(label) {
    const { enter, leave } = chosen.get(label);
    const page = store.get();
    const now = (key) => valueOf(page, `answer.${key}`) ?? {};
    await save({ enter: { ...now("enter"), [label]: enter }, leave: { ...now("leave"), [label]: leave } });
    setTimeout(() => chosen.delete(label), SHOWN_MS);
  }

  store.watch((page) => {
    if (byId("settings").hidden) return;
    const may = page.connection === "open" && mayChange(page, "answer.enter") && mayChange(page, "answer.leave");
    for (const strip of strips) {
      strip.handles ??= ["enter", "leave"].map((kind) => addHandle(strip, kind, keep));
      for (const handle of strip.handles) handle.render(may);
    }
    show(back, may && (wasChanged(page, "answer.enter") || wasChanged(page, "answer.leave")));
  });
  return box;
}

function addHandle(strip, kind, keep) {
  const node = el("div.handle", { tabIndex: 0, data: { kind }, aria: { role: "slider", orientation: "vertical", valuemin: 0, valuemax: 100 } });
  strip.box.append(node);
  let held = false;
  let timer = 0;

  function set(value) {
    const p = Math.round(Math.min(0.99, Math.max(0.01, value)) * 100) / 100;
    const next = { ...strip.threshold, [kind]: p };
    // One line pushes the other along, because leave must not exceed enter.
    if (next.leave > next.enter) next.leave = next.enter = p;
    chosen.set(strip.label, next);
    strip.threshold = next;
    render();
  }

  function render(may = true) {
    show(node, Boolean(strip.threshold) && may);
    if (!strip.threshold) return;
    const p = strip.threshold[kind];
    setVariable(node, "top", `${levelOf(p, strip.box.clientHeight).toFixed(1)}px`);
    setAttribute(node, "aria-valuenow", String(Math.round(p * 100)));
    setAttribute(node, "aria-valuetext", percent(p));
    setAttribute(node, "aria-label", t(`set.handle.${kind}`, { label: strip.name.textContent }));
  }

  node.addEventListener("pointerdown", (event) => {
    held = true;
    node.setPointerCapture(event.pointerId);
  });
  node.addEventListener("pointermove", (event) => {
    if (!held) return;
    const { top, height } = strip.box.getBoundingClientRect();
    set(probabilityAt(event.clientY - top, height));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    node.addEventListener(end, () => {
      if (held && chosen.has(strip.label)) keep(strip.label);
      held = false;
    });
  }
  node.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (!step) return;
    event.preventDefault();
    set(strip.threshold[kind] + step);
    clearTimeout(timer);
    timer = setTimeout(() => keep(strip.label), SAVE_AFTER_MS);
  });
  return { render };
}
