// The network in use, its quality, and the selection of another.

import { call } from "./api.js";
import { cardDescription, cardOf, cardTitle } from "./cards.js";
import { byId, el, options, setAttribute, setText, show } from "./dom.js";
import { titleOf } from "./labels.js";
import { explain } from "./problems.js";
import { mayChange, refreshSettings, valueOf } from "./settings.js";
import { percent, t, whole } from "./i18n.js";

// Loading a model for the first time, with its checks, may take this long on a small machine.
const SWAP_MS = 120_000;
const MAX_LABELS = 12;

/** @param {import("./store.js").Store} store */
export function mountModels(store) {
  const panel = byId("model");
  const running = el("p.headline");
  const about = el("p.reason");
  const labels = el("p.reason");
  const quality = el("p.note");
  const names = el("select", { id: "model-name" });
  const precisions = el("select", { id: "model-precision" });
  const nameLabel = el("label", { htmlFor: "model-name", text: "model.choose" });
  const precisionLabel = el("label", { htmlFor: "model-precision", text: "model.precision" });
  const use = el("button", { type: "submit", className: "button", text: "model.use" });
  const fixed = el("p.note");
  const outcome = el("p.reason", { aria: { role: "status" } });
  const form = el(
    "form.form",
    {},
    el("div.field", {}, nameLabel, names),
    el("div.field", {}, precisionLabel, precisions),
    use,
    fixed,
    outcome,
  );
  panel.append(running, about, labels, quality, form);
  let busy = false;
  let touched = false;
  let known = "";

  names.addEventListener("change", () => {
    touched = true;
    fillPrecisions(store.get());
  });
  precisions.addEventListener("change", () => (touched = true));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    setText(outcome, t("model.loading"));
    store.set({});
    const name = names.value;
    try {
      const json = { name, precision: precisions.value };
      await call("PUT", "api/model", { json, timeout: SWAP_MS });
      await refreshSettings(store);
      setText(outcome, t("model.done", { name: cardTitle(cardOf(store.get(), name) ?? { name }) }));
    } catch (error) {
      setText(outcome, explain(error));
    }
    busy = false;
    touched = false;
    store.set({});
  });

  function fillPrecisions(page) {
    const files = Object.keys(cardOf(page, names.value)?.files ?? {});
    options(precisions, [["auto", `auto (${t("model.precision.auto")})`], ...files.map((file) => [file, file])]);
  }

  store.watch((page) => {
    const { live, models } = page;
    const model = live?.model;
    const card = model && cardOf(page, model.name);
    if (model) {
      // Another page may have selected it, so the settings are fetched again.
      const now = `${model.name} ${model.precision}`;
      if (known && known !== now && !busy) refreshSettings(store).catch(() => {});
      known = now;
      const what = { name: cardTitle(card ?? { name: model.name }), precision: model.precision, threads: model.threads };
      setText(running, t(model.threads === 1 ? "model.running.one" : "model.running", what));
      const titles = model.labels.slice(0, MAX_LABELS).map((label) => titleOf(label, model.titles));
      if (model.labels.length > MAX_LABELS) titles.push(t("model.labels.more", { n: whole(model.labels.length - MAX_LABELS) }));
      setText(labels, t("model.labels", { labels: titles.join(t("list.comma")) }));
    }
    const description = cardDescription(card);
    setText(about, description.text);
    setAttribute(about, "lang", description.lang);
    setText(quality, qualityOf(card, model?.precision));
    // Without the settings, the page would offer, and then set, a precision that nobody selected.
    show(form, Boolean(models?.length && page.settings));
    if (form.hidden) return;
    options(names, models.map((one) => [one.name, cardTitle(one)]));
    if (!touched && model && names.value !== model.name) names.value = model.name;
    fillPrecisions(page);
    if (!touched) precisions.value = valueOf(page, "model.precision");
    const may = mayChange(page, "model.name") && mayChange(page, "model.precision");
    for (const one of [names, precisions]) one.disabled = !may;
    use.disabled = busy || !may || page.connection !== "open";
    setText(fixed, may ? "" : t("settings.fixed"));
  });
}

// As measured on held-out pictures in training; other people's cards may not contain it.
function qualityOf(card, precision) {
  const accuracy = card?.metrics?.[precision]?.accuracy;
  const count = card?.metrics?.pictures;
  return accuracy && count ? t("model.quality", { n: percent(accuracy), count: whole(count) }) : "";
}
