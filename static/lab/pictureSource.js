// The picture that the walk shows: one still from the camera, or a photo. It is sent to the service unchanged, so that
// every step of the walk shows the same picture.

import { address, call } from "../api.js";
import { button, el, setText } from "../dom.js";
import { t } from "../i18n.js";

/** @param {(picture: Blob) => void} taken  called with each new picture */
export function createSource(taken) {
  const problem = el("p.problem", { aria: { role: "status" } });
  const file = el("input", { type: "file", accept: "image/*", id: "walk-photo" });
  const node = el(
    "div.lab-inner",
    {},
    el("div.lab-fields", {}, button("button", { text: "walk.take", onclick: snapshot }), el("label", {}, el("span", { text: "walk.photo" }), file)),
    problem,
  );

  async function snapshot() {
    try {
      const response = await fetch(address("api/snapshot.jpg?region=true"), { credentials: "same-origin", signal: AbortSignal.timeout(10_000) });
      if (!response.ok || response.headers.get("X-Lookout-Stale")) throw new Error();
      setText(problem, "");
      taken(await response.blob());
    } catch {
      setText(problem, t("bench.noPicture"));
    }
  }

  file.addEventListener("change", () => {
    if (!file.files[0]) return;
    setText(problem, "");
    taken(file.files[0]);
  });
  return { node, snapshot };
}

/** @param {string} what  maps, channel or answer @param {Blob} picture @param {Record<string, string | number>} query */
export function inspect(what, picture, query) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined));
  return call("POST", `api/inspect/${what}?${asked}`, { body: picture, type: picture.type || "image/jpeg" });
}
