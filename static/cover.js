// The message over the picture when it is not live: what is wrong, what helps, what happens next.

import { iconOf } from "./answer.js";
import { call } from "./api.js";
import { remedyParts } from "./command.js";
import { button, byId, el, icon, setIcon, setText, show } from "./dom.js";
import { inWords, kindOf } from "./faults.js";
import { mountFound } from "./found.js";
import { complain } from "./problems.js";
import { mayChange, patchSettings } from "./settings.js";
import { frameAge, sinceReceived, situation } from "./situation.js";
import { duration, has, t } from "./i18n.js";

/**
 * @param {import("./store.js").Store} store
 * @param {{retry: () => void, openPhoto: () => void}} act
 */
export function mountCover(store, act) {
  const cover = byId("cover");
  const showDemo = () => patchSettings(store, { camera: { source: "demo" } }).catch(complain);
  const parts = build(cover, { ...act, showDemo });
  const showFound = mountFound(store, parts.found);
  store.watch((page) => {
    const now = situation(page);
    const wordless = now === "live" || now === "joining";
    show(cover, !wordless);
    showFound(page, now === "absent");
    if (wordless) return;
    const words = tell(now, page);
    setIcon(parts.drawing, iconOf(now));
    setText(parts.headline, words.headline);
    setText(parts.more, words.more ?? "");
    parts.more.lang = words.lang ?? "";
    facts(parts.facts, words.facts ?? []);
    setText(parts.next, words.next ?? "");
    show(parts.retry, now === "lost" && page.retryAt !== null);
    show(parts.resume, now === "paused");
    show(parts.photo, now === "absent" || now === "ended");
    show(parts.demo, now === "absent" && page.live.camera.source !== "demo" && mayChange(page, "camera.source"));
  });
}

function build(cover, act) {
  const drawing = icon("wait", "cover-icon");
  const headline = el("h2.cover-headline");
  const more = el("p.cover-more");
  const list = el("dl.cover-facts");
  const found = el("div.cover-found");
  const next = el("p.cover-next");
  const retry = button("button", { text: "cover.retry.now", onclick: act.retry });
  const resume = button("button main", { id: "resume", onclick: unpause }, icon("play"), el("span", { text: "resume" }));
  const photo = button("button main", { onclick: act.openPhoto }, icon("photo"), el("span", { text: "cover.photo" }));
  const demo = button("button", { id: "demo", text: "cover.demo", onclick: act.showDemo });
  const buttons = el("div.buttons", {}, resume, photo, demo, retry);
  cover.append(el("div.cover-inner", {}, drawing, headline, more, list, found, next, buttons));
  return { drawing, headline, more, facts: list, found, next, retry, resume, photo, demo };
}

async function unpause() {
  byId("pause").focus(); // this button is about to disappear
  await call("PUT", "api/paused", { json: false }).catch(complain);
}

function tell(now, page) {
  switch (now) {
    case "lost":
      return lost(page);
    case "refused":
      return refused(page.refusal);
    case "stale":
      return stale(page);
    case "late":
      return late(page);
    case "absent":
      return absent(page);
    case "failed":
      return failed(page.live.fault);
    case "starting":
      return starting(page);
    case "ended":
      return { headline: t("cover.ended"), more: t("cover.ended.more", { name: nameOf(page.live.camera) }) };
    case "paused":
      return { headline: t("chip.paused"), more: t("cover.paused.more") };
    default:
      return { headline: t("cover.connecting"), more: t("cover.connecting.more") };
  }
}

function lost(page) {
  const time = duration((page.now - page.lostAt) / 1000 + 1);
  // If no retry is planned, the connection is still up and a picture is on its way.
  if (page.retryAt === null) return { headline: t("cover.silent", { time }), more: t("cover.silent.more") };
  return {
    headline: t("cover.lost", { time }),
    more: t("cover.lost.more"),
    next: countdown((page.retryAt - page.now) / 1000),
  };
}

function refused(problem) {
  const words = inWords({ code: problem.code, reason: problem.detail, remedy: problem.remedy });
  return { headline: t("cover.refused"), more: words.reason, lang: words.lang, facts: [...remedy(words), ...original(words)] };
}

function stale(page) {
  const { camera } = page.live;
  const words = inWords(camera, kindOf(camera.source));
  return {
    headline: t("cover.stale", { time: duration(frameAge(page) ?? 0) }),
    more: words.reason || t(camera.status === "opening" ? "cover.stale.opening" : "cover.stale.stalled"),
    lang: words.reason ? words.lang : "",
    facts: [...remedy(words), ...original(words)],
    next: retry(page),
  };
}

function late(page) {
  if (page.network === "too_slow") return { headline: t("cover.too_slow"), more: t("cover.too_slow.more") };
  const since = Math.max(page.picture?.at ?? 0, page.openedAt, page.okAt);
  return { headline: t("cover.late", { time: duration((page.now - since) / 1000) }), more: t("cover.late.more") };
}

function absent(page) {
  const { camera } = page.live;
  const headline = `cover.absent.${camera.code?.replace("camera_", "")}`;
  const words = inWords(camera, kindOf(camera.source));
  return {
    headline: t(has(headline) ? headline : "cover.absent"),
    facts: [
      { name: t("cover.tried"), text: camera.source === "auto" ? t("cover.tried.auto") : camera.source },
      ...(words.reason ? [{ name: t("cover.missing"), text: words.reason, lang: words.lang }] : []),
      ...remedy(words),
      ...original(words),
    ],
    next: retry(page),
  };
}

function failed(fault) {
  const words = inWords(fault ?? { code: null, reason: null, remedy: null });
  return {
    headline: t("cover.failed"),
    more: words.reason || t("cover.failed.more"),
    lang: words.reason ? words.lang : "",
    facts: [...remedy(words), ...original(words)],
  };
}

function starting(page) {
  const { camera } = page.live;
  const words = inWords(camera, kindOf(camera.source));
  const more = words.reason || t("cover.starting.more", { name: nameOf(camera) });
  return { headline: t("cover.starting"), more, lang: words.reason ? words.lang : "", next: retry(page) };
}

function nameOf(camera) {
  return camera.name || camera.source;
}

function remedy({ remedy: text, lang }) {
  return text ? [{ name: t("cover.remedy"), text, lang, remedy: true }] : [];
}

function original({ original: text }) {
  return text ? [{ name: t("fault.original"), text, lang: "en" }] : [];
}

function retry(page) {
  const left = page.live.camera.retry_in_s;
  return left === null || left === undefined ? "" : countdown(left - sinceReceived(page));
}

function countdown(seconds) {
  return seconds < 1 ? t("cover.retrying") : t("cover.retry", { time: duration(Math.ceil(seconds)) });
}

// Rebuilt only when the text changes, because the reader may be selecting it.
function facts(list, wanted) {
  const key = JSON.stringify(wanted);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.hidden = wanted.length === 0;
  list.replaceChildren(
    ...wanted.flatMap((fact) => [
      el("dt", {}, fact.name),
      el("dd", { lang: fact.lang ?? "" }, ...(fact.remedy ? remedyParts(fact.text) : [fact.text])),
    ]),
  );
}
