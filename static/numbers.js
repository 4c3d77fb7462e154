// How fast, and what limits it; where the time of one answer goes; how warm, how full, how long up.

import { byId, el, setAttribute, setText, setVariable, show } from "./dom.js";
import { factList } from "./facts.js";
import { sinceReceived, situation } from "./situation.js";
import { decimal, duration, has, megabytes, t, whole } from "./words.js";

const STAGES = ["capture", "preprocess", "inference", "postprocess", "publish"];

/** @param {ReturnType<typeof import("./store.js").createStore>} store */
export function mountNumbers(store) {
  mountSpeed(store);
  mountMachine(store);
}

function mountSpeed(store) {
  const panel = byId("speed");
  const figures = ["speed.classifications", "speed.frames", "speed.age"].map((key) => addFigure(panel, key));
  const limit = el("p", { className: "note" });
  const total = el("p", { className: "stages-title" });
  const bar = el("div", { className: "stages", aria: { hidden: "true" } });
  const legend = el("ul", { className: "stages-legend" });
  const parts = STAGES.map((stage) => addStage(bar, legend, stage));
  panel.append(el("div", { className: "figures" }, ...figures.map(({ box }) => box)), limit, total, bar, legend);
  store.watch((page) => {
    const { live } = page;
    show(panel, Boolean(live));
    if (!live) return;
    const on = situation(page) === "live" || situation(page) === "late";
    const values = [
      on ? decimal(live.rate.classifications_per_s, 1) : "–",
      on ? decimal(live.camera.frames_per_s, 1) : "–",
      on && live.prediction ? t("speed.ms", { n: whole(Math.round(live.prediction.age_ms)) }) : "–",
    ];
    figures.forEach(({ value, name, key }, i) => {
      setText(value, values[i]);
      setText(name, t(key));
    });
    setText(limit, on ? t(`speed.limit.${live.rate.limited_by}`) : "");
    const times = STAGES.map((stage) => live.timing_ms[stage] ?? 0);
    const sum = times.reduce((a, b) => a + b, 0);
    setText(total, t("speed.stages", { n: decimal(sum, 1) }));
    parts.forEach((part, i) => {
      setVariable(part.piece, "flex-grow", Math.max(times[i], sum / 200).toFixed(3));
      setText(part.name, t(`stage.${STAGES[i]}`));
      setText(part.value, t("speed.ms", { n: decimal(times[i], 1) }));
    });
  });
}

function addFigure(panel, key) {
  const value = el("span", { className: "figure-value" });
  const name = el("span", { className: "figure-name" });
  return { box: el("p", { className: "figure" }, value, name), value, name, key };
}

function addStage(bar, legend, stage) {
  const piece = el("span", { data: { stage } });
  const name = el("span");
  const value = el("span");
  bar.append(piece);
  legend.append(el("li", {}, el("i", { data: { stage }, aria: { hidden: "true" } }), name, value));
  return { piece, name, value };
}

function mountMachine(store) {
  const panel = byId("machine");
  const render = factList(panel);
  store.watch((page) => {
    const { live } = page;
    if (!live) return;
    const { system, time } = live;
    const trouble = (system.throttled ?? []).map((what) => (has(`throttled.${what}`) ? t(`throttled.${what}`) : what.replaceAll("_", " ")));
    setAttribute(panel, "data-trouble", String(trouble.length > 0));
    render([
      { name: t("machine.temperature"), value: system.temperature_c === null ? t("machine.unknown") : `${decimal(system.temperature_c, 1)} °C` },
      { name: t("machine.power"), value: trouble.length ? trouble.join("; ") : t("machine.power.fine") },
      { name: t("machine.memory"), value: system.memory_bytes === null ? t("machine.unknown") : megabytes(system.memory_bytes) },
      { name: t("machine.cpu"), value: system.cpu_percent === null ? t("machine.unknown") : t("unit.percent", { n: Math.round(system.cpu_percent) }) },
      { name: t("machine.uptime"), value: duration(system.uptime_s + sinceReceived(page)) },
      { name: t("machine.clock"), value: time.synchronised === false ? t("machine.clock.no") : time.synchronised ? t("machine.clock.yes") : null },
    ]);
  });
}
