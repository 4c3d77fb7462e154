// The live picture: each one is decoded and drawn once, released at once, and wiped when it must no longer be visible.

import { byId, setAttribute, setText, setVariable, show } from "./dom.js";
import { situation } from "./situation.js";
import { t } from "./i18n.js";

const SMALL = 640;
const LARGE = 1280;
const ROUNDED = 0.03;

/**
 * @param {import("./store.js").Store} store
 * @returns {{pictureWidth: () => number, onPicture: (header: object, jpeg: Blob) => Promise<void>}}
 */
export function mountPicture(store) {
  const frame = byId("frame");
  const canvas = byId("picture");
  const context = canvas.getContext("2d", { alpha: false });

  async function onPicture(_header, jpeg) {
    const bitmap = await createImageBitmap(jpeg);
    try {
      if (store.get().live?.status === "paused") return;
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
      }
      context.drawImage(bitmap, 0, 0);
      const { width, height } = bitmap;
      store.set({ picture: { width, height, at: performance.now() } });
    } finally {
      bitmap.close(); // Otherwise the browser keeps every frame until the next garbage collection.
    }
  }

  function wipe() {
    context.clearRect(0, 0, canvas.width, canvas.height);
    store.set({ picture: null });
  }

  const note = byId("network");
  store.watch((page) => {
    const now = situation(page);
    setAttribute(frame, "data-situation", now);
    showNetwork(note, page, now);
    const { live, picture } = page;
    const shape = shapeOf(picture, live?.camera);
    if (shape) setVariable(document.documentElement, "--shape", shape.toFixed(4));
    frame.dataset.empty = String(!picture);
    setAttribute(canvas, "aria-label", describe(now, page));
    // Paused means that nothing is seen, so the last picture is removed, too.
    if (picture && (now === "paused" || now === "absent")) wipe();
  });

  return {
    onPicture,
    pictureWidth: () => (frame.clientWidth * window.devicePixelRatio > SMALL * 1.2 ? LARGE : SMALL),
  };
}

// Says why pictures are small or rare; if there are none, the cover says so.
function showNetwork(note, page, now) {
  const key = page.network === "slow" ? "network.slow" : page.via === "events" ? "network.events" : null;
  show(note, key !== null && now === "live");
  if (key) setText(note, t(key));
}

// Width divided by height. A small picture's sides are rounded, and the page must not move whenever its size changes.
function shapeOf(picture, camera) {
  const shown = picture && picture.width / picture.height;
  const whole = camera?.width ? camera.width / camera.height : shown;
  return shown && Math.abs(shown / whole - 1) > ROUNDED ? shown : whole;
}

function describe(now, page) {
  if (!page.picture) return t("answer.stale");
  return now === "live" ? t("picture.live", { name: page.live.camera.name || page.live.camera.source }) : t("picture.frozen");
}
