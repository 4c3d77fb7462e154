// The camera: what it is, how it is, and what helps when it is not well.

import { withCommands } from "./cover.js";
import { button, byId, el, setText, show } from "./dom.js";
import { factList } from "./facts.js";
import { complain } from "./problems.js";
import { patchSettings, wasChanged } from "./settings.js";
import { sinceReceived } from "./situation.js";
import { decimal, duration, t } from "./words.js";

/** @param {import("./store.js").Store} store */
export function mountCamera(store) {
  const panel = byId("camera");
  const status = el("p.headline");
  const reason = el("p.reason", { lang: "en" });
  const remedy = el("p.reason", { lang: "en" });
  const demo = el("div.aside");
  // null takes back what this page chose: the user's own settings decide again.
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
    setText(reason, camera.reason ?? "");
    if (remedy.dataset.text !== (camera.remedy ?? "")) {
      remedy.dataset.text = camera.remedy ?? "";
      remedy.replaceChildren(...withCommands(camera.remedy ?? ""));
    }
    render([
      ["camera.source", camera.name && camera.name !== camera.source ? `${camera.name} (${camera.source})` : camera.source],
      ["camera.size", camera.width ? `${camera.width} × ${camera.height}` : null],
      ["camera.rate", known && camera.status === "streaming" ? t("camera.per_s", { n: decimal(camera.frames_per_s, 1) }) : null],
      ["camera.since", known ? duration(camera.for_s + sinceReceived(page)) : "–"],
      ["camera.restarts", camera.restarts ? String(camera.restarts) : null],
      ["camera.notes", (camera.notes ?? []).join(" ")],
    ]);
    show(demo, camera.source === "demo");
    show(leave, wasChanged(page, "camera.source"));
  });
}
