// One setting as a form field: its name, its allowed values, and the outcome of a change, shown in place.

import { button, el, options, setText, show } from "./dom.js";
import { explain } from "./problems.js";
import { mayChange, patchSetting, wasChanged } from "./settings.js";
import { has, helpText, languageInUse, t, whole } from "./i18n.js";

const MIB = 2 ** 20;

/**
 * @param {import("./store.js").Store} store
 * @param {string} key  of a setting, such as "camera.fps"
 * @param {{input?: HTMLElement, extra?: HTMLElement, read?: () => unknown, write?: (value: any, page: object) => void}} [own]  a custom input; `extra` is shown below it
 * @returns {{row: HTMLElement, render: (page: import("./store.js").Page) => void}}
 */
export function addField(store, key, own = {}) {
  const setting = store.get().settings[key];
  const { input, extra = null, read, write } = { ...controlOf(key, setting), ...own };
  const id = `set-${key.replace(".", "-")}`;
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-help ${id}-outcome`);
  const name = el("label", { htmlFor: id });
  const help = el("p.note", { id: `${id}-help` });
  const outcome = el("p.outcome", { id: `${id}-outcome`, aria: { role: "status" } });
  const back = button("link", { text: "set.back", onclick: () => save(null) });
  const line = setting.form === "boolean" ? el("div.check", {}, input, name) : el("div.field", {}, name, input, extra);
  const row = el("div.setting", {}, line, help, el("div.aside", {}, outcome, back));
  let touched = false;

  async function save(value) {
    say("set.saving");
    try {
      await patchSetting(store, key, value);
      touched = false;
      say("set.saved");
    } catch (error) {
      refuse(explain(error));
    }
    store.set({});
  }

  function say(text) {
    row.dataset.refused = "false";
    setText(outcome, t(text));
  }

  function refuse(words) {
    row.dataset.refused = "true";
    setText(outcome, words);
  }

  for (const one of extra ? [input, extra] : [input]) {
    one.addEventListener("input", () => (touched = true));
    one.addEventListener("change", () => {
      const value = read();
      if (value === undefined) refuse(rangeOf(key, setting) || t("set.empty"));
      else save(value);
    });
  }

  return {
    row,
    render(page) {
      const now = page.settings[key];
      setText(name, nameOf(key));
      const words = helpText(key);
      help.lang = words ? languageInUse() : "en";
      setText(help, [words ?? now.help, rangeOf(key, now)].filter(Boolean).join(" "));
      const may = mayChange(page, key);
      input.disabled = !may || page.connection !== "open";
      show(back, may && wasChanged(page, key));
      if (!may) say("settings.fixed");
      if (!touched && (document.activeElement !== input || setting.form === "boolean")) write(now.value, page);
    },
  };
}

/** @param {string} key @returns {string} the setting's name for people */
export function nameOf(key) {
  if (has(`set.${key}`)) return t(`set.${key}`);
  const words = key.split(".")[1].replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

// The allowed range, in the units that the form uses.
function rangeOf(key, { form, minimum, maximum }) {
  if (!["integer", "number"].includes(form)) return "";
  const unit = unitOf(key);
  const [low, high] = [minimum, maximum].map((limit) => limit !== null && whole(Math.ceil((limit / unit) * 100) / 100));
  if (low && high) return t("set.range", { low, high });
  return low ? t("set.least", { low }) : high ? t("set.most", { high }) : "";
}

function unitOf(key) {
  return key.endsWith("_bytes") ? MIB : 1;
}

function controlOf(key, setting) {
  if (setting.form === "boolean") return checkbox();
  if (setting.form === "choice") return choice(key, setting);
  if (setting.form === "integer" || setting.form === "number") return number(key, setting);
  if (setting.form === "table") return table();
  const list = setting.form === "list";
  const input = el("input", { type: "text", autocapitalize: "off", spellcheck: false });
  return {
    input,
    read: () => (list ? input.value.split(",").map((part) => part.trim()).filter(Boolean) : input.value.trim()),
    write: (value) => (input.value = list ? value.join(", ") : (value ?? "")),
  };
}

function checkbox() {
  const input = el("input", { type: "checkbox" });
  return { input, read: () => input.checked, write: (value) => (input.checked = value) };
}

function choice(key, { choices }) {
  const input = el("select");
  const text = (value) => (has(`set.${key}.${value}`) ? t(`set.${key}.${value}`) : String(value));
  return {
    input,
    read: () => choices.find((value) => String(value) === input.value),
    write(value) {
      options(input, choices.map((one) => [String(one), text(one)]));
      input.value = String(value);
    },
  };
}

function number(key, { form, minimum, maximum }) {
  const unit = unitOf(key);
  const step = form === "integer" ? 1 : "any";
  const input = el("input", { type: "number", step, inputMode: "decimal" });
  if (minimum !== null) input.min = minimum / unit;
  if (maximum !== null) input.max = maximum / unit;
  return {
    input,
    read: () => (input.value === "" ? undefined : unit === 1 ? input.valueAsNumber : Math.round(input.valueAsNumber * unit)),
    write: (value) => (input.value = value === null ? "" : Math.round((value / unit) * 1000) / 1000),
  };
}

// One entry per line, such as "ExposureTime = 20000".
function table() {
  const input = el("textarea", { rows: 3, spellcheck: false, autocapitalize: "off" });
  const entry = (line) => {
    const [name, ...rest] = line.split("=");
    const text = rest.join("=").trim();
    try {
      return [name.trim(), JSON.parse(text)];
    } catch {
      return [name.trim(), text];
    }
  };
  const line = ([name, value]) => `${name} = ${typeof value === "string" ? value : JSON.stringify(value)}`;
  return {
    input,
    read: () => Object.fromEntries(input.value.split("\n").filter((text) => text.trim()).map(entry)),
    write: (value) => (input.value = Object.entries(value).map(line).join("\n")),
  };
}
