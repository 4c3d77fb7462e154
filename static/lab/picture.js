// A volume as a picture: three channels in colour, one in grey; a frame marks the window in use.

import { el } from "../dom.js";

/** @param {string} label @param {(at: [number, number]) => void} [point]  called with the pixel that is pointed at */
export function createPicture(label, point) {
  const canvas = el("canvas", { aria: { role: "img", label } });
  const box = el("div.lab-box", { hidden: true });
  const node = el(point ? "div.lab-picture.pointed" : "div.lab-picture", {}, canvas, box);
  if (point) {
    const follow = (event) => {
      const frame = canvas.getBoundingClientRect();
      const place = (value, length, pixels) => Math.max(0, Math.min(pixels - 1, Math.floor((value / length) * pixels)));
      point([
        place(event.clientY - frame.top, frame.height, canvas.height),
        place(event.clientX - frame.left, frame.width, canvas.width),
      ]);
    };
    canvas.addEventListener("pointermove", follow);
    canvas.addEventListener("pointerdown", follow);
  }
  return {
    node,
    canvas,
    /**
     * @param {import("./arithmetic.js").Volume} volume
     * @param {"pixels" | "signed" | "positive"} range  0..255; or stretched, zero being middle grey, or black
     */
    show(volume, range) {
      const [height, width] = [volume[0].length, volume[0][0].length];
      if (canvas.height !== height || canvas.width !== width) [canvas.height, canvas.width] = [height, width];
      const grey = range === "pixels" ? (value) => value : stretched(volume, range);
      const pen = canvas.getContext("2d");
      const pixels = pen.createImageData(width, height);
      for (let i = 0; i < height; i += 1) {
        for (let j = 0; j < width; j += 1) {
          for (let c = 0; c < 3; c += 1) pixels.data[(i * width + j) * 4 + c] = grey(volume[volume.length === 3 ? c : 0][i][j]);
          pixels.data[(i * width + j) * 4 + 3] = 255;
        }
      }
      pen.putImageData(pixels, 0, 0);
    },
    /** @param {[number, number, number, number] | null} window  row, column, height, width, in pixels of the picture */
    light(window, kind = "lit") {
      box.hidden = !window;
      if (!window) return;
      box.className = `lab-box ${kind}`;
      const [row, column, height, width] = window;
      const share = (value, whole) => `${(100 * value) / whole}%`;
      box.style.top = share(row, canvas.height);
      box.style.left = share(column, canvas.width);
      box.style.height = share(height, canvas.height);
      box.style.width = share(width, canvas.width);
    },
    enter() {},
  };
}

function stretched(volume, range) {
  let reach = 1e-12;
  for (const plane of volume) for (const row of plane) for (const value of row) reach = Math.max(reach, Math.abs(value));
  return range === "signed" ? (value) => 128 + (127 * value) / reach : (value) => (255 * Math.max(0, value)) / reach;
}

/** @param {CanvasImageSource & {width: number, height: number}} source @returns {ImageData} its middle square, size x size */
export function squareOf(source, size) {
  const canvas = new OffscreenCanvas(size, size);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const side = Math.min(source.width, source.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, (source.width - side) / 2, (source.height - side) / 2, side, side, 0, 0, size, size);
  return pen.getImageData(0, 0, size, size);
}

/** @param {ImageData} pixels @param {boolean} colour @returns {import("./arithmetic.js").Volume} 0..255 */
export function volumeOf({ data, width, height }, colour) {
  const at = (i, j, c) => data[(i * width + j) * 4 + c];
  const plane = (value) => Array.from({ length: height }, (_, i) => Array.from({ length: width }, (_, j) => value(i, j)));
  if (colour) return [0, 1, 2].map((c) => plane((i, j) => at(i, j, c)));
  return [plane((i, j) => Math.round(0.299 * at(i, j, 0) + 0.587 * at(i, j, 1) + 0.114 * at(i, j, 2)))];
}
