// The rate and what limits it, the time spent in each stage, temperature, memory, disk and uptime.

import { byId, el, setText, setVariable, show } from "./dom.js";
import { factList } from "./facts.js";
import { inWords } from "./faults.js";
import { isSeeing, sinceReceived } from "./situation.js";
import { decimal, duration, has, megabytes, t, whole } from "./i18n.js";

const STAGES = ["capture", "preprocess", "inference", "postprocess", "publish"];

/** @param {import("./store.js").Store} store */
export function mountNumbers(store) {
  mountSpeed(store);
  mountMachine(store);
}

function mountSpeed(store) {
  const panel = byId("speed");
  const figures = ["speed.classifications", "speed.frames", "speed.age"].map(addFigure);
  const limit = el("p.note");
  const total = el("p.stages-title");
  const bar = el("div.stages", { aria: { hidden: "true" } });
  const legend = el("ul.stages-legend");
  const parts = STAGES.map((stage) => addStage(bar, legend, stage));
  panel.append(el("div.figures", {}, ...figures.map(({ box }) => box)), limit, total, bar, legend);
  store.watch((page) => {
    const { live } = page;
    show(panel, Boolean(live));
    if (!live) return;
    const on = isSeeing(page);
    const values = [
      on ? decimal(live.rate.classifications_per_s, 1) : "–",
      on ? decimal(live.camera.frames_per_s, 1) : "–",
      on && live.prediction ? `${whole(Math.round(live.prediction.age_ms))} ms` : "–",
    ];
    figures.forEach(({ value }, i) => setText(value, values[i]));
    setText(limit, on ? t(`speed.limit.${live.rate.limited_by}`) : "");
    const times = STAGES.map((stage) => live.timing_ms[stage] ?? 0);
    const sum = times.reduce((a, b) => a + b, 0);
    setText(total, t("speed.stages", { n: on ? decimal(sum, 1) : "–" }));
    setVariable(bar, "opacity", on ? 1 : 0.25);
    parts.forEach((part, i) => {
      setVariable(part.piece, "flex-grow", Math.max(times[i], sum / 200).toFixed(3));
      setText(part.value, on ? `${decimal(times[i], 1)} ms` : "–");
    });
  });
}

function addFigure(key) {
  const value = el("span.figure-value");
  const name = el("span.figure-name", { text: key });
  return { box: el("p.figure", {}, value, name), value };
}

function addStage(bar, legend, stage) {
  const piece = el("span", { data: { stage } });
  const name = el("span", { text: `stage.${stage}` });
  const value = el("span");
  bar.append(piece);
  legend.append(el("li", {}, el("i", { data: { stage }, aria: { hidden: "true" } }), name, value));
  return { piece, value };
}

function measured(value, inWords) {
  return value === null ? t("machine.unknown") : inWords(value);
}

// The service reports "under-voltage now", or "… since boot".
function troubleInWords(text) {
  const [, what, when] = text.match(/^(.*) (now|since boot)$/) ?? [];
  return when && has(`throttled.${what}`) ? t(`throttled.${when}`, { what: t(`throttled.${what}`) }) : text;
}

function diskInWords(disk) {
  const words = inWords(disk);
  return [words.reason, words.remedy, words.original].filter(Boolean).join(" ");
}

function mountMachine(store) {
  const panel = byId("machine");
  const render = factList(panel);
  store.watch((page) => {
    const { live } = page;
    if (!live) return;
    const { system, time } = live;
    const trouble = (system.throttled ?? []).map(troubleInWords);
    const { disk } = system;
    const rows = [
      ["machine.temperature", measured(system.temperature_c, (degrees) => `${decimal(degrees, 1)} °C`)],
      ["machine.power", trouble.join("; ") || t(`machine.${system.temperature_c === null ? "unknown" : "power.fine"}`), trouble.length > 0],
      ["machine.disk", disk && diskInWords(disk), true],
      ["machine.memory", measured(system.memory_bytes, megabytes)],
      ["machine.cpu", measured(system.cpu_percent, (n) => t("unit.percent", { n: Math.round(n) }))],
      ["machine.uptime", duration(system.uptime_s + sinceReceived(page))],
      ["machine.clock", time.synchronised === false ? t("machine.clock.no") : time.synchronised ? t("machine.clock.yes") : null],
    ];
    // While Lookout does not respond, the values are unknown.
    render(page.connection === "open" ? rows : rows.map(([key, text]) => [key, text && "–"]));
  });
}
