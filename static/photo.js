// A photo of one's own: dropped, pasted, chosen or taken, classified by the service, and shown with where it looked.

import { call } from "./api.js";
import { widthInEms } from "./answer.js";
import { barList } from "./bars.js";
import { byId, el, icon, setAttribute, setIcon, setText, setVariable, show } from "./dom.js";
import { drawHeat, heatOf } from "./heat.js";
import { explanationOf } from "./inside.js";
import { drawingOf, titleOf, toneOf } from "./labels.js";
import { explain } from "./problems.js";
import { percent, t, whole } from "./words.js";

const SHOWN_AT_MOST_PX = 1000;

/**
 * @param {ReturnType<typeof import("./store.js").createStore>} store
 * @returns {{open: () => void}}
 */
export function mountPhoto(store) {
  const picker = el("input", { type: "file", accept: "image/*", hidden: true, id: "photo-file" });
  const taker = el("input", { type: "file", accept: "image/*", hidden: true, id: "photo-camera" });
  taker.setAttribute("capture", "environment");
  document.body.append(picker, taker);
  const dialog = createDialog(store, { choose: () => picker.click(), take: () => taker.click() });
  for (const input of [picker, taker]) {
    input.addEventListener("change", () => {
      if (input.files[0]) dialog.classify(input.files[0]);
      input.value = "";
    });
  }
  mountPanel(store, picker, taker);
  byId("open-photo").addEventListener("click", dialog.open);
  receive(dialog.classify);
  return { open: dialog.open };
}

function mountPanel(store, picker, taker) {
  const more = el("p", { className: "reason" });
  const choose = el("button", { type: "button", className: "button main", onclick: () => picker.click() });
  const take = el("button", { type: "button", className: "button touch-only", onclick: () => taker.click() });
  byId("photo").append(more, el("div", { className: "buttons" }, choose, take));
  store.watch(() => {
    setText(more, t("photo.more"));
    setText(choose, t("photo.choose"));
    setText(take, t("photo.take"));
  });
}

// Anywhere on the page will do: nobody should have to aim.
function receive(classify) {
  const veil = el("div", { className: "veil", hidden: true }, el("p"));
  document.body.append(veil);
  let depth = 0;
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  window.addEventListener("dragenter", (event) => {
    if (!hasFile(event)) return;
    depth += 1;
    setText(veil.firstChild, t("photo.drop"));
    show(veil, true);
  });
  window.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (depth === 0) show(veil, false);
  });
  window.addEventListener("dragover", (event) => {
    if (hasFile(event)) event.preventDefault();
  });
  window.addEventListener("drop", (event) => {
    depth = 0;
    show(veil, false);
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    classify(file);
  });
  window.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file) classify(file);
  });
}

function createDialog(store, pick) {
  const heading = el("h2", { id: "photo-title" });
  const close = el("button", { type: "button", className: "tool", id: "photo-close" }, icon("close"));
  const picture = el("canvas", { aria: { role: "img" } });
  const heat = el("canvas", { aria: { hidden: "true" }, className: "heat" });
  const frame = el("div", { className: "photo-frame", hidden: true }, picture, heat);
  const drawing = icon("wait", "glyph");
  const word = el("p", { className: "word", id: "photo-word" });
  const took = el("p", { className: "since" });
  const bars = el("ul", { className: "bars" });
  const switchBox = el("input", { type: "checkbox", id: "photo-where" });
  const switchText = el("span");
  const where = el("label", { className: "check" }, switchBox, switchText);
  const verdict = el("div", { className: "verdict" }, drawing, el("div", { className: "lines" }, word, took));
  const plate = el("div", { className: "plate", hidden: true, aria: { live: "polite" } }, verdict, bars);
  const intro = el("p", { className: "dialog-intro" });
  const choose = el("button", { type: "button", className: "button main", id: "photo-choose", onclick: pick.choose });
  const take = el("button", { type: "button", className: "button touch-only", onclick: pick.take });
  const dialog = el(
    "dialog",
    { className: "dialog", id: "photo-dialog", aria: { labelledby: "photo-title" } },
    el("div", { className: "dialog-head" }, heading, close),
    intro,
    el("div", { className: "photo-result" }, frame, plate),
    el("div", { className: "buttons" }, choose, take, where),
  );
  document.body.append(dialog);
  const renderBars = barList(bars);
  let turn = 0;
  let result = null;

  close.addEventListener("click", () => dialog.close());
  switchBox.addEventListener("change", () => show(heat, switchBox.checked));
  store.watch(() => {
    if (dialog.open) words();
  });

  function words() {
    setText(heading, t("photo.title"));
    setText(intro, t("photo.more"));
    show(intro, plate.hidden);
    setAttribute(close, "aria-label", t("close"));
    setText(choose, t(plate.hidden ? "photo.choose" : "photo.again"));
    setText(take, t("photo.take"));
    setText(switchText, t("photo.where"));
    show(where, Boolean(result?.explanation));
    setAttribute(picture, "aria-label", t("photo.picture"));
    setAttribute(bars, "aria-label", t("bars"));
  }

  function open() {
    words();
    if (!dialog.open) dialog.showModal();
  }

  async function classify(file) {
    turn += 1;
    const mine = turn;
    result = null;
    verdictIs("wait", "wait", t("photo.busy"), "");
    renderBars(null);
    show(heat, false);
    show(plate, true);
    open();
    showFile(file, picture, frame);
    const began = performance.now();
    try {
      const told = await call("POST", "api/classify?explain=true", { body: file, type: file.type || "application/octet-stream" });
      if (mine === turn) await shown(told, performance.now() - began);
    } catch (error) {
      const [what, remedy] = explain(error);
      if (mine === turn) verdictIs("old", "failed", t("problem.title"), [what, remedy].filter(Boolean).join(" "));
    }
    words();
  }

  async function shown(told, ms) {
    const live = asLive(told, store.get().live);
    const best = told.top[0];
    const sure = best.probability >= (live.answer.thresholds[best.label]?.enter ?? 0);
    const title = sure ? titleOf(best.label, live.model.titles) : t("answer.unsure");
    const took = t("photo.took", { ms: whole(Math.round(ms)), model: modelName(told) });
    verdictIs(sure ? toneOf(live, best.label) : "unsure", sure ? drawingOf(live, best.label) : "unsure", title, took);
    renderBars(live);
    result = { explanation: explanationOf(told) };
    if (!result.explanation || frame.hidden) return;
    [heat.width, heat.height] = [picture.width, picture.height];
    drawHeat(heat, await heatOf(result.explanation.uri), told.seen);
    show(heat, switchBox.checked);
  }

  function verdictIs(tone, drawingName, text, note) {
    setAttribute(plate, "data-tone", tone);
    setIcon(drawing, drawingName);
    setText(word, text);
    setText(took, note);
    setVariable(plate, "--ems", widthInEms(word, text));
  }

  return { open, classify };
}

// What the bars know how to show: a state of the model that looked at the photo.
function asLive(told, live) {
  const titles = Object.fromEntries(told.top.map(({ label, title }) => [label, title]));
  const labels = Object.keys(told.probabilities);
  const same = live?.model && labels.join() === live.model.labels.join();
  const thresholds = same ? live.answer.thresholds : Object.fromEntries(labels.map((label) => [label, null]));
  return { model: { labels, titles: { ...titles, ...(same ? live.model.titles : {}) } }, answer: { probabilities: told.probabilities, thresholds } };
}

function modelName(told) {
  return `${told.model.name}, ${told.model.precision}`;
}

// What a browser cannot show (HEIC in most), the service may still be able to read, or it says why not.
async function showFile(file, canvas, frame) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, SHOWN_AT_MOST_PX / Math.max(bitmap.width, bitmap.height));
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    show(frame, true);
  } catch {
    show(frame, false);
  }
}
