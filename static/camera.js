// The camera: what it is, its status, and what helps if something is wrong.

import { remedyParts } from "./command.js";
import { button, byId, el, setAttribute, setText, show } from "./dom.js";
import { factList } from "./facts.js";
import { inWords, kindOf } from "./faults.js";
import { complain } from "./problems.js";
import { patchSettings, wasChanged } from "./settings.js";
import { sinceReceived, situation } from "./situation.js";
import { decimal, duration, t } from "./i18n.js";

/** @param {import("./store.js").Store} store */
export function mountCamera(store) {
  const panel = byId("camera");
  const status = el("p.headline");
  const reason = el("p.reason");
  const remedy = el("p.reason");
  const demo = el("div.aside");
  // null resets what this page changed, so that the user's own settings apply again.
  const leaveDemo = () => patchSettings(store, { camera: { source: null } }).catch(complain);
  const leave = button("button", { text: "demo.leave", onclick: leaveDemo });
  demo.append(el("p", { text: "demo.note" }), leave);
  panel.append(status, reason, remedy);
  const render = factList(panel);
  panel.append(demo);
  store.watch((page) => {
    const camera = page.live?.camera;
    show(panel, Boolean(camera));
    if (!camera) return;
    const known = page.connection === "open";
    setText(status, t(known ? `camera.status.${camera.status}` : "chip.lost"));
    // If this hides the picture, the message over the picture already says so.
    const covered = ["absent", "stale", "starting"].includes(situation(page));
    const words = inWords(covered ? { code: null, reason: null, remedy: null } : camera, kindOf(camera.source));
    setText(reason, words.reason);
    if (remedy.dataset.text !== words.remedy) {
      remedy.dataset.text = words.remedy;
      remedy.replaceChildren(...remedyParts(words.remedy));
    }
    for (const one of [reason, remedy]) setAttribute(one, "lang", words.lang);
    render([
      ["camera.from", camera.name && camera.name !== camera.source ? `${camera.name} (${camera.source})` : camera.source],
      ["camera.size", camera.width ? `${camera.width} × ${camera.height}` : null],
      ["camera.rate", known && camera.status === "streaming" ? t("camera.per_s", { n: decimal(camera.frames_per_s, 1) }) : null],
      ["camera.since", known ? duration(camera.for_s + sinceReceived(page)) : "–"],
      ["camera.restarts", camera.restarts ? String(camera.restarts) : null],
      ["camera.notes", (camera.notes ?? []).join(" "), false, "en"],
      ["camera.link", known && page.via === "events" ? t("camera.link.events") : null],
    ]);
    show(demo, camera.source === "demo");
    show(leave, wasChanged(page, "camera.source"));
  });
}
