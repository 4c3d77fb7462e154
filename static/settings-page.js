// The settings, grouped as people think of them. Sections that belong to no group get a group of their own.

import { button, byId, el, setText, show } from "./dom.js";
import { addField } from "./field.js";
import { cameraChoice, turnButtons } from "./camera-choice.js";
import { mountThresholds } from "./thresholds.js";
import { signOut } from "./controls.js";
import { programsCard } from "./programs.js";
import { gather } from "./tabs.js";
import { has, t } from "./i18n.js";

// What is shown at once; the other sections are behind "More".
const GROUPS = [
  { name: "camera", sections: ["camera"], first: ["camera.source"] },
  { name: "answer", sections: ["answer", "model"], first: ["answer.hold_s", "answer.window_s", "answer.focus"], wide: true },
  { name: "events", sections: ["events"], first: ["events.enabled", "events.pictures", "events.days", "events.quiet", "events.labels"] },
  { name: "power", sections: ["power"], first: ["power.temperature_c", "power.cpu_percent"] },
];
// Settings that have a control elsewhere: beside the picture, in the chart, with the model.
const ELSEWHERE = ["camera.rotate", "camera.flip", "answer.enter", "answer.leave", "answer.region", "model.name", "model.precision"];
// Settings that cannot change while the service runs.
const FIXED = ["camera.python", "model.folder"];

/** @param {import("./store.js").Store} store  @returns {Promise<{go: () => void}>} */
export async function mountSettingsPage(store) {
  const page = byId("settings");
  await known(store);
  const fields = [];
  const field = (key, own) => {
    fields.push(addField(store, key, own));
    return fields.at(-1).row;
  };
  const keys = Object.keys(store.get().settings);
  const settings = store.get().settings;
  const grouped = GROUPS.flatMap(({ sections }) => sections);
  // Sections that can be changed only in the settings file are shown together.
  const isClosed = (section) => !grouped.includes(section) && keys.every((key) => sectionOf(key) !== section || !settings[key].changeable);
  const isFixed = (key) => FIXED.includes(key) || isClosed(sectionOf(key));
  const asked = keys.filter((key) => !isFixed(key) && !ELSEWHERE.includes(key));
  const others = [...new Set(asked.map(sectionOf))].filter((section) => !grouped.includes(section));
  const source = cameraChoice(store);
  const programs = programsCard(page);
  page.append(
    picturePanel(store),
    ...[...GROUPS, ...others.map((name) => ({ name, sections: [name], first: asked.filter((key) => sectionOf(key) === name).slice(0, 2) }))]
      .map((group) => groupPanel(group, asked, (key) => field(key, key === "camera.source" ? source : {})))
      .filter(Boolean),
    pagePanel(store),
    panel("programs", true, programs.content),
    fixedPanel(store, keys.filter(isFixed)),
  );
  gather(page);
  byId("set-thresholds").append(mountThresholds(store));
  store.watch((now) => {
    if (page.hidden) return;
    for (const { render } of fields) render(now);
    programs.translate();
  });
  return {
    go: () => {
      source.look();
      programs.look();
    },
  };
}

function known(store) {
  return new Promise((resolve) => {
    let done = false;
    store.watch(({ settings }) => {
      if (!settings || done) return;
      done = true;
      resolve();
    });
  });
}

function sectionOf(key) {
  return key.split(".")[0];
}

function panel(name, wide, ...children) {
  const text = `set.group.${name}`;
  const heading = el("h2", { id: `h-set-${name}` }, has(text) ? "" : name);
  if (has(text)) {
    heading.dataset.t = text;
    setText(heading, t(text));
  }
  return el("section", { className: wide ? "panel wide" : "panel", aria: { labelledby: heading.id } }, heading, el("div", {}, ...children));
}

function groupPanel({ name, sections, first, wide }, asked, field) {
  const here = asked.filter((key) => sections.includes(sectionOf(key)));
  if (!here.length) return null;
  const shown = first.filter((key) => here.includes(key));
  const more = here.filter((key) => !first.includes(key));
  const lead = name === "answer" ? el("div", { id: "set-thresholds" }, el("div.slot", { data: { slot: "strips" } })) : null;
  const words = has(`set.group.${name}.more`) ? el("p.note", { text: `set.group.${name}.more` }) : null;
  const rest = more.length
    ? el("details", {}, el("summary", { text: "set.more" }), el("div.setting-list", {}, ...more.map(field)))
    : null;
  return panel(name, wide, words, lead, el("div.setting-list", {}, ...shown.map(field)), rest);
}

function picturePanel(store) {
  const slot = el("div.slot", { data: { slot: "frame" } });
  return panel("picture", false, slot, turnButtons(store), el("p.note", { text: "set.group.picture.more" }));
}

// What this browser remembers, and logging out.
function pagePanel(store) {
  const leave = button("button", { text: "sign_out", onclick: signOut });
  const inside = el("p.note");
  store.watch(({ about }) => {
    show(leave, Boolean(about?.signed_in));
    setText(inside, about ? t(about.signed_in ? "set.signed_in" : "set.signed_out") : "");
  });
  const act = (id, text) => button("button", { onclick: () => byId(id).click(), text });
  const wall = el("a.button", { href: "?kiosk", text: "wall" });
  return panel("page", false, inside, el("div.buttons", {}, leave, act("theme", "set.theme"), act("language", "language.other"), wall));
}

function fixedPanel(store, keys) {
  // By their keys in the settings file, where they are changed.
  const rows = keys.map((key) => ({ key, name: el("dt", {}, key), value: el("dd") }));
  const list = el("dl.facts", {}, ...rows.map(({ name, value }) => el("div", {}, name, value)));
  const waiting = el("p.reason", { aria: { role: "status" } });
  store.watch(({ settings, restartFor }) => {
    setText(waiting, restartFor?.length ? t("set.restart", { names: restartFor.join(t("list.comma")) }) : "");
    for (const { key, value } of rows) setText(value, inWords(settings[key].value));
  });
  return panel("fixed", true, el("p.note", { text: "set.group.fixed.more" }), waiting, el("details", {}, el("summary", { text: "set.show" }), list));
}

function inWords(value) {
  if (Array.isArray(value)) return value.map(inWords).join(", ") || "–";
  return typeof value === "object" ? (value ? JSON.stringify(value) : "–") : String(value) || "–";
}
