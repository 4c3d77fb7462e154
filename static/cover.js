// The words laid over the picture when it is not live: what is the matter, what helps, what happens next.

import { call } from "./api.js";
import { iconOf } from "./answer.js";
import { button, byId, el, icon, setIcon, setText, show } from "./dom.js";
import { frameAge, sinceReceived, situation } from "./situation.js";
import { complain } from "./problems.js";
import { mayChange, patchSettings } from "./settings.js";
import { duration, has, t } from "./words.js";

/**
 * @param {import("./store.js").Store} store
 * @param {{retry: () => void, openPhoto: () => void}} act
 */
export function mountCover(store, act) {
  const cover = byId("cover");
  const showDemo = () => patchSettings(store, { camera: { source: "demo" } }).catch(complain);
  const parts = build(cover, { ...act, showDemo });
  store.watch((page) => {
    const now = situation(page);
    show(cover, now !== "live");
    if (now === "live") return;
    const told = tell(now, page);
    setIcon(parts.drawing, iconOf(now));
    setText(parts.headline, told.headline);
    setText(parts.more, told.more ?? "");
    facts(parts.facts, told.facts ?? []);
    setText(parts.next, told.next ?? "");
    show(parts.retry, now === "lost");
    show(parts.resume, now === "paused");
    show(parts.photo, now === "absent" || now === "ended");
    show(parts.demo, now === "absent" && page.live.camera.source !== "demo" && mayChange(page, "camera.source"));
  });
}

function build(cover, act) {
  const drawing = icon("wait", "cover-icon");
  const headline = el("p.cover-headline");
  const more = el("p.cover-more");
  const list = el("dl.cover-facts");
  const next = el("p.cover-next");
  const retry = button("button", { text: "cover.retry.now", onclick: act.retry });
  const resume = button("button main", { id: "resume", onclick: unpause }, icon("play"), el("span", { text: "resume" }));
  const photo = button("button main", { onclick: act.openPhoto }, icon("photo"), el("span", { text: "cover.photo" }));
  const demo = button("button", { id: "demo", text: "cover.demo", onclick: act.showDemo });
  const buttons = el("div.buttons", {}, resume, photo, demo, retry);
  cover.append(el("div.cover-inner", {}, drawing, headline, more, list, next, buttons));
  return { drawing, headline, more, facts: list, next, retry, resume, photo, demo };
}

async function unpause() {
  byId("pause").focus(); // this button is about to go
  await call("PUT", "api/paused", { json: false }).catch(complain);
}

function tell(now, page) {
  const camera = page.live?.camera;
  const name = camera ? camera.name || camera.source : "";
  const absent = `cover.absent.${camera?.code?.replace("camera_", "")}`;
  switch (now) {
    case "lost":
      return {
        headline: t("cover.lost", { time: duration((page.now - page.lostAt) / 1000 + 1) }),
        more: t("cover.lost.more"),
        next: countdown(page.retryAt === null ? null : (page.retryAt - page.now) / 1000),
      };
    case "refused":
      return { headline: t("cover.refused"), more: page.refusal };
    case "stale":
      return {
        headline: t("cover.stale", { time: duration(frameAge(page) ?? 0) }),
        more: camera.reason ?? t(camera.status === "opening" ? "cover.stale.opening" : "cover.stale.stalled"),
        facts: remedy(camera.remedy),
        next: retry(page),
      };
    case "late":
      return {
        headline: t("cover.late", { time: duration((page.now - (page.picture?.at ?? page.openedAt)) / 1000) }),
        more: t("cover.late.more"),
      };
    case "absent":
      return {
        headline: t(has(absent) ? absent : "cover.absent"),
        facts: [
          { name: t("cover.tried"), text: camera.source === "auto" ? t("cover.tried.auto") : camera.source },
          ...(camera.reason ? [{ name: t("cover.missing"), text: camera.reason }] : []),
          ...remedy(camera.remedy),
        ],
        next: retry(page),
      };
    case "failed":
      return {
        headline: t("cover.failed"),
        more: page.live.fault?.reason ?? t("cover.failed.more"),
        facts: remedy(page.live.fault?.remedy),
      };
    case "starting":
      return { headline: t("cover.starting"), more: camera.reason ?? t("cover.starting.more", { name }), next: retry(page) };
    case "ended":
      return { headline: t("cover.ended"), more: t("cover.ended.more", { name }) };
    case "paused":
      return { headline: t("chip.paused"), more: t("cover.paused.more") };
    default:
      return { headline: t("cover.connecting"), more: t("cover.connecting.more") };
  }
}

function remedy(text) {
  return text ? [{ name: t("cover.remedy"), text, remedy: true }] : [];
}

function retry(page) {
  const left = page.live.camera.retry_in_s;
  return left === null || left === undefined ? "" : countdown(left - sinceReceived(page));
}

function countdown(seconds) {
  if (seconds === null) return "";
  return seconds < 1 ? t("cover.retrying") : t("cover.retry", { time: duration(Math.ceil(seconds)) });
}

// Rebuilt only when the words change: somebody may be selecting them.
function facts(list, wanted) {
  const key = JSON.stringify(wanted);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.hidden = wanted.length === 0;
  list.replaceChildren(
    ...wanted.flatMap((fact) => [
      el("dt", {}, fact.name),
      el("dd", { lang: "en" }, ...(fact.remedy ? withCommands(fact.text) : [fact.text])),
    ]),
  );
}

// Remedies write commands in quotes, in brackets or behind a last colon; nothing else of theirs begins so.
const COMMANDS = /[`'(]((?:sudo|lookout|rpicam-|ls|ss) ?[^`')]*)[`')]|: ((?:sudo|lookout|rpicam-)[^\n]*?)\.?$/g;

/** @param {string} text  a remedy @returns {(Node | string)[]} the same with its commands in boxes that can be copied */
export function withCommands(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(COMMANDS)) {
    const lead = found[2] ? ": " : "";
    parts.push(text.slice(end, found.index) + lead, commandBox(found[1] ?? found[2]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

function commandBox(command) {
  const copier = button("copy", { onclick: () => copy(command, copier) }, t("copy"));
  return el("span.command", {}, el("code", {}, command), copier);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS browsers offer no clipboard: select it, so that one key press copies.
    window.getSelection().selectAllChildren(button.previousElementSibling);
    return;
  }
  button.textContent = t("copied");
  setTimeout(() => (button.textContent = t("copy")), 1500);
}
