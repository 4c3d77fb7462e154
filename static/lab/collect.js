// The reader's own photographs from the camera: taken while a button is held, kept in this page, saved as a zip for training.

import { address } from "../api.js";
import { button, el, setText } from "../dom.js";
import { t, whole } from "../i18n.js";
import { folderOf, zipOf } from "./zip.js";

const PAUSE_MS = 250; // between two pictures
const MAX_PICTURES = 3000; // some 60 MB in this page
const PICTURE = "api/snapshot.jpg?region=true&width=320";

/** Label to its pictures; kept while another part of the lab is open. @type {Map<string, Blob[]>} */
const kept = new Map();

/** @param {HTMLElement} place @returns {() => void} */
export function mount(place) {
  const label = el("input", { type: "text", id: "collect-label", maxLength: 60, autocomplete: "off", value: "cat" });
  const hold = button("button", { id: "collect-hold", text: "collect.hold" });
  const said = el("p", { aria: { role: "status" } });
  const rows = el("ul.collect-labels");
  const save = button("button", { text: "collect.save", onclick: download });
  const last = el("img.collect-last", { alt: "", hidden: true });
  let pressed = false;

  function row([name, pictures]) {
    const remove = () => {
      kept.delete(name);
      show();
    };
    const words = { text: "collect.remove", aria: { label: t("collect.removeOf", { label: name }) }, onclick: remove };
    return el("li", { data: { label: name } }, `${name}: ${whole(pictures.length)} `, button("button quiet", words));
  }

  function show() {
    rows.replaceChildren(...[...kept].map(row));
    save.disabled = !kept.size;
  }

  async function collect() {
    const name = folderOf(label.value);
    if (!name) return setText(said, t("collect.noLabel"));
    if (pressed) return undefined;
    pressed = true;
    while (pressed && place.isConnected) {
      if ([...kept.values()].flat().length >= MAX_PICTURES) {
        setText(said, t("collect.full", { n: whole(MAX_PICTURES) }));
        break;
      }
      const picture = await now();
      if (picture && pressed) {
        if (!kept.has(name)) kept.set(name, []);
        kept.get(name).push(picture);
        URL.revokeObjectURL(last.src);
        last.src = URL.createObjectURL(picture);
        last.hidden = false;
        show();
      }
      setText(said, picture ? t("collect.taking", { label: name, n: whole(kept.get(name)?.length ?? 0) }) : t("bench.noPicture"));
      await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
    }
    if (!pressed) setText(said, ""); // the list says how many there are
    pressed = false;
    return undefined;
  }

  const release = () => { pressed = false; };
  const keys = (event) => event.key === " " || event.key === "Enter";
  hold.addEventListener("pointerdown", collect);
  hold.addEventListener("keydown", (event) => { if (keys(event) && !event.repeat) collect(); });
  hold.addEventListener("keyup", (event) => { if (keys(event)) release(); });
  hold.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch must not open a menu
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, release);
  window.addEventListener("beforeunload", warn);

  async function download() {
    const files = [];
    for (const [name, pictures] of kept) {
      for (const [i, picture] of pictures.entries()) files.push({ name: `${name}/camera-${String(i + 1).padStart(5, "0")}.jpg`, bytes: new Uint8Array(await picture.arrayBuffer()) });
    }
    const archive = URL.createObjectURL(new Blob(zipOf(files), { type: "application/zip" }));
    el("a", { href: archive, download: "photographs.zip" }).click();
    setTimeout(() => URL.revokeObjectURL(archive), 60_000);
  }

  place.append(
    el("div", {}, el("h2", { text: "lab.collect" }), el("p.lab-intro", { text: "collect.intro" })),
    el("section.lab-card", {}, el("div.lab-fields", {}, el("label", { htmlFor: label.id }, el("span", { text: "collect.label" }), label), hold), last, said, rows),
    el("section.lab-card", {}, el("h3", { text: "collect.next" }), el("p", { text: "collect.then" }), el("pre.collect-command", {}, "python -m models.training tune --data photographs.zip --out models/ours"), el("div.buttons", {}, save)),
  );
  show();
  return () => {
    release();
    for (const end of ["pointerup", "pointercancel", "blur"]) window.removeEventListener(end, release);
    window.removeEventListener("beforeunload", warn);
  };
}

/** Leaving the page loses what was not saved. */
function warn(event) {
  if (kept.size) event.preventDefault();
}

/** @returns {Promise<Blob | null>} the live picture; null if the camera has no current one */
async function now() {
  try {
    const response = await fetch(address(PICTURE), { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(10_000) });
    return response.ok && !response.headers.get("X-Lookout-Stale") ? await response.blob() : null;
  } catch {
    return null;
  }
}
