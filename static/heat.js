// A class activation map over a picture: what counts stays as it is in warm light, the rest lies in the shade.

/**
 * @param {string} uri  a PNG as data URI, its brightness (times its opacity) saying how much a place counts
 * @returns {Promise<HTMLCanvasElement>} the same as colour: shade where nothing speaks for the label, hardly more than a warm tint where much does
 */
export async function heatOf(uri) {
  const bitmap = await bitmapOf(uri);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) warm(pixels.data, i);
  pen.putImageData(pixels, 0, 0);
  return canvas;
}

/** @param {string} uri  a picture as data URI, which the page's policy lets nobody fetch @returns {Promise<ImageBitmap>} */
export function bitmapOf(uri) {
  const [head, data] = uri.split(",");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: head.slice("data:".length, head.indexOf(";")) }));
}

// From a dark violet shade to a thin yellow: what speaks for the label can be seen best, and in grey, too.
function warm(data, i) {
  const strength = (Math.max(data[i], data[i + 1], data[i + 2]) / 255) * (data[i + 3] / 255);
  data[i] = 30 + 225 * Math.min(1, strength * 1.5);
  data[i + 1] = 10 + 190 * strength;
  data[i + 2] = 50 * (1 - strength);
  data[i + 3] = 130 - 80 * strength;
}

/**
 * @param {HTMLCanvasElement} target  is cleared; its size is kept
 * @param {HTMLCanvasElement} heat
 * @param {{x: number, y: number, width: number, height: number}} region  of the target, normalised
 */
export function drawHeat(target, heat, region) {
  const pen = target.getContext("2d");
  const { width, height } = target;
  pen.clearRect(0, 0, width, height);
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(heat, region.x * width, region.y * height, region.width * width, region.height * height);
}
