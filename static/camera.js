// The camera: what it is, how it is, and what helps when it is not well.

import { withCommands } from "./cover.js";
import { byId, el, setAttribute, setText, show } from "./dom.js";
import { factList } from "./facts.js";
import { complain } from "./problems.js";
import { patchSettings, wasChanged } from "./settings.js";
import { sinceReceived } from "./situation.js";
import { decimal, duration, t } from "./words.js";

/** @param {ReturnType<typeof import("./store.js").createStore>} store */
export function mountCamera(store) {
  const panel = byId("camera");
  const status = el("p", { className: "headline" });
  const reason = el("p", { className: "reason", lang: "en" });
  const remedy = el("p", { className: "reason", lang: "en" });
  const demo = el("div", { className: "aside" });
  const note = el("p");
  // null takes back what this page chose: the user's own settings decide again.
  const leaveDemo = () => patchSettings(store, { camera: { source: null } }).catch(complain);
  const leave = el("button", { type: "button", className: "button", onclick: leaveDemo });
  demo.append(note, leave);
  panel.append(status, reason, remedy);
  const render = factList(panel);
  panel.append(demo);
  store.watch((page) => {
    const camera = page.live?.camera;
    show(panel, Boolean(camera));
    if (!camera) return;
    setText(status, `${t(`camera.status.${camera.status}`)}`);
    setAttribute(status, "data-status", camera.status);
    setText(reason, camera.reason ?? "");
    if (remedy.dataset.text !== (camera.remedy ?? "")) {
      remedy.dataset.text = camera.remedy ?? "";
      remedy.replaceChildren(...withCommands(camera.remedy ?? ""));
    }
    render([
      { name: t("camera.source"), value: camera.name && camera.name !== camera.source ? `${camera.name} (${camera.source})` : camera.source },
      { name: t("camera.size"), value: camera.width ? `${camera.width} × ${camera.height}` : null },
      { name: t("camera.rate"), value: camera.status === "streaming" ? t("camera.per_s", { n: decimal(camera.frames_per_s, 1) }) : null },
      { name: t("camera.since"), value: duration(camera.for_s + sinceReceived(page)) },
      { name: t("camera.restarts"), value: camera.restarts ? String(camera.restarts) : null },
      { name: t("camera.notes"), value: (camera.notes ?? []).join(" ") },
    ]);
    show(demo, camera.source === "demo");
    setText(note, t("demo.note"));
    show(leave, wasChanged(page, "camera.source"));
    setText(leave, t("demo.leave"));
  });
}
