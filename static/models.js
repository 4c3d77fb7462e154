// Which network looks, how good it is said to be, and the choice of another.

import { call } from "./api.js";
import { byId, el, setText, show } from "./dom.js";
import { titleOf } from "./labels.js";
import { explain } from "./problems.js";
import { percent, t, whole } from "./words.js";

// A first load on a small machine, with its checks, may take this long.
const SWAP_MS = 120_000;

/** @param {import("./store.js").Store} store */
export function mountModels(store) {
  const panel = byId("model");
  const running = el("p.headline");
  const about = el("p.reason", { lang: "en" });
  const labels = el("p.reason");
  const quality = el("p.note");
  const names = el("select", { id: "model-name" });
  const precisions = el("select", { id: "model-precision" });
  const nameLabel = el("label", { htmlFor: "model-name", text: "model.choose" });
  const precisionLabel = el("label", { htmlFor: "model-precision", text: "model.precision" });
  const use = el("button", { type: "submit", className: "button", text: "model.use" });
  const outcome = el("p.reason", { aria: { role: "status" } });
  const form = el(
    "form.form",
    {},
    el("div.field", {}, nameLabel, names),
    el("div.field", {}, precisionLabel, precisions),
    use,
    outcome,
  );
  panel.append(running, about, labels, quality, form);
  let busy = false;
  let touched = false;

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
      await call("PUT", "api/model", { json, patience: SWAP_MS });
      setText(outcome, t("model.done", { name: cardOf(store.get(), name)?.title ?? name }));
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
      const what = { name: card?.title ?? model.name, precision: model.precision, threads: model.threads };
      setText(running, t(model.threads === 1 ? "model.running.one" : "model.running", what));
      const known = model.labels.map((label) => titleOf(label, model.titles));
      setText(labels, t("model.labels", { labels: known.slice(0, 12).join(t("list.comma")) + (known.length > 12 ? " …" : "") }));
    }
    setText(about, card?.description ?? "");
    setText(quality, qualityOf(card, model?.precision));
    show(form, Boolean(models?.length));
    if (!models) return;
    options(names, models.map((one) => [one.name, one.title || one.name]));
    if (!touched && model && names.value !== model.name) names.value = model.name;
    fillPrecisions(page);
    use.disabled = busy || page.connection !== "open";
  });
}

/** @param {import("./store.js").Page} page @param {string} name @returns {any} its card, if it is known */
export function cardOf(page, name) {
  return page.models?.find((card) => card.name === name) ?? null;
}

// As measured in training on pictures kept apart; a card of somebody else's may not say.
function qualityOf(card, precision) {
  const accuracy = card?.metrics?.[precision]?.accuracy;
  const count = card?.metrics?.pictures;
  return accuracy && count ? t("model.quality", { n: percent(accuracy), count: whole(count) }) : "";
}

/** @param {HTMLSelectElement} select @param {string[][]} wanted  values and texts; what is chosen stays if it can */
export function options(select, wanted) {
  const key = JSON.stringify(wanted);
  if (select.dataset.key === key) return;
  const chosen = select.value;
  select.dataset.key = key;
  select.replaceChildren(...wanted.map(([value, text]) => el("option", { value }, text)));
  if (wanted.some(([value]) => value === chosen)) select.value = chosen;
}
