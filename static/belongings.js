// What the diary stores: how much, for how long and where, with buttons to export and to delete everything.

import { call } from "./api.js";
import { addDialog } from "./dialog.js";
import { button, el, setText } from "./dom.js";
import { complain, tell } from "./problems.js";
import { megabytes, t, whole } from "./i18n.js";

const CONFIRMED = "delete everything";
// Deleting a year of events and compacting the file afterwards.
const DELETE_MS = 120_000;

/** @param {import("./store.js").Store} store @param {HTMLElement} box @param {{emptied: () => void}} act */
export function mountBelongings(store, box, { emptied }) {
  const size = el("p.reason");
  const csv = el("a.button", { href: "api/events.csv", text: "own.csv" });
  const zip = el("a.button", { href: "api/events.zip", text: "own.zip" });
  for (const link of [csv, zip]) link.download = "";
  const all = button("button danger", { text: "own.delete", onclick: ask });
  box.append(
    el(
      "section.panel",
      { aria: { labelledby: "h-own" } },
      el("h2", { id: "h-own", text: "own.title" }),
      el("p.reason", { text: "own.privacy" }),
      size,
      el("div.aside", {}, el("div.buttons", {}, csv, zip), all),
      el("p.note", { text: "own.zip.more" }),
    ),
  );

  function ask() {
    const yes = button("button danger", { text: "own.delete.yes" });
    const no = button("button", { text: "cancel", onclick: () => dialog.close() });
    const dialog = addDialog("delete", "small", el("h2", { text: "own.delete" }), el("p.reason", { text: "own.delete.more" }), el("div.buttons", {}, yes, no));
    dialog.addEventListener("close", () => dialog.remove());
    yes.addEventListener("click", async () => {
      yes.disabled = true;
      try {
        await call("DELETE", "api/events?all=true", { json: { confirm: CONFIRMED }, timeout: DELETE_MS });
        tell(t("own.deleted"));
        emptied();
      } catch (error) {
        complain(error);
      }
      dialog.close();
    });
    dialog.showModal();
    no.focus();
  }

  return {
    async look() {
      const storage = await call("GET", "api/events/storage").catch(() => null);
      if (!storage) return;
      const days = storage.days_left;
      setText(size, t(days === null || days === undefined ? "own.size" : "own.size.days", { size: megabytes(storage.bytes), days: whole(Math.round(days ?? 0)) }));
    },
  };
}
