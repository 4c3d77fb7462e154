// A class activation map as warm light over a picture: it comes as a small PNG and is drawn large and soft.

/**
 * @param {string} uri  a PNG as data URI, its brightness (times its opacity) saying how much a place counts
 * @returns {Promise<HTMLCanvasElement>} the same as colour: clear where nothing speaks for the label, warm where much does
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

// From deep red to pale yellow, lightness rising all the way: it reads in grey, too.
function warm(data, i) {
  const strength = (Math.max(data[i], data[i + 1], data[i + 2]) / 255) * (data[i + 3] / 255);
  data[i] = 150 + 105 * Math.min(1, strength * 1.6);
  data[i + 1] = 20 + 215 * strength;
  data[i + 2] = 10 + 90 * strength ** 3;
  data[i + 3] = 205 * Math.min(1, strength * 1.25);
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
