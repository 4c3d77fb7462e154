// The reader's own photo: dropped, pasted, selected or taken, classified by the service, and shown with its region.

import { call } from "./api.js";
import { fit } from "./answer.js";
import { barList } from "./bars.js";
import { addDialog } from "./dialog.js";
import { button, byId, el, icon, setAttribute, setIcon, setText, show } from "./dom.js";
import { drawHeat, heatOf } from "./heat.js";
import { drawingOf, titleOf, toneOf } from "./labels.js";
import { explain } from "./problems.js";
import { has, t, whole } from "./i18n.js";

const MAX_SHOWN_PX = 1000;
// The service needs no larger photo, and a phone's camera makes five megabytes. On a slow network, half of this.
const MAX_SENT_PX = 1280;
const SENT_AS_IT_IS_BYTES = 700_000;
const JPEG_QUALITY = 0.92;
const UPLOAD_MS = 90_000;

/**
 * @param {import("./store.js").Store} store
 * @returns {{open: () => void}}
 */
export function mountPhoto(store) {
  const picker = el("input", { type: "file", accept: "image/*", hidden: true, id: "photo-file" });
  const taker = el("input", { type: "file", accept: "image/*", hidden: true, id: "photo-camera" });
  taker.setAttribute("capture", "environment");
  document.body.append(picker, taker);
  const pick = { choose: () => picker.click(), take: () => taker.click() };
  const dialog = createDialog(store, pick);
  for (const input of [picker, taker]) {
    input.addEventListener("change", () => {
      if (input.files[0]) dialog.classify(input.files[0]);
      input.value = "";
    });
  }
  mountPanel(pick);
  receive(dialog.classify);
  return { open: dialog.open };
}

function mountPanel(pick) {
  const choose = button("button main", { text: "photo.choose", onclick: pick.choose });
  const take = button("button touch-only", { text: "photo.take", onclick: pick.take });
  byId("photo").append(el("p.reason", { text: "photo.more" }), el("div.buttons", {}, choose, take));
}

// Anywhere on the page, so that nobody has to aim.
function receive(classify) {
  const veil = el("div.veil", { hidden: true }, el("p", { text: "photo.drop" }));
  document.body.append(veil);
  let depth = 0;
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  window.addEventListener("dragenter", (event) => {
    if (!hasFile(event)) return;
    depth += 1;
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
    const files = event.dataTransfer?.files ?? [];
    if (!files.length) return;
    event.preventDefault();
    classify(files[0], files.length);
  });
  window.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((one) => one.type.startsWith("image/"));
    if (files.length) classify(files[0], files.length);
  });
}

function createDialog(store, pick) {
  const picture = el("canvas", { aria: { role: "img" }, label: "photo.picture" });
  const heat = el("canvas", { aria: { hidden: "true" }, className: "heat" });
  const frame = el("div.photo-frame", { hidden: true }, picture, heat);
  const drawing = icon("wait", "glyph");
  const word = el("p.word", { id: "photo-word" });
  const took = el("p.since");
  const bars = el("ul.bars", { label: "bars" });
  const switchBox = el("input", { type: "checkbox", id: "photo-where" });
  const where = el("label.check", {}, switchBox, el("span", { text: "photo.where" }));
  const verdict = el("div.verdict", {}, drawing, el("div.lines", {}, word, took));
  const plate = el("div.plate", { hidden: true, aria: { live: "polite" } }, verdict, bars);
  const intro = el("p.dialog-intro", { text: "photo.more" });
  const choose = button("button main", { id: "photo-choose", onclick: pick.choose });
  const take = button("button touch-only", { text: "photo.take", onclick: pick.take });
  const shownBox = el("div.photo-result", {}, frame, plate);
  const buttons = el("div.buttons", {}, choose, take, where);
  const dialog = addDialog("photo", "", el("h2", { text: "photo.title" }), intro, shownBox, buttons);
  const renderBars = barList(bars);
  let turn = 0;
  let result = null;

  switchBox.addEventListener("change", () => show(heat, switchBox.checked));
  store.watch(() => {
    if (dialog.open) words();
  });

  function words() {
    show(intro, plate.hidden);
    setText(choose, t(plate.hidden ? "photo.choose" : "photo.again"));
    show(where, Boolean(result?.explanation));
  }

  function open() {
    words();
    if (!dialog.open) dialog.showModal();
  }

  async function classify(file, count = 1) {
    turn += 1;
    const mine = turn;
    result = null;
    verdictIs("wait", "wait", t("photo.busy"), "");
    renderBars(null);
    show(heat, false);
    show(plate, true);
    open();
    const began = performance.now();
    try {
      const body = await readFile(file, picture, frame, store.get().network);
      const type = body.type || "application/octet-stream";
      const classified = await call("POST", "api/classify?explain=true", { body, type, timeout: UPLOAD_MS });
      if (mine === turn) await shown(classified, performance.now() - began, count);
    } catch (error) {
      const words = `photo.problem.${error.code}`;
      if (mine === turn) verdictIs("old", "failed", t("problem.title"), has(words) ? t(words) : explain(error));
    }
    words();
  }

  async function shown(classified, ms, count) {
    const live = asLive(classified, store.get().live);
    const best = classified.top[0];
    const sure = best.probability >= (live.answer.thresholds[best.label]?.enter ?? 0);
    const title = sure ? titleOf(best.label, live.model.titles) : t("answer.unsure");
    const took = t("photo.took", { ms: whole(Math.round(ms)), model: `${classified.model.name}, ${classified.model.precision}` });
    const note = count > 1 ? `${took}. ${t("photo.first", { n: count })}` : took;
    verdictIs(sure ? toneOf(live, best.label) : "unsure", sure ? drawingOf(live, best.label) : "unsure", title, note);
    renderBars(live);
    result = classified;
    if (!classified.explanation || frame.hidden) return;
    [heat.width, heat.height] = [picture.width, picture.height];
    drawHeat(heat, await heatOf(classified.explanation.png), classified.seen);
    show(heat, switchBox.checked);
  }

  function verdictIs(tone, drawingName, text, note) {
    setAttribute(plate, "data-tone", tone);
    setIcon(drawing, drawingName);
    setText(word, text);
    setText(took, note);
    fit(plate, word, text);
  }

  return { open, classify };
}

// A state of the model that classified the photo, as the bars expect it.
function asLive(classified, live) {
  const titles = Object.fromEntries(classified.top.map(({ label, title }) => [label, title]));
  const labels = Object.keys(classified.probabilities);
  const same = live?.model && labels.join() === live.model.labels.join();
  const thresholds = same ? live.answer.thresholds : Object.fromEntries(labels.map((label) => [label, null]));
  return { model: { labels, titles: { ...titles, ...(same ? live.model.titles : {}) } }, answer: { probabilities: classified.probabilities, thresholds } };
}

/**
 * Shows the file, and scales a large photo down before it is sent, as it might take a minute or be refused otherwise.
 * The service may be able to read what the browser cannot show (HEIC in most), or it says why not.
 */
async function readFile(file, canvas, frame, network) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    show(frame, false);
    return file;
  }
  try {
    drawInto(canvas, bitmap, MAX_SHOWN_PX);
    show(frame, true);
    if (file.size <= SENT_AS_IT_IS_BYTES) return file;
    const small = document.createElement("canvas");
    drawInto(small, bitmap, network === "fine" ? MAX_SENT_PX : MAX_SENT_PX / 2);
    return await new Promise((resolve) => small.toBlob((blob) => resolve(blob ?? file), "image/jpeg", JPEG_QUALITY));
  } finally {
    bitmap.close();
  }
}

// On white, as the service does with transparent pictures.
function drawInto(canvas, bitmap, most) {
  const scale = Math.min(1, most / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}
